"""`footfall plan export`: the plan in a standard format."""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.options import Failure, settings_of


@click.command()
@click.argument("format", type=click.Choice(["jsonschema"]))
@click.argument("folder", required=False)
@click.option("--event", metavar="NAME", help="Only this event: purchase, or purchase@1 for an older major.")
@click.option("--out", metavar="DIR", help="Write one file an event here (default: print).")
def export(format: str, folder: str | None, event: str | None, out: str | None) -> None:
    """Write the plan as JSON Schema 2020-12, one schema for each event.

    For example: footfall plan export jsonschema --event purchase
    """
    from collector.plan.against import released_plan, working_plan
    from collector.plan.convert.jsonschema import DIALECT, ID_START, schemas_of, text_of
    from collector.plan.problems import nearest

    del format  # there is one
    chosen = Path(folder) if folder else settings_of().plan_dir
    plan = working_plan(chosen, released_plan(chosen))
    schemas = schemas_of(plan)
    if event is not None:
        name = f"{event}@{plan.events[event].major}" if event in plan.events else event
        if name not in schemas:
            raise Failure(f'the plan has no event "{event}"{nearest(event, schemas if "@" in event else plan.events)}')
        schemas = {name: schemas[name]}
    if out is None:
        one = next(iter(schemas.values())) if event is not None else {"$schema": DIALECT, "$defs": schemas}
        click.echo(text_of(one), nl=False)
        return
    files = {Path(out) / f"{name}.json": text_of(schema) for name, schema in schemas.items()}
    for path in files:
        if path.exists() and ID_START not in path.read_text(encoding="utf-8", errors="replace")[:500]:
            raise Failure(f"{path} is there and was not written by this command; choose another folder, or remove it")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
