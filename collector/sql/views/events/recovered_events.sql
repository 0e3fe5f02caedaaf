-- recovered_events: one row per failed event that is stored by now.
--
-- Question    Which events failed first and were stored after all, by which plan, and how?
-- Grain       One row per row of failed_events whose id its source has in events.
-- Reads       failed_events, events
-- Definition  how is `replayed` where the stored event came with the failed one (`footfall plan replay` keeps its times),
--             else `sent again`: its sender corrected it under the same id. refused_by and accepted_by are versions of
--             the tracking plan. Bots are among them: human_events leaves those out, this view does not.
--             failed_at  When the collector received the event that failed.
-- Exact       Yes.
-- Time        failed_at is when it was refused, event_time when it happened, UTC.
-- Cost        Reads failed_events, and of events the visitors that are in it. Filter on source_id and failed_at.
-- Test        tests/plan/
CREATE OR REPLACE VIEW {database}.recovered_events AS
SELECT
    failed.source_id AS source_id,
    stored.visitor_id AS visitor_id,
    failed.message_id AS message_id,
    stored.event AS event,
    stored.event_version AS event_version,
    stored.event_time AS event_time,
    failed.received_at AS failed_at,
    failed.reason AS reason,
    failed.pointer AS pointer,
    if(stored.received_at = failed.received_at, 'replayed', 'sent again') AS how,
    failed.plan_version AS refused_by,
    stored.plan_version AS accepted_by
FROM {database}.failed_events AS failed
INNER JOIN
(
    SELECT source_id, visitor_id, message_id, event, event_version, event_time, received_at, plan_version
    FROM {database}.events FINAL
    WHERE (source_id, visitor_id) IN
    (
        -- Who had no id of their own when they were refused got one from the event's.
        SELECT
            source_id,
            multiIf(visitor_id != '', visitor_id, user_id != '', concat('u_', user_id), concat('r_', message_id))
        FROM {database}.failed_events
    )
) AS stored ON stored.source_id = failed.source_id AND stored.message_id = failed.message_id
