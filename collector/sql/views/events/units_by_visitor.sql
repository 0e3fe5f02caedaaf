-- units_by_visitor: nothing, because a visitor's events are the visitor's.
--
-- Question    What does units read by visitor?
-- Grain       No row.
-- Reads       nothing
-- Definition  since, id   As in units_by_person.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        None.
-- Test        tests/sql/test_views.py
CREATE OR REPLACE VIEW {database}.units_by_visitor AS
SELECT '' AS source_id, '' AS visitor_id, toDateTime64(0, 3, 'UTC') AS since, '' AS id
WHERE false
