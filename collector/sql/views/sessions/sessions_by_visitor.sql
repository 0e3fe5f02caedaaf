-- sessions_by_visitor: one row per visitor, with the events of each visit in order.
--
-- Question    Where do a visitor's visits begin and end? sessions stands on it.
-- Grain       One row per (source_id, visitor_id).
-- Reads       human_events
-- Definition  A gap of more than 1,800,000 ms (30 minutes) between two events of a visitor starts a new session. Events
--             are in the order of human_events.moment. Each column is an array of sessions, and each session an array
--             of what its events have:
--               times     event_time
--               kinds     1: the event `page_view`. 2: an identify, group or alias call. 0: any other.
--               goals     1: a macro conversion. 2: a micro conversion. 0: none.
--               details   (utm_source, utm_medium, utm_campaign, utm_term, utm_content, device_class, browser, os,
--                         country)
--               paths, values, currencies, channels, referrer_hosts, user_ids   The column of that name.
-- Exact       Yes: no sampling, no approximate counts, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        Of moments, kinds and goals, which it always reads, and of the columns that are asked for. It is a view of
--             its own because ClickHouse finds out what is not needed at the border of a view, and not at that of a
--             SELECT below an ARRAY JOIN: sessions takes half the time for it. Numbers of their own cost less than
--             texts, and than tuples. Filter on source_id and visitor_id.
-- Test        tests/sql/sessions/
CREATE OR REPLACE VIEW {database}.sessions_by_visitor AS
WITH
    -- Kind and goal are in the four bits that moment leaves free: so they are sorted with it.
    groupArray(
        moment
            + multiIf(event = 'page_view', 1, type IN ('identify', 'group', 'alias'), 2, 0)
            + multiIf(conversion = 'macro', 4, conversion = 'micro', 8, 0)
    ) AS heard,
    arraySort(heard) AS in_order,
    arrayMap(moment -> toInt64(bitShiftRight(moment, 83)), in_order) AS milliseconds,
    arrayMap(gap_ms -> gap_ms > 1800000, arrayDifference(milliseconds)) AS begins
SELECT
    source_id,
    visitor_id,
    arraySplit(
        (time, begin) -> begin,
        arrayMap(ms -> fromUnixTimestamp64Milli(ms, 'UTC'), milliseconds),
        begins
    ) AS times,
    arraySplit(
        (path, begin) -> begin,
        arraySort((path, moment) -> moment, groupArray(path), heard),
        begins
    ) AS paths,
    arraySplit(
        (kind, begin) -> begin,
        arrayMap(moment -> toUInt8(bitAnd(moment, 3)), in_order),
        begins
    ) AS kinds,
    arraySplit(
        (goal, begin) -> begin,
        arrayMap(moment -> toUInt8(bitAnd(bitShiftRight(moment, 2), 3)), in_order),
        begins
    ) AS goals,
    arraySplit(
        (value, begin) -> begin,
        arraySort((value, moment) -> moment, groupArray(value), heard),
        begins
    ) AS values,
    arraySplit(
        (currency, begin) -> begin,
        arraySort((currency, moment) -> moment, groupArray(currency), heard),
        begins
    ) AS currencies,
    arraySplit(
        (channel, begin) -> begin,
        arraySort((channel, moment) -> moment, groupArray(channel), heard),
        begins
    ) AS channels,
    arraySplit(
        (host, begin) -> begin,
        arraySort((host, moment) -> moment, groupArray(referrer_host), heard),
        begins
    ) AS referrer_hosts,
    arraySplit(
        (detail, begin) -> begin,
        arraySort(
            (detail, moment) -> moment,
            groupArray((
                utm_source, utm_medium, utm_campaign, utm_term, utm_content,
                device_class, browser, os, country
            )),
            heard
        ),
        begins
    ) AS details,
    arraySplit(
        (user_id, begin) -> begin,
        arraySort((user_id, moment) -> moment, groupArray(user_id), heard),
        begins
    ) AS user_ids
FROM {database}.human_events
GROUP BY source_id, visitor_id
