"""The processes of a collector, as the kernel knows them, and a port to start it on again and again."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from pathlib import Path

from serving import Serving

DEADLINE_SECONDS = 30.0
START_ATTEMPTS = 3


def fixed_port() -> int:
    """A free port outside the range from which the kernel takes clients' ports, which would take it between starts."""
    rng = random.Random(os.getpid() ^ time.monotonic_ns())
    for _ in range(100):
        port = rng.randrange(20_000, 30_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port between 20,000 and 30,000")


def start(data_dir: Path, port: int, *flags: str, **environment: str) -> Serving:
    """`footfall serve` on a fixed port; tried again where somebody else has it for a moment."""
    for attempt in range(START_ATTEMPTS):
        try:
            return Serving(data_dir, "--port", str(port), *flags, first_start=False, **environment)
        except AssertionError as error:
            if "cannot listen" not in str(error) or attempt == START_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def children(supervisor: int) -> dict[int, str]:
    """Process ids of a supervisor's children and what they are: `storekeeper` or `worker`."""
    found = {}
    for pid in map(int, Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            continue
        # One that was forked a moment ago is still its parent's image.
        if len(words) > 2 and words[2].startswith("collector.cli.") and running(pid):
            found[pid] = words[2].rpartition(".")[2]
    return found


def running(pid: int) -> bool:
    """False when there is no such process, or only what is left of one until its parent asks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    """SIGKILL one of the collector's processes."""
    os.kill(pid, signal.SIGKILL)


def until_gone(pids: list[int]) -> None:
    """Wait for processes that are not our children to end."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while any(map(running, pids)):
        assert time.monotonic() < deadline, f"of {pids} some run after {DEADLINE_SECONDS} s"
        time.sleep(0.01)
