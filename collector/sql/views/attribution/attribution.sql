-- attribution: which visits brought the conversions, by six models.
--
-- Question    Which channels, campaigns, referrers or entry pages deserve the credit, and how much does that depend on
--             the model?
-- Parameters  As conversion_paths, and
--             half_life_days   Float64: in which a visit's weight halves, for time_decay.
--                 SELECT * FROM attribution(source_id = 'shop', goal = 'purchase', touch = 'channel',
--                     lookback_days = 30, half_life_days = 7, since = '2026-11-01', until = '2026-12-01',
--                     counted_by = 'person')
-- Grain       One row per (model, touch, currency).
-- Reads       conversion_paths
-- Definition  model       A conversion's credit of 1, and its value, are divided among its touches, as conversion_paths
--                         defines them:
--               first, last        All to the first or last touch.
--               last_non_direct    All to the last that is not `direct`; to the last when all are.
--               linear             To each the same.
--               position           0.4 to the first and to the last, 0.2 among the others; halves for two.
--               time_decay         By 2 to the power of -(age in half-lives).
--             touch       What gets the credit: the channel, campaign or page.
--             conversions   The sum of credits. revenue: the sum of values, in currency.
--             currency    Of the conversions' values.
-- Exact       Yes, but for the rounding of floating-point sums: credits add up to the conversions to 1e-9.
-- Time        event_time, UTC.
-- Cost        As conversion_paths.
-- Test        tests/sql/test_attribution.py
CREATE OR REPLACE VIEW {database}.attribution AS
SELECT
    share.1 AS model,
    (credit.1).3 AS touch,
    currency,
    sum(credit.2) AS conversions,
    sum(credit.2 * toFloat64(value)) AS revenue
FROM
(
    SELECT
        value,
        currency,
        touches,
        [
            ('first', arrayMap(i -> toFloat64(i = 1), places)),
            ('last', arrayMap(i -> toFloat64(i = n), places)),
            ('last_non_direct', arrayMap(i -> toFloat64(i = if(last_named = 0, n, last_named)), places)),
            ('linear', arrayMap(i -> 1 / n, places)),
            ('position', arrayMap(i -> multiIf(n = 1, 1., n = 2, 0.5, i IN (1, n), 0.4, 0.2 / (n - 2)), places)),
            ('time_decay', arrayMap(weight -> weight / all_weights, weights))
        ] AS models
    FROM
    (
        SELECT
            *,
            length(touches) AS n,
            arrayEnumerate(touches) AS places,
            arrayLastIndex(touch -> NOT touch.4, touches) AS last_named,
            arraySum(weights) AS all_weights
        FROM
        (
            SELECT
                value,
                currency,
                touches,
                arrayMap(
                    touch -> exp2(
                        -dateDiff('millisecond', touch.1, event_time) / ({half_life_days:Float64} * 86400000)
                    ),
                    touches
                ) AS weights
            FROM {database}.conversion_paths
            (
                source_id = {source_id:String},
                goal = {goal:String},
                touch = {touch:String},
                lookback_days = {lookback_days:UInt32},
                since = {since:DateTime64(3, 'UTC')},
                until = {until:DateTime64(3, 'UTC')},
                counted_by = {counted_by:String}
            )
            WHERE converted
                AND NOT throwIf({half_life_days:Float64} <= 0, 'attribution: half_life_days must be more than 0')
        )
    )
)
ARRAY JOIN models AS share
ARRAY JOIN arrayZip(touches, share.2) AS credit
WHERE credit.2 > 0
GROUP BY model, touch, currency
ORDER BY model, conversions DESC, touch, currency
