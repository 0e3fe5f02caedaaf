"""Properties that came and that no plan names, with the types they were sent in.

events: violations, extra --> Unplanned --> what `status` lists, and what `diff --days` holds new names against
"""

from __future__ import annotations

from msgspec import Struct

from collector.hindsight.ask import Ask, rows, since
from collector.hindsight.trial import PLANNED

ROWS_MAX = 5_000  # names of unplanned properties are anyone's choice; the most frequent ones come first
_START = "unknown_property:/properties/"
_KINDS = {"Int64": "integer", "UInt64": "integer", "Double": "number", "String": "string", "Bool": "boolean",
          "Array": "array", "Object": "object", "Null": "null"}  # fmt: skip


class Unplanned(Struct, frozen=True):
    """A property of one event that was sent `count` times with values of one kind.

    `name` is its path within the properties, `items/0/odd`. `kind` is a type of JSON, integers told from numbers;
    empty where the value was not kept.
    """

    event: str
    name: str
    kind: str
    count: int


def unplanned(ask: Ask, from_ms: int, each: int | None = None) -> list[Unplanned]:
    """What was sent and not planned, the most frequent first.

    Args:
        ask: Answers questions to the database.
        from_ms: Received from that moment on.
        each: At most so many of one event; None for ROWS_MAX of all.
    """
    at = f"substring(violation, {len(_START) + 1})"  # `extra` has a value by the same path, stripped or not
    found = rows(
        ask,
        f"SELECT event, replaceAll(replaceAll({at}, '~1', '/'), '~0', '~') AS name, "
        f"if(JSONHas(extra, {at}), toString(JSONType(extra, {at})), '') AS kind, count() AS n "
        f"FROM events ARRAY JOIN violations AS violation "
        f"WHERE {since(from_ms)} AND {PLANNED} AND startsWith(violation, '{_START}') "
        f"GROUP BY event, name, kind ORDER BY n DESC, event, name, kind "
        f"{f'LIMIT {each} BY event ' if each is not None else ''}LIMIT {ROWS_MAX}",
        tuple[str, str, str, int],
    )
    return [Unplanned(event, name, _KINDS.get(kind, ""), count) for event, name, kind, count in found]


def seen_kinds(ask: Ask, from_ms: int) -> dict[str, dict[str, set[str]]]:
    """By event and name the kinds of values in which an unplanned property was sent: what `compare` calls `seen`."""
    kinds: dict[str, dict[str, set[str]]] = {}
    for one in unplanned(ask, from_ms):
        if one.kind:
            kinds.setdefault(one.event, {}).setdefault(one.name, set()).add(one.kind)
    return kinds
