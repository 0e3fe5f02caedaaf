-- events: one row per accepted event, as received and enriched.
--
-- Key         (source_id, visitor_id, occurred_at, message_id). Visitor first, so that sessions stream in sort order.
--             occurred_at is the client's own claim and so the same for every retry of one event; event_time carries
--             the clock correction, which a much slower retry may shift by a minute. ReplacingMergeTree is the backstop
--             behind the loader's own removal of duplicates; views read with FINAL.
-- Partition   By the month of occurred_at, which every retry has too: where a month is one part, FINAL has nothing to
--             fold and costs nothing (decisions/0015). What claims to be from before 2020 or after 2039 is in one
--             partition, so that hostile timestamps make at most 241. Databases from before this have the months of
--             received_at, and FINAL folds across them.
-- Exactly once  The window makes insert deduplication tokens work (its default of 0 ignores them); fsync settings make
--             a confirmed insert survive a power loss, so that the spool may be deleted after it.
CREATE TABLE IF NOT EXISTS {database}.events
(
    message_id      String COMMENT 'The client''s id of this event; a retry carries the same one.',
    type            LowCardinality(String) COMMENT 'track, page, screen, identify, group or alias.',
    event           LowCardinality(String) COMMENT 'Event name in snake_case; page becomes page_view.',
    event_original  LowCardinality(String) COMMENT 'The name as the client sent it.',
    event_version   UInt16 COMMENT 'Major version in the tracking plan; 0 when the plan does not know the event.',
    source_id       LowCardinality(String) COMMENT 'The site or server that sent it.',
    visitor_id      String COMMENT 'The device: anonymousId, or a daily hash when there is none.',
    user_id         String COMMENT 'The known person, empty when anonymous.',
    group_id        String COMMENT 'The account or company of a group call.',
    previous_id     String COMMENT 'The id that an alias call replaces.',
    sequence        UInt32 COMMENT 'Order within the page as the tag counted it; breaks ties of one millisecond.',
    event_time      DateTime64(3, 'UTC') COMMENT 'When it happened; a wrong client clock is corrected by whole minutes.',
    occurred_at     DateTime64(3, 'UTC') COMMENT 'When it happened by the client''s clock.',
    sent_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was sent by the client''s clock.',
    received_at     DateTime64(3, 'UTC') COMMENT 'When the collector received it.',
    url             String COMMENT 'Page address without fragment and credentials.',
    host            LowCardinality(String),
    path            String,
    query           String,
    title           String,
    referrer        String,
    referrer_host   LowCardinality(String) COMMENT 'Empty for direct visits and for pages of the same host.',
    channel         LowCardinality(String) COMMENT 'Where the visit came from: direct, organic_search, email, …',
    utm_source      LowCardinality(String),
    utm_medium      LowCardinality(String),
    utm_campaign    LowCardinality(String),
    utm_term        String,
    utm_content     String,
    click_id_type   LowCardinality(String) COMMENT 'Name of the advertising click id: gclid, fbclid, …',
    click_id        String,
    browser         LowCardinality(String),
    browser_version LowCardinality(String),
    os              LowCardinality(String),
    os_version      LowCardinality(String),
    device_class    LowCardinality(String) COMMENT 'desktop, mobile, tablet, tv, bot or unknown.',
    country         LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2, empty when unknown.',
    language        LowCardinality(String),
    time_zone       LowCardinality(String),
    screen_width    UInt16 COMMENT 'CSS pixels.',
    screen_height   UInt16 COMMENT 'CSS pixels.',
    viewport_width  UInt16 COMMENT 'CSS pixels.',
    viewport_height UInt16 COMMENT 'CSS pixels.',
    is_bot          Bool COMMENT 'Flagged and kept; views leave bots out.',
    bot_reason      LowCardinality(String),
    conversion      LowCardinality(String) COMMENT 'macro, micro or empty: the plan''s semantic.conversion.',
    value           Decimal(18, 4) COMMENT 'The plan''s semantic.value, in currency.',
    currency        LowCardinality(String) COMMENT 'ISO 4217.',
    library         LowCardinality(String) COMMENT 'Client library and version.',
    properties      String COMMENT 'JSON, unchanged as sent.' CODEC(ZSTD(1)),
    traits          String COMMENT 'JSON, unchanged as sent.' CODEC(ZSTD(1)),
    context         String COMMENT 'JSON: batch context with the event''s own laid over it.' CODEC(ZSTD(1)),
    violations      Array(String) COMMENT 'What the tracking plan found, as class:pointer.',
    batch_id        String COMMENT 'The load batch; shows whether a batch whose outcome is unknown arrived.',
    INDEX batch_id_index batch_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX event_time_index event_time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(received_at)
PARTITION BY if(toYear(occurred_at) BETWEEN 2020 AND 2039, toYYYYMM(occurred_at), 0)
ORDER BY (source_id, visitor_id, occurred_at, message_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
