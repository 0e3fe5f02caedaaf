-- person_sessions: one row per visit, with who it was.
--
-- Question    How do a person's visits follow each other, over all devices?
-- Grain       One row per session of sessions.
-- Reads       sessions, user_aliases, visitor_users
-- Definition  person_id   Of the user_id of the session (its last one), as in person_events; of a session without a
--                         user_id, whose device it was when the session ended.
--             person_session_number   1 for the person's first visit, by (started_at, visitor_id). Visits on two
--                         devices at once are two visits.
--             A session in which two people signed in is of the last one; its events are divided in person_events.
-- Exact       Yes, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        As sessions, the join of person_events, and one sort when person_session_number is asked for.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.person_sessions AS
SELECT
    *,
    toUInt32(row_number() OVER
    (
        PARTITION BY source_id, person_id
        ORDER BY started_at, visitor_id
    )) AS person_session_number
FROM
(
    SELECT
        session.*,
        multiIf(
            person_user_id != '', concat('user:', person_user_id),
            session.user_id != '', concat('user:', session.user_id),
            device_user_id != '', concat('user:', device_user_id),
            concat('visitor:', session.visitor_id)
        ) AS person_id
    FROM {database}.sessions AS session
    ASOF LEFT JOIN
    (
        SELECT
            source_id AS device_source_id,
            visitor_id AS device_visitor_id,
            since AS device_since,
            user_id AS device_user_id
        FROM {database}.visitor_users
    ) AS device
        ON session.source_id = device_source_id
        AND session.visitor_id = device_visitor_id
        AND session.ended_at >= device_since
    LEFT JOIN
    (
        SELECT source_id AS alias_source_id, user_id AS alias_user_id, person_user_id
        FROM {database}.user_aliases
    ) AS alias_
        ON session.source_id = alias_source_id
        AND if(session.user_id = '', device_user_id, session.user_id) = alias_user_id
)
