-- sessions: one row per visit.
--
-- Question    How do visits begin and end, how long do they last, and what do they bring?
-- Grain       One row per (source_id, visitor_id, session_number).
-- Reads       sessions_by_visitor
-- Definition  A gap of more than 1,800,000 ms (30 minutes) between two events of a visitor starts a new session. Events
--             are in the order of human_events.moment. A session may cross midnight. session_id names the
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
-- Cost        Reads when events were, and what is asked for in groups: paths; page views and bounces; conversions;
--             revenue and its currency; channel; referrer_host; utm_*, device and country; user_id. Filter on source_id and visitor_id: they reach the
--             table. A filter on started_at does not, because visits are known only from all events of their visitor.
--             With `optimize_aggregation_in_order = 1` visitors stream in sort order, for a quarter of the memory:
--             questions by footfall and analysts' roles have it set. It works on a query and not in a view.
-- Test        tests/sql/sessions/
CREATE OR REPLACE VIEW {database}.sessions AS
WITH
    -- The first and the last page view; without one the first and the last event.
    greatest(indexOf(kind, 1), 1) AS entry,
    arrayLastIndex(each -> each = 1, kind) AS last_view,
    if(last_view = 0, length(kind), last_view) AS exit,
    arrayFirstIndex(each -> each NOT IN ('', 'internal'), channel_) AS outside,
    greatest(outside, 1) AS landing,
    arrayDistinct(arrayFilter((each, what) -> what = 1, currency, goal)) AS distinct_currencies
SELECT
    source_id,
    visitor_id,
    session_number,
    lower(hex(cityHash64(source_id, visitor_id, started_at))) AS session_id,
    arrayLast(id -> id != '', user) AS user_id,

    time[1] AS started_at,
    time[-1] AS ended_at,
    dateDiff('millisecond', started_at, ended_at) AS duration_ms,

    length(time) AS events,
    countEqual(kind, 1) AS pageviews,
    arrayFilter((each, what) -> what = 1, path, kind) AS page_paths,
    path[entry] AS entry_path,
    path[exit] AS exit_path,

    host[landing] AS referrer_host,
    if(outside = 0, 'direct', channel_[outside]) AS channel,
    detail[landing].1 AS utm_source,
    detail[landing].2 AS utm_medium,
    detail[landing].3 AS utm_campaign,
    detail[landing].4 AS utm_term,
    detail[landing].5 AS utm_content,

    detail[1].6 AS device_class,
    detail[1].7 AS browser,
    detail[1].8 AS os,
    detail[1].9 AS country,

    countEqual(goal, 1) AS conversions,
    countEqual(goal, 2) AS micro_conversions,
    arraySum(arrayFilter((each, what) -> what = 1, value, goal)) AS revenue,
    if(length(distinct_currencies) > 1, 'mixed', distinct_currencies[1]) AS revenue_currency,

    (pageviews = 1 AND length(kind) - countEqual(kind, 2) = 1)::Bool AS is_bounce,
    (duration_ms >= 10000 OR pageviews >= 2 OR conversions + micro_conversions > 0)::Bool AS is_engaged
FROM {database}.sessions_by_visitor
ARRAY JOIN
    arrayEnumerate(times) AS session_number,
    times AS time,
    paths AS path,
    kinds AS kind,
    goals AS goal,
    values AS value,
    currencies AS currency,
    channels AS channel_,
    referrer_hosts AS host,
    details AS detail,
    user_ids AS user
