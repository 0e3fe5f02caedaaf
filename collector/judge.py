"""The way of one event, from its envelope to the values of its row. `Judge.row` is the whole of it, step by step.

    name, measure, hear whose words they are, identify, place in time, look up in the plan, locate, sample, check

The steps stand in one function, because calling one costs as much as most of them do; what is rare, and what an event
is refused for, stands in functions of its own. No step does I/O but for the salt of a new day.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, structs

from collector.clock import Correction, correction, parse_time
from collector.decode import Batch
from collector.enrich import (
    TITLE_CHARS_MAX,
    ContextFacts,
    PageContext,
    Request,
    country_of,
    object_bytes,
    read_context,
    read_page,
    sender_columns,
)
from collector.geo import Geo
from collector.identity import Salts, message_id
from collector.limits import EVENT_BYTES_MAX, ID_CHARS_MAX, MESSAGE_ID_CHARS_MAX, NAME_CHARS_MAX
from collector.location import Located, Locator, shipped_locator
from collector.names import EVENT_OF_TYPE, TYPES, track_name
from collector.packed import SENDER_COLUMNS, Part
from collector.plan import Checked, CompiledPlan, Violation
from collector.plan.check import UNCHECKED, EventCheck
from collector.plan.model import PROD
from collector.plan.page import PageHandling
from collector.plan.pii import object_of
from collector.plan.sampling import kept
from collector.reason import Reason, Rejected
from collector.record import EMPTY_OBJECT, Envelope
from collector.sensitive import without_secrets

DEV = "dev"  # the environment of a page on the developer's own machine
SAMPLED = "sampled"  # beside the reasons of violations: why an event was dropped
SEQUENCE_MAX = 2**32 - 1

_PLANNED_TYPES = frozenset({"track", "page", "screen"})

_NO_VIOLATIONS: list[str] = []  # shared by all events without: nobody changes what stands in a row
_AT_CLASS = SENDER_COLUMNS.index("device_class")  # followed by is_bot and bot_reason


class Tools(Struct, frozen=True):
    """What the steps need beside the event itself; made once per worker."""

    plan: CompiledPlan
    geo: Geo
    salts: Salts
    random: Callable[[int], bytes] = os.urandom
    locator: Locator = msgspec.field(default_factory=shipped_locator)


class Dropped(Exception):
    """One event is not stored, by our own choice; it is only counted."""

    def __init__(self, message_id: str, word: str, pointer: str, fix: str, checked: Checked = UNCHECKED) -> None:
        super().__init__(fix)
        self.message_id = message_id
        self.word = word
        self.pointer = pointer
        self.fix = fix
        self.checked = checked


class Unfit(Rejected):
    """One event that the plan rejects, with what was found out about it before."""

    def __init__(self, violation: Violation, visitor_id: str, environment: str, checked: Checked) -> None:
        super().__init__(violation.reason, violation.pointer, violation.fix)
        self.visitor_id = visitor_id
        self.environment = environment
        self.checked = checked


class Sender:
    """Whose words an event is in: the request's, with the batch's context and clock, or the event's own over them.

    `number` is that of its columns in the record.
    """

    __slots__ = ("clock", "context", "fragment", "known", "located", "number", "sent_ms")

    def __init__(
        self, number: int, context: ContextFacts, sent_ms: int | None, clock: Correction, fragment: str
    ) -> None:
        self.number = number
        self.sent_ms = sent_ms
        self.context = context
        self.known = context.known
        self.clock = clock
        self.fragment = fragment
        self.located: Located | None = None


class Judge:
    """Judges the events of one batch. `senders` and `pages` are the shared columns of the rows that it gives."""

    __slots__ = (
        "_as_sent", "_environment", "_fits", "_handled_senders", "_last", "_limit_bytes", "_locator", "_numbers",
        "_outer", "_page", "_plan", "_sender", "_sent_ms", "_spam_senders", "handled", "pages", "request", "senders",
        "tools",
    )  # fmt: skip

    def __init__(self, batch: Batch, request: Request, tools: Tools, *, handled: bool) -> None:
        """`handled`: personal data was handled and the sample taken before, as in events that are replayed."""
        self.request = request
        self.tools = tools
        self.handled = handled
        self.senders: list[Part] = []
        self.pages: list[Part] = []
        self._plan = plan = tools.plan
        self._environment = request.environment
        self._limit_bytes = min(EVENT_BYTES_MAX, plan.event_bytes_max)
        self._fits = batch.size_bytes <= self._limit_bytes
        self._page = None if handled else plan.page
        self._sent_ms = parse_time(batch.sent_at)
        self._outer = object_bytes(batch.context)
        self._locator = tools.locator
        self._numbers: dict[Located, int] = {}
        self._spam_senders: dict[int, int] = {}
        self._handled_senders: dict[tuple[Sender, PageHandling], Sender] = {}
        self._as_sent = self._sent_ms is not None
        self._sender: Sender | None = None  # of events without context and clock of their own
        self._last: Sender | None = None  # of the last one with

    def row(self, envelope: Envelope) -> tuple[Part, Checked]:  # noqa: PLR0912, PLR0915 - one story; see above
        """Take one event through all steps.

        Returns:
            Its values, in the order of packed.OWN_COLUMNS behind the numbers of its sender and its page; and the
            plan's verdict.
        Raises:
            Rejected: it cannot be stored as an event; Unfit, which is one, when it is the plan that says so.
            Dropped: it is not to be stored at all.
        """
        request = self.request

        # Name: a page is a page_view, a track keeps its name in snake_case. Without an id it is given one.
        kind = envelope.type
        own_id = envelope.messageId or message_id(request.received_ms, self.tools.random(10))
        if len(own_id) > MESSAGE_ID_CHARS_MAX:
            raise _long_id(own_id)
        if kind == "track":
            event, original, major = track_name(envelope.event or "")
        else:
            event, original, major = EVENT_OF_TYPE.get(kind) or _unknown(kind), envelope.name or "", None
            if len(original) > NAME_CHARS_MAX:
                original = original[:NAME_CHARS_MAX]

        # Measure: what a whole body keeps to, each of its events does.
        if not self._fits:
            self._measure(envelope)
        properties = envelope.properties
        text = "{}" if properties is UNSET else str(properties, "utf-8")
        if text == "null" or properties is UNSET:
            text, properties = "{}", EMPTY_OBJECT

        # Hear whose words they are.
        if envelope.context is UNSET and (self._as_sent or envelope.sentAt is None):
            sender = self._sender or self._batch_sender()
        else:
            sender = self._own_sender(envelope)

        # Identify: the device by its own id, else the person, else a hash that lasts a day.
        user_id = "" if envelope.userId is None else _identifier(envelope.userId, "userId")
        visitor_id = envelope.anonymousId
        if type(visitor_id) is not str or len(visitor_id) > ID_CHARS_MAX:
            visitor_id = _identifier(visitor_id, "anonymousId")
        group_id = "" if envelope.groupId is None else _identifier(envelope.groupId, "groupId")
        previous_id = "" if envelope.previousId is None else _identifier(envelope.previousId, "previousId")
        if not visitor_id:
            visitor_id = f"u_{user_id}" if user_id else self._daily_id(sender)

        # Place in time.
        clock = sender.clock
        occurred_ms = None if envelope.originalTimestamp is None else parse_time(envelope.originalTimestamp)
        if occurred_ms is None:
            occurred_ms = parse_time(envelope.timestamp)
        if occurred_ms is None:
            occurred_ms = event_ms = clock.received_ms
        else:
            event_ms = occurred_ms + clock.shift_ms
            if not clock.earliest_ms <= event_ms <= clock.latest_ms:
                event_ms = clock.event_time(occurred_ms)

        # Look up in the plan, and do to the page what it says of personal data.
        planned = self._plan.find(event, major) if kind in _PLANNED_TYPES else None
        handling = self._page
        if planned is not None and planned.page is not None:
            handling = self.page_handling(planned)
        if handling is not None:
            sender = self._handled_sender(sender, handling)

        # Locate: by the context, or by what a page call says of its page.
        stated = sender.known.page
        own_page = kind == "page" and ('"url"' in text or "\\u" in text)
        if own_page and (own := read_page(properties)).url:
            stated = own if handling is None else _handled_page(own, handling)
            fragment = self._fragment(own.url, stated.url) if self._locator.keeps_fragments else ""
            located = self._locator.locate(stated.url, stated.referrer, sender.context.campaign, fragment)
        else:
            located = sender.located or self._locate(sender)
        page = self._numbers.get(located)
        if page is None:
            page = self._numbers[located] = len(self.pages)
            self.pages.append(located.columns)
        number = self._spam_sender(sender.number) if located.is_spam else sender.number
        environment = self._environment
        if located.is_local and environment == PROD:
            environment = DEV

        # Sample: keep the share that the plan wants. A developer sees all of theirs.
        rate = 1.0
        if planned is not None and planned.sampling is not None and environment != DEV and not self.handled:
            if not kept(planned.sampling, visitor_id, own_id):
                raise _left_out(own_id, event, planned)
            rate = planned.sampling.rate

        # Check against the plan.
        if planned is not None and envelope.extra is UNSET:
            # By position: a call by keyword costs more than the look-up it saves.
            checked = planned.check(properties, environment, request.received_ms, self.handled)
        else:
            checked = self._check(envelope, event, major, properties, environment)
        if (found := checked.dropped) is not None:
            raise Dropped(own_id, found.reason.word, found.pointer, found.fix, checked)
        if (found := checked.rejected) is not None:
            raise Unfit(found, visitor_id, environment, checked)
        if checked.properties is not None:
            text = checked.properties.decode()
        if "=" in text:
            text = without_secrets(text)

        title = stated.title
        sequence = envelope.sequence or 0
        return (
            number,
            page,
            own_id,
            kind,
            event,
            original,
            checked.event_version,
            checked.conversion,
            checked.value,
            checked.currency,
            visitor_id,
            user_id,
            group_id,
            previous_id,
            sequence if 0 <= sequence <= SEQUENCE_MAX else min(max(sequence, 0), SEQUENCE_MAX),
            event_ms,
            occurred_ms,
            title if len(title) <= TITLE_CHARS_MAX else title[:TITLE_CHARS_MAX],
            text,
            "{}" if envelope.traits is UNSET else _raw_text(envelope.traits),
            [violation.word() for violation in checked.violations] if checked.violations else _NO_VIOLATIONS,
            without_secrets(object_of(checked.extra).decode()) if checked.extra else "{}",
            rate,
            environment,
        ), checked

    def context_of(self, envelope: Envelope) -> ContextFacts:
        """The context of an event: its own over its batch's."""
        return read_context(self._outer, envelope.context)

    def sent_ms(self, envelope: Envelope) -> int | None:
        """When an event was sent, by its client's clock: its batch says it, else the event itself."""
        return parse_time(envelope.sentAt) if self._sent_ms is None else self._sent_ms

    def page_handling(self, planned: EventCheck | None) -> PageHandling | None:
        """What is done to the page of such an event."""
        return self._page if self.handled or planned is None or planned.page is None else planned.page

    def country_of(self, envelope: Envelope) -> str:
        """The country of an event."""
        return country_of(self.request, self.context_of(envelope).known, self.tools.geo)

    def _batch_sender(self) -> Sender:
        self._sender = self._heard(read_context(self._outer, UNSET), self._sent_ms)
        return self._sender

    def _own_sender(self, envelope: Envelope) -> Sender:
        """The sender of an event that brings a context, or a clock of its own."""
        context, sent_ms = self.context_of(envelope), self.sent_ms(envelope)
        last = self._last
        if last is not None and context is last.context and sent_ms == last.sent_ms:
            return last
        self._last = last = self._heard(context, sent_ms)
        return last

    def _heard(self, context: ContextFacts, sent_ms: int | None) -> Sender:
        request, known = self.request, context.known
        clock = correction(request.received_ms, sent_ms, is_server=request.is_server)
        fragment = self._locator.fragment(known.page.url)
        sender = Sender(len(self.senders), context, sent_ms, clock, fragment)
        self.senders.append(
            (
                request.source_id,
                sent_ms,
                request.received_ms,
                self._plan.version,
                *sender_columns(request, known, self.tools.geo),
                *context.columns,
            )
        )
        return sender

    def _handled_sender(self, sender: Sender, handling: PageHandling) -> Sender:
        """The sender with what may be kept of its page: all columns of its context are read from that."""
        key = (sender, handling)
        found = self._handled_senders.get(key)
        if found is None:
            context = read_context(handling.context(sender.context.text).encode(), UNSET)
            fragment = self._fragment(sender.known.page.url, context.known.page.url) if sender.fragment else ""
            found = Sender(len(self.senders), context, sender.sent_ms, sender.clock, fragment)
            before = self.senders[sender.number]
            self.senders.append((*before[: -len(context.columns)], *context.columns))
            self._handled_senders[key] = found
        return found

    def _locate(self, sender: Sender) -> Located:
        page = sender.known.page
        located = self._locator.locate(page.url, page.referrer, sender.context.campaign, sender.fragment)
        sender.located = located
        return located

    def _fragment(self, sent: str, kept: str) -> str:
        """The fragment of an address of which the plan keeps so much; none where it does not keep the path."""
        same = kept != "" and _address(kept) == _address(sent)
        return self._locator.fragment(sent) if same else ""

    def _spam_sender(self, number: int) -> int:
        """The sender of a visit that is made up, so that its referrer is seen: flagged as a bot's, if it was not."""
        found = self._spam_senders.get(number)
        if found is None:
            before = self.senders[number]
            if before[_AT_CLASS + 1]:
                found = number
            else:
                found = len(self.senders)
                self.senders.append((*before[:_AT_CLASS], "bot", True, "referrer_spam", *before[_AT_CLASS + 3 :]))
            self._spam_senders[number] = found
        return found

    def _daily_id(self, sender: Sender) -> str:
        request, known = self.request, sender.known
        address = known.ip if request.is_server and known.ip else request.address
        user_agent = known.userAgent if request.is_server and known.userAgent else request.user_agent
        return self.tools.salts.visitor_id(request.received_ms, request.source_id, address, user_agent)

    def _measure(self, envelope: Envelope) -> None:
        """Refuse an event whose properties, traits or context are larger than one event may be."""
        for field, raw, limit in (
            ("properties", envelope.properties, self._limit_bytes),
            ("extra", envelope.extra, self._limit_bytes),
            ("context", envelope.context, EVENT_BYTES_MAX),
            ("traits", envelope.traits, EVENT_BYTES_MAX),
        ):
            size = 0 if isinstance(raw, UnsetType) else len(memoryview(raw))
            if size > limit:
                sentence = f"{field} is {size:,} bytes, the limit is {limit:,}; send less with the event"
                raise Rejected(Reason.EVENT_TOO_LARGE, f"/{field}", sentence)

    def _check(self, envelope: Envelope, event: str, major: int | None, properties: Raw, environment: str) -> Checked:
        """The verdict on an event that is not planned, or that says more than its properties."""
        extra = b"" if isinstance(envelope.extra, UnsetType) else bytes(envelope.extra)
        if envelope.type not in _PLANNED_TYPES:
            return structs.replace(UNCHECKED, extra={"extra": extra}) if extra not in (b"", b"null") else UNCHECKED
        extra = b"" if extra in (b"null", b"{}") else extra
        now_ms = self.request.received_ms
        return self._plan.check(event, major, properties, extra, environment, now_ms, self.handled)


def identifier(value: str | int | None) -> str:
    """An id as far as it may be kept."""
    return "" if value is None else str(value)[:ID_CHARS_MAX]


def _unknown(kind: str) -> str:
    known = ", ".join(sorted(TYPES))
    raise Rejected(Reason.EVENT_TYPE_UNKNOWN, "/type", f"type is {kind[:40]!r}; send one of {known}")


def _long_id(sent: str) -> Rejected:
    return Rejected(
        Reason.EVENT_FIELD_INVALID,
        "/messageId",
        f"messageId has {len(sent):,} characters, the limit is {MESSAGE_ID_CHARS_MAX}; send a UUID",
    )


def _left_out(own_id: str, event: str, planned: EventCheck) -> Dropped:
    assert planned.sampling is not None
    share = f"{planned.sampling.rate:.0%} of {event} by {planned.sampling.by}"
    return Dropped(own_id, SAMPLED, "", f"the plan keeps {share}, and this one is not among them; nothing to do")


def _identifier(value: Any, field: str) -> str:
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


def _handled_page(page: PageContext, handling: PageHandling) -> PageContext:
    return PageContext(
        handling.text("url", page.url), handling.text("referrer", page.referrer), handling.text("title", page.title)
    )


def _address(url: str) -> str:
    """An address without credentials, query and fragment."""
    whole = url.partition("#")[0].partition("?")[0]
    scheme, mark, rest = whole.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"


def _raw_text(raw: Raw) -> str:
    text = bytes(raw).decode()
    return "{}" if text == "null" else text
