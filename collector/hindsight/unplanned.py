"""Properties that came and that no plan names, with the types they were sent in.

events: violations, extra --> Unplanned --> what `status` lists; what `diff`, `check`, `release` hold new names against
"""

from __future__ import annotations

from msgspec import Struct

from collector.hindsight.ask import Ask, rows, since
from collector.hindsight.trial import PLANNED

ROWS_MAX = 5_000  # names of unplanned properties are anyone's choice; the most frequent ones come first
# Items of a list are one place: /properties/items/3/sku is /properties/items/*/sku. Twice, as matches do not overlap.
PLACE = "replaceRegexpAll(replaceRegexpAll({0}, '/[0-9]+(/|$)', '/*\\\\1'), '/[0-9]+(/|$)', '/*\\\\1')"
_ESCAPED = "replaceAll(replaceAll({0}, '~', '~0'), '/', '~1')"  # a name as a part of a pointer
DEPTH_MAX = 5  # levels within what was sent whole: as deep as plans are, and one query each where there is anything
_START = "unknown_property:/properties/"
_KINDS = {"Int64": "integer", "UInt64": "integer", "Double": "number", "String": "string", "Bool": "boolean",
          "Array": "array", "Object": "object", "Null": "null"}  # fmt: skip


class Unplanned(Struct, frozen=True):
    """A property of one event that was sent `count` times with values of one kind.

    `path` is its JSON pointer within the properties, all items of a list as one: `items/*/odd`. `kind` is a type of
    JSON, integers told from numbers; empty where the value was not kept.
    """

    event: str
    path: str
    kind: str
    count: int

    @property
    def name(self) -> str:
        """The path as people write it."""
        return self.path.replace("~1", "/").replace("~0", "~")


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
        f"SELECT event, {PLACE.format(at)} AS path, "
        f"if(JSONHas(extra, {at}), toString(JSONType(extra, {at})), '') AS kind, count() AS n "
        f"FROM events ARRAY JOIN violations AS violation "
        f"WHERE {since(from_ms)} AND {PLANNED} AND startsWith(violation, '{_START}') "
        f"GROUP BY event, path, kind ORDER BY n DESC, event, path, kind "
        f"{f'LIMIT {each} BY event ' if each is not None else ''}LIMIT {ROWS_MAX}",
        tuple[str, str, str, int],
    )
    return [Unplanned(event, path, _KINDS.get(kind, ""), count) for event, path, kind, count in found]


def seen_kinds(ask: Ask, from_ms: int) -> dict[str, dict[str, set[str]]]:
    """By event and path the kinds of values in which an unplanned property was sent: what `compare` calls `seen`.

    What was sent whole, an object or a list, is looked into, too: a plan may name what is in it.
    """
    kinds: dict[str, dict[str, set[str]]] = {}
    found = unplanned(ask, from_ms)
    for depth in range(DEPTH_MAX + 1):
        for one in found:
            if one.kind:
                kinds.setdefault(one.event, {}).setdefault(one.path, set()).add(one.kind)
        if depth == DEPTH_MAX or not any(one.kind in ("object", "array") for one in found):
            break
        found = _within(ask, from_ms, depth + 1)
    return kinds


def _within(ask: Ask, from_ms: int, depth: int) -> list[Unplanned]:
    """What stands so many levels below an unplanned property; all items of a list are one place."""
    at = f"substring(violation, {len(_START) + 1})"
    level = (
        f"SELECT event, {PLACE.format(at)} AS path, JSONExtractRaw(extra, {at}) AS raw "
        f"FROM events ARRAY JOIN violations AS violation "
        f"WHERE {since(from_ms)} AND {PLANNED} AND startsWith(violation, '{_START}')"
    )
    for _ in range(depth):
        level = (
            "SELECT event, concat(place, '/', child.1) AS path, child.2 AS raw FROM ("
            f"SELECT event, path AS place, arrayJoin(if(startsWith(raw, '{{'), arrayMap(pair -> "
            f"({_ESCAPED.format('pair.1')}, pair.2), JSONExtractKeysAndValuesRaw(raw)), "
            f"arrayMap(item -> ('*', item), JSONExtractArrayRaw(raw)))) AS child FROM ({level}))"
        )
    found = rows(
        ask,
        f"SELECT event, path, toString(JSONType(raw)) AS kind, count() AS n FROM ({level}) "
        f"GROUP BY event, path, kind ORDER BY n DESC, event, path, kind LIMIT {ROWS_MAX}",
        tuple[str, str, str, int],
    )
    return [Unplanned(event, path, _KINDS.get(kind, ""), count) for event, path, kind, count in found]
