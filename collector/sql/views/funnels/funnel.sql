-- funnel: of those who began, how many reached each step, and how many were lost.
--
-- Question    Where on the way to a goal are visitors lost? For any steps, without any code.
-- Parameters  source_id   String.
--             steps       Array(String): 1 to 16 conditions, written as step_events says.
--             window_s    UInt32: seconds, from the first step to the last; at least 1.
--             since, until   DateTime64(3): the first step is from `since` and before `until`; later ones may be later.
--             counted_by  String: 'visitor', 'person' or 'session'.
--             without     Array(String): conditions of events that must not be on the way; [] for none.
--             breakdown   String: one answer for each value that it has at the first step; '' for one answer.
--                 SELECT * FROM funnel(source_id = 'shop', steps = ['page_view & path=/pricing', 'sign_up'],
--                     window_s = 604800, since = '2026-11-01', until = '2026-12-01', counted_by = 'person',
--                     without = [], breakdown = '')
-- Grain       One row per (dimension, step), for every step, also for those that nobody reached. No events, no rows.
-- Reads       funnel_levels
-- Definition  Step n is reached by a chain of n different events, one for each step in order, each at least a
--             millisecond later than the one before, the last at most window_s seconds after the first, with any other
--             events in between but those of `without`. Whoever reaches a step counts once in it and in all before it.
--               step, condition    Its number, from 1, and its condition.
--               reached            How many.
--               share_of_first     reached divided by those of step 1.
--               share_of_previous  reached divided by those of the step before; 1 for step 1.
--               lost               Those of the step before who did not come here; 0 for step 1.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As funnel_levels.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.funnel AS
WITH {steps:Array(String)} AS conditions
SELECT
    dimension,
    step,
    conditions[step] AS condition,
    reached_by[step] AS reached,
    reached / reached_by[1] AS share_of_first,
    if(step = 1, 1, reached / nullIf(reached_by[step - 1], 0)) AS share_of_previous,
    if(step = 1, 0, reached_by[step - 1] - reached) AS lost
FROM
(
    SELECT
        dimension,
        arrayMap(
            step -> arrayCount(level -> level >= step, groupArray(level)),
            arrayEnumerate(conditions)
        ) AS reached_by
    FROM {database}.funnel_levels
    (
        source_id = {source_id:String},
        steps = {steps:Array(String)},
        window_s = {window_s:UInt32},
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')},
        counted_by = {counted_by:String},
        without = {without:Array(String)},
        breakdown = {breakdown:String}
    )
    WHERE level > 0
    GROUP BY dimension
)
ARRAY JOIN arrayEnumerate(reached_by) AS step
ORDER BY dimension, step
