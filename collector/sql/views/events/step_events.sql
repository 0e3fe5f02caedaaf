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
    arrayDistinct(extractAll(asked, ' & ([^=!<>]*)[=!<>]')) AS names,
    position(arrayStringConcat({steps:Array(String)}), ' & ') > 0 AS has_parts,
    arrayMap(condition -> splitByString(' & ', condition), {steps:Array(String)}) AS parts_of,
    arrayMap(parts -> parts[1], parts_of) AS event_of,
    -- Of each step, of each part: the place of its name in names, the sign, the value without a `*` at its end, whether
    -- there is one, the value as a number.
    arrayMap(
        parts -> arrayMap(
            part -> (
                indexOf(names, extract(part, '^[^=!<>]*')),
                extract(part, '^[^=!<>]*(!=|<=|>=|=|<|>)'),
                substring(
                    extract(part, '(?s)^[^=!<>]*(?:!=|<=|>=|=|<|>)(.*)$') AS value_,
                    1,
                    length(value_) - endsWith(value_, '*')
                ),
                endsWith(value_, '*'),
                toFloat64OrNull(value_)
            ),
            arraySlice(parts, 2)
        ),
        parts_of
    ) AS tests_of,
    arrayFilter((step, name) -> name = '*', arrayEnumerate(event_of), event_of) AS steps_of_any,
    mapFromArrays(
        arrayDistinct(event_of),
        arrayMap(
            wanted -> arrayFilter((step, name) -> name IN (wanted, '*'), arrayEnumerate(event_of), event_of),
            arrayDistinct(event_of)
        )
    ) AS steps_of,
    (found, sign, wanted, is_open, number) -> multiIf(
        sign IN ('=', '!='), if(is_open, startsWith(found, wanted), found = wanted) = (sign = '='),
        sign = '<', toFloat64OrNull(found) < number,
        sign = '<=', toFloat64OrNull(found) <= number,
        sign = '>', toFloat64OrNull(found) > number,
        toFloat64OrNull(found) >= number
    ) AS holds
SELECT
    counted_id,
    arrayJoin(if(
        has_parts,
        arrayFilter(
            step -> arrayAll(
                part -> ifNull(holds(values[part.1], part.2, part.3, part.4, part.5), 0),
                tests_of[step]
            ),
            candidates
        ),
        candidates
    )) AS step,
    event_time,
    sequence,
    message_id,
    value,
    currency,
    if({breakdown:String} = '', '', values[indexOf(names, {breakdown:String})]) AS dimension
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
        ) AS values
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
