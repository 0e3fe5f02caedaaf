"""schemas/README.md says what there is: every keyword, command, class, handling and rule, and no other."""

from __future__ import annotations

import re

import click
import pytest

from collector.cli.main import command
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import keywords
from collector.plan.changes import RULES, Bump
from collector.plan.model import ACTIONS_OF, DEFAULT_ACTIONS

TEXT = (DEFAULT_PLAN_DIR / "README.md").read_text(encoding="utf-8")
TABLES = {
    name: table
    for name, table in vars(keywords).items()
    if isinstance(table, dict) and all(isinstance(shape, keywords.Shape) for shape in table.values())
}


def section(title: str) -> str:
    """The text of one chapter."""
    found = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert found, title
    return found


@pytest.mark.parametrize("table", TABLES)
def test_every_keyword_stands_in_it(table: str) -> None:
    missing = [word for word in TABLES[table] if not re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", TEXT)]
    assert not missing


def test_every_command_stands_in_it() -> None:
    plan = command.commands["plan"]
    assert isinstance(plan, click.Group)
    rows = re.findall(r"^\| `(\w+)[^`]*` \|", section("Commands"), re.MULTILINE)
    assert sorted(rows) == sorted(plan.commands)


def test_every_flag_that_it_names_is_one() -> None:
    plan = command.commands["plan"]
    assert isinstance(plan, click.Group)
    known = {option for one in plan.commands.values() for param in one.params for option in param.opts} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) <= known


def test_classes_have_their_defaults_and_actions() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (\w+) \| ([\w ]+) \|$", TEXT, re.MULTILINE)
    shown = {word: (default, set(actions.split())) for word, default, actions in rows}
    assert shown == {
        reason.word: (DEFAULT_ACTIONS[reason].value, {action.value for action in actions})
        for reason, actions in ACTIONS_OF.items()
    }


def test_handlings_of_personal_data_are_those_of_the_format() -> None:
    part = section("Add a property").partition("### Personal data")[2]
    assert tuple(re.findall(r"^\| `(\w+)`", part, re.MULTILINE)) == keywords.HANDLINGS


@pytest.mark.parametrize("bump", [bump for bump in Bump if bump is not Bump.NONE])
def test_every_rule_stands_under_its_bump(bump: Bump) -> None:
    part = section("Rules of a comparison").partition(f"**{bump.word}**")[2].partition("\n**")[0]
    rows = re.findall(r"^\| ([A-Z_]+) \| (.+) \|$", part, re.MULTILINE)
    assert rows == [(name, about) for name, (rule, about) in RULES.items() if rule is bump]
