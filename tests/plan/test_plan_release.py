"""plan release: versions, frozen majors, the lock and the changelog; refusals; and what a cut release leaves."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, assume, given, settings
from msgspec.structs import replace
from plan.plan_examples import examples
from plan.test_plan_compat_fuzz import members_drawn

from collector.files import replace_file
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import PlanError, load_plan
from collector.plan import release as module
from collector.plan.against import unreleased
from collector.plan.freeze import frozen_text
from collector.plan.lock import LOCK_NAME, lock_bytes, read_lock
from collector.plan.model import (
    DEFAULT_ACTIONS,
    PROD,
    Action,
    EventPlan,
    EventTest,
    Pii,
    Plan,
    Property,
    Rule,
    Sampling,
    Type,
)
from collector.plan.release import CHANGELOG, Release, release
from collector.plan.report import Outcome, run_tests
from collector.reason import Reason

DAY = datetime.date(2026, 11, 22)
EXAMPLE = Path(__file__).parent / "example"


FILES = {
    "plan.yaml": """
        # The head.
        format: 1
        plan: shop
        version: 1.0.0
        enforce: {constraint: quarantine}
        """,
    "types.yaml": """
        types:
          money: {type: decimal, minimum: 0}
        """,
    "groups/page.yaml": """
        group: page
        properties:
          url: {type: string, maxLength: 99}
        """,
    "events/core/click.yaml": """
        event: click
        version: 1.0.0
        use: [page]
        properties:
          x: {type: integer, minimum: 0}
        """,
    "events/core/search.yaml": """
        # One search.
        event: search
        version: 1.0.0
        description: A search returned (also with zero results).
        semantic: {conversion: micro}
        properties:
          query: {type: string, minLength: 1, maxLength: 256, required: true, pii: {class: free_text}}
          results: {type: integer, minimum: 0, required: true}
          price: {type: money}
          sort: {type: string, enum: [relevance, price_asc, price_desc, newest]}
        enforce: {constraint: flag}
        tests:
          - valid: {query: red shoes, results: 42}
          - valid: {query: red shoes, results: 0, sort: price_asc}
          - invalid: {query: red shoes, results: -1}
            violates: {constraint: results}
        """,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small plan, released once."""
    made = tmp_path / "plan"
    for name, text in FILES.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), "utf-8")
    assert release(made, DAY).failures == ()
    return made


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new), "utf-8")


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rules(done: Release) -> set[str]:
    return {finding.rule for finding in done.changes.findings} if done.changes is not None else set()


# The first release, and the next


@pytest.mark.parametrize("source", [DEFAULT_PLAN_DIR, EXAMPLE], ids=["default", "example"])
def test_the_first_release_writes_the_lock_and_leaves_the_files_alone(tmp_path: Path, source: Path) -> None:
    made = tmp_path / "plan"
    shutil.copytree(source, made, ignore=shutil.ignore_patterns("plan.lock", "CHANGELOG.md"))
    before = tree(made)
    done = release(made, DAY)
    assert (done.refused, done.old, done.files) == (False, "", (CHANGELOG, LOCK_NAME))
    after = tree(made)
    assert {path: after[path] for path in before} == before
    assert read_lock(made / LOCK_NAME).events == {
        name: replace(event, tests=tuple(EventTest(document=t.document, violates=t.violates) for t in event.tests))
        for name, event in load_plan(made).events.items()
    }
    assert b"First release." in after[CHANGELOG]


def test_a_second_release_changes_nothing(folder: Path) -> None:
    before = tree(folder)
    done = release(folder, DAY)
    assert (done.files, done.refused) == ((), False)
    assert tree(folder) == before


def test_a_release_writes_versions_and_nothing_else_into_the_files(folder: Path) -> None:
    search = folder / "events/core/search.yaml"
    edit(search, "version: 1.0.0", "version:   '1.0.0'   # do not touch")
    edit(search, "  sort:", "  page: {type: integer, minimum: 1}\n  sort:")
    before = tree(folder)
    done = release(folder, DAY)
    assert done.files == ("plan.yaml", "events/core/search.yaml", CHANGELOG, LOCK_NAME)
    after = tree(folder)
    assert after["events/core/search.yaml"] == before["events/core/search.yaml"].replace(b"'1.0.0'", b"'1.1.0'")
    assert after["plan.yaml"] == before["plan.yaml"].replace(b"version: 1.0.0", b"version: 1.1.0")
    log = after[CHANGELOG].decode()
    assert log.index("## [1.1.0] - 2026-11-22") < log.index("## [1.0.0] - 2026-11-22")
    assert "- search 1.0.0 → 1.1.0 (minor)\n  - minor: page is new" in log
    assert (done.new, read_lock(folder / LOCK_NAME).events["search"].version) == ("1.1.0", "1.1.0")
    assert release(folder, DAY).files == ()


def test_windows_line_ends_and_comments_survive(folder: Path) -> None:
    search = folder / "events/core/search.yaml"
    search.write_bytes(search.read_bytes().replace(b"\n", b"\r\n"))
    edit_bytes = search.read_bytes().replace(b"minimum: 0", b"minimum: -1")
    search.write_bytes(edit_bytes.replace(b"results: -1}", b"results: -2}"))
    assert release(folder, DAY).new == "1.1.0"
    assert b"version: 1.1.0\r\n" in search.read_bytes()
    assert search.read_bytes().count(b"\n") == search.read_bytes().count(b"\r\n")


def test_a_words_only_change_is_a_patch(folder: Path) -> None:
    edit(folder / "events/core/search.yaml", "(also with zero results)", "(also when empty)")
    assert release(folder, DAY).new == "1.0.1"


def test_a_dry_run_says_the_same_and_writes_nothing(folder: Path) -> None:
    edit(folder / "events/core/search.yaml", "  sort:", "  page: {type: integer}\n  sort:")
    before = tree(folder)
    dry = release(folder, DAY, write=False)
    assert tree(folder) == before
    assert dry.files == release(folder, DAY).files


# Majors


def major(folder: Path, version: str = "2.0.0", accept: str = "accept: [{major: 1, until: 2027-03-31}]\n") -> None:
    """A change of search that needs a new major, and asks for one."""
    search = folder / "events/core/search.yaml"
    edit(search, "results: {type: integer, minimum: 0, required: true}", "results: {type: number, required: true}")
    edit(search, "version: 1.0.0", f"version: {version}")
    edit(search, "tests:\n", f"{accept}tests:\n")
    edit(search, "  - invalid: {query: red shoes, results: -1}\n    violates: {constraint: results}\n", "")


def test_a_major_that_was_asked_for_freezes_the_old_one(folder: Path) -> None:
    old = read_lock(folder / LOCK_NAME).events["search"]
    major(folder)
    done = release(folder, DAY)
    assert not done.refused
    assert done.files[0] == "history/search@1.yaml"
    plan = read_lock(folder / LOCK_NAME)
    assert (plan.version, plan.events["search"].version, done.left) == ("2.0.0", "2.0.0", ())
    frozen = plan.history["search", 1]
    assert (frozen.properties, frozen.semantic, frozen.rules) == (old.properties, old.semantic, old.rules)
    assert [(test.document, test.violates) for test in frozen.tests] == [(t.document, t.violates) for t in old.tests]
    assert release(folder, DAY).files == ()


def test_a_major_that_nobody_asked_for_is_refused_unless_allowed(folder: Path) -> None:
    major(folder, "1.0.0", accept="")
    before = tree(folder)
    done = release(folder, DAY)
    assert done.refused
    assert "TYPE_CHANGED" in rules(done)
    assert tree(folder) == before
    done = release(folder, DAY, allow_major=True)
    assert (done.refused, done.left) == (False, ("search@1",))
    assert read_lock(folder / LOCK_NAME).events["search"].version == "2.0.0"
    assert (folder / "history/search@1.yaml").exists()
    assert release(folder, DAY).files == ()


@pytest.mark.parametrize(
    ("path", "typed", "computed"),
    [
        ("events/core/search.yaml", "1.1.1", "1.1.0"),
        ("events/core/search.yaml", "3.0.0", "2.0.0"),
        ("plan.yaml", "1.2.0", "1.1.0"),
        ("plan.yaml", "3.0.0", "2.0.0"),
        ("events/core/click.yaml", "1.0.1", "1.0.0"),
    ],
)
def test_a_typed_version_is_refused_and_nothing_is_written(folder: Path, path: str, typed: str, computed: str) -> None:
    edit(folder / "events/core/search.yaml", "  sort:", "  page: {type: integer}\n  sort:")
    edit(folder / path, "version: 1.0.0", f"version: {typed}")
    before = tree(folder)
    done = release(folder, DAY, allow_major=True)
    assert done.refused
    assert done.changes is not None
    (error,) = done.changes.errors
    assert error.rule == "VERSION_TYPED"
    assert f"states {typed}, computed is {computed}" in error.sentence
    assert tree(folder) == before


def test_no_two_plans_are_released_under_one_version(folder: Path) -> None:
    """Every edit of a plan, also of what no rule names, moves the version; and back again it moves on."""
    locks = {read_lock(folder / LOCK_NAME).version: (folder / LOCK_NAME).read_bytes()}
    edits = [
        ("plan.yaml", "constraint: quarantine", "constraint: flag"),
        ("plan.yaml", "plan: shop", "plan: shop\nlimits: {max_extra_properties: 9}"),
        ("plan.yaml", "version: 1.1.1", "version: 2.0.0"),
        ("events/core/search.yaml", "results: 42}", "results: 42.0}"),
        ("events/core/search.yaml", "semantic:", "tags: [x]\nsemantic:"),
        ("events/core/search.yaml", "tags: [x]\n", ""),
        ("groups/page.yaml", "maxLength: 99", "maxLength: 199"),
    ]
    for path, old, new in edits:
        edit(folder / path, old, new)
        done = release(folder, DAY)
        assert not done.refused, (path, done)
        lock = (folder / LOCK_NAME).read_bytes()
        assert locks.setdefault(done.new, lock) is lock, (path, done.new)
        assert lock == lock_bytes(load_plan(folder))
    assert len(locks) == len(edits) + 1
    events = [read_lock(folder / LOCK_NAME).events[name].version for name in ("click", "search")]
    assert events == ["1.2.0", "1.0.3"]


def test_a_lock_that_is_gone_does_not_free_its_version(folder: Path) -> None:
    lock = (folder / LOCK_NAME).read_bytes()
    (folder / LOCK_NAME).unlink()
    before = tree(folder)
    (failure,) = release(folder, DAY).failures
    assert "plan.lock is missing" in failure
    assert "CHANGELOG.md says that 1.0.0 was released" in failure
    assert tree(folder) == before
    edit(folder / "plan.yaml", "version: 1.0.0", "version: 2.0.0")
    assert release(folder, DAY).new == "2.0.0"
    edit(folder / "plan.yaml", "version: 2.0.0", "version: 1.0.0")
    (folder / LOCK_NAME).write_bytes(lock)
    assert not release(folder, DAY).refused


def test_files_that_were_edited_after_the_release_are_told_to_whoever_judges_by_the_lock(folder: Path) -> None:
    lock = read_lock(folder / LOCK_NAME)
    assert unreleased(folder, lock) == ""
    click = folder / "events/core/click.yaml"
    edit(click, "minimum: 0", "minimum: 1")
    said = unreleased(folder, lock)
    assert said.endswith("are not what was released as 1.0.0, by which events are judged; run `footfall plan release` first")  # fmt: skip  # noqa: E501 - one sentence
    edit(click, "minimum: 1", "minimun: 1")
    assert "have mistakes" in unreleased(folder, lock)
    assert "\n" not in unreleased(folder, lock)


def test_an_old_major_may_be_accepted_later(folder: Path) -> None:
    major(folder, accept="")
    assert release(folder, DAY).refused
    assert not release(folder, DAY, allow_major=True).refused
    edit(folder / "events/core/search.yaml", "tests:\n", "accept: [{major: 1}]\ntests:\n")
    done = release(folder, DAY)
    assert (rules(done), done.new) == ({"ACCEPT_ADDED"}, "2.1.0")


def test_a_removed_event_is_frozen_and_its_number_stays_taken(folder: Path) -> None:
    search = folder / "events/core/search.yaml"
    text = search.read_text("utf-8")
    search.unlink()
    assert release(folder, DAY).refused
    assert not release(folder, DAY, allow_major=True).refused
    assert (folder / "history/search@1.yaml").exists()
    search.write_text(text, "utf-8")
    assert rules(release(folder, DAY)) == {"MAJOR_REUSED"}
    search.write_text(text.replace("version: 1.0.0", "version: 2.0.0"), "utf-8")
    assert rules(release(folder, DAY)) == {"EVENT_ADDED"}


def test_a_removed_name_stays_taken(folder: Path) -> None:
    search = folder / "events/core/search.yaml"
    edit(search, "  sort: {type: string, enum: [relevance, price_asc, price_desc, newest]}\n", "")
    edit(search, ", sort: price_asc", "")
    assert not release(folder, DAY, allow_major=True).refused
    edit(search, "  price:", "  sort: {type: integer}\n  price:")
    done = release(folder, DAY, allow_major=True)
    assert done.refused
    assert "REMOVED_NAME_REUSED" in rules(done)


def test_a_frozen_file_may_not_be_edited(folder: Path) -> None:
    major(folder)
    release(folder, DAY)
    edit(folder / "history/search@1.yaml", "maxLength: 256", "maxLength: 255")
    done = release(folder, DAY, allow_major=True)
    assert (done.refused, rules(done)) == (True, {"HISTORY_EDITED"})


# Refusals


def test_a_mistake_or_a_failing_test_is_refused_with_its_place(folder: Path) -> None:
    search = folder / "events/core/search.yaml"
    edit(search, "results: 42", "results: many")
    before = tree(folder)
    done = release(folder, DAY)
    assert done.refused
    assert done.failures[0].startswith(f"{search}:")
    edit(search, "minimum: 0", "minimun: 0")
    done = release(folder, DAY)
    assert done.failures[0].startswith(f"{search}:")
    assert "minimun" in done.failures[0]
    assert tree(folder).keys() == before.keys()
    assert tree(folder)[LOCK_NAME] == before[LOCK_NAME]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    (failure,) = release(tmp_path / "nowhere", DAY).failures
    assert "there is no such folder" in failure


def test_a_damaged_lock_is_one_sentence(folder: Path) -> None:
    (folder / LOCK_NAME).write_bytes((folder / LOCK_NAME).read_bytes().replace(b"red shoes", b"red shoos"))
    damaged = (folder / LOCK_NAME).read_bytes()
    with pytest.raises(
        PlanError, match=r"hash.*; take it from version control, or, to release without comparing, delete"
    ):
        release(folder, DAY)
    assert (folder / LOCK_NAME).read_bytes() == damaged


# Cut short


@pytest.mark.parametrize("allow_major", [False, True], ids=["asked", "allowed"])
def test_a_release_that_is_cut_anywhere_leaves_the_old_plan_live_and_can_be_finished(
    folder: Path, monkeypatch: pytest.MonkeyPatch, allow_major: bool
) -> None:
    major(folder, *(("1.0.0", "") if allow_major else ()))
    edit(folder / "events/core/click.yaml", "  x:", "  z: {type: integer}\n  x:")
    whole = folder.parent / "whole"
    shutil.copytree(folder, whole)
    files = release(whole, DAY, allow_major=allow_major).files
    expected = tree(whole)
    lock = (folder / LOCK_NAME).read_bytes()
    write = replace_file
    assert len(files) >= 5
    for left in range(len(files)):
        cut = folder.parent / f"cut{left}"
        shutil.copytree(folder, cut)
        done = iter(range(left))

        def failing(path: Path, data: bytes, done: object = done) -> None:
            if next(done, None) is None:  # type: ignore[call-overload]  # an iterator, bound as a default
                raise OSError(28, "No space left on device")
            write(path, data)

        def failing_lock(plan: object, path: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(module, "replace_file", failing)
            patch.setattr(module, "write_lock", failing_lock)
            with pytest.raises(PlanError, match="No space left on device"):
                release(cut, DAY, allow_major=allow_major)
        assert (cut / LOCK_NAME).read_bytes() == lock
        assert not release(cut, DAY, allow_major=allow_major).refused
        assert tree(cut) == expected


def test_an_edit_during_the_release_is_not_lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = folder / "events/core/search.yaml"
    edit(search, "  sort:", "  page: {type: integer}\n  sort:")

    def slow(plan: Plan) -> list[Outcome]:
        edit(search, "  page:", "  page_number:")
        return run_tests(plan)

    monkeypatch.setattr(module, "run_tests", slow)
    before = tree(folder)
    with pytest.raises(PlanError, match="was edited while"):
        release(folder, DAY)
    assert {path for path, data in tree(folder).items() if data != before[path]} == {"events/core/search.yaml"}


# Frozen files say what was released

RULES = {PROD: {reason: Rule(action=action) for reason, action in DEFAULT_ACTIONS.items()}}


def frozen_again(tmp_path: Path, event: EventPlan) -> EventPlan:
    """The event, written as frozen and read again."""
    plan = tmp_path / "frozen"
    shutil.rmtree(plan, ignore_errors=True)
    (plan / "history").mkdir(parents=True)
    (plan / "events").mkdir()
    (plan / "plan.yaml").write_text("format: 1\nplan: p\nversion: 1.0.0\n", "utf-8")
    (plan / "history/e@1.yaml").write_text(frozen_text(event, RULES), "utf-8")
    (plan / "events/e.yaml").write_text("event: e\nversion: 2.0.0\naccept: [{major: 1}]\n", "utf-8")
    return load_plan(plan).history["e", 1]


def test_a_frozen_file_reads_as_the_event_it_was_made_of(tmp_path: Path) -> None:
    kind = Type(kind="string", max_length=9, enum=("no", "12", "a: b", "1.0.0", "€\u2028\x7f😀", ""), examples=("no",))
    event = EventPlan(
        name="e",
        version="1.2.3",
        major=1,
        description='Words: "quoted", # no comment\nand a line.',
        tags=("on", "x y"),
        properties=(
            Property(name="a", type=kind, aliases=("b",), required=True, description="null", deprecated="send: b"),
            Property(name="c", type=Type(kind="integer", pii=Pii(pii_class="phone", handling="drop"), unit="ms")),
        ),
        rules={PROD: RULES[PROD] | {Reason.CONSTRAINT: Rule(action=Action.FLAG)}},
        sampling=Sampling(rate=0.25),
        consent=("analytics",),
        tests=(
            EventTest(document={"a": "no", "é": [1.5, None, True, "~"]}, violates=frozenset({("wrong_type", "/a")})),
        ),
    )
    read = frozen_again(tmp_path, event)
    bare = tuple(EventTest(document=test.document, violates=test.violates) for test in read.tests)
    assert replace(read, file="", hash="", tests=bare) == event


def test_any_properties_survive_freezing(tmp_path: Path) -> None:
    @given(properties=members_drawn())
    @settings(max_examples=examples(20), deadline=None, derandomize=True, database=None,
              suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
    def check(properties: tuple[Property, ...]) -> None:
        # A union's bounds hold for all its members; those drawn for the integers and numbers of one would differ.
        assume("kind='integer'" not in (text := repr(properties)) or "kind='union'" not in text)
        event = EventPlan(name="e", version="1.0.0", major=1, properties=properties, rules=RULES)
        read = frozen_again(tmp_path, event)
        assert _without_regex(read.properties) == _without_regex(properties)

    check()


def _without_regex(properties: tuple[Property, ...]) -> str:
    # Bounds may be 1 or 1.0, which Structs tell apart no more than the rules do.
    return repr(properties).replace(".0,", ",")


def test_the_lock_of_a_release_is_that_of_the_files(folder: Path) -> None:
    major(folder)
    release(folder, DAY)
    assert (folder / LOCK_NAME).read_bytes() == lock_bytes(load_plan(folder))
