-- human_events: one row per accepted event of a person.
--
-- Question    Which events count? Every other view reads this one, so that bots are left out in one place only.
-- Grain       One row per (source_id, visitor_id, occurred_at, message_id).
-- Reads       events
-- Definition  Duplicates are removed (FINAL: the row received last stays), rows flagged as bots are left out.
--             To count bots too, read `events FINAL` in its place; bot_reason says why each is one.
--               moment   Which of a visitor's events comes first: event_time, then sequence, then a hash of message_id,
--                        in one number, because sorting by three columns takes sessions a third of its time. From the
--                        highest bit: 45 of milliseconds since 1970, 32 of sequence, the upper 47 of
--                        xxHash64(message_id), and four zeros.
-- Exact       Yes.
-- Time        All columns of events, unchanged, UTC. Also `property`, the properties by name, which `*` of events lacks,
--             and moment.
-- Cost        FINAL merges parts while it reads. Filter on source_id first, then on visitor_id: that is the sort order.
-- Test        tests/sql/human_events/
CREATE OR REPLACE VIEW {database}.human_events AS
SELECT
    *,
    property,
    bitShiftLeft(toInt128(toUnixTimestamp64Milli(event_time)), 83)
        + bitShiftLeft(toInt128(sequence), 51)
        + bitShiftLeft(bitShiftRight(xxHash64(message_id), 17), 4) AS moment
FROM {database}.events FINAL
WHERE NOT is_bot
