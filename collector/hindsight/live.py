"""The plan that is live, as the database has it: written there by the store process that took it up."""

from __future__ import annotations

from msgspec import Struct

from collector.hindsight.ask import Ask, rows
from collector.plan.values import literal


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


def live_under(ask: Ask, name: str, version: str, plan_hash: str) -> int | None:
    """Since when another plan was live under this name and version, in milliseconds; None where none was.

    Args:
        ask: Answers questions to the database.
        name: Of the plan.
        version: That it is to be released under.
        plan_hash: Of its content.
    """
    found = rows(
        ask,
        "SELECT toUnixTimestamp64Milli(live_from) FROM plan_versions "
        f"WHERE name = {literal(name)} AND version = {literal(version)} AND hash != {literal(plan_hash)} "
        "ORDER BY live_from LIMIT 1",
        tuple[int],
    )
    return found[0][0] if found else None
