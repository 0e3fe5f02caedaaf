-- experiments: what each variant of an experiment brought, and whether that may be chance.
--
-- Question    Which variant is better, by how much, how sure is that, and was the assignment sound?
-- Parameters  source_id, exposure, variant, goal, currency, window_s, since, until, counted_by   As experiment_units.
--             control     String: the variant that the others are compared with.
--             shares      Map(String, Float64): what share each variant is meant to have, as weights; map() for equal ones.
--                 SELECT * FROM experiments(source_id = 'shop', exposure = '* & experiment_id=checkout',
--                     variant = 'variant', goal = 'purchase', currency = 'EUR', window_s = 7 * 86400,
--                     since = '2026-10-01', until = '2026-10-29', counted_by = 'person', control = 'old',
--                     shares = map('old', 0.5, 'new', 0.5))
--             With Segment's events: exposure = 'experiment_viewed & experiment_name=checkout', variant = 'variation_name'.
-- Grain       One row per variant that was seen, or that is in shares.
-- Reads       experiment_units
-- Definition  exposed       Visitors or persons whose first exposure is to this variant, and who saw no other.
--             excluded      Those who saw this variant and another one. They are in no other figure.
--             converted     Exposed who converted after it. rate: their share; low, high: its 95% interval by Wilson.
--             difference    rate less that of control; difference_low, difference_high: its 95% interval by Newcombe.
--                           lift: difference divided by control's rate. z, p: the z-test of two shares, with their common
--                           variance. It is not proportionsZTest, which has no answer when one of them is 0.
--             mean_value    Sum of value divided by exposed, who need not have converted. value_difference: less that of
--                           control; value_low, value_high: its 95% interval; t, value_p: Welch's t-test. value_p_equal:
--                           Student's, which takes both variances for equal.
--             other_currencies   Conversions with a value in another currency than `currency`: not in mean_value.
--             expected      How many of all exposed it should be by shares. ratio_chi2, ratio_p: Pearson's test of all
--                           variants together, the same in each row. Below 0.001 the assignment or the measurement is
--                           broken (is_ratio_broken): then do not read on. A variant with a share of 0 makes it 0.
--             NULL is what is not known: what control is compared with itself, a share of nobody, a test without variance.
--             p is two-sided and not adjusted: of 20 variants or looks that differ in nothing one has p below 0.05.
--             variant  The value of the property that names the variant.
--             is_ratio_broken  Whether ratio_p is below 0.001.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As experiment_units.
-- Test        tests/sql/test_experiments.py
CREATE OR REPLACE VIEW {database}.experiments AS
WITH
    1.959963984540054 AS quantile_,
    (hits, n, side) -> multiIf(
        n = 0, NULL,
        hits = 0 AND side < 0, 0,
        hits = n AND side > 0, 1,
        (hits + quantile_ * quantile_ / 2
            + side * quantile_ * sqrt(hits * (n - hits) / n + quantile_ * quantile_ / 4)) / (n + quantile_ * quantile_)
    ) AS wilson,
    x -> if(isFinite(x), x, NULL) AS if_known,
    (hits, n, other_hits, other_n) -> (hits / nullIf(n, 0) - other_hits / nullIf(other_n, 0)) / sqrt(
        nullIf(toFloat64(hits + other_hits) * (n + other_n - hits - other_hits), 0) / (n + other_n) / n / other_n
    ) AS z_of,
    -- The chance of more than chi2, as the finite sum that it is for whole degrees of freedom.
    (chi2, degrees) -> if(degrees % 2 = 1, erfc(sqrt(chi2 / 2)), 0) + arraySum(
        k -> exp(-chi2 / 2) * pow(chi2 / 2, k) / tgamma(k + 1),
        arrayMap(i -> i + degrees % 2 / 2, range(toUInt32(intDiv(degrees, 2))))
    ) AS chi2_tail
SELECT
    variant,
    exposed,
    excluded,
    converted,
    converted / nullIf(exposed, 0) AS rate,
    wilson(converted, exposed, -1) AS low,
    wilson(converted, exposed, 1) AS high,
    conversions,
    if(variant = {control:String}, NULL, rate - control_rate) AS difference,
    difference - sqrt(pow(rate - low, 2) + pow(wilson(control_converted, control_exposed, 1) - control_rate, 2))
        AS difference_low,
    difference + sqrt(pow(high - rate, 2) + pow(control_rate - wilson(control_converted, control_exposed, -1), 2))
        AS difference_high,
    difference / nullIf(control_rate, 0) AS lift,
    if(variant = {control:String}, NULL, z_of(converted, exposed, control_converted, control_exposed)) AS z,
    erfc(abs(z) / sqrt(2)) AS p,
    value_sum / nullIf(exposed, 0) AS mean_value,
    if(variant = {control:String}, NULL, mean_value - control_mean) AS value_difference,
    if_known(welch.3) AS value_low,
    if_known(welch.4) AS value_high,
    if_known(welch.1) AS t,
    if_known(welch.2) AS value_p,
    if_known(student.2) AS value_p_equal,
    other_currencies,
    expected,
    if(degrees < 1 OR exposed_in_all = 0 OR is_impossible, NULL, chi2) AS ratio_chi2,
    multiIf(
        degrees < 1 OR exposed_in_all = 0, NULL,
        is_impossible, 0,
        chi2_tail(chi2, degrees)
    ) AS ratio_p,
    ratio_p < 0.001 AS is_ratio_broken
FROM
(
    SELECT
        *,
        control_converted / nullIf(control_exposed, 0) AS control_rate,
        control_value / nullIf(control_exposed, 0) AS control_mean,
        sum(if(share > 0, pow(exposed - expected, 2) / expected, 0)) OVER () AS chi2
    FROM
    (
        SELECT
            *,
            anyIf(exposed, variant = {control:String}) OVER () AS control_exposed,
            anyIf(converted, variant = {control:String}) OVER () AS control_converted,
            anyIf(value_sum, variant = {control:String}) OVER () AS control_value,
            if(empty({shares:Map(String, Float64)}), 1, {shares:Map(String, Float64)}[variant]) AS share,
            sum(exposed) OVER () AS exposed_in_all,
            exposed_in_all * share / sum(share) OVER () AS expected,
            toInt32(countIf(share > 0) OVER ()) - 1 AS degrees,
            countIf(share = 0 AND exposed > 0) OVER () > 0 AS is_impossible
        FROM
        (
            SELECT
                compared.1 AS variant,
                countIf(compared.2 = 0) AS exposed,
                countIf(compared.2 = 2) AS excluded,
                countIf(compared.2 = 0 AND did_convert) AS converted,
                sumIf(conversions_, compared.2 = 0) AS conversions,
                sumIf(value_, compared.2 = 0) AS value_sum,
                sumIf(other_currencies_, compared.2 = 0) AS other_currencies,
                welchTTestIf(0.95)(value_, compared.2, compared.3) AS welch,
                studentTTestIf(0.95)(value_, compared.2, compared.3) AS student
            FROM
            (
                WITH
                    -- The t-tests fail, and with them the query, where neither side varies.
                    other -> other != {control:String} AND (
                        least[other] < most[other] OR least[{control:String}] < most[{control:String}]
                    ) AS is_testable
                SELECT
                    converted_at IS NOT NULL AS did_convert,
                    conversions AS conversions_,
                    toFloat64(value) AS value_,
                    other_currencies AS other_currencies_,
                    variants,
                    groupUniqArrayArray(variants) OVER () AS all_variants,
                    NOT is_named_only AND length(variants) = 1 AS is_sound,
                    minMapIf(map(variants[1], value_), is_sound) OVER () AS least,
                    maxMapIf(map(variants[1], value_), is_sound) OVER () AS most,
                    -- For which variant a row counts; how: 0 as its own, 1 as control's, 2 as excluded, 3 not at all;
                    -- and whether it counts in the t-tests.
                    multiIf(
                        is_named_only, [(variants[1], 3, false)],
                        length(variants) > 1, arrayMap(seen -> (seen, 2, false), variants),
                        variants[1] != {control:String}, [(variants[1], 0, is_testable(variants[1]))],
                        arrayMap(
                            other -> (other, if(other = {control:String}, 0, 1), is_testable(other)),
                            all_variants
                        )
                    ) AS comparisons
                FROM
                (
                    SELECT variants, converted_at, conversions, value, other_currencies, false AS is_named_only
                    FROM {database}.experiment_units
                    (
                        source_id = {source_id:String}, exposure = {exposure:String}, variant = {variant:String},
                        goal = {goal:String}, currency = {currency:String}, window_s = {window_s:UInt32},
                        since = {since:DateTime64(3, 'UTC')}, until = {until:DateTime64(3, 'UTC')},
                        counted_by = {counted_by:String}
                    )
                    UNION ALL
                    SELECT [arrayJoin(mapKeys({shares:Map(String, Float64)}))], NULL, 0, 0, 0, true
                )
                WHERE NOT throwIf(
                    notEmpty({shares:Map(String, Float64)}) AND (
                        arrayExists(share -> share < 0, mapValues({shares:Map(String, Float64)}))
                        OR arraySum(mapValues({shares:Map(String, Float64)})) = 0
                    ),
                    'experiments: shares must not be negative, and not all 0'
                )
            )
            ARRAY JOIN comparisons AS compared
            GROUP BY variant
        )
    )
)
ORDER BY variant
