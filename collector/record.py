"""The shapes that move through the collector.

    Envelope --validate--> Checked --enrich--> EventRow --spool--> segment --load--> events table
                    \\--> FailedRow --spool--> segment --load--> failed_events table

Nothing here does work beyond encoding. Times are integer milliseconds since the epoch, UTC, and end in `_ms`, but for
the row fields, which carry the names of their columns.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

EMPTY_OBJECT = Raw(b"{}")

# A client's clock is corrected by whole steps of this: event_time may be off, and in the future, by half a step.
CLOCK_STEP_MS = 60_000


class Envelope(Struct, gc=False):
    """One event as a Segment-compatible client sends it. Properties, traits and context stay raw JSON.

    In the order in which the tag writes them, which msgspec reads a little faster.
    """

    type: str = ""
    userId: str | int | None = None
    messageId: str | None = None
    anonymousId: str | int | None = None
    timestamp: str | int | float | None = None
    sequence: int | None = None
    context: Raw | UnsetType = UNSET
    event: str | None = None
    properties: Raw | UnsetType = UNSET
    extra: Raw | UnsetType = UNSET  # not Segment's: what a typed helper sends beside the planned properties
    name: str | None = None
    category: str | None = None
    groupId: str | int | None = None
    previousId: str | int | None = None
    originalTimestamp: str | int | float | None = None
    sentAt: str | int | float | None = None
    writeKey: str | None = None
    traits: Raw | UnsetType = UNSET


class EventRow(Struct, array_like=True, gc=False):
    """One row of the `events` table, in the order of its columns (collector/sql/tables/, 001, 003 and 005)."""

    message_id: str
    type: str
    event: str
    event_original: str
    event_version: int
    source_id: str
    visitor_id: str
    user_id: str
    group_id: str
    previous_id: str
    sequence: int
    event_time: int
    occurred_at: int
    sent_at: int | None
    received_at: int
    url: str
    host: str
    path: str
    query: str
    title: str
    referrer: str
    referrer_host: str
    channel: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_term: str
    utm_content: str
    click_id_type: str
    click_id: str
    browser: str
    browser_version: str
    os: str
    os_version: str
    device_class: str
    country: str
    language: str
    time_zone: str
    screen_width: int
    screen_height: int
    viewport_width: int
    viewport_height: int
    is_bot: bool
    bot_reason: str
    conversion: str
    value: str
    currency: str
    library: str
    properties: str
    traits: str
    context: str
    violations: list[str]
    extra: str
    sample_rate: float
    environment: str
    plan_version: str
    region: str
    city: str
    postal_code: str
    place_time_zone: str
    asn: int
    network: str
    device_brand: str
    device_model: str
    fragment: str
    sender_flags: str
    page_flags: str


class FailedRow(Struct, array_like=True, gc=False):
    """One row of the `failed_events` table: a rejected event with what is needed to replay it."""

    message_id: str
    type: str
    event: str
    source_id: str
    visitor_id: str
    user_id: str
    sent_at: int | None
    received_at: int
    reason: str
    pointer: str
    fix: str
    violations: list[str]
    user_agent: str
    country: str
    plan_version: str
    context: str
    raw: str
    environment: str
    plan_hash: str
    sent_with: str


EVENT_COLUMNS: tuple[str, ...] = EventRow.__struct_fields__
FAILED_COLUMNS: tuple[str, ...] = FailedRow.__struct_fields__

# Columns are only ever added, at the end. A segment that was written before an upgrade has rows without the last ones,
# which are filled up with these; they are the defaults of the columns in the database, too.
ADDED_EVENT_VALUES: tuple[object, ...] = ("{}", 1.0, "prod", "", "", "", "", "", 0, "", "", "", "", "", "")
ADDED_FAILED_VALUES: tuple[object, ...] = ("prod", "", "")


class Rows(Struct, array_like=True, gc=False):
    """What one request leaves in the spool: the rows of its accepted and of its rejected events."""

    events: list[EventRow]
    failed: list[FailedRow]


class RawRows(Struct, array_like=True, gc=False):
    """The same, as the loader reads it: rows are plain lists, turned into columns without naming each field."""

    events: list[list[object]]
    failed: list[list[object]]


encode_rows = msgspec.msgpack.Encoder().encode
decode_rows = msgspec.msgpack.Decoder(RawRows).decode
