-- human_events: one row per accepted event of a person.
--
-- Question    Which events count? Every other view reads this one, so that bots are left out in one place only.
-- Grain       One row per (source_id, visitor_id, occurred_at, message_id).
-- Reads       events
-- Definition  Duplicates are removed (FINAL: the row received last stays), rows flagged as bots are left out.
--             To count bots too, read `events FINAL` in its place; bot_reason says why each is one.
-- Exact       Yes.
-- Time        All columns of events, unchanged, UTC. Also `property`, the properties by name, which `*` of events lacks.
-- Cost        FINAL merges parts while it reads. Filter on source_id first, then on visitor_id: that is the sort order.
-- Test        tests/sql/human_events/
CREATE OR REPLACE VIEW {database}.human_events AS
SELECT *, property
FROM {database}.events FINAL
WHERE NOT is_bot
