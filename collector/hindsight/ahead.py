"""What a plan has in store for events that it takes today: ends that are still to come, and consent that they lack.

    groups of stored events --ends, consent--> notes of a trial

No verdict depends on either: an end is tried with the day it comes (`simulate --on`), and what becomes of an event
without consent is for the settings of its source (`without_consent`), which a trial does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from collector.consent import PURPOSE, Rules, read_stated, why_not
from collector.hindsight.ask import Ask, rows
from collector.plan.check import EventCheck
from collector.plan.model import PROD, Action
from collector.plan.policy import midnight_ms
from collector.reason import Reason

STATED_MAX = 1_000  # different words on consent of one group; banners know a few, and the rarest change no picture
_ACTS = {Action.FLAG: "flagged", Action.QUARANTINE: "quarantined"}


def coming_end(check: EventCheck, environment: str, count: int, now_ms: int) -> Iterator[str]:
    """That so many events are of a version which ends on a later day; nothing where it does not, or to no effect."""
    ends = check.ends
    if ends is None or midnight_ms(ends) <= now_ms:
        return
    action = check.policies.at(environment, midnight_ms(ends)).actions[Reason.SUNSET_VERSION]
    if action in _ACTS:
        yield (
            f"{_named(check, environment)} ends: from {ends} on such events are {_ACTS[action]}, and {count:,} were "
            f"stored in this time; --on {ends} tries that day"
        )


def lacking_consent(ask: Ask, check: EventCheck, environment: str, where: str) -> Iterator[str]:
    """How many events state consent, but not to all that the plan needs of them.

    Args:
        ask: Answers questions to the database.
        check: What the plan says of them.
        environment: Whose they are.
        where: The condition on `events` that is theirs.
    """
    if not check.consent:
        return
    # What was stored as nobody's lacked consent when it came.
    found = rows(
        ask,
        "SELECT JSONExtractRaw(context, 'consent') AS said, JSONExtractRaw(context, 'consentManagement') AS managed, "
        f"count() AS n FROM events WHERE {where} AND position(sender_flags, 'cookieless_') = 0 "
        f"GROUP BY said, managed ORDER BY n DESC, said, managed LIMIT {STATED_MAX}",
        tuple[str, str, int],
    )
    lacking = sum(count for said, managed, count in found if _lacks(check.consent, said, managed))
    if lacking:
        total = sum(count for *_, count in found)
        yield (
            f"{_named(check, environment)} needs consent to {', '.join(check.consent)}: {lacking:,} of "
            f"{total:,} stored events state consent, but not to that; `without_consent` says what becomes of "
            "such events"
        )


def _lacks(needs: tuple[str, ...], said: str, managed: str) -> bool:
    stated = read_stated(_decoded(said), _decoded(managed))
    # Of a server, so that only what is stated counts: what a browser's request said besides is not stored.
    return why_not(Rules(), (), stated, needs, is_server=True) == PURPOSE


def _decoded(raw: str) -> Any:
    try:
        return msgspec.json.decode(raw) if raw else None
    except msgspec.DecodeError:
        return None


def _named(check: EventCheck, environment: str) -> str:
    return f"{check.event.name}@{check.major}{'' if environment == PROD else f' in {environment}'}"
