"""Rows whose common parts are written once: put together again they are whole, each value in its own column."""

from __future__ import annotations

import msgspec

from collector.ingest.packed import FORM, OWN_COLUMNS, PAGE_COLUMNS, SENDER_COLUMNS, Packed, encode_packed
from collector.record import EVENT_COLUMNS


def test_each_column_is_written_in_one_place() -> None:
    assert sorted((*OWN_COLUMNS, *SENDER_COLUMNS, *PAGE_COLUMNS)) == sorted(EVENT_COLUMNS)


def test_rows_are_put_together_from_their_own_sender_and_page() -> None:
    senders = [tuple(f"{name} of sender {number}" for name in SENDER_COLUMNS) for number in range(2)]
    pages = [tuple(f"{name} of page {number}" for name in PAGE_COLUMNS) for number in range(3)]
    events = [
        (sender, page, *(f"{name} of event {number}" for name in OWN_COLUMNS))
        for number, (sender, page) in enumerate(((0, 0), (0, 2), (1, 1), (0, 0)))
    ]
    rows, failed = Packed(FORM, senders, pages, events, []).whole()
    assert failed == []
    for number, row in enumerate(rows):
        for name, value in zip(EVENT_COLUMNS, row, strict=True):
            if name in SENDER_COLUMNS:
                assert value == f"{name} of sender {(0, 0, 1, 0)[number]}"
            elif name in PAGE_COLUMNS:
                assert value == f"{name} of page {(0, 2, 1, 0)[number]}"
            else:
                assert value == f"{name} of event {number}"


def test_a_payload_is_told_from_one_with_whole_rows_by_its_first_bytes() -> None:
    payload = encode_packed(Packed(FORM, [], [], [], []))
    assert payload.startswith(bytes((0x95, FORM)))
    assert msgspec.msgpack.decode(payload, type=Packed) == Packed(FORM, [], [], [], [])
    assert isinstance(msgspec.msgpack.decode(payload), list)
