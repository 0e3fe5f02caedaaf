-- counted_daily: what visitors did who did not agree to be measured, as numbers and nothing more.
--
-- Question    How much happens without consent, on which pages, and what was lacking?
-- Grain       One row per (day, source_id, event, host, path, environment, reason).
-- Reads       counted_events
-- Definition  Events that lacked consent where `without_consent` is `counts`; they are in no other view. Of whom they are
--             nobody knows: they add up to events, and never to visitors or sessions.
--             page    host and path together; empty for events without a page.
--             reason  What was lacking: gpc, dnt, consent_denied, consent_pending, consent_unstated, consent_purpose.
--             events  Of people. bots: those flagged as bots', which human_events leaves out.
-- Exact       Yes; a client's retry after the store process was started anew counts again. Samples are not taken.
-- Time        day is when the collector received them, UTC.
-- Cost        Reads the days, and sums as many rows as it answers; always filter on day.
-- Test        tests/load/test_load_counted.py
CREATE OR REPLACE VIEW {database}.counted_daily AS
SELECT
    day,
    source_id,
    event,
    host,
    path,
    concat(host, path) AS page,
    environment,
    reason,
    sumIf(counted.events, NOT is_bot) AS events,
    sumIf(counted.events, is_bot) AS bots
FROM {database}.counted_events AS counted
GROUP BY day, source_id, event, host, path, environment, reason
