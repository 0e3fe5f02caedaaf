-- conversion_paths: the visits that led to each conversion, and those that led to none.
--
-- Question    Over which visits does a conversion come about? attribution, attribution_markov and attribution_shapley
--             stand on it.
-- Parameters  source_id   String.
--             goal        String: the condition that a conversion meets, written as step_events says.
--             touch       String: what gets the credit: 'channel', 'utm_source', 'utm_medium', 'utm_campaign',
--                         'utm_term', 'utm_content', 'referrer_host' or 'entry_path', of a visit as in sessions.
--             lookback_days    UInt32: visits that began longer before the conversion get nothing.
--             since, until     DateTime64(3): conversions from, and before.
--             counted_by  String: 'visitor' or 'person': whose visits a conversion looks back on.
-- Grain       One row per conversion, and one per visitor or person who visited in the period and had none in it.
-- Reads       step_events, sessions, units
-- Definition  A conversion's touches are the visits that began at or before it and not before the look-back; if there
--             are none, the visit it belongs to. Without a conversion they are those of the last visit in the period,
--             as if it had been one.
--               counted_id  A visitor_id or person_id.
--               converted   Whether there was a conversion.
--               event_time  Of the conversion; without one, when the last visit began.
--               value       Of the conversion, 0 without one. currency: of the value, '' without one.
--               touches     Array of (started_at, session_id, touch, is_direct) in order; of visits of two devices that
--                           begin at once the order is that of their ids.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As sessions, and one join with the conversions. A visitor's visits are held at once.
-- Test        tests/sql/test_attribution.py
CREATE OR REPLACE VIEW {database}.conversion_paths AS
WITH
    conversions AS
    (
        SELECT counted_id, groupArray((event_time, value, currency::String)) AS moments
        FROM {database}.step_events
        (
            source_id = {source_id:String},
            steps = [{goal:String}],
            counted_by = {counted_by:String},
            breakdown = '',
            since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')}
        )
        GROUP BY counted_id
    ),
    visits AS
    (
        SELECT
            if({counted_by:String} = 'person', unit.id, session.visitor_id) AS counted_id,
            arraySort(groupArray((
                started_at,
                session_id,
                -- Not multiIf, which reads all of them: of these the one that is asked for.
                concat(
                    if({touch:String} = 'channel', channel, ''),
                    if({touch:String} = 'utm_source', utm_source, ''),
                    if({touch:String} = 'utm_medium', utm_medium, ''),
                    if({touch:String} = 'utm_campaign', utm_campaign, ''),
                    if({touch:String} = 'utm_term', utm_term, ''),
                    if({touch:String} = 'utm_content', utm_content, ''),
                    if({touch:String} = 'entry_path', entry_path, ''),
                    if({touch:String} = 'referrer_host', referrer_host, '')
                ),
                channel = 'direct'
            ))) AS history
        FROM {database}.sessions AS session
        LEFT JOIN {database}.units(source_id = {source_id:String}, counted_by = {counted_by:String}) AS unit
            ON session.visitor_id = unit.visitor_id
        WHERE source_id = {source_id:String}
            AND started_at < {until:DateTime64(3, 'UTC')}
            AND NOT throwIf(
                {counted_by:String} NOT IN ('visitor', 'person'),
                'attribution: counted_by is visitor or person'
            )
            AND NOT throwIf(
                {touch:String} NOT IN
                (
                    'channel', 'utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content', 'referrer_host',
                    'entry_path'
                ),
                'attribution: touch is channel, utm_source (or _medium, …), referrer_host or entry_path'
            )
        GROUP BY counted_id
    )
SELECT
    counted_id,
    converted,
    event_time,
    value,
    currency,
    if(empty(recent), arraySlice(before, -1), recent) AS touches
FROM
(
    SELECT
        *,
        arrayFilter(visit -> visit.1 >= event_time - toIntervalDay({lookback_days:UInt32}), before) AS recent
    FROM
    (
        SELECT
            counted_id,
            notEmpty(moments)::Bool AS converted,
            moment.1 AS event_time,
            moment.2 AS value,
            moment.3 AS currency,
            arrayFilter(visit -> visit.1 <= event_time, history) AS before
        FROM visits
        LEFT JOIN conversions USING (counted_id)
        ARRAY JOIN if(empty(moments), [(history[-1].1, 0::Decimal(18, 4), '')], moments) AS moment
        WHERE converted OR event_time >= {since:DateTime64(3, 'UTC')}
    )
)
