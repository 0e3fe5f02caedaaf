"""The fast path: an event's type as a msgspec Struct, which decodes and validates in one pass of C.

    properties --without_patterns, struct_of--> Struct
              \\--words_of--> patterns, asked once it has decoded

It must never accept what the rules refuse. What msgspec cannot say as strictly as the plan (a multiple of 0.05) has no
Struct: such an event always walks its rules.
"""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from types import GenericAlias, MappingProxyType
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType, structs

from collector.plan.model import Property, Type
from collector.plan.rules import INT64_MAX, INT64_MIN, NUMERIC_MAX, DateTime


class Inexpressible(Exception):
    """msgspec cannot check this type as strictly as the rules do."""


# Below this a float holds four decimal places with room to spare, so a short repr is the number that was sent.
_EXACT_BELOW = 1e9
_WRITTEN_OUT_FROM = 0.0001
# Digits before the point of a Decimal(18, 4).
_WHOLE_DIGITS = 14
_WHOLE_BELOW = 10**_WHOLE_DIGITS

NUMBERED: Mapping[str, str] = MappingProxyType({})

_json_of = msgspec.json.Encoder().encode


def plain_text(number: Any) -> str | None:
    """The exact decimal text of a decoded number when it can be told from a float, else None: then the walk reads it.

    What was not sent, or null, is "0".

    Not a detour through a float that loses anything: below 1e9 a double is within 1e-7 of what was sent, so when its
    repr has at most 4 decimal places, no other number of 4 places rounds to it.
    """
    if type(number) is float:
        # Above its lower bound msgspec writes a float as repr does, without an exponent and in half the time.
        if _WRITTEN_OUT_FROM <= number < _EXACT_BELOW:
            text = _json_of(number).decode()
            # Most often 2 places or 1; otherwise at most 4.
            return text if text[-3] == "." or text[-2] == "." or "." in text[-5:] else None
        if number < 0:
            positive = plain_text(-number)
            return positive and f"-{positive}"
        return None if number else "0"
    if type(number) is int:
        return str(number) if -_WHOLE_BELOW < number < _WHOLE_BELOW else None
    if type(number) is str:  # whose pattern is that of _number
        whole, _, places = number.partition(".")
        return number if len(whole) <= _WHOLE_DIGITS and len(places) <= 4 and whole[0] != "-" else None
    return "0" if number is UNSET or number is None else None


# Words that match a pattern, as many as are remembered and the longest: a few currencies, not every order number.
WORDS_MAX = 256
WORD_CHARS_MAX = 32


class Words(dict[Any, str | None]):
    """`words[sent]` is a text that matches a pattern, "" for null and what was not sent, None for what does not match.

    msgspec would ask `re` each time, which costs half as much as all else in a purchase; this remembers what matched.
    """

    def __init__(self, regex: str | None, room: int = WORDS_MAX) -> None:
        """`room` is how many words are remembered; none that are personal, for they would outlive their event."""
        super().__init__({UNSET: "", None: ""})
        self._search = re.compile(regex or "").search
        self._room = room + len(self)

    def __missing__(self, sent: str) -> str | None:
        if self._search(sent) is None:
            return None
        if len(sent) <= WORD_CHARS_MAX and len(self) < self._room:
            self[sent] = sent
        return sent


def words_of(kind: Type) -> Words:
    """The words that a type of text allows, as far as its pattern tells."""
    return Words(kind.regex if has_pattern(kind) else None, 0 if kind.sensitive else WORDS_MAX)


def has_pattern(kind: Type) -> bool:
    """True where without_patterns takes a pattern away."""
    return kind.kind == "string" and kind.enum is None and kind.regex is not None


def without_patterns(properties: tuple[Property, ...]) -> tuple[Property, ...]:
    """The members of an object without their own patterns, for whoever asks `words_of` each of them."""
    return tuple(
        structs.replace(prop, type=structs.replace(prop.type, regex=None)) if has_pattern(prop.type) else prop
        for prop in properties
    )


def struct_of(
    name: str,
    properties: tuple[Property, ...],
    *,
    closed: bool,
    named: Mapping[str, str] = NUMBERED,
    absent: Iterable[str] = (),
) -> tuple[type, dict[str, str]]:
    """A Struct for the members of an object, and the field that holds each property and alias.

    Args:
        name: Shown by msgspec only in its own messages.
        properties: In plan order.
        closed: Refuse members that are not named.
        named: What a property's field is called; others are numbered.
        absent: Further names that an event may be asked for, which are always None.
    Raises:
        Inexpressible: msgspec cannot check a property as strictly as the rules do.
    """
    fields: list[tuple[str, Any, Any]] = []
    holders: dict[str, str] = {}
    for prop in properties:
        made = _type(prop.type, closed=closed)
        for word in (prop.name, *prop.aliases):
            # Wire names such as `$set` or `user-id` are no Python names, so fields are numbered and renamed.
            holders[word] = holder = named.get(word, f"p{len(fields)}")
            if prop.required and word == prop.name:
                fields.append((holder, made, msgspec.field(name=word)))
            else:
                fields.append((holder, Union[made, UnsetType], msgspec.field(name=word, default=UNSET)))  # noqa: UP007 - `made` is a runtime value that may not support `|`
    made_struct = msgspec.defstruct(
        name,
        fields,
        kw_only=True,
        frozen=True,
        gc=False,
        forbid_unknown_fields=closed,
        module=__name__,
        namespace=dict.fromkeys(absent),
    )
    return made_struct, holders


def decoders_of(properties: tuple[Property, ...], *, closed: bool) -> dict[str, Callable[[Raw], object]]:
    """For each property, by name and alias, what decodes its value when it is valid and raises when it may not be.

    A property of a type that msgspec cannot check as strictly as the rules do, or refuses, is left out.
    """
    made: dict[str, Callable[[Raw], object]] = {}
    for prop in properties:
        with contextlib.suppress(Inexpressible, TypeError, ValueError):
            decode = msgspec.json.Decoder(_type(prop.type, closed=closed)).decode
            made.update(dict.fromkeys((prop.name, *prop.aliases), decode))
    return made


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
    # None where there is no minimum: msgspec would compare with 0.
    return Annotated[str, Meta(min_length=kind.min_length or None, max_length=kind.max_length, pattern=kind.regex)]


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
