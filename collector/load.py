"""The loader: spooled rows into ClickHouse, exactly once.

    cut -> write manifest (fsync) -> insert with its hash as token -> write positions (fsync) -> forget the segments

One batch is in flight at a time and is never cut again: after a crash the manifest says which bytes and rows it was,
and the same block goes out under the same token, which the table's deduplication window drops if it had arrived.
Positions and the ledger of counts are one file, replaced atomically, so they can never disagree.

An event sent twice by its client is dropped here. Ids of recent batches are kept in memory; an event that happened
the oldest of them was received, or does not credibly say when, is looked up in the database, by visitor. So a retry is
found however late it comes; only one whose visitor changed meanwhile (a daily hash, past midnight) can slip through.
Rejected events have no time of their own: their ids are remembered, and not looked up.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from collector.record import (
    ADDED_EVENT_VALUES,
    ADDED_FAILED_VALUES,
    CLOCK_STEP_MS,
    EVENT_COLUMNS,
    FAILED_COLUMNS,
    decode_rows,
)
from collector.spool import (
    SEGMENT_MAGIC,
    Damage,
    Record,
    count_spooled,
    is_sealed,
    read_on,
    segments,
    sync_folder,
    sync_segment,
)
from collector.store import Store, StoreError

log = logging.getLogger("footfall.load")

CUT_BYTES_MAX = 32 * 1024 * 1024  # rows in memory unfold to a few times their bytes
READ_BYTES = 4 * 1024 * 1024
GENERATION_IDS = 250_000  # two generations of ids at about 150 bytes each: at most 80 MB
PROBE_IDS = 1_000  # events of one look-up
PROBE_BYTES = 128 * 1024  # and the bytes of their ids, which clients choose: ClickHouse's max_query_size is 256 KB
# How far an event's time may lie behind its first arrival: half a step of the clock's correction, and the latency of a
# slow second attempt, which is taken for a wrong clock.
AHEAD_MS_MAX = CLOCK_STEP_MS // 2 + 30_000
RECALL_MS = 3_600_000  # before the newest stored event: what a new loader remembers,
RECALL_IDS = 100_000  # and at most so many, which takes it a moment
POLL_SECONDS = 0.05
RETRY_SECONDS_MAX = 30.0
DRAIN_SECONDS = 5.0  # at a stop; what is left stays in the spool and is loaded at the next start

_MESSAGE_ID = EVENT_COLUMNS.index("message_id")
_SOURCE_ID = EVENT_COLUMNS.index("source_id")
_VISITOR_ID = EVENT_COLUMNS.index("visitor_id")
_EVENT_TIME = EVENT_COLUMNS.index("event_time")
_OCCURRED_AT = EVENT_COLUMNS.index("occurred_at")
_SENT_AT = EVENT_COLUMNS.index("sent_at")
_RECEIVED_AT = EVENT_COLUMNS.index("received_at")
_FAILED_MESSAGE_ID = FAILED_COLUMNS.index("message_id")
_FAILED_SOURCE_ID = FAILED_COLUMNS.index("source_id")
_FAILED_REASON = FAILED_COLUMNS.index("reason")


class Ledger(Struct):
    """Where every loaded event went: received = stored + deduplicated + rejected + dropped."""

    received: int = 0
    stored: int = 0
    deduplicated: int = 0
    rejected: int = 0
    dropped: int = 0
    damaged_bytes: int = 0


class Positions(Struct):
    """How far each segment is loaded, and the ledger up to there. `sequence` counts batches."""

    collector_id: str
    sequence: int = 0
    segments: dict[str, int] = {}
    ledger: Ledger = msgspec.field(default_factory=Ledger)


class Range(Struct, array_like=True):
    """The bytes of one segment that a batch holds."""

    segment: str
    start: int
    end: int


class Manifest(Struct):
    """One batch, as it was before its first insert attempt. `skip` are indices of its events that are duplicates."""

    sequence: int
    batch_id: str
    ranges: list[Range]
    skip_events: list[int]
    skip_failed: list[int]
    schema: str
    ledger: Ledger


class Batch(Struct):
    """A manifest with its rows."""

    manifest: Manifest
    events: list[list[object]]
    failed: list[list[object]]


def _schema(events: Sequence[str], failed: Sequence[str]) -> str:
    return hashlib.sha256(",".join((*events, *failed)).encode()).hexdigest()[:16]


SCHEMA = _schema(EVENT_COLUMNS, FAILED_COLUMNS)
# That of the version before: a batch which it left in flight is sent again under its own token, its rows filled up.
# Whether they arrived then or arrive now, they have the same values.
_EARLIER_SCHEMA = _schema(
    EVENT_COLUMNS[: len(EVENT_COLUMNS) - len(ADDED_EVENT_VALUES)],
    FAILED_COLUMNS[: len(FAILED_COLUMNS) - len(ADDED_FAILED_VALUES)],
)


class LoadError(Exception):
    """The loader's own files cannot be used; the text is one sentence."""


def read_positions(data_dir: Path) -> Positions:
    """The loader's state of a data directory; fresh where there is none. Raises LoadError."""
    return _read(data_dir / "load" / "positions.json", Positions) or Positions(collector_id=os.urandom(8).hex())


def account(data_dir: Path) -> tuple[Ledger, dict[str, int]]:
    """The ledger, and where every event that was ever received is now: `received` is the sum of the others.

    Raises:
        LoadError: the loader's state cannot be read.
    """
    positions = read_positions(data_dir)
    ledger = positions.ledger
    spooled = count_spooled(data_dir / "spool", positions.segments)
    return ledger, {
        "received": ledger.received + spooled,
        "spooled": spooled,
        "stored": ledger.stored,
        "deduplicated": ledger.deduplicated,
        "rejected": ledger.rejected,
        "dropped": ledger.dropped,
    }


_State = TypeVar("_State", Positions, Manifest)


def _read(path: Path, kind: type[_State]) -> _State | None:
    """One of the loader's files; None where there is none yet."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LoadError(f"{path} cannot be read: {error}; restore it from a backup") from error


class RecentIds:
    """Ids of the events loaded last, in two generations. `since_ms`: all stored events received from then on are known.

    What a loader remembers is counted in ids, not in time, so that a spool which filled up during an outage is emptied
    as fast as any: it is as fresh to the database as what arrives now.
    """

    def __init__(self) -> None:
        self._young: set[str] = set()
        self._old: set[str] = set()
        self._young_newest_ms = self._old_newest_ms = 0
        self.since_ms = 0

    def __contains__(self, key: str) -> bool:
        return key in self._young or key in self._old

    def add(self, keys: Iterable[str], newest_ms: int) -> None:
        """Remember ids of stored events, the last received at `newest_ms`; of too many, forget the oldest."""
        self._young.update(keys)
        self._young_newest_ms = max(self._young_newest_ms, newest_ms)
        if len(self._young) >= GENERATION_IDS:
            if self._old:
                self.unknown_until(self._old_newest_ms)
            self._old, self._young = self._young, set()
            self._old_newest_ms, self._young_newest_ms = self._young_newest_ms, 0

    def unknown_until(self, received_ms: int) -> None:
        """Events received up to then are stored of which nothing is known here."""
        self.since_ms = max(self.since_ms, received_ms + 1)


class Loader:
    """Loads one data directory's spool. Not thread-safe: one thread calls `step`."""

    def __init__(
        self,
        data_dir: Path,
        store: Store,
        now_ms: Callable[[], int],
        rows_max: int = 50_000,
        interval_ms: int = 500,
    ) -> None:
        self._spool = data_dir / "spool"
        self._folder = data_dir / "load"
        self._store = store
        self._now_ms = now_ms
        self._rows_max = rows_max
        self._interval_ms = interval_ms
        self._last_load_ms = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        self._spool.mkdir(parents=True, exist_ok=True)
        self.positions = read_positions(data_dir)
        if self.positions.sequence == 0:
            self._write(self._folder / "positions.json", msgspec.json.encode(self.positions))
        self._recent = RecentIds()
        self._recalled = False
        self.failure: str | None = None
        self.insert_seconds = 0.0
        self.inserts = 0

    def recover(self) -> None:
        """Finish the batch that a crash left in flight. Raises StoreError (it cannot be asked) or LoadError."""
        if not self._recalled:
            self._recall()
            self._recalled = True
        manifest = _read(self._folder / "manifest.json", Manifest)
        if manifest is None or manifest.sequence <= self.positions.sequence:
            return
        batch = self._batch_of(manifest)
        if batch is None:
            log.error("batch %s cannot be read again; its events are loaded anew by id", manifest.batch_id)
            self._recall_batch(manifest.batch_id)
            self._forget_manifest()
            return
        log.info("batch %s was in flight: sending it again under its token", manifest.batch_id)
        self._insert(batch)
        self._commit(batch)

    def step(self, *, wait: bool = True) -> int:
        """Load one batch if there is enough to load.

        Args:
            wait: Let a small batch grow until `interval_ms` have passed since the last one.
        Returns:
            The number of events taken from the spool; 0 when there was nothing to do.
        Raises:
            StoreError: the insert failed; the batch stays in flight and the next `recover` sends it again.
        """
        due = self._now_ms() - self._last_load_ms >= self._interval_ms or self._now_ms() < self._last_load_ms
        if wait and not due and self._waiting_bytes() < READ_BYTES:
            return 0
        batch = self._cut()
        self._tidy()
        if batch is None:
            return 0
        self._write(self._folder / "manifest.json", msgspec.json.encode(batch.manifest))
        self._insert(batch)
        taken = batch.manifest.ledger.received - self.positions.ledger.received
        self._commit(batch)
        self._last_load_ms = self._now_ms()
        return taken

    def run(self, stop: threading.Event) -> None:
        """Load until told to stop, then for DRAIN_SECONDS more what is there. Failures are retried ever more slowly."""
        pause = 0.1
        recovered = False
        deadline = float("inf")
        while time.monotonic() < deadline:
            stopping = stop.is_set()
            if stopping:
                deadline = min(deadline, time.monotonic() + DRAIN_SECONDS)
            try:
                if not recovered:
                    self.recover()
                    recovered = True
                while self.step(wait=not stopping) and time.monotonic() < deadline and stop.is_set() == stopping:
                    pass
                self.failure, pause = None, 0.1
            except Exception as error:
                # Whatever it is: a loader that ends would let the spool fill up in silence.
                recovered = False
                self.failure = str(error) or type(error).__name__
                log.warning(
                    "loading failed, trying again in %.1f s: %s",
                    pause,
                    self.failure,
                    exc_info=not isinstance(error, StoreError | LoadError | OSError),
                )
                if stopping or stop.wait(pause):
                    return
                pause = min(pause * 2, RETRY_SECONDS_MAX)
                continue
            if stopping:
                return
            stop.wait(POLL_SECONDS)

    def _waiting_bytes(self) -> int:
        total = 0
        for path in segments(self._spool):
            total += path.stat().st_size - self.positions.segments.get(path.name, 0)
        return total

    def _cut(self) -> Batch | None:
        """Take the next records of all segments, drop duplicates, and describe the rest in a manifest."""
        ledger = msgspec.structs.replace(self.positions.ledger)
        ranges: list[Range] = []
        payloads: list[bytes] = []
        rows = size = 0
        for path in segments(self._spool):
            start = self.positions.segments.get(path.name, 0)
            # Asked before reading: a segment that is sealed now holds all it ever will.
            sealed = is_sealed(path)
            if path.stat().st_size <= start:
                continue
            durable = sync_segment(path)
            end = start
            for item in read_on(path, start, READ_BYTES, sealed=sealed, until=durable):
                end = item.end
                if isinstance(item, Damage):
                    self._keep_damage(path, item, ledger)
                    continue
                payloads.append(item.payload)
                _count(item, ledger)
                rows += item.accepted + item.rejected
                size += len(item.payload)
                if rows >= self._rows_max or size >= CUT_BYTES_MAX:
                    break
            if end > start:
                ranges.append(Range(path.name, start, end))
            if rows >= self._rows_max or size >= CUT_BYTES_MAX:
                break
        if not ranges:
            return None
        events, failed = _unpack(payloads)
        skip_events, skip_failed = self._duplicates(events, failed)
        ledger.deduplicated += len(skip_events) + len(skip_failed)
        ledger.stored += len(events) - len(skip_events)
        ledger.rejected += len(failed) - len(skip_failed)
        sequence = self.positions.sequence + 1
        batch_id = self._batch_id(sequence, SCHEMA, payloads, skip_events, skip_failed)
        manifest = Manifest(sequence, batch_id, ranges, skip_events, skip_failed, SCHEMA, ledger)
        return _without_skipped(manifest, events, failed)

    def _batch_id(self, sequence: int, schema: str, payloads: Sequence[bytes], *skips: list[int]) -> str:
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{self.positions.collector_id} {sequence} {schema} {skips}".encode())
        for payload in payloads:
            digest.update(payload)
        return digest.hexdigest()

    def _batch_of(self, manifest: Manifest) -> Batch | None:
        """Read a manifest's rows again; None when they are not what they were."""
        payloads: list[bytes] = []
        for part in manifest.ranges:
            path = self._spool / part.segment
            if not path.exists():
                continue  # what is missing is missing from the hash
            for item in read_on(path, part.start, READ_BYTES, sealed=True):
                if item.end > part.end:
                    break
                if isinstance(item, Record):
                    payloads.append(item.payload)
        schema = manifest.schema
        again = self._batch_id(manifest.sequence, schema, payloads, manifest.skip_events, manifest.skip_failed)
        if again != manifest.batch_id or schema not in (SCHEMA, _EARLIER_SCHEMA):
            return None
        return _without_skipped(manifest, *_unpack(payloads))

    def _duplicates(self, events: list[list[object]], failed: list[list[object]]) -> tuple[list[int], list[int]]:
        """Indices of the rows whose event is stored already, or stands earlier in this batch."""
        seen: set[str] = set()
        skip_events: list[int] = []
        late: dict[str, list[object]] = {}
        since_ms = self._recent.since_ms
        keys = [_event_key(row[_SOURCE_ID], row[_MESSAGE_ID]) for row in events]
        for index, (key, row) in enumerate(zip(keys, events, strict=True)):
            if key in self._recent or key in seen:
                skip_events.append(index)
                continue
            seen.add(key)
            if _may_be_older(row, since_ms):
                late[key] = row
        stored = self._stored(late)
        if stored:
            skipped = set(skip_events)
            skip_events.extend(i for i, key in enumerate(keys) if key in stored and i not in skipped)
            skip_events.sort()
        skip_failed: list[int] = []
        for index, row in enumerate(failed):
            key = _failed_key(row[_FAILED_SOURCE_ID], row[_FAILED_MESSAGE_ID], row[_FAILED_REASON])
            if key in self._recent or key in seen:
                skip_failed.append(index)
            seen.add(key)
        return skip_events, skip_failed

    def _stored(self, late: dict[str, list[object]]) -> set[str]:
        """Which of these are in the database: a look-up along the sort key."""
        found: set[str] = set()
        for part in _probes(late.values()):
            visitors = ",".join({f"({source},{visitor})" for source, visitor, _ in part})
            ids = ",".join(message_id for _, _, message_id in part)
            answer = self._store.rows(
                f"SELECT source_id, message_id FROM {self._store.database}.events "
                f"WHERE (source_id, visitor_id) IN ({visitors}) AND message_id IN ({ids})"
            )
            found.update(_event_key(source, message_id) for source, message_id in answer)
        return found & late.keys()

    def _recall(self) -> None:
        """Remember what was stored last, so that a restart is no different from going on."""
        for table, columns, key in (
            ("events", "source_id, message_id", _event_key),
            ("failed_events", "source_id, message_id, reason", _failed_key),
        ):
            name = f"{self._store.database}.{table}"
            ((newest_ms,),) = self._store.rows(f"SELECT toUnixTimestamp64Milli(max(received_at)) FROM {name}")
            if not newest_ms:
                continue
            unknown_ms = newest_ms - RECALL_MS - 1
            rows = self._store.rows(
                f"SELECT toUnixTimestamp64Milli(received_at), {columns} FROM {name} "
                f"WHERE received_at > fromUnixTimestamp64Milli({unknown_ms}) "
                f"ORDER BY received_at DESC LIMIT {RECALL_IDS}"
            )
            self._recent.add((key(*row[1:]) for row in rows), newest_ms)
            if table == "events":
                self._recent.unknown_until(rows[-1][0] if len(rows) == RECALL_IDS else unknown_ms)

    def _recall_batch(self, batch_id: str) -> None:
        """Remember what has arrived of a batch whose outcome is unknown and which cannot be sent again as it was."""
        where = f"WHERE batch_id = {_quoted(batch_id)}"
        events = self._store.rows(f"SELECT source_id, message_id FROM {self._store.database}.events {where}")
        failed = self._store.rows(
            f"SELECT source_id, message_id, reason FROM {self._store.database}.failed_events {where}"
        )
        self._recent.add([_event_key(*row) for row in events] + [_failed_key(*row) for row in failed], newest_ms=0)

    def _insert(self, batch: Batch) -> None:
        begun = time.monotonic()
        batch_id = batch.manifest.batch_id
        for table, names, rows in (
            ("events", EVENT_COLUMNS, batch.events),
            ("failed_events", FAILED_COLUMNS, batch.failed),
        ):
            if rows:
                columns = [*zip(*rows, strict=True), [batch_id] * len(rows)]
                self._store.insert(table, [*names, "batch_id"], columns, token=batch_id)
        self.insert_seconds += time.monotonic() - begun
        self.inserts += 1

    def _commit(self, batch: Batch) -> None:
        """Make the batch's end the new beginning. Ids count as seen only from here on."""
        positions = msgspec.structs.replace(self.positions, sequence=batch.manifest.sequence)
        positions.ledger = batch.manifest.ledger
        positions.segments = dict(self.positions.segments)
        for part in batch.manifest.ranges:
            positions.segments[part.segment] = part.end
        self._write(self._folder / "positions.json", msgspec.json.encode(positions))
        self.positions = positions
        self._remember(batch)

    def _remember(self, batch: Batch) -> None:
        keys = [_event_key(row[_SOURCE_ID], row[_MESSAGE_ID]) for row in batch.events]
        keys += [
            _failed_key(row[_FAILED_SOURCE_ID], row[_FAILED_MESSAGE_ID], row[_FAILED_REASON]) for row in batch.failed
        ]
        received = [row[_RECEIVED_AT] for row in batch.events]
        self._recent.add(keys, max((ms for ms in received if isinstance(ms, int)), default=0))

    def _tidy(self) -> None:
        """Delete sealed segments that are loaded to their end, and forget the positions of deleted ones."""
        present = set()
        for path in segments(self._spool):
            loaded = self.positions.segments.get(path.name, 0)
            if is_sealed(path) and path.stat().st_size <= max(loaded, len(SEGMENT_MAGIC)):
                path.unlink()
            else:
                present.add(path.name)
        # Not written: the next commit does it. A name is never used twice, so a stale one does no harm.
        self.positions.segments = {name: end for name, end in self.positions.segments.items() if name in present}

    def _keep_damage(self, path: Path, damage: Damage, ledger: Ledger) -> None:
        """Set unreadable bytes aside. A torn tail was never acknowledged and is only left behind."""
        if damage.torn:
            log.info("%s ends in %d bytes of an unfinished append", path.name, damage.end - damage.start)
            return
        folder = self._spool / "damaged"
        folder.mkdir(exist_ok=True)
        target = folder / f"{path.name}.{damage.start}-{damage.end}"
        with path.open("rb") as source, target.open("wb") as kept:
            source.seek(damage.start)
            shutil.copyfileobj(source, kept)
            kept.truncate(damage.end - damage.start)
            kept.flush()
            os.fsync(kept.fileno())
        sync_folder(folder)
        ledger.damaged_bytes += damage.end - damage.start
        log.error("%s is damaged at bytes %d to %d; kept in %s", path.name, damage.start, damage.end, target)

    def _forget_manifest(self) -> None:
        (self._folder / "manifest.json").unlink(missing_ok=True)
        sync_folder(self._folder)

    def _write(self, path: Path, content: bytes) -> None:
        """Replace a file so that after any crash it is the old one or the new one."""
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)


def _count(record: Record, ledger: Ledger) -> None:
    ledger.received += record.accepted + record.rejected + record.dropped
    ledger.dropped += record.dropped


def _unpack(payloads: Iterable[bytes]) -> tuple[list[list[object]], list[list[object]]]:
    events: list[list[object]] = []
    failed: list[list[object]] = []
    for payload in payloads:
        rows = decode_rows(payload)
        events += rows.events
        failed += rows.failed
    _fill_up(events, len(EVENT_COLUMNS), ADDED_EVENT_VALUES)
    _fill_up(failed, len(FAILED_COLUMNS), ADDED_FAILED_VALUES)
    return events, failed


def _fill_up(rows: Iterable[list[object]], columns: int, added: Sequence[object]) -> None:
    """Give rows that an older version spooled the columns that were added since."""
    for row in rows:
        missing = columns - len(row)
        if missing > 0:
            row.extend(added[-missing:])


def _event_key(source_id: object, message_id: object) -> str:
    return f"{source_id}\0{message_id}"


def _failed_key(source_id: object, message_id: object, reason: object) -> str:
    return f"{source_id}\0{message_id}\0{reason}"


def _may_be_older(row: list[object], since_ms: int) -> bool:
    """True when an earlier copy of this event may have been loaded before `since_ms`.

    An event cannot have arrived before it happened. Where its time is not its own (none was sent, or one of the future
    was moved to now), it may be older than it looks.
    """
    event_ms, occurred_ms, sent_ms, received_ms = (
        row[at] for at in (_EVENT_TIME, _OCCURRED_AT, _SENT_AT, _RECEIVED_AT)
    )
    assert isinstance(event_ms, int)
    assert isinstance(occurred_ms, int)
    assert isinstance(received_ms, int)
    latest_ms = sent_ms if isinstance(sent_ms, int) else received_ms
    return event_ms < since_ms + AHEAD_MS_MAX or occurred_ms == received_ms or occurred_ms > latest_ms


def _probes(rows: Iterable[list[object]]) -> Iterator[list[tuple[str, str, str]]]:
    """(source, visitor, message id) of these rows as SQL literals, in parts that fit into one look-up."""
    part: list[tuple[str, str, str]] = []
    size = 0
    for row in rows:
        literals = (_quoted(row[_SOURCE_ID]), _quoted(row[_VISITOR_ID]), _quoted(row[_MESSAGE_ID]))
        needed = len("".join(literals).encode())
        if part and (len(part) == PROBE_IDS or size + needed > PROBE_BYTES):
            yield part
            part, size = [], 0
        part.append(literals)
        size += needed
    if part:
        yield part


def _without_skipped(manifest: Manifest, events: list[list[object]], failed: list[list[object]]) -> Batch:
    if manifest.skip_events:
        skip = set(manifest.skip_events)
        events = [row for index, row in enumerate(events) if index not in skip]
    if manifest.skip_failed:
        skip = set(manifest.skip_failed)
        failed = [row for index, row in enumerate(failed) if index not in skip]
    return Batch(manifest, events, failed)


def _quoted(value: object) -> str:
    """A SQL string literal. A NUL would end the statement for the embedded engine."""
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"
