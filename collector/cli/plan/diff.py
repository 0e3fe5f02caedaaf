"""`footfall plan diff`: what a change of the plan means, and whether it needs a major that was not asked for."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli.options import print_json, settings_of

if TYPE_CHECKING:
    from collector.plan.changes import Changes
    from collector.plan.changes_text import Groups
    from collector.plan.model import Plan


@click.command()
@click.argument("folder", required=False)
@click.option("--against", metavar="WHAT", default="lock",
              help="lock (default), live, git:REF[:PATH], or another plan's folder.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("--data", metavar="DIR", help="Data directory of the collector that `live` means.")
@click.option("--config", metavar="FILE", help="TOML file of its settings.")
def diff(folder: str | None, against: str, form: str, data: str | None, config: str | None) -> int:
    """Show what changed in a plan and the version that follows.

    Exit 1 when the change cannot be released as it is: it needs a major that nobody asked for, or breaks what was
    released. Ask for a major by raising an event's version to the next one and listing the old one in accept.
    """
    from collector.plan.changes_text import as_json, as_markdown, as_text

    chosen = Path(folder) if folder else settings_of(data=data, config=config).plan_dir
    from collector.plan.against import released_plan, working_plan

    old = other_plan(chosen, against, data, config)
    changes, groups = changes_of(chosen, working_plan(chosen, released_plan(chosen) or old), old)
    if form == "json":
        print_json(as_json(changes, groups))
    else:
        lines = as_markdown(changes, groups, against) if form == "markdown" else as_text(changes, groups, against)
        click.echo("\n".join(lines))
    return 1 if changes.refused else 0


def changes_of(folder: Path, new: Plan, old: Plan) -> tuple[Changes, Groups]:
    """Compare the plan of the files in `folder` with another, and name the groups that it shares changes through."""
    from collector.plan.against import groups_of, retired
    from collector.plan.compat import compare

    changes = compare(old, new, today=datetime.datetime.now(datetime.UTC).date(), retired=retired(folder))
    return changes, groups_of(folder, new, changes.events)


def other_plan(folder: Path, against: str, data: str | None, config: str | None) -> Plan:
    """The plan that `against` names.

    Raises:
        PlanError: it is not there, or cannot be read.
    """
    from collector.plan.against import git_plan, live_plan, locked_plan, released_plan, working_plan

    if against == "lock":
        return locked_plan(folder)
    if against == "live":
        # A collector acts on the lock of the folder that its settings name. Where it runs elsewhere, what it acts on
        # must be asked of it: this is the place to ask.
        return live_plan(settings_of(data=data, config=config).plan_dir)
    if against.startswith("git:"):
        return git_plan(against.removeprefix("git:"), folder)
    return working_plan(Path(against), released_plan(Path(against)))
