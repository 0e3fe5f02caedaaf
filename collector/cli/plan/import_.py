"""`footfall plan import`: a first plan from what another product exports."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="import")
@click.argument("format", type=click.Choice(["segment", "rudderstack", "avo", "iglu", "jsonschema"]))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", metavar="DIR", default="imported-plan", help="Folder to write (default: imported-plan).")
def import_(format: str, file: Path, out: str) -> int:
    """Turn another product's tracking plan into a folder of YAML; exit 1 when the result needs a hand.

    Says, one line each, what could not be carried over. Never overwrites a file.
    """
    from collector.plan import check_report
    from collector.plan.convert.products import read
    from collector.plan.convert.write import write
    from collector.wire.names import snake_case

    folder = Path(out)
    done = write(read(format, file, snake_case), folder, snake_case)
    for note in done.notes:
        click.echo(f"note: {note}")
    events = sum(path.parent.name == "imported" for path in done.files)
    click.echo(f"wrote {events} events into {folder}, with {len(done.notes)} notes")
    report = check_report(folder)
    for error in report.errors:
        click.echo(error, err=True)
    return 1 if report.errors else 0
