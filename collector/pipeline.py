"""The way of an event, from a decoded batch to rows for the spool. STEPS is the whole of it.

Every step takes the Draft of one event and fills in its part; `Rejected` is the one way out. Steps never do I/O, so a
batch is judged in one go and made durable in one append.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from msgspec import Raw, Struct, UnsetType

from collector.decode import (
    EVENT_BYTES_MAX,
    ID_CHARS_MAX,
    MESSAGE_ID_CHARS_MAX,
    NAME_CHARS_MAX,
    TYPES,
    Batch,
    parse_time,
    salvage,
    snake_case,
)
from collector.device import Device
from collector.enrich import (
    NO_CONTEXT,
    TEXT_CHARS_MAX,
    TITLE_CHARS_MAX,
    ContextFacts,
    Request,
    country_of,
    device_of,
    object_bytes,
    read_context,
    read_page,
    without_secrets,
)
from collector.geo import Geo
from collector.identity import Salts, message_id
from collector.plan import Checked, CompiledPlan
from collector.reason import Reason, Refused, Rejected
from collector.record import CLOCK_STEP_MS, EMPTY_OBJECT, Envelope, EventRow, FailedRow, Rows
from collector.referrer import NO_PAGE, Page, classify, parse_page

# An event may wait this long in a browser's queue. Older claims are taken to be a wrong clock, not patience.
OFFLINE_MS_MAX = 30 * 24 * 3_600_000
# Rows repeat the batch's context. This bounds what one request can unfold to.
CONTEXT_TOTAL_BYTES_MAX = 2_000_000
SEQUENCE_MAX = 2**32 - 1

_UNPLANNED = Checked(event_version=0, conversion="", value="0", currency="", violations=(), rejected=None)
_EVENT_OF_TYPE = {
    "page": "page_view",
    "screen": "screen_view",
    "identify": "identify",
    "group": "group",
    "alias": "alias",
}


class Tools(Struct, frozen=True):
    """What the steps need beside the event itself; made once per worker."""

    plan: CompiledPlan
    geo: Geo
    salts: Salts
    random: Callable[[int], bytes] = os.urandom


class Verdict(Struct, frozen=True):
    """What the client is told of one rejected event."""

    index: int
    message_id: str
    reason: str
    pointer: str
    fix: str


class Outcome(Struct):
    """A judged batch: its rows, and the verdicts on those that were rejected, in the batch's order."""

    rows: Rows
    rejected: list[Verdict]


class Shared(Struct, frozen=True, gc=False):
    """What all events of a batch share, read once. Device and country are None where each event states its own."""

    sent_at: int | None
    context: bytes
    device: Device | None
    country: str | None


class Draft(Struct, gc=False):
    """One event on its way. Fields below `tools` are filled in by the steps, in their order."""

    envelope: Envelope
    batch: Shared
    request: Request
    tools: Tools
    message_id: str = ""
    event: str = ""
    event_original: str = ""
    event_major: int | None = None
    properties: Raw = EMPTY_OBJECT
    user_id: str = ""
    visitor_id: str = ""
    event_time: int = 0
    occurred_at: int = 0
    sent_at: int | None = None
    checked: Checked = _UNPLANNED
    context: ContextFacts = NO_CONTEXT
    device: Device | None = None
    country: str = ""
    title: str = ""
    referrer: str = ""
    referrer_host: str = ""
    channel: str = ""
    page: Page = NO_PAGE


def name(draft: Draft) -> None:
    """Give the event its id and its name: a page is a page_view, a track keeps its name in snake_case."""
    envelope = draft.envelope
    draft.message_id = envelope.messageId or message_id(draft.request.received_ms, draft.tools.random(10))
    if len(draft.message_id) > MESSAGE_ID_CHARS_MAX:
        sent = len(draft.message_id)
        draft.message_id = draft.message_id[:MESSAGE_ID_CHARS_MAX]
        raise Rejected(
            Reason.EVENT_FIELD_INVALID,
            "/messageId",
            f"messageId has {sent:,} characters, the limit is {MESSAGE_ID_CHARS_MAX}; send a UUID",
        )
    if envelope.type != "track":
        if envelope.type not in TYPES:
            known = ", ".join(sorted(TYPES))
            raise Rejected(Reason.EVENT_TYPE_UNKNOWN, "/type", f"type is {envelope.type[:40]!r}; send one of {known}")
        draft.event = _EVENT_OF_TYPE[envelope.type]
        draft.event_original = (envelope.name or "")[:NAME_CHARS_MAX]
        return
    sent_name = envelope.event or ""
    base, at, major = sent_name.rpartition("@")
    if at and major.isdecimal() and len(major) < 5:
        draft.event_major = int(major)
        sent_name = base
    draft.event_original = sent_name[:NAME_CHARS_MAX]
    draft.event = snake_case(draft.event_original)
    if not draft.event:
        raise Rejected(Reason.EVENT_NAME_MISSING, "/event", "event is empty; send the name of what happened")
    if len(sent_name) > NAME_CHARS_MAX:
        raise Rejected(
            Reason.EVENT_FIELD_INVALID,
            "/event",
            f"event has {len(sent_name):,} characters, the limit is {NAME_CHARS_MAX}; put details into properties",
        )


def measure(draft: Draft) -> None:
    """Refuse an event whose properties, traits or context are larger than one event may be."""
    envelope = draft.envelope
    properties = envelope.properties
    if not isinstance(properties, UnsetType):
        _measure("properties", properties)
        if bytes(properties) != b"null":
            draft.properties = properties
    if not isinstance(envelope.context, UnsetType):
        _measure("context", envelope.context)
    if not isinstance(envelope.traits, UnsetType):
        _measure("traits", envelope.traits)


def read(draft: Draft) -> None:
    """Read the context, and from it device and country."""
    request = draft.request
    draft.context = context = read_context(draft.batch.context, draft.envelope.context)
    shared = draft.batch
    draft.device = shared.device or device_of(request, context.known)
    draft.country = country_of(request, context.known, draft.tools.geo) if shared.country is None else shared.country


def identify(draft: Draft) -> None:
    """Say whose event it is: the device by its own id, else by the person, else by a hash that lasts a day."""
    envelope, request = draft.envelope, draft.request
    draft.user_id = _identifier(envelope.userId, "userId")
    draft.visitor_id = _identifier(envelope.anonymousId, "anonymousId")
    if draft.visitor_id:
        return
    if draft.user_id:
        draft.visitor_id = f"u_{draft.user_id}"
        return
    known = draft.context.known
    address = known.ip if request.is_server and known.ip else request.address
    user_agent = known.userAgent if request.is_server and known.userAgent else request.user_agent
    draft.visitor_id = draft.tools.salts.visitor_id(request.received_ms, request.source_id, address, user_agent)


def place_in_time(draft: Draft) -> None:
    """Correct the client's clock by whole steps of CLOCK_STEP_MS, by how far it was off when it sent.

    The latency of each request is part of that difference. Corrected to the millisecond, a quick request's events would
    overtake a slow one's, and each retry of an event would have a time of its own.
    """
    envelope, received_ms = draft.envelope, draft.request.received_ms
    draft.sent_at = sent_ms = _sent_ms(draft)
    occurred_ms = parse_time(envelope.originalTimestamp)
    if occurred_ms is None:
        occurred_ms = parse_time(envelope.timestamp)
    if occurred_ms is None:
        draft.occurred_at = draft.event_time = received_ms
        return
    draft.occurred_at = occurred_ms
    steps = 0 if sent_ms is None else round((received_ms - sent_ms) / CLOCK_STEP_MS)
    earliest_ms = 0 if draft.request.is_server else received_ms - OFFLINE_MS_MAX
    event_ms = max(occurred_ms + steps * CLOCK_STEP_MS, earliest_ms)
    # Half a step ahead is what the correction leaves; a claim beyond that cannot be true and counts as now.
    draft.event_time = event_ms if event_ms <= received_ms + CLOCK_STEP_MS // 2 else received_ms


def check(draft: Draft) -> None:
    """Hold the event against the tracking plan."""
    if draft.envelope.type in ("track", "page", "screen"):
        draft.checked = draft.tools.plan.check(draft.event, draft.event_major, draft.properties)
        if (violation := draft.checked.rejected) is not None:
            raise Rejected(violation.reason, violation.pointer, violation.fix)


def locate(draft: Draft) -> None:
    """Find the page and where the visit came from."""
    stated = draft.context.known.page
    if draft.envelope.type == "page":
        own = read_page(draft.properties)
        stated = own if own.url else stated
    draft.title = stated.title[:TITLE_CHARS_MAX]
    draft.page = parse_page(stated.url)
    draft.referrer = parse_page(stated.referrer).url
    draft.referrer_host, draft.channel = classify(stated.referrer, draft.page)


STEPS: tuple[Callable[[Draft], None], ...] = (name, measure, read, identify, place_in_time, check, locate)


def process(batch: Batch, request: Request, tools: Tools, raws: Callable[[], list[bytes]]) -> Outcome:
    """Take a batch through all steps.

    Args:
        batch: As decoded; an event that could not be decoded is a Rejected in its place.
        request: What the HTTP request says of all its events.
        tools: Plan, geo and salts.
        raws: Gives each event's own bytes, in order; called once, and only when one of them is rejected.
    Returns:
        Rows for the spool, and a verdict per rejected event.
    Raises:
        Refused: the batch's context, repeated for each event, would be too large.
    """
    context_bytes = 0 if isinstance(batch.context, UnsetType) else len(memoryview(batch.context))
    if context_bytes * len(batch.events) > CONTEXT_TOTAL_BYTES_MAX:
        raise Refused(
            Reason.BODY_TOO_LARGE,
            f"context of {context_bytes:,} bytes for {len(batch.events):,} events unfolds to more than "
            f"{CONTEXT_TOTAL_BYTES_MAX:,} bytes; send a smaller context or fewer events",
        )
    shared = _shared(batch, request, tools)
    outcome = Outcome(Rows([], []), [])
    own_bytes: list[bytes] = []
    for index, event in enumerate(batch.events):
        if isinstance(event, Rejected):
            own_bytes = own_bytes or raws()
            envelope = salvage(own_bytes[index], Envelope)
        else:
            envelope = event
        draft = Draft(envelope, shared, request, tools)
        try:
            if isinstance(event, Rejected):
                raise event
            for step in STEPS:
                step(draft)
            outcome.rows.events.append(_row(draft))
        except Rejected as rejected:
            own_bytes = own_bytes or raws()
            outcome.rows.failed.append(_failed(draft, rejected, own_bytes[index]))
            outcome.rejected.append(
                Verdict(index, draft.message_id, rejected.reason.word, rejected.pointer, rejected.fix)
            )
    return outcome


def _shared(batch: Batch, request: Request, tools: Tools) -> Shared:
    sent_ms, context = parse_time(batch.sent_at), object_bytes(batch.context)
    if request.is_server:  # which may speak for another visitor with each event
        return Shared(sent_ms, context, None, None)
    known = NO_CONTEXT.known
    return Shared(sent_ms, context, device_of(request, known), country_of(request, known, tools.geo))


def _measure(field: str, raw: Raw) -> None:
    size = len(memoryview(raw))
    if size > EVENT_BYTES_MAX:
        raise Rejected(
            Reason.EVENT_TOO_LARGE,
            f"/{field}",
            f"{field} is {size:,} bytes, the limit is {EVENT_BYTES_MAX:,}; send less with the event",
        )


def _sent_ms(draft: Draft) -> int | None:
    return parse_time(draft.envelope.sentAt) if draft.batch.sent_at is None else draft.batch.sent_at


def _identifier(value: str | int | float | None, field: str) -> str:
    if value is None:
        return ""
    text = str(value)
    if len(text) > ID_CHARS_MAX:
        raise Rejected(
            Reason.EVENT_FIELD_INVALID,
            f"/{field}",
            f"{field} has {len(text):,} characters, the limit is {ID_CHARS_MAX}; send the id alone",
        )
    return text


def _raw_text(raw: Raw | UnsetType) -> str:
    text = "{}" if isinstance(raw, UnsetType) else bytes(raw).decode()
    return "{}" if text == "null" else text


def _row(draft: Draft) -> EventRow:
    envelope, request, page, checked = draft.envelope, draft.request, draft.page, draft.checked
    assert draft.device is not None  # `read` ran before
    context, device = draft.context, draft.device
    # By position, in the order of the columns: by name it costs four times as much, for each event.
    return EventRow(
        draft.message_id,
        envelope.type,
        draft.event,
        draft.event_original,
        checked.event_version,
        request.source_id,
        draft.visitor_id,
        draft.user_id,
        _identifier(envelope.groupId, "groupId"),
        _identifier(envelope.previousId, "previousId"),
        min(max(envelope.sequence or 0, 0), SEQUENCE_MAX),
        draft.event_time,
        draft.occurred_at,
        draft.sent_at,
        request.received_ms,
        page.url,
        page.host,
        page.path,
        page.query,
        draft.title,
        draft.referrer,
        draft.referrer_host,
        draft.channel,
        page.utm_source or context.utm_source,
        page.utm_medium or context.utm_medium,
        page.utm_campaign or context.utm_campaign,
        page.utm_term or context.utm_term,
        page.utm_content or context.utm_content,
        page.click_id_type,
        page.click_id,
        device.browser,
        device.browser_version,
        device.os,
        device.os_version,
        device.device_class,
        draft.country,
        context.language,
        context.time_zone,
        context.screen_width,
        context.screen_height,
        context.viewport_width,
        context.viewport_height,
        device.is_bot,
        device.bot_reason,
        checked.conversion,
        checked.value,
        checked.currency,
        context.library,
        _raw_text(draft.properties),
        _raw_text(envelope.traits),
        context.text,
        [violation.word() for violation in checked.violations],
    )


def _failed(draft: Draft, rejected: Rejected, raw: bytes) -> FailedRow:
    envelope, request = draft.envelope, draft.request
    sent_id = (envelope.messageId or "")[:MESSAGE_ID_CHARS_MAX]
    draft.message_id = draft.message_id or sent_id or message_id(request.received_ms, draft.tools.random(10))
    violations = [violation.word() for violation in draft.checked.violations]
    return FailedRow(
        message_id=draft.message_id,
        type=envelope.type[:64],
        event=(envelope.event or draft.event)[:NAME_CHARS_MAX],
        source_id=request.source_id,
        visitor_id=draft.visitor_id or _shortened(envelope.anonymousId),
        user_id=draft.user_id or _shortened(envelope.userId),
        sent_at=_sent_ms(draft),
        received_at=request.received_ms,
        reason=rejected.reason.word,
        pointer=rejected.pointer,
        fix=rejected.fix,
        violations=violations or [f"{rejected.reason.word}:{rejected.pointer}"],
        user_agent=request.user_agent[:TEXT_CHARS_MAX],
        country=draft.country,
        plan_version=draft.tools.plan.version,
        context=read_context(draft.batch.context, draft.envelope.context).text,
        raw=without_secrets(raw).decode(),
    )


def _shortened(identifier: str | int | None) -> str:
    return "" if identifier is None else str(identifier)[:ID_CHARS_MAX]
