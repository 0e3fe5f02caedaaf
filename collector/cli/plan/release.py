"""`footfall plan release`: compute versions, freeze majors, write plan.lock and the changelog."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli.options import with_data

if TYPE_CHECKING:
    from collector.config import Settings


@click.command()
@click.argument("folder", required=False)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--major", "allow_major", is_flag=True, help="Allow new majors that the files do not ask for.")
@click.option("--date", "day", metavar="DAY", type=click.DateTime(["%Y-%m-%d"]),
              help="Date of the changelog entry (default: today, UTC).")  # fmt: skip
@click.option("--unsimulated", is_flag=True,
              help="Release another sample or enforcement without asking stored events what it would do.")  # fmt: skip
@click.option("--rejecting", is_flag=True,
              help="Release although events that were stored in the last days would newly be refused.")  # fmt: skip
@with_data
def release(
    settings: Settings,
    folder: str | None,
    dry_run: bool,
    allow_major: bool,
    day: datetime.datetime | None,
    unsimulated: bool,
    rejecting: bool,
) -> int:
    """Release a plan: what collectors load from then on.

    Versions are computed from what changed since plan.lock and written into the files. Exit 1, with nothing written,
    when the plan has mistakes, one of its tests fails, or a major would be needed that nobody asked for.

    Stored events are asked where a database can be reached: whether a new name was already sent with another type,
    which makes it a major, and what another sample, another enforcement, a new event or an end would do, which is
    shown, and refused where events would newly be quarantined or dropped: let a stricter rule begin on a day
    (`from:`), or take that on with --rejecting.
    """
    from collector.cli.plan.stored import Stored
    from collector.plan.changes_text import as_text
    from collector.plan.release import release as run

    chosen = Path(folder) if folder else settings.plan_dir
    today = day.date() if day is not None else datetime.datetime.now(datetime.UTC).date()
    with Stored(settings, unsimulated=unsimulated, rejecting=rejecting) as stored:
        done = run(chosen, today, allow_major=allow_major, write=not dry_run, stored=stored)
    if done.changes is not None and done.changes.findings:
        click.echo("\n".join(as_text(done.changes, done.groups, f"{done.old}")), err=done.refused)
    for line in stored.said:
        click.echo(line, err=done.refused)
    for failure in done.failures:
        click.echo(failure, err=True)
    if done.refused:
        click.echo(
            "nothing was released" + ("; --major allows new majors" if _only_majors(done.changes) else ""), err=True
        )
        return 1
    if not done.files:
        click.echo(f"nothing to release: plan.lock holds {done.new}, and nothing changed since")
        return 0
    for path in done.files:
        click.echo(f"{'would write' if dry_run else 'wrote'} {chosen / path}")
    for name in done.left:
        click.echo(
            f"{name} is frozen and no longer accepted; list it in accept of {name.partition('@')[0]} if it is sent"
        )
    click.echo(f"{'this would be' if dry_run else 'released'} {done.new}" + (f" (was {done.old})" if done.old else ""))
    return 0


def _only_majors(changes: object) -> bool:
    from collector.plan.changes import Changes

    return isinstance(changes, Changes) and bool(changes.unasked) and not changes.errors
