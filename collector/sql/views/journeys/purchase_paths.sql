-- purchase_paths: the most popular ways to a conversion.
--
-- Question    What do people look at before they buy, how many go each way, and how long does it take?
-- Parameters  goal        String: the condition that a conversion meets, written as step_events says.
--             depth       UInt8: the last so many steps before it, 1 to 100.
--             source_id, events, pages, collapse, counted_by, since, until   As journey_steps. A way of a
--                         'visitor' or 'person' goes through several visits.
--                 SELECT * FROM purchase_paths(source_id = 'shop', goal = 'purchase', depth = 5, events = [],
--                     pages = [], collapse = true, counted_by = 'person', since = '2026-11-01', until = '2026-12-01')
--                     LIMIT 20
-- Grain       One row per steps.
-- Reads       journeys
-- Definition  The steps up to the first conversion of each session, visitor or person; who bought without a step before
--             is in no row.
--               rank        1 for the most popular; equal numbers have the same rank.
--               steps       The last steps before it, `depth` or fewer.
--               buyers      How many went so. share: buyers divided by those of all ways.
--               conversions   Those that they had, the first and all that followed it.
--               revenue     Sum of the conversions' values. currency: theirs, `mixed` when they have more than one:
--                           then revenue is no amount.
--               median_ms   Milliseconds from the first of these steps to the last.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As journeys.
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.purchase_paths AS
SELECT
    rank() OVER (ORDER BY taken DESC) AS rank,
    steps,
    taken AS buyers,
    share,
    conversions,
    revenue,
    currency,
    median_ms
FROM {database}.journeys
(
    source_id = {source_id:String},
    start_event = '',
    end_event = {goal:String},
    goal = {goal:String},
    events = {events:Array(String)},
    pages = {pages:Array(String)},
    collapse = {collapse:Bool},
    depth = -toInt8({depth:UInt8}),
    counted_by = {counted_by:String},
    since = {since:DateTime64(3, 'UTC')},
    until = {until:DateTime64(3, 'UTC')}
)
ORDER BY rank, steps
