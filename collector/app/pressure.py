"""What waits in a worker, and when it is too much: beyond that a request is refused at once, with 503 and Retry-After.

    bodies  that arrive in pieces are held in memory until they are whole: bounded in bytes, for all connections
    turns   of the event loop: what is read late in a long one has waited so long already; its client may have given up
    disk    a commit that does not end: what comes then would only wait behind it

What is refused costs a hundredth of what a large batch does, so that a worker which is asked for ten times what it can
do still does nearly as much as it can. `make bench ARGS=overload` measures that.
"""

from __future__ import annotations

from collector.reason import Reason, Refused

# Of bodies that are not whole yet. 4,096 connections may hold 16 KB each, or 125 the largest there are.
HELD_BYTES_MAX = 64_000_000
# Browsers wait for minutes and Segment's clients for 15 s: what has waited for these two is still answered in time.
TURN_SECONDS_MAX = 3.0
COMMIT_MS_MAX = 5_000


class Pressure:
    """The state of one worker. Not thread-safe: all of it happens in the event loop."""

    __slots__ = ("_latest_ms", "_moved_ms", "_waiting", "held_bytes")

    def __init__(self) -> None:
        self.held_bytes = 0
        self._waiting = 0
        self._latest_ms = 0
        self._moved_ms = 0

    def hold(self, size_bytes: int) -> None:
        """Hold a piece of a body. Raises Refused (TOO_BUSY) when there are too many; nothing is held then."""
        if self.held_bytes + size_bytes > HELD_BYTES_MAX:
            limit = f"{HELD_BYTES_MAX / 1e6:.0f} MB of unfinished bodies are held, the limit"
            raise Refused(Reason.TOO_BUSY, f"{limit}; send it again later")
        self.held_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """These bytes are held no more."""
        self.held_bytes -= size_bytes

    def check(self, now_ms: int) -> None:
        """Refuse what would wait behind a disk that has stopped. Raises Refused (TOO_BUSY)."""
        self._latest_ms = now_ms
        if self._waiting and (problem := self.stalled(now_ms)):
            raise Refused(Reason.TOO_BUSY, f"{problem}; send it again later")

    def stalled(self, now_ms: int) -> str | None:
        """Why nothing gets done, in a few words; None while it does."""
        if not self._waiting or now_ms - self._moved_ms <= COMMIT_MS_MAX:
            return None
        return f"the disk has taken nothing for over {COMMIT_MS_MAX // 1_000} s"

    def waits(self) -> None:
        """A request waits for the disk."""
        if not self._waiting:
            self._moved_ms = self._latest_ms
        self._waiting += 1

    def moved(self) -> None:
        """One that waited does so no more."""
        self._waiting -= 1
        self._moved_ms = self._latest_ms
