"""What the supervisor does for its children: start those that crash again, and give each its share of connections."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from collector.cli import supervise
from collector.cli.child import Orders
from collector.cli.supervise import CRASH_PAUSE_SECONDS_MAX, Child, StartError, bind
from collector.config import Settings


def test_who_crashes_at_once_waits_longer_each_time_and_who_was_steady_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = Child("collector.paths", Orders(Settings(), "child"), ())  # a module that does nothing, and so ends
    child.start()
    child.wait_until(time.monotonic() + 30)
    assert child.ended()
    assert child.process is not None
    for pipe in (child.process.stdin, child.process.stdout):
        assert pipe is not None
        pipe.close()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pauses = []
    for _ in range(7):
        child.plan_restart()
        pauses.append(round(child.restart_at - now, 3))
    assert pauses == [0.0, 0.1, 0.3, 0.7, 1.5, CRASH_PAUSE_SECONDS_MAX, CRASH_PAUSE_SECONDS_MAX]
    now += supervise.STEADY_SECONDS + 1
    child.plan_restart()
    assert child.restart_at == now


def test_connections_are_spread_over_the_workers_listeners_and_nobody_else_may_join() -> None:
    listeners = bind("127.0.0.1", 0, 2)
    port = listeners[0].getsockname()[1]
    for workers in (1, 2):
        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            bind("127.0.0.1", port, workers)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
    waiting = []
    for listener in listeners:
        listener.setblocking(False)
        taken = []
        with contextlib.suppress(BlockingIOError):
            while True:
                taken.append(listener.accept()[0])
        waiting.append(len(taken))
        for one in [*taken, listener]:
            one.close()
    for client in clients:
        client.close()
    assert sum(waiting) == 64
    assert min(waiting) >= 8, "half of them each, give or take: fewer than 8 of 64 happens once in 10 billion times"
