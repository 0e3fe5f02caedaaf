"""The types of a plan in TypeScript: one interface for each event and for each kind of object in it.

Types are erased, so they cost a page nothing. An object that stands in several events has one interface, named after
the property that holds it.
"""

from __future__ import annotations

import re

import msgspec

from collector.plan.codegen.docs import deprecation, event_lines, property_lines
from collector.plan.codegen.names import singular, type_name
from collector.plan.model import EventPlan, Plan, Property, Type

# Types that generated code names; an event or object of that name gets another.
TAKEN = frozenset({"Options", "Send", "Date", "Record", "ReadonlyArray", "Event", "Object", "Array", "Function"})
_SAFE_INTEGER = 2**53 - 1
# Every object has these, so an object literal without them would have the wrong type.
_INHERITED = frozenset(
    ["constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf"]
)
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")

SHARED = """\
/** What every helper takes beside the properties. */
export interface Options {
  /** Properties that the plan does not have: kept with the event, apart from the planned ones. */
  extra?: Record<string, unknown>;
  /** Consent categories that the visitor must have granted, beside those of the plan. */
  consent?: string | readonly string[];
}

/** Sends one event. The properties may be left out where none is required. */
export type Send<P> = {} extends P
  ? (properties?: P, options?: Options) => void
  : (properties: P, options?: Options) => void;
"""


def comment(lines: list[str], indent: str = "") -> str:
    """Lines as one JSDoc comment, with its newline; nothing for none."""
    safe = [line.replace("*/", "*\\/") for line in lines]
    if not safe:
        return ""
    if len(safe) == 1:
        return f"{indent}/** {safe[0]} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}\n" for line in safe) + f"{indent} */\n"


def event_comment(event: EventPlan) -> str:
    """The comment above an event's helper."""
    said = deprecation(event.deprecated)
    return comment([*event_lines(event), *([f"@deprecated {said}"] if said else [])])


class Types:
    """The interfaces of one plan. `names` holds the type of each event's properties."""

    def __init__(self, plan: Plan) -> None:
        self.names: dict[str, str] = {}
        self._bodies: dict[str, str] = {}  # of objects: text to name
        self._taken: dict[str, str] = dict.fromkeys(TAKEN, "")
        self._texts: dict[str, str] = {}  # of all: name to declaration
        for event in sorted(plan.events):
            self.names[event] = self._free(type_name(event), "Event")
        for event in sorted(plan.events):
            name = self.names[event]
            found = plan.events[event]
            body = self._body(found.properties, name)
            lines = [f"Properties of {event}@{found.major}."]
            self._texts[name] = comment(lines) + _declared(name, body)

    def text(self) -> str:
        """All declarations, by name."""
        return "\n".join(self._texts[name] for name in sorted(self._texts))

    def _free(self, name: str, prefix: str) -> str:
        number, wanted = 1, name
        if wanted in self._taken:
            wanted = name = f"{prefix}{name}" if prefix != "Event" else f"{name}Event"
        while wanted in self._taken:
            number += 1
            wanted = f"{name}{number}"
        self._taken[wanted] = ""
        return wanted

    def _body(self, properties: tuple[Property, ...], owner: str) -> str:
        """The type of an object's members: one object type, or, where old names stand in for required ones, an
        intersection with the ways in which they can be sent.
        """
        members: list[str] = []
        choices: list[str] = []
        for prop in properties:
            text = self.type_of(prop.type, owner, prop.name)
            said_of_old = [f"@deprecated Send it as {prop.name}."]
            lines = property_lines(prop)
            if said := deprecation(prop.deprecated):
                lines.append(f"@deprecated {said}")
            if prop.required and prop.aliases:
                # The name that should be sent is last: the compiler names the last one when all are missing.
                ways = [_member(alias, text, said_of_old, optional=False) for alias in prop.aliases]
                ways.append(_member(prop.name, text, lines, optional=False))
                choices.append("(" + " | ".join("{\n" + way + "}" for way in ways) + ")")
                continue
            members.append(_member(prop.name, text, lines, optional=not prop.required))
            members.extend(_member(alias, text, said_of_old, optional=True) for alias in prop.aliases)
        if not properties:
            return "Record<string, never>"
        return " & ".join(["{\n" + "".join(members) + "}", *choices])

    def type_of(self, kind: Type, owner: str, name: str) -> str:
        """The type of one value. Objects in it are declared: named after `name`, or `owner` too where that is taken."""
        made = self._plain(kind, owner, name)
        return f"{made} | null" if kind.nullable and kind.kind != "any" else made

    def _plain(self, kind: Type, owner: str, name: str) -> str:  # noqa: PLR0911 - a table of kinds reads best as one
        match kind.kind:
            case "any":
                return "unknown"
            case "boolean":
                return "boolean"
            case "decimal":
                return "number | `${number}`"
            case "datetime":
                return "string | Date"
            case "integer" | "number" | "string":
                return _scalar(kind)
            case "array":
                assert kind.items is not None
                return f"ReadonlyArray<{self.type_of(kind.items, owner, singular(name))}>"
            case "map":
                assert kind.values is not None
                return f"Readonly<Record<string, {self.type_of(kind.values, owner, singular(name))}>>"
            case "union":
                return " | ".join(dict.fromkeys(self._plain(member, owner, name) for member in kind.members))
            case "object":
                return self._object(kind, owner, name)
        return "string"

    def _object(self, kind: Type, owner: str, name: str) -> str:
        wanted = type_name(name)
        body = self._body(kind.properties, f"{owner}{wanted}")
        if body not in self._bodies:
            made = self._free(wanted, owner)
            self._bodies[body] = made
            self._texts[made] = _declared(made, body)
        return self._bodies[body]


def _declared(name: str, body: str) -> str:
    plain = body.startswith("{") and body.endswith("}") and " & " not in body
    return f"export interface {name} {body}\n" if plain else f"export type {name} = {body};\n"


def _member(name: str, text: str, lines: list[str], *, optional: bool) -> str:
    key = name if _IDENTIFIER.fullmatch(name) else msgspec.json.encode(name).decode()
    return comment(lines, "  ") + f"  {key}{'?' if optional else ''}: {'any' if name in _INHERITED else text};\n"


def _scalar(kind: Type) -> str:
    word = "string" if kind.kind == "string" else "number"
    if kind.enum is None or any(isinstance(value, int) and abs(value) > _SAFE_INTEGER for value in kind.enum):
        return word
    return " | ".join(msgspec.json.encode(value).decode() for value in kind.enum)
