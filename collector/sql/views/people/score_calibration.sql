-- score_calibration: how well a score of the past foretold what happened then.
--
-- Question    May we trust this score: of those whom it gave 20%, did 20% do it?
-- Parameters  source_id      String.
--             score          String: 'purchase_propensity' (the person ordered) or 'churn_risk' (the person did not
--                            come back). Persons without the score are left out.
--             as_of          DateTime64(3): the score is computed from events before it.
--             horizon_days   UInt32: what happened is looked up in so many days from it on; at least 1.
--                 SELECT * FROM score_calibration(source_id = 'shop', score = 'purchase_propensity',
--                     as_of = now('UTC') - INTERVAL 14 DAY, horizon_days = 14)
-- Grain       One row per decile that has persons, 1 the lowest scores. Persons of one score are in one decile.
-- Reads       purchase_propensity, person_activity, person_events
-- Definition  decile      One plus ten times the share of persons with a lower score, rounded down.
--             persons     How many. lowest, highest, predicted: the smallest, largest and mean score.
--             happened    To how many it did happen. observed: happened divided by persons.
--             low, high   The 95% interval of what is behind `observed` (Wilson): `predicted` should lie within it in
--                         most deciles. churn_risk ranks persons; only a test like this makes it a probability.
--             lift        observed, divided by the same of all persons; NULL when it happened to nobody.
--             A horizon that is not over is refused: until the source has an event after it, too few have done it.
--             lowest, highest, predicted  The smallest, the largest and the mean score of the decile.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As the score, and the events of the horizon.
-- Test        tests/sql/test_segments.py
CREATE OR REPLACE VIEW {database}.score_calibration AS
WITH
    {as_of:DateTime64(3, 'UTC')} + toIntervalDay({horizon_days:UInt32}) AS end,
    1.959963984540054 AS z
SELECT
    decile,
    count() AS persons,
    min(score) AS lowest,
    max(score) AS highest,
    avg(score) AS predicted,
    countIf(has_happened) AS happened,
    happened / persons AS observed,
    (observed + z * z / 2 / persons - z * sqrt(observed * (1 - observed) / persons + z * z / 4 / persons / persons))
        / (1 + z * z / persons) AS low,
    (observed + z * z / 2 / persons + z * sqrt(observed * (1 - observed) / persons + z * z / 4 / persons / persons))
        / (1 + z * z / persons) AS high,
    observed / nullIf(any(happened_to_all) / any(all_persons), 0) AS lift
FROM
(
    SELECT
        scored.score AS score,
        if({score:String} = 'churn_risk', outcome.events = 0, outcome.orders > 0) AS has_happened,
        1 + intDiv(10 * (rank() OVER (ORDER BY scored.score) - 1), count() OVER ()) AS decile,
        count() OVER () AS all_persons,
        countIf(has_happened) OVER () AS happened_to_all
    FROM
    (
        SELECT person_id, propensity AS score
        FROM {database}.purchase_propensity
        (
            source_id = {source_id:String},
            as_of = {as_of:DateTime64(3, 'UTC')},
            horizon_days = {horizon_days:UInt32}
        )
        -- Any other word comes here, too, and is refused.
        WHERE {score:String} != 'churn_risk'
            AND NOT throwIf(
                {score:String} NOT IN ('purchase_propensity', 'churn_risk'),
                'score_calibration: score is purchase_propensity or churn_risk'
            )
        UNION ALL
        SELECT person_id, assumeNotNull(churn_risk) AS score
        FROM {database}.person_activity(source_id = {source_id:String}, as_of = {as_of:DateTime64(3, 'UTC')})
        WHERE {score:String} = 'churn_risk' AND churn_risk IS NOT NULL
    ) AS scored
    LEFT JOIN
    (
        SELECT person_id, count() AS events, countIf(conversion = 'macro') AS orders
        FROM {database}.person_events
        WHERE source_id = {source_id:String}
            AND event_time >= {as_of:DateTime64(3, 'UTC')}
            AND event_time < end
        GROUP BY person_id
    ) AS outcome ON scored.person_id = outcome.person_id
    WHERE NOT throwIf({horizon_days:UInt32} = 0, 'score_calibration: horizon_days must be at least 1')
        AND NOT throwIf(
            (SELECT max(event_time) FROM {database}.human_events WHERE source_id = {source_id:String}) < end,
            'score_calibration: the source has no event after the horizon yet; ask for an earlier as_of'
        )
)
GROUP BY decile
ORDER BY decile
