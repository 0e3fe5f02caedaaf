"""What the supervisor's children share: how they get their orders, say that they are ready, and know when to end.

A child reads one JSON line from its standard input, which stays open for as long as the supervisor lives: its end is
the order to stop, so that no child outlives a killed supervisor. It writes one line to its standard output when it is
ready, or the sentence that says why it cannot be. Logs go to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import msgspec
import uvicorn
from msgspec import Struct

from collector.config import Settings


class Orders(Struct):
    """What a child is told at its start."""

    settings: Settings
    name: str
    listener: int = -1
    demo: bool = False


def orders() -> Orders:
    """Read the orders from standard input; exits where the supervisor went before it gave any."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        sys.exit(0)
    return msgspec.json.decode(line, type=Orders)


def say(line: str) -> None:
    """Tell the supervisor one line. Where it is gone nobody needs to know, and the end of our input says so too."""
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), line.replace("\n", " ").encode() + b"\n")


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` once, at SIGTERM, at SIGINT, or when the supervisor is gone."""

    def watch() -> None:
        # Read past Python's buffer: at the interpreter's end a thread must not hold its lock.
        while os.read(0, 4_096):
            pass
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


# What ends a line for some program, steers a terminal, or turns the direction of what follows.
_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class OneLine(logging.Formatter):
    """A message is one line, whatever a client or a database wrote into it; lines of a traceback are indented."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line; characters that could begin another, or steer a terminal, are written as \\x1b and the like."""
        first, *more = super().format(_flat(record)).split("\n")
        return "\n".join([_shown(first), *("    " + _shown(line) for line in more)])


def _flat(record: logging.LogRecord) -> logging.LogRecord:
    """The record with its message in one line."""
    made = logging.makeLogRecord(record.__dict__)
    made.msg, made.args = _shown(record.getMessage()), None
    return made


def _shown(text: str) -> str:
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def log_to_stderr(name: str) -> None:
    """One line per message: when, which process, what."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        OneLine(f"%(asctime)s.%(msecs)03dZ {name} %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in ("uvicorn.access", "uvicorn.error", "clickhouse_connect", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class Server(uvicorn.Server):
    """uvicorn's server, which says when it is ready and ends as `on_stop` has it."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]  # a generator there
        """Leave the signals alone: uvicorn would raise them again at the end and kill what still drains."""
        return contextlib.nullcontext()

    async def run_until_stopped(self, sockets: list[socket.socket]) -> None:
        """Serve on these sockets until told to stop, then finish what is under way."""
        serving = asyncio.create_task(self.serve(sockets))
        while not self.started and not serving.done():
            await asyncio.sleep(0.005)
        on_stop(lambda: setattr(self, "should_exit", True))
        say("ready")
        await serving


class _NoPandas:
    """Says that there is no pandas."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("a collector's process does without pandas", name=fullname)


def do_without_pandas() -> None:
    """Keep pandas, which chDB brings, out of this process: half a second of CPU and 53 MB.

    pyarrow would load it at the first list that becomes an array, to see whether the list is a column of pandas.
    """
    sys.meta_path.insert(0, _NoPandas())


def settle_memory() -> None:
    """Take all that was made at the start out of the garbage collector's sight.

    It is kept for as long as the process lives; walking it again and again took a third of the time of an event.
    """
    gc.collect()
    gc.freeze()
