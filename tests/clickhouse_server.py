"""A real ClickHouse server for tests, without Docker and without root.

The npm package of tests/package.json ships ClickHouse as a shared library; a small process of its own loads it and lets
it listen, so that `kill -9` is a real outage. `npm ci` in tests/ installs it. FOOTFALL_TEST_CLICKHOUSE=http://… names
a server to use instead.

Run as a program (`python clickhouse_server.py DIRECTORY HTTP_PORT TCP_PORT [CONFIG]`) this module is that process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

# The server's users: the default one, and analysts as `footfall grants` makes them (tests/sql/test_grants.py).
USERS = Path(__file__).parent / "clickhouse_users.xml"
LIBRARY = Path(__file__).parent / "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"

# The library needs 1-2 s to start on an idle machine; a busy one with cold disks may need many times that.
START_DEADLINE_S = 60.0
POLL_S = 0.05
PING_TIMEOUT_S = 1.0
STOP_DEADLINE_S = 10.0

# Listening lasts as long as a query runs, so one runs for three years. Its limits on sleeping are lifted.
_SERVE = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; SELECT sleepEachRow(1) FROM numbers(100000000) "
    "SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1 FORMAT Null"
)

# prctl(2): ask the kernel to end this process with its parent, so that a killed test run leaves no server behind.
_PR_SET_PDEATHSIG = 1


class ServerError(Exception):
    """The server did not start. The text says why and what to do."""


class ClickHouseServer:
    """One server process on free ports of 127.0.0.1, its data in `directory`. Start it again after a kill."""

    def __init__(self, directory: Path, config: Path | None = None) -> None:
        """Choose ports; start nothing. `config` is an XML file, for example with remote_servers for a cluster."""
        if not LIBRARY.is_file():
            raise ServerError(f"{LIBRARY} is missing; run `npm ci` in {LIBRARY.parents[3]}")
        self.directory = directory
        self.config = config
        self.http_port, self.tcp_port = _free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address without a database, http://127.0.0.1:PORT."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def log(self) -> Path:
        """Where the process writes what it has to say."""
        return self.directory / "server.log"

    def start(self) -> None:
        """Start the process and wait until it answers. Raises ServerError after START_DEADLINE_S."""
        self.directory.mkdir(parents=True, exist_ok=True)
        arguments = [str(self.directory / "data"), str(self.http_port), str(self.tcp_port)]
        if self.config is not None:
            arguments.append(str(self.config))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__)), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"ClickHouse did not start within {START_DEADLINE_S:.0f} s; see {self.log}")
            time.sleep(POLL_S)

    def answers(self) -> bool:
        """Whether it answers /ping now."""
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=PING_TIMEOUT_S) as answer:
                return bool(answer.read() == b"Ok.\n")
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """End the process as a power cut would (SIGKILL) and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_DEADLINE_S)
            self._process = None


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on. All are held until all are chosen, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _serve(directory: str, http_port: str, tcp_port: str, config: str = "") -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    # Where its standard input is no terminal, ClickHouse's local program ends itself as soon as a client breaks a
    # connection at the wrong moment (SIGABRT, ClickHouse issue 115666); a server only logs it. So it is given one.
    os.dup2(os.openpty()[1], sys.stdin.fileno())
    arguments = [
        "clickhouse",
        "--interactive",
        "--multiquery",
        "--listen_host=127.0.0.1",
        f"--http_port={http_port}",
        f"--tcp_port={tcp_port}",
        f"--path={directory}",
        *([f"--config-file={config}"] if config else []),
        f"--query={_SERVE}",
    ]
    library = ctypes.CDLL(str(LIBRARY))
    library.query_stable_v2.restype = ctypes.c_void_p
    library.query_stable_v2(len(arguments), (ctypes.c_char_p * len(arguments))(*[a.encode() for a in arguments]))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
