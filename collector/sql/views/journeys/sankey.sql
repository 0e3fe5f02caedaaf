-- sankey: from step to step, how many went where, and how many left.
--
-- Question    How does the stream of visits divide after a start, or come together before an end?
-- Parameters  As journeys; `depth` columns, from the start, or when it is negative up to the end.
--                 SELECT * FROM sankey(source_id = 'shop', start_event = '', end_event = '', goal = 'purchase',
--                     events = [], pages = ['1'], collapse = true, depth = 4, counted_by = 'session',
--                     since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per (step, from, to).
-- Reads       journey_steps
-- Definition  Of the journeys that `journeys` counts, each move from the step numbered `step` to the one after it:
--               step        1 is the first, or, counted from the end, -1 the last. Step 0 has what comes in from
--                           `(entrance)`, or from `(start)` when there is a start event; counted from the end, whoever
--                           had fewer steps comes in at the step before his first.
--               from        Where they were: a step, `(entrance)` or `(start)`.
--               to          Where they went next: a step, `(exit)` where the journey was over, `(end)` where the end
--                           event was next.
--               taken       How many went so. converted: those of them with a conversion.
--               share       taken divided by all that stood at `from` in this step.
--             So for every step but the outermost, what comes to a page is what goes on from it and what leaves there.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As journey_steps; memory for every different (step, from, to), not for every visit.
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.sankey AS
WITH
    if({start_event:String} = '', '(entrance)', '(start)') AS source,
    if({end_event:String} = '', '(exit)', '(end)') AS sink
SELECT
    move.1 AS step,
    move.2 AS `from`,
    move.3 AS `to`,
    count() AS taken,
    countIf(conversions > 0) AS converted,
    taken / sum(taken) OVER (PARTITION BY step, `from`) AS share
FROM
(
    SELECT
        conversions,
        arrayConcat([source], steps, [sink]) AS stops,
        -- The number of stops[1], the source.
        if({depth:Int8} > 0, 0, -1 - length(steps)) AS first_step,
        arrayMap(
            i -> (toInt32(first_step + i - 1), stops[i], stops[i + 1]),
            arrayFilter(
                i -> if({depth:Int8} > 0, i <= {depth:Int8}, first_step + i - 1 >= {depth:Int8}),
                arrayPopBack(arrayEnumerate(stops))
            )
        ) AS moves
    FROM {database}.journey_steps
    (
        source_id = {source_id:String},
        start_event = {start_event:String},
        end_event = {end_event:String},
        goal = {goal:String},
        events = {events:Array(String)},
        pages = {pages:Array(String)},
        collapse = {collapse:Bool},
        counted_by = {counted_by:String},
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')}
    )
    WHERE reached
        AND notEmpty(steps)
        AND NOT throwIf({depth:Int8} = 0, 'sankey: depth is 1 to 100 or -100 to -1; 0 shows no steps')
)
ARRAY JOIN moves AS move
GROUP BY step, `from`, `to`
ORDER BY step, taken DESC, `from`, `to`
