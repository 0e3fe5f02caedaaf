"""A worker that is asked for more than it can do, stands before a disk that has stopped, or is asked how it is."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop
from serving import Serving

from collector.app import measures, pressure, protocol
from collector.app.answers import RETRY_AFTER_SECONDS
from collector.app.deadlines import TICK_SECONDS
from collector.app.health import why_unready
from collector.app.intake import COUNTER_NAMES
from collector.app.measures import CacheCounts
from collector.app.pressure import COMMIT_MS_MAX, Pressure
from collector.app.protocol import Protocol
from collector.app.receive import Collector
from collector.app.site import HELP
from collector.enrichment.channels import shipped_table
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.enrichment.location import Locator
from collector.enrichment.referrer import Addresses
from collector.ingest.pipeline import Tools
from collector.metrics import Counters, read_counters
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.reason import Reason, Refused
from collector.sources import Directory, add_source
from collector.spooling.room import Room
from collector.spooling.spool import SpoolWriter, is_sealed, segments

PLAN = compile_plan(load_plan(DEFAULT_PLAN_DIR))
SECONDS_MAX = 8.0


class Worker:
    """A real worker's parts in this process, with a clock and a disk that can be stopped."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.key = add_source(data_dir, "Edge", [])[0].write_key
        self.now_ms = 1_790_000_000_000
        self.slow_seconds = 0.0
        self.disk = threading.Event()
        self.disk.set()
        (data_dir / "run").mkdir()
        self.counters = Counters(data_dir / "run" / "w.counters", (*COUNTER_NAMES, *measures.COUNTER_NAMES))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.started: Future[None] = Future()
        self.thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self.thread.start()
        self.started.result(SECONDS_MAX)

    def clock(self) -> int:
        """The wall clock; reading it is the work that a request does, and may be slow."""
        time.sleep(self.slow_seconds)
        return self.now_ms

    def _sync(self, descriptor: int) -> None:
        assert self.disk.wait(SECONDS_MAX)
        os.fdatasync(descriptor)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.spool = SpoolWriter(self.data_dir / "spool", "w", lambda *_: None, sync=self._sync)
        tools = Tools(plan=PLAN, geo=open_geo("registry"), salts=Salts(self.data_dir / "salts.json"))
        directory = Directory(self.data_dir, lambda: self.now_ms)
        self.app = Collector(tools, self.spool, directory, self.counters, _nothing, self.clock)
        config = uvicorn.Config(
            self.app,
            http=Protocol,
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
            access_log=False,
            timeout_keep_alive=60,
        )
        self.server = uvicorn.Server(config)
        serving = asyncio.create_task(self.server.serve([self.listener]))
        while not self.server.started:
            await asyncio.sleep(0.005)
        self.started.set_result(None)
        await serving
        await self.loop.run_in_executor(None, self.spool.close)

    def stop(self) -> None:
        self.disk.set()
        self.server.should_exit = True
        self.thread.join(SECONDS_MAX)
        assert not self.thread.is_alive()

    def body(self, message_id: str, size: int = 0) -> bytes:
        event = {"type": "track", "event": "e", "messageId": message_id, "anonymousId": "v"}
        return json.dumps({"batch": [event], "writeKey": self.key}).encode().ljust(size)

    def send(self, message_id: str) -> tuple[int, Any, str | None]:
        """Status, JSON and Retry-After of one event."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)
        connection.request("POST", "/v1/batch", self.body(message_id))
        answer = connection.getresponse()
        told = answer.status, json.loads(answer.read()), answer.getheader("retry-after")
        connection.close()
        return told

    def until(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while not what():
            assert time.monotonic() < deadline
            time.sleep(0.005)


async def _nothing(*_: Any) -> None:
    raise AssertionError("only events are asked for here")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    started = Worker(tmp_path)
    yield started
    started.stop()


def begin(worker: Worker, size: int, part: int, *, chunked: bool = False) -> socket.socket:
    """A connection that has sent a part of its body."""
    body = worker.body("large", size)
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    connection = socket.create_connection(("127.0.0.1", worker.port), timeout=SECONDS_MAX)
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n"
    connection.sendall(head + (b"%x\r\n" % part if chunked else b"") + body[:part])
    return connection


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_that_are_not_whole_are_bounded_for_all_connections_together(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setattr(pressure, "HELD_BYTES_MAX", 1_000_000)
    held = worker.app.pressure
    first, second = (begin(worker, 500_000, 400_000, chunked=chunked) for _ in range(2))
    worker.until(lambda: held.held_bytes >= 800_000)
    third = begin(worker, 500_000, 400_000, chunked=chunked)
    answer = third.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close" in answer
    assert b"unfinished bodies" in answer
    assert worker.send("small")[0] == 200, "what comes in one piece is not held"
    second.close()
    worker.until(lambda: held.held_bytes < 500_000)
    rest = b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (100_000, b" " * 100_000) if chunked else b" " * 100_000
    first.sendall(rest)
    assert first.recv(65_536).startswith(b"HTTP/1.1 200 ")
    worker.until(lambda: held.held_bytes == 0)
    first.close()
    third.close()


def test_what_comes_while_the_disk_has_stopped_is_told_at_once_and_what_waited_is_not_lost(worker: Worker) -> None:
    assert worker.send("before")[0] == 200
    worker.disk.clear()
    with ThreadPoolExecutor() as others:
        waiting = others.submit(worker.send, "waited")
        worker.until(lambda: worker.app.pressure._waiting == 1)
        worker.now_ms += COMMIT_MS_MAX
        assert unready(worker) is None
        worker.now_ms += 1
        status, told, retry_after = worker.send("late")
        assert (status, told["reason"]) == (503, "too_busy")
        assert int(retry_after or 0) in RETRY_AFTER_SECONDS
        assert "disk has taken nothing for over 5 s" in (unready(worker) or "")
        worker.disk.set()
        assert waiting.result(SECONDS_MAX)[0] == 200
    assert worker.send("late")[0] == 200
    assert unready(worker) is None
    assert read_counters(worker.data_dir / "run")["received_total"] == 3


def test_a_long_quiet_is_no_stopped_disk() -> None:
    waits = Pressure()
    waits.check(1_000)
    waits.waits()
    waits.moved()
    waits.check(9_000_000)
    waits.waits()
    waits.check(9_000_000 + COMMIT_MS_MAX)
    assert waits.stalled(9_000_000 + COMMIT_MS_MAX) is None
    with pytest.raises(Refused) as caught:
        waits.check(9_000_001 + COMMIT_MS_MAX)
    assert caught.value.reason is Reason.TOO_BUSY


def test_what_is_read_late_in_a_long_turn_is_refused_and_the_next_turn_is_served(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "TURN_SECONDS_MAX", 0.2)
    connections = [socket.create_connection(("127.0.0.1", worker.port), timeout=SECONDS_MAX) for _ in range(3)]
    worker.until(lambda: len(worker.server.server_state.connections) == 3)
    held, go_on = threading.Event(), threading.Event()
    worker.loop.call_soon_threadsafe(held.set)
    worker.loop.call_soon_threadsafe(go_on.wait, SECONDS_MAX)
    assert held.wait(SECONDS_MAX)  # now the loop stands, and what follows is read in one turn
    for number, connection in enumerate(connections):
        body = worker.body(f"turn-{number}")
        connection.sendall(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    worker.slow_seconds = 2 * TICK_SECONDS
    go_on.set()
    answers = [connection.recv(65_536) for connection in connections]
    worker.slow_seconds = 0.0
    assert sorted(answer.split()[1] for answer in answers) == [b"200", b"503", b"503"]
    assert sum(b"requests wait for over" in answer for answer in answers) == 2
    for connection in connections:
        connection.close()
    assert worker.send("next")[0] == 200


def test_a_client_that_has_said_all_it_will_still_gets_its_answers(worker: Worker) -> None:
    worker.disk.clear()
    connection = socket.create_connection(("127.0.0.1", worker.port), timeout=SECONDS_MAX)
    for number in range(2):
        body = worker.body(f"half-{number}")
        connection.sendall(b"POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    connection.shutdown(socket.SHUT_WR)
    worker.until(lambda: worker.app.pressure._waiting == 1)
    worker.disk.set()
    data = b""
    while received := connection.recv(65_536):
        data += received
    assert data.count(b"HTTP/1.1 200 ") == 2
    connection.close()


# How it is


def unready(worker: Worker) -> str | None:
    return why_unready(worker.data_dir, worker.spool, worker.app.pressure, worker.now_ms)


def test_a_worker_is_ready_unless_an_event_would_be_refused(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker.send("ready")[0] == 200
    assert unready(worker) is None
    disk = os.statvfs(worker.data_dir)
    with monkeypatch.context() as full:
        full.setattr(os, "statvfs", lambda _: _with(disk, f_bavail=10))
        assert "of the disk would stay free" in (unready(worker) or "")
    (worker.data_dir / "salts.json").touch()
    for path in ("spool", "salts.json"):
        with monkeypatch.context() as forbidden:
            forbidden.setattr(os, "access", lambda asked, _, path=path: asked.name != path)
            assert f"{path} cannot be written" in (unready(worker) or "")
    sources = worker.data_dir / "sources.json"
    content = sources.read_text()
    sources.write_text("{")
    assert "sources.json cannot be read" in (unready(worker) or "")
    sources.write_text(content)
    (worker.data_dir / "spool").rename(worker.data_dir / "away")
    assert "spool cannot be read" in (unready(worker) or "")
    (worker.data_dir / "away").rename(worker.data_dir / "spool")
    assert unready(worker) is None


def _with(disk: os.statvfs_result, **changed: int) -> Any:
    class Disk:
        f_bavail, f_blocks, f_frsize = disk.f_bavail, disk.f_blocks, disk.f_frsize

    for name, value in changed.items():
        setattr(Disk, name, value)
    return Disk


def test_the_spool_s_size_and_the_age_of_what_is_in_no_table_are_told(worker: Worker) -> None:
    assert measures.measures(worker.data_dir, worker.now_ms).gauges["oldest_unwritten_seconds"] == 0
    assert worker.send("old")[0] == 200
    worker.now_ms += 60_000
    assert worker.send("new")[0] == 200
    told = measures.measures(worker.data_dir, worker.now_ms + 1_500)
    assert told.gauges["oldest_unwritten_seconds"] == 61.5
    assert told.gauges["spool_segments"] == 1
    assert told.gauges["spool_bytes"] == sum(
        path.stat().st_size for path in (worker.data_dir / "spool").glob("*.segment")
    )
    assert told.gauges["ledger_spooled"] == 2
    assert told.counters["received_total"] == 2
    assert "spool_max_bytes" not in told.gauges
    told = measures.measures(worker.data_dir, worker.now_ms, Room(worker.data_dir / "spool", spool_bytes_max=7))
    assert told.gauges["spool_max_bytes"] == 7
    assert told.gauges["disk_free_bytes"] > 0


def test_a_spool_at_its_limit_is_told_to_clients_and_balancers_until_the_loader_has_made_room(worker: Worker) -> None:
    folder = worker.data_dir / "spool"
    assert worker.send("first")[0] == 200
    (held,) = segments(folder)
    worker.spool.room = Room(folder, spool_bytes_max=held.stat().st_size + 100)
    assert unready(worker) is None, "the last bytes of the room are used too"
    status, told, retry_after = worker.send("refused")
    assert (status, told["reason"]) == (503, "spool_unavailable")
    assert int(retry_after or 0) in RETRY_AFTER_SECONDS
    assert "the spool would hold more than 0.0 MB" in told["error"]
    assert "the spool would hold more than 0.0 MB" in (unready(worker) or "")
    assert is_sealed(held), "what is in it can be loaded and deleted"
    held.unlink()
    worker.until(lambda: unready(worker) is None)
    assert worker.send("taken")[0] == 200
    assert read_counters(worker.data_dir / "run")["received_total"] == 2


def test_what_the_caches_did_is_added_once(worker: Worker) -> None:
    """Of the table of channels too that the settings name, which is another than the one that ships."""
    own = Locator(Addresses(shipped_table()))
    counts = CacheCounts(worker.counters, own)
    counts.publish()
    before = read_counters(worker.data_dir / "run")
    for _ in range(3):
        assert worker.send("cached")[0] == 200
        own.locate("https://shop.example/a", "", None)
    counts.publish()
    counts.publish()
    after = read_counters(worker.data_dir / "run")
    did = {name: count - before[name] for name, count in after.items() if name.startswith("cache_")}
    assert did['cache_hits_total{cache="name"}'] >= 2
    assert did['cache_hits_total{cache="name"}'] + did['cache_misses_total{cache="name"}'] == 3
    for cache, hits, misses in (("location", 2, 1), ("page", 1, 2), ("channel", 0, 1)):
        assert did[f'cache_hits_total{{cache="{cache}"}}'] == hits, cache
        assert did[f'cache_misses_total{{cache="{cache}"}}'] == misses, cache


def test_every_measure_is_exposed_and_explained(collector: Serving) -> None:
    assert collector.send({"type": "track", "event": "e", "messageId": "measured", "anonymousId": "v"}).status == 200
    collector.until_loaded()
    deadline = time.monotonic() + SECONDS_MAX
    while not collector.metric("footfall_inserts_total"):  # told once a second
        assert time.monotonic() < deadline
        time.sleep(0.05)
    text = collector.request("GET", "/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("# HELP footfall_")]
    assert dict(line.removeprefix("# HELP footfall_").split(" ", 1) for line in lines) == HELP
    assert collector.metric("footfall_insert_nanoseconds_total") > 0
    assert collector.metric('footfall_connections{process="worker-0"}') >= 0
    assert 'footfall_connections{process="worker-0"}' in text
    assert collector.metric('footfall_cache_hits_total{cache="device"}') >= 0
    assert 'footfall_cache_misses_total{cache="page"}' in text
