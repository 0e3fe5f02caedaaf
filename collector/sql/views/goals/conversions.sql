-- conversions: one row per conversion, with its order, and whether it was said before.
--
-- Question    Which conversions were there, and what were they worth? goals, kpis, experiments and discount_effect do not count repeats by it.
-- Grain       One row per event that the tracking plan calls a conversion (`semantic.conversion`).
-- Reads       human_events, plan_versions
-- Definition  kind      `macro` or `micro`. value and currency are what the plan's `semantic.value` and
--                       `semantic.currency` name. is_valued: there is a currency or a value; else value is not known.
--             order_id  What the property says that the live plan names as the event's `semantic.dedupe_by`, also under
--                       an alias or the name that it had in an older major; '' without one.
--             is_repeat An earlier event of the same name had the same order_id, as when the page of a receipt is loaded
--                       anew: WHERE NOT is_repeat counts each order once. An event without order_id repeats nothing.
--             property  The properties of the event, by name.
--             is_repeat  Whether an earlier event of the same name had the same order_id.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads the source's conversions from the beginning, because an order may be repeated any time later. A
--             filter on source_id reaches the table.
-- Test        tests/sql/test_goals.py
CREATE OR REPLACE VIEW {database}.conversions AS
WITH
    (
        -- The names of the property that names an order: of the newest major by event, of older ones by event@major.
        SELECT mapFromArrays(groupArray(named.1), groupArray(arrayConcat([named.2], arrayFlatten(arrayMap(
            raw -> if(JSONExtractString(raw, 'name') = named.2, JSONExtract(raw, 'aliases', 'Array(String)'), []),
            JSONExtractArrayRaw(named.3, 'properties')
        )))))
        FROM
        (
            SELECT
                argMax(plan, (live_from, hash)) AS lock,
                arrayJoin(JSONExtractKeysAndValuesRaw(lock, 'events')) AS event_,
                JSONExtractString(event_.2, 'semantic', 'dedupe_by') AS newest_name,
                arrayJoin(arrayPushFront(
                    arrayMap(
                        raw -> (
                            concat(event_.1, '@', JSONExtractRaw(raw, 'major')) AS major,
                            arrayFirst(
                                renamed -> renamed.2 = newest_name,
                                arrayPushBack(
                                    JSONExtractKeysAndValues(raw, 'upcast', 'rename', 'String'),
                                    (newest_name, newest_name)
                                )
                            ).1,
                            JSONExtractRaw(lock, 'history', major)
                        ),
                        JSONExtractArrayRaw(event_.2, 'accept')
                    ),
                    (event_.1, newest_name, event_.2)
                )) AS named
            FROM {database}.plan_versions
        )
        WHERE newest_name != ''
    ) AS names_of
SELECT
    source_id,
    visitor_id,
    message_id,
    event,
    conversion AS kind,
    event_time,
    sequence,
    (value != 0 OR currency != '')::Bool AS is_valued,
    value,
    currency,
    order_id,
    (repetition > 1)::Bool AS is_repeat,
    property
FROM
(
    SELECT
        *,
        property,
        concat(event, '@', toString(event_version)) AS major,
        arrayFirst(text -> text != '', arrayMap(
            name -> ifNull(property[name], ''),
            names_of[if(mapContains(names_of, major), major, event::String)]
        )) AS order_id,
        row_number() OVER (
            PARTITION BY source_id, event, order_id, if(order_id = '', message_id, ''), if(order_id = '', visitor_id, '')
            ORDER BY event_time, sequence, message_id
        ) AS repetition
    FROM {database}.human_events
    WHERE conversion != ''
)
