"""Checking events against the plan: one strict decode for a valid event, a walk of the rules for any other.

    properties --Struct--> valid: one shared Checked
               \\--rules--> every violation, with pointer and fix

Nothing a sender writes makes `check`
raise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, structs

from collector.plan.fast import (
    WORD_CHARS_MAX,
    Inexpressible,
    Words,
    decoders_of,
    has_pattern,
    plain_text,
    struct_of,
    without_patterns,
    words_of,
)
from collector.plan.model import PROD, Action, EventPlan, Plan, Property
from collector.plan.page import PageHandling, page_handling
from collector.plan.pii import (
    Edit,
    Handler,
    Stripper,
    blanked,
    encode,
    fields_of,
    handlers_of,
    mask_detected,
    over_members,
)
from collector.plan.policy import FOREVER_MS, Policies, Policy, midnight_ms
from collector.plan.rules import (
    Findings,
    Mark,
    Marks,
    Violation,
    Walk,
    decimal_text,
    decode_exact,
    decode_part,
    decode_parts,
    fits_of,
    members_of,
    shown,
    token,
)
from collector.plan.stored import Extra, masked, moved
from collector.reason import Reason

log = logging.getLogger("footfall.plan")

PROPERTIES = "/properties"
# The fields of an event's addresses, as many as a page has; of events with more they are asked one by one.
ADDRESSES = ("address_1", "address_2", "address_3")
# What a page view says of its page, and read at once.
PAGE = ("url", "referrer", "title")
# Kept per event, by value, each for the currency it first came with: more than most shops have prices. Letting newer
# ones in costs more than it saves where no two orders are alike.
VERDICTS_MAX = 1_024


class Checked(Struct, frozen=True, gc=False):
    """The verdict on one event.

    `dropped` and `rejected` are the first violation whose action is drop or quarantine; of the two, drop is stricter.
    `properties` is what may be written of them, None when that is what was sent; for a rejected event they are whole.
    `extra` holds raw JSON by its pointer within the properties. `shadowed` lists a class for each violation that a rule
    with a start date still to come will judge otherwise.
    """

    event_version: int
    conversion: str
    value: str
    currency: str
    violations: tuple[Violation, ...]
    rejected: Violation | None
    dropped: Violation | None = None
    properties: bytes | None = None
    extra: Extra = {}
    shadowed: tuple[Reason, ...] = ()


_BACKSLASH = 0x5C
_NO_EDITS = (None,) * len(ADDRESSES)
_NO_EXTRA: Extra = {}  # shared by all valid events: nobody changes the `extra` of a verdict

UNCHECKED = Checked(0, "", "0", "", (), None)


class CompiledPlan:
    """A plan ready to check events. Immutable; compiled once for each version of the plan.

    `newest` are the events by name, in their newest major. `page` handles what is personal in the page an event stands
    on, as page_view declares it.
    """

    def __init__(self, plan: Plan, previous: CompiledPlan | None = None) -> None:
        """Compile a plan; events that are in `previous` and have not changed are taken over from it."""
        self.version = plan.label
        self.hash = plan.hash
        self._rules = plan.rules
        self._policies = Policies(plan.rules)
        made = {} if previous is None else previous._majors
        limit = plan.limits.max_extra_properties

        def compiled(event: EventPlan, end: date | None, newest: int) -> EventCheck:
            key = (event.name, event.major)
            facts = (event.hash, limit, end, newest)
            check = before = made.get(key)
            if check is None or check.facts != facts or not event.hash:
                check = EventCheck(event, *facts[1:])
                if before is not None and before.prepared:
                    check.prepare()  # here, in the thread that reads plans, not in the one that will ask it at once
            self._majors[key] = check
            return check

        self._majors: dict[tuple[str, int], EventCheck] = {}
        self.newest = {name: compiled(event, event.sunset, event.major) for name, event in plan.events.items()}
        for (name, major), event in plan.history.items():
            accepting = plan.events.get(name)
            until = [entry.until for entry in accepting.accept if entry.major == major] if accepting else []
            ends = [day + timedelta(days=1) for day in until if day is not None]
            ends += [one.sunset for one in (event, accepting) if one is not None and one.sunset is not None]
            compiled(event, min(ends, default=None), major if accepting is None else accepting.major)
        self._personal = _common([check.handlers for check in self._majors.values()])
        self.page: PageHandling | None = self.newest["page_view"].page if "page_view" in self.newest else None
        self.event_bytes_max = plan.limits.max_event_bytes

    @cached_property
    def _stated(self) -> dict[str, str]:
        """The majors of each event, in words."""
        stated: dict[str, str] = {}
        for name, major in sorted(self._majors):
            stated[name] = f"{stated[name]}, {major}" if name in stated else str(major)
        return stated

    def prepare(self) -> CompiledPlan:
        """Compile all events now, not each when it is first asked; the same plan."""
        for check in self._majors.values():
            check.prepare()
        return self

    def find(self, event: str, major: int | None) -> EventCheck | None:
        """The event of that name and major, None for the newest; None when the plan has no such event."""
        return self.newest.get(event) if major is None else self._majors.get((event, major))

    def check(
        self,
        event: str,
        major: int | None,
        properties: bytes | Raw,
        extra: bytes = b"",
        environment: str = PROD,
        now_ms: int = 0,
        handled: bool = False,
    ) -> Checked:
        """Check one event.

        Args:
            event: Its name in the plan, without a version.
            major: The major version the sender states, None for the newest.
            properties: One JSON document as sent.
            extra: Another, in which nothing is planned; empty when none was sent.
            environment: Whose rules hold; one that the plan does not name is production.
            now_ms: The clock, by which rules start and versions end.
            handled: Its personal data was handled before, as that of an event which is replayed.
        Returns:
            The verdict; never raises, whatever the bytes.
        """
        found = self.newest.get(event) if major is None else self._majors.get((event, major))
        if found is not None and not extra:
            return found.check(properties, environment, now_ms, handled)
        policy = (self._policies if found is None else found.policies).at(environment, now_ms)
        if found is None:
            checked = self._unplanned(event, major, bytes(properties), policy, handled)
        else:
            checked = found.check(properties, environment, now_ms, handled)
        return _with_extra(checked, extra, policy) if extra else checked

    def kept(self, event: str, major: int | None, properties: bytes) -> bytes:
        """What may be written of properties that nobody checks, because their event was rejected before."""
        found = self.find(event, major)
        return _handled(properties, self._personal if found is None else found.handlers)

    def kept_bytes(self, raw: bytes) -> bytes:
        """What may be written of an event in which nothing can be told apart; all of it where nothing is personal."""
        strict = any(rules[Reason.UNDECLARED_PII].action > Action.FLAG for rules in self._rules.values())
        return blanked(raw, self._personal) if self._personal or strict else raw

    def _unplanned(self, event: str, major: int | None, properties: bytes, policy: Policy, handled: bool) -> Checked:
        out = Findings(policy, unknown_max=0)
        if event in self._stated:
            fix = f"the plan has no {event}@{major}; send version {self._stated[event]}, or add this one to the plan"
            out.add(Reason.EVENT_VERSION_UNKNOWN, "/event", fix)
        else:
            fix = (
                f"{shown(event)} is not in the tracking plan; add it as events/<domain>/<event>.yaml or stop sending it"
            )
            out.add(Reason.UNKNOWN_EVENT, "/event", fix)
        marks: dict[str | int, Marks] = {}
        if out.looks_for(Reason.UNDECLARED_PII):
            document = decode_exact(properties)
            for key, entry in document.items() if isinstance(document, dict) else ():
                if key not in self._personal and out.personal(entry, f"{PROPERTIES}/{token(key)}"):
                    marks[key] = Mark.MASKED
        own = properties if handled else _handled(properties, self._personal)
        return _concluded(UNCHECKED, out, marks, properties, own)


class EventCheck:
    """One major version of one event. `handlers` and `page` say what is done to personal data, by name.

    Its Struct and its rules are made when they are first needed, or by `prepare`: a plan has many events of which a
    process sees few, and making a Struct takes a third of a millisecond.
    """

    # What `check` reads of each event: a slot is found faster than what stands beside cached properties.
    __slots__ = (
        "__dict__",
        "_addresses",
        "_conversion",
        "_currencies",
        "_currency_fields",
        "_decode",
        "_direct",
        "_edits",
        "_ends_ms",
        "_event",
        "_known",
        "_names",
        "_page_in",
        "_patterns",
        "_plain",
        "_room",
        "_unknown_max",
        "_valid",
        "_value_fields",
        "_valueless",
        "consent",
        "facts",
        "handlers",
        "major",
        "page",
        "policies",
        "prepared",
        "sampling",
    )

    def __init__(self, event: EventPlan, unknown_max: int, ends: date | None, newest: int) -> None:
        self.facts = (event.hash, unknown_max, ends, newest)  # equal facts are judged alike
        self.major = event.major
        self.sampling = event.sampling
        self.consent = event.consent
        self.handlers = handlers_of(event.properties)
        self.page = page_handling(event.properties)
        self._addresses: list[tuple[Callable[[Any], Any], Mapping[Any, Edit | None]]] = []
        self._names: list[bytes] = []  # of the addresses, in JSON
        self._edits: Mapping[Any, Edit | None] | None = None
        self._page_in: Callable[[Any], Any] | None = None
        self.policies = Policies(event.rules)
        self.prepared = False
        self._event = event
        self._unknown_max = unknown_max
        self._ends_ms = FOREVER_MS if ends is None else midnight_ms(ends)
        self._conversion = event.semantic.conversion
        self._valid = Checked(event.major, self._conversion, "0", "", (), None)
        self._decode: Callable[[bytes | Raw], Any] = self._first
        self._plain = self._direct = False
        self._patterns: list[tuple[Callable[[Any], Any], Words]] = []
        self._known: dict[Any, Checked] = {}

    def _first(self, properties: bytes | Raw) -> Any:
        """The decoder until there is one."""
        self.prepare()
        return self._decode(properties)

    def prepare(self) -> None:
        """Make the decoder. Once is enough; two threads that both do make the same."""
        if self.prepared:
            return
        try:
            decode = self._decoder()
        except Inexpressible:
            decode = _never
        except (TypeError, ValueError) as error:  # what msgspec refuses to make: the rules judge alike, only slower
            decode = _never
            log.error("%s@%d is judged by its rules alone: %s", self._event.name, self.major, error)  # noqa: TRY400 - msgspec says what it refuses; no traceback
        self._decode = decode  # after all else, so that whoever decodes finds the rest
        self.prepared = True

    def _decoder(self) -> Callable[[bytes | Raw], Any]:
        """The decoder of its Struct, and what must be asked of a decoded event. Raises Inexpressible."""
        event, values, currencies = self._event, self._value.names, self._currency.names
        direct = len(values) == len(currencies) == 1 and values != currencies
        named = {values[0]: "value", currencies[0]: "currency"} if direct else {}
        strippers = {
            name: stripper
            for prop in event.properties
            for name in (prop.name, *prop.aliases)
            if prop.type.kind == "string" and isinstance(stripper := self.handlers.get(name), Stripper)
        }
        if len(strippers) != len(self.handlers):
            strippers = {}  # what else is handled must be taken apart, and they with it
        named |= zip(strippers, ADDRESSES, strict=False)
        absent = ADDRESSES[len(strippers) :] if strippers else ()
        properties = without_patterns(event.properties)
        struct, holders = struct_of(event.name, properties, closed=self._closed, named=named, absent=absent)
        self._value_fields = [holders[name] for name in values]
        self._currency_fields = [holders[name] for name in currencies]
        words = {prop.name: words_of(prop.type) for prop in event.properties if has_pattern(prop.type)}
        self._valueless = not (values or currencies)
        self._plain = self._valueless and not (self.handlers or words)
        currency = words.pop(event.semantic.currency, None) if direct else None  # _valued asks this one
        self._currencies = Words(None) if currency is None else currency
        self._patterns = [
            (attrgetter(holders[name]), words[prop.name])
            for prop in event.properties
            if prop.name in words
            for name in (prop.name, *prop.aliases)
        ]
        self._names = [encode(name) for name in strippers]
        self._addresses = [(attrgetter(holders[name]), one.edits) for name, one in strippers.items()]
        if self._valueless and not words and 0 < len(strippers) <= len(ADDRESSES) and len(set(strippers.values())) == 1:
            self._edits = next(iter(strippers.values())).edits
        texts = {prop.name for prop in event.properties if prop.type.kind == "string" and prop.name in PAGE}
        if len(texts) == len(PAGE):
            self._page_in = attrgetter(*(holders[name] for name in PAGE))
        self._direct = direct and not self.handlers and not self._patterns
        # What is personal is not remembered, for it would outlive its event.
        personal = {*values, *currencies} & {prop.name for prop in event.properties if prop.type.sensitive}
        self._room = VERDICTS_MAX if self._direct and not personal else 0
        return msgspec.json.Decoder(struct).decode

    @cached_property
    def _walk(self) -> Walk:
        return members_of(self._event.properties)

    @cached_property
    def _accepted(self) -> dict[str, Callable[[Raw], object]]:
        return decoders_of(self._event.properties, closed=self._closed)

    @property
    def _closed(self) -> bool:
        return self.policies.look_for((Reason.UNKNOWN_PROPERTY, Reason.UNDECLARED_PII))

    @property
    def event(self) -> EventPlan:
        """What it was made of."""
        return self._event

    @property
    def ends(self) -> date | None:
        """The first day (UTC) on which it is at its end; None while nobody has set one."""
        return self.facts[2]

    @cached_property
    def _value(self) -> _Slot:
        return self._slot(self._event.semantic.value)

    @cached_property
    def _currency(self) -> _Slot:
        return self._slot(self._event.semantic.currency)

    def _slot(self, name: str) -> _Slot:
        return _Slot(next((prop for prop in self._event.properties if prop.name == name), None))

    def page_in(self, properties: bytes | Raw) -> tuple[Any, str, str, str] | None:
        """The properties of a valid page view, decoded for `check`, with the address, the referrer and the title in
        them, empty where there are none; None for any other.
        """
        try:
            sent = self._decode(properties)
        except Exception:  # as below
            return None
        if self._page_in is None:
            return None
        url, referrer, title = self._page_in(sent)
        return sent, url or "", referrer or "", title or ""

    def check(
        self,
        properties: bytes | Raw,
        environment: str = PROD,
        now_ms: int = 0,
        handled: bool = False,
        sent: Any = None,
    ) -> Checked:
        """The verdict on one event of this major version; see CompiledPlan.check, and for its cost decisions/0008.

        `sent` is what `page_in` has decoded of it, if it was asked.
        """
        if now_ms >= self._ends_ms or handled:
            return self._walked(properties, environment, now_ms, handled)
        if sent is None:
            try:
                sent = self._decode(properties)
            except Exception:  # msgspec's own errors, UnicodeDecodeError, RecursionError: the walk will tell
                return self._walked(properties, environment, now_ms)
        edits = self._edits
        if edits is not None:
            found = edits[sent.address_1], edits[sent.address_2], edits[sent.address_3]
            return self._valid if found == _NO_EDITS else self._kept(self._valid, properties, found)
        if self._plain:
            return self._valid
        if self._direct:
            checked = self._known.get(sent.value)
            if checked is not None and checked.currency == sent.currency:
                return checked
            checked = self._valued(sent.value, sent.currency)
        else:
            checked = self._indirect(sent, properties)
        return checked or self._walked(properties, environment, now_ms)

    def _indirect(self, sent: Any, properties: bytes | Raw) -> Checked | None:
        """The verdict on a decoded event of more kinds; None when the walk must find it."""
        for read, words in self._patterns:
            if words[read(sent)] is None:
                return None
        checked: Checked | None = self._valid
        if not self._valueless:
            checked = self._valued(_first(sent, self._value_fields), _first(sent, self._currency_fields))
        if checked is None or not self.handlers:
            return checked
        found = tuple(edits[read(sent)] for read, edits in self._addresses)
        return checked if found and not any(found) else self._kept(checked, properties, found)

    def _kept(self, checked: Checked, properties: bytes | Raw, edits: tuple[Edit | None, ...]) -> Checked:
        """The verdict with what may be written of an event, to whose addresses `edits` is done."""
        raw = bytes(properties)
        kept = _edited(raw, self._names, edits) or _handled(raw, self.handlers)
        return checked if kept == raw else structs.replace(checked, properties=kept)

    def as_read(self, text: str) -> str:
        """Properties of which `check` found nothing to handle, without what nobody has read of them: the first value of
        an address that stands there twice, of which the second has nothing to strip.
        """
        if not self._names or ("?" not in text and "#" not in text and "@" not in text and "\\" not in text):
            return text
        raw = text.encode()
        return text if _is_plain(raw, self._names) else _handled(raw, self.handlers).decode()

    def _valued(self, number: Any, sent: Any) -> Checked | None:
        """The verdict on a valid event with these; None when the walk must read them."""
        value, currency = plain_text(number), self._currencies[sent]
        if value is None or currency is None:
            return None
        checked = Checked(self.major, self._conversion, value, currency, (), None, None, None, _NO_EXTRA)
        if self._room and len(value) + len(currency) <= WORD_CHARS_MAX and number not in self._known:
            self._known[number] = checked
            self._room -= 1
        return checked

    def _walked(
        self, properties: bytes | Raw, environment: str = PROD, now_ms: int = 0, handled: bool = False
    ) -> Checked:
        out = Findings(self.policies.at(environment, now_ms), self._unknown_max, handled=handled)
        sent = bytes(properties)
        value, currency = "0", ""
        marks: Marks = None
        if now_ms >= self._ends_ms:
            out.add(Reason.SUNSET_VERSION, "/event", self._ended())
        try:
            parts = decode_parts(sent)
            if parts is not None:
                document = self._doubtful(parts)
                marks = within = self._walk(document, PROPERTIES, out, parts)
                currency = str(self._currency.valid_in(parts, document)[1] or "")
                value, too_long = self._value_of(parts, document, out)
                if too_long:
                    within[too_long] = Mark.MOVED
            else:
                document = decode_exact(sent)
                fix = f"properties is {shown(document)}, it must be an object; send {{}} when there are none"
                if out.add(Reason.WRONG_TYPE, PROPERTIES, fix) is Action.STRIP:
                    marks = Mark.MOVED
                    self._walk({}, PROPERTIES, out)
        except Exception:
            fix = "properties cannot be checked; send a JSON object with fewer levels and shorter numbers"
            marks = Mark.MOVED if out.add(Reason.WRONG_TYPE, PROPERTIES, fix) is Action.STRIP else None
        own = sent if handled else _handled(sent, self.handlers)
        checked = Checked(self.major, self._conversion, value, currency, (), None)
        return _concluded(checked, out, marks, sent, own)

    def _ended(self) -> str:
        _, _, ends, newest = self.facts
        what = f"send version {newest}" if newest != self.major else "stop sending it, or move its sunset in the plan"
        return f"{self._event.name}@{self.major} was to end before {ends}; {what}"

    def _doubtful(self, parts: dict[str, Raw]) -> dict[str, Any]:
        """The members in which there may be something to find, decoded: not those that their own decoder takes."""
        accepted, found = self._accepted, {}
        for key, part in parts.items():
            try:
                accepted[key](part)
            except Exception:  # not planned, or anything that msgspec refuses, or something it does not know to say
                found[key] = decode_part(part)
        return found

    def _value_of(self, parts: dict[str, Raw], document: dict[str, Any], out: Findings) -> tuple[str, str]:
        """The value's decimal text, "0" when there is none that is valid; and its name when it must be stripped."""
        name, entry = self._value.valid_in(parts, document)
        if entry is None:
            return "0", ""
        text = decimal_text(entry)
        if text is None:
            fix = f"{name} is {shown(entry)}, it must have at most 14 digits before the point; send a smaller number"
            action = out.add(Reason.CONSTRAINT, f"{PROPERTIES}/{token(name)}", fix)
            return "0", name if action is Action.STRIP else ""
        return text, ""


def _edited(raw: bytes, names: list[bytes], edits: tuple[Edit | None, ...]) -> bytes | None:
    """Properties in which addresses, by their names, are edited as their bytes stand; None to have them taken apart.

    Those are taken apart that are not plain, or have blanks. It takes a fifth of the time.
    """
    if not names or not _is_plain(raw, names):
        return None
    kept = raw
    for name, edit in zip(names, edits, strict=False):
        if edit is not None:
            before, _, after = kept.partition(edit.sent)
            if not before.endswith(name + b":"):
                return None
            kept = before + edit.kept + after
    return kept


def _is_plain(raw: bytes, names: list[bytes]) -> bool:
    """Are there no escapes, and does none of these names stand twice, at any depth? Then each quote begins or ends a
    text, and what was read of a name is all there is of it.
    """
    if _BACKSLASH in raw:
        return False
    for name in names:  # noqa: SIM110 - all(…) takes half as long again
        if raw.count(name) > 1:
            return False
    return True


def _first(sent: Any, fields: list[str]) -> Any:
    """The first of these fields that was sent; UNSET where none was."""
    for field in fields:
        found = getattr(sent, field)
        if found is not UNSET:
            return found
    return UNSET


class _Slot:
    """A property with a meaning of its own, and the names it may be sent under: its own first, then its aliases."""

    def __init__(self, prop: Property | None) -> None:
        self.names = () if prop is None else (prop.name, *prop.aliases)
        self._fits = None if prop is None else fits_of(prop.type)

    def valid_in(self, parts: dict[str, Raw], document: dict[str, Any]) -> tuple[str, Any]:
        """The name it was sent under and its value; None when it was not sent or is not valid.

        Args:
            parts: All members.
            document: Those that may be invalid, decoded.
        """
        for name in self.names:
            if name in document:
                entry = document[name]
                return name, entry if entry is not None and self._fits is not None and self._fits(entry) else None
            if name in parts:
                return name, decode_part(parts[name])
        return "", None


def _never(properties: bytes | Raw) -> Any:
    """Stands for the decoder of an event that has no Struct."""
    raise Inexpressible(properties)


def _handled(properties: bytes, handlers: Mapping[str, Handler]) -> bytes:
    """Properties with their personal data handled."""
    if not handlers:
        return properties
    return over_members(properties, handlers) if properties.startswith(b"{") else mask_detected(properties) or b"{}"


def _concluded(checked: Checked, out: Findings, marks: Marks, sent: bytes, own: bytes) -> Checked:
    """The verdict, with what is to be written: `own` are the properties with their personal data handled."""
    extra: Extra = {}
    stays = out.rejected is None and out.dropped is None
    kept = moved(own, marks, extra) if stays else masked(own, marks)
    return structs.replace(
        checked,
        violations=tuple(out.listed),
        rejected=out.rejected,
        dropped=out.dropped,
        properties=None if kept == sent else kept,
        extra=extra,
        shadowed=tuple(out.shadowed),
    )


def _with_extra(checked: Checked, sent: bytes, policy: Policy) -> Checked:
    """The verdict with what was sent as `extra`, which is stored as it is unless it holds personal data."""
    fields = fields_of(sent) if sent.startswith(b"{") else {"extra": sent}
    if fields is None:
        fields = {"extra": sent}
    out = Findings(policy, unknown_max=0)
    if out.looks_for(Reason.UNDECLARED_PII):
        for key, part in fields.items():
            if out.personal(decode_exact(part), f"/extra/{token(key)}"):
                fields[key] = mask_detected(part) or b"null"
    return structs.replace(
        checked,
        violations=(*checked.violations, *out.listed),
        rejected=checked.rejected or out.rejected,
        dropped=checked.dropped or out.dropped,
        extra=fields | checked.extra,
        shadowed=(*checked.shadowed, *out.shadowed),
    )


def _common(all_handlers: Iterable[Mapping[str, Handler]]) -> dict[str, Handler]:
    """What is done to properties of events that are not planned: what any event declares for that name."""
    common: dict[str, Handler] = {}
    for handlers in all_handlers:
        for name, handle in handlers.items():
            common.setdefault(name, handle)
    return common
