-- funnel_times: how long visitors take from step to step of a funnel.
--
-- Question    How long does it take to convert, and at which step is the time spent?
-- Parameters  As funnel. funnel_by has the same for each value of a breakdown, and for other kinds of funnels.
-- Grain       One row per step that somebody reached, but the first.
-- Reads       funnel_chains
-- Definition  As funnel. A visitor's times are those of the longest chain; of several that which was complete first;
--             of these the one whose other events are latest.
--               step                            Its number, from 2.
--               reached                         How many: as in funnel.
--               median_ms, p90_ms               From the step before.
--               median_total_ms, p90_total_ms   From the first step.
-- Exact       Yes: quantileExactLow, a time that somebody took.
-- Time        Milliseconds between event_time.
-- Cost        As funnel_chains: about six times funnel's CPU.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.funnel_times AS
SELECT
    step,
    count() AS reached,
    quantileExactLow(0.5)(times[step] - times[step - 1]) AS median_ms,
    quantileExactLow(0.9)(times[step] - times[step - 1]) AS p90_ms,
    quantileExactLow(0.5)(times[step] - times[1]) AS median_total_ms,
    quantileExactLow(0.9)(times[step] - times[1]) AS p90_total_ms
FROM {database}.funnel_chains
(
    source_id = {source_id:String},
    steps = {steps:Array(String)},
    kind = 'ordered',
    window_s = {window_s:UInt32},
    since = {since:DateTime64(3, 'UTC')},
    until = {until:DateTime64(3, 'UTC')},
    counted_by = {counted_by:String},
    without = {without:Array(String)},
    breakdown = {breakdown:String}
)
ARRAY JOIN arrayPopFront(arrayEnumerate(times)) AS step
GROUP BY step
ORDER BY step
