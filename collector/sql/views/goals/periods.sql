-- periods: the days, weeks or months of a range of time, and the one before it.
--
-- Question    Which periods are there, also those in which nothing happened? goals and kpis stand on it.
-- Parameters  period      String: 'day', 'week' (from Monday) or 'month'.
--             since, until   DateTime64(3): from the period of `since` to the last that begins before `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
-- Grain       One row per period. No rows when `until` is not after `since`.
-- Reads       nothing
-- Definition  number        0 for the period before the one of `since`, and then 1, 2, …
--             period_start  Its first day. next_start: the first day of the next.
--             is_whole      It is over at `until`.
-- Exact       Yes.
-- Time        Days of time_zone; a day of 23 or 25 hours is one day.
-- Cost        None. At most 100,000 periods.
-- Test        tests/sql/test_goals.py
CREATE OR REPLACE VIEW {database}.periods AS
WITH
    (start, n) -> multiIf(
        {period:String} = 'day', start + n,
        {period:String} = 'week', start + 7 * n,
        addMonths(start, n)
    ) AS later,
    toDate({since:DateTime64(3, 'UTC')}, {time_zone:String}) AS since_day,
    toDate({until:DateTime64(3, 'UTC')} - toIntervalMillisecond(1), {time_zone:String}) AS last_day,
    multiIf(
        {period:String} = 'day', since_day,
        {period:String} = 'week', toMonday(since_day),
        toStartOfMonth(since_day)
    ) AS first_start
SELECT
    number,
    later(first_start, toInt32(number) - 1) AS period_start,
    later(period_start, 1) AS next_start,
    (toDateTime64(next_start, 3, {time_zone:String}) <= {until:DateTime64(3, 'UTC')})::Bool AS is_whole
FROM numbers(100000)
WHERE {since:DateTime64(3, 'UTC')} < {until:DateTime64(3, 'UTC')}
    AND number <= 1 + multiIf(
        {period:String} = 'day', last_day - since_day,
        {period:String} = 'week', intDiv(last_day - first_start, 7),
        toInt32(dateDiff('month', first_start, last_day))
    )
    AND NOT throwIf({period:String} NOT IN ('day', 'week', 'month'), 'period is day, week or month')
