"""When an audience is due: words such as `every 6 hours`, to moments on a fixed grid of UTC.

The grid is that of the clock and not of the last refresh, so a late refresh shifts none after it, all collectors mean
the same moments, and those that passed while nothing ran are made up for by one.
"""

from __future__ import annotations

import re

from msgspec import Struct

MANUAL = "manual"
EXAMPLES = "manual, every 15 minutes, every hour, every 6 hours, every day at 06:00, every monday at 06:00"

_MINUTE_MS = 60_000
_UNITS_MS = {"minute": _MINUTE_MS, "hour": 60 * _MINUTE_MS, "day": 1_440 * _MINUTE_MS}
_DAYS = ("thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday")  # the epoch began on the first
_PERIOD = re.compile(r"every (?:(\d{1,4}) )?(minute|hour|day)s?")
_DAY_AT = re.compile(rf"every (day|{'|'.join(_DAYS)}) at ([01]\d|2[0-3]):([0-5]\d)")


class Schedule(Struct, frozen=True):
    """Moments `every_ms` apart, `offset_ms` after the epoch. Never, when `every_ms` is 0."""

    every_ms: int
    offset_ms: int = 0

    def latest_ms(self, now_ms: int) -> int:
        """The last moment that has come, in milliseconds since the epoch; 0 when there is none."""
        if self.every_ms == 0:
            return 0
        return (now_ms - self.offset_ms) // self.every_ms * self.every_ms + self.offset_ms


def parse_schedule(text: str) -> Schedule:
    """Read a schedule's words.

    Raises:
        ValueError: they are none; the text says which there are.
    """
    words = " ".join(text.lower().split())
    if words == MANUAL:
        return Schedule(0)
    if (found := _DAY_AT.fullmatch(words)) is not None:
        day, hour, minute = found.groups()
        within = (int(hour) * 60 + int(minute)) * _MINUTE_MS
        if day == "day":
            return Schedule(_UNITS_MS["day"], within)
        return Schedule(7 * _UNITS_MS["day"], _DAYS.index(day) * _UNITS_MS["day"] + within)
    if (found := _PERIOD.fullmatch(words)) is not None and found[1] != "0":
        return Schedule(int(found[1] or 1) * _UNITS_MS[found[2]])
    raise ValueError(f"schedule {text!r} is not known; write one such as: {EXAMPLES}")
