-- journeys: the ways that are taken, most frequent first, and what each of them brings.
--
-- Question    Which ways do visits take from an event or page on, up to it, or between two; and which of them convert?
-- Parameters  As journey_steps, and
--             depth       Int8: 5 for the first five steps of each journey, -5 for the last five; at most 100.
--                 SELECT * FROM journeys(source_id = 'shop', start_event = '', end_event = 'purchase',
--                     goal = 'purchase', events = ['add_to_cart'], pages = ['product=/product/*'], collapse = true,
--                     depth = -5, counted_by = 'session', since = '2026-11-01', until = '2026-12-01') LIMIT 20
-- Grain       One row per steps.
-- Reads       journey_steps
-- Definition  Of sessions (or visitors, persons) that had the start event and after it the end event, and at least one
--             step between:
--               steps            The first or last `depth` steps of the journey, or all of a shorter one.
--               taken            How many went so. share: taken divided by all journeys.
--               converted        Those of them with a conversion, from the start event on. conversion_rate: converted
--                                divided by taken. conversions: those that they had.
--               revenue          Sum of the conversions' values. currency: theirs, `mixed` when they have more than
--                                one: then revenue is no amount.
--               median_ms        Milliseconds from the first to the last of these steps.
-- Exact       Yes: quantileExactLow, a time that somebody took.
-- Time        event_time, UTC.
-- Cost        As journey_steps, and memory for every different way.
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.journeys AS
SELECT
    steps,
    count() AS taken,
    taken / sum(taken) OVER () AS share,
    countIf(conversions_ > 0) AS converted,
    converted / taken AS conversion_rate,
    sum(conversions_) AS conversions,
    sum(revenue_) AS revenue,
    if(uniqExactIf(currency_, conversions_ > 0) > 1, 'mixed', maxIf(currency_, conversions_ > 0)) AS currency,
    quantileExactLow(0.5)(duration_ms) AS median_ms
FROM
(
    SELECT
        arraySlice(journey_.steps, least({depth:Int8}, 1), abs({depth:Int8})) AS steps,
        arraySlice(step_times, least({depth:Int8}, 1), abs({depth:Int8})) AS times,
        dateDiff('millisecond', times[1], times[-1]) AS duration_ms,
        conversions AS conversions_,
        revenue AS revenue_,
        currency AS currency_
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
    ) AS journey_
    WHERE reached
        AND notEmpty(journey_.steps)
        AND NOT throwIf({depth:Int8} = 0, 'journeys: depth is 1 to 100 or -100 to -1; 0 shows no steps')
)
GROUP BY steps
ORDER BY taken DESC, steps
