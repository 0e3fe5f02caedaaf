-- stickiness: on how many days of a week or month people are active.
--
-- Question    How many come once, how many on most days, and does that change?
-- Parameters  source_id   String.
--             event       String: what counts as being active: a condition as step_events writes it; '*' for any event.
--             period      String: 'week' (from Monday) or 'month'.
--             since, until   DateTime64(3): periods that begin from `since` and are over before `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM stickiness(source_id = 'shop', event = '*', period = 'month', since = '2026-09-01',
--                     until = now('UTC'), time_zone = 'UTC', counted_by = 'person')
-- Grain       One row per (period, active_days), for 1 to the days that the period has; of periods with an event.
-- Reads       step_events
-- Definition  period_start    The period's first day.
--             active_days     Days of it on which they were active.
--             active          Those active on exactly so many. share: of all who were active in the period.
--             active_or_more  Those active on so many or more. share_or_more: of all who were active in the period.
-- Exact       Yes.
-- Time        event_time, in time_zone.
-- Cost        Reads the events from `since` to `until` that meet the condition.
-- Test        tests/sql/test_lifecycle.py
CREATE OR REPLACE VIEW {database}.stickiness AS
SELECT
    period_start,
    active_days,
    countEqual(days_of, active_days) AS active,
    active / length(days_of) AS share,
    arrayCount(days -> days >= active_days, days_of) AS active_or_more,
    active_or_more / length(days_of) AS share_or_more
FROM
(
    SELECT
        period_start,
        groupArray(days) AS days_of
    FROM
    (
        SELECT
            if({period:String} = 'week', toMonday(day), toStartOfMonth(day)) AS period_start,
            count() AS days
        FROM
        (
            SELECT DISTINCT
                counted_id,
                toDate(event_time, {time_zone:String}) AS day
            FROM {database}.step_events
            (
                source_id = {source_id:String},
                steps = [{event:String}],
                counted_by = {counted_by:String},
                breakdown = '',
                since = {since:DateTime64(3, 'UTC')},
                until = {until:DateTime64(3, 'UTC')}
            )
            WHERE NOT throwIf({period:String} NOT IN ('week', 'month'), 'stickiness: period is week or month')
                AND NOT throwIf(
                    {counted_by:String} NOT IN ('visitor', 'person'),
                    'stickiness: counted_by is visitor or person'
                )
        )
        GROUP BY counted_id, period_start
    )
    WHERE toDateTime64(period_start, 3, {time_zone:String}) >= {since:DateTime64(3, 'UTC')}
        AND toDateTime64(
            if({period:String} = 'week', addWeeks(period_start, 1), addMonths(period_start, 1)),
            3,
            {time_zone:String}
        ) <= {until:DateTime64(3, 'UTC')}
    GROUP BY period_start
)
ARRAY JOIN range(1, 1 + if({period:String} = 'week', 7, toDayOfMonth(toLastDayOfMonth(period_start)))) AS active_days
ORDER BY period_start, active_days
