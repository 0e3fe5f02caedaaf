-- A part of few rows is one file, not one for each of seventy columns, which cost more than what stands in them.
--
-- ClickHouse begins with a file for each column at 10 MB of uncompressed rows, some 20,000 events: one insert of a busy
-- collector. Each of these files is synced when it is inserted, and opened, read and written again by every merge.
ALTER TABLE {database}.events MODIFY SETTING min_bytes_for_wide_part = 104857600
