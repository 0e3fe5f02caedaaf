"""`footfall plan status | simulate | diff | replay | infer | docs`: while a collector runs, and when none does."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from serving import Serving, footfall, serving

from collector.cli.main import main
from collector.plan import load_plan, write_lock

PLAN = """format: 1
plan: shop
version: 1.0.0
"""
BOUGHT = """event: bought
version: 1.0.0
owner: team-checkout
description: Somebody bought something.
properties:
  n: {type: integer, required: true, maximum: %d}
  note: {type: string, maxLength: 20}
"""


def plan_folder(folder: Path, maximum: int) -> Path:
    """A plan in which an event has a number of at most this."""
    (folder / "events" / "shop").mkdir(parents=True, exist_ok=True)
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "events" / "shop" / "bought.yaml").write_text(BOUGHT % maximum)
    return folder


class Done(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run(command: str, *arguments: str | Path) -> Done:
    """One of the commands, in a process of its own."""
    done = footfall("plan", command, *arguments)
    return Done(done.returncode, done.stdout, done.stderr)


def call(command: str, *arguments: str | Path) -> Done:
    """The same in this process, where another has the database: to start one takes longer than the command."""
    said, complained = io.StringIO(), io.StringIO()
    code = 0
    with redirect_stdout(said), redirect_stderr(complained):
        try:
            main(["plan", command, *map(str, arguments)])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return Done(code, said.getvalue(), complained.getvalue())


def answer(command: str, *arguments: str | Path, by: Callable[..., Done] = call) -> Any:
    """What a command prints as JSON."""
    done = by(command, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def bought(message_id: str, **properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": "bought", "messageId": message_id, "anonymousId": "a", "properties": properties}


class Shop:
    """A data directory that has seen ten events, of which four failed, and two plans."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.data = folder / "data"
        self.strict = plan_folder(folder / "strict", 5)
        self.loose = plan_folder(folder / "loose", 7)


def send_ten(collector: Serving) -> None:
    """Six events that the strict plan accepts, four that it refuses, and one of no plan."""
    collector.send(
        bought("m0", n=0, gift="yes"),
        *(bought(f"m{n}", n=n) for n in range(1, 10)),
        {"type": "track", "event": "stray", "anonymousId": "a"},
    )
    collector.until_loaded()


def simulate_says_what_would_be_different(shop: Shop) -> None:
    found = answer("simulate", shop.loose, "--data", shop.data, "--format", "json")
    assert [(one["event"], one["change"], one["reason"], one["count"], one["of"]) for one in found["cases"]] == [
        ("bought", "accepted", "constraint", 2, 4)
    ]
    tighter = plan_folder(shop.data.parent / "tighter", 3)
    text = call("simulate", tighter, "--data", shop.data, "--format", "markdown", "--check")
    assert text.returncode == 1
    assert "would newly quarantine 33.3 % of bought&#64;1 (constraint: 2 of 6)" in text.stdout


def diff_knows_what_is_live_and_what_was_stored(shop: Shop) -> None:
    same = call("diff", shop.strict, "--against", "live", "--data", shop.data)
    assert same.returncode == 0, same.stderr
    assert same.stdout.startswith("nothing changed against live (shop 1.0.0+unreleased.")
    changed = plan_folder(shop.data.parent / "changed", 3)
    event = changed / "events" / "shop" / "bought.yaml"
    event.write_text(event.read_text() + "  gift: {type: boolean}\n")
    # The settings name another plan than the one that is live: what the database says counts.
    found = call("diff", changed, "--against", "live", "--days", "7", "--format", "json", "--data", shop.data)
    assert found.returncode == 1
    made = json.loads(found.stdout)
    assert [(one["rule"], one["sentence"].partition(",")[0]) for one in made["findings"] if one["bump"] == "major"] == [
        ("SEEN_WITH_OTHER_TYPE", "gift was already sent as string"),
        ("BOUND_NARROWED", "the upper bound of n was 5 and is 3"),
    ]
    cases = [(one["change"], one["reason"], one["count"], one["of"]) for one in made["stored"]["cases"]]
    assert cases == [("quarantined", "constraint", 2, 6), ("quarantined", "wrong_type", 1, 6)]
    text = call("diff", changed, "--against", "live", "--days", "7", "--data", shop.data).stdout
    assert "would newly quarantine 33.3 % of bought@1 (constraint: 2 of 6)" in text


def status_says_what_comes_and_what_fails(shop: Shop) -> None:
    found = answer("status", shop.strict, "--data", shop.data, "--json")
    events = {one["event"]: one for one in found["events"]}
    assert (events["bought"]["count"], events["bought"]["failed"], events["bought"]["failed_share"]) == (6, 4, 0.4)
    assert events["bought"]["failures"] == [{"name": "constraint:/properties/n", "count": 4}]
    assert events["stray"]["state"] == "not planned"
    checked = call("status", shop.strict, "--data", shop.data, "--check")
    assert checked.returncode == 1
    assert "WRONG  it is not planned and came 1 times" in checked.stdout


def replay_stores_what_the_plan_accepts_once(shop: Shop) -> None:
    arguments = ("--plan", shop.loose, "--data", shop.data)
    # The lock is what judges, also where its files say something else since: and then that is said.
    write_lock(load_plan(shop.loose), shop.loose / "plan.lock")
    event = shop.loose / "events" / "shop" / "bought.yaml"
    text = event.read_text()
    event.write_text(text.replace("maximum: 7", "maximum: 9"))
    edited = call("replay", *arguments, "--dry-run", "--json")
    event.write_text(text)
    assert "are not what was released as 1.0.0, by which events are judged" in edited.stderr
    dry = answer("replay", *arguments, "--dry-run", "--json")
    assert dry == json.loads(edited.stdout)
    assert (dry["failed"], dry["replayed"], dry["still_failing"]) == (4, 2, 2)
    first = answer("replay", *arguments, "--json")
    assert (first["replayed"], first["stored"], first["loaded"]) == (2, 0, True)
    second = answer("replay", *arguments, "--json")
    assert (second["replayed"], second["stored"], second["still_failing"]) == (0, 2, 2)
    query = "SELECT message_id, count() AS n FROM events WHERE event = 'bought' GROUP BY message_id ORDER BY message_id"
    rows = footfall("sql", query, "--format", "JSONEachRow", "--data", shop.data).stdout.splitlines()
    assert [tuple(json.loads(row).values()) for row in rows] == [(f"m{n}", 1) for n in range(8)]


def the_accounting_holds_after_a_replay(shop: Shop) -> None:
    diagnosis = json.loads(footfall("doctor", "--json", "--data", shop.data).stdout)
    assert diagnosis["ok"], diagnosis
    assert diagnosis["events"] == {
        "received": 13, "spooled": 0, "stored": 9, "deduplicated": 0, "rejected": 4, "dropped": 0,
    }  # fmt: skip
    status = answer("status", shop.loose, "--data", shop.data, "--json")
    one = next(one for one in status["events"] if one["event"] == "bought")
    assert (one["count"], one["failed"], one["replayed"]) == (8, 4, 2)


def infer_writes_a_plan_that_is_right(shop: Shop, tmp_path: Path) -> None:
    done = call("infer", "--data", shop.data, "--out", tmp_path / "plan", "--name", "shop")
    assert done.returncode == 0, done.stderr
    assert "wrote 2 events" in done.stdout
    assert footfall("plan", "check", tmp_path / "plan").returncode == 0
    again = call("infer", "--data", shop.data, "--out", tmp_path / "plan")
    assert "it is there already and was left as it is" in again.stdout


def docs_show_what_came(shop: Shop, tmp_path: Path) -> None:
    done = call("docs", shop.loose, "--data", shop.data, "--out", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "with the volumes of 7 days" in done.stdout
    page = (tmp_path / "site" / "events" / "bought.html").read_text()
    assert "8 stored" in page
    assert "team-checkout" in page
    assert call("docs", shop.loose, "--data", shop.data, "--out", tmp_path / "site").returncode == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("mine")
    refused = call("docs", shop.loose, "--out", tmp_path / "other", "--offline")
    assert refused.returncode == 2
    assert "holds files that this command has not written" in refused.stderr
    assert (tmp_path / "other" / "index.html").read_text() == "mine"


def they_open_the_database_themselves_without_a_collector(shop: Shop, tmp_path: Path) -> None:
    """One that writes and two that read: the others open it in the same way."""
    looser = plan_folder(tmp_path / "looser", 8)
    replayed = answer("replay", "--plan", looser, "--data", shop.data, "--json", by=run)
    assert (replayed["replayed"], replayed["stored"], replayed["loaded"]) == (1, 2, True)
    status = answer("status", looser, "--data", shop.data, "--json", by=run)
    one = next(one for one in status["events"] if one["event"] == "bought")
    assert (one["count"], one["failed"], one["replayed"]) == (9, 4, 3)
    same = run("diff", shop.strict, "--against", "live", "--data", shop.data)
    assert same.stdout.startswith("nothing changed against live (shop 1.0.0+unreleased.")


def test_all_commands_work_while_a_collector_runs_and_when_none_does(tmp_path: Path) -> None:
    """One story, because starting a collector takes longer than all of them. Without one each command is a process."""
    shop = Shop(tmp_path / "shop")
    with serving(shop.data, "--plan", str(shop.strict)) as collector:
        send_ten(collector)
        simulate_says_what_would_be_different(shop)
        diff_knows_what_is_live_and_what_was_stored(shop)
        status_says_what_comes_and_what_fails(shop)
        replay_stores_what_the_plan_accepts_once(shop)
        the_accounting_holds_after_a_replay(shop)
        infer_writes_a_plan_that_is_right(shop, tmp_path)
        docs_show_what_came(shop, tmp_path)
    they_open_the_database_themselves_without_a_collector(shop, tmp_path)


@pytest.mark.parametrize(
    ("command", "arguments", "says"),
    [
        ("status", ["--data", "/nonexistent"], "there is no data directory /nonexistent"),
        ("simulate", ["/nonexistent"], "/nonexistent"),
        ("simulate", ["--sample", "0"], "0"),
        ("replay", ["--reason", "nonsense"], "'nonsense' is no reason to refuse an event; choose one of"),
        ("replay", ["--days", "0"], "0"),
        ("infer", ["--data", "/nonexistent"], "there is no data directory"),
        ("docs", ["/nonexistent"], "/nonexistent"),
        ("diff", ["--days", "7", "--data", "/nonexistent"], "there is no data directory /nonexistent"),
    ],
)
def test_nonsense_is_one_sentence(command: str, arguments: list[str], says: str) -> None:
    done = run(command, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_live_is_the_configured_plan_where_no_database_can_say_and_that_is_told(tmp_path: Path) -> None:
    folder = plan_folder(tmp_path / "plan", 3)
    done = run("diff", folder, "--against", "live", "--data", tmp_path / "none")
    assert "none; name one with --data, or start `footfall serve`. What is live is taken from" in done.stderr
    assert "EVENT_REMOVED" in done.stdout  # compared with the plan that ships


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "jsonschema", "--out", "file"],
        ["codegen", "--lang", "typescript", "--out", "folder"],
        ["docs", "--offline", "--out", "file"],
        ["import", "jsonschema", "schema.json", "--out", "file"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_output_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    Path("folder").mkdir()
    Path("schema.json").write_text('{"title": "e", "type": "object", "properties": {"a": {"type": "string"}}}')
    with pytest.raises(SystemExit) as stopped:
        main(["plan", *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert (stopped.value.code, Path("file").read_text()) == (2, "mine")
    assert re.search(r"(file|folder)\S* cannot be read or written \(", line)


def test_docs_of_a_plan_alone_need_no_data(tmp_path: Path) -> None:
    folder = plan_folder(tmp_path / "plan", 3)
    done = run("docs", folder, "--data", tmp_path / "none", "--out", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "without live volumes" in done.stdout
    assert not (tmp_path / "none").exists()
