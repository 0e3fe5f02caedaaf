"""What is said of views is so: their columns, types and examples, and the comments that stand in the database."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest

from collector.database.catalogue import COLUMNS_FILE, Parameter, View, catalogue, checksum_of, commented
from collector.database.store import Store
from collector.paths import SQL_DIR

VIEWS = catalogue()


def types_of(asking: Store, view: View) -> dict[str, str]:
    return {row[0]: row[1] for row in asking.rows(f"DESCRIBE (SELECT * FROM {view.call})")}


def test_columns_and_examples_are_those_of_the_database(store: Store, dsn: str, request: pytest.FixtureRequest) -> None:
    """All of them when they are written down (--golden); to plan them all takes 10 seconds, so here some of them."""
    now = checksum_of(SQL_DIR)
    with closing(Store(dsn, read_only=True)) as asking:  # it finds views by their names alone, as analysts do
        if request.config.getoption("--golden") and dsn.startswith("chdb:"):
            for view in VIEWS.values():
                if view.example != f"SELECT * FROM {view.call}":
                    assert asking.rows(f"DESCRIBE ({view.example})"), view.name
            written = {
                "columns": {view.name: types_of(asking, view) for view in VIEWS.values()},
                "checksum": now,
            }
            (SQL_DIR / COLUMNS_FILE).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        written = json.loads((SQL_DIR / COLUMNS_FILE).read_text(encoding="utf-8"))
        assert written["checksum"] == now, (
            "a view or table has changed; run `make unit ARGS='tests/sql/test_catalogue.py --golden'` and read the diff"
        )
        assert written["columns"].keys() == VIEWS.keys()
        for name in ("sessions", "transitions", "retention", "forms", "dq_properties"):
            assert types_of(asking, VIEWS[name]) == written["columns"][name]
            if VIEWS[name].example != f"SELECT * FROM {VIEWS[name].call}":
                assert asking.rows(f"DESCRIBE ({VIEWS[name].example})")


def test_what_views_and_columns_mean_stands_in_the_database(store: Store) -> None:
    said = {
        (str(table), str(column)): str(comment)
        for table, column, comment in store.rows(
            f"SELECT table, name, comment FROM system.columns WHERE database = '{store.database}'"
        )
    }
    about = dict(store.rows(f"SELECT name, comment FROM system.tables WHERE database = '{store.database}'"))
    for view in VIEWS.values():
        assert view.question in about[view.name]
        if not view.parameters:
            assert [said[view.name, column.name] for column in view.columns] == [one.says for one in view.columns]


def test_times_that_views_name_are_ones_that_a_shard_of_a_cluster_can_read() -> None:
    """ClickHouse sends it their seconds, and reads other than ten digits as a date (decisions/0014)."""
    for path in (SQL_DIR / "views").rglob("*.sql"):
        code = re.sub(r"^\s*--.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for named in re.findall(r"'\d{4}-\d\d-\d\d[^']*'", code):
            assert "'2001-09-10" <= named < "'2286-11-20", path.name


def test_every_view_has_a_question_an_example_and_columns_that_are_explained() -> None:
    for view in VIEWS.values():
        assert view.question.endswith((".", "?")), view.name
        assert view.name in view.example
        named = re.findall(r"(\w+) =", re.sub(r"'[^']*'", "", view.call))
        assert sorted(named) == sorted(one.name for one in view.parameters), f"{view.name}: the example's parameters"
        assert view.columns, f"{view.name} is not in {COLUMNS_FILE}; run this file with --golden"
    silent = [f"{view.name}.{column.name}" for view in VIEWS.values() for column in view.columns if not column.says]
    assert silent == []


HEADER = """\
-- spans: one row per span,
--        which is a time.
--
-- Question    How long
--             is it?
-- Parameters  zone   String.
--             since  DateTime.
--                 SELECT * FROM spans(since = now(), zone = 'a)') WHERE
--                     length > 1
--             more   Nothing.
-- Grain       One row.
-- Reads       base, things
-- Definition  A span ends. length: its size in ms. Not more.
--               start, finish   Where it
--                               begins; where it ends. half: the middle, it's so.
--             kind and place are words. it is not a column.
-- Exact       Yes.
CREATE VIEW {database}.spans AS SELECT {since:DateTime} + {zone:String} FROM {database}.base
"""
BASE = """\
-- base: things.
--
-- Question    Which?
-- Reads       things
-- Definition  other  Of base.
CREATE VIEW {database}.base AS SELECT * FROM {database}.things
"""
TABLE = """\
CREATE TABLE IF NOT EXISTS {database}.things
(
    id    String COMMENT 'The thing''s id.',
    other String COMMENT 'Of things.',
    path  String
);
ALTER TABLE {database}.things
    ADD COLUMN IF NOT EXISTS late String DEFAULT '{}'
        COMMENT 'Came later.'
"""


@pytest.fixture
def sql_dir(tmp_path: Path) -> Path:
    (tmp_path / "views" / "room").mkdir(parents=True)
    (tmp_path / "views" / "room" / "spans.sql").write_text(HEADER)
    (tmp_path / "views" / "room" / "base.sql").write_text(BASE)
    (tmp_path / "views" / "room" / "bare.sql").write_text("CREATE VIEW {database}.bare AS SELECT 1 AS n")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "001_things.sql").write_text(TABLE)
    spans = ["start", "finish", "half", "length", "kind", "place", "id", "other", "late", "path", "unknown"]
    types = {"spans": dict.fromkeys(spans, "String"), "base": dict.fromkeys(("id", "other", "late"), "String")}
    (tmp_path / COLUMNS_FILE).write_text(json.dumps({"columns": types, "checksum": checksum_of(tmp_path)}))
    return tmp_path


def test_a_header_is_read_into_its_parts(sql_dir: Path) -> None:
    spans = catalogue(sql_dir)["spans"]
    assert spans.room == "room"
    assert spans.title == "one row per span, which is a time."
    assert spans.question == "How long is it?"
    assert spans.parameters == (Parameter("zone", "String"), Parameter("since", "DateTime"))
    assert spans.example == "SELECT * FROM spans(since = now(), zone = 'a)') WHERE\n    length > 1"
    assert spans.call == "spans(since = now(), zone = 'a)')"
    assert spans.reads == ("base", "things")
    assert spans.parts["Definition"].splitlines()[1] == "  start, finish   Where it"


def test_a_column_is_explained_by_its_view_else_by_what_that_reads(sql_dir: Path) -> None:
    says = {column.name: column.says for column in catalogue(sql_dir)["spans"].columns}
    assert says == {
        "start": "Where it begins; where it ends.",
        "finish": "Where it begins; where it ends.",
        "half": "The middle, it's so.",
        "length": "Its size in ms.",
        "kind": "Kind and place are words.",
        "place": "Kind and place are words.",
        "id": "The thing's id.",
        "other": "Of base.",
        "late": "Came later.",
        "path": "Path of the page address.",
        "unknown": "",
    }


def test_comments_are_for_views_that_say_something(sql_dir: Path) -> None:
    known = catalogue(sql_dir)
    create = "CREATE OR REPLACE VIEW {database}.base AS\nSELECT 1\n"
    assert commented(create, known["base"]) == (
        "CREATE OR REPLACE VIEW {database}.base\n(\n    `id` String COMMENT 'The thing\\'s id.',\n"
        "    `other` String COMMENT 'Of base.',\n    `late` String COMMENT 'Came later.'\n)\n"
        "COMMENT 'Things. Which?' AS\nSELECT 1\n"
    )
    assert commented("CREATE OR REPLACE VIEW {database}.spans AS\nSELECT 1", known["spans"]) == (
        "CREATE OR REPLACE VIEW {database}.spans "
        "COMMENT 'One row per span, which is a time. How long is it?' AS\nSELECT 1"
    )
    assert (
        commented("CREATE VIEW {database}.bare AS SELECT 1", known["bare"]) == "CREATE VIEW {database}.bare AS SELECT 1"
    )


def test_without_a_folder_of_views_there_are_none(tmp_path: Path) -> None:
    assert catalogue(tmp_path) == {}
