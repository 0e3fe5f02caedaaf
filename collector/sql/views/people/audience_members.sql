-- audience_members: who is in an audience, as of its last refresh.
--
-- Question    Who is in this audience now, since when, and with which attributes?
-- Grain       One row per (audience, source_id, person_id).
-- Reads       audience_snapshots, audience_refreshes, audience_moves
-- Definition  entered_at  When the refresh was that first had the person in it, after the last one that had not.
--             user_id     The name in use, empty of an anonymous visitor.
--             attributes  JSON: the other columns of the audience's query, as of the last refresh.
-- Exact       Yes.
-- Time        The collector's clock, UTC.
-- Cost        The members of all audiences and their moves; filter on audience.
-- Test        tests/audience/
CREATE OR REPLACE VIEW {database}.audience_members AS
SELECT
    member.audience AS audience,
    member.source_id AS source_id,
    member.person_id AS person_id,
    if(startsWith(person_id, 'user:'), substring(person_id, 6), '') AS user_id,
    since.entered_at AS entered_at,
    member.attributes AS attributes
FROM
(
    SELECT audience, source_id, person_id, attributes
    FROM {database}.audience_snapshots
    WHERE (audience, refresh_id) IN
    (
        SELECT audience, max(refresh_id) FROM {database}.audience_refreshes WHERE failure = '' GROUP BY audience
    )
) AS member
LEFT JOIN
(
    SELECT audience, source_id, person_id, max(moved_at) AS entered_at
    FROM {database}.audience_moves
    WHERE change = 'entered'
        AND (audience, refresh_id) IN (SELECT audience, refresh_id FROM {database}.audience_refreshes WHERE failure = '')
    GROUP BY audience, source_id, person_id
) AS since
    ON member.audience = since.audience AND member.source_id = since.source_id AND member.person_id = since.person_id
