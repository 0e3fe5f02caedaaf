"""The tracking plan as the collector holds it: resolved, so that no name of a type, entity or group is left to look up.

    folder of YAML --load_plan--> Plan --compile_plan--> CompiledPlan --check--> Checked

Nothing here does work.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct, field

from collector.plan.problems import Mark
from collector.reason import Reason


class Action(Enum):
    """What happens to an event with a violation of one class."""

    ALLOW = "allow"  # nothing: it is not even listed
    FLAG = "flag"  # the event is stored, the violation is listed with it
    QUARANTINE = "quarantine"  # the event goes to failed_events, from where it can be replayed


# Classes of violation an editor may set an action for, and what the plan does when it says nothing.
DEFAULT_ACTIONS: dict[Reason, Action] = {
    Reason.UNKNOWN_EVENT: Action.FLAG,
    Reason.UNKNOWN_PROPERTY: Action.FLAG,
    Reason.MISSING_REQUIRED: Action.QUARANTINE,
    Reason.WRONG_TYPE: Action.QUARANTINE,
    Reason.CONSTRAINT: Action.QUARANTINE,
}


class Type(Struct, frozen=True, kw_only=True):
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
    sensitive: bool = False  # declared as pii: its value is not repeated in messages


class Property(Struct, frozen=True, kw_only=True):
    """One named value of an event or an object. `carried` holds the keywords that v1 stores but does not act on."""

    name: str
    type: Type
    required: bool = False
    aliases: tuple[str, ...] = ()
    description: str = ""
    carried: dict[str, Any] = field(default_factory=dict)


class Semantic(Struct, frozen=True, kw_only=True):
    """What an event means to the reports: a conversion, and which properties hold its value and currency."""

    conversion: str = ""
    value: str = ""
    currency: str = ""
    dedupe_by: str = ""


class EventTest(Struct, frozen=True, kw_only=True):
    """One of an event's own tests. `violates` is empty for a valid document, else pairs of class and JSON pointer."""

    document: Any
    violates: frozenset[tuple[str, str]]
    mark: Mark


class EventPlan(Struct, frozen=True, kw_only=True):
    """One major version of one event, with the properties of its groups laid in."""

    name: str
    version: str
    major: int
    file: str
    properties: tuple[Property, ...]
    actions: dict[Reason, Action]
    semantic: Semantic = Semantic()
    description: str = ""
    trigger: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    tests: tuple[EventTest, ...] = ()
    carried: dict[str, Any] = field(default_factory=dict)


class Limits(Struct, frozen=True, kw_only=True):
    """The plan's own limits. Each keeps one sender from costing more than an event is worth."""

    max_event_bytes: int = 32_768
    max_extra_properties: int = 64  # unknown properties listed per event; further ones are stored but not listed
    max_string: int = 4_096  # maxLength of a string that states none


class Plan(Struct, frozen=True, kw_only=True):
    """A whole plan. `events` holds the newest major of each event, `history` the older ones that are accepted."""

    name: str
    version: str
    folder: str
    events: dict[str, EventPlan]
    history: dict[tuple[str, int], EventPlan]
    actions: dict[Reason, Action]
    limits: Limits = Limits()
    description: str = ""
    carried: dict[str, Any] = field(default_factory=dict)
