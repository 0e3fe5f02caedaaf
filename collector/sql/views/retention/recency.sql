-- recency: how long ago people did something last.
--
-- Question    How many have been here in the last days, and how many have not come for long?
-- Parameters  source_id   String.
--             event       String: what is done: a condition, written as step_events says; '*' for any event.
--             since, until   DateTime64(3): those who did it from `since` on, looked back at from the day of `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM recency(source_id = 'shop', event = 'purchase', since = '2026-01-01',
--                     until = now('UTC'), time_zone = 'UTC', counted_by = 'person')
-- Grain       One row per number of days that are somebody's.
-- Reads       step_events
-- Definition  days_ago         Midnights from the last time to `until`: 0 is the same day.
--             did              Those whose last time it was. share: of all who did it at all.
--             did_or_later     Those whose last time was so many days ago or fewer. share_or_later: of all who did it.
-- Exact       Yes.
-- Time        event_time; days in time_zone.
-- Cost        Reads the events from `since` to `until` that meet the condition.
-- Test        tests/sql/test_lifecycle.py
CREATE OR REPLACE VIEW {database}.recency AS
SELECT
    days_ago,
    count() AS did,
    did / sum(did) OVER () AS share,
    sum(did) OVER (ORDER BY days_ago) AS did_or_later,
    did_or_later / sum(did) OVER () AS share_or_later
FROM
(
    SELECT
        dateDiff(
            'day',
            toDate(max(event_time), {time_zone:String}),
            toDate({until:DateTime64(3, 'UTC')}, {time_zone:String})
        ) AS days_ago
    FROM {database}.step_events
    (
        source_id = {source_id:String},
        steps = [{event:String}],
        counted_by = {counted_by:String},
        breakdown = '',
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')}
    )
    WHERE NOT throwIf({counted_by:String} NOT IN ('visitor', 'person'), 'recency: counted_by is visitor or person')
    GROUP BY counted_id
)
GROUP BY days_ago
ORDER BY days_ago
