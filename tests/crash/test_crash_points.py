"""Killed at any point of a commit, with a disk that fails, a clock that jumps, no descriptors left: nothing is lost.

One collector goes through all of it while clients send, and is held to account at the end. `make chaos` has the long
forms, and the store process's points, which tests/load/test_load_crash.py has one by one.
"""

from __future__ import annotations

import errno
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash.faults import WORKER_POINTS, Faults
from crash.killing import embedded, finish
from crash.processes import children
from crash.senders import Senders, sending
from serving import Serving, serving

DAY_SECONDS = 86_400
pytestmark = pytest.mark.xdist_group("crash_points")


class Case:
    """A collector, who sends to it, and what may happen to it."""

    def __init__(self, collector: Serving, senders: Senders, faults: Faults) -> None:
        self.collector, self.senders, self.faults = collector, senders, faults

    def worker(self) -> int:
        (pid,) = (pid for pid, name in children(self.collector.process.pid).items() if name == "worker")
        return pid

    def until_ready(self, status: int, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self.collector.request("GET", "/readyz")
            except OSError:  # no worker lives, or it has no descriptor left
                answer = None
            if answer is not None and answer.status == status:
                return
            assert time.monotonic() < deadline, f"/readyz is {answer}, not {status}\n{self.collector.log()}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp("points")
    faults = Faults(folder / "faults")
    embedded(folder / "data")
    with (
        serving(
            folder / "data", "--workers", "1", command="serve", first_start=False, **faults.environment
        ) as collector,
        sending(collector.port, collector.write_key, threads=2) as senders,
    ):
        senders.until_acked(50)
        yield Case(collector, senders, faults)


def test_a_worker_killed_around_its_sync_or_as_it_begins_a_segment_is_followed_by_one_that_goes_on(
    case: Case,
) -> None:
    for point in WORKER_POINTS:
        if "rename" in point:
            # It begins a segment when its disk works again.
            with case.faults.failing("worker"):
                case.until_ready(503)
                case.faults.kill_at("worker", point)
        else:
            case.faults.kill_at("worker", point)
        case.faults.until_killed("worker", point)
        case.senders.until_acked(50)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS], ids=lambda number: errno.errorcode[number])
def test_a_disk_that_fails_or_may_only_be_read_is_told_and_taken_back_and_the_worker_lives_on(
    case: Case, number: int
) -> None:
    before = case.worker()
    with case.faults.failing("worker", number):
        case.until_ready(503)
        refused = case.collector.send({"type": "track", "event": "refused", "messageId": f"refused {number}"})
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
        assert os.strerror(number) in case.collector.request("GET", "/readyz").body.decode()
    case.until_ready(200)
    case.senders.until_acked(50)
    assert case.worker() == before, "a failing disk is no reason to crash"


def test_a_worker_without_descriptors_takes_nobody_new_lives_on_and_takes_all_once_there_are_some(case: Case) -> None:
    before = case.worker()
    limits = resource.prlimit(before, resource.RLIMIT_NOFILE)
    opened = len(list(Path(f"/proc/{before}/fd").iterdir()))
    resource.prlimit(before, resource.RLIMIT_NOFILE, (opened, limits[1]))
    try:
        case.senders.until_acked(50)  # those who are connected are served as before
        with pytest.raises((OSError, AssertionError)):
            case.until_ready(200, seconds=0.5)
    finally:
        resource.prlimit(before, resource.RLIMIT_NOFILE, limits)
    case.until_ready(200)
    assert case.worker() == before


def test_a_clock_that_jumps_a_day_either_way_loses_nothing_and_doubles_nothing(case: Case) -> None:
    twice = {"type": "track", "event": "twice", "messageId": "twice", "anonymousId": "v", "properties": {"n": 1}}
    for days in (0, 1, -1, 0):
        case.faults.turn_clock(days * DAY_SECONDS)
        case.senders.until_acked(50)  # a commit that a jump makes look slow may cost a few a second attempt
        assert case.collector.send(twice).json == {"accepted": 1, "rejected": []}


def test_after_all_of_it_everything_adds_up(case: Case) -> None:
    """Stays the last: it ends what the others began."""
    case.senders.until_acked(50)
    finish(case.collector, case.senders, case.faults.environment, besides={"twice"})
    (row,) = case.collector.sql("SELECT count() AS n FROM events WHERE message_id = 'twice'")
    assert int(row["n"]) == 1, "what was sent again under another clock is another event"
