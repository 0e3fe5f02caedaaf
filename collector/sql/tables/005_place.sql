-- Where a visitor is, what device they hold, and what could not be found out about an event.
--
-- Rows of before have the defaults; so have rows that were spooled by an older version (collector/record.py).
ALTER TABLE {database}.events
    ADD COLUMN IF NOT EXISTS region LowCardinality(String)
        COMMENT 'State, province or county of the address, by its English name; needs a City database.',
    ADD COLUMN IF NOT EXISTS city LowCardinality(String)
        COMMENT 'City of the address, by its English name; needs a City database.',
    ADD COLUMN IF NOT EXISTS postal_code LowCardinality(String)
        COMMENT 'Postal code of the address, where the City database has it.',
    ADD COLUMN IF NOT EXISTS place_time_zone LowCardinality(String)
        COMMENT 'Time zone of the address; time_zone is the one that the browser stated.',
    ADD COLUMN IF NOT EXISTS asn UInt32
        COMMENT 'Number of the network (autonomous system) of the address, 0 when unknown; needs an ASN database.',
    ADD COLUMN IF NOT EXISTS network LowCardinality(String)
        COMMENT 'Who runs that network.',
    ADD COLUMN IF NOT EXISTS device_brand LowCardinality(String)
        COMMENT 'Who made the device: Apple, Samsung, …; empty when unknown.',
    ADD COLUMN IF NOT EXISTS device_model LowCardinality(String)
        COMMENT 'Model of the device; Chromium tells it only pages that ask (the tag''s hints).',
    ADD COLUMN IF NOT EXISTS fragment String
        COMMENT 'What stands behind the # of url; only with the setting `fragments`.',
    ADD COLUMN IF NOT EXISTS sender_flags LowCardinality(String)
        COMMENT 'Why device or place is not known better, as words: user_agent_cut, hints_malformed, address_missing, address_unreadable, address_not_public, place_unknown, geo_missing, geo_broken.',
    ADD COLUMN IF NOT EXISTS page_flags LowCardinality(String)
        COMMENT 'Why page or referrer is not known better, as words: url_unreadable, url_cut, referrer_unreadable, referrer_cut.';
ALTER TABLE {database}.events
    COMMENT COLUMN bot_reason 'Why is_bot: crawler, headless, http_client, webdriver, prefetch, prerender, bot_network, referrer_spam; empty for people.'
