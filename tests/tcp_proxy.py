"""A TCP proxy that breaks connections on demand: in the middle, after the answer was made, or by being slow or away.

It stands on a real connection between two real programs, so what they see is what a bad network shows them.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536
CONNECT_SECONDS_MAX = 5.0
LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112, section 7.1: ends a chunked answer
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, with RST
_ERROR = (
    b"HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: 1001\r\nConnection: close\r\n"
    b"Content-Length: 31\r\n\r\nCode: 1001. DB::Exception: mean"
)

Kind: TypeAlias = Literal["cut", "drop", "short", "error", "slow", "away"]


class Fault(NamedTuple):
    """What happens to the next request that holds `word`.

    Attributes:
        kind: `cut` the connection after a part of the request; `drop` the whole answer once it is made, and cut; answer
            with a `short` part of it, and cut; answer with an `error` after a part of the request; be `slow`; be
            `away`: cut all connections and accept none for a while.
        word: Bytes that the request holds; empty for any.
        part: How much gets through of what is cut, from 0 to 1.
        seconds: How long it is slow or away.
    """

    kind: Kind
    word: bytes = b""
    part: float = 0.5
    seconds: float = 0.0


class Proxy:
    """Listens on a port of 127.0.0.1 and carries each connection to `upstream`, host:port or an http address."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream if "//" in upstream else f"//{upstream}")
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._lock = threading.Lock()
        self._armed: deque[Fault] = deque()
        self._open: set[socket.socket] = set()
        self._away_until = 0.0
        self.happened: Counter[str] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, *faults: Fault) -> None:
        """Have these happen, one after the other, each to one request."""
        with self._lock:
            self._armed.extend(faults)

    def until_happened(self, count: int, seconds: float = 30.0) -> None:
        """Wait until so many faults have happened in all."""
        deadline = time.monotonic() + seconds
        while self.happened.total() < count:
            assert time.monotonic() < deadline, f"{self.happened} of {count} faults in {seconds} s"
            time.sleep(0.005)

    def close(self) -> None:
        """Take no more connections, and cut those there are."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self._away_until:
                _reset(client)
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        """Requests and answers in turn, as HTTP without pipelining has them."""
        try:
            server = socket.create_connection(self._upstream, timeout=CONNECT_SECONDS_MAX)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        answers: deque[Fault] = deque()
        upward = threading.Thread(target=self._upward, args=(client, server, answers), daemon=True)
        upward.start()
        with contextlib.suppress(OSError):
            self._downward(client, server, answers)
        self._cut(client, server)
        upward.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _upward(self, client: socket.socket, server: socket.socket, answers: deque[Fault]) -> None:
        tail = b""
        with contextlib.suppress(OSError):
            while chunk := client.recv(CHUNK_BYTES):
                fault = self._take(tail + chunk)
                tail = b"" if fault else (tail + chunk)[-32:]
                if fault is None:
                    server.sendall(chunk)
                    continue
                if fault.kind in ("drop", "short"):
                    answers.append(fault)
                    server.sendall(chunk)
                    continue
                if fault.kind == "slow":
                    time.sleep(fault.seconds)
                    server.sendall(chunk)
                    self._count(fault)
                    continue
                server.sendall(chunk[: int(len(chunk) * fault.part)])
                if fault.kind == "error":
                    client.sendall(_ERROR)
                    client.shutdown(socket.SHUT_WR)  # no reset: the sentence is to be read
                elif fault.kind == "away":
                    self._away_until = time.monotonic() + fault.seconds
                    self._cut_all()
                self._count(fault)
                break
        self._cut(server)

    def _downward(self, client: socket.socket, server: socket.socket, answers: deque[Fault]) -> None:
        held = b""
        while answer := server.recv(CHUNK_BYTES):
            if not answers:
                client.sendall(answer)
                continue
            held += answer
            if not _is_whole(held):  # what the answer tells of has happened once it is whole
                continue
            fault = answers.popleft()
            if fault.kind == "short":
                client.sendall(held[: int(len(held) * fault.part)])
            self._count(fault)
            return

    def _take(self, sent: bytes) -> Fault | None:
        with self._lock:
            if self._armed and self._armed[0].word in sent:
                return self._armed.popleft()
            return None

    def _count(self, fault: Fault) -> None:
        with self._lock:
            self.happened[fault.kind] += 1

    def _cut_all(self) -> None:
        with self._lock:
            ends = list(self._open)
        self._cut(*ends)

    @staticmethod
    def _cut(*ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):  # it may be gone already
                end.shutdown(socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = _LENGTH.search(head)
    return len(body) >= int(length[1]) if length else answer.endswith(LAST_CHUNK)


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """A proxy for the length of a with block."""
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
