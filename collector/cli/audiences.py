"""What keeps audiences up to date: in the store process on their schedules, and for commands.

folder/*.sql --every LOOK_SECONDS--> due? --refresh--> changes --deliver--> webhook
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from collector.audience.definition import Audience, AudienceError, names_in, path_of, read_audience
from collector.audience.deliver import EXPORT, Told, Window, deliver, record
from collector.audience.refresh import forget, last_refreshed, refresh, tried_ms
from collector.audience.webhook import Webhook, secret_of
from collector.database.store import Store, StoreError
from collector.files import Signature, signature
from collector.rounds import rounds

log = logging.getLogger("footfall.audiences")

LOOK_SECONDS = 2.0  # a schedule's finest step is a minute
RETRY_SECONDS_MAX = 30.0
RESUME_MS = 300_000  # after a webhook has refused all tries of a batch
AGAIN_MS = 30_000  # after the database could not be reached


class Audiences:
    """All audiences of a folder, on one lane to the database. Its methods may be called from several threads."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        now_ms: Callable[[], int],
        *,
        private: bool = False,
        wait: Callable[[float], bool],
    ) -> None:
        """Nothing is read yet.

        Args:
            folder: It holds the audiences' files; it need not exist.
            environment: Holds the secrets that the files name.
            now_ms: The clock.
            private: Whether webhooks may be neighbours.
            wait: Waits for so many seconds between tries; True when it is time to stop instead.
        """
        self._folder = folder
        self._environment = environment
        self._now_ms = now_ms
        self._private = private
        self._wait = wait
        self._lock = threading.Lock()
        self._tried: dict[str, int] = {}  # by name: the last moment of its schedule that was seen to
        self._resume: dict[str, int] = {}  # by name: when to go on with what failed
        self._read: dict[str, tuple[Signature | None, Audience | None]] = {}

    def act(self, store: Store, action: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a command asks; the answer is what it prints as JSON.

        Args:
            store: Opened `inside`.
            action: refresh, send, exported or forget.
            name: Of the audience; for refresh `` means all that are due.
            options: `everybody` of send, `to_id` and the like of exported.
        Raises:
            AudienceError: saying why it cannot be done.
            StoreError: the database cannot be reached.
        """
        with self._lock:
            if action == "refresh" and not name:
                return {"refreshed": self._refresh_due(store)}
            if action == "forget":
                return {"audience": name, "left": forget(store, name, self._now_ms)}
            if action == "exported":
                window = Window("changes", int(options["from_id"]), int(options["to_id"]), int(options["batch_rows"]))
                record(
                    store, name, EXPORT, window,
                    batch=1, batches=1, persons=int(options["persons"]), tries=1, now=self._now_ms(),
                )  # fmt: skip
                return {"audience": name}
            audience = read_audience(self._folder, name)
            if action == "send":
                return {"audience": name} | _shown(
                    self._tell(store, audience, everybody=bool(options.get("everybody")))
                )
            return self._refresh(store, audience, send=bool(options.get("send", True)))

    def run(self, store: Store, stop: threading.Event) -> None:
        """Look every LOOK_SECONDS until `stop` is set; after failures ever more seldom."""

        def look() -> None:
            with self._lock:
                self._refresh_due(store)

        failing = "audiences cannot be looked at"
        rounds(look, LOOK_SECONDS, stop, log, failing, known=AudienceError, seconds_max=RETRY_SECONDS_MAX)

    # What is due

    def _refresh_due(self, store: Store) -> list[dict[str, Any]]:
        done = []
        for name in names_in(self._folder):
            audience = self._current(name)
            if audience is None or self._now_ms() < self._resume.get(name, 0):
                continue
            try:
                if self._is_due(store, audience):
                    done.append(self._refresh(store, audience, send=True))
                elif name in self._resume:
                    del self._resume[name]
                    if audience.destination is not None and last_refreshed(store.rows, name) is not None:
                        self._tell(store, audience)
            except AudienceError as error:
                self._resume[name] = self._now_ms() + RESUME_MS
                log.warning("%s", error)
            except StoreError as error:
                self._tried.pop(name, None)
                self._resume[name] = self._now_ms() + AGAIN_MS
                log.warning("audience %s waits for the database: %s", name, error)
        return done

    def _is_due(self, store: Store, audience: Audience) -> bool:
        """Whether a moment of its schedule has passed since it was last tried; True once for each."""
        slot = audience.due.latest_ms(self._now_ms())
        if slot <= self._tried.get(audience.name, 0):
            return False
        due = tried_ms(store, audience.name) < slot
        self._tried[audience.name] = slot
        return due

    def _current(self, name: str) -> Audience | None:
        """An audience as its file is now; None, told of once, when it cannot be read."""
        now = signature(path_of(self._folder, name))
        if name in self._read and self._read[name][0] == now:
            return self._read[name][1]
        audience: Audience | None = None
        try:
            audience = read_audience(self._folder, name)
        except AudienceError as error:
            log.warning("an audience is left out: %s", error)
        self._read[name] = now, audience
        self._tried.pop(name, None)
        self._resume[name] = 0  # what was not told before this process began is told now
        return audience

    # What is done

    def _refresh(self, store: Store, audience: Audience, *, send: bool) -> dict[str, Any]:
        done = refresh(store, audience, self._now_ms, uuid.uuid4().hex)
        log.info(
            "audience %s has %d members, %d entered, %d left", audience.name, done.members, done.entered, done.left
        )
        shown: dict[str, Any] = {
            "audience": audience.name,
            "version": done.version,
            "refresh": done.refresh_id,
            "members": done.members,
            "entered": done.entered,
            "left": done.left,
        }
        if send and audience.destination is not None:
            shown |= _shown(self._tell(store, audience))
        return shown

    def _tell(self, store: Store, audience: Audience, *, everybody: bool = False) -> Told:
        to = audience.destination
        hook = Webhook(to.url, secret_of(to.secret, self._environment), self._private) if to else Webhook("", b"")
        told = deliver(store, audience, hook, everybody=everybody, now_ms=self._now_ms, wait=self._wait)
        if told.failure:
            self._resume[audience.name] = self._now_ms() + RESUME_MS
            log.warning("audience %s was not told of whole, and goes on later: %s", audience.name, told.failure)
        else:
            self._resume.pop(audience.name, None)
        return told


def _shown(told: Told) -> dict[str, Any]:
    return {"sent": told.persons, "batches": told.batches} | ({"failure": told.failure} if told.failure else {})
