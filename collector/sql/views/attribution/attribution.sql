-- attribution: which visits brought the conversions, by six models.
--
-- Question    Which channels, campaigns or referrers deserve the credit, and how much does that depend on the model?
-- Parameters  source_id   String.
--             goal        String: the condition that a conversion meets, written as step_events says.
--             touch       String: what gets the credit: 'channel', 'utm_source', 'utm_medium', 'utm_campaign' or
--                         'referrer_host', of a visit as in sessions.
--             lookback_days    UInt32: visits that began longer before the conversion get nothing.
--             half_life_days   Float64: in which a visit's weight halves, for time_decay.
--             since, until     DateTime64(3): conversions from, and before.
--             counted_by  String: 'visitor' or 'person': whose visits a conversion looks back on.
--                 SELECT * FROM attribution(source_id = 'shop', goal = 'purchase', touch = 'channel',
--                     lookback_days = 30, half_life_days = 7, since = '2026-11-01', until = '2026-12-01',
--                     counted_by = 'person')
-- Grain       One row per (model, touch, currency).
-- Reads       step_events, sessions, visitors
-- Definition  A conversion's touches are the visits that began at or before it and not before the look-back; if there
--             are none, the visit it belongs to. Its credit of 1, and its value, are divided among them:
--               first, last        All to the first or last touch.
--               last_non_direct    All to the last that is not `direct`; to the last when all are.
--               linear             To each the same.
--               position           0.4 to the first and to the last, 0.2 among the others; halves for two.
--               time_decay         By 2 to the power of -(age in half-lives).
--             conversions: the sum of credits. revenue: the sum of values, in currency.
-- Exact       Yes, but for the rounding of floating-point sums: credits add up to the conversions to 1e-9.
-- Time        event_time, UTC.
-- Cost        As sessions, and one join of conversions with the visits of those who converted.
-- Test        tests/sql/test_attribution.py
CREATE OR REPLACE VIEW {database}.attribution AS
WITH
    conversions AS
    (
        SELECT counted_id, event_time, sequence, message_id, value, currency
        FROM {database}.step_events
        (
            source_id = {source_id:String},
            steps = [{goal:String}],
            counted_by = {counted_by:String},
            breakdown = '',
            since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')}
        )
    ),
    visits AS
    (
        SELECT
            if({counted_by:String} = 'person', person_id, visitor_id) AS counted_id,
            -- Of visits of two devices that begin at once the order is that of their ids.
            arraySort(groupArray((
                started_at,
                session_id,
                multiIf(
                    {touch:String} = 'channel', channel::String,
                    {touch:String} = 'utm_source', utm_source::String,
                    {touch:String} = 'utm_medium', utm_medium::String,
                    {touch:String} = 'utm_campaign', utm_campaign::String,
                    referrer_host::String
                ),
                channel = 'direct'
            ))) AS history
        FROM {database}.sessions
        INNER JOIN {database}.visitors USING (source_id, visitor_id)
        WHERE source_id = {source_id:String}
        GROUP BY counted_id
    ),
    weighed AS
    (
        SELECT
            value,
            currency,
            arrayFilter(visit -> visit.1 <= event_time, history) AS before,
            arrayFilter(visit -> visit.1 >= event_time - toIntervalDay({lookback_days:UInt32}), before) AS recent,
            if(empty(recent), arraySlice(before, -1), recent) AS touches,
            length(touches) AS n,
            arrayLastIndex(touch -> NOT touch.4, touches) AS last_named,
            if(last_named = 0, n, last_named) AS credited,
            arrayMap(
                touch -> exp2(-dateDiff('millisecond', touch.1, event_time) / ({half_life_days:Float64} * 86400000)),
                touches
            ) AS decayed,
            [
                ('first', arrayMap(i -> toFloat64(i = 1), arrayEnumerate(touches))),
                ('last', arrayMap(i -> toFloat64(i = n), arrayEnumerate(touches))),
                ('last_non_direct', arrayMap(i -> toFloat64(i = credited), arrayEnumerate(touches))),
                ('linear', arrayMap(i -> 1 / n, arrayEnumerate(touches))),
                (
                    'position',
                    arrayMap(
                        i -> multiIf(n = 1, 1., n = 2, 0.5, i IN (1, n), 0.4, 0.2 / (n - 2)),
                        arrayEnumerate(touches)
                    )
                ),
                ('time_decay', arrayMap(weight -> weight / arraySum(decayed), decayed))
            ] AS models
        FROM conversions
        INNER JOIN visits USING (counted_id)
        WHERE NOT throwIf({half_life_days:Float64} <= 0, 'attribution: half_life_days must be more than 0')
            AND NOT throwIf(
                {counted_by:String} NOT IN ('visitor', 'person'),
                'attribution: counted_by is visitor or person'
            )
            AND NOT throwIf(
                {touch:String} NOT IN ('channel', 'utm_source', 'utm_medium', 'utm_campaign', 'referrer_host'),
                'attribution: touch is channel, utm_source, utm_medium, utm_campaign or referrer_host'
            )
    )
SELECT
    share.1 AS model,
    (credit.1).3 AS touch,
    currency,
    sum(credit.2) AS conversions,
    sum(credit.2 * toFloat64(value)) AS revenue
FROM weighed
ARRAY JOIN models AS share
ARRAY JOIN arrayZip(touches, share.2) AS credit
WHERE credit.2 > 0
GROUP BY model, touch, currency
ORDER BY model, conversions DESC, touch, currency
