-- attribution_shapley: what a touch adds to the touches it comes together with, fairly divided.
--
-- Question    Which share of the conversions is due to each channel, whatever the order of the visits?
-- Parameters  As conversion_paths, and
--             worth       String: what touches are worth together:
--                           'conversions'   the conversions whose paths have no other touches;
--                           'rate'          the share of those paths that have a conversion, times the number of all
--                                           paths. This compares with those who were lost, and may be negative.
--                 SELECT * FROM attribution_shapley(source_id = 'shop', goal = 'purchase', touch = 'channel',
--                     worth = 'rate', lookback_days = 30, since = '2026-11-01', until = '2026-12-01',
--                     counted_by = 'person')
-- Grain       One row per (touch, currency); a currency is that of conversions.
-- Reads       conversion_paths
-- Definition  The Shapley value: what a touch adds to the worth of those before it, on average over all orders in which
--             all touches could come together. A path counts by the set of its touches.
--               touch         What gets the credit: the channel, campaign or page.
--               conversions   Its Shapley value; those of all touches add up to the conversions.
--               revenue       With 'conversions' the Shapley value of their values, with 'rate' in proportion to
--                             conversions.
--               currency      Of the conversions' values.
-- Exact       Yes, over all coalitions. With 'conversions' the sum over them has a closed form, for any number of
--             touches: each conversion is shared equally among the different touches of its path. With 'rate' it is
--             computed over all 2^n coalitions, for at most 12 different touches.
-- Time        event_time, UTC.
-- Cost        As conversion_paths. With 'rate' and 12 touches 4,096 coalitions times as many different paths as there
--             are.
-- Test        tests/sql/test_attribution_models.py
CREATE OR REPLACE VIEW {database}.attribution_shapley AS
WITH
    paths AS
    (
        SELECT
            arraySort(arrayDistinct(arrayMap(touch -> touch.3, touches))) AS members,
            converted,
            currency,
            count() AS n,
            toFloat64(sum(value)) AS revenue
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
        WHERE NOT throwIf(
            {worth:String} NOT IN ('conversions', 'rate'),
            'attribution_shapley: worth is conversions or rate'
        )
        GROUP BY members, converted, currency
    ),
    game AS
    (
        SELECT
            groupArray((members, converted, currency, n, revenue)) AS groups,
            arraySort(arrayDistinct(arrayFlatten(arrayMap(g -> g.1, groups)))) AS players,
            length(players) AS n_players,
            arrayFilter(g -> g.2, groups) AS successes,
            arraySum(g -> g.4, successes) AS conversions_in_all,
            arrayDistinct(arrayMap(g -> g.3, successes)) AS currencies,
            -- A coalition is a number, and a player a bit of it. None are asked for with 'conversions'.
            if({worth:String} = 'rate', range(bitShiftLeft(1::UInt32, least(n_players, 12))), []) AS coalitions,
            arrayMap(
                g -> arraySum(player -> bitShiftLeft(1::UInt32, indexOf(players, player) - 1), g.1),
                groups
            ) AS sets,
            arrayMap(g -> if(g.2, g.4, 0), groups) AS converted_,
            arrayMap(g -> g.4, groups) AS all_,
            arrayMap(
                coalition -> arraySum((s, n) -> if(bitAnd(s, coalition) = s, n, 0), sets, converted_)
                    / greatest(1, arraySum((s, n) -> if(bitAnd(s, coalition) = s, n, 0), sets, all_))
                    * arraySum(all_),
                coalitions
            ) AS worths,
            -- How many coalitions there are of each size, from 0.
            arrayMap(
                size -> arrayProduct(arrayPushFront(arrayMap(i -> (n_players - size + i) / i, range(1, size + 1)), 1.)),
                range(n_players + 1)
            ) AS of_size,
            -- A coalition's worth counts for its members, and against the others, by how many orders it begins.
            arrayMap(
                (player, i) -> arraySum(
                    (coalition, worth) -> worth / of_size[bitCount(coalition) + 1]
                        * if(
                            bitTest(coalition, i - 1),
                            1 / bitCount(coalition),
                            -1 / (n_players - bitCount(coalition))
                        ),
                    coalitions,
                    worths
                ) / conversions_in_all,
                players,
                arrayEnumerate(players)
            ) AS shares
        FROM paths
        HAVING notEmpty(successes)
            AND NOT throwIf(
                {worth:String} = 'rate' AND n_players > 12,
                'attribution_shapley: more than 12 different touches; take worth = conversions, or a coarser touch'
            )
    )
SELECT
    touch,
    currency,
    if(
        {worth:String} = 'rate',
        arraySum(g -> g.4, own) * share,
        arraySum(g -> if(has(g.1, touch), g.4 / length(g.1), 0), own)
    ) AS conversions,
    if(
        {worth:String} = 'rate',
        arraySum(g -> g.5, own) * share,
        arraySum(g -> if(has(g.1, touch), g.5 / length(g.1), 0), own)
    ) AS revenue
FROM
(
    SELECT
        player.1 AS touch,
        player.2 AS share,
        currency,
        arrayFilter(g -> g.3 = currency, successes) AS own
    FROM game
    ARRAY JOIN arrayZip(players, shares) AS player
    ARRAY JOIN currencies AS currency
)
ORDER BY conversions DESC, touch, currency
