"""`footfall views`: what it prints and writes, without a database."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from collector.cli.main import command
from collector.cli.options import Failure
from collector.database.catalogue import catalogue

VIEWS = catalogue()


def run(*arguments: str) -> Any:
    return command.main(args=["views", *arguments], standalone_mode=False)


def test_list_names_every_view_in_its_room_with_its_question(capsys: pytest.CaptureFixture[str]) -> None:
    run("list")
    room, found = "", {}
    for line in capsys.readouterr().out.splitlines():
        if re.fullmatch(r"\w+", line):
            room = line
        elif entry := re.fullmatch(r"  (\w+) +(\S.*)", line):
            found[entry[1]] = room, entry[2]
    assert found == {name: (view.room, view.question) for name, view in VIEWS.items()}
    assert list(found) == list(VIEWS)


def test_list_of_a_room_has_the_views_of_it_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run("list", "--room", "quality", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert [view["name"] for view in listed] == [name for name, view in VIEWS.items() if view.room == "quality"]
    daily = next(view for view in listed if view["name"] == "dq_daily")
    assert daily["columns"][0] == {
        "name": "source_id",
        "type": "String",
        "says": "The site or server that sent it.",
    }


def test_show_prints_header_columns_with_types_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    run("show", "retention")
    text = capsys.readouterr().out
    for said in (
        "retention: of those who began in a period",
        "Question    Do people come back",
        "            since, until   DateTime64(3): cohorts that begin",
        "  size      UInt64   Those who began.\n  returned  UInt64   Those of them who came back.\n",
        "\nExample\n  SELECT * FROM retention(source_id = 'shop',",
    ):
        assert said in text
    run("show", "retention", "--json")
    assert json.loads(capsys.readouterr().out)["parameters"][0] == {"name": "source_id", "type": "String"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "funel"), "there is no view 'funel'; did you mean funnel? `footfall views list` names all"),
        (("show", "zzz"), "there is no view 'zzz'; `footfall views list` names all"),
        (("list", "--room", "attic"), "there is no room 'attic'; known are: events, sessions, journeys"),
        (("docs", "--out", "/nonexistent/views.html"), "/nonexistent/views.html cannot be written: No such file"),
    ],
)
def test_what_there_is_not_is_said_in_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(Failure) as failure:
        run(*arguments)
    assert str(failure.value).startswith(sentence)


class _Page(HTMLParser):
    """The ids and the links of a page, and all of its text."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        assert tag != "script"
        if "id" in facts:
            self.ids.append(facts["id"] or "")
        if tag == "a":
            self.links.append(facts["href"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_docs_is_one_page_with_every_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("docs", "--out", str(tmp_path / "views.html"))
    assert capsys.readouterr().out == f"wrote {len(VIEWS)} views to {tmp_path / 'views.html'}\n"
    page = _Page()
    page.feed((tmp_path / "views.html").read_text())
    assert page.ids == list(VIEWS)
    assert page.links == [f"#{name}" for name in VIEWS]
    run("docs", "--out", str(tmp_path / "views.md"))
    markdown = (tmp_path / "views.md").read_text()
    assert re.findall(r"^### (\w+)$", markdown, re.MULTILINE) == list(VIEWS)
    for view in VIEWS.values():
        assert view.example in page.text
        assert view.example in markdown
        for column in view.columns:
            assert f"| `{column.name}` | `{column.type}` |" in markdown
            assert column.says in page.text
