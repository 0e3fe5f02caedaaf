"""The store process's eye on the tracking plan: what workers check events by, the database shows.

    plan.lock --stat--> changed? --read_plan--> Plan --> typed views and plan_versions

A plan that cannot be read changes nothing here, as with the workers (plan/live.py): what is shown stays, one line in
the log says why.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from collector.database.publish import publish_views, record_version
from collector.database.store import Store, StoreError
from collector.files import Signature, signature
from collector.plan import PlanError, read_plan
from collector.plan.lock import LOCK_NAME, read_lock
from collector.plan.model import Plan
from collector.rounds import rounds

log = logging.getLogger("footfall.publish")

LOOK_SECONDS = 1.0  # a stat costs 2 us; a view may follow its plan a moment later
RETRY_SECONDS_MAX = 30.0


class Publisher:
    """Publishes the plan of a folder. Its methods may be called from several threads."""

    def __init__(self, folder: Path, kept: Path, now_ms: Callable[[], int]) -> None:
        """Nothing is read yet.

        Args:
            folder: It holds plan.lock, or plan.yaml and its files.
            kept: The last lock that a worker could use, for a start while the folder's is broken.
            now_ms: The clock.
        """
        self._folder = folder
        self._kept = kept
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._seen: list[Signature | None] = []  # the state of the file that was read; a list, as None is a state, too
        self._plan: Plan | None = None
        self._published: Plan | None = None

    def look(self, store: Store) -> list[str]:
        """Publish the plan if it is another one than before; return what was done.

        Raises:
            StoreError: the next look tries again.
        """
        with self._lock:
            plan = self._current()
            if plan is None or plan is self._published:
                return []
            return self._publish(store, plan)

    def publish(self, store: Store) -> list[str]:
        """Publish the plan whether or not it was before, so that a dropped view comes back. Raises StoreError."""
        with self._lock:
            plan = self._current()
            return [] if plan is None else self._publish(store, plan)

    def run(self, store: Store, stop: threading.Event) -> None:
        """Look every LOOK_SECONDS until `stop` is set; after a failure of the database ever more seldom."""

        def look() -> None:
            if done := self.look(store):
                log.info("applied %s", ", ".join(done))

        failing = "the plan's views cannot be made"
        rounds(look, LOOK_SECONDS, stop, log, failing, known=StoreError, seconds_max=RETRY_SECONDS_MAX, at_once=True)

    def _publish(self, store: Store, plan: Plan) -> list[str]:
        done = publish_views(store, plan)
        if record_version(store, plan, self._now_ms()):
            log.info("plan %s %s is live in the database", plan.name, plan.label)
        self._published = plan
        return done

    def _current(self) -> Plan | None:
        """The plan as it is now, or the last that could be read; None when none ever could."""
        now = signature(self._folder / LOCK_NAME)
        if self._seen == [now] or (now is None and self._plan is not None):
            return self._plan
        self._seen = [now]
        found = self._read()
        if found is not None and (
            self._plan is None or (found.hash, found.label) != (self._plan.hash, self._plan.label)
        ):
            self._plan = found
        return self._plan

    def _read(self) -> Plan | None:
        try:
            return read_plan(self._folder)
        except PlanError as error:
            log.warning("the plan's views stay as they are: %s", str(error).splitlines()[0])
        if self._plan is None and self._kept.exists():
            with contextlib.suppress(PlanError):  # then there is none that could be shown
                return read_lock(self._kept)
        return None
