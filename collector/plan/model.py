"""The tracking plan as the collector holds it: resolved, so that no name of a type, entity or group is left to look up.

    folder of YAML --load_plan--> Plan --write_lock--> plan.lock --read_lock--> Plan --compile_plan--> CompiledPlan

Nothing here does work. A Struct's fields, sorted by name and without those at their defaults, are its JSON in plan.lock
(lock.py); what a lock says and this file does not know is refused, so that no rule of a newer Footfall is passed over.
"""

from __future__ import annotations

import datetime
from enum import Enum
from functools import total_ordering
from typing import Any

from msgspec import Struct

from collector.plan.problems import Mark
from collector.reason import Reason

LABEL_CHARS = 12  # of a hash: 48 bits, so that of a thousand edits under one version no two meet (one in 500 million)
PROD = "prod"  # the environment that always is, and that plan.yaml's own `enforce:` speaks of


@total_ordering
class Action(Enum):
    """What happens to an event with a violation of one class, mildest first. Of several the strictest wins."""

    ALLOW = "allow"  # nothing: it is not even listed
    FLAG = "flag"  # the event is stored, the violation is listed with it
    STRIP = "strip"  # the same, and the value moves to `extra`; a required property that is stripped is then missing
    QUARANTINE = "quarantine"  # the event goes to failed_events, from where it can be replayed
    DROP = "drop"  # the event is not stored at all, only counted: for what must not be kept

    def __lt__(self, other: Action) -> bool:
        return _STRICTNESS[self] < _STRICTNESS[other]


_STRICTNESS = {action: place for place, action in enumerate(Action)}

# Classes of violation an editor may set an action for, and what the plan does when it says nothing.
DEFAULT_ACTIONS: dict[Reason, Action] = {
    Reason.UNKNOWN_EVENT: Action.FLAG,
    Reason.UNKNOWN_PROPERTY: Action.FLAG,
    Reason.MISSING_REQUIRED: Action.QUARANTINE,
    Reason.WRONG_TYPE: Action.QUARANTINE,
    Reason.CONSTRAINT: Action.QUARANTINE,
    Reason.SUNSET_VERSION: Action.QUARANTINE,
    Reason.UNDECLARED_PII: Action.FLAG,
}

# What an editor may ask for, per class. There is no value to strip where a property or the whole event is missing from
# the plan's view; and only what must not be kept may be lost, so that no slip of an editor costs data.
_KEEPING = (Action.ALLOW, Action.FLAG, Action.QUARANTINE)
_STRIPPING = (Action.ALLOW, Action.FLAG, Action.STRIP, Action.QUARANTINE)
ACTIONS_OF: dict[Reason, tuple[Action, ...]] = {
    Reason.UNKNOWN_EVENT: _KEEPING,
    Reason.UNKNOWN_PROPERTY: _STRIPPING,
    Reason.MISSING_REQUIRED: _KEEPING,
    Reason.WRONG_TYPE: _STRIPPING,
    Reason.CONSTRAINT: _STRIPPING,
    Reason.SUNSET_VERSION: _KEEPING,
    Reason.UNDECLARED_PII: tuple(Action),
}


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The action for one class of violation.

    With `starts`, it is in force from that day on (UTC). Until then `before` is, and what `action` would have done is
    counted (shadowed). `before` says nothing without `starts`.
    """

    action: Action
    starts: datetime.date | None = None
    before: Action = Action.ALLOW

    def on(self, day: datetime.date) -> Action:
        """The action in force on a day."""
        return self.action if self.starts is None or day >= self.starts else self.before


class Pii(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A value about a person: what it is, and what the collector does to it before anything is written.

    keep: nothing; sha256: a hash without a key, so that equal values stay equal and can be joined with other tables;
    mask: all of it; mask_detected: the parts that look like personal data; strip_query_except: an address loses its
    query but for the parameters in `keep`; drop: the value is not stored.
    """

    pii_class: str
    handling: str = "keep"
    keep: tuple[str, ...] = ()


class Column(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The column of a typed view; empty fields follow from the property's name and type."""

    name: str = ""
    type: str = ""


class Type(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """What values are valid. `kind` is one word; a keyword that does not apply to the kind is None.

    string, integer, number, boolean, decimal, date, datetime: scalars; array: `items`; object: `properties`, closed;
    map: free keys, `values`; union: one of `members`, which are scalars; any: whatever JSON holds.
    """

    kind: str
    nullable: bool = False
    enum: tuple[str | int, ...] | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: int | float | None = None
    exclusive_maximum: int | float | None = None
    multiple_of: int | float | None = None
    min_length: int = 0
    max_length: int | None = None
    pattern: str | None = None  # as written in the plan
    regex: str | None = None  # as Python's re searches it
    format: str | None = None
    precision: int = 18
    scale: int = 4
    min_items: int = 0
    max_items: int | None = None
    items: Type | None = None
    properties: tuple[Property, ...] = ()
    max_properties: int | None = None
    values: Type | None = None
    members: tuple[Type, ...] = ()
    examples: tuple[Any, ...] = ()
    pii: Pii | None = None
    unit: str = ""  # ms, css_px, the name of a property that holds a currency, …
    column: Column | None = None

    @property
    def sensitive(self) -> bool:
        """True where the plan declares it as personal: its value is not repeated in messages."""
        return self.pii is not None


class Property(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One named value of an event or an object. What a named type says of itself holds where the property is silent."""

    name: str
    type: Type
    required: bool = False
    aliases: tuple[str, ...] = ()
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool | str = False  # a text says what to send instead


class Semantic(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an event means to the reports: a conversion, which properties hold its value and currency, and its identity.

    `conversion` is "", "macro" or "micro"; the others are names of properties of the event.
    """

    conversion: str = ""
    value: str = ""
    currency: str = ""
    dedupe_by: str = ""


class Sampling(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The share of events that is stored: 0 < rate <= 1. By "visitor", whose funnels stay whole, or by "event"."""

    rate: float
    by: str = "visitor"


class Upcast(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How an older major reads as the newest: new names for old properties, then values for those it never had."""

    rename: dict[str, str] = {}  # old name: new name
    default: dict[str, Any] = {}  # new name: value


class Accept(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An older major that may still be sent, through the day `until` (UTC); None is without end."""

    major: int
    until: datetime.date | None = None
    upcast: Upcast | None = None


class Expected(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Bounds of a number: of events a day, or of events per event named by `of`."""

    of: str = ""
    min: int | float | None = None
    max: int | float | None = None


class Expect(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How much of an event is usual; `footfall plan status` says when it is not so."""

    daily: Expected | None = None
    ratio: Expected | None = None


class EventTest(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One of an event's own tests. `violates` is empty for a valid document, else pairs of class and JSON pointer.

    `mark` is where it stands in its file; a plan that was read from a lock has none.
    """

    document: Any
    violates: frozenset[tuple[str, str]] = frozenset()
    mark: Mark = Mark("", 0, 0)


Rules = dict[str, dict[Reason, Rule]]  # by environment, then by class; PROD is always there


class EventPlan(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One major version of one event, with the properties of its groups laid in and its rules settled.

    `rules` hold every class for PROD and for each environment of the plan. `hash` is that of all the collector acts on:
    equal hashes are judged alike, whatever their words for people say.
    """

    name: str
    version: str
    major: int
    properties: tuple[Property, ...]
    rules: Rules
    file: str = ""  # within the plan's folder, with slashes
    hash: str = ""
    semantic: Semantic = Semantic()
    accept: tuple[Accept, ...] = ()
    sampling: Sampling | None = None
    consent: tuple[str, ...] = ()  # purposes that the visitor must have agreed to
    sunset: datetime.date | None = None  # from this day on (UTC) it is a violation of class sunset_version
    deprecated: bool | str = False
    expect: Expect = Expect()
    description: str = ""
    trigger: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    tests: tuple[EventTest, ...] = ()

    @property
    def actions(self) -> dict[Reason, Action]:
        """The actions in production, start dates apart."""
        return {reason: rule.action for reason, rule in self.rules[PROD].items()}


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The plan's own limits. Each keeps one sender from costing more than an event is worth."""

    max_event_bytes: int = 32_768
    max_extra_properties: int = 64  # unknown properties listed per event; further ones are stored but not listed
    max_string: int = 4_096  # maxLength of a string that states none


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step of a journey: an event whose properties have the values of `where`."""

    event: str
    where: dict[str, Any] = {}
    within_ms: int | None = None  # after the step before
    times: int | None = None  # exactly so often; None is at least once


class Journey(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What must be true of the events that share a key: their order, and equations between their properties.

    `invariants` are texts; journeys.py parses them.
    """

    name: str
    key: str
    steps: tuple[Step, ...]
    invariants: tuple[str, ...] = ()
    description: str = ""
    owner: str = ""
    file: str = ""


class Environment(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where events come from, beside production. `report` is who is told: "", "browser_console" or "ci"."""

    report: str = ""


class Naming(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How names look: Python regular expressions that must be found in them, and names that are taken."""

    events: str = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
    properties: str = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
    reserved: tuple[str, ...] = ()


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A whole plan. `events` holds the newest major of each event, `history` the older ones that are accepted.

    `rules` are those of events that the plan does not have, by environment. `hash` is that of the whole plan, words for
    people included. `folder` is where it was read from; it is no part of the plan. Nor is `unreleased`: that a
    collector runs on files which nobody released.
    """

    name: str
    version: str
    folder: str = ""
    hash: str = ""
    events: dict[str, EventPlan]
    history: dict[tuple[str, int], EventPlan]
    rules: Rules
    environments: dict[str, Environment] = {}
    limits: Limits = Limits()
    naming: Naming = Naming()
    journeys: dict[str, Journey] = {}
    description: str = ""
    owners: tuple[str, ...] = ()
    unreleased: bool = False

    @property
    def label(self) -> str:
        """The version under which events and plans are recorded: one for each content.

        A release computes a version for what it holds. Files can be edited under theirs again and again, so theirs is
        told with the hash of what they hold, as build metadata (Semantic Versioning 2.0.0, section 10).
        """
        return f"{self.version}+unreleased.{self.hash[:LABEL_CHARS]}" if self.unreleased else self.version

    @property
    def actions(self) -> dict[Reason, Action]:
        """The actions in production for events that the plan does not have, start dates apart."""
        return {reason: rule.action for reason, rule in self.rules[PROD].items()}
