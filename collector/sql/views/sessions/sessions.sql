-- sessions: one row per visit.
--
-- Question    How do visits begin and end, how long do they last, and what do they bring?
-- Grain       One row per (source_id, visitor_id, session_number).
-- Reads       human_events
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
-- Cost        Filter on source_id and visitor_id: they reach the table. A filter on started_at does not, because visits
--             are known only from all events of their visitor. `SETTINGS optimize_aggregation_in_order = 1` halves the
--             memory, as visitors then stream in sort order. It works on a query and not in a view, hence not here.
-- Test        tests/sql/sessions/
CREATE OR REPLACE VIEW {database}.sessions AS
SELECT
    source_id,
    visitor_id,
    session_number,
    lower(hex(cityHash64(source_id, visitor_id, started_at))) AS session_id,
    arrayLast(id -> id != '', user_ids) AS user_id,

    times[1] AS started_at,
    times[-1] AS ended_at,
    dateDiff('millisecond', started_at, ended_at) AS duration_ms,

    length(times) AS events,
    length(page_paths) AS pageviews,
    page_paths,
    if(empty(page_paths), paths, page_paths)[1] AS entry_path,
    if(empty(page_paths), paths, page_paths)[-1] AS exit_path,

    referrer_hosts[landing] AS referrer_host,
    if(outside = 0, 'direct', channels[outside]) AS channel,
    utms[landing].1 AS utm_source,
    utms[landing].2 AS utm_medium,
    utms[landing].3 AS utm_campaign,
    utms[landing].4 AS utm_term,
    utms[landing].5 AS utm_content,

    device_classes[1] AS device_class,
    browsers[1] AS browser,
    oses[1] AS os,
    countries[1] AS country,

    countEqual(goals, 'macro') AS conversions,
    countEqual(goals, 'micro') AS micro_conversions,
    arraySum((value, goal) -> if(goal = 'macro', value, 0), values, goals) AS revenue,
    if(length(macro_currencies) > 1, 'mixed', macro_currencies[1]) AS revenue_currency,

    (pageviews = 1 AND arrayCount(type -> type NOT IN ('identify', 'group', 'alias'), types) = 1)::Bool AS is_bounce,
    (duration_ms >= 10000 OR pageviews >= 2 OR conversions + micro_conversions > 0)::Bool AS is_engaged
FROM
(
    SELECT
        source_id,
        visitor_id,
        session_number,
        visit.1 AS times,
        visit.4 AS types,
        visit.5 AS names,
        visit.6 AS paths,
        visit.7 AS user_ids,
        visit.8 AS channels,
        visit.9 AS referrer_hosts,
        visit.10 AS utms,
        visit.11 AS device_classes,
        visit.12 AS browsers,
        visit.13 AS oses,
        visit.14 AS countries,
        visit.15 AS goals,
        visit.16 AS values,
        visit.17 AS currencies,
        arrayFilter((path, name) -> name = 'page_view', paths, names) AS page_paths,
        arrayFirstIndex(channel -> channel NOT IN ('', 'internal'), channels) AS outside,
        greatest(outside, 1) AS landing,
        arrayDistinct(arrayFilter((currency, goal) -> goal = 'macro', currencies, goals)) AS macro_currencies
    FROM
    (
        SELECT
            source_id,
            visitor_id,
            arraySort(groupArray((
                event_time, sequence, message_id,
                type, event, path, user_id, channel, referrer_host,
                (utm_source, utm_medium, utm_campaign, utm_term, utm_content),
                device_class, browser, os, country,
                conversion, value, currency
            ))) AS history,
            arrayDifference(arrayMap(e -> toUnixTimestamp64Milli(e.1), history)) AS gaps_ms,
            arraySplit((e, gap_ms) -> gap_ms > 1800000, history, gaps_ms) AS visits
        FROM {database}.human_events
        GROUP BY source_id, visitor_id
    )
    ARRAY JOIN visits AS visit, arrayEnumerate(visits) AS session_number
)
