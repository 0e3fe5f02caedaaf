-- funnel_levels: how far each visitor came in a funnel.
--
-- Question    Who got how far, and who was lost at which step?
-- Parameters  As funnel.
-- Grain       One row per visitor, person or session with an event that is a step.
-- Reads       step_events
-- Definition  level      The number of steps reached, as funnel defines it; 0 when not even the first one was.
--             dimension  The event's value of the breakdown, of the first event that is step 1.
-- Exact       Yes, also when a step stands twice or two events are of one millisecond: events are given to windowFunnel
--             as (time, later steps first), so that one event is one step and a later step is later.
-- Time        event_time, UTC.
-- Cost        One pass over the events that are steps. With `without` those of one visitor are in memory at once.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.funnel_levels AS
WITH
    length({steps:Array(String)}) AS last_step,
    {window_s:UInt32} * 16000 AS window,
    -- An excluded event moves all that is not before it out of reach of what is: by more than a window. It comes first
    -- among events of its millisecond, as its step is the highest.
    arraySort(event_ -> (event_.1, -event_.2), events) AS in_order,
    arrayMap(
        (event_, run) -> (event_.1 * 16 + (16 - event_.2) + run * (window + 32), event_.2, event_.1),
        in_order,
        arrayCumSum(event_ -> event_.2 > last_step, in_order)
    ) AS all_moved,
    arrayFilter(event_ -> event_.2 <= last_step, all_moved) AS moved
SELECT
    counted_id,
    if(
        empty({without:Array(String)}),
        level_with_all,
        arrayReduce(
            concat('windowFunnel(', toString(window), ')'),
            arrayMap(event_ -> toUInt64(event_.1), moved),
            arrayMap(event_ -> event_.2 = 1 AND event_.3 < toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')}), moved),
            arrayMap(event_ -> event_.2 = 2, moved), arrayMap(event_ -> event_.2 = 3, moved),
            arrayMap(event_ -> event_.2 = 4, moved), arrayMap(event_ -> event_.2 = 5, moved),
            arrayMap(event_ -> event_.2 = 6, moved), arrayMap(event_ -> event_.2 = 7, moved),
            arrayMap(event_ -> event_.2 = 8, moved), arrayMap(event_ -> event_.2 = 9, moved),
            arrayMap(event_ -> event_.2 = 10, moved), arrayMap(event_ -> event_.2 = 11, moved),
            arrayMap(event_ -> event_.2 = 12, moved), arrayMap(event_ -> event_.2 = 13, moved),
            arrayMap(event_ -> event_.2 = 14, moved), arrayMap(event_ -> event_.2 = 15, moved),
            arrayMap(event_ -> event_.2 = 16, moved)
        )
    ) AS level,
    dimension
FROM
(
    SELECT
        counted_id,
        windowFunnel({window_s:UInt32} * 16000)
        (
            toUInt64(toUnixTimestamp64Milli(event_time) * 16 + (16 - step)),
            step = 1 AND event_time < {until:DateTime64(3, 'UTC')},
            step = 2, step = 3, step = 4, step = 5, step = 6, step = 7, step = 8, step = 9, step = 10, step = 11,
            step = 12, step = 13, step = 14, step = 15, step = 16
        ) AS level_with_all,
        groupArrayIf(
            (toUnixTimestamp64Milli(event_time), step::Int32),
            notEmpty({without:Array(String)})
        ) AS events,
        -- A tie of time and sequence goes to the smaller value, so that the answer is always the same.
        minIf((event_time, sequence, dimension), step = 1).3 AS dimension
    FROM {database}.step_events
    (
        source_id = {source_id:String},
        steps = arrayConcat({steps:Array(String)}, {without:Array(String)}),
        counted_by = {counted_by:String},
        breakdown = {breakdown:String},
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32})
    )
    WHERE NOT throwIf(
            length({steps:Array(String)}) > 16,
            'funnel has more than 16 steps, the most there can be; leave some out, or ask for two funnels'
        )
        AND NOT throwIf({window_s:UInt32} = 0, 'funnel: window_s is 0; a window has at least a second')
        -- So that moved times stay within 64 bits for a million excluded events of one visitor.
        AND NOT throwIf(
            notEmpty({without:Array(String)}) AND {window_s:UInt32} > 315360000,
            'funnel: window_s is more than ten years (315,360,000), the most there can be with `without`'
        )
    GROUP BY counted_id
)
