"""The `footfall` command. Every failure is one sentence on standard error and exit code 2."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from collector import __version__
from collector.cli.geo import geo
from collector.cli.options import Failure, print_json, settings_of, with_data, with_server
from collector.cli.plan import plan
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
@click.option("--core", is_flag=True, help="The small tag: page views, track, identify and consent.")
@click.option(
    "--pin", is_flag=True, help="This version of the tag for good, by its hash (SRI); footfall.more.js is not pinned."
)
@click.option("--extras", metavar="NAMES", default="", help="Extras to load, such as vitals,errors.")
@click.option("--nonce", metavar="TEXT", default="", help="What your template writes where a CSP nonce belongs.")
@click.option("--noscript/--no-noscript", default=True, help="Count pages without script by an image (default: yes).")
@click.option("--email", is_flag=True, help="Print the pixel for e-mails instead.")
@click.option("--amp", is_flag=True, help="Print the pixel for AMP pages instead.")
@click.option("--csp", is_flag=True, help="Print the Content-Security-Policy that the snippet needs instead.")
@with_data
def snippet(
    settings: Settings,
    source: str | None,
    url: str | None,
    core: bool,
    pin: bool,
    extras: str,
    nonce: str,
    noscript: bool,
    email: bool,
    amp: bool,
    csp: bool,
) -> None:
    """Print the HTML to paste into the head of every page.

    A pinned tag is answered by the collector for good, also after an upgrade. What it fetches itself is not pinned:
    footfall.more.js and its extras.
    """
    from collector.app import snippet as make
    from collector.app.tag import CORE_FILE, TAG_FILE

    if email + amp + csp > 1:
        raise Failure("--email, --amp and --csp each print something of their own; give one of them")
    found = _source(settings, source)
    base = url or settings.public_url or f"http://{settings.host}:{settings.port}"
    if email:
        click.echo(make.email_pixel(base, found.write_key))
    elif amp:
        click.echo(make.amp_pixel(base, found.write_key))
    elif csp:
        click.echo(make.policy(base, nonce))
    else:
        file = CORE_FILE if core else TAG_FILE
        choices = make.Choices(
            file=file,
            pinned=_built(file) if pin else None,
            extras=_extras(extras),
            collector_cookie=bool(found.cookie_domain),
            nonce=nonce,
            noscript=noscript,
        )
        click.echo(make.snippet(base, found.write_key, choices))


@command.group()
def sources() -> None:
    """List, add, change and disable the sites and servers that may send."""


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
        cookie = f"  cookie of {source['cookie_domain']}" if source["cookie_domain"] else ""
        facts = f"{state}  {source['environment']}  {origins}{cookie}"
        click.echo(f"{source['id']}  {source['write_key']}  {facts}  {source['name']}")
    if not found:
        click.echo("no sources yet; `footfall sources add NAME` adds one")


@sources.command("add")
@click.argument("name")
@click.option("--origin", "origins", metavar="URL", multiple=True, help="Origin that browsers may send from.")
@click.option(
    "--cookie-domain", metavar="DOMAIN", default="", help="Domain for which the collector sets the id's cookie."
)
@click.option("--environment", metavar="WORD", default="prod", help="Whose rules of the plan hold (default: prod).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_add(
    settings: Settings, name: str, origins: tuple[str, ...], cookie_domain: str, environment: str, as_json: bool
) -> None:
    """Add a source and show its keys; the server key is shown only here.

    With a cookie domain, pages of its origins get the visitor's id as a first-party cookie that lives for 400 days. The
    collector must be reached under that domain too, as t.shop.example is under shop.example.
    """
    from collector.sources import add_source

    source, server_key = add_source(Path(settings.data), name, list(origins), cookie_domain, environment)
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


@sources.command("set")
@click.argument("source")
@click.option("--origin", "origins", metavar="URL", multiple=True, help="Origins from now on; those there were go.")
@click.option("--any-origin", is_flag=True, help="Browsers may send from any origin.")
@click.option("--cookie-domain", metavar="DOMAIN", help='Domain of the id\'s cookie; "" for no cookie.')
@click.option("--environment", metavar="WORD", help="Whose rules of the plan hold.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_set(
    settings: Settings,
    source: str,
    origins: tuple[str, ...],
    any_origin: bool,
    cookie_domain: str | None,
    environment: str | None,
    as_json: bool,
) -> None:
    """Change a source; what is not named stays. SOURCE is its id or name."""
    from collector.sources import change_source

    if any_origin and origins:
        raise Failure("--any-origin and --origin contradict each other; give one of them")
    if not origins and not any_origin and cookie_domain is None and environment is None:
        raise Failure("nothing to change; give --origin, --any-origin, --cookie-domain or --environment")
    changed = change_source(
        Path(settings.data),
        source,
        origins=list(origins) if origins or any_origin else None,
        cookie_domain=cookie_domain,
        environment=environment,
    )
    if as_json:
        print_json(_shown(changed))
    else:
        click.echo(f"source {changed.id} is changed; running collectors follow at once")


@sources.command("enable")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_enable(settings: Settings, source: str, as_json: bool) -> None:
    """Take a disabled source's events again. SOURCE is its id or name."""
    from collector.sources import change_source

    enabled = change_source(Path(settings.data), source, enabled=True)
    if as_json:
        print_json(_shown(enabled))
    else:
        click.echo(f"source {enabled.id} is enabled")


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
    from collector.clock import now_ms

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
    from collector.migrate import migrate as apply
    from collector.plan import read_plan
    from collector.store import Store

    data_dir = Path(settings.data)
    content = ask(data_dir, "POST", "/migrate") if data_dir.is_dir() else None
    if content is not None:
        applied = msgspec.json.decode(content, type=list[str])
    elif settings.clickhouse:
        applied = apply(Store(settings.dsn), plan=read_plan(settings.plan_dir))
    else:
        plan_in_force = read_plan(settings.plan_dir)
        data_dir.mkdir(parents=True, exist_ok=True)
        with opened(settings, "footfall migrate") as lane:
            applied = apply(lane, plan=plan_in_force)
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
command.add_command(geo)
command.add_command(views)


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


def _built(file: str) -> Any:
    """A file of the built tag, with its hash."""
    from collector.app.tag import built_files
    from collector.paths import TAG_DIR

    found = built_files(TAG_DIR).get(file)
    if found is None:
        raise Failure(f"the tag is not built: {TAG_DIR} has no {file}; run `npm ci && npm run build` in js_sdk")
    return found


def _extras(names: str) -> tuple[str, ...]:
    """The extras named, separated by commas or blanks; each is a file of the built tag."""
    from collector.app.tag import CORE_FILE, TAG_FILE, built_files
    from collector.paths import TAG_DIR

    if not names:
        return ()
    files = built_files(TAG_DIR).keys() - {TAG_FILE, CORE_FILE}
    known = sorted(file.removeprefix("footfall.").removesuffix(".js") for file in files)
    wanted = tuple(names.replace(",", " ").split())
    for name in wanted:
        if name not in known:
            raise Failure(f"there is no extra {name!r}; known are: {', '.join(known) or 'none, the tag is not built'}")
    return wanted


def _shown(source: Any) -> dict[str, Any]:
    """A source as people see it: without its server key's hash."""
    return {
        "id": source.id,
        "name": source.name,
        "write_key": source.write_key,
        "origins": source.origins,
        "enabled": source.enabled,
        "cookie_domain": source.cookie_domain,
        "environment": source.environment,
    }
