-- before_after: did more of them reach the goal after a change than before it?
--
-- Question    Did the change work?
-- Parameters  source_id   String.
--             among       String: the condition, written as step_events says, of those who count; '*' for all who came.
--             goal        String: the condition that the goal meets.
--             changed_at  DateTime64(3): when it changed.
--             days        UInt32: how long before and after is looked at; at least 1. Whole weeks have the same weekdays.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM before_after(source_id = 'shop', among = 'page_view & path=/pricing', goal = 'sign_up',
--                     changed_at = '2026-10-12 09:00:00', days = 14, counted_by = 'person')
-- Grain       One row.
-- Reads       step_events
-- Definition  before, after       Visitors or persons who met `among` in the days before changed_at, and in those from
--                                 then on. before_converted, after_converted: those of them who met `goal` at or after
--                                 that in the same days. Whoever came on both sides counts on both; they are in_both.
--             before_rate, after_rate   Shares of converted. low and high: their 95% intervals by Wilson.
--             difference          after_rate - before_rate. lift: difference divided by before_rate.
--             difference_low, difference_high, z, p   Its 95% interval, and the z-test of two shares that partly are of
--                                 the same visitors: their covariance is taken off the variance. Without in_both it is
--                                 the usual test with separate variances. p is two-sided.
--             is_over             The days after the change are over by now; if not, they had less time.
--             NULL is what is not known: a share of nobody, a test where nobody or everybody converted.
--             The test tells chance from change, not this change from others at the same time: for that, run an
--             experiment (view experiments).
--             in_both  Those who came before and after.
--             before_low, before_high  The 95% interval of before_rate, by Wilson.
--             after_low, after_high  The 95% interval of after_rate, by Wilson.
-- Exact       Yes; p is the limit for many visitors.
-- Time        event_time, UTC.
-- Cost        One pass over the events that meet the conditions.
-- Test        tests/sql/test_goals.py
CREATE OR REPLACE VIEW {database}.before_after AS
WITH
    1.959963984540054 AS quantile_,
    (hits, n, side) -> multiIf(
        n = 0, NULL,
        hits = 0 AND side < 0, 0,
        hits = n AND side > 0, 1,
        (hits + quantile_ * quantile_ / 2
            + side * quantile_ * sqrt(hits * (n - hits) / n + quantile_ * quantile_ / 4)) / (n + quantile_ * quantile_)
    ) AS wilson
SELECT
    before,
    before_converted,
    before_converted / nullIf(before, 0) AS before_rate,
    wilson(before_converted, before, -1) AS before_low,
    wilson(before_converted, before, 1) AS before_high,
    after,
    after_converted,
    after_converted / nullIf(after, 0) AS after_rate,
    wilson(after_converted, after, -1) AS after_low,
    wilson(after_converted, after, 1) AS after_high,
    in_both,
    after_rate - before_rate AS difference,
    difference - quantile_ * error AS difference_low,
    difference + quantile_ * error AS difference_high,
    difference / nullIf(before_rate, 0) AS lift,
    difference / error AS z,
    erfc(abs(z) / sqrt(2)) AS p,
    ({changed_at:DateTime64(3, 'UTC')} + toIntervalDay({days:UInt32}) <= now64(3))::Bool AS is_over
FROM
(
    SELECT
        countIf(was_before) AS before,
        countIf(did_before) AS before_converted,
        countIf(was_after) AS after,
        countIf(did_after) AS after_converted,
        countIf(was_before AND was_after) AS in_both,
        -- Sum over those in both of the products less the product of their means: n times the covariance.
        countIf(did_before AND did_after)
            - countIf(did_before AND was_after) * countIf(did_after AND was_before) / nullIf(in_both, 0) AS shared,
        before_converted * (before - before_converted) / nullIf(pow(before, 3), 0) AS before_variance,
        after_converted * (after - after_converted) / nullIf(pow(after, 3), 0) AS after_variance,
        -- What rounding leaves of nothing is nothing.
        before_variance + after_variance - 2 * ifNull(shared, 0) / (before * after) AS variance,
        sqrt(if(variance > 1e-15, variance, NULL)) AS error
    FROM
    (
        SELECT
            countIf(step = 1 AND NOT is_after) > 0 AS was_before,
            countIf(step = 1 AND is_after) > 0 AS was_after,
            was_before AND countIf(step = 2 AND NOT is_after) > 0
                AND maxIf(event_time, step = 2 AND NOT is_after) >= minIf(event_time, step = 1 AND NOT is_after)
                AS did_before,
            was_after AND countIf(step = 2 AND is_after) > 0
                AND maxIf(event_time, step = 2 AND is_after) >= minIf(event_time, step = 1 AND is_after)
                AS did_after
        FROM
        (
            SELECT *, event_time >= {changed_at:DateTime64(3, 'UTC')} AS is_after
            FROM {database}.step_events
            (
                source_id = {source_id:String},
                steps = [{among:String}, {goal:String}],
                counted_by = {counted_by:String},
                breakdown = '',
                since = {changed_at:DateTime64(3, 'UTC')} - toIntervalDay({days:UInt32}),
                until = {changed_at:DateTime64(3, 'UTC')} + toIntervalDay({days:UInt32})
            )
        )
        GROUP BY counted_id
    )
)
WHERE NOT throwIf({days:UInt32} = 0, 'before_after: days must be at least 1')
    AND NOT throwIf({counted_by:String} NOT IN ('visitor', 'person'), 'before_after: counted_by is visitor or person')
