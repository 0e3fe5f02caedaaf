-- page_engagement: how long each page is attended to, and how far it is read.
--
-- Question    Which pages are read to the end, and which are left at once?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT * FROM page_engagement(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
--                     WHERE device_class = '*' AND path != '*' ORDER BY pageviews DESC
-- Grain       One row per (path, device_class), and with `*` for all paths, for all devices, and for all of both.
-- Reads       human_events
-- Definition  An event `engagement` belongs to the last page view of the same path by the same visitor before it; the
--             times of one page view add up, its depth is the largest.
--               pageviews       Page views. visitors: who viewed.
--               measured        Page views with an `engagement`: those under a second without scrolling have none.
--               engaged_views   Page views that were attended to for 10 seconds or more.
--               engaged_share   engaged_views divided by measured; NULL when nothing was measured.
--               engaged_ms_mean, engaged_ms_median   Of measured page views: the page was visible, had the focus, and
--                               had input within 30 seconds. NULL when nothing was measured.
--               scrolled        Page views whose depth is known. The following are NULL when there are none.
--               depth_median    The share of the page's height that was seen, 0 to 1.
--               reached_25, reached_50, reached_75, reached_100   Shares of scrolled that saw so many percent of the
--                               page; 99 count as 100, because a browser's last pixel is often half of one.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Sorts the page views and engagements of the period by visitor and path.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.page_engagement AS
SELECT
    on_path AS path,
    on_device AS device_class,
    count() AS pageviews,
    uniqExact(visitor_id) AS visitors,
    countIf(isNotNull(engaged_ms)) AS measured,
    countIf(ifNull(engaged_ms >= 10000, false)) AS engaged_views,
    engaged_views / nullIf(measured, 0) AS engaged_share,
    avg(engaged_ms) AS engaged_ms_mean,
    quantileExactInclusive(0.5)(engaged_ms) AS engaged_ms_median,
    countIf(isNotNull(depth)) AS scrolled,
    quantileExactInclusive(0.5)(depth) AS depth_median,
    countIf(ifNull(depth >= 0.25, false)) / nullIf(scrolled, 0) AS reached_25,
    countIf(ifNull(depth >= 0.5, false)) / nullIf(scrolled, 0) AS reached_50,
    countIf(ifNull(depth >= 0.75, false)) / nullIf(scrolled, 0) AS reached_75,
    countIf(ifNull(depth >= 0.99, false)) / nullIf(scrolled, 0) AS reached_100
FROM
(
    SELECT
        visitor_id,
        path,
        argMinIf(device, moment, event = 'page_view') AS device_class,
        sum(told_ms) AS engaged_ms,
        max(told_depth) AS depth
    FROM
    (
        SELECT
            visitor_id,
            path,
            device_class::String AS device,
            event,
            moment,
            if(event = 'engagement', toFloat64OrNull(property['engaged_ms']), NULL) AS told_ms,
            if(event = 'engagement', toFloat64OrNull(property['scroll_depth']), NULL) AS told_depth,
            countIf(event = 'page_view') OVER
                (PARTITION BY visitor_id, path ORDER BY moment) AS view_number
        FROM {database}.human_events
        WHERE source_id = {source_id:String}
            AND event IN ('page_view', 'engagement')
            AND event_time >= {since:DateTime64(3, 'UTC')}
            AND event_time < {until:DateTime64(3, 'UTC')}
    )
    WHERE view_number > 0
    GROUP BY visitor_id, path, view_number
)
ARRAY JOIN [path, path, '*', '*'] AS on_path, [device_class, '*', device_class, '*'] AS on_device
GROUP BY on_path, on_device
ORDER BY pageviews DESC, path, device_class
