"""Two types, old and new: would a value that was valid be refused, or read otherwise?

Every function adds findings and returns nothing. Where a rule cannot tell, it says major: a version must not promise
what it does not know. The property-based test in tests/plan/test_plan_compat_fuzz.py holds these rules to what
rules.py accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from collector.plan.model import Pii, Property, Type
from collector.plan.problems import fold
from collector.plan.rules import fits_of, token

# Adds one finding: rule, pointer, sentence.
Add: TypeAlias = Callable[[str, str, str], None]
# Told of a property that is new, or of one that got a new alias, with its pointer and the new name.
Added: TypeAlias = Callable[[Property, str, str], None]
Bound: TypeAlias = tuple[int | float, int]

# The exact remainder that rules.py takes has 500 digits; below this a step could need more, and a value that was a
# multiple would no longer be known to be one.
_SMALLEST_STEP = Decimal("1e-100")
_EXACT = Context(prec=500)


@lru_cache(maxsize=4_096)  # an edit of a group shows at one pointer in very many events
def spoken(pointer: str) -> str:
    """A pointer as people write it: /properties/items/*/sku is items[].sku."""
    text = pointer.removeprefix("/properties").replace("/*", "[]").replace("/", ".").removeprefix(".")
    return text.replace("~1", "/").replace("~0", "~") or "the properties"


def described(kind: Type) -> str:
    """The type in a few words."""
    if kind.kind == "union":
        return " or ".join(member.kind for member in kind.members)
    if kind.kind == "array" and kind.items is not None and kind.items.kind != "any":
        return f"array of {described(kind.items)}"
    if kind.kind == "map" and kind.values is not None and kind.values.kind != "any":
        return f"map of {described(kind.values)}"
    return kind.kind


def compare_members(old: tuple[Property, ...], new: tuple[Property, ...], at: str, add: Add, added: Added) -> None:
    """The properties of an event or an object."""
    if old == new:
        return
    by_name = {prop.name: prop for prop in new}
    by_alias = {alias: prop for prop in new for alias in prop.aliases}
    before = {prop.name for prop in old}
    kept: set[str] = set()
    gone: list[Property] = []
    for prop in old:
        match = by_name.get(prop.name) or by_alias.get(prop.name)
        if match is None:
            gone.append(prop)
            continue
        pointer = f"{at}/{token(match.name)}"
        if match.name != prop.name:
            if match.name in before or match.name in kept:
                add("PROPERTY_MERGED", f"{at}/{token(prop.name)}", f"{prop.name} became an alias of {match.name} "
                    "like another property before it, so one of two values is lost; keep both")  # fmt: skip
                continue
            add("PROPERTY_RENAMED", pointer, f"{prop.name} is {match.name} now and may still be sent as {prop.name}")
        kept.add(match.name)
        _compare_property(prop, match, pointer, add, added)
    fresh = [prop for prop in new if prop.name not in kept and prop.name not in before]
    for prop in gone:
        _removed(prop, fresh, f"{at}/{token(prop.name)}", add)
    for prop in fresh:
        added(prop, f"{at}/{token(prop.name)}", prop.name)


def _removed(prop: Property, fresh: list[Property], pointer: str, add: Add) -> None:
    near = next((other for other in fresh if fold(other.name) == fold(prop.name)), None)
    near = near or next((other for other in fresh if len(fresh) == 1 and other.type.kind == prop.type.kind), None)
    advice = f"if it is {near.name} now, give that aliases: [{prop.name}]" if near else "deprecate it first"
    add("PROPERTY_REMOVED", pointer, f"{spoken(pointer)} was removed; {advice}")


def _compare_property(old: Property, new: Property, at: str, add: Add, added: Added) -> None:
    if old == new:
        return
    try:
        told = _told(old, new, at)
    except TypeError:  # an example that is a list or an object has no hash
        told = _told.__wrapped__(old, new, at)
    for rule, prop, pointer, words in told:
        if prop is None:
            add(rule, pointer, words)
        else:
            added(prop, pointer, words)


# Of each finding about a property its rule, pointer and sentence; of each new name the property, pointer and name.
_Told: TypeAlias = tuple[tuple[str, Property | None, str, str], ...]


@lru_cache(maxsize=4_096)  # one edit of a group or a type is the same pair of properties in very many events
def _told(old: Property, new: Property, at: str) -> _Told:
    """All there is to say of a property that changed, in order; which event it is in plays no part."""
    told: list[tuple[str, Property | None, str, str]] = []

    def add(rule: str, pointer: str, sentence: str) -> None:
        told.append((rule, None, pointer, sentence))

    def added(prop: Property, pointer: str, name: str) -> None:
        told.append(("", prop, pointer, name))

    _judge_property(old, new, at, add, added)
    return tuple(told)


def _judge_property(old: Property, new: Property, at: str, add: Add, added: Added) -> None:
    name = spoken(at)
    if new.required and not old.required:
        add("REQUIRED_ADDED", at, f"{name} is required now; events without it are refused")
    elif old.required and not new.required:
        add("REQUIRED_REMOVED", at, f"{name} is optional now")
    words = {new.name, *new.aliases}
    for alias in old.aliases:
        if alias not in words:
            add("ALIAS_REMOVED", at, f"{name} may no longer be sent as {alias}; put the alias back")
    for alias in new.aliases:
        if alias not in (old.name, *old.aliases):
            added(new, at, alias)
    for rule, what in (
        ("DESCRIPTION_CHANGED", "description"),
        ("OWNER_CHANGED", "owner"),
        ("TAGS_CHANGED", "tags"),
        ("DEPRECATED_CHANGED", "deprecated"),
    ):
        if getattr(old, what) != getattr(new, what):
            add(rule, at, f"{name} has other words under {what}")
    compare_types(old.type, new.type, at, add, added)


def compare_types(old: Type, new: Type, at: str, add: Add, added: Added) -> None:
    """One type against the one that takes its place."""
    if old == new:
        return
    name = spoken(at)
    if old.nullable and not new.nullable and new.kind != "any":
        add("NULLABLE_REMOVED", at, f"{name} may no longer be null")
    elif new.nullable and not old.nullable and old.kind != "any":
        add("NULLABLE_ADDED", at, f"{name} may be null now")
    _compare_meaning(old, new, at, add)
    if _kinds(old) != _kinds(new):
        add("TYPE_CHANGED", at, f"{name} was {described(old)} and is {described(new)}; "
            "add a property of another name instead")  # fmt: skip
        return
    match old.kind:
        case "union":
            members = {member.kind: member for member in new.members}
            for member in old.members:
                compare_types(member, members[member.kind], at, add, added)
        case "object":
            compare_members(old.properties, new.properties, at, add, added)
        case "array":
            assert old.items is not None
            assert new.items is not None
            _counts(at, add, ("minItems", old.min_items, new.min_items), ("maxItems", old.max_items, new.max_items))
            compare_types(old.items, new.items, f"{at}/*", add, added)
        case "map":
            assert old.values is not None
            assert new.values is not None
            _counts(at, add, ("", 0, 0), ("maxProperties", old.max_properties, new.max_properties))
            compare_types(old.values, new.values, f"{at}/*", add, added)
        case "string" | "integer" | "number" | "decimal":
            _compare_scalar(old, new, at, add)


def _kinds(kind: Type) -> tuple[str, frozenset[str]]:
    return kind.kind, frozenset(member.kind for member in kind.members)


def _compare_meaning(old: Type, new: Type, at: str, add: Add) -> None:
    """What a valid value stands for, and what is done to it."""
    name = spoken(at)
    if old.examples != new.examples:
        add("EXAMPLES_CHANGED", at, f"{name} has other examples")
    if old.unit != new.unit:
        add("UNIT_CHANGED", at, f"{name} had {_or_no(old.unit, 'unit')} and has {_or_no(new.unit, 'unit')}; "
            "the same number would mean something else")  # fmt: skip
    if old.column != new.column:
        add("COLUMN_CHANGED", at, f"{name} has another column; queries that read it would break")
    if old.pii != new.pii:
        add("PII_CHANGED", at, f"{name} was {_handled(old.pii)} and is {_handled(new.pii)}")


def _or_no(word: str, what: str) -> str:
    return f"the {what} {word}" if word else f"no {what}"


def _handled(pii: Pii | None) -> str:
    if pii is None:
        return "not declared as personal"
    keep = f" but {', '.join(pii.keep)}" if pii.keep else ""
    return f"declared as {pii.pii_class} ({pii.handling}{keep})"


def _compare_scalar(old: Type, new: Type, at: str, add: Add) -> None:
    """Listed values are compared as the sets they are; other values by their bounds."""
    name = spoken(at)
    if old.enum is not None:
        fitted, fits = _fitting(old), _fitting(new)
        before = [value for value in old.enum if fitted(value)]
        lost = [value for value in before if not fits(value)]
        for value in lost:
            add("ENUM_VALUE_REMOVED", at, f"{name} may no longer be {_json(value)}")
        if new.enum is None:
            if not lost:
                add("ENUM_REMOVED", at, f"{name} may be any {new.kind} now, not only listed values")
            return
        for value in new.enum:
            if value not in before and fits(value):
                add("ENUM_VALUE_ADDED", at, f"{name} may also be {_json(value)}")
        return
    if new.enum is not None:
        add("ENUM_ADDED", at, f"{name} must be one of {', '.join(_json(value) for value in new.enum[:5])}"
            f"{' …' if len(new.enum) > 5 else ''} now")  # fmt: skip
        return
    if old.kind == "string":
        _counts(at, add, ("minLength", old.min_length, new.min_length), ("maxLength", old.max_length, new.max_length))
        _pattern("pattern", old.pattern, new.pattern, at, add)
        _pattern("format", old.format, new.format, at, add)
        return
    _range("lower", _low(old), _low(new), at, add, wider=lambda before, after: after < before)
    _range("upper", _high(old), _high(new), at, add, wider=lambda before, after: after > before)
    _step(old.multiple_of, new.multiple_of, at, add)
    if old.kind == "decimal":
        _digits(old, new, at, add)


def _fitting(kind: Type) -> Callable[[str | int], bool]:
    """Is a value that is listed valid by all else that the type says, too?"""
    rest, listed = fits_of(msgspec.structs.replace(kind, enum=None)), kind.enum
    return rest if listed is None else lambda value: value in listed and rest(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _counts(at: str, add: Add, low: tuple[str, int, int], high: tuple[str, int | None, int | None]) -> None:
    """A pair of limits on a length or a count; 0 and None are none."""
    word, least, least_now = low
    _range(word, (least, 0) if least else None, (least_now, 0) if least_now else None, at, add,
           wider=lambda before, after: after < before)  # fmt: skip
    word, most, most_now = high
    _range(word, None if most is None else (most, 0), None if most_now is None else (most_now, 0), at, add,
           wider=lambda before, after: after > before)  # fmt: skip


def _range(
    word: str, old: Bound | None, new: Bound | None, at: str, add: Add, *, wider: Callable[[Bound, Bound], bool]
) -> None:
    """One bound. A Bound is a number and which side of it lies outside, so that tuples compare as bounds do."""
    if old == new:
        return
    name = f"the {word} bound of {spoken(at)}" if word in ("lower", "upper") else f"{word} of {spoken(at)}"
    if new is None:
        add("BOUND_REMOVED", at, f"{name} was {_bound(old)} and is gone")
    elif old is None:
        add("BOUND_ADDED", at, f"{name} is {_bound(new)}, there was none")
    else:
        rule = "BOUND_WIDENED" if wider(old, new) else "BOUND_NARROWED"
        add(rule, at, f"{name} was {_bound(old)} and is {_bound(new)}")


def _bound(bound: Bound | None) -> str:
    assert bound is not None
    number, side = bound
    shown = int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 1e15 else number
    return f"{shown} (excluded)" if side else str(shown)


def _low(kind: Type) -> Bound | None:
    return _side(kind, kind.minimum, kind.exclusive_minimum, 1)


def _high(kind: Type) -> Bound | None:
    return _side(kind, kind.maximum, kind.exclusive_maximum, -1)


def _side(
    kind: Type, included: int | float | None, excluded: int | float | None, inwards: int
) -> tuple[int | float, int] | None:
    """The bound as rules.py compares it: integers exactly, all else as 64-bit floats."""
    if kind.kind == "integer":
        if excluded is not None:
            return int(excluded) + inwards, 0
        return None if included is None else (int(included), 0)
    if excluded is not None:
        return float(excluded), inwards
    return None if included is None else (float(included), 0)


def _pattern(word: str, old: str | None, new: str | None, at: str, add: Add) -> None:
    if old == new:
        return
    name = spoken(at)
    if new is None:
        add("PATTERN_REMOVED", at, f"the {word} {old} of {name} is gone")
    elif old is None:
        add("PATTERN_ADDED", at, f"{name} must match the {word} {new} now")
    else:
        add("PATTERN_CHANGED", at, f"the {word} of {name} was {old} and is {new}")


def _step(old: int | float | None, new: int | float | None, at: str, add: Add) -> None:
    if old == new:
        return
    name = f"multipleOf of {spoken(at)}"
    if new is None:
        add("BOUND_REMOVED", at, f"{name} was {old} and is gone")
    elif old is None:
        add("BOUND_ADDED", at, f"{name} is {new}, there was none")
    else:
        coarse, fine = Decimal(str(old)), Decimal(str(new))
        widened = fine >= _SMALLEST_STEP and not _EXACT.remainder(coarse, fine)
        add("BOUND_WIDENED" if widened else "BOUND_NARROWED", at, f"{name} was {old} and is {new}")


def _digits(old: Type, new: Type, at: str, add: Add) -> None:
    before, after = (old.precision - old.scale, old.scale), (new.precision - new.scale, new.scale)
    if before == after:
        return
    rule = "PRECISION_NARROWED" if after[0] < before[0] or after[1] < before[1] else "PRECISION_WIDENED"
    add(rule, at, f"{spoken(at)} had {before[0]} digits before the point and {before[1]} after it, "
        f"and has {after[0]} and {after[1]}")  # fmt: skip


def kinds_by_pointer(properties: Iterable[Property], at: str = "/properties") -> dict[str, str]:
    """The type of every property at any depth, in words, by pointer; aliases too."""
    found: dict[str, str] = {}
    for prop in properties:
        for word in (prop.name, *prop.aliases):
            pointer = f"{at}/{token(word)}"
            found[pointer] = described(prop.type)
            found |= _inside(prop.type, pointer)
    return found


def _inside(kind: Type, at: str) -> dict[str, str]:
    if kind.kind == "object":
        return kinds_by_pointer(kind.properties, at)
    inner = kind.items or kind.values
    return _inside(inner, f"{at}/*") if inner is not None else {}
