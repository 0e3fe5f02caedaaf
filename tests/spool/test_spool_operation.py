"""`footfall spool`: what lies there is listed as it is, every fault is one line, and old segments load exactly once."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from load.spooled import NOW_MS, Data, assert_exactly_once, counted, counting, event, failed, never_merge, record

from collector.app.measures import measures
from collector.cli.doctor import spool_check
from collector.cli.main import command
from collector.config import Settings
from collector.database.store import Store
from collector.files import replace_file
from collector.loading.block import as_dicts, failed_table
from collector.loading.ledger import Ledger, Manifest, Positions, Range, encode_state, read_positions
from collector.loading.refused import set_aside
from collector.loading.survey import survey, verify
from collector.spooling.press import press
from collector.spooling.spool import SEGMENT_MAGIC, frame

HOUR_MS = 3_600_000


def know(data: Data, manifest: Manifest | None = None, ledger: Ledger | None = None, **loaded: int) -> None:
    """What a loader would have written: how far each segment is loaded, by the first word of its name."""
    folder = data.folder / "load"
    folder.mkdir(exist_ok=True)
    names = {path.name.split("-")[0]: path.name for path in data.spool.glob("*.segment")}
    positions = Positions("c", 7, {names[name]: end for name, end in loaded.items()}, ledger or Ledger())
    (folder / "positions.json").write_bytes(msgspec.json.encode(positions))
    (folder / "manifest.json").unlink(missing_ok=True)
    if manifest is not None:
        (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))


def test_the_oldest_event_that_waits_is_found_among_all_writers_however_much_waits(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (tmp_path / "run").mkdir()
    ends = {}
    for writer, begun, received in (
        ("worker-0", 1_000, (5_000, 9_000)),
        ("worker-1", 3_000, (4_000, 8_000)),
        ("worker-0", 10_000, (11_000,)),
        ("store", 20_000, (21_000,)),
    ):
        name = f"{writer}-{begun:013d}-0000000a.segment"
        first, *more = [record([event(f"{name}{ms}", received_ms=ms)]) for ms in received]
        (spool / name).write_bytes(SEGMENT_MAGIC + first + b"".join(more))
        ends[f"{writer}-{begun}"] = (name, len(SEGMENT_MAGIC) + len(first), (spool / name).stat().st_size)
    zero, one, later, last = ends.values()

    def age(*loaded: tuple[str, int]) -> float:
        (tmp_path / "load").mkdir(exist_ok=True)
        (tmp_path / "load" / "positions.json").write_bytes(encode_state(Positions("c", 1, dict(loaded), Ledger())))
        return measures(tmp_path, 30_000).gauges["oldest_unwritten_seconds"]

    assert age() == 26.0
    assert age((one[0], one[1])) == 25.0
    assert age((zero[0], zero[1]), (one[0], one[1])) == 22.0
    assert age((zero[0], zero[2]), (one[0], one[1])) == 22.0
    assert age((zero[0], zero[2]), (one[0], one[2])) == 19.0
    assert age((zero[0], zero[2]), (one[0], one[2]), (later[0], later[2])) == 9.0
    assert age(*((name, end) for name, _, end in (zero, one, later, last))) == 0.0


def in_flight(*ranges: Range, sequence: int = 8) -> Manifest:
    return Manifest(sequence, "b", list(ranges), [], [], "s", Ledger())


def test_each_file_is_listed_with_its_state_its_sources_and_how_far_it_is_loaded(tmp_path: Path) -> None:
    data = Data(tmp_path)
    first = record([event("a"), event("b", source_id="blog")], [failed("c", received_ms=NOW_MS + 9)], dropped=5)
    second = record([event("d", received_ms=NOW_MS - 7)])
    data.segment(first, second, second[:-1], owner="half")
    data.segment(first, owner="done")
    data.segment(first, second, owner="live", live=True)
    long = data.segment(*[second] * 40, bytes(30), owner="long")
    press(long, threading.Lock())
    know(data, half=len(SEGMENT_MAGIC) + len(first), done=len(SEGMENT_MAGIC) + len(first))
    (data.spool / "damaged").mkdir()
    (data.spool / "damaged" / "x").write_bytes(b"123")
    (tmp_path / "load" / "refused").mkdir()
    (tmp_path / "load" / "refused" / "y.json").write_text('[{"event": "e"}]')
    half, done, live, pressed, damaged, refused = survey(tmp_path)
    assert [half.state, done.state, live.state, pressed.state] == ["sealed", "loaded", "open", "sealed"]
    assert (half.accepted, half.rejected, half.dropped, half.events, half.waiting) == (3, 1, 5, 9, 1)
    assert half.sources == {"shop": 3, "blog": 1}
    assert (half.first_received_ms, half.last_received_ms) == (NOW_MS - 7, NOW_MS + 9)
    assert (half.torn_bytes, half.damaged_bytes) == (len(second) - 1, 0)
    assert half.loaded_bytes == len(SEGMENT_MAGIC) + len(first)
    assert (done.waiting, live.waiting) == (0, 9)
    assert pressed.pressed
    assert (pressed.bytes, pressed.stored_bytes) == (len(SEGMENT_MAGIC) + 40 * len(second) + 30, long.stat().st_size)
    assert (pressed.waiting, pressed.torn_bytes) == (40, 30)
    assert [(damaged.state, damaged.stored_bytes), (refused.state, refused.events)] == [("damaged", 3), ("refused", 1)]
    quick = survey(tmp_path, quick=True)
    assert [(one.state, one.waiting) for one in quick] == [
        (one.state, one.waiting) for one in (half, done, live, pressed, damaged, refused)
    ]
    assert quick[0].events == 0
    data.end_writers()


def spoilt(data: Data, at: int) -> None:
    (path,) = data.spool.glob("*.segment")
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


RECORD = record([event("a")])
SECOND = len(SEGMENT_MAGIC) + len(RECORD)
END = SECOND + len(RECORD)
UNKNOWN = frame(msgspec.msgpack.encode([99, [], [], [], []]), 1, 0)
FAULTS: dict[str, tuple[Callable[[Data], object], str]] = {
    "a flipped bit": (lambda data: spoilt(data, SECOND + 40), "no record"),
    "another file": (lambda data: spoilt(data, 0), "does not begin as a segment"),
    "a position inside a record": (lambda data: know(data, w=SECOND + 1), "is inside this record"),
    "a position behind the end": (lambda data: know(data, w=END + 9), f"has {END:,} bytes, and {END + 9:,} of it"),
    "an unknown form": (lambda data: data.segment(UNKNOWN), "it cannot be read: no rows of a known form"),
    "wrong counts": (lambda data: data.segment(frame(b"\x92\x90\x90", 2, 0)), "says 2 events and holds 0"),
    "a ledger that does not add up": (lambda data: know(data, ledger=Ledger(received=3, stored=2)), "1 received"),
    "no state": (lambda data: (data.folder / "load" / "positions.json").write_bytes(b"{"), "cannot be read"),
    "a batch that skips": (lambda data: know(data, in_flight(Range(name(data), SECOND, END))), "is loaded up to 0"),
    "a batch too long": (lambda data: know(data, in_flight(Range(name(data), 0, END + 1))), "holds 0 to"),
    "a batch without its segment": (lambda data: know(data, in_flight(Range("gone", 0, 9))), "gone is missing"),
    "a batch of the future": (lambda data: know(data, in_flight(sequence=9)), "batch 9 is in flight, and 7 was"),
    "something was set aside": (
        lambda data: replace_file(data.spool / "damaged" / "x", b""),
        "damaged/x holds bytes that were damaged",
    ),
}


def name(data: Data) -> str:
    return next(data.spool.glob("w-*")).name


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_line_and_a_sound_spool_has_none(tmp_path: Path, fault: str) -> None:
    data = Data(tmp_path)
    data.segment(RECORD, RECORD, owner="w")
    know(data, in_flight(Range(name(data), SECOND, END)), w=SECOND)
    sound = verify(tmp_path)
    assert (sound.findings, sound.notes, sound.segments, sound.records, sound.events) == ([], [], 1, 2, 2)
    know(data)
    spoil, says = FAULTS[fault]
    spoil(data)
    (finding,) = verify(tmp_path).findings
    assert says in finding
    assert "\n" not in finding


def test_the_doctor_says_when_the_spool_nears_its_limit(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path), spool_mb_max=1)
    assert spool_check(settings).ok
    (tmp_path / "spool").mkdir()
    for size, fine in ((900_000, True), (900_001, False)):
        (tmp_path / "spool" / "a.segment").write_bytes(bytes(size))
        check = spool_check(settings)
        assert (check.ok, "holds 0.9 of 1.0 MB" in check.says) == (fine, True)


def test_events_that_are_only_counted_are_listed_and_no_fault(tmp_path: Path) -> None:
    data = Data(tmp_path)
    data.segment(RECORD, counting(counted("b", received_ms=NOW_MS + 5), counted("c"), events=[event("d")]))
    (found,) = survey(tmp_path)
    assert (found.accepted, found.sources, found.damaged_bytes) == (4, {"shop": 4}, 0)
    assert found.last_received_ms == NOW_MS + 5
    looked = verify(tmp_path)
    assert (looked.findings, looked.events) == ([], 4)


def test_a_torn_tail_is_told_and_is_no_fault_and_an_open_segment_may_end_anywhere(tmp_path: Path) -> None:
    data = Data(tmp_path)
    data.segment(RECORD, RECORD[:-1], owner="torn")
    data.segment(RECORD, RECORD[:-1], owner="open", live=True)
    looked = verify(tmp_path)
    assert looked.findings == []
    (note,) = looked.notes
    assert note.startswith("torn-")
    assert "torn tail" in note
    data.end_writers()


def test_replayed_twice_a_backup_adds_what_was_missing_once_and_nothing_else(
    store: Store, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command is a loader of its own, whose memory begins after all that is replayed."""
    never_merge(store)
    monkeypatch.setenv("FOOTFALL_CLICKHOUSE", dsn)
    data = Data(tmp_path / "data")

    def footfall(*arguments: str | Path) -> Any:
        code = command.main([*map(str, arguments), "--data", str(data.folder), "--json"], standalone_mode=False)
        return code, json.loads(capsys.readouterr().out)

    old = NOW_MS - 2 * HOUR_MS
    data.segment(record([event("a", received_ms=old)], [failed("f", received_ms=old)], dropped=3))
    data.segment(*(record([event(f"{n}", received_ms=old)]) for n in range(40)))
    backup = tmp_path / "backup"
    shutil.copytree(data.spool, backup)
    lost = Data(tmp_path / "lost")
    missing = lost.segment(record([event("missing", received_ms=old)], [failed("g", received_ms=old)]), RECORD[:-1])
    shutil.move(missing, backup / missing.name.replace("0000", "0009"))
    (backup / "part").write_bytes(b"\0" * 9 + record([event("salvaged", received_ms=old)]))
    data.segment(record([event("newest")], [failed("h")]))
    data.load(store)
    press(max(backup.glob("*.segment"), key=lambda path: path.stat().st_size), threading.Lock())

    refused = data.folder / "load" / "refused" / "b.json"
    table, _ = failed_table([list(msgspec.structs.astuple(failed("r", received_ms=old)))])
    set_aside(data.folder / "load", "b", [as_dicts(table, [0])[0] | {"refused": "by a constraint"}])
    code, told = footfall("spool", "verify")
    assert (code, len(told["findings"])) == (1, 1)

    for again in range(2):
        code, told = footfall("spool", "replay", backup, backup / "part")
        assert code == 1, "some bytes of the piece are no record"
        assert [one["unreadable_bytes"] for one in told["files"]] == [0, 0, 0, 9]
        assert (told["events"], told["loaded"]) == (45, True)
        expected = {"stored": 0, "rejected": 0, "deduplicated": 45}
        assert told["ledger"] == (expected if again else {"stored": 2, "rejected": 1, "deduplicated": 42})
    for again in range(2):
        code, told = footfall("spool", "replay", refused, *(["--delete"] if again else []))
        assert told["ledger"] == {"stored": 0, "rejected": 1 - again, "deduplicated": again}
        assert told["deleted"] == ([str(refused)] if again else [])
    assert not refused.exists()
    assert footfall("spool", "verify")[0] == 0
    nothing = {"files": [], "events": 0, "loaded": True, "deleted": [], "ledger": dict.fromkeys(expected, 0)}
    assert footfall("spool", "replay") == (0, nothing)
    ids = ["a", "missing", "salvaged", "newest", *(f"{n}" for n in range(40))]
    assert_exactly_once(store, data, ids, ["f", "g", "h", "r"], deduplicated=42 + 45 + 1)
    assert read_positions(data.folder).ledger.dropped == 3, "what was dropped is not dropped again"
