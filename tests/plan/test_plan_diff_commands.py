"""footfall plan check, diff, release and test: what they print, and their exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from plan.hindsight import site, track

from collector.cli.plan.check import check
from collector.cli.plan.diff import diff
from collector.cli.plan.release import release
from collector.cli.plan.test import test as run_tests
from collector.database.publish import record_version
from collector.database.store import Store
from collector.ingest.clock import now_ms
from collector.plan import PlanError, load_plan, read_plan

HEAD = "format: 1\nplan: shop\nversion: 1.0.0\n"
EVENT = "event: e\nversion: 1.0.0\nuse: [g]\nproperties:\n  a: {type: string}\ntests:\n  - valid: {a: x, b: 1}\n"
GROUP = "group: g\nproperties:\n  b: {type: integer}\n"


def run(command: object, *arguments: str) -> Result:
    """One command, as `footfall` runs it: a number that it returns is its exit code."""
    runner = CliRunner()
    result = runner.invoke(command, list(arguments), standalone_mode=False)  # type: ignore[arg-type]  # any of the four
    if result.exception is not None:
        raise result.exception
    return result


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository whose folder schemas/ holds a plan of two events that share a group; committed as main."""
    folder = tmp_path / "schemas"
    for name, text in {
        "plan.yaml": HEAD,
        "groups/g.yaml": GROUP,
        "events/e.yaml": EVENT,
        "events/f.yaml": EVENT.replace("event: e", "event: f"),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, "plan")
    return tmp_path


def git(at: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=at, check=True, capture_output=True)


def commit(at: Path, words: str) -> None:
    git(at, "add", "--all")
    git(at, "commit", "--quiet", "--message", words)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


# diff and check --against


def test_a_change_is_compared_with_a_commit(repository: Path) -> None:
    folder = repository / "schemas"
    same = run(diff, str(folder), "--against", "git:main")
    assert (same.return_value, same.output) == (0, "nothing changed against git:main\n")
    edit(folder / "events/e.yaml", "  a:", "  c: {type: string}\n  a:")
    minor = run(diff, str(folder), "--against", "git:main")
    assert minor.return_value == 0
    assert "e  1.0.0 -> 1.1.0: minor" in minor.output
    edit(folder / "events/e.yaml", "{type: string}\n  a", "{type: string, required: true}\n  a")
    edit(folder / "events/e.yaml", "valid: {a: x,", "valid: {c: x,")
    major = run(diff, str(folder), "--against", "git:HEAD")
    assert major.return_value == 1
    assert "REQUIRED_PROPERTY_ADDED" in major.output
    assert run(check, str(folder), "--against", "git:main").return_value == 1
    assert run(check, str(folder)).return_value == 0


def test_a_group_edit_names_its_group_and_events(repository: Path) -> None:
    folder = repository / "schemas"
    edit(folder / "groups/g.yaml", "{type: integer}", "{type: integer, required: true}")
    output = run(diff, str(folder), "--against", "git:main").output
    assert output.startswith("group g: major for 2 events: e, f\n")
    edit(folder / "groups/g.yaml", "  b: {type: integer, required: true}\n", "  c: {type: integer}\n")
    for name in ("e", "f"):
        edit(folder / f"events/{name}.yaml", "b: 1", "c: 1")
    assert "group g: major for 2 events" in run(diff, str(folder), "--against", "git:main").output


def test_json_and_markdown_say_the_same(repository: Path) -> None:
    folder = repository / "schemas"
    edit(folder / "events/e.yaml", "  a: {type: string}", "  a: {type: boolean}")
    edit(folder / "events/e.yaml", "a: x", "a: true")
    found = run(diff, str(folder), "--against", "git:main", "--format", "json")
    assert found.return_value == 1
    made = json.loads(found.output)
    assert (made["bump"], made["plan"]["next"], made["shared"]) == ("major", "2.0.0", [])
    assert {finding["rule"] for finding in made["findings"]} == {"TYPE_CHANGED", "TESTS_CHANGED"}
    text = run(diff, str(folder), "--against", "git:main", "--format", "markdown").output
    assert text.startswith("### Tracking plan: major, 1.0.0 → 2.0.0\n")
    assert "| **major** | `e` 1.0.0 -> 2.0.0 | `/properties/a` | a was string and is boolean;" in text


def test_a_major_that_is_asked_for_passes_before_it_is_frozen(repository: Path) -> None:
    folder = repository / "schemas"
    edit(folder / "events/e.yaml", "  a: {type: string}", "  a: {type: boolean}")
    edit(folder / "events/e.yaml", "a: x", "a: true")
    edit(folder / "events/e.yaml", "version: 1.0.0", "version: 2.0.0\naccept: [{major: 1, until: 2099-01-01}]")
    found = run(diff, str(folder), "--against", "git:main")
    assert (found.return_value, not (folder / "history").exists()) == (0, True)
    assert run(check, str(folder), "--against", "git:main").return_value == 0
    # The lock of a release is enough to check by; without it there is nothing to stand in for the missing file.
    with pytest.raises(PlanError, match="history/e@1"):
        run(run_tests, str(folder))


def test_a_plan_elsewhere_in_the_repository_is_named_by_its_path(repository: Path) -> None:
    folder = repository / "schemas"
    git(repository, "mv", "schemas", "plans")
    commit(repository, "move")
    moved = repository / "plans"
    assert run(diff, str(moved), "--against", "git:HEAD~1:schemas").return_value == 0
    with pytest.raises(PlanError, match="HEAD~1 holds no plan in plans"):
        run(diff, str(moved), "--against", "git:HEAD~1")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("against", "sentence"),
    [
        ("git:nowhere", 'git knows no commit "nowhere"'),
        ("git:", "names no commit"),
        ("git:--output=x", "git knows no commit"),
        ("lock", "nothing was released yet"),
        ("/nowhere", "there is no such folder"),
    ],
)
def test_what_cannot_be_compared_with_is_one_sentence(repository: Path, against: str, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence) as error:
        run(diff, str(repository / "schemas"), "--against", against)
    assert "\n" not in str(error.value)


def test_outside_a_repository_git_is_one_sentence(tmp_path: Path, repository: Path) -> None:
    alone = tmp_path.parent / f"{tmp_path.name}-alone"
    (repository / "schemas").rename(alone)
    with pytest.raises(PlanError, match=r"git could not read .*not a git repository"):
        run(diff, str(alone), "--against", "git:HEAD")


def test_a_mistake_at_the_other_end_is_told_with_its_commit(repository: Path) -> None:
    folder = repository / "schemas"
    edit(folder / "events/e.yaml", "  a: {type: string}", "  a: {type: strong}")
    commit(repository, "mistake")
    edit(folder / "events/e.yaml", "strong", "string")
    with pytest.raises(PlanError, match=r"HEAD:schemas/events/e.yaml:5:\d+: the type \"strong\" is not known"):
        run(diff, str(folder), "--against", "git:HEAD")


def test_live_is_what_the_settings_name(repository: Path, tmp_path: Path) -> None:
    folder = repository / "schemas"
    live = tmp_path / "live"
    shutil.copytree(folder, live / "schemas")
    config = tmp_path / "footfall.toml"
    data = f'data = "{tmp_path / "none"}"'  # nobody has run a collector, so the folder says what is live
    config.write_text(f'plan = "{live / "schemas"}"\n{data}\n', "utf-8")
    edit(folder / "events/e.yaml", "  a:", "  c: {type: string}\n  a:")
    assert "e  1.0.0 -> 1.1.0" in run(diff, str(folder), "--against", "live", "--config", str(config)).output
    # A lock wins over files that were edited after it.
    assert run(release, str(live / "schemas"), "--date", "2026-11-22").return_value == 0
    edit(live / "schemas/events/e.yaml", "  a:", "  c: {type: string}\n  a:")
    assert "e  1.0.0 -> 1.1.0" in run(diff, str(folder), "--against", "live", "--config", str(config)).output


def test_what_is_live_is_asked_of_a_server_where_there_is_no_data_directory(
    repository: Path, tmp_path: Path, dsn: str, store: Store
) -> None:
    folder = repository / "schemas"
    config = tmp_path / "footfall.toml"
    config.write_text(f'clickhouse = "{dsn}"\ndata = "{tmp_path / "none"}"\nplan = "{folder}"\n', "utf-8")
    arguments = (str(folder), "--against", "live", "--config", str(config))
    none = run(diff, *arguments)
    assert "The database names no live plan yet" in none.stderr
    assert record_version(store, load_plan(folder), 1_790_000_000_000)
    named = "live (shop 1.0.0, since 2026-09-21 14:13 UTC)"
    assert run(diff, *arguments).output == f"nothing changed against {named}\n"
    edit(folder / "events/e.yaml", "  a:", "  c: {type: string}\n  a:")
    assert "e  1.0.0 -> 1.1.0: minor" in run(diff, *arguments, "--days", "1").output
    assert f"{folder} is right" in run(check, *arguments).output
    # Written by a newer Footfall, whose locks this one cannot read.
    record_version(store, replace(load_plan(folder), version="9.0.0"), 1_790_000_001_000)
    newer = "UPDATE plan = '{\"format\":2}' WHERE 1 SETTINGS mutations_sync = 2"
    store.command(f"ALTER TABLE {store.database}.plan_versions {newer}")
    with pytest.raises(PlanError, match=r"the live plan is not one that this Footfall reads .*format 2"):
        run(diff, *arguments)
    assert not (tmp_path / "none").exists()


INNER = (
    "  box: {properties: {shade: {type: integer}, free: {type: map, values: {type: string}}, "
    "parts: {type: array, items: {properties: {n: {type: integer}}}}}}"
)
ITEMS = "\n  items: {type: array, items: {properties: {sku: {type: string}%s}}}"


def test_stored_events_are_asked_before_a_release_where_they_can_be(
    repository: Path, tmp_path: Path, dsn: str, store: Store
) -> None:
    folder = repository / "schemas"
    event = folder / "events/e.yaml"
    edit(event, "  a: {type: string}", "  a: {type: string}" + ITEMS % "")
    config = tmp_path / "footfall.toml"
    config.write_text(f'clickhouse = "{dsn}"\ndata = "{tmp_path / "none"}"\n', "utf-8")
    asking, alone = ("--config", str(config)), ("--data", str(tmp_path / "nowhere"))
    assert run(release, str(folder), *alone).return_value == 0
    plan = read_plan(folder)
    now = now_ms()
    record_version(store, plan, now)
    shop = site(tmp_path, dsn, store, plan)
    box = {"shade": "dark", "parts": [{"n": 1}, {"n": 1.5}], "free": {"x/y": True}}
    items = [{"sku": "s"}, {"sku": "s", "size": "L"}]
    shop.receive(track("e", "m", a="x", colour="red", items=items, box=box), track("banner", "n"), received_ms=now)
    shop.load()

    # A name that was already sent with another type, also within a list: a major.
    text = event.read_text("utf-8")
    edit(event, "  a:", f"  colour: {{type: integer}}\n{INNER}\n  a:")
    edit(event, "{sku: {type: string}}", "{sku: {type: string}, size: {type: integer}}")
    for command in (release, check):
        against = () if command is release else ("--against", "live")
        found = run(command, str(folder), *asking, *against)
        assert found.return_value == 1
        assert "/properties/colour  colour was already sent as string, which an integer does not hold" in found.output
        assert "/properties/items/*/size  size was already sent as string" in found.output
        for said in (  # and within an object that was sent whole
            "/properties/box/shade  box.shade was already sent as string, which an integer",
            "/properties/box/parts/*/n  box.parts[].n was already sent as number, which an integer",
            "/properties/box/free/*  box.free[] was already sent as boolean, which a string",
        ):
            assert said in found.output
        unasked = run(command, str(folder), *alone, *(("--against", "lock") if against else ("--dry-run",)))
        assert unasked.return_value == 0
        (line,) = [line for line in unasked.output.splitlines() if line.startswith("stored data was not asked")]
        assert "`footfall plan diff --days 30`" in line

    # A version under which something else was live.
    for path in (event, folder / "plan.yaml"):
        path.write_text(text if path is event else HEAD, "utf-8")
    edit(event, "  a:", "  b2: {type: integer}\n  a:")
    record_version(store, replace(plan, version="1.1.0", hash=""), now + 1)
    taken = run(release, str(folder), *asking)
    assert taken.return_value == 1
    assert "shop 1.1.0 went live on" in taken.output
    edit(folder / "plan.yaml", "1.0.0", "2.0.0")
    assert run(release, str(folder), *asking, "--dry-run").return_value == 0

    # A new event that was sent before it was planned, and another enforcement, are judged by what they would refuse;
    # they are released by whoever says so, or with a rule that begins on a day.
    banner = folder / "events/banner.yaml"
    tighter = "2.0.0\nenforce: {unknown_property: %s}"
    for number, what in enumerate(("banner (missing_required: 1 of 1)", "e@1 (unknown_property: 1 of 1)")):
        if number:
            edit(folder / "plan.yaml", "2.0.0", tighter % "quarantine")
        else:
            banner.write_text(
                "event: banner\nversion: 1.0.0\nproperties: {x: {type: string, required: true}}\n", "utf-8"
            )
        words = ((release, ["--dry-run"]), (check, ["--against", "live"]))
        for command, more in (words[number], words[not number]):
            told = run(command, str(folder), *asking, *more)
            assert told.return_value == 1, told.output
            assert f"the change would newly quarantine 100 % of {what}, of what was stored in the last 7" in told.output
            assert "take that on with --rejecting" in told.output
        assert run(command, str(folder), *asking, *more, "--rejecting").return_value == 0
        if not number:
            banner.unlink()
    edit(folder / "plan.yaml", "quarantine", "{action: quarantine, from: 2099-01-01}")
    assert run(release, str(folder), *asking, "--dry-run").return_value == 0
    refused = run(release, str(folder), *alone)
    assert refused.return_value == 1
    assert "needs a simulation, and no stored events can be asked" in refused.output
    assert read_plan(folder).version == "1.0.0"
    assert run(release, str(folder), *alone, "--unsimulated").return_value == 0
    assert read_plan(folder).version == "2.0.0"

    # What is still sent does not end unseen.
    edit(folder / "plan.yaml", "enforce: {", "enforce: {unknown_event: quarantine, ")
    assert run(release, str(folder), *alone, "--unsimulated").return_value == 0
    event.unlink()
    edit(folder / "plan.yaml", "2.1.0", "3.0.0")
    ended = run(release, str(folder), *asking)
    assert ended.return_value == 1
    assert "the change would newly quarantine 100 % of e@1 (unknown_event: 1 of 1)" in ended.output


# release


def test_release_and_its_dry_run(repository: Path) -> None:
    folder = repository / "schemas"
    dry = run(release, str(folder), "--dry-run", "--date", "2026-11-22")
    assert dry.return_value == 0
    assert f"would write {folder / 'plan.lock'}" in dry.output
    assert not (folder / "plan.lock").exists()
    assert "released 1.0.0\n" in run(release, str(folder), "--date", "2026-11-22").output
    assert "nothing to release: plan.lock holds 1.0.0" in run(release, str(folder)).output
    edit(folder / "groups/g.yaml", "  b: {type: integer}", "  b: {type: string}")
    for name in ("e", "f"):
        edit(folder / f"events/{name}.yaml", "b: 1", "b: x")
    refused = run(release, str(folder))
    assert refused.return_value == 1
    assert "nothing was released; --major allows new majors" in refused.output
    allowed = run(release, str(folder), "--major")
    assert allowed.return_value == 0
    assert "e@1 is frozen and no longer accepted" in allowed.output
    assert "released 2.0.0 (was 1.0.0)" in allowed.output
    assert run(diff, str(folder)).return_value == 0


def test_release_tells_a_failing_test(repository: Path) -> None:
    folder = repository / "schemas"
    edit(folder / "events/e.yaml", "b: 1", "b: x")
    refused = run(release, str(folder))
    assert refused.return_value == 1
    assert "this test of e should be valid, but b is" in refused.output


# test


def test_every_test_is_shown_with_its_verdict(repository: Path) -> None:
    folder = repository / "schemas"
    good = run(run_tests, str(folder))
    assert good.return_value == 0
    assert good.output == "ok    e@1 line 7: valid\nok    f@1 line 7: valid\n2 of 2 tests hold\n"
    edit(folder / "events/e.yaml", "b: 1", "b: x")
    bad = run(run_tests, str(folder))
    assert bad.return_value == 1
    assert bad.output.startswith("FAIL  e@1 line 7: valid\n      this test of e should be valid, but b is")
    assert run(run_tests, str(folder), "--event", "f").return_value == 0
    made = json.loads(run(run_tests, str(folder), "--event", "e", "--json").output)
    assert [(one["event"], one["passed"]) for one in made] == [("e", False)]


def test_an_unknown_event_is_one_sentence_that_helps(repository: Path) -> None:
    from collector.cli.options import Failure

    with pytest.raises(Failure, match="the plan has no event 'g'"):
        run(run_tests, str(repository / "schemas"), "--event", "g")


def test_check_tells_mistakes_and_counts_them(repository: Path) -> None:
    folder = repository / "schemas"
    assert run(check, str(folder)).output == f"{folder} is right: 2 events, 2 tests\n"
    edit(folder / "plan.yaml", "plan: shop", "plan: shop\nplon: shop")
    found = run(check, str(folder))
    assert found.return_value == 1
    assert "plan.yaml:3:1:" in found.output
    assert found.output.endswith(f"1 found in {folder}\n")
