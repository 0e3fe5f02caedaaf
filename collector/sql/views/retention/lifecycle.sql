-- lifecycle: in each period, how many are new, returning or back again, and how many stay away.
--
-- Question    Do we grow because people come, or because they stay? How many do we lose, and how many win back?
-- Parameters  source_id   String.
--             event       String: what counts as being active: a condition as step_events writes it; '*' for any event.
--             period      String: 'day', 'week' (from Monday) or 'month'.
--             since, until   DateTime64(3): periods that begin from `since` and are over before `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM lifecycle(source_id = 'shop', event = '*', period = 'week', since = '2026-09-01',
--                     until = now('UTC'), time_zone = 'UTC', counted_by = 'person')
-- Grain       One row per period, from the first with an event on, also for those without any.
-- Reads       step_events
-- Definition  period_start   The period's first day.
--             active         Those with such an event in it: new + returning + resurrecting.
--             new            Of them, those who never had one before.
--             returning      Those who had one in the period before, too.
--             resurrecting   Those who had one earlier, and none in the period before.
--             dormant        Those who had one in the period before and none in this one. So
--                            returning + dormant = active of the period before.
--             quick_ratio    (new + resurrecting) / dormant: above 1 there are ever more. NULL if nobody is dormant.
-- Exact       Yes.
-- Time        event_time, in time_zone; periods are counted as dates, so a day of 23 or 25 hours is one day.
-- Cost        Reads all events of the source that meet the condition, from the beginning: who is new is known only so.
-- Test        tests/sql/test_lifecycle.py
CREATE OR REPLACE VIEW {database}.lifecycle AS
WITH
    -- The number of a date's period; and the first day of the period with a number.
    day -> multiIf(
        {period:String} = 'day', toInt32(day),
        {period:String} = 'week', intDiv(toInt32(day) + 3, 7),
        toInt32(toYear(day) * 12 + toMonth(day) - 1)
    ) AS number_of,
    number -> multiIf(
        {period:String} = 'day', toDate(number),
        {period:String} = 'week', toDate(number * 7 - 3),
        makeDate(intDiv(number, 12), number % 12 + 1, 1)
    ) AS first_day_of,
    toDate({since:DateTime64(3, 'UTC')}, {time_zone:String}) AS since_day,
    -- The first period that begins at `since` or later.
    number_of(since_day) + toInt32(
        toDateTime64(first_day_of(number_of(since_day)), 3, {time_zone:String}) < {since:DateTime64(3, 'UTC')}
    ) AS first_asked
SELECT
    first_day_of(number) AS period_start,
    `new` + returning + resurrecting AS active,
    states[indexOf(numbers, number)].1 AS `new`,
    states[indexOf(numbers, number)].2 AS returning,
    states[indexOf(numbers, number)].3 AS resurrecting,
    states[indexOf(numbers, number)].4 AS dormant,
    (`new` + resurrecting) / nullIf(dormant, 0) AS quick_ratio
FROM
(
    SELECT
        groupArray(number) AS numbers,
        groupArray((new_ones, returning_ones, resurrecting_ones, dormant_ones)) AS states
    FROM
    (
        SELECT
            state.1 AS number,
            countIf(state.2 = 'new') AS new_ones,
            countIf(state.2 = 'returning') AS returning_ones,
            countIf(state.2 = 'resurrecting') AS resurrecting_ones,
            countIf(state.2 = 'dormant') AS dormant_ones
        FROM
        (
            SELECT
                arraySort(groupUniqArray(number_of(toDate(event_time, {time_zone:String})))) AS active_in,
                arrayJoin(arrayConcat(
                    arrayMap(
                        (number, gap, place) -> (
                            number,
                            multiIf(place = 1, 'new', gap = 1, 'returning', 'resurrecting')
                        ),
                        active_in,
                        arrayDifference(active_in),
                        arrayEnumerate(active_in)
                    ),
                    arrayMap(
                        number -> (number + 1, 'dormant'),
                        arrayFilter(
                            (number, gap_after) -> gap_after != 1,
                            active_in,
                            arrayPushBack(arrayPopFront(arrayDifference(active_in)), 0)
                        )
                    )
                )) AS state
            FROM {database}.step_events
            (
                source_id = {source_id:String},
                steps = [{event:String}],
                counted_by = {counted_by:String},
                breakdown = '',
                -- Not the epoch: ClickHouse sends it to shards as '0', which it cannot read there.
                since = toDateTime64('2001-09-10 00:00:00', 3, 'UTC'),
                until = {until:DateTime64(3, 'UTC')}
            )
            WHERE NOT throwIf(
                    {period:String} NOT IN ('day', 'week', 'month'),
                    'lifecycle: period is day, week or month'
                )
                AND NOT throwIf(
                    {counted_by:String} NOT IN ('visitor', 'person'),
                    'lifecycle: counted_by is visitor or person'
                )
            GROUP BY counted_id
        )
        GROUP BY number
    )
    HAVING notEmpty(numbers)
)
ARRAY JOIN
    range(
        greatest(first_asked, arrayMin(numbers)),
        greatest(
            number_of(toDate({until:DateTime64(3, 'UTC')}, {time_zone:String})),
            greatest(first_asked, arrayMin(numbers))
        )
    ) AS number
ORDER BY period_start
