-- Merges of events take their columns one after another, and what is taken apart of properties lies in fewer pieces.
--
-- Whole rows of seventy columns cost a merge twice the CPU and memory. It goes column by column only into a part with a
-- file for each: those are merged parts from some 30,000 events. What is inserted stays one file (011), however large.
ALTER TABLE {database}.events MODIFY SETTING
    min_level_for_wide_part = 1,
    min_bytes_for_wide_part = 33554432,
    vertical_merge_algorithm_min_rows_to_activate = 1,
    max_buckets_in_map = 8
