"""`footfall audience`: from a definition to what a webhook and a file hold."""

from __future__ import annotations

import csv
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
from databases import Databases
from serving import serving
from webhook_receiver import receiving

from collector.cli.main import main

# From the table, as to plan the view `persons` takes half a second, and this is asked ten times.
QUERY = """SELECT source_id, concat('user:', user_id) AS person_id, count() AS events, concat('=', user_id) AS formula
FROM events GROUP BY source_id, user_id"""


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def test_an_audience_from_its_definition_to_its_end(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def call(*arguments: str) -> Done:
        """In this process: the store process has the database."""
        said, complained = io.StringIO(), io.StringIO()
        code = 0
        with redirect_stdout(said), redirect_stderr(complained):
            try:
                main(["audience", *arguments, "--data", str(data)])
            except SystemExit as end:
                code = int(end.code or 0)
        return Done(code, said.getvalue(), complained.getvalue())

    secret = "0123456789abcdef0123456789abcdef"
    with (
        receiving() as receiver,
        serving(data, AUDIENCE_SECRET=secret, FOOTFALL_PRIVATE_WEBHOOKS="true") as collector,
    ):
        event = {"type": "track", "event": "seen", "anonymousId": "a", "userId": "ann"}
        collector.send({**event, "messageId": "1"}, {**event, "messageId": "2"})
        collector.until_loaded()

        # What cannot be one is refused before anything is written.
        assert call("define", "seen").err.startswith("footfall: audience seen is new; say who is in it with --query")
        assert call("define", "Seen!", "--query", QUERY).err.startswith("footfall: audience 'Seen!' is not a name;")
        bad = call("define", "seen", "--query", "SELECT person FROM events")
        assert (bad.code, bad.err[:41]) == (2, "footfall: the query cannot be asked: Unkn")
        often = call("define", "seen", "--query", QUERY, "--schedule", "often")
        assert often.err.startswith("footfall: schedule 'often' is not known; write one such as: manual, ")
        unsigned = call("define", "seen", "--query", QUERY, "--url", receiver.url)
        assert unsigned.err.startswith("footfall: secret '' is neither env:AUDIENCE_NAME nor file:/path;")
        assert call("list").out.startswith("no audiences in ")

        # A schedule is kept by the collector that runs, and its webhook told.
        made = call(
            "define", "seen", "--query", QUERY + ";", "--description", "Who was seen.", "--schedule", "every minute",
            "--url", receiver.url, "--secret", "env:AUDIENCE_SECRET",
        )  # fmt: skip
        assert made.out == f"wrote {data}/audiences/seen.sql, version 1; attributes: events, formula\n"
        assert receiver.came.wait(60), collector.log()
        body = receiver.got[0].json
        assert (body["audience"], body["kind"], body["batches"]) == ("seen", "changes", 1)
        (member,) = body["members"]
        assert (member["change"], member["person_id"], member["attributes"]["formula"]) == (
            "entered",
            "user:ann",
            "=ann",
        )

        # Edited in the file, it is another version, which says so itself.
        path = data / "audiences" / "seen.sql"
        path.write_text(path.read_text().replace("'='", "'+'").replace("every minute", "manual"))
        assert "the query is not that of version 1" in call("refresh", "seen").err
        assert "the query is not that of version 1" in call("list").out
        assert "version 2" in call("define", "seen").out
        collector.send({**event, "messageId": "3", "anonymousId": "b", "userId": "bob"})
        collector.until_loaded()
        assert call("refresh", "seen").out == "seen: 2 members, 1 entered, 0 left, told of 1\n"
        assert call("refresh").out == "no audience is due\n"
        assert "  2 members, 1 entered, 0 left, " in call("show", "seen").out
        assert json.loads(call("show", "seen", "--json").out)["refreshes"][0]["version"] == 2
        assert json.loads(call("list", "--json").out)[0]["members"] == 2
        receiver.answers = [(410, {})]
        refused = call("send", "seen", "--all")
        assert (refused.code, refused.out) == (1, "seen: told of 0 persons in 0 batches\n")
        assert "the webhook answered 410: said" in refused.err

        out = tmp_path / "seen.csv"
        assert call("export", "seen", "--out", str(out)).out.startswith("wrote 2 persons, ")
        assert out.stat().st_mode & 0o777 == 0o600
        rows = list(csv.reader(io.StringIO(out.read_text())))
        assert rows[0] == ["source_id", "person_id", "user_id", "events", "formula"]
        assert [row[1:3] + row[4:] for row in rows[1:]] == [["user:ann", "ann", "'+ann"], ["user:bob", "bob", "'+bob"]]
        changes = tmp_path / "changes.json"
        for persons in (2, 0):
            told = call("export", "seen", "--changes", "--format", "json", "--out", str(changes)).out
            assert told.startswith(f"wrote {persons} persons, ")
        assert changes.read_bytes() == b""

        assert call("delete", "seen").out == f"deleted {path}; 2 were in it\n"
        assert not path.exists()


def test_with_no_collector_a_command_opens_the_database_itself(
    tmp_path: Path, clickhouse_url: str, databases: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{clickhouse_url}/{{name}}"
    store, before = databases.take(place)
    (tmp_path / "data").mkdir()
    config = tmp_path / "footfall.toml"
    config.write_text(f'data = "{tmp_path}/data"\nclickhouse = "{clickhouse_url}/{store.database}"\n')
    query = "SELECT 'user:1' AS person_id"
    for arguments, said in (
        (("define", "one", "--query", query, "--schedule", "every hour"), "version 1; attributes: none"),
        (("refresh",), "one: 1 members, 1 entered, 0 left"),
        (("delete", "one"), "; 1 were in it"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["audience", *arguments, "--config", str(config)])
        assert (end.value.code, said in capsys.readouterr().out) == (0, True)
    databases.give_back(place, store, before)


def test_of_an_audience_that_is_not_there_a_sentence_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("show", "export", "refresh", "delete"):
        with pytest.raises(SystemExit) as end:
            main(["audience", command, "nobody", "--data", str(tmp_path / "none")])
        assert end.value.code == 2
        assert capsys.readouterr().err.startswith("footfall: there is no ")
