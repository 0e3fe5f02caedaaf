-- What the tracking plan did to an event: values it moved, the weight of a sample, and which rules held.
--
-- Rows of before have the defaults; so have rows that were spooled by an older version (collector/record.py).
ALTER TABLE {database}.events
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}'
        COMMENT 'JSON: what the plan does not know (also in properties), what it stripped, and the sender''s own extra.'
        CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS sample_rate Float32 DEFAULT 1
        COMMENT 'The share of such events that is stored: sum(1 / sample_rate) estimates them all.',
    ADD COLUMN IF NOT EXISTS environment LowCardinality(String) DEFAULT 'prod'
        COMMENT 'prod, dev or another that the plan names: whose rules held.',
    ADD COLUMN IF NOT EXISTS plan_version LowCardinality(String)
        COMMENT 'The version of the tracking plan by which it was checked.';
ALTER TABLE {database}.failed_events
    ADD COLUMN IF NOT EXISTS environment LowCardinality(String) DEFAULT 'prod'
        COMMENT 'As in events.',
    ADD COLUMN IF NOT EXISTS plan_hash LowCardinality(String)
        COMMENT 'Hash of the tracking plan that rejected it.'
