"""plan.lock: what goes in comes out, the same plan is the same bytes, and a lock that was touched is not believed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs
from plan.plan_types import WriteFolder

from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import EventPlan, Plan, PlanError, load_plan, read_lock, read_plan, write_lock
from collector.plan.lock import LOCK_BYTES_MAX, LockReader, lock_bytes
from collector.plan.model import EventTest

HERE = Path(__file__).parent
FOLDERS = [DEFAULT_PLAN_DIR, HERE / "example", HERE / "worked"]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def plan(request: pytest.FixtureRequest) -> Plan:
    return load_plan(request.param)


def unmarked(event: EventPlan) -> EventPlan:
    """Without the places of its tests, which a lock does not hold."""
    tests = tuple(EventTest(document=test.document, violates=test.violates) for test in event.tests)
    return structs.replace(event, tests=tests)


def test_a_lock_holds_the_whole_plan(plan: Plan, tmp_path: Path) -> None:
    write_lock(plan, tmp_path / "plan.lock")
    read = read_lock(tmp_path / "plan.lock")
    assert read.folder == str(tmp_path)
    assert read == structs.replace(
        plan,
        folder=str(tmp_path),
        events={name: unmarked(event) for name, event in plan.events.items()},
        history={key: unmarked(event) for key, event in plan.history.items()},
    )
    assert lock_bytes(read) == lock_bytes(plan)


def test_the_same_plan_is_the_same_bytes_whatever_folder_comments_and_hash_seed(tmp_path: Path) -> None:
    shutil.copytree(HERE / "worked", tmp_path / "copy")
    event = tmp_path / "copy/events/core/page_view.yaml"
    event.write_text("# A comment.\n\n" + event.read_text(encoding="utf-8"), encoding="utf-8")
    program = (
        "import sys; from pathlib import Path; from collector.plan import load_plan; "
        "from collector.plan.lock import lock_bytes; sys.stdout.buffer.write(lock_bytes(load_plan(Path(sys.argv[1]))))"
    )
    made = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "copy")],
        capture_output=True, check=True, cwd=HERE.parent.parent, env=os.environ | {"PYTHONHASHSEED": "7"},
    ).stdout  # fmt: skip
    assert made == lock_bytes(load_plan(HERE / "worked"))


def test_each_event_has_a_line_of_its_own() -> None:
    lines = lock_bytes(load_plan(HERE / "worked")).decode().splitlines()
    starts = [line.split(":")[0].strip('"') for line in lines if line.startswith('"') and '"hash"' in line]
    assert [name for name in starts if name != "hash"] == [
        "add_to_cart", "click", "custom", "nps_response", "page_view", "purchase", "search", "sign_up",
        "purchase@1", "sign_up@1",
    ]  # fmt: skip
    assert json.loads("\n".join(lines))["format"] == 1


def with_event(write_plan: WriteFolder, text: str, head: str = "") -> Plan:
    return load_plan(write_plan({
        "plan.yaml": f"format: 1\nplan: test\nversion: 1.0.0\n{head}\n",
        "events/c/e.yaml": f"event: e\nversion: 1.0.0\n{text}\n",
    }))  # fmt: skip


def test_an_events_hash_is_that_of_what_is_acted_on(write_plan: WriteFolder) -> None:
    base = "properties: {a: {type: integer, minimum: 1, examples: [2]}}\n"
    first = with_event(write_plan, base)
    for words in (
        base + "description: Better words.\nowner: me\ntags: [x]\ntrigger: Now.\nexpect: {daily: {min: 1}}\n",
        base.replace("examples", "description: More words., examples"),
        base + "tests: [{valid: {a: 3}}]\n",
        base.replace("properties", "# A comment.\nproperties"),
    ):
        other = with_event(write_plan, words)
        assert other.events["e"].hash == first.events["e"].hash, words
    assert other.hash == first.hash  # of the last, where only a comment was added
    hashes = {first.events["e"].hash}
    for text, head in (
        (base.replace("minimum: 1", "minimum: 2"), ""),
        (base.replace("[2]", "[3]"), ""),
        (base.replace("minimum: 1", "minimum: 1, required: true"), ""),
        (base.replace("minimum: 1", "minimum: 1, pii: {class: age}"), ""),
        (base + "sampling: {rate: 0.5}", ""),
        (base + "sunset: 2027-01-01", ""),
        (base + "enforce: {constraint: flag}", ""),
        (base, "enforce: {wrong_type: flag}"),
        (base, "environments: {dev: {}}"),
    ):
        hashes.add(with_event(write_plan, text, head).events["e"].hash)
    assert len(hashes) == 10


def test_a_plans_hash_is_that_of_all_it_says(write_plan: WriteFolder) -> None:
    hashes = {
        with_event(write_plan, text, head).hash
        for text, head in (("", ""), ("description: x", ""), ("", "description: x"), ("", "limits: {max_string: 9}"))
    }
    assert len(hashes) == 4


def damaged(data: bytes, path: Path) -> str:
    """The one line that a lock of these bytes is refused with, without its file."""
    path.write_bytes(data)
    with pytest.raises(PlanError) as raised:
        read_lock(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}:")
    return line.removeprefix(f"{path}:")


def test_a_lock_that_was_touched_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "plan.lock"
    data = lock_bytes(load_plan(HERE / "worked"))
    assert "it was edited; write it anew with `footfall plan release`" in damaged(
        data.replace(b'"max_length":512', b'"max_length":513', 1), path
    )
    assert "it was edited" in damaged(data.replace(b'"hash":"', b'"hash":"0', 1), path)
    assert damaged(data[:5000], path).split(": ")[0] != "1:1"  # it names the place where the text ends
    assert damaged(b"", path).startswith("1:1: the lock is not what this Footfall writes")
    assert damaged(b"\xff" + data, path).startswith("1:1: ")
    assert "format 2, this Footfall reads format 1" in damaged(b'{"format":2,"plans":[],"hash":""}', path)
    assert "not what this Footfall writes" in damaged(b'{"format":1,"hash":"x","more":1}', path)
    assert "not what this Footfall writes" in damaged(b"[" * 100_000, path)


def test_every_byte_of_a_lock_is_guarded(tmp_path: Path) -> None:
    path = tmp_path / "plan.lock"
    data = lock_bytes(load_plan(HERE / "example"))
    read = LockReader()
    whole = read.decode(data, path)
    for place in range(0, len(data) - 1, 37):
        if data[place : place + 1] in b"\r\n ":
            continue
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        path.write_bytes(changed)
        with pytest.raises(PlanError):
            read_lock(path)
    assert read.decode(data.replace(b"\n", b"\r\n"), path) == whole  # a checkout may rewrite line breaks


def test_what_a_newer_footfall_wrote_is_not_half_read(tmp_path: Path) -> None:
    plan = load_plan(HERE / "example")
    text = lock_bytes(plan).decode()
    with pytest.raises(PlanError):
        path = tmp_path / "plan.lock"
        path.write_text(text.replace('"major":', '"priority":1,"major":', 1), encoding="utf-8")
        read_lock(path)


def test_a_lock_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="No such file"):
        read_lock(tmp_path / "plan.lock")
    with (tmp_path / "plan.lock").open("wb") as file:
        file.truncate(LOCK_BYTES_MAX + 1)
    with pytest.raises(PlanError, match=r"67,108,865 bytes, the limit is 67,108,864"):
        read_lock(tmp_path / "plan.lock")


def test_a_lock_is_replaced_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "plan.lock"
    path.write_bytes(b"old")
    held = path.open("rb")
    write_lock(load_plan(HERE / "worked"), path)
    assert held.read() == b"old"
    held.close()
    assert [found.name for found in tmp_path.iterdir()] == ["plan.lock"]
    assert path.stat().st_mode & 0o444 == 0o444  # a collector that is another user may read it


def test_a_collector_takes_the_lock_where_there_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    shutil.copytree(HERE / "worked", folder)
    assert read_plan(folder).version == "3.2.0"
    write_lock(structs.replace(load_plan(folder), version="3.3.0"), folder / "plan.lock")
    assert read_plan(folder).version == "3.3.0"
    (folder / "plan.lock").write_bytes(b"{")
    with pytest.raises(PlanError, match=r"plan.lock:1:"):
        read_plan(folder)


def test_unchanged_events_are_the_same_objects_after_the_next_read(tmp_path: Path) -> None:
    plan, reader, path = load_plan(HERE / "worked"), LockReader(), tmp_path / "plan.lock"
    write_lock(plan, path)
    first = reader.read(path)
    changed = structs.replace(plan.events["click"], sampling=None)
    write_lock(structs.replace(plan, events=plan.events | {"click": changed}), path)
    second = reader.read(path)
    same = {name for name in first.events if first.events[name] is second.events[name]}
    assert same == set(plan.events) - {"click"}
    assert second.events["click"].sampling is None
    assert second.hash != first.hash
