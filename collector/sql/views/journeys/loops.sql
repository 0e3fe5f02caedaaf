-- loops: where visits go back and forth, or see the same page again.
--
-- Question    Which pages do people come back to within a visit, because they did not find there what came next?
-- Parameters  source_id, events, pages, goal, counted_by, since, until   As journey_steps.
--                 SELECT * FROM loops(source_id = 'shop', events = [], pages = [], goal = 'purchase',
--                     counted_by = 'session', since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per (kind, page, through).
-- Reads       journey_steps
-- Definition  kind       'repeat'          the page again, right after itself: a reload, or the same group of pages;
--                        'back_and_forth'  the page, one other page, and the page again;
--                        'return'          the page again after two or more steps that were others.
--             page       The page that was seen again, or one of `events`.
--             through    The other page of back_and_forth, otherwise ''. For 'back_and_forth' and 'return' a page that
--                        repeats is one step.
--             count      How often that happened. sessions: in how many sessions (or visitors, persons).
--             share      sessions divided by all that had the page.
--             converted  Those of these sessions with a conversion. conversion_rate: converted divided by sessions.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As journey_steps; memory for every different loop, not for every visit.
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.loops AS
SELECT *
FROM
(
    SELECT
        (loop.1).1 AS kind,
        (loop.1).2 AS page,
        (loop.1).3 AS through,
        sum(loop.2) AS `count`,
        count() AS sessions,
        sessions / max(if(kind = '', sessions, 0)) OVER (PARTITION BY page) AS share,
        countIf(conversions > 0) AS converted,
        converted / sessions AS conversion_rate
    FROM
    (
        SELECT
            conversions,
            arrayCompact(steps) AS stops,
            arrayEnumerateUniq(stops) AS times_seen,
            arrayConcat(
                -- Kind '': that the page was there at all.
                arrayMap(page -> ('', page, ''), arrayDistinct(steps)),
                arrayMap(
                    i -> ('repeat', steps[i], ''),
                    arrayFilter(i -> i > 1 AND steps[i] = steps[i - 1], arrayEnumerate(steps))
                ),
                arrayMap(
                    i -> if(
                        stops[i] = stops[i - 2],
                        ('back_and_forth', stops[i], stops[i - 1]),
                        ('return', stops[i], '')
                    ),
                    arrayFilter(i -> times_seen[i] > 1, arrayEnumerate(stops))
                )
            ) AS found,
            arrayMap(one -> (one, countEqual(found, one)), arrayDistinct(found)) AS loops
        FROM {database}.journey_steps
        (
            source_id = {source_id:String},
            start_event = '',
            end_event = '',
            goal = {goal:String},
            events = {events:Array(String)},
            pages = {pages:Array(String)},
            collapse = false,
            counted_by = {counted_by:String},
            since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')}
        )
    )
    ARRAY JOIN loops AS loop
    GROUP BY kind, page, through
)
WHERE kind != ''
ORDER BY `count` DESC, kind, page, through
