"""The way of one event, from its envelope to the values of its row. `Judge.row` is the whole of it, step by step.

    name, measure, hear whose words they are, look up in the plan, heed consent, identify, place in time, locate,
    sample, check

The steps stand in one function, because calling one costs as much as most of them do; what is rare, and what an event
is refused for, stands in functions of its own. No step does I/O but for the salt of a new day.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, structs

from collector.consent import COUNTS, DROP, Rules, mode_of, sentence, why_not
from collector.enrichment.enrich import (
    CUT_CHARS,
    LONG_PAGE_BYTES,
    TITLE_CHARS_MAX,
    ContextFacts,
    Request,
    country_of,
    object_bytes,
    read_context,
    read_page,
    sender_columns,
    shortened_context,
    shortened_page,
    without_addresses,
    without_identity,
)
from collector.enrichment.geo import Geo
from collector.enrichment.identity import Salts, message_id
from collector.enrichment.location import Located, Locator, said_cut, shipped_locator
from collector.enrichment.sensitive import without_secrets
from collector.ingest.clock import Correction, correction, parse_time
from collector.ingest.packed import PAGE_COLUMNS, SENDER_COLUMNS, Part
from collector.limits import EVENT_BYTES_MAX, ID_CHARS_MAX, MESSAGE_ID_CHARS_MAX, NAME_CHARS_MAX
from collector.plan import Checked, CompiledPlan, Violation
from collector.plan.check import UNCHECKED, EventCheck
from collector.plan.model import PROD
from collector.plan.page import PageHandling
from collector.plan.pii import object_of
from collector.plan.sampling import kept
from collector.reason import Reason, Rejected
from collector.record import EMPTY_OBJECT, Envelope
from collector.wire.decode import Batch
from collector.wire.names import EVENT_OF_TYPE, TYPES, name_of, track_name

DEV = "dev"  # the environment of a page on the developer's own machine
SAMPLED = "sampled"  # beside the reasons of violations: why an event was dropped
SEQUENCE_MAX = 2**32 - 1
COUNTED_VISITOR = "counted"  # on the way of an event that is only counted; stored nowhere

_PLANNED_TYPES = frozenset({"track", "page", "screen"})

_NO_VIOLATIONS: list[str] = []  # shared by all events without: nobody changes what stands in a row
_AT_CLASS = SENDER_COLUMNS.index("device_class")  # followed by is_bot and bot_reason
_AT_FLAGS = SENDER_COLUMNS.index("sender_flags")  # followed by the columns of the context
_AT_PAGE = {name: at for at, name in enumerate(PAGE_COLUMNS)}


class Tools(Struct, frozen=True):
    """What the steps need beside the event itself; made once per worker."""

    plan: CompiledPlan
    geo: Geo
    salts: Salts
    random: Callable[[int], bytes] = os.urandom
    locator: Locator = msgspec.field(default_factory=shipped_locator)
    consent: Rules = Rules()


class Dropped(Exception):
    """One event is not stored, by our own choice; it is only counted."""

    def __init__(self, message_id: str, word: str, pointer: str, fix: str, checked: Checked = UNCHECKED) -> None:
        super().__init__(fix)
        self.message_id = message_id
        self.word = word
        self.pointer = pointer
        self.fix = fix
        self.checked = checked


class Counted(Exception):
    """One event that lacks consent is only counted. `row` has the values of packed.COUNTED_COLUMNS."""

    def __init__(self, row: Part, word: str) -> None:
        super().__init__(word)
        self.row = row
        self.word = word


class Unfit(Rejected):
    """One event that the plan rejects, with what was found out about it before."""

    def __init__(self, violation: Violation, visitor_id: str, environment: str, checked: Checked) -> None:
        super().__init__(violation.reason, violation.pointer, violation.fix)
        self.visitor_id = visitor_id
        self.environment = environment
        self.checked = checked


class Sender:
    """Whose words an event is in: the request's, with the batch's context and clock, or the event's own over them.

    `number` is that of its columns in the record. `lacks` says what consent its events lack, but for that which only
    some of the plan need.
    """

    __slots__ = ("clock", "context", "fragment", "known", "lacks", "located", "number", "sent_ms")

    def __init__(
        self, number: int, context: ContextFacts, sent_ms: int | None, clock: Correction, fragment: str, lacks: str = ""
    ) -> None:
        self.number = number
        self.lacks = lacks
        self.sent_ms = sent_ms
        self.context = context
        self.known = context.known
        self.clock = clock
        self.fragment = fragment
        self.located: Located | None = None


class Judge:
    """Judges the events of one batch. `senders` and `pages` are the shared columns of the rows that it gives.

    `lacked` says, of the row that was given last, without what consent it is stored: for nobody's.
    """

    __slots__ = (
        "_as_sent", "_environment", "_fits", "_handled_senders", "_last", "_limit_bytes", "_locator", "_nobodies",
        "_numbers", "_outer", "_page", "_plan", "_rules", "_sender", "_sent_ms", "_spam_senders", "_trimmed",
        "_trimmed_senders", "handled", "lacked", "pages", "request", "senders", "tools",
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
        if len(self._outer) > EVENT_BYTES_MAX:
            # Stored with each of its events, however small they are.
            self._outer = shortened_context(self._outer)
        self._locator = tools.locator
        self._numbers: dict[Located, int] = {}
        self._spam_senders: dict[int, int] = {}
        self._handled_senders: dict[tuple[Sender, PageHandling], Sender] = {}
        self._trimmed_senders: dict[tuple[Sender, str], Sender] = {}
        self._nobodies: dict[tuple[int, str], int] = {}
        self._trimmed: dict[Located, Located] = {}
        self._rules = request.consent or tools.consent
        self.lacked = ""
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
            Counted: it is only to be counted.
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
            envelope = self._measure(envelope)
        properties = envelope.properties
        text = "{}" if properties is UNSET else str(properties, "utf-8")
        if len(text) > LONG_PAGE_BYTES and kind == "page":
            text = shortened_page(text.encode()).decode()
            properties = Raw(text.encode())
        if text == "null" or properties is UNSET:
            text, properties = "{}", EMPTY_OBJECT

        # Hear whose words they are.
        if envelope.context is UNSET and (self._as_sent or envelope.sentAt is None):
            sender = self._sender or self._batch_sender()
        else:
            sender = self._own_sender(envelope)

        # Look up in the plan.
        planned = None
        if kind in _PLANNED_TYPES:
            planned = self._plan.newest.get(event) if major is None else self._plan.find(event, major)

        # Heed consent: an event without it is dropped, or goes on as nobody's.
        lacks = sender.lacks
        if planned is not None and planned.consent and not lacks:
            lacks = self._lacks(sender.context, planned.consent)
        if lacks:
            envelope = self._as_nobodys(envelope, sender, own_id, lacks, planned)

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

        # Do to the page what the plan says of personal data.
        handling = self._page
        sent_url, sent_referrer = sender.known.page.url, sender.known.page.referrer
        if planned is not None and planned.page is not None:
            handling = self.page_handling(planned)
        if handling is not None:
            sender = self._handled_sender(sender, handling)

        # Locate: by the context, or by what a page call says of its page.
        title, sent, url = sender.known.page.title, None, ""
        if kind == "page" and ('"url"' in text or "\\u" in text):
            if planned is not None and (found := planned.page_in(properties)) is not None:
                sent, url, referrer, own_title = found
            else:
                own = read_page(properties)
                url, referrer, own_title = own.url, own.referrer, own.title
        if url:
            sent_url, sent_referrer, title = url, referrer, own_title
            if handling is not None:
                url, referrer, title = handling.page(url, referrer, title)
            fragment = self._fragment(sent_url, url) if self._locator.keeps_fragments else ""
            located = self._locator.locate(url, referrer, sender.context.campaign, fragment)
        else:
            located = sender.located or self._locate(sender)
        if handling is not None and CUT_CHARS in (len(sent_url), len(sent_referrer)):
            located = said_cut(located, url=len(sent_url) == CUT_CHARS, referrer=len(sent_referrer) == CUT_CHARS)
        number = sender.number
        if lacks:
            located, number = self._without_query(located), self._nobody(sender, lacks)
        page = self._numbers.get(located)
        if page is None:
            page = self._numbers[located] = len(self.pages)
            self.pages.append(located.columns)
        if located.is_spam:
            number = self._spam_sender(number)
        environment = self._environment
        if located.is_local and environment == PROD:
            environment = DEV

        # Sample: keep the share that the plan wants. A developer sees all of theirs; counting needs no sample.
        rate = 1.0
        counting = lacks != "" and self._rules.mode == COUNTS
        if planned is not None and planned.sampling is not None and environment != DEV and not self.handled:
            if not counting and not kept(planned.sampling, visitor_id, own_id):
                raise _left_out(own_id, event, planned)
            rate = planned.sampling.rate

        # Check against the plan.
        if planned is not None and envelope.extra is UNSET:
            # By position: a call by keyword costs more than the look-up it saves.
            checked = planned.check(properties, environment, request.received_ms, self.handled, sent)
        else:
            checked = self._check(envelope, event, major, properties, environment)
        if (broken := checked.dropped) is not None:
            raise Dropped(own_id, broken.reason.word, broken.pointer, broken.fix, checked)
        if (broken := checked.rejected) is not None:
            raise Unfit(broken, visitor_id, environment, checked)
        if checked.properties is not None:
            text = checked.properties.decode()
        elif planned is not None:
            text = planned.as_read(text)
        is_own = sent is not None and url != "" and not checked.violations  # these are the addresses in the text
        if not (is_own and located.vouches_for(text)) and ("=" in text or "@" in text):
            text = without_secrets(text)
        if lacks:
            if counting:
                raise self._counted(own_id, event, environment, number, page, lacks)
            text = without_addresses(text) if kind == "page" else text
            self.lacked = lacks

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

    @property
    def hides(self) -> bool:
        """Whether some of its senders stand beside what may be kept of them, and must not be written."""
        return bool(self._trimmed_senders)

    def context_of(self, envelope: Envelope) -> ContextFacts:
        """The context of an event: its own over its batch's."""
        return read_context(self._outer, envelope.context)

    def sent_ms(self, envelope: Envelope) -> int | None:
        """When an event was sent, by its client's clock: its batch says it, else the event itself."""
        return parse_time(envelope.sentAt) if self._sent_ms is None else self._sent_ms

    def page_handling(self, planned: EventCheck | None) -> PageHandling | None:
        """What is done to the page of such an event."""
        return self._page if self.handled or planned is None or planned.page is None else planned.page

    def lacks(self, envelope: Envelope) -> str:
        """What consent an event lacks that is refused for something else: then nothing of it is kept."""
        if self.handled:
            return ""
        name = name_of(envelope)
        planned = self._plan.find(name.event, name.major)
        return self._lacks(self.context_of(envelope), planned.consent if planned is not None else ())

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
        lacks = "" if self.handled else self._lacks(context)
        sender = Sender(len(self.senders), context, sent_ms, clock, fragment, lacks)
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

    def _lacks(self, context: ContextFacts, needs: tuple[str, ...] = ()) -> str:
        """What consent is lacking; of what is replayed only a purpose that the plan needs by now can be."""
        request = self.request
        is_server = request.is_server or self.handled
        return why_not(self._rules, request.signals, context.stated, needs, is_server=is_server)

    def _as_nobodys(
        self, envelope: Envelope, sender: Sender, own_id: str, lacks: str, planned: EventCheck | None
    ) -> Envelope:
        """An event that lacks consent, without all that tells whose it is.

        Raises:
            Dropped: nothing would be left of it, or nothing is to be kept.
        """
        mode = DROP if self.handled or envelope.type not in _PLANNED_TYPES else mode_of(self._rules, lacks)
        if mode == DROP:
            needs = planned.consent if planned is not None else ()
            raise Dropped(own_id, lacks, "/context/consent", sentence(lacks, DROP, needs))
        return structs.replace(
            envelope,
            anonymousId=COUNTED_VISITOR if mode == COUNTS else self._daily_id(sender),
            userId=None,
            groupId=None,
            previousId=None,
            traits=UNSET,
        )

    def _nobody(self, sender: Sender, lacks: str) -> int:
        """The number of a sender whose context names nobody, and whose flags say why."""
        found = self._nobodies.get((sender.number, lacks))
        if found is None:
            found = self._nobodies[sender.number, lacks] = len(self.senders)
            before = self.senders[sender.number]
            flags = f"{before[_AT_FLAGS]} cookieless_{lacks}".lstrip()
            context = (*sender.context.columns[:-1], without_identity(sender.context.text))
            self.senders.append((*before[:_AT_FLAGS], flags, *context))
        return found

    def _without_query(self, located: Located) -> Located:
        """A place without what an address may say of its visitor: its query, the id of a click, a fragment."""
        found = self._trimmed.get(located)
        if found is None:
            columns = list(located.columns)
            for name in ("query", "click_id_type", "click_id", "fragment"):
                columns[_AT_PAGE[name]] = ""
            for name in ("url", "referrer"):
                columns[_AT_PAGE[name]] = columns[_AT_PAGE[name]].partition("?")[0]
            found = Located(tuple(columns), is_local=located.is_local, is_spam=located.is_spam)
            self._trimmed[located] = found
        return found

    def _counted(self, own_id: str, event: str, environment: str, sender: int, page: int, lacks: str) -> Counted:
        columns = self.pages[page]
        is_bot = self.senders[sender][_AT_CLASS + 1]
        request = self.request
        place = (columns[_AT_PAGE["host"]], columns[_AT_PAGE["path"]])
        return Counted(
            (own_id, request.source_id, request.received_ms, environment, event, *place, is_bot, lacks), lacks
        )

    def _handled_sender(self, sender: Sender, handling: PageHandling) -> Sender:
        """The sender with what may be kept of its page: all columns of its context are read from that."""
        key = (sender, handling)
        found = self._handled_senders.get(key)
        if found is None:
            found = self._handled_senders[key] = self._without(sender, handling.context(sender.context.text))
        return found

    def _without(self, sender: Sender, kept: str) -> Sender:
        """The sender with this context; events of several kinds, of which the same is kept, share it."""
        if kept == sender.context.text:
            return sender
        found = self._trimmed_senders.get((sender, kept))
        if found is None:
            context = read_context(kept.encode(), UNSET)
            fragment = self._fragment(sender.known.page.url, context.known.page.url) if sender.fragment else ""
            found = Sender(len(self.senders), context, sender.sent_ms, sender.clock, fragment, sender.lacks)
            before = self.senders[sender.number]
            self.senders.append((*before[: -len(context.columns)], *context.columns))
            self._trimmed_senders[sender, kept] = found
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

    def _measure(self, envelope: Envelope) -> Envelope:
        """The event, with the addresses of its page cut where it is larger than one event may be.

        Raises:
            Rejected: its properties, traits or context are too large even so.
        """
        if _size(envelope.context) > EVENT_BYTES_MAX and (whole := object_bytes(envelope.context)):
            envelope = structs.replace(envelope, context=Raw(shortened_context(whole)))
        is_page = envelope.type == "page" and _size(envelope.properties) > LONG_PAGE_BYTES
        if is_page and (whole := object_bytes(envelope.properties)):
            envelope = structs.replace(envelope, properties=Raw(shortened_page(whole)))
        for field, size, limit in (
            ("properties", _size(envelope.properties), self._limit_bytes),
            ("extra", _size(envelope.extra), self._limit_bytes),
            ("context", max(_size(envelope.context), len(self._outer)), EVENT_BYTES_MAX),
            ("traits", _size(envelope.traits), EVENT_BYTES_MAX),
        ):
            if size > limit:
                sentence = f"{field} is {size:,} bytes, the limit is {limit:,}; send less with the event"
                raise Rejected(Reason.EVENT_TOO_LARGE, f"/{field}", sentence)
        return envelope

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


def _address(url: str) -> str:
    """An address without credentials, query and fragment."""
    whole = url.partition("#")[0].partition("?")[0]
    scheme, mark, rest = whole.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"


def _size(raw: Raw | UnsetType) -> int:
    return 0 if isinstance(raw, UnsetType) else len(memoryview(raw))


def _raw_text(raw: Raw) -> str:
    text = bytes(raw).decode()
    return "{}" if text == "null" else text
