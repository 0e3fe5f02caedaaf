-- form_fields: what becomes of those who touch a field of a form.
--
-- Question    Which field of the form makes people give it up?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT * FROM form_fields(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
--                     WHERE form = 'checkout'
-- Grain       One row per (form, field) that was touched.
-- Reads       form_ends
-- Definition  form, field       The form as in form_ends, and the name of a field.
--             touched           Times that the form was sent or left, and the field had been touched.
--             submitted         Those of them that were sent. abandoned: the others.
--             left_at           Those that were left, with this field touched last.
--             left_at_share     left_at divided by touched: compare the fields of one form by it.
--             position          On average the how manieth of the touched fields it was, from 1.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As form_ends.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.form_fields AS
SELECT
    form,
    field,
    count() AS touched,
    countIf(is_submitted) AS submitted,
    touched - submitted AS abandoned,
    countIf(NOT is_submitted AND field = last_field) AS left_at,
    left_at / touched AS left_at_share,
    avg(place) AS position
FROM {database}.form_ends
ARRAY JOIN arrayDistinct(fields) AS field, arrayEnumerate(arrayDistinct(fields)) AS place
WHERE source_id = {source_id:String}
    AND event_time >= {since:DateTime64(3, 'UTC')}
    AND event_time < {until:DateTime64(3, 'UTC')}
    AND field != ''
GROUP BY form, field
ORDER BY form, left_at DESC, field
