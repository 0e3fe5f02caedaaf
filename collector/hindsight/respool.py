"""Records of old segments, of bytes that were set aside, and rows that the database refused, into the spool again.

    file --records that can be read--> Replayer --> spool --loader, which knows every id--> tables

Times and ids stay as they were, so that the loader finds what is stored already, and a row is stored as it would have
been then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from collector.hindsight.ask import HindsightError
from collector.hindsight.segment import RECORD_ROWS, Replayer
from collector.loading.survey import READ_BYTES, arrivals
from collector.record import FAILED_COLUMNS, FailedRow, Rows, encode_rows
from collector.spooling.pressed import SegmentFile
from collector.spooling.spool import SEGMENT_MAGIC, Record, frame, read_on


class Respooled(Struct):
    """What became of one file. `unreadable_bytes` are in no record, or in one of no known form."""

    path: str
    records: int = 0
    events: int = 0
    unreadable_bytes: int = 0


def respool(path: Path, into: Replayer) -> Respooled:
    """Hand all records of a file that can be read to the loader; the caller seals them.

    Raises:
        HindsightError: the file cannot be read at all, or the spool takes no more.
    """
    done = Respooled(str(path))
    try:
        for record in _refused_rows(path) if path.suffix == ".json" else _records(path, done):
            # What was dropped is in no table, and was counted when it came.
            events = record.accepted + record.rejected
            into.take(frame(record.payload, record.accepted, record.rejected), events)
            done.records += 1
            done.events += events
    except OSError as problem:
        raise HindsightError(f"{path} cannot be read: {problem.strerror}; check its owner and its disk") from problem
    return done


def _records(path: Path, done: Respooled) -> Iterator[Record]:
    """Those of a segment, or of a piece of one; counts what is none."""
    with SegmentFile(path) as file:
        begin = len(SEGMENT_MAGIC) if file.read(0, len(SEGMENT_MAGIC)) == SEGMENT_MAGIC else 0
    for item in read_on(path, 0, READ_BYTES, sealed=True, begin=begin):
        if isinstance(item, Record):
            try:
                for _ in arrivals(item.payload):
                    pass
            except ValueError:  # the loader would set it aside once more
                done.unreadable_bytes += item.end - item.start
                continue
            yield item
        elif not item.torn:
            done.unreadable_bytes += item.end - item.start


def _refused_rows(path: Path) -> Iterator[Record]:
    """The rejected events of a file of load/refused, without the sentences of the database."""
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
        failed = [msgspec.convert([row[name] for name in FAILED_COLUMNS], FailedRow) for row in rows]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError) as problem:
        raise HindsightError(f"{path} does not hold refused rows: {problem}; name a file of load/refused") from problem
    for start in range(0, len(failed), RECORD_ROWS):
        part = failed[start : start + RECORD_ROWS]
        yield Record(0, 0, 0, len(part), 0, encode_rows(Rows([], part)), 0)
