-- frequency: how often people do something in a time.
--
-- Question    How many did it once, twice, or on five days? What does a habit look like here?
-- Parameters  source_id   String.
--             event       String: what is done: a condition, written as step_events says; '*' for any event.
--             measure     String: 'events' counts events, 'days' the days with one.
--             since, until   DateTime64(3): event_time from, and before.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor', 'person' or 'session'.
--                 SELECT * FROM frequency(source_id = 'shop', event = 'purchase', measure = 'events',
--                     since = '2026-10-01', until = '2026-11-01', time_zone = 'UTC', counted_by = 'person')
-- Grain       One row per number of times that somebody did it.
-- Reads       step_events
-- Definition  times           How often. did: those who did it exactly so often. share: of all who did it at all.
--             did_or_more     Those who did it so often or more often. share_or_more: of all who did it at all.
-- Exact       Yes.
-- Time        event_time; days in time_zone.
-- Cost        Reads the events from `since` to `until` that meet the condition.
-- Test        tests/sql/test_lifecycle.py
CREATE OR REPLACE VIEW {database}.frequency AS
SELECT
    times,
    count() AS did,
    did / sum(did) OVER () AS share,
    sum(did) OVER (ORDER BY times DESC) AS did_or_more,
    did_or_more / sum(did) OVER () AS share_or_more
FROM
(
    SELECT if(
        {measure:String} = 'events',
        count(),
        uniqExact(if({measure:String} = 'events', toDate(0), toDate(event_time, {time_zone:String})))
    ) AS times
    FROM {database}.step_events
    (
        source_id = {source_id:String},
        steps = [{event:String}],
        counted_by = {counted_by:String},
        breakdown = '',
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')}
    )
    WHERE NOT throwIf({measure:String} NOT IN ('events', 'days'), 'frequency: measure is events or days')
    GROUP BY counted_id
)
GROUP BY times
ORDER BY times
