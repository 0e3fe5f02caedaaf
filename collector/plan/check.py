"""Checking events against the plan: one strict decode for a valid event, a walk of the rules for any other.

    properties --Struct--> valid: one shared Checked
               \\--rules--> every violation, with pointer and fix

Measured here (benchmarks/validate.py): a valid page view costs 0.8 us, as much as decoding it untyped; a purchase,
whose value and currency are read out, 3 us; an event with violations 10 to 30 us. Nothing a sender writes makes `check`
raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from collector.plan.fast import Inexpressible, plain_text, struct_of
from collector.plan.model import Action, EventPlan, Plan, Property
from collector.plan.rules import (
    Findings,
    Violation,
    decimal_text,
    decode_exact,
    fits_of,
    members_of,
    shown,
    token,
)
from collector.reason import Reason

PROPERTIES = "/properties"


class Checked(Struct, frozen=True, gc=False):
    """The verdict on one event. `rejected` is the first violation whose action is quarantine."""

    event_version: int
    conversion: str
    value: str
    currency: str
    violations: tuple[Violation, ...]
    rejected: Violation | None


_UNPLANNED = Checked(0, "", "0", "", (), None)


class CompiledPlan:
    """A plan ready to check events. Immutable; compiled once at start."""

    def __init__(self, plan: Plan) -> None:
        self.version = plan.version
        self._action = plan.actions[Reason.UNKNOWN_EVENT]
        self._newest = {name: _EventCheck(event, plan) for name, event in plan.events.items()}
        self._majors = {(name, check.major): check for name, check in self._newest.items()}
        self._majors |= {key: _EventCheck(event, plan) for key, event in plan.history.items()}
        self._known: dict[str, str] = {}
        for name, major in sorted(self._majors):
            self._known[name] = f"{self._known[name]}, {major}" if name in self._known else str(major)

    def check(self, event: str, major: int | None, properties: bytes | Raw) -> Checked:
        """Check one event.

        Args:
            event: Its name in the plan, without a version.
            major: The major version the sender states, None for the newest.
            properties: One JSON document as sent.
        Returns:
            The verdict; never raises, whatever the bytes.
        """
        found = self._newest.get(event) if major is None else self._majors.get((event, major))
        return self._unplanned(event, major) if found is None else found.check(properties)

    def _unplanned(self, event: str, major: int | None) -> Checked:
        if self._action is Action.ALLOW:
            return _UNPLANNED
        if event in self._known:
            reason = Reason.EVENT_VERSION_UNKNOWN
            fix = f"the plan has no {event}@{major}; send version {self._known[event]}, or add this one to the plan"
        else:
            reason = Reason.UNKNOWN_EVENT
            fix = (
                f"{shown(event)} is not in the tracking plan; add it as events/<domain>/<event>.yaml or stop sending it"
            )
        violation = Violation(reason, "/event", fix)
        return Checked(0, "", "0", "", (violation,), violation if self._action is Action.QUARANTINE else None)


class _EventCheck:
    """One major version of one event, compiled."""

    def __init__(self, event: EventPlan, plan: Plan) -> None:
        self.major = event.major
        self._actions = event.actions
        self._unknown_max = plan.limits.max_extra_properties
        self._conversion = event.semantic.conversion
        self._valid = Checked(event.major, self._conversion, "0", "", (), None)
        self._walk = members_of(event.properties)
        by_name = {prop.name: prop for prop in event.properties}
        self._value = _Slot(by_name.get(event.semantic.value))
        self._currency = _Slot(by_name.get(event.semantic.currency))
        self._plain = not self._value.names and not self._currency.names
        self._decode: Callable[[bytes | Raw], Any] = _never
        closed = event.actions[Reason.UNKNOWN_PROPERTY] is not Action.ALLOW
        try:
            struct, holders = struct_of(event.name, event.properties, closed=closed)
        except Inexpressible:
            return
        self._decode = msgspec.json.Decoder(struct).decode
        self._value_fields = tuple(holders[name] for name in self._value.names)
        self._currency_fields = tuple(holders[name] for name in self._currency.names)

    def check(self, properties: bytes | Raw) -> Checked:
        """The verdict on one event of this major version."""
        try:
            decoded = self._decode(properties)
        except Exception:  # msgspec's own errors, UnicodeDecodeError, RecursionError: the walk will tell
            return self._walked(properties)
        if self._plain:
            return self._valid
        value, currency = "0", ""
        for name in self._value_fields:
            number = getattr(decoded, name)
            if number is not UNSET:
                text = plain_text(number)
                if text is None:
                    return self._walked(properties)
                value = text
                break
        for name in self._currency_fields:
            sent = getattr(decoded, name)
            if sent is not UNSET:
                currency = sent or ""
                break
        return Checked(self.major, self._conversion, value, currency, (), None)

    def _walked(self, properties: bytes | Raw) -> Checked:
        out = Findings(self._actions, self._unknown_max)
        value, currency = "0", ""
        try:
            document = decode_exact(properties)
            if isinstance(document, dict):
                self._walk(document, PROPERTIES, out)
                value, currency = self._value_of(document, out), self._currency_of(document)
            else:
                fix = f"properties is {shown(document)}, it must be an object; send {{}} when there are none"
                out.add(Reason.WRONG_TYPE, PROPERTIES, fix)
        except Exception:
            fix = "properties cannot be checked; send a JSON object with fewer levels and shorter numbers"
            violation = Violation(Reason.WRONG_TYPE, PROPERTIES, fix)
            rejects = self._actions[Reason.WRONG_TYPE] is Action.QUARANTINE
            return Checked(self.major, self._conversion, "0", "", (violation,), violation if rejects else None)
        return Checked(self.major, self._conversion, value, currency, tuple(out.listed), out.rejected)

    def _value_of(self, document: dict[str, Any], out: Findings) -> str:
        """The value's decimal text; "0" when there is none, or none that is valid."""
        name, entry = self._value.valid_in(document)
        if entry is None:
            return "0"
        text = decimal_text(entry)
        if text is None:
            fix = f"{name} is {shown(entry)}, it must have at most 14 digits before the point; send a smaller number"
            out.add(Reason.CONSTRAINT, f"{PROPERTIES}/{token(name)}", fix)
        return text or "0"

    def _currency_of(self, document: dict[str, Any]) -> str:
        return str(self._currency.valid_in(document)[1] or "")


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
