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
    assert "it was edited; take it from version control, or delete it and run `footfall plan release`" in damaged(
        data.replace(b'"max_length":512', b'"max_length":513', 1), path
    )
    assert "it was edited" in damaged(data.replace(b'"hash":"', b'"hash":"0', 1), path)
    assert damaged(data[:5000], path).split(": ")[0] != "1:1"  # it names the place where the text ends
    assert damaged(b"", path).startswith("1:1: the lock is not what this Footfall writes")
    assert damaged(b"\xff" + data, path).startswith("1:1: ")
    newer = "format 2, this Footfall reads format 1; run the Footfall that wrote it"
    assert newer in damaged(b'{"format":2,"plans":[],"hash":""}', path)
    assert newer in damaged(data.replace(b'"format":1', b'"format":2', 1), path)
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
        with pytest.raises(PlanError):  # also by who knows most of its lines
            read.read(path)
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


def edits(plan: Plan) -> dict[str, Plan]:
    """The plan after edits that move, add and take away lines of its lock."""
    names = list(plan.events)
    odd = structs.replace(plan.events[names[0]], name="history")
    return {
        "first": replaced(plan, names[0]),
        "middle": replaced(plan, names[len(names) // 2]),
        "last": replaced(plan, names[-1]),
        "all": replaced(plan, *names),
        "removed first": structs.replace(plan, events={name: plan.events[name] for name in names[1:]}),
        "removed last": structs.replace(plan, events={name: plan.events[name] for name in names[:-1]}),
        "added last": structs.replace(plan, events=plan.events | {"zz": structs.replace(odd, name="zz")}),
        "named as a part": structs.replace(plan, events=plan.events | {"history": odd}),
        "no events": structs.replace(plan, events={}),
        "no history": structs.replace(plan, history={}),
        "head": structs.replace(plan, version="9.9.9"),
        "unchanged": plan,
    }


def replaced(plan: Plan, *names: str) -> Plan:
    """The plan with another owner for these events."""
    fresh = {name: structs.replace(plan.events[name], owner="another team") for name in names}
    return structs.replace(plan, events=plan.events | fresh)


def test_a_lock_reads_alike_whatever_was_read_before(plan: Plan, tmp_path: Path) -> None:
    path, reader = tmp_path / "plan.lock", LockReader()
    for edit in edits(plan).values():
        for data in (lock_bytes(plan), lock_bytes(edit), lock_bytes(plan)):
            assert reader.decode(data, path) == LockReader().decode(data, path)
            assert reader._by_lines(data) is not None  # the layout that `plan release` writes is the quick one


def test_a_lock_in_another_layout_reads_alike(plan: Plan, tmp_path: Path) -> None:
    path, data, reader = tmp_path / "plan.lock", lock_bytes(plan), LockReader()
    whole = reader.decode(data, path)
    lines = data.split(b"\n")
    events = lines[4 : 4 + len(plan.events)]
    swapped = data.replace(events[0] + b"\n" + events[1], events[1] + b"\n" + events[0])
    assert swapped != data
    for other in (data.replace(b"\n", b""), data.replace(b"\n", b"\r\n"), data + b"\n", swapped):
        assert reader.decode(other, path) == whole
        assert LockReader().decode(other, path) == whole


def test_a_line_that_another_event_has_is_not_taken_for_its_own(plan: Plan, tmp_path: Path) -> None:
    path, data = tmp_path / "plan.lock", lock_bytes(plan)
    reader = LockReader()
    reader.decode(data, path)
    lines = data.split(b"\n")
    first, second = lines[4], lines[5]
    name, body = second.split(b":", 1)[0], first.split(b":", 1)[1]
    for touched in (
        data.replace(second, name + b":" + body),  # another event's body
        data.replace(first + b"\n", b""),  # a line is gone
        data.replace(first + b"\n", first + b"\n" + first + b"\n"),  # it stands twice, which JSON allows
        data.replace(first + b"\n", first[:-1] + b"\n"),  # no comma
    ):
        fresh: list[Plan | str] = []
        for one in (LockReader(), reader):
            path.write_bytes(touched)
            try:
                fresh.append(one.read(path))
            except PlanError as error:
                fresh.append(str(error))
        assert fresh[0] == fresh[1]
        assert isinstance(fresh[0], str) or fresh[0] == LockReader().decode(data, path)


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
