-- links: which files are downloaded, and where people leave to.
--
-- Question    Which downloads, other sites, mail addresses and telephone numbers are clicked, and on which pages?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT * FROM links(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
--                     WHERE kind = 'download'
-- Grain       One row per (kind, href).
-- Reads       human_events
-- Definition  Of the events `click` with a `link_kind`: a link within the site has none and is not here.
--               kind      `outbound`, `download`, `email` or `phone`.
--               href      Where it leads; of mail and telephone links the tag tells `mailto:` and `tel:` only.
--               clicks    Clicks. visitors: who clicked.
--               pages     The number of pages that it was clicked on.
--               top_path  The page that it was clicked on most; of several the first by name.
--               last_at   The newest click.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads the clicks of the period and their properties.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.links AS
SELECT
    kind,
    href,
    sum(clicks_here) AS clicks,
    uniqExactArray(visitors_here) AS visitors,
    count() AS pages,
    argMin(path, (-toInt64(clicks_here), path)) AS top_path,
    max(last_here) AS last_at
FROM
(
    SELECT
        ifNull(property['link_kind'], '') AS kind,
        ifNull(property['href'], '') AS href,
        path,
        count() AS clicks_here,
        groupUniqArray(visitor_id) AS visitors_here,
        max(event_time) AS last_here
    FROM {database}.human_events
    WHERE source_id = {source_id:String}
        AND event = 'click'
        AND event_time >= {since:DateTime64(3, 'UTC')}
        AND event_time < {until:DateTime64(3, 'UTC')}
        AND ifNull(property['link_kind'], '') != ''
    GROUP BY kind, href, path
)
GROUP BY kind, href
ORDER BY clicks DESC, kind, href
