"""What is refused and how: one JSON sentence, the right status, no 5xx, no hang, and the next event is taken."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
import zlib
from typing import Any, NamedTuple

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from backports import zstd
from serving import Serving

ANSWER_SECONDS_MAX = 8.0  # less than any deadline of the collector, so that only a real answer passes
HOST = b"Host: collector\r\n"
AGENT = b"User-Agent: " + b"a" * 65_536


class Read(NamedTuple):
    """What came back until the collector closed or a full answer had been read."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        told = json.loads(self.body)
        assert set(told) == {"error", "reason"}
        assert len(told["error"]) > 15
        assert "Traceback" not in told["error"]
        assert self.headers["access-control-allow-origin"] == "*"
        return str(told["reason"])


def good(collector: Serving) -> bytes:
    return json.dumps({"batch": [{"type": "track", "event": "e"}], "writeKey": collector.write_key}).encode()


def post(body: bytes, *headers: bytes, method: bytes = b"POST", path: bytes = b"/v1/batch") -> bytes:
    """A request with these headers; a Content-Length is added unless they say how long the body is."""
    lines = b"".join(header + b"\r\n" for header in headers)
    if b"ontent-Length" not in lines and b"ransfer-Encoding" not in lines:
        lines += b"Content-Length: %d\r\n" % len(body)
    return method + b" " + path + b" HTTP/1.1\r\n" + HOST + lines + b"\r\n" + body


def exchange(collector: Serving, *pieces: bytes) -> Read:
    """Send the pieces and read one answer."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Read:
    data = bytearray()
    while b"\r\n\r\n" not in data:
        received = connection.recv(65_536)
        assert received, f"closed after {bytes(data)!r}"
        data += received
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        received = connection.recv(65_536)
        assert received, "closed before the whole answer"
        body += received
    return Read(int(status_line.split()[1]), headers, body)


@pytest.fixture(autouse=True)
def next_event_is_taken(collector: Serving) -> Any:
    yield
    answer = collector.request("POST", "/v1/batch", good(collector))
    assert answer.json == {"accepted": 1, "rejected": []}


BATCH = b'{"batch":[]}'
BODIES: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "body_empty"),
    "whitespace": (b" \r\n\t", 400, "body_empty"),
    "truncated": (b'{"batch":[{"type":"tr', 400, "not_json"),
    "trailing garbage": (BATCH + b" x", 400, "not_json"),
    "two documents": (BATCH + BATCH, 400, "not_json"),
    "only a byte order mark": (b"\xef\xbb\xbf", 400, "not_json"),
    "UTF-16": (BATCH.decode().encode("utf-16"), 400, "not_json"),
    "UTF-16 without mark": (BATCH.decode().encode("utf-16-le"), 400, "not_json"),
    "not UTF-8": (b'{"batch":[],"x":"\xff"}', 400, "not_json"),
    "overlong UTF-8": (b'{"batch":[],"x":"\xc0\xaf"}', 400, "not_json"),
    "surrogate as UTF-8": (b'{"batch":[],"x":"\xed\xa0\x80"}', 400, "not_json"),
    "NUL": (b'{"batch":[],"x":"\0"}', 400, "not_json"),
    "control character": (b'{"batch":[],"x":"\x1b"}', 400, "not_json"),
    "lists 100,000 deep": (b'{"batch":' + b"[" * 100_000, 400, "not_json"),
    "objects 80,000 deep": (b'{"batch":[],"x":' + b'{"a":' * 80_000, 400, "not_json"),
    "deep behind a bad event": (b'{"batch":[5,' + b"[" * 100_000, 400, "not_json"),
    "malformed behind a bad event": (b'{"batch":[5],"x":{"event"tru}}', 400, "not_json"),
    "brackets that do not match": (b'{"batch":[{"event":"e"]}]}', 400, "not_json"),
    "NaN": (b'{"batch":[],"context":NaN}', 400, "not_json"),
    "Infinity": (b'{"batch":[],"x":-Infinity}', 400, "not_json"),
    "trailing comma": (b'{"batch":[],}', 400, "not_json"),
    "single quotes": (b"{'batch':[]}", 400, "not_json"),
    "null": (b"null", 400, "not_a_batch"),
    "a list": (b"[]", 400, "not_a_batch"),
    "a text": (b'"batch"', 400, "not_a_batch"),
    "no batch": (b"{}", 400, "not_a_batch"),
    "batch is an object": (b'{"batch":{}}', 400, "not_a_batch"),
    "too many events": (b'{"batch":[' + b"1," * 2_500 + b"1]}", 413, "body_too_large"),
    "no key": (BATCH, 401, "key_missing"),
    "duplicate batch": (b'{"batch":[],"batch":5}', 400, "not_a_batch"),
    "100,000 keys": (b'{"batch":[],' + b'"a":1,' * 80_000 + b'"a":1}', 401, "key_missing"),
}


@pytest.mark.parametrize(("body", "status", "reason"), BODIES.values(), ids=BODIES.keys())
def test_an_unreadable_body_is_refused_whole(collector: Serving, body: bytes, status: int, reason: str) -> None:
    read = exchange(collector, post(body))
    assert (read.status, read.reason) == (status, reason)


@pytest.mark.parametrize(("body", "status", "reason"), BODIES.values(), ids=BODIES.keys())
def test_a_path_of_one_event_survives_the_same_bodies(
    collector: Serving, body: bytes, status: int, reason: str
) -> None:
    read = exchange(collector, post(body, path=b"/v1/track"))
    assert read.status in (400, 401)
    assert read.reason in ("body_empty", "not_json", "not_a_batch", "key_missing")


def test_the_byte_where_reading_stopped_is_named(collector: Serving) -> None:
    assert "byte 12" in json.loads(exchange(collector, post(b'{"batch":[],}')).body)["error"]
    assert "byte 11" in json.loads(exchange(collector, post(b'{"batch":["\xff]}')).body)["error"]


@pytest.mark.parametrize("path", ["/v1/track", "/v1/p"])
def test_a_batch_on_the_path_of_one_event_is_not_lost_silently(collector: Serving, path: str) -> None:
    read = exchange(collector, post(good(collector), path=path.encode()))
    assert (read.status, read.reason) == (400, "not_a_batch")


@pytest.mark.parametrize("path", [b"/v1/batch", b"/v1/track"])
def test_a_body_that_cannot_be_read_is_kept_when_it_says_whose_it_is(collector: Serving, path: bytes) -> None:
    body = key_body(collector, b'"batch":[{"type":"track","event":"cut off on the way %b' % path)
    read = exchange(collector, post(body, path=path))
    assert (read.status, read.reason) == (400, "not_json")
    (row,) = collector.sql_until(
        f"SELECT reason, pointer, fix, source_id, raw FROM failed_events WHERE raw LIKE '%the way {path.decode()}%'",
        len,
    )
    assert (row["reason"], row["pointer"]) == ("not_json", "")
    assert row["fix"] == json.loads(read.body)["error"]
    assert row["raw"].endswith('"batch":[{"type":"track","event":"cut off on the way ' + path.decode() + "}")
    assert collector.write_key not in row["raw"]


def test_a_body_of_nobody_is_not_kept(collector: Serving) -> None:
    for key in (b"", b'"writeKey":"fw_nobody",'):
        assert exchange(collector, post(b'{%b"batch":[{"event":"of nobody' % key)).reason == "not_json"
    # What is kept goes through the spool in order: once a later one is there, the earlier would be.
    exchange(collector, post(key_body(collector, b'"batch":[{"event":"of somebody')))
    collector.sql_until("SELECT raw FROM failed_events WHERE raw LIKE '%of somebody%'", len)
    assert collector.sql("SELECT count() AS n FROM failed_events WHERE raw LIKE '%of nobody%'") == [{"n": 0}]


def key_body(collector: Serving, middle: bytes) -> bytes:
    return b'{"writeKey":"%b",%b}' % (collector.write_key.encode(), middle)


@pytest.mark.parametrize(
    "middle",
    [
        b'"batch":[]',
        b'"batch":[],"context":null',
        b'"batch":[],"context":[1],"sentAt":{}',
        b'"batch":[{"type":"track","event":"e"}],"sentAt":"\\ud800","context":"x"',
        b'"batch":[{"type":"track","event":"e","timestamp":1e308,"sentAt":true}]',
        b'"batch":[5,null,[],"x",1e400,-0,{"type":{}}],"sentAt":1e400',
        b'"batch":[{"type":"track","event":"e","userId":' + b"9" * 5_000 + b"}]",
        b'"batch":[{"type":"track","event":"e","userId":' + b"9" * 4_300 + b"}]",
        b'"batch":[{"type":"track","event":"e","sequence":' + b"9" * 5_000 + b"}]",
        b'"batch":[{"type":"track","event":"e","properties":' + b"[" * 900 + b"]" * 900 + b"}]",
        b'"batch":[{"type":"track","event":"search","properties":{"query":' + b"[" * 900 + b"]" * 900 + b"}}]",
        b'"batch":[{"type":"track","event":"e","context":{"ip":"1.2.3.4","a":' + b"[" * 900 + b"]" * 900 + b"}}]",
        b'"batch":[{"type":"track","event":"e","properties":{"n":1e400,"m":' + b"7" * 5_000 + b"}}]",
        b'"batch":[{"type":"track","event":"\\\\ud83d\\udc00"}]',
        b'"batch":[5,{"type":"track","event":"\\\\ud83d\\udc00"}]',
        b'"batch":[{"type":"track","event":"\\u0000"}]',
        b'"batch":[{"type":"track","event":"e@999999999999"},{"type":"track","event":"@"}]',
    ],
)
def test_an_odd_but_readable_batch_is_judged_event_by_event(collector: Serving, middle: bytes) -> None:
    read = exchange(collector, post(key_body(collector, middle)))
    assert read.status == 200
    assert set(json.loads(read.body)) == {"accepted", "rejected"}


def test_a_batch_of_the_most_events_all_bad_is_judged_in_no_time(collector: Serving) -> None:
    """Each rejected event needs its own bytes; finding them anew for each would take six seconds here."""
    events = [{"type": "track", "event": "search", "properties": {"query": "q" * 100}} for _ in range(2_500)]
    body = json.dumps({"batch": events, "writeKey": collector.write_key}).encode()
    begun = time.monotonic()
    read = exchange(collector, post(body))
    assert len(json.loads(read.body)["rejected"]) == 2_500
    assert time.monotonic() - begun < 3.0


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (b"application/json", 200),
        (b"application/json; charset=utf-8", 200),
        (b"Text/Plain;charset=UTF-8", 200),
        (b"", 200),
        (None, 200),
        (b"application/x-www-form-urlencoded", 415),
        (b"multipart/form-data; boundary=x", 415),
        (b"text/plainer", 415),
        (b"\xff\xfe", 415),
    ],
)
def test_content_types(collector: Serving, content_type: bytes | None, status: int) -> None:
    headers = [] if content_type is None else [b"Content-Type: " + content_type]
    read = exchange(collector, post(good(collector), *headers))
    assert read.status == status
    if status == 415:
        assert read.reason == "wrong_content_type"


def test_content_encodings(collector: Serving) -> None:
    body = good(collector)
    packed = gzip.compress(body)
    cases: list[tuple[bytes, bytes, int, str]] = [
        (b"gzip", packed, 200, ""),
        (b"GZIP", packed, 200, ""),
        (b"x-gzip", packed, 200, ""),
        (b"identity", body, 200, ""),
        (b"gzip, identity", packed, 200, ""),
        (b"deflate", zlib.compress(body), 200, ""),
        (b"br", brotli.compress(body), 200, ""),
        (b"zstd", zstd.compress(body), 200, ""),
        (b"compress", body, 415, "wrong_encoding"),
        (b"gzip, gzip", packed, 415, "wrong_encoding"),
        (b"gzip", body, 400, "bad_compression"),
        (b"gzip", packed[:-5], 400, "bad_compression"),
        (b"gzip", packed[:-8] + b"\0" * 8, 400, "bad_compression"),
        (b"gzip", b"", 400, "bad_compression"),
        (b"gzip", gzip.compress(packed), 400, "not_json"),
        (b"gzip", gzip.compress(b" " * 60_000_000), 413, "body_too_large"),
    ]
    for encoding, sent, status, reason in cases:
        read = exchange(collector, post(sent, b"Content-Encoding: " + encoding))
        assert read.status == status, (encoding, read)
        assert not reason or read.reason == reason
        assert (read.headers.get("accept-encoding") == "gzip, deflate, br, zstd") == (status == 415)


def chunked(body: bytes, size: int = 65_536) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_a_chunked_body_is_taken(collector: Serving) -> None:
    assert exchange(collector, post(chunked(good(collector), 7), b"Transfer-Encoding: chunked")).status == 200


@pytest.mark.parametrize("size", [600_000, 5_000_000])
@pytest.mark.parametrize("form", ["length", "chunked"])
def test_a_client_that_sends_too_much_still_reads_why_it_is_refused(collector: Serving, size: int, form: str) -> None:
    body = b"x" * size
    request = post(body) if form == "length" else post(chunked(body), b"Transfer-Encoding: chunked")
    read = exchange(collector, request)
    assert (read.status, read.reason) == (413, "body_too_large")
    assert read.headers["connection"] == "close"


def test_a_client_that_never_stops_sending_is_cut_off(collector: Serving) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        connection.sendall(post(b"", b"Content-Length: 99999999999"))
        sent = 0
        with pytest.raises(OSError):
            while sent < 200_000_000:
                sent += connection.send(b"x" * 65_536)


def test_a_method_that_is_not_for_events_names_those_that_are(collector: Serving) -> None:
    for method in (b"GET", b"PUT", b"PATCH", b"DELETE"):
        read = exchange(collector, post(good(collector), method=method))
        assert (read.status, read.reason, read.headers["allow"]) == (405, "method_not_allowed", "POST, OPTIONS")
    read = exchange(collector, post(b"", path=b"/v1/p.gif"))
    assert (read.status, read.reason, read.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD")
    read = exchange(collector, post(b"", path=b"/livez"))
    assert (read.status, read.reason, read.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD")


@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/batch", "/%FF%00", "/v1/batch/", "/" + "a" * 5_000])
def test_a_path_that_is_not_there(collector: Serving, path: str) -> None:
    read = exchange(collector, post(good(collector), path=path.encode()))
    assert (read.status, read.reason) == (404, "not_found")


def test_a_url_and_a_head_have_limits(collector: Serving) -> None:
    body = good(collector)
    for length in (8_200, 40_000, 600_000):
        read = exchange(collector, post(b"", method=b"GET", path=b"/v1/p.gif?" + b"a" * length))
        assert (read.status, read.reason) == (414, "url_too_long")
    many = [b"X-%d: a" % number for number in range(10_000)]
    wide = [b"X-%d: %b" % (number, b"a" * 1_000) for number in range(90)]
    agent = [*wide[:40], AGENT]
    for headers in ([b"X: " + b"a" * 65_536], [b"X: " + b"a" * 5_000_000], many, wide, [b"a" * 70_000 + b": x"], agent):
        read = exchange(collector, post(body, *headers))
        assert (read.status, read.reason) == (431, "headers_too_large")


@pytest.mark.parametrize("first_bytes", [1, 10_000, 50_000, 88_000])
def test_a_large_head_is_refused_wherever_it_is_cut_into_reads(collector: Serving, first_bytes: int) -> None:
    request = post(good(collector), *(b"X-%d: %b" % (number, b"a" * 1_000) for number in range(90)))
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request[:first_bytes])
        # Its own answer on another connection shows that the collector has read what came before.
        assert collector.request("GET", "/livez").status == 200
        connection.sendall(request[first_bytes:])
        assert b" 431 " in connection.recv(65_536).split(b"\r\n")[0]


@pytest.mark.parametrize("first_bytes", [1, 26, 30, 10_000, 65_600])
def test_a_user_agent_of_64_kb_is_cut_and_its_event_kept_however_it_arrives(
    collector: Serving, first_bytes: int
) -> None:
    """26 bytes end within the name of its header; further ones follow it, and there may be 32 KB of those."""
    head = b"POST /v1/batch HTTP/1.1\r\n%b\r\n" % AGENT
    rest = post(good(collector), b"X: " + b"a" * 30_000).partition(b"\r\n")[2]
    request = head + rest
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request[:first_bytes])
        assert collector.request("GET", "/livez").status == 200  # as below
        connection.sendall(request[first_bytes:])
        assert b" 200 " in connection.recv(65_536).split(b"\r\n")[0]


@pytest.mark.parametrize("agents", [b"User-Agent: %b" % (b"a" * 200_000), b"X: a\r\nuser-agent: %b" % (b"a" * 100_000)])
def test_a_user_agent_without_end_is_cut_off(collector: Serving, agents: bytes) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        connection.sendall(b"POST /v1/batch HTTP/1.1\r\n" + agents)
        assert b" 431 " in connection.recv(65_536).split(b"\r\n")[0]


def test_a_header_without_end_is_cut_off(collector: Serving) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        connection.sendall(b"POST /v1/batch HTTP/1.1\r\nX: ")
        sent = 0
        with pytest.raises(OSError):
            while sent < 200_000_000:
                sent += connection.send(b"a" * 65_536)


def test_what_is_not_http_is_refused(collector: Serving) -> None:
    body = good(collector)
    for request in (
        post(body).replace(b"\r\n", b"\n"),
        post(body, b"X: a\0b"),
        post(body, b"X: a\r\n folded"),
        post(body, b"Content-Length: -5"),
        post(body, b"Content-Length: 5", b"Content-Length: 6"),
        post(body, b"Content-Length: 99999999999999999999999"),
        post(body, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        post(b"zz\r\n", b"Transfer-Encoding: chunked"),
        post(b"5\r\nabc", b"Transfer-Encoding: chunked") + b"\r\n\r\nx" * 9,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00" + b"a" * 50,
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT /v1/batch HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 100,
    ):
        read = exchange(collector, request)
        assert (read.status, read.reason) == (400, "not_http"), request[:80]


def test_what_is_unusual_but_http_is_taken(collector: Serving) -> None:
    body = good(collector)
    for request in (
        post(body).replace(HOST, b""),
        post(body).replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(body, path=b"http://collector/v1/batch"),
        post(body, b"User-Agent: \xff\xe9", b"X: \xff"),
        post(body, b"User-Agent: " + b"a" * 30_000),
        post(body, b"X-Forwarded-For: fe80::1%eth0, garbage", b"X-Forwarded-For: 999.1.1.1"),
        post(body, b"DNT: 1", b"Sec-GPC: 0", b"Sec-Purpose: prefetch"),
        post(body, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
        post(body, b"Connection: Upgrade", b"Upgrade: websocket"),
        post(chunked(body), b"Transfer-Encoding: chunked", b"Connection: Upgrade", b"Upgrade: h2c"),
    ):
        read = exchange(collector, request)
        assert (read.status, json.loads(read.body)) == (200, {"accepted": 1, "rejected": []}), request[:200]


def test_a_body_after_an_offer_to_upgrade_may_come_late(collector: Serving) -> None:
    head, _, body = post(good(collector), b"Connection: Upgrade", b"Upgrade: h2c").partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert collector.request("GET", "/livez").status == 200
        connection.sendall(body)
        assert read_answer(connection).status == 200
        connection.sendall(post(good(collector)))
        assert read_answer(connection).status == 200


def test_expect_continue_is_answered(collector: Serving) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        head, _, body = post(good(collector), b"Expect: 100-continue").partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert read_answer(connection).status == 200


def test_a_connection_is_kept_for_the_next_request(collector: Serving) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        for request in (post(good(collector)), post(b"x", method=b"PUT"), post(b"{"), post(good(collector))):
            connection.sendall(request)
            read = read_answer(connection)
        assert read.status == 200


def test_requests_in_a_row_are_answered_in_that_row(collector: Serving) -> None:
    requests = [post(good(collector)), post(b"{"), post(b"x", method=b"PUT"), post(good(collector))]
    requests.append(post(b"", b"Connection: close", method=b"GET", path=b"/livez"))
    with socket.create_connection(("127.0.0.1", collector.port), timeout=ANSWER_SECONDS_MAX) as connection:
        connection.sendall(b"".join(requests))
        data = b""
        while received := connection.recv(65_536):
            data += received
    assert re.findall(rb"HTTP/1\.1 (\d+)", data) == [b"200", b"400", b"405", b"200", b"200"]


def test_garbage_behind_a_request_does_not_cost_its_answer(collector: Serving) -> None:
    read = exchange(collector, post(good(collector)) + b"garbage\r\n\r\n")
    assert (read.status, read.headers["connection"]) == (200, "close")


def test_a_client_that_goes_away_costs_nothing(collector: Serving) -> None:
    for cut in (10, 40, 150):
        with socket.create_connection(("127.0.0.1", collector.port)) as connection:
            connection.sendall(post(good(collector))[:cut])
    with socket.create_connection(("127.0.0.1", collector.port)) as connection:
        connection.sendall(post(good(collector)))  # and does not wait for the answer
    before = collector.metric("footfall_commits_total")
    assert exchange(collector, post(good(collector))).status == 200
    assert collector.metric("footfall_commits_total") > before


def test_slow_clients_are_told_and_do_not_hold_a_place(collector: Serving) -> None:
    """All at once, because each takes the ten seconds that a client has."""
    body = good(collector)
    names = ("slow head", "slow body", "no end of chunks", "nothing")
    starts = (post(body)[:30], post(body)[:-5], post(b"5\r\nabcde\r\n", b"Transfer-Encoding: chunked"), b"")
    begun = time.monotonic()
    connections = [socket.create_connection(("127.0.0.1", collector.port), timeout=15.0) for _ in starts]
    for connection, start in zip(connections, starts, strict=True):
        connection.sendall(start)
    for name, connection in zip(names, connections, strict=True):
        if name == "nothing":
            assert connection.recv(100) == b"", "nothing was asked, so nothing is answered"
        else:
            read = read_answer(connection)
            assert (name, read.status) == (name, 408)
            assert read.reason == ("head_too_slow" if name == "slow head" else "body_too_slow")
            assert connection.recv(100) == b""
        connection.close()
    assert 9.0 < time.monotonic() - begun < 14.0
