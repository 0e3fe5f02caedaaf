"""Drive the synthetic visitors into a running collector, over HTTP, as any server-side client would.

    people --pack--> batches of at most 100 events --4 connections--> POST /v1/batch --> verdicts, counted

`sentAt` is left out of the batches on purpose: the timestamps are right already, and correcting them by the time of
sending would move them. Message ids make every resend harmless, so a cut connection is simply tried again.
"""

from __future__ import annotations

import base64
import http.client
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from collector.simulate.people import visits_of_visitors

BATCH_EVENTS_MAX = 100
# Below the 500 KB that the Segment API allows one body.
BATCH_BYTES_MAX = 400_000
# Enough to keep a collector of a few workers busy; the generator's own CPU is the limit beyond it.
_CONNECTIONS = 4
# Batches made but not yet answered: what bounds the memory.
_AHEAD_MAX = 2 * _CONNECTIONS
_TIMEOUT_S = 15.0
_ATTEMPTS_MAX = 8
_BACKOFF_S = 0.1
# One batch waits no longer than this in all; a collector that asks for more is better driven later.
_WAIT_MAX_S = 60.0
# A verdict on 100 rejected events with long fixes is about 40 KB.
_ANSWER_BYTES_MAX = 1_000_000

Pause = Callable[[float], object]


class DriveError(Exception):
    """Driving stopped. The text is one sentence: what happened and what to do."""


@dataclass(frozen=True)
class Driven:
    """What was driven. accepted + rejected is less than events only where the collector dropped or sampled some."""

    visitors: int
    sessions: int
    events: int
    accepted: int
    rejected: int
    seconds: float
    # Why the first rejected event was rejected, as "reason pointer: fix"; empty when none was.
    first_rejection: str


class _Rejection(msgspec.Struct):
    reason: str = ""
    pointer: str = ""
    fix: str = ""


class _Verdict(msgspec.Struct):
    accepted: int
    rejected: list[_Rejection]


class Batch(NamedTuple):
    """One body for POST /v1/batch, and what it holds."""

    body: bytes
    events: int
    # Visitors whose last event is in this batch, and the visits of theirs.
    visitors: int
    sessions: int


def drive(
    base_url: str,
    server_key: str,
    count: int,
    seed: int,
    now_ms: int,
    progress: Callable[[int], None],
    pause: Pause | None = None,
) -> Driven:
    """Send `count` visitors to the collector and return what it said of them.

    Args:
        base_url: The collector's address, e.g. http://127.0.0.1:8080; a path in front of /v1/batch is kept.
        server_key: A write key of kind server: it alone may set ip, user agent and past timestamps.
        count: 0..1,000,000 visitors; see `visitors` for this and for `seed` and `now_ms`.
        progress: Called on the caller's thread with the number of visitors answered so far; it never falls.
        pause: Waits the given seconds before a retry. By default it waits, and ends early when driving has failed.
    Raises:
        DriveError: the address, key or count is wrong, or the collector refuses, stays away or talks nonsense.
    """
    endpoint = _endpoint(base_url)
    stopped = threading.Event()
    failures: list[Exception] = []  # the first is why the drive ends; the others follow from it

    def go_on() -> None:
        if stopped.is_set():
            raise DriveError("driving has ended")

    def pause_s(seconds: float) -> None:
        (pause or stopped.wait)(seconds)
        go_on()

    idle: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
    connections = [_Connection(endpoint, server_key, pause_s) for _ in range(_CONNECTIONS)]
    for connection in connections:
        idle.put(connection)

    def post(batch: Batch) -> tuple[Batch, _Verdict]:
        connection = idle.get()  # never blocks for long: there are as many connections as threads
        try:
            go_on()
            return batch, connection.post(batch)
        except Exception as error:
            failures.append(error)
            stopped.set()
            raise
        finally:
            idle.put(connection)

    tally = _Tally()
    started_s = time.perf_counter()
    executor = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="simulate")
    ahead: deque[Future[tuple[Batch, _Verdict]]] = deque()
    try:
        for batch in batches(count, seed, now_ms):
            ahead.append(executor.submit(post, batch))
            while len(ahead) >= _AHEAD_MAX or (ahead and ahead[0].done()):
                progress(tally.add(*ahead.popleft().result()))
        while ahead:
            progress(tally.add(*ahead.popleft().result()))
    except DriveError as error:
        raise (failures or [error])[0] from None
    finally:
        stopped.set()
        executor.shutdown(cancel_futures=True)
        for connection in connections:
            connection.close()
    return tally.driven(time.perf_counter() - started_s)


@dataclass
class _Tally:
    visitors: int = 0
    sessions: int = 0
    events: int = 0
    accepted: int = 0
    rejections: int = 0
    first: list[_Rejection] = field(default_factory=list)

    def add(self, batch: Batch, verdict: _Verdict) -> int:
        self.visitors += batch.visitors
        self.sessions += batch.sessions
        self.events += batch.events
        self.accepted += verdict.accepted
        self.rejections += len(verdict.rejected)
        self.first = self.first or verdict.rejected[:1]
        return self.visitors

    def driven(self, seconds: float) -> Driven:
        first = "".join(f"{each.reason} {each.pointer}: {each.fix}" for each in self.first)
        return Driven(self.visitors, self.sessions, self.events, self.accepted, self.rejections, seconds, first)


def batches(count: int, seed: int, now_ms: int, bytes_max: int = BATCH_BYTES_MAX) -> Iterator[Batch]:
    """Pack the visitors' events, in order, into bodies of at most 100 events and less than `bytes_max` bytes.

    A single event (about 1 KB) that is larger than that still gets a body of its own. Raises DriveError.
    """
    encode = msgspec.json.Encoder().encode
    events: list[bytes] = []
    size = len(_OPEN) + len(_CLOSE)
    visitors = sessions = 0
    try:
        for visits in visits_of_visitors(count, seed, now_ms):
            for event in (event for visit in visits for event in visit):
                encoded = encode(event)
                if events and (len(events) == BATCH_EVENTS_MAX or size + len(encoded) >= bytes_max):
                    yield Batch(_body(events), len(events), visitors, sessions)
                    events, size, visitors, sessions = [], len(_OPEN) + len(_CLOSE), 0, 0
                events.append(encoded)
                size += len(encoded) + 1
            visitors += 1
            sessions += len(visits)
    except ValueError as error:
        raise DriveError(str(error)) from error
    if events:
        yield Batch(_body(events), len(events), visitors, sessions)


_OPEN, _CLOSE = b'{"batch":[', b"]}"


def _body(events: list[bytes]) -> bytes:
    return _OPEN + b",".join(events) + _CLOSE


def _endpoint(base_url: str) -> SplitResult:
    try:
        parts = urlsplit(base_url)
        plain = base_url.isascii() and base_url.isprintable() and " " not in base_url
        usable = plain and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable:
        raise DriveError(f"{base_url!r} is not the address of a collector; pass one like http://127.0.0.1:8080")
    return parts._replace(path=parts.path.rstrip("/") + "/v1/batch")


class _Connection:
    """One keep-alive connection to the collector; it is used by one thread at a time."""

    def __init__(self, endpoint: SplitResult, server_key: str, pause: Pause) -> None:
        kind = http.client.HTTPSConnection if endpoint.scheme == "https" else http.client.HTTPConnection
        assert endpoint.hostname is not None
        self._http = kind(endpoint.hostname, endpoint.port, timeout=_TIMEOUT_S)
        self._endpoint = endpoint
        self._pause = pause
        credentials = base64.b64encode(f"{server_key}:".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}

    def post(self, batch: Batch) -> _Verdict:
        """Post one batch until it is answered with a verdict. Raises DriveError."""
        waited_s = 0.0
        trouble = ""
        for attempt in range(_ATTEMPTS_MAX):
            delay_s = _BACKOFF_S * 2**attempt
            try:
                answer, body = self._exchange(batch.body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                trouble = f"cannot be reached ({error or type(error).__name__})"
            else:
                if answer.status == 200:
                    return self._verdict(body, batch.events)
                if answer.status not in (429, 503):
                    raise DriveError(self._refusal(answer.status, body))
                delay_s = _retry_after_s(answer.getheader("Retry-After"), delay_s)
                trouble = f"answers {answer.status}, to be asked again in {delay_s:g} s"
            if attempt + 1 == _ATTEMPTS_MAX or waited_s + delay_s > _WAIT_MAX_S:
                break
            waited_s += delay_s
            self._pause(delay_s)
        raise DriveError(
            f"the collector at {self._place} {trouble} (try {attempt + 1} of {_ATTEMPTS_MAX}); "
            "see whether it is ready, then drive again: what it has stored is not stored twice"
        )

    def close(self) -> None:
        """Drop the connection; the next exchange opens a new one."""
        self._http.close()

    @property
    def _place(self) -> str:
        # Without user and password, which an address may carry.
        return f"{self._endpoint.scheme}://{self._http.host}:{self._http.port}"

    def _exchange(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        self._http.request("POST", self._endpoint.path, body, self._headers)
        answer = self._http.getresponse()
        text = answer.read(_ANSWER_BYTES_MAX + 1)
        if len(text) > _ANSWER_BYTES_MAX:
            raise DriveError(
                f"the answer of {self._place} is longer than {_ANSWER_BYTES_MAX:,} bytes; is this a collector?"
            )
        return answer, text

    def _verdict(self, body: bytes, events: int) -> _Verdict:
        try:
            verdict = msgspec.json.decode(body, type=_Verdict)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DriveError(f"the answer of {self._place} is not a verdict ({error}); is this a collector?") from error
        if not 0 <= verdict.accepted <= events - len(verdict.rejected):
            raise DriveError(
                f"the verdict of {self._place} counts {verdict.accepted} accepted and {len(verdict.rejected)} rejected "
                f"of {events} events; is this a collector?"
            )
        return verdict

    def _refusal(self, status: int, body: bytes) -> str:
        said = body[:300].decode("utf-8", "replace").strip()
        advice = "pass a server key of this collector" if status in (401, 403) else "check the address and its version"
        return f"the collector at {self._place} refuses the batch with {status} ({said}); {advice}"


def _retry_after_s(header: str | None, otherwise_s: float) -> float:
    """Seconds of a Retry-After header; its date form (RFC 9110, 10.2.3) needs a clock, and no collector sends it."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else otherwise_s
