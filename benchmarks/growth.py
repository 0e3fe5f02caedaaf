"""Question: does an event cost more, the more are stored, and the more sources, agents and pages there are?

Budget: flat, from 1 M to 100 M stored events, from 1 to 10,000 sources, from 10 to 1 M user agents and pages.
Method: CPU time of this process, in which the embedded engine is as well. REPEATS times; median (min to max).
Sources, agents, pages: whole requests of BATCH page views, from their headers to the spool's record, in one process. Of
one of the three there are so many values, drawn all alike often (the worst there is: of a million hardly any comes
twice) or as real ones are, the n-th 1/n as often as the first; what it costs to see a value first is in it. The sides
take turns, REQUESTS each, after as many to warm up.
Stored events: those of `footfall generate`, topped up to each size. Then FRESH page views in one segment, by one loader
that goes on, and the merges that they cause, until none has run for SETTLE_SECONDS. Then the same segment once more,
by a loader that has just started, which must ask the database for most of them, and may store none; what starting
costs is left out.
Run: python -m benchmarks growth takes some five minutes, with 1 M and 10 M stored. FOOTFALL_BENCH_STORED=1,10,100
(millions) takes 15 GB of disk.
"""

from __future__ import annotations

import gc
import itertools
import json
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

from benchmarks import table
from benchmarks.servers import USER_AGENT, event
from collector.app.answers import all_accepted_bytes
from collector.app.head import check_body
from collector.app.intake import COUNTER_NAMES, Asked, Intake
from collector.database.migrate import migrate
from collector.database.store import Store
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.clock import now_ms
from collector.ingest.judge import Tools
from collector.ingest.packed import encode_packed
from collector.loading.load import Loader
from collector.metrics import Counters
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.simulate.bulk import generate
from collector.sources import Directory, add_source
from collector.spooling.spool import SEGMENT_MAGIC, SpoolWriter, frame

STORED = tuple(int(millions) for millions in os.environ.get("FOOTFALL_BENCH_STORED", "1,10").split(","))
FRESH = 100_000
BATCH = 20
REPEATS = 3
SETTLE_SECONDS, SETTLE_SECONDS_MAX = 2.0, 3_600.0
BEFORE = timedelta(
    minutes=10
)  # the invented events end so long ago that a loader which starts remembers what came since
REQUESTS = 4_000
SOURCES = (1, 100, 10_000)
VALUES = (10, 1_000, 100_000, 1_000_000)
Request = tuple[list[tuple[bytes, bytes]], bytes]
Draw = Callable[[], int]

_NUMBERS = itertools.count()


def main() -> None:
    """Measure and print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        (data_dir / "run").mkdir()
        _print_taking(data_dir)
        print()
        with closing(Store(f"chdb://{data_dir / 'db'}?database=footfall")) as store:
            _print_loading(store, data_dir)


# What a request costs


class Taking:
    """Takes requests as a worker does, but for the disk."""

    def __init__(self, data_dir: Path) -> None:
        plan = compile_plan(load_plan(DEFAULT_PLAN_DIR))
        tools = Tools(plan=plan, geo=open_geo("registry"), salts=Salts(data_dir / "salts.json"))
        counters = Counters(data_dir / "run" / f"{next(_NUMBERS)}.counters", COUNTER_NAMES)
        no_spool = cast(SpoolWriter, None)  # nothing is stored here
        self._intake = Intake(tools, no_spool, Directory(data_dir, now_ms), counters, now_ms, ())

    def __call__(self, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
        """One request; its record."""
        asked = Asked(headers, b"", "127.0.0.1")
        check_body(asked.head)
        self._intake.take(asked, None, body)
        assert len(asked.outcome.packed.events) == BATCH
        all_accepted_bytes(BATCH)
        return frame(encode_packed(asked.outcome.packed), BATCH, 0)


def request(first: int, key: str, agent: int = 0, pages: Draw = lambda: 0) -> Request:
    """Headers and body of a batch of page views, numbered from `first`."""
    events = [event(number) for number in range(first, first + BATCH)]
    for one in events:
        page = pages()
        one["properties"] |= {"url": f"https://shop.example/p/{page}", "path": f"/p/{page}"}
    sent = datetime.now(UTC) - timedelta(milliseconds=40)
    for one in events:
        one["timestamp"] = _iso(sent - timedelta(seconds=1))
    body = json.dumps({"batch": events, "writeKey": key, "sentAt": _iso(sent)}, separators=(",", ":")).encode()
    name = USER_AGENT.replace("156.0.0.0", f"156.{agent // 1_000}.{agent % 1_000}.0")
    return [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"text/plain"),
        (b"user-agent", name.encode()),
        (b"content-length", str(len(body)).encode()),
    ], body


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _print_taking(data_dir: Path) -> None:
    keys = _add_sources(data_dir, max(SOURCES))
    made: dict[str, tuple[tuple[int, ...], Callable[[Draw], Request]]] = {
        "sources": (SOURCES, lambda draw: request(_first(), keys[draw()])),
        "user agents": (VALUES, lambda draw: request(_first(), keys[0], agent=draw())),
        "pages": (VALUES, lambda draw: request(_first(), keys[0], pages=draw)),
    }
    table.head(
        "what differs",
        "values",
        "all alike often, CPU us per event",
        "x the fewest",
        "as real ones are",
        "x the fewest",
    )
    for name, (counts, one) in made.items():
        cells: list[list[str]] = [[] for _ in counts]
        for drawn in (_alike, _skewed):
            found = _cost(data_dir, [partial(one, drawn(count)) for count in counts])
            for shown, figures in zip(cells, found, strict=True):
                shown.extend((table.spread(figures), f"{statistics.median(figures) / statistics.median(found[0]):.2f}"))
        for count, shown in zip(counts, cells, strict=True):
            table.row(name, f"{count:,}", *shown)


def _alike(count: int) -> Draw:
    dice = random.Random(count)
    return lambda: dice.randrange(count)


def _skewed(count: int) -> Draw:
    """Zipf's law with exponent 1: the n-th of all is drawn 1/n as often as the first."""
    dice, last = random.Random(count), math.log(count + 1)
    return lambda: min(int(math.exp(dice.random() * last)), count) - 1


def _cost(data_dir: Path, sides: list[Callable[[], Request]]) -> list[list[float]]:
    """Microseconds of CPU per event of each side, each with a worker of its own; the sides take turns."""
    workers = [Taking(data_dir) for _ in sides]
    figures: list[list[float]] = [[] for _ in sides]
    for turn in range(REPEATS + 1):
        for worker, one, found in zip(workers, sides, figures, strict=True):
            requests = [one() for _ in range(REQUESTS)]
            gc.collect()
            gc.freeze()  # as a worker does
            begun = time.process_time()
            for headers, body in requests:
                worker(headers, body)
            spent = time.process_time() - begun
            if turn:  # the first is to warm up
                found.append(spent / REQUESTS / BATCH * 1e6)
    return figures


def _first() -> int:
    return next(_NUMBERS) * BATCH


def _add_sources(data_dir: Path, count: int) -> list[str]:
    """So many sources, written at once; their write keys."""
    add_source(data_dir, "Benchmark", [])
    path = data_dir / "sources.json"
    written = json.loads(path.read_text())
    (first,) = written["sources"]
    for number in range(1, count):
        key = f"{first['write_key'][:-6]}{number:06d}"
        written["sources"].append(first | {"id": f"s{number}", "name": f"Source {number}", "write_key": key})
    path.write_text(json.dumps(written))
    return [one["write_key"] for one in written["sources"]]


# What a row costs to load


def _print_loading(store: Store, data_dir: Path) -> None:
    table.head(
        "stored events",
        "parts",
        "CPU us per fresh event",
        "with its merges",
        "sent a second time",
        "x the fewest, with merges",
    )
    migrate(store)
    worker, key = Taking(data_dir), json.loads((data_dir / "sources.json").read_text())["sources"][0]["write_key"]
    loader: Loader | None = None
    fewest = 0.0
    stored = 0
    for millions in STORED:
        for _ in generate(
            store,
            (millions - stored) * 1_000_000,
            source_id="benchmark",
            until=datetime.now(UTC) - BEFORE,
            seed=millions,
        ):
            pass
        stored = millions
        _settle(store)
        loader = loader or _started(data_dir, store)
        parts = store.rows(
            "SELECT count() FROM system.parts WHERE active AND database = 'footfall' AND table = 'events'"
        )[0][0]
        fresh: list[float] = []
        merged: list[float] = []
        again: list[float] = []
        for _ in range(REPEATS):
            first = _first() * FRESH
            records = [worker(*request(first + at, key)) for at in range(0, FRESH, BATCH)]
            _spool(data_dir, records)
            begun = time.process_time()
            assert _loaded(loader) == 0
            fresh.append((time.process_time() - begun) / FRESH * 1e6)
            _settle(store)
            merged.append((time.process_time() - begun) / FRESH * 1e6)
            _spool(data_dir, records)
            started = _started(data_dir, store)
            begun = time.process_time()
            assert _loaded(started) == FRESH
            again.append((time.process_time() - begun) / FRESH * 1e6)
            _settle(store)
            loader.positions = started.positions
        fewest = fewest or statistics.median(merged)
        cells = (table.spread(fresh), table.spread(merged), table.spread(again))
        table.row(f"{millions},000,000", str(parts), *cells, f"{statistics.median(merged) / fewest:.2f}")


def _spool(data_dir: Path, records: list[bytes]) -> None:
    folder = data_dir / "spool"
    folder.mkdir(exist_ok=True)
    (folder / f"worker-0-{next(_NUMBERS):013d}-00000000.segment").write_bytes(SEGMENT_MAGIC + b"".join(records))


def _started(data_dir: Path, store: Store) -> Loader:
    loader = Loader(data_dir, store, now_ms, interval_ms=0)
    loader.recover()
    return loader


def _loaded(loader: Loader) -> int:
    """Load all there is; how many of the events were stored before."""
    before = loader.positions.ledger.deduplicated
    while loader.step(wait=False):
        pass
    return loader.positions.ledger.deduplicated - before


def _settle(store: Store) -> None:
    """Wait until no merge has run for SETTLE_SECONDS."""
    quiet = time.monotonic()
    deadline = quiet + SETTLE_SECONDS_MAX
    while time.monotonic() - quiet < SETTLE_SECONDS:
        if store.rows("SELECT count() FROM system.merges")[0][0]:
            quiet = time.monotonic()
        if quiet > deadline:
            raise RuntimeError(f"merges did not end within {SETTLE_SECONDS_MAX:.0f} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
    os._exit(0)  # the embedded engine's own threads do not always end with the interpreter
