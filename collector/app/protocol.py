"""uvicorn's HTTP protocol with limits on what a client may send before its request is a request.

uvicorn bounds neither the size of a request's head nor the time it may take: one client could fill the memory with a
header, or hold connections by sending none. The head is counted and timed here; bodies are the application's matter.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 32_768  # more than any browser sends, cookies included
URL_BYTES_MAX = 8_192
HEADERS_MAX = 100
HEAD_SECONDS_MAX = 10.0


class Protocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the clock of the first head."""
        super().connection_made(transport)
        self._reading_head = True
        self._head_bytes = 0
        self._refused = False
        self._deadline = self.loop.call_later(HEAD_SECONDS_MAX, self._head_too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count while a head is being read, then let uvicorn parse."""
        if self._refused:
            return
        if self._reading_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._reading_head and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(431, "headers_too_large", f"the request's head is over {HEAD_BYTES_MAX:,} bytes, the limit")

    def on_message_begin(self) -> None:
        """A head begins; on a connection kept alive this is where its clock starts."""
        super().on_message_begin()
        self._reading_head = True
        self._head_bytes = 0
        self._deadline.cancel()
        self._deadline = self.loop.call_later(HEAD_SECONDS_MAX, self._head_too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count headers."""
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX or len(value) > HEAD_BYTES_MAX:
            self._refuse(
                431, "headers_too_large", f"over {HEADERS_MAX} headers or {HEAD_BYTES_MAX:,} bytes, the limits"
            )

    def on_headers_complete(self) -> None:
        """The head is whole: hand the request on, unless it was refused."""
        self._reading_head = False
        self._deadline.cancel()
        if not self._refused and len(self.url) > URL_BYTES_MAX:
            self._refuse(414, "url_too_long", f"the URL is {len(self.url):,} bytes, the limit is {URL_BYTES_MAX:,}")
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Body bytes of a refused request are not wanted."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """As on_body."""
        if not self._refused:
            super().on_message_complete()

    def _head_too_slow(self) -> None:
        if self._reading_head:
            if self._head_bytes:
                self._refuse(408, "head_too_slow", f"the request's head took over {HEAD_SECONDS_MAX:.0f} s")
            else:
                self.transport.close()  # nothing was asked, so nothing is answered

    def _refuse(self, status: int, reason: str, sentence: str) -> None:
        if self._refused:
            return
        self._refused = True
        body = json.dumps({"error": f"{sentence}; send a smaller or quicker request", "reason": reason}).encode()
        phrase = {408: b"Request Timeout", 414: b"URI Too Long", 431: b"Request Header Fields Too Large"}[status]
        head: list[Any] = [b"HTTP/1.1 %d %b" % (status, phrase), b"content-type: application/json"]
        head += [b"access-control-allow-origin: *", b"content-length: %d" % len(body), b"connection: close", b"", body]
        self.transport.write(b"\r\n".join(head))
        self.transport.close()
