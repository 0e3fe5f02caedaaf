"""A real collector for tests: `footfall serve` as its users start it, on a data directory and a port of its own."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from collector.cli.ask import ask

FOOTFALL = str(Path(sys.executable).with_name("footfall"))
COMMAND_SECONDS_MAX = 90.0
STORED_SECONDS_MAX = 60.0


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def footfall(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [FOOTFALL, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        env=_environment(environment),
        check=False,
    )


@cache
def migrated() -> Path:
    """An embedded database as `footfall migrate` leaves it, made once for each pytest process.

    To make tables and views costs a collector more than all else it does at its start.
    """
    folder = Path(tempfile.mkdtemp(prefix="footfall-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    done = footfall("migrate", "--data", folder / "data")
    assert done.returncode == 0, done.stderr
    return folder / "data" / "db"


class Serving:
    """A running collector; where no database is named, on a copy of an empty one that is migrated.

    `first_start` lets it make its database by itself, as a demo always does.
    """

    def __init__(
        self, data_dir: Path, *flags: str, command: str = "serve", first_start: bool = False, **environment: str
    ) -> None:
        self.data_dir = data_dir
        elsewhere = "FOOTFALL_CLICKHOUSE" in environment or "--clickhouse" in flags
        if command == "serve" and not (first_start or elsewhere or (data_dir / "db").exists()):
            shutil.copytree(migrated(), data_dir / "db", symlinks=True)
        self._log = data_dir.with_name(f"{data_dir.name}.log")
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [FOOTFALL, command, "--data", str(data_dir), "--port", "0", *flags],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environment(environment),
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Footfall is ready at "):
                self.url = line.split()[-1]
                break
        else:
            raise AssertionError(f"footfall {command} did not start:\n{self.log()}")
        self.port = int(self.url.rpartition(":")[2])
        sources = json.loads((data_dir / "sources.json").read_text())["sources"]
        self.write_key: str = sources[0]["write_key"]

    def request(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def send(self, *events: dict[str, Any], key: str | None = None, **batch: Any) -> Answer:
        """Post a batch as the tag does."""
        body = json.dumps({"batch": list(events), "writeKey": key or self.write_key, **batch})
        return self.request("POST", "/v1/batch", body, {"content-type": "text/plain"})

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query: on the store process's socket, or where that has ended, by `footfall sql`."""
        content = ask(self.data_dir, "POST", "/query?format=JSONEachRow", query.encode())
        if content is None:
            done = footfall("sql", query, "--format", "JSONEachRow", "--data", self.data_dir)
            assert done.returncode == 0, done.stderr
            content = done.stdout.encode()
        return [json.loads(line) for line in content.splitlines()]

    def sql_until(self, query: str, enough: Any, seconds: float = STORED_SECONDS_MAX) -> list[dict[str, Any]]:
        """Ask until `enough(rows)`; the loader needs a moment after the acknowledgement."""
        deadline = time.monotonic() + seconds
        while True:
            rows = self.sql(query)
            if enough(rows) or time.monotonic() > deadline:
                assert enough(rows), f"still {rows} after {seconds} s\n{self.log()}"
                return rows

    def metric(self, name: str) -> float:
        """One value of /metrics; 0 when it is not there."""
        for line in self.request("GET", "/metrics").body.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[-1])
        return 0.0

    def until_loaded(self, seconds: float = STORED_SECONDS_MAX) -> None:
        """Wait until nothing is left in the spool."""
        deadline = time.monotonic() + seconds
        while self.metric("footfall_ledger_spooled") > 0:
            assert time.monotonic() < deadline, f"the spool did not drain within {seconds} s\n{self.log()}"
            time.sleep(0.05)

    def children(self) -> dict[str, int]:
        """Process ids of the children by their module: `storekeeper`, `worker`."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [int(pid) for pid in task.read_text().split()]
        return {Path(f"/proc/{pid}/cmdline").read_text().split("\0")[2].rpartition(".")[2]: pid for pid in pids}

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        """SIGKILL to the supervisor; its children see that and end by themselves."""
        self.process.kill()
        self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def log(self) -> str:
        """What the processes wrote to standard error."""
        return self._log.read_text()[-8_000:]


@contextmanager
def serving(
    data_dir: Path, *flags: str, command: str = "serve", first_start: bool = False, **environment: str
) -> Iterator[Serving]:
    """A collector for the length of a with block."""
    collector = Serving(data_dir, *flags, command=command, first_start=first_start, **environment)
    try:
        yield collector
    finally:
        collector.stop()


def _environment(extra: dict[str, str]) -> dict[str, str]:
    """Ours, without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
    return kept | extra
