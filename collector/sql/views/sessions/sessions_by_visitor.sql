-- sessions_by_visitor: one row per visitor, with the events of each visit in order.
--
-- Question    Where do a visitor's visits begin and end? sessions stands on it.
-- Grain       One row per (source_id, visitor_id).
-- Reads       human_events
-- Definition  A gap of more than 1,800,000 ms (30 minutes) between two events of a visitor starts a new session. Events
--             are ordered by (event_time, sequence, message_id). Each column is an array of sessions, and each session
--             an array of what its events have:
--               moments   (event_time, sequence, message_id)
--               actions   (path, is_view, is_call, conversion, value, currency); is_view is true of the event
--                         `page_view`, is_call of identify, group and alias calls.
--               sources   (channel, referrer_host)
--               details   (utm_source, utm_medium, utm_campaign, utm_term, utm_content, device_class, browser, os,
--                         country)
--               user_ids  user_id
-- Exact       Yes: no sampling, no approximate counts, the same in any order of arrival.
-- Time        event_time, UTC.
-- Cost        Of moments, which it always needs, and of the columns that are asked for. It is a view of its own because
--             ClickHouse finds out what is not needed at the border of a view, and not at that of a SELECT below an
--             ARRAY JOIN: sessions takes half the time for it. Filter on source_id and visitor_id.
-- Test        tests/sql/sessions/
CREATE OR REPLACE VIEW {database}.sessions_by_visitor AS
WITH
    groupArray((event_time, sequence, message_id)) AS heard,
    arraySort(heard) AS in_order,
    arrayMap(
        gap_ms -> gap_ms > 1800000,
        arrayDifference(arrayMap(moment -> toUnixTimestamp64Milli(moment.1), in_order))
    ) AS begins
SELECT
    source_id,
    visitor_id,
    arraySplit((moment, begin) -> begin, in_order, begins) AS moments,
    arraySplit(
        (action, begin) -> begin,
        arraySort(
            (action, moment) -> moment,
            groupArray((
                path,
                event = 'page_view',
                type IN ('identify', 'group', 'alias'),
                conversion, value, currency
            )),
            heard
        ),
        begins
    ) AS actions,
    arraySplit(
        (source, begin) -> begin,
        arraySort((source, moment) -> moment, groupArray((channel, referrer_host)), heard),
        begins
    ) AS sources,
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
