"""Keys are replaced while everything runs, and secrets come from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.cli.main import command
from collector.config import ConfigError, load_settings, masked
from collector.sources import Directory, SourceError, add_source, rotate_key

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


@pytest.mark.parametrize("server", [False, True], ids=["write key", "server key"])
def test_an_old_key_opens_until_its_day_and_the_new_one_at_once(tmp_path: Path, server: bool) -> None:
    now = [NOW_MS]
    source, server_key = add_source(tmp_path, "Shop", ["https://shop.example"])
    first = server_key if server else source.write_key
    directory = Directory(tmp_path, lambda: now[0])
    opened = directory.access(first)
    assert opened is not None
    _, second = rotate_key(tmp_path, "shop", server=server, keep_days=7, now_ms=now[0])
    assert directory.access(second) == opened  # at once: a key that is not known makes a worker look
    now[0] += 7 * DAY_MS - 1
    found = directory.access(first)
    assert found is not None
    assert (found.source_id, found.is_server, found.origins) == ("shop", server, opened.origins)
    now[0] += 1
    assert directory.access(first) is None
    assert directory.access(second) == opened
    # A leak: the old ones end at once, and the other kind of key is as it was.
    _, third = rotate_key(tmp_path, "Shop", server=server, keep_days=7, now_ms=now[0])
    _, fourth = rotate_key(tmp_path, "Shop", server=server, keep_days=0, now_ms=now[0])
    now[0] += 1_000
    assert [directory.access(key) is None for key in (second, third, fourth)] == [True, True, False]
    assert directory.access(source.write_key if server else server_key) is not None
    stored = (tmp_path / "sources.json").read_text()
    assert not server or not [key for key in (first, second, third, fourth) if key in stored]


def test_old_keys_do_not_pile_up(tmp_path: Path) -> None:
    add_source(tmp_path, "Shop", [])
    for _ in range(10):
        rotate_key(tmp_path, "shop", server=False, keep_days=1, now_ms=NOW_MS)
    with pytest.raises(SourceError, match="has 10 old keys that still open"):
        rotate_key(tmp_path, "shop", server=False, keep_days=1, now_ms=NOW_MS)
    source, _ = rotate_key(tmp_path, "shop", server=False, keep_days=1, now_ms=NOW_MS + 2 * DAY_MS)
    assert len(source.old_keys) == 1
    with pytest.raises(SourceError, match="there is no source 'blog'; known are: shop"):
        rotate_key(tmp_path, "blog", server=False, keep_days=1, now_ms=NOW_MS)


def test_a_key_is_rotated_by_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, _ = add_source(tmp_path, "Shop", [])
    command.main(["sources", "rotate", "shop", "--data", str(tmp_path), "--json"], standalone_mode=False)
    shown = json.loads(capsys.readouterr().out)
    directory = Directory(tmp_path, lambda: NOW_MS)
    assert shown["write_key"] != source.write_key
    assert directory.access(shown["write_key"]) is not None
    assert directory.access(source.write_key) is not None
    command.main(["sources", "rotate", "shop", "--server", "--data", str(tmp_path)], standalone_mode=False)
    said = capsys.readouterr().out
    access = directory.access(said.split()[2])
    assert access is not None
    assert access.is_server
    assert "the old one opens for 7 days more" in said


def test_a_password_comes_from_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text("https://loader:s3cret@db.example:8443/footfall\n")
    settings = load_settings(None, {"FOOTFALL_CLICKHOUSE_FILE": str(secret)}, {})
    assert settings.dsn == settings.dsn_to_ask == secret.read_text().strip()
    assert "s3cret" not in str(masked(settings))
    reading = load_settings(
        None, {"FOOTFALL_CLICKHOUSE_READ_FILE": str(secret), "FOOTFALL_CLICKHOUSE": "http://h/x"}, {}
    )
    assert (reading.dsn, reading.dsn_to_ask) == ("http://h/x", secret.read_text().strip())
    assert "s3cret" not in str(masked(reading))
    (tmp_path / "empty").write_text("\n")
    for variables, says in (
        ({"FOOTFALL_CLICKHOUSE_FILE": str(tmp_path / "none")}, "cannot be read: No such file"),
        ({"FOOTFALL_CLICKHOUSE_FILE": str(tmp_path / "empty")}, "is empty"),
        ({"FOOTFALL_CLICKHOUSE_FILE": str(secret), "FOOTFALL_CLICKHOUSE": "http://h/x"}, "are both set"),
    ):
        with pytest.raises(ConfigError, match=says) as caught:
            load_settings(None, variables, {})
        assert "s3cret" not in str(caught.value)
