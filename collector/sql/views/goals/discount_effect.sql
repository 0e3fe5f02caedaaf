-- discount_effect: do those whose first order was discounted order again as often as the others?
--
-- Question    Does a discount win customers who come back?
-- Parameters  source_id   String.
--             order_event String: the event that is an order; '' for every macro conversion.
--             discount    String: the property that says that an order was discounted, as 'coupon' or 'discount'.
--             within_days Array(UInt32): in how many days after the first order the next is looked for, as [30, 60, 90].
--             since, until   DateTime64(3): first orders from `since`; everything is known before `until`.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM discount_effect(source_id = 'shop', order_event = 'purchase', discount = 'coupon',
--                     within_days = [30, 60, 90], since = '2026-01-01', until = now('UTC'), counted_by = 'person')
-- Grain       One row per number of days, also when nobody ordered.
-- Reads       counted_conversions
-- Definition  A first order is the first ever of a visitor or person, discounted when the property is there and is not
--             empty, 0, false or null. Only those count whose days were over at `until`.
--               discounted, full_price     How many such first orders there are with and without a discount.
--               discounted_repeated, full_price_repeated   How many of them were followed by another order within the
--                                          days; an order that is sent twice is one.
--               discounted_rate, full_price_rate   Shares of them; low and high: their 95% intervals by Wilson.
--               difference                 discounted_rate - full_price_rate; difference_low, difference_high: its 95%
--                                          interval by Newcombe; z, p: the two-sided z-test of two shares.
--             NULL is what is not known: a share of nobody, a test where nobody or everybody ordered again.
--             Who gets discounts is seldom drawn by lot: the difference is between customers, not what a discount does.
--             days  Within how many days after the first order another one counts.
--             discounted_low, discounted_high  The 95% interval of discounted_rate, by Wilson.
--             full_price_low, full_price_high  The 95% interval of full_price_rate, by Wilson.
-- Exact       Yes.
-- Time        event_time, UTC; a day is 24 hours.
-- Cost        Reads the source's conversions from the beginning.
-- Test        tests/sql/test_products.py
CREATE OR REPLACE VIEW {database}.discount_effect AS
WITH
    1.959963984540054 AS quantile_,
    (hits, n, side) -> multiIf(
        n = 0, NULL,
        hits = 0 AND side < 0, 0,
        hits = n AND side > 0, 1,
        (hits + quantile_ * quantile_ / 2
            + side * quantile_ * sqrt(hits * (n - hits) / n + quantile_ * quantile_ / 4)) / (n + quantile_ * quantile_)
    ) AS wilson,
    (hits, n, other_hits, other_n) -> (hits / nullIf(n, 0) - other_hits / nullIf(other_n, 0)) / sqrt(
        nullIf(toFloat64(hits + other_hits) * (n + other_n - hits - other_hits), 0) / (n + other_n) / n / other_n
    ) AS z_of
SELECT
    days,
    discounted,
    discounted_repeated,
    discounted_repeated / nullIf(discounted, 0) AS discounted_rate,
    wilson(discounted_repeated, discounted, -1) AS discounted_low,
    wilson(discounted_repeated, discounted, 1) AS discounted_high,
    full_price,
    full_price_repeated,
    full_price_repeated / nullIf(full_price, 0) AS full_price_rate,
    wilson(full_price_repeated, full_price, -1) AS full_price_low,
    wilson(full_price_repeated, full_price, 1) AS full_price_high,
    discounted_rate - full_price_rate AS difference,
    difference - sqrt(pow(discounted_rate - discounted_low, 2) + pow(full_price_high - full_price_rate, 2))
        AS difference_low,
    difference + sqrt(pow(discounted_high - discounted_rate, 2) + pow(full_price_rate - full_price_low, 2))
        AS difference_high,
    z_of(discounted_repeated, discounted, full_price_repeated, full_price) AS z,
    erfc(abs(z) / sqrt(2)) AS p
FROM
(
    WITH first_at + toIntervalDay(days) AS ends_at
    SELECT
        arrayJoin(arraySort(arrayDistinct({within_days:Array(UInt32)}))) AS days,
        countIf(is_first AND is_discounted AND ends_at <= {until:DateTime64(3, 'UTC')}) AS discounted,
        countIf(is_first AND is_discounted AND ends_at <= {until:DateTime64(3, 'UTC')} AND next_at <= ends_at)
            AS discounted_repeated,
        countIf(is_first AND NOT is_discounted AND ends_at <= {until:DateTime64(3, 'UTC')}) AS full_price,
        countIf(is_first AND NOT is_discounted AND ends_at <= {until:DateTime64(3, 'UTC')} AND next_at <= ends_at)
            AS full_price_repeated
    FROM
    (
        SELECT
            true AS is_first,
            arraySort(groupArray((event_time, sequence, message_id, property[{discount:String}]))) AS orders,
            orders[1].1 AS first_at,
            if(length(orders) > 1, orders[2].1, NULL) AS next_at,
            ifNull(orders[1].4, '') AS said,
            said NOT IN ('', 'false', 'null', '[]', '{}') AND ifNull(toFloat64OrNull(said) != 0, true) AS is_discounted
        FROM {database}.counted_conversions
        (source_id = {source_id:String}, until = {until:DateTime64(3, 'UTC')}, counted_by = {counted_by:String})
        WHERE kind = 'macro' AND ({order_event:String} = '' OR event = {order_event:String})
        GROUP BY counted_id
        HAVING first_at >= {since:DateTime64(3, 'UTC')}
        -- So that there is an answer, of nobody, when there are no orders.
        UNION ALL
        SELECT false, [], toDateTime64(0, 3, 'UTC'), NULL, '', false
    )
    WHERE NOT throwIf(empty({within_days:Array(UInt32)}), 'discount_effect: within_days must hold at least one number')
    GROUP BY days
)
ORDER BY days
