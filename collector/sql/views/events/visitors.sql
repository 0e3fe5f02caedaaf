-- visitors: one row per visitor, with the person the visitor turned out to be.
--
-- Question    Whose device is this, since when do we know it, and how much came from it?
-- Grain       One row per (source_id, visitor_id).
-- Reads       human_events, aliases, user_aliases
-- Definition  user_id      The last one that is not empty: who signed in last on this device. An alias call that names
--                          the visitor as the previous id signs in, too. Events from before the first sign-in belong
--                          to that user too.
--             person_id    `user:` and the user_id, or the person_user_id of user_aliases where an alias call renamed
--                          it; `visitor:` and the visitor_id of one who never signed in. All devices of one user are
--                          one person.
--             A visitor is one person here, the last one. Where several people use a device, person_events divides its
--             events among them, and identities says so.
-- Exact       Yes.
-- Time        first_seen_at and last_seen_at are event_time, UTC.
-- Cost        Streams events in sort order; one look at aliases. Filter on source_id.
-- Test        tests/sql/visitors/
CREATE OR REPLACE VIEW {database}.visitors AS
SELECT
    visitor.source_id AS source_id,
    visitor.visitor_id AS visitor_id,
    greatest(visitor.signed_in, named.signed_in).4 AS user_id,
    multiIf(
        user_id = '', concat('visitor:', visitor_id),
        alias_.person_user_id != '', concat('user:', alias_.person_user_id),
        concat('user:', user_id)
    ) AS person_id,
    first_seen_at,
    last_seen_at,
    events
FROM
(
    SELECT
        source_id,
        visitor_id,
        maxIf((event_time, sequence, message_id, user_id), user_id != '') AS signed_in,
        min(event_time) AS first_seen_at,
        max(event_time) AS last_seen_at,
        count() AS events
    FROM {database}.human_events
    GROUP BY source_id, visitor_id
) AS visitor
LEFT JOIN
(
    SELECT source_id, previous_id, max((event_time, sequence, message_id, user_id)) AS signed_in
    FROM {database}.aliases
    GROUP BY source_id, previous_id
) AS named ON visitor.source_id = named.source_id AND visitor.visitor_id = named.previous_id
LEFT JOIN {database}.user_aliases AS alias_ ON visitor.source_id = alias_.source_id AND user_id = alias_.user_id
