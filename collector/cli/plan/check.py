"""`footfall plan check`: is the plan right, does it do what its own tests say, and may it follow what was released?"""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.options import settings_of


@click.command()
@click.argument("folder", required=False)
@click.option("--against", metavar="WHAT", help="Also compare with lock, live, git:REF[:PATH], or another folder.")
@click.option("--data", metavar="DIR", help="Data directory of the collector that `live` means.")
@click.option("--config", metavar="FILE", help="TOML file of its settings.")
def check(folder: str | None, against: str | None, data: str | None, config: str | None) -> int:
    """Check a plan's files and run the tests that stand in them; exit 1 when something is wrong.

    With --against also say what changed, and exit 1 when the change needs a major that nobody asked for.
    """
    from collector.cli.plan.diff import changes_of, live_session, other_plan
    from collector.plan.against import released_plan, working_plan
    from collector.plan.changes_text import as_text
    from collector.plan.problems import PlanError
    from collector.plan.report import run_tests

    settings = settings_of(data=data, config=config)
    chosen = Path(folder) if folder else settings.plan_dir
    old, named = None, ""
    if against is not None:
        with live_session(settings, against) as session:
            old, named = other_plan(chosen, against, settings, session)
    try:
        plan = working_plan(chosen, released_plan(chosen) or old)
    except PlanError as error:
        return _found(str(error).splitlines(), chosen)
    outcomes = run_tests(plan)
    failed = [f"{one.test.mark}: {one.failure}" for one in outcomes if one.failure]
    if failed:
        return _found(failed, chosen)
    click.echo(f"{chosen} is right: {len(plan.events)} events, {len(outcomes)} tests")
    if old is None:
        return 0
    changes, groups = changes_of(chosen, plan, old)
    click.echo("\n".join(as_text(changes, groups, named)), err=changes.refused)
    return 1 if changes.refused else 0


def _found(errors: list[str], folder: Path) -> int:
    for error in errors:
        click.echo(error, err=True)
    click.echo(f"{len(errors)} found in {folder}", err=True)
    return 1
