"""An audience's file, its version and its schedule."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from collector.audience.definition import (
    Audience,
    AudienceError,
    Destination,
    Limits,
    names_in,
    path_of,
    read_audience,
    write_audience,
)
from collector.audience.deliver import Member
from collector.audience.export import as_csv, as_json
from collector.audience.schedule import parse_schedule
from collector.plan.load import load_plan

LAPSING = Audience(
    "lapsing",
    "customers who stay away: it is -- in words.",
    "SELECT person_id\n-- not a head\nFROM persons",
    3,
    "every day at 06:00",
    Limits(10, 20, 30),
    Destination("https://crm.example/hook", "env:AUDIENCE_SECRET", "all", 7),
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    plain = Audience("plain", "All.", "SELECT 'a' AS person_id", 1)
    for audience in (LAPSING, plain):
        write_audience(tmp_path / "audiences", audience)
        assert read_audience(tmp_path / "audiences", audience.name) == audience
    assert names_in(tmp_path / "audiences") == ["lapsing", "plain"]
    assert names_in(tmp_path / "none") == []


def test_an_edited_query_cannot_pass_for_its_version(tmp_path: Path) -> None:
    path = write_audience(tmp_path, LAPSING)
    path.write_text(path.read_text().replace("every day at 06:00", "manual").replace("customers", "all"))
    assert read_audience(tmp_path, "lapsing").schedule == "manual"
    path.write_text(path.read_text().replace("FROM persons", "FROM rfm"))
    with pytest.raises(AudienceError) as refused:
        read_audience(tmp_path, "lapsing")
    assert str(refused.value) == (
        f"{path}: the query is not that of version 3; run `footfall audience define lapsing` to make it version 4"
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("-- lapsing:", "-- other:", "the first line must be `-- lapsing: ` and who is in the audience"),
        ("-- Version ", "-- Edition ", "there is no line `-- Version`; run `footfall audience define lapsing`"),
        ("every day at 06:00", "every day at 6", "schedule 'every day at 6' is not known; write one such as: manual, "),
        ("10 persons", "many persons", "the line `-- Limits` must read such as: 1000000 persons, 60 s, 1000 MB"),
        ("20 s", "0 s", "seconds is 0; it must be 1 to 3,600"),
        ("all in batches", "some in batches", "the line `-- Send` must read such as: changes in batches of 500"),
        ("batches of 7", "batches of 10001", "batch is 10,001; it must be 1 to 10,000"),
        ("https://crm", "file://crm", "destination 'file://crm.example/hook' is no address; write one such as https"),
        ("env:AUDIENCE_SECRET", "env:PATH", "secret 'env:PATH' is neither env:AUDIENCE_NAME nor file:/path;"),
        ("SELECT person_id\n-- not a head\nFROM persons", "", "there is no query under the comments; write one SELECT"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    path = write_audience(tmp_path, LAPSING)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(AudienceError) as refused:
        read_audience(tmp_path, "lapsing")
    assert str(refused.value).startswith(f"{path}: {sentence}")


def test_a_plan_is_read_as_if_there_were_no_audiences_beside_it(tmp_path: Path) -> None:
    example = Path(__file__).parents[1] / "plan" / "example"
    shutil.copytree(example, tmp_path / "plan")
    write_audience(tmp_path / "plan" / "audiences", LAPSING)
    assert load_plan(tmp_path / "plan").hash == load_plan(example).hash


def test_a_name_is_a_file_of_the_folder_and_no_other(tmp_path: Path) -> None:
    for name in ("../plan", "a/b", "", "A", "x" * 65, "a.b"):
        with pytest.raises(AudienceError, match="is not a name"):
            path_of(tmp_path, name)
    with pytest.raises(AudienceError, match=r"there is no audience 'x' in .*; known are: none yet;"):
        read_audience(tmp_path, "x")


@pytest.mark.parametrize(
    ("words", "now", "latest"),
    [
        ("every minute", "2026-11-23T10:00:59", "2026-11-23T10:00:00"),
        ("every 15 minutes", "2026-11-23T10:14:59", "2026-11-23T10:00:00"),
        ("Every  6 hours", "2026-11-23T11:59:59", "2026-11-23T06:00:00"),
        ("every day at 06:30", "2026-11-23T06:29:59", "2026-11-22T06:30:00"),
        ("every day at 06:30", "2026-11-23T06:30:00", "2026-11-23T06:30:00"),
        ("every monday at 00:00", "2026-11-23T00:00:00", "2026-11-23T00:00:00"),  # a Monday
        ("every sunday at 23:59", "2026-11-23T00:00:00", "2026-11-22T23:59:00"),
    ],
)
def test_a_schedule_is_a_grid_of_utc(words: str, now: str, latest: str) -> None:
    moment = int(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp() * 1_000)
    found = parse_schedule(words).latest_ms(moment)
    assert datetime.fromtimestamp(found / 1_000, UTC).isoformat() == f"{latest}+00:00"


def test_manual_is_never_and_other_words_are_refused() -> None:
    assert parse_schedule("manual").latest_ms(10**13) == 0
    for words in ("every 0 hours", "hourly", "every day at 24:00", "every someday at 06:00", "* * * * *", ""):
        with pytest.raises(ValueError, match="is not known; write one such as: manual, every 15 minutes"):
            parse_schedule(words)


def member(attributes: str, **ids: str) -> Member:
    from msgspec import Raw

    return Member(ids.get("source", "shop"), ids.get("person", "user:1"), "1", Raw(attributes.encode()), "entered")


def test_no_cell_of_the_csv_is_a_formula() -> None:
    attributes = '{"a":"=1+1","b":-5,"c":" @x","d":null,"e":true,"f":["+"],"=g":"\\tx","h":"a\\"b, c"}'
    page = [member("{}", person="+visitor"), member(attributes)]
    text = b"".join(as_csv([page], changes=True)).decode()
    assert text == (
        "change,source_id,person_id,user_id,a,b,c,d,e,f,'=g,h\r\n"
        "entered,shop,'+visitor,1,,,,,,,,\r\n"
        'entered,shop,user:1,1,\'=1+1,-5,\' @x,,true,"[""+""]",\'\tx,"a""b, c"\r\n'
    )
    plain = [structs.replace(one, change="") for one in page[1:]]
    assert b"".join(as_json([plain])).decode() == (
        '{"source_id":"shop","person_id":"user:1","user_id":"1","attributes":' + attributes + "}\n"
    )
