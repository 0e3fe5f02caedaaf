-- active_users: of each day, who was active on it, in the week and in the 30 days up to it, and their ratios.
--
-- Question    How many people use it daily, weekly and monthly, and how much of a habit is it?
-- Parameters  source_id   String.
--             event       String: what counts as being active: a condition as step_events writes it; '*' for any event.
--             since, until   DateTime64(3): days from that of `since`, that are over before `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM active_users(source_id = 'shop', event = '*', since = '2026-09-01', until = now('UTC'),
--                     time_zone = 'UTC', counted_by = 'person')
-- Grain       One row per day, also for those without any event, if there are events up to the 29 days before `since`.
-- Reads       step_events
-- Definition  day_start   The day.
--             daily       Those active on it.
--             weekly      Those active on the day or one of the 6 before it.
--             monthly     Those active on the day or one of the 29 before it.
--             daily_per_weekly, daily_per_monthly, weekly_per_monthly   Stickiness: one divided by the other; NULL when
--                       nobody was active.
-- Exact       Yes: each is counted once, however often active.
-- Time        event_time, in time_zone.
-- Cost        Reads the events from 29 days before `since` on; linear in them and in days.
-- Test        tests/sql/test_lifecycle.py
CREATE OR REPLACE VIEW {database}.active_users AS
WITH
    toInt32(toDate({since:DateTime64(3, 'UTC')}, {time_zone:String})) AS first_day,
    toInt32(toDate({until:DateTime64(3, 'UTC')}, {time_zone:String})) AS end_day,
    -- The newest change up to the day; 0, and so nobody, before the first.
    arrayLastIndex(known -> known <= day, days) AS place
SELECT
    toDate(day) AS day_start,
    active_on[place].1 AS daily,
    active_on[place].2 AS weekly,
    active_on[place].3 AS monthly,
    daily / nullIf(weekly, 0) AS daily_per_weekly,
    daily / nullIf(monthly, 0) AS daily_per_monthly,
    weekly / nullIf(monthly, 0) AS weekly_per_monthly
FROM
(
    SELECT
        groupArray(day) AS days,
        arrayZip(
            arrayCumSum(groupArray(daily_change)),
            arrayCumSum(groupArray(weekly_change)),
            arrayCumSum(groupArray(monthly_change))
        ) AS active_on
    FROM
    (
        SELECT
            change.2 AS day,
            sumIf(change.3, change.1 = 1) AS daily_change,
            sumIf(change.3, change.1 = 7) AS weekly_change,
            sumIf(change.3, change.1 = 30) AS monthly_change
        FROM
        (
            SELECT
                arraySort(groupUniqArray(toInt32(toDate(event_time, {time_zone:String})))) AS days,
                arrayDifference(days) AS gaps,
                -- Of each length of time: on which days one more counts, and on which one less.
                arrayJoin(arrayFlatten(arrayMap(
                    length_of -> arrayConcat(
                        arrayMap(
                            entry -> (length_of, entry.1, toInt64(1)),
                            arrayFilter(
                                entry -> entry.3 = 1 OR entry.2 >= length_of,
                                arrayZip(days, gaps, arrayEnumerate(days))
                            )
                        ),
                        arrayMap(
                            entry -> (length_of, entry.1 + length_of, toInt64(-1)),
                            arrayFilter(
                                entry -> entry.2 = 0 OR entry.2 >= length_of,
                                arrayZip(days, arrayPushBack(arrayPopFront(gaps), 0))
                            )
                        )
                    ),
                    [1, 7, 30]::Array(Int32)
                ))) AS change
            FROM {database}.step_events
            (
                source_id = {source_id:String},
                steps = [{event:String}],
                counted_by = {counted_by:String},
                breakdown = '',
                -- In UTC, because a view's parameter is handed on as text without its zone.
                since = toTimeZone(
                    toDateTime64(toDate({since:DateTime64(3, 'UTC')}, {time_zone:String}) - 29, 3, {time_zone:String}),
                    'UTC'
                ),
                until = {until:DateTime64(3, 'UTC')}
            )
            WHERE NOT throwIf(
                {counted_by:String} NOT IN ('visitor', 'person'),
                'active_users: counted_by is visitor or person'
            )
            GROUP BY counted_id
        )
        GROUP BY day
        ORDER BY day
    )
    HAVING notEmpty(days)
)
ARRAY JOIN range(first_day, greatest(first_day, end_day)) AS day
ORDER BY day_start
