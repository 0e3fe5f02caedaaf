-- session_events: one row per event, with its place in its session.
--
-- Question    What happened during a visit, step by step, with every property?
-- Grain       One row per event of human_events.
-- Reads       human_events
-- Definition  Sessions are cut and ordered as in `sessions` (a test compares the two). To the columns of events come:
--               session_number, session_id   As in `sessions`.
--               session_started_at           event_time of the session's first event.
--               position                     1 for the first event of the session.
--               previous_event_time, next_event_time   Within the session, otherwise NULL.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Sorts the events it reads twice, with only the columns asked for: name them instead of `*`. Filter on
--             source_id and visitor_id: they reach the table. A filter on time does not, because a session is known
--             only from the events before.
-- Test        tests/sql/session_events/
CREATE OR REPLACE VIEW {database}.session_events AS
WITH
    -- Where a session starts: no event of the visitor before it, or one more than 30 minutes before.
    marked AS
    (
        SELECT
            *,
            row_number() OVER in_order AS visitor_position,
            lag(toNullable(event_time)) OVER in_order AS event_before,
            lead(toNullable(event_time)) OVER in_order AS event_after,
            ifNull(dateDiff('millisecond', event_before, event_time) > 1800000, 1) AS starts_session,
            ifNull(dateDiff('millisecond', event_time, event_after) > 1800000, 1) AS ends_session
        FROM {database}.human_events
        WINDOW in_order AS (PARTITION BY source_id, visitor_id ORDER BY moment)
    ),
    -- The newest start seen so far is the start of the event's own session.
    numbered AS
    (
        SELECT
            *,
            toUInt32(sum(starts_session) OVER so_far) AS session_number,
            max(if(starts_session, visitor_position, 0)) OVER so_far AS start_position,
            max(if(starts_session, event_time, toDateTime64(0, 3, 'UTC'))) OVER so_far AS session_started_at
        FROM marked
        WINDOW so_far AS
        (
            PARTITION BY source_id, visitor_id
            ORDER BY moment
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )
    )
SELECT
    * EXCEPT (visitor_position, event_before, event_after, starts_session, ends_session, start_position),
    lower(hex(cityHash64(source_id, visitor_id, session_started_at))) AS session_id,
    toUInt32(visitor_position - start_position + 1) AS position,
    if(starts_session, NULL, event_before) AS previous_event_time,
    if(ends_session, NULL, event_after) AS next_event_time
FROM numbered
