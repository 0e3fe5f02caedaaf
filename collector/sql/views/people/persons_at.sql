-- persons_at: the customer profile as of a moment.
--
-- Question    What do we know of a customer: who, since when, by which way, how active, worth what, at what risk?
-- Parameters  source_id   String: a source, or '' for all.
--             as_of       DateTime64(3): only events and visits that began before it; traits as they are now.
--                 SELECT * FROM persons_at(source_id = 'shop', as_of = now('UTC')) WHERE rfm_segment = 'at_risk'
-- Grain       One row per (source_id, person_id) with an event before as_of.
-- Reads       person_activity, person_sessions, rfm, profiles
-- Definition  person_id       As in person_events: all devices of a user, from before the first sign-in too.
--             user_id         The name in use, '' of an anonymous visitor.
--             first_seen_at, last_seen_at, events, pageviews, visitors, active_days, countries, device_classes,
--             group_ids, orders, first_order_at, last_order_at, value_by_currency, idle_days, mean_gap_days,
--             churn_risk      As in person_activity.
--             sessions        Visits, as in person_sessions. first_channel and last_channel are of the first and last.
--             rfm_cell, rfm_segment   As in rfm with currency = ''; '' of persons without an order.
--             traits          As in profiles; empty when there are none.
--             channels  The channels of all visits, in alphabetical order.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As person_activity and person_sessions together, and the orders and identify calls once more. Each holds
--             one row for each person, and they are joined. For one question, ask the view that answers it.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.persons_at AS
SELECT
    activity.source_id AS source_id,
    activity.person_id AS person_id,
    if(startsWith(person_id, 'user:'), substring(person_id, 6), '') AS user_id,
    first_seen_at,
    last_seen_at,
    visitors,
    visits.sessions AS sessions,
    active_days,
    events,
    pageviews,
    visits.first_channel AS first_channel,
    visits.last_channel AS last_channel,
    visits.channels AS channels,
    countries,
    device_classes,
    group_ids,
    orders,
    first_order_at,
    last_order_at,
    value_by_currency,
    customer.cell AS rfm_cell,
    customer.segment AS rfm_segment,
    idle_days,
    mean_gap_days,
    churn_risk,
    profile.traits AS traits
FROM {database}.person_activity
(
    source_id = {source_id:String},
    as_of = {as_of:DateTime64(3, 'UTC')}
) AS activity
LEFT JOIN
(
    SELECT
        source_id,
        person_id,
        count() AS sessions,
        argMin(channel::String, (started_at, visitor_id)) AS first_channel,
        argMax(channel::String, (started_at, visitor_id)) AS last_channel,
        arraySort(groupUniqArray(channel::String)) AS channels
    FROM {database}.person_sessions
    WHERE started_at < {as_of:DateTime64(3, 'UTC')} AND ({source_id:String} = '' OR source_id = {source_id:String})
    GROUP BY source_id, person_id
) AS visits ON activity.source_id = visits.source_id AND activity.person_id = visits.person_id
LEFT JOIN {database}.rfm
(
    source_id = {source_id:String},
    as_of = {as_of:DateTime64(3, 'UTC')},
    currency = ''
) AS customer ON activity.source_id = customer.source_id AND activity.person_id = customer.person_id
LEFT JOIN
(
    SELECT source_id, id, traits
    FROM {database}.profiles
    WHERE kind = 'person' AND ({source_id:String} = '' OR source_id = {source_id:String})
) AS profile ON activity.source_id = profile.source_id AND activity.person_id = profile.id
