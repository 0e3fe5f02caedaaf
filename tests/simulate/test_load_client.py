from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.load_client import LoadError, Result, main, post, run

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REQUESTS = [post("/v1/batch", f"body {index}".encode(), "key") for index in range(3)]

# Answers one request, whose bytes it is given; returning False closes the connection.
Answering = Callable[[bytes, asyncio.StreamWriter], Awaitable[bool]]


async def ok(_request: bytes, writer: asyncio.StreamWriter) -> bool:
    writer.write(OK)
    return True


@asynccontextmanager
async def serving(answer: Answering, seen: Counter[bytes]) -> AsyncIterator[int]:
    """A tiny server that reads requests and lets `answer` answer them; yields its port, ends with its connections."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                request = head + await reader.readexactly(length)
                seen[request] += 1
                if not await answer(request, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is done
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        while tasks:  # each ends by itself, because the client has closed its end
            await tasks.pop()
        await asyncio.sleep(0)  # aborted transports close their sockets in the next turn of the loop


def load(
    answer: Answering = ok, *, connections: int = 4, seconds: float = 0.2, requests: list[bytes] | None = None
) -> tuple[Result, Counter[bytes]]:
    """Run the client against a tiny server; return what it measured and the requests that the server read."""
    seen: Counter[bytes] = Counter()

    async def both() -> Result:
        async with serving(answer, seen) as port:
            return await run("127.0.0.1", port, requests or REQUESTS, connections, seconds)

    return asyncio.run(both()), seen


def test_requests_arrive_byte_for_byte_in_turn_and_each_answer_is_counted() -> None:
    result, seen = load()
    assert set(seen) == set(REQUESTS)
    assert max(seen.values()) - min(seen.values()) <= 1
    # Those on their way at the end were read by the server and not counted by the client.
    assert 0 <= sum(seen.values()) - result.requests <= 4
    assert result.statuses == {200: result.requests}
    assert result.requests > 20
    assert result.per_second == pytest.approx(result.requests / result.seconds)
    assert 0.2 <= result.seconds < 2
    assert result.cut == 0
    assert result.cpu_us > 0


def test_answers_are_counted_by_status_with_and_without_a_body() -> None:
    answers = {
        REQUESTS[0]: OK,
        REQUESTS[1]: b"HTTP/1.1 503 Service Unavailable\r\ncontent-length:0\r\nRetry-After: 1\r\n\r\n",
        REQUESTS[2]: b"HTTP/1.1 204 No Content\r\n\r\n",
    }

    async def by_request(request: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(answers[request])
        return True

    result, _ = load(by_request, connections=1)
    assert list(result.statuses) == [200, 204, 503]
    assert max(result.statuses.values()) - min(result.statuses.values()) <= 1
    assert sum(result.statuses.values()) == result.requests


def test_an_answer_in_many_pieces_is_one_answer() -> None:
    async def dripping(_request: bytes, writer: asyncio.StreamWriter) -> bool:
        for start in range(0, len(OK), 7):
            writer.write(OK[start : start + 7])
            await writer.drain()
            await asyncio.sleep(0)
        return True

    result, seen = load(dripping, connections=2)
    assert result.statuses == {200: result.requests}
    assert 0 <= sum(seen.values()) - result.requests <= 2


def test_latencies_show_a_slow_tenth_in_the_right_percentiles() -> None:
    turn = iter(range(1_000_000))

    async def every_tenth_slow(_request: bytes, writer: asyncio.StreamWriter) -> bool:
        if next(turn) % 10 == 9:
            await asyncio.sleep(0.05)
        writer.write(OK)
        return True

    result, _ = load(every_tenth_slow, connections=1, seconds=0.5)
    assert result.p50_ms <= result.p90_ms <= result.p99_ms <= result.p999_ms <= result.max_ms
    assert result.p50_ms < 25
    assert result.p99_ms > 49


def test_one_request_at_a_time_is_on_its_way_per_connection() -> None:
    waiting, most = 0, 0

    async def counting(_request: bytes, writer: asyncio.StreamWriter) -> bool:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.005)
        waiting -= 1
        writer.write(OK)
        return True

    load(counting, connections=7)
    assert most == 7


def test_cut_connections_are_counted_and_opened_again() -> None:
    turn = iter(range(1_000_000))

    async def every_fifth_cut(request: bytes, writer: asyncio.StreamWriter) -> bool:
        return next(turn) % 5 != 4 and await ok(request, writer)

    result, seen = load(every_fifth_cut, connections=2)
    assert result.cut == pytest.approx(sum(seen.values()) / 5, abs=3)
    assert result.cut > 1
    assert result.requests == pytest.approx(4 * result.cut, abs=12)


def test_an_announced_close_is_not_a_cut() -> None:
    async def closing(_request: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return False

    result, _ = load(closing, connections=1)
    assert result.statuses == {413: result.requests}
    assert result.requests > 1
    assert result.cut == 0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "not HTTP/1.1 with a Content-Length"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "not HTTP/1.1 with a Content-Length"),
        (b"SSH-2.0-server\r\n\r\n", "not HTTP/1.1 with a Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "not HTTP/1.1 with a Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", "longer than its Content-Length"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "head is longer than 65,536 bytes"),
    ],
    ids=["chunked", "http-1.0", "ssh", "negative", "too-long", "endless-head"],
)
def test_a_server_that_cannot_be_measured_is_told_from_a_slow_one(answer: bytes, sentence: str) -> None:
    async def odd(_request: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        return True

    with pytest.raises(LoadError, match=sentence):
        load(odd, seconds=20)


def test_nobody_listening_is_told_in_one_sentence() -> None:
    async def refused() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        await run("127.0.0.1", port, REQUESTS, 8, 20)

    with pytest.raises(LoadError, match=r"cannot connect to 127\.0\.0\.1:\d+ .*; start the server first"):
        asyncio.run(refused())


@pytest.mark.parametrize(
    ("host", "requests", "connections", "seconds", "sentence"),
    [
        ("192.0.2.1", REQUESTS, 1, 1, "not a loopback address"),
        ("shop.example", REQUESTS, 1, 1, "not a loopback address"),
        ("127.0.0.1", REQUESTS, 0, 1, "the range is 1 to 1,000"),
        ("127.0.0.1", REQUESTS, 1_001, 1, "the range is 1 to 1,000"),
        ("127.0.0.1", REQUESTS, 1, 0, "the range is above 0 to 600"),
        ("127.0.0.1", REQUESTS, 1, 601, "the range is above 0 to 600"),
        ("127.0.0.1", REQUESTS, 1, float("nan"), "the range is above 0 to 600"),
        ("127.0.0.1", [], 1, 1, "prepared requests are 0 bytes"),
    ],
)
def test_a_load_out_of_range_is_refused(
    host: str, requests: list[bytes], connections: int, seconds: float, sentence: str
) -> None:
    with pytest.raises(LoadError, match=sentence):
        asyncio.run(run(host, 80, requests, connections, seconds))


def test_the_command_line_prints_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = tmp_path / "body.json"
    body.write_bytes(b'{"batch":[]}')
    seen: Counter[bytes] = Counter()

    async def both(*options: str) -> int:
        async with serving(ok, seen) as port:
            fixed = ["--port", str(port), "--key", "key", "--connections", "2", "--seconds", "0.1"]
            return await asyncio.to_thread(main, [*fixed, *options, str(body)])

    assert asyncio.run(both("--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["statuses"] == {"200": printed["requests"]}
    assert set(seen) == {post("/v1/batch", b'{"batch":[]}', "key")}
    assert asyncio.run(both()) == 0
    assert "requests/s over 0.1 s; answers: " in capsys.readouterr().out


def test_the_command_line_tells_errors_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = tmp_path / "body.json"
    assert main(["--port", "80", str(body)]) == 1
    body.write_bytes(b"{}")
    assert main(["--host", "192.0.2.1", "--port", "80", str(body)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "No such file" in errors[0]
    assert errors[1] == "'192.0.2.1' is not a loopback address; run the server to be measured on this machine"
