"""The loader: spooled rows into ClickHouse, exactly once.

    cut -> write manifest (fsync) -> insert with its hash as token -> write positions (fsync) -> forget the segments

One batch is in flight at a time and is never cut again: after a crash the manifest says which bytes and rows it was,
and the same block goes out under the same token, which the table's deduplication window drops if it had arrived.
Positions and the ledger of counts are one file, replaced atomically, so they can never disagree.

An event sent twice by its client is dropped here. Ids of recent batches are kept in memory (recent.py); an event that
happened before the oldest of them was received, or does not credibly say when, is looked up in the database, by
visitor, unless the sieve of older ids says that it is new. So a retry is found however late it comes; only one whose
visitor changed meanwhile (a daily hash, past midnight) can slip through.
Rejected events have no time of their own: their ids are remembered, and only one that arrived before memory begins,
which a replay of old segments brings back, is looked up, at its time of arrival.

A block that the database refuses for what some rows hold is halved until those rows are found; they become rejected
events (refused.py) and all others are stored. Each step is in the manifest before the next: a crash, or a constraint
that is dropped meanwhile, cannot make the same rows go out in blocks that are cut otherwise.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it ships no types

from collector.database.store import Store, StoreError
from collector.files import sync_folder
from collector.ingest.packed import FORM
from collector.loading.block import (
    Rows,
    UnknownForm,
    as_dicts,
    event_key,
    failed_key,
    failed_table,
    stream,
    times_ms,
    visitors,
    without,
)
from collector.loading.erased import Erased, Named
from collector.loading.kept import DAY_MS, Kept
from collector.loading.ledger import (
    Cuts,
    Ledger,
    LoadError,
    Manifest,
    Range,
    encode_state,
    read_positions,
    read_state,
    write_durably,
)
from collector.loading.recent import SIEVE_IDS, RecentIds
from collector.loading.refused import failed_rows, set_aside
from collector.plan.values import literal
from collector.record import (
    ADDED_EVENT_VALUES,
    ADDED_FAILED_VALUES,
    CLOCK_STEP_MS,
    EVENT_COLUMNS,
    FAILED_COLUMNS,
)
from collector.spooling.pressed import SegmentFile
from collector.spooling.spool import (
    SEGMENT_MAGIC,
    Damage,
    Record,
    is_sealed,
    read_on,
    segment_bytes,
    segments,
    sync_segment,
)

log = logging.getLogger("footfall.load")

# Of rows written out: about 20,000; the process then peaks at some 620 MB, chDB included.
CUT_BYTES_MAX = 16 * 1024 * 1024
READ_BYTES = 4 * 1024 * 1024
HALVES_MAX = 500  # steps of taking a block apart, each an insert or two; then what is left of a part is refused whole
PROBE_IDS = 1_000  # events of one look-up
PROBE_BYTES = 128 * 1024  # and the bytes of their ids, which clients choose: ClickHouse's max_query_size is 256 KB
# How far an event's time may lie behind its first arrival: half a step of the clock's correction, and the latency of a
# slow second attempt, which is taken for a wrong clock.
AHEAD_MS_MAX = CLOCK_STEP_MS // 2 + 30_000
RECALL_MS = 3_600_000  # before the newest stored event: what a new loader remembers,
RECALL_IDS = 100_000  # and at most so many, which takes it a moment
# Of how long before the newest it is told at least whether there may be more: twice what clocks are corrected by.
RECALL_SIEVE_MS = 2 * AHEAD_MS_MAX
POLL_SECONDS = 0.05
RETRY_SECONDS_MAX = 30.0
_FAILED_SOURCE, _FAILED_RECEIVED, _FAILED_MESSAGE = (
    FAILED_COLUMNS.index(name) for name in ("source_id", "received_at", "message_id")
)
DRAIN_SECONDS = 5.0  # at a stop; what is left stays in the spool and is loaded at the next start
BLANK_BYTES = 1024 * 1024  # written over at once

_ZEROS = bytes(BLANK_BYTES)
_Done = TypeVar("_Done")


class Batch:
    """A manifest with its rows, which are all that is in its ranges but for what it skips and what fits no column."""

    def __init__(self, manifest: Manifest, rows: Rows) -> None:
        self.manifest = manifest
        events, unfit = rows.events()
        self.unfit_events = _unfit(events, unfit, manifest.skip_events)
        left_out = [*manifest.skip_events, *unfit]
        self.events = without(events, left_out)
        self.event_keys = _others(rows.event_keys(), left_out)
        failed, unfit = rows.failed_events()
        self.unfit_failed = _unfit(failed, unfit, manifest.skip_failed)
        self.failed = without(failed, [*manifest.skip_failed, *unfit])
        self.failed_keys = _others(rows.failed_keys(), [*manifest.skip_failed, *unfit])
        self.counted = without(rows.counted_events(), manifest.skip_counted)
        self.counted_keys = _others(rows.counted_keys(), manifest.skip_counted)
        self.newest_ms: int = max(pc.max(times_ms(table, "received_at")).as_py() or 0 for table in (events, failed))


_NAMES_OF_FAILED = [
    FAILED_COLUMNS.index(name)
    for name in ("source_id", "visitor_id", "user_id", "message_id", "sent_at", "received_at")
]


def _names(source: object, visitor: object, user: object, previous: object, message: object) -> list[Named]:
    """The ids of an event by which it may have been erased."""
    said = (("visitor", visitor), ("user", user), ("visitor", previous), ("user", previous), ("message", message))
    return [(kind, str(source), str(id_)) for kind, id_ in said]


def _unfit(table: pa.Table, unfit: dict[int, str], skipped: Iterable[int]) -> list[tuple[dict[str, Any], str]]:
    """Rows that fit no column, with why."""
    return _with_reasons(table, {row: unfit[row] for row in set(unfit).difference(skipped)})


def _with_reasons(table: pa.Table, reasons: dict[int, str]) -> list[tuple[dict[str, Any], str]]:
    """The rows of a block that cannot be stored, with why; their order is that of the block."""
    rows = sorted(reasons)
    return list(zip(as_dicts(table, rows), (reasons[row] for row in rows), strict=True)) if rows else []


def _others(keys: list[str], left_out: Iterable[int]) -> list[str]:
    skip = set(left_out)
    return [key for at, key in enumerate(keys) if at not in skip] if skip else keys


def _schema(events: Sequence[str], failed: Sequence[str], form: str = "") -> str:
    return hashlib.sha256((",".join((*events, *failed)) + form).encode()).hexdigest()[:16]


SCHEMA = _schema(EVENT_COLUMNS, FAILED_COLUMNS, f";{FORM}")
# Those of versions before: a batch which one left in flight is sent again under its own token, its rows filled up.
# Whether they arrived then or arrive now, they have the same values.
_COLUMNS_OF_FORM_2 = EVENT_COLUMNS[: EVENT_COLUMNS.index("region")]
_FAILED_BEFORE = FAILED_COLUMNS[: FAILED_COLUMNS.index("sent_with")]
_SCHEMA_BEFORE = _schema(EVENT_COLUMNS, _FAILED_BEFORE, f";{FORM}")
_FORM_2_SCHEMA = _schema(_COLUMNS_OF_FORM_2, _FAILED_BEFORE, ";2")
_EARLIER_SCHEMA = _schema(
    EVENT_COLUMNS[: len(EVENT_COLUMNS) - len(ADDED_EVENT_VALUES)],
    FAILED_COLUMNS[: len(FAILED_COLUMNS) - len(ADDED_FAILED_VALUES)],
)
_WHOLE_ROWS_SCHEMA = _schema(_COLUMNS_OF_FORM_2, _FAILED_BEFORE)
_OF_RECORDS = (SCHEMA, _SCHEMA_BEFORE, _FORM_2_SCHEMA)  # whose batches are named by the checksums of their records
_OF_BYTES = (_WHOLE_ROWS_SCHEMA, _EARLIER_SCHEMA)


class Loader:
    """Loads one data directory's spool. Not thread-safe: one thread calls `step`."""

    def __init__(
        self,
        data_dir: Path,
        store: Store,
        now_ms: Callable[[], int],
        rows_max: int = 50_000,
        interval_ms: int = 500,
        naming: threading.Lock | None = None,
    ) -> None:
        """Read how far an earlier loader came.

        Args:
            data_dir: With the spool.
            store: Where to.
            now_ms: The wall clock.
            rows_max: Of one insert, about.
            interval_ms: From one insert's begin to the next, while what arrives meanwhile fits into one.
            naming: Held while a segment is deleted; whoever puts another file under a segment's name holds it too.
        Raises:
            LoadError: what an earlier loader left cannot be read.
        """
        self._spool = data_dir / "spool"
        self._folder = data_dir / "load"
        self._store = store
        self._now_ms = now_ms
        self._rows_max = rows_max
        self._interval_ms = interval_ms
        self._last_cut_ms = 0
        self._more = False  # the last batch was full, so that what is behind it has waited already
        self._naming = naming or threading.Lock()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._spool.mkdir(parents=True, exist_ok=True)
        self.positions = read_positions(data_dir)
        if self.positions.sequence == 0:
            self._write(self._folder / "positions.json", encode_state(self.positions))
        self._recent = RecentIds()
        self._recalled = False
        self.erased = Erased(store)
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.failure: str | None = None
        self.insert_seconds = 0.0
        self.inserts = 0

    def recover(self) -> None:
        """Finish the batch that a crash left in flight. Raises StoreError (it cannot be asked) or LoadError."""
        if not self._recalled:
            self._recall()
            self._recalled = True
        self.erased.look(self._now_ms(), now=True)
        manifest = read_state(self._folder / "manifest.json", Manifest)
        if manifest is None or manifest.sequence <= self.positions.sequence:
            return
        batch = self._batch_of(manifest)
        if batch is None:
            log.error("batch %s cannot be read again; its events are loaded anew by id", manifest.batch_id)
            self._recall_batch(manifest.batch_id)
            self._forget_manifest()
            return
        log.info("batch %s was in flight: sending it again under its token", manifest.batch_id)
        self._insert(batch, self._arrived(batch))
        self._commit(batch)

    def step(self, *, wait: bool = True) -> int:
        """Load one batch if there is enough to load.

        Args:
            wait: Let a batch grow until `interval_ms` have passed since the last was cut, unless that was full.
        Returns:
            The number of events taken from the spool; 0 when there was nothing to do.
        Raises:
            StoreError: the insert failed; the batch stays in flight and the next `recover` sends it again.
        """
        now_ms = self._now_ms()
        if wait and not self._more and 0 <= now_ms - self._last_cut_ms < self._interval_ms:
            return 0
        batch = self._cut()
        self._tidy()
        if batch is None:
            return 0
        self._write_manifest(batch.manifest)
        self._insert(batch)
        taken = batch.manifest.ledger.received - self.positions.ledger.received
        self._commit(batch)
        self._last_cut_ms = now_ms
        return taken

    def run(self, stop: threading.Event) -> None:
        """Load until told to stop, then for DRAIN_SECONDS more what is there. Failures are retried ever more slowly."""
        pause = 0.1
        recovered = False
        deadline = float("inf")
        while time.monotonic() < deadline:
            self._do_tasks()
            stopping = stop.is_set()
            if stopping:
                deadline = min(deadline, time.monotonic() + DRAIN_SECONDS)
            try:
                if not recovered:
                    self.recover()
                    recovered = True
                while self.step(wait=not stopping) and time.monotonic() < deadline and stop.is_set() == stopping:
                    self._do_tasks()
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

    def between(self, task: Callable[[], _Done]) -> Future[_Done]:
        """Have the thread that runs do something between two batches, when nobody else loads. For other threads."""
        done: Future[_Done] = Future()

        def do() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(task())
                except Exception as error:
                    done.set_exception(error)

        self._tasks.put(do)
        return done

    def _do_tasks(self) -> None:
        while True:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                return
            task()

    def catch_up(self) -> None:
        """Load all that the spool holds by now, and no more: under load there is always more. Raises as `step`."""
        self.recover()
        wanted = {path.name: sync_segment(path) for path in segments(self._spool)}
        while any(self._behind(name, end) for name, end in wanted.items()) and self.step(wait=False):
            pass
        self._tidy()

    def _behind(self, name: str, end: int) -> bool:
        return (self._spool / name).exists() and self.positions.segments.get(name, len(SEGMENT_MAGIC)) < end

    def blank_loaded(self) -> int:
        """Write zeros over all that is loaded of the segments that are still there, and say over how many bytes.

        Their writers append behind it, and nobody reads it again. A pressed one that is not loaded to its end is left
        as it is: it goes when it is. The manifest of the last batch goes too: sentences of
        the database in it may quote rows. Raises OSError.
        """
        blanked = 0
        for path in segments(self._spool):
            with SegmentFile(path) as file:
                if file.is_pressed:
                    continue
            at, end = len(SEGMENT_MAGIC), self.positions.segments.get(path.name, 0)
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                blanked += max(end - at, 0)
                while at < end:
                    at += os.pwrite(descriptor, _ZEROS[: end - at], at)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        self._forget_manifest()
        return blanked

    def leave_out(self, set_aside: int, damaged_bytes: int, *, erased: bool = True) -> None:
        """Account for what was removed from our files: rejected events that were set aside, and damaged bytes.

        `erased`: because the person was; else because their time was over.
        """
        positions = msgspec.structs.replace(self.positions, ledger=msgspec.structs.replace(self.positions.ledger))
        ledger = positions.ledger
        ledger.rejected -= set_aside
        ledger.refused -= min(set_aside, ledger.refused)
        ledger.set_aside -= set_aside
        ledger.dropped += set_aside
        ledger.erased += set_aside * erased
        ledger.damaged_bytes -= min(damaged_bytes, ledger.damaged_bytes)
        self._write(self._folder / "positions.json", encode_state(positions))
        self.positions = positions

    def look_at_retention(self, shortest: Mapping[str, int]) -> None:
        """Forget the rows of days that retention may take some of. `shortest` rules by table, in days; 0 is none.

        Raises:
            OSError: nothing is changed.
        """
        kept = {
            name: self.positions.kept.get(name, Kept()).look(days, self._now_ms()) for name, days in shortest.items()
        }
        if kept != self.positions.kept:
            positions = msgspec.structs.replace(self.positions, kept=kept)
            self._write(self._folder / "positions.json", encode_state(positions))
            self.positions = positions

    def _cut(self) -> Batch | None:
        """Take the next records of all segments, drop duplicates, and describe the rest in a manifest."""
        ledger = msgspec.structs.replace(self.positions.ledger)
        ranges: list[Range] = []
        records: list[Record] = []
        rows = Rows()
        size = 0
        self._more = False
        for path in segments(self._spool):
            start = self.positions.segments.get(path.name, 0)
            # Asked before reading: a segment that is sealed now holds all it ever will.
            sealed = is_sealed(path)
            if segment_bytes(path) <= start:
                continue
            durable = sync_segment(path)
            end = start
            for item in read_on(path, start, READ_BYTES, sealed=sealed, until=durable):
                end = item.end
                if isinstance(item, Damage):
                    self._keep_damage(path, item, ledger)
                    continue
                try:
                    size += rows.add(item.payload)
                except msgspec.MsgspecError:
                    # Its checksum is right, so it was written like this. Nothing can be made of it.
                    self._keep_damage(path, Damage(item.start, item.end, torn=False), ledger)
                    continue
                except UnknownForm as problem:
                    raise LoadError(f"{path}: {problem}") from problem
                records.append(item)
                _count(item, ledger)
                self._more = len(rows) >= self._rows_max or size >= CUT_BYTES_MAX
                if self._more:
                    break
            if end > start:
                ranges.append(Range(path.name, start, end))
            if self._more:
                break
        if not ranges:
            return None
        skip_events, skip_failed, skip_counted = self._duplicates(rows)
        ledger.deduplicated += len(skip_events) + len(skip_failed) + len(skip_counted)
        late_events, late_failed = self._of_erased(rows, skip_events, skip_failed)
        ledger.dropped += len(late_events) + len(late_failed)
        ledger.erased += len(late_events) + len(late_failed)
        skip_events, skip_failed = sorted(skip_events + late_events), sorted(skip_failed + late_failed)
        ledger.rejected += len(rows.failed) - len(skip_failed)
        ledger.stored += len(rows) - len(rows.failed) - len(skip_events) - len(skip_counted)
        ledger.counted += len(rows.counted) - len(skip_counted)
        sequence = self.positions.sequence + 1
        batch_id = self._batch_id(sequence, SCHEMA, records, skip_events, skip_failed, skip_counted)
        manifest = Manifest(sequence, batch_id, ranges, skip_events, skip_failed, SCHEMA, ledger)
        manifest.skip_counted = skip_counted
        return Batch(manifest, rows)

    def _batch_id(self, sequence: int, schema: str, records: Sequence[Record], *skips: list[int]) -> str:
        """A hash of what the batch holds. Of each record its checksum, which was verified when it was read."""
        if len(skips) == 3 and not skips[2]:
            skips = skips[:2]  # as the versions named it that counted no events
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{self.positions.collector_id} {sequence} {schema} {skips}".encode())
        if schema in _OF_RECORDS:
            digest.update(b"".join(b"%8x%8x" % (record.checksum, record.end - record.start) for record in records))
        else:
            for record in records:
                digest.update(record.payload)
        return digest.hexdigest()

    def _batch_of(self, manifest: Manifest) -> Batch | None:
        """Read a manifest's rows again; None when they are not what they were."""
        records: list[Record] = []
        rows = Rows()
        for part in manifest.ranges:
            path = self._spool / part.segment
            if not path.exists():
                continue  # what is missing is missing from the hash
            for item in read_on(path, part.start, READ_BYTES, sealed=True):
                if item.end > part.end:
                    break
                if isinstance(item, Damage):
                    continue
                try:
                    rows.add(item.payload)
                except msgspec.MsgspecError:
                    continue
                except UnknownForm:
                    return None
                records.append(item)
        schema = manifest.schema
        skips = manifest.skip_events, manifest.skip_failed, manifest.skip_counted
        again = self._batch_id(manifest.sequence, schema, records, *skips)
        if again != manifest.batch_id or schema not in _OF_RECORDS + _OF_BYTES:
            return None
        return Batch(manifest, rows)

    def _duplicates(self, rows: Rows) -> tuple[list[int], list[int], list[int]]:
        """Indices of the rows whose event is stored already, or stands earlier in this batch.

        Ids of counted events are in no table: a copy of one is known for as long as this process remembers it.
        """
        keys = rows.event_keys()
        skipped = self._seen(keys)
        late = {keys[at]: rows.place_of(at) for at in self._doubtful(rows, keys) if at not in skipped}
        if stored := self._stored(late):
            skipped.update(at for at, key in enumerate(keys) if key in stored)
        keys = rows.failed_keys()
        skipped_failed = self._seen(keys)
        since_ms = self._recent.since_ms
        late_failed = {
            keys[at]: row
            for at, row in enumerate(rows.failed)
            if row[_FAILED_RECEIVED] < since_ms and at not in skipped_failed  # type: ignore[operator]  # a number
        }
        if stored := self._stored_failed(late_failed):
            skipped_failed.update(at for at, key in enumerate(keys) if key in stored)
        counted = rows.counted_keys()
        twice = self._seen(counted)
        if counted:
            stored_here = set(rows.event_keys())
            twice.update(at for at, key in enumerate(counted) if key in stored_here)
        return sorted(skipped), sorted(skipped_failed), sorted(twice)

    def _doubtful(self, rows: Rows, keys: list[str]) -> list[int]:
        """Indices of the events of which only the database can say whether an earlier copy was stored."""
        recent = self._recent
        older = _may_be_older(rows, recent.since_ms)
        if not older:
            return []
        unknown = set(_may_be_older(rows, recent.sieve.since_ms))
        return [at for at in older if at in unknown or keys[at] in recent.sieve]

    def _of_erased(self, rows: Rows, skip_events: list[int], skip_failed: list[int]) -> tuple[list[int], list[int]]:
        """Indices of the other rows that come too late: those whose they are were erased."""
        self.erased.look(self._now_ms())
        if not self.erased:
            return [], []
        table, _ = rows.events()
        names = [
            table[name].to_pylist() for name in ("source_id", "visitor_id", "user_id", "previous_id", "message_id")
        ]
        events = zip(times_ms(table, "event_time").to_pylist(), *names, strict=True)
        late_events = [at for at, (ms, *ids) in enumerate(events) if self.erased.covers(_names(*ids), ms)]
        failed = [[row[at] for at in _NAMES_OF_FAILED] for row in rows.failed]
        late_failed = [
            at
            for at, (source, visitor, user, message, sent, received) in enumerate(failed)
            if self.erased.covers(_names(source, visitor, user, "", message), int(sent or received))  # type: ignore[call-overload]  # a row's values are objects
        ]
        return sorted({*late_events}.difference(skip_events)), sorted({*late_failed}.difference(skip_failed))

    def _seen(self, keys: list[str]) -> set[int]:
        """Which of these are known, or stand there twice."""
        once = set(keys)
        if len(once) == len(keys) and not self._recent.knows_any(once):
            return set()
        seen: set[str] = set()
        found = set()
        for at, key in enumerate(keys):
            if key in seen or key in self._recent:
                found.add(at)
            seen.add(key)
        return found

    def _stored(self, late: dict[str, tuple[str, str, str]]) -> set[str]:
        """Which of these are in the database: a look-up along the sort key."""
        found: set[str] = set()
        for part in _probes(late.values()):
            visitors = ",".join({f"({source},{visitor})" for source, visitor, _ in part})
            ids = ",".join(message_id for _, _, message_id in part)
            answer = self._store.rows(
                f"SELECT source_id, message_id FROM {self._store.database}.events "
                f"WHERE (source_id, visitor_id) IN ({visitors}) AND message_id IN ({ids})"
            )
            found.update(event_key(source, message_id) for source, message_id in answer)
        return found & late.keys()

    def _stored_failed(self, late: dict[str, list[object]]) -> set[str]:
        """The same of rejected events, each at the moment when it arrived."""
        found: set[str] = set()
        places = ((row[_FAILED_SOURCE], str(row[_FAILED_RECEIVED]), row[_FAILED_MESSAGE]) for row in late.values())
        for part in _probes(places):  # type: ignore[arg-type]  # as the spool has them: text, a number, text
            wanted = ",".join(
                f"({source},fromUnixTimestamp64Milli(toInt64({received}),'UTC'),{message})"
                for source, received, message in part
            )
            answer = self._store.rows(
                f"SELECT source_id, message_id, reason FROM {self._store.database}.failed_events "
                f"WHERE (source_id, received_at, message_id) IN ({wanted})"
            )
            found.update(failed_key(*row) for row in answer)
        return found & late.keys()

    def _recall(self) -> None:
        """Remember what was stored last, so that a restart is no different from going on."""
        for table, columns, key in (
            ("events", "source_id, message_id", event_key),
            ("failed_events", "source_id, message_id, reason", failed_key),
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
            if len(rows) == RECALL_IDS:
                unknown_ms = rows[-1][0]
            self._recent.unknown_until(unknown_ms)
            if table == "events":
                self._recent.sieve.unknown_until(self._recall_sieve(newest_ms - RECALL_SIEVE_MS, unknown_ms))

    def _recall_sieve(self, after_ms: int, until_ms: int) -> int:
        """Tell the sieve of what was stored before that is remembered: of a busy minute that are a million ids.

        Args:
            after_ms: Of events that were received later than that,
            until_ms: and not later than this.
        Returns:
            Up to when events may be stored of which it was not told; they are more than it holds, or came before.
        """
        sieve, name = self._recent.sieve, f"{self._store.database}.events"
        received = "toUnixTimestamp64Milli(received_at)"
        between = "WHERE received_at BETWEEN fromUnixTimestamp64Milli({}) AND fromUnixTimestamp64Milli({})".format
        seconds = (
            self._store.rows(
                f"SELECT intDiv({received}, 1000) AS second, count() FROM {name} {between(after_ms + 1, until_ms)} "
                "GROUP BY second ORDER BY second DESC"
            )
            if after_ms < until_ms
            else []
        )
        told = part = 0
        for at, (second, count) in enumerate(seconds):
            told += count
            part += count
            if told > SIEVE_IDS:
                return until_ms
            last = at == len(seconds) - 1
            if part >= RECALL_IDS or last:
                from_ms = after_ms + 1 if last else second * 1_000
                rows = self._store.rows(f"SELECT source_id, message_id FROM {name} {between(from_ms, until_ms)}")
                sieve.add({event_key(*row) for row in rows}, until_ms)
                until_ms, part = from_ms - 1, 0
        return until_ms

    def _recall_batch(self, batch_id: str) -> None:
        """Remember what has arrived of a batch whose outcome is unknown and which cannot be sent again as it was."""
        where = f"WHERE batch_id = {literal(batch_id)}"
        events = self._store.rows(f"SELECT source_id, message_id FROM {self._store.database}.events {where}")
        failed = self._store.rows(
            f"SELECT source_id, message_id, reason FROM {self._store.database}.failed_events {where}"
        )
        self._recent.add([event_key(*row) for row in events] + [failed_key(*row) for row in failed], newest_ms=0)

    def _arrived(self, batch: Batch) -> set[str]:
        """The tables in which a batch of unknown outcome is stored whole.

        Its token knows that only as long as the table's deduplication window reaches, which other collectors' inserts
        fill. A part of a batch may be of an insert that still runs, so then, too, the token decides.
        """
        found = set()
        for table, rows in (("events", batch.events), ("failed_events", batch.failed)):
            if not rows.num_rows:
                continue
            # With its time, whose index leaves out the parts of other times.
            received = pc.min_max(times_ms(rows, "received_at")).as_py()
            ((count,),) = self._store.rows(
                f"SELECT count() FROM {self._store.database}.{table} "
                f"WHERE batch_id = {literal(batch.manifest.batch_id)} AND received_at BETWEEN "
                f"fromUnixTimestamp64Milli({received['min']}) AND fromUnixTimestamp64Milli({received['max']})"
            )
            if count == rows.num_rows:
                found.add(table)
        return found

    def _insert(self, batch: Batch, arrived: Container[str] = ()) -> None:
        begun = time.monotonic()
        manifest, batch_id = batch.manifest, batch.manifest.batch_id
        if "events" not in arrived:
            self._mark(batch.events)
            self._send(manifest, "events", batch.events, manifest.cut_events, batch_id)
        if "failed_events" not in arrived:
            self._send(manifest, "failed_events", batch.failed, manifest.cut_failed, batch_id)
        refused = [*batch.unfit_events, *_with_reasons(batch.events, manifest.cut_events.refused)]
        rows = failed_rows([event for event, _ in refused], [sentence for _, sentence in refused])
        rejected, _ = failed_table(rows)
        self._send(manifest, "failed_events", rejected, manifest.cut_refused, f"{batch_id} refused")
        self._send(manifest, "counted_events", batch.counted, manifest.cut_counted, batch_id)
        aside = [
            *batch.unfit_failed,
            *_with_reasons(batch.counted, manifest.cut_counted.refused),
            *_with_reasons(batch.failed, manifest.cut_failed.refused),
            *_with_reasons(rejected, manifest.cut_refused.refused),
        ]
        if aside:
            set_aside(self._folder, batch_id, [row | {"refused": sentence} for row, sentence in aside])
        self.insert_seconds += time.monotonic() - begun
        self.inserts += 1

    def _mark(self, events: pa.Table) -> None:
        """Mark whose sessions are to be computed anew (sessions.py), first: a mark too many costs only a look."""
        if events.num_rows:
            marks = visitors(events)
            self._store.insert("visitor_marks", list(marks), list(marks.values()), token="")

    def _send(self, manifest: Manifest, table: str, rows: pa.Table, cuts: Cuts, token: str) -> None:
        """Insert a block whole, or where the database refuses some of its rows, in parts without them."""
        count: int = rows.num_rows
        todo = [(0, count)] if count else []
        while todo:
            start, end = part = todo.pop()
            if part not in cuts.halved and start not in cuts.refused:
                try:
                    self._store.insert_arrow(
                        table,
                        [*rows.column_names, "batch_id"],
                        stream(rows.slice(start, end - start), manifest.batch_id),
                        token if part == (0, count) else f"{token} {start} {end}",
                    )
                    continue
                except StoreError as error:
                    if not error.of_rows:
                        raise
                    if end - start > 1 and len(cuts.halved) < HALVES_MAX:
                        cuts.halved.add(part)
                    else:
                        cuts.refused |= dict.fromkeys(range(start, end), str(error))
                        log.warning("%s refuses %d of a batch's rows: %s", table, end - start, error)
                self._write_manifest(manifest)
            if part in cuts.halved:
                middle = (start + end) // 2
                todo += [(middle, end), (start, middle)]

    def _commit(self, batch: Batch) -> None:
        """Make the batch's end the new beginning. Ids count as seen only from here on."""
        positions = msgspec.structs.replace(self.positions, sequence=batch.manifest.sequence)
        positions.ledger = _settled(batch)
        cuts = {"events": batch.manifest.cut_events, "failed_events": batch.manifest.cut_failed}
        positions.kept = {
            name: self.positions.kept.get(name, Kept()).note(_by_day(table, cuts[name]))
            for name, table in (("events", batch.events), ("failed_events", batch.failed))
        }
        positions.segments = dict(self.positions.segments)
        for part in batch.manifest.ranges:
            positions.segments[part.segment] = part.end
        self._write(self._folder / "positions.json", encode_state(positions))
        self.positions = positions
        self._remember(batch)

    def _remember(self, batch: Batch) -> None:
        refused = batch.manifest.cut_events.refused
        events = _others(batch.event_keys, refused)
        failed = _others(batch.failed_keys, batch.manifest.cut_failed.refused)  # what is only in a file is not stored
        self._recent.add(chain(events, failed, batch.counted_keys), batch.newest_ms)

    def _tidy(self) -> None:
        """Delete sealed segments that are loaded to their end, and forget the positions of deleted ones."""
        present = set()
        for path in segments(self._spool):
            loaded = self.positions.segments.get(path.name, 0)
            begun = loaded > 0 or path.stat().st_size <= len(SEGMENT_MAGIC)  # of a backlog few are, or hold nothing
            if begun and is_sealed(path) and segment_bytes(path) <= max(loaded, len(SEGMENT_MAGIC)):
                with self._naming:
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
        with SegmentFile(path) as source, target.open("wb") as kept:
            kept.writelines(source.kept(damage.start, damage.end))
            kept.flush()
            os.fsync(kept.fileno())
        sync_folder(folder)
        ledger.damaged_bytes += damage.end - damage.start
        log.error("%s is damaged at bytes %d to %d; kept in %s", path.name, damage.start, damage.end, target)

    def _forget_manifest(self) -> None:
        (self._folder / "manifest.json").unlink(missing_ok=True)
        sync_folder(self._folder)

    def _write_manifest(self, manifest: Manifest) -> None:
        self._write(self._folder / "manifest.json", encode_state(manifest))

    def _write(self, path: Path, content: bytes) -> None:
        write_durably(path, content)


def _count(record: Record, ledger: Ledger) -> None:
    ledger.received += record.accepted + record.rejected + record.dropped
    ledger.dropped += record.dropped


def _by_day(table: pa.Table, cuts: Cuts) -> dict[int, int]:
    """How many rows of a block were stored, by the day when they were received."""
    if not table.num_rows:
        return {}
    received = times_ms(table, "received_at")
    if not cuts.refused:
        ends = pc.min_max(received).as_py()
        if (day := ends["min"] // DAY_MS) == ends["max"] // DAY_MS:
            return {day: table.num_rows}
    return Counter(ms // DAY_MS for at, ms in enumerate(received.to_pylist()) if at not in cuts.refused)


def _settled(batch: Batch) -> Ledger:
    """The ledger after a batch: as it was cut, but that what was refused is not stored."""
    manifest = batch.manifest
    ledger = msgspec.structs.replace(manifest.ledger)
    refused = len(batch.unfit_events) + len(manifest.cut_events.refused)
    refused_again = len(batch.unfit_failed) + len(manifest.cut_failed.refused)
    uncounted = len(manifest.cut_counted.refused)
    ledger.stored -= refused + uncounted
    ledger.counted -= uncounted
    ledger.rejected += refused + uncounted
    ledger.refused += refused + refused_again + uncounted
    ledger.set_aside += refused_again + len(manifest.cut_refused.refused) + uncounted
    return ledger


def _may_be_older(rows: Rows, since_ms: int) -> list[int]:
    """Indices of the events of which an earlier copy may have been loaded before `since_ms`.

    An event cannot have arrived before it happened. Where its time is not its own (none was sent, or one of the future
    was moved to now), it may be older than it looks.
    """
    table, _ = rows.events()
    event, occurred, sent, received = (
        times_ms(table, name) for name in ("event_time", "occurred_at", "sent_at", "received_at")
    )
    older = pc.less(event, since_ms + AHEAD_MS_MAX)
    undated = pc.or_(pc.equal(occurred, received), pc.greater(occurred, pc.coalesce(sent, received)))
    indices: list[int] = pc.indices_nonzero(pc.or_(older, undated)).to_pylist()
    return indices


def _probes(places: Iterable[tuple[str, str, str]]) -> Iterator[list[tuple[str, str, str]]]:
    """(source, visitor, message id) of events as SQL literals, in parts that fit into one look-up."""
    part: list[tuple[str, str, str]] = []
    size = 0
    for source_id, visitor_id, message_id in places:
        literals = (literal(source_id), literal(visitor_id), literal(message_id))
        needed = len("".join(literals).encode())
        if part and (len(part) == PROBE_IDS or size + needed > PROBE_BYTES):
            yield part
            part, size = [], 0
        part.append(literals)
        size += needed
    if part:
        yield part
