-- rfm: customers by how recently, how often and for how much they buy.
--
-- Question    Who are the best customers, who is about to be lost, and who is new?
-- Parameters  source_id   String: a source, or '' for all.
--             as_of       DateTime64(3): only orders before it.
--             currency    String: whose values count for `monetary`; '' for the one of most of the source's orders.
--                 SELECT segment, count() FROM rfm(source_id = 'shop', as_of = now('UTC'), currency = '') GROUP BY segment
-- Grain       One row per (source_id, person_id) with an order before as_of.
-- Reads       person_events, human_events
-- Definition  orders are macro conversions, in any currency.
--               recency_days   From the last order to as_of.
--               frequency      Orders.
--               monetary       The sum of `value` over the orders in the currency.
--               r, f, m        1 to 5: one plus five times the share of the source's customers who are worse (an older
--                              last order, fewer orders, less value), rounded down. Whoever is equal has an equal
--                              score; when all are equal all have 1.
--               cell           r, f and m as three digits.
--               segment        By r and f:  f 1             f 2              f 3              f 4       f 5
--                               r 5         new             potential_loyal  potential_loyal  champion  champion
--                               r 4         promising       potential_loyal  potential_loyal  loyal     loyal
--                               r 3         about_to_sleep  about_to_sleep   needs_attention  loyal     loyal
--                               r 2, r 1    hibernating     hibernating      at_risk          at_risk   cannot_lose
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads orders, twice where currency is '', and sorts customers three times.
-- Test        tests/sql/test_segments.py
CREATE OR REPLACE VIEW {database}.rfm AS
SELECT
    source_id,
    person_id,
    recency_days,
    frequency,
    monetary,
    currency,
    1 + intDiv(5 * (rank() OVER (PARTITION BY source_id ORDER BY last_order_at) - 1), customers) AS r,
    1 + intDiv(5 * (rank() OVER (PARTITION BY source_id ORDER BY frequency) - 1), customers) AS f,
    1 + intDiv(5 * (rank() OVER (PARTITION BY source_id ORDER BY monetary) - 1), customers) AS m,
    concat(toString(r), toString(f), toString(m)) AS cell,
    multiIf(
        r = 5, ['new', 'potential_loyal', 'potential_loyal', 'champion', 'champion'],
        r = 4, ['promising', 'potential_loyal', 'potential_loyal', 'loyal', 'loyal'],
        r = 3, ['about_to_sleep', 'about_to_sleep', 'needs_attention', 'loyal', 'loyal'],
        ['hibernating', 'hibernating', 'at_risk', 'at_risk', 'cannot_lose']
    )[f] AS segment
FROM
(
    SELECT
        bought.source_id AS source_id,
        person_id,
        max(event_time) AS last_order_at,
        dateDiff('millisecond', last_order_at, {as_of:DateTime64(3, 'UTC')}) / 86400000 AS recency_days,
        count() AS frequency,
        any(if({currency:String} = '', usual.currency, {currency:String})) AS currency,
        sumIf(value, bought.currency = if({currency:String} = '', usual.currency, {currency:String})) AS monetary,
        count() OVER (PARTITION BY source_id) AS customers
    FROM
    (
        SELECT source_id, person_id, event_time, value, currency::String AS currency
        FROM {database}.person_events
        WHERE conversion = 'macro'
            AND event_time < {as_of:DateTime64(3, 'UTC')}
            AND ({source_id:String} = '' OR source_id = {source_id:String})
    ) AS bought
    LEFT JOIN
    (
        -- Of currencies with equally many orders the first by name.
        SELECT source_id, argMin(currency, (-toInt64(orders), currency)) AS currency
        FROM
        (
            SELECT source_id, currency::String AS currency, count() AS orders
            FROM {database}.human_events
            WHERE conversion = 'macro'
                AND event_time < {as_of:DateTime64(3, 'UTC')}
                AND ({source_id:String} = '' OR source_id = {source_id:String})
                AND {currency:String} = ''
            GROUP BY source_id, currency
        )
        GROUP BY source_id
    ) AS usual ON bought.source_id = usual.source_id
    GROUP BY source_id, person_id
)
