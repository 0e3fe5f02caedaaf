"""Databases that tests take and give back."""

from __future__ import annotations

import uuid

from collector.database.migrate import migrate
from collector.database.store import Store


class Databases:
    """Migrated databases, open, that are used again once they are empty: to make one takes ten times as long."""

    def __init__(self) -> None:
        self._free: dict[str, list[tuple[Store, Definitions]]] = {}

    def take(self, place: str) -> tuple[Store, Definitions]:
        """An empty, migrated database at a place, and what it consists of."""
        free = self._free.setdefault(place, [])
        if free:
            return free.pop()
        store = Store(place.format(name=f"test_{uuid.uuid4().hex}"))
        migrate(store)
        return store, definitions(store)

    def give_back(self, place: str, store: Store, before: Definitions) -> None:
        """Empty the database and drop what was added to it; drop it whole if it is not what it was then."""
        known = {name for name, _ in before}
        now = definitions(store)
        if added := [(name, made) for name, made in now if name not in known]:
            for name, made in added:
                kind = "TABLE" if made.startswith("CREATE ") else "VIEW"
                store.command(f"DROP {kind} {store.database}.`{name}` SYNC")
            now = definitions(store)
        if now != before:
            store.command(f"DROP DATABASE IF EXISTS {store.database} SYNC")
            store.close()
            return
        used = store.rows(f"SELECT DISTINCT table FROM system.parts WHERE database = '{store.database}'")
        for (name,) in used:
            if name != "migrations":
                store.command(f"TRUNCATE TABLE {store.database}.{name}")
        store.command(f"SYSTEM START MERGES {store.database}.events")  # never_merge of load/spooled.py stops them
        self._free[place].append((store, before))

    def close(self) -> None:
        """Let go of those that are free."""
        for free in self._free.values():
            for store, _ in free:
                store.close()


Definitions = list[tuple[str, str]]


def definitions(store: Store) -> Definitions:
    """All tables with how they were made, and all views with their ids: one that is made again has another.

    The text of a view is composed for each question, which costs 3 ms of CPU a view.
    """
    of = f"FROM system.tables WHERE database = '{store.database}' AND engine"
    tables = store.rows(f"SELECT name, create_table_query {of} != 'View' ORDER BY name")
    views = store.rows(f"SELECT name, toString(uuid) {of} = 'View' ORDER BY name")
    return [(str(name), str(made)) for name, made in [*tables, *views]]
