"""`footfall connect`: files for other tools that read the views."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from collector.cli.options import Failure
from collector.paths import REACH_DIR

KINDS = {"grafana": "footfall-dashboard.json", "dbt": "footfall-dbt"}


@click.command()
@click.argument("tool", type=click.Choice(sorted(KINDS)))
@click.option("--out", metavar="PATH", help="File, or for dbt folder, to write; it must not exist.")
def connect(tool: str, out: str | None) -> None:
    """Write a Grafana dashboard or a dbt project that ask the views.

    collector/docs/reach.md says how Grafana, dbt, Metabase, Superset, Tableau and Power BI connect.
    """
    target = Path(out or KINDS[tool])
    if target.exists():
        raise Failure(f"{target} exists already; name another with --out, or delete it")
    try:
        if tool == "dbt":
            shutil.copytree(REACH_DIR / "dbt", target)
        else:
            shutil.copyfile(REACH_DIR / "grafana.json", target)
    except OSError as error:
        raise Failure(f"{target} cannot be written: {error.strerror or error}; choose another with --out") from error
    click.echo(f"wrote {target}")
