"""One request of the short way: a POST of events that protocol.py collects whole and hands over without ASGI.

It stands where uvicorn keeps the cycle of a request, so that uvicorn's own rules for a connection hold for it, too: one
answer at a time, in order, and none to a client that has gone.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from collector.app.answers import Answer, as_bytes
from collector.app.head import Headers


class Connection(Protocol):
    """What a request needs of the connection that it came on: uvicorn's protocol, and `server_lines`."""

    client: tuple[str, int] | None
    transport: asyncio.Transport

    def server_lines(self) -> bytes:
        """The server's own headers, such as the date."""

    def on_response_complete(self) -> None:
        """Go on to the next request."""


class _NobodyWaits:
    """Stands for the event that wakes an ASGI application."""

    def set(self) -> None:
        """Wake nobody."""


_NOBODY = _NobodyWaits()


class Exchange:
    """A request and its one answer. Fields without underscore from `disconnected` on are those of uvicorn's cycle."""

    __slots__ = (
        "_connection", "disconnected", "headers", "keep_alive", "kind", "message_event", "parts", "query",
        "response_complete",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, kind: str | None, headers: Headers, query: bytes, *, keep_alive: bool
    ) -> None:
        """`kind` is the type that the path gives to its one event; None for a batch."""
        self._connection = connection
        self.kind = kind
        self.headers = headers
        self.query = query
        self.parts: list[bytes] = []
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self.message_event = _NOBODY

    @property
    def peer(self) -> str:
        """Address of the connection."""
        client = self._connection.client
        return client[0] if client else ""

    @property
    def body(self) -> bytes:
        """All that has arrived of the body."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def answer(self, made: Answer) -> None:
        """Send an answer and go on to the next request, or close where the answer or the client says so."""
        if (b"connection", b"close") in made.headers:
            self.keep_alive = False
        self._finish(as_bytes(made, self._connection.server_lines(), keep_alive=self.keep_alive))

    def answer_ok(self, rest: bytes) -> None:
        """Send a prepared answer of status 200, given from behind the server's own headers on."""
        close = b"" if self.keep_alive else b"connection: close\r\n"
        self._finish(b"".join((b"HTTP/1.1 200 OK\r\n", self._connection.server_lines(), close, rest)))

    def _finish(self, data: bytes) -> None:
        if self.disconnected:
            return
        self.response_complete = True
        self._connection.transport.write(data)
        if not self.keep_alive:
            self._connection.transport.close()
        self._connection.on_response_complete()
