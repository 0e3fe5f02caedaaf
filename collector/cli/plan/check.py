"""`footfall plan check`: is the plan right, and does it do what its own tests say?"""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.options import settings_of


@click.command()
@click.argument("folder", required=False)
def check(folder: str | None) -> int:
    """Check a plan's files and run the tests that stand in them; exit 1 when something is wrong."""
    from collector.plan import check_report

    chosen = Path(folder) if folder else settings_of().plan_dir
    report = check_report(chosen)
    for error in report.errors:
        click.echo(error, err=True)
    if report.errors:
        click.echo(f"{len(report.errors)} found in {chosen}", err=True)
        return 1
    click.echo(f"{chosen} is right: {report.events} events, {report.tests} tests")
    return 0
