-- goals: how many reach each goal of the tracking plan, beside the period before.
--
-- Question    Which goals do more, or fewer, of those who come reach?
-- Parameters  source_id   String.
--             period      String: 'day', 'week' (from Monday) or 'month'.
--             since, until   DateTime64(3): from the period of `since` to the last that begins before `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM goals(source_id = 'shop', period = 'week', since = now('UTC') - INTERVAL 90 DAY, until = now('UTC'),
--                     time_zone = 'Europe/Berlin', counted_by = 'person')
-- Grain       One row per (period_start, goal), for each goal that was ever reached before `until`.
-- Reads       counted_conversions, period_visitors, periods
-- Definition  goal           The name of an event that the plan calls a conversion. kind: 'macro' or 'micro'.
--             conversions    Such events; an order that is sent twice counts once.
--             converted      Visitors or persons with one. visitors: those with any event.
--             rate           converted divided by visitors. low, high: its 95% interval by Wilson.
--             previous_rate  rate of the period before. difference: rate - previous_rate. difference_low and
--                            difference_high: its 95% interval by Newcombe; p: how likely one as large is by chance, by
--                            the two-sided z-test of two shares. Both as if nobody came in both periods.
--             is_whole       The period was over at `until`. One that is not had less time than the one before.
--             NULL is what is not known: a share of nobody.
-- Exact       Yes; a row that stands for more by its sample_rate counts as one.
-- Time        event_time, in time_zone; periods are counted as dates, so a day of 23 or 25 hours is one day.
-- Cost        As kpis.
-- Test        tests/sql/test_goals.py
CREATE OR REPLACE VIEW {database}.goals AS
WITH
    1.959963984540054 AS z,
    (hits, n, side) -> multiIf(
        n = 0, NULL,
        hits = 0 AND side < 0, 0,
        hits = n AND side > 0, 1,
        (hits + z * z / 2 + side * z * sqrt(hits * (n - hits) / n + z * z / 4)) / (n + z * z)
    ) AS wilson,
    (hits, n, other_hits, other_n) -> (hits / nullIf(n, 0) - other_hits / nullIf(other_n, 0)) / sqrt(
        nullIf(toFloat64(hits + other_hits) * (n + other_n - hits - other_hits), 0) / (n + other_n) / n / other_n
    ) AS z_of
SELECT
    period_start,
    goal,
    kind,
    conversions,
    converted,
    visitors,
    converted / nullIf(visitors, 0) AS rate,
    wilson(converted, visitors, -1) AS low,
    wilson(converted, visitors, 1) AS high,
    converted_before / nullIf(visitors_before, 0) AS previous_rate,
    rate - previous_rate AS difference,
    difference - sqrt(pow(rate - low, 2) + pow(wilson(converted_before, visitors_before, 1) - previous_rate, 2))
        AS difference_low,
    difference + sqrt(pow(high - rate, 2) + pow(previous_rate - wilson(converted_before, visitors_before, -1), 2))
        AS difference_high,
    erfc(abs(z_of(converted, visitors, converted_before, visitors_before)) / sqrt(2)) AS p,
    is_whole
FROM
(
    SELECT
        number,
        period_start,
        is_whole,
        goal,
        any(kind_) AS kind,
        sumIf(reached, reached_in = period_start) AS conversions,
        sumIf(reached_by, reached_in = period_start) AS converted,
        any(came) AS visitors,
        lagInFrame(converted) OVER (PARTITION BY goal ORDER BY number) AS converted_before,
        lagInFrame(visitors) OVER (PARTITION BY goal ORDER BY number) AS visitors_before
    FROM
    (
        SELECT number, period_start, is_whole, visitors AS came
        FROM {database}.periods
        (
            period = {period:String}, since = {since:DateTime64(3, 'UTC')}, until = {until:DateTime64(3, 'UTC')},
            time_zone = {time_zone:String}
        ) AS period_
        LEFT JOIN {database}.period_visitors
        (
            source_id = {source_id:String}, period = {period:String}, since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')}, time_zone = {time_zone:String}, counted_by = {counted_by:String}
        ) AS came_ USING (period_start)
    ) AS period_
    CROSS JOIN
    (
        WITH toDate(event_time, {time_zone:String}) AS day
        SELECT
            event AS goal,
            kind AS kind_,
            multiIf({period:String} = 'day', day, {period:String} = 'week', toMonday(day), toStartOfMonth(day))
                AS reached_in,
            count() AS reached,
            uniqExact(counted_id) AS reached_by
        FROM {database}.counted_conversions
        (source_id = {source_id:String}, until = {until:DateTime64(3, 'UTC')}, counted_by = {counted_by:String})
        GROUP BY goal, kind_, reached_in
    ) AS reached_
    GROUP BY number, period_start, is_whole, goal
)
WHERE number > 0
ORDER BY period_start, goal
