"""A worker that has all the connections it can hold says so, and says when to come again."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
import uvicorn

from collector.app.answers import RETRY_AFTER_SECONDS
from collector.app.protocol import Protocol

CONNECTIONS_MAX = 3


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    headers = [(b"content-length", b"%d" % len(message["body"]))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": message["body"]})


@pytest.fixture
def port() -> Iterator[int]:
    """A real server on the Protocol, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        echo, http=Protocol, lifespan="off", ws="none", log_config=None, limit_concurrency=CONNECTIONS_MAX
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join(timeout=10)
    assert not thread.is_alive()
    listener.close()


def test_beyond_the_limit_a_client_is_told_when_to_come_again(port: int) -> None:
    held = [HTTPConnection("127.0.0.1", port, timeout=8) for _ in range(CONNECTIONS_MAX)]
    for connection in held:
        connection.request("POST", "/", b"x")
        assert connection.getresponse().read() == b"x"
    late = HTTPConnection("127.0.0.1", port, timeout=8)
    late.request("POST", "/", b"y" * 100_000)
    answer = late.getresponse()
    assert (answer.status, answer.getheader("connection")) == (503, "close")
    assert int(answer.getheader("retry-after") or 0) in RETRY_AFTER_SECONDS
    assert answer.getheader("access-control-allow-origin") == "*"
    told = json.loads(answer.read())
    assert told["reason"] == "too_busy"
    assert "send it again" in told["error"]
    late.close()
    for connection in held:
        connection.request("POST", "/", b"z")
        assert connection.getresponse().read() == b"z", "those that were in stay in"
        connection.close()
    deadline = time.monotonic() + 8  # the server hears of the closed connections a moment later
    while (status := ask_once(port)) != 200:
        assert status == 503
        assert time.monotonic() < deadline, "a place that is free again is not given"


def ask_once(port: int) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=8)
    connection.request("POST", "/", b"w")
    status = connection.getresponse().status
    connection.close()
    return status
