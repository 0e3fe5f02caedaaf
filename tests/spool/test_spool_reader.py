"""Reading a segment that a crash or a bad disk left: every whole record is found, every other byte is accounted for."""

from __future__ import annotations

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spool.segments import read_all, write_segment

from collector.spooling.spool import HEAD_BYTES, RECORD_MAGIC, SEGMENT_MAGIC, Damage, Record, frame, read_records

PAYLOADS = [b"the first", b"the second, a little longer", b"the last"]


def of(items: list[Record | Damage]) -> tuple[list[bytes], list[Damage]]:
    records = [item.payload for item in items if isinstance(item, Record)]
    return records, [item for item in items if isinstance(item, Damage)]


def test_a_tail_torn_at_any_byte_is_torn_in_a_sealed_segment_and_awaited_in_a_live_one(tmp_path: Path) -> None:
    path = tmp_path / "a.segment"
    start, end = write_segment(path, PAYLOADS)[-1]
    whole = path.read_bytes()
    for cut in range(start + 1, end):
        path.write_bytes(whole[:cut])
        records, damage = of(read_all(path, sealed=True))
        assert records == PAYLOADS[:-1], f"cut at {cut}"
        assert damage == [Damage(start, cut, torn=True)], f"cut at {cut}"
        assert of(read_all(path, sealed=False)) == (PAYLOADS[:-1], [])
        with path.open("ab") as file:
            file.write(whole[cut:])
        assert of(read_all(path, sealed=False)) == (PAYLOADS, [])


def test_a_tail_of_zeros_as_a_power_loss_leaves_it_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "a.segment"
    (_, end) = write_segment(path, PAYLOADS)[-1]
    path.write_bytes(path.read_bytes() + bytes(5_000))
    assert of(read_all(path)) == (PAYLOADS, [Damage(end, end + 5_000, torn=True)])


@pytest.mark.parametrize("victim", range(3))
@pytest.mark.parametrize("sealed", [True, False])
def test_a_bit_flipped_anywhere_costs_its_own_record_only_and_is_never_called_torn(
    tmp_path: Path, victim: int, sealed: bool
) -> None:
    path = tmp_path / "a.segment"
    start, end = write_segment(path, PAYLOADS)[victim]
    whole = path.read_bytes()
    others = [payload for number, payload in enumerate(PAYLOADS) if number != victim]
    for at in range(start, end):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            found = of(read_all(path, sealed=sealed))
            if sealed:
                assert found == (others, [Damage(start, end, torn=False)]), f"bit {bit} of byte {at}"
            else:
                assert found == (PAYLOADS[:victim], []), f"bit {bit} of byte {at}"


def test_a_record_larger_than_what_is_read_at_once_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.segment"
    payloads = [b"small", bytes(5_000_000), b"small again"]
    write_segment(path, payloads)
    for bytes_max in (1, 7, 20, 21, 4_096):
        assert of(read_all(path, bytes_max)) == (payloads, [])
        assert of(read_all(path, bytes_max, sealed=False)) == (payloads, [])


def test_reading_stops_where_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "a.segment"
    spans = write_segment(path, PAYLOADS)
    for until in range(len(SEGMENT_MAGIC), spans[-1][1] + 1):
        items = list(read_records(path, 0, 4_096, sealed=False, until=until))
        assert of(items) == ([p for p, (_, end) in zip(PAYLOADS, spans, strict=True) if end <= until], [])


def test_a_damaged_record_that_pretends_to_hold_another_does_not_hide_the_next(tmp_path: Path) -> None:
    """Garbage may hold the magic and a length that reaches beyond the file or over the records that follow."""
    path = tmp_path / "a.segment"
    for claimed in (0, 40, 1_000, 30_000_000, 2**32 - 1):
        false_head = RECORD_MAGIC + struct.pack("<II", claimed, 0)
        start, end = write_segment(path, [b"one", b"x" * 10 + false_head + b"y" * 50, b"three", b"four"])[1]
        damaged = bytearray(path.read_bytes())
        damaged[start + HEAD_BYTES] ^= 1
        path.write_bytes(damaged)
        for bytes_max in (1, 30, 100, 4_096):
            records, damage = of(read_all(path, bytes_max))
            assert records == [b"one", b"three", b"four"]
            assert sum(item.end - item.start for item in damage) == end - start


@st.composite
def damaged_segments(draw: st.DrawFn) -> tuple[list[bytes], bytes, int]:
    """Payloads, the segment's bytes after what happened to them, and how much is read at once."""
    # Payloads that hold magics: what the reader looks for when it has lost its way.
    alphabet = st.sampled_from([b"\0", b"F", b"FREC", b"FREC\x10\0\0\0", b"\xff", b"payload"])
    payload = st.one_of(st.binary(max_size=60), st.lists(alphabet, max_size=12).map(b"".join))
    payloads = draw(st.lists(payload, max_size=12))
    content = bytearray(SEGMENT_MAGIC + b"".join(frame(payload, 1, 0) for payload in payloads))
    for _ in range(draw(st.integers(0, 3))):
        if len(content) <= len(SEGMENT_MAGIC):
            break
        at = draw(st.integers(len(SEGMENT_MAGIC), len(content) - 1))
        what = draw(st.one_of(st.binary(min_size=1, max_size=40), st.integers(1, 100).map(bytes), st.just(b"FREC")))
        what = what[: len(content) - at]
        content[at : at + len(what)] = what
    if draw(st.booleans()):
        content = content[: draw(st.integers(len(SEGMENT_MAGIC), len(content)))]
    if draw(st.booleans()):
        content += draw(st.one_of(st.binary(max_size=50), st.integers(0, 200).map(bytes)))
    return payloads, bytes(content), draw(st.one_of(st.integers(1, 64), st.just(4_096)))


@settings(max_examples=300, deadline=None)
@given(damaged_segments())
def test_whatever_happens_to_a_segment_each_untouched_record_is_read_once_in_order(
    segment: tuple[list[bytes], bytes, int],
) -> None:
    payloads, content, bytes_max = segment
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.segment"
        path.write_bytes(content)
        items = read_all(path, bytes_max)
    untouched = []
    position = len(SEGMENT_MAGIC)
    for payload in payloads:
        record = frame(payload, 1, 0)
        if content[position : position + len(record)] == record:
            untouched.append((position, payload))
        position += len(record)
    assert [(item.start, item.payload) for item in items if isinstance(item, Record)] == untouched
    # Items lie end to end (read_all checks that), so every other byte is reported as damage.
    assert (items[-1].end if items else len(SEGMENT_MAGIC)) == len(content)
    torn = [item for item in items if isinstance(item, Damage) and item.torn]
    assert torn in ([], items[-1:])
