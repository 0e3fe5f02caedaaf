"""What a developer is told of a batch sent with `?debug=1`: every event with its verdict, and what to mend."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from collector.enrichment.enrich import Request
from collector.ingest.pipeline import Outcome, Verdict
from collector.record import Envelope
from collector.wire.decode import Batch


class Violation(Struct, frozen=True):
    """What was found in an event: the reason, where, and one sentence that says what to do."""

    reason: str
    pointer: str
    fix: str


class Judged(Struct, frozen=True):
    """One event of the batch.

    `outcome` is accepted, flagged (stored with its violations), rejected or dropped; of an event that lacks consent
    cookieless (stored as nobody's) or counted (nothing but that there was one).
    """

    index: int
    message_id: str
    event: str
    outcome: str
    violations: list[Violation]


class SourceFacts(Struct, frozen=True):
    """Which source the write key is of, and whose rules hold for it."""

    id: str
    environment: str


class Explanation(Struct, frozen=True):
    """The answer. `received_at` is the collector's clock, by which a page's own can be judged."""

    accepted: int
    rejected: list[Verdict]
    verdicts: list[Judged]
    source: SourceFacts
    received_at: str


def explain(batch: Batch, outcome: Outcome, request: Request) -> bytes:
    """The JSON of an Explanation, with one verdict for each event, in the batch's order."""
    found: dict[int, tuple[str, str, list[Violation]]] = {}
    for word, verdicts in (
        ("flagged", outcome.flagged),
        ("cookieless", outcome.cookieless),
        ("counted", outcome.counted),
        ("dropped", outcome.dropped),
        ("rejected", outcome.rejected),
    ):
        for verdict in verdicts:
            _, _, violations = found.get(verdict.index, ("", "", []))
            violations.append(Violation(verdict.reason, verdict.pointer, verdict.fix))
            found[verdict.index] = (word, verdict.message_id, violations)
    judged = []
    for index, event in enumerate(batch.events):
        sent_id, name = (event.messageId or "", event.event or event.type) if isinstance(event, Envelope) else ("", "")
        word, message_id, violations = found.get(index, ("accepted", sent_id, []))
        judged.append(Judged(index, message_id, name, word, violations))
    received_at = datetime.fromtimestamp(request.received_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    return msgspec.json.encode(
        Explanation(
            accepted=outcome.accepted,
            rejected=outcome.rejected,
            verdicts=judged,
            source=SourceFacts(request.source_id, request.environment),
            received_at=received_at.replace("+00:00", "Z"),
        )
    )
