-- rage_clicks: elements on which people click in anger or in vain, and what becomes of their visits.
--
-- Question    Which part of the site does not work as people think it does, and what does that cost?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): the click from, and before; what follows it in its session may be later.
--                 SELECT * FROM rage_clicks(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per (path, selector).
-- Reads       human_events
-- Definition  Of the events `rage_click` and `dead_click`.
--               selector         CSS selector of the element, as the tag made it.
--               element_role, element_name   What the element is and says, as of the newest click that told.
--               rage_clicks      Bursts of three clicks or more within a second.
--               dead_clicks      Clicks after which nothing happened.
--               sessions         Those with such a click. visitors: their visitors.
--               page_visitors    Visitors who viewed the page in the period.
--               visitor_share    visitors divided by page_visitors; NULL where nobody's page view is stored.
--               left             Sessions without another page view after the last such click.
--               left_share       left divided by sessions.
--               converted        Sessions with a macro conversion after the first such click.
--               converted_share  converted divided by sessions.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads all events, in time, of the visitors with such a click, and the page views of the period.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.rage_clicks AS
WITH
    -- Cut and ordered as in sessions. A click in vain has its event's name and its element, other events have neither.
    clickers AS
    (
        WITH
            event IN ('rage_click', 'dead_click')
            AND event_time >= {since:DateTime64(3, 'UTC')}
            AND event_time < {until:DateTime64(3, 'UTC')} AS in_vain
        SELECT
            visitor_id,
            arraySort(e -> e.2, groupArray((
                event_time,
                moment,
                if(in_vain, event::String, ''),
                if(in_vain, path, ''),
                if(in_vain, ifNull(property['selector'], ''), ''),
                if(in_vain, ifNull(property['element_role'], ''), ''),
                if(in_vain, ifNull(property['element_name'], ''), ''),
                event = 'page_view',
                conversion = 'macro'
            ))) AS history,
            arrayDifference(arrayMap(e -> toUnixTimestamp64Milli(e.1), history)) AS gaps_ms,
            arraySplit((e, gap_ms) -> gap_ms > 1800000, history, gaps_ms) AS visits
        FROM {database}.human_events
        WHERE source_id = {source_id:String}
            AND visitor_id IN
            (
                SELECT visitor_id
                FROM {database}.human_events
                WHERE source_id = {source_id:String}
                    AND event IN ('rage_click', 'dead_click')
                    AND event_time >= {since:DateTime64(3, 'UTC')}
                    AND event_time < {until:DateTime64(3, 'UTC')}
            )
        GROUP BY visitor_id
    ),
    clicked AS
    (
        SELECT
            visitor_id,
            visit[1].1 AS started_at,
            visit,
            arrayLastIndex(e -> e.8, visit) AS last_view,
            arrayLastIndex(e -> e.9, visit) AS last_conversion
        FROM clickers
        ARRAY JOIN visits AS visit
        WHERE arrayExists(e -> e.3 != '', visit)
    )
SELECT
    path,
    selector,
    argMaxIf(role, last_click, role != '') AS element_role,
    argMaxIf(name, last_click, name != '') AS element_name,
    sum(rage) AS rage_clicks,
    sum(dead) AS dead_clicks,
    count() AS sessions,
    uniqExact(visitor_id) AS visitors,
    any(viewers.visitors) AS page_visitors,
    visitors / nullIf(page_visitors, 0) AS visitor_share,
    countIf(last_view < last_place) AS left,
    left / sessions AS left_share,
    countIf(last_conversion > first_place) AS converted,
    converted / sessions AS converted_share
FROM
(
    SELECT
        visitor_id,
        started_at,
        click.4 AS path,
        click.5 AS selector,
        argMaxIf(click.6, place, click.6 != '') AS role,
        argMaxIf(click.7, place, click.7 != '') AS name,
        max(click.1) AS last_click,
        min(place) AS first_place,
        max(place) AS last_place,
        any(last_view) AS last_view,
        any(last_conversion) AS last_conversion,
        countIf(click.3 = 'rage_click') AS rage,
        countIf(click.3 = 'dead_click') AS dead
    FROM clicked
    ARRAY JOIN visit AS click, arrayEnumerate(visit) AS place
    WHERE click.3 != ''
    GROUP BY visitor_id, started_at, path, selector
) AS troubled
LEFT JOIN
(
    SELECT path, uniqExact(visitor_id) AS visitors
    FROM {database}.human_events
    WHERE source_id = {source_id:String}
        AND event = 'page_view'
        AND event_time >= {since:DateTime64(3, 'UTC')}
        AND event_time < {until:DateTime64(3, 'UTC')}
    GROUP BY path
) AS viewers USING (path)
GROUP BY path, selector
ORDER BY sessions DESC, path, selector
