-- funnel_by: funnels with all that can be asked of them, and with the time that each step takes.
--
-- Question    Where are people lost, and where is their time spent: in this order, in any, or with nothing in between?
-- Parameters  As funnel, and
--             kind        String: how the steps follow each other.
--                           'ordered'    As in funnel.
--                           'strict'     As ordered, and nothing may be in between: no other event that is a step or is
--                                        in `without`. With without = ['*'] no event at all: what other products call
--                                        exact or strict order.
--                           'any_order'  Step n is reached by events that meet n of the conditions, within window_s. A
--                                        condition that stands twice must be met by two events. Step 1 is any of them.
--             without     As in funnel. With the kind ordered each may begin with the steps it must not be between:
--                         '2-3: refund' allows a refund between 1 and 2.
--                 SELECT * FROM funnel_by(source_id = 'shop', steps = ['add_to_cart', 'checkout_started', 'purchase'],
--                     kind = 'strict', without = ['page_view & path=/help*'], window_s = 86400, since = '2026-11-01',
--                     until = '2026-12-01', counted_by = 'person', breakdown = 'channel')
-- Grain       One row per (dimension, step), for every step, also for those that nobody reached. No events, no rows.
-- Reads       funnel_chains
-- Definition  In strict order events follow each other by human_events.moment, as in sessions; a step is
--             still later than the one before by a millisecond. Strict reaches no more than ordered, any_order no less.
--               step                             Its number, from 1.
--               condition                        Of the step; empty for any_order, where step n may be any of them.
--               reached, share_of_first, share_of_previous, lost   As in funnel.
--               median_ms, p90_ms                From the step before, of the chains of funnel_chains; NULL for step 1.
--               median_total_ms, p90_total_ms    From the first step.
-- Exact       Yes: quantileExactLow, a time that somebody took.
-- Time        event_time, UTC.
-- Cost        As funnel_chains: about six times funnel's CPU.
-- Test        tests/sql/test_funnel_kinds.py
CREATE OR REPLACE VIEW {database}.funnel_by AS
WITH
    {steps:Array(String)} AS conditions,
    length(conditions) AS last_step
SELECT
    dimension,
    step,
    if({kind:String} = 'any_order', '', conditions[step]) AS condition,
    reached_by[step] AS reached,
    reached / reached_by[1] AS share_of_first,
    if(step = 1, 1, reached / nullIf(reached_by[step - 1], 0)) AS share_of_previous,
    if(step = 1, 0, reached_by[step - 1] - reached) AS lost,
    if(step = 1 OR reached = 0, NULL, medians[step]) AS median_ms,
    if(step = 1 OR reached = 0, NULL, p90s[step]) AS p90_ms,
    if(step = 1 OR reached = 0, NULL, total_medians[step]) AS median_total_ms,
    if(step = 1 OR reached = 0, NULL, total_p90s[step]) AS p90_total_ms
FROM
(
    SELECT
        dimension,
        arrayResize(sumForEach(arrayMap(time -> 1, times)), last_step) AS reached_by,
        quantileExactLowForEach(0.5)(arrayDifference(times)) AS medians,
        quantileExactLowForEach(0.9)(arrayDifference(times)) AS p90s,
        quantileExactLowForEach(0.5)(arrayMap(time -> time - times[1], times)) AS total_medians,
        quantileExactLowForEach(0.9)(arrayMap(time -> time - times[1], times)) AS total_p90s
    FROM {database}.funnel_chains
    (
        source_id = {source_id:String},
        steps = {steps:Array(String)},
        kind = {kind:String},
        window_s = {window_s:UInt32},
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')},
        counted_by = {counted_by:String},
        without = {without:Array(String)},
        breakdown = {breakdown:String}
    )
    GROUP BY dimension
)
ARRAY JOIN arrayEnumerate(reached_by) AS step
ORDER BY dimension, step
