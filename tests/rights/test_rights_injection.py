"""What a visitor or an analyst writes stays data: no line of a log, no formula, no file, no other machine."""

from __future__ import annotations

import csv
import io
import json
import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from serving import footfall, serving

from collector.cli.child import OneLine
from collector.database.query import answer, has_own_format
from collector.database.store import Store, StoreError
from collector.spreadsheet import csv_text, harmless, harmless_csv

HOSTILE = "a\r\n2026-01-01T00:00:00.000Z worker-0 INFO forged\x1b[2J\u202e\x85\u2028\x00b"


def test_a_log_message_is_one_line_whatever_is_in_it() -> None:
    formatter = OneLine("%(asctime)s worker-0 %(levelname)s %(message)s")
    line = formatter.format(logging.makeLogRecord({"levelname": "INFO", "msg": "sent %s", "args": (HOSTILE,)}))
    assert line.splitlines() == [line]
    assert line.isprintable()
    assert r"a\r\n2026-01-01" in line
    error = (ValueError, ValueError(HOSTILE), None)
    record = logging.makeLogRecord({"levelname": "ERROR", "msg": "failed", "exc_info": error})
    _, *more = formatter.format(record).split("\n")
    assert len(more) >= 1
    assert all(one.startswith("    ") and one.isprintable() for one in more)


FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", "\uff201"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_begins_like_a_formula_is_no_formula(text: str) -> None:
    assert harmless(text) == f"'{text}"
    (cells,) = csv.reader(io.StringIO(csv_text([[text, -5, 'say "=x"', "a,=b"]]), newline=""))
    assert cells == [f"'{text}", "-5", 'say "=x"', "a,=b"]


# What would write, reach out, or read what is not the project's.
REFUSED = {
    "insert": ("INSERT INTO events (message_id) VALUES ('x')", "only read"),
    "insert into a function": ("INSERT INTO FUNCTION file('/tmp/x', 'CSV') SELECT 1", "only read"),
    "drop": ("DROP TABLE events", "only read"),
    "alter": ("ALTER TABLE events DELETE WHERE 1", "only read"),
    "truncate": ("TRUNCATE TABLE events", "only read"),
    "create": ("CREATE TABLE y ENGINE = Memory AS SELECT 1", "only read"),
    "create temporary": ("CREATE TEMPORARY TABLE y (a Int8)", "only read"),
    "user": ("CREATE USER bob", "only read"),
    "system": ("SYSTEM SHUTDOWN", "only read"),
    "kill": ("KILL QUERY WHERE 1", "only read"),
    "set": ("SET readonly = 0", "only read"),
    "use": ("USE system", "only read"),
    "backup": ("BACKUP TABLE events TO File('x')", "only read"),
    "two": ("SELECT 1; DROP TABLE events", "Multi-statements"),
    "readonly off": ("SELECT 1 SETTINGS readonly = 0", "readonly"),
    "file()": ("SELECT * FROM file('/etc/passwd', 'LineAsString')", "reaches outside"),
    "file() of one value": ("SELECT file('/etc/passwd')", "reaches outside"),
    "quoted": ("SELECT `file`('/etc/passwd')", "reaches outside"),
    "commented": ("SELECT * FROM fi/**/le('/etc/passwd')", "Syntax error|UNKNOWN"),
    "comment between": ("SELECT * FROM file /* x */ ('/etc/passwd') # y", "reaches outside"),
    "within": ("WITH a AS (SELECT * FROM url('http://127.0.0.1:1/')) SELECT * FROM a", "reaches outside"),
    "in a subquery": ("SELECT 1 WHERE 1 IN (SELECT * FROM URL('http://127.0.0.1:1/'))", "reaches outside|URL"),
    "described": ("DESCRIBE TABLE file('/etc/passwd')", "reaches outside"),
    "explained": ("EXPLAIN SELECT * FROM s3('http://127.0.0.1:1/a/b')", "reaches outside"),
    "s3": ("SELECT * FROM s3('http://127.0.0.1:1/a/b')", "reaches outside"),
    "remote": ("SELECT * FROM remote('127.0.0.1', 'system', 'one')", "reaches outside"),
    "cluster": ("SELECT * FROM clusterAllReplicas('default', 'system', 'one')", "reaches outside"),
    "mysql": ("SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", "reaches outside"),
    "executable": ("SELECT * FROM executable('x', 'TSV', 'a String')", "reaches outside"),
    "another database": ("SELECT * FROM merge('system', '.*')", "reaches outside"),
    "a path for a table": ("SELECT * FROM default.`/etc/passwd`", "may be a file"),
    "a path, quoted": ('SELECT * FROM "default"."/etc/passwd"', "may be a file"),
    "a path in IN": ("SELECT 1 WHERE 'x' IN default.`/etc/passwd`", "may be a file"),
    "a file of the server": ("SELECT 1 INTO # x\n OUTFILE '/tmp/footfall-must-not-exist'", "INTO OUTFILE"),
    "a model": ("SELECT aiGenerate('x')", "reaches outside|ai"),
    "nothing": ("-- x", "there is no query"),
}  # fmt: skip
ALLOWED = [
    "SELECT count() FROM events",
    "FROM events SELECT count()",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "WITH 1 AS x SELECT x",
    "SELECT 'INSERT INTO file(''/x'') INTO OUTFILE default.`x`'",
    "SELECT number FROM numbers(3) SETTINGS max_threads = 1",
    "SELECT * FROM generateSeries(1, 3)",
    "SELECT countMerge(state) FROM (SELECT countState() AS state FROM events)",
    "SELECT file FROM (SELECT 1 AS file)",
    "SHOW TABLES",
    "DESCRIBE TABLE events",
    "EXPLAIN SELECT 1",
    "SELECT 1 FORMAT TSV",
]


def test_a_question_only_reads_and_reaches_nothing_else(store: Store, dsn: str) -> None:
    with closing(Store(dsn, read_only=True)) as lane:
        for name, (sql, says) in REFUSED.items():
            with pytest.raises(StoreError, match=says) as caught:
                answer(lane, sql, "CSV")
            assert "root:" not in str(caught.value), name
            assert "formatQuery" not in str(caught.value), name
        for sql in ALLOWED:
            answer(lane, sql, "CSV")
        # The lane itself does not write either, should something slip through.
        for sql in (
            "INSERT INTO erasures (events) VALUES (1)",
            "DROP TABLE events",
            "ALTER TABLE events DELETE WHERE 1",
        ):
            with pytest.raises(StoreError, match="readonly"):
                lane.command(sql)
        texts = "SELECT arrayJoin(['=1', 'a,\"=b', '', 'x\"', ' -2', '\uff0b1']) AS `=name`, -5 AS n"
        rows = list(csv.reader(io.StringIO(harmless_csv(answer(lane, texts, "CSV")).decode())))
    cells = ["'=1", 'a,"=b', "", 'x"', "' -2", "'\uff0b1"]
    assert rows == [["'=name", "n"], *([cell, "-5"] for cell in cells)]
    assert not Path("/tmp/footfall-must-not-exist").exists()
    assert has_own_format("SELECT 1 FORMAT CSV;")


def test_a_running_collector_exports_erases_and_logs_nothing_hostile(tmp_path: Path) -> None:
    """One collector, its own commands: a person's events go, also from the segment that a worker still writes."""
    with serving(tmp_path / "data") as collector:
        batch: list[dict[str, Any]] = [
            {"type": "track", "event": "=cmd|A0", "anonymousId": "zebra-visitor-4711", "properties": {"x": HOSTILE}},
            {"type": "identify", "userId": "zebra-user", "anonymousId": "zebra-visitor-4711", "traits": {"n": "@1"}},
            {"type": HOSTILE, "event": HOSTILE, "anonymousId": "zebra-visitor-4711"},
            {
                "type": "track",
                "event": "other",
                "anonymousId": "another-visitor",
                "properties": {"to": "b@example.org"},
            },
        ]
        assert collector.send(*batch).status == 200
        data = ("--data", collector.data_dir)
        done = footfall("privacy", "export", "--user", "zebra-user", "--out", tmp_path / "export", *data)
        assert done.returncode == 0, done.stderr
        made = json.loads((tmp_path / "export/export.json").read_text())
        assert len(made["events"]) == 2
        assert len(made["failed_events"]) == 1
        assert made["profiles"][0]["traits"] == {"n": "@1"}
        with (tmp_path / "export/events.csv").open(newline="") as file:
            shown = {row["event_original"] for row in csv.DictReader(file)}
        assert "'=cmd|A0" in shown
        assert (tmp_path / "export").stat().st_mode & 0o077 == 0
        assert any(b"zebra" in path.read_bytes() for path in (collector.data_dir / "db").rglob("*") if path.is_file())
        done = footfall("privacy", "erase", "--visitor", "zebra-visitor-4711", "--receipt", tmp_path / "r.json", *data)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nothing is left" in done.stdout
        assert "nobody is known" not in done.stdout
        for command in (("export",), ("erase", "--yes")):
            done = footfall("privacy", *command, "--visitor", "somebody-else", *data)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "nobody is known by this id, so see how it is written" in done.stdout + done.stderr
        receipt = json.loads((tmp_path / "r.json").read_text())
        assert (receipt["removed"]["events"], receipt["removed"]["failed_events"], receipt["ok"]) == (2, 1, True)
        assert "zebra" not in json.dumps(receipt)
        assert collector.sql("SELECT event FROM events") == [{"event": "other"}]
        done = footfall("privacy", "audit", "--all", *data)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "FOUND  events.properties at /to holds e-mail addresses (1 rows of other, source " in done.stdout
        assert "b@example.org" not in done.stdout
        erased = [row["events"] + row["failed_events"] for row in collector.sql("SELECT * FROM erasures")]
        assert sum(map(int, erased)) == 3
    assert receipt["old_parts"] == 0
    files = [path for path in collector.data_dir.rglob("*") if path.is_file()]
    assert len([path for path in files if "db" in path.parts]) > 100
    assert [path for path in files if b"zebra" in path.read_bytes()] == []
    log = collector.log()
    assert all(line.isprintable() for line in log.splitlines())
    assert "\n2026-01-01" not in log
    assert "zebra" not in log
