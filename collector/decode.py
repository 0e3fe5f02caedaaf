"""From the bytes of a request to the envelopes it carries.

A body is trusted in no way: it is checked for UTF-8 first (msgspec skips bytes it does not need without looking at
them), decoded once, typed, and only when that fails event by event, so that one bad event costs its neighbours nothing.
What is no JSON at all is cut apart at its brackets, for the same end. Properties, traits, context and extra stay raw.
Of a name that stands twice in an object the last counts, as in JavaScript.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from collector.cut import elements, members
from collector.reason import Reason, Refused, Rejected
from collector.record import Envelope

BODY_BYTES_MAX = 512_000  # Segment's own limit is 500 KB a batch: whatever its clients send fits
EVENT_BYTES_MAX = 32_768  # and 32 KB an event
EVENTS_MAX = 2_500
QUERY_BYTES_MAX = 8_192
PARAMETERS_MAX = 200  # of a pixel's query; more than any page states
NAME_CHARS_MAX = 256
ID_CHARS_MAX = 256
MESSAGE_ID_CHARS_MAX = 100

TYPES = frozenset({"track", "page", "screen", "identify", "group", "alias"})

# Escaped backslashes and surrogate pairs, which are fine, or (the group) a surrogate without its other half: what is
# left when JavaScript cuts a string inside an emoji. All are matched, so that the second half of `\\` starts no escape.
_SURROGATE = re.compile(
    rb"(?:\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})++|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class Batch(Struct, gc=False):
    """A decoded POST body. `events` keeps the sender's order; an event that cannot be read is a Rejected in its place.

    `raws` holds each event's own bytes; it is empty when every event decoded, because nothing needs them then.
    """

    events: Sequence[Envelope | Rejected]
    raws: Sequence[bytes]
    context: Raw | UnsetType
    sent_at: str | int | float | None
    write_key: str | None


class _Body(Struct, gc=False):
    batch: list[Envelope]
    context: Raw | UnsetType = UNSET
    sentAt: str | int | float | None = None
    writeKey: str | None = None


class _LooseBody(Struct, gc=False):
    batch: list[Raw]
    context: Raw | UnsetType = UNSET
    sentAt: Raw | UnsetType = UNSET
    writeKey: Raw | UnsetType = UNSET


# What msgspec raises for bytes it cannot read: not JSON or of another type, not UTF-8, nested too deeply.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T", bound=Struct)

_decode_body = msgspec.json.Decoder(_Body).decode
_decode_loose = msgspec.json.Decoder(_LooseBody).decode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_raws = msgspec.json.Decoder(list[Raw]).decode
_decode_scalar = msgspec.json.Decoder(str | int | float | None).decode


def decode_batch(body: bytes) -> Batch:
    """Decode the body of POST /v1/batch.

    Args:
        body: Uncompressed UTF-8 JSON, `{"batch": [event, …], "context": {…}, "sentAt": …, "writeKey": …}`.
    Returns:
        The batch. Events that are not JSON (NaN, not UTF-8, nested too deeply) are Rejected like others, as long as the
        body's brackets and quotes match, so that they can be told apart.
    Raises:
        Refused: BODY_EMPTY, NOT_JSON (with the byte where reading stopped) or NOT_A_BATCH. The whole body is refused,
            because nothing in it can be told apart.
    Source: the Segment HTTP tracking API, section "batch".
    """
    body = _repaired(body)
    try:
        _check_utf8(body)
        decoded = _decode_body(body)
    except msgspec.ValidationError:
        return _decode_each(body)
    except UNREADABLE as error:
        return _cut_apart(body, error)
    _check_count(len(decoded.batch))
    return Batch(decoded.batch, (), decoded.context, decoded.sentAt, decoded.writeKey)


def decode_single(body: bytes, kind: str) -> Batch:
    """Decode the body of POST /v1/<type>: one event whose `type` the path gives; empty to keep the event's own.

    Raises:
        Refused: as decode_batch; NOT_A_BATCH for what is no object, and for a batch, which has a path of its own.
    """
    body = _repaired(body)
    event: Envelope | Rejected
    try:
        _check_utf8(body)
        event = decoded = _decode_envelope(body)
        sent_at, write_key = decoded.sentAt, decoded.writeKey
    except UNREADABLE:
        fields = _object_or_refused(body)
        event = _decode_one(body)
        sent_at, write_key = _scalar_of(fields.get("sentAt", UNSET)), _text_of(fields.get("writeKey", UNSET))
    if b'"batch"' in body and "batch" in _object_or_refused(body):
        # Taken for an event it would be one without a name, or an empty page view: its events would be lost silently.
        raise Refused(Reason.NOT_A_BATCH, "body is a batch, this path takes one event; send batches to /v1/batch")
    if kind and isinstance(event, Envelope):
        event.type = kind
    return Batch([event], [body], UNSET, sent_at, write_key)


def raw_events(body: bytes) -> list[bytes]:
    """Each event's own bytes of a body that decode_batch has read; needed only when one of them is rejected."""
    return [bytes(raw) for raw in _decode_loose(_repaired(body)).batch]


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
            _check_utf8(bytes(fields[field.name]))
            found[field.name] = decoder.decode(fields[field.name])
        except UNREADABLE:
            for part in (field.type, *get_args(field.type)):  # a struct, or one of the shapes that a field may have
                if isinstance(part, type) and issubclass(part, Struct):
                    found[field.name] = salvage(bytes(fields[field.name]), part)
    return shape(**found)


def decode_pixel(query: str, embedding_page: str = "") -> Batch:
    """Decode the query string of GET /v1/p.gif into one event.

    Either `data=` holds the event as base64 or plain JSON, or the parameters are the event's own fields (`event`,
    `type`, `userId`, `anonymousId`, `messageId`, `url`, `referrer`, `title`) and all others become its properties. Of
    a repeated parameter the last counts. An event without a type is a track when it has a name, else a page.

    Args:
        query: As sent, without the question mark.
        embedding_page: URL of the page the image stands in, as its browser gives it (Referer): the event's page where
            the query names none. A page without script cannot put its own address into the image's.
    Raises:
        Refused: URL_TOO_LONG; BAD_QUERY with what to send instead; or as decode_single.
    """
    if len(query) > QUERY_BYTES_MAX:
        raise Refused(Reason.URL_TOO_LONG, f"query is {len(query):,} bytes, the limit is {QUERY_BYTES_MAX:,}; use POST")
    try:
        fields = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX))
    except ValueError as error:
        raise Refused(
            Reason.BAD_QUERY, f"query has over {PARAMETERS_MAX} parameters; send the event as data="
        ) from error
    keys = [fields.pop("write_key", None), fields.pop("writeKey", None)]
    data = fields.pop("data", None)
    if data is not None:
        batch = decode_single(_pixel_data(data), "")
        if embedding_page:
            batch.context = Raw(msgspec.json.encode({"page": {"url": embedding_page}}))  # the event's own lies over it
    else:
        envelope: dict[str, object] = {name: fields.pop(name) for name in _PIXEL_FIELDS if name in fields}
        envelope["properties"] = fields
        page = {name: fields[name] for name in ("url", "referrer", "title") if name in fields}
        if embedding_page and not page.get("url"):
            page["url"] = embedding_page
        if page:
            envelope["context"] = {"page": page}
        batch = decode_single(msgspec.json.encode(envelope), "")
    event = batch.events[0]
    if isinstance(event, Envelope) and not event.type:
        event.type = "page" if event.event is None else "track"
    batch.write_key = keys[0] or keys[1] or batch.write_key
    return batch


_PIXEL_FIELDS = ("type", "event", "name", "userId", "anonymousId", "messageId", "timestamp", "groupId", "previousId")


def _pixel_data(data: str) -> bytes:
    if data.lstrip().startswith("{"):
        return data.encode()
    padded = data.replace("-", "+").replace("_", "/").replace(" ", "+")
    try:
        return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(Reason.BAD_QUERY, "data is neither JSON nor base64; encode the event's JSON as base64") from error


def gunzip(body: bytes) -> bytes:
    """Unpack a gzip body, stopping at BODY_BYTES_MAX: a small bomb must not become a large buffer.

    Raises:
        Refused: BAD_COMPRESSION, or BODY_TOO_LARGE once the limit is passed.
    """
    unpack = zlib.decompressobj(wbits=31)
    try:
        data = unpack.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        raise Refused(
            Reason.BAD_COMPRESSION, f"body is not valid gzip ({error}); send it whole or uncompressed"
        ) from error
    if len(data) > BODY_BYTES_MAX:
        raise Refused(
            Reason.BODY_TOO_LARGE,
            f"body unpacks to more than {BODY_BYTES_MAX:,} bytes, the limit; send smaller batches",
        )
    if not unpack.eof:
        raise Refused(Reason.BAD_COMPRESSION, "gzip body ends too early; send it whole or uncompressed")
    return data


@lru_cache(maxsize=4_096)
def snake_case(name: str) -> str:
    """An event name as the database spells it: `Order Completed`, `orderCompleted` -> `order_completed`.

    Letters of any script stay, with the marks that belong to them; everything else becomes one underscore.
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", spaced)
    if not spaced.isascii():
        # Python's \w leaves out combining marks, which are the vowels of Hindi or Thai.
        spaced = "".join(char if char.isalnum() or _is_mark(char) else " " for char in spaced)
        return "_".join(spaced.split()).lower()
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"


_EPOCH_MAX_MS = 4_102_444_800_000  # 2100-01-01: later than any honest clock, inside every ClickHouse time type


def parse_time(value: str | int | float | None) -> int | None:
    """A client's time as integer milliseconds since the epoch, UTC; None when absent or unreadable.

    Accepts ISO 8601 (a naive one is read as UTC), and a number, also as text: seconds below 1e11, else milliseconds.
    The result is clamped into 1970..2100, the same way for every retry of one event.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str) and value.isdecimal() and len(value) in _NUMERIC_CHARS:
            value = int(value)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value[:40])
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            milliseconds = round(moment.timestamp() * 1000)  # exact to the microsecond until long after 2100
        else:
            milliseconds = int(value * 1000) if abs(value) < 1e11 else int(value)
    except (ValueError, OverflowError):
        return None
    return min(max(milliseconds, 0), _EPOCH_MAX_MS)


# Nine to fourteen digits are a number. ISO 8601's basic format would take 1711122300000 for a day of the year 1711;
# its own 8 digits are a date.
_NUMERIC_CHARS = range(9, 15)


def _repaired(body: bytes) -> bytes:
    """The body without BOM, and without halves of surrogate pairs, which no decoder takes: they become U+FFFD."""
    if not body or body.isspace():
        raise Refused(Reason.BODY_EMPTY, "body is empty; send a JSON object with a batch of events")
    if body.startswith(b"\xef\xbb\xbf"):
        body = body[3:]
    # One byte is found ten times as fast as three, and most bodies have no backslash.
    if b"\\" in body and (b"\\ud" in body or b"\\uD" in body):
        body = _SURROGATE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)
    return body


def _check_utf8(raw: bytes) -> None:
    """Raises UnicodeDecodeError. Always asked first: msgspec does not look at bytes that it skips."""
    if not raw.isascii():
        raw.decode()


def _decode_each(body: bytes) -> Batch:
    """Decode a body of which some part has the wrong shape: each event on its own."""
    try:
        loose = _decode_loose(body)
    except msgspec.ValidationError as error:
        raise Refused(
            Reason.NOT_A_BATCH, f"body is not a batch ({error}); send an object with a list of events under batch"
        ) from error
    except UNREADABLE as error:
        return _cut_apart(body, error)
    return _each_of(loose, [bytes(raw) for raw in loose.batch])


def _cut_apart(body: bytes, error: Exception) -> Batch:
    """Decode a body that is no JSON, event by event, if it is only for some of its events."""
    fields = members(body)
    raws = None if fields is None else elements(fields.pop("batch", b""))
    if fields is None or raws is None:
        raise _not_json(error) from error
    around = b",".join([msgspec.json.encode(key) + b":" + part for key, part in fields.items()])
    try:
        _check_utf8(around)
        loose = _decode_loose(b'{"batch":[],' + around + b"}" if around else b'{"batch":[]}')
    except UNREADABLE:
        raise _not_json(error) from error
    return _each_of(loose, raws)


def _each_of(loose: _LooseBody, raws: list[bytes]) -> Batch:
    _check_count(len(raws))
    events = [_decode_one(raw) for raw in raws]
    return Batch(events, raws, loose.context, _scalar_of(loose.sentAt), _text_of(loose.writeKey))


class Malformed(Rejected):
    """An event whose own fields are wrong. `violations` lists them all, as class:pointer; the first is its reason."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        """`found` are pointers, each with its sentence."""
        super().__init__(Reason.EVENT_FIELD_INVALID, *found[0])
        self.violations = [f"{Reason.EVENT_FIELD_INVALID.word}:{pointer}" for pointer, _ in found]


def _decode_one(raw: bytes) -> Envelope | Rejected:
    try:
        _check_utf8(raw)
        return _decode_envelope(raw)
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


COMPLAINTS_MAX = 20  # of one malformed event; its properties may have any number of unreadable parts
_LEVELS_MAX = 16  # down to which a part that cannot be read is looked for

_FIELDS = {field.name: decoder for field, decoder in _decoders_of(Envelope)}
_decode_any = msgspec.json.Decoder().decode


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
        _check_utf8(part)
        _decode_any(part)
    except UNREADABLE:
        return False
    return True


def _unreadable(part: bytes) -> str:
    """Why a part cannot be read, and what to do. Its text is not repeated, it may be anything, but for a bare word."""
    try:
        _check_utf8(part)
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


_WORD = re.compile(rb"-?[A-Za-z]{1,12}")


def _token(key: str) -> str:
    return key[:ID_CHARS_MAX].replace("~", "~0").replace("/", "~1")


def _without_odd_sequence(raw: bytes) -> Envelope | Rejected | None:
    """The event, when only its `sequence` is odd (1.0, "7"): that breaks ties between events and is not worth one."""
    try:
        fields = decode_fields(raw)
        sequence = _scalar_of(fields.pop("sequence"))
        event = _decode_one(msgspec.json.encode(fields))
    except (*UNREADABLE, KeyError):
        return None
    if isinstance(event, Envelope) and isinstance(sequence, int | float):
        event.sequence = int(sequence)
    return event


def _scalar_of(raw: bytes | Raw | UnsetType) -> str | int | float | None:
    """A text or number; None for anything else, which is as good as absent."""
    if isinstance(raw, UnsetType):
        return None
    try:
        value: str | int | float | None = _decode_scalar(raw)
    except UNREADABLE:
        return None
    return value


def _text_of(raw: bytes | Raw | UnsetType) -> str | None:
    value = _scalar_of(raw)
    return value if isinstance(value, str) else None


def _object_or_refused(body: bytes) -> Mapping[str, bytes | Raw]:
    try:
        return decode_fields(body)
    except msgspec.ValidationError as error:
        raise Refused(Reason.NOT_A_BATCH, "body is not a JSON object; send one event as an object") from error
    except UNREADABLE as error:
        fields = members(body)
        if fields is None:
            raise _not_json(error) from error
        return fields


def _check_count(count: int) -> None:
    if count > EVENTS_MAX:
        raise Refused(
            Reason.BODY_TOO_LARGE, f"batch has {count:,} events, the limit is {EVENTS_MAX:,}; send smaller batches"
        )


def _not_json(error: Exception) -> Refused:
    if isinstance(error, RecursionError):
        return Refused(Reason.NOT_JSON, "body is nested too deeply to be read; flatten it")
    if isinstance(error, UnicodeDecodeError):
        return Refused(
            Reason.NOT_JSON, f"body is not UTF-8 at byte {error.start:,} ({error.reason}); encode it as UTF-8"
        )
    return Refused(Reason.NOT_JSON, f"body is not JSON: {error}; send one JSON object")


# msgspec names a field it refuses; without a name the event itself is of another type.
_AT_PATH = re.compile(r" - at `\$\.[^`]*`$")
