-- audience_history: who was in an audience from when to when.
--
-- Question    Who entered and who left this audience, when, and how long did they stay?
-- Grain       One row per stay of a person in an audience.
-- Reads       audience_moves, audience_refreshes
-- Definition  entered_at  When the refresh was that first had the person in it.
--             left_at     When the refresh was that no longer had; NULL while the person is in it.
--             version     Of the audience's query at the entry.
--             user_id     The name in use, empty of an anonymous visitor.
--             attributes  JSON: the other columns of the audience's query at the entry.
-- Exact       Yes, to the times of the refreshes.
-- Time        The collector's clock, UTC.
-- Cost        The moves of all audiences; filter on audience.
-- Test        tests/audience/
CREATE OR REPLACE VIEW {database}.audience_history AS
SELECT
    audience,
    source_id,
    person_id,
    if(startsWith(person_id, 'user:'), substring(person_id, 6), '') AS user_id,
    stay.1.2 AS entered_at,
    stay.2 AS left_at,
    stay.1.3 AS version,
    stay.1.4 AS attributes
FROM
(
    SELECT
        audience,
        source_id,
        person_id,
        arraySort(groupArray((refresh_id, moved_at, version, attributes, change::String))) AS moves,
        arrayPushBack(arrayPopFront(arrayMap(move -> toNullable(move.2), moves)), NULL) AS ends
    FROM {database}.audience_moves
    WHERE (audience, refresh_id) IN (SELECT audience, refresh_id FROM {database}.audience_refreshes WHERE failure = '')
    GROUP BY audience, source_id, person_id
)
ARRAY JOIN arrayZip(moves, ends) AS stay
WHERE stay.1.5 = 'entered'
