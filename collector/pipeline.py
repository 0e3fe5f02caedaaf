"""The way of an event, from a decoded batch to rows for the spool. STEPS is the whole of it.

Every step takes the Draft of one event and fills in its part; `Rejected` is the one way out. Steps never do I/O, so a
batch is judged in one go and made durable in one append.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from msgspec import UNSET, Raw, Struct, UnsetType, structs

from collector.decode import (
    EVENT_BYTES_MAX,
    ID_CHARS_MAX,
    MESSAGE_ID_CHARS_MAX,
    NAME_CHARS_MAX,
    TYPES,
    Batch,
    Malformed,
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
    PageContext,
    Request,
    country_of,
    device_of,
    noted,
    object_bytes,
    read_context,
    read_page,
    without_secrets,
)
from collector.geo import Geo
from collector.identity import Salts, message_id
from collector.plan import Checked, CompiledPlan, Violation
from collector.plan.check import UNCHECKED, EventCheck
from collector.plan.model import PROD
from collector.plan.page import PageHandling
from collector.plan.pii import fields_of, mask_detected, object_of
from collector.plan.sampling import kept
from collector.reason import Reason, Refused, Rejected
from collector.record import CLOCK_STEP_MS, EMPTY_OBJECT, Envelope, EventRow, FailedRow, Rows
from collector.referrer import NO_PAGE, Page, classify, parse_page

# An event may wait this long in a browser's queue. Older claims are taken to be a wrong clock, not patience.
OFFLINE_MS_MAX = 30 * 24 * 3_600_000
# Rows repeat the batch's context. This bounds what one request can unfold to.
CONTEXT_TOTAL_BYTES_MAX = 2_000_000
SEQUENCE_MAX = 2**32 - 1

_PLANNED_TYPES = frozenset({"track", "page", "screen"})
SAMPLED = "sampled"  # beside the reasons of violations: why an event was dropped
DEV = "dev"  # the environment of a page on the developer's own machine
_LOCAL_HOST = re.compile(r"(?:localhost|[a-z0-9.-]{1,200}\.localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")

# What `Outcome.counts` counts. `shadowed` are violations that a rule with a start date still to come would judge
# otherwise.
COUNTER_NAMES: tuple[str, ...] = (
    *(f'violations_total{{reason="{reason.word}"}}' for reason in Reason if reason.rejects_event),
    *(f'shadowed_total{{reason="{reason.word}"}}' for reason in Reason if reason.rejects_event),
    *(f'dropped_total{{reason="{word}"}}' for word in (SAMPLED, Reason.UNDECLARED_PII.word)),
)
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
    """What a client is told of one violation: why an event was rejected, or what was found in one that was accepted."""

    index: int
    message_id: str
    reason: str
    pointer: str
    fix: str


class Outcome(Struct):
    """A judged batch: its rows, and verdicts in the batch's order.

    `rejected` and `dropped` hold one verdict for each such event, the violation that decided; `flagged` one for each
    violation of an event that was accepted. `counts` is what to add to the counters of COUNTER_NAMES.
    """

    rows: Rows
    rejected: list[Verdict]
    flagged: list[Verdict] = []
    dropped: list[Verdict] = []
    counts: dict[str, int] = {}


class Shared(Struct, frozen=True, gc=False):
    """What all events of a batch share, read once. Device and country are None where each event states its own.

    `handled` says that personal data was handled before, as in events that are replayed.
    """

    sent_at: int | None
    context: bytes
    device: Device | None
    country: str | None
    handled: bool = False


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
    group_id: str = ""
    previous_id: str = ""
    event_time: int = 0
    occurred_at: int = 0
    sent_at: int | None = None
    checked: Checked = UNCHECKED
    planned: EventCheck | None = None
    page_handling: PageHandling | None = None
    environment: str = PROD
    sample_rate: float = 1.0
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
    limit = min(EVENT_BYTES_MAX, draft.tools.plan.event_bytes_max)
    if not isinstance(properties, UnsetType):
        _measure("properties", properties, limit)
        if len(memoryview(properties)) != 4 or bytes(properties) != b"null":
            draft.properties = properties
    if not isinstance(envelope.extra, UnsetType):
        _measure("extra", envelope.extra, limit)
    if not isinstance(envelope.context, UnsetType):
        _measure("context", envelope.context, EVENT_BYTES_MAX)
    if not isinstance(envelope.traits, UnsetType):
        _measure("traits", envelope.traits, EVENT_BYTES_MAX)


def read(draft: Draft) -> None:
    """Read the context, and from it device and country."""
    request = draft.request
    draft.context = context = read_context(draft.batch.context, draft.envelope.context)
    shared = draft.batch
    draft.device = noted(shared.device or device_of(request, context.known), context.known)
    draft.country = country_of(request, context.known, draft.tools.geo) if shared.country is None else shared.country


def identify(draft: Draft) -> None:
    """Say whose event it is: the device by its own id, else by the person, else by a hash that lasts a day."""
    envelope, request = draft.envelope, draft.request
    draft.user_id = _identifier(envelope.userId, "userId")
    draft.visitor_id = _identifier(envelope.anonymousId, "anonymousId")
    draft.group_id = _identifier(envelope.groupId, "groupId")
    draft.previous_id = _identifier(envelope.previousId, "previousId")
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


def look_up(draft: Draft) -> None:
    """Find the event in the plan, and do to its page what the plan says of personal data."""
    plan = draft.tools.plan
    if draft.envelope.type in _PLANNED_TYPES:
        draft.planned = plan.find(draft.event, draft.event_major)
    draft.page_handling = _page_handling(draft)
    if draft.page_handling is not None:  # all columns that come from the context are read from what may be kept of it
        draft.context = read_context(draft.page_handling.context(draft.context.text).encode(), UNSET)


def locate(draft: Draft) -> None:
    """Find the page and where the visit came from."""
    stated = draft.context.known.page
    if draft.envelope.type == "page":
        own = read_page(draft.properties)
        if own.url:
            stated = own if draft.page_handling is None else _handled_page(own, draft.page_handling)
    draft.title = stated.title[:TITLE_CHARS_MAX]
    draft.page = parse_page(stated.url)
    draft.referrer = parse_page(stated.referrer).url
    draft.referrer_host, draft.channel = classify(stated.referrer, draft.page)
    stated_environment = draft.request.environment
    draft.environment = DEV if stated_environment == PROD and is_local(draft.page.host) else stated_environment


def sample(draft: Draft) -> None:
    """Keep the share of events that the plan wants. A developer sees all of theirs."""
    sampling = None if draft.planned is None else draft.planned.sampling
    if sampling is None or draft.environment == DEV or draft.batch.handled:
        return
    if not kept(sampling, draft.visitor_id, draft.message_id):
        share = f"{sampling.rate:.0%} of {draft.event} by {sampling.by}"
        raise _Dropped(SAMPLED, "", f"the plan keeps {share}, and this one is not among them; nothing to do")
    draft.sample_rate = sampling.rate


def check(draft: Draft) -> None:
    """Hold the event against the tracking plan."""
    envelope = draft.envelope
    extra = b"" if isinstance(envelope.extra, UnsetType) else bytes(envelope.extra)
    if envelope.type not in _PLANNED_TYPES:
        if extra and extra != b"null":
            draft.checked = structs.replace(UNCHECKED, extra={"extra": extra})
        return
    extra = b"" if extra in (b"null", b"{}") else extra
    now_ms, handled = draft.request.received_ms, draft.batch.handled
    if draft.planned is not None and not extra:
        # By position: a call by keyword costs more than the look-up it saves.
        checked = draft.planned.check(draft.properties, draft.environment, now_ms, handled)
    else:
        checked = draft.tools.plan.check(
            draft.event, draft.event_major, draft.properties, extra, draft.environment, now_ms, handled
        )
    draft.checked = checked
    if (violation := checked.dropped) is not None:
        raise _Dropped(violation.reason.word, violation.pointer, violation.fix)
    if (violation := checked.rejected) is not None:
        raise Rejected(violation.reason, violation.pointer, violation.fix)


STEPS: tuple[Callable[[Draft], None], ...] = (
    name,
    measure,
    read,
    identify,
    place_in_time,
    look_up,
    locate,
    sample,
    check,
)


class _Dropped(Exception):
    """One event is not stored, by our own choice; it is only counted."""

    def __init__(self, word: str, pointer: str, fix: str) -> None:
        super().__init__(fix)
        self.word = word
        self.pointer = pointer
        self.fix = fix


def process(
    batch: Batch, request: Request, tools: Tools, raws: Callable[[], list[bytes]], *, handled: bool = False
) -> Outcome:
    """Take a batch through all steps.

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
    """
    context_bytes = 0 if isinstance(batch.context, UnsetType) else len(memoryview(batch.context))
    if context_bytes * len(batch.events) > CONTEXT_TOTAL_BYTES_MAX:
        raise Refused(
            Reason.BODY_TOO_LARGE,
            f"context of {context_bytes:,} bytes for {len(batch.events):,} events unfolds to more than "
            f"{CONTEXT_TOTAL_BYTES_MAX:,} bytes; send a smaller context or fewer events",
        )
    shared = _shared(batch, request, tools, handled)
    outcome = Outcome(Rows([], []), [])
    own_bytes: list[bytes] = []
    for index, event in enumerate(batch.events):
        if isinstance(event, Rejected):
            own_bytes = own_bytes or raws()
            envelope = salvage(own_bytes[index], Envelope)
        else:
            envelope = event
        draft = Draft(envelope, shared, request, tools, environment=request.environment)
        try:
            if isinstance(event, Rejected):
                raise event
            for step in STEPS:
                step(draft)
            outcome.rows.events.append(_row(draft))
            outcome.flagged.extend(_verdict(index, draft, found) for found in draft.checked.violations)
        except Rejected as rejected:
            own_bytes = own_bytes or raws()
            outcome.rows.failed.append(_failed(draft, rejected, own_bytes[index]))
            outcome.rejected.append(
                Verdict(index, draft.message_id, rejected.reason.word, rejected.pointer, rejected.fix)
            )
        except _Dropped as dropped:
            outcome.dropped.append(Verdict(index, draft.message_id, dropped.word, dropped.pointer, dropped.fix))
            _count(outcome.counts, "dropped_total", dropped.word)
        for violation in draft.checked.violations:
            _count(outcome.counts, "violations_total", violation.reason.word)
        for reason in draft.checked.shadowed:
            _count(outcome.counts, "shadowed_total", reason.word)
    return outcome


def is_local(host: str) -> bool:
    """True for a page on the machine it is looked at on."""
    return _LOCAL_HOST.fullmatch(host) is not None


def _count(counts: dict[str, int], name: str, reason: str) -> None:
    key = f'{name}{{reason="{reason}"}}'
    counts[key] = counts.get(key, 0) + 1


def _verdict(index: int, draft: Draft, found: Violation) -> Verdict:
    return Verdict(index, draft.message_id, found.reason.word, found.pointer, found.fix)


def _handled_page(page: PageContext, handling: PageHandling) -> PageContext:
    return PageContext(
        handling.text("url", page.url), handling.text("referrer", page.referrer), handling.text("title", page.title)
    )


def _page_handling(draft: Draft) -> PageHandling | None:
    planned, plan = draft.planned, draft.tools.plan
    if draft.batch.handled:
        return None
    return plan.page if planned is None or planned.page is None else planned.page


def _shared(batch: Batch, request: Request, tools: Tools, handled: bool) -> Shared:
    sent_ms, context = parse_time(batch.sent_at), object_bytes(batch.context)
    if request.is_server:  # which may speak for another visitor with each event
        return Shared(sent_ms, context, None, None, handled)
    known = NO_CONTEXT.known
    return Shared(sent_ms, context, device_of(request, known), country_of(request, known, tools.geo), handled)


def _measure(field: str, raw: Raw, limit: int) -> None:
    size = len(memoryview(raw))
    if size > limit:
        raise Rejected(
            Reason.EVENT_TOO_LARGE,
            f"/{field}",
            f"{field} is {size:,} bytes, the limit is {limit:,}; send less with the event",
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
        draft.group_id,
        draft.previous_id,
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
        page.click_id_type or context.click_id_type,
        page.click_id or context.click_id,
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
        _raw_text(draft.properties) if checked.properties is None else checked.properties.decode(),
        _raw_text(envelope.traits),
        context.text,
        [violation.word() for violation in checked.violations],
        object_of(checked.extra).decode() if checked.extra else "{}",
        draft.sample_rate,
        draft.environment,
        draft.tools.plan.version,
    )


def _failed(draft: Draft, rejected: Rejected, raw: bytes) -> FailedRow:
    envelope, request = draft.envelope, draft.request
    sent_id = (envelope.messageId or "")[:MESSAGE_ID_CHARS_MAX]
    draft.message_id = draft.message_id or sent_id or message_id(request.received_ms, draft.tools.random(10))
    violations = [violation.word() for violation in draft.checked.violations]
    if isinstance(rejected, Malformed):
        violations = rejected.violations
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
        context=_handled_context(draft, read_context(draft.batch.context, draft.envelope.context).text),
        raw=without_secrets(_handled_raw(draft, raw)).decode("utf-8", "backslashreplace"),
        environment=draft.environment,
        plan_hash=draft.tools.plan.hash,
    )


def _handled_context(draft: Draft, text: str) -> str:
    handling = _page_handling(draft)
    return text if handling is None else handling.context(text)


def _handled_raw(draft: Draft, raw: bytes) -> bytes:
    """A rejected event's own bytes, with its personal data handled as if it had been accepted."""
    if draft.batch.handled:
        return raw
    plan, checked = draft.tools.plan, draft.checked
    sent = fields_of(raw)
    if sent is None:
        return plan.kept_bytes(raw)
    fields = dict(sent)
    if "properties" in fields:
        looked_at = checked is not UNCHECKED
        own = checked.properties if looked_at else plan.kept(draft.event, draft.event_major, fields["properties"])
        fields["properties"] = fields["properties"] if own is None else own
    if "extra" in fields and any(found.pointer.startswith("/extra/") for found in checked.violations):
        fields["extra"] = mask_detected(fields["extra"]) or b"null"
    if "context" in fields and (handling := _page_handling(draft)) is not None:
        fields["context"] = handling.raw_context(fields["context"])
    return raw if fields == sent else object_of(fields)


def _shortened(identifier: str | int | None) -> str:
    return "" if identifier is None else str(identifier)[:ID_CHARS_MAX]
