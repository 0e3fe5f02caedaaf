-- retention: of those who began in a period, how many came back in the periods after it.
--
-- Question    Do people come back, and after which change do more of them?
-- Parameters  source_id   String.
--             start_event, return_event   String: a condition, written as step_events says; '*' for any event.
--             period      String: 'day', 'week' (from Monday) or 'month'.
--             kind        String: 'on' counts who came back in that very period, 'on_or_after' in it or in a later one.
--             since, until   DateTime64(3): cohorts that begin from `since`; everything is known before `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor' or 'person'.
--                 SELECT * FROM retention(source_id = 'shop', start_event = 'sign_up', return_event = '*',
--                     period = 'week', kind = 'on', since = '2026-09-01', until = now('UTC'), time_zone = 'UTC',
--                     counted_by = 'person')
-- Grain       One row per (cohort, number), for every number whose period is over before `until`, also without returns.
-- Reads       retention_by
-- Definition  cohort    The period, as its first day, of the first start event ever: whoever began before `since` is in
--                       no cohort, however often they began again.
--             number    Periods after that; 0 is the cohort's own, in which all of it counts as returned.
--             size      Those who began. returned: those of them who came back. share: returned divided by size.
-- Exact       Yes.
-- Time        event_time, in time_zone; periods are counted as dates, so a day of 23 or 25 hours is one day.
-- Cost        Reads all events of the source that meet either condition, from the beginning: a first is known only so.
-- Test        tests/sql/test_retention.py
CREATE OR REPLACE VIEW {database}.retention AS
SELECT
    cohort,
    first_number AS number,
    size,
    returned,
    share
FROM {database}.retention_by
(
    source_id = {source_id:String},
    start_event = {start_event:String},
    return_event = {return_event:String},
    period = {period:String},
    kind = {kind:String},
    brackets = [],
    breakdown = '',
    since = {since:DateTime64(3, 'UTC')},
    until = {until:DateTime64(3, 'UTC')},
    time_zone = {time_zone:String},
    counted_by = {counted_by:String}
)
ORDER BY cohort, number
