"""The site of a plan: complete, well-formed, safe, and readable without script or server."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from plan import built

from collector.plan import load_plan
from collector.plan.against import groups_of
from collector.plan.model import Journey, Step
from collector.plan.site import Context, Live, site

WORKED = Path(__file__).parent / "worked"
_VOID = frozenset({"meta", "link", "br", "!doctype"})


class Page(HTMLParser):
    """Reads a page, and notes what a browser would have to mend."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.faults += [f"{tag} is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.faults += [f"id {value} twice"] if value in self.ids else []
                self.ids.add(value or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.text += data


def pages_of(files: dict[str, str]) -> dict[str, Page]:
    return {path: Page(text) for path, text in files.items() if path.endswith(".html")}


@pytest.fixture(scope="module")
def worked() -> dict[str, str]:
    plan = load_plan(WORKED)
    live = {
        "purchase": Live(1_234, 0.25, 1_790_000_000_000),
        "page_view": Live(9, 0, 1_790_000_000_000),
        "stray": Live(3, 0, 1),
    }
    log = (
        "# Changelog\n\n## 3.2.0 - 2026-09-01\n\n- **minor** `purchase` has <b>coupon</b>\n- more\n\n### Notes\ntext\n"
    )
    return site(plan, Context("2026-09-22", groups_of(WORKED, plan, plan.events), log, live))


def test_every_page_is_well_formed_and_every_link_leads_to_a_page_and_place(worked: dict[str, str]) -> None:
    pages = pages_of(worked)
    for path, page in pages.items():
        assert page.faults == [], path
        for link in page.links:
            parts = urlsplit(link)
            assert not parts.scheme
            assert not parts.netloc
            target = path
            if parts.path:
                target = str((Path("/") / Path(path).parent / unquote(parts.path)).resolve().relative_to("/"))
            assert target in worked, f"{path} links {link}"
            if parts.fragment:
                assert parts.fragment in pages[target].ids, f"{path} links {link}"


def test_every_event_property_group_and_journey_of_the_plan_is_there(worked: dict[str, str]) -> None:
    plan = load_plan(WORKED)
    for name, event in plan.events.items():
        text = Page(worked[f"events/{name}.html"]).text
        for prop in event.properties:
            assert prop.name in text
        assert event.description in text
        assert event.owner in text
    purchase = Page(worked["events/purchase.html"]).text
    for said in ("items[].sku", "order_id (keep)", "total reads as value", "accepted until 2027-03-31", "required",
                 "1.4.0", '"O-1"', "1,234 stored, 25.0% failed"):  # fmt: skip
        assert said in purchase, said
    groups = Page(worked["groups.html"]).text
    assert "commerce" in groups
    assert "add_to_cart" in groups
    assert "purchase.value == sum" in Page(worked["journeys.html"]).text
    index = Page(worked["index.html"]).text
    for said in ("shop", "never seen", "Seen, but not planned", "stray", "ends 2027-01-01"):
        assert said in index, said
    log = Page(worked["changelog.html"])
    assert "<b>coupon</b>" in log.text
    assert {"strong", "code", "h3"} <= set(log.tags)


def test_the_actions_of_every_environment_are_shown(worked: dict[str, str]) -> None:
    page = worked["events/page_view.html"]
    table = page[page.index("What happens to a violation") :]
    heads = re.findall(r"<th scope[^>]*>(.*?)</th>", table)[:4]
    assert heads == ["Class", "In prod", "In dev", "In staging"]
    (row,) = re.findall(r"<tr><td><code>missing_required</code></td>(.*?)</tr>", table)
    assert re.findall(r"<td>(.*?)</td>", row) == ["quarantine", "flag", "flag"]


def test_the_site_needs_no_script_and_nothing_from_elsewhere(worked: dict[str, str]) -> None:
    for path, page in pages_of(worked).items():
        assert not {"script", "img", "iframe", "style"} & set(page.tags), path
        assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "style"], path
    assert "url(" not in worked["style.css"]
    assert "@import" not in worked["style.css"]
    assert "prefers-color-scheme: dark" in worked["style.css"]


def test_every_page_can_be_read_aloud_and_walked_by_keyboard(worked: dict[str, str]) -> None:
    for path, page in pages_of(worked).items():
        assert ("html", "lang", "en") in page.attributes, path
        assert page.tags.count("h1") == 1, path
        assert {"header", "nav", "main", "footer", "title"} <= set(page.tags), path
        assert ("a", "href", "#main") in page.attributes, path
        levels = [int(tag[1]) for tag in page.tags if tag in ("h1", "h2", "h3")]
        assert all(after - before <= 1 for before, after in pairwise(levels)), path
        scoped = sum(name == "scope" for tag, name, _ in page.attributes if tag == "th")
        assert scoped == page.tags.count("th"), path


def test_words_of_a_plan_are_never_markup() -> None:
    evil = "<script>alert(1)</script>\"'&"
    event = built.event(
        built.text("a<b>"), name="e<i>/../x", description=evil,
        owner=evil, trigger=evil, tags=(evil,), deprecated=evil, consent=(evil,), file=f"events/{evil}/e.yaml",
    )  # fmt: skip
    journey = Journey(
        name=evil, key="visitor_id", steps=(Step(event="e<i>/../x", where={evil: evil}),), invariants=(evil,)
    )
    plan = built.plan_of(event, description=evil, owners=(evil,), journeys={evil: journey})
    files = site(plan, Context(evil, changelog=f"## {evil}\n- {evil}\n", live={evil: Live(1, 0, 1)}))
    for path, page in pages_of(files).items():
        assert not {"script", "i", "b"} & set(page.tags), path
        assert page.faults == [], path
    assert all(path.count("/") <= 1 and ".." not in Path(path).parts for path in files)


def test_a_plan_alone_has_no_volumes() -> None:
    files = site(built.plan_of(built.event(built.text("a"))), Context("today"))
    text = Page(files["index.html"]).text
    assert "Last seen" not in text
    assert "Nothing was released yet." in Page(files["changelog.html"]).text
