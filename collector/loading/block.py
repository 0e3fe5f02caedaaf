"""Spooled rows as columns: what one insert sends to ClickHouse.

    payload --add--> columns of events' own values, and numbers of senders and pages --events--> Arrow --> ClickHouse

A record holds what its events share once (packed.py), and so does a block: a column of senders or pages is built from
one value each, and repeated by number. Text that repeats is a dictionary, as it is in most of the table's columns.
decisions/0009-row-format.md has what other formats cost.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types

from collector.ingest.packed import (
    COUNTED_COLUMNS,
    COUNTING_FORM,
    FORM,
    FORM_BEFORE,
    OWN_COLUMNS,
    PAGE_COLUMNS,
    PAGE_COLUMNS_BEFORE,
    SENDER_COLUMNS,
    SENDER_COLUMNS_BEFORE,
    Part,
    page_of_before,
    sender_of_before,
)
from collector.loading.kept import DAY_MS
from collector.record import (
    ADDED_EVENT_VALUES,
    ADDED_FAILED_VALUES,
    EVENT_COLUMNS,
    FAILED_COLUMNS,
    decode_rows,
)

TURN_ROWS = 256  # rows turned into columns at once: their values then still lie in the processor's cache

_TEXT = pa.string()
_MOMENT = pa.timestamp("ms", "UTC")
_SMALL = pa.uint16()
_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("event_time", "occurred_at", "sent_at", "received_at"), _MOMENT),
    **dict.fromkeys(("event_version", "screen_width", "screen_height", "viewport_width", "viewport_height"), _SMALL),
    "sequence": pa.uint32(),
    "asn": pa.uint32(),
    "is_bot": pa.bool_(),
    "value": pa.decimal128(18, 4),
    "violations": pa.list_(_TEXT),
    "sample_rate": pa.float32(),
}
# Text of few values: LowCardinality in the table, or nearly always empty.
_REPEATED = frozenset(
    (
        "type", "event", "event_original", "source_id", "host", "referrer_host", "channel",
        "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "click_id_type", "click_id",
        "browser", "browser_version", "os", "os_version", "device_class", "bot_reason", "country",
        "region", "city", "postal_code", "place_time_zone", "network", "device_brand", "device_model", "fragment",
        "sender_flags", "page_flags",
        "language", "time_zone", "library", "context", "conversion", "currency", "traits", "extra", "environment",
        "plan_version",
        "group_id", "previous_id", "reason", "plan_hash", "sent_with",
    )
)  # fmt: skip
# What takes the place of a value that does not fit its column; its row is refused.
_STAND_IN: dict[str, object] = {"is_bot": False, "violations": [], "value": "0"}
# What grows most where it is repeated; a worker bounds it, too (pipeline.CONTEXT_TOTAL_BYTES_MAX).
_CONTEXT = SENDER_COLUMNS.index("context")
_LONG_OF_PAGE = tuple(PAGE_COLUMNS.index(name) for name in ("url", "path", "query", "referrer"))

_SOURCE = SENDER_COLUMNS.index("source_id")
_MESSAGE, _VISITOR = (OWN_COLUMNS.index(name) + 2 for name in ("message_id", "visitor_id"))
_COUNTED_SOURCE, _COUNTED_MESSAGE = (COUNTED_COLUMNS.index(name) for name in ("source_id", "message_id"))
COUNTED_TEXTS = ("source_id", "environment", "event", "host", "path", "reason")
_FAILED_KEY = [FAILED_COLUMNS.index(name) for name in ("source_id", "message_id", "reason")]

_SENDER_OF = [EVENT_COLUMNS.index(name) for name in SENDER_COLUMNS]
_PAGE_OF = [EVENT_COLUMNS.index(name) for name in PAGE_COLUMNS]
_OWN_OF = [EVENT_COLUMNS.index(name) for name in OWN_COLUMNS]


def _parts(columns: int) -> Any:
    """The type of a list of tuples of so many values: the decoder itself sees to their number."""
    return types.GenericAlias(list, (types.GenericAlias(tuple, (Any,) * columns),))


# Pages stay bytes until it is known that they are new: few of a batch are.
_Packed: TypeAlias = tuple[int, list[Part], list[msgspec.Raw], list[Part], list[list[object]]]


def _decoders(senders: int, pages: int) -> tuple[Callable[[bytes], _Packed], Callable[[bytes], Part]]:
    """What reads a payload whose senders and pages have so many columns, and one of its pages."""
    packed = types.GenericAlias(
        tuple, (int, _parts(senders), list[msgspec.Raw], _parts(len(OWN_COLUMNS) + 2), list[list[object]])
    )
    page = types.GenericAlias(tuple, (Any,) * pages)
    return msgspec.msgpack.Decoder(packed).decode, msgspec.msgpack.Decoder(page).decode


def _counting_decoder() -> Callable[[bytes], tuple[int, list[Part], list[msgspec.Raw], list[Part], Any, list[Part]]]:
    parts = (int, _parts(len(SENDER_COLUMNS)), list[msgspec.Raw], _parts(len(OWN_COLUMNS) + 2), list[list[object]])
    return msgspec.msgpack.Decoder(types.GenericAlias(tuple, (*parts, _parts(len(COUNTED_COLUMNS))))).decode


_decode_counting = _counting_decoder()
_decode_packed, _decode_page = _decoders(len(SENDER_COLUMNS), len(PAGE_COLUMNS))
_decode_packed_before, _decode_page_before = _decoders(len(SENDER_COLUMNS_BEFORE), len(PAGE_COLUMNS_BEFORE))
_encode_page = msgspec.msgpack.Encoder().encode
_PACKED_HEAD = bytes((0x95, FORM))  # MessagePack: an array of five, whose first is the small number FORM
_COUNTING_HEAD = bytes((0x96, COUNTING_FORM))  # the same with the counted events behind it
_HEAD_BEFORE = bytes((0x95, FORM_BEFORE))
_ROWS_HEAD = 0x92  # an array of two: whole rows


def event_key(source_id: object, message_id: object) -> str:
    """What tells an accepted event from all others."""
    return f"{source_id}\0{message_id}"


def failed_key(source_id: object, message_id: object, reason: object) -> str:
    """What tells a rejected event from all others."""
    return f"{source_id}\0{message_id}\0{reason}"


class UnknownForm(Exception):
    """A payload of another form than this version reads. The text is one sentence."""


class Rows:
    """The rows of a batch, as they are collected from payloads."""

    def __init__(self) -> None:
        self.failed: list[list[object]] = []
        self.counted: list[Part] = []
        self._senders: list[Part] = []
        self._pages: list[Part] = []
        self._sender_at: list[int] = []
        self._page_at: list[int] = []
        self._page_numbers: dict[bytes, int] = {}
        self._page_bytes: list[int] = []
        self._event_keys: list[str] = []
        self._turning: list[Part] = []
        self._table: pa.Table | None = None
        self._unfit: dict[int, str] = {}
        self._own: list[list[Any]] = [[] for _ in range(len(OWN_COLUMNS) + 2)]

    def __len__(self) -> int:
        return len(self._sender_at) + len(self.failed) + len(self.counted)

    def add(self, payload: bytes) -> int:
        """Take the rows of one record.

        Returns:
            About how many bytes they are once they stand in the database's memory.
        Raises:
            UnknownForm: it was written by another version.
            msgspec.MsgspecError: it is no payload at all.
        """
        if payload.startswith(_PACKED_HEAD):
            _, senders, pages, events, failed = _decode_packed(payload)
        elif payload.startswith(_COUNTING_HEAD):
            _, senders, pages, events, failed, counted = _decode_counting(payload)
            self.counted += counted
        elif payload.startswith(_HEAD_BEFORE):
            _, senders, pages, events, failed = _filled_up(_decode_packed_before(payload))
        else:
            return self._add_whole(payload)
        if failed:
            self.failed += filled_up(failed, len(FAILED_COLUMNS), ADDED_FAILED_VALUES)
        if not events:
            return len(payload)
        numbers = [self._page_number(bytes(page)) for page in pages]
        self._take(senders, numbers, events)
        size = len(payload) + (len(events) - len(senders)) * max(len(sender[_CONTEXT]) for sender in senders)
        if len(numbers) < len(events):
            size += (len(events) - len(numbers)) * max([self._page_bytes[number] for number in numbers])
        return size

    def _page_number(self, page: bytes) -> int:
        number = self._page_numbers.get(page)
        if number is None:
            columns = _decode_page(page)
            number = self._page_numbers[page] = len(self._pages)
            self._pages.append(columns)
            self._page_bytes.append(sum(len(columns[at]) for at in _LONG_OF_PAGE))
        return number

    def _take(self, senders: list[Part], pages: list[int], events: list[Part]) -> None:
        first_sender = len(self._senders)
        self._senders += senders
        self._sender_at += [first_sender + event[0] for event in events]
        self._page_at += [pages[event[1]] for event in events]
        self._turning += events
        if len(self._turning) >= TURN_ROWS:
            self._turn()

    def _add_whole(self, payload: bytes) -> int:
        """Rows that are written out: an older version's, and those of a replay."""
        if not payload or payload[0] != _ROWS_HEAD:
            form = payload[1] if len(payload) > 1 else 0
            raise UnknownForm(
                f"the spool holds rows of form {form}, and this version reads {FORM}; start the version that wrote them"
            )
        rows = decode_rows(payload)
        for row in filled_up(rows.events, len(EVENT_COLUMNS), ADDED_EVENT_VALUES):
            own = (0, 0, *(row[at] for at in _OWN_OF))
            page = self._page_number(_encode_page(tuple(row[at] for at in _PAGE_OF)))
            self._take([tuple(row[at] for at in _SENDER_OF)], [page], [own])
        self.failed += filled_up(rows.failed, len(FAILED_COLUMNS), ADDED_FAILED_VALUES)
        return len(payload)

    def _turn(self) -> None:
        if not self._turning:
            return
        for column, values in zip(self._own, zip(*self._turning, strict=True), strict=True):
            column.extend(values)
        self._turning.clear()

    def event_keys(self) -> list[str]:
        """What tells an event from all others, for each accepted event: see `event_key`. The list stays ours."""
        self._turn()
        if len(self._event_keys) != len(self._sender_at):
            sources = [sender[_SOURCE] for sender in self._senders]
            places = zip(self._sender_at, self._own[_MESSAGE], strict=True)
            self._event_keys = [f"{sources[at]}\0{message_id}" for at, message_id in places]
        return self._event_keys

    def failed_keys(self) -> list[str]:
        """The same for each rejected event: see `failed_key`."""
        return [failed_key(*(row[at] for at in _FAILED_KEY)) for row in self.failed]

    def counted_keys(self) -> list[str]:
        """The same for each counted event. It is the key of an accepted one: what was stored is not counted, too."""
        return [event_key(row[_COUNTED_SOURCE], row[_COUNTED_MESSAGE]) for row in self.counted]

    def place_of(self, row: int) -> tuple[str, str, str]:
        """Source, visitor and message id of an accepted event."""
        return self._senders[self._sender_at[row]][_SOURCE], self._own[_VISITOR][row], self._own[_MESSAGE][row]

    def events(self) -> tuple[pa.Table, dict[int, str]]:
        """The accepted events in the columns of EVENT_COLUMNS; and of each row that fits no column, why.

        Made once: no rows may be added afterwards.
        """
        if self._table is not None:
            return self._table, self._unfit
        self._turn()
        arrays: dict[str, pa.Array] = {}
        unfit: dict[int, str] = {}
        for name, column in zip(OWN_COLUMNS, self._own[2:], strict=True):
            arrays[name], wrong = _array(name, column)
            unfit.update(wrong)
        for names, shared, numbers in (
            (SENDER_COLUMNS, self._senders, self._sender_at),
            (PAGE_COLUMNS, self._pages, self._page_at),
        ):
            at = pa.array(numbers, pa.int32())
            turned = zip(*shared, strict=True) if shared else ((),) * len(names)
            for name, values in zip(names, turned, strict=True):
                array, wrong = _array(name, values)
                arrays[name] = _spread(array, at)
                unfit.update(
                    {row: wrong[number] for row, number in enumerate(numbers) if number in wrong} if wrong else {}
                )
        self._table, self._unfit = pa.table([arrays[name] for name in EVENT_COLUMNS], list(EVENT_COLUMNS)), unfit
        return self._table, unfit

    def failed_events(self) -> tuple[pa.Table, dict[int, str]]:
        """The rejected events in the columns of FAILED_COLUMNS; and of each row that fits no column, why."""
        return failed_table(self.failed)

    def counted_events(self) -> pa.Table:
        """The counted events in the columns of the table counted_events, each as 1; their ids are left behind."""
        turned = dict(zip(COUNTED_COLUMNS, zip(*self.counted, strict=True), strict=True)) if self.counted else {}
        days = [received_ms // DAY_MS for received_ms in turned.get("received_at", ())]
        arrays = {
            "day": pa.array(days, pa.int32()).cast(pa.date32()),
            **{name: pa.array(turned.get(name, ()), _TEXT) for name in COUNTED_TEXTS},
            "is_bot": pa.array(turned.get("is_bot", ()), pa.bool_()),
            "events": pa.repeat(pa.scalar(1, pa.uint64()), len(self.counted)),
        }
        return pa.table(list(arrays.values()), list(arrays))


def failed_table(rows: Sequence[Sequence[object]]) -> tuple[pa.Table, dict[int, str]]:
    """Rows of FAILED_COLUMNS as a table; and of each row that fits no column, why."""
    unfit: dict[int, str] = {}
    arrays = []
    for name, values in zip(
        FAILED_COLUMNS, zip(*rows, strict=True) if rows else ((),) * len(FAILED_COLUMNS), strict=True
    ):
        array, wrong = _array(name, values)
        arrays.append(array)
        unfit.update(wrong)
    return pa.table(arrays, list(FAILED_COLUMNS)), unfit


def stream(table: pa.Table, batch_id: str) -> bytes:
    """The table and a column `batch_id` as an Arrow stream of one record batch: one block, which nobody cuts again."""
    rows = table.num_rows
    zeros = pa.repeat(pa.scalar(0, pa.int32()), rows)
    table = table.append_column("batch_id", pa.DictionaryArray.from_arrays(zeros, pa.array([batch_id], _TEXT)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def visitors(table: pa.Table) -> dict[str, list[str]]:
    """Whose the events of a block are, each visitor once, as columns by name."""
    names = ["source_id", "visitor_id"]
    found: dict[str, list[str]] = (
        pa.table({name: table[name].cast(_TEXT) for name in names}).group_by(names).aggregate([]).to_pydict()
    )
    return found


def filled_up(rows: list[list[object]], columns: int, added: Sequence[object]) -> list[list[object]]:
    """Give rows that an older version spooled the columns that were added since.

    Raises:
        UnknownForm: a row has fewer columns than any version wrote, or more than this one knows.
    """
    for row in rows:
        missing = columns - len(row)
        if 0 < missing <= len(added):
            row.extend(added[-missing:])
        elif missing:
            raise UnknownForm(
                f"the spool holds rows of {len(row)} columns, and this version reads {columns - len(added)} to "
                f"{columns}; start the version that wrote them"
            )
    return rows


def _filled_up(before: _Packed) -> _Packed:
    """A payload of FORM_BEFORE with all columns."""
    _, senders, pages, events, failed = before
    filled = [msgspec.Raw(_encode_page(page_of_before(_decode_page_before(bytes(page))))) for page in pages]
    return FORM, [sender_of_before(sender) for sender in senders], filled, events, failed


def _array(name: str, values: Sequence[Any]) -> tuple[pa.Array, dict[int, str]]:
    """One column; and of each value that does not fit it, why. A stand-in takes its place."""
    try:
        return _converted(name, values), {}
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        kept, unfit = list(values), {}
        for index, value in enumerate(values):
            try:
                _converted(name, [value])
            except (pa.ArrowException, OverflowError, TypeError, ValueError) as problem:
                unfit[index] = f"{name} does not fit its column: {problem}"
                kept[index] = _stand_in(name)
        return _converted(name, kept), unfit


def _stand_in(name: str) -> object:
    return _STAND_IN.get(name, 0 if name in _TYPES else "")


def _converted(name: str, values: Sequence[Any]) -> pa.Array:
    # A column often holds one value, and counting is cheaper than converting. Otherwise its ends mostly differ.
    if len(values) > 1 and values[0] == values[-1] and values.count(values[0]) == len(values):
        return _spread(_converted(name, values[:1]), pa.repeat(pa.scalar(0, pa.int32()), len(values)))
    if name == "value":
        texts = pa.array(values, _TEXT).dictionary_encode()
        return texts.dictionary.cast(_TYPES[name]).take(texts.indices)
    array = pa.array(values, _TYPES.get(name, _TEXT))
    return array.dictionary_encode() if name in _REPEATED else array


def _spread(array: pa.Array, at: pa.Array) -> pa.Array:
    """The values at these places."""
    if isinstance(array, pa.DictionaryArray):
        return pa.DictionaryArray.from_arrays(array.indices.take(at), array.dictionary)
    return array.take(at)


def times_ms(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column of times as milliseconds."""
    return table[name].cast(pa.int64())


def as_dicts(table: pa.Table, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Some rows by column, times in milliseconds, decimals as text."""
    some = table.take(pa.array(rows, pa.int64()))
    for at, field in enumerate(some.schema):
        if field.type == _MOMENT:
            some = some.set_column(at, field.name, times_ms(some, field.name))
        elif pa.types.is_decimal(field.type):
            some = some.set_column(at, field.name, some[field.name].cast(_TEXT))
    dicts: list[dict[str, Any]] = some.to_pylist()
    return dicts


def without(table: pa.Table, skipped: Iterable[int]) -> pa.Table:
    """The table without these rows."""
    skip = set(skipped)
    if not skip:
        return table
    return table.take(pa.array([row for row in range(table.num_rows) if row not in skip], pa.int64()))
