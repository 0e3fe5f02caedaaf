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
-- Cost        Reads the columns that are named, and of events without conditions only their name; the properties only
--             when one is named. By person or session it reads units_by_person or units_by_session too.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.step_events AS
WITH
    -- What is asked for is found without lambdas: so it is a constant, and columns that are not asked for are not read.
    concat(arrayStringConcat({steps:Array(String)}), ' & ', {breakdown:String}, '=') AS asked,
    extractAll(asked, ' & ([^=!<>]*)[=!<>]') AS names,
    position(arrayStringConcat({steps:Array(String)}), ' & ') > 0 AS has_parts,
    arrayMap(condition -> splitByString(' & ', condition), {steps:Array(String)}) AS parts_of,
    arrayMap(parts -> parts[1], parts_of) AS event_of,
    -- Of each part of each step, in the order of names (of which the last is the breakdown's): the step, the sign, the
    -- value without a `*` at its end, whether there is one, and the value as a number.
    arrayFlatten(arrayMap(parts -> arraySlice(parts, 2), parts_of)) AS tests,
    arrayFlatten(
        arrayMap((step, parts) -> arrayWithConstant(length(parts) - 1, step), arrayEnumerate(parts_of), parts_of)
    ) AS tested_steps,
    arrayMap(test -> extract(test, '^[^=!<>]*(!=|<=|>=|=|<|>)'), tests) AS signs,
    arrayMap(test -> extract(test, '(?s)^[^=!<>]*(?:!=|<=|>=|=|<|>)(.*)$'), tests) AS texts,
    arrayMap(text -> endsWith(text, '*'), texts) AS opens,
    arrayMap((text, open) -> substring(text, 1, length(text) - open), texts, opens) AS starts,
    arrayMap(text -> toFloat64OrNull(text), texts) AS numbers,
    arrayFilter((step, name) -> name = '*', arrayEnumerate(event_of), event_of) AS steps_of_any,
    mapFromArrays(
        arrayDistinct(event_of),
        arrayMap(
            wanted -> arrayFilter((step, name) -> name IN (wanted, '*'), arrayEnumerate(event_of), event_of),
            arrayDistinct(event_of)
        )
    ) AS steps_of
SELECT
    counted_id,
    arrayJoin(if(has_parts, arrayFilter(step -> NOT has(failed_steps, step), candidates), candidates)) AS step,
    event_time,
    sequence,
    message_id,
    value,
    currency,
    if({breakdown:String} = '', '', values[-1]) AS dimension
FROM
(
    SELECT
        event_time,
        sequence,
        message_id,
        value,
        currency,
        if({counted_by:String} = 'visitor', event_.visitor_id, unit.id) AS counted_id,
        if(empty(steps_of_any) OR notEmpty(steps_of[event]), steps_of[event], steps_of_any) AS candidates,
        arrayMap(
            name -> multiIf(
                name = 'event', if(has(names, 'event'), event::String, ''),
                name = 'path', if(has(names, 'path'), path, ''),
                name = 'host', if(has(names, 'host'), host::String, ''),
                name = 'title', if(has(names, 'title'), title, ''),
                name = 'channel', if(has(names, 'channel'), channel::String, ''),
                name = 'utm_source', if(has(names, 'utm_source'), utm_source::String, ''),
                name = 'utm_medium', if(has(names, 'utm_medium'), utm_medium::String, ''),
                name = 'utm_campaign', if(has(names, 'utm_campaign'), utm_campaign::String, ''),
                name = 'utm_term', if(has(names, 'utm_term'), utm_term, ''),
                name = 'utm_content', if(has(names, 'utm_content'), utm_content, ''),
                name = 'referrer_host', if(has(names, 'referrer_host'), referrer_host::String, ''),
                name = 'device_class', if(has(names, 'device_class'), device_class::String, ''),
                name = 'browser', if(has(names, 'browser'), browser::String, ''),
                name = 'os', if(has(names, 'os'), os::String, ''),
                name = 'country', if(has(names, 'country'), country::String, ''),
                name = 'language', if(has(names, 'language'), language::String, ''),
                name = 'user_id', if(has(names, 'user_id'), user_id, ''),
                name = 'group_id', if(has(names, 'group_id'), group_id, ''),
                if(
                    hasAll(
                        [
                            '', 'event', 'path', 'host', 'title', 'channel', 'utm_source', 'utm_medium', 'utm_campaign',
                            'utm_term', 'utm_content', 'referrer_host', 'device_class', 'browser', 'os', 'country',
                            'language', 'user_id', 'group_id'
                        ],
                        names
                    ),
                    '',
                    ifNull(property[name], '')
                )
            ),
            names
        ) AS values,
        arrayFilter(
            (step, value, sign, start, open, number) -> NOT multiIf(
                sign = '=', if(open, startsWith(value, start), value = start),
                sign = '!=', if(open, NOT startsWith(value, start), value != start),
                sign = '<', ifNull(toFloat64OrNull(value) < number, 0),
                sign = '<=', ifNull(toFloat64OrNull(value) <= number, 0),
                sign = '>', ifNull(toFloat64OrNull(value) > number, 0),
                ifNull(toFloat64OrNull(value) >= number, 0)
            ),
            tested_steps, arrayPopBack(values), signs, starts, opens, numbers
        ) AS failed_steps
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
