-- counted_events: how many events there were of visitors who did not agree to be measured, and nothing about them.
--
-- Written in the mode `counts` (collector/consent.py). A row is many events of many visitors: no id, no time but the day,
-- no query, no device, no place. Rows of one key add up when parts merge: always read sum(events).
-- Exactly once  As events: deduplication token with a window. A client's retry is known by its message id, which is kept
--               in the loader's memory and in no table: a retry after the store process was started anew counts again.
CREATE TABLE IF NOT EXISTS {database}.counted_events
(
    day         Date COMMENT 'When the collector received them, UTC.',
    source_id   LowCardinality(String) COMMENT 'The site that sent them.',
    environment LowCardinality(String) COMMENT 'As in events.',
    event       LowCardinality(String) COMMENT 'Event name in snake_case.',
    host        LowCardinality(String) COMMENT 'Host of the page.',
    path        String COMMENT 'Path of the page, without query.',
    is_bot      Bool COMMENT 'Flagged as a bot''s, as in events.',
    reason      LowCardinality(String) COMMENT 'What was lacking: gpc, dnt, consent_denied, consent_pending, consent_unstated or consent_purpose.',
    events      UInt64 COMMENT 'How many; sum it.',
    batch_id    String COMMENT 'The load batch of one of them.'
)
ENGINE = SummingMergeTree(events)
PARTITION BY toYYYYMM(day)
ORDER BY (source_id, day, event, host, path, environment, is_bot, reason)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
-- What an event states of consent, read from its context when it is asked for: nothing is stored twice.
ALTER TABLE {database}.events
    ADD COLUMN IF NOT EXISTS consent String
        ALIAS if(JSONType(context, 'consent') = 'String', JSONExtractString(context, 'consent'), JSONExtractRaw(context, 'consent'))
        COMMENT 'What the event states of consent: a word, or JSON with a member for each purpose; empty when nothing.',
    ADD COLUMN IF NOT EXISTS consent_version String
        ALIAS JSONExtractString(context, 'consent', 'version')
        COMMENT 'Which version of its question the visitor has answered, where the event states it.',
    ADD COLUMN IF NOT EXISTS consent_lacking LowCardinality(String)
        ALIAS extract(sender_flags, 'cookieless_(\\w+)')
        COMMENT 'What consent was lacking where an event is stored without whom it is of (mode cookieless); else empty.'
