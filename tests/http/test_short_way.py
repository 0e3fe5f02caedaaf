"""A POST of events that arrives whole does not come by ASGI. Nobody may be able to tell."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from serving import Serving

from collector.limits import BODY_BYTES_MAX

SECONDS_MAX = 8.0
TRACK = {"type": "track", "event": "e", "messageId": "same"}


def batch(collector: Serving, *events: Any, **more: Any) -> bytes:
    return json.dumps({"batch": events, "writeKey": collector.write_key, **more}).encode()


def ask(
    collector: Serving, path: str, body: bytes, headers: dict[str, str], *, whole: bool
) -> tuple[int, dict[str, str], bytes]:
    """One POST with its length announced, or in chunks, which takes the long way."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=SECONDS_MAX)
    try:
        content: Any = body if whole else parts_of(body)
        connection.request("POST", path, content, headers, encode_chunked=not whole)
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        assert told.pop("date")
        return answer.status, told, re.sub(rb'"received_at":"[^"]*"', b"", answer.read())
    finally:
        connection.close()


def parts_of(body: bytes) -> Iterator[bytes]:
    yield body[:7]
    yield body[7:]


def cases(key: str) -> dict[str, tuple[int, str, bytes, dict[str, str]]]:
    """Requests by what is special about them: status to come, path, body, headers."""
    good = json.dumps({"batch": [TRACK], "writeKey": key}).encode()
    keyless = json.dumps({"batch": [TRACK]}).encode()
    odd = json.dumps({"batch": [TRACK, {"type": "odd", "messageId": "odd"}], "writeKey": key}).encode()
    crowd = "&".join(f"debug{number}=1" for number in range(60))
    return {
        "accepted": (200, "/v1/batch", good, {}),
        "rejected": (200, "/v1/batch", odd, {}),
        "debug": (200, "/v1/batch?debug=1", odd, {}),
        "key in query": (200, f"/v1/batch?writeKey={key}", keyless, {}),
        "single": (200, "/v1/t", json.dumps({**TRACK, "writeKey": key}).encode(), {}),
        "gzip": (200, "/v1/batch", gzip.compress(good), {"content-encoding": "gzip"}),
        "closing": (200, "/v1/batch", good, {"connection": "close"}),
        "from a page": (200, "/v1/batch", good, {"origin": "https://shop.example"}),
        "bad gzip": (400, "/v1/batch", good, {"content-encoding": "gzip"}),
        "not json": (400, "/v1/batch", b"{", {}),
        "bad query": (400, f"/v1/batch?{crowd}", good, {}),
        "no key": (401, "/v1/batch", keyless, {}),
        "unknown key": (401, "/v1/batch", good.replace(key.encode(), b"fw_none"), {}),
        "wrong type": (415, "/v1/batch", good, {"content-type": "image/png"}),
        "wrong encoding": (415, "/v1/batch", good, {"content-encoding": "rot13"}),
    }


@pytest.mark.parametrize("case", cases(""))
def test_both_ways_answer_alike(collector: Serving, case: str) -> None:
    status, path, body, headers = cases(collector.write_key)[case]
    short, long = (ask(collector, path, body, headers, whole=whole) for whole in (True, False))
    assert short == long
    assert short[0] == status


def test_an_answer_keeps_the_connection_and_names_the_date(collector: Serving) -> None:
    body = batch(collector, TRACK)
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=SECONDS_MAX)
    port = None
    for _ in range(3):
        connection.request("POST", "/v1/b", body)
        answer = connection.getresponse()
        assert answer.status == 200
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", answer.getheader("date") or "")
        assert json.loads(answer.read()) == {"accepted": 1, "rejected": []}
        assert port in (None, connection.sock.getsockname()[1])
        port = connection.sock.getsockname()[1]
    connection.close()


def test_a_body_may_come_byte_by_byte(collector: Serving) -> None:
    body = batch(collector, TRACK)
    head = b"POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", collector.port), timeout=SECONDS_MAX) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(head + body)):
            connection.send((head + body)[at : at + 1])
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200 ")


def test_the_largest_body_is_taken_and_one_byte_more_is_not(collector: Serving) -> None:
    fitting = batch(collector, TRACK).ljust(BODY_BYTES_MAX)
    for body, status in ((fitting, 200), (fitting + b" ", 413)):
        assert collector.request("POST", "/v1/b", body).status == status


def test_what_is_pipelined_is_answered_in_order_on_either_way(collector: Serving) -> None:
    def request(count: int) -> bytes:
        body = batch(collector, *[TRACK] * count)
        return b"POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    with socket.create_connection(("127.0.0.1", collector.port), timeout=SECONDS_MAX) as connection:
        for counts in ((1, 2, 3), (4,), (5, 6)):
            connection.sendall(b"".join(request(count) for count in counts))
            data = b""
            while data.count(b'"rejected":[]}') < len(counts):
                received = connection.recv(65_536)
                assert received
                data += received
            assert [int(found) for found in re.findall(rb'"accepted":(\d+)', data)] == list(counts)


def test_nothing_behind_an_answer_that_closes_is_taken(collector: Serving) -> None:
    body = batch(collector, {**TRACK, "event": "behind_a_close"})
    closing = b"POST /v1/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{"
    behind = b"POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    before = collector.metric("footfall_received_total")
    with socket.create_connection(("127.0.0.1", collector.port), timeout=SECONDS_MAX) as connection:
        connection.sendall(closing + behind)
        data = b""
        while received := connection.recv(65_536):
            data += received
    assert data.count(b"HTTP/1.1 ") == 1
    assert data.startswith(b"HTTP/1.1 400 ")
    assert collector.metric("footfall_received_total") == before
