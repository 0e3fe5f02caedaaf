"""Two types, old and new: would a value that was valid be refused, or read otherwise?

Every function adds findings and returns nothing. Where a rule cannot tell, it says major: a version must not promise
what it does not know. The property-based test in tests/plan/test_plan_compat_fuzz.py holds these rules to what
rules.py accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from operator import attrgetter
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


_name_of = attrgetter("name")


def spoken(pointer: str) -> str:
    """A pointer as people write it: /properties/items/*/sku is items[].sku."""
    text = pointer.removeprefix("/properties/")
    if "/" not in text and "~" not in text and text != "*":  # most pointers: a property of the event itself
        return text
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
    if list(map(_name_of, old)) == list(map(_name_of, new)):  # most edits: nothing came, went or got another name
        of_event = at == "/properties"
        for was, now in zip(old, new, strict=True):
            if was != now:
                key = token(now.name)
                pointer = f"{at}/{key}"
                # Most are what `spoken` would say, which is a call for each of them.
                name = key if of_event and key is now.name != "*" else spoken(pointer)
                _compare_property(was, now, pointer, name, add, added)
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
        if prop != match:
            _compare_property(prop, match, pointer, spoken(pointer), add, added)
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


def _compare_property(old: Property, new: Property, at: str, name: str, add: Add, added: Added) -> None:
    if new.required and not old.required:
        add("REQUIRED_ADDED", at, f"{name} is required now; events without it are refused")
    elif old.required and not new.required:
        add("REQUIRED_REMOVED", at, f"{name} is optional now")
    if old.aliases or new.aliases:
        for alias in old.aliases:
            if alias not in (new.name, *new.aliases):
                add("ALIAS_REMOVED", at, f"{name} may no longer be sent as {alias}; put the alias back")
        for alias in new.aliases:
            if alias not in (old.name, *old.aliases):
                added(new, at, alias)
    # One by one and not in a loop, which takes three times as long; so it is in all that is asked of every pair.
    if old.description != new.description:
        add("DESCRIPTION_CHANGED", at, f"{name} has other words under description")
    if old.owner != new.owner:
        add("OWNER_CHANGED", at, f"{name} has other words under owner")
    if old.tags != new.tags:
        add("TAGS_CHANGED", at, f"{name} has other words under tags")
    if old.deprecated != new.deprecated:
        add("DEPRECATED_CHANGED", at, f"{name} has other words under deprecated")
    if old.type != new.type:
        compare_types(old.type, new.type, at, name, add, added)


def compare_types(old: Type, new: Type, at: str, name: str, add: Add, added: Added) -> None:
    """One type against another that takes its place. `name` is what people call the pointer `at`."""
    if old.nullable and not new.nullable and new.kind != "any":
        add("NULLABLE_REMOVED", at, f"{name} may no longer be null")
    elif new.nullable and not old.nullable and old.kind != "any":
        add("NULLABLE_ADDED", at, f"{name} may be null now")
    # What a valid value stands for, and what is done to it.
    if old.examples != new.examples:
        add("EXAMPLES_CHANGED", at, f"{name} has other examples")
    if old.unit != new.unit:
        add("UNIT_CHANGED", at, f"{name} had {_or_no(old.unit, 'unit')} and has {_or_no(new.unit, 'unit')}; "
            "the same number would mean something else")  # fmt: skip
    if old.column != new.column:
        add("COLUMN_CHANGED", at, f"{name} has another column; queries that read it would break")
    if old.pii != new.pii:
        add("PII_CHANGED", at, f"{name} was {_handled(old.pii)} and is {_handled(new.pii)}")
    if old.kind != new.kind or (old.kind == "union" and _kinds(old) != _kinds(new)):
        add("TYPE_CHANGED", at, f"{name} was {described(old)} and is {described(new)}; "
            "add a property of another name instead")  # fmt: skip
    elif old.kind in _SCALARS:
        if not _limited_alike(old, new):
            _compare_scalar(old, new, at, name, add)
    else:
        _compare_parts(old, new, at, name, add, added)


_SCALARS = frozenset({"string", "integer", "number", "decimal"})


def _compare_parts(old: Type, new: Type, at: str, name: str, add: Add, added: Added) -> None:
    """What types of one kind that have parts say of these."""
    match old.kind:
        case "union":
            members = {member.kind: member for member in new.members}
            for member in old.members:
                _compare_inner(member, members[member.kind], at, add, added)
        case "object":
            compare_members(old.properties, new.properties, at, add, added)
        case "array":
            limits = ("minItems", old.min_items, new.min_items), ("maxItems", old.max_items, new.max_items)
            _counts(at, name, add, *limits)
            _compare_inner(old.items, new.items, f"{at}/*", add, added)
        case "map":
            _counts(at, name, add, ("", 0, 0), ("maxProperties", old.max_properties, new.max_properties))
            _compare_inner(old.values, new.values, f"{at}/*", add, added)


def _compare_inner(old: Type | None, new: Type | None, at: str, add: Add, added: Added) -> None:
    assert old is not None
    assert new is not None
    if old != new:
        compare_types(old, new, at, spoken(at), add, added)


def _kinds(kind: Type) -> frozenset[str]:
    return frozenset(member.kind for member in kind.members)


def _or_no(word: str, what: str) -> str:
    return f"the {what} {word}" if word else f"no {what}"


def _handled(pii: Pii | None) -> str:
    if pii is None:
        return "not declared as personal"
    keep = f" but {', '.join(pii.keep)}" if pii.keep else ""
    return f"declared as {pii.pii_class} ({pii.handling}{keep})"


def _compare_scalar(old: Type, new: Type, at: str, name: str, add: Add) -> None:
    """Listed values are compared as the sets they are; other values by their bounds."""
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
        _counts(
            at, name, add, ("minLength", old.min_length, new.min_length), ("maxLength", old.max_length, new.max_length)
        )
        _pattern("pattern", old.pattern, new.pattern, at, name, add)
        _pattern("format", old.format, new.format, at, name, add)
        return
    _range(f"the lower bound of {name}", _low(old), _low(new), at, add, wider=lambda before, after: after < before)
    _range(f"the upper bound of {name}", _high(old), _high(new), at, add, wider=lambda before, after: after > before)
    _step(old.multiple_of, new.multiple_of, at, name, add)
    if old.kind == "decimal":
        _digits(old, new, at, name, add)


def _limited_alike(old: Type, new: Type) -> bool:
    """Do two types of one kind say the same of it? Then there is no need to go through all that they could say."""
    if old.kind == "string":
        return (
            old.max_length == new.max_length
            and old.min_length == new.min_length
            and old.enum == new.enum
            and old.pattern == new.pattern
            and old.format == new.format
        )
    return (
        old.minimum == new.minimum
        and old.maximum == new.maximum
        and old.enum == new.enum
        and old.exclusive_minimum == new.exclusive_minimum
        and old.exclusive_maximum == new.exclusive_maximum
        and old.multiple_of == new.multiple_of
        and old.precision == new.precision
        and old.scale == new.scale
    )


def _fitting(kind: Type) -> Callable[[str | int], bool]:
    """Is a value that is listed valid by all else that the type says, too?"""
    rest, listed = fits_of(msgspec.structs.replace(kind, enum=None)), kind.enum
    return rest if listed is None else lambda value: value in listed and rest(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _counts(at: str, name: str, add: Add, low: tuple[str, int, int], high: tuple[str, int | None, int | None]) -> None:
    """A pair of limits on a length or a count; 0 and None are none."""
    word, least, least_now = low
    if least != least_now:
        _range(f"{word} of {name}", (least, 0) if least else None, (least_now, 0) if least_now else None, at, add,
               wider=lambda before, after: after < before)  # fmt: skip
    word, most, most_now = high
    if most != most_now:
        _range(f"{word} of {name}", None if most is None else (most, 0), None if most_now is None else (most_now, 0),
               at, add, wider=lambda before, after: after > before)  # fmt: skip


def _range(
    name: str, old: Bound | None, new: Bound | None, at: str, add: Add, *, wider: Callable[[Bound, Bound], bool]
) -> None:
    """One bound. A Bound is a number and which side of it lies outside, so that tuples compare as bounds do."""
    if old == new:
        return
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


def _pattern(word: str, old: str | None, new: str | None, at: str, name: str, add: Add) -> None:
    if old == new:
        return
    if new is None:
        add("PATTERN_REMOVED", at, f"the {word} {old} of {name} is gone")
    elif old is None:
        add("PATTERN_ADDED", at, f"{name} must match the {word} {new} now")
    else:
        add("PATTERN_CHANGED", at, f"the {word} of {name} was {old} and is {new}")


def _step(old: int | float | None, new: int | float | None, at: str, name: str, add: Add) -> None:
    if old == new:
        return
    name = f"multipleOf of {name}"
    if new is None:
        add("BOUND_REMOVED", at, f"{name} was {old} and is gone")
    elif old is None:
        add("BOUND_ADDED", at, f"{name} is {new}, there was none")
    else:
        coarse, fine = Decimal(str(old)), Decimal(str(new))
        widened = fine >= _SMALLEST_STEP and not _EXACT.remainder(coarse, fine)
        add("BOUND_WIDENED" if widened else "BOUND_NARROWED", at, f"{name} was {old} and is {new}")


def _digits(old: Type, new: Type, at: str, name: str, add: Add) -> None:
    before, after = (old.precision - old.scale, old.scale), (new.precision - new.scale, new.scale)
    if before == after:
        return
    rule = "PRECISION_NARROWED" if after[0] < before[0] or after[1] < before[1] else "PRECISION_WIDENED"
    add(rule, at, f"{name} had {before[0]} digits before the point and {before[1]} after it, "
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
