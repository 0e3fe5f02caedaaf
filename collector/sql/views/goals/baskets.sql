-- baskets: which products were together in one basket.
--
-- Question    Who bought what, when, together with what? products_together and next_products stand on it.
-- Parameters  source_id   String.
--             event       String: the condition, written as step_events says, of the events that hold products.
--             items       String: the property that is the list of products, as 'items' or 'products'.
--             product     String: the name by which the list's objects are told apart, as 'sku' or 'product_id'; '' when
--                         it is a list of texts.
--             basket      String: the property that names the basket, as 'order_id': events that say the same are one
--                         basket, that of the first of them. '' when each event is its own, as is one that says nothing.
--             since, until   DateTime64(3): event_time from, and before.
--             counted_by  String: 'visitor', 'person' or 'session'.
-- Grain       One row per basket that holds a product.
-- Reads       step_events, human_events
-- Definition  counted_id  Whose it is. bought_at: its first event.
--             products    Each once, in the order of their names. A line of the list without a product is left out.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads the events of the condition, and of all events of the source the property that names the basket.
-- Test        tests/sql/test_products.py
CREATE OR REPLACE VIEW {database}.baskets AS
SELECT
    argMin(event_.counted_id, (event_time, sequence, message_id)) AS counted_id,
    min(event_time) AS bought_at,
    arraySort(groupUniqArrayArray(arrayFilter(name -> name != '', arrayMap(
        line -> if({product:String} = '', JSONExtractString(line), JSONExtract(line, {product:String}, 'String')),
        JSONExtractArrayRaw(dimension)
    )))) AS products
FROM {database}.step_events
(
    source_id = {source_id:String},
    steps = [{event:String}],
    counted_by = {counted_by:String},
    breakdown = {items:String},
    since = {since:DateTime64(3, 'UTC')},
    until = {until:DateTime64(3, 'UTC')}
) AS event_
LEFT JOIN
(
    SELECT message_id, ifNull(property[{basket:String}], '') AS name
    FROM {database}.human_events
    WHERE source_id = {source_id:String}
        AND {basket:String} != ''
        AND event_time >= {since:DateTime64(3, 'UTC')}
        AND event_time < {until:DateTime64(3, 'UTC')}
        AND (startsWith({event:String}, '*') OR event = splitByString(' & ', {event:String})[1])
        AND name != ''
) AS basket_ USING (message_id)
GROUP BY if(name = '', (event_.counted_id, message_id), ('', name))
HAVING notEmpty(products)
