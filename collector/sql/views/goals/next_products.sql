-- next_products: what those who bought a product bought next.
--
-- Question    What is the next best product for somebody who has bought this one?
-- Parameters  source_id, event, items, product, basket   As baskets.
--             since, until   DateTime64(3): the product was first bought from, and before; what followed may be later.
--             counted_by  String: 'visitor' or 'person'.
--             within_days UInt32: how long after that a later basket counts; at least 1.
--             min_buyers  UInt32: leave out products with fewer buyers.
--                 SELECT * FROM next_products(source_id = 'shop', event = 'purchase', items = 'items', product = 'sku',
--                     basket = 'order_id', since = now('UTC') - INTERVAL 365 DAY, until = now('UTC') - INTERVAL 60 DAY,
--                     counted_by = 'person', within_days = 60, min_buyers = 50)
-- Grain       One row per (product, next_product). next_product may be the product itself: bought again.
-- Reads       baskets
-- Definition  buyers       Visitors or persons who bought the product. followed: those of them who bought next_product in
--                          another basket, later than the first with the product and at most within_days after it.
--             confidence   followed divided by buyers; low, high: its 95% interval by Wilson.
--             base_rate    Of all buyers of anything, the share that bought next_product in the same way after their first
--                          basket. lift: confidence divided by base_rate; NULL when that is 0.
--             rank         1 is the next best by confidence, then by the name.
--             product, next_product  The product that was bought, and the one that was bought after it.
-- Exact       Yes.
-- Time        event_time, UTC; a day is 24 hours.
-- Cost        As baskets; of each buyer all baskets are compared with each other.
-- Test        tests/sql/test_products.py
CREATE OR REPLACE VIEW {database}.next_products AS
WITH
    1.959963984540054 AS z,
    followed * (buyers - followed) / buyers AS spread,
    z / (buyers + z * z) * sqrt(spread + z * z / 4) AS reach,
    (followed + z * z / 2) / (buyers + z * z) AS middle
SELECT
    product,
    next_product,
    row_number() OVER (PARTITION BY product ORDER BY followed DESC, next_product) AS rank,
    buyers,
    followed,
    followed / buyers AS confidence,
    middle - reach AS low,
    if(followed = buyers, 1, middle + reach) AS high,
    base_followed / everybody AS base_rate,
    confidence / nullIf(base_rate, 0) AS lift
FROM
(
    -- '' as a product is any first basket, '' as what followed is everybody, who bought more or not.
    SELECT
        start.1 AS product,
        next_product,
        count() AS followed,
        anyIf(followed, next_product = '') OVER (PARTITION BY product) AS buyers,
        anyIf(followed, product = '') OVER (PARTITION BY next_product) AS base_followed,
        anyIf(followed, product = '' AND next_product = '') OVER () AS everybody
    FROM
    (
        SELECT
            arrayFilter(basket_ -> basket_.1 < {until:DateTime64(3, 'UTC')}, history) AS starts,
            arrayMap(
                name -> (name, arrayFirst(basket_ -> has(basket_.2, name), starts).1),
                arrayDistinct(arrayFlatten(starts.2))
            ) AS firsts,
            arraySort(groupArray((bought_at, products))) AS history
        FROM {database}.baskets
        (
            source_id = {source_id:String}, event = {event:String}, items = {items:String}, product = {product:String},
            basket = {basket:String}, since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')} + toIntervalDay({within_days:UInt32}) + toIntervalMillisecond(1),
            counted_by = {counted_by:String}
        )
        WHERE NOT throwIf({within_days:UInt32} = 0, 'next_products: within_days must be at least 1')
            AND NOT throwIf(
                {counted_by:String} NOT IN ('visitor', 'person'),
                'next_products: counted_by is visitor or person'
            )
        GROUP BY counted_id
        HAVING notEmpty(starts)
    )
    ARRAY JOIN arrayPushBack(firsts, ('', starts[1].1)) AS start
    ARRAY JOIN arrayPushBack(
        arrayDistinct(arrayFlatten(arrayFilter(
            basket_ -> basket_.1 > start.2 AND basket_.1 <= start.2 + toIntervalDay({within_days:UInt32}),
            history
        ).2)),
        ''
    ) AS next_product
    GROUP BY product, next_product
)
WHERE product != '' AND next_product != '' AND buyers >= {min_buyers:UInt32}
ORDER BY product, rank
