-- attribution_markov: what would be lost without a touch, by a Markov chain.
--
-- Question    How many conversions would not have come about if this channel, campaign or page had not been there?
-- Parameters  As conversion_paths.
--                 SELECT * FROM attribution_markov(source_id = 'shop', goal = 'purchase', touch = 'channel',
--                     lookback_days = 30, since = '2026-11-01', until = '2026-12-01', counted_by = 'person')
-- Grain       One row per (touch, currency); a currency is that of conversions.
-- Reads       conversion_paths
-- Definition  The paths of conversion_paths, with and without a conversion, are walks from a start over touches to
--             `conversion` or `lost`. A move from one state to another is as probable as it is frequent among those
--             from that state. (First order: where a walk goes next depends on where it is, not on how it came there.)
--               touch            What gets the credit: the channel, campaign or page.
--               removal_effect   The share of the probability of a conversion that is gone when every walk that comes
--                                to the touch is lost. Of the closed form: the probability of coming there, times that
--                                of a conversion from there, divided by that from the start.
--               conversions      All conversions, divided in proportion to removal_effect. revenue: the sum of their
--                                values, divided likewise. currency: of these values.
-- Exact       Yes, but for the rounding of floating-point numbers: one inversion of a matrix, no simulation and no
--             iteration; credits add up to the conversions to 1e-9. At most 100 different touches: its work grows with
--             their number to the third power.
-- Time        event_time, UTC.
-- Cost        As conversion_paths.
-- Test        tests/sql/test_attribution_models.py
CREATE OR REPLACE VIEW {database}.attribution_markov AS
WITH
    -- Moves between states, and as a row of its own what the conversions of each currency were.
    moves AS
    (
        SELECT
            move.1 AS source,
            move.2 AS target,
            count() AS n,
            toFloat64(sum(move.3)) AS value
        FROM
        (
            SELECT
                arrayConcat(
                    [('start', '')],
                    arrayMap(touch -> ('touch', touch.3), touches),
                    [(if(converted, 'conversion', 'lost'), '')]
                ) AS states,
                arrayConcat(
                    arrayMap(
                        i -> (states[i], states[i + 1], 0::Decimal(18, 4)),
                        arrayPopBack(arrayEnumerate(states))
                    ),
                    if(converted, [(('currency', currency), ('', ''), value)], [])
                ) AS path_moves
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
        )
        ARRAY JOIN path_moves AS move
        GROUP BY source, target
    )
SELECT
    effect.1 AS touch,
    total.1 AS currency,
    effect.2 AS removal_effect,
    total.2 * effect.2 / all_effects AS conversions,
    total.3 * effect.2 / all_effects AS revenue
FROM
(
    SELECT
        totals,
        arrayZip(names, effects) AS touches_,
        arraySum(effects) AS all_effects
    FROM
    (
        SELECT
            totals,
            names,
            arrayMap(
                (f, h) -> f * h / arraySum((p, from_there) -> p * from_there, from_start, converting),
                coming,
                converting
            ) AS effects
        FROM
        (
            -- Of each touch: how probable a conversion is from it, and how probable it is to be come to at all.
            SELECT
                totals,
                names,
                from_start,
                arrayMap(row -> arraySum((stay, p) -> stay * p[-1], row, from_touches), stays) AS converting,
                arrayMap(
                    (row, j) -> arraySum((p, other) -> p * other[j], from_start, stays) / row[j],
                    stays,
                    arrayEnumerate(names)
                ) AS coming
            FROM
            (
                SELECT
                    totals,
                    names,
                    arrayPopBack(probabilities[1]) AS from_start,
                    arrayPopFront(probabilities) AS from_touches,
                    -- Gauss and Jordan in place, a pivot at a time: (1 - probabilities) becomes its inverse, whose
                    -- element (i, j) is how often a walk from i stands at j. No pivot is near 0: from every touch
                    -- walks end.
                    arrayFold(
                        (matrix, pivot) -> arrayMap(
                            (row, i) -> arrayMap(
                                (x, above, j) -> multiIf(
                                    i = pivot AND j = pivot, 1 / x,
                                    i = pivot, x / row[pivot],
                                    j = pivot, -x / above,
                                    x - row[pivot] * above / matrix[pivot][pivot]
                                ),
                                row,
                                matrix[pivot],
                                arrayEnumerate(row)
                            ),
                            matrix,
                            arrayEnumerate(matrix)
                        ),
                        arrayEnumerate(names),
                        arrayMap(
                            (row, i) -> arrayMap(
                                (p, j) -> toFloat64(i = j) - p,
                                arrayPopBack(row),
                                arrayEnumerate(names)
                            ),
                            from_touches,
                            arrayEnumerate(names)
                        )
                    ) AS stays
                FROM
                (
                    -- Of each state, start first: the probabilities of going to each touch, and last to a conversion.
                    SELECT
                        totals,
                        names,
                        arrayMap(
                            from_here -> arrayMap(
                                goes_to -> arraySum(c -> if(c.2 = goes_to, c.3, 0), from_here)
                                    / arraySum(c -> c.3, from_here),
                                arrayPushBack(arrayMap(name -> ('touch', name), names), ('conversion', ''))
                            ),
                            arrayMap(
                                state -> arrayFilter(c -> c.1 = state, counts),
                                arrayPushFront(arrayMap(name -> ('touch', name), names), ('start', ''))
                            )
                        ) AS probabilities
                    FROM
                    (
                        SELECT
                            counts,
                            totals,
                            arraySort(arrayDistinct(arrayMap(
                                c -> c.1.2,
                                arrayFilter(c -> c.1.1 = 'touch', counts)
                            ))) AS names
                        FROM
                        (
                            SELECT
                                groupArrayIf((source, target, n), source.1 != 'currency') AS counts,
                                groupArrayIf((source.2, n, value), source.1 = 'currency') AS totals
                            FROM moves
                        )
                    )
                    WHERE notEmpty(totals)
                        AND NOT throwIf(
                            length(names) > 100,
                            'attribution_markov: more than 100 different touches, the limit; take a coarser touch'
                        )
                )
            )
        )
    )
)
ARRAY JOIN touches_ AS effect
ARRAY JOIN totals AS total
ORDER BY conversions DESC, touch, currency
