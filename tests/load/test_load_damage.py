"""A damaged segment costs what is damaged and nothing else, and what is damaged is kept and counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from load.spooled import Data, event, load_all, never_merge, record

from collector.ledger import read_positions
from collector.spool import SEGMENT_MAGIC, segments
from collector.store import Store


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


def test_segments_that_hold_nothing_are_deleted(store: Store, data: Data) -> None:
    data.segment()
    data.segment().write_bytes(b"")
    data.load(store)
    assert segments(data.spool) == []
    assert read_positions(data.folder).sequence == 0
