"""The `footfall` command. Every failure is one sentence on standard error and exit code 2."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from collector import __version__
from collector.cli.options import Failure, print_json, with_data, with_server
from collector.cli.plan import plan
from collector.config import Settings, masked

FAILED = 2


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        code = command.main(args=arguments, prog_name="footfall", standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "footfall"
        _fail(f"{error.format_message().rstrip('.')}; see `{path} --help`")
    except click.Abort:
        sys.exit(130)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if not _is_sentence(error):
            raise
        _fail(str(error))
    sys.exit(code if isinstance(code, int) else 0)


def _fail(sentence: str) -> None:
    click.echo(f"footfall: {sentence}", err=True)
    sys.exit(FAILED)


def _is_sentence(error: Exception) -> bool:
    """True for the errors whose text is written for people."""
    return type(error).__module__.startswith("collector.") or isinstance(error, click.ClickException)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def command() -> None:
    """Self-hosted behavioural analytics.

    Paste the snippet into your pages, run `footfall serve`, ask questions with `footfall sql`.
    """


@command.command()
@with_server
def serve(settings: Settings) -> int:
    """Receive events, store them, answer queries."""
    from collector.cli.run import run

    return run(settings, demo=False, simulate=0, seed=0)


@command.command()
@with_server
@click.option("--simulate", metavar="N", type=click.IntRange(0, 1_000_000), default=0, help="Drive N visitors.")
@click.option("--seed", metavar="S", type=int, default=1, help="Seed of the visitors (default: 1).")
def demo(settings: Settings, simulate: int, seed: int) -> int:
    """Serve, with a small demo shop at /demo/."""
    from collector.cli.run import run

    return run(settings, demo=True, simulate=simulate, seed=seed)


@command.command()
@click.argument("query")
@click.option("--format", "fmt", metavar="F", default="Pretty", help="Pretty, CSV, JSON, JSONEachRow or Parquet.")
@with_data
def sql(settings: Settings, query: str, fmt: str) -> None:
    """Ask the database one question.

    For example: footfall sql "SELECT event, count() FROM events GROUP BY event"
    """
    from collector.cli import ask
    from collector.store import FORMATS

    known = {name.lower(): name for name in FORMATS}
    if fmt.lower() not in known:
        raise Failure(f"format {fmt!r} is not known; choose one of {', '.join(FORMATS)}")
    fmt = known[fmt.lower()]
    if fmt == "Parquet" and sys.stdout.isatty():
        raise Failure("Parquet is binary; redirect it into a file: footfall sql … --format Parquet > answer.parquet")
    data_dir = Path(settings.data)
    if not data_dir.is_dir():
        raise Failure(f"there is no data directory {data_dir}; name one with --data, or start `footfall serve`")
    sys.stdout.buffer.write(ask.query(settings, query, fmt, "footfall sql"))
    sys.stdout.buffer.flush()


@command.command()
@click.option("--source", metavar="ID", help="Source whose write key to use (default: the first).")
@click.option("--url", metavar="URL", help="Where browsers reach the collector.")
@with_data
def snippet(settings: Settings, source: str | None, url: str | None) -> None:
    """Print the HTML to paste into the head of every page."""
    from collector.app.site import snippet as html

    key = _source(settings, source).write_key
    click.echo(html(url or settings.public_url or f"http://{settings.host}:{settings.port}", key))


@command.group()
def sources() -> None:
    """List, add and disable the sites and servers that may send."""


@sources.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_list(settings: Settings, as_json: bool) -> None:
    """Show all sources with their public write keys."""
    from collector.sources import read_sources

    found = [_shown(source) for source in read_sources(Path(settings.data))]
    if as_json:
        print_json(found)
        return
    for source in found:
        state = "enabled" if source["enabled"] else "disabled"
        origins = ", ".join(source["origins"]) or "any origin"
        click.echo(f"{source['id']}  {source['write_key']}  {state}  {origins}  {source['name']}")
    if not found:
        click.echo("no sources yet; `footfall sources add NAME` adds one")


@sources.command("add")
@click.argument("name")
@click.option("--origin", "origins", metavar="URL", multiple=True, help="Origin that browsers may send from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_add(settings: Settings, name: str, origins: tuple[str, ...], as_json: bool) -> None:
    """Add a source and show its keys; the server key is shown only here."""
    from collector.sources import add_source

    source, server_key = add_source(Path(settings.data), name, list(origins))
    shown = _shown(source)
    shown = {"id": shown.pop("id"), "name": shown.pop("name"), "write_key": shown.pop("write_key")} | {
        "server_key": server_key,
        **shown,
    }
    if as_json:
        print_json(shown)
        return
    click.echo(f"source      {source.id}")
    click.echo(f"write key   {source.write_key}   for browsers, public")
    click.echo(f"server key  {server_key}   secret, shown only now")


@sources.command("disable")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_disable(settings: Settings, source: str, as_json: bool) -> None:
    """Refuse a source's events from now on. SOURCE is its id or name."""
    from collector.sources import disable_source

    disabled = disable_source(Path(settings.data), source)
    if as_json:
        print_json(_shown(disabled))
    else:
        click.echo(f"source {disabled.id} is disabled; what it sent stays")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def doctor(settings: Settings, as_json: bool) -> int:
    """Look at everything; exit 1 if something is wrong.

    Also accounts for every event: received = stored + spooled + deduplicated + rejected + dropped.
    """
    from collector.cli.doctor import examine

    diagnosis = examine(settings)
    if as_json:
        print_json(diagnosis)
    else:
        for check in diagnosis.checks:
            click.echo(f"{'ok   ' if check.ok else 'WRONG'}  {check.name}: {check.says}")
    return 0 if diagnosis.ok else 1


@command.command()
@with_server
def migrate(settings: Settings) -> None:
    """Bring tables and views up to date.

    `footfall serve` does so at its start; this is for those who want to do it before.
    """
    from collector.cli.ask import ask, opened
    from collector.migrate import migrate as apply
    from collector.store import Store

    data_dir = Path(settings.data)
    content = ask(data_dir, "POST", "/migrate") if data_dir.is_dir() else None
    if content is not None:
        applied = msgspec.json.decode(content, type=list[str])
    elif settings.clickhouse:
        applied = apply(Store(settings.dsn))
    else:
        data_dir.mkdir(parents=True, exist_ok=True)
        with opened(settings, "footfall migrate"):
            applied = []
    for name in applied:
        click.echo(f"applied {name}")
    click.echo("the database is up to date")


@command.command()
@with_server
def config(settings: Settings) -> None:
    """Print the settings in force, secrets masked."""
    for name, value in masked(settings).items():
        click.echo(f"{name} = {msgspec.json.encode(value).decode()}")


command.add_command(plan)


@command.command()
def version() -> None:
    """Print the version."""
    click.echo(f"footfall {__version__}")


def _source(settings: Settings, wanted: str | None) -> Any:
    from collector.sources import read_sources

    found = read_sources(Path(settings.data))
    if not found:
        raise Failure(f"{settings.data} has no source yet; start `footfall serve`, or `footfall sources add NAME`")
    for source in found:
        if wanted is None or wanted in (source.id, source.name):
            return source
    raise Failure(f"there is no source {wanted!r}; known are: {', '.join(source.id for source in found)}")


def _shown(source: Any) -> dict[str, Any]:
    """A source as people see it: without its server key's hash."""
    return {
        "id": source.id,
        "name": source.name,
        "write_key": source.write_key,
        "origins": source.origins,
        "enabled": source.enabled,
    }
