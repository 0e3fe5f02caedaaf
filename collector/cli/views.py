"""`footfall views`: what may be asked of the database, by room, without asking it."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli.options import Failure, print_json

if TYPE_CHECKING:
    from collector.database.catalogue import View


@click.group()
def views() -> None:
    """Show which questions the database's views answer, and how to ask them."""


@views.command("list")
@click.option("--room", metavar="ROOM", help="Only the views of one room, such as funnels.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def views_list(room: str | None, as_json: bool) -> None:
    """List all views by room, each with the question that it answers."""
    found = list(_catalogue().values())
    rooms = list(dict.fromkeys(view.room for view in found))
    if room is not None and room not in rooms:
        raise Failure(f"there is no room {room!r}; known are: {', '.join(rooms)}")
    chosen = [view for view in found if room in (None, view.room)]
    if as_json:
        print_json([_as_json(view) for view in chosen])
        return
    width = max(len(view.name) for view in chosen)
    for one in dict.fromkeys(view.room for view in chosen):
        click.echo(f"{one}")
        for view in chosen:
            if view.room == one:
                click.echo(f"  {view.name:{width}}  {view.question}")
    click.echo("\n`footfall views show NAME` shows one with its columns and an example")


@views.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def views_show(name: str, as_json: bool) -> None:
    """Show one view: its definition, its parameters, its columns with their types, and a SELECT to start from."""
    known = _catalogue()
    if name not in known:
        near = get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise Failure(f"there is no view {name!r}; {meant}`footfall views list` names all")
    view = known[name]
    if as_json:
        print_json(_as_json(view))
        return
    click.echo(f"{view.name}: {view.title}\n")
    for part, text in view.parts.items():
        click.echo(f"{part:12}{text.replace(chr(10), chr(10) + ' ' * 12)}")
    names = max((len(column.name) for column in view.columns), default=0)
    types = max((len(column.type) for column in view.columns), default=0)
    click.echo("\nColumns")
    for column in view.columns:
        click.echo(f"  {column.name:{names}}  {column.type:{types}}  {column.says}".rstrip())
    click.echo(f"\nExample\n  {view.example.replace(chr(10), chr(10) + '  ')}")


@views.command("docs")
@click.option(
    "--out", metavar="FILE", default="views.html", show_default=True, help="Page to write; Markdown if it ends in .md."
)
def views_docs(out: str) -> None:
    """Write one page with all views: what they answer, their parameters and columns, and examples."""
    from collector.cli.views_page import as_html, as_markdown  # noqa: PLC0415 - as _catalogue

    found = list(_catalogue().values())
    target = Path(out)
    make = as_markdown if target.suffix == ".md" else as_html
    try:
        target.write_text(make(found), encoding="utf-8")
    except OSError as error:
        raise Failure(f"{target} cannot be written: {error.strerror}; choose another file with --out") from error
    click.echo(f"wrote {len(found)} views to {target}")


def _catalogue() -> dict[str, View]:
    from collector.database.catalogue import catalogue  # noqa: PLC0415 - the plan's modules, which few other commands need

    return catalogue()


def _as_json(view: View) -> dict[str, Any]:
    return {
        "name": view.name,
        "room": view.room,
        "title": view.title,
        "question": view.question,
        "parameters": view.parameters,
        "columns": view.columns,
        "example": view.example,
        "header": view.parts,
    }
