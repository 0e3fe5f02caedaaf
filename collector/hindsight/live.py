"""The plan that is live, as the database has it: written there by the store process that took it up."""

from __future__ import annotations

from msgspec import Struct

from collector.hindsight.ask import Ask, rows


class LiveLock(Struct, array_like=True, frozen=True):
    """The newest row of plan_versions: `lock` are the bytes of its plan.lock, `live_from_ms` is when it went live."""

    name: str
    version: str
    live_from_ms: int
    lock: str


def live_lock(ask: Ask) -> LiveLock | None:
    """What is live by the database; None where no collector has written down a plan yet.

    Args:
        ask: Answers questions to the database.
    """
    found = rows(
        ask,
        "SELECT name, version, toUnixTimestamp64Milli(live_from), plan FROM plan_versions "
        "ORDER BY live_from DESC, hash LIMIT 1",
        LiveLock,
    )
    return found[0] if found else None
