-- plan_events: one row per property of each event of the tracking plan that is live.
--
-- Question    Which events are planned, what do their properties mean, and who answers for them?
-- Grain       One row per (event, major, property); one with an empty property for an event without any.
-- Reads       plan_versions
-- Definition  The plan that went live last: `is_newest` is true for the newest major of an event, false for an older one
--             that is still accepted. The columns that begin with property_ are of the property, the others of the event.
--             view is where the event is read with typed columns. deprecated: what to send instead, or `true`.
--             event  The event's name.
--             major  Its major version, as in `purchase@2`.
--             is_newest  Whether it is the newest major of its event.
--             description, trigger, owner, tags  What the plan says of the event, for people.
--             property_type, property_required, property_nullable  What the plan takes as its value.
--             property_description, property_unit  What the plan says of the property, for people.
--             property_owner, property_tags  What the plan says of the property, for people.
--             property_pii  What the plan does with it as personal data.
--             property_deprecated  What to send instead, or `true`; empty while it is in use.
--             property_aliases  Names under which it is taken, too.
--             property_enum  The values that the plan takes; empty for any.
-- Exact       Yes.
-- Time        live_from is when the plan went live, UTC.
-- Cost        Reads one row of plan_versions and takes its JSON apart.
-- Test        tests/sql/
CREATE OR REPLACE VIEW {database}.plan_events AS
WITH
    live AS
    (
        SELECT version, name, live_from, plan AS lock
        FROM {database}.plan_versions
        ORDER BY live_from DESC, hash
        LIMIT 1
    ),
    majors AS
    (
        SELECT
            name AS plan,
            version AS plan_version,
            live_from,
            JSONExtract(entry.2, 'Tuple(name String, version String, major UInt16, description String, trigger String, owner String, tags Array(String), deprecated Nullable(String), properties Array(String))') AS event_,
            entry.1 AS is_newest
        FROM live
        ARRAY JOIN arrayConcat(
            arrayMap(pair -> (true, pair.2), JSONExtractKeysAndValuesRaw(lock, 'events')),
            arrayMap(pair -> (false, pair.2), JSONExtractKeysAndValuesRaw(lock, 'history'))
        ) AS entry
    )
SELECT
    plan,
    plan_version,
    live_from,
    event_.name AS event,
    event_.major AS major,
    event_.version AS version,
    is_newest::Bool AS is_newest,
    concat('event_', event_.name) AS view,
    event_.description AS description,
    event_.trigger AS trigger,
    event_.owner AS owner,
    event_.tags AS tags,
    ifNull(event_.deprecated, '') AS deprecated,
    JSONExtractString(raw, 'name') AS property,
    JSONExtractString(raw, 'type', 'kind') AS property_type,
    JSONExtractBool(raw, 'required')::Bool AS property_required,
    JSONExtractBool(raw, 'type', 'nullable')::Bool AS property_nullable,
    JSONExtractString(raw, 'description') AS property_description,
    JSONExtractString(raw, 'type', 'unit') AS property_unit,
    JSONExtractString(raw, 'type', 'pii', 'pii_class') AS property_pii,
    JSONExtractString(raw, 'owner') AS property_owner,
    JSONExtract(raw, 'tags', 'Array(String)') AS property_tags,
    ifNull(JSONExtract(raw, 'deprecated', 'Nullable(String)'), '') AS property_deprecated,
    JSONExtract(raw, 'aliases', 'Array(String)') AS property_aliases,
    JSONExtract(raw, 'type', 'enum', 'Array(String)') AS property_enum
FROM majors
LEFT ARRAY JOIN event_.properties AS raw
