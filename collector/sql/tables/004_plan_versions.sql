-- plan_versions: one row each time that a tracking plan went live, with the plan.
--
-- Written by the store process when it starts with another plan than the newest here, or sees one released. The newest
-- row is the plan that is live; the view plan_events reads it. events.plan_version is `version`, failed_events.plan_hash
-- is `hash`.
-- Exactly once  The token of an insert names the row before, so two collectors that see one release write one row.
CREATE TABLE IF NOT EXISTS {database}.plan_versions
(
    hash      String COMMENT 'Of the whole plan; two plans may have one version while nobody released them.',
    version   LowCardinality(String) COMMENT 'The plan''s version, as in events.plan_version.',
    name      LowCardinality(String) COMMENT 'The plan''s name.',
    live_from DateTime64(3, 'UTC') COMMENT 'When this collector first used it, by the clock of received_at.',
    plan      String COMMENT 'The plan as canonical JSON: the bytes of plan.lock.' CODEC(ZSTD(3))
)
ENGINE = MergeTree
ORDER BY live_from
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
-- property: what the properties say, by name, taken apart once when a row is inserted (decisions/0006-typed-access.md).
--
-- A text is as it is, anything else is JSON; null and what is absent are NULL. Of a name that stands twice the last
-- counts, as it does for the plan. Not part of `*`. Rows of before are taken apart when they are read, until the
-- background has done it.
ALTER TABLE {database}.events
    ADD COLUMN IF NOT EXISTS property Map(LowCardinality(String), Nullable(String))
        MATERIALIZED CAST(
            arrayReverse(JSONExtractKeysAndValues(properties, 'Nullable(String)')),
            'Map(LowCardinality(String), Nullable(String))')
        COMMENT 'The properties by name: texts as they are, all else as JSON.'
        CODEC(ZSTD(1));
-- Merged parts keep it in buckets, so that a query reads about a thirtieth of it for one name; what has just been
-- inserted is in one piece, which is cheaper to write.
ALTER TABLE {database}.events MODIFY SETTING
    map_serialization_version = 'with_buckets',
    map_serialization_version_for_zero_level_parts = 'basic',
    map_buckets_strategy = 'constant',
    max_buckets_in_map = 32,
    map_buckets_min_avg_size = 0;
ALTER TABLE {database}.events MATERIALIZE COLUMN property SETTINGS mutations_sync = 0
