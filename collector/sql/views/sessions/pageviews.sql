-- pageviews: one row per page view, with the pages before and after it.
--
-- Question    Which pages are read, for how long, and where do visits enter and leave?
-- Grain       One row per event `page_view` of human_events. Other events belong to the session but are no page views.
-- Reads       session_events
-- Definition  Within a session, in its order:
--               position         1 for the session's first page view.
--               is_entry, is_exit   First and last page view of the session; both for a session's only one.
--               previous_path, next_path   Of the page views around it; NULL before the entry and after the exit.
--               time_on_page_ms  Until the session's next page view. NULL on the exit page: nobody knows when it was
--                                left, and a 0 would pull averages down.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As session_events, and one sort of the page views.
-- Test        tests/sql/pageviews/
CREATE OR REPLACE VIEW {database}.pageviews AS
SELECT
    source_id,
    visitor_id,
    session_number,
    session_id,
    session_started_at,
    message_id,
    user_id,
    event_time,
    url,
    host,
    path,
    query,
    title,
    toUInt32(row_number() OVER in_order) AS position,
    lag(toNullable(path)) OVER in_order AS previous_path,
    lead(toNullable(path)) OVER in_order AS next_path,
    isNull(previous_path)::Bool AS is_entry,
    isNull(next_path)::Bool AS is_exit,
    dateDiff('millisecond', event_time, lead(toNullable(event_time)) OVER in_order) AS time_on_page_ms
FROM {database}.session_events
WHERE event = 'page_view'
WINDOW in_order AS
(
    PARTITION BY source_id, visitor_id, session_number
    ORDER BY moment
)
