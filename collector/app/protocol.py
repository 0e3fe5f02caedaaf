"""uvicorn's HTTP protocol with limits on what a client may send before its request is a request.

uvicorn bounds neither the size of a request's head nor the time it may take: one client could fill the memory with a
header, or hold connections by sending none. The head is counted and timed here; bodies are the application's matter.
Three more things are put right here, because nobody behind it can:

- A connection that is closed while its client still sends is reset, and the client never reads why it was refused. So
  what it sends is read on for a moment and thrown away (RFC 9112, section 9.6).
- A client may offer to speak another protocol. The offer is ignored (RFC 9110, section 7.8) where uvicorn would lose
  the body that comes with it; Java's own client offers HTTP/2 with its first POST.
- Refusals are JSON, like all others.

And there is a short way: a POST of events is collected here and handed over whole, without ASGI (receive.py says why).
What is odd about it (sent in chunks, behind a request that waits, with an offer or `Expect`) takes the long way.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collector.app.answers import as_bytes, refusal
from collector.app.deadlines import NEVER, deadlines_of
from collector.app.lane import Exchange
from collector.app.pressure import TURN_SECONDS_MAX, Pressure
from collector.limits import BODY_BYTES_MAX
from collector.reason import Reason, Refused

HEAD_BYTES_MAX = 32_768  # more than any browser sends, cookies included; without the user agent
# An agent that is absurdly long is some visitor's all the same: the event is kept, and the agent cut, to twice what is
# looked at, so that it is flagged as cut. No more than this is taken, for what is under way stands in memory.
AGENT_BYTES_MAX = 65_536
AGENT_KEPT_BYTES = 1_024
_AGENT = b"user-agent"
URL_BYTES_MAX = 8_192
HEADERS_MAX = 100
HEAD_SECONDS_MAX = 10.0

# How much and how long a refused client is listened to: twenty times the largest body, and time for it to arrive.
LINGER_BYTES_MAX = 10_000_000
LINGER_SECONDS_MAX = 2.0


class Protocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the clock of the first head."""
        self._real_transport = transport
        self._lingering = False
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]  # stands for the transport
        self._refused = False
        self._in_head = True
        self._in_body = False
        self._head_begins_here = False
        self._read_bytes = self._first_bytes = 0
        self._unparsed_bytes = self._agent_bytes = 0
        self._line = b""
        self._lingered_bytes = 0
        self._begun = self._ended = False
        # uvicorn would refuse whoever asks next while there are too many, also those that were here first.
        self._concurrency_max, self.limit_concurrency = self.limit_concurrency, None
        self._surplus = self._concurrency_max is not None and len(self.connections) > self._concurrency_max
        self._exchange: Exchange | None = None  # whose body is being collected
        self._held_bytes = 0  # of that body, once it takes more than one read
        self._pressure: Pressure = getattr(self.app, "pressure", None) or Pressure()
        self._whole_paths: dict[bytes, str | None] = getattr(self.app, "whole_paths", {})
        self._server_headers: list[tuple[bytes, bytes]] = []
        self._server_lines = b""
        self._deadlines = deadlines_of(self.loop)
        self.due = self._deadlines.after(HEAD_SECONDS_MAX)
        self._deadlines.watch(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._deadlines.forget(self)
        self._lingering = True
        self._release()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio's own meaning, which uvicorn leaves out
        """A client that has said all it will may still listen: it gets the answers that are under way."""
        self._ended = True
        waits = self.cycle is not None and not self.cycle.response_complete
        return waits and not self._in_body and not self._lingering

    def data_received(self, data: bytes) -> None:
        """Let the parser have what arrives, and count what it cannot take apart yet."""
        if self._refused or self._lingering:
            self._discard(len(data))
            return
        self._read_bytes = len(data)
        self._head_begins_here = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._ignore_offers(memoryview(data)[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse_garbage()
        if self._exchange is not None:
            self._hold(len(data))
        # A read in which a head begins may hold the end of what came before it, so that one is not counted.
        if self._in_head:
            agent_bytes = self._agent_part(data)
            self._agent_bytes += agent_bytes
            if not self._head_begins_here:
                self._unparsed_bytes += len(data) - agent_bytes
            if self._unparsed_bytes > HEAD_BYTES_MAX or self._agent_bytes > AGENT_BYTES_MAX + len(_AGENT) + 16:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """A head begins; on a connection kept alive this is where its clock starts."""
        self.url = b""
        self.headers = []
        self._begun = self._in_head = self._head_begins_here = True
        self._unparsed_bytes = self._agent_bytes = 0
        self._line = b""
        self._first_bytes = self._read_bytes
        self.due = self._deadlines.after(HEAD_SECONDS_MAX)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; its name in lower case from here on."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: hand the request on, unless it was refused or has to be read again."""
        self._in_head = False
        self.due = NEVER
        if self._refused or self._lingering or self.parser.should_upgrade():
            return
        if len(self.url) > URL_BYTES_MAX or len(self.headers) > HEADERS_MAX or self._head_is_large():
            self._refuse_head()
            return
        if self._surplus:
            sentence = f"{self._concurrency_max:,} connections are open, the limit; send it again later"
            self._refuse(Reason.TOO_BUSY, sentence)
            return
        if self._deadlines.late_seconds() > TURN_SECONDS_MAX:
            sentence = f"requests wait for over {TURN_SECONDS_MAX:.0f} s, the limit; send it again later"
            self._refuse(Reason.TOO_BUSY, sentence)
            return
        self._in_body = True
        self._exchange = self._short_way()
        if self._exchange is not None:
            self.cycle = self._exchange  # type: ignore[assignment]  # stands for uvicorn's
            self.due = self._deadlines.after(self.app.whole_seconds_max)
            return
        url, headers = self.url, self.headers
        super().on_message_begin()  # which uvicorn does before the head is there; it makes what ASGI needs
        self.url, self.headers, self.scope["headers"] = url, headers, headers
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        super().on_headers_complete()

    def _short_way(self) -> Exchange | None:
        """The request that has just begun as one to be collected whole, if it is a plain POST of events."""
        path, query = self.url, b""
        if path not in self._whole_paths:
            path, _, query = path.partition(b"?")
            if path not in self._whole_paths or b"#" in query:
                return None
        if self.parser.get_method() != b"POST":
            return None
        if (self.cycle is not None and not self.cycle.response_complete) or self.flow.write_paused:
            return None
        length = 0
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value) if value.isdigit() and len(value) < 10 else BODY_BYTES_MAX + 1
            elif name in (b"transfer-encoding", b"expect"):
                return None
        if length > BODY_BYTES_MAX:
            return None
        keep_alive = self.parser.should_keep_alive()
        return Exchange(self, self._whole_paths[path], self.headers, query, keep_alive=keep_alive)

    def on_body(self, body: bytes) -> None:
        """Body bytes of a refused request are not wanted."""
        if self._in_body and not self._refused:
            if self._exchange is not None:
                self._exchange.parts.append(body)  # at most as many bytes as announced
            else:
                super().on_body(body)

    def on_message_complete(self) -> None:
        """As on_body."""
        if not self._in_body or self._refused:
            return
        self._in_body = self._begun = False
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            super().on_message_complete()
            return
        self.due = NEVER
        if self._held_bytes:
            self._release()
        self.app.take_whole(exchange)

    def on_response_complete(self) -> None:
        """Go on to the next request; for one that is not there yet the client has the time of uvicorn's keep-alive."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._ended:
            self.transport.close()
        elif not self._begun:
            self.due = self._deadlines.after(self.timeout_keep_alive)

    def server_lines(self) -> bytes:
        """The server's own headers as they go out; uvicorn makes them anew each second, for the date."""
        headers = self.server_state.default_headers
        if headers is not self._server_headers:
            self._server_headers = headers
            self._server_lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        return self._server_lines

    def overdue(self) -> None:
        """The client has taken longer than it may, for whatever it is at."""
        if self._lingering or not self._begun:
            self._real_transport.close()  # nothing was asked, so nothing is answered
        elif self._in_head:
            sentence = f"the request's head took over {HEAD_SECONDS_MAX:.0f} s; send it in one go"
            self._refuse(Reason.HEAD_TOO_SLOW, sentence)
        else:
            seconds = self.app.whole_seconds_max  # only the short way's bodies are timed
            self._refuse(Reason.BODY_TOO_SLOW, f"the body did not arrive within {seconds:.0f} s; send it again")

    def linger(self) -> None:
        """Close: at once when the client has sent all it meant to, else once it has had time to read the answer."""
        if self._lingering:
            return
        self._lingering = True
        self.due = NEVER
        waiting = self._begun or self._refused
        if not waiting or self._real_transport.is_closing() or not self._real_transport.can_write_eof():
            self._real_transport.close()
            return
        self._real_transport.write_eof()
        self.flow.resume_reading()
        self.due = self._deadlines.after(LINGER_SECONDS_MAX)

    def _hold(self, size_bytes: int) -> None:
        """Count what a body that is not whole yet takes, unless it went with this read."""
        if self._refused:
            return
        try:
            self._pressure.hold(size_bytes)
        except Refused as refused:
            self._refuse(refused.reason, refused.sentence)
        else:
            self._held_bytes += size_bytes

    def _release(self) -> None:
        self._pressure.release(self._held_bytes)
        self._held_bytes = 0

    def _discard(self, size: int) -> None:
        self._lingered_bytes += size
        if self._lingered_bytes > LINGER_BYTES_MAX:
            self._real_transport.close()

    def _ignore_offers(self, left: memoryview) -> None:
        """Go on behind a head that offers another protocol; more such requests may follow in the same read."""
        try:
            while not self._refused:
                try:
                    self._read_head_again()
                    self.parser.feed_data(left)
                except httptools.HttpParserUpgrade as offer:
                    left = left[offer.args[0] :]
                else:
                    return
        except httptools.HttpParserError:
            self._refuse_garbage()

    def _read_head_again(self) -> None:
        """Give a new parser the head without the offer; what follows is the body that it is."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(Reason.NOT_HTTP, "the collector is no proxy; send events to it")
            return
        head = [method + b" " + self.url + b" HTTP/1.1"]
        head += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self.parser.feed_data(b"\r\n".join([*head, b"", b""]))

    def _agent_part(self, data: bytes) -> int:
        """How many bytes of a read that ends within a head are of the user agent's line."""
        in_agent = self._is_agent()
        last = data.rfind(b"\n") + 1
        self._line = (data[last : last + 16] if last else self._line + data[:16])[:16]
        if not last:
            return len(data) if self._is_agent() else 0
        return (data.index(b"\n") if in_agent else 0) + (len(data) - last if self._is_agent() else 0)

    def _is_agent(self) -> bool:
        """Is the line that the last read ended in the user agent's?"""
        return self._line.lower().startswith(b"%b:" % _AGENT)

    def _head_is_large(self) -> bool:
        read_bytes = self._unparsed_bytes + self._agent_bytes + self._read_bytes
        if self._first_bytes + (0 if self._head_begins_here else read_bytes) <= HEAD_BYTES_MAX:
            return False  # all that was read since the head began is less
        agent_bytes = sum(len(value) for name, value in self.headers if name == _AGENT)
        head_bytes = sum(len(name) + len(value) for name, value in self.headers) - agent_bytes
        if agent_bytes > AGENT_KEPT_BYTES:
            self.headers = [
                (name, value[:AGENT_KEPT_BYTES] if name == _AGENT else value) for name, value in self.headers
            ]
        return head_bytes > HEAD_BYTES_MAX or agent_bytes > AGENT_BYTES_MAX

    def _refuse_garbage(self) -> None:
        self._refuse(Reason.NOT_HTTP, "this is not HTTP/1.1 as RFC 9112 has it; send a well-formed request")

    def _refuse_head(self) -> None:
        if len(self.url) > URL_BYTES_MAX:
            self._refuse(Reason.URL_TOO_LONG, f"the URL is over {URL_BYTES_MAX:,} bytes, the limit; use POST")
            return
        limits = f"{HEADERS_MAX} headers or {HEAD_BYTES_MAX:,} bytes, the limits"
        self._refuse(Reason.HEADERS_TOO_LARGE, f"the request's head is over {limits}; send fewer cookies and headers")

    def _refuse(self, reason: Reason, sentence: str) -> None:
        if self._refused:
            return
        self._refused = True
        self._release()
        if self._exchange is not None:
            self._exchange.parts.clear()
        if self.cycle is not None and not self.cycle.response_complete:
            if not self._in_body:
                self.cycle.keep_alive = False  # an answer now would be taken for that of the request before
                return
            if self.pipeline:
                self._real_transport.close()
                return
            self.cycle.disconnected = True  # it waits for a body that will not come
            self.cycle.message_event.set()
        count = getattr(self.app, "count_refusal", None)  # the Collector's; in a test there may be another behind us
        if count is not None:
            count(reason)
        self.transport.write(as_bytes(refusal(Refused(reason, sentence)), b"", keep_alive=False))
        self.transport.close()


class _Lingering:
    """A connection's transport, as uvicorn sees it: to close it is to ask the Protocol, and then nothing is written."""

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        self._transport = transport
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._protocol._lingering:
            self._transport.write(data)

    def close(self) -> None:
        self._protocol.linger()

    def is_closing(self) -> bool:
        return self._protocol._lingering or self._transport.is_closing()
