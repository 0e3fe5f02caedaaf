-- media: how far videos and sounds are played.
--
-- Question    Which videos are started, and at which quarter do people stop watching?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT * FROM media(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per (kind, src, title).
-- Reads       human_events
-- Definition  Of the events `media_progress`, which the tag sends once for each mark, page view and source.
--               kind, src, title   `video` or `audio`, its address without the query, and its title.
--               starts           Times that it was started. visitors: who played any of it.
--               reached_25, reached_50, reached_75, finished   Times that it was played so far; finished: to the end.
--               finished_share   finished divided by starts; NULL when no start is in the period.
--               duration_s       Its length in seconds, as told last; NULL for live streams.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads these events and their properties.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.media AS
WITH toUInt8OrNull(property['percent']) AS percent
SELECT
    ifNull(property['media_kind'], '') AS kind,
    ifNull(property['src'], '') AS src,
    ifNull(property['title'], '') AS title,
    countIf(percent = 0) AS starts,
    uniqExact(visitor_id) AS visitors,
    countIf(percent = 25) AS reached_25,
    countIf(percent = 50) AS reached_50,
    countIf(percent = 75) AS reached_75,
    countIf(percent = 100) AS finished,
    finished / nullIf(starts, 0) AS finished_share,
    argMax(toUInt32OrNull(property['duration_s']), event_time) AS duration_s
FROM {database}.human_events
WHERE source_id = {source_id:String}
    AND event = 'media_progress'
    AND event_time >= {since:DateTime64(3, 'UTC')}
    AND event_time < {until:DateTime64(3, 'UTC')}
GROUP BY kind, src, title
ORDER BY starts DESC, kind, src, title
