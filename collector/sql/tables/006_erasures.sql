-- erasures: what `footfall privacy erase` removed, and a receipt for each person, which names nobody.
--
-- Whoever counts rows needs it: what was erased is missing from events and failed_events. A row with a count is written
-- before the rows go, one with a receipt, and without counts, at the end.
CREATE TABLE IF NOT EXISTS {database}.erasures
(
    erased_at     DateTime64(3, 'UTC') COMMENT 'Events that happened until then are gone.',
    events        UInt64 COMMENT 'Rows that were to go from events.',
    failed_events UInt64 COMMENT 'Rows that were to go from failed_events.',
    receipt       String COMMENT 'JSON: what was removed where, and a salted hash of the id; empty in rows with counts.'
)
ENGINE = MergeTree
ORDER BY erased_at
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
-- erased_ids: who was erased, as keyed hashes, so that what comes late of them is not stored (collector/loading/erased.py).
--
-- Ids of visitors and users stay for good, those of single events as long as a client may keep them.
CREATE TABLE IF NOT EXISTS {database}.erased_ids
(
    kind      LowCardinality(String) COMMENT 'visitor, user or message; key is the key of the hashes.',
    hash      String COMMENT 'Keyed BLAKE2b of kind, source and id, in hex.',
    erased_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(erased_at)
ORDER BY (kind, hash)
TTL toDateTime(erased_at) + INTERVAL 400 DAY DELETE WHERE kind = 'message'
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
-- Parts that an erasure has written anew are to be off the disk when it says so: ClickHouse looks for old ones every 30 to
-- 300 seconds by itself.
ALTER TABLE {database}.events
    MODIFY SETTING cleanup_delay_period = 2, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 2;
ALTER TABLE {database}.failed_events
    MODIFY SETTING cleanup_delay_period = 2, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 2
