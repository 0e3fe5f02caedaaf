-- aliases: one row per alias call that says that two ids are of one person.
--
-- Question    Which id replaced which, and when?
-- Grain       One row per event of type alias.
-- Reads       events, without FINAL: calls are few, and copies of them are removed here.
-- Definition  user_id       The id that is used from now on.
--             previous_id   The id that it replaces, another one: a visitor when the source has one of that id (see
--                           visitor_users), otherwise a user (see user_aliases).
--             Left out are calls that lack one of the two, and words that are sent by mistake where an id should be
--             (null, undefined, guest, …): one of them would make one person of everybody.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads type and is_bot of all events of the source, 2 bytes a row; a skip index on type would save that.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.aliases AS
SELECT source_id, visitor_id, event_time, sequence, message_id, previous_id, user_id
FROM {database}.events
WHERE type = 'alias' AND NOT is_bot AND user_id != previous_id
    AND lower(user_id) NOT IN (
        '', '0', '-1', 'null', 'nil', 'none', 'undefined', 'nan', 'true', 'false', 'anonymous', 'guest',
        'unknown', 'n/a', 'id', 'user', 'user_id', 'userid', 'email', '[object object]'
    )
    AND lower(previous_id) NOT IN (
        '', '0', '-1', 'null', 'nil', 'none', 'undefined', 'nan', 'true', 'false', 'anonymous', 'guest',
        'unknown', 'n/a', 'id', 'user', 'user_id', 'userid', 'email', '[object object]'
    )
ORDER BY received_at DESC
LIMIT 1 BY source_id, visitor_id, occurred_at, message_id
