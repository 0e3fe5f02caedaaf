"""The supervisor: starts the store process and the workers, starts again what crashes, stops all in order.

Workers stop first, so that all they acknowledged is in the spool when the store process drains it.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.cli.child import Orders
from collector.config import Settings
from collector.metrics import Counters

log = logging.getLogger("footfall.serve")

READY_SECONDS_MAX = 30.0
WORKER_STOP_SECONDS = 4.0
STORE_STOP_SECONDS = 9.5  # from the order to stop; the whole must end within 10
CRASH_PAUSE_SECONDS_MAX = 2.0  # while a worker is away its visitors' browsers wait
COUNTER_NAMES = ("restarts_total",)
STEADY_SECONDS = 10.0  # a child that lived this long did not crash at once


class StartError(Exception):
    """The collector cannot start; the text is one sentence."""


class Child:
    """One child process and what to do when it ends."""

    def __init__(self, module: str, orders: Orders, inherited: tuple[int, ...]) -> None:
        self.name = orders.name
        self._module = module
        self._orders = orders
        self._inherited = inherited
        self._crashes = 0
        self._started = 0.0
        self.restart_at = 0.0
        self.ready = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `ready` is set once it says so."""
        self.ready.clear()
        self._started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=self._inherited,
            start_new_session=True,  # a Ctrl-C in the terminal is the supervisor's to hand on, in order
        )
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which `ended` sees
            self.process.stdin.write(msgspec.json.encode(self._orders) + b"\n")
            self.process.stdin.flush()
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == b"ready":
                self.ready.set()

    def ended(self) -> bool:
        """True when the process is not running."""
        return self.process is not None and self.process.poll() is not None

    def plan_restart(self) -> None:
        """Say when to start it again: at once the first time, ever later while it keeps crashing."""
        assert self.process is not None
        if time.monotonic() - self._started > STEADY_SECONDS:
            self._crashes = 0
        pause = min(0.1 * 2**self._crashes - 0.1, CRASH_PAUSE_SECONDS_MAX)
        self._crashes += 1
        self.restart_at = time.monotonic() + pause
        log.warning("%s ended with %s, starting it again in %.1f s", self.name, self.process.returncode, pause)

    def order_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait_until(self, deadline: float) -> None:
        """Wait for its end; kill it at the deadline."""
        if self.process is None:
            return
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop in time and is killed; what it had acknowledged is in the spool", self.name)
            self.process.kill()
            self.process.wait()


def bind(host: str, port: int, workers: int) -> list[socket.socket]:
    """Listen, on a socket of its own for each worker.

    Workers that share one socket leave each burst of connections to whoever wakes up first: of two workers one had all
    eight of a proxy's connections, for as long as these lived. With SO_REUSEPORT the kernel spreads them (socket(7)).
    Our copies stay open, so that what the kernel gives a worker which has crashed waits for the next one.

    Raises:
        StartError: the address cannot be had.
    """
    first = _listening(host, port, shared=False)
    if workers == 1:
        return [first]
    # It was ours alone, so nobody else listens there: those who share a port would take a part of its connections.
    port = first.getsockname()[1]
    first.close()
    return [_listening(host, port, shared=True) for _ in range(workers)]


def _listening(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise StartError(f"cannot listen on {host}:{port}: {reason}; choose another with --port") from error
    listener.listen(2_048)
    return listener


def supervise(
    settings: Settings,
    lock: int,
    listeners: list[socket.socket],
    *,
    demo: bool,
    started: Callable[[threading.Event], None],
) -> int:
    """Run all processes until told to stop.

    Args:
        settings: With `data` an existing directory that `lock` holds.
        lock: Descriptor of the directory's lock; the children keep it held.
        listeners: One for each worker.
        demo: Serve the demo shop.
        started: Called in a thread of its own once all are ready; its event is set when stopping.
    Returns:
        The exit code.
    Raises:
        StartError: a child was not ready in time.
    """
    run = Path(settings.data) / "run"
    run.mkdir(exist_ok=True)
    for left in run.glob("*.gauges"):  # of a run before, perhaps with more workers
        left.unlink()
    counters = Counters(run / "serve.counters", COUNTER_NAMES)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = Child("collector.cli.storekeeper", Orders(settings, "store"), (lock,))
    workers = [
        Child(
            "collector.cli.worker",
            Orders(settings, f"worker-{number}", listener.fileno(), demo),
            (lock, listener.fileno()),
        )
        for number, listener in enumerate(listeners)
    ]
    children = [store, *workers]
    for child in children:
        child.start()
    try:
        _await_ready(children, stop)
        if not stop.is_set():
            threading.Thread(target=started, args=(stop,), daemon=True).start()
        while not stop.wait(0.05):
            for child in children:
                if not child.ended():
                    continue
                if child.restart_at == 0.0:
                    child.plan_restart()
                elif time.monotonic() >= child.restart_at:
                    child.restart_at = 0.0
                    child.start()
                    counters.add("restarts_total")
    finally:
        for listener in listeners:
            listener.close()
        _stop_all(store, workers)
    return 0


def _await_ready(children: list[Child], stop: threading.Event) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    for child in children:
        while not child.ready.wait(0.05) and not stop.is_set():
            if child.ended():
                raise StartError(f"{child.name} could not start; the lines above say why")
            if time.monotonic() > deadline:
                raise StartError(f"{child.name} was not ready within {READY_SECONDS_MAX:.0f} s; see the lines above")


def _stop_all(store: Child, workers: list[Child]) -> None:
    begun = time.monotonic()
    for worker in workers:
        worker.order_stop()
    for worker in workers:
        worker.wait_until(begun + WORKER_STOP_SECONDS)
    store.order_stop()
    store.wait_until(begun + STORE_STOP_SECONDS)
