-- units: whose a visitor's events are, where not visitors are counted.
--
-- Question    To which person or session does a visitor's event belong? step_events and others count by it.
-- Parameters  source_id   String.
--             counted_by  String: 'visitor', 'person' or 'session'. Whoever asks says so of any other.
-- Grain       One row per visitor and unit; none by visitor, who is a unit already.
-- Reads       units_by_person, units_by_session, units_by_visitor
-- Definition  since   The events from then on, up to the visitor's next row, are of the unit.
--             id      A person_id or session_id.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As the one view that it reads. That is chosen by its name, because ClickHouse plans whatever a question
--             names, even where a condition leaves nothing of it: two thirds of the time of a funnel over few events.
-- Test        tests/sql/test_views.py
CREATE OR REPLACE VIEW {database}.units AS
SELECT visitor_id, since, id
FROM merge(
    '{database}',
    concat('^units_by_', if({counted_by:String} IN ('person', 'session'), {counted_by:String}, 'visitor'), '$')
)
WHERE source_id = {source_id:String}
