-- retention: of those who began in a period, how many came back in the periods after it.
--
-- Question    Do people come back, and after which change do more of them?
-- Parameters  source_id   String.
--             start_event, return_event   String: a condition, written as step_events says; '*' for any event.
--             period      String: 'day', 'week' (from Monday) or 'month'.
--             kind        String: 'on' counts who came back in that very period, 'on_or_after' in it or in a later one.
--             since, until   DateTime64(3): cohorts that begin from `since`; everything is known before `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM retention(source_id = 'shop', start_event = 'sign_up', return_event = '*',
--                     period = 'week', kind = 'on', since = '2026-09-01', until = now(), time_zone = 'UTC', counted_by = 'person')
-- Grain       One row per (cohort, number), for every number whose period is over before `until`, also without returns.
-- Reads       step_events
-- Definition  cohort    The period, as its first day, of the first start event ever: whoever began before `since` is in
--                       no cohort, however often they began again.
--             number    Periods after that; 0 is the cohort's own, in which all of it counts as returned.
--             size      Those who began. returned: those of them who came back. share: returned divided by size.
-- Exact       Yes.
-- Time        event_time, in time_zone; periods are counted as dates, so a day of 23 or 25 hours is one day.
-- Cost        Reads all events of the source that meet either condition, from the beginning: a first is known only so.
-- Test        tests/sql/test_retention.py
CREATE OR REPLACE VIEW {database}.retention AS
WITH
    -- The first day of a date's period.
    day -> multiIf(
        {period:String} = 'day', day,
        {period:String} = 'week', toMonday(day),
        toStartOfMonth(day)
    ) AS start_of,
    (first_day, later_day) -> multiIf(
        {period:String} = 'day', later_day - first_day,
        {period:String} = 'week', intDiv(later_day - first_day, 7),
        toInt32(dateDiff('month', first_day, later_day))
    ) AS periods_between
SELECT
    cohort,
    number,
    size,
    if(number = 0, size, returns[indexOf(numbers, number)]) AS returned,
    returned / size AS share
FROM
(
    SELECT
        cohort,
        count() AS size,
        sumMap(came_back_after, arrayMap(number -> toUInt64(1), came_back_after)) AS returned_after,
        returned_after.1 AS numbers,
        returned_after.2 AS returns
    FROM
    (
        SELECT
            start_of(toDate(minIf(event_time, step = 1), {time_zone:String})) AS cohort,
            arraySort(arrayFilter(
                number -> number > 0,
                arrayMap(
                    day -> periods_between(cohort, day),
                    groupUniqArrayIf(start_of(toDate(event_time, {time_zone:String})), step = 2)
                )
            )) AS numbers,
            if({kind:String} = 'on', numbers, range(1, toInt32(ifNull(arrayMax(numbers), 0)) + 1)) AS came_back_after
        FROM {database}.step_events
        (
            source_id = {source_id:String},
            steps = [{start_event:String}, {return_event:String}],
            counted_by = {counted_by:String},
            breakdown = '',
            since = toDateTime64(0, 3, 'UTC'),
            until = {until:DateTime64(3, 'UTC')}
        )
        WHERE NOT throwIf({period:String} NOT IN ('day', 'week', 'month'), 'retention: period is day, week or month')
            AND NOT throwIf({kind:String} NOT IN ('on', 'on_or_after'), 'retention: kind is on or on_or_after')
        GROUP BY counted_id
        HAVING countIf(step = 1) > 0 AND minIf(event_time, step = 1) >= {since:DateTime64(3, 'UTC')}
    )
    GROUP BY cohort
)
ARRAY JOIN
    range(0, greatest(1, toInt32(
        periods_between(cohort, start_of(toDate({until:DateTime64(3, 'UTC')}, {time_zone:String})))
    ))) AS number
ORDER BY cohort, number
