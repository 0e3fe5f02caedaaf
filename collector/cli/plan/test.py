"""`footfall plan test`: run the tests that stand in the plan's own files, and show each."""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.options import Failure, print_json, settings_of


@click.command()
@click.argument("folder", required=False)
@click.option("--event", metavar="NAME", help="Only the tests of this event, of all its majors.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def test(folder: str | None, event: str | None, as_json: bool) -> int:
    """Run the tests of a plan's events and print each with its verdict; exit 1 when one fails."""
    from collector.plan.against import released_plan, working_plan
    from collector.plan.problems import nearest
    from collector.plan.report import run_tests

    chosen = Path(folder) if folder else settings_of().plan_dir
    plan = working_plan(chosen, released_plan(chosen))
    if event is not None and event not in plan.events:
        raise Failure(f"the plan has no event {event!r}{nearest(event, plan.events)}")
    outcomes = [one for one in run_tests(plan) if event in (None, one.event.name)]
    failed = sum(bool(one.failure) for one in outcomes)
    if as_json:
        print_json(
            [
                {
                    "event": one.event.name,
                    "major": one.event.major,
                    "line": one.test.mark.line,
                    "expects": sorted(f"{word}:{pointer}" for word, pointer in one.test.violates),
                    "passed": not one.failure,
                    "failure": one.failure,
                }
                for one in outcomes
            ]
        )
        return 1 if failed else 0
    for one in outcomes:
        expects = ", ".join(f"{word} at {pointer}" for word, pointer in sorted(one.test.violates)) or "valid"
        name = f"{one.event.name}@{one.event.major} line {one.test.mark.line}"
        click.echo(f"{'FAIL' if one.failure else 'ok  '}  {name}: {expects}")
        if one.failure:
            click.echo(f"      {one.failure}")
    click.echo(f"{len(outcomes) - failed} of {len(outcomes)} tests hold")
    return 1 if failed else 0
