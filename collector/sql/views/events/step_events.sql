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
-- Reads       human_events, units
-- Definition  step is the number of the condition, from 1. dimension is the event's own value of the breakdown.
--             counted_id is a visitor_id, person_id or session_id. value and currency are as in events.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Some 4 s of CPU for ten million events and nine conditions on paths; conditions on one name cost least,
--             comparisons of numbers and more than 64 conditions most.
--             Reads the columns that are named, and of events without conditions only their name; the properties only
--             when one is named. By person or session it reads units_by_person or units_by_session too.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.step_events AS
WITH
    -- What is asked for is found without lambdas: so it is a constant, and columns that are not asked for are not read.
    concat(arrayStringConcat({steps:Array(String)}), ' & ', {breakdown:String}, '=') AS asked,
    extractAll(asked, ' & ([^=!<>]*)[=!<>]') AS names,
    arrayPopBack(names) AS tested_names,
    hasAny(extractAll(asked, ' & [^=!<>]*(!=|<=|>=|=|<|>)'), ['<', '<=', '>', '>=']) AS has_numbers,
    [
        'event', 'path', 'host', 'title', 'channel', 'utm_source', 'utm_medium', 'utm_campaign', 'utm_term',
        'utm_content', 'referrer_host', 'device_class', 'browser', 'os', 'country', 'language', 'user_id', 'group_id'
    ] AS columns,
    -- The names whose values each event's `values` holds, in their order.
    arrayFilter(name -> name != '' AND NOT has(columns, name), arrayDistinct(names)) AS properties_read,
    arrayConcat(arrayFilter(column -> has(names, column), columns), properties_read) AS names_read,
    arrayMap(condition -> splitByString(' & ', condition), {steps:Array(String)}) AS parts_of,
    arrayMap(parts -> parts[1], parts_of) AS event_of,
    -- Of each part of each step, in the order of tested_names: the step, the sign, the value without a `*` at its end,
    -- how long what is equal to it may be, and the value as a number.
    arrayFlatten(arrayMap(parts -> arraySlice(parts, 2), parts_of)) AS tests,
    arrayFlatten(
        arrayMap((step, parts) -> arrayWithConstant(length(parts) - 1, step), arrayEnumerate(parts_of), parts_of)
    ) AS tested_steps,
    arrayMap(name -> indexOf(names_read, name), tested_names) AS places,
    arrayMap(test -> extract(test, '^[^=!<>]*(!=|<=|>=|=|<|>)'), tests) AS signs,
    arrayMap(sign -> sign = '!=', signs) AS negations,
    arrayMap(test -> extract(test, '(?s)^[^=!<>]*(?:!=|<=|>=|=|<|>)(.*)$'), tests) AS texts,
    arrayMap(text -> substring(text, 1, length(text) - endsWith(text, '*')), texts) AS starts,
    arrayMap(text -> if(endsWith(text, '*'), toUInt64(-1), length(text)), texts) AS lengths_max,
    arrayMap(text -> toFloat64OrNull(text), texts) AS numbers,
    arrayDistinct(event_of) AS event_names,
    arrayMap(
        wanted -> arrayFilter((step, name) -> name IN (wanted, '*'), arrayEnumerate(event_of), event_of),
        event_names
    ) AS steps_of,
    arrayFilter((step, name) -> name = '*', arrayEnumerate(event_of), event_of) AS steps_of_any,
    -- Up to 64 steps are bits of a number, which costs a quarter of arrays of them.
    length({steps:Array(String)}) <= 64 AS are_bits,
    arrayMap(step -> toUInt64(bitShiftLeft(toUInt64(1), (step - 1) % 64)), arrayEnumerate(parts_of)) AS bits,
    arrayMap(step -> if(are_bits, bits[step], step), tested_steps) AS marks,
    arrayMap(steps -> arraySum(step -> bits[step], steps), steps_of) AS bits_of,
    arraySum(step -> bits[step], steps_of_any) AS bits_of_any
SELECT
    counted_id,
    toUInt32(1 + arrayJoin(
        if(
            are_bits,
            bitPositionsToArray(
                if(notEmpty(tested_names), bitAnd(as_bits, bitNot(arrayReduce('groupBitOr', failed))), as_bits)
            ),
            arrayMap(
                step -> toUInt64(step - 1),
                arrayFilter(
                    step -> NOT has(failed, step),
                    if(has(event_names, name), steps_of[indexOf(event_names, name)], steps_of_any)
                )
            )
        )
    )) AS step,
    event_time,
    sequence,
    message_id,
    value,
    currency,
    if({breakdown:String} = '', '', values[indexOf(names_read, {breakdown:String})]) AS dimension
FROM
(
    SELECT
        event_time,
        sequence,
        message_id,
        value,
        currency,
        event AS name,
        transform(event, event_names, bits_of, bits_of_any) AS as_bits,
        if({counted_by:String} = 'visitor', event_.visitor_id, unit.id) AS counted_id,
        arrayConcat(
            if(has(names, 'event'), [event::String], []),
            if(has(names, 'path'), [path], []),
            if(has(names, 'host'), [host::String], []),
            if(has(names, 'title'), [title], []),
            if(has(names, 'channel'), [channel::String], []),
            if(has(names, 'utm_source'), [utm_source::String], []),
            if(has(names, 'utm_medium'), [utm_medium::String], []),
            if(has(names, 'utm_campaign'), [utm_campaign::String], []),
            if(has(names, 'utm_term'), [utm_term], []),
            if(has(names, 'utm_content'), [utm_content], []),
            if(has(names, 'referrer_host'), [referrer_host::String], []),
            if(has(names, 'device_class'), [device_class::String], []),
            if(has(names, 'browser'), [browser::String], []),
            if(has(names, 'os'), [os::String], []),
            if(has(names, 'country'), [country::String], []),
            if(has(names, 'language'), [language::String], []),
            if(has(names, 'user_id'), [user_id], []),
            if(has(names, 'group_id'), [group_id], []),
            if(
                hasAll(arrayPushBack(columns, ''), names),
                [],
                arrayMap(name -> ifNull(property[name], ''), properties_read)
            )
        )::Array(String) AS values,
        -- The same where one name stands alone: a column as it is, without an array of one.
        coalesce(
            if(has(names, 'event'), event::String, NULL),
            if(has(names, 'path'), path, NULL),
            if(has(names, 'host'), host::String, NULL),
            if(has(names, 'title'), title, NULL),
            if(has(names, 'channel'), channel::String, NULL),
            if(has(names, 'utm_source'), utm_source::String, NULL),
            if(has(names, 'utm_medium'), utm_medium::String, NULL),
            if(has(names, 'utm_campaign'), utm_campaign::String, NULL),
            if(has(names, 'utm_term'), utm_term, NULL),
            if(has(names, 'utm_content'), utm_content, NULL),
            if(has(names, 'referrer_host'), referrer_host::String, NULL),
            if(has(names, 'device_class'), device_class::String, NULL),
            if(has(names, 'browser'), browser::String, NULL),
            if(has(names, 'os'), os::String, NULL),
            if(has(names, 'country'), country::String, NULL),
            if(has(names, 'language'), language::String, NULL),
            if(has(names, 'user_id'), user_id, NULL),
            if(has(names, 'group_id'), group_id, NULL),
            if(hasAll(arrayPushBack(columns, ''), names), NULL, property[names[1]]),
            ''
        ) AS first_value,
        -- Of one name alone without `values` in the lambda, because they would be copied for every test.
        if(
            has_numbers,
            arrayFilter(
                (mark, text, sign, start, length_max, negated, number) -> NOT ifNull(
                    multiIf(
                        sign = '<', toFloat64OrNull(text) < number,
                        sign = '<=', toFloat64OrNull(text) <= number,
                        sign = '>', toFloat64OrNull(text) > number,
                        sign = '>=', toFloat64OrNull(text) >= number,
                        (startsWith(text, start) AND length(text) <= length_max) != negated
                    ),
                    0
                ),
                marks, arrayMap(place -> values[place], places), signs, starts, lengths_max, negations, numbers
            ),
            if(
                length(arrayDistinct(tested_names)) = 1 AND {breakdown:String} IN ('', tested_names[1]),
                arrayFilter(
                    (mark, start, length_max, negated) ->
                        startsWith(first_value, start) * (length(first_value) <= length_max) = negated,
                    marks, starts, lengths_max, negations
                ),
                arrayFilter(
                    (mark, place, start, length_max, negated) ->
                        startsWith(values[place], start) * (length(values[place]) <= length_max) = negated,
                    marks, places, starts, lengths_max, negations
                )
            )
        ) AS failed
    FROM {database}.human_events AS event_
    ASOF LEFT JOIN {database}.units(source_id = {source_id:String}, counted_by = {counted_by:String}) AS unit
        ON event_.visitor_id = unit.visitor_id AND event_.event_time >= unit.since
    WHERE event_.source_id = {source_id:String}
        AND event_.event_time >= {since:DateTime64(3, 'UTC')}
        AND event_.event_time < {until:DateTime64(3, 'UTC')}
        AND (has(event_of, '*') OR event_.event IN event_of)
        AND NOT throwIf(
            {counted_by:String} NOT IN ('visitor', 'person', 'session'),
            'counted_by is visitor, person or session'
        )
        AND NOT throwIf(
            countSubstrings(asked, ' & ') != length(extractAll(asked, ' & ([^=!<>]*)[=!<>]')),
            'a condition has a part without a sign; write it as name=value, with one of = != < <= > >='
        )
)
