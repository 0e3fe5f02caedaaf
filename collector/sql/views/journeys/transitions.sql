-- transitions: how often a visit went from one page to the next.
--
-- Question    Where do people go from a page, and where did they come from?
-- Grain       One row per (source_id, from, to).
-- Reads       sessions
-- Definition  Every page view is one move to it from the page view before it in the session, or from `(entrance)`; the
--             session's last page view is also one move to `(exit)`. A page viewed twice in a row is a move to itself.
--             count: moves. sessions: sessions with that move. share: count divided by all moves from that page.
--             So for every page, moves in = moves out = page views, and entrances = exits = sessions with page views.
--             from, to  Path of the page before and of the page after; `(entrance)` and `(exit)` for none.
-- Exact       Yes: sessions are counted, not estimated.
-- Time        All time. For a period, run this SELECT over sessions with a filter on started_at.
-- Cost        As sessions. Filter on source_id.
-- Test        tests/sql/transitions/
CREATE OR REPLACE VIEW {database}.transitions AS
SELECT
    source_id,
    move.1 AS `from`,
    move.2 AS `to`,
    count() AS `count`,
    uniqExact(session_id) AS sessions,
    `count` / sum(`count`) OVER (PARTITION BY source_id, `from`) AS share
FROM {database}.sessions AS session
ARRAY JOIN arrayZip(arrayPushFront(page_paths, '(entrance)'), arrayPushBack(page_paths, '(exit)')) AS move
WHERE session.pageviews > 0
GROUP BY source_id, `from`, `to`
