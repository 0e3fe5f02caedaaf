"""From the bytes of a request to the envelopes it carries.

A body is trusted in no way: it is checked for UTF-8 first (msgspec skips bytes it does not need without looking at
them), decoded once, typed, and only when that fails event by event, so that one bad event costs its neighbours nothing.
What is no JSON at all is cut apart at its brackets, for the same end. Properties, traits, context and extra stay raw.
Of a name that stands twice in an object the last counts, as in JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from collector.limits import (
    BODY_BYTES_MAX,
    EVENTS_MAX,
)
from collector.reason import Reason, Refused, Rejected
from collector.record import Envelope
from collector.wire.cut import elements, members
from collector.wire.malformed import (
    UNREADABLE,
    check_utf8,
    decode_envelope,
    decode_event,
    decode_fields,
    scalar_of,
    text_of,
)

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
    size_bytes: int = BODY_BYTES_MAX  # of the body: no part of it is larger


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


# Bodies that are refused for these reasons are kept, if they say whose they are.
KEPT_REASONS = (Reason.NOT_JSON, Reason.NOT_A_BATCH)
_WRITE_KEY = re.compile(rb'"writeKey"\s*:\s*"([!#-\[\]-~]{1,200})"')

_decode_body = msgspec.json.Decoder(_Body).decode
_decode_loose = msgspec.json.Decoder(_LooseBody).decode


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
        check_utf8(body)
        decoded = _decode_body(body)
    except msgspec.ValidationError:
        return _decode_each(body)
    except UNREADABLE as error:
        return _cut_apart(body, error)
    _check_count(len(decoded.batch))
    return Batch(decoded.batch, (), decoded.context, decoded.sentAt, decoded.writeKey, len(body))


def decode_single(body: bytes, kind: str) -> Batch:
    """Decode the body of POST /v1/<type>: one event whose `type` the path gives; empty to keep the event's own.

    Raises:
        Refused: as decode_batch; NOT_A_BATCH for what is no object, and for a batch, which has a path of its own.
    """
    body = _repaired(body)
    event: Envelope | Rejected
    try:
        check_utf8(body)
        event = decoded = decode_envelope(body)
        sent_at, write_key = decoded.sentAt, decoded.writeKey
    except UNREADABLE:
        fields = _object_or_refused(body)
        event = decode_event(body)
        sent_at, write_key = scalar_of(fields.get("sentAt", UNSET)), text_of(fields.get("writeKey", UNSET))
    if b'"batch"' in body and "batch" in _object_or_refused(body):
        # Taken for an event it would be one without a name, or an empty page view: its events would be lost silently.
        raise Refused(Reason.NOT_A_BATCH, "body is a batch, this path takes one event; send batches to /v1/batch")
    if kind and isinstance(event, Envelope):
        event.type = kind
    return Batch([event], [body], UNSET, sent_at, write_key, len(body))


def unreadable(body: bytes, refused: Refused) -> Batch:
    """What is kept of a body in which nothing can be told apart: one rejected event, which is all of its bytes.

    The write key is looked for, so that the body finds its source; its bytes may be anything.
    """
    key = _WRITE_KEY.search(body)
    event = Rejected(refused.reason, "", refused.sentence)
    return Batch([event], [body], UNSET, None, key[1].decode() if key else None, len(body))


def raw_events(body: bytes) -> list[bytes]:
    """Each event's own bytes of a body that decode_batch has read; needed only when one of them is rejected."""
    return [bytes(raw) for raw in _decode_loose(_repaired(body)).batch]


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
        check_utf8(around)
        loose = _decode_loose(b'{"batch":[],' + around + b"}" if around else b'{"batch":[]}')
    except UNREADABLE:
        raise _not_json(error) from error
    return _each_of(loose, raws)


def _each_of(loose: _LooseBody, raws: list[bytes]) -> Batch:
    _check_count(len(raws))
    events = [decode_event(raw) for raw in raws]
    return Batch(events, raws, loose.context, scalar_of(loose.sentAt), text_of(loose.writeKey))


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
