-- profiles: the traits of each person and group, as last stated.
--
-- Question    What do we know of this person or company now?
-- Grain       One row per (source_id, kind, id) of which a trait is known.
-- Reads       profile_history
-- Definition  kind and id as in profile_history.
--             traits       Map(String, String): of each trait the last value, without those that were removed. Keys in
--                          alphabetical order. `SELECT traits['plan']`; numbers: `toFloat64OrNull(traits['seats'])`.
--             updated_at   event_time of the last call that changed one of them.
--             kind  `person` or `group`.
--             id  A person_id or a group_id, as kind says.
-- Exact       Yes, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        As profile_history.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.profiles AS
SELECT source_id, kind, id, mapFromArrays(known.1, known.2) AS traits, updated_at
FROM
(
    SELECT
        source_id,
        kind,
        id,
        arraySort(groupArrayIf((trait, assumeNotNull(value)), value IS NOT NULL)) AS known,
        max(since) AS updated_at
    FROM {database}.profile_history
    WHERE until IS NULL
    GROUP BY source_id, kind, id
)
WHERE notEmpty(known)
