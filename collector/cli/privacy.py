"""`footfall privacy`: what is kept of a person, that it goes, and what personal data there is at all."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec

from collector.cli.options import Failure, print_json, with_data
from collector.config import Settings

if TYPE_CHECKING:
    from collector.cli.plan.reading import Session
    from collector.rights.person import Person

LOADED_SECONDS_MAX = 60.0
_UNKNOWN = "nobody is known by this id, so see how it is written"


@click.group()
def privacy() -> None:
    """Export or erase what is kept of a person; look for personal data."""


def _of_a_person(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a person, and hand over its kind, id, source and whether only that id is meant."""

    @click.option("--visitor", metavar="ID", help="A device, by its visitor_id.")
    @click.option("--user", metavar="ID", help="Somebody who signed in, by user_id.")
    @click.option("--source", metavar="S", default="", help="Only this source; '*' for all that know the id.")
    @click.option("--exact", is_flag=True, help="Only what carries this very id; no other devices and names.")
    @wraps(function)
    def wrapped(*args: Any, visitor: str | None, user: str | None, source: str, exact: bool, **rest: Any) -> Any:
        if (visitor is None) == (user is None):
            raise Failure("say who: give --visitor ID or --user ID, one of them")
        kind, id_ = ("visitor", visitor) if user is None else ("user", user)
        return function(*args, (kind, id_, source, exact), **rest)

    return wrapped


@privacy.command("export")
@with_data
@_of_a_person
@click.option("--format", "fmt", metavar="F", help="json or csv (default: json; with --out, both).")
@click.option("--out", metavar="DIR", help="Write files there, readable by you alone; a folder that is not there yet.")
def export(settings: Settings, who: tuple[str, str, str, bool], fmt: str | None, out: str | None) -> None:
    """Everything that is kept of a person, as JSON on standard output or as files.

    That is: events, also of their other devices and from before they signed in, refused events, ids, traits and how
    those changed, stored sessions, the audiences they were in, and what tables of your own name them by source. Events
    that are spooled are loaded first. CSV is made for spreadsheets: a text that begins like a
    formula has a ' in front.
    """
    from collector.cli.plan.reading import reading
    from collector.rights.export import damaged_files, records
    from collector.rights.person import find_person

    if fmt not in (None, "json", "csv"):
        raise Failure(f"format {fmt!r} is not known; choose json or csv")
    if fmt == "csv" and out is None:
        raise Failure("CSV is one file for each kind of row; give a folder with --out")
    data_dir = Path(settings.data) if Path(settings.data).is_dir() else None
    kind, id_, source, exact = who
    with reading(settings, "footfall privacy export") as session:
        if data_dir is not None:
            _wait_until_loaded(session, data_dir)
        person = find_person(session.ask, kind, id_, source, exact=exact)
        found = records(session.ask, person, data_dir)
        if out is None:
            _write_json(sys.stdout, person, found)
            sys.stdout.write("\n")
        else:
            count = _write_files(Path(out), fmt, person, found)
            click.echo(f"{count:,} rows are in {out}")
        if not person.sources:
            click.echo(_UNKNOWN, err=True)
        damaged = len(damaged_files(data_dir, person)) if data_dir else 0
    if damaged:
        click.echo(f"{damaged} files of spool/damaged mention this person; nothing else in them can be read", err=True)


def _wait_until_loaded(session: Session, data_dir: Path) -> None:
    """Wait until a collector that runs has loaded what the spool held when we began."""
    from collector.loading.ledger import read_positions
    from collector.spooling.spool import count_spooled, segments

    wanted = {path.name: path.stat().st_size for path in segments(data_dir / "spool")}
    deadline = time.monotonic() + LOADED_SECONDS_MAX
    while True:
        loaded = read_positions(data_dir).segments
        behind = [name for name, end in wanted.items() if loaded.get(name, 0) < end]
        # A torn tail is never loaded, and holds no event.
        if not any((data_dir / "spool" / name).exists() for name in behind) or not count_spooled(
            data_dir / "spool", loaded
        ):
            return
        if time.monotonic() > deadline:
            problem = session.failure() or "it is slow"
            raise Failure(f"the spool holds events that the collector does not load ({problem}); see `footfall doctor`")
        time.sleep(0.05)  # nothing tells when the loader has passed


def _about(person: Person) -> dict[str, Any]:
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        person.kind: person.id,
        "sources": person.sources,
        "visitors": sorted({id_ for _, id_ in person.visitors} | {turn.visitor_id for turn in person.turns}),
        "users": sorted({id_ for _, id_ in person.users}),
    }


def _write_json(file: TextIO, person: Person, found: Iterator[tuple[str, dict[str, Any]]]) -> int:
    """One JSON document, written row by row."""
    from collector.rights.export import TABLES, as_json

    def text(value: object) -> str:
        return msgspec.json.encode(value).decode()

    file.write(f'{{"about": {text(_about(person))}')
    count, done = 0, iter(TABLES)
    current = ""
    for table, row in found:
        while current != table:
            file.write("]" if current else "")
            current = next(done, table)  # behind those that are always there come others
            file.write(f',\n"{current}": [')
            first = True
        file.write(("\n" if first else ",\n") + text(as_json(row)))
        first = False
        count += 1
    file.write("]" if current else "")
    file.write("".join(f',\n"{table}": []' for table in done) + "}")
    return count


def _write_files(folder: Path, fmt: str | None, person: Person, found: Iterator[tuple[str, dict[str, Any]]]) -> int:
    """One JSON document, one CSV file for each kind of row, or both."""
    from collector.rights.export import as_cells
    from collector.spreadsheet import csv_text

    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise Failure(f"{folder} cannot be made: {error.strerror}; name a folder that is not there yet") from error

    def opened(name: str) -> TextIO:
        return os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")

    with contextlib.ExitStack() as files:
        tables: dict[str, TextIO] = {}

        def noted(rows: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
            for table, row in rows:
                if fmt != "json":
                    if table not in tables:
                        tables[table] = files.enter_context(opened(f"{table}.csv"))
                        tables[table].write(csv_text([row]))
                    tables[table].write(csv_text([as_cells(row)]))
                yield table, row

        if fmt == "csv":
            return sum(1 for _ in noted(found))
        document = files.enter_context(opened("export.json"))
        count = _write_json(document, person, noted(found))
        document.write("\n")
        return count


@privacy.command("erase")
@with_data
@_of_a_person
@click.option("--receipt", metavar="FILE", help="Write the receipt there, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
def erase(settings: Settings, who: tuple[str, str, str, bool], receipt: str | None, yes: bool, as_json: bool) -> int:
    """Erase everything that is kept of a person, count what is left, and give a receipt; exit 1 if anything is left.

    Works while a collector runs and when none does. What happened until now and comes late is not stored; what the
    person does from now on is a new visitor's. The receipt names nobody: it holds a salted hash of the id.
    """
    from collector.cli.ask import ask, opened

    data_dir = Path(settings.data)
    if not data_dir.is_dir():
        raise Failure(f"there is no data directory {data_dir}; name the collector's with --data")
    kind, id_, source, exact = who
    if not yes and sys.stdin.isatty():
        click.confirm(f"Erase all that is kept of {kind} {id_}? This cannot be undone", abort=True, err=True)
    request = {"kind": kind, "id": id_, "source": source, "exact": exact}
    content = ask(data_dir, "POST", "/erase", msgspec.json.encode(request))
    if content is None:
        from collector.database.query import answer
        from collector.database.store import Store
        from collector.ingest.clock import now_ms
        from collector.loading.load import Loader
        from collector.rights.erase import Request
        from collector.rights.erase import erase as run

        with opened(settings, "footfall privacy erase") as lane:
            loader = Loader(data_dir, lane, now_ms, rows_max=settings.load_rows_max)
            with contextlib.closing(Store(settings.dsn_to_ask, read_only=True, cluster=settings.cluster)) as questions:
                wanted = msgspec.convert(request, Request)
                done = run(loader, lane, lambda sql: answer(questions, sql, "JSON"), data_dir, wanted, now_ms())
        content = msgspec.json.encode(done)
    found = msgspec.json.decode(content)
    if receipt is not None:
        Path(receipt).write_bytes(msgspec.json.format(content, indent=2) + b"\n")
    if as_json:
        print_json(found)
    else:
        for line in _as_text(found):
            click.echo(line)
    return 0 if found["ok"] else 1


def _as_text(receipt: dict[str, Any]) -> list[str]:
    lines = [f"{place}: {count:,} removed" for place, count in receipt["removed"].items() if count]
    lines += [
        f"{place}: {count:,} LEFT; erase again, then see `footfall doctor`" for place, count in receipt["left"].items()
    ]
    if receipt["old_parts"]:
        lines.append(f"the database drops {receipt['old_parts']} old files within minutes")
    if receipt["not_searched"]:
        lines.append(f"tables that name no visitor by source were not searched: {', '.join(receipt['not_searched'])}")
    verdict = "nothing is left" if receipt["ok"] else "not everything is gone"
    if not receipt["sources"]:
        verdict = f"{_UNKNOWN}; {verdict}"
    return [*lines, f"{verdict}; id hash {receipt['id_hash']} with salt {receipt['salt']}, {receipt['erased_at']}"]


@privacy.command("audit")
@with_data
@click.option("--rows", metavar="N", type=click.IntRange(1, 100_000_000), default=20_000, show_default=True,
              help="Look at about so many rows of each table, a fair sample.")  # fmt: skip
@click.option("--all", "look_at_all", is_flag=True, help="Look at all rows.")
@click.option("--plan", "plan_dir", metavar="DIR", help="Folder of the plan (default: the one the collector acts on).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit(settings: Settings, rows: int, look_at_all: bool, plan_dir: str | None, as_json: bool) -> int:
    """Say where personal data can be and how long it is kept, and look for some that no plan declares.

    That is: e-mail addresses, payment cards, bank accounts, tokens and telephone numbers, in events, refused ones,
    counted ones, and what audiences keep. Exit 1 if any is found. Values are not repeated, only where they are.
    """
    from collector.cli.plan.reading import reading
    from collector.database.retention import read_rules
    from collector.plan import read_plan
    from collector.rights.audit import audit as run
    from collector.rights.expire import days_aside

    plan = read_plan(Path(plan_dir) if plan_dir else settings.plan_dir)
    with reading(settings, "footfall privacy audit") as session:
        days = days_aside(read_rules(settings.retention), settings.set_aside_days)
        found = run(session.ask, plan, None if look_at_all else rows, days)
    if as_json:
        print_json(found)
        return 0 if found.ok else 1
    for table, columns in found.columns.items():
        click.echo(f"{table}, kept {found.kept[table]}")
        for names, what in columns.items():
            click.echo(f"  {names}: {what}")
    for file, what in found.files.items():
        click.echo(f"{file}: {what}")
    for one in found.declared:
        click.echo(f"declared: {one.property} of {one.event} is {one.pii_class}, handled by {one.handling}")
    for finding in found.findings:
        click.echo(f"FOUND  {finding.says}")
    looked = ", ".join(f"{count:,} of {found.stored[table]:,} {table}" for table, count in found.looked_at.items())
    verdict = "no undeclared personal data was found" if found.ok else f"{len(found.findings):,} findings"
    click.echo(f"{verdict}; looked at {looked}")
    return 0 if found.ok else 1
