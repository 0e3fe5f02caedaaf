"""`footfall plan check`: is the plan right, does it do what its own tests say, and may it follow what was released?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli.options import settings_of

if TYPE_CHECKING:
    from collector.plan.model import Plan


@click.command()
@click.argument("folder", required=False)
@click.option("--against", metavar="WHAT", help="Also compare with lock, live, git:REF[:PATH], or another folder.")
@click.option("--rejecting", is_flag=True,
              help="With live: take on that events which were stored would newly be refused.")  # fmt: skip
@click.option("--data", metavar="DIR", help="Data directory of the collector that `live` means.")
@click.option("--config", metavar="FILE", help="TOML file of its settings.")
def check(folder: str | None, against: str | None, rejecting: bool, data: str | None, config: str | None) -> int:
    """Check a plan's files and run the tests that stand in them; exit 1 when something is wrong.

    With --against also say what changed, and exit 1 when the change needs a major that nobody asked for. With `live`
    the database is also asked whether new names were already sent with another type, and whether another enforcement,
    a new event or an end would refuse what was stored in the last days.
    """
    from collector.cli.plan.diff import changes_of, live_session, other_plan
    from collector.cli.plan.stored import judged, not_asked, seen_in
    from collector.plan.changes_text import as_text

    settings = settings_of(data=data, config=config)
    chosen = Path(folder) if folder else settings.plan_dir
    if against is None:
        return 1 if _checked(chosen, None) is None else 0
    with live_session(settings, against) as session:
        old, named = other_plan(chosen, against, settings, session)
        plan = _checked(chosen, old)
        if plan is None:
            return 1
        seen = seen_in(session)
        changes, groups = changes_of(chosen, plan, old, seen)
        said, problem = ([], "") if session is None else judged(session, settings, old, plan, changes)
    refused = changes.refused or bool(problem and not rejecting)
    click.echo("\n".join([*as_text(changes, groups, named), *not_asked(changes, seen), *said]), err=refused)
    if problem and not rejecting:
        click.echo(problem, err=True)
    return 1 if refused else 0


def _checked(folder: Path, old: Plan | None) -> Plan | None:
    """The plan in a folder, if it is right and its tests pass; else what is wrong is said."""
    from collector.plan.against import released_plan, working_plan
    from collector.plan.problems import PlanError
    from collector.plan.report import run_tests

    try:
        plan = working_plan(folder, released_plan(folder) or old)
    except PlanError as error:
        _found(str(error).splitlines(), folder)
        return None
    outcomes = run_tests(plan)
    failed = [f"{one.test.mark}: {one.failure}" for one in outcomes if one.failure]
    if failed:
        _found(failed, folder)
        return None
    click.echo(f"{folder} is right: {len(plan.events)} events, {len(outcomes)} tests")
    return plan


def _found(errors: list[str], folder: Path) -> None:
    for error in errors:
        click.echo(error, err=True)
    click.echo(f"{len(errors)} found in {folder}", err=True)
