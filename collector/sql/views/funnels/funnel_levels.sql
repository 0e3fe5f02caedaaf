-- funnel_levels: how far each visitor came in a funnel.
--
-- Question    Who got how far, and who was lost at which step?
-- Parameters  As funnel.
-- Grain       One row per visitor, person or session with an event of a name that is in a step or in `without`.
-- Reads       events_with_steps
-- Definition  level      The number of steps reached, as funnel defines it; 0 when not even the first one was.
--             dimension  The event's value of the breakdown, of the first event that is step 1.
-- Exact       Yes, also when a step stands twice or two events are of one millisecond: events are given to windowFunnel
--             as (time, later steps first), so that one event is one step and a later step is later.
-- Time        event_time, UTC.
-- Cost        One pass over the events, and one number for each step that an event is, held until all are read.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.funnel_levels AS
WITH
    length({steps:Array(String)}) AS last_step,
    {window_s:UInt32} * 32000 AS window,
    arraySort(moments) AS in_order,
    -- An excluded event moves all that is not before it out of reach of what is: by more than a window.
    if(
        empty({without:Array(String)}),
        in_order,
        arrayFilter(
            moment -> moment % 32 != 0,
            arrayMap(
                (moment, run) -> moment + run * (window + 64),
                in_order,
                arrayCumSum(moment -> moment % 32 = 0, in_order)
            )
        )
    )::Array(UInt64) AS moved,
    arrayMap(moment -> moment % 32, moved) AS ranks,
    arrayMap(rank -> 0, ranks) AS none
SELECT
    counted_id,
    arrayReduce(
        concat('windowFunnel(', toString(window), ')'),
        moved,
        arrayMap(rank -> rank = 31, ranks),
        if(last_step < 2, none, arrayMap(rank -> rank = 30, ranks)),
        if(last_step < 3, none, arrayMap(rank -> rank = 29, ranks)),
        if(last_step < 4, none, arrayMap(rank -> rank = 28, ranks)),
        if(last_step < 5, none, arrayMap(rank -> rank = 27, ranks)),
        if(last_step < 6, none, arrayMap(rank -> rank = 26, ranks)),
        if(last_step < 7, none, arrayMap(rank -> rank = 25, ranks)),
        if(last_step < 8, none, arrayMap(rank -> rank = 24, ranks)),
        if(last_step < 9, none, arrayMap(rank -> rank = 23, ranks)),
        if(last_step < 10, none, arrayMap(rank -> rank = 22, ranks)),
        if(last_step < 11, none, arrayMap(rank -> rank = 21, ranks)),
        if(last_step < 12, none, arrayMap(rank -> rank = 20, ranks)),
        if(last_step < 13, none, arrayMap(rank -> rank = 19, ranks)),
        if(last_step < 14, none, arrayMap(rank -> rank = 18, ranks)),
        if(last_step < 15, none, arrayMap(rank -> rank = 17, ranks)),
        if(last_step < 16, none, arrayMap(rank -> rank = 16, ranks))
    ) AS level,
    dimension
FROM
(
    SELECT
        counted_id,
        -- The time and, in its last five bits, a rank: 31 for step 1, 30 for step 2, and so on; 1 for a step 1 that is
        -- too late to begin with; 0 for an excluded event, which so comes first among events of its millisecond.
        groupArrayArray(
            arrayMap(
                step -> toUInt64(toUnixTimestamp64Milli(event_time)) * 32
                    + multiIf(
                        step > last_step, 0,
                        step > 1, 32 - step,
                        event_time < {until:DateTime64(3, 'UTC')}, 31,
                        1
                    ),
                event_.steps
            )
        ) AS moments,
        -- A tie of time and sequence goes to the smaller value, so that the answer is always the same.
        if({breakdown:String} = '', '', minIf((event_time, sequence, dimension), has(event_.steps, 1)).3) AS dimension
    FROM {database}.events_with_steps
    (
        source_id = {source_id:String},
        steps = arrayConcat({steps:Array(String)}, {without:Array(String)}),
        counted_by = {counted_by:String},
        breakdown = {breakdown:String},
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32})
    ) AS event_
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
