"""`footfall plan init`: a plan of one's own, to begin with."""

from __future__ import annotations

import re
from pathlib import Path

import click

from collector.cli.options import Failure


@click.command()
@click.argument("folder")
@click.option("--name", metavar="NAME", help="Of the plan (default: that of the folder).")
def init(folder: str, name: str | None) -> None:
    """Write the plan that ships into FOLDER, as a start for your own: what the tag sends, and a shop.

    Edit and remove what you like, then `footfall plan release FOLDER`, and name it to the collector (`--plan`, or
    `plan` in its settings). Never overwrites a file.
    """
    from collector.paths import DEFAULT_PLAN_DIR
    from collector.plan.against import copy_plan
    from collector.plan.editor import SCHEMA_NAME

    to = Path(folder)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Failure(f"{to} is there and not empty; name another folder")
    chosen = name or re.sub(r"[^a-z0-9]+", "-", to.resolve().name.lower()).strip("-") or "plan"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", chosen):
        raise Failure(f'"{chosen}" cannot be a plan\'s name; use letters, digits, - and _, at most 64')
    if to.exists():
        to.rmdir()
    to.parent.mkdir(parents=True, exist_ok=True)
    copy_plan(DEFAULT_PLAN_DIR, to)
    head = to / "plan.yaml"
    head.write_text(re.sub(r"(?m)^plan: .*$", f"plan: {chosen}", head.read_text(encoding="utf-8")), encoding="utf-8")
    (to / SCHEMA_NAME).write_bytes((DEFAULT_PLAN_DIR / SCHEMA_NAME).read_bytes())
    click.echo(
        f"wrote {sum(path.is_file() for path in to.rglob('*'))} files into {to}, the plan {chosen}; edit them, then"
    )
    click.echo(f"  footfall plan check {to}\n  footfall plan release {to}\n  footfall serve --plan {to}")
