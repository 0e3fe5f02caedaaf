-- person_activity: what each person has done until a moment. The views on persons stand on it.
--
-- Question    How much has each person done, how recently, and how often?
-- Parameters  source_id   String: a source, or '' for all.
--             as_of       DateTime64(3): only events before it.
-- Grain       One row per (source_id, person_id) with an event before as_of.
-- Reads       person_events
-- Definition  visitors         Devices.
--             active_days      Days (UTC) with an event.
--             orders           Events the tracking plan calls macro conversions.
--             value_by_currency   Map from currency to the sum of `value` over the orders.
--             order_days       Days (UTC) with an order.
--             countries, device_classes, group_ids   Those that were seen, in alphabetical order.
--             idle_days        Days, and parts of days, from the last event to as_of.
--             mean_gap_days    Between one active day and the next; NULL for persons of one active day.
--             churn_risk       1 - e^(-idle_days / mean_gap_days): 0.63 after a gap of the person's own usual length,
--                              0.95 after three. NULL as mean_gap_days: one day says nothing of a habit.
--             Who is who is as known now, not as known at as_of: otherwise persons of two moments could not be
--             compared.
--             first_order_at, last_order_at  event_time of the first and the last order; NULL without one.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        One pass over events before as_of, as person_events. Holds one row for each person, with the days
--             on which it was active and a few small sets.
-- Test        tests/sql/test_segments.py
CREATE OR REPLACE VIEW {database}.person_activity AS
SELECT
    source_id,
    person_id,
    min(event_time) AS first_seen_at,
    max(event_time) AS last_seen_at,
    count() AS events,
    countIf(event = 'page_view') AS pageviews,
    uniqExact(visitor_id) AS visitors,
    uniqExact(toDate(event_time)) AS active_days,
    arraySort(groupUniqArrayIf(country::String, country != '')) AS countries,
    arraySort(groupUniqArrayIf(device_class::String, device_class != '')) AS device_classes,
    arraySort(groupUniqArrayIf(group_id, group_id != '')) AS group_ids,
    countIf(conversion = 'macro') AS orders,
    uniqExactIf(toDate(event_time), conversion = 'macro') AS order_days,
    minOrNullIf(event_time, conversion = 'macro') AS first_order_at,
    maxOrNullIf(event_time, conversion = 'macro') AS last_order_at,
    sumMapIf(map(currency::String, value), conversion = 'macro') AS value_by_currency,
    dateDiff('millisecond', last_seen_at, {as_of:DateTime64(3, 'UTC')}) / 86400000 AS idle_days,
    if(
        active_days > 1,
        (toDate(last_seen_at) - toDate(first_seen_at)) / (active_days - 1),
        NULL
    ) AS mean_gap_days,
    1 - exp(-idle_days / mean_gap_days) AS churn_risk
FROM {database}.person_events
WHERE event_time < {as_of:DateTime64(3, 'UTC')} AND ({source_id:String} = '' OR source_id = {source_id:String})
GROUP BY source_id, person_id
