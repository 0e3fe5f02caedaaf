-- visitors: one row per visitor, with the person the visitor turned out to be.
--
-- Question    Whose device is this, since when do we know it, and how much came from it?
-- Grain       One row per (source_id, visitor_id).
-- Reads       human_events
-- Definition  user_id      The last one that is not empty: who signed in last on this device. Events from before the
--                          first sign-in belong to that user too.
--             person_id    `user:` and the user_id, or `visitor:` and the visitor_id of one who never signed in. All
--                          devices of one user are one person.
-- Exact       Yes.
-- Time        first_seen_at and last_seen_at are event_time, UTC.
-- Cost        Streams events in sort order. Filter on source_id.
-- Test        tests/sql/visitors/
CREATE OR REPLACE VIEW {database}.visitors AS
SELECT
    source_id,
    visitor_id,
    argMaxIf(user_id, (event_time, sequence, message_id), user_id != '') AS user_id,
    if(user_id = '', concat('visitor:', visitor_id), concat('user:', user_id)) AS person_id,
    min(event_time) AS first_seen_at,
    max(event_time) AS last_seen_at,
    count() AS events
FROM {database}.human_events
GROUP BY source_id, visitor_id
