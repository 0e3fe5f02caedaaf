"""Stopping and starting: an ordered stop, a killed supervisor, a second collector on the same directory."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from crash.processes import children, fixed_port, kill, running, start, until_gone
from crash.senders import COUNT_ALL, assert_stored, sending
from serving import footfall, serving

STOP_SECONDS_MAX = 10.0


def test_a_stop_under_load_ends_in_time_and_every_acked_event_is_there_afterwards(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as collector:
        with sending(collector.port, collector.write_key) as senders:
            senders.until_acked(1_000)
            begun = time.monotonic()
            assert collector.stop() == 0
            seconds = time.monotonic() - begun
        # Nobody answers any more, so some batches stay unacknowledged; whether those are stored is open.
        assert seconds < STOP_SECONDS_MAX
        assert_stored(collector.sql(COUNT_ALL), senders)
        assert "Traceback" not in collector.log()
    doctor = footfall("doctor", "--data", tmp_path / "data")
    assert doctor.returncode == 0, doctor.stdout


def test_events_that_were_never_loaded_are_there_for_whoever_asks_after_the_stop(tmp_path: Path) -> None:
    """The store process is killed with the rest, so what is in the spool is loaded by the command that asks."""
    with serving(tmp_path / "data") as collector:
        with sending(collector.port, collector.write_key) as senders:
            senders.until_acked(500)
            living = children(collector.process.pid)
            for pid in (collector.process.pid, *living):
                kill(pid)
            until_gone(list(living))
        assert_stored(collector.sql(COUNT_ALL), senders)


def test_children_of_a_killed_supervisor_end_by_themselves_and_a_new_collector_starts_at_once(tmp_path: Path) -> None:
    port = fixed_port()
    collector = start(tmp_path / "data", port, "--workers", "2")
    try:
        with sending(port, collector.write_key) as senders:
            senders.until_acked(200)
            left = list(children(collector.process.pid))
            assert len(left) == 3
            collector.kill()
            collector = start(tmp_path / "data", port, "--workers", "2")
            assert not any(map(running, left)), "a new collector runs beside the remains of the old one"
            senders.until_acked(200)
            senders.finish()
        collector.until_loaded()
        assert_stored(collector.sql(COUNT_ALL), senders)
        assert "Traceback" not in collector.log()
    finally:
        assert collector.stop() == 0


def test_a_stop_while_children_are_starting_ends_too(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as collector:
        for pid in children(collector.process.pid):
            kill(pid)
        begun = time.monotonic()
        collector.process.send_signal(signal.SIGTERM)
        assert collector.process.wait(30) == 0
        assert time.monotonic() - begun < STOP_SECONDS_MAX


def test_two_workers_both_take_requests_and_nothing_is_lost(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--workers", "2") as collector:
        owners: set[str] = set()
        acked: set[str] = set()
        # Which of the two takes a connection is the kernel's choice, so a round may leave one out; twenty will not.
        for number in range(20):
            name = f"round {number}, "
            with sending(collector.port, collector.write_key, threads=8, seed=number, name=name) as senders:
                senders.until_acked(200)
                senders.finish()
            acked |= senders.acked
            owners |= {path.name[: len("worker-0")] for path in (tmp_path / "data/spool").glob("worker-*")}
            if len(owners) == 2:
                break
        assert owners == {"worker-0", "worker-1"}
        collector.until_loaded()
        rows = collector.sql(COUNT_ALL)
        assert {row["message_id"] for row in rows} == acked
        assert {int(row["n"]) for row in rows} == {1}
