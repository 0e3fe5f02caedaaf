"""The `footfall` command as people use it: real processes, exit codes, and what stands on the two outputs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from load.spooled import Data, event, failed, record
from serving import Serving, footfall, serving


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("cli") / "data", first_start=True) as running:
        yield running


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["serve", "--nonsense"], "No such option"),
        (["serve", "--port", "70000"], "port"),
        (["serve", "--port", "http"], "'http' is not a valid integer"),
        (["serve", "--workers", "65"], "workers"),
        (["serve", "--config", "/nonexistent.toml"], "/nonexistent.toml cannot be read"),
        (["serve", "--clickhouse", "postgres://x"], "must start with"),
        (["serve", "--plan", "/nonexistent"], "/nonexistent"),
        (["serve", "--data", "/proc/nonsense"], "data directory /proc/nonsense cannot be used"),
        (["sql", "SELECT 1", "--data", "/nonexistent"], "no data directory /nonexistent"),
        (["sql", "SELECT 1", "--format", "Excel"], "choose one of Pretty, CSV, JSON"),
        (["sql"], "Missing argument 'QUERY'"),
        (["snippet", "--data", "/nonexistent"], "has no source yet"),
        (["sources", "disable", "nobody", "--data", "/nonexistent"], "there is no source 'nobody'"),
        (["demo", "--simulate", "-3"], "simulate"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)
def test_nonsense_exits_2_with_one_sentence_and_no_traceback(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # its default data directory is of its own: another's command may hold that of here
    done = footfall(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.startswith("footfall: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_help_names_every_command() -> None:
    text = footfall("--help").stdout
    for name in ("serve", "demo", "sql", "snippet", "sources", "doctor", "migrate", "plan", "config", "version"):
        assert re.search(rf"^  {name} +\S", text, re.MULTILINE), name


def test_version_is_the_one_that_is_installed() -> None:
    import importlib.metadata

    assert footfall("version").stdout == f"footfall {importlib.metadata.version('footfall')}\n"


def test_serve_makes_directory_source_and_database_by_itself(collector: Serving) -> None:
    listed = json.loads(footfall("sources", "list", "--json", "--data", collector.data_dir).stdout)
    assert [source["id"] for source in listed] == ["default"]
    assert collector.sql("SELECT count() AS n FROM sessions") == [{"n": 0}]
    # Looked at last: events are taken before the database is made.
    names = {path.name for path in collector.data_dir.iterdir()}
    assert {"sources.json", "db", "spool", "lock"} <= names


def test_a_server_key_is_shown_once_and_kept_only_as_a_hash(collector: Serving) -> None:
    done = footfall(
        "sources", "add", "Blog", "--origin", "https://Blog.example/", "--json", "--data", collector.data_dir
    )
    added = json.loads(done.stdout)
    told = ["id", "name", "write_key", "server_key", "origins", "enabled", "cookie_domain", "environment", "consent"]
    assert list(added) == told
    assert (added["id"], added["name"], added["enabled"]) == ("blog", "Blog", True)
    assert added["origins"] == ["https://blog.example"]
    assert added["server_key"] not in (collector.data_dir / "sources.json").read_text()
    assert added["server_key"] not in footfall("sources", "list", "--json", "--data", collector.data_dir).stdout
    event = {"type": "track", "event": "server_side", "userId": "u1"}
    assert collector.send(event, key=added["server_key"]).status == 200


def test_a_disabled_source_is_refused_while_serving(collector: Serving) -> None:
    added = json.loads(footfall("sources", "add", "Old", "--json", "--data", collector.data_dir).stdout)
    event = {"type": "track", "event": "x", "anonymousId": "a"}
    assert collector.send(event, key=added["write_key"]).status == 200
    footfall("sources", "disable", "Old", "--data", collector.data_dir)
    # A worker looks at the file again at the latest 200 ms after it did so last.
    statuses: list[int] = []
    while not statuses or (statuses[-1] == 200 and len(statuses) < 1_000):
        statuses.append(collector.send(event, key=added["write_key"]).status)
    assert statuses[-1] == 403


def test_the_snippet_has_the_write_key_and_the_address(collector: Serving) -> None:
    text = footfall("snippet", "--url", "https://t.example/", "--data", collector.data_dir).stdout
    assert f'src="https://t.example/footfall.js" data-write-key="{collector.write_key}"' in text
    assert f"https://t.example/v1/p.gif?writeKey={collector.write_key}" in text


@pytest.mark.parametrize(
    ("fmt", "starts"),
    [
        ("CSV", b'"n"\n7\n'),
        ("JSON", b'{\n\t"meta"'),
        ("JSONEachRow", b'{"n":7}\n'),
        ("Parquet", b"PAR1"),
        ("pretty", "   ┌─n─┐".encode()),
    ],
)
def test_sql_answers_in_every_format_while_serving(collector: Serving, fmt: str, starts: bytes) -> None:
    from serving import FOOTFALL

    command = [FOOTFALL, "sql", "SELECT 7 AS n", "--format", fmt, "--data", str(collector.data_dir)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(starts)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELEC 1", "Syntax error"),
        ("SELECT nothing FROM events", "nothing"),
        ("DROP TABLE events", "readonly"),
        ("INSERT INTO events (message_id) VALUES ('x')", "readonly"),
        ("SELECT 1 INTO OUTFILE '/tmp/footfall-must-not-exist'", "INTO OUTFILE"),
        ("SELECT 1 /* */ into\noutfile '/tmp/footfall-must-not-exist'", "INTO OUTFILE"),
        (
            "SELECT * FROM periods(period = 'year', since = '2026-11-01', until = '2026-12-01', time_zone = 'UTC')",
            "footfall: period is day, week or month\n",
        ),
        ("", "no query"),
        ("/* nothing */", "no query"),
    ],
)
def test_sql_refuses_what_it_cannot_or_must_not_run(collector: Serving, query: str, says: str) -> None:
    done = footfall("sql", query, "--data", collector.data_dir)
    assert done.returncode == 2
    assert says in done.stderr
    assert not Path("/tmp/footfall-must-not-exist").exists()
    assert collector.sql("SELECT count() >= 0 AS there FROM events") == [{"there": True}]


def test_a_second_collector_on_the_directory_is_refused_by_name(collector: Serving) -> None:
    done = footfall("serve", "--port", "0", "--data", collector.data_dir)
    assert done.returncode == 2
    assert f"is in use by process {collector.process.pid} (footfall serve)" in done.stderr


def test_a_port_in_use_is_refused(collector: Serving, tmp_path: Path) -> None:
    done = footfall("serve", "--port", str(collector.port), "--data", tmp_path / "other")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{collector.port}" in done.stderr


def test_a_data_directory_in_use_is_refused_in_one_sentence_that_names_the_process(collector: Serving) -> None:
    refused = footfall("serve", "--data", collector.data_dir, "--port", "0")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert f"process {collector.process.pid} (footfall serve)" in refused.stderr
    assert "--data" in refused.stderr
    # The one that runs is not disturbed.
    event = {"type": "track", "event": "undisturbed", "anonymousId": "v"}
    assert collector.send(event).status == 200
    collector.sql_until(
        "SELECT count() AS n FROM events WHERE event = 'undisturbed'", lambda rows: int(rows[0]["n"]) == 1
    )


def test_doctor_proves_the_accounting_and_says_ok(collector: Serving) -> None:
    collector.send({"type": "track", "event": "counted", "anonymousId": "a"}, {"type": "track", "anonymousId": "a"})
    collector.until_loaded()
    done = footfall("doctor", "--json", "--data", collector.data_dir)
    diagnosis = json.loads(done.stdout)
    assert done.returncode == 0, diagnosis
    events = diagnosis["events"]
    assert events["received"] == sum(value for name, value in events.items() if name != "received")
    assert events["rejected"] >= 1
    assert list(events) == ["received", "stored", "spooled", "deduplicated", "rejected", "dropped"], (
        "as the sentence says"
    )
    names = {check["name"] for check in diagnosis["checks"]}
    assert {"database", "accounting", "tracking plan", "geo", "sources", "data directory", "spool"} <= names


def test_beside_a_collector_the_spool_is_listed_checked_and_old_segments_are_loaded_once(
    collector: Serving, tmp_path: Path
) -> None:
    old = Data(tmp_path).segment(record([event(f"replayed {n}") for n in range(3)], [failed("replayed")]))
    data = ("--data", collector.data_dir)
    for stored in (3, 0):
        done = footfall("spool", "replay", old, *data)
        assert done.returncode == 0, done.stderr
        assert f"{old}: 4 events in 1 records\n4 events of 1 file are loaded\n" in done.stdout
        assert f"the ledger has grown by {stored} stored, " in done.stdout
    (row,) = collector.sql("SELECT count() AS n FROM events WHERE message_id LIKE 'replayed%'")
    assert int(row["n"]) == 3
    listed = footfall("spool", "ls", *data)
    assert listed.stdout.endswith(", 0 events wait for the database\n"), listed.stderr
    checked = footfall("spool", "verify", *data)
    assert (checked.returncode, checked.stdout.endswith(" events: 0 findings\n")) == (0, True), checked.stdout
    nowhere = footfall("spool", "ls", "--data", tmp_path / "nowhere")
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (2, 1)


def test_a_long_directory_a_prompt_end_and_rows_that_went_missing(tmp_path: Path) -> None:
    """One collector: its socket works whatever the path, it ends in time, and doctor finds what is not there."""
    deep = tmp_path / ("d" * 90) / ("e e" * 30)
    deep.mkdir(parents=True)
    with serving(deep / "data") as running:
        running.send({"type": "track", "event": "x", "anonymousId": "a"})
        running.until_loaded()
        assert running.sql("SELECT 1 AS one") == [{"one": 1}]
        begun = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - begun < 10
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", running.port)) != 0
    positions = deep / "data" / "load" / "positions.json"
    content = json.loads(positions.read_text())
    content["ledger"]["stored"] += 5
    content["ledger"]["received"] += 5
    positions.write_text(json.dumps(content))
    done = footfall("doctor", "--data", deep / "data")
    assert done.returncode == 1
    assert "WRONG  accounting: events holds 1 rows, 6 were stored there" in done.stdout


def test_a_broken_geo_file_costs_no_event_and_sql_sees_what_was_acknowledged_when_nothing_runs(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"not a database")
    events = [{"type": "track", "event": "kept", "anonymousId": f"a{n}"} for n in range(20)]
    with serving(tmp_path / "data", FOOTFALL_GEO=str(broken)) as running:
        assert running.send(*events).json["accepted"] == 20
        assert str(broken) in running.log()
        running.kill()
    done = footfall("sql", "SELECT count() FROM events", "--format", "CSV", "--data", tmp_path / "data")
    assert done.stdout == '"count()"\n20\n', done.stderr


def test_settings_come_from_file_then_environment_then_flags(tmp_path: Path) -> None:
    file = tmp_path / "footfall.toml"
    file.write_text('port = 1111\nworkers = 2\nclickhouse = "http://me:secret@db:8123/footfall"\n')
    done = footfall("config", "--config", file, "--port", "3333", FOOTFALL_PORT="2222", FOOTFALL_WORKERS="3")
    assert "port = 3333\n" in done.stdout
    assert "workers = 3\n" in done.stdout
    assert "secret" not in done.stdout
    assert 'clickhouse = "http://me:***@db:8123/footfall"\n' in done.stdout


@pytest.mark.parametrize(
    ("content", "environment", "says"),
    [
        ("prot = 1", {}, "unknown setting 'prot'; did you mean 'port'?"),
        ("", {"FOOTFALL_PROT": "1"}, "unknown setting FOOTFALL_PROT; did you mean FOOTFALL_PORT?"),
        ("port = 'x'", {}, "setting 'port'"),
        ("", {"FOOTFALL_PORT": "x"}, "FOOTFALL_PORT is 'x'; it must be a whole number"),
        ("port = ", {}, "is not TOML"),
        ("trusted_proxies = ['ten']", {}, "trusted_proxies has 'ten'"),
    ],
)
def test_an_unusable_setting_is_named(tmp_path: Path, content: str, environment: dict[str, str], says: str) -> None:
    file = tmp_path / "footfall.toml"
    file.write_text(content)
    done = footfall("config", "--config", file, **environment)
    assert done.returncode == 2
    assert says in done.stderr


def test_plan_check_finds_what_is_wrong_with_file_and_line(tmp_path: Path) -> None:
    assert footfall("plan", "check").returncode == 0
    (tmp_path / "plan.yaml").write_text("format: 1\nplan: x\nversion: 1.0.0\nenforced: {}\n")
    done = footfall("plan", "check", tmp_path)
    assert done.returncode == 1
    assert re.search(r"plan\.yaml:4:\d+: .*enforced.*enforce", done.stderr), done.stderr


def test_migrate_brings_an_empty_directory_up_to_date_and_says_so_twice(tmp_path: Path) -> None:
    for _ in range(2):
        done = footfall("migrate", "--data", tmp_path / "data")
        assert done.returncode == 0
        assert done.stdout.endswith("the database is up to date\n")


def test_demo_serves_the_shop_and_drives_visitors_through_the_endpoint(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--simulate", "30", command="demo") as running:
        page = running.request("GET", "/demo/")
        assert page.status == 200
        assert f'data-write-key="{running.write_key}"'.encode() in page.body
        assert b"{{ snippet }}" not in page.body
        assert running.request("GET", "/demo/../sources.json").status == 404
        assert running.request("GET", "/demo/%2e%2e%2fpyproject.toml").status == 404
        rows = running.sql_until(
            "SELECT uniqExact(visitor_id) AS visitors, countIf(length(violations) > 0) AS odd FROM events",
            lambda found: int(found[0]["visitors"]) >= 30,
        )
        assert int(rows[0]["odd"]) == 0


def test_a_directory_is_not_loaded_into_another_database_by_mistake(tmp_path: Path, clickhouse_url: str) -> None:
    dsn = f"{clickhouse_url}/cli_{tmp_path.parent.name.replace('-', '_')}"
    with serving(tmp_path / "data", "--clickhouse", dsn) as running:
        running.send({"type": "track", "event": "kept", "anonymousId": "a"})
        running.kill()
    forgot = footfall("sql", "SELECT count() FROM events", "--format", "CSV", "--data", tmp_path / "data")
    assert forgot.returncode == 2
    assert f"loads into {dsn}, the settings name embedded" in forgot.stderr
    query = ("sql", "SELECT count() FROM events", "--format", "CSV", "--data", tmp_path / "data")
    named = footfall(*query, FOOTFALL_CLICKHOUSE=dsn)
    assert named.stdout == '"count()"\n1\n', named.stderr


def test_without_the_embedded_engine_serve_says_how_to_get_it(tmp_path: Path) -> None:
    """As after `pip install footfall` without its extra: no chdb is found."""
    hide = "import sys; sys.modules['chdb'] = None\n"
    hide += "import importlib.util as u; find = u.find_spec\n"
    hide += "u.find_spec = lambda name, package=None: None if name == 'chdb' else find(name, package)\n"
    start = f"from collector.cli.main import main; main(['serve', '--port', '0', '--data', {str(tmp_path / 'data')!r}])"
    done = subprocess.run([sys.executable, "-c", hide + start], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'footfall[embedded]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
