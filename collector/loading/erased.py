"""Who was erased: what comes late of them is not stored.

    rights/erase.py --note--> erased_ids (keyed hashes) --Erased--> the loader leaves the rows out, counted as dropped

An erasure ends a person's past, not their future: what happened before it is left out however late it arrives (a page
that was offline, a client that tries again), what happens afterwards is a new visitor's. Where an event does not
credibly say when it happened, or belongs to one of several people of a device, its own id is remembered instead.

The table holds no id. Its key stands in the table, too: it keeps hashes of one installation from being looked up in
another's, and no more than that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b

from collector.database.store import Store
from collector.record import CLOCK_STEP_MS

TABLE = "erased_ids"
# A client's clock is corrected by whole steps, so an event of the last moment may seem to be of a moment later.
AHEAD_MS = CLOCK_STEP_MS
LOOK_MS = 30_000  # another collector on the same database may have erased somebody
CACHED_MAX = 100_000  # ids of which it is known whether they were erased; about 20 MB
HASH_BYTES = 16
KEY_BYTES = 32

Named = tuple[str, str, str]  # kind (visitor, user, message), source, id


class Erased:
    """The erased of one database, as the loader asks for them. Not thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: list[bytes] = []
        self._at: dict[str, int] = {}  # by kind and hash
        self._known: dict[Named, int] = {}
        self._state: object = None
        self._looked_ms: int | None = None

    def __bool__(self) -> bool:
        return bool(self._at)

    def look(self, now_ms: int, *, now: bool = False) -> None:
        """Read the table again where it is time, or at once. Raises StoreError."""
        if not now and self._looked_ms is not None and 0 <= now_ms - self._looked_ms < LOOK_MS:
            return
        table = f"{self._store.database}.{TABLE}"
        state = self._store.rows(f"SELECT count(), max(erased_at) FROM {table}")[0]
        self._looked_ms = now_ms
        if state == self._state:
            return
        rows = self._store.rows(
            f"SELECT kind, hash, toUnixTimestamp64Milli(max(erased_at)) FROM {table} GROUP BY kind, hash"
        )
        self._keys = [bytes.fromhex(hash_) for kind, hash_, _ in rows if kind == "key"]
        self._at = {f"{kind} {hash_}": at_ms for kind, hash_, at_ms in rows if kind != "key"}
        self._known.clear()
        self._state = state

    def note(self, names: Iterable[Named], at_ms: int) -> None:
        """Remember these as erased at a moment. Raises StoreError."""
        self.look(at_ms, now=True)
        fresh = [] if self._keys else [os.urandom(KEY_BYTES)]
        key = (self._keys + fresh)[0]
        rows = [("key", one.hex(), at_ms) for one in fresh]
        rows += [(name[0], _hash(key, name), at_ms) for name in dict.fromkeys(names)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        if columns:
            self._store.insert(TABLE, ["kind", "hash", "erased_at"], columns, token=os.urandom(8).hex())
        self.look(at_ms, now=True)

    def covers(self, names: Iterable[Named], at_ms: int) -> bool:
        """Is an event of these ids, which happened at a moment, one that was erased?"""
        return any(at_ms <= self._until(name) for name in names if name[2])

    def _until(self, name: Named) -> int:
        """Up to when events of this id are erased; -1 where it never was. A message is, whenever it happened."""
        known = self._known.get(name)
        if known is None:
            found = [self._at[word] for key in self._keys if (word := f"{name[0]} {_hash(key, name)}") in self._at]
            known = -1 if not found else 2**63 if name[0] == "message" else max(found) + AHEAD_MS
            if len(self._known) >= CACHED_MAX:
                self._known.clear()
            self._known[name] = known
        return known


def _hash(key: bytes, name: Named) -> str:
    return blake2b("\0".join(name).encode("utf-8", "replace"), key=key, digest_size=HASH_BYTES).hexdigest()
