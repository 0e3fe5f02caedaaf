-- profile_history: one row per change of a trait of a person or a group.
--
-- Question    What did we know of this person or company at that time, and when did it change?
-- Grain       One row per (source_id, kind, id, trait, since): a first value, another value, or a removal.
-- Reads       person_events
-- Definition  kind `person`: traits of identify calls; id is a person_id. kind `group`: traits of group calls; id is a
--             group_id. Calls are ordered by (event_time, sequence, message_id, visitor_id): the last one wins, and not
--             the one that arrived last. A trait is a key of the outermost object; of a key sent twice the last counts.
--               value            A text as it is, anything else as JSON. NULL: null was sent, which removes the trait.
--               previous_value   NULL when there was none.
--               since, until     From when to when it held; until is NULL for what holds now.
--             What a call repeats unchanged is no row.
--             kind  `person` or `group`: whose trait it is.
--             id  A person_id or a group_id, as kind says.
--             trait  Name of the trait: a key of the call's outermost object.
-- Exact       Yes, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        Reads identify and group calls and sorts what they say; the rest as person_events. Filter on source_id.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.profile_history AS
SELECT
    source_id,
    kind,
    id,
    trait,
    value,
    value_before AS previous_value,
    event_time AS since,
    leadInFrame(toNullable(event_time)) OVER
    (
        PARTITION BY source_id, kind, id, trait
        ORDER BY event_time, sequence, message_id, visitor_id, position
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) AS until,
    message_id
FROM
(
    SELECT
        source_id,
        if(type = 'group', 'group', 'person') AS kind,
        if(type = 'group', group_id, person_id) AS id,
        event_time,
        sequence,
        message_id,
        visitor_id,
        position,
        pair.1 AS trait,
        multiIf(
            pair.2 = 'null', NULL,
            startsWith(pair.2, '"'), JSONExtractString(pair.2),
            pair.2
        ) AS value,
        lagInFrame(value) OVER
        (
            PARTITION BY source_id, kind, id, trait
            ORDER BY event_time, sequence, message_id, visitor_id, position
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS value_before
    FROM {database}.person_events
    ARRAY JOIN
        JSONExtractKeysAndValuesRaw(traits) AS pair,
        arrayEnumerate(JSONExtractKeysAndValuesRaw(traits)) AS position
    WHERE type = 'identify' OR (type = 'group' AND group_id != '')
)
WHERE value IS DISTINCT FROM value_before
