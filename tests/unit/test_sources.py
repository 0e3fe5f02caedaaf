"""Sources: their names and keys, their origins, and workers that follow the file."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collector.sources import (
    CHECK_MS,
    FILE_NAME,
    Directory,
    SourceError,
    add_source,
    disable_source,
    key_hash,
    normal_origin,
    read_sources,
    renew_server_key,
)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def test_sources_added_at_the_same_moment_are_all_kept_the_first_ones_too(tmp_path: Path) -> None:
    for attempt in range(10):
        data_dir, start = tmp_path / f"data{attempt}", threading.Barrier(6)

        def add(name: int, data_dir: Path = data_dir, start: threading.Barrier = start) -> None:
            start.wait()
            add_source(data_dir, f"S{name}", [])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(add, range(6)))
        assert sorted(source.id for source in read_sources(data_dir)) == [f"s{name}" for name in range(6)]


def test_a_source_is_kept_without_its_server_key(tmp_path: Path) -> None:
    source, server_key = add_source(tmp_path, " My Shop ", ["https://Shop.example/"])
    assert (source.id, source.name, source.origins) == ("my-shop", "My Shop", ["https://shop.example"])
    assert source.write_key.startswith("fw_")
    assert server_key.startswith("fs_")
    text = (tmp_path / FILE_NAME).read_text()
    assert server_key not in text
    assert key_hash(server_key) in text
    assert read_sources(tmp_path) == [source]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_ids_are_unique_and_plain(tmp_path: Path) -> None:
    ids = [add_source(tmp_path, name, [])[0].id for name in ("Shop", "shop", "SHOP!", "Größe", "店", "..", "a" * 64)]
    assert ids == ["shop", "shop-2", "shop-3", "gr-e", "source", "source-2", "a" * 64]


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "a\nb", "a\0", "\u202e"])
def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="name"):
        add_source(tmp_path, name, [])
    assert not (tmp_path / FILE_NAME).exists()


def test_a_name_is_given_once(tmp_path: Path) -> None:
    add_source(tmp_path, "Shop", [])
    with pytest.raises(SourceError, match="already"):
        add_source(tmp_path, "Shop", [])


@pytest.mark.parametrize(
    ("origin", "normal"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example:443/", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        (" https://shop.example:8443 ", "https://shop.example:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[2001:DB8::1]/", "http://[2001:db8::1]"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_kept_as_browsers_spell_it(origin: str, normal: str) -> None:
    assert normal_origin(origin) == normal
    assert normal_origin(normal) == normal


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "*",
        "shop.example",
        "//shop.example",
        "ftp://shop.example",
        "https://",
        "https://:443",
        "https://shop.example/path",
        "https://shop.example?x=1",
        "https://shop.example#x",
        "https://me:pw@shop.example",
        "https://shop.example:99999",
        "https://shop.example:x",
        "http://[::1",
        "https://" + "ü" * 70 + ".example",
    ],
)
def test_what_is_no_origin_is_refused_in_one_sentence(tmp_path: Path, origin: str) -> None:
    with pytest.raises(SourceError, match="is not an origin; give scheme and host"):
        add_source(tmp_path, "Shop", [origin])
    assert read_sources(tmp_path) == []


def test_a_new_server_key_ends_the_old_one(tmp_path: Path) -> None:
    source, old = add_source(tmp_path, "Shop", [])
    new = renew_server_key(tmp_path, source.id)
    directory = Directory(tmp_path, Clock())
    assert directory.access(old) is None
    found = directory.access(new)
    assert found is not None
    assert found.is_server
    with pytest.raises(SourceError, match="no source"):
        renew_server_key(tmp_path, "nobody")


def test_a_source_is_disabled_by_id_or_name(tmp_path: Path) -> None:
    add_source(tmp_path, "My Shop", [])
    add_source(tmp_path, "Other", [])
    assert not disable_source(tmp_path, "my-shop").enabled
    assert not disable_source(tmp_path, "Other").enabled
    with pytest.raises(SourceError, match="known are: my-shop, other"):
        disable_source(tmp_path, "nobody")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format":1,"sources":[{"id":5}]}', "\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_bytes(content.encode("latin-1"))
    with pytest.raises(SourceError, match=FILE_NAME):
        read_sources(tmp_path)


def test_what_each_key_opens(tmp_path: Path) -> None:
    source, server_key = add_source(tmp_path, "Shop", ["https://a.example"])
    directory = Directory(tmp_path, Clock())
    browser, server = directory.access(source.write_key), directory.access(server_key)
    assert browser is not None
    assert server is not None
    assert (browser.source_id, browser.is_server, browser.origins) == ("shop", False, frozenset({"https://a.example"}))
    assert (server.source_id, server.is_server) == ("shop", True)


def test_the_stored_hash_is_no_key(tmp_path: Path) -> None:
    source, server_key = add_source(tmp_path, "Shop", [])
    directory = Directory(tmp_path, Clock())
    assert directory.access(source.server_key_hash) is None
    assert directory.access("fs_" + source.server_key_hash) is None
    assert directory.access(server_key) is not None


@pytest.mark.parametrize("key", ["", "x", "fs_", "fw_", "\ud800", "fs_\ud800", "\0", "k" * 100_000])
def test_what_is_no_key_opens_nothing(tmp_path: Path, key: str) -> None:
    add_source(tmp_path, "Shop", [])
    assert Directory(tmp_path, Clock()).access(key) is None


def test_a_new_source_is_known_at_once_and_a_change_soon(tmp_path: Path) -> None:
    clock = Clock()
    directory = Directory(tmp_path, clock)
    assert directory.access("fw_x") is None
    source, _ = add_source(tmp_path, "Shop", [])
    assert directory.access(source.write_key) is not None, "an unknown key makes it look"
    disable_source(tmp_path, "shop")
    clock.now_ms += CHECK_MS + 1
    found = directory.access(source.write_key)
    assert found is not None
    assert not found.enabled


def test_a_clock_set_back_does_not_stop_it_from_looking(tmp_path: Path) -> None:
    clock = Clock()
    source, _ = add_source(tmp_path, "Shop", [])
    directory = Directory(tmp_path, clock)
    assert directory.access(source.write_key) is not None
    disable_source(tmp_path, "shop")
    clock.now_ms -= 500_000
    found = directory.access(source.write_key)
    assert found is not None
    assert not found.enabled


def test_a_damaged_file_leaves_what_is_known(tmp_path: Path) -> None:
    clock = Clock()
    source, _ = add_source(tmp_path, "Shop", [])
    directory = Directory(tmp_path, clock)
    assert directory.access(source.write_key) is not None
    kept = (tmp_path / FILE_NAME).read_text()
    (tmp_path / FILE_NAME).write_text("{")
    clock.now_ms += CHECK_MS + 1
    assert directory.access(source.write_key) is not None
    changed = json.loads(kept)
    changed["sources"][0]["enabled"] = False
    (tmp_path / FILE_NAME).write_text(json.dumps(changed))
    clock.now_ms += CHECK_MS + 1
    found = directory.access(source.write_key)
    assert found is not None
    assert not found.enabled
