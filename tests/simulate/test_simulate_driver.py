from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec
import pytest

from collector.simulate import DriveError, Driven, drive
from collector.simulate.driver import batches
from collector.simulate.people import visits_of_visitors

Event = dict[str, Any]

NOW_MS = 1_795_352_000_000
KEY = "srv_secret"


class Answer(NamedTuple):
    """One scripted answer. A status of 0 cuts the connection instead, after the body was read and stored."""

    status: int
    retry_after: str = ""
    body: bytes = b'{"error":"scripted"}'


class Recorder:
    """A small real collector: it stores each body by its path and answers a verdict, or what the script says first."""

    def __init__(self, script: list[Answer], reject: Callable[[Event], bool]) -> None:
        self.script = script
        self.reject = reject
        self.lock = threading.Lock()
        self.requests: list[tuple[str, str, int]] = []  # path, Authorization, bytes of the body
        self.stored: dict[str, Event] = {}
        self.connections: set[object] = set()
        self.batch_sizes: list[int] = []
        self.url = ""

    def take(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        events: list[Event] = msgspec.json.decode(body)["batch"]
        with self.lock:
            self.requests.append((handler.path, handler.headers["Authorization"], len(body)))
            self.connections.add(handler.client_address)
            answer = self.script.pop(0) if self.script else Answer(200)
            if answer.status in (0, 200):
                self.stored |= {event["messageId"]: event for event in events}
                self.batch_sizes.append(len(events))
        if answer.status != 200 or answer.body != Answer(0).body:
            return answer
        rejected = [
            {"index": index, "reason": "constraint", "pointer": "/properties/x", "fix": "send a smaller x"}
            for index, event in enumerate(events)
            if self.reject(event)
        ]
        verdict = {"accepted": len(events) - len(rejected), "rejected": rejected}
        return Answer(200, body=msgspec.json.encode(verdict))


def _keep(_event: Event) -> bool:
    return False


@contextmanager
def recorder(script: list[Answer] | None = None, reject: Callable[[Event], bool] = _keep) -> Iterator[Recorder]:
    kept = Recorder(script or [], reject)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_POST(self) -> None:
            answer = kept.take(self, self.rfile.read(int(self.headers["Content-Length"])))
            if answer.status == 0:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            retry_after = f"Retry-After: {answer.retry_after}\r\n" if answer.retry_after else ""
            head = f"HTTP/1.1 {answer.status} scripted\r\n{retry_after}Content-Length: {len(answer.body)}\r\n\r\n"
            self.wfile.write(head.encode() + answer.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def quick(url: str, count: int = 40, *, pauses: list[float] | None = None, key: str = KEY) -> Driven:
    waited: list[float] = [] if pauses is None else pauses
    return drive(url, key, count, 3, NOW_MS, lambda _: None, pause=waited.append)


def expected(count: int) -> dict[str, Event]:
    events = (event for visits in visits_of_visitors(count, 3, NOW_MS) for visit in visits for event in visit)
    return {event["messageId"]: event for event in events}


def test_every_event_arrives_as_generated_and_is_counted() -> None:
    with recorder() as collector:
        driven = quick(collector.url, 150)
    assert collector.stored == expected(150)
    assert (driven.visitors, driven.rejected, driven.first_rejection) == (150, 0, "")
    assert driven.events == driven.accepted == len(collector.stored)
    assert driven.sessions == sum(len(visits) for visits in visits_of_visitors(150, 3, NOW_MS))
    assert driven.seconds > 0


def test_batches_are_full_small_and_sent_with_the_server_key_over_a_few_kept_connections() -> None:
    with recorder() as collector:
        quick(f"{collector.url}/behind/a/proxy/", 150)
    assert {path for path, _, _ in collector.requests} == {"/behind/a/proxy/v1/batch"}
    assert {authorization for _, authorization, _ in collector.requests} == {
        f"Basic {base64.b64encode(b'srv_secret:').decode()}"
    }
    assert max(size for _, _, size in collector.requests) < 400_000
    assert sorted(collector.batch_sizes)[1:] == [100] * (len(collector.batch_sizes) - 1)
    assert 1 <= len(collector.connections) <= 4 < len(collector.requests)


def test_a_batch_ends_before_its_bytes_reach_the_limit_and_nothing_is_lost() -> None:
    made = list(batches(40, 3, NOW_MS, bytes_max=20_000))
    assert max(len(batch.body) for batch in made) < 20_000
    assert min(len(batch.body) for batch in made[:-1]) > 15_000
    events = [event for batch in made for event in msgspec.json.decode(batch.body)["batch"]]
    assert [event["messageId"] for event in events] == list(expected(40))
    assert sum(batch.visitors for batch in made) == 40
    assert sum(batch.events for batch in made) == len(events)


def test_progress_is_told_on_the_callers_thread_never_falls_and_ends_with_the_count() -> None:
    told: list[tuple[int, int]] = []
    with recorder() as collector:
        drive(collector.url, KEY, 120, 3, NOW_MS, lambda done: told.append((done, threading.get_ident())))
    counts = [done for done, _ in told]
    assert counts == sorted(counts)
    assert counts[-1] == 120
    assert {thread for _, thread in told} == {threading.get_ident()}


def test_driving_twice_stores_once() -> None:
    with recorder() as collector:
        first, second = quick(collector.url), quick(collector.url)
    assert first.events == second.events == len(collector.stored)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_collector_is_asked_again_after_the_time_it_named(status: int) -> None:
    pauses: list[float] = []
    with recorder([Answer(status, "7"), Answer(status, "7"), Answer(status, "7")]) as collector:
        driven = quick(collector.url, pauses=pauses)
    assert pauses == [7.0, 7.0, 7.0]
    assert collector.stored == expected(40)
    assert driven.accepted == driven.events


def test_without_a_time_named_the_pauses_double() -> None:
    pauses: list[float] = []
    with recorder([Answer(503)] * 3) as collector:
        driven = drive(collector.url, KEY, 1, 3, NOW_MS, lambda _: None, pause=pauses.append)
    assert pauses == [0.1, 0.2, 0.4]
    assert driven.visitors == 1


def test_the_real_pause_waits_as_long_as_it_was_told() -> None:
    with recorder([Answer(503, "1")]) as collector:
        driven = drive(collector.url, KEY, 1, 3, NOW_MS, lambda _: None)
    assert 1.0 <= driven.seconds < 9.0


def test_a_cut_connection_is_opened_again_and_its_batch_sent_again_under_the_same_ids() -> None:
    with recorder([Answer(0), Answer(200), Answer(0)]) as collector:
        driven = quick(collector.url, 100)
    assert collector.stored == expected(100)
    assert driven.accepted == driven.events == len(collector.stored)
    assert sum(collector.batch_sizes) > len(collector.stored)  # some were sent twice


def test_rejected_events_are_counted_and_the_first_reason_is_told() -> None:
    with recorder(reject=lambda event: event["type"] == "page") as collector:
        driven = quick(collector.url)
    pages = sum(event["type"] == "page" for event in collector.stored.values())
    assert driven.rejected == pages > 0
    assert driven.accepted == driven.events - pages
    assert driven.first_rejection == "constraint /properties/x: send a smaller x"


def test_a_collector_that_stays_busy_ends_the_drive_with_one_sentence() -> None:
    with recorder([Answer(503)] * 500) as collector, pytest.raises(DriveError) as failed:
        quick(collector.url)
    assert str(failed.value) == (
        f"the collector at {collector.url} answers 503, to be asked again in 12.8 s (try 8 of 8); "
        "see whether it is ready, then drive again: what it has stored is not stored twice"
    )


def test_a_collector_that_asks_for_an_hour_is_not_waited_for() -> None:
    pauses: list[float] = []
    with (
        recorder([Answer(503, "3600")] * 500) as collector,
        pytest.raises(DriveError, match=r"answers 503, to be asked again in 3600 s \(try 1 of 8\)"),
    ):
        quick(collector.url, pauses=pauses)
    assert pauses == []


def test_a_failure_ends_pauses_that_are_under_way() -> None:
    # The first batch is refused for good while the others are told to come back in 50 seconds.
    with recorder([Answer(503, "50"), Answer(503, "50"), Answer(401)]) as collector:
        ended = threading.Event()

        def drive_until_refused() -> None:
            with pytest.raises(DriveError):
                drive(collector.url, KEY, 60, 3, NOW_MS, lambda _: None)
            ended.set()

        thread = threading.Thread(target=drive_until_refused, daemon=True)
        thread.start()
        assert ended.wait(10)
        thread.join()


def test_a_wrong_key_is_told_at_once_and_never_repeated() -> None:
    said = b'{"error":"write key is not known"}'
    with recorder([Answer(401, body=said)] * 500) as collector, pytest.raises(DriveError) as failed:
        quick(collector.url, 1, key="se\u00e7ret")
    assert str(failed.value) == (
        f"the collector at {collector.url} refuses the batch with 401 ({said.decode()}); "
        "pass a server key of this collector"
    )
    assert len(collector.requests) == 1
    assert "se\u00e7ret" not in str(failed.value)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"<html>hello</html>", "is not a verdict"),
        (b"\xff\xfe", "is not a verdict"),
        (b'{"success":true}', "is not a verdict"),
        (b'{"accepted":100000,"rejected":[]}', "counts 100000 accepted and 0 rejected of"),
        (b'{"accepted":-1,"rejected":[]}', "counts -1 accepted and 0 rejected of"),
        (b" " * 1_000_001, "is longer than 1,000,000 bytes"),
    ],
    ids=["html", "no-utf8", "segments-own", "too-many", "negative", "endless"],
)
def test_an_answer_that_is_no_verdict_is_not_taken_for_one(body: bytes, sentence: str) -> None:
    with recorder([Answer(200, body=body)] * 500) as collector, pytest.raises(DriveError, match=sentence):
        quick(collector.url)


def test_nobody_listening_is_told_with_the_address_and_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DriveError) as failed:
        quick(f"http://user:hidden@127.0.0.1:{port}")
    assert f"the collector at http://127.0.0.1:{port} cannot be reached" in str(failed.value)
    assert "hidden" not in str(failed.value)


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8080", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://a b", "http://a\r\nX: y"],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(DriveError, match="is not the address of a collector; pass one like"):
        quick(url)


def test_too_many_visitors_are_refused_with_the_limit() -> None:
    with recorder() as collector, pytest.raises(DriveError, match="the limit is 1,000,000; ask for fewer"):
        quick(collector.url, 1_000_001)
    assert collector.requests == []


def test_no_visitors_need_no_collector() -> None:
    driven = quick("http://127.0.0.1:1", 0)
    assert (driven.visitors, driven.sessions, driven.events, driven.accepted, driven.rejected) == (0, 0, 0, 0, 0)
