-- step_events: which events are which step of a question.
--
-- Question    Which events fulfil these conditions? Funnels, retention, attribution and others stand on it.
-- Parameters  source_id   String.
--             steps       Array(String), one condition a step. A condition is the name of an event, or `*` for any, and
--                         then any number of ` & name=value`, all of which must hold:
--                           'purchase'    'page_view & path=/pricing'    'page_view & path=/blog/*'
--                           'sign_up & plan=pro & device_class!=mobile'    'purchase & quantity>=3'
--                         A name is one of the columns event, path, host, title, channel, utm_source, utm_medium,
--                         utm_campaign, utm_term, utm_content, referrer_host, device_class, browser, os, country,
--                         language, user_id, group_id, or else a property. The signs are = and !=, and for numbers
--                         < <= > >=. A `*` at the end of a value stands for whatever follows. What an event does not
--                         have is empty, and no number.
--             counted_by  String: 'visitor', 'person' (as in visitors) or 'session'.
--             breakdown   String: a name as in a condition, or '' for none.
--             since, until   DateTime64(3): event_time from, and before.
-- Grain       One row per event and step that it is: one event may be several.
-- Reads       events_with_steps
-- Definition  step is the number of the condition, from 1. dimension is the event's own value of the breakdown.
--             counted_id is a visitor_id, person_id or session_id. value and currency are as in events.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As events_with_steps, and half of it again for a row per step.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.step_events AS
SELECT
    counted_id,
    toUInt32(arrayJoin(steps)) AS step,
    event_time,
    sequence,
    message_id,
    moment,
    value,
    currency,
    dimension
FROM {database}.events_with_steps
(
    source_id = {source_id:String},
    steps = {steps:Array(String)},
    counted_by = {counted_by:String},
    breakdown = {breakdown:String},
    since = {since:DateTime64(3, 'UTC')},
    until = {until:DateTime64(3, 'UTC')}
)
