"""Settings: who wins, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collector.config import ConfigError, Settings, load_settings, masked
from collector.database.store import Cluster, Store, StoreError


def from_file(tmp_path: Path, text: str, environment: dict[str, str] | None = None, **flags: Any) -> Settings:
    file = tmp_path / "footfall.toml"
    file.write_text(text)
    return load_settings(file, environment or {}, flags)


def complaint(file: Path | None = None, environment: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment or {}, flags)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    text = 'port = 1\nworkers = 1\nhost = "file"\n'
    environment = {"FOOTFALL_PORT": "2", "FOOTFALL_WORKERS": "2", "PATH": "/bin"}
    found = from_file(tmp_path, text, environment, port=3, workers=None)
    assert (found.port, found.workers, found.host, found.plan) == (3, 2, "file", Settings().plan)


def test_without_anything_the_defaults_hold() -> None:
    assert load_settings(None, {}, {}) == Settings()


def test_lists_are_lists_or_commas(tmp_path: Path) -> None:
    assert from_file(tmp_path, 'trusted_proxies = ["10.0.0.0/8", "::1"]').trusted_proxies == ["10.0.0.0/8", "::1"]
    for text, networks in ((" 10.0.0.0/8 ,::1,", ["10.0.0.0/8", "::1"]), ("", [])):
        assert load_settings(None, {"FOOTFALL_TRUSTED_PROXIES": text}, {}).trusted_proxies == networks


def test_an_unknown_setting_is_told_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "footfall.toml"
    file.write_text("prot = 1")
    said = complaint(file)
    assert "'prot'" in said
    assert "'port'" in said
    assert str(file) in said
    said = complaint(environment={"FOOTFALL_WORKRES": "2"})
    assert "FOOTFALL_WORKRES" in said
    assert "FOOTFALL_WORKERS" in said


def test_variables_of_others_do_not_count() -> None:
    others = {
        "FOOTFALL_CONFIG": "x.toml",
        "FOOTFALL_TEST_CLICKHOUSE": "http://x",
        "FOOTFALL_BENCH_RATE": "5",
        "FOOTFALLS_PORT": "5",
        "PORT": "5",
    }
    assert load_settings(None, others, {}) == Settings()
    assert "FOOTFALL_CONFIGS" in complaint(environment={"FOOTFALL_CONFIGS": "x"})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('port = "80"', "port"),
        ("port = 99999", "port"),
        ("port = true", "port"),
        ("workers = -1", "workers"),
        ("workers = 1.5", "workers"),
        ("host = 5", "host"),
        ('host = ""', "host"),
        ('data = ""', "data"),
        ('trusted_proxies = "10.0.0.0/8"', "trusted_proxies"),
        ("trusted_proxies = [5]", "trusted_proxies"),
        ('trusted_proxies = ["10.0.0.0/33"]', "trusted_proxies"),
        ('trusted_proxies = ["proxy"]', "trusted_proxies"),
        ('clickhouse_shards = ["ch1:8123"]', "clickhouse_shards"),
        ('clickhouse_shards = ["http://me:secret@ch1:8123"]', "http://me:***@ch1:8123"),
        ('clickhouse_cluster = "it\'s"', "clickhouse_cluster"),
        ('clickhouse = "tcp://localhost"', "clickhouse"),
        ('clickhouse = "http://[::1"', "clickhouse"),
        ("load_rows_max = 0", "load_rows_max"),
    ],
)
def test_a_bad_value_in_a_file_is_named_with_the_file(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "footfall.toml"
    file.write_text(text)
    said = complaint(file)
    assert str(file) in said
    assert named in said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FOOTFALL_PORT", "many"),
        ("FOOTFALL_PORT", ""),
        ("FOOTFALL_PORT", "99999"),
        ("FOOTFALL_WORKERS", "65"),
        ("FOOTFALL_DATA", ""),
        ("FOOTFALL_TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("FOOTFALL_CLICKHOUSE", "localhost"),
    ],
)
def test_a_bad_value_in_the_environment_is_named_with_its_variable(variable: str, value: str) -> None:
    assert variable in complaint(environment={variable: value})


def test_a_bad_flag_is_named(tmp_path: Path) -> None:
    assert "the command line: setting 'port'" in complaint(port=99_999)


@pytest.mark.parametrize("content", [b"port = ", b"\xff", b"port = 1\nport = 2"])
def test_what_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "footfall.toml"
    file.write_bytes(content)
    assert f"{file} is not TOML" in complaint(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in complaint(tmp_path / "none.toml")
    assert "cannot be read: Is a directory" in complaint(tmp_path)


def test_the_embedded_engine_lives_in_the_data_directory() -> None:
    assert Settings(data="/d").dsn == "chdb:///d/db"
    assert Settings(clickhouse="http://h:1/x").dsn == "http://h:1/x"


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("https://me:secret@host:8443/footfall", "https://me:***@host:8443/footfall"),
        ("https://me:se@cret@host/footfall", "https://me:***@host/footfall"),
        ("https://host/footfall", "https://host/footfall"),
    ],
)
def test_passwords_are_not_shown(dsn: str, shown: str) -> None:
    assert masked(Settings(clickhouse=dsn))["clickhouse"] == shown


@pytest.mark.parametrize("dsn", ["tcp://me:secret@host/x", "http://me:secret@[::1/x"])
def test_passwords_are_not_shown_in_errors(dsn: str) -> None:
    assert "secret" not in complaint(environment={"FOOTFALL_CLICKHOUSE": dsn})


def test_a_cluster_is_none_of_the_embedded_engine(tmp_path: Path) -> None:
    settings = load_settings(None, {"FOOTFALL_CLICKHOUSE_CLUSTER": "two", "FOOTFALL_DATA": str(tmp_path)}, {})
    with pytest.raises(StoreError, match=r"name a server of the cluster in clickhouse \(FOOTFALL_CLICKHOUSE\)"):
        Store(settings.dsn, cluster=settings.cluster)
    shards = {"FOOTFALL_CLICKHOUSE_SHARDS": "http://a:1, https://b:2"}
    assert load_settings(None, shards, {}).cluster is None
    both = load_settings(None, shards | {"FOOTFALL_CLICKHOUSE_CLUSTER": "two"}, {})
    assert both.cluster == Cluster("two", ("http://a:1", "https://b:2"))
