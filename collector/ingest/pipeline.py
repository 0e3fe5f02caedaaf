"""From a decoded batch to rows for the spool: every event is judged, and has one fate.

    Batch --Judge.row, event by event--> Packed: rows, and failed rows of what was rejected
                                     \\--> verdicts, for the answer and the counters

Nothing here does I/O, so a batch is judged in one go and made durable in one append. judge.py is the way of one event.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, UnsetType

from collector.consent import COOKIELESS, COUNTS, DROP, WORDS, sentence
from collector.enrichment.enrich import Request
from collector.enrichment.location import is_local
from collector.ingest.clock import OFFLINE_MS_MAX
from collector.ingest.judge import SAMPLED, Counted, Dropped, Judge, Tools, Unfit
from collector.ingest.packed import FORM, Packed, Part, only_used
from collector.ingest.rejection import failed_row
from collector.limits import MESSAGE_ID_CHARS_MAX
from collector.plan import Checked
from collector.reason import Reason, Refused, Rejected
from collector.record import Envelope, Rows
from collector.wire.decode import Batch
from collector.wire.malformed import salvage

__all__ = ["OFFLINE_MS_MAX", "Outcome", "Tools", "Verdict", "is_local", "process"]

# Rows repeat the batch's context once they are loaded. This bounds what one request can unfold to.
CONTEXT_TOTAL_BYTES_MAX = 2_000_000

# What `Outcome.counts` counts. `shadowed` are violations that a rule with a start date still to come would judge
# otherwise.
COUNTER_NAMES: tuple[str, ...] = (
    *(f'violations_total{{reason="{reason.word}"}}' for reason in Reason if reason.rejects_event),
    *(f'shadowed_total{{reason="{reason.word}"}}' for reason in Reason if reason.rejects_event),
    *(f'dropped_total{{reason="{word}"}}' for word in (SAMPLED, Reason.UNDECLARED_PII.word, *WORDS)),
    *(f'cookieless_total{{reason="{word}"}}' for word in WORDS),
    *(f'counted_total{{reason="{word}"}}' for word in WORDS),
)


class Verdict(Struct, frozen=True):
    """What a client is told of one violation: why an event was rejected, or what was found in one that was accepted."""

    index: int
    message_id: str
    reason: str
    pointer: str
    fix: str


class Outcome(Struct):
    """A judged batch: its rows, and verdicts in the batch's order.

    `rejected` and `dropped` hold one verdict for each such event, the violation that decided; `flagged` one for each
    violation of an event that was accepted. `cookieless` and `counted` hold one for each event that lacks consent and
    is stored as nobody's, or only counted; `counted_rows` are those of the counted. `counts` is what to add to the
    counters of COUNTER_NAMES, `accepted` how many events are stored or counted.
    """

    packed: Packed
    rejected: list[Verdict] = []
    flagged: list[Verdict] = []
    dropped: list[Verdict] = []
    counts: dict[str, int] = {}
    cookieless: list[Verdict] = []
    counted: list[Verdict] = []
    counted_rows: list[Part] = []
    accepted: int = 0

    @property
    def rows(self) -> Rows:
        """The rows, whole; put together each time it is asked for."""
        return self.packed.rows()


def process(
    batch: Batch, request: Request, tools: Tools, raws: Callable[[], list[bytes]], *, handled: bool = False
) -> Outcome:
    """Judge a batch.

    Args:
        batch: As decoded; an event that could not be decoded is a Rejected in its place.
        request: What the HTTP request says of all its events.
        tools: Plan, geo and salts.
        raws: Gives each event's own bytes, in order; called once, and only when one of them is rejected.
        handled: The events are replayed: their personal data was handled and the sample taken when they arrived first.
    Returns:
        Rows for the spool, and a verdict per rejected and dropped event and per violation of an accepted one.
    Raises:
        Refused: the batch's context, repeated for each event, would be too large.
        OSError: the salts of visitors without an id cannot be had.
    """
    context_bytes = 0 if isinstance(batch.context, UnsetType) else len(memoryview(batch.context))
    if context_bytes * len(batch.events) > CONTEXT_TOTAL_BYTES_MAX:
        raise Refused(
            Reason.BODY_TOO_LARGE,
            f"context of {context_bytes:,} bytes for {len(batch.events):,} events unfolds to more than "
            f"{CONTEXT_TOTAL_BYTES_MAX:,} bytes; send a smaller context or fewer events",
        )
    judge = Judge(batch, request, tools, handled=handled)
    rows = Packed(FORM, judge.senders, judge.pages, [], [])
    outcome = Outcome(rows)
    own_bytes: list[bytes] = []
    for index, event in enumerate(batch.events):
        try:
            if isinstance(event, Rejected):
                raise event
            row, checked = judge.row(event)
            rows.events.append(row)
            if checked.violations or checked.shadowed:
                outcome.flagged.extend(
                    Verdict(index, row[2], found.reason.word, found.pointer, found.fix) for found in checked.violations
                )
                _count_violations(outcome.counts, checked)
            if judge.lacked:
                outcome.cookieless.append(_lacking(index, row[2], judge.lacked, COOKIELESS))
                _count(outcome.counts, "cookieless_total", judge.lacked)
                judge.lacked = ""
        except Rejected as rejected:
            own_bytes = own_bytes or raws()
            envelope = event if isinstance(event, Envelope) else salvage(own_bytes[index], Envelope)
            if lacks := judge.lacks(envelope):
                outcome.dropped.append(_lacking(index, (envelope.messageId or "")[:MESSAGE_ID_CHARS_MAX], lacks, DROP))
                _count(outcome.counts, "dropped_total", lacks)
                rejected.__traceback__ = None
                continue
            failed = failed_row(judge, envelope, rejected, own_bytes[index])
            rows.failed.append(failed)
            outcome.rejected.append(Verdict(index, failed.message_id, failed.reason, rejected.pointer, rejected.fix))
            if isinstance(rejected, Unfit):
                _count_violations(outcome.counts, rejected.checked)
            # It leads to this frame, and that to the batch that may hold it: a cycle through a Batch is never freed.
            rejected.__traceback__ = None
        except Dropped as dropped:
            outcome.dropped.append(Verdict(index, dropped.message_id, dropped.word, dropped.pointer, dropped.fix))
            _count(outcome.counts, "dropped_total", dropped.word)
            _count_violations(outcome.counts, dropped.checked)
        except Counted as counted:
            outcome.counted_rows.append(counted.row)
            outcome.counted.append(_lacking(index, counted.row[0], counted.word, COUNTS))
            _count(outcome.counts, "counted_total", counted.word)
    if judge.hides or outcome.cookieless or outcome.counted or outcome.dropped:
        only_used(rows)
    outcome.accepted = len(rows.events) + len(outcome.counted_rows)
    return outcome


def _lacking(index: int, message_id: str, lacks: str, mode: str) -> Verdict:
    return Verdict(index, message_id, lacks, "/context/consent", sentence(lacks, mode))


def _count_violations(counts: dict[str, int], checked: Checked) -> None:
    for violation in checked.violations:
        _count(counts, "violations_total", violation.reason.word)
    for reason in checked.shadowed:
        _count(counts, "shadowed_total", reason.word)


def _count(counts: dict[str, int], name: str, reason: str) -> None:
    key = f'{name}{{reason="{reason}"}}'
    counts[key] = counts.get(key, 0) + 1
