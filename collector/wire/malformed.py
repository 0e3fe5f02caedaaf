"""Reading what a strict decoder refused: events one by one, and of an event each field, so that nothing else is lost.

an event's bytes --decode_event--> Envelope, or Rejected with all that is wrong with it
                 --salvage------> what can be read, for the row of a rejected event
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Raw, Struct, UnsetType

from collector.limits import ID_CHARS_MAX
from collector.reason import Reason, Rejected
from collector.record import Envelope
from collector.wire.cut import elements, members

COMPLAINTS_MAX = 20  # of one malformed event; its properties may have any number of unreadable parts
_LEVELS_MAX = 16  # down to which a part that cannot be read is looked for

# What msgspec raises for bytes it cannot read: not JSON or of another type, not UTF-8, nested too deeply.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T", bound=Struct)

decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any = msgspec.json.Decoder().decode
_decode_scalar = msgspec.json.Decoder(str | int | float | None).decode

# msgspec names a field it refuses; without a name the event itself is of another type.
_AT_PATH = re.compile(r" - at `\$\.[^`]*`$")
_WORD = re.compile(rb"-?[A-Za-z]{1,12}")


class Malformed(Rejected):
    """An event whose own fields are wrong. `violations` lists them all, as class:pointer; the first is its reason."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        """`found` are pointers, each with its sentence."""
        super().__init__(Reason.EVENT_FIELD_INVALID, *found[0])
        self.violations = [f"{Reason.EVENT_FIELD_INVALID.word}:{pointer}" for pointer, _ in found]


def decode_event(raw: bytes) -> Envelope | Rejected:
    """One event by itself. An odd `sequence` costs it nothing: that only breaks ties between events."""
    try:
        check_utf8(raw)
        return decode_envelope(raw)
    except msgspec.ValidationError as error:
        if _AT_PATH.search(str(error)) is None:
            return Rejected(Reason.EVENT_NOT_OBJECT, "", f"event is no object ({error}); send an object with a type")
    except UNREADABLE:
        pass
    fields = _fields(raw)
    if fields is None:
        return Malformed([("", f"event {_unreadable(raw)}")])
    found = [complaint for name, part in fields.items() for complaint in _complaints(name, bytes(part))]
    wrong = [complaint for complaint in found if complaint[0] != "/sequence"]
    if found and not wrong and (event := _without_odd_sequence(raw)) is not None:
        return event
    wrong = wrong or found or [("", "event cannot be read; send it as the Segment API has it")]
    return Malformed(wrong[:COMPLAINTS_MAX])


@lru_cache(maxsize=64)
def _decoders_of(shape: type[Struct]) -> list[tuple[msgspec.structs.FieldInfo, msgspec.json.Decoder[Any]]]:
    """A Struct's fields, each with its decoder; found once, because it takes milliseconds."""
    return [(field, msgspec.json.Decoder(field.type)) for field in msgspec.structs.fields(shape)]


def salvage(raw: bytes, shape: type[T]) -> T:
    """Read field by field what a strict read refused: a field of a wrong type must not cost the others."""
    found: dict[str, Any] = {}
    fields = _fields(raw)
    if fields is None:
        return shape()
    for field, decoder in _decoders_of(shape):
        if field.name not in fields:
            continue
        try:
            check_utf8(bytes(fields[field.name]))
            found[field.name] = decoder.decode(fields[field.name])
        except UNREADABLE:
            # A struct, or one of the shapes that a field may have; but not what a list holds.
            for part in get_args(field.type) if isinstance(field.type, UnionType) else (field.type,):
                if isinstance(part, type) and issubclass(part, Struct):
                    found[field.name] = salvage(bytes(fields[field.name]), part)
    return shape(**found)


_FIELDS = {field.name: decoder for field, decoder in _decoders_of(Envelope)}


def check_utf8(raw: bytes) -> None:
    """Raises UnicodeDecodeError. Always asked first: msgspec does not look at bytes that it skips."""
    if not raw.isascii():
        raw.decode()


def _fields(raw: bytes) -> Mapping[str, bytes | Raw] | None:
    """The members of an object, also of one that is no JSON for some of them; None for what is none."""
    try:
        return decode_fields(raw)
    except UNREADABLE:
        return members(raw)


def _complaints(name: str, part: bytes) -> Iterator[tuple[str, str]]:
    """What is wrong with one field of an event: a value that is no JSON, or one of another type."""
    pointer = f"/{_token(name)}"
    if not _reads(part):
        yield from _faults(part, pointer)
        return
    try:
        if name in _FIELDS:
            _FIELDS[name].decode(part)
    except msgspec.ValidationError as error:
        yield pointer, f"{name}: {error}; send it as the Segment API has it"


def _faults(part: bytes, pointer: str, level: int = 0) -> Iterator[tuple[str, str]]:
    """Where in a value that cannot be read the parts stand that cannot."""
    inner: Iterable[tuple[object, bytes]] | None = None
    if level < _LEVELS_MAX:
        named, listed = members(part), elements(part)
        inner = named.items() if named is not None else enumerate(listed) if listed is not None else None
    bad = [(key, entry) for key, entry in inner or () if not _reads(entry)][:COMPLAINTS_MAX]
    for key, entry in bad:
        yield from _faults(entry, f"{pointer}/{_token(str(key))}", level + 1)
    if not bad:
        yield pointer, f"{pointer[1:].replace('/', '.')} {_unreadable(part)}"


def _reads(part: bytes) -> bool:
    try:
        check_utf8(part)
        _decode_any(part)
    except UNREADABLE:
        return False
    return True


def _unreadable(part: bytes) -> str:
    """Why a part cannot be read, and what to do. Its text is not repeated, it may be anything, but for a bare word."""
    try:
        check_utf8(part)
        _decode_any(part)
    except UnicodeDecodeError as error:
        return f"is not UTF-8 at byte {error.start:,}; encode it as UTF-8"
    except RecursionError:
        return "is nested too deeply to be read; flatten it"
    except msgspec.DecodeError as error:
        if _WORD.fullmatch(part):
            return f"is {part.decode()}, which is not JSON; send null or leave it out"
        return f"is not JSON: {error}; send valid JSON"
    return "cannot be read; send plainer JSON with fewer levels"


def _token(key: str) -> str:
    return key[:ID_CHARS_MAX].replace("~", "~0").replace("/", "~1")


def _without_odd_sequence(raw: bytes) -> Envelope | Rejected | None:
    """The event, when only its `sequence` is odd (1.0, "7"): that breaks ties between events and is not worth one."""
    try:
        fields = decode_fields(raw)
        sequence = scalar_of(fields.pop("sequence"))
        event = decode_event(msgspec.json.encode(fields))
    except (*UNREADABLE, KeyError):
        return None
    if isinstance(event, Envelope) and isinstance(sequence, int | float):
        event.sequence = int(sequence)
    return event


def scalar_of(raw: bytes | Raw | UnsetType) -> str | int | float | None:
    """A text or number; None for anything else, which is as good as absent."""
    if isinstance(raw, UnsetType):
        return None
    try:
        value: str | int | float | None = _decode_scalar(raw)
    except UNREADABLE:
        return None
    return value


def text_of(raw: bytes | Raw | UnsetType) -> str | None:
    """A text; None for anything else."""
    value = scalar_of(raw)
    return value if isinstance(value, str) else None
