-- funnels: many funnels at once, in one look at the events.
--
-- Question    How do all our funnels stand today? A screen full of them, for a seventh of their cost one by one.
-- Parameters  source_id   String.
--             funnels     Array(Array(String)): of each funnel 1 to 16 conditions, written as step_events says.
--             window_s    UInt32: seconds, from the first step to the last; at least 1.
--             since, until   DateTime64(3): the first step is from `since` and before `until`; later ones may be later.
--             counted_by  String: 'visitor', 'person' or 'session'.
--                 SELECT * FROM funnels(source_id = 'shop',
--                     funnels = [['page_view', 'sign_up'], ['page_view & path=/pricing', 'add_to_cart', 'purchase']],
--                     window_s = 604800, since = '2026-11-01', until = '2026-12-01', counted_by = 'person')
-- Grain       One row per (funnel, step), for every step of a funnel that somebody began.
-- Reads       step_events
-- Definition  As funnel without `without` and breakdown.
--               funnel             Its number among `funnels`, from 1.
--               step, condition    The step's number, from 1, and its condition.
--               reached            How many. share_of_first: reached divided by those of step 1.
--               share_of_previous  reached divided by those of the step before; 1 for step 1.
--               lost               Those of the step before who did not come here; 0 for step 1.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads the events of all conditions once, and holds and follows each once for every funnel in which it is a
--             step: 20 funnels of two steps take a seventh of their CPU one by one, and 0.4 GB for a million events;
--             where that is too much, ask for fewer at a time, or for a shorter period.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.funnels AS
WITH
    {funnels:Array(Array(String))} AS steps_of,
    arrayDistinct(arrayFlatten(steps_of)) AS conditions,
    -- Every step as (funnel, step, condition), and of each condition those that it is.
    arrayFlatten(
        arrayMap(
            (wanted, funnel) -> arrayMap((condition, step) -> (funnel, step, condition), wanted, arrayEnumerate(wanted)),
            steps_of,
            arrayEnumerate(steps_of)
        )
    ) AS places,
    arrayMap(condition -> arrayFilter(place -> place.3 = condition, places), conditions) AS places_of
SELECT
    funnel,
    step,
    steps_of[funnel][step] AS condition,
    reached_by[step] AS reached,
    reached / reached_by[1] AS share_of_first,
    if(step = 1, 1, reached / nullIf(reached_by[step - 1], 0)) AS share_of_previous,
    if(step = 1, 0, reached_by[step - 1] - reached) AS lost
FROM
(
    SELECT
        funnel,
        arrayMap(
            step -> arrayCount(level -> level >= step, groupArray(level)),
            arrayEnumerate(steps_of[funnel])
        ) AS reached_by
    FROM
    (
        SELECT
            counted_id,
            place.1 AS funnel,
            -- As in funnel_levels: of events of one millisecond the later step comes first, so that they are no chain.
            windowFunnel({window_s:UInt32} * 16000)
            (
                toUInt64(toUnixTimestamp64Milli(event_time) * 16 + (16 - place.2)),
                place.2 = 1 AND event_time < {until:DateTime64(3, 'UTC')},
                place.2 = 2, place.2 = 3, place.2 = 4, place.2 = 5, place.2 = 6, place.2 = 7, place.2 = 8, place.2 = 9,
                place.2 = 10, place.2 = 11, place.2 = 12, place.2 = 13, place.2 = 14, place.2 = 15, place.2 = 16
            ) AS level
        FROM {database}.step_events
        (
            source_id = {source_id:String},
            steps = conditions,
            counted_by = {counted_by:String},
            breakdown = '',
            since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32})
        )
        ARRAY JOIN places_of[step] AS place
        WHERE NOT throwIf(
                arrayExists(wanted -> length(wanted) > 16, steps_of),
                'funnels: one has more than 16 steps, the most there can be; leave some out, or make two of it'
            )
            AND NOT throwIf({window_s:UInt32} = 0, 'funnels: window_s is 0; a window has at least a second')
        GROUP BY counted_id, funnel
    )
    WHERE level > 0
    GROUP BY funnel
)
ARRAY JOIN arrayEnumerate(reached_by) AS step
ORDER BY funnel, step
