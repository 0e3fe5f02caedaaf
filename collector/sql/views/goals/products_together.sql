-- products_together: which products are bought together more often than by chance.
--
-- Question    What belongs together: in a bundle, on a page, in a recommendation?
-- Parameters  source_id, event, items, product, basket, since, until, counted_by   As baskets.
--             min_support  Float64: the least share of baskets that hold both, 0 to 1.
--                 SELECT * FROM products_together(source_id = 'shop', event = 'purchase', items = 'items', product = 'sku',
--                     basket = 'order_id', since = now('UTC') - INTERVAL 90 DAY, until = now('UTC'), counted_by = 'person',
--                     min_support = 0.001)
-- Grain       One row per (product, other_product), in both directions.
-- Reads       baskets
-- Definition  baskets          All baskets. product_baskets, other_baskets: those that hold the product, and the other.
--             together         Those that hold both. support: their share of all.
--             confidence       together divided by product_baskets: of those who buy the product, who buys the other too.
--             lift             confidence divided by the other's share of all baskets: 1 is chance.
--             leverage         support less what it would be by chance.
--             conviction       (1 - the other's share) divided by (1 - confidence); NULL when confidence is 1.
--             product, other_product  The two products, the first by name before the other.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As baskets; the memory grows with the number of pairs that occur.
-- Test        tests/sql/test_products.py
CREATE OR REPLACE VIEW {database}.products_together AS
SELECT
    product,
    other_product,
    baskets,
    product_baskets,
    other_baskets,
    together,
    together / baskets AS support,
    together / product_baskets AS confidence,
    confidence / (other_baskets / baskets) AS lift,
    support - (product_baskets / baskets) * (other_baskets / baskets) AS leverage,
    (1 - other_baskets / baskets) / nullIf(1 - confidence, 0) AS conviction
FROM
(
    -- A product with itself is how often it is bought, and '' with '' is how many baskets there are.
    SELECT
        pair.1 AS product,
        pair.2 AS other_product,
        count() AS together,
        anyIf(together, product = '') OVER () AS baskets,
        anyIf(together, product = other_product) OVER (PARTITION BY product) AS product_baskets,
        anyIf(together, product = other_product) OVER (PARTITION BY other_product) AS other_baskets
    FROM
    (
        SELECT products
        FROM {database}.baskets
        (
            source_id = {source_id:String}, event = {event:String}, items = {items:String}, product = {product:String},
            basket = {basket:String}, since = {since:DateTime64(3, 'UTC')}, until = {until:DateTime64(3, 'UTC')},
            counted_by = {counted_by:String}
        )
    )
    ARRAY JOIN arrayPushBack(
        arrayFlatten(arrayMap(one -> arrayMap(other -> (one, other), products), products)),
        ('', '')
    ) AS pair
    GROUP BY product, other_product
)
WHERE NOT throwIf(
        NOT {min_support:Float64} BETWEEN 0 AND 1,
        'products_together: min_support is a share of baskets, from 0 to 1'
    )
    AND product != other_product
    AND support >= {min_support:Float64}
ORDER BY lift DESC, together DESC, product, other_product
