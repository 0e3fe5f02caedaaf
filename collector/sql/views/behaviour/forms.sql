-- forms: how often each form is begun, sent and given up, and where it is given up.
--
-- Question    Which form loses people, and at which field?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT * FROM forms(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per form.
-- Reads       form_ends
-- Definition  form                As in form_ends. pages: the number of pages that it was on.
--             started             submitted and abandoned together: the tag tells of a form when it is sent or left.
--             submitted           Times that it was sent. abandoned: times that it was begun and left.
--             abandoned_share     abandoned divided by started.
--             visitors            Those who began it.
--             visitors_submitted  Those of them who sent it in the period, be it at the third attempt.
--             completed_share     visitors_submitted divided by visitors.
--             last_field          The field at which it was left most often; of several the first by name, empty if none.
--             last_field_share    Of what was abandoned, the share that was left there; NULL when nothing was.
--             fields_touched      How many fields were touched before it was left, on average; NULL when it never was.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As form_ends.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.forms AS
WITH
    -- The fields at which it was left, the most frequent first.
    arraySort(place -> (-toInt64(place.2), place.1), CAST(
        sumMapIf(map(done.last_field, 1::UInt64), NOT is_submitted AND done.last_field != ''),
        'Array(Tuple(String, UInt64))'
    )) AS left_most
SELECT
    form,
    uniqExact(path) AS pages,
    count() AS started,
    countIf(is_submitted) AS submitted,
    started - submitted AS abandoned,
    abandoned / started AS abandoned_share,
    uniqExact(visitor_id) AS visitors,
    uniqExactIf(visitor_id, is_submitted) AS visitors_submitted,
    visitors_submitted / visitors AS completed_share,
    left_most[1].1 AS last_field,
    left_most[1].2 / nullIf(abandoned, 0) AS last_field_share,
    if(abandoned = 0, NULL, avgIf(length(fields), NOT is_submitted)) AS fields_touched
FROM {database}.form_ends AS done
WHERE source_id = {source_id:String}
    AND event_time >= {since:DateTime64(3, 'UTC')}
    AND event_time < {until:DateTime64(3, 'UTC')}
GROUP BY form
ORDER BY started DESC, form
