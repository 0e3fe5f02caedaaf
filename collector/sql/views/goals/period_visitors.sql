-- period_visitors: how many came in each period, and how many of the period before did not.
--
-- Question    How many came, and how many stayed away? goals and kpis divide by it.
-- Parameters  source_id, period, since, until, time_zone, counted_by   As kpis.
-- Grain       One row per period_start in which somebody came, or stayed away who had come in the one before.
-- Reads       human_events, units
-- Definition  visitors         Visitors or persons with an event.
--             visitors_before  Those of the period before. lost: those of them who have no event in this one.
--             The first period is that of `since`; also of the one before it the figures are right.
--             period_start  First moment of the period.
-- Exact       Yes.
-- Time        event_time, in time_zone.
-- Cost        One pass over visitor and time of the source's events in the range. By person it reads visitors too.
-- Test        tests/sql/test_goals.py
CREATE OR REPLACE VIEW {database}.period_visitors AS
WITH
    day -> multiIf({period:String} = 'day', day, {period:String} = 'week', toMonday(day), toStartOfMonth(day))
        AS start_of,
    start -> multiIf({period:String} = 'day', start + 1, {period:String} = 'week', start + 7, addMonths(start, 1))
        AS next_of
SELECT
    (came.1) AS period_start,
    countIf(came.2 = 0) AS visitors,
    countIf(came.2 > 0) AS visitors_before,
    countIf(came.2 = 2) AS lost
FROM
(
    SELECT groupUniqArray(start_of(toDate(event_time, {time_zone:String}))) AS starts
    FROM {database}.human_events AS event_
    LEFT JOIN {database}.units(source_id = {source_id:String}, counted_by = {counted_by:String}) AS unit
        ON event_.visitor_id = unit.visitor_id
    WHERE event_.source_id = {source_id:String}
        -- Two periods and a day more: who stayed away in the period before `since` had come in the one before that.
        AND event_time >= {since:DateTime64(3, 'UTC')}
            - toIntervalDay(multiIf({period:String} = 'day', 4, {period:String} = 'week', 22, 94))
        AND event_time < {until:DateTime64(3, 'UTC')}
        AND NOT throwIf({counted_by:String} NOT IN ('visitor', 'person'), 'counted_by is visitor or person')
    GROUP BY if({counted_by:String} = 'person', unit.id, event_.visitor_id)
)
ARRAY JOIN arrayConcat(
    arrayMap(start -> (start, 0), starts),
    arrayMap(start -> (next_of(start), if(has(starts, next_of(start)), 1, 2)), starts)
) AS came
GROUP BY period_start
