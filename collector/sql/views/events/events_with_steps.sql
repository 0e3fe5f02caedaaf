-- events_with_steps: events, each with the steps of a question that it is.
--
-- Question    Which of these conditions does each event fulfil? step_events has it by row; funnels count from here, so
--             that an event is copied and looked up once, however many steps it is.
-- Parameters  As step_events.
-- Grain       One row per event of a name that is in a condition.
-- Reads       unit_events
-- Definition  steps are the numbers of the conditions, from 1, in order; [] where the event fulfils none.
--               step_bits   The same as bits of a number, bit n for step n, which costs less where a question looks for
--                           one step; 0 where there are more than 63 conditions.
--             dimension and counted_id are as in step_events, the others as in human_events.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        0.9 s of CPU for ten million events and two conditions on paths, of which half is reading. Up to six
--             conditions on one name cost least, comparisons of numbers and more than 63 steps most.
--             Reads the columns that are named, and of events without conditions only their name; the properties only
--             when one is named. By person or session it reads units_by_person or units_by_session too.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.events_with_steps AS
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
    -- Up to 63 steps are bits of a number, which costs a quarter of arrays of them.
    length({steps:Array(String)}) <= 63 AS are_bits,
    arrayMap(step -> toUInt64(bitShiftLeft(toUInt64(1), step % 64)), arrayEnumerate(parts_of)) AS bits,
    arrayMap(step -> if(are_bits, bits[step], step), tested_steps) AS marks,
    arrayMap(steps -> arraySum(step -> bits[step], steps), steps_of) AS bits_of,
    arraySum(step -> bits[step], steps_of_any) AS bits_of_any,
    -- Tests of one name alone, of no numbers: up to six are terms of their own, which cost a third of a lambda. More of
    -- them would cost every question more to plan.
    length(arrayDistinct(tested_names)) = 1
        AND NOT has_numbers
        AND {breakdown:String} IN ('', tested_names[1]) AS is_one_name,
    are_bits AND is_one_name AND length(tests) <= 6 AS are_terms
SELECT
    counted_id,
    multiIf(
        NOT are_bits, 0,
        empty(tested_names), as_bits,
        are_terms, bitAnd(as_bits, bitNot(failed_bits)),
        bitAnd(as_bits, bitNot(arrayReduce('groupBitOr', failed)))
    )::UInt64 AS step_bits,
    if(
        are_bits,
        bitPositionsToArray(step_bits),
        arrayMap(
            step -> toUInt64(step),
            arrayFilter(
                step -> NOT has(failed, step),
                if(has(event_names, name), steps_of[indexOf(event_names, name)], steps_of_any)
            )
        )
    ) AS steps,
    event_time,
    sequence,
    message_id,
    moment,
    value,
    currency,
    if({breakdown:String} = '', '', values[indexOf(names_read, {breakdown:String})]) AS dimension
FROM
(
    SELECT
        event_time,
        sequence,
        message_id,
        moment,
        value,
        currency,
        event AS name,
        transform(event, event_names, bits_of, bits_of_any) AS as_bits,
        counted_id,
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
        if(has(names, 'event'), event::String,
        if(has(names, 'path'), path,
        if(has(names, 'host'), host::String,
        if(has(names, 'title'), title,
        if(has(names, 'channel'), channel::String,
        if(has(names, 'utm_source'), utm_source::String,
        if(has(names, 'utm_medium'), utm_medium::String,
        if(has(names, 'utm_campaign'), utm_campaign::String,
        if(has(names, 'utm_term'), utm_term,
        if(has(names, 'utm_content'), utm_content,
        if(has(names, 'referrer_host'), referrer_host::String,
        if(has(names, 'device_class'), device_class::String,
        if(has(names, 'browser'), browser::String,
        if(has(names, 'os'), os::String,
        if(has(names, 'country'), country::String,
        if(has(names, 'language'), language::String,
        if(has(names, 'user_id'), user_id,
        if(has(names, 'group_id'), group_id,
        if(hasAll(arrayPushBack(columns, ''), names), '',
        ifNull(property[names[1]], '')))))))))))))))))))) AS first_value,
        if(
            length(tests) < 1, 0,
            marks[1] * (startsWith(first_value, starts[1]) * (length(first_value) <= lengths_max[1]) = negations[1])
        ) AS failed_1,
        if(
            length(tests) < 2, 0,
            marks[2] * (startsWith(first_value, starts[2]) * (length(first_value) <= lengths_max[2]) = negations[2])
        ) AS failed_2,
        if(
            length(tests) < 3, 0,
            marks[3] * (startsWith(first_value, starts[3]) * (length(first_value) <= lengths_max[3]) = negations[3])
        ) AS failed_3,
        if(
            length(tests) < 4, 0,
            marks[4] * (startsWith(first_value, starts[4]) * (length(first_value) <= lengths_max[4]) = negations[4])
        ) AS failed_4,
        if(
            length(tests) < 5, 0,
            marks[5] * (startsWith(first_value, starts[5]) * (length(first_value) <= lengths_max[5]) = negations[5])
        ) AS failed_5,
        if(
            length(tests) < 6, 0,
            marks[6] * (startsWith(first_value, starts[6]) * (length(first_value) <= lengths_max[6]) = negations[6])
        ) AS failed_6,
        bitOr(
            bitOr(bitOr(failed_1, failed_2), bitOr(failed_3, failed_4)),
            bitOr(failed_5, failed_6)
        ) AS failed_bits,
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
                is_one_name,
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
    FROM {database}.unit_events(source_id = {source_id:String}, counted_by = {counted_by:String})
    WHERE event_time >= {since:DateTime64(3, 'UTC')}
        AND event_time < {until:DateTime64(3, 'UTC')}
        -- Not IN, because each row of a list that is no literal is compared with all of it.
        AND transform(event, event_names, arrayMap(name -> 1, event_names), has(event_of, '*'))
        AND NOT throwIf(
            {counted_by:String} NOT IN ('visitor', 'person', 'session'),
            'counted_by is visitor, person or session'
        )
        AND NOT throwIf(
            countSubstrings(asked, ' & ') != length(extractAll(asked, ' & ([^=!<>]*)[=!<>]')),
            'a condition has a part without a sign; write it as name=value, with one of = != < <= > >='
        )
)
