"""A running collector follows plan.lock: whole plans or the one it has, judged by one of the two at every moment."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from collector.plan import CompiledPlan, LivePlan, Plan, PlanError, load_plan, read_plan, write_lock
from collector.plan.live import LOOK_SECONDS
from collector.plan.model import EventPlan

WORKED = Path(__file__).parent / "worked"
PLAN = load_plan(WORKED)
SEARCH = b'{"query":"shoes","results":%d}'


def edited(limit: int, version: str = "3.3.0") -> Plan:
    """The worked plan, where a search finds at most so much."""
    event = PLAN.events["search"]
    properties = tuple(
        structs.replace(prop, type=structs.replace(prop.type, maximum=limit)) if prop.name == "results" else prop
        for prop in event.properties
    )
    strict: EventPlan = structs.replace(event, properties=properties)
    return structs.replace(PLAN, version=version, events=PLAN.events | {"search": strict})


def judged(plan: CompiledPlan, results: int) -> bool:
    """True when a search with so many results has no violation."""
    return plan.check("search", None, SEARCH % results).violations == ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lock(PLAN, tmp_path / "plan.lock")
    return tmp_path


def test_a_new_lock_is_taken_whole_and_once(folder: Path) -> None:
    live = LivePlan(folder)
    assert judged(live.compiled, 50)
    assert live.look() is None
    write_lock(edited(10), folder / "plan.lock")
    compiled = live.look()
    assert compiled is live.compiled
    assert not judged(live.compiled, 50)
    assert live.look() is None
    assert (live.reloads, live.failures) == (1, 0)
    assert live.said["version"] == "3.3.0"


def test_only_what_changed_is_compiled_anew(folder: Path) -> None:
    live = LivePlan(folder)
    before = live.compiled
    write_lock(edited(10), folder / "plan.lock")
    assert live.look() is not None
    same = {name for name in PLAN.events if before.find(name, None) is live.compiled.find(name, None)}
    assert same == set(PLAN.events) - {"search"}


def test_the_same_plan_written_again_is_no_reload(folder: Path) -> None:
    live = LivePlan(folder)
    write_lock(PLAN, folder / "plan.lock")
    assert live.look() is None
    assert live.reloads == 0


def test_a_broken_lock_changes_nothing_and_says_so_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    live = LivePlan(folder)
    running = live.compiled
    whole = (folder / "plan.lock").read_bytes()
    (folder / "plan.lock").write_bytes(whole.replace(b"3.2.0", b"9.9.9"))
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            assert live.look() is None
    assert live.compiled is running
    assert (live.reloads, live.failures) == (0, 1)
    (record,) = caplog.records
    assert record.getMessage().startswith("the new plan cannot be used, version 3.2.0 goes on: ")
    assert f"{folder / 'plan.lock'}:2:1: the lock's hash is" in record.getMessage()
    write_lock(edited(10), folder / "plan.lock")
    assert live.look() is not None


def test_a_lock_that_is_just_being_written_is_looked_at_again_before_it_counts(folder: Path) -> None:
    live = LivePlan(folder)
    whole = folder / "whole"
    write_lock(edited(10), whole)
    data = whole.read_bytes()
    (folder / "plan.lock").write_bytes(data[: len(data) // 2])
    assert live.look() is None
    (folder / "plan.lock").write_bytes(data)
    assert live.look() is not None
    assert live.failures == 0


def test_a_lock_that_goes_away_changes_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    live = LivePlan(folder)
    (folder / "plan.lock").unlink()
    for _ in range(3):
        assert live.look() is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    write_lock(edited(10), folder / "plan.lock")
    assert live.look() is not None


def test_a_folder_without_a_lock_is_compiled_once_and_says_what_an_edit_needs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plan.yaml").write_text("format: 1\nplan: p\nversion: 1.0.0\n", encoding="utf-8")
    with caplog.at_level(logging.INFO):
        live = LivePlan(tmp_path)
    assert "after an edit, start again or run `footfall plan release`" in caplog.text
    (tmp_path / "plan.yaml").write_text("format: 1\nplan: p\nversion: 2.0.0\n", encoding="utf-8")
    assert live.look() is None
    write_lock(PLAN, tmp_path / "plan.lock")
    assert live.look() is not None
    assert live.said["version"] == "3.2.0"


def test_files_that_were_not_released_never_share_a_version(tmp_path: Path) -> None:
    """Whoever edits them under one version gets another label for each content; a release has the bare version."""
    labels, hashes = [], []
    for words in ("All events.", "Every event."):
        (tmp_path / "plan.yaml").write_text(f"format: 1\nplan: p\nversion: 1.4.0\ndescription: {words}\n", "utf-8")
        live = LivePlan(tmp_path)
        assert read_plan(tmp_path).label == live.said["version"] == live.compiled.version
        labels.append(live.said["version"])
        hashes.append(live.said["hash"])
    assert labels == [f"1.4.0+unreleased.{found[:12]}" for found in hashes]
    assert len(set(labels)) == 2
    write_lock(load_plan(tmp_path), tmp_path / "plan.lock")
    assert live.look() is live.compiled, "the same content, and the events of before were under another version"
    assert live.said == {"name": "p", "version": "1.4.0", "hash": hashes[1]}
    assert live.compiled.version == "1.4.0"


def test_a_process_that_starts_while_the_lock_is_broken_judges_as_its_neighbours(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.lock"
    first = LivePlan(folder, kept)
    write_lock(edited(10), folder / "plan.lock")
    assert first.look() is not None
    (folder / "plan.lock").write_bytes(b"{")
    second = LivePlan(folder, kept)
    assert second.said == first.said
    assert not judged(second.compiled, 50)
    assert second.failures == 1
    with pytest.raises(PlanError, match=r"plan.lock:1:"):
        LivePlan(folder)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition that must come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def test_a_replaced_lock_is_live_within_the_second(folder: Path) -> None:
    live = LivePlan(folder)
    adopted: list[CompiledPlan] = []
    stop = threading.Event()
    looks: list[float] = []
    thread = live.follow(adopted.append, stop, lambda: looks.append(time.monotonic()))
    until(lambda: bool(looks))
    fresh = folder / "fresh"
    write_lock(edited(10), fresh)
    fresh.replace(folder / "plan.lock")
    seen = len(looks)
    until(lambda: bool(adopted))
    # At most the look under way and the next: that is a bound in looks, which a slow machine cannot stretch.
    assert len(looks) - seen <= 1
    assert LOOK_SECONDS <= 0.5
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_reloads_under_load_misjudge_nothing_and_leave_nothing_behind(folder: Path) -> None:
    live = LivePlan(folder)
    stop = threading.Event()
    judgements = {"made": 0, "wrong": 0}

    def load() -> None:
        while not stop.is_set():
            plan = live.compiled
            for name, document, right in (
                ("search", SEARCH % 5, True),
                ("search", SEARCH % -1, False),
                ("nps_response", b'{"score":9,"survey_id":"q3"}', True),
                ("nps_response", b'{"score":11,"survey_id":"q3"}', False),
            ):
                judgements["made"] += 1
                judgements["wrong"] += (plan.check(name, None, document).violations == ()) is not right

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for number in range(30):
            if number == 10:
                gc.collect()
                objects = len(gc.get_objects())
            write_lock(edited(100 + number), folder / "plan.lock")
            assert live.look() is not None
    finally:
        stop.set()
        thread.join()
    gc.collect()
    assert judgements["wrong"] == 0
    assert judgements["made"] > 100
    assert live.reloads == 30
    # Plans that were replaced are gone: what remains does not grow with the number of reloads.
    assert len(gc.get_objects()) - objects < 500
