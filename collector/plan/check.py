"""Checking events against the plan: one strict decode for a valid event, a walk of the rules for any other.

    properties --Struct--> valid: one shared Checked
               \\--rules--> every violation, with pointer and fix

Nothing a sender writes makes `check`
raise.
"""

from __future__ import annotations

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
    has_pattern,
    plain_text,
    struct_of,
    without_patterns,
    words_of,
)
from collector.plan.model import PROD, Action, EventPlan, Plan, Property
from collector.plan.page import PageHandling, page_handling
from collector.plan.pii import Handler, blanked, fields_of, handlers_of, mask_detected, over_members
from collector.plan.policy import FOREVER_MS, Policies, Policy, midnight_ms
from collector.plan.rules import (
    Findings,
    Mark,
    Marks,
    Violation,
    decimal_text,
    decode_exact,
    fits_of,
    members_of,
    shown,
    token,
)
from collector.plan.stored import Extra, masked, moved
from collector.reason import Reason

PROPERTIES = "/properties"
# Kept per event, by value and currency: the first to come, more than most shops have prices. Letting newer ones in
# costs more than it saves where no two orders are alike.
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


_NO_EXTRA: Extra = {}  # shared by all valid events: nobody changes the `extra` of a verdict

UNCHECKED = Checked(0, "", "0", "", (), None)


class CompiledPlan:
    """A plan ready to check events. Immutable; compiled once for each version of the plan.

    `page` handles what is personal in the page an event stands on, as page_view declares it.
    """

    def __init__(self, plan: Plan, previous: CompiledPlan | None = None) -> None:
        """Compile a plan; events that are in `previous` and have not changed are taken over from it."""
        self.version = plan.version
        self.hash = plan.hash
        self._rules = plan.rules
        self._policies = Policies(plan.rules)
        made = {} if previous is None else previous._made
        limit = plan.limits.max_extra_properties
        self._made: dict[tuple[object, ...], EventCheck] = {}

        def compiled(event: EventPlan, ends: tuple[date | None, ...]) -> EventCheck:
            end = min((day for day in ends if day is not None), default=None)
            key = (event.name, event.major, event.hash, end, limit, newest.get(event.name, event.major))
            check = made.get(key) if event.hash else None
            self._made[key] = check = check or EventCheck(event, limit, end, newest.get(event.name, event.major))
            return check

        newest = {name: event.major for name, event in plan.events.items()}
        self._newest = {name: compiled(event, (event.sunset,)) for name, event in plan.events.items()}
        self._majors = {(name, check.major): check for name, check in self._newest.items()}
        for (name, major), event in plan.history.items():
            accepting = plan.events.get(name)
            until = [entry.until for entry in accepting.accept if entry.major == major] if accepting else []
            ends = [day + timedelta(days=1) for day in until if day is not None]
            all_ends = (event.sunset, None if accepting is None else accepting.sunset, *ends)
            self._majors[name, major] = compiled(event, all_ends)
        self._known: dict[str, str] = {}
        for name, major in sorted(self._majors):
            self._known[name] = f"{self._known[name]}, {major}" if name in self._known else str(major)
        self._personal = _common([check.handlers for check in self._majors.values()])
        self.page: PageHandling | None = self._newest["page_view"].page if "page_view" in self._newest else None
        self.event_bytes_max = plan.limits.max_event_bytes

    def find(self, event: str, major: int | None) -> EventCheck | None:
        """The event of that name and major, None for the newest; None when the plan has no such event."""
        return self._newest.get(event) if major is None else self._majors.get((event, major))

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
        found = self._newest.get(event) if major is None else self._majors.get((event, major))
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
        if event in self._known:
            fix = f"the plan has no {event}@{major}; send version {self._known[event]}, or add this one to the plan"
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
    """One major version of one event, compiled. `handlers` and `page` say what is done to personal data, by name."""

    def __init__(self, event: EventPlan, unknown_max: int, ends: date | None, newest: int) -> None:
        self.major = event.major
        self.sampling = event.sampling
        self.consent = event.consent
        self.handlers = handlers_of(event.properties)
        self.page = page_handling(event.properties)
        self.policies = Policies(event.rules)
        self._unknown_max = unknown_max
        self._properties = event.properties
        self._ends_ms = FOREVER_MS if ends is None else midnight_ms(ends)
        what = f"send version {newest}" if newest != event.major else "stop sending it, or move its sunset in the plan"
        self._ended = Violation(
            Reason.SUNSET_VERSION, "/event", f"{event.name}@{event.major} was to end before {ends}; {what}"
        )
        self._conversion = event.semantic.conversion
        self._valid = Checked(event.major, self._conversion, "0", "", (), None)
        by_name = {prop.name: prop for prop in event.properties}
        self._value = _Slot(by_name.get(event.semantic.value))
        self._currency = _Slot(by_name.get(event.semantic.currency))
        self._decode: Callable[[bytes | Raw], Any] = _never
        closed = self.policies.look_for((Reason.UNKNOWN_PROPERTY, Reason.UNDECLARED_PII))
        values, currencies = self._value.names, self._currency.names
        self._direct = len(values) == len(currencies) == 1 and values != currencies
        named = {values[0]: "value", currencies[0]: "currency"} if self._direct else {}
        try:
            struct, holders = struct_of(event.name, without_patterns(event.properties), closed=closed, named=named)
        except Inexpressible:
            return
        self._decode = msgspec.json.Decoder(struct).decode
        self._value_fields = [holders[name] for name in values]
        self._currency_fields = [holders[name] for name in currencies]
        self._plain = not (values or currencies or self.handlers or any(has_pattern(p.type) for p in event.properties))
        words = {prop.name: words_of(prop.type) for prop in event.properties if has_pattern(prop.type)}
        currency = words.pop(event.semantic.currency, None) if self._direct else None  # _valued asks this one
        self._currencies = Words(None) if currency is None else currency
        self._patterns = [
            (attrgetter(holders[name]), words[prop.name])
            for prop in event.properties
            if prop.name in words
            for name in (prop.name, *prop.aliases)
        ]
        # What is personal is not remembered, for it would outlive its event.
        personal = any(by_name[name].type.sensitive for name in (values[:1] + currencies[:1]))
        self._known: dict[tuple[Any, Any], Checked] = {}
        self._known_max = 0 if personal else VERDICTS_MAX

    @cached_property
    def _walk(self) -> Callable[[dict[str, Any], str, Findings], dict[str | int, Marks]]:
        # Only an event with violations is walked, and making the walk is two fifths of compiling a plan.
        return members_of(self._properties)

    def check(  # noqa: PLR0911 - a list of questions, each with its way out
        self, properties: bytes | Raw, environment: str = PROD, now_ms: int = 0, handled: bool = False
    ) -> Checked:
        """The verdict on one event of this major version; see CompiledPlan.check, and for its cost decisions/0008."""
        if now_ms >= self._ends_ms or handled:
            return self._walked(properties, environment, now_ms, handled)
        decode = self._decode
        try:
            sent = decode(properties)
        except Exception:  # msgspec's own errors, UnicodeDecodeError, RecursionError: the walk will tell
            return self._walked(properties, environment, now_ms)
        if self._plain:
            return self._valid
        if self._patterns and not self._match(sent):
            return self._walked(properties, environment, now_ms)
        if self._direct:
            number, currency = sent.value, sent.currency
        else:
            number, currency = _first(sent, self._value_fields), _first(sent, self._currency_fields)
        checked = self._known.get((number, currency)) or self._valued(number, currency)
        if checked is None:
            return self._walked(properties, environment, now_ms)
        if not self.handlers:
            return checked
        return structs.replace(checked, properties=_handled(bytes(properties), self.handlers))

    def _match(self, sent: Any) -> bool:
        """Do the texts match their patterns, which `_decode` does not look at?"""
        return all(words[read(sent)] is not None for read, words in self._patterns)

    def _valued(self, number: Any, sent: Any) -> Checked | None:
        """The verdict on a valid event with these; None when the walk must read them."""
        value, currency = plain_text(number), self._currencies[sent]
        if value is None or currency is None:
            return None
        checked = Checked(self.major, self._conversion, value, currency, (), None, None, None, _NO_EXTRA)
        if len(self._known) < self._known_max and len(value) + len(currency) <= WORD_CHARS_MAX:
            self._known[number, sent] = checked
        return checked

    def _walked(
        self, properties: bytes | Raw, environment: str = PROD, now_ms: int = 0, handled: bool = False
    ) -> Checked:
        out = Findings(self.policies.at(environment, now_ms), self._unknown_max, handled=handled)
        sent = bytes(properties)
        value, currency = "0", ""
        marks: Marks = None
        if now_ms >= self._ends_ms:
            out.add(self._ended.reason, self._ended.pointer, self._ended.fix)
        try:
            document = decode_exact(sent)
            if isinstance(document, dict):
                marks = within = self._walk(document, PROPERTIES, out)
                currency = self._currency_of(document)
                value, too_long = self._value_of(document, out)
                if too_long:
                    within[too_long] = Mark.MOVED
            else:
                fix = f"properties is {shown(document)}, it must be an object; send {{}} when there are none"
                if out.add(Reason.WRONG_TYPE, PROPERTIES, fix) is Action.STRIP:
                    marks = Mark.MOVED
                    self._walk({}, PROPERTIES, out)
        except Exception:
            fix = "properties cannot be checked; send a JSON object with fewer levels and shorter numbers"
            marks = Mark.MOVED if out.add(Reason.WRONG_TYPE, PROPERTIES, fix) is Action.STRIP else None
        own = sent if handled else _handled(sent, self.handlers)
        return _concluded(Checked(self.major, self._conversion, value, currency, (), None), out, marks, sent, own)

    def _value_of(self, document: dict[str, Any], out: Findings) -> tuple[str, str]:
        """The value's decimal text, "0" when there is none that is valid; and its name when it must be stripped."""
        name, entry = self._value.valid_in(document)
        if entry is None:
            return "0", ""
        text = decimal_text(entry)
        if text is None:
            fix = f"{name} is {shown(entry)}, it must have at most 14 digits before the point; send a smaller number"
            action = out.add(Reason.CONSTRAINT, f"{PROPERTIES}/{token(name)}", fix)
            return "0", name if action is Action.STRIP else ""
        return text, ""

    def _currency_of(self, document: dict[str, Any]) -> str:
        return str(self._currency.valid_in(document)[1] or "")


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

    def valid_in(self, document: dict[str, Any]) -> tuple[str, Any]:
        """The name it was sent under and its value; None when it was not sent or is not valid."""
        for name in self.names:
            if name in document:
                entry = document[name]
                valid = entry is not None and self._fits is not None and self._fits(entry)
                return name, entry if valid else None
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
