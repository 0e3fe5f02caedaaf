-- step_events: which events are which step of a question.
--
-- Question    Which events fulfil these conditions? funnel, funnel_times, retention and attribution stand on it.
-- Parameters  source_id   String.
--             steps       Array(String), one condition a step. A condition is the name of an event, or `*` for any, and
--                         then any number of ` & name=value`, all of which must hold:
--                           'purchase'    'page_view & path=/pricing'    'page_view & path=/blog/*'
--                           'sign_up & plan=pro & device_class=mobile'
--                         A name is one of the columns path, host, title, channel, utm_source, utm_medium,
--                         utm_campaign, referrer_host, device_class, browser, os, country, language, user_id, or else a
--                         property. A `*` at the end of a value stands for whatever follows.
--             counted_by  String: 'visitor', 'person' (as in visitors) or 'session'.
--             breakdown   String: a name as in a condition, or '' for none.
--             since, until   DateTime64(3): event_time from, and before.
-- Grain       One row per event and step that it is: one event may be several.
-- Reads       human_events, visitors, sessions
-- Definition  step is the number of the condition, from 1. dimension is the event's own value of the breakdown. counted_id
--             is a visitor_id, person_id or session_id.
--             value and currency are as in events.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads the columns that are named, and of events without conditions only their name. By person or session
--             it reads visitors or sessions too.
-- Test        tests/sql/test_funnel.py
CREATE OR REPLACE VIEW {database}.step_events AS
WITH
    arrayMap(condition -> splitByString(' & ', condition), {steps:Array(String)}) AS parts_of,
    arrayMap(parts -> parts[1], parts_of) AS event_of,
    arrayMap(parts -> arrayMap(part -> splitByString('=', part, 2)[1], arraySlice(parts, 2)), parts_of) AS names_of,
    arrayMap(parts -> arrayMap(part -> splitByString('=', part, 2)[2], arraySlice(parts, 2)), parts_of) AS values_of,
    -- All that is asked for, as one text: a constant without lambdas, so that what is not asked for is not read.
    concat(arrayStringConcat({steps:Array(String)}), ' & ', {breakdown:String}, '=') AS asked,
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
    arrayJoin(matched) AS step,
    event_time,
    sequence,
    message_id,
    value,
    currency,
    dimension
FROM
(
    WITH
        -- A column that is not needed is the constant '', and is not read.
        name -> multiIf(
            name = 'path', if(position(asked, ' & path=') > 0, path, ''),
            name = 'host', if(position(asked, ' & host=') > 0, host::String, ''),
            name = 'title', if(position(asked, ' & title=') > 0, title, ''),
            name = 'channel', if(position(asked, ' & channel=') > 0, channel::String, ''),
            name = 'utm_source', if(position(asked, ' & utm_source=') > 0, utm_source::String, ''),
            name = 'utm_medium', if(position(asked, ' & utm_medium=') > 0, utm_medium::String, ''),
            name = 'utm_campaign', if(position(asked, ' & utm_campaign=') > 0, utm_campaign::String, ''),
            name = 'referrer_host', if(position(asked, ' & referrer_host=') > 0, referrer_host::String, ''),
            name = 'device_class', if(position(asked, ' & device_class=') > 0, device_class::String, ''),
            name = 'browser', if(position(asked, ' & browser=') > 0, browser::String, ''),
            name = 'os', if(position(asked, ' & os=') > 0, os::String, ''),
            name = 'country', if(position(asked, ' & country=') > 0, country::String, ''),
            name = 'language', if(position(asked, ' & language=') > 0, language::String, ''),
            name = 'user_id', if(position(asked, ' & user_id=') > 0, user_id, ''),
            ifNull(property[name], '')
        ) AS value_of,
        (name, wanted) -> if(
            endsWith(wanted, '*'),
            startsWith(value_of(name), substring(wanted, 1, length(wanted) - 1)),
            value_of(name) = wanted
        ) AS holds,
        if(empty(steps_of_any) OR notEmpty(steps_of[event]), steps_of[event], steps_of_any) AS candidates
    SELECT
        event_time,
        sequence,
        message_id,
        value,
        currency,
        if(
            position(arrayStringConcat({steps:Array(String)}), ' & ') = 0,
            candidates,
            arrayFilter(
                step -> arrayAll((name, wanted) -> holds(name, wanted), names_of[step], values_of[step]),
                candidates
            )
        ) AS matched,
        if({breakdown:String} = '', '', value_of({breakdown:String})) AS dimension,
        multiIf(
            {counted_by:String} = 'person', person.id,
            {counted_by:String} = 'session', session.id,
            event_.visitor_id
        ) AS counted_id
    FROM {database}.human_events AS event_
    -- Both are empty, and cost next to nothing, unless they are what is counted by.
    LEFT JOIN
    (
        SELECT visitor_id, person_id AS id
        FROM {database}.visitors
        WHERE source_id = {source_id:String} AND {counted_by:String} = 'person'
    ) AS person ON event_.visitor_id = person.visitor_id
    ASOF LEFT JOIN
    (
        SELECT visitor_id, started_at, session_id AS id
        FROM {database}.sessions
        WHERE source_id = {source_id:String} AND {counted_by:String} = 'session'
    ) AS session ON event_.visitor_id = session.visitor_id AND event_.event_time >= session.started_at
    WHERE event_.source_id = {source_id:String}
        AND event_.event_time >= {since:DateTime64(3, 'UTC')}
        AND event_.event_time < {until:DateTime64(3, 'UTC')}
        AND (has(event_of, '*') OR event_.event IN event_of)
)
