"""The rows of one request as they stand in a record of the spool: what several events share is written once.

    senders  who sent and when, with which device and context: one, unless events bring contexts of their own
    pages    where it happened and where the visit came from: one for each page that an event of the request names
    events   [number of its sender, number of its page, what is the event's own]
    counted  what is left of events that are only counted: no sender, no page, nobody

Written out in full, a row of a page view takes about 850 bytes, of which 300 are its own; to encode, sum and write the
rest twenty times over took a third of a batch. `whole` puts the columns together in the order of EventRow.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from collector.record import EVENT_COLUMNS, EventRow, FailedRow, Rows

SENDER_COLUMNS = (
    "source_id", "sent_at", "received_at", "plan_version",
    "browser", "browser_version", "os", "os_version", "device_class", "is_bot", "bot_reason",
    "device_brand", "device_model",
    "country", "region", "city", "postal_code", "place_time_zone", "asn", "network", "sender_flags",
    "language", "time_zone", "screen_width", "screen_height", "viewport_width", "viewport_height", "library", "context",
)  # fmt: skip
PAGE_COLUMNS = (
    "url", "host", "path", "query", "referrer", "referrer_host", "channel",
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "click_id_type", "click_id",
    "fragment", "page_flags",
)  # fmt: skip
OWN_COLUMNS = (
    "message_id", "type", "event", "event_original", "event_version", "conversion", "value", "currency",
    "visitor_id", "user_id", "group_id", "previous_id", "sequence", "event_time", "occurred_at",
    "title", "properties", "traits", "violations", "extra", "sample_rate", "environment",
)  # fmt: skip

# Of an event that is only counted. The message id tells a retry, and is stored nowhere.
COUNTED_COLUMNS = (
    "message_id", "source_id", "received_at", "environment", "event", "host", "path", "is_bot", "reason",
)  # fmt: skip

# The first element of a payload; that of one with whole rows is their list.
FORM = 3
COUNTING_FORM = 4  # the same with the counted events behind it, for the few requests that have any

Part: TypeAlias = tuple[Any, ...]

# The form of before had fewer columns; its rows are filled up with the defaults of the database.
FORM_BEFORE = 2
_ADDED_TO_SENDERS: dict[str, object] = {
    "device_brand": "", "device_model": "", "region": "", "city": "", "postal_code": "", "place_time_zone": "",
    "asn": 0, "network": "", "sender_flags": "",
}  # fmt: skip
SENDER_COLUMNS_BEFORE = tuple(name for name in SENDER_COLUMNS if name not in _ADDED_TO_SENDERS)
PAGE_COLUMNS_BEFORE = PAGE_COLUMNS[:-2]
_ADDED_TO_PAGES = ("", "")


def sender_of_before(sender: Part) -> Part:
    """A sender of FORM_BEFORE with all columns."""
    said = dict(zip(SENDER_COLUMNS_BEFORE, sender, strict=True)) | _ADDED_TO_SENDERS
    return tuple(said[name] for name in SENDER_COLUMNS)


def page_of_before(page: Part) -> Part:
    """A page of FORM_BEFORE with all columns."""
    return (*page, *_ADDED_TO_PAGES)


_NUMBERS = ("sender", "page")
_FOUND_AT = {name: at for at, name in enumerate((*_NUMBERS, *OWN_COLUMNS, *SENDER_COLUMNS, *PAGE_COLUMNS))}
_in_order: Callable[[Part], Part] = itemgetter(*(_FOUND_AT[name] for name in EVENT_COLUMNS))


class Packed(Struct, array_like=True, gc=False):
    """The rows of one request. Each of `events` begins with the numbers of its sender and of its page."""

    form: int
    senders: list[Part]
    pages: list[Part]
    events: list[Part]
    failed: list[FailedRow]

    def rows(self) -> Rows:
        """Whole rows, as those have them who look at columns by name."""
        events, failed = self.whole()
        return Rows([EventRow(*row) for row in events], failed)

    def whole(self) -> tuple[list[Part], list[FailedRow]]:
        """The same as plain values, each event's in the order of EventRow."""
        senders, pages = self.senders, self.pages
        return [_in_order((*event, *senders[event[0]], *pages[event[1]])) for event in self.events], self.failed


_encode = msgspec.msgpack.Encoder().encode


def encode_packed(packed: Packed, counted: list[Part] | None = None) -> bytes:
    """The payload of a record. `counted` are rows of COUNTED_COLUMNS."""
    if not counted:
        return _encode(packed)
    return _encode((COUNTING_FORM, packed.senders, packed.pages, packed.events, packed.failed, counted))


def only_used(packed: Packed) -> None:
    """Forget the senders and pages of which there is no event: of those without consent nothing is to be written."""
    senders = {number: at for at, number in enumerate(sorted({event[0] for event in packed.events}))}
    pages = {number: at for at, number in enumerate(sorted({event[1] for event in packed.events}))}
    packed.senders = [packed.senders[number] for number in senders]
    packed.pages = [packed.pages[number] for number in pages]
    packed.events = [(senders[event[0]], pages[event[1]], *event[2:]) for event in packed.events]
