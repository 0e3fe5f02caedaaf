"""`footfall plan infer`: a first plan from the events that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from collector.cli.options import Failure, with_data

if TYPE_CHECKING:
    from collector.config import Settings


@click.command()
@click.option("--days", metavar="N", type=click.IntRange(1, 3_650), default=30, show_default=True,
              help="Look at events received in the last N days.")  # fmt: skip
@click.option("--out", metavar="DIR", default="inferred-plan", show_default=True, help="Folder to write.")
@click.option("--name", metavar="NAME", default="inferred", show_default=True, help="Name of the plan.")
@click.option("--sample", metavar="N", type=click.IntRange(1, 1_000_000), default=20_000, show_default=True,
              help="Look at N events of each name at most.")  # fmt: skip
@with_data
def infer(settings: Settings, days: int, out: str, name: str, sample: int) -> int:
    """Write a first plan that says what the stored events have in common; exit 1 when the result needs a hand.

    Says, one line each, what deserves a look: values in several types, personal data. Never overwrites a file.
    """
    from pathlib import Path

    from collector.cli.plan.reading import DAY_MS, reading
    from collector.hindsight.sample import look
    from collector.ingest.clock import now_ms
    from collector.plan import check_report
    from collector.plan.convert.write import write
    from collector.plan.infer import draft_of

    folder = Path(out)
    with reading(settings, "footfall plan infer") as session:
        seen = look(session.ask, now_ms() - days * DAY_MS, sample)
    if not seen.events:
        raise Failure(f"no event was received in the last {days} days; send some, or look further back with --days")
    done = write(draft_of(seen, name), folder, lambda event: event)
    for note in done.notes:
        click.echo(f"note: {note}")
    events = sum(path.parent.parent.name == "events" for path in done.files)
    click.echo(f"wrote {events} events into {folder}, with {len(done.notes)} notes")
    report = check_report(folder)
    for error in report.errors:
        click.echo(error, err=True)
    return 1 if report.errors else 0
