"""`footfall plan docs`: the plan as a static site, with what comes of it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli.options import Failure, with_data

if TYPE_CHECKING:
    from collector.config import Settings
    from collector.plan.model import Plan
    from collector.plan.site import Live

MARK = "Made by <code>footfall plan docs</code>"


@click.command()
@click.argument("folder", required=False)
@click.option("--out", metavar="DIR", default="plan-docs", show_default=True, help="Folder to write.")
@click.option("--days", metavar="N", type=click.IntRange(1, 3_650), default=7, show_default=True,
              help="Show what came in the last N days.")  # fmt: skip
@click.option("--offline", is_flag=True, help="Do not ask the database.")
@with_data
def docs(settings: Settings, folder: str | None, out: str, days: int, offline: bool) -> None:
    """Write the plan as a site of plain HTML: events, properties, owners, history, journeys, and live volumes.

    It needs no server: open index.html. Without a data directory it shows the plan alone.
    """
    from collector.plan.against import groups_of, released_plan, working_plan
    from collector.plan.site import Context, site

    chosen = Path(folder) if folder else settings.plan_dir
    plan = working_plan(chosen, released_plan(chosen))
    changelog = chosen / "CHANGELOG.md"
    context = Context(
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        groups=groups_of(chosen, plan, plan.events),
        changelog=changelog.read_text("utf-8", "replace") if changelog.is_file() else "",
        live=None if offline else _live(settings, plan, days),
        days=days,
    )
    target = Path(out)
    pages = site(plan, context)
    index = target / "index.html"
    if (
        target.exists()
        and any(target.iterdir())
        and not (index.is_file() and MARK in index.read_text("utf-8", "replace"))
    ):
        raise Failure(f"{target} holds files that this command has not written; choose another folder, or empty it")
    for path in target.glob("events/*.html"):  # of events that have left the plan
        path.unlink()
    for name, text in pages.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    volumes = f"with the volumes of {days} days" if context.live is not None else "without live volumes"
    click.echo(f"wrote {len(pages)} files into {target}, {volumes}; open {index}")


def _live(settings: Settings, plan: Plan, days: int) -> dict[str, Live] | None:
    """What came of each event; None, with a line that says why, when there is no database to ask."""
    from collector.cli.plan.reading import UNREACHABLE, reading
    from collector.hindsight.usage import usage
    from collector.ingest.clock import now_ms
    from collector.plan.site import Live

    if not Path(settings.data).is_dir() and not settings.clickhouse:
        return None
    try:
        with reading(settings, "footfall plan docs") as session:
            found = usage(session.ask, plan, days, now_ms())
    except UNREACHABLE as error:
        click.echo(f"the database cannot be asked, so the site has no volumes: {error}", err=True)
        return None
    return {
        name: Live(one.count, one.failed_share, one.last_seen_ms, one.versions) for name, one in found.events.items()
    }
