"""Types: from what an editor wrote to what a value must be, with the names of types and entities looked up.

A property may name a type and add keywords of its own, which win over those of the type: `{type: sku, maxLength: 32}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from collector.plan.column import column_complaint
from collector.plan.keywords import APPLIES, COLUMN, KINDS, PII, PROPERTY, SCALARS, TYPE, UNITED, check_keywords
from collector.plan.model import Column, Limits, Pii, Property, Type
from collector.plan.pattern import PatternError, longest_match, translate
from collector.plan.problems import Mark, Problems, nearest
from collector.plan.read import Leaf, Map, Seq, Value, plain

INT64_MAX = 2**63 - 1

# Both paths of check.py search with these; each is anchored and linear.
FORMATS: dict[str, tuple[str, int]] = {
    "email": (r"\A[^@\s]{1,64}@[^@\s]{1,253}\Z", 254),
    "uri": (r"\A[A-Za-z][A-Za-z0-9+.\-]{0,31}:[^\s]*\Z", 2_048),
    "uuid": (r"\A[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z", 36),
}
_FORMAT_KINDS = {"date": "date", "date-time": "datetime"}
_BOUNDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
}


# Objects and lists within one another. Each level costs every reader of the plan some calls on its stack.
LEVELS_MAX = 50


class Resolver:
    """Builds types. `definitions` are the entries of `types:` and `entities:`, by name."""

    def __init__(self, definitions: Mapping[str, Value], limits: Limits, problems: Problems) -> None:
        self.definitions = definitions
        self.limits = limits
        self.problems = problems
        self.examples: list[tuple[Type, Any, Mark]] = []  # looked at by load.py once every type is known
        self._open: list[str] = []
        self._level = 0
        self._too_deep = False

    def properties(self, found: Map) -> tuple[Property, ...]:
        """The properties of one `properties:` mapping."""
        made = [self._property(name, value, found.keys[name]) for name, value in found.entries.items()]
        words = [(name, (name, *prop.aliases), found.keys[name]) for name, prop in zip(found.keys, made, strict=True)]
        self.problems.add_alike(words, "properties")
        return tuple(made)

    def _property(self, name: str, value: Value, mark: Mark) -> Property:
        if any(char in name for char in '"\\') or not name.isprintable() or not name:
            self.problems.add(mark, f'"{name}" cannot be a property name; use letters, digits and _')
            name = "invalid"
        keywords = self._keywords(value, PROPERTY, f"property {name}")
        made, merged = self._type(keywords, value.mark, name)
        return Property(
            name=name,
            type=made,
            required=_leaf(keywords, "required") is True,
            aliases=strings(keywords.get("aliases")),
            description=str(_leaf(merged, "description") or ""),
            owner=str(_leaf(merged, "owner") or ""),
            tags=strings(merged.get("tags")),
            deprecated=deprecated(merged),
        )

    def type_of(self, value: Value, name: str) -> Type:
        """The type that a definition, `items` or `values` describes. `name` is for messages."""
        return self._type(self._keywords(value, TYPE, name), value.mark, name)[0]

    def _keywords(self, value: Value, known: Mapping[str, Any], place: str) -> dict[str, Value]:
        """The keywords of one type; `items: sku` and `items: [string, number]` are short for {type: …}."""
        if isinstance(value, Map):
            return check_keywords(value, known, place, self.problems)
        complaint = TYPE["type"].complaint(value)
        if complaint is None:
            return {"type": value}
        self.problems.add(value.mark, f"{place} must be a mapping of keywords such as {{type: string}}")
        return {"type": Leaf("string", value.mark)}

    def _type(self, keywords: dict[str, Value], mark: Mark, name: str) -> tuple[Type, dict[str, Value]]:
        """The type, and all keywords that hold of it once the names in it are followed."""
        if self._level >= LEVELS_MAX:
            if not self._too_deep:  # once: whatever leads there is too deep as well
                self.problems.add(mark, f"{name} is nested deeper than {LEVELS_MAX} levels; use fewer")
            self._too_deep = True
            return Type(kind="any"), {}
        opened = len(self._open)
        self._level += 1
        try:
            kinds, merged = self._follow(keywords, mark, name)
            made = self._union(kinds, merged, name) if len(kinds) > 1 else self._single(kinds[0], merged, name)
            return self._declared(made, merged, name), merged
        finally:
            self._level -= 1
            del self._open[opened:]

    def _follow(self, keywords: dict[str, Value], mark: Mark, name: str) -> tuple[list[str], dict[str, Value]]:
        """Follow `type:` through the definitions it names, down to kinds; outer keywords win over inner ones."""
        merged = dict(keywords)
        while True:
            stated = merged.pop("type", None)
            if stated is None:
                guess = next((kind for word, kind in _IMPLIED.items() if word in merged), None)
                if guess is None:
                    self.problems.add(mark, f"{name} has no type; add one such as type: string")
                return [guess or "string"], merged
            names = [stated] if isinstance(stated, Leaf) else list(stated.items) if isinstance(stated, Seq) else []
            words = [str(item.value) for item in names if isinstance(item, Leaf)]
            if len(words) != 1:
                return self._members(words, stated, name), merged
            word = words[0]
            if word in KINDS:
                return [word], merged
            if word not in self.definitions:
                known = [*KINDS, *self.definitions]
                if not self.problems.lost("types", "entities"):
                    self.problems.add(stated.mark, f'the type "{word}" is not known{nearest(word, known)}')
                return ["string"], {key: value for key, value in merged.items() if key not in APPLIES}
            if word in self._open:
                self.problems.add_cycle(stated.mark, self._open[self._open.index(word) :])
                return ["string"], {key: value for key, value in merged.items() if key not in APPLIES}
            self._open.append(word)
            merged = {**self._keywords(self.definitions[word], TYPE, f"type {word}"), **merged}

    def _members(self, words: list[str], stated: Value, name: str) -> list[str]:
        for word in words:
            if word not in UNITED:
                self.problems.add(
                    stated.mark,
                    f'"{word}" cannot be one of several types of {name}; a union holds {", ".join(UNITED)}',
                )
        if not words:
            self.problems.add(stated.mark, f"the list of types of {name} is empty; name at least one")
        return [word for word in dict.fromkeys(words) if word in UNITED] or ["string"]

    def _union(self, kinds: list[str], keywords: dict[str, Value], name: str) -> Type:
        for key, value in keywords.items():
            if key in APPLIES and (key in ("enum", "const", "format") or not APPLIES[key] & set(kinds)):
                self.problems.add(value.mark, f'"{key}" does not apply to {name}, which is {" or ".join(kinds)}')
        members = tuple(
            self._single(
                kind,
                {key: value for key, value in keywords.items() if key in APPLIES and kind in APPLIES[key]},
                name,
            )
            for kind in kinds
        )
        union = Type(kind="union", members=members, nullable=_leaf(keywords, "nullable") is True)
        return self._with_examples(union, keywords)

    def _single(self, kind: str, keywords: dict[str, Value], name: str) -> Type:
        facts: dict[str, Any] = {"nullable": _leaf(keywords, "nullable") is True}
        if kind == "string" and _leaf(keywords, "format") in _FORMAT_KINDS:
            kind = _FORMAT_KINDS[str(_leaf(keywords, "format"))]
            keywords = {key: value for key, value in keywords.items() if key != "format"}
        for key, value in keywords.items():
            if key in APPLIES and kind not in APPLIES[key]:
                self.problems.add(value.mark, f'"{key}" does not apply to {name}, which is of type {kind}')
        mine = {key: value for key, value in keywords.items() if key in APPLIES and kind in APPLIES[key]}
        if kind == "string":
            facts |= self._string(mine, name)
        elif kind in ("integer", "number", "decimal"):
            facts |= self._numeric(kind, mine, name)
        elif kind == "array":
            facts |= self._range(mine, "minItems", "maxItems", name)
            facts["items"] = self.type_of(mine["items"], f"items of {name}") if "items" in mine else Type(kind="any")
        elif kind == "object" and "properties" in mine:
            if "maxProperties" in mine:
                self.problems.add(mine["maxProperties"].mark, f'"maxProperties" does not apply to {name}, whose '
                                  "properties are all named; remove it")  # fmt: skip
            assert isinstance(mine["properties"], Map)
            facts["properties"] = self.properties(mine["properties"])
        elif kind in ("object", "map"):
            kind = "map"
            facts["max_properties"] = _leaf(mine, "maxProperties")
            facts["values"] = (
                self.type_of(mine["values"], f"values of {name}") if "values" in mine else Type(kind="any")
            )
        if "enum" in mine or "const" in mine:
            facts["enum"] = self._enum(kind, mine, name)
        return self._with_examples(Type(kind=kind, **facts), keywords)

    def _declared(self, made: Type, keywords: dict[str, Value], name: str) -> Type:
        """The type with what is declared of it: its unit, its column, and whether it is about a person."""
        facts: dict[str, Any] = {"unit": str(_leaf(keywords, "unit") or "")}
        if isinstance(column := keywords.get("column"), Map):
            good = check_keywords(column, COLUMN, f"the column of {name}", self.problems)
            facts["column"] = Column(**{key: str(plain(value)) for key, value in good.items()})
            if "type" in good and (complaint := column_complaint(facts["column"].type, made)):
                self.problems.add(good["type"].mark, f"the column of {name} does not fit: {complaint}")
        if isinstance(pii := keywords.get("pii"), Map):
            facts["pii"] = self._pii(pii, made, name)
        return structs.replace(made, **facts)

    def _pii(self, found: Map, made: Type, name: str) -> Pii | None:
        good = check_keywords(found, PII, f"the pii of {name}", self.problems)
        if "class" not in found.entries:
            self.problems.add(found.mark, f'the pii of {name} has no "class"; add one such as class: email')
        handling = str(_leaf(good, "handling") or "keep")
        if handling not in ("keep", "drop") and made.kind != "string":
            at = good["handling"].mark
            self.problems.add(at, f"{handling} is for texts and {name} is of type {made.kind}; use keep or drop")
        if "keep" in good and handling != "strip_query_except":
            self.problems.add(
                good["keep"].mark, '"keep" lists query parameters, so it needs strip_query_except; add it'
            )
        if "class" not in good:
            return None
        return Pii(pii_class=str(_leaf(good, "class")), handling=handling, keep=strings(good.get("keep")))

    def _with_examples(self, made: Type, keywords: dict[str, Value]) -> Type:
        examples = keywords.get("examples")
        if not isinstance(examples, Seq):
            return made
        values = [(plain(item), item.mark) for item in examples.items]
        self.examples.extend((made, value, mark) for value, mark in values)
        return structs.replace(made, examples=tuple(value for value, _ in values))

    def _range(self, keywords: dict[str, Value], low: str, high: str, name: str) -> dict[str, Any]:
        least, most = _leaf(keywords, low), _leaf(keywords, high)
        if isinstance(least, int) and isinstance(most, int) and least > most:
            self.problems.add(
                keywords[low].mark, f"{name} has {low} {least} above {high} {most}; no value would be valid"
            )
        names = {"minItems": "min_items", "maxItems": "max_items", "minLength": "min_length", "maxLength": "max_length"}
        return {names[low]: least or 0, names[high]: most}

    def _string(self, keywords: dict[str, Value], name: str) -> dict[str, Any]:
        facts = self._range(keywords, "minLength", "maxLength", name)
        pattern, form = _leaf(keywords, "pattern"), _leaf(keywords, "format")
        if form is not None:
            regex, longest = FORMATS[str(form)]
            facts |= {"format": form, "regex": regex, "max_length": facts["max_length"] or longest}
        if pattern is not None:
            mark = keywords["pattern"].mark
            if form is not None:
                self.problems.add(mark, f"{name} has both a format and a pattern; keep one")
            try:
                if facts["max_length"] is None:
                    facts["max_length"] = longest_match(str(pattern))
                if facts["max_length"] is None:
                    self.problems.add(
                        mark, f"{name} has a pattern but no maxLength; add one, the pattern's cost grows with it"
                    )
                facts["regex"] = translate(str(pattern), facts["max_length"] or 1)
                facts["pattern"] = pattern
            except PatternError as error:
                self.problems.add(mark, f"the pattern of {name} cannot be used: {error}")
        if facts["max_length"] is None:
            facts["max_length"] = self.limits.max_string
        return facts

    def _numeric(self, kind: str, keywords: dict[str, Value], name: str) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        for word, field in _BOUNDS.items():
            bound = _leaf(keywords, word)
            if bound is None or isinstance(bound, str):
                continue
            mark = keywords[word].mark
            if kind == "integer" and (not isinstance(bound, int) or abs(bound) > INT64_MAX):
                self.problems.add(mark, f'"{word}" of the integer {name} must be a whole number of at most 64 bits')
            elif not abs(bound) < 1e300:
                self.problems.add(mark, f'"{word}" of {name} is too large for a number; the limit is 1e300')
            elif word == "multipleOf" and bound <= 0:
                self.problems.add(mark, f'"multipleOf" of {name} must be above 0')
            else:
                facts[field] = bound
        for side, other in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if side in keywords and other in keywords:
                self.problems.add(keywords[other].mark, f"{name} has both {side} and {other}; keep one")
        low = facts.get("minimum", facts.get("exclusive_minimum"))
        high = facts.get("maximum", facts.get("exclusive_maximum"))
        if low is not None and high is not None and low > high:
            word = "minimum" if "minimum" in keywords else "exclusiveMinimum"
            self.problems.add(keywords[word].mark, f"{name} has the lower bound {low} above the upper bound {high}")
        if kind == "decimal":
            precision, scale = _leaf(keywords, "precision"), _leaf(keywords, "scale")
            facts |= {"precision": precision or 18, "scale": 4 if scale is None else scale}
            if facts["scale"] > facts["precision"]:
                where = keywords.get("scale", keywords.get("precision"))
                assert where is not None
                self.problems.add(where.mark, f"{name} has a scale above its precision, which counts all digits")
        return facts

    def _enum(self, kind: str, keywords: dict[str, Value], name: str) -> tuple[str | int, ...]:
        if "enum" in keywords and "const" in keywords:
            self.problems.add(keywords["const"].mark, f"{name} has both enum and const; keep one")
        listed = keywords.get("enum", keywords.get("const"))
        assert listed is not None
        items = listed.items if isinstance(listed, Seq) else (listed,)
        wanted = str if kind == "string" else int
        values: list[str | int] = []
        for item in items:
            value = item.value if isinstance(item, Leaf) else None
            if type(value) is not wanted:
                advice = "put it in quotes" if kind == "string" else "write whole numbers without quotes"
                self.problems.add(item.mark, f"{plain(item)!r} is not a {kind}, which {name} lists; {advice}")
            elif isinstance(value, int) and abs(value) > INT64_MAX:
                self.problems.add(item.mark, f"{value} does not fit in 64 bits; choose smaller numbers")
            elif value in values:
                self.problems.add(item.mark, f"{value!r} is listed twice in {name}; keep one")
            else:
                assert isinstance(value, str | int)
                values.append(value)
        if not items:
            self.problems.add(listed.mark, f"the enum of {name} is empty; no value would be valid")
        return tuple(values)


_IMPLIED = {"properties": "object", "items": "array", "values": "map"}


def _leaf(keywords: Mapping[str, Value], key: str) -> str | int | float | bool | None:
    value = keywords.get(key)
    return value.value if isinstance(value, Leaf) else None


def strings(found: Value | None) -> tuple[str, ...]:
    """A list of texts, whose shape has been checked; empty where there is none."""
    return tuple(str(plain(item)) for item in found.items) if isinstance(found, Seq) else ()


def deprecated(keywords: Mapping[str, Value]) -> bool | str:
    """`deprecated: true`, or the text that says what to use instead."""
    stated = _leaf(keywords, "deprecated")
    return stated if isinstance(stated, bool | str) else False


__all__ = ["FORMATS", "SCALARS", "Resolver", "deprecated", "strings"]
