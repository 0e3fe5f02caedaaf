"""The default plan and a plan of every keyword: they load, and their own tests hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.cli.plan.init import init
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import Action, check_plan, check_report, compile_plan, load_plan
from collector.reason import Reason

EXAMPLE = Path(__file__).parent / "example"


def test_the_default_plan_passes_its_own_tests() -> None:
    report = check_report(DEFAULT_PLAN_DIR)
    assert report.errors == []
    assert report.events == len(list((DEFAULT_PLAN_DIR / "events").rglob("*.yaml")))
    assert report.tests >= 30


def test_every_event_of_the_default_plan_has_a_valid_and_an_invalid_test() -> None:
    for event in load_plan(DEFAULT_PLAN_DIR).events.values():
        kinds = {bool(test.violates) for test in event.tests}
        assert kinds == {False, True}, event.name


def test_the_default_plan_flags_what_is_unknown_and_quarantines_what_is_wrong() -> None:
    actions = load_plan(DEFAULT_PLAN_DIR).actions
    assert {reason for reason, action in actions.items() if action is Action.FLAG} == {
        Reason.UNKNOWN_EVENT,
        Reason.UNKNOWN_PROPERTY,
        Reason.UNDECLARED_PII,
    }
    assert Action.ALLOW not in actions.values()


@pytest.mark.parametrize("path", sorted(DEFAULT_PLAN_DIR.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_of_the_default_plan_opens_with_a_comment_for_its_editor(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("event", ["page_view", "click"])
def test_page_facts_may_arrive_in_properties_or_not_at_all(event: str) -> None:
    plan = compile_plan(load_plan(DEFAULT_PLAN_DIR))
    page = b'{"url":"https://a.example/?q=1","path":"/","referrer":"","search":"?q=1","title":"","name":null}'
    assert plan.check(event, None, page).violations == ()
    assert plan.check(event, None, b"{}").violations == ()


def test_a_plan_of_ones_own_begins_with_the_one_that_ships(tmp_path: Path) -> None:
    begun = tmp_path / "My Shop"
    done = CliRunner().invoke(init, [str(begun)], standalone_mode=False)
    assert "files into" in done.output, done.output
    assert check_report(begun).errors == []
    plan = load_plan(begun)
    assert (plan.name, plan.events.keys()) == ("my-shop", load_plan(DEFAULT_PLAN_DIR).events.keys())
    assert (begun / "plan.schema.json").exists()
    assert not (begun / "plan.lock").exists()
    again = CliRunner().invoke(init, [str(begun)], standalone_mode=False)
    assert str(again.exception) == f"{begun} is there and not empty; name another folder"


def test_the_example_passes_its_own_tests() -> None:
    report = check_report(EXAMPLE)
    assert report.errors == []
    assert (report.events, report.tests) == (3, 12)


def test_a_test_that_does_not_hold_is_an_error_with_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    shutil.copytree(EXAMPLE, folder)
    event = folder / "events/core/page_view.yaml"
    text = event.read_text(encoding="utf-8")
    event.write_text(text.replace("violates: {constraint: page_type}", "violates: {wrong_type: page_type}"), "utf-8")
    line = text[: text.index("page_type: landing")].count("\n") + 1
    (error,) = check_plan(folder)
    assert error.startswith(
        f"{event}:{line}:5: this test of page_view should violate wrong_type at /properties/page_type"
    )

    event.write_text(text.replace("load_ms: 812", "load_ms: -812"), "utf-8")
    (error,) = check_plan(folder)
    assert "should be valid, but load_ms is -812, it must be at least 0" in error

    event.write_text(text.replace("url: no address", 'url: "https://a.example/"'), "utf-8")
    (error,) = check_plan(folder)
    assert error.endswith("should violate constraint at /properties/url, but it is valid")


def test_a_faulty_plan_is_reported_not_raised(tmp_path: Path) -> None:
    report = check_report(tmp_path / "nowhere")
    assert (report.events, report.tests) == (0, 0)
    assert "there is no such folder" in report.errors[0]
