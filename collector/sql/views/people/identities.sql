-- identities: which visitors and users are one person, and why.
--
-- Question    Why are these devices and names one person, since when, and how sure is that?
-- Grain       One row per (source_id, kind, id, person_id): one for each id, more for a visitor of several people.
-- Reads       person_events, aliases, user_aliases
-- Definition  kind        `visitor` (a device) or `user` (a name that was signed in with).
--             person_id   As in person_events.
--             reason      Of a visitor: `identify` (an identify call named the user there), `user_id` (other events
--                         did), `alias` (only an alias call did), `anonymous` (nobody did: a person of its own).
--                         Of a user: `user_id` (the person's own name), `alias` (a name that alias calls replaced).
--             since       The event_time of the first event or alias call that shows it. The visitor's earlier events
--                         belong to the person too.
--             events      Events of the person with this id. last_seen_at is that of the last of them.
--             is_shared   The visitor is a device of several persons; they stay several.
--             confidence  Of the visitor's events that name a user, the share that name this person: 1 unless shared.
--             id  The visitor_id or user_id, as kind says.
-- Exact       Yes, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        As person_events, twice. Filter on source_id.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.identities AS
SELECT
    source_id,
    'visitor' AS kind,
    visitor_id AS id,
    person_id,
    multiIf(
        identified > 0, 'identify',
        named > 0, 'user_id',
        startsWith(person_id, 'visitor:'), 'anonymous',
        'alias'
    ) AS reason,
    multiIf(named > 0, first_named_at, reason = 'alias', named_visitor.since, first_seen_at) AS since,
    events,
    last_seen_at,
    (count() OVER visitor > 1)::Bool AS is_shared,
    if(sum(named) OVER visitor = 0, 1, named / sum(named) OVER visitor) AS confidence
FROM
(
    SELECT
        source_id,
        visitor_id,
        person_id,
        count() AS events,
        countIf(user_id != '') AS named,
        countIf(user_id != '' AND type = 'identify') AS identified,
        min(event_time) AS first_seen_at,
        minIf(event_time, user_id != '') AS first_named_at,
        max(event_time) AS last_seen_at
    FROM {database}.person_events
    GROUP BY source_id, visitor_id, person_id
) AS met
LEFT JOIN
(
    SELECT source_id AS alias_source_id, previous_id, min(event_time) AS since
    FROM {database}.aliases
    GROUP BY source_id, previous_id
) AS named_visitor ON met.source_id = alias_source_id AND met.visitor_id = previous_id
WINDOW visitor AS (PARTITION BY source_id, visitor_id)
UNION ALL
SELECT
    source_id,
    'user' AS kind,
    user_id AS id,
    any(whose) AS person_id,
    if(person_id = concat('user:', id), 'user_id', 'alias') AS reason,
    min(first_named_at) AS since,
    sum(count_) AS events,
    maxOrNull(seen_at) AS last_seen_at,
    false AS is_shared,
    1. AS confidence
FROM
(
    SELECT
        source_id,
        user_id,
        person_id AS whose,
        event_time AS first_named_at,
        toNullable(event_time) AS seen_at,
        1 AS count_
    FROM {database}.person_events
    WHERE user_id != ''
    UNION ALL
    SELECT source_id, user_id, concat('user:', person_user_id), since, NULL, 0
    FROM {database}.user_aliases
)
GROUP BY source_id, user_id
