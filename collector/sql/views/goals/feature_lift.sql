-- feature_lift: who uses a feature, do more of them convert, or come back, than of the others?
--
-- Question    Which features go along with conversion or retention, by how much, and how sure is that?
-- Parameters  source_id   String.
--             features    Array(String): up to 1,000 conditions, written as step_events says: what counts as use.
--             goal        String: the condition that the outcome meets; '*' for coming back at all.
--             outcome     String: 'conversion' leaves out whoever had reached the goal before use was looked at;
--                         'retention' does not.
--             try_s       UInt32: seconds after the first event in which use is looked at; at least 1.
--             window_s    UInt32: seconds after that in which the goal is looked for; at least 1.
--             since, until   DateTime64(3): first events from `since`; everything is known before `until`.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM feature_lift(source_id = 'shop', features = ['search', 'page_view & path=/size-guide'],
--                     goal = 'purchase', outcome = 'conversion', try_s = 600, window_s = 7 * 86400,
--                     since = '2026-09-01', until = now('UTC'), counted_by = 'person')
--                 … goal = '*', outcome = 'retention', try_s = 7 * 86400, window_s = 28 * 86400 …
-- Grain       One row per feature, also one that nobody used.
-- Reads       step_events
-- Definition  Everybody's clock starts at the first event ever. Whoever uses the feature in the first try_s is with it, all
--             others are without, also if they use it later. The outcome counts after try_s, and at most window_s later.
--             So use always comes before the outcome, and nobody is with the feature for having stayed long enough to
--             find it (immortal-time bias). Only those count whose time was over at `until`.
--               with_feature, without_feature   How many. with_reached, without_reached: those with the outcome.
--               with_rate, without_rate         Shares of them. base_rate: of all.
--               difference    with_rate - without_rate; difference_low, difference_high: its 95% interval by Newcombe;
--                             z, p: the two-sided z-test of two shares.
--               lift          with_rate divided by without_rate; lift_low, lift_high: its 95% interval (Katz, logarithms).
--               p_adjusted    Of all features of the question, by Benjamini and Hochberg: of those below 0.05 no more than
--                             5% are by chance.
--             NULL is what is not known: a share of nobody, a division by nothing, a test without variance.
--             Who uses a feature is not drawn by lot: a lift is a lead for an experiment, not the effect of the feature.
--             feature  The condition, as it stands in features.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        One pass over all events of the source before `until`: a first is known only so.
-- Test        tests/sql/test_experiments.py
CREATE OR REPLACE VIEW {database}.feature_lift AS
WITH
    1.959963984540054 AS quantile_,
    (hits, n, side) -> multiIf(
        n = 0, NULL,
        hits = 0 AND side < 0, 0,
        hits = n AND side > 0, 1,
        (hits + quantile_ * quantile_ / 2
            + side * quantile_ * sqrt(hits * (n - hits) / n + quantile_ * quantile_ / 4)) / (n + quantile_ * quantile_)
    ) AS wilson,
    (hits, n, other_hits, other_n) -> (hits / nullIf(n, 0) - other_hits / nullIf(other_n, 0)) / sqrt(
        nullIf(toFloat64(hits + other_hits) * (n + other_n - hits - other_hits), 0) / (n + other_n) / n / other_n
    ) AS z_of,
    sqrt(
        1 / nullIf(with_reached, 0) - 1 / with_feature + 1 / nullIf(without_reached, 0) - 1 / without_feature
    ) AS lift_error
SELECT
    feature,
    with_feature,
    with_reached,
    with_rate,
    without_feature,
    without_reached,
    without_rate,
    base_rate,
    with_rate - without_rate AS difference,
    difference - sqrt(
        pow(with_rate - wilson(with_reached, with_feature, -1), 2)
        + pow(wilson(without_reached, without_feature, 1) - without_rate, 2)
    ) AS difference_low,
    difference + sqrt(
        pow(wilson(with_reached, with_feature, 1) - with_rate, 2)
        + pow(without_rate - wilson(without_reached, without_feature, -1), 2)
    ) AS difference_high,
    with_rate / nullIf(without_rate, 0) AS lift,
    lift * exp(-quantile_ * lift_error) AS lift_low,
    lift * exp(quantile_ * lift_error) AS lift_high,
    z,
    p,
    if(p IS NULL, NULL, least(1, min(p_ranked) OVER (
        PARTITION BY p IS NULL ORDER BY p DESC, feature DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ))) AS p_adjusted
FROM
(
    SELECT
        *,
        with_reached / nullIf(with_feature, 0) AS with_rate,
        without_reached / nullIf(without_feature, 0) AS without_rate,
        reached / nullIf(everybody, 0) AS base_rate,
        z_of(with_reached, with_feature, without_reached, without_feature) AS z,
        erfc(abs(z) / sqrt(2)) AS p,
        p * count(p) OVER () / row_number() OVER (ORDER BY p ASC NULLS LAST, feature) AS p_ranked
    FROM
    (
        SELECT
            {features:Array(String)}[i] AS feature,
            n_of[0] AS everybody,
            reached_of[0] AS reached,
            n_of[i] AS with_feature,
            reached_of[i] AS with_reached,
            everybody - with_feature AS without_feature,
            reached - with_reached AS without_reached
        FROM
        (
            SELECT
                mapFromArrays(groupArray(used_), groupArray(n)) AS n_of,
                mapFromArrays(groupArray(used_), groupArray(n_reached)) AS reached_of
            FROM
            (
                -- Everybody once as 0, and once for each feature that was used.
                SELECT used_, count() AS n, countIf(did_reach) AS n_reached
                FROM
                (
                    SELECT
                        min(event_time) AS first_at,
                        first_at + toIntervalSecond({try_s:UInt32}) AS tried_until,
                        tried_until + toIntervalSecond({window_s:UInt32}) AS ends_at,
                        groupArrayIf(event_time, step = 2) AS goals,
                        minMapIf([step], [event_time], step > 2) AS first_uses,
                        arrayExists(time -> time > tried_until AND time <= ends_at, goals) AS did_reach,
                        arrayMap(
                            step_ -> toInt64(step_) - 2,
                            arrayFilter((step_, time) -> time <= tried_until, first_uses.1, first_uses.2)
                        ) AS used
                    FROM {database}.step_events
                    (
                        source_id = {source_id:String},
                        steps = arrayConcat(['*', {goal:String}], {features:Array(String)}),
                        counted_by = {counted_by:String},
                        breakdown = '',
                        -- Not the epoch: ClickHouse sends it to shards as '0', which it cannot read there.
                        since = toDateTime64('2001-09-10 00:00:00', 3, 'UTC'),
                        until = {until:DateTime64(3, 'UTC')}
                    )
                    GROUP BY counted_id
                    HAVING first_at >= {since:DateTime64(3, 'UTC')}
                        AND ends_at <= {until:DateTime64(3, 'UTC')}
                        AND NOT ({outcome:String} = 'conversion' AND arrayExists(time -> time <= tried_until, goals))
                )
                ARRAY JOIN arrayPushFront(used, 0) AS used_
                GROUP BY used_
            )
        )
        ARRAY JOIN arrayEnumerate({features:Array(String)}) AS i
        WHERE NOT throwIf(
                {outcome:String} NOT IN ('conversion', 'retention'),
                'feature_lift: outcome is conversion or retention'
            )
            AND NOT throwIf(
                {counted_by:String} NOT IN ('visitor', 'person'),
                'feature_lift: counted_by is visitor or person'
            )
            AND NOT throwIf(
                least({try_s:UInt32}, {window_s:UInt32}) = 0,
                'feature_lift: try_s and window_s must be at least 1'
            )
            AND NOT throwIf(
                length({features:Array(String)}) > 1000,
                'feature_lift has more than 1,000 features, the most there can be; ask in two questions'
            )
    )
)
ORDER BY p_adjusted, feature
