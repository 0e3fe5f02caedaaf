"""A pressed segment is the plain one in less room: the same bytes and positions, whatever is killed or damaged."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from backports import zstd
from load.spooled import Data, assert_exactly_once, event, load_all, never_merge, record
from spool.segments import read_all, write_segment

from collector.database.store import Store
from collector.spooling import press as pressing
from collector.spooling.press import UNNAMED, Press, press, waiting
from collector.spooling.pressed import SegmentFile
from collector.spooling.spool import SEGMENT_MAGIC, Damage, Record, count_spooled, frame, segment_bytes, segments

NOW_MS = 1_790_000_000_000
# Compressible and unlike each other, some with none and some with several events of each kind.
PAYLOADS = [b"%d" % number * (number * 7 % 40) for number in range(60)]


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Frames of a few records, and segments of any size are worth it."""
    monkeypatch.setattr(pressing, "FRAME_BYTES", 400)
    monkeypatch.setattr(pressing, "BYTES_MIN", 1)
    yield


def counted(path: Path) -> None:
    """A sealed segment whose records count differently, with a torn tail as a kill leaves it."""
    records = [frame(payload, at % 3, at % 2, at % 5) for at, payload in enumerate(PAYLOADS)]
    path.write_bytes(SEGMENT_MAGIC + b"".join(records) + records[7][:-1])


def test_pressed_it_is_the_same_bytes_positions_and_counts_for_every_reader_and_for_zstd(tmp_path: Path) -> None:
    path = tmp_path / "worker-0-1-0.segment"
    counted(path)
    plain, items = path.read_bytes(), read_all(path)
    places = [0, len(SEGMENT_MAGIC), *(item.end for item in items)]
    spooled = [count_spooled(tmp_path, {path.name: place}) for place in places]
    saved = press(path, threading.Lock())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "one copy, under the name it had"
    assert saved == len(plain) - path.stat().st_size > 0
    assert path.stat().st_mode & 0o777 == 0o600
    with SegmentFile(path) as file:
        assert len(file.frames or ()) > 5
        assert file.read(0, len(plain) + 1) == plain
        for start, end in pairwise(places):
            assert file.read(start, end - start) == plain[start:end]
    assert zstd.decompress(path.read_bytes()) == plain
    for bytes_max in (1, 100, 4_096):
        assert read_all(path, bytes_max) == items
    assert segment_bytes(path) == len(plain)
    assert [count_spooled(tmp_path, {path.name: place}) for place in places] == spooled
    assert spooled[0] > 0
    assert list(waiting(tmp_path, NOW_MS * 2)) == [], "what is pressed is not pressed again"


def test_a_bit_flipped_anywhere_costs_one_frame_at_most_and_is_never_read_as_something_else(tmp_path: Path) -> None:
    path = tmp_path / "worker-0-1-0.segment"
    spans = write_segment(path, PAYLOADS[:30])
    press(path, threading.Lock())
    whole = path.read_bytes()
    with SegmentFile(path) as file:
        frames = file.frames or []
    held = {(item.start, item.payload) for item in read_all(path) if isinstance(item, Record)}
    assert len(held) == 30
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        items = read_all(path)
        read = {(item.start, item.payload) for item in items if isinstance(item, Record)}
        assert read <= held
        lost = {start for start, _ in held - read}
        spoilt = [one for one in frames if one.at <= at < one.at + one.pressed_bytes]
        assert lost in (set(), {start for start, _ in spans if spoilt and spoilt[0].start <= start < spoilt[0].end}), at
        if lost:
            (damage,) = [item for item in items if isinstance(item, Damage)]
            assert not damage.torn
            with SegmentFile(path) as file:
                kept = b"".join(file.kept(damage.start, damage.end))
            assert whole[at] ^ 1 << at % 8 in kept, "the damaged frame itself is kept, not a stand-in"
            assert len(kept) <= spoilt[0].pressed_bytes + spoilt[0].end - spoilt[0].start


def test_a_plain_segment_is_plain_whatever_clients_make_its_end_look_like(tmp_path: Path) -> None:
    path = tmp_path / "worker-0-1-0.segment"
    counted(path)
    press(path, threading.Lock())
    tail = path.read_bytes()[-200:]
    spans = write_segment(path, [b"first", tail])
    assert [(item.start, item.end) for item in read_all(path)] == spans


def test_wherever_pressing_is_killed_there_is_one_whole_segment_and_what_was_deleted_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "worker-0-1-0.segment"
    counted(path)
    plain, items = path.read_bytes(), read_all(path)
    twin = tmp_path / "elsewhere.segment"
    twin.write_bytes(plain)
    press(twin, threading.Lock())
    pressed = twin.read_bytes()
    twin.unlink()
    for at in (0, 1, len(pressed) // 2, len(pressed)):  # killed while it was written, and before it got its name
        (tmp_path / UNNAMED).write_bytes(pressed[:at])
        assert segments(tmp_path) == [path]
        assert read_all(path) == items
        path.write_bytes(plain)
        assert press(path, threading.Lock()) > 0
        assert path.read_bytes() == pressed
        assert not (tmp_path / UNNAMED).exists()

    path.write_bytes(plain)

    class Deleting:
        """The loader has the lock first, and deletes the segment."""

        def __enter__(self) -> None:
            path.unlink()

        def __exit__(self, *_: object) -> None:
            pass

    assert press(path, Deleting()) == 0  # type: ignore[arg-type]  # stands for a lock that somebody else had first
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_sealed_and_has_waited_is_pressed_and_where_there_is_no_room_it_stays(tmp_path: Path) -> None:
    data = Data(tmp_path)
    rows = record([event(f"{number}") for number in range(50)])
    live = data.segment(rows, live=True)
    old, new = data.segment(rows), data.segment(rows)
    for path, age in ((live, 61), (old, 61), (new, 59)):
        os.utime(path, (NOW_MS / 1_000 - age,) * 2)
    assert list(waiting(data.spool, NOW_MS)) == [old]
    (data.spool / UNNAMED).mkdir()  # it cannot be opened for writing
    worker = Press(data.spool, lambda: NOW_MS, threading.Lock())
    with pytest.raises(OSError, match="Is a directory"):
        worker.look(threading.Event())
    assert read_all(old) == read_all(new)
    (data.spool / UNNAMED).rmdir()
    worker.look(threading.Event())
    assert worker.segments == 1
    assert worker.saved_bytes == new.stat().st_size - old.stat().st_size
    data.end_writers()


def test_a_loader_goes_on_in_the_pressed_segment_where_it_stopped_in_the_plain_one(
    store: Store, tmp_path: Path
) -> None:
    never_merge(store)
    data = Data(tmp_path)
    ids = [f"m{number}" for number in range(120)]
    path = data.segment(*(record([event(name)]) for name in ids))
    loader = data.loader(store, rows_max=40)
    loader.recover()
    assert loader.step(wait=False) == 40
    assert press(path, threading.Lock()) > 0
    with SegmentFile(path) as file:
        third = (file.frames or [])[-1]
    content = bytearray(path.read_bytes())
    content[third.at + 20] ^= 1
    path.write_bytes(content)
    load_all(loader)
    assert loader.positions.ledger.damaged_bytes == third.end - third.start
    (kept,) = (data.spool / "damaged").iterdir()
    assert kept.read_bytes() == content[third.at : third.at + third.pressed_bytes]
    stored = loader.positions.ledger.stored
    assert 100 < stored < 120
    assert_exactly_once(store, data, ids[:stored])
