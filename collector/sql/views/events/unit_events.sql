-- unit_events: events, each with whom or what it counts for.
--
-- Question    Which visitor, person or session is each event counted by? events_with_steps stands on it.
-- Parameters  source_id   String.
--             counted_by  String: 'visitor', 'person' or 'session'. Whoever asks says so of any other.
-- Grain       One row per event of human_events.
-- Reads       human_events, units
-- Definition  counted_id is a visitor_id, person_id or session_id; all other columns are those of human_events.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        By visitor as human_events, and nothing is joined: a join with no rows costs ten million events 0.4 s of
--             CPU. Otherwise that join, and units. The half that is not asked for reads nothing.
-- Test        tests/sql/test_views.py
CREATE OR REPLACE VIEW {database}.unit_events AS
SELECT *, visitor_id AS counted_id
FROM {database}.human_events
WHERE source_id = {source_id:String} AND {counted_by:String} = 'visitor'
UNION ALL
SELECT event_.*, unit.id AS counted_id
FROM {database}.human_events AS event_
ASOF LEFT JOIN {database}.units(source_id = {source_id:String}, counted_by = {counted_by:String}) AS unit
    ON event_.visitor_id = unit.visitor_id AND event_.event_time >= unit.since
WHERE event_.source_id = {source_id:String} AND {counted_by:String} != 'visitor'
