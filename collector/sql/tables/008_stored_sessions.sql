-- visitor_sessions: the sessions of each visitor as they were when last computed; collector/database/sessions.py keeps them so.
-- visitor_marks: when events of a visitor were about to be stored last; the loader writes it. A visitor marked after computed_at is computed anew.
--
-- Key         (source_id, visitor_id), one row each: a late event may join, split or renumber all sessions of a visitor.
-- Exactly once  Both are ReplacingMergeTree: what is written twice is one row. Marks are synced like the events they tell
--             of: one that is lost would leave sessions old for ever.
CREATE TABLE IF NOT EXISTS {database}.visitor_sessions
(
    source_id   LowCardinality(String) COMMENT 'The site or server that sent them.',
    visitor_id  String COMMENT 'The device, as in events.',
    computed_at DateTime64(6, 'UTC') COMMENT 'What was stored up to then is in it.',
    visits Nested
    (
        session_number    UInt32,
        session_id        String,
        user_id           String,
        started_at        DateTime64(3, 'UTC'),
        ended_at          DateTime64(3, 'UTC'),
        duration_ms       Int64,
        events            UInt64,
        pageviews         UInt64,
        page_paths        Array(String),
        entry_path        String,
        exit_path         String,
        referrer_host     LowCardinality(String),
        channel           LowCardinality(String),
        utm_source        LowCardinality(String),
        utm_medium        LowCardinality(String),
        utm_campaign      LowCardinality(String),
        utm_term          String,
        utm_content       String,
        device_class      LowCardinality(String),
        browser           LowCardinality(String),
        os                LowCardinality(String),
        country           LowCardinality(String),
        conversions       UInt64,
        micro_conversions UInt64,
        revenue           Decimal(38, 4),
        revenue_currency  LowCardinality(String),
        is_bounce         Bool,
        is_engaged        Bool
    )
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (source_id, visitor_id)
SETTINGS cleanup_delay_period = 2, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 2;
CREATE TABLE IF NOT EXISTS {database}.visitor_marks
(
    source_id  LowCardinality(String) COMMENT 'As in events.',
    visitor_id String COMMENT 'As in events.',
    marked_at  DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When events of theirs were being stored, by the database''s clock.',
    INDEX marked_at_index marked_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(marked_at)
ORDER BY (source_id, visitor_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
    cleanup_delay_period = 2, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 2;
INSERT INTO {database}.visitor_marks (source_id, visitor_id)
SELECT source_id, visitor_id
FROM {database}.events
GROUP BY source_id, visitor_id
