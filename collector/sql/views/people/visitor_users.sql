-- visitor_users: who was signed in on a device, and from when on.
--
-- Question    Whose are a visitor's anonymous events, also on a device that several people use?
-- Grain       One row per (source_id, visitor_id, since): one for a device of one user, one more for each time that
--             another user signs in. None for a visitor that never had a user_id. An id that an alias call names and no
--             event has stands here, too, as if it were a visitor.
-- Reads       human_events, events, aliases
-- Definition  A visitor is identified by each event with a user_id, and by an alias call that names the visitor as the
--             previous id.
--               since     The event_time of the identification by which the device changed hands. The first row's is
--                         1970-01-01: events from before the first sign-in belong to whoever signed in first. Of
--                         identifications in one millisecond the last one by (sequence, message_id) counts.
--               user_id   As it was sent; person_events gives the person.
--             Users of a shared device are not made one person: they have its events in turn. An event with a user_id
--             is that user's, whoever has the device.
-- Exact       Yes, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        Reads the events that have a user_id, and those of shared devices once more; of all sources who had one.
--             Holds one row for each device on which somebody signed in. Filter on source_id.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.visitor_users AS
WITH
    identified AS
    (
        SELECT source_id, visitor_id, event_time, sequence, message_id, user_id
        FROM {database}.human_events
        WHERE user_id != ''
        UNION ALL
        SELECT source_id, previous_id AS visitor_id, event_time, sequence, message_id, user_id
        FROM {database}.aliases
    ),
    -- One user for nearly all: the histories of the others alone are held. Who they are is asked of events without
    -- FINAL, of which there may be copies: it finds some too many, whose smallest and largest turn out to be one.
    shared AS
    (
        SELECT source_id, visitor_id
        FROM
        (
            SELECT source_id, visitor_id, user_id
            FROM {database}.events
            WHERE user_id != '' AND NOT is_bot
            UNION ALL
            SELECT source_id, previous_id AS visitor_id, user_id
            FROM {database}.aliases
        )
        GROUP BY source_id, visitor_id
        HAVING min(user_id) != max(user_id)
    )
SELECT source_id, visitor_id, toDateTime64(0, 3, 'UTC') AS since, min(identified.user_id) AS user_id
FROM identified
GROUP BY source_id, visitor_id
HAVING min(identified.user_id) = max(identified.user_id)
UNION ALL
SELECT source_id, visitor_id, if(user_before = '', toDateTime64(0, 3, 'UTC'), event_time) AS since, user_id
FROM
(
    SELECT
        source_id,
        visitor_id,
        event_time,
        argMax(identified.user_id, (sequence, message_id, identified.user_id)) AS user_id,
        lagInFrame(user_id, 1, '') OVER
        (
            PARTITION BY source_id, visitor_id
            ORDER BY event_time
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS user_before,
        min(min(identified.user_id)) OVER (PARTITION BY source_id, visitor_id) AS smallest,
        max(max(identified.user_id)) OVER (PARTITION BY source_id, visitor_id) AS largest
    FROM identified
    WHERE (source_id, visitor_id) IN (SELECT source_id, visitor_id FROM shared)
    GROUP BY source_id, visitor_id, event_time
)
WHERE user_id != user_before AND smallest != largest
