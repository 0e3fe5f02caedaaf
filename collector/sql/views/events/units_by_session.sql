-- units_by_session: one row per visit, with no more than its start and its id.
--
-- Question    What does units read by session?
-- Grain       One row per session of sessions.
-- Reads       human_events
-- Definition  Sessions are cut and called as in sessions (a test compares the two).
--               since   event_time of the session's first event.
--               id      The session_id.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads when events were, and nothing else of them: half the CPU of sessions. Filter on source_id.
-- Test        tests/sql/test_views.py
CREATE OR REPLACE VIEW {database}.units_by_session AS
SELECT source_id, visitor_id, since, lower(hex(cityHash64(source_id, visitor_id, since))) AS id
FROM
(
    SELECT source_id, visitor_id, arraySort(groupArray(event_time)) AS times
    FROM {database}.human_events
    GROUP BY source_id, visitor_id
)
ARRAY JOIN arrayFilter(
    (time, gap_ms, i) -> i = 1 OR gap_ms > 1800000,
    times,
    arrayDifference(arrayMap(time -> toUnixTimestamp64Milli(time), times)),
    arrayEnumerate(times)
) AS since
