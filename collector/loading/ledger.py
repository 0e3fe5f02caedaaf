"""What the loader knows of itself: how far each segment is loaded, and where every loaded event went.

    load/positions.json  how far, and the ledger: replaced as one after each batch
    load/manifest.json   the batch in flight: written before its first insert attempt, and as it is taken apart

Each ends in a checksum of itself: a bit that flips in a position would else skip events, or have them deleted unread.
It is a field of the JSON that versions before do not know and pass over; their files, without it, are read too.

Workers show the ledger in /metrics, and `footfall doctor` proves it; neither opens the database for that.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from collector.files import sync_folder
from collector.loading.kept import Kept
from collector.spooling.spool import count_spooled


class Ledger(Struct):
    """Where every loaded event went: received = stored + deduplicated + rejected + dropped.

    `refused` are those of the rejected that the database would not take, though we had accepted them; `set_aside` those
    of the rejected that it would not even take as rejected: they are in a file (refused.py). `erased` are those of the
    dropped whose person had been erased: they came too late (erased.py), or were in a file that was cleaned. Of a file
    whose time was over (rights/expire.py) they are dropped alone.
    `counted` are those of the stored that are only counted, in counted_events.
    """

    received: int = 0
    stored: int = 0
    deduplicated: int = 0
    rejected: int = 0
    dropped: int = 0
    damaged_bytes: int = 0
    refused: int = 0
    set_aside: int = 0
    erased: int = 0
    counted: int = 0

    @property
    def unaccounted(self) -> int:
        """How many received events are in no place; none, unless the ledger is wrong."""
        return self.received - self.stored - self.deduplicated - self.rejected - self.dropped


class Positions(Struct):
    """How far each segment is loaded, and the ledger up to there. `sequence` counts batches.

    `kept` counts rows of events and failed_events by day, as far as retention leaves them (kept.py).
    """

    collector_id: str
    sequence: int = 0
    segments: dict[str, int] = {}
    ledger: Ledger = field(default_factory=Ledger)
    kept: dict[str, Kept] = field(default_factory=dict)


class Range(Struct, array_like=True):
    """The bytes of one segment that a batch holds."""

    segment: str
    start: int
    end: int


class Cuts(Struct):
    """How a block that the database refused was taken apart: what a crash must not make us decide anew.

    Attributes:
        halved: (start, end) of the parts that were refused and then sent as two halves.
        refused: Index of each row that was refused on its own, with the database's sentence.
    """

    halved: set[tuple[int, int]] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)


class Manifest(Struct):
    """One batch, as it was before its first insert attempt. `skip` are indices of its events that are duplicates.

    The cuts are those of the batch's blocks: its events, its rejected events, among the rejected the events that the
    database refused, and those that are only counted.
    """

    sequence: int
    batch_id: str
    ranges: list[Range]
    skip_events: list[int]
    skip_failed: list[int]
    schema: str
    ledger: Ledger
    cut_events: Cuts = field(default_factory=Cuts)
    cut_failed: Cuts = field(default_factory=Cuts)
    cut_refused: Cuts = field(default_factory=Cuts)
    skip_counted: list[int] = []
    cut_counted: Cuts = field(default_factory=Cuts)


class LoadError(Exception):
    """The loader's own files cannot be used; the text is one sentence."""


def read_positions(data_dir: Path) -> Positions:
    """The loader's state of a data directory; fresh where there is none. Raises LoadError."""
    return read_state(data_dir / "load" / "positions.json", Positions) or Positions(collector_id=os.urandom(8).hex())


def account(data_dir: Path) -> tuple[Positions, dict[str, int]]:
    """The loader's state, and where every event that was ever received is now: `received` is the sum of the others.

    Raises:
        LoadError: the loader's state cannot be read.
    """
    positions = read_positions(data_dir)
    ledger = positions.ledger
    spooled = count_spooled(data_dir / "spool", positions.segments)
    return positions, {
        "received": ledger.received + spooled,
        "stored": ledger.stored,
        "spooled": spooled,
        "deduplicated": ledger.deduplicated,
        "rejected": ledger.rejected,
        "dropped": ledger.dropped,
    }


_State = TypeVar("_State", Positions, Manifest)

_CHECKSUM = b',"crc32":"'  # stands last, and in no name of a segment


def read_state(path: Path, kind: type[_State]) -> _State | None:
    """One of the loader's files; None where there is none yet. Raises LoadError."""
    try:
        content = path.read_bytes()
        body, named, checksum = content.rpartition(_CHECKSUM)
        if named and checksum != _checksum(body + b"}"):
            raise LoadError(f"{path} is damaged: its checksum is wrong; restore it from a backup")
        return msgspec.json.decode(content, type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LoadError(f"{path} cannot be read: {error}; restore it from a backup") from error


def encode_state(state: Positions | Manifest) -> bytes:
    """What `read_state` reads."""
    content = msgspec.json.encode(state)
    return content[:-1] + _CHECKSUM + _checksum(content)


def _checksum(content: bytes) -> bytes:
    return b'%08x"}' % zlib.crc32(content)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that after any crash it is the old one or the new one. Raises OSError."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)
