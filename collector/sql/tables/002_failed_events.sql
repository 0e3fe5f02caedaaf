-- failed_events: one row per rejected event, with the raw bytes and what a replay needs.
--
-- Key         (source_id, received_at, message_id): read by source and time.
-- Exactly once  As events: deduplication token with a window.
CREATE TABLE IF NOT EXISTS {database}.failed_events
(
    message_id   String,
    type         LowCardinality(String),
    event        String COMMENT 'Name as sent; any text, so not LowCardinality.',
    source_id    LowCardinality(String),
    visitor_id   String,
    user_id      String,
    sent_at      Nullable(DateTime64(3, 'UTC')),
    received_at  DateTime64(3, 'UTC'),
    reason       LowCardinality(String) COMMENT 'First violation: missing_required, wrong_type, constraint, …',
    pointer      String COMMENT 'JSON pointer into the event.',
    fix          String COMMENT 'One sentence that says what to do.',
    violations   Array(String) COMMENT 'Every violation, as class:pointer.',
    user_agent   String,
    country      LowCardinality(String),
    plan_version LowCardinality(String),
    context      String COMMENT 'JSON: the context the event''s batch carried.' CODEC(ZSTD(1)),
    raw          String COMMENT 'The event''s own JSON, byte for byte.' CODEC(ZSTD(1)),
    batch_id     String,
    INDEX batch_id_index batch_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (source_id, received_at, message_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
