-- counted_conversions: the conversions of a source, with whose they are and how many came before.
--
-- Question    Who converted, when, and for which time? goals, kpis and discount_effect stand on it.
-- Parameters  source_id   String.
--             until       DateTime64(3): event_time before.
--             counted_by  String: 'visitor' or 'person' (as in visitors).
-- Grain       One row per conversion that is no repeat.
-- Reads       conversions, units
-- Definition  counted_id  The visitor_id or person_id.
--             number      1 for the first conversion of its kind by that visitor or person, 2 for the second, and so on.
--             The other columns are those of conversions.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As conversions; by person it reads visitors too.
-- Test        tests/sql/test_goals.py
CREATE OR REPLACE VIEW {database}.counted_conversions AS
SELECT
    if({counted_by:String} = 'person', unit.id, conversion_.visitor_id) AS counted_id,
    conversion_.message_id AS message_id,
    event,
    kind,
    row_number() OVER (PARTITION BY counted_id, kind ORDER BY event_time, sequence, message_id) AS number,
    event_time,
    sequence,
    is_valued,
    value,
    currency,
    order_id,
    property
FROM {database}.conversions AS conversion_
LEFT JOIN {database}.units(source_id = {source_id:String}, counted_by = {counted_by:String}) AS unit
    ON conversion_.visitor_id = unit.visitor_id
WHERE source_id = {source_id:String} AND event_time < {until:DateTime64(3, 'UTC')}
    AND NOT is_repeat
    AND NOT throwIf({counted_by:String} NOT IN ('visitor', 'person'), 'counted_by is visitor or person')
