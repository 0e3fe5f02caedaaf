"""The servers that benchmarks measure, as processes of their own, and the CPU time these take."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 30.0
SERVER_CPU, CLIENT_CPU = (0, 1) if (os.cpu_count() or 1) > 1 else (0, 0)


class Server(NamedTuple):
    """A running server: where it listens, what it costs is the CPU time of `pids`."""

    port: int
    pids: tuple[int, ...]
    write_key: str = ""
    data_dir: Path = Path()
    store_pid: int = 0

    def cpu_seconds(self) -> float:
        """User and system time of the server's processes so far; the clock ticks every 10 ms."""
        return sum(cpu_seconds(pid) for pid in self.pids)


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def resident_mb(pid: int) -> float:
    """Resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def bare() -> Iterator[Server]:
    """uvicorn with httptools and uvloop around an application that reads the body and answers 204."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "error", "--lifespan", "off"]
    process = subprocess.Popen([sys.executable, "-m", "uvicorn", "benchmarks.bare:app", "--port", str(port), *flags])
    try:
        await_port(port)
        os.sched_setaffinity(process.pid, {SERVER_CPU})
        yield Server(port, (process.pid,))
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def footfall(*, loading: bool, pinned: bool = True) -> Iterator[Server]:
    """`footfall serve` with one worker and embedded chDB.

    Args:
        loading: False stops the store process, so that the worker is measured alone; the spool grows meanwhile.
        pinned: Keep the worker on a core of its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        command = [str(Path(sys.executable).with_name("footfall")), "serve", "--port", "0", "--data", str(data_dir)]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        ready = next(line for line in process.stdout if line.startswith("Footfall is ready"))
        children = _children(process.pid)
        key = json.loads((data_dir / "sources.json").read_text())["sources"][0]["write_key"]
        try:
            if pinned:
                os.sched_setaffinity(children["worker"], {SERVER_CPU})
                for task in Path(f"/proc/{children['worker']}/task").iterdir():
                    os.sched_setaffinity(int(task.name), {SERVER_CPU})
            if not loading:
                os.kill(children["storekeeper"], signal.SIGSTOP)
            port = int(ready.rpartition(":")[2])
            yield Server(port, (children["worker"],), key, data_dir, children["storekeeper"])
        finally:
            os.kill(children["storekeeper"], signal.SIGCONT)
            process.terminate()
            process.wait()
            process.stdout.close()


def event(number: int) -> dict[str, Any]:
    """A page view of about 550 bytes as the tag sends it, unlike any other."""
    url = f"https://shop.example/product.html?id=sku-{number % 1000}&utm_source=news&utm_medium=email"
    return {
        "type": "page",
        "messageId": str(uuid.UUID(int=(number << 64) | 0x8000_0000_0000_0001)),
        "anonymousId": str(uuid.UUID(int=number % 5_000 + 1)),
        "timestamp": "2026-11-22T12:00:00.000Z",
        "sequence": number % 50,
        "properties": {
            "url": url,
            "path": "/product.html",
            "referrer": "https://www.google.com/",
            "title": f"Product {number % 1000}",
            "page_type": "product",
            "load_ms": 812,
        },
    }


CONTEXT: dict[str, Any] = {
    "library": {"name": "footfall.js", "version": "0.1.0"},
    "locale": "en-GB",
    "timezone": "Europe/Berlin",
    "screen": {"width": 1920, "height": 1080, "innerWidth": 1512, "innerHeight": 861},
}
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


def post(first: int, count: int, write_key: str) -> bytes:
    """A whole HTTP request with a batch of `count` events, numbered from `first`."""
    batch = {
        "batch": [event(number) for number in range(first, first + count)],
        "context": CONTEXT,
        "writeKey": write_key,
        "sentAt": "2026-11-22T12:00:01.000Z",
    }
    body = json.dumps(batch, separators=(",", ":")).encode()
    head = (
        "POST /v1/b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
        f"User-Agent: {USER_AGENT}\r\nOrigin: https://shop.example\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _children(pid: int) -> dict[str, int]:
    pids = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return {Path(f"/proc/{child}/cmdline").read_text().split("\0")[2].rpartition(".")[2]: child for child in pids}


def await_port(port: int) -> None:
    """Wait until something listens on the port of this machine."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
