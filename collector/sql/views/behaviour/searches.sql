-- searches: what people look for on the site, whether it is there, and what they do then.
--
-- Question    What is searched for and not found, and does search lead to purchases?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): the search from, and before; what follows it in its session may be later.
--                 SELECT * FROM searches(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
--                     WHERE zero_results > 0 ORDER BY zero_results DESC
-- Grain       One row per query.
-- Reads       human_events
-- Definition  A search is an event `search` with a `query`, or a page view with a `search_query`. The same query again in
--             one session, on its next page of results or told by both events, is the same search.
--               query              In small letters, with single blanks.
--               searches           Sessions that searched for it. visitors: their visitors.
--               counted            Those whose number of results is known (`results` of the event `search`).
--               results            The largest such number of each search, the median of all; NULL when none is known.
--               zero_results       Those of counted that found nothing.
--               zero_result_share  zero_results divided by counted; NULL when nothing is counted.
--               clicked            Those after which a page was opened that is no result page of theirs, before anything
--                                  else was searched for. clicked_share: clicked divided by searches.
--               refined            Those not clicked after which something else was searched for.
--               left               Those not clicked and not refined: the session went nowhere from there.
--               converted          Those after which the session had a macro conversion. converted_share: of searches.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads all events, in time, of the visitors who searched in the period.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.searches AS
WITH
    text -> lowerUTF8(trimBoth(replaceRegexpAll(ifNull(text, ''), '\\s+', ' '))) AS normal,
    -- Cut and ordered as in sessions.
    searchers AS
    (
        SELECT
            visitor_id,
            arraySort(e -> e.2, groupArray((
                event_time,
                moment,
                event = 'page_view',
                if(event = 'page_view' OR event = 'search', path, ''),
                normal(if(event = 'search', property['query'], if(event = 'page_view', property['search_query'], NULL))),
                if(event = 'search', toInt64OrNull(property['results']), NULL),
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
                    AND event_time >= {since:DateTime64(3, 'UTC')}
                    AND event_time < {until:DateTime64(3, 'UTC')}
                    AND (event = 'search' OR event = 'page_view' AND ifNull(property['search_query'], '') != '')
            )
        GROUP BY visitor_id
    )
SELECT
    query,
    count() AS searches,
    uniqExact(visitor_id) AS visitors,
    countIf(isNotNull(found)) AS counted,
    if(counted = 0, NULL, quantileExactInclusiveIf(0.5)(ifNull(found, 0), isNotNull(found))) AS results,
    countIf(ifNull(found = 0, false)) AS zero_results,
    zero_results / nullIf(counted, 0) AS zero_result_share,
    countIf(is_clicked) AS clicked,
    clicked / searches AS clicked_share,
    countIf(NOT is_clicked AND is_followed) AS refined,
    countIf(NOT is_clicked AND NOT is_followed) AS left,
    countIf(is_converted) AS converted,
    converted / searches AS converted_share
FROM
(
    SELECT
        visitor_id,
        query,
        arrayFirst(e -> e.5 = query, visit) AS first_search,
        arrayFilter(e -> e.2 > first_search.2, visit) AS rest,
        -- What follows until something else is searched for.
        arrayFirstIndex(e -> e.5 NOT IN ('', query), rest) AS next_search,
        if(next_search = 0, rest, arraySlice(rest, 1, next_search - 1)) AS after,
        next_search > 0 AS is_followed,
        arrayMap(e -> e.4, arrayFilter(e -> e.5 = query, visit)) AS result_paths,
        arrayExists(e -> e.3 AND e.5 = '' AND NOT has(result_paths, e.4), after) AS is_clicked,
        arrayExists(e -> e.7, rest) AS is_converted,
        arrayMax(arrayMap(e -> ifNull(e.6, -1), arrayFilter(e -> e.5 = query, visit))) AS most,
        if(most < 0, NULL, most) AS found
    FROM (SELECT visitor_id, arrayJoin(visits) AS visit FROM searchers)
    ARRAY JOIN arrayFilter(query -> query != '', arrayDistinct(arrayMap(e -> e.5, visit))) AS query
)
WHERE first_search.1 >= {since:DateTime64(3, 'UTC')}
    AND first_search.1 < {until:DateTime64(3, 'UTC')}
GROUP BY query
ORDER BY searches DESC, query
