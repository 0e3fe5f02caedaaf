"""JSON Schema (drafts 4 to 2020-12) as the keywords of a plan. What a plan cannot say becomes a note, never a guess.

A property is at least as lenient as its schema unless the note says so, so that no event is refused for being imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from collector.plan.convert.draft import Draft
from collector.plan.pattern import PatternError, translate
from collector.plan.problems import fold
from collector.plan.rules import INT64_MAX

Spell = Callable[[str], str]

# Deeper schemas than this were not written for events.
LEVELS_MAX = 12
_NAME_MAX = 128
_FORMATS = frozenset({"email", "uri", "uuid", "date", "date-time"})
_SCALARS = ("string", "integer", "number", "boolean")
_ANYTHING = {"type": ["string", "number", "boolean"], "nullable": True}
_SILENT = frozenset(  # they say nothing of what is valid, or are read elsewhere
    [
        "$schema",
        "$id",
        "id",
        "$comment",
        "$defs",
        "definitions",
        "title",
        "description",
        "default",
        "examples",
        "example",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minItems",
        "maxItems",
        "maxProperties",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "readOnly",
        "writeOnly",
        "deprecated",
        "nullable",
        "self",
        "labels",
        "tags",
    ]
)
# The lengths tried for a pattern whose schema states none: the plan's own limit first.
_LENGTHS = (4_096, 1_024, 256)


class Reader:
    """Reads one schema document. `spell` makes a name snake_case; `draft` gets the notes."""

    def __init__(self, document: dict[str, Any], draft: Draft, spell: Spell) -> None:
        self.document = document
        self.draft = draft
        self.spell = spell
        self._open: list[str] = []  # references on the way here

    def properties(self, schema: dict[str, Any], where: str, level: int = 0) -> dict[str, dict[str, Any]]:
        """The members of an object schema as properties. Names become snake_case; the old one stays as an alias."""
        schema = self._resolved(schema, where)
        found = schema.get("properties")
        required = schema.get("required")
        wanted = set(required) if isinstance(required, list) else set()
        made: dict[str, dict[str, Any]] = {}
        seen: dict[str, str] = {}
        entries: dict[str, Any] = found if isinstance(found, dict) else {}
        for missing in sorted(wanted - set(entries), key=str):
            entries = entries | {str(missing): {}}
        for original, value in entries.items():
            name = self._name(str(original), f"{where}.{original}")
            if name is None:
                continue
            if value is False:
                self.draft.note(f"{where}.{original}", "its schema is false, which no value follows; it was left out")
                continue
            if fold(name) in seen:
                first = seen[fold(name)]
                self.draft.note(
                    f"{where}.{original}", f"the same name as {first} but for case; {first} stands for both"
                )
                if original != name:
                    made[first].setdefault("aliases", []).append(original)
                continue
            keywords = self.value(value if isinstance(value, dict) else {}, f"{where}.{original}", level + 1)
            if original in wanted:
                keywords["required"] = True
            if isinstance(value, dict) and value.get("required") is True:  # draft 3, and hand-written plans
                keywords["required"] = True
            if original != name:
                keywords["aliases"] = [original]
            made[name] = keywords
            seen[fold(name)] = name
        return made

    def _name(self, original: str, where: str) -> str | None:
        name = self.spell(original)
        if not name or len(original) > _NAME_MAX or '"' in original or "\\" in original or not original.isprintable():
            self.draft.note(where, "this name cannot be one of a property; it was left out")
            return None
        return name

    def value(self, schema: dict[str, Any], where: str, level: int = 0) -> dict[str, Any]:
        """The keywords of one value."""
        reference = schema.get("$ref")
        if reference in self._open:
            self.draft.note(where, f"it holds itself ({reference}); the plan takes any object there")
            return {"type": "object"}
        opened = len(self._open)
        self._open += [reference] if isinstance(reference, str) else []
        try:
            return self._value(schema, where, level)
        finally:
            del self._open[opened:]

    def _value(self, schema: dict[str, Any], where: str, level: int) -> dict[str, Any]:
        if level > LEVELS_MAX:
            self.draft.note(where, f"it is nested more than {LEVELS_MAX} levels deep; it may be any object")
            return {"type": "object"}
        schema = self._resolved(schema, where)
        for word in sorted(set(schema) - _SILENT):
            if not word.startswith("x-"):
                self.draft.note(where, f'"{word}" has no counterpart; it is not checked')
        kinds, nullable = self._kinds(schema, where)
        made = self._typed(kinds, schema, where, level)
        if nullable:
            made["nullable"] = True
        text = schema.get("description") or schema.get("title")
        if isinstance(text, str) and text.strip():
            made["description"] = " ".join(text.split())
        if schema.get("deprecated") is True:
            made["deprecated"] = True
        self._examples(made, schema)
        return made

    def _resolved(self, schema: dict[str, Any], where: str) -> dict[str, Any]:
        """The schema with `$ref` and `allOf` laid in, and the one alternative that is not null taken from anyOf."""
        for _ in range(LEVELS_MAX):
            if isinstance(ref := schema.get("$ref"), str):
                target = self._target(ref)
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                if target is None:
                    self.draft.note(where, f"{ref} is not in this file; it may be anything")
                    return rest
                schema = target | rest
            elif isinstance(parts := schema.get("allOf"), list):
                schema = _merged({k: v for k, v in schema.items() if k != "allOf"}, parts)
            elif (alternatives := schema.get("anyOf", schema.get("oneOf"))) and isinstance(alternatives, list):
                rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
                schema = self._alternatives(rest, [entry for entry in alternatives if isinstance(entry, dict)], where)
            else:
                return schema
        self.draft.note(where, "its references lead in a circle; it may be anything")
        return {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}

    def _target(self, ref: str) -> dict[str, Any] | None:
        if not ref.startswith("#"):
            return None
        found: Any = self.document
        for part in ref[1:].split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else None

    def _alternatives(self, rest: dict[str, Any], entries: list[dict[str, Any]], where: str) -> dict[str, Any]:
        real = [entry for entry in entries if entry.get("type") != "null"]
        null = ["null"] if len(real) < len(entries) else []
        if len(real) == 1:
            one = real[0]
            kinds = one.get("type")
            return rest | one | ({"type": [*_listed(kinds), *null]} if null and kinds else {})
        if all(set(entry) <= {"required"} for entry in real):
            self.draft.note(where, "which of several properties are required depends on the others; none is required")
            return rest
        kinds = [kind for entry in real for kind in _listed(entry.get("type"))]
        same = [key for key in set.union(set(), *real) if all(key in e and e[key] == real[0][key] for e in real)]
        if any(set(entry) - {"type", "description", "title"} - set(same) for entry in real):
            self.draft.note(where, "its alternatives differ in more than their type; only the types are checked")
        return rest | {"type": list(dict.fromkeys([*kinds, *null]))} if kinds else rest

    def _kinds(self, schema: dict[str, Any], where: str) -> tuple[list[str], bool]:
        stated = _listed(schema.get("type"))
        nullable = "null" in stated or schema.get("nullable") is True
        kinds = [kind for kind in stated if kind != "null"]
        values = schema.get("enum") if isinstance(schema.get("enum"), list) else None
        if values is None and "const" in schema:
            values = [schema["const"]]
        if values is not None and None in values:
            nullable = True
        if not kinds and values:
            kinds = list(dict.fromkeys(_kind_of(value) for value in values if value is not None))
        if not kinds:
            kinds = ["object"] if "properties" in schema else ["array"] if "items" in schema else []
        unknown = [kind for kind in kinds if kind not in (*_SCALARS, "array", "object")]
        if unknown:
            self.draft.note(where, f'the type "{unknown[0]}" is not known; it may be any scalar')
            kinds = [kind for kind in kinds if kind not in unknown]
        return kinds, nullable

    def _typed(self, kinds: list[str], schema: dict[str, Any], where: str, level: int) -> dict[str, Any]:  # noqa: PLR0911 - one answer for each kind
        if not kinds:
            self.draft.note(where, "it may be of any type; the plan takes a string, a number, true, false or null")
            return dict(_ANYTHING)
        if len(kinds) > 1:
            return self._union(kinds, schema, where)
        match kinds[0]:
            case "string":
                return self._string(schema, where)
            case "integer" | "number":
                return self._number(kinds[0], schema, where)
            case "boolean":
                if isinstance(schema.get("enum"), list) or "const" in schema:
                    self.draft.note(where, "which of true and false is allowed is not checked")
                return {"type": "boolean"}
            case "array":
                return self._array(schema, where, level)
        return self._object(schema, where, level)

    def _union(self, kinds: list[str], schema: dict[str, Any], where: str) -> dict[str, Any]:
        scalars = [kind for kind in kinds if kind in _SCALARS]
        if len(scalars) < len(kinds):
            self.draft.note(where, f"it may be {' or '.join(kinds)}; the plan takes the scalars of these")
        if any(word in schema for word in ("enum", "const", "pattern", "format")):
            self.draft.note(where, "the values of a union are not checked beyond their types")
        if "number" in scalars and "integer" in scalars:
            scalars.remove("integer")
        if not scalars:
            return {"type": "object"}
        return {"type": scalars if len(scalars) > 1 else scalars[0]}

    def _string(self, schema: dict[str, Any], where: str) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "string"}
        if (values := self._enum(schema, str, where)) is not None:
            return made | {"enum": values}
        made |= self._sizes(schema, "minLength", "maxLength", where)
        stated = schema.get("format")
        if stated in _FORMATS:
            if stated in ("date", "date-time"):
                for word in ("minLength", "maxLength"):
                    made.pop(word, None)
                return {"type": "date" if stated == "date" else "datetime"}
            made["format"] = stated
        elif isinstance(stated, str):
            self.draft.note(where, f'the format "{stated}" has no counterpart; it is not checked')
        if isinstance(pattern := schema.get("pattern"), str):
            if "format" in made:
                self.draft.note(where, f"a pattern beside a format is not checked: {pattern}")
            else:
                made |= self._pattern(pattern, made.get("maxLength"), where)
        return made

    def _pattern(self, pattern: str, longest: int | None, where: str) -> dict[str, Any]:
        problem = ""
        for length in (longest,) if longest is not None else _LENGTHS:
            try:
                translate(pattern, length)
            except PatternError as error:
                problem = problem or str(error)
            else:
                if longest is None and length != _LENGTHS[0]:
                    self.draft.note(where, f"its pattern needs a limit to be checked; maxLength {length:,} was added")
                return {"pattern": pattern, "maxLength": length}
        self.draft.note(where, f"the pattern {pattern} is not checked: {problem}")
        return {}

    def _number(self, kind: str, schema: dict[str, Any], where: str) -> dict[str, Any]:
        made: dict[str, Any] = {"type": kind}
        values = self._enum(schema, int, where)
        if values is not None:
            return {"type": "integer", "enum": values}
        bounds: dict[str, Any] = {}
        for word, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            plain, strict = schema.get(word), schema.get(exclusive)
            if strict is True:  # draft 4
                plain, strict = None, plain
            if _is_number(strict) and not (_is_number(plain) and _tighter(word, plain, strict)):
                bounds[exclusive] = strict
            elif _is_number(plain):
                bounds[word] = plain
        step: Any = schema.get("multipleOf")
        if _is_number(step) and step > 0:
            bounds["multipleOf"] = step
        for word, bound in bounds.items():
            if kind == "integer" and isinstance(bound, float) and bound.is_integer():
                bound = int(bound)  # noqa: PLW2901 - the same bound, as the plan writes it
            if (kind == "integer" and (isinstance(bound, float) or abs(bound) > INT64_MAX)) or abs(bound) >= 1e300:
                self.draft.note(where, f"{word} {bound} is not one of a {kind}; it is not checked")
            else:
                made[word] = bound
        low = made.get("minimum", made.get("exclusiveMinimum"))
        high = made.get("maximum", made.get("exclusiveMaximum"))
        if low is not None and high is not None and low > high:
            self.draft.note(where, f"no number is both above {low} and below {high}; neither is checked")
            made = {"type": kind}
        return made

    def _array(self, schema: dict[str, Any], where: str, level: int) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "array"}
        items = schema.get("items")
        if isinstance(items, list) or "prefixItems" in schema:
            self.draft.note(where, "items with a type for each place are not checked")
        elif isinstance(items, dict) and items:
            inner = self.value(items, f"{where}[]", level + 1)
            for word in ("required", "aliases"):
                inner.pop(word, None)
            made["items"] = inner
        return made | self._sizes(schema, "minItems", "maxItems", where)

    def _object(self, schema: dict[str, Any], where: str, level: int) -> dict[str, Any]:
        more = schema.get("additionalProperties")
        if isinstance(schema.get("properties"), dict) and schema["properties"]:
            if more is True or isinstance(more, dict):
                self.draft.note(where, "it may hold further properties; the plan flags those that are not named")
            inner = self.properties(schema, where, level)
            if inner:
                return {"type": "object", "properties": inner}
        if isinstance(more, dict) and more:
            values = self.value(more, f"{where}.*", level + 1)
            limit = self._sizes(schema, "", "maxProperties", where)
            return {"type": "map", "values": values} | limit
        return {"type": "object"} | self._sizes(schema, "", "maxProperties", where)

    def _enum(self, schema: dict[str, Any], wanted: type, where: str) -> list[Any] | None:
        listed = schema.get("enum") if "enum" in schema else [schema["const"]] if "const" in schema else None
        if not isinstance(listed, list):
            return None
        values = [value for value in dict.fromkeys(map(_hashable, listed)) if value is not None]
        if values and all(type(value) is wanted for value in values):
            return values
        self.draft.note(where, "its listed values are of several types; they are not checked")
        return None

    def _sizes(self, schema: dict[str, Any], low: str, high: str, where: str) -> dict[str, Any]:
        made = {}
        for word in (low, high):
            size = schema.get(word) if word else None
            if isinstance(size, float) and size.is_integer():
                size = int(size)
            if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**31:
                made[word] = size
        if made.get(low, 0) > made.get(high, 2**31):
            self.draft.note(where, f"{low} is above {high}; neither is checked")
            return {}
        return made

    @staticmethod
    def _examples(made: dict[str, Any], schema: dict[str, Any]) -> None:
        """Examples that are certainly valid: the plan refuses others."""
        listed = schema.get("examples", [schema["example"]] if "example" in schema else [])
        if not isinstance(listed, list):
            return
        good = [value for value in listed if _is_example(made, value)]
        if good:
            made["examples"] = good[:5]


def _is_example(made: dict[str, Any], value: Any) -> bool:  # noqa: PLR0911 - one answer for each kind
    if "enum" in made:
        return value in made["enum"]
    if set(made) & {"format", "pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}:
        return False
    match made["type"]:
        case "string":
            return isinstance(value, str) and made.get("minLength", 0) <= len(value) <= min(
                made.get("maxLength", 256), 256
            )
        case "integer":
            return type(value) is int and abs(value) < INT64_MAX
        case "number":
            return type(value) in (int, float)
        case "boolean":
            return isinstance(value, bool)
    return False


def _merged(schema: dict[str, Any], parts: list[Any]) -> dict[str, Any]:
    """`allOf`: properties and required are joined, for the rest the last one wins."""
    for part in parts:
        if isinstance(part, dict):
            joined = schema | part
            for word in ("properties",):
                if isinstance(schema.get(word), dict) and isinstance(part.get(word), dict):
                    joined[word] = schema[word] | part[word]
            if isinstance(schema.get("required"), list) and isinstance(part.get("required"), list):
                joined["required"] = [*schema["required"], *part["required"]]
            schema = joined
    return schema


def _listed(kinds: Any) -> list[str]:
    return [str(kind) for kind in kinds] if isinstance(kinds, list) else [kinds] if isinstance(kinds, str) else []


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "integer", float: "number", list: "array", dict: "object"}.get(type(value), "string")


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, list | dict) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tighter(word: str, plain: Any, strict: Any) -> bool:
    return bool(plain > strict if word == "minimum" else plain < strict)


_VERSION = re.compile(r"([0-9]{1,5})(?:[.-]([0-9]{1,5}))?(?:[.-]([0-9]{1,5}))?")


def version_of(stated: Any) -> str:
    """Another product's version, such as 3, "1-0-2" or "2.1", as three numbers of which the first is at least 1."""
    found = _VERSION.fullmatch(str(stated).strip()) if stated is not None else None
    numbers = [int(part or 0) for part in found.groups()] if found else [1, 0, 0]
    return ".".join(str(number) for number in ([1, 0, 0] if numbers[0] < 1 else numbers))
