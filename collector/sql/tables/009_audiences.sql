-- Audiences: who is in which, who came and went when, and what was told of it to others (collector/audience).
--
-- audience_claims      Who may compute the refresh that follows another: the insert's token names both, so of two collectors
--                      on one database one gets it.
-- audience_refreshes   One row per refresh, written last: what the other tables hold of a refresh counts once it stands
--                      here without a failure.
-- audience_snapshots   The members as of a refresh; of each audience those of the last two refreshes are kept.
-- audience_moves       Who entered and who left with a refresh; kept.
-- audience_deliveries  One row per batch that a webhook took or refused, and per export of changes.
CREATE TABLE IF NOT EXISTS {database}.audience_claims
(
    audience   String,
    base_id    UInt64 COMMENT 'The refresh that is to be followed; 0 for the first.',
    attempt    UInt32 COMMENT 'Counts the tries to follow it; a new one is allowed once the last has failed or is too old.',
    claimed_by String COMMENT 'A random text of the one who tries.',
    claimed_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (audience, base_id, attempt)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
CREATE TABLE IF NOT EXISTS {database}.audience_refreshes
(
    audience     String COMMENT 'Name of the audience.',
    refresh_id   UInt64 COMMENT 'Milliseconds since the epoch; of one audience each is greater than the last.',
    base_id      UInt64 COMMENT 'The refresh it followed: who entered and left is counted from there. 0 for none.',
    attempt      UInt32 COMMENT 'Of the claim.',
    version      UInt32 COMMENT 'Version of the audience''s query.',
    hash         String COMMENT 'Hash of the audience''s query.',
    query        String COMMENT 'The query that was asked.' CODEC(ZSTD(3)),
    description  String COMMENT 'Who is in it, in words.',
    refreshed_at DateTime64(3, 'UTC') COMMENT 'When the query was asked.',
    duration_ms  UInt64 COMMENT 'How long it took, in milliseconds.',
    members      UInt64 COMMENT 'How many persons were in it.',
    entered      UInt64 COMMENT 'How many of them were not before.',
    left         UInt64 COMMENT 'How many were before and are not now.',
    failure      String COMMENT 'Why it could not be refreshed; empty when it was.'
)
ENGINE = MergeTree
ORDER BY (audience, refresh_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
CREATE TABLE IF NOT EXISTS {database}.audience_snapshots
(
    audience   String COMMENT 'Name of the audience.',
    refresh_id UInt64 COMMENT 'As of which refresh.',
    source_id  LowCardinality(String) COMMENT 'The site or server; empty where the query names none.',
    person_id  String COMMENT 'As in persons: `user:` or `visitor:` and an id.',
    attributes String COMMENT 'JSON: the other columns of the query.' CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY (audience, refresh_id)
ORDER BY (source_id, person_id)
SETTINGS non_replicated_deduplication_window = 1000,
    cleanup_delay_period = 2, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 2;
CREATE TABLE IF NOT EXISTS {database}.audience_moves
(
    audience   String COMMENT 'Name of the audience.',
    refresh_id UInt64 COMMENT 'With which refresh.',
    moved_at   DateTime64(3, 'UTC') COMMENT 'When the query was asked.',
    version    UInt32 COMMENT 'Version of the audience''s query.',
    source_id  LowCardinality(String) COMMENT 'The site or server; empty where the query names none.',
    person_id  String COMMENT 'As in persons.',
    change     Enum8('left' = 0, 'entered' = 1),
    attributes String COMMENT 'JSON: the other columns of the query as they were then; {} of those who left.' CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (audience, source_id, person_id, refresh_id)
SETTINGS non_replicated_deduplication_window = 1000,
    cleanup_delay_period = 2, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 2;
CREATE TABLE IF NOT EXISTS {database}.audience_deliveries
(
    audience    String COMMENT 'Name of the audience.',
    destination String COMMENT 'Hash of the webhook''s address, or `export`.',
    delivery    String COMMENT 'Names the delivery; with the batch it is the idempotency key.',
    kind        Enum8('changes' = 0, 'all' = 1),
    from_id     UInt64 COMMENT 'Changes after this refresh; 0 for all.',
    to_id       UInt64 COMMENT 'Changes up to this refresh.',
    batch       UInt32 COMMENT 'From 1; 0 for the row that says that a delivery was begun.',
    batches     UInt32 COMMENT 'How many the delivery has.',
    batch_rows  UInt32 COMMENT 'Into how many persons each it was cut; it is never cut again.',
    persons     UInt32 COMMENT 'How many are in this one.',
    tries       UInt32 COMMENT 'How many requests it took.',
    told_at     DateTime64(3, 'UTC') COMMENT 'When it was taken or given up for now.',
    failure     String COMMENT 'Why it was given up; empty when it was taken, `begun` before the first was tried.'
)
ENGINE = MergeTree
ORDER BY (audience, destination, to_id, batch)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
