"""The `footfall` command. Every failure is one sentence on standard error and exit code 2."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from collector import __version__
from collector.cli.audience import audience
from collector.cli.connect import connect
from collector.cli.geo import geo
from collector.cli.grants import grants
from collector.cli.options import Failure, print_json, settings_of, with_data, with_server
from collector.cli.plan import plan
from collector.cli.privacy import privacy
from collector.cli.snippet import snippet
from collector.cli.sources import sources
from collector.cli.spool import spool
from collector.cli.views import views
from collector.config import Settings, masked

FAILED = 2
# `footfall doctor --data` without a directory.
THE_DATA = "\0"


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

    CSV is made for spreadsheets: a text that begins like a formula has a ' in front. Programs that want the bytes as
    they are end their query with FORMAT CSVWithNames.
    """
    from collector.cli import ask
    from collector.database.query import has_own_format
    from collector.database.store import FORMATS
    from collector.spreadsheet import harmless_csv

    known = {name.lower(): name for name in FORMATS}
    if fmt.lower() not in known:
        raise Failure(f"format {fmt!r} is not known; choose one of {', '.join(FORMATS)}")
    fmt = known[fmt.lower()]
    if fmt == "Parquet" and sys.stdout.isatty():
        raise Failure("Parquet is binary; redirect it into a file: footfall sql … --format Parquet > answer.parquet")
    data_dir = Path(settings.data)
    if not data_dir.is_dir():
        raise Failure(f"there is no data directory {data_dir}; name one with --data, or start `footfall serve`")
    content = ask.query(settings, query, fmt, "footfall sql")
    sys.stdout.buffer.write(harmless_csv(content) if fmt == "CSV" and not has_own_format(query) else content)
    sys.stdout.buffer.flush()


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quality", is_flag=True, help="Judge the data instead: what stopped, fails, is late, double or empty.")
@click.option("--data", metavar="[DIR]", is_flag=False, flag_value=THE_DATA,
              help="Data directory (default: footfall-data); without DIR the same as --quality.")  # fmt: skip
@click.option("--config", metavar="FILE", help="TOML file of settings.")
def doctor(as_json: bool, quality: bool, data: str | None, config: str | None) -> int:
    """Look at everything; exit 1 if something is wrong.

    Also accounts for every event: received = stored + spooled + deduplicated + rejected + dropped.

    With --data (or --quality) it looks at what came in the last two weeks: events that stopped, came less or more than
    on these days of the week before, fail, come late or twice, lack a property, or are of wrong clocks and bots.
    """
    from collector.cli.doctor import examine

    settings = settings_of(data=None if data == THE_DATA else data, config=config)
    if quality or data == THE_DATA:
        return _doctor_of_data(settings, as_json)
    diagnosis = examine(settings)
    if as_json:
        print_json(diagnosis)
    else:
        for check in diagnosis.checks:
            click.echo(f"{'ok   ' if check.ok else 'WRONG'}  {check.name}: {check.says}")
    return 0 if diagnosis.ok else 1


def _doctor_of_data(settings: Settings, as_json: bool) -> int:
    from collector.cli.doctor_data import examine_data
    from collector.cli.plan.reading import reading
    from collector.ingest.clock import now_ms

    with reading(settings, "footfall doctor") as session:
        found = examine_data(session.ask, now_ms())
    if as_json:
        print_json(found)
    else:
        for sentence in found.says:
            click.echo(f"{'ok   ' if found.ok else 'WRONG'}  {sentence}")
    return 0 if found.ok else 1


@command.command()
@with_server
def migrate(settings: Settings) -> None:
    """Bring tables and views up to date, the plan's typed views too.

    `footfall serve` does so at its start; this is for those who want to do it before.
    """
    from collector.cli.ask import ask, opened
    from collector.cli.retain import retain
    from collector.database.migrate import migrate as apply
    from collector.database.store import Store
    from collector.plan import read_plan

    data_dir = Path(settings.data)
    content = ask(data_dir, "POST", "/migrate") if data_dir.is_dir() else None
    if content is not None:
        applied = msgspec.json.decode(content, type=list[str])
    elif settings.clickhouse:
        lane = Store(settings.dsn, cluster=settings.cluster)
        applied = [*apply(lane, plan=read_plan(settings.plan_dir)), *retain(lane, settings)]
    else:
        plan_in_force = read_plan(settings.plan_dir)
        data_dir.mkdir(parents=True, exist_ok=True)
        with opened(settings, "footfall migrate") as lane:
            applied = [*apply(lane, plan=plan_in_force), *retain(lane, settings)]
    for name in applied:
        click.echo(f"applied {name}")
    click.echo("the database is up to date")


@command.command()
@with_server
@click.option("--events", metavar="N", type=click.IntRange(1, 1_000_000_000), required=True, help="About how many.")
@click.option("--source", metavar="ID", default="generated", help="Their source_id (default: generated).")
@click.option("--seed", metavar="S", type=click.IntRange(0, 2**63 - 1), default=1, help="Of chance (default: 1).")
def generate(settings: Settings, events: int, source: str, seed: int) -> int:
    """Fill the database with invented events of a shop's last 90 days, to try views and hardware on.

    About 80,000 a second, made by the database itself. No collector may run where the database is the embedded one.
    """
    from collector.cli.ask import opened
    from collector.ingest.clock import now_ms
    from collector.simulate.bulk import generate as make

    Path(settings.data).mkdir(parents=True, exist_ok=True)
    until = datetime.fromtimestamp(now_ms() / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with opened(settings, "footfall generate") as lane:
        for visits in make(lane, events, source_id=source, until=until, seed=seed):
            click.echo(f"{visits:,} visits")
    return 0


@command.command()
@with_server
def config(settings: Settings) -> None:
    """Print the settings in force, secrets masked."""
    for name, value in masked(settings).items():
        click.echo(f"{name} = {msgspec.json.encode(value).decode()}")


command.add_command(snippet)
command.add_command(sources)
command.add_command(plan)
command.add_command(audience)
command.add_command(grants)
command.add_command(connect)
command.add_command(geo)
command.add_command(privacy)
command.add_command(views)
command.add_command(spool)


@command.command()
def version() -> None:
    """Print the version."""
    click.echo(f"footfall {__version__}")
