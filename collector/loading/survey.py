"""What lies in a data directory's spool and beside it, read without changing it, while a collector runs or not.

    spool/*.segment   open (its writer lives), sealed, or loaded (to be deleted at the loader's next look)
    spool/damaged/    damaged: bytes that could not be read
    load/refused/     refused: rows that the database took in no table

`survey` lists it, `verify` looks for what should not be: bytes that are no record, records of no known form, positions
and a manifest that do not fit the segments, a ledger that does not add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from collector.ingest.packed import COUNTED_COLUMNS, COUNTING_FORM, FORM, FORM_BEFORE, SENDER_COLUMNS
from collector.loading.ledger import LoadError, Manifest, Positions, read_positions, read_state
from collector.loading.refused import FOLDER
from collector.record import EVENT_COLUMNS, FAILED_COLUMNS
from collector.spooling.pressed import SegmentFile
from collector.spooling.spool import SEGMENT_MAGIC, Damage, count_behind, is_sealed, read_on, segments

READ_BYTES = 4 * 1024 * 1024
VERIFY_TIMES = 2  # a loader that moves on while we read looks like a fault once, and not at the same place again
_FORMS = (FORM, FORM_BEFORE, COUNTING_FORM)  # of all, a sender begins with the same columns
_decode = msgspec.msgpack.Decoder().decode


class Found(Struct):
    """One file. Times are when the first and the last of its events were received; 0 where none is known.

    Attributes:
        state: open, sealed, loaded, damaged or refused.
        stored_bytes: What it takes on the disk.
        bytes: Plain, as positions count; the same unless it is pressed.
        loaded_bytes: How far the loader is.
        waiting: Events that are in no table yet.
        events: Those in it, loaded or not: the sum of the next three.
        sources: How many accepted and rejected ones each source has sent.
        damaged_bytes: Bytes of a segment that are no record, or hold none of a known form.
        torn_bytes: An end that was cut off while it was written; nobody was told that it is stored.
    """

    name: str
    state: str
    stored_bytes: int = 0
    bytes: int = 0
    pressed: bool = False
    loaded_bytes: int = 0
    waiting: int = 0
    events: int = 0
    accepted: int = 0
    rejected: int = 0
    dropped: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    first_received_ms: int = 0
    last_received_ms: int = 0
    damaged_bytes: int = 0
    torn_bytes: int = 0


def arrivals(payload: bytes) -> Iterator[tuple[str, int]]:
    """Source and time of arrival, in ms, of each event of a record: accepted ones, rejected ones, counted ones.

    Raises:
        ValueError: it is no payload of a form that this version knows.
    """
    try:
        rows: list[Any] = _decode(payload)
        if rows[0] in _FORMS:
            source, received = SENDER_COLUMNS.index("source_id"), SENDER_COLUMNS.index("received_at")
            for event in rows[3]:
                sender = rows[1][event[0]]
                yield str(sender[source]), int(sender[received])
            failed = rows[4]
        else:
            events, failed = rows
            yield from _of_rows(events, EVENT_COLUMNS)
        yield from _of_rows(failed, FAILED_COLUMNS)
        if rows[0] == COUNTING_FORM:
            yield from _of_rows(rows[5], COUNTED_COLUMNS)
    except (msgspec.MsgspecError, IndexError, TypeError, ValueError) as problem:
        raise ValueError(f"no rows of a known form ({problem})") from problem


def _of_rows(rows: list[list[Any]], columns: Sequence[str]) -> Iterator[tuple[str, int]]:
    source, received = columns.index("source_id"), columns.index("received_at")
    return ((str(row[source]), int(row[received])) for row in rows)


def kept_files(data_dir: Path) -> list[Path]:
    """What was set aside: damaged bytes of the spool, and rows that the database refused."""
    folders = (data_dir / "spool" / "damaged", data_dir / "load" / FOLDER)
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()) if path.is_file()]


def survey(data_dir: Path, *, quick: bool = False) -> list[Found]:
    """All files, segments first, in the order in which they were begun.

    Args:
        data_dir: Of a collector that runs or does not.
        quick: Leave out what only the records themselves say: a backlog of gigabytes is not read.
    Raises:
        LoadError: the loader's state cannot be read.
    """
    positions = read_positions(data_dir).segments
    listed = []
    for path in segments(data_dir / "spool"):
        try:
            found = _segment(path, positions.get(path.name, 0))
            found.waiting = 0 if found.state == "loaded" else count_behind(path, positions.get(path.name, 0))
            if not quick:
                _read(path, found, sealed=found.state != "open")
        except FileNotFoundError:
            continue  # loaded and deleted while we looked
        listed.append(found)
    for path in kept_files(data_dir):
        size = path.stat().st_size
        state = "refused" if path.parent.name == FOLDER else "damaged"
        found = Found(path.name, state, size, size)
        if state == "refused" and not quick:
            found.events = found.rejected = len(msgspec.json.decode(path.read_bytes(), type=list[Any]))
        listed.append(found)
    return listed


def _segment(path: Path, position: int) -> Found:
    sealed = is_sealed(path)  # asked first: a segment that is sealed now holds all it ever will
    with SegmentFile(path) as file:
        size, pressed = file.size, file.is_pressed
    loaded = sealed and size <= max(position, len(SEGMENT_MAGIC))
    state = "loaded" if loaded else "sealed" if sealed else "open"
    return Found(path.name, state, path.stat().st_size, size, pressed, position)


def _read(path: Path, found: Found, *, sealed: bool) -> None:
    """Add what the records say."""
    for item in read_on(path, 0, READ_BYTES, sealed=sealed, until=found.bytes):
        if isinstance(item, Damage):
            found.damaged_bytes += 0 if item.torn else item.end - item.start
            found.torn_bytes += item.end - item.start if item.torn else 0
            continue
        try:
            arrived = list(arrivals(item.payload))
        except ValueError:
            found.damaged_bytes += item.end - item.start
            continue
        found.accepted += item.accepted
        found.rejected += item.rejected
        found.dropped += item.dropped
        found.events += item.accepted + item.rejected + item.dropped
        for source, received_ms in arrived:
            found.sources[source] = found.sources.get(source, 0) + 1
            found.first_received_ms = min(found.first_received_ms or received_ms, received_ms)
            found.last_received_ms = max(found.last_received_ms, received_ms)


class Verified(Struct):
    """What was looked at. `findings` are faults, one sentence each; `notes` are worth knowing and none.

    `segments`, `records` and `events` are those that could be read.
    """

    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    segments: int = 0
    records: int = 0
    events: int = 0


def verify(data_dir: Path) -> Verified:
    """Read every byte of the spool, and compare it with the loader's state."""
    looked = _verified(data_dir)
    for _ in range(VERIFY_TIMES - 1):
        if not looked.findings:
            break
        before = set(looked.findings)
        looked = _verified(data_dir)
        looked.findings = [finding for finding in looked.findings if finding in before]
    return looked


def _verified(data_dir: Path) -> Verified:
    looked = Verified()
    manifest: Manifest | None = None
    try:
        # In this order: what is in flight now may be done a moment later, but not the other way round.
        manifest = read_state(data_dir / "load" / "manifest.json", Manifest)
        positions = read_positions(data_dir)
    except LoadError as problem:
        looked.findings.append(str(problem))
        positions = Positions(collector_id="")
    sizes: dict[str, int] = {}
    for path in segments(data_dir / "spool"):
        try:
            sizes[path.name] = _verify_segment(path, positions.segments.get(path.name, 0), looked)
        except FileNotFoundError:
            continue  # loaded and deleted while we looked
        except OSError as problem:
            looked.findings.append(f"{path.name} cannot be read: {problem.strerror}")
    if manifest is not None and manifest.sequence > positions.sequence:
        _verify_manifest(manifest, positions, sizes, looked)
    _verify_ledger(positions, looked)
    for path in kept_files(data_dir):
        what = "rows that the database took in no table" if path.parent.name == FOLDER else "bytes that were damaged"
        looked.findings.append(
            f"{path.parent.name}/{path.name} holds {what}; `footfall spool replay` stores what can be stored of it, "
            "and `--delete` then deletes it"
        )
    return looked


def _verify_segment(path: Path, position: int, looked: Verified) -> int:
    """Check each record of a segment, and that the loader's position is not inside one; returns its size."""
    sealed = is_sealed(path)
    with SegmentFile(path) as file:
        size = file.size
        if file.read(0, len(SEGMENT_MAGIC)) not in (SEGMENT_MAGIC, b""):
            looked.findings.append(f"{path.name} does not begin as a segment does; its records are read all the same")
    looked.segments += 1
    if position > size:
        looked.findings.append(f"{path.name} has {size:,} bytes, and {position:,} of it are loaded")
    for item in read_on(path, 0, READ_BYTES, sealed=sealed, until=size):
        where = f"{path.name}, bytes {item.start:,} to {item.end:,}"
        if isinstance(item, Damage):
            told = looked.notes if item.torn else looked.findings
            told.append(f"{where}: {'a torn tail, which nobody was told is stored' if item.torn else 'no record'}")
            continue
        if item.start < position < item.end:
            looked.findings.append(f"{where}: the loader's position {position:,} is inside this record")
        try:
            count = sum(1 for _ in arrivals(item.payload))
        except ValueError as problem:
            looked.findings.append(f"{where}: its checksum is right, and it cannot be read: {problem}")
            continue
        if count != item.accepted + item.rejected:
            looked.findings.append(f"{where}: it says {item.accepted + item.rejected:,} events and holds {count:,}")
        looked.records += 1
        looked.events += item.accepted + item.rejected + item.dropped
    return size


def _verify_manifest(manifest: Manifest, positions: Positions, sizes: dict[str, int], looked: Verified) -> None:
    """A batch is in flight: it must begin where the loader stands, and its bytes must be there to be sent again."""
    if manifest.sequence != positions.sequence + 1:
        looked.findings.append(f"batch {manifest.sequence:,} is in flight, and {positions.sequence:,} was the last")
    for part in manifest.ranges:
        size, position = sizes.get(part.segment), positions.segments.get(part.segment, 0)
        if size is None:
            looked.findings.append(f"{part.segment} is missing, and the batch in flight holds a part of it")
        elif part.end > size or part.start != position:
            looked.findings.append(
                f"{part.segment} has {size:,} bytes and is loaded up to {position:,}, but the batch in flight holds "
                f"{part.start:,} to {part.end:,}"
            )


def _verify_ledger(positions: Positions, looked: Verified) -> None:
    if missing := positions.ledger.unaccounted:
        looked.findings.append(f"{missing:,} received events are unaccounted for in load/positions.json")
