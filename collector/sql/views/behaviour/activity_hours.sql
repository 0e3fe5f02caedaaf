-- activity_hours: how much happens in each hour of the week.
--
-- Question    When are people there, when do they buy, and when may we close the site for an hour?
-- Parameters  source_id   String.
--             event       String: a condition, written as step_events says; '*' for any event.
--             since, until   DateTime64(3): event_time from, and before.
--             time_zone   String: whose hours, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor', 'person' or 'session'.
--                 SELECT * FROM activity_hours(source_id = 'shop', event = 'purchase', since = '2026-11-01',
--                     until = '2026-12-01', time_zone = 'Europe/Berlin', counted_by = 'visitor')
-- Grain       One row per (weekday, hour) that the period has, also without events: 168 when it has a week or more.
-- Reads       step_events
-- Definition  weekday          1 for Monday to 7 for Sunday. hour: 0 to 23.
--             hours            How many hours of the period are such: an hour that summer time skips is none, one that
--                              comes twice is two.
--             events           Events that meet the condition.
--             counted          Different visitors, persons or sessions with such an event.
--             events_per_hour  events divided by hours: what compares, as a period seldom has whole weeks.
-- Exact       Yes.
-- Time        event_time, in time_zone.
-- Cost        As step_events, and a fraction of a second for each century of the period.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.activity_hours AS
WITH
    -- The period in quarters of an hour: no time zone has hours that begin anywhere else.
    900000 AS quarter_ms,
    toInt64(toUnixTimestamp64Milli({since:DateTime64(3, 'UTC')})) AS since_ms,
    toInt64(toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')})) AS until_ms
SELECT
    weekday,
    hour,
    hours,
    happened.events AS events,
    happened.counted AS counted,
    events / hours AS events_per_hour
FROM
(
    SELECT
        toDayOfWeek(fromUnixTimestamp64Milli(quarter * quarter_ms, {time_zone:String})) AS weekday,
        toHour(fromUnixTimestamp64Milli(quarter * quarter_ms, {time_zone:String})) AS hour,
        sum(least(until_ms, (quarter + 1) * quarter_ms) - greatest(since_ms, quarter * quarter_ms)) / 3600000 AS hours
    FROM
    (
        SELECT toInt64(number) + intDiv(since_ms, quarter_ms) AS quarter
        FROM numbers(toUInt64(greatest(0, intDiv(until_ms - 1, quarter_ms) - intDiv(since_ms, quarter_ms) + 1)))
    )
    WHERE until_ms > since_ms
    GROUP BY weekday, hour
) AS week
LEFT JOIN
(
    SELECT
        toDayOfWeek(event_time, 0, {time_zone:String}) AS weekday,
        toHour(event_time, {time_zone:String}) AS hour,
        count() AS events,
        uniqExact(counted_id) AS counted
    FROM {database}.step_events
    (
        source_id = {source_id:String},
        steps = [{event:String}],
        counted_by = {counted_by:String},
        breakdown = '',
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')}
    )
    GROUP BY weekday, hour
) AS happened USING (weekday, hour)
ORDER BY weekday, hour
