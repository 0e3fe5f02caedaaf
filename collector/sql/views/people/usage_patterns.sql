-- usage_patterns: when and how regularly each person comes.
--
-- Question    Who uses us daily, who weekly, at which hours, and how often do they sign in?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--             time_zone   String: whose days and hours, as 'Europe/Berlin' or 'UTC'.
--             logins      Array(String): names of the events that are a sign-in, as ['login', 'sign_up'].
--                 SELECT pattern, count() FROM usage_patterns(source_id = 'shop', since = '2026-10-01',
--                     until = '2026-11-01', time_zone = 'Europe/Berlin', logins = ['login']) GROUP BY pattern
-- Grain       One row per person with an event from since and before until.
-- Reads       person_events
-- Definition  active_days     Days with an event. signed_in_days: with an event that has a user_id.
--             logins, last_login_at   Events of these names; NULL when there was none.
--             median_gap_days   Between one active day and the next, the lower of two middle ones; NULL for one day.
--             pattern         `once`, one active day; else by the median gap: `daily` up to 2 days, `weekly` up to 8,
--                             `monthly` up to 35, `rare` beyond.
--             hours           24 numbers: events in the hour from 0:00, from 1:00, …
--             weekdays        7 numbers: events on Mondays, …, on Sundays.
--             top_hour, top_weekday   Where most events are, the earliest of several: 0 to 23, and 1 (Monday) to 7.
--             weekend_share   Events on Saturdays and Sundays, divided by all.
-- Exact       Yes.
-- Time        event_time, in time_zone.
-- Cost        One pass over the events of the period, as person_events. Holds of each person the days and 31 numbers.
-- Test        tests/sql/test_segments.py
CREATE OR REPLACE VIEW {database}.usage_patterns AS
SELECT
    person_id,
    length(days) AS active_days,
    signed_in_days,
    logins,
    last_login_at,
    if(empty(gaps), NULL, arraySort(gaps)[intDiv(length(gaps) + 1, 2)]) AS median_gap_days,
    multiIf(
        empty(gaps), 'once',
        median_gap_days <= 2, 'daily',
        median_gap_days <= 8, 'weekly',
        median_gap_days <= 35, 'monthly',
        'rare'
    ) AS pattern,
    hours,
    weekdays,
    indexOf(hours, arrayMax(hours)) - 1 AS top_hour,
    indexOf(weekdays, arrayMax(weekdays)) AS top_weekday,
    (weekdays[6] + weekdays[7]) / arraySum(weekdays) AS weekend_share
FROM
(
    SELECT
        person_id,
        arraySort(groupUniqArray(toDate(event_time, {time_zone:String}))) AS days,
        arrayPopFront(arrayDifference(arrayMap(day -> toInt32(day), days))) AS gaps,
        uniqExactIf(toDate(event_time, {time_zone:String}), user_id != '') AS signed_in_days,
        countIf(has({logins:Array(String)}, event)) AS logins,
        maxOrNullIf(event_time, has({logins:Array(String)}, event)) AS last_login_at,
        sumForEach(arrayMap(hour -> toUInt64(hour = toHour(event_time, {time_zone:String})), range(24))) AS hours,
        sumForEach(arrayMap(
            day -> toUInt64(day = toDayOfWeek(event_time, 0, {time_zone:String})),
            range(1, 8)
        )) AS weekdays
    FROM {database}.person_events
    WHERE source_id = {source_id:String}
        AND event_time >= {since:DateTime64(3, 'UTC')}
        AND event_time < {until:DateTime64(3, 'UTC')}
    GROUP BY person_id
)
