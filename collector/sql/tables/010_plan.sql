-- With which key a failed event was sent, so that a replay need not guess it; and what the hash of a plan tells by now.
--
-- Rows of before have the default; so have rows that were spooled by an older version (collector/record.py).
ALTER TABLE {database}.failed_events
    ADD COLUMN IF NOT EXISTS sent_with LowCardinality(String)
        COMMENT 'The kind of key: browser or server, which speaks for its visitors; empty in rows of before.';
ALTER TABLE {database}.plan_versions
    COMMENT COLUMN hash 'Of the whole plan. A plan that was not released has part of it in its version (1.4.0+unreleased.…); two hashes under one version are two releases that knew nothing of each other.'
