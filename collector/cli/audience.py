"""`footfall audience`: save a SELECT of persons under a name, keep who is in it, and take it to other tools."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
import msgspec

from collector.cli.options import Failure, print_json, settings_of
from collector.config import Settings

if TYPE_CHECKING:
    from collector.audience.definition import Audience
    from collector.audience.deliver import Window
    from collector.audience.refresh import Rows


@click.group()
def audience() -> None:
    """Save who is in an audience as a SELECT, keep it up to date, and export or post it.

    An audience is a file beside the tracking plan: audiences/NAME.sql in its folder, or in the data directory where the
    plan is the one that ships.
    """


def _with_folder(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data, --plan and --config, and hand the settings over as the first argument."""

    @click.option("--data", metavar="DIR", help="Data directory (default: footfall-data).")
    @click.option("--plan", metavar="DIR", help="Folder of the tracking plan, which holds audiences/.")
    @click.option("--config", metavar="FILE", help="TOML file of settings.")
    @wraps(function)
    def wrapped(data: str | None, plan: str | None, config: str | None, **rest: Any) -> Any:
        return function(settings_of(data=data, plan=plan, config=config), **rest)

    return wrapped


@audience.command()
@click.argument("name")
@click.option("--query", metavar="SQL", help="One SELECT with a column person_id; - reads it from standard input.")
@click.option("--description", metavar="TEXT", help="Who is in it, in one line.")
@click.option("--schedule", metavar="WORDS", help="Such as: every hour, every day at 06:00 (UTC), manual.")
@click.option("--persons", metavar="N", type=int, help="Most persons it may have (default: 1000000).")
@click.option("--seconds", metavar="N", type=int, help="Most seconds a refresh may take (default: 60).")
@click.option("--megabytes", metavar="N", type=int, help="Most memory a refresh may take (default: 1000).")
@click.option("--url", metavar="URL", help='Webhook that is told of changes; "" for none.')
@click.option("--secret", metavar="WHERE", help="What signs them: env:AUDIENCE_NAME or file:/path.")
@click.option("--send", type=click.Choice(["changes", "all"]), help="What is told after a refresh (default: changes).")
@click.option("--batch", metavar="N", type=int, help="Persons in one request (default: 500).")
@_with_folder
def define(settings: Settings, name: str, **given: Any) -> None:
    """Define an audience, or change one; what is not named stays.

    The query is tried first. Another query than before is a new version; so is one that was edited in the file, which
    this command reads where --query is absent.
    """
    from collector.audience.definition import write_audience

    before, stated = _before(settings, name)
    wanted = _wanted(name, before, given)
    with _asking(settings) as rows:
        from collector.audience.refresh import canonical, columns_of, known_versions

        columns = columns_of(rows, canonical(rows, wanted.query))
        known = known_versions(rows, name)
    version = wanted.version
    if before is not None and stated != wanted.hash:
        version += 1
    if known.get(version, wanted.hash) != wanted.hash:
        version = max(known) + 1
    path = write_audience(settings.audience_dir, msgspec.structs.replace(wanted, version=version))
    others = [column.name for column in columns if column.name not in ("person_id", "source_id")]
    click.echo(f"wrote {path}, version {version}; attributes: {', '.join(others) or 'none'}")


def _before(settings: Settings, name: str) -> tuple[Audience | None, str]:
    from collector.audience.definition import path_of, read_edited

    if not path_of(settings.audience_dir, name).exists():
        return None, ""
    return read_edited(settings.audience_dir, name)


def _wanted(name: str, before: Audience | None, given: Mapping[str, Any]) -> Audience:
    """The audience as it is to be, with the version it had."""
    from collector.audience.definition import Audience, AudienceError, Destination, Limits, checked

    said = {key: value for key, value in given.items() if value is not None}
    query = said.get("query")
    if query == "-":
        query = sys.stdin.read()
    if before is None and query is None:
        raise Failure(f"audience {name} is new; say who is in it with --query 'SELECT person_id FROM persons WHERE …'")
    start = before or Audience(name, f"{name.replace('_', ' ')}.", "", 1)
    limits = {key: said[key] for key in ("persons", "seconds", "megabytes") if key in said}
    posted = {key: said[key] for key in ("url", "secret", "send", "batch") if key in said}
    destination: Destination | None = start.destination
    if posted.get("url") == "":
        destination = None
    elif posted:
        blank = destination or Destination("", "")
        destination = msgspec.structs.replace(blank, **posted)
    wanted = msgspec.structs.replace(
        start,
        query=(query if query is not None else start.query).strip().rstrip(";").strip(),
        description=said.get("description", start.description).strip(),
        schedule=" ".join(str(said.get("schedule", start.schedule)).lower().split()),
        limits=msgspec.structs.replace(start.limits if before else Limits(), **limits),
        destination=destination,
    )
    try:
        return checked(wanted)
    except ValueError as error:
        raise AudienceError(str(error)) from None


@audience.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_folder
def list_(settings: Settings, as_json: bool) -> None:
    """List all audiences: their files, their schedules and their last refreshes."""
    from collector.audience.definition import names_in

    names = names_in(settings.audience_dir)
    with _asking(settings) as rows:
        found = [_facts(settings, name, rows) for name in names]
    if as_json:
        print_json(found)
        return
    for facts in found:
        size = (
            f"{facts['members']:,} members at {facts['refreshed_at']} UTC"
            if facts["refreshed_at"]
            else "never refreshed"
        )
        click.echo(
            f"{facts['audience']}  version {facts['version']}  {facts['schedule']}  {size}  {facts['description']}"
        )
        if facts["problem"]:
            click.echo(f"  {facts['problem']}")
    if not found:
        click.echo(f"no audiences in {settings.audience_dir} yet; `footfall audience define NAME` makes one")


@audience.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_folder
def show(settings: Settings, name: str, as_json: bool) -> None:
    """Show one audience: its query, its last refreshes, and what its webhook took."""
    from collector.audience.definition import read_audience
    from collector.plan.values import literal

    read_audience(settings.audience_dir, name)
    with _asking(settings) as rows:
        facts = _facts(settings, name, rows)
        refreshes = rows(
            "SELECT toString(refreshed_at), version, members, entered, left, duration_ms, failure "
            f"FROM audience_refreshes WHERE audience = {literal(name)} ORDER BY refresh_id DESC LIMIT 10"
        )
        deliveries = rows(
            "SELECT toString(max(told_at)), any(kind), sumIf(persons, failure = ''), max(batches), "
            "argMax(failure, told_at) FROM audience_deliveries "
            f"WHERE audience = {literal(name)} AND destination != 'export' "
            "GROUP BY delivery ORDER BY max(told_at) DESC LIMIT 10"
        )
    if as_json:
        keys = ("refreshed_at", "version", "members", "entered", "left", "duration_ms", "failure")
        told = ("told_at", "kind", "persons", "batches", "failure")
        facts["refreshes"] = [dict(zip(keys, row, strict=True)) for row in refreshes]
        facts["deliveries"] = [dict(zip(told, row, strict=True)) for row in deliveries]
        print_json(facts)
        return
    click.echo((settings.audience_dir / f"{name}.sql").read_text(encoding="utf-8"))
    for when, version, members, entered, left, took, failure in refreshes:
        said = failure or f"{members:,} members, {entered:,} entered, {left:,} left, {took:,} ms"
        click.echo(f"refreshed {when}  version {version}  {said}")
    for when, kind, persons, batches, failure in deliveries:
        click.echo(f"told      {when}  {kind}  {failure or f'{persons:,} persons in {batches:,} batches'}")
    if not refreshes:
        click.echo(f"never refreshed; `footfall audience refresh {name}` does")


@audience.command()
@click.argument("name", required=False)
@click.option("--no-send", is_flag=True, help="Tell the webhook nothing now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_folder
def refresh(settings: Settings, name: str | None, no_send: bool, as_json: bool) -> int:
    """Ask an audience's query now and tell its webhook of the changes; without NAME, of all that are due.

    A running collector does so on each audience's schedule; where none runs, cron can call this.
    """
    found = _act(settings, "refresh", name or "", {"send": not no_send})
    done = found["refreshed"] if not name else [found]
    if as_json:
        print_json(done)
    for one in [] if as_json else done:
        sent = f", told of {one['sent']:,}" if "sent" in one else ""
        click.echo(
            f"{one['audience']}: {one['members']:,} members, {one['entered']:,} entered, {one['left']:,} left{sent}"
        )
    if not done and not as_json:
        click.echo("no audience is due")
    return _told(done)


@audience.command()
@click.argument("name")
@click.option("--all", "everybody", is_flag=True, help="All members, not only changes.")
@_with_folder
def send(settings: Settings, name: str, everybody: bool) -> int:
    """Tell an audience's webhook what it does not know yet, as of the last refresh."""
    one = _act(settings, "send", name, {"everybody": everybody})
    click.echo(f"{name}: told of {one['sent']:,} persons in {one['batches']:,} batches")
    return _told([one])


def _told(done: list[dict[str, Any]]) -> int:
    failures = [f"{one['audience']}: {one['failure']}" for one in done if "failure" in one]
    for failure in failures:
        click.echo(f"{failure}; a running collector tries again", err=True)
    return 1 if failures else 0


@audience.command()
@click.argument("name")
@click.option("--format", "fmt", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("--changes", is_flag=True, help="Only who entered and left since the last export of changes.")
@click.option("--out", metavar="FILE", help="File to write (default: standard output).")
@_with_folder
def export(settings: Settings, name: str, fmt: str, changes: bool, out: str | None) -> None:
    """Write the members as of the last refresh, as CSV or as one JSON object per line.

    With --changes, who entered and who left since the last time; that it was taken is written down at the end.
    """
    from collector.audience.definition import read_audience
    from collector.audience.deliver import EXPORT, Window, changes_window, count_in, members_in
    from collector.audience.export import as_csv, as_json
    from collector.audience.refresh import last_refreshed

    read_audience(settings.audience_dir, name)
    with _asking(settings) as rows:
        newest = last_refreshed(rows, name)
        if newest is None:
            raise Failure(f"audience {name} was never refreshed; run `footfall audience refresh {name}` first")
        window = (
            changes_window(rows, name, EXPORT, newest.refresh_id, 1_000)
            if changes
            else Window("all", 0, newest.refresh_id, 1_000)
        )
        persons = count_in(rows, name, window)
        pages = members_in(rows, name, window)
        written = _write(as_json(pages) if fmt == "json" else as_csv(pages, changes=changes), out)
        if not changes and persons != newest.members:
            raise Failure(f"audience {name} was refreshed twice meanwhile, and the export is not whole; run it again")
    if changes and persons:
        _exported(settings, name, window, persons)
    if out is not None:
        click.echo(f"wrote {persons:,} persons, {written:,} bytes, to {out}")


def _write(pieces: Iterable[bytes], out: str | None) -> int:
    size = 0
    if out is None:
        for piece in pieces:
            size += sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return size
    path = Path(out)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it names persons
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                size += file.write(piece)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}; choose another file with --out") from error
    return size


def _exported(settings: Settings, name: str, window: Window, persons: int) -> None:
    options = {"from_id": window.from_id, "to_id": window.to_id, "batch_rows": window.batch_rows, "persons": persons}
    _act(settings, "exported", name, options)


@audience.command()
@click.argument("name")
@click.option("--keep-history", is_flag=True, help="Leave in the database who is and was in it.")
@_with_folder
def delete(settings: Settings, name: str, keep_history: bool) -> None:
    """Delete an audience's file, and from the database who is and was in it."""
    from collector.audience.definition import path_of, read_edited

    path = path_of(settings.audience_dir, name)
    if path.exists():
        read_edited(settings.audience_dir, name)
    left = 0 if keep_history else _act(settings, "forget", name, {})["left"]
    existed = path.exists()
    path.unlink(missing_ok=True)
    if not existed and not left:
        raise Failure(f"there is no audience {name!r}, neither as a file in {path.parent} nor in the database")
    click.echo(
        f"deleted {path}" + ("; who was in it stays in the database" if keep_history else f"; {left:,} were in it")
    )


# The database


@contextmanager
def _asking(settings: Settings) -> Iterator[Rows]:
    """One session of questions."""
    from collector.cli.ask import AskError
    from collector.cli.plan.reading import reading
    from collector.database.store import StoreError
    from collector.hindsight.ask import rows as rows_of

    with reading(settings, "footfall audience") as session:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            try:
                return [tuple(row) for row in rows_of(session.ask, sql, list)]
            except AskError as error:  # of the store process, which hands on what the database says
                raise StoreError(str(error), transient=False) from error

        yield rows


def _act(settings: Settings, action: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Have the store process do it, or do it here where none runs."""
    from collector.cli.ask import ask, opened
    from collector.cli.audiences import Audiences
    from collector.database.store import Store
    from collector.ingest.clock import now_ms

    data_dir = Path(settings.data)
    if not data_dir.is_dir():
        raise Failure(f"there is no data directory {data_dir}; name one with --data, or start `footfall serve`")
    content = ask(data_dir, "POST", f"/audiences/{action}?name={quote(name)}", msgspec.json.encode(dict(options)))
    if content is not None:
        return msgspec.json.decode(content, type=dict[str, Any])
    with opened(settings, f"footfall audience {action}"):
        lane = Store(settings.dsn, inside=True, cluster=settings.cluster)
        try:
            audiences = Audiences(
                settings.audience_dir, os.environ, now_ms,
                private=settings.private_webhooks, wait=threading.Event().wait,
            )  # fmt: skip
            return audiences.act(lane, action, name, options)
        finally:
            lane.close()


def _facts(settings: Settings, name: str, rows: Rows) -> dict[str, Any]:
    from collector.audience.definition import AudienceError, read_audience, read_edited
    from collector.audience.refresh import last_refreshed
    from collector.plan.values import literal

    problem = ""
    try:
        found = read_audience(settings.audience_dir, name)
    except AudienceError as error:
        problem = str(error)
        try:
            found, _ = read_edited(settings.audience_dir, name)
        except AudienceError:
            blank = {"version": 0, "hash": "", "description": "", "schedule": "", "query": "", "destination": ""}
            return {"audience": name, **blank, "problem": problem, "members": 0, "refreshed_at": ""}
    last = last_refreshed(rows, name)
    when = rows(
        f"SELECT toString(max(refreshed_at)) FROM audience_refreshes WHERE audience = {literal(name)} AND failure = ''"
    )
    return {
        "audience": name,
        "version": found.version,
        "hash": found.hash,
        "description": found.description,
        "schedule": found.schedule,
        "query": found.query,
        "destination": found.destination.url if found.destination else "",
        "problem": problem,
        "members": last.members if last else 0,
        "refreshed_at": str(when[0][0]) if last else "",
    }
