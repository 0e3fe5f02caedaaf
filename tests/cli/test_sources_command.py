"""`footfall sources set`, `enable` and the options of `add`: cookie domain, environment, origins."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from serving import footfall


def sources(data_dir: Path, *arguments: str) -> CompletedProcess[str]:
    return footfall("sources", *arguments, "--data", data_dir)


def told(data_dir: Path, *arguments: str) -> Any:
    done = sources(data_dir, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    told(tmp_path, "add", "Shop", "--origin", "https://www.shop.example")
    return tmp_path


def test_a_source_is_added_with_cookie_domain_and_environment(tmp_path: Path) -> None:
    options = ["--origin", "https://www.shop.example", "--cookie-domain", ".Shop.example", "--environment", "staging"]
    added = told(tmp_path, "add", "Shop", *options)
    assert (added["cookie_domain"], added["environment"]) == ("shop.example", "staging")
    listed = sources(tmp_path, "list").stdout
    assert "staging  https://www.shop.example  cookie of shop.example  Shop" in listed


def test_what_is_not_named_stays(data_dir: Path) -> None:
    before = told(data_dir, "list")[0]
    assert (before["cookie_domain"], before["environment"]) == ("", "prod")
    changed = told(data_dir, "set", "shop", "--environment", "dev")
    assert changed == {**before, "environment": "dev"}
    changed = told(data_dir, "set", "Shop", "--cookie-domain", "shop.example")
    assert changed == {**before, "environment": "dev", "cookie_domain": "shop.example"}
    assert told(data_dir, "list") == [changed]


def test_origins_are_replaced_or_left_open(data_dir: Path) -> None:
    two = ["--origin", "https://A.example/", "--origin", "http://localhost:3000"]
    assert told(data_dir, "set", "shop", *two)["origins"] == ["https://a.example", "http://localhost:3000"]
    assert told(data_dir, "set", "shop", "--any-origin")["origins"] == []


def test_a_cookie_is_taken_back_with_an_empty_domain(data_dir: Path) -> None:
    told(data_dir, "set", "shop", "--cookie-domain", "shop.example")
    assert told(data_dir, "set", "shop", "--cookie-domain", "")["cookie_domain"] == ""


def test_a_disabled_source_is_enabled_again(data_dir: Path) -> None:
    assert told(data_dir, "disable", "shop")["enabled"] is False
    assert told(data_dir, "enable", "shop")["enabled"] is True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["set", "shop"], "nothing to change"),
        (["set", "shop", "--any-origin", "--origin", "https://a.example"], "contradict each other"),
        (["set", "nobody", "--environment", "dev"], "there is no source 'nobody'; known are: shop"),
        (["set", "shop", "--environment", "Prod uction"], "environment 'Prod uction' is no plain word"),
        (["set", "shop", "--cookie-domain", "other.example"], "has none of the source's origins within it"),
        (["set", "shop", "--cookie-domain", "op.example"], "has none of the source's origins within it"),
        (["set", "shop", "--cookie-domain", "example"], "is not a domain for cookies"),
        (["set", "shop", "--cookie-domain", "x.example; Secure"], "is not a domain for cookies"),
        (["set", "shop", "--cookie-domain", "192.0.2.1"], "is not a domain for cookies"),
        (["set", "shop", "--origin", "shop"], "is not an origin"),
        (["add", "Two", "--cookie-domain", "shop.example"], "has none of the source's origins within it"),
        (["add", "Two", "--environment", ""], "is no plain word"),
        (["enable", "nobody"], "there is no source 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_hold_together_is_one_sentence_and_changes_nothing(
    data_dir: Path, arguments: list[str], says: str
) -> None:
    before = (data_dir / "sources.json").read_bytes()
    done = sources(data_dir, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert (data_dir / "sources.json").read_bytes() == before


def test_origins_cannot_go_from_under_a_cookie_domain(data_dir: Path) -> None:
    told(data_dir, "set", "shop", "--cookie-domain", "shop.example")
    done = sources(data_dir, "set", "shop", "--any-origin")
    assert (done.returncode, "has none of the source's origins" in done.stderr) == (2, True)


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    told(tmp_path, "add", "Shop")
    file = tmp_path / "sources.json"
    content = json.loads(file.read_text())
    for name in ("cookie_domain", "environment"):
        del content["sources"][0][name]
    file.write_text(json.dumps(content))
    (listed,) = told(tmp_path, "list")
    assert (listed["cookie_domain"], listed["environment"]) == ("", "prod")
