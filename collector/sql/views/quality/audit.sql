-- audit: whether the views agree with each other on the data that is there.
--
-- Question    Do the numbers add up, here and now?
-- Parameters  source_id   String.
--             goal        String: the condition that a conversion meets, written as step_events says.
--                 SELECT * FROM audit(source_id = 'shop', goal = 'purchase') WHERE NOT holds
-- Grain       One row per law.
-- Reads       human_events, sessions, session_events, pageviews, visitors, transitions, entries, exits, sankey,
--             step_events, attribution, attribution_markov, attribution_shapley
-- Definition  law         Two numbers that must be the same, `left_side = right_side`.
--             left_value  The first of them. right_value: the second. difference: the first less the second.
--             holds       Whether they are the same; sums of credits and of revenue to a millionth of them.
-- Exact       Yes.
-- Time        All time.
-- Cost        Every view that it reads, once: for a look now and then, not for a dashboard.
-- Test        tests/sql/test_attribution_models.py
CREATE OR REPLACE VIEW {database}.audit AS
WITH
    laws -> CAST(laws, 'Array(Tuple(String, Nullable(Float64), Nullable(Float64)))') AS typed,
    -- Times of ten digits, in seconds: a cluster's shards take one of fewer or more for a date.
    toDateTime64('2001-09-10 00:00:00', 3, 'UTC') AS ever,
    toDateTime64('2200-01-01 00:00:00', 3, 'UTC') AS always,
    (
        SELECT (count(), countIf(event = 'page_view'), uniqExact(visitor_id))
        FROM {database}.human_events
        WHERE source_id = {source_id:String}
    ) AS of_events,
    (
        SELECT (sum(events), sum(session.pageviews), countIf(session.pageviews > 0), count(), uniqExact(session_id))
        FROM {database}.sessions AS session
        WHERE source_id = {source_id:String}
    ) AS of_sessions,
    (
        SELECT (count(), sum(toFloat64(value)))
        FROM {database}.step_events
        (
            source_id = {source_id:String}, steps = [{goal:String}], counted_by = 'visitor', breakdown = '',
            since = ever, until = always
        )
    ) AS of_conversions
SELECT
    one.1 AS law,
    one.2 AS left_value,
    one.3 AS right_value,
    left_value - right_value AS difference,
    (abs(difference) <= if(startsWith(law, 'credit'), 1e-6 * abs(right_value), 0))::Bool AS holds
FROM
(
    SELECT typed([
        ('events in sessions = events', of_sessions.1, of_events.1),
        ('page views in sessions = page views', of_sessions.2, of_events.2),
        ('session ids = sessions', of_sessions.5, of_sessions.4)
    ]) AS laws
    UNION ALL
    SELECT typed([
        ('entrances of transitions = sessions with page views', sumIf(`count`, `from` = '(entrance)'), of_sessions.3),
        ('exits of transitions = sessions with page views', sumIf(`count`, `to` = '(exit)'), of_sessions.3),
        ('moves of transitions = page views + sessions with them', sum(`count`), of_events.2 + of_sessions.3)
    ])
    FROM {database}.transitions
    WHERE source_id = {source_id:String}
    UNION ALL
    SELECT typed([('rows of session_events = events', count(), of_events.1)])
    FROM {database}.session_events
    WHERE source_id = {source_id:String}
    UNION ALL
    SELECT typed([('rows of pageviews = page views', count(), of_events.2)])
    FROM {database}.pageviews
    WHERE source_id = {source_id:String}
    UNION ALL
    SELECT typed([('rows of visitors = visitors', count(), of_events.3)])
    FROM {database}.visitors
    WHERE source_id = {source_id:String}
    UNION ALL
    SELECT typed([('entrances of entries = sessions with page views', sum(entrances), of_sessions.3)])
    FROM {database}.entries
    (
        source_id = {source_id:String}, pages = [], breakdown = '', since = ever, until = always
    )
    UNION ALL
    SELECT typed([
        ('exits of exits = sessions with page views', sum(exits), of_sessions.3),
        ('page views of exits = page views', sum(pageviews), of_events.2)
    ])
    FROM {database}.exits(source_id = {source_id:String}, pages = [], since = ever, until = always)
    UNION ALL
    SELECT typed([
        ('entrances of sankey = sessions with page views', sum(came), of_sessions.3),
        ('pages of sankey where in and out differ = none', countIf(balance != 0), 0)
    ])
    FROM
    (
        -- Of every page at every step but the last: what comes in, less what goes out.
        SELECT stop.1 AS number, stop.2 AS page, sum(stop.3) AS balance, sumIf(stop.3, stop.4) AS came
        FROM {database}.sankey
        (
            source_id = {source_id:String}, start_event = '', end_event = '', goal = '', events = [], pages = [],
            collapse = true, depth = 5, counted_by = 'session', since = ever, until = always
        )
        ARRAY JOIN [
            (step, `from`, -toInt64(taken), false),
            (step + 1, `to`, toInt64(taken), `from` = '(entrance)')
        ] AS stop
        WHERE number BETWEEN 1 AND 4 AND page != '(exit)'
        GROUP BY number, page
    )
    UNION ALL
    SELECT typed([
        (concat('credits by ', model, ' = conversions'), sum(credited.conversions), of_conversions.1),
        (concat('credited revenue by ', model, ' = revenue'), sum(credited.revenue), of_conversions.2)
    ])
    FROM
    (
        SELECT model, conversions, revenue
        FROM {database}.attribution
        (
            source_id = {source_id:String}, goal = {goal:String}, touch = 'channel', lookback_days = 30,
            half_life_days = 7, since = ever, until = always, counted_by = 'person'
        )
        UNION ALL
        SELECT 'markov' AS model, conversions, revenue
        FROM {database}.attribution_markov
        (
            source_id = {source_id:String}, goal = {goal:String}, touch = 'channel', lookback_days = 30,
            since = ever, until = always, counted_by = 'person'
        )
        UNION ALL
        SELECT 'shapley' AS model, conversions, revenue
        FROM {database}.attribution_shapley
        (
            source_id = {source_id:String}, goal = {goal:String}, touch = 'channel', lookback_days = 30,
            since = ever, until = always, counted_by = 'person', worth = 'conversions'
        )
        UNION ALL
        -- So that a model that gave nothing is seen.
        SELECT
            arrayJoin([
                'first', 'last', 'last_non_direct', 'linear', 'position', 'time_decay', 'markov', 'shapley'
            ]) AS model,
            0 AS conversions,
            0 AS revenue
    ) AS credited
    GROUP BY model
)
ARRAY JOIN laws AS one
ORDER BY law
