"""Failed events, judged once more: from a row of failed_events back to the event as it came, and through the pipeline.

    failed_events --pages--> FailedEvent --again--> EventRow, or why it still fails

What was known of the request is in the row: its times, its user agent, the country, the context. The visitor's address
is in none, so the country is taken over as it was found. Personal data was handled when the event was refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from msgspec import UNSET, Raw, Struct

from collector.enrichment.device import parse_device
from collector.enrichment.enrich import Request
from collector.enrichment.geo import Geo
from collector.enrichment.identity import Salts
from collector.hindsight.ask import Ask, rows, since
from collector.ingest.pipeline import Outcome, Tools, process
from collector.plan import CompiledPlan
from collector.plan.values import literal
from collector.reason import Refused
from collector.record import Envelope, EventRow
from collector.wire.decode import decode_batch
from collector.wire.names import snake_case

PAGE_ROWS = 500  # of at most some 100 KB each

_COLUMNS = (
    "source_id, toUnixTimestamp64Milli(received_at), message_id, reason, pointer, event, visitor_id, "
    "toUnixTimestamp64Milli(sent_at), user_agent, country, context, raw, environment, violations, plan_hash, sent_with"
)


class FailedEvent(Struct, array_like=True, frozen=True, gc=False):
    """One row of failed_events, as far as it is needed to judge the event again. Fields in the order of _COLUMNS."""

    source_id: str
    received_ms: int
    message_id: str
    reason: str
    pointer: str
    event: str
    visitor_id: str
    sent_ms: int | None
    user_agent: str
    country: str
    context: str
    raw: str
    environment: str
    violations: list[str]
    plan_hash: str
    sent_with: str

    @property
    def name(self) -> str:
        """The event's name as the plan spells it."""
        return planned_name(self.event)


class Wanted(Struct, frozen=True):
    """Which failed events: received from a moment on, of one event, with one reason; empty for all."""

    from_ms: int
    event: str = ""
    reason: str = ""


def pages(ask: Ask, wanted: Wanted, page_rows: int = PAGE_ROWS) -> Iterator[list[FailedEvent]]:
    """Failed events in the order of their key, a page at a time."""
    reason = f" AND reason = {literal(wanted.reason)}" if wanted.reason else ""
    after = ""
    while True:
        page = rows(
            ask,
            f"SELECT {_COLUMNS} FROM failed_events WHERE {since(wanted.from_ms)}{reason}{after} "
            f"ORDER BY source_id, received_at, message_id, failed_events.reason LIMIT {page_rows}",
            FailedEvent,
        )
        if found := [one for one in page if wanted.event in ("", one.name)]:
            yield found
        if len(page) < page_rows:
            return
        last = page[-1]
        source = literal(last.source_id)
        # The first two conditions say nothing that the third does not, but the index understands them.
        after = (
            f" AND source_id >= {source} AND (source_id > {source} OR {since(last.received_ms)})"
            f" AND (source_id, received_at, message_id, reason) > ({source}, "
            f"fromUnixTimestamp64Milli({last.received_ms}), {literal(last.message_id)}, {literal(last.reason)})"
        )


def tools_for(plan: CompiledPlan, folder: Path) -> Tools:
    """What the pipeline needs to judge failed events by a plan. `folder` is never written to."""
    return Tools(plan=plan, geo=Geo("stored", lambda _: None), salts=Salts(folder / "salts.json"))


class Retried(Struct):
    """A failed event judged once more: the row it becomes when it is accepted, and the verdicts."""

    row: EventRow | None
    outcome: Outcome


def again(failed: FailedEvent, tools: Tools) -> Retried | None:
    """Judge a failed event anew: as it came and when it came, by the plan that `tools` hold.

    Rules with a start date and versions with an end are taken as of the day the event arrived: it is not its fault that
    it waited. The row it becomes has the times, the ids and the country of then.

    Returns:
        What became of it; None when what was kept of it is not one event.
    """
    raw = failed.raw.encode()
    try:
        batch = decode_batch(b'{"batch":[%b]}' % raw)
    except Refused:
        return None
    if len(batch.events) != 1:
        return None
    batch.context = UNSET if failed.context == "{}" else Raw(failed.context.encode())
    batch.sent_at = None if failed.sent_ms is None else _iso(failed.sent_ms)
    event = batch.events[0]
    if isinstance(event, Envelope):
        event.messageId = event.messageId or failed.message_id
        if not event.anonymousId and not event.userId:
            # Its visitor was a hash of the address, or it was refused before anybody asked: then it is alone.
            event.anonymousId = failed.visitor_id or f"r_{failed.message_id}"
    request = Request(
        received_ms=failed.received_ms,
        source_id=failed.source_id,
        is_server=failed.sent_with == "server" if failed.sent_with else _is_program(failed.user_agent),
        address="",
        user_agent=failed.user_agent,
        environment=failed.environment,
    )
    try:
        outcome = process(batch, request, tools, lambda: [raw], handled=True)
    except Refused:
        return None
    row = next(iter(outcome.rows.events), None)
    if row is not None:
        row.country = failed.country
        # The address was looked up when it came; nothing says that it was missing.
        row.sender_flags = row.sender_flags.replace("address_missing", "").strip()
    return Retried(row, outcome)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


@lru_cache(maxsize=1_024)
def _is_program(user_agent: str) -> bool:
    """Was it sent by a server, which speaks for a visitor whose own agent is in the context?

    Only for rows from before it was kept with which key they came. What sends as an HTTP library, or as nothing known,
    is no browser; only device and time of the event depend on it, not what the plan says of it.
    """
    device = parse_device(user_agent)
    return device.device_class == "unknown" or device.bot_reason == "http_client"


@lru_cache(maxsize=4_096)
def planned_name(sent: str) -> str:
    """`Order Completed@2` -> `order_completed`."""
    base, at, major = sent.rpartition("@")
    return snake_case(base if at and major.isdecimal() and len(major) < 5 else sent)
