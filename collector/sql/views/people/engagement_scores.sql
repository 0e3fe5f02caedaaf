-- engagement_scores: how engaged each person is, among all persons of the source.
--
-- Question    Who uses us most, lately? Who has cooled down?
-- Parameters  source_id       String.
--             as_of           DateTime64(3): only events before it, so that scores of two moments can be compared.
--             lookback_days   UInt32: and only those of so many days before it; five half-lives leave out 3% of all.
--             half_life_days  Float64: in so many days what was done loses half of its weight; 14 suits most.
--                 SELECT * FROM engagement_scores(source_id = 'shop', as_of = now('UTC'), lookback_days = 70,
--                     half_life_days = 14) ORDER BY score DESC
-- Grain       One row per person with an event in the look-back.
-- Reads       person_events, person_sessions
-- Definition  A day that is n days before the day of as_of (UTC) has the weight 2 ^ (-n / half_life_days).
--               active_days   Sum of the weights of the days with an event.
--               sessions      Sum of the weights of the visits, by the day on which they began.
--               depth         Events per visit, each visit by its weight; 0 when none began in the look-back.
--               breadth       Each different thing done (an event's name, a page view's path) by the weight of the last
--                             day on which it was done, summed.
--               score         0 to 100: the mean of the four percentiles. A percentile is the share of persons with
--                             less, and half of those with as much, the person included.
-- Exact       Yes; the four sums are rounded to 9 digits, so that equal persons tie whatever the order of addition.
-- Time        event_time, UTC.
-- Cost        Events of the look-back once, with their paths; person_sessions over the whole history of the source.
-- Test        tests/sql/test_segments.py
CREATE OR REPLACE VIEW {database}.engagement_scores AS
WITH
    {as_of:DateTime64(3, 'UTC')} - toIntervalDay({lookback_days:UInt32}) AS since,
    day -> exp2(-(toDate({as_of:DateTime64(3, 'UTC')}) - day) / {half_life_days:Float64}) AS weight_of
SELECT
    person_id,
    active_days,
    sessions,
    depth,
    breadth,
    -- rank() - 1 have less, and the count up to here has less or as much: their mean is the middle of those that tie.
    100 / 8 / persons * (
        rank() OVER (ORDER BY active_days) - 1 + count() OVER (ORDER BY active_days)
        + rank() OVER (ORDER BY sessions) - 1 + count() OVER (ORDER BY sessions)
        + rank() OVER (ORDER BY depth) - 1 + count() OVER (ORDER BY depth)
        + rank() OVER (ORDER BY breadth) - 1 + count() OVER (ORDER BY breadth)
    ) AS score
FROM
(
    SELECT
        did.person_id AS person_id,
        did.active_days AS active_days,
        did.breadth AS breadth,
        round(visits.weight, 9) AS sessions,
        if(visits.weight = 0, 0, round(visits.weighted_events / visits.weight, 9)) AS depth,
        count() OVER () AS persons
    FROM
    (
        SELECT
            person_id,
            round(arraySum(day -> weight_of(day), groupUniqArray(toDate(event_time))), 9) AS active_days,
            maxMap(map(
                if(event = 'page_view', concat('page_view ', path), event::String),
                toDate(event_time)
            )) AS last_done,
            round(arraySum(day -> weight_of(day), mapValues(last_done)), 9) AS breadth
        FROM {database}.person_events
        WHERE source_id = {source_id:String} AND event_time >= since AND event_time < {as_of:DateTime64(3, 'UTC')}
            AND NOT throwIf(NOT {half_life_days:Float64} > 0, 'engagement_scores: half_life_days must be more than 0')
        GROUP BY person_id
    ) AS did
    LEFT JOIN
    (
        SELECT
            person_id,
            sum(weight_of(toDate(started_at))) AS weight,
            sum(events * weight_of(toDate(started_at))) AS weighted_events
        FROM {database}.person_sessions
        WHERE source_id = {source_id:String} AND started_at >= since AND started_at < {as_of:DateTime64(3, 'UTC')}
        GROUP BY person_id
    ) AS visits ON did.person_id = visits.person_id
)
