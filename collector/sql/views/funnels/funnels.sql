-- funnels: many funnels at once, in one look at the events.
--
-- Question    How do all our funnels stand today? A screen full of them, for a fraction of their cost one by one.
-- Parameters  source_id   String.
--             funnels     Array(Array(String)): of each funnel 1 to 16 conditions, written as step_events says.
--             window_s    UInt32: seconds, from the first step to the last; at least 1.
--             since, until   DateTime64(3): the first step is from `since` and before `until`; later ones may be later.
--             counted_by  String: 'visitor', 'person' or 'session'.
--                 SELECT * FROM funnels(source_id = 'shop',
--                     funnels = [['page_view', 'sign_up'], ['page_view & path=/pricing', 'add_to_cart', 'purchase']],
--                     window_s = 604800, since = '2026-11-01', until = '2026-12-01', counted_by = 'person')
-- Grain       One row per (funnel, step), for every step of a funnel that somebody began.
-- Reads       events_with_steps
-- Definition  As funnel without `without` and breakdown.
--               funnel             Its number among `funnels`, from 1.
--               step, condition    The step's number, from 1, and its condition.
--               reached            How many. share_of_first: reached divided by those of step 1.
--               share_of_previous  reached divided by those of the step before; 1 for step 1.
--               lost               Those of the step before who did not come here; 0 for step 1.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads the events of all conditions once, and holds of each when it was, once for every condition that it
--             meets. For each funnel the moments of its first two steps are sorted, of those who can have come to the
--             second; and for every step from there on those of who did. 20 funnels of two steps over ten million
--             events take 5 s of CPU and 0.7 GB.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.funnels AS
WITH
    {funnels:Array(Array(String))} AS steps_of,
    arrayDistinct(arrayFlatten(steps_of)) AS conditions,
    arrayMap(wanted -> arrayMap(condition -> indexOf(conditions, condition), wanted), steps_of) AS places_of,
    toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')}) AS until_ms
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
            step -> arraySum(
                (level, units) -> if(step = 1, level = 1, level >= step) * units,
                groupArray(level),
                groupArray(units)
            ),
            arrayEnumerate(steps_of[funnel])
        ) AS reached_by
    FROM
    (
        -- Who began comes with level 1, and once more with the level reached if that is higher. Not by WHERE, because
        -- what stands behind OR is computed for some rows only, and then more than once.
        SELECT arrayJoin(if(going = 0, begun, if(level > 1, [going], []))) AS funnel, level, count() AS units
        FROM
        (
            -- First the way from step 1 to step 2, beyond which most do not come. Moments of step 1 are odd numbers
            -- here, those of step 2 even ones: sorted, each of step 2 that comes first after one of step 1 is right
            -- behind the last of these, which is the shortest way. In one millisecond step 2 comes first: that is no
            -- way. Then the steps from there on. A chain is one number: above 64 bits twice the moment of its last
            -- event and 1, below that of its first. Sorted, with the moments of the next step as numbers without a
            -- first, the chain that began last is right before what can go on with it; a moment comes before the
            -- chains that end with it, so that events of one millisecond are no chain. Chains that began later also
            -- end later, as in funnel_chains.
            SELECT
                going,
                begun,
                arrayFilter(ms -> ms < until_ms, moments_of[places_of[going][1]]) AS beginnings,
                arraySort(arrayConcat(
                    arrayMap(ms -> ms * 2 + 1, beginnings),
                    arrayMap(ms -> ms * 2, moments_of[places_of[going][2]])
                )) AS two_steps,
                arrayExists(
                    (moment, gap) -> bitAnd(moment, 1) = 0 AND bitAnd(gap, 1) = 1 AND gap < {window_s:UInt32} * 2000,
                    two_steps,
                    arrayDifference(two_steps)
                ) AS came_second,
                arrayMap(
                    place -> moments_of[place],
                    if(came_second AND length(places_of[going]) > 2, arrayPopFront(places_of[going]), [])
                ) AS moments_of_more,
                arrayFold(
                    (reached, moments) -> (
                        arraySort(
                            arrayConcat(reached.1, arrayMap(ms -> bitShiftLeft(toUInt128(ms * 2), 64), moments))
                        ) AS in_order,
                        arrayFill(chain -> toUInt64(chain) != 0, in_order) AS before,
                        arrayFilter(
                            chain -> chain != 0,
                            arrayMap(
                                (moment, chain) -> (
                                    toUInt64(moment) = 0
                                    AND toUInt64(chain) != 0
                                    AND toUInt64(bitShiftRight(moment, 65)) - toUInt64(chain)
                                        <= {window_s:UInt32} * 1000
                                ) * (moment + bitShiftLeft(toUInt128(1), 64) + toUInt128(toUInt64(chain))),
                                in_order,
                                before
                            )
                        ) AS chains,
                        (chains, toUInt16(reached.2 + notEmpty(chains)))
                    ).4,
                    moments_of_more,
                    (
                        arrayMap(
                            ms -> bitShiftLeft(toUInt128(ms * 2 + 1), 64) + toUInt128(ms),
                            if(empty(moments_of_more), [], beginnings)
                        ),
                        toUInt16(1)
                    )
                ).2 AS level_of_more,
                if(empty(moments_of_more), toUInt16(1 + came_second), level_of_more) AS level
            FROM
            (
                SELECT
                    groupArrayResampleArray(1, length(conditions) + 2, 1)
                    (
                        arrayMap(step -> toUnixTimestamp64Milli(event_time), event_.steps),
                        event_.steps
                    ) AS moments_of,
                    arrayMap(moments -> arrayMin(moments), moments_of) AS firsts,
                    arrayMap(moments -> arrayMax(moments), moments_of) AS lasts,
                    arrayFilter(
                        (funnel, places) -> notEmpty(moments_of[places[1]]) AND firsts[places[1]] < until_ms,
                        arrayEnumerate(places_of),
                        places_of
                    ) AS begun,
                    -- Who can have come to a second step at all: most cannot, and cost no more than this.
                    arrayFilter(
                        funnel -> notEmpty(moments_of[places_of[funnel][2]])
                            AND lasts[places_of[funnel][2]] > firsts[places_of[funnel][1]],
                        begun
                    ) AS going_on
                FROM {database}.events_with_steps
                (
                    source_id = {source_id:String},
                    steps = conditions,
                    counted_by = {counted_by:String},
                    breakdown = '',
                    since = {since:DateTime64(3, 'UTC')},
                    until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32})
                ) AS event_
                WHERE NOT throwIf(
                        arrayExists(wanted -> length(wanted) > 16, steps_of),
                        'funnels: one has more than 16 steps, the most there can be; leave some out, or make two of it'
                    )
                    AND NOT throwIf({window_s:UInt32} = 0, 'funnels: window_s is 0; a window has at least a second')
                GROUP BY counted_id
            )
            -- 0 is for all that a unit began, and the others are for what came of it.
            ARRAY JOIN arrayPushFront(going_on, 0) AS going
        )
        GROUP BY funnel, level
    )
    GROUP BY funnel
)
ARRAY JOIN arrayEnumerate(reached_by) AS step
ORDER BY funnel, step
