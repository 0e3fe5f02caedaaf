"""The patience with connections: one timer for all of them, because one for each request costs as much as its event.

connection.due = deadlines.after(10) ──twice a second──> connection.overdue(), once it has passed
"""

from __future__ import annotations

import asyncio
import math
from time import monotonic
from typing import Protocol
from weakref import WeakKeyDictionary

TICK_SECONDS = 0.5  # a deadline is at most so much late; looking at 4,000 connections takes 0.3 ms
NEVER = 2**62


class Watched(Protocol):
    """A connection. `due` is the tick at which it is overdue; it may be set at any time."""

    due: int

    def overdue(self) -> None:
        """Called once, when the tick has come; `due` is NEVER again."""


class Deadlines:
    """The connections of one event loop. The timer runs while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick_seconds: float = TICK_SECONDS) -> None:
        self._loop = loop
        self._tick_seconds = tick_seconds
        self._watched: set[Watched] = set()
        self._running = False
        self._now = 0
        self._due_s = math.inf

    def after(self, seconds: float) -> int:
        """The tick when at least so many seconds will have passed."""
        return self._now + 1 + math.ceil(seconds / self._tick_seconds)

    def watch(self, connection: Watched) -> None:
        """Look at a connection from now on."""
        self._watched.add(connection)
        if not self._running:
            self._running = True
            self._plan()

    def forget(self, connection: Watched) -> None:
        """The connection is gone."""
        self._watched.discard(connection)

    def late_seconds(self) -> float:
        """By how much the timer is late, and this turn of the loop too long; below 0 while it is not due."""
        return monotonic() - self._due_s

    def _plan(self) -> None:
        self._due_s = monotonic() + self._tick_seconds
        self._loop.call_later(self._tick_seconds, self._tick)

    def _tick(self) -> None:
        self._now += 1
        self._running = bool(self._watched)
        if self._running:
            self._plan()
        else:
            self._due_s = math.inf
        for connection in [one for one in self._watched if one.due <= self._now]:
            connection.due = NEVER
            connection.overdue()


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Deadlines] = WeakKeyDictionary()


def deadlines_of(loop: asyncio.AbstractEventLoop) -> Deadlines:
    """The deadlines of all connections of a loop."""
    found = _of_loop.get(loop)
    if found is None:
        found = _of_loop[loop] = Deadlines(loop)
    return found
