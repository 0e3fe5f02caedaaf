"""The plan of a running process: read at the start, and again whenever plan.lock is replaced.

    plan.lock --stat, twice a second--> changed? --LockReader--> Plan --CompiledPlan(previous)--> handed over, whole

Only what changed is made anew: lines of the lock that are the same keep their events, and events of the same hash their
decoders, each of which is made when its event is first seen. A lock that cannot be used changes nothing: the plan that
runs goes on, one line in the log says why, and it is counted. A folder without plan.lock is compiled from its YAML at
the start, and stays as it was then until there is a lock.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from collector.files import Signature, replace_file, signature
from collector.plan.check import CompiledPlan
from collector.plan.load import load_plan
from collector.plan.lock import LOCK_NAME, LockReader
from collector.plan.model import Plan
from collector.plan.problems import PlanError

log = logging.getLogger("footfall.plan")

# A stat costs 2 us; half of the second within which a release is live, so that a bad look has another.
LOOK_SECONDS = 0.5
# Counters of a process that follows a plan; `LivePlan.reloads` and `.failures` are added to them.
COUNTER_NAMES = ("plan_reloads_total", "plan_reload_failures_total")


def read_plan(folder: Path) -> Plan:
    """The plan that a collector takes from a folder: that of plan.lock when there is one, else that of the YAML files,
    which says of itself that it was not released.

    Raises:
        PlanError: one line per mistake, `file:line:column: sentence`.
    """
    lock = folder / LOCK_NAME
    return LockReader().read(lock) if lock.exists() else _unreleased(folder)


def _unreleased(folder: Path) -> Plan:
    return replace(load_plan(folder), unreleased=True)


class LivePlan:
    """The plan of one process, and the eye on its lock. Not for several threads at once.

    `compiled` is the plan as it is now, `reloads` and `failures` count what followed the start.
    """

    def __init__(self, folder: Path, kept: Path | None = None) -> None:
        """Read and compile the plan of a folder.

        Args:
            folder: It holds plan.lock, or plan.yaml and its files.
            kept: Where the last lock that could be used is kept, so that a process which starts while the lock is
                broken judges as its neighbours do; None keeps none.
        Raises:
            PlanError: there is no plan that can be used, neither in the folder nor kept.
        """
        self._lock = folder / LOCK_NAME
        self._kept = kept
        self._reader = LockReader()
        self._seen = signature(self._lock)
        self._doubtful: Signature | None = None
        self.reloads = 0
        self.failures = 0
        self._plan = self._first(folder)
        self.compiled = CompiledPlan(self._plan)

    def _first(self, folder: Path) -> Plan:
        if self._seen is None:
            plan = _unreleased(folder)
            log.info(
                "%s has no %s, so its files were compiled, and events are stored under version %s; after an edit, "
                "start again or run `footfall plan release`",
                folder, LOCK_NAME, plan.label,
            )  # fmt: skip
            return plan
        try:
            plan, data = self._reader.read_with_bytes(self._lock)
        except PlanError as error:
            if self._kept is None or not self._kept.exists():
                raise
            plan = self._reader.read(self._kept)
            self.failures += 1
            log.error("the plan cannot be used, the last good one (%s) is: %s", plan.label, error)  # noqa: TRY400 - a mistake of an editor, not of ours: no traceback
        else:
            self._keep(data)
        return plan

    @property
    def said(self) -> dict[str, str]:
        """Which plan it is, for /version: name, version and hash."""
        return {"name": self._plan.name, "version": self._plan.label, "hash": self._plan.hash}

    def look(self) -> CompiledPlan | None:
        """Look at the lock once; the plan when there is another one now, else None. Never raises."""
        now = signature(self._lock)
        if now == self._seen:
            return None
        if now is None:
            self._seen = None
            log.warning("%s is gone; the plan that was in it (%s) goes on", self._lock, self._plan.label)
            return None
        try:
            plan, data = self._reader.read_with_bytes(self._lock)
            compiled = (
                None
                if (plan.hash, plan.label) == (self._plan.hash, self._plan.label)
                else CompiledPlan(plan, self.compiled)
            )
        except Exception as error:  # whatever is in the file, what runs goes on
            self._refused(now, error)
            return None
        self._seen = now
        if compiled is None:
            return None
        was, self._plan, self.compiled = self._plan, plan, compiled
        self.reloads += 1
        self._keep(data)
        log.info("plan %s %s is live (%s…), after %s", plan.name, plan.label, plan.hash[:12], was.label)
        return compiled

    def _refused(self, now: Signature, error: Exception) -> None:
        """Say it once. A file that is just being written by something else than a rename gets a second look first."""
        if self._doubtful != now:
            self._doubtful = now
            return
        self._seen = now
        self.failures += 1
        problem = str(error).splitlines()[0] if isinstance(error, PlanError) else f"{self._lock}:1:1: {error!r}"
        log.error("the new plan cannot be used, version %s goes on: %s", self._plan.label, problem)

    def _keep(self, data: bytes) -> None:
        """Keep this lock for a start while the next is broken. Best effort: without it only such a start is refused."""
        if self._kept is not None:
            with contextlib.suppress(OSError):
                replace_file(self._kept, data)

    def follow(
        self, adopt: Callable[[CompiledPlan], None], stop: threading.Event, looked: Callable[[], None] = lambda: None
    ) -> threading.Thread:
        """Look at the lock every LOOK_SECONDS in a thread of its own, until `stop` is set.

        Args:
            adopt: Called in that thread with each new plan; it hands it to where events are judged.
            stop: Ends the thread within LOOK_SECONDS.
            looked: Called in that thread after each look, to count.
        """

        def run() -> None:
            while True:
                if (compiled := self.look()) is not None:
                    adopt(compiled)
                    del compiled
                    gc.collect()  # Structs of the plan before are classes, which only the collector of garbage frees
                looked()
                if stop.wait(LOOK_SECONDS):
                    return

        thread = threading.Thread(target=run, name="plan-watch", daemon=True)
        thread.start()
        return thread
