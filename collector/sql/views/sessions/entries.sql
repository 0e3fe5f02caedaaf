-- entries: the pages on which visits begin, and what becomes of those visits.
--
-- Question    Where do people come in, do they stay, and which entries lead to purchases?
-- Parameters  source_id   String.
--             pages       Array(String): rules that name pages, written as page_groups says; [] for paths.
--             breakdown   String: one answer for each value of a column of sessions: 'channel', 'utm_source',
--                         'utm_medium', 'utm_campaign', 'utm_term', 'utm_content', 'referrer_host', 'device_class',
--                         'browser', 'os' or 'country'; '' for one answer.
--             since, until   DateTime64(3): sessions that began from, and before.
--                 SELECT * FROM entries(source_id = 'shop', pages = [], breakdown = 'channel', since = '2026-11-01',
--                     until = '2026-12-01') ORDER BY converted DESC
-- Grain       One row per (page, dimension), for pages on which a session began.
-- Reads       sessions, page_groups
-- Definition  Of the sessions with page views, by the page of the first:
--               page          The group that the page is in, or its path when no rule fits.
--               dimension     Value of the breakdown.
--               entrances     Sessions that began on the page. share: divided by all entrances. visitors: whose these
--                             sessions were.
--               bounces       Entrances of sessions that bounced, as sessions says. bounce_rate: divided by entrances.
--               engaged       Entrances of engaged sessions, as sessions says. engagement_rate: divided by entrances.
--               pageviews     In these sessions, on this page and on others.
--               median_duration_ms   Of these sessions, from the first to the last event.
--               converted     Entrances of sessions with a macro conversion. conversion_rate: divided by entrances.
--               conversions   Macro conversions in these sessions.
--               revenue       Sum of their values. currency: theirs, `mixed` when there are several: then revenue is no
--                             amount.
-- Exact       Yes: visitors are counted, not estimated; quantileExactLow, a time that somebody took.
-- Time        started_at of sessions, UTC.
-- Cost        As sessions.
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.entries AS
WITH
    (
        SELECT (groupArray(path), groupArray(page))
        FROM {database}.page_groups(source_id = {source_id:String}, pages = {pages:Array(String)})
        WHERE notEmpty({pages:Array(String)}) AND page != path
    ) AS renamed
SELECT
    transform(entry_path, renamed.1, renamed.2, entry_path) AS page,
    -- Not multiIf, which reads all of them: of these the one that is asked for.
    concat(
        if({breakdown:String} = 'channel', channel, ''),
        if({breakdown:String} = 'utm_source', utm_source, ''),
        if({breakdown:String} = 'utm_medium', utm_medium, ''),
        if({breakdown:String} = 'utm_campaign', utm_campaign, ''),
        if({breakdown:String} = 'utm_term', utm_term, ''),
        if({breakdown:String} = 'utm_content', utm_content, ''),
        if({breakdown:String} = 'referrer_host', referrer_host, ''),
        if({breakdown:String} = 'device_class', device_class, ''),
        if({breakdown:String} = 'browser', browser, ''),
        if({breakdown:String} = 'os', os, ''),
        if({breakdown:String} = 'country', country, '')
    ) AS dimension,
    count() AS entrances,
    entrances / sum(entrances) OVER () AS share,
    uniqExact(visitor_id) AS visitors,
    countIf(is_bounce) AS bounces,
    bounces / entrances AS bounce_rate,
    countIf(is_engaged) AS engaged,
    engaged / entrances AS engagement_rate,
    sum(session.pageviews) AS pageviews,
    quantileExactLow(0.5)(duration_ms) AS median_duration_ms,
    countIf(session.conversions > 0) AS converted,
    converted / entrances AS conversion_rate,
    sum(session.conversions) AS conversions,
    sum(session.revenue) AS revenue,
    if(
        uniqExactIf(revenue_currency, session.conversions > 0) > 1,
        'mixed',
        maxIf(revenue_currency, session.conversions > 0)
    ) AS currency
FROM {database}.sessions AS session
WHERE source_id = {source_id:String}
    AND session.pageviews > 0
    AND started_at >= {since:DateTime64(3, 'UTC')}
    AND started_at < {until:DateTime64(3, 'UTC')}
    AND NOT throwIf(
        {breakdown:String} NOT IN
        (
            '', 'channel', 'utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content', 'referrer_host',
            'device_class', 'browser', 'os', 'country'
        ),
        'entries: breakdown is empty, channel, utm_…, referrer_host, device_class, browser, os or country'
    )
GROUP BY page, dimension
ORDER BY entrances DESC, page, dimension
