"""`footfall serve` and `footfall demo`: prepare the data directory, start all processes, say where to look."""

from __future__ import annotations

import shlex
import shutil
import sys
import threading
from pathlib import Path

import click
from msgspec import structs

from collector.app.snippet import snippet
from collector.cli import lock
from collector.cli.child import log_to_stderr
from collector.cli.cores import cores
from collector.cli.supervise import StartError, bind, supervise
from collector.cli.target import remember
from collector.config import Settings
from collector.database.retention import read_rules
from collector.database.store import check_engine
from collector.enrichment.channels import read_channels
from collector.ingest.clock import now_ms
from collector.paths import TAG_DIR
from collector.plan import read_plan
from collector.simulate import DriveError, drive
from collector.sources import add_source, read_sources, renew_server_key

SIMULATION_SOURCE = "Simulated visitors"


def run(settings: Settings, *, demo: bool, simulate: int, seed: int) -> int:
    """Serve until told to stop.

    Args:
        settings: As configured.
        demo: Serve the demo shop too.
        simulate: How many synthetic visitors to drive through it, 0 for none.
        seed: Of these visitors.
    Returns:
        The exit code.
    Raises:
        Errors whose text is one sentence: StartError, lock.InUse, PlanError, SourceError, StoreError.
    """
    settings = structs.replace(settings, workers=settings.workers or cores())
    data_dir = _prepared(settings)
    held = lock.acquire(data_dir, "footfall demo" if demo else "footfall serve")
    check_engine(settings.dsn)
    remember(settings)
    read_plan(settings.plan_dir)
    read_channels(Path(settings.channels) if settings.channels else None)
    read_rules(settings.retention)
    if not (TAG_DIR / "footfall.js").is_file():
        raise StartError(f"the tag is not built: {TAG_DIR} has no footfall.js; run `npm ci && npm run build` in js_sdk")
    first_key = ""
    if not read_sources(data_dir):
        _, first_key = add_source(data_dir, "Demo shop" if demo else "default", [])
    listeners = bind(settings.host, settings.port, settings.workers)
    host, port = settings.host, listeners[0].getsockname()[1]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log_to_stderr("serve")

    def started(stop: threading.Event) -> None:
        _greet(settings, url, first_key, demo=demo)
        if simulate:
            _simulate(settings, url, simulate, seed, stop)

    return supervise(settings, held, listeners, demo=demo, started=started)


def _prepared(settings: Settings) -> Path:
    data_dir = Path(settings.data)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data_dir / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartError(f"data directory {data_dir} cannot be used: {reason}; choose another with --data") from error
    return data_dir


def _greet(settings: Settings, url: str, first_key: str, *, demo: bool) -> None:
    source = read_sources(Path(settings.data))[0]
    # `make` installs into .venv, which is on nobody's PATH: name the command as it was called.
    command = "footfall" if shutil.which("footfall") else shlex.quote(sys.argv[0])
    flag = "" if settings.data == Settings().data else f" --data {settings.data}"
    lines = [f"Footfall is ready at {url}", ""]
    if demo:
        lines += [f"  Demo shop   {url}/demo/", ""]
    if first_key:
        lines += [
            f"  Source {source.id!r} was made. Its server key is secret and shown only now:",
            f"  {first_key}",
            "",
        ]
    lines += [
        "  Paste into the head of every page:",
        *("    " + line for line in snippet(settings.public_url or url, source.write_key).splitlines()),
        "",
        "  Ask:",
        f'    {command} sql{flag} "SELECT event, count() FROM events GROUP BY event ORDER BY 2 DESC"',
        f'    {command} sql{flag} "SELECT * FROM sessions ORDER BY started_at DESC LIMIT 10"',
        f'    {command} sql{flag} "SELECT * FROM transitions ORDER BY count DESC LIMIT 10"',
        "",
    ]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def _simulate(settings: Settings, url: str, count: int, seed: int, stop: threading.Event) -> None:
    """Drive synthetic visitors through the real endpoint, with a bar that shows how far it is."""
    key = _simulation_key(Path(settings.data))
    try:
        with click.progressbar(length=count, label=f"  {count:,} visitors", file=sys.stderr) as bar:
            driven = drive(url, key, count, seed, now_ms(), bar.update)
    except DriveError as error:
        if not stop.is_set():
            click.echo(f"footfall: the simulation ended early: {error}", err=True)
        return
    click.echo(
        f"  {driven.visitors:,} visitors, {driven.sessions:,} sessions, {driven.accepted:,} events accepted and "
        f"{driven.rejected:,} rejected in {driven.seconds:.1f} s"
    )
    sys.stdout.flush()


def _simulation_key(data_dir: Path) -> str:
    """A server key of a source of the simulation's own, so that no key of a real source is touched."""
    for source in read_sources(data_dir):
        if source.name == SIMULATION_SOURCE:
            return renew_server_key(data_dir, source.id)
    return add_source(data_dir, SIMULATION_SOURCE, [])[1]
