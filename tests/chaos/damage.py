"""Part `damage`: bits flip and tails tear in segments, and bits flip in the loader's own files, while it is away.

What is damaged must be kept in spool/damaged and counted; all else must be stored exactly once. A loader whose own
files are damaged must say so and load nothing, and go on where it was once they are as they were.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from clickhouse_server import ClickHouseServer
from load.spooled import Data, event, failed, load_all, never_merge, properties_of, record

from collector.database.migrate import migrate
from collector.database.store import Store, StoreError
from collector.loading.ledger import LoadError, read_positions
from collector.loading.load import Loader
from collector.spooling.spool import Record, read_on

KINDS = ("flip", "flips", "tear", "zeros", "manifest", "positions")


class Interrupted(Store):
    """A database whose answers are lost for a while, or which is away."""

    mode = "well"

    def insert_arrow(self, table: str, names: Sequence[str], stream: bytes, token: str) -> None:
        if self.mode == "away":
            raise StoreError("away", transient=True)
        super().insert_arrow(table, names, stream, token)
        if self.mode == "cut":
            raise StoreError("cut", transient=True)


def damage(engine: str, folder: Path, count: int, seed: int) -> str:
    """Round after round on one database, each with segments of its own."""
    rng = random.Random(seed)
    happened: Counter[str] = Counter()
    records = lost = 0
    with _store(engine, folder) as store:
        never_merge(store)
        data = Data(folder / "data")
        loader = data.load(store)
        for number in range(count):
            kind = rng.choice(KINDS)
            made, gone = _round(rng, kind, data, loader, store, f"{number}-")
            loader = data.loader(store)
            happened[kind] += 1
            records += made
            lost += gone
    each = ", ".join(f"{times} {what}" for what, times in sorted(happened.items()))
    return f"{count} rounds ({each}), {records:,} records, {lost} damaged, kept and counted; all others stored once"


@contextmanager
def _store(engine: str, folder: Path) -> Iterator[Interrupted]:
    server = None
    name = f"damage_{uuid.uuid4().hex}"
    place = f"chdb://{folder / 'db'}?database={name}"
    if engine == "server":
        server = ClickHouseServer(folder / "clickhouse")
        server.start()
        place = f"{server.url}/{name}"
    try:
        with closing(Interrupted(place)) as store:
            migrate(store)
            yield store
    finally:
        if server is not None:
            server.kill()


def _round(
    rng: random.Random, kind: str, data: Data, loader: Loader, store: Interrupted, prefix: str
) -> tuple[int, int]:
    """Write segments, load some, damage one, load the rest; the records there were, and those that are lost."""
    loader.recover()
    before = read_positions(data.folder).ledger
    kept_before = _kept(data)
    ids = [f"{prefix}{n}" for n in range(rng.randint(4, 40))]
    parts = [record([event(one)], [failed(f"no {one}")]) for one in ids]
    half = rng.randint(1, len(ids) - 1)
    path = data.segment(*parts[:half])
    data.segment(*parts[half:], owner="worker-1")
    # The batch may be unknown, in flight, or in flight and there.
    store.mode = rng.choice(("well", "away", "cut"))
    if store.mode != "well" or kind == "manifest":
        if store.mode == "well":
            store.mode = "cut"
        try:
            loader.step(wait=False)
        except StoreError:
            pass
        else:
            raise AssertionError("a lost answer went unnoticed")
    arrived = store.mode == "cut"
    store.mode = "well"
    damaged: set[str] = set()
    if kind in ("manifest", "positions"):
        _damage_state(rng, data, store, data.folder / "load" / f"{kind}.json")
    else:
        damaged = _damage_segment(rng, kind, path, ids[:half])
    again = data.loader(store)
    again.recover()
    load_all(again)
    _hold(data, store, prefix, ids, damaged, arrived=arrived)
    ledger = read_positions(data.folder).ledger
    counted = ledger.damaged_bytes - before.damaged_bytes
    assert counted == _kept(data) - kept_before, "what is kept is not what is counted"
    assert kind in ("tear", "zeros", "manifest", "positions") or counted > 0, "damage was not told"
    assert ledger.received == ledger.stored + ledger.rejected + ledger.deduplicated + ledger.dropped
    return len(ids), len(damaged)


def _damage_state(rng: random.Random, data: Data, store: Store, path: Path) -> None:
    """Flip one bit of a file of the loader's; it must be told, and then it is mended."""
    content = path.read_bytes()
    broken = bytearray(content)
    broken[rng.randrange(len(content.partition(b',"crc32":')[0]))] ^= 1 << rng.randrange(8)
    path.write_bytes(broken)
    try:
        data.loader(store).recover()
    except LoadError as error:
        assert path.name in str(error)
    else:
        raise AssertionError(f"{path.name} was believed though a bit of it had flipped")
    path.write_bytes(content)


def _damage_segment(rng: random.Random, kind: str, path: Path, ids: list[str]) -> set[str]:
    """Damage a segment; the ids of the records that are not whole any more."""
    spans = [(item.start, item.end) for item in read_on(path, 0, 1 << 20, sealed=True) if isinstance(item, Record)]
    content = bytearray(path.read_bytes())
    whole = bytes(content)
    if kind == "tear":  # within the last record: what was acknowledged before it was synced with it or before
        content = content[: rng.randrange(spans[-1][0], len(content))]
    elif kind == "zeros":
        content += bytes(rng.randint(1, 5_000))
    else:
        for _ in range(1 if kind == "flip" else rng.randint(2, 12)):
            at = rng.randrange(spans[0][0], len(content))
            content[at] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return {one for one, (start, end) in zip(ids, spans, strict=True) if content[start:end] != whole[start:end]}


def _kept(data: Data) -> int:
    folder = data.spool / "damaged"
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.exists() else 0


def _hold(data: Data, store: Store, prefix: str, ids: list[str], damaged: set[str], *, arrived: bool) -> None:
    """All that is whole is stored once; of what is damaged nothing, but where it had arrived before."""
    name = store.database
    rows = store.rows(
        f"SELECT message_id, count(), any(properties) FROM {name}.events "
        f"WHERE startsWith(message_id, '{prefix}') GROUP BY message_id"
    )
    assert all(count == 1 for _, count, _ in rows), [row for row in rows if row[1] != 1][:3]
    assert all(properties == properties_of(one) for one, _, properties in rows)
    stored = {one for one, _, _ in rows}
    assert set(ids) - damaged <= stored, f"lost: {sorted(set(ids) - damaged - stored)[:3]}"
    assert stored <= (set(ids) if arrived else set(ids) - damaged)
    failures = store.rows(
        f"SELECT message_id, count() FROM {name}.failed_events "
        f"WHERE startsWith(message_id, 'no {prefix}') GROUP BY message_id"
    )
    assert all(count == 1 for _, count in failures), [row for row in failures if row[1] != 1][:3]
    assert {f"no {one}" for one in set(ids) - damaged} <= {one for one, _ in failures}
    assert data.spool.exists()
