"""The fast path: an event's type as a msgspec Struct, which decodes and validates in one pass of C.

    properties --without_patterns, struct_of--> Struct
              \\--patterns_of--> patterns, asked when it has decoded

It must never accept what the rules refuse. What msgspec cannot say as strictly as the plan (a multiple of 0.05) has no
Struct: such an event always walks its rules.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from operator import attrgetter
from types import GenericAlias
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, structs

from collector.plan.model import Property, Type
from collector.plan.rules import INT64_MAX, INT64_MIN, NUMERIC_MAX, DateTime


class Inexpressible(Exception):
    """msgspec cannot check this type as strictly as the rules do."""


# Below this a float holds four decimal places with room to spare, so a short repr is the number that was sent.
_EXACT_BELOW = 1e9
# Above this msgspec writes a float as repr does, digit for digit and without an exponent, in half the time.
_WRITTEN_OUT_FROM = 0.0001
# Digits before the point of a Decimal(18, 4).
_WHOLE_BELOW = 10**14

_json_of = msgspec.json.Encoder().encode


def plain_text(number: Any) -> str | None:
    """The exact decimal text of a decoded number when it can be told from a float, else None: then the walk reads it.

    Not a detour through a float that loses anything: below 1e9 a double is within 1e-7 of what was sent, so when its
    repr has at most 4 decimal places, no other number of 4 places rounds to it.
    """
    if type(number) is float and -_EXACT_BELOW < number < _EXACT_BELOW:
        if number >= _WRITTEN_OUT_FROM:
            text = _json_of(number).decode()
        else:
            text = repr(number) if number else "0.0"  # not -0.0
        # At most 4 places; 1e-05 and 1.5e-07, the shortest with an exponent, are longer than that allows.
        return text if len(text) - text.find(".") <= 5 else None
    if type(number) is int and -_WHOLE_BELOW < number < _WHOLE_BELOW:
        return str(number)
    return None


# Words that a pattern remembers, each of at most so many characters: a few currencies, not every order number.
WORDS_MAX = 256
WORD_CHARS_MAX = 32


class Pattern(Struct, frozen=True, gc=False):
    """A pattern that the text of one field must match, asked after decoding.

    msgspec would ask `re` for each event, which costs half as much as all the rest of a purchase. `known` remembers up
    to `room` words that match, and holds from the start what has no text to match: UNSET and None. What is personal is
    given no room, for it would outlive its event.
    """

    read: Callable[[Any], Any]
    search: Callable[[str], object]
    known: set[Any]
    room: int

    def matches(self, word: str) -> bool:
        """Ask the pattern itself about a word that is not known."""
        if self.search(word) is None:
            return False
        if len(self.known) < self.room and len(word) <= WORD_CHARS_MAX:
            self.known.add(word)
        return True


def patterns_of(properties: tuple[Property, ...], holders: dict[str, str]) -> tuple[Pattern, ...]:
    """The patterns of an object's own members; `holders` are the fields of the Struct that stand for them."""
    found: list[Pattern] = []
    for prop in properties:
        if _has_pattern(prop.type):
            search = re.compile(prop.type.regex or "").search
            known = {UNSET, None}
            room = 0 if prop.type.sensitive else WORDS_MAX
            found += [Pattern(attrgetter(holders[word]), search, known, room) for word in (prop.name, *prop.aliases)]
    return tuple(found)


def without_patterns(properties: tuple[Property, ...]) -> tuple[Property, ...]:
    """The same members, but for the patterns that patterns_of finds."""
    return tuple(
        structs.replace(prop, type=structs.replace(prop.type, regex=None)) if _has_pattern(prop.type) else prop
        for prop in properties
    )


def _has_pattern(kind: Type) -> bool:
    return kind.kind == "string" and kind.enum is None and kind.regex is not None


def struct_of(name: str, properties: tuple[Property, ...], *, closed: bool) -> tuple[type, dict[str, str]]:
    """A Struct for the members of an object, and the field that holds each property and alias.

    Args:
        name: Shown by msgspec only in its own messages.
        properties: In plan order.
        closed: Refuse members that are not named.
    Raises:
        Inexpressible: msgspec cannot check a property as strictly as the rules do.
    """
    fields: list[tuple[str, Any, Any]] = []
    holders: dict[str, str] = {}
    for prop in properties:
        made = _type(prop.type, closed=closed)
        for word in (prop.name, *prop.aliases):
            # Wire names such as `$set` or `user-id` are no Python names, so fields are numbered and renamed.
            holders[word] = holder = f"p{len(fields)}"
            if prop.required and word == prop.name:
                fields.append((holder, made, msgspec.field(name=word)))
            else:
                fields.append((holder, Union[made, UnsetType], msgspec.field(name=word, default=UNSET)))  # noqa: UP007 - `made` is a runtime value that may not support `|`
    made_struct = msgspec.defstruct(
        name, fields, kw_only=True, frozen=True, gc=False, forbid_unknown_fields=closed, module=__name__
    )
    return made_struct, holders


def _type(kind: Type, *, closed: bool) -> Any:
    made = _plain(kind, closed=closed)
    return Union[made, None] if kind.nullable and kind.kind != "any" else made  # noqa: UP007 - as above


def _plain(kind: Type, *, closed: bool) -> Any:  # noqa: PLR0911 - a table of kinds reads best as one
    """The type without null."""
    match kind.kind:
        case "any":
            return Raw
        case "boolean":
            return bool
        case "date":
            return datetime.date
        case "datetime":
            return DateTime
        case "string":
            return _string(kind)
        case "integer":
            return _integer(kind)
        case "number" | "decimal":
            return _number(kind)
        case "union":
            return Union[tuple(_plain(member, closed=closed) for member in kind.members)]  # noqa: UP007 - a tuple of runtime values
        case "array":
            assert kind.items is not None
            items = GenericAlias(list, (_type(kind.items, closed=closed),))
            return Annotated[items, Meta(min_length=kind.min_items, max_length=kind.max_items)]
        case "map":
            assert kind.values is not None
            values = GenericAlias(dict, (str, _type(kind.values, closed=closed)))
            return Annotated[values, Meta(max_length=kind.max_properties)]
        case "object":
            return struct_of("Object", kind.properties, closed=closed)[0]
    raise Inexpressible(kind.kind)


def _string(kind: Type) -> Any:
    if kind.enum is not None:
        # The rules also look at lengths and patterns of listed words; the Literal holds only those that pass.
        words = [word for word in kind.enum if isinstance(word, str) and _fits(kind, word)]
        if not words:
            raise Inexpressible("no listed word is valid")
        return Literal[tuple(words)]
    return Annotated[str, Meta(min_length=kind.min_length, max_length=kind.max_length, pattern=kind.regex)]


def _fits(kind: Type, word: str) -> bool:
    longest = len(word) if kind.max_length is None else kind.max_length
    return kind.min_length <= len(word) <= longest and (kind.regex is None or re.search(kind.regex, word) is not None)


def _integer(kind: Type) -> Any:
    if kind.enum is not None:
        if any(bound is not None for bound in _bounds(kind).values()) or kind.multiple_of is not None:
            raise Inexpressible("an enum with bounds")
        return Literal[kind.enum]
    bounds = _bounds(kind)
    # msgspec's integers are unbounded, a column's are not.
    if bounds["gt"] is None:
        bounds["ge"] = INT64_MIN if bounds["ge"] is None else bounds["ge"]
    if bounds["lt"] is None:
        bounds["le"] = INT64_MAX if bounds["le"] is None else bounds["le"]
    return Annotated[int, Meta(**bounds, multiple_of=kind.multiple_of)]


def _number(kind: Type) -> Any:
    if kind.multiple_of is not None:
        raise Inexpressible("a remainder of binary fractions is not that of the decimals as written")
    bounds = _bounds(kind)
    if kind.kind == "number":
        return Annotated[float, Meta(**bounds)]
    largest = float(10 ** (kind.precision - kind.scale))
    text = ""
    if bounds["le"] is None and bounds["lt"] is None:
        bounds["lt"] = largest
        # As text only with no bounds but zero, which a sign can tell; other bounds are left to the rules.
        if bounds["gt"] is None and bounds["ge"] in (None, 0):
            sign = "-?" if bounds["ge"] is None else ""
            text = rf"\A{sign}(?:0|[1-9][0-9]{{0,{kind.precision - kind.scale - 1}}})(?:\.[0-9]{{1,40}})?\Z"
    elif max(bound for bound in (bounds["le"], bounds["lt"]) if bound is not None) >= largest:
        raise Inexpressible("two upper bounds")
    if bounds["ge"] is None and bounds["gt"] is None:
        bounds["gt"] = -largest
    elif min(bound for bound in (bounds["ge"], bounds["gt"]) if bound is not None) <= -largest:
        raise Inexpressible("two lower bounds")
    number = Annotated[float, Meta(**bounds)]
    return Union[number, Annotated[str, Meta(pattern=text, max_length=NUMERIC_MAX)]] if text else number  # noqa: UP007 - as above


def _bounds(kind: Type) -> dict[str, Any]:
    return {
        "ge": kind.minimum,
        "le": kind.maximum,
        "gt": kind.exclusive_minimum,
        "lt": kind.exclusive_maximum,
    }
