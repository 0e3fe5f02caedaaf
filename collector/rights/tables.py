"""Where people stand in the database: the tables that are ours, and whatever else names somebody by source.

name, key --paged--> its rows along the sort key, so that a table of any size takes little memory
other_tables --> those that hold ids beside our two: stored sessions, audiences, and tables of the operator's own
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from collector.hindsight.ask import Ask
from collector.plan.values import literal

# What names one row; the sort key, and of failed events what tells two of one id apart.
KEYS = {
    "events": ("source_id", "visitor_id", "occurred_at", "message_id"),
    "failed_events": ("source_id", "received_at", "message_id", "reason"),
}
HOLDERS = ("visitor_id", "user_id", "person_id")  # columns that say whose a row of another table is
WORK = "erasing_"  # begins the names of tables that an erasure makes for its own time
# Ours that are dealt with otherwise, or in which nobody is named.
_NOT_OTHERS = {
    *KEYS, "erasures", "erased_ids", "plan_versions", "migrations", "counted_events",
    "audience_claims", "audience_refreshes", "audience_deliveries",
}  # fmt: skip

Record = dict[str, Any]


def other_tables(
    fetch: Callable[[str], Iterable[Sequence[object]]], database: str, *, distributed: bool = False
) -> tuple[dict[str, list[str]], list[str]]:
    """Tables beside our two: by name the columns that hold ids; and those without. What others write counts, too.

    A table whose rows stand for many events each, such as counts by day, holds nobody's id and is only named.

    Args:
        fetch: Answers a SELECT with its rows.
        database: The database's name as SQL.
        distributed: Those of a cluster too, which read from all shards.
    """
    kinds = "engine LIKE '%MergeTree' OR engine = 'Distributed'" if distributed else "engine LIKE '%MergeTree'"
    columns: dict[str, set[str]] = {}
    for table, column in fetch(
        f"SELECT table, name FROM system.columns WHERE database = {database} AND table IN "
        f"(SELECT name FROM system.tables WHERE database = {database} AND ({kinds}))"
    ):
        if table not in _NOT_OTHERS and not str(table).startswith(WORK):
            columns.setdefault(str(table), set()).add(str(column))
    holding: dict[str, list[str]] = {
        table: [name for name in HOLDERS if name in names]
        for table, names in sorted(columns.items())
        if "source_id" in names and names.intersection(HOLDERS)
    }
    return holding, sorted(set(columns) - set(holding))


def as_clause(settings: Mapping[str, object]) -> str:
    """ClickHouse's settings of one question, as SQL."""
    values = (f"{name} = {literal(value) if isinstance(value, str) else value}" for name, value in settings.items())
    return f"SETTINGS {', '.join(values)}"


def paged(
    ask: Ask, columns: str, source: str, key: Sequence[str], page_rows: int, settings: Mapping[str, object]
) -> Iterator[Record]:
    """Rows along the sort key, a page at a time.

    Args:
        ask: Answers questions to the database.
        columns: What is selected.
        source: The table and the conditions, which end in a WHERE.
        key: One of KEYS.
        page_rows: Rows of one question.
        settings: Of ClickHouse, for the answers.
    Raises:
        What `ask` does.
    """
    named = ", ".join(key)
    exact = ", ".join(f"toString({name}) AS _{name}" for name in key)
    after = ""
    while True:
        page = msgspec.json.Decoder(Record).decode_lines(
            ask(
                f"SELECT {columns}, {exact} FROM {source}{after} ORDER BY {named} LIMIT {page_rows} "
                f"{as_clause(settings)} FORMAT JSONEachRow"
            )
        )
        for row in page:
            last = [str(row.pop(f"_{name}")) for name in key]
            yield row
        if len(page) < page_rows:
            return
        values = ", ".join(
            f"toDateTime64({literal(text)}, 3, 'UTC')" if name.endswith("_at") else literal(text)
            for name, text in zip(key, last, strict=True)
        )
        after = f" AND ({named}) > ({values})"
