"""A released event as the file of its major in history/: everything it took from groups and types is written out.

A frozen file names nothing outside itself, so that a later edit of a shared type cannot change what was released.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from msgspec import Struct

from collector.plan.model import EventPlan, Pii, Property, Rule, Rules, Type

# A mapping that fits on one line of this length stands on one.
LINE_MAX = 120

# Field of Type, keyword of the format.
_KEYWORDS = (
    ("minimum", "minimum"),
    ("maximum", "maximum"),
    ("exclusive_minimum", "exclusiveMinimum"),
    ("exclusive_maximum", "exclusiveMaximum"),
    ("multiple_of", "multipleOf"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("pattern", "pattern"),
    ("format", "format"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("max_properties", "maxProperties"),
)
_WORDS = ("description", "trigger", "owner")
# Text that every YAML reader takes for text, also one of YAML 1.1.
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_.@/-]*(?: [A-Za-z][A-Za-z0-9_./-]*)*|[0-9]+\.[0-9]+\.[0-9]+")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def frozen_text(event: EventPlan, rules: Rules) -> str:
    """The file history/<event>@<major>.yaml of a released event.

    Args:
        event: As it was released.
        rules: Those of its plan then: what the event has of its own is what differs from them.
    """
    content: dict[str, Any] = {"event": f"{event.name}@{event.major}", "version": event.version}
    content |= {word: text for word in _WORDS if (text := getattr(event, word))}
    if event.tags:
        content["tags"] = list(event.tags)
    if semantic := _stated(event.semantic):
        content["semantic"] = semantic
    if event.consent:
        content["consent"] = list(event.consent)
    if event.sampling is not None:
        content["sampling"] = {"rate": event.sampling.rate, "by": event.sampling.by}
    if event.properties:
        content["properties"] = properties_of(event.properties)
    if own := _own_rules(event.rules, rules):
        content["enforce"] = own
    if event.tests:
        content["tests"] = [_test(test.document, test.violates) for test in event.tests]
    head = f"# Frozen by `footfall plan release`: {event.name} {event.version}, the last of its major. Do not edit."
    return "".join(f"{line}\n" for line in (head, *_mapping(content, 0)))


def properties_of(properties: tuple[Property, ...]) -> dict[str, Any]:
    """Properties as the keywords of the format that resolve to them, naming no type or group."""
    return {prop.name: _property(prop) for prop in properties}


def _property(prop: Property) -> dict[str, Any]:
    made = keywords_of(prop.type)
    if prop.required:
        made["required"] = True
    for word, value in (("aliases", list(prop.aliases)), ("description", prop.description), ("owner", prop.owner),
                        ("tags", list(prop.tags)), ("deprecated", prop.deprecated)):  # fmt: skip
        if value:
            made[word] = value
    return made


def keywords_of(kind: Type) -> dict[str, Any]:
    """One type as the keywords of the format."""
    made: dict[str, Any] = {"type": kind.kind}
    if kind.kind == "union":
        made["type"] = [member.kind for member in kind.members]
        for member in kind.members:
            made |= {key: value for key, value in keywords_of(member).items() if key != "type"}
    if kind.enum is not None:
        made["enum"] = list(kind.enum)
    for field, word in _KEYWORDS:
        value = getattr(kind, field)
        if value is not None and not (word in ("minLength", "minItems") and value == 0):
            made[word] = value
    if kind.kind == "decimal":
        made |= {"precision": kind.precision, "scale": kind.scale}
    if kind.kind == "object":
        made["properties"] = properties_of(kind.properties)
    for word, inner in (("items", kind.items), ("values", kind.values)):
        if inner is not None and inner.kind != "any":  # what is not named may be anything
            made[word] = keywords_of(inner)
    return made | _meaning(kind)


def _meaning(kind: Type) -> dict[str, Any]:
    stated = {
        "nullable": kind.nullable,
        "unit": kind.unit,
        "column": _stated(kind.column) if kind.column is not None else None,
        "pii": _pii(kind.pii) if kind.pii is not None else None,
        "examples": list(kind.examples),
    }
    return {word: value for word, value in stated.items() if value}


def _stated(found: Struct) -> dict[str, Any]:
    """The fields of a Struct that are not at their defaults."""
    made = msgspec.to_builtins(found)
    assert isinstance(made, dict)
    return made


def _pii(pii: Pii) -> dict[str, Any]:
    made: dict[str, Any] = {"class": pii.pii_class, "handling": pii.handling}
    return made | ({"keep": list(pii.keep)} if pii.keep else {})


def _own_rules(own: Rules, plan: Rules) -> dict[str, Any]:
    """What the event's own `enforce:` must say: an event's rule holds in every environment."""
    made: dict[str, Any] = {}
    for reason, rule in own.get("prod", {}).items():
        if any(rules.get(reason) != plan.get(environment, {}).get(reason) for environment, rules in own.items()):
            made[reason.word] = _rule(rule)
    return made


def _rule(rule: Rule) -> Any:
    if rule.starts is None:
        return rule.action.value
    return {"action": rule.action.value, "from": rule.starts.isoformat()}


def _test(document: Any, violates: frozenset[tuple[str, str]]) -> dict[str, Any]:
    if not violates:
        return {"valid": document}
    by_class: dict[str, list[str]] = {}
    for word, pointer in sorted(violates):
        by_class.setdefault(word, []).append(pointer)
    return {"invalid": document, "violates": by_class}


# YAML


def _mapping(content: dict[str, Any], indent: int) -> list[str]:
    """A block mapping whose entries stand on one line each where they fit."""
    lines: list[str] = []
    for key, value in content.items():
        head = f"{' ' * indent}{_scalar(key)}:"
        line = f"{head} {_flow(value)}"
        if indent == 0 and key == "properties" and value:
            lines += [head, *_mapping(value, indent + 2)]
        elif len(line) <= LINE_MAX or not isinstance(value, dict | list) or not value:
            lines.append(line)
        elif isinstance(value, dict):
            lines += [head, *_mapping(value, indent + 2)]
        else:
            lines += [head, *(f"{' ' * (indent + 2)}- {_flow(item)}" for item in value)]
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        if _BARE.fullmatch(value) and value.lower() not in _NOT_TEXT:
            return value
        # JSON's escapes are YAML's, but for pairs of surrogates; and YAML may not hold all that JSON leaves as it is.
        quoted = json.dumps(value, ensure_ascii=False)
        return "".join(char if char.isprintable() else _escaped(char) for char in quoted)
    return json.dumps(value)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
