-- funnel_times: how long visitors take from step to step of a funnel.
--
-- Question    How long does it take to convert, and at which step is the time spent?
-- Parameters  As funnel.
-- Grain       One row per step that somebody reached, but the first.
-- Reads       step_events
-- Definition  As funnel. A visitor's times are those of the longest chain; of several that which was complete first, and
--             of these the one whose other events are latest.
--               reached                         How many: as in funnel.
--               median_ms, p90_ms               From the step before.
--               median_total_ms, p90_total_ms   From the first step.
-- Exact       Yes: quantileExactLow, a time that somebody took.
-- Time        Milliseconds between event_time.
-- Cost        About ten times funnel's CPU, because each visitor's chains are followed one by one.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.funnel_times AS
WITH
    length({steps:Array(String)}) AS last_step,
    {window_s:UInt32} * 1000 AS window_ms,
    toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')}) AS until_ms
SELECT
    step,
    count() AS reached,
    quantileExactLow(0.5)(times[step] - times[step - 1]) AS median_ms,
    quantileExactLow(0.9)(times[step] - times[step - 1]) AS p90_ms,
    quantileExactLow(0.5)(times[step] - times[1]) AS median_total_ms,
    quantileExactLow(0.9)(times[step] - times[1]) AS p90_total_ms
FROM
(
    SELECT
        -- state: (of each step the newest chain that ends there, the longest chain so far)
        arrayFold(
            (state, event_) -> (
                multiIf(
                    event_.2 = 1,
                    if(event_.1 < until_ms, [event_.1], []),
                    event_.2 > last_step
                        OR empty(state.1[event_.2 - 1])
                        OR event_.1 - state.1[event_.2 - 1][1] > window_ms
                        OR event_.1 = state.1[event_.2 - 1][-1],
                    [],
                    arrayPushBack(state.1[event_.2 - 1], event_.1)
                ) AS chain,
                (
                    multiIf(
                        event_.2 > last_step,
                        arrayWithConstant(last_step, emptyArrayInt64()),
                        empty(chain),
                        state.1,
                        arrayMap((old, step) -> if(step = event_.2, chain, old), state.1, arrayEnumerate(state.1))
                    ),
                    if(length(chain) > length(state.2), chain, state.2)
                )
            ).2,
            arraySort(event_ -> (event_.1, -event_.2), groupArray((toUnixTimestamp64Milli(event_time), step::Int32))),
            (arrayWithConstant(last_step, emptyArrayInt64()), emptyArrayInt64())
        ).2 AS times
    FROM {database}.step_events
    (
        source_id = {source_id:String},
        steps = arrayConcat({steps:Array(String)}, {without:Array(String)}),
        counted_by = {counted_by:String},
        breakdown = '',
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32})
    )
    GROUP BY counted_id
)
ARRAY JOIN arrayPopFront(arrayEnumerate(times)) AS step
GROUP BY step
ORDER BY step
