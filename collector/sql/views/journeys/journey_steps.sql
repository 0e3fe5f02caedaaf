-- journey_steps: one row per visit, visitor or person, with the steps of the journey that is asked for.
--
-- Question    Which pages and events, between which moments? journeys, sankey, loops, purchase_paths and drop_offs
--             stand on it.
-- Parameters  source_id   String.
--             start_event, end_event   String: conditions, written as step_events says, of the events between which the
--                         journey lies; '' for the first and the last event there is.
--             goal        String: the condition that a conversion meets; '' for none.
--             events      Array(String): conditions of events that are steps, too, besides page views; [] for none.
--             pages       Array(String): rules that name pages, written as page_groups says; [] for paths.
--             collapse    Bool: whether a step that stands several times in a row is one.
--             counted_by  String: 'session', 'visitor' or 'person' (as in visitors).
--             since, until   DateTime64(3): sessions that began from, and before; for visitors and persons events.
-- Grain       One row per session, visitor or person that had the start event.
-- Reads       human_events, step_events, page_groups, units
-- Definition  Sessions are cut, ordered and called as in `sessions` (a test compares the two). The journey begins with
--             the first event that meets start_event and ends with the first other one after it that meets end_event,
--             or else with the last event.
--               counted_id     A session_id, visitor_id or person_id.
--               steps          Page views by page, and `events` by condition, in order. One event is one step; of
--                              several conditions that it meets, it has the name of the first in the alphabet.
--               step_times     When each was.
--               started_at     When the journey began: at the start event.
--               start_is_step  Whether the first step is the start event itself: it was a page view or one of `events`.
--               step_before    The step before the start event, as if it were without one; '' when there is none.
--               reached        Whether the end event came; always true when end_event is ''.
--               conversions    Events that meet the goal, from the start event on, also those after the end event.
--               revenue        Sum of the conversions' values. currency: theirs, `mixed` when they have more than one.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        One pass over the source's events since `since`, and one over those that meet a condition. Memory for the
--             events it reads, about 160 bytes each, in whatever view stands on it: ask for the period that is needed.
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.journey_steps AS
WITH
    {counted_by:String} = 'session' AS by_session,
    -- Whether a session began before `since` is known from the 30 minutes before; when it ends, only from all after.
    if(by_session, {since:DateTime64(3, 'UTC')} - toIntervalMinute(30), {since:DateTime64(3, 'UTC')}) AS read_since,
    if(by_session, toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), {until:DateTime64(3, 'UTC')}) AS read_until,
    arrayConcat([{start_event:String}, {end_event:String}, {goal:String}], {events:Array(String)}) AS conditions,
    (
        SELECT (groupArray(path), groupArray(page))
        FROM {database}.page_groups(source_id = {source_id:String}, pages = {pages:Array(String)})
        WHERE notEmpty({pages:Array(String)}) AND page != path
    ) AS renamed,
    -- What happened is (event_time, moment, kind, step, value, currency). An event stands there once for
    -- what it is and once for every condition it meets, in the order of kinds: 1 start, 2 page view, 3 other step,
    -- 4 goal, 5 end, 6 any other event, which is there because it keeps the session going.
    marks AS
    (
        SELECT
            counted_id AS id,
            groupArray((
                event_time,
                moment,
                [1, 5, 4, 3][least(step, 4)]::UInt8,
                if(step > 3, conditions[step], ''),
                value,
                currency::String
            )) AS marked
        FROM {database}.step_events
        (
            source_id = {source_id:String},
            steps = conditions,
            counted_by = if({counted_by:String} = 'person', 'person', 'visitor'),
            breakdown = '',
            since = read_since,
            until = read_until
        )
        WHERE conditions[step] != ''
        GROUP BY id
    ),
    histories AS
    (
        SELECT
            if({counted_by:String} = 'person', person.id, event_.visitor_id) AS id,
            groupArray((
                event_time,
                moment,
                if(event = 'page_view', 2, 6)::UInt8,
                if(event = 'page_view', transform(path, renamed.1, renamed.2, path), ''),
                0::Decimal(18, 4),
                ''
            )) AS seen
        FROM {database}.human_events AS event_
        LEFT JOIN {database}.units
        (
            source_id = {source_id:String},
            counted_by = if({counted_by:String} = 'person', 'person', 'visitor')
        ) AS person ON event_.visitor_id = person.visitor_id
        WHERE event_.source_id = {source_id:String}
            AND event_time >= read_since
            AND event_time < read_until
            AND NOT throwIf(
                {counted_by:String} NOT IN ('session', 'visitor', 'person'),
                'journeys: counted_by is session, visitor or person'
            )
        GROUP BY id
    ),
    units AS
    (
        SELECT
            id,
            arrayJoin(if(
                by_session,
                arraySplit(
                    (e, gap_ms) -> gap_ms > 1800000,
                    history,
                    arrayDifference(arrayMap(e -> toUnixTimestamp64Milli(e.1), history))
                ),
                [history]
            )) AS unit
        FROM
        (
            SELECT id, arraySort(arrayConcat(seen, marked)) AS history
            FROM histories
            LEFT JOIN marks USING (id)
        )
    )
SELECT
    counted_id,
    arrayMap(e -> e.4, journey) AS steps,
    arrayMap(e -> e.1, journey) AS step_times,
    started_at,
    step_before,
    ({start_event:String} != '' AND journey[1].2 = begin)::Bool AS start_is_step,
    ({end_event:String} = '' OR ends > 0)::Bool AS reached,
    length(goals) AS conversions,
    arraySum(e -> e.5, goals) AS revenue,
    if(arrayUniq(arrayMap(e -> e.6, goals)) > 1, 'mixed', goals[1].6) AS currency
FROM
(
    SELECT
        counted_id,
        begin,
        unit[begins].1 AS started_at,
        ends,
        arrayLast(e -> e.3 IN (2, 3), arraySlice(unit, 1, begins - 1)).4 AS step_before,
        if({collapse:Bool}, arrayCompact(e -> e.4, all_steps), all_steps) AS journey,
        arrayFilter(e -> e.3 = 4, arraySlice(unit, begins)) AS goals
    FROM
    (
        SELECT
            counted_id,
            unit,
            begins,
            begin,
            ends,
            -- Of an event that is a step in more than one way the first.
            arrayCompact(
                e -> e.2,
                arrayFilter(
                    e -> e.3 IN (2, 3),
                    arraySlice(unit, begins, toInt64(if(ends = 0, length(unit), ends)) - begins + 1)
                )
            ) AS all_steps
        FROM
        (
            SELECT
                counted_id,
                unit,
                begins,
                unit[begins].2 AS begin,
                if(
                    {end_event:String} = '',
                    0,
                    arrayFirstIndex(
                        (e, i) -> e.3 = 5 AND i >= begins AND ({start_event:String} = '' OR e.2 != begin),
                        unit,
                        arrayEnumerate(unit)
                    )
                ) AS ends
            FROM
            (
                SELECT
                    if(by_session, lower(hex(cityHash64({source_id:String}, id, unit[1].1))), id) AS counted_id,
                    unit,
                    if({start_event:String} = '', 1, arrayFirstIndex(e -> e.3 = 1, unit)) AS begins
                FROM units
                WHERE NOT by_session
                    OR (unit[1].1 >= {since:DateTime64(3, 'UTC')} AND unit[1].1 < {until:DateTime64(3, 'UTC')})
            )
            WHERE begins > 0
        )
    )
)
