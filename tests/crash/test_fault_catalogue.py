"""The catalogue of faults: what may break, what is required then, and which tests show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from chaos.__main__ import PARTS

TESTS = Path(__file__).parents[1]
POINTS, KILLS = "crash/test_crash_points.py", "crash/test_crash_kills.py"
LOADER, OUTAGE, DAMAGE = "load/test_load_crash.py", "load/test_load_outage.py", "load/test_load_damage.py"
WRITER, READER, STOP = "spool/test_spool_writer.py", "spool/test_spool_reader.py", "crash/test_crash_stop.py"
FULL, REFUSED, ONCE = "crash/test_crash_full_disk.py", "load/test_load_refused.py", "load/test_load_exactly_once.py"
AT_A_POINT = f"{POINTS}::test_a_worker_killed_around_its_sync_or_as_it_begins_a_segment_is_followed_by_one_that_goes_on"
LOADER_AT_A_POINT = f"{LOADER}::test_a_loader_killed_at_any_point_leaves_a_state_that_the_next_one_completes"
ANY_DISK = f"{POINTS}::test_a_disk_that_fails_or_may_only_be_read_is_told_and_taken_back_and_the_worker_lives_on"
JUMP = f"{POINTS}::test_a_clock_that_jumps_a_day_either_way_loses_nothing_and_doubles_nothing"

# Fault: where its short form is shown, and in which parts of `make chaos` its long form.
CATALOGUE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "killed while it appends": (
        (f"{WRITER}::test_a_living_writers_segment_is_not_sealed_and_a_killed_ones_is_with_all_that_was_acked",),
        ("kills",),
    ),
    "killed before the sync": ((AT_A_POINT,), ("points",)),
    "killed after the sync, before the answer": ((AT_A_POINT,), ("points",)),
    "killed after the answer": ((f"{KILLS}::test_no_acked_event_is_lost_or_double_whatever_is_killed",), ("kills",)),
    "killed while a segment is begun": ((AT_A_POINT,), ("points",)),
    "killed at the manifest": ((LOADER_AT_A_POINT,), ("points",)),
    "killed amid an insert": (
        (
            f"{LOADER}::test_a_crash_between_the_inserts_of_a_batch_leaves_neither_half_lost_nor_double",
            f"{LOADER}::test_an_insert_that_reached_one_of_two_partitions_is_completed_by_its_token",
        ),
        ("kills",),
    ),
    "killed before or after the commit": ((LOADER_AT_A_POINT,), ("points",)),
    "killed while segments are deleted": ((LOADER_AT_A_POINT,), ("points",)),
    "killed amid a migration": (("test_migrate.py::test_a_run_that_was_killed_is_finished_by_the_next",), ()),
    "supervisor killed": (
        (
            f"{STOP}::test_children_of_a_killed_supervisor_end_by_themselves_and_a_new_collector_starts_at_once",
            f"{STOP}::test_events_that_were_never_loaded_are_there_for_whoever_asks_after_the_stop",
        ),
        ("kills",),
    ),
    "database server killed": (
        (f"{KILLS}::test_no_acked_event_is_lost_or_double_when_the_database_server_is_killed_too",),
        ("kills", "database"),
    ),
    "power lost": (
        (
            f"{WRITER}::test_what_arrives_during_a_sync_shares_the_next_one_and_nothing_is_acked_before_its_own",
            f"{READER}::test_a_tail_of_zeros_as_a_power_loss_leaves_it_is_torn",
        ),
        ("damage",),
    ),
    "disk full": (
        (
            "spool/test_spool_full_disk.py::test_a_write_cut_short_is_taken_back_and_its_segment_never_written_again",
            f"{FULL}::test_a_full_disk_is_told_to_clients_and_receiving_goes_on_once_there_is_room",
            f"{FULL}::test_a_spool_that_filled_its_disk_while_the_database_was_away_empties_itself",
        ),
        ("disk",),
    ),
    "sync fails": (
        (
            f"{WRITER}::test_after_a_failed_sync_the_file_is_never_synced_again_and_the_spool_recovers_without_traffic",
            ANY_DISK,
        ),
        ("disk",),
    ),
    "tail torn": (
        (
            f"{READER}::test_a_tail_torn_at_any_byte_is_torn_in_a_sealed_segment_and_awaited_in_a_live_one",
            f"{DAMAGE}::test_a_torn_tail_is_left_behind_and_is_no_damage",
        ),
        ("damage",),
    ),
    "bit flipped in a segment": (
        (
            f"{READER}::test_a_bit_flipped_anywhere_costs_its_own_record_only_and_is_never_called_torn",
            f"{DAMAGE}::test_the_rest_of_a_damaged_segment_is_loaded_and_the_damage_kept_and_counted",
        ),
        ("damage",),
    ),
    "bit flipped in the manifest or the positions": (
        (
            f"{DAMAGE}::test_a_bit_flipped_anywhere_in_the_loaders_own_files_is_told_and_nothing_is_loaded_by_them",
            f"{FULL}::test_a_state_file_that_cannot_be_read_is_told_and_receiving_goes_on",
        ),
        ("damage",),
    ),
    "database down": (
        (f"{OUTAGE}::test_whatever_an_insert_fails_with_it_is_told_and_tried_again_until_it_works",),
        ("database",),
    ),
    "database down for a day": (
        (f"{ONCE}::test_only_what_is_older_than_memory_is_looked_up_and_a_restart_or_an_outage_does_not_change_that",),
        (),
    ),
    "database slow, or fails amid an insert": (
        (f"{OUTAGE}::test_an_insert_that_is_slow_or_fails_midway_is_stored_once",),
        ("cuts", "database"),
    ),
    "too many parts": (
        (f"{OUTAGE}::test_whatever_an_insert_fails_with_it_is_told_and_tried_again_until_it_works",),
        ("database",),
    ),
    "cut after the commit": ((f"{OUTAGE}::test_an_insert_whose_answer_is_cut_off_is_stored_once",), ("cuts",)),
    "outage beyond the deduplication window": (
        (f"{LOADER}::test_a_batch_that_arrived_is_known_when_the_deduplication_window_is_past_it",),
        (),
    ),
    "table missing": ((f"{REFUSED}::test_a_full_disk_or_a_missing_table_is_nobodys_row",), ("database",)),
    "client cut off": ((f"{WRITER}::test_a_client_that_goes_away_leaves_its_neighbours_alone",), ("cuts",)),
    "one poison row": (
        (f"{REFUSED}::test_rows_that_the_table_refuses_are_found_and_kept_and_all_others_are_stored",),
        (),
    ),
    "clock jumps": (
        (JUMP, f"{ONCE}::test_an_event_sent_again_after_a_restart_of_the_loader_is_stored_once"),
        ("clock",),
    ),
    "disk may only be read": ((ANY_DISK,), ("disk",)),
    "permission lost": (
        (f"{FULL}::test_a_state_file_that_cannot_be_read_is_told_and_receiving_goes_on", ANY_DISK),
        ("disk",),
    ),
    "no descriptors left": (
        (f"{POINTS}::test_a_worker_without_descriptors_takes_nobody_new_lives_on_and_takes_all_once_there_are_some",),
        (),
    ),
    "two writers, or a stale lock": (
        (
            "crash/test_crash_lock.py::test_the_second_holder_is_refused_and_told_who_the_first_is",
            "crash/test_crash_lock.py::test_what_a_dead_holder_left_running_is_waited_for",
        ),
        ("kills",),
    ),
    "schema changed, forth and back": (
        (
            "load/test_load_older_rows.py::test_old_and_new_rows_of_one_batch_arrive_with_the_defaults_of_the_database",
            "load/test_load_older_rows.py::"
            "test_rows_of_a_newer_version_are_left_where_they_are_and_it_is_said_which_version_to_start",
            f"{LOADER}::test_a_manifest_of_another_schema_is_loaded_anew",
        ),
        (),
    ),
    "stopped under load": (
        (f"{STOP}::test_a_stop_under_load_ends_in_time_and_every_acked_event_is_there_afterwards",),
        (),
    ),
}


@pytest.mark.parametrize("fault", CATALOGUE)
def test_each_fault_is_shown_by_the_tests_that_the_catalogue_names(fault: str) -> None:
    shown, parts = CATALOGUE[fault]
    assert shown
    for place in shown:
        file, _, name = place.partition("::")
        assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE), place
    assert set(parts) <= set(PARTS), parts


def test_each_part_of_the_long_form_belongs_to_a_fault() -> None:
    assert {part for _, parts in CATALOGUE.values() for part in parts} == set(PARTS)
