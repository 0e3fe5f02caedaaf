"""The ASGI callable itself, with a client whose every message is ours: what no socket can be made to do at will."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from collector.app import receive
from collector.app.answers import RETRY_AFTER_SECONDS
from collector.app.intake import COUNTER_NAMES
from collector.app.receive import Collector
from collector.enrichment.geo import Geo
from collector.enrichment.identity import Salts
from collector.ingest.pipeline import Tools
from collector.metrics import Counters, read_counters
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.sources import Directory, add_source
from collector.spooling.spool import SpoolWriter

NOW_MS = 1_790_000_000_000
PLAN = compile_plan(load_plan(DEFAULT_PLAN_DIR))
Messages = list[dict[str, Any]]


class Edge:
    """A Collector on a data directory of its own, and what it answered."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.source, self.server_key = add_source(data_dir, "Edge", [])
        (data_dir / "run").mkdir()
        self.seen: list[str] = []

    def ask(self, receive_: Callable[[], Awaitable[Any]], headers: list[tuple[bytes, bytes]], **scope: Any) -> Any:
        """One request; its status, headers and JSON."""

        async def run() -> Any:
            spool = SpoolWriter(self.data_dir / "spool", "w", lambda *_: None)
            counters = Counters(self.data_dir / "run" / "w.counters", COUNTER_NAMES)
            geo = Geo("test", self._country)
            tools = Tools(plan=PLAN, geo=geo, salts=Salts(self.data_dir / "salts" / "salts.json"))
            networks = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"))
            directory = Directory(self.data_dir, lambda: NOW_MS)
            app = Collector(tools, spool, directory, counters, nothing_behind, lambda: NOW_MS, networks)
            sent: Messages = []

            async def send(message: Any) -> None:
                sent.append(message)

            asked = {"type": "http", "method": "POST", "path": "/v1/batch", "query_string": b"", "headers": headers}
            await app({**asked, "client": ("127.0.0.1", 1), **scope}, receive_, send)
            await asyncio.get_running_loop().run_in_executor(None, spool.close)
            return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])

        return asyncio.run(run())

    def body(self, *events: dict[str, Any]) -> bytes:
        return json.dumps({"batch": list(events), "writeKey": self.source.write_key}).encode()

    def _country(self, address: str) -> str:
        self.seen.append(address)
        return "DE"


async def nothing_behind(*_: Any) -> None:
    raise AssertionError("only events are asked for here")


def messages(*bodies: bytes) -> Callable[[], Awaitable[Any]]:
    """A client that sends these parts, then goes."""
    left = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
    left[-1]["more_body"] = False

    async def receive_() -> Any:
        return left.pop(0) if left else {"type": "http.disconnect"}

    return receive_


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    (tmp_path / "salts").mkdir()
    return Edge(tmp_path)


def test_a_body_that_does_not_arrive_is_given_up(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "BODY_SECONDS_MAX", 0.05)

    async def never() -> Any:
        await asyncio.Event().wait()

    status, headers, told = edge.ask(never, [])
    assert (status, told["reason"]) == (408, "body_too_slow")
    assert headers[b"connection"] == b"close"


def test_a_body_that_trickles_has_one_deadline_for_all_of_it(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "BODY_SECONDS_MAX", 0.1)
    parts = 0

    async def trickle() -> Any:
        nonlocal parts
        parts += 1
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    status, _, told = edge.ask(trickle, [])
    assert (status, told["reason"]) == (408, "body_too_slow")
    assert parts < 10


def test_a_client_that_goes_away_is_no_failure_of_ours(edge: Edge) -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    assert edge.ask(gone, [])[0] == 408


def test_a_body_is_measured_however_it_is_cut(edge: Edge) -> None:
    for parts in ([b"x" * 600_000], [b"x" * 300_000] * 2, [b"", b"x" * 600_000]):
        status, _, told = edge.ask(messages(*parts), [])
        assert (status, told["reason"]) == (413, "body_too_large")


def test_a_body_in_many_parts_is_one_body(edge: Edge) -> None:
    body = edge.body({"type": "track", "event": "e"})
    parts = [body[at : at + 1] for at in range(len(body))]
    assert edge.ask(messages(*parts), [])[2] == {"accepted": 1, "rejected": []}


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([b"8.8.8.8"], "8.8.8.8"),
        ([b"1.1.1.1, 8.8.8.8"], "8.8.8.8"),
        ([b"1.1.1.1, 8.8.8.8, 10.0.0.1"], "8.8.8.8"),
        ([b"8.8.8.8", b"10.0.0.1"], "8.8.8.8"),
        ([b"1.1.1.1", b"8.8.8.8", b"10.0.0.2", b"10.0.0.1"], "8.8.8.8"),
    ],
)
def test_proxies_may_add_to_one_header_or_add_headers(edge: Edge, forwarded: list[bytes], address: str) -> None:
    headers = [(b"x-forwarded-for", value) for value in forwarded]
    edge.ask(messages(edge.body({"type": "track", "event": "e"})), headers)
    assert edge.seen == [address]


def test_a_salt_that_cannot_be_kept_is_our_failure_and_to_be_sent_again(edge: Edge) -> None:
    (edge.data_dir / "salts").rmdir()
    status, headers, told = edge.ask(messages(edge.body({"type": "track", "event": "e"})), [])
    assert (status, told["reason"], int(headers[b"retry-after"]) in RETRY_AFTER_SECONDS) == (
        503,
        "spool_unavailable",
        True,
    )


def test_a_spool_that_cannot_be_written_is_our_failure_and_to_be_sent_again(edge: Edge) -> None:
    async def breaking() -> Any:
        shutil.rmtree(edge.data_dir / "spool")
        return {"type": "http.request", "body": edge.body({"type": "track", "event": "e", "userId": "u"})}

    status, headers, told = edge.ask(breaking, [])
    assert (status, told["reason"], int(headers[b"retry-after"]) in RETRY_AFTER_SECONDS) == (
        503,
        "spool_unavailable",
        True,
    )
    assert headers[b"access-control-expose-headers"] == b"retry-after"
    counted = read_counters(edge.data_dir / "run")
    assert counted["received_total"] == 0
    assert counted['refused_total{reason="spool_unavailable"}'] == 1
