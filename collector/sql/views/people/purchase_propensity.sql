-- purchase_propensity: how likely each person is to order within the next days.
--
-- Question    Whom should a campaign talk to, and whom can it leave in peace?
-- Parameters  source_id      String.
--             as_of          DateTime64(3): only events before it.
--             horizon_days   UInt32: within so many days from as_of; at least 1.
--                 SELECT * FROM purchase_propensity(source_id = 'shop', as_of = now('UTC'), horizon_days = 14)
--                     ORDER BY propensity DESC LIMIT 1000
-- Grain       One row per person with an event before as_of.
-- Reads       person_events
-- Definition  No weights and nothing hidden: of the persons who were in the same situation one horizon ago, how many
--             ordered within it? A situation is three words:
--               recency   Since the last event: `1d` (up to a day), `3d`, `7d`, `14d`, `30d`, `90d` or `older`.
--               buyer     Orders so far: `0`, `1`, `2-3` or `4+`.
--               intent    Micro conversions in the 14 days before: `0`, `1` or `2+`.
--             propensity  (ordered + 20 * base_rate) / (persons_then + 20): a situation of few persons is drawn towards
--                         base_rate, as if 20 persons more had been in it.
--             persons_then, ordered   How many were in the situation one horizon before as_of, and how many of them
--                         ordered before as_of.
--             base_rate   The same of all persons of that time; 0 when there was nobody yet.
--             How well it did: score_calibration.
-- Exact       Yes: counted, not fitted.
-- Time        event_time, UTC.
-- Cost        One pass over events before as_of, as person_events; one row for each person is held.
-- Test        tests/sql/test_segments.py
CREATE OR REPLACE VIEW {database}.purchase_propensity AS
WITH
    {as_of:DateTime64(3, 'UTC')} AS now_,
    {as_of:DateTime64(3, 'UTC')} - toIntervalDay({horizon_days:UInt32}) AS then_,
    -- The situation as one text: its words, and how it is compared.
    (idle_days, orders, intents) -> concat(
        multiIf(
            idle_days <= 1, '1d', idle_days <= 3, '3d', idle_days <= 7, '7d', idle_days <= 14, '14d',
            idle_days <= 30, '30d', idle_days <= 90, '90d', 'older'
        ),
        ' ', multiIf(orders = 0, '0', orders = 1, '1', orders <= 3, '2-3', '4+'),
        ' ', multiIf(intents = 0, '0', intents = 1, '1', '2+')
    ) AS situation_of
SELECT
    person_id,
    splitByChar(' ', situation)[1] AS recency,
    splitByChar(' ', situation)[2] AS buyer,
    splitByChar(' ', situation)[3] AS intent,
    (ordered + 20 * base_rate) / (persons_then + 20) AS propensity,
    persons_then,
    ordered,
    if(all_then = 0, 0, all_ordered / all_then) AS base_rate
FROM
(
    -- Each person twice, as of then and as of now, so that those who are in a situation stand beside those who were.
    SELECT
        person_id,
        moment.1 AS is_now,
        moment.2 AS situation,
        countIf(NOT is_now) OVER alike AS persons_then,
        countIf(NOT is_now AND has_ordered) OVER alike AS ordered,
        countIf(NOT is_now) OVER () AS all_then,
        countIf(NOT is_now AND has_ordered) OVER () AS all_ordered
    FROM
    (
        SELECT
            person_id,
            situation_of(
                dateDiff('millisecond', max(event_time), now_) / 86400000,
                countIf(conversion = 'macro'),
                countIf(conversion = 'micro' AND event_time >= now_ - toIntervalDay(14))
            ) AS situation_now,
            situation_of(
                dateDiff('millisecond', maxIf(event_time, event_time < then_), then_) / 86400000,
                countIf(conversion = 'macro' AND event_time < then_),
                countIf(conversion = 'micro' AND event_time >= then_ - toIntervalDay(14) AND event_time < then_)
            ) AS situation_then,
            min(event_time) < then_ AS was_there,
            countIf(conversion = 'macro' AND event_time >= then_) > 0 AS has_ordered
        FROM {database}.person_events
        WHERE source_id = {source_id:String} AND event_time < now_
            AND NOT throwIf({horizon_days:UInt32} = 0, 'purchase_propensity: horizon_days must be at least 1')
        GROUP BY person_id
    )
    ARRAY JOIN if(was_there, [(true, situation_now), (false, situation_then)], [(true, situation_now)]) AS moment
    WINDOW alike AS (PARTITION BY situation)
)
WHERE is_now
