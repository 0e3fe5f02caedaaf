"""Typed helpers in Python, for servers: a TypedDict for each event, and one class with a method for each.

The generated module needs Python 3.11 and nothing else. It sends through any `Track`: Segment's client, or a function
that posts JSON.
"""

from __future__ import annotations

import json
import keyword
from textwrap import dedent

from collector.plan.codegen.docs import deprecation, event_lines, property_lines
from collector.plan.codegen.names import helper_names, singular, snake_case, type_name
from collector.plan.model import EventPlan, Plan, Property, Type

_TAKEN_TYPES = frozenset(
    [
        "Any",
        "Callable",
        "Decimal",
        "DecimalText",
        "Events",
        "Literal",
        "Mapping",
        "NewType",
        "NotRequired",
        "Protocol",
        "Track",
        "TypedDict",
        "None",
        "True",
        "False",
        "UTC",
    ]
)

_HEAD = '''\
# ruff: noqa
from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NewType, NotRequired, Protocol, TypedDict

if TYPE_CHECKING:
    from typing_extensions import deprecated
else:

    def deprecated(message: str, /) -> Callable[[Any], Any]:
        return lambda function: function


DecimalText = NewType("DecimalText", str)


def exact(amount: Decimal) -> DecimalText:
    """An amount of money as text, which keeps each digit."""
    return DecimalText(f"{amount:f}")


class Track(Protocol):
    """Sends one event. `who` says of whom: user_id, anonymous_id, and what else the sender takes."""

    def __call__(
        self, event: str, properties: Mapping[str, Any], extra: Mapping[str, Any], /, **who: Any
    ) -> object: ...


def segment(client: Any) -> Track:
    """Send through Segment's Python client, which has no place of its own for unplanned properties."""

    def send(event: str, properties: Mapping[str, Any], extra: Mapping[str, Any], /, **who: Any) -> object:
        return client.track(event=event, properties={**extra, **properties}, **who)

    return send


def http(post: Callable[[dict[str, Any]], object]) -> Track:
    """Send by plain HTTP: `post` posts one JSON object to /v1/track, with the server key. Safe to repeat."""

    def send(event: str, properties: Mapping[str, Any], extra: Mapping[str, Any], /, **who: Any) -> object:
        names = {"user_id": "userId", "anonymous_id": "anonymousId", "message_id": "messageId"}
        message: dict[str, Any] = {
            "type": "track",
            "event": event,
            "properties": dict(properties),
            "messageId": str(uuid.uuid4()),
            "timestamp": datetime.now(UTC).isoformat(),
        }
        if extra:
            message["extra"] = dict(extra)
        return post(message | {names.get(key, key): value for key, value in who.items()})

    return send

'''

_METHOD = """
    def {name}(self, properties: {type}{default}, *, extra: Mapping[str, Any] | None = None, **who: Any) -> None:
        {doc}
        self._track({event}, {given}, extra or {{}}, **who)
"""


def python(plan: Plan, header: list[str]) -> str:
    """A Python module of helpers; `header` are the lines of its docstring."""
    taken = frozenset(keyword.kwlist) | {"self"}
    methods = helper_names(plan.events, snake_case, taken, "_event")
    types = _Types(plan)
    text = '"""' + "\n\n".join(_escaped(line) for line in header) + '\n"""\n\n' + _HEAD + "\n" + types.text()
    text += dedent('''

        class Events:
            """One method for each event of the plan. `extra` holds properties that the plan does not have."""

            def __init__(self, track: Track) -> None:
                self._track = track
    ''')
    for event, name in methods.items():
        found = plan.events[event]
        made = _METHOD.format(
            name=name,
            type=types.names[event],
            default="" if any(prop.required for prop in found.properties) else " | None = None",
            given="properties" if any(prop.required for prop in found.properties) else "properties or {}",
            doc=_docstring(event_lines(found), "        "),
            event=_quoted(f"{event}@{found.major}"),
        )
        said = deprecation(found.deprecated)
        text += made.replace("\n    def", f"\n    @deprecated({_quoted(said)})\n    def", 1) if said else made
    return text


class _Types:
    """The TypedDicts of one plan, in an order in which each is declared before it is used."""

    def __init__(self, plan: Plan) -> None:
        self.names: dict[str, str] = {}
        self._taken = set(_TAKEN_TYPES)
        self._bodies: dict[str, str] = {}
        self._texts: list[str] = []
        for event in sorted(plan.events):
            self.names[event] = self._free(type_name(event), "Event")
        for event in sorted(plan.events):
            self._declare(self.names[event], plan.events[event])

    def text(self) -> str:
        return "\n\n".join(self._texts)

    def _free(self, name: str, prefix: str) -> str:
        number = 1
        if name in self._taken:
            name = f"{name}Event" if prefix == "Event" else f"{prefix}{name}"
        wanted = name
        while wanted in self._taken:
            number += 1
            wanted = f"{name}{number}"
        self._taken.add(wanted)
        return wanted

    def _declare(self, name: str, event: EventPlan) -> None:
        body = self._body(event.properties, name)
        self._texts.append(_typed_dict(name, f"Properties of {event.name}@{event.major}.", body))

    def _body(self, properties: tuple[Property, ...], owner: str) -> list[tuple[str, str, list[str]]]:
        """The members of an object: name, type, and what the plan says of it."""
        members: list[tuple[str, str, list[str]]] = []
        for prop in properties:
            made = self._type(prop.type, owner, prop.name)
            lines = property_lines(prop)
            if said := deprecation(prop.deprecated):
                lines.append(f"Deprecated: {said}")
            members.append((prop.name, made if prop.required else f"NotRequired[{made}]", lines))
        return members

    def _type(self, kind: Type, owner: str, name: str) -> str:
        made = self._plain(kind, owner, name)
        return f"{made} | None" if kind.nullable and kind.kind != "any" else made

    def _plain(self, kind: Type, owner: str, name: str) -> str:  # noqa: PLR0911 - a table of kinds reads best as one
        if kind.enum is not None:
            return f"Literal[{', '.join(_quoted(v) if isinstance(v, str) else str(v) for v in kind.enum)}]"
        match kind.kind:
            case "any":
                return "object"
            case "boolean":
                return "bool"
            case "integer":
                return "int"
            case "number":
                return "float"
            case "decimal":
                return "float | DecimalText"
            case "array":
                assert kind.items is not None
                return f"list[{self._type(kind.items, owner, singular(name))}]"
            case "map":
                assert kind.values is not None
                return f"Mapping[str, {self._type(kind.values, owner, singular(name))}]"
            case "union":
                return " | ".join(dict.fromkeys(self._plain(member, owner, name) for member in kind.members))
            case "object":
                return self._object(kind, owner, name)
        return "str"

    def _object(self, kind: Type, owner: str, name: str) -> str:
        wanted = type_name(name)
        body = self._body(kind.properties, f"{owner}{wanted}")
        key = repr(body)
        if key not in self._bodies:
            made = self._free(wanted, owner)
            self._bodies[key] = made
            self._texts.append(_typed_dict(made, f"An object of {owner}.", body))
        return self._bodies[key]


def _typed_dict(name: str, doc: str, members: list[tuple[str, str, list[str]]]) -> str:
    if any(not word.isidentifier() or keyword.iskeyword(word) or word.startswith("__") for word, _, _ in members):
        # Names that no attribute can have are keys of the functional form, whose types are evaluated at once.
        entries = "".join(
            "".join(f"        # {line}\n" for line in lines) + f"        {_quoted(word)}: {made},\n"
            for word, made, lines in members
        )
        return f'{name} = TypedDict(\n    "{name}",\n    {{\n{entries}    }},\n)\n'
    body = "".join(
        f"    {word}: {made}\n" + (f"    {_docstring(lines, '    ')}\n" if lines else "")
        for word, made, lines in members
    )
    return f"class {name}(TypedDict):\n    {_docstring([doc], '    ')}\n\n{body or '    pass' + chr(10)}"


def _docstring(lines: list[str], indent: str) -> str:
    text = f"\n{indent}".join(_escaped(line) for line in lines)
    return f'"""{text}"""' if len(lines) == 1 else f'"""{text}\n{indent}"""'


def _escaped(text: str) -> str:
    safe = text.replace("\\", "\\\\")
    return safe.replace('"', '\\"') if '"""' in text or text.endswith('"') else safe


def _quoted(text: str) -> str:
    """A Python literal of a text; JSON's is one."""
    return json.dumps(text, ensure_ascii=False)
