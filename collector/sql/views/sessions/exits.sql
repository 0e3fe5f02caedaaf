-- exits: the pages on which visits end, and how often they go on from there.
--
-- Question    Where do people leave, which pages lose them, and had they done what they came for?
-- Parameters  source_id, pages, since, until   As entries.
--                 SELECT * FROM exits(source_id = 'shop', pages = [], since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per page that was viewed, also when no session ended there.
-- Reads       sessions, page_groups
-- Definition  Of the sessions with page views:
--               page         The group that the page is in, or its path when no rule fits.
--               pageviews    Of this page. sessions: those with one.
--               exits        Sessions whose last page view it was. share: divided by all exits. visitors: whose they
--                            were.
--               exit_rate    exits divided by pageviews.
--               bounces      Exits of sessions that are one, as sessions says. bounce_rate: divided by the sessions
--                            that began on this page; NULL when none did.
--               converted    Exits of sessions with a macro conversion. lost: exits of the others.
--               median_position   How many pages deep the exit was.
-- Exact       Yes: visitors are counted, not estimated; quantileExactLow, a number that there was.
-- Time        started_at of sessions, UTC.
-- Cost        As sessions.
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.exits AS
WITH
    (
        SELECT (groupArray(path), groupArray(page))
        FROM {database}.page_groups(source_id = {source_id:String}, pages = {pages:Array(String)})
        WHERE notEmpty({pages:Array(String)}) AND page != path
    ) AS renamed
SELECT
    transform(path, renamed.1, renamed.2, path) AS page,
    count() AS pageviews,
    uniqExact(session_id) AS sessions,
    countIf(position = session.pageviews) AS exits,
    exits / sum(exits) OVER () AS share,
    uniqExactIf(visitor_id, position = session.pageviews) AS visitors,
    exits / pageviews AS exit_rate,
    countIf(is_bounce) AS bounces,
    bounces / nullIf(countIf(position = 1), 0) AS bounce_rate,
    countIf(position = session.pageviews AND conversions > 0) AS converted,
    exits - converted AS lost,
    quantileExactLowIf(0.5)(position, position = session.pageviews) AS median_position
FROM {database}.sessions AS session
ARRAY JOIN page_paths AS path, arrayEnumerate(page_paths) AS position
WHERE source_id = {source_id:String}
    AND started_at >= {since:DateTime64(3, 'UTC')}
    AND started_at < {until:DateTime64(3, 'UTC')}
GROUP BY page
ORDER BY exits DESC, page
