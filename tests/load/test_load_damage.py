"""A damaged segment costs what is damaged and nothing else, and what is damaged is kept and counted."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from load.spooled import Data, event, load_all, never_merge, record

from collector.database.store import Store
from collector.loading.ledger import (
    Ledger,
    LoadError,
    Manifest,
    Positions,
    Range,
    encode_state,
    read_positions,
    read_state,
)
from collector.loading.load import SCHEMA
from collector.spooling.spool import SEGMENT_MAGIC, segments


@pytest.fixture
def data(tmp_path: Path, store: Store) -> Data:
    never_merge(store)
    return Data(tmp_path)


def stored(store: Store) -> list[tuple[str, int]]:
    rows = store.rows(f"SELECT message_id, count() FROM {store.database}.events GROUP BY message_id ORDER BY 1")
    return [(str(message_id), int(count)) for message_id, count in rows]


def test_the_rest_of_a_damaged_segment_is_loaded_and_the_damage_kept_and_counted(store: Store, data: Data) -> None:
    records = [record([event(name)]) for name in "abcde"]
    path = data.segment(*records)
    content = bytearray(path.read_bytes())
    starts = [len(SEGMENT_MAGIC) + sum(map(len, records[:n])) for n in range(6)]
    content[starts[1] + 30] ^= 4
    content[starts[3]] ^= 4
    path.write_bytes(content)
    data.segment(record([event("f")]))
    data.load(store)
    assert stored(store) == [(name, 1) for name in "acef"]
    kept = {part.name: part.read_bytes() for part in (data.spool / "damaged").iterdir()}
    assert kept == {
        f"{path.name}.{start}-{end}": bytes(content[start:end])
        for start, end in ((starts[1], starts[2]), (starts[3], starts[4]))
    }
    ledger = read_positions(data.folder).ledger
    assert ledger.damaged_bytes == len(records[1]) + len(records[3])
    assert ledger.received == ledger.stored == 4
    assert segments(data.spool) == []


def test_a_torn_tail_is_left_behind_and_is_no_damage(store: Store, data: Data) -> None:
    path = data.segment(record([event("a")]), record([event("b")])[:-1])
    data.load(store)
    assert stored(store) == [("a", 1)]
    assert read_positions(data.folder).ledger.damaged_bytes == 0
    assert not (data.spool / "damaged").exists()
    assert not path.exists()


def test_damage_in_a_live_segment_holds_up_no_other_and_is_dealt_with_once_it_is_sealed(
    store: Store, data: Data
) -> None:
    spoilt = bytearray(record([event("b")]))
    spoilt[40] ^= 1
    data.segment(record([event("a")]), bytes(spoilt), record([event("c")]), live=True)
    data.segment(record([event("d")]), owner="worker-1")
    loader = data.load(store)
    assert stored(store) == [("a", 1), ("d", 1)]
    data.end_writers()
    load_all(loader)
    assert stored(store) == [("a", 1), ("c", 1), ("d", 1)]
    assert read_positions(data.folder).ledger.damaged_bytes == len(spoilt)


PART = Range("worker-0-0000000000001-00000000.segment", 8, 4_096)


@pytest.mark.parametrize(
    "state",
    [Positions("c", 7, {PART.segment: PART.end}), Manifest(8, "b", [PART], [1], [], SCHEMA, Ledger(stored=3))],
    ids=lambda state: type(state).__name__,
)
def test_a_bit_flipped_anywhere_in_the_loaders_own_files_is_told_and_nothing_is_loaded_by_them(
    tmp_path: Path, state: Positions | Manifest
) -> None:
    """A position that is too far would delete events unread, and a manifest's range leave some out."""
    path = tmp_path / "state.json"
    kind: Any = type(state)
    content = encode_state(state)
    path.write_bytes(content)
    assert read_state(path, kind) == state
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        if at >= len(content) - len(b',"crc32":"00000000"}'):
            with contextlib.suppress(LoadError):
                assert read_state(path, kind) == state, "what is not damaged may be believed, and nothing else"
            continue
        with pytest.raises(LoadError, match=r"state\.json (is damaged|cannot be read): .*restore it from a backup"):
            read_state(path, kind)
    path.write_bytes(content.partition(b',"crc32"')[0] + b"}")  # as versions before wrote it
    assert read_state(path, kind) == state
    assert msgspec.json.decode(content, type=kind) == state, "versions before read what this one writes"


def test_segments_that_hold_nothing_are_deleted(store: Store, data: Data) -> None:
    data.segment()
    data.segment().write_bytes(b"")
    data.load(store)
    assert segments(data.spool) == []
    assert read_positions(data.folder).sequence == 0
