-- broken_pages: addresses that answered with an error, and who leads there.
--
-- Question    Which links are broken, ours or those of others?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT * FROM broken_pages(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per (path, status).
-- Reads       human_events
-- Definition  Of page views with a `status`, which the tag tells of the page that was loaded.
--               status         The server's answer, 400 or more: 404 is a page that is not there.
--               pageviews      How often it was seen. visitors: by how many.
--               from_own       Page views that came from a page of the same host: links of ours to mend.
--               from_others    Page views that came from another host. The rest came without a referrer.
--               top_referrer   The page that led there most often; of several the first by name, empty if none is known.
--               last_at        The newest.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads the page views of the period and their properties.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.broken_pages AS
SELECT
    path,
    assumeNotNull(toUInt16OrNull(property['status'])) AS status,
    count() AS pageviews,
    uniqExact(visitor_id) AS visitors,
    countIf(referrer != '' AND referrer_host = '') AS from_own,
    countIf(referrer_host != '') AS from_others,
    arraySort(place -> (-toInt64(place.2), place.1), CAST(
        sumMapIf(map(referrer, 1::UInt64), referrer != ''), 'Array(Tuple(String, UInt64))'
    ))[1].1 AS top_referrer,
    max(event_time) AS last_at
FROM {database}.human_events
WHERE source_id = {source_id:String}
    AND event = 'page_view'
    AND event_time >= {since:DateTime64(3, 'UTC')}
    AND event_time < {until:DateTime64(3, 'UTC')}
    AND toUInt16OrNull(property['status']) >= 400
GROUP BY path, status
ORDER BY visitors DESC, pageviews DESC, path, status
