-- person_events: one row per accepted event of a person, with who that person is.
--
-- Question    What did this person do, on all devices, and before the first sign-in too?
-- Grain       One row per event of human_events.
-- Reads       human_events, user_aliases, visitor_users
-- Definition  person_id   Of an event with a user_id: `user:` and that id, or the person_user_id of user_aliases. Of
--                         one without: whose device it was then, by visitor_users (the last sign-in at or before the
--                         event's millisecond, else the first one after it). On a device that nobody ever signed in
--                         on: `visitor:` and the visitor_id.
--             Persons are of one source: the same user_id in two sources is two persons.
-- Exact       Yes, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        As human_events with the columns asked for, and a join with the devices on which somebody signed in
--             (visitor_users), which are held in memory. Filter on source_id.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.person_events AS
SELECT
    event_.*,
    multiIf(
        person_user_id != '', concat('user:', person_user_id),
        event_.user_id != '', concat('user:', event_.user_id),
        device_user_id != '', concat('user:', device_user_id),
        concat('visitor:', event_.visitor_id)
    ) AS person_id
FROM {database}.human_events AS event_
ASOF LEFT JOIN
(
    SELECT
        source_id AS device_source_id,
        visitor_id AS device_visitor_id,
        since AS device_since,
        user_id AS device_user_id
    FROM {database}.visitor_users
) AS device
    ON event_.source_id = device_source_id
    AND event_.visitor_id = device_visitor_id
    AND event_.event_time >= device_since
LEFT JOIN
(
    SELECT source_id AS alias_source_id, user_id AS alias_user_id, person_user_id
    FROM {database}.user_aliases
) AS alias_
    ON event_.source_id = alias_source_id
    AND if(event_.user_id = '', device_user_id, event_.user_id) = alias_user_id
