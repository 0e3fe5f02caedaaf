-- units_by_person: one row per visitor, with the person.
--
-- Question    What does units read by person?
-- Grain       One row per (source_id, visitor_id).
-- Reads       visitors
-- Definition  since   1970-01-01: a visitor is one person from the beginning, as in visitors.
--             id      The person_id.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As visitors.
-- Test        tests/sql/test_views.py
CREATE OR REPLACE VIEW {database}.units_by_person AS
SELECT source_id, visitor_id, toDateTime64(0, 3, 'UTC') AS since, person_id AS id
FROM {database}.visitors
