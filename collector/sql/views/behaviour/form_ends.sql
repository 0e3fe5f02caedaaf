-- form_ends: one row each time that somebody sent a form or gave it up.
--
-- Question    Which forms were begun, how far did each visitor come, and were they sent? forms and form_fields read it.
-- Grain       One row per event `form_submit` or `form_abandoned` of human_events.
-- Reads       human_events
-- Definition  form          The form's id, else its name, else the path of its page in brackets. A form with a name is one
--                           form on all pages that have it.
--             is_submitted  It was sent; else it was begun and left.
--             fields        Names of the fields that were touched, in the order in which each was touched last.
--             last_field    The last of them; empty where none was touched or has a name.
--             A form that sends an event of its own name (data-footfall-event) has here only what was given up.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads the properties of these events. Filter on source_id, then on event_time.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.form_ends AS
SELECT
    source_id,
    visitor_id,
    message_id,
    event_time,
    path,
    device_class,
    multiIf(
        ifNull(property['form_id'], '') != '', property['form_id'],
        ifNull(property['form_name'], '') != '', property['form_name'],
        concat('(', path, ')')
    )::String AS form,
    (event = 'form_submit')::Bool AS is_submitted,
    JSONExtract(ifNull(property['fields'], '[]'), 'Array(String)') AS fields,
    ifNull(property['last_field'], '') AS last_field
FROM {database}.human_events
WHERE event IN ('form_submit', 'form_abandoned')
