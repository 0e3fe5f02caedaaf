-- click_map: which elements of a page are clicked, where on them, and where clicking led nowhere.
--
-- Question    What do people click on this page, on a telephone and on a desktop, and where do they click in vain?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT selector, element_name, sum(clicks) AS clicks FROM click_map(source_id = 'shop',
--                     since = '2026-11-01', until = '2026-12-01') WHERE path = '/pricing' GROUP BY ALL ORDER BY clicks DESC
-- Grain       One row per (path, device_class, selector, x_share, y_px).
-- Reads       human_events
-- Definition  Of the events `click`, `rage_click` and `dead_click`; an element that sends an event of its own has none.
--               selector       CSS selector of the element, as the tag made it.
--               element_role, element_name   What it is and says, as of the newest click that told.
--               x_share        Left edge of the 64th of the window's width that was clicked, 0 to 0.984375. NULL where
--                              the event has no `x`, or the width of its window is not known.
--               y_px           Upper edge of the 32 pixels of the page's height that were clicked. NULL without `y`.
--               clicks         Events `click`.
--               rage_clicks    Bursts of three clicks or more within a second.
--               dead_clicks    Clicks after which nothing happened.
--               visitors       Those of any of the three.
--               page_visitors  Visitors who viewed the page with such a device in the period.
--               visitor_share  visitors divided by page_visitors; NULL where nobody's page view is stored.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads page views and clicks of the period, of the clicks the properties too.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.click_map AS
SELECT
    path,
    device_class,
    selector,
    x_share,
    y_px,
    argMaxIf(role, event_time, role != '') AS element_role,
    argMaxIf(name, event_time, name != '') AS element_name,
    countIf(event = 'click') AS clicks,
    countIf(event = 'rage_click') AS rage_clicks,
    countIf(event = 'dead_click') AS dead_clicks,
    uniqExact(visitor_id) AS visitors,
    any(viewers.visitors) AS page_visitors,
    visitors / nullIf(page_visitors, 0) AS visitor_share
FROM
(
    SELECT
        path,
        device_class,
        event,
        event_time,
        visitor_id,
        ifNull(property['selector'], '') AS selector,
        ifNull(property['element_role'], '') AS role,
        ifNull(property['element_name'], '') AS name,
        toFloat64OrNull(property['x']) / nullIf(viewport_width, 0) AS x_of_width,
        -- A page that is scrolled sideways has clicks beyond its window's width: those are at its edge.
        if(isNull(x_of_width), NULL, floor(least(greatest(x_of_width, 0), 0.999) * 64) / 64) AS x_share,
        intDiv(toUInt32OrNull(property['y']), 32) * 32 AS y_px
    FROM {database}.human_events
    WHERE source_id = {source_id:String}
        AND event IN ('click', 'rage_click', 'dead_click')
        AND event_time >= {since:DateTime64(3, 'UTC')}
        AND event_time < {until:DateTime64(3, 'UTC')}
) AS clicked
LEFT JOIN
(
    SELECT path, device_class, uniqExact(visitor_id) AS visitors
    FROM {database}.human_events
    WHERE source_id = {source_id:String}
        AND event = 'page_view'
        AND event_time >= {since:DateTime64(3, 'UTC')}
        AND event_time < {until:DateTime64(3, 'UTC')}
    GROUP BY path, device_class
) AS viewers USING (path, device_class)
GROUP BY path, device_class, selector, x_share, y_px
ORDER BY clicks DESC, path, device_class, selector, x_share, y_px
