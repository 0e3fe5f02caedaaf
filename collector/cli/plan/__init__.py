"""`footfall plan`: work on the tracking plan. One module per command, each quick to import."""

from __future__ import annotations

import click

from collector.cli.plan.check import check


@click.group()
def plan() -> None:
    """Work on the tracking plan."""


for _each in (check,):
    plan.add_command(_each)
