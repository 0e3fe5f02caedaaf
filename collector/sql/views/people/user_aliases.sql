-- user_aliases: which user ids are names of one person.
--
-- Question    This user was renamed, perhaps more than once: under which name is the person known now?
-- Grain       One row per (source_id, user_id) that an alias call between two user ids names, as old or as new.
-- Reads       aliases, events
-- Definition  All ids that alias calls join, directly or by way of others, are one person: chains of any length,
--             branches and circles alike. An alias call that names a visitor joins no users (see visitor_users), so
--             that a shared device does not make one person of its users. Nothing is joined across sources.
--               person_user_id   The user_id of the newest of the person's alias calls, by (event_time, sequence,
--                                message_id, user_id, previous_id): the name in use. The same for all of its ids.
--               since            event_time of the first alias call that names this id.
--               user_ids         How many ids the person has.
-- Exact       Yes, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        As aliases, twice, and the visitors that calls name. Then one step for each call, over the ids that calls
--             of the source name: it ends after the last call, whatever the calls say, and takes 0.05 s for 1,000
--             calls, 0.3 s for 5,000, 1.5 s for 20,000.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.user_aliases AS
SELECT
    source_id,
    id.1 AS user_id,
    person_user_id,
    id.2 AS since,
    length(ids) AS user_ids
FROM
(
    SELECT
        source_id,
        label,
        groupArray((name, since)) AS ids,
        anyIf(name, number = label) AS person_user_id
    FROM
    (
        SELECT
            source_id,
            arraySort(groupArray((event_time, sequence, message_id, user_id, previous_id))) AS calls,
            arrayFlatten(arrayMap(call -> [call.5, call.4], calls)) AS named,
            arrayFlatten(arrayMap(call -> [call.1, call.1], calls)) AS named_at,
            -- Names are numbered by their first mention, so that the nth of `names` has number n.
            arrayEnumerateDense(named) AS numbers,
            arrayFilter((name, mention) -> mention = 1, named, arrayEnumerateUniq(named)) AS names,
            arrayFilter((at, mention) -> mention = 1, named_at, arrayEnumerateUniq(named)) AS first_named_at,
            arrayFilter((number, i) -> i % 2 = 1, numbers, arrayEnumerate(numbers)) AS olds,
            arrayFilter((number, i) -> i % 2 = 0, numbers, arrayEnumerate(numbers)) AS news,
            -- Everybody's label is its own number at first. Each call, in order, gives its new id's number to all that
            -- have the label of one of the two. (What a lambda uses from outside is copied for each element: hence the
            -- constant arrays instead of `labels[old]` within.)
            arrayFold(
                (labels, old, new) -> arrayMap(
                    (label, old_label, new_label) -> if(label = old_label OR label = new_label, new, label),
                    labels,
                    arrayWithConstant(length(labels), labels[old]),
                    arrayWithConstant(length(labels), labels[new])
                ),
                olds,
                news,
                arrayEnumerate(names)
            ) AS labels
        FROM {database}.aliases
        WHERE (source_id, previous_id) NOT IN
        (
            -- Of the visitors that any call names, which are more than aliases has: a view here would be planned twice.
            SELECT source_id, visitor_id
            FROM {database}.events FINAL
            WHERE NOT is_bot
                AND (source_id, visitor_id) IN
                (
                    SELECT source_id, previous_id
                    FROM {database}.events
                    WHERE type = 'alias' AND NOT is_bot
                )
        )
        GROUP BY source_id
    )
    ARRAY JOIN names AS name, first_named_at AS since, labels AS label, arrayEnumerate(names) AS number
    GROUP BY source_id, label
)
ARRAY JOIN ids AS id
