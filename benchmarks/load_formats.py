"""Question: in which format do spooled rows cost least on their way into ClickHouse: in worker, loader and engine?

Budget: 5 us of CPU per row for loader and engine, with the tables as they are shipped.
Method: ROWS page views of servers.event, judged by the real pipeline in batches of BATCH and inserted as one block,
REPEATS times, formats in turn; the least CPU of each part counts, for the machine's other work only ever adds to it.
`worker` makes a spool record of a judged batch, `loader` a block of records, `chdb` and `server` are the insert of a
block that is ready, in this process and over HTTP. A block in a format of rows is spool records end to end: its loader
would do nothing, though it must still read ids to find duplicates. Native is what the driver makes of columns.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.servers import CONTEXT, USER_AGENT, await_port, cpu_seconds, event
from collector.database.migrate import migrate
from collector.database.store import INSERT_SETTINGS, Store
from collector.enrichment.enrich import Request
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.packed import Part, encode_packed
from collector.ingest.pipeline import Outcome, Tools, process
from collector.loading.block import Rows, stream
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.record import EVENT_COLUMNS, decode_rows, encode_rows
from collector.wire.decode import decode_batch, raw_events

ROWS = 100_000
BATCH = 20
REPEATS = 3
RECEIVED_MS = 1_795_348_802_000
BATCH_ID = "0" * 32
NAMES = [*EVENT_COLUMNS, "batch_id"]
ROW_FORMATS = {"JSON": "JSONCompactEachRow", "MsgPack": "MsgPack", "RowBinary": "RowBinary"}
SERVER = Path(__file__).parents[1] / "tests/clickhouse_server.py"

Costs = dict[tuple[str, str], float]  # microseconds of CPU per row, by format and part: the least of the repeats


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (url, pid):
        outcomes = judged(Path(folder))
        rows = [outcome.packed.whole()[0] for outcome in outcomes]
        payloads = [encode_packed(outcome.packed) for outcome in outcomes]
        written_out = [outcome.rows for outcome in outcomes]
        costs: Costs = {}
        for _ in range(REPEATS):
            for name, encoder in (("JSON", json_lines), ("MsgPack", message_pack), ("RowBinary", row_binary)):
                measure(costs, name, "worker", partial(each_of, encoder, rows))
            measure(costs, "Native", "worker", partial(each_of, encode_rows, written_out))
            measure(costs, "Arrow", "worker", partial(each_of, encode_packed, [outcome.packed for outcome in outcomes]))
            measure(costs, "Arrow", "loader", partial(arrow, payloads))
        for engine, dsn, pids in (("chdb", f"chdb://{folder}/db", ()), ("server", f"{url}/footfall", (pid,))):
            with closing(Store(dsn)) as store:
                migrate(store)
                engines(costs, engine, store, arrow(payloads), pids)
                if engine == "chdb":
                    for number in range(REPEATS):
                        whole = [encode_rows(each) for each in written_out]
                        measure(costs, "Native", "whole", partial(by_driver, store, whole, f"driver {number}"))
                    costs["Native", "loader"] = costs["Native", "whole"] - costs["Native", "chdb"]
    print(f"{'CPU us/row':<18} {'worker':>7} {'loader':>7} {'chdb':>7} {'sum':>7}   {'server, its client with it':>7}")
    for name in ("JSON", "MsgPack", "RowBinary", "Native", "Arrow, folding", "Arrow"):
        base = name.partition(",")[0]
        worker, loader = costs[base, "worker"], costs.get((base, "loader"), 0.0)
        chdb, remote = costs[name, "chdb"], costs[name, "server"]
        print(f"{name:<18} {worker:>7.2f} {loader:>7.2f} {chdb:>7.2f} {loader + chdb:>7.2f}   {remote:>7.2f}")


def engines(costs: Costs, engine: str, store: Store, block: bytes, pids: tuple[int, ...]) -> None:
    """Insert blocks that are ready, in each format in turn; those of other formats are the engine's own."""
    client = store._client
    store.insert_arrow("events", NAMES, block, f"{engine} first")
    columns = ",".join(NAMES)
    ready = {
        name: bytes(client.raw_query(f"SELECT {columns} FROM {store.database}.events LIMIT {ROWS}", fmt=fmt))
        for name, fmt in (*ROW_FORMATS.items(), ("Native", "Native"))
    }
    table = f"{store.database}.events"
    plain = {**INSERT_SETTINGS, "optimize_on_insert": 0}
    for number in range(REPEATS):
        for name, fmt in (*ROW_FORMATS.items(), ("Native", "Native")):
            settings = {**plain, "insert_deduplication_token": f"{engine} {name} {number}"}
            measure(
                costs,
                name,
                engine,
                partial(client.raw_insert, table, NAMES, ready[name], settings, fmt),
                pids,
            )
        token = f"{engine} arrow {number}"
        measure(costs, "Arrow", engine, partial(store.insert_arrow, "events", NAMES, block, token), pids)
        folding = {**INSERT_SETTINGS, "insert_deduplication_token": f"{engine} folding {number}"}
        measure(
            costs,
            "Arrow, folding",
            engine,
            partial(client.raw_insert, table, NAMES, block, folding, "ArrowStream"),
            pids,
        )


def each_of(encoder: Callable[[Any], bytes], batches: list[Any]) -> list[bytes]:
    """Each batch as bytes."""
    return [encoder(batch) for batch in batches]


def measure(costs: Costs, name: str, part: str, work: Callable[[], object], pids: tuple[int, ...] = ()) -> None:
    """Note the CPU of this process and of `pids` per row, where it is the least so far."""

    def spent() -> float:
        return time.process_time() + sum(cpu_seconds(pid) for pid in pids)

    before = spent()
    work()
    cost = (spent() - before) / ROWS * 1e6
    costs[name, part] = min(cost, costs.get((name, part), cost))


def judged(folder: Path) -> list[Outcome]:
    """The standard rows, as a worker has them before it encodes them."""
    tools = Tools(
        plan=compile_plan(load_plan(DEFAULT_PLAN_DIR)), geo=open_geo("registry"), salts=Salts(folder / "salts.json")
    )
    outcomes = []
    for first in range(0, ROWS, BATCH):
        batch = {
            "batch": [event(number) for number in range(first, first + BATCH)],
            "context": CONTEXT,
            "sentAt": "2026-11-22T12:00:01.000Z",
        }
        body = msgspec.json.encode(batch)
        decoded = decode_batch(body)
        request = Request(RECEIVED_MS + first, "shop", False, "8.8.8.8", USER_AGENT)
        outcomes.append(process(decoded, request, tools, partial(raw_events, body)))
    return outcomes


def arrow(payloads: list[bytes]) -> bytes:
    """What the loader does."""
    rows = Rows()
    for payload in payloads:
        rows.add(payload)
    table, _ = rows.events()
    return stream(table, BATCH_ID)


def by_driver(store: Store, payloads: list[bytes], token: str) -> None:
    """Rows that were spooled as rows, turned into columns of which the driver makes Native: what we did before."""
    rows: list[list[object]] = []
    for payload in payloads:
        rows += decode_rows(payload).events
    store.insert("events", NAMES, [*zip(*rows, strict=True), [BATCH_ID] * ROWS], token)


_json = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode


def json_lines(rows: list[Part]) -> bytes:
    """A batch as JSONCompactEachRow."""
    return b"\n".join([_json([*row, BATCH_ID]) for row in rows])


def message_pack(rows: list[Part]) -> bytes:
    """A batch as ClickHouse's MsgPack: values without the array around a row."""
    return b"".join([_pack([*row, BATCH_ID])[3:] for row in rows])


_FIXED = {
    **dict.fromkeys(("event_version", "screen_width", "screen_height", "viewport_width", "viewport_height"), "<H"),
    **dict.fromkeys(("event_time", "occurred_at", "received_at"), "<q"),
    "sequence": "<I",
    "asn": "<I",
    "is_bot": "<?",
    "sample_rate": "<f",
}
_PACK = [struct.Struct(_FIXED[name]).pack if name in _FIXED else None for name in EVENT_COLUMNS]
_SENT, _VALUE = EVENT_COLUMNS.index("sent_at"), EVENT_COLUMNS.index("value")
_SHORT = [bytes((size,)) for size in range(128)]


def row_binary(rows: list[Part]) -> bytes:
    """A batch as RowBinary, by hand: nothing we could depend on encodes it."""
    out: list[bytes] = []
    add = out.append
    for row in rows:
        for at, (pack, value) in enumerate(zip(_PACK, row, strict=True)):
            if pack is not None:
                add(pack(value))
            elif type(value) is str and at != _VALUE:
                text = value.encode()
                add(_size(len(text)))
                add(text)
            elif at == _SENT:
                add(b"\1" if value is None else b"\0" + value.to_bytes(8, "little", signed=True))
            elif at == _VALUE:
                add(int(Decimal(value) * 10_000).to_bytes(8, "little", signed=True))
            else:
                add(_size(len(value)) + b"".join([_size(len(one)) + one for one in map(str.encode, value)]))
        add(b"\x20" + BATCH_ID.encode())
    return b"".join(out)


def _size(size: int) -> bytes:
    """LEB128."""
    if size < 128:
        return _SHORT[size]
    return bytes((size & 127 | 128,)) + _size(size >> 7)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[str, int]]:
    """The ClickHouse server of the tests, in a process of its own."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    command = [sys.executable, str(SERVER), str(folder / "server"), *map(str, ports)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        await_port(ports[0])
        yield f"http://127.0.0.1:{ports[0]}", process.pid
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
    os._exit(0)  # the embedded engine's own threads do not always end with the interpreter
