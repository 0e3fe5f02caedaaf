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
-- Cost        One pass over the events that are steps.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.funnel_levels AS
SELECT
    counted_id,
    max(run_level) AS level,
    min(run_start).2.3 AS dimension
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
        ) AS run_level,
        -- A tie of time and sequence goes to the smaller value, so that the answer is always the same.
        (countIf(step = 1) = 0, minIf((event_time, sequence, dimension), step = 1)) AS run_start
    FROM
    (
        SELECT
            * EXCEPT (excluded),
            -- An excluded event ends one run of the visitor through the funnel and begins the next.
            arrayCount(at -> at <= event_time, excluded) AS run
        FROM {database}.step_events
        (
            source_id = {source_id:String},
            steps = {steps:Array(String)},
            counted_by = {counted_by:String},
            breakdown = {breakdown:String},
            since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32})
        ) AS event_
        LEFT JOIN
        (
            SELECT counted_id, groupArray(event_time) AS excluded
            FROM {database}.step_events
            (
                source_id = {source_id:String},
                steps = {without:Array(String)},
                counted_by = {counted_by:String},
                breakdown = '',
                since = {since:DateTime64(3, 'UTC')},
                until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32})
            )
            WHERE notEmpty({without:Array(String)})
            GROUP BY counted_id
        ) AS without USING (counted_id)
    )
    WHERE NOT throwIf(
        length({steps:Array(String)}) > 16,
        'funnel has more than 16 steps, the most there can be; leave some out, or ask for two funnels')
    GROUP BY counted_id, run
)
GROUP BY counted_id
