-- paths: one row per visit, with the pages it went through.
--
-- Question    Which ways do visits take, and which of them convert?
-- Grain       One row per session: (source_id, visitor_id, session_number).
-- Reads       sessions
-- Definition  steps are the paths of the session's page views in order; a page viewed several times in a row is one
--             step. A session without page views has none. converted: at least one macro conversion.
--             The most frequent ways: SELECT steps, count() FROM paths WHERE source_id = … GROUP BY steps.
-- Exact       Yes.
-- Time        started_at is the event_time of the session's first event, UTC.
-- Cost        As sessions.
-- Test        tests/sql/paths/
CREATE OR REPLACE VIEW {database}.paths AS
SELECT
    source_id,
    visitor_id,
    session_number,
    session_id,
    started_at,
    arrayCompact(page_paths) AS steps,
    (conversions > 0)::Bool AS converted,
    revenue
FROM {database}.sessions
