"""What the documents say is what there is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import msgspec
import pytest

from collector.app.linking import LINK_PATH
from collector.app.optout import OPT_OUT_PATH
from collector.app.receive import BATCH_PATHS, PIXEL_PATH, SINGLE_PATHS
from collector.app.site import site
from collector.app.snippet import snippet
from collector.cli.main import command
from collector.config import Settings
from collector.paths import DEMO_DIR, TAG_DIR

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
VIEWS = sorted((ROOT / "collector" / "sql" / "views").rglob("*.sql"))
VIEW_HEADER = ("Question", "Grain", "Reads", "Definition", "Exact", "Time", "Cost", "Test")


def section(title: str) -> str:
    """The text of one chapter of the README."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_setting_stands_in_the_readme_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section("Settings"), re.MULTILINE))
    defaults = msgspec.structs.asdict(Settings())
    shown = {name: "empty" if value == "" else f"`{value}`" for name, value in defaults.items()}
    assert rows == shown


def test_every_command_stands_in_the_readme() -> None:
    assert isinstance(command, click.Group)
    rows = re.findall(r"^\| `footfall (\w+)", section("Commands"), re.MULTILINE)
    assert set(rows) == set(command.commands)


def test_every_command_on_the_plan_stands_in_the_readme() -> None:
    plan = command.commands["plan"]
    assert isinstance(plan, click.Group)
    rows = re.findall(r"^\| `footfall plan ([\w\\|]+)", section("Commands"), re.MULTILINE)
    assert sorted(name for row in rows for name in row.split("\\|")) == sorted(plan.commands)


def test_every_route_stands_in_the_readme() -> None:
    http = section("HTTP")
    app = site("0", TAG_DIR, None, lambda _: "", lambda: None, lambda: ({}, {}))
    served = {getattr(route, "path", "") for route in app.routes} - {"/"}
    for path in served | BATCH_PATHS | {PIXEL_PATH, LINK_PATH, OPT_OUT_PATH}:
        assert f"`{path}`" in http or f" {path}`" in http, path
    singles = {path.removeprefix("/v1/") for path in SINGLE_PATHS}
    named = set(" ".join(re.findall(r"/v1/([a-z ]+)`", http)).split())
    assert singles <= named


def test_the_snippet_of_the_readme_is_the_one_that_is_printed() -> None:
    assert snippet("https://t.example", "fw_…") in README


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.stem)
def test_every_view_opens_with_its_contract(path: Path) -> None:
    head = path.read_text().partition("\nCREATE ")[0] + "\n"
    assert re.match(rf"-- {path.stem}: \S", head)
    for part in VIEW_HEADER:
        assert re.search(rf"^-- {part} +\S", head, re.MULTILINE), part
    tests = re.search(r"^-- Test +(\S+?)[,.]?$", head, re.MULTILINE)
    assert tests is not None
    assert (ROOT / tests.group(1)).exists()


def test_every_link_within_the_documents_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("collector/*.md"), *ROOT.glob("schemas/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_decision_is_linked_from_the_architecture() -> None:
    text = (ROOT / "collector" / "ARCHITECTURE.md").read_text()
    for path in (ROOT / "collector" / "decisions").glob("*.md"):
        assert f"(decisions/{path.name})" in text


def test_the_map_names_every_module() -> None:
    text = (ROOT / "collector" / "ARCHITECTURE.md").read_text()
    package = ROOT / "collector"
    modules = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    for room in ("database", "enrichment", "ingest", "loading", "spooling", "wire"):
        modules |= {path.stem for path in (package / room).glob("*.py")}
    for name in modules - {"__init__", "config"}:
        assert f"`{name}`" in text, name


def test_every_make_target_that_is_documented_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documented = set(re.findall(r"`make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text() + README))
    documented |= set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))
    assert documented <= targets


@pytest.mark.parametrize("page", sorted(DEMO_DIR.glob("*.html")), ids=lambda path: path.stem)
def test_every_demo_page_has_the_place_of_the_snippet_once(page: Path) -> None:
    assert page.read_text().count("{{ snippet }}") == 1


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    suspicious = re.compile(r"registry\.npmjs|pypi\.org/|/root/|/work/|/home/\w+/")
    command_line = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout, so there is no list of the project's files")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".mmdb", ".gif", ".png", ".br") or path == Path(__file__) or not path.is_file():
            continue
        found = suspicious.search(path.read_text("utf-8", "replace"))
        assert found is None, f"{name}: {found.group() if found else ''}"
