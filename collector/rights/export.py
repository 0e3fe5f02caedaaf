"""Everything that is kept of a person: a copy for them, as JSON or as tables for a spreadsheet.

find_person --> identities, profile and its history, events, failed events, what lies in files, other tables
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from collector.hindsight.ask import Ask
from collector.loading.refused import FOLDER
from collector.plan.values import quoted
from collector.rights.person import Person, pairs, rows
from collector.rights.tables import KEYS, Record, as_clause, other_tables, paged

PAGE_ROWS = 2_000  # of at most some 100 KB each
# Those that are there of everybody; behind them come other tables of this database that name the person.
TABLES = ("identities", "profiles", "profile_history", "events", "failed_events", "refused_events")
# Columns that hold JSON: in a JSON export they are part of it.
_JSON = ("properties", "traits", "context", "extra", "raw", "attributes")
_SETTINGS = {
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_decimals": 0,
    "output_format_json_named_tuples_as_objects": 1,
    "date_time_output_format": "iso",
    "log_queries": 0,
}


def records(ask: Ask, person: Person, data_dir: Path | None) -> Iterator[tuple[str, Record]]:
    """All there is: the name of a table, those of TABLES first and in their order, and one of its rows.

    Other tables are stored sessions, the audiences that the person was in, and those of the operator's own that hold a
    source and an id.

    Raises:
        What `ask` does.
    """
    if person.person_ids:
        ids = pairs(person.person_ids)
        yield from _all(ask, "identities", f"identities WHERE (source_id, person_id) IN {ids}", "kind, id")
        yield from _all(ask, "profiles", f"profiles WHERE kind = 'person' AND (source_id, id) IN {ids}", "id")
        of_history = f"profile_history WHERE kind = 'person' AND (source_id, id) IN {ids}"
        yield from _all(ask, "profile_history", of_history, "id, since, trait")
    if person.sources:
        for table, source in (
            ("events", f"events FINAL WHERE {person.of_events()}"),
            ("failed_events", f"failed_events WHERE {person.of_failed()}"),
        ):
            for row in paged(ask, "* EXCEPT (batch_id)", source, KEYS[table], PAGE_ROWS, _SETTINGS):
                yield table, row
    if data_dir is not None:
        for _, found, _ in refused_files(data_dir, person):
            yield from (("refused_events", row) for row in found)
    if person.sources:
        others, _ = other_tables(lambda sql: rows(ask, sql), "currentDatabase()", distributed=True)
        others.pop("visitor_marks", None)  # a list of work: it says nothing of them but the id
        for table, columns in others.items():
            yield from _all(ask, table, f"{quoted(table)} WHERE {person.of_other(columns)}", "ALL")


def _all(ask: Ask, table: str, source: str, order: str) -> Iterator[tuple[str, Record]]:
    content = ask(f"SELECT * FROM {source} ORDER BY {order} {as_clause(_SETTINGS)} FORMAT JSONEachRow")
    for row in msgspec.json.Decoder(Record).decode_lines(content):
        yield table, row


def refused_files(data_dir: Path, person: Person) -> Iterator[tuple[Path, list[Record], list[Record]]]:
    """Files of events that the database refused, with the rows that are the person's, and the others."""
    for path in sorted((data_dir / "load" / FOLDER).glob("*.json")):
        kept: list[Record] = msgspec.json.decode(path.read_bytes())
        found = [row for row in kept if person.owns(row)]
        if found:
            yield path, found, [row for row in kept if not person.owns(row)]


def damaged_files(data_dir: Path, person: Person) -> list[Path]:
    """Files of bytes that could not be read in which an id of the person stands."""
    found = sorted((data_dir / "spool" / "damaged").glob("*"))
    return [path for path in found if person.mentioned_in(path.read_bytes())]


def as_json(row: Record) -> Record:
    """A row whose columns of JSON are a part of it, where they can be read."""
    shown = dict(row)
    for name in _JSON:
        if isinstance(text := shown.get(name), str):
            with contextlib.suppress(msgspec.DecodeError, RecursionError):
                shown[name] = msgspec.json.decode(text)
    return shown


def as_cells(row: Record) -> list[object]:
    """A row for CSV: what has parts as JSON."""
    return [msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value for value in row.values()]
