"""The pixel: one event in the query string of an image's address, for pages and e-mails without script."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from collector.limits import PARAMETERS_MAX, QUERY_BYTES_MAX
from collector.reason import Reason, Refused
from collector.record import Envelope
from collector.wire.decode import Batch, decode_single

_PIXEL_FIELDS = ("type", "event", "name", "userId", "anonymousId", "messageId", "timestamp", "groupId", "previousId")


def decode_pixel(query: str, embedding_page: str = "") -> Batch:
    """Decode the query string of GET /v1/p.gif into one event.

    Either `data=` holds the event as base64 or plain JSON, or the parameters are the event's own fields (`event`,
    `type`, `userId`, `anonymousId`, `messageId`, `url`, `referrer`, `title`) and all others become its properties. Of
    a repeated parameter the last counts. `ack` is about the answer, and no property. An event without a type is a track
    when it has a name, else a page.

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
    fields.pop("ack", None)  # about the answer, see receive.py
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


def _pixel_data(data: str) -> bytes:
    if data.lstrip().startswith("{"):
        return data.encode()
    padded = data.replace("-", "+").replace("_", "/").replace(" ", "+")
    try:
        return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(Reason.BAD_QUERY, "data is neither JSON nor base64; encode the event's JSON as base64") from error
