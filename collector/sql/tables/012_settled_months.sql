-- A month to which nothing was added for a day becomes one part, of which FINAL costs nothing.
--
-- ClickHouse leaves some parts beside each other for ever, as it merges what is of like size.
ALTER TABLE {database}.events MODIFY SETTING
    min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

-- By month of occurrence the parts do not tell when their rows came.
ALTER TABLE {database}.events ADD INDEX IF NOT EXISTS received_at_index received_at TYPE minmax GRANULARITY 1;
