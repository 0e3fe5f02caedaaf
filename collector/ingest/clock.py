"""A client's times: read with patience, and corrected by how far its clock was off.

"2026-11-22T12:00:00.000Z", 1795348800 --parse_time--> milliseconds since the epoch, UTC
when it was sent, when that was received --Correction--> event_time
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from msgspec import Struct

from collector.record import CLOCK_STEP_MS

# An event may wait this long in a browser's queue. Older claims are taken to be a wrong clock, not patience.
OFFLINE_MS_MAX = 30 * 24 * 3_600_000

_EPOCH_MAX_MS = 4_102_444_800_000  # 2100-01-01: later than any honest clock, inside every ClickHouse time type

# Nine to fourteen digits are a number. ISO 8601's basic format would take 1711122300000 for a day of the year 1711;
# its own 8 digits are a date.
_NUMERIC_CHARS = range(9, 15)

# Most clients write a time as JavaScript does, 2026-11-22T12:00:00.000Z, and most of them mean this minute. What the
# first 20 characters stand for is remembered: at most an hour's seconds, 100 bytes each.
_ISO_CHARS = 24
_SECOND_CHARS = 20
_SECONDS_MAX = 3_600
_seconds: dict[str, int] = {}
_MILLISECONDS = {f"{number:03d}Z": number for number in range(1_000)}


def now_ms() -> int:
    """This machine's clock: milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def parse_time(value: str | int | float | None) -> int | None:
    """A client's time as integer milliseconds since the epoch, UTC; None when absent or unreadable.

    Accepts ISO 8601 (a naive one is read as UTC), and a number, also as text: seconds below 1e11, else milliseconds.
    The result is clamped into 1970..2100, the same way for every retry of one event.
    """
    if type(value) is str and len(value) == _ISO_CHARS:
        second_ms, after_ms = _seconds.get(value[:_SECOND_CHARS]), _MILLISECONDS.get(value[_SECOND_CHARS:])
        if second_ms is not None and after_ms is not None:
            return second_ms + after_ms
    if value is None or value == "":
        return None
    try:
        milliseconds = _read_text(value) if isinstance(value, str) else _of_number(value)
    except (ValueError, OverflowError):
        return None
    return min(max(milliseconds, 0), _EPOCH_MAX_MS)


def _read_text(value: str) -> int:
    if value.isdecimal() and len(value) in _NUMERIC_CHARS:
        return _of_number(int(value))
    moment = datetime.fromisoformat(value[:40])
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = round(moment.timestamp() * 1000)  # exact to the microsecond until long after 2100
    after_ms = _MILLISECONDS.get(value[_SECOND_CHARS:])
    whole = len(value) == _ISO_CHARS and value[_SECOND_CHARS - 1] == "."
    if whole and after_ms is not None and 0 <= milliseconds < _EPOCH_MAX_MS:
        if len(_seconds) >= _SECONDS_MAX:
            _seconds.clear()
        _seconds[value[:_SECOND_CHARS]] = milliseconds - after_ms
    return milliseconds


def _of_number(value: int | float) -> int:
    return int(value * 1000) if abs(value) < 1e11 else int(value)


class Correction(Struct, frozen=True, gc=False):
    """How events of one request come by their time.

    A client's clock is corrected by whole steps of CLOCK_STEP_MS, by how far it was off when it sent. The latency of
    each request is part of that difference. Corrected to the millisecond, a quick request's events would overtake a
    slow one's, and each retry of an event would have a time of its own.
    """

    shift_ms: int
    earliest_ms: int
    latest_ms: int
    received_ms: int

    def event_time(self, occurred_ms: int) -> int:
        """The time of an event, between the earliest a client may claim and now."""
        event_ms = max(occurred_ms + self.shift_ms, self.earliest_ms)
        return event_ms if event_ms <= self.latest_ms else self.received_ms


def correction(received_ms: int, sent_ms: int | None, *, is_server: bool) -> Correction:
    """The correction of what was sent at `sent_ms` by the client's clock (None: it does not say) and came just now."""
    steps = 0 if sent_ms is None else round((received_ms - sent_ms) / CLOCK_STEP_MS)
    return Correction(
        shift_ms=steps * CLOCK_STEP_MS,
        earliest_ms=0 if is_server else received_ms - OFFLINE_MS_MAX,
        # Half a step ahead is what the correction leaves; a claim beyond that cannot be true and counts as now.
        latest_ms=received_ms + CLOCK_STEP_MS // 2,
        received_ms=received_ms,
    )
