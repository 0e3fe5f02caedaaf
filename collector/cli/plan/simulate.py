"""`footfall plan simulate`: what a plan would do to the events of the last days."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import click

from collector.cli.options import print_json, with_data

if TYPE_CHECKING:
    from collector.config import Settings


@click.command()
@click.argument("folder", required=False)
@click.option("--days", metavar="N", type=click.IntRange(1, 3_650), default=7, show_default=True,
              help="Look at events received in the last N days.")  # fmt: skip
@click.option("--event", metavar="NAME", default="", help="Only this event.")
@click.option("--sample", metavar="SHARE", type=click.FloatRange(0, 1, min_open=True), default=1.0,
              help="Look at this share of the visitors only, such as 0.1.")  # fmt: skip
@click.option("--on", "day", metavar="DAY", type=click.DateTime(["%Y-%m-%d"]),
              help="Judge by the rules of that day (default: today, UTC).")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("--check", is_flag=True, help="Exit 1 when events would be newly quarantined or dropped.")
@with_data
def simulate(
    settings: Settings,
    folder: str | None,
    days: int,
    event: str,
    sample: float,
    day: datetime.datetime | None,
    form: str,
    check: bool,
) -> int:
    """Try the plan in FOLDER on stored and failed events, and say what would be different. Nothing is changed.

    For example, as a comment of a pull request: footfall plan simulate schemas --days 7 --format markdown
    """
    from pathlib import Path

    from collector.cli.plan.reading import DAY_MS, reading
    from collector.hindsight.failed import tools_for
    from collector.hindsight.trial import Span, try_plan
    from collector.hindsight.trial_text import as_json, as_markdown, as_text
    from collector.ingest.clock import now_ms
    from collector.plan import compile_plan
    from collector.plan.against import released_plan, working_plan

    chosen = Path(folder) if folder else settings.plan_dir
    plan = working_plan(chosen, released_plan(chosen))
    now = now_ms()
    judged = now if day is None else int(day.replace(tzinfo=datetime.UTC).timestamp() * 1000)
    tools = tools_for(compile_plan(plan), Path(settings.data))
    with reading(settings, "footfall plan simulate") as session:
        trial = try_plan(session.ask, plan, tools, Span(now - days * DAY_MS, event, sample), judged)
    name = f"{plan.name} {plan.version}"
    if form == "json":
        print_json(as_json(trial, days, name))
    else:
        click.echo("\n".join((as_markdown if form == "markdown" else as_text)(trial, days, name)))
    return 1 if check and trial.counted("quarantined", "dropped") else 0
