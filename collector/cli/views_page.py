"""All views on one page that needs no server: Markdown or HTML from the same catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from collector.database.catalogue import View

_MADE_BY = "Made by `footfall views docs`."
# What the page itself leaves out of a header: the example stands on its own, and a test is for those who change a view.
_LEFT_OUT = ("Question", "Parameters", "Test")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 1rem; color: #1d2430; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { border: 1px solid #d5dae3; padding: .25rem .5rem; text-align: left; vertical-align: top; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { background: #f3f5f9; padding: .75rem; overflow-x: auto; white-space: pre-wrap; }
.part { display: grid; grid-template-columns: 7rem 1fr; } .part pre { background: none; margin: 0; padding: 0; }
@media (prefers-color-scheme: dark) {
  body { background: #14181f; color: #dfe4ee; } td, th { border-color: #333c4b; } pre { background: #1d232d; }
}
"""


def as_markdown(views: Sequence[View]) -> str:
    """The page as Markdown, with a table of contents."""
    lines = ["# Views", "", _MADE_BY, ""]
    for room, inside in _rooms(views):
        lines += [f"- **{room}**"]
        lines += [f"  - [{view.name}](#{view.name}): {view.question}" for view in inside]
    for room, inside in _rooms(views):
        lines += ["", f"## {room.capitalize()}"]
        for view in inside:
            lines += [
                "",
                f"### {view.name}",
                "",
                f"{view.title[:1].upper()}{view.title[1:]}",
                "",
                f"*{view.question}*",
                "",
            ]
            lines += ["```sql", view.example, "```", ""]
            if view.parameters:
                lines += ["```text", _parameters(view), "```", ""]
            lines += ["| Column | Type | What it is |", "| --- | --- | --- |"]
            lines += [
                f"| `{one.name}` | `{one.type}` | {one.says.replace('|', chr(92) + '|')} |" for one in view.columns
            ]
            for part, text in _told(view):
                lines += ["", f"**{part}**", "", "```text", text, "```"]
    return "\n".join(lines) + "\n"


def as_html(views: Sequence[View]) -> str:
    """The page as HTML: without script, with all its style."""
    contents, chapters = [], []
    for room, inside in _rooms(views):
        items = "".join(f'<li><a href="#{one.name}">{one.name}</a>: {escape(one.question)}</li>' for one in inside)
        contents.append(f"<li>{escape(room)}<ul>{items}</ul></li>")
        chapters.append(f"<h2>{escape(room.capitalize())}</h2>" + "".join(map(_article, inside)))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Views</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Views</h1>
<nav aria-label="Views"><ul>{"".join(contents)}</ul></nav>
<main>
{"".join(chapters)}
</main>
<footer>{_MADE_BY.replace("`", "")}</footer>
</body>
</html>
"""


def _article(view: View) -> str:
    parameters = f"<h4>Parameters</h4><pre>{escape(_parameters(view))}</pre>" if view.parameters else ""
    columns = "".join(
        f"<tr><td><code>{escape(one.name)}</code></td><td><code>{escape(one.type)}</code></td>"
        f"<td>{escape(one.says)}</td></tr>"
        for one in view.columns
    )
    parts = "".join(
        f'<div class="part"><strong>{part}</strong><pre>{escape(text)}</pre></div>' for part, text in _told(view)
    )
    heads = "<tr><th>Column</th><th>Type</th><th>What it is</th></tr>"
    return (
        f'<section id="{view.name}"><h3>{view.name}</h3>'
        f"<p>{escape(view.title)}</p><p><em>{escape(view.question)}</em></p>"
        f"<pre>{escape(view.example)}</pre>{parameters}"
        f"<table><thead>{heads}</thead><tbody>{columns}</tbody></table>{parts}</section>\n"
    )


def _rooms(views: Sequence[View]) -> list[tuple[str, list[View]]]:
    return [(room, list(inside)) for room, inside in groupby(views, key=lambda view: view.room)]


def _parameters(view: View) -> str:
    """What the header says of the parameters, without its example."""
    text = view.parts.get("Parameters", "")
    start = text.find("SELECT ")
    return (text if start < 0 else text[:start]).rstrip()


def _told(view: View) -> Iterator[tuple[str, str]]:
    return ((part, text) for part, text in view.parts.items() if part not in _LEFT_OUT)
