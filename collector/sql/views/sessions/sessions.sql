-- sessions: one row per visit.
--
-- Question    How do visits begin and end, how long do they last, and what do they bring?
-- Grain       One row per (source_id, visitor_id, session_number).
-- Reads       sessions_by_visitor
-- Definition  A gap of more than 1,800,000 ms (30 minutes) between two events of a visitor starts a new session. Events
--             are ordered by (event_time, sequence, message_id). A session may cross midnight. session_id names the
--             source, the visitor and the start, so a late event before the start changes it.
--               user_id           The last one that is not empty.
--               channel           Of the first event that came from outside, `direct` when none did. referrer_host and
--                                 utm_* are of that same event; device, browser, os and country of the first event.
--               page_paths        Paths of the page views (event `page_view`) in order.
--               entry_path, exit_path   First and last of page_paths; without a page view, of the events.
--               conversions       Events the tracking plan calls macro conversions. micro_conversions: the micro ones.
--               revenue           Sum of `value` over the macro conversions.
--               revenue_currency  Their currency, `mixed` when they have more than one: then revenue is no amount.
--               is_bounce         One page view and nothing else; identify, group and alias calls are not counted.
--               is_engaged        10 seconds or more, two page views or more, or a conversion of either kind.
-- Exact       Yes: no sampling, no approximate counts, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        Reads when events were, and what is asked for in groups: pages, bounces, conversions and revenue; channel
--             and referrer_host; utm_*, device and country; user_id. Filter on source_id and visitor_id: they reach the
--             table. A filter on started_at does not, because visits are known only from all events of their visitor.
--             With `optimize_aggregation_in_order = 1` visitors stream in sort order, for a quarter of the memory:
--             questions by footfall and analysts' roles have it set. It works on a query and not in a view.
-- Test        tests/sql/sessions/
CREATE OR REPLACE VIEW {database}.sessions AS
WITH
    -- The first and the last page view; without one the first and the last event.
    greatest(indexOf(action.2, true), 1) AS entry,
    arrayLastIndex(is_view -> is_view, action.2) AS last_view,
    if(last_view = 0, length(action), last_view) AS exit,
    arrayFirstIndex(channel -> channel NOT IN ('', 'internal'), source.1) AS outside,
    greatest(outside, 1) AS landing,
    arrayFilter(each -> each.4 = 'macro', action) AS macros,
    arrayDistinct(macros.6) AS currencies
SELECT
    source_id,
    visitor_id,
    session_number,
    lower(hex(cityHash64(source_id, visitor_id, started_at))) AS session_id,
    arrayLast(id -> id != '', user) AS user_id,

    moment[1].1 AS started_at,
    moment[-1].1 AS ended_at,
    dateDiff('millisecond', started_at, ended_at) AS duration_ms,

    length(moment) AS events,
    countEqual(action.2, true) AS pageviews,
    arrayFilter((path, is_view) -> is_view, action.1, action.2) AS page_paths,
    action[entry].1 AS entry_path,
    action[exit].1 AS exit_path,

    source[landing].2 AS referrer_host,
    if(outside = 0, 'direct', source[outside].1) AS channel,
    detail[landing].1 AS utm_source,
    detail[landing].2 AS utm_medium,
    detail[landing].3 AS utm_campaign,
    detail[landing].4 AS utm_term,
    detail[landing].5 AS utm_content,

    detail[1].6 AS device_class,
    detail[1].7 AS browser,
    detail[1].8 AS os,
    detail[1].9 AS country,

    countEqual(action.4, 'macro') AS conversions,
    countEqual(action.4, 'micro') AS micro_conversions,
    arraySum(macros.5) AS revenue,
    if(length(currencies) > 1, 'mixed', currencies[1]) AS revenue_currency,

    (pageviews = 1 AND countEqual(action.3, false) = 1)::Bool AS is_bounce,
    (duration_ms >= 10000 OR pageviews >= 2 OR conversions + micro_conversions > 0)::Bool AS is_engaged
FROM {database}.sessions_by_visitor
ARRAY JOIN
    arrayEnumerate(moments) AS session_number,
    moments AS moment,
    actions AS action,
    sources AS source,
    details AS detail,
    user_ids AS user
