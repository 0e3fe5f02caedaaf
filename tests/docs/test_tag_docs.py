"""What the tag's pages (js_sdk/docs) say is what the code does: names, limits, snippets, answers.

page.md --blocks--> html, js, sh, sql, toml …    each checked by what reads it: tsc, click, the engine, Chromium
        --tables--> calls, settings, events, limits    compared with the source, in both directions
"""

from __future__ import annotations

import html
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import pytest
from serving import Serving, footfall, serving

from collector.app.answers import COOKIE_NAME, COOKIE_SECONDS
from collector.app.link import TOKEN_SECONDS
from collector.app.linking import LINK_PATH
from collector.app.receive import BATCH_PATHS, PIXEL_PATH, SINGLE_PATHS
from collector.app.site import site
from collector.app.snippet import Choices, amp_pixel, email_pixel, policy, snippet
from collector.app.tag import IMMUTABLE_SECONDS, STABLE_SECONDS, built_files
from collector.cli.main import command
from collector.config import Settings
from collector.ingest.pipeline import OFFLINE_MS_MAX
from collector.limits import (
    BODY_BYTES_MAX,
    EVENT_BYTES_MAX,
    EVENTS_MAX,
    ID_CHARS_MAX,
    NAME_CHARS_MAX,
    PARAMETERS_MAX,
    QUERY_BYTES_MAX,
)
from collector.paths import DEFAULT_PLAN_DIR, TAG_DIR
from collector.plan import load_plan

HERE = Path(__file__).parent
SDK = HERE.parents[1] / "js_sdk"
DOCS = SDK / "docs"
PAGES = {path.relative_to(SDK).as_posix(): path.read_text() for path in [*DOCS.glob("*.md"), SDK / "README.md"]}
TEXT = "\n".join(PAGES.values())
SOURCES = {
    path.relative_to(SDK).as_posix(): path.read_text()
    for folder in ("src", "extras")
    for path in sorted((SDK / folder).rglob("*.js"))
}
TYPES = (SDK / "src" / "index.d.ts").read_text()
BASE, KEY = "https://t.example", "fw_KEY"


class Block(NamedTuple):
    """One fenced block: its page, its language with further words, and where it stands."""

    page: str
    language: str
    more: str
    number: int
    text: str


def blocks(*languages: str) -> list[Block]:
    found = []
    for page, text in PAGES.items():
        for number, (indent, info, body) in enumerate(
            re.findall(r"^( *)```(\w.*?)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
        ):
            language, _, more = info.partition(" ")
            plain = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
            if language in languages or not languages:
                found.append(Block(page, language, more, number, plain))
    return found


def prose() -> str:
    """All pages without their fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)


def section(page: str, title: str) -> str:
    """The text of one chapter, of any depth, up to the next heading."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", PAGES[f"docs/{page}.md"], re.MULTILINE | re.DOTALL)
    assert found, f"{page}.md has no chapter {title!r}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """The cells of all rows of the tables in a text, heads left out."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    heads = {at - 1 for at, row in enumerate(rows) if set(row[0].strip()) == {"-"}}
    return [
        [cell.strip() for cell in row]
        for at, row in enumerate(rows)
        if at not in heads and set(row[0].strip()) != {"-"}
    ]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def kebab(name: str) -> str:
    return "data-" + re.sub(r"[A-Z]", lambda found: f"-{found[0].lower()}", name)


def members(interface: str, text: str = TYPES) -> set[str]:
    """The names that an interface of the types declares."""
    body = re.search(rf"interface {interface}\b[^{{]*{{\n(.*?)^}}", text, re.MULTILINE | re.DOTALL)
    assert body, interface
    return set(re.findall(r"^  (?:readonly )?(\w+)[?(:]", body[1], re.MULTILINE))


def constants(name: str) -> dict[str, float]:
    """The numbers that a module states by name."""
    found = re.findall(r"^(?:export )?const ([A-Z_]+) = ([\d_.]+);", SOURCES[name], re.MULTILINE)
    return {key: float(number) for key, number in found}


def bare(code: str) -> str:
    """JavaScript without its comments."""
    return re.sub(r"(?s:/\*.*?\*/)|//.*", "", code)


# Links


def slug(heading: str) -> str:
    """As GitHub makes anchors of headings."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_leads_somewhere() -> None:
    for page, text in PAGES.items():
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", text):
            path = (SDK / page).parent / target if target else SDK / page
            assert path.exists(), f"{page}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
                assert anchor in map(slug, headings), f"{page}: {target}#{anchor}"


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", PAGES["docs/README.md"]))
    assert listed == {path.name for path in DOCS.glob("*.md")} - {"README.md"}


# Names, in both directions


def calls_of_the_tag() -> set[str]:
    return calls_of_the_core() | members_of_code(r"teach\({\n(.*?)^}\);", SOURCES["src/whole.js"])


def calls_of_the_core() -> set[str]:
    return members_of_code(r"export const calls = {\n(.*?)^};", SOURCES["src/tag.js"])


def members_of_code(pattern: str, code: str) -> set[str]:
    """The names of the members of an object that stands at the left margin."""
    body = re.search("^" + pattern, code, re.MULTILINE | re.DOTALL)
    assert body, pattern
    return set(re.findall(r"^  (\w+)[(:,]", body[1], re.MULTILINE))


def test_the_calls_are_those_of_the_code_and_its_types() -> None:
    documented = {words(row[0])[0].split("'")[1] for row in table(section("api", "Calls")) if "footfall('" in row[0]}
    assert documented == calls_of_the_tag() == members("Calls")
    for called in re.findall(r"footfall\(\s*['\"](\w+)['\"]", TEXT):
        assert called in documented, called


def test_every_member_of_the_tag_is_documented() -> None:
    made = members_of_code(r"Object\.assign\(tag, {\n(.*?)^}\);", SOURCES["src/whole.js"])
    made |= set(re.findall(r"^tag\.(\w+) = ", SOURCES["src/tag.js"], re.MULTILINE)) - {"q"}  # for the snippet's stub
    documented = {re.split(r"[.(]", words(row[0])[0])[1] for row in table(section("api", "Plugins"))}
    assert documented == made == members("Footfall")
    for used in re.findall(r"\b(?:footfall|tag)\.(\w+)(?=\()", TEXT):
        assert used in documented | calls_of_the_tag(), used


def test_the_moments_that_plugins_hear_of_are_those_of_the_code() -> None:
    told = {name for code in SOURCES.values() for name in re.findall(r'\bpass\(\s*"(\w+)"', code)}
    rows = {words(row[0])[0]: row[1] for row in table(section("api", "Plugins"))}
    assert {word for word in words(rows["tag.hooks"]) if word.isalpha()} - {"what", "undefined"} == told
    watched = re.search(r"watch\(hook: \(kind: ([^,]*),", TYPES)
    assert watched
    assert set(re.findall(r'hook\("(\w+)"', rows["tag.watch(hook)"])) == set(re.findall(r'"(\w+)"', watched[1])) <= told


def settings_used_in(code: str) -> set[str]:
    code = bare(code).replace("/settings.js", "")
    used = set(re.findall(r"\bsettings\??\.(\w+)", code))
    for names in re.findall(r"{([^{}]*)} = (?:tag\.)?settings;", code):
        used |= set(re.findall(r"(\w+)(?: = \S+)?(?:,|$)", names.strip()))
    return used


def settings_that_load() -> dict[str, str]:
    """Each setting that loads an extra, and the extra's name."""
    about = re.search(r"^const ABOUT = {(.*?)};", SOURCES["src/extras.js"], re.MULTILINE | re.DOTALL)
    assert about
    return dict(re.findall(r'(\w+): "(\w+)"', about[1]))


def test_the_settings_are_those_of_the_code_and_its_types() -> None:
    used = {name for text in SOURCES.values() for name in settings_used_in(text)} | set(settings_that_load())
    rows = table(section("api", "Settings"))
    documented = {words(row[1])[0] for row in rows}
    assert documented == used == members("Settings")
    for attribute, setting, *_ in rows:
        assert words(attribute) == ([] if setting == "`plugins`" else [kebab(words(setting)[0])])


def test_every_data_attribute_exists() -> None:
    known = {kebab(name) for name in members("Settings") - {"plugins"}}
    marks = set(re.findall(r"data-footfall-[a-z]+", "\n".join(SOURCES.values())))
    assert marks == {"data-footfall-event", "data-footfall-prop", "data-footfall-private"}
    documented = {words(row[0])[0].removesuffix("-*") for row in table(section("api", "Events without code"))}
    assert documented == marks
    foreign = {"data-cfasync"}  # Cloudflare's
    for attribute in re.findall(r"(?<![\w-])data-[a-z][a-z-]*[a-z]", TEXT):
        plain = re.sub(r"^(data-footfall-prop)-.*", r"\1", attribute)
        assert plain in known | marks | foreign, attribute


def test_the_options_of_track_are_those_of_the_types() -> None:
    rows = section("api", "Calls").partition("Options of `track`")[2]
    assert {words(row[0])[0] for row in table(rows)} == members("TrackOptions")


def test_the_status_is_that_of_the_types() -> None:
    documented = {word for row in table(section("api", "Status")) for word in words(row[0])}
    assert documented == members("Status")
    for field in re.findall(r"status\(\)\.(\w+)", TEXT):
        assert field in documented


def modules_of(entry: str) -> set[str]:
    """A module and all that it imports, by themselves or through others."""
    found, rest = set(), {entry}
    while rest:
        name = rest.pop()
        found.add(name)
        folder = (SDK / name).parent
        imported = re.findall(r'^(?:import|export)\b[^"]*"(\.[^"]+)";', SOURCES[name], re.MULTILINE)
        rest |= {(folder / path).resolve().relative_to(SDK).as_posix() for path in imported} - found
    return found


def test_what_the_core_lacks_is_said() -> None:
    rows = {row[0]: set(words(row[1])) for row in table(section("install", "The core tag"))}
    assert rows["Calls"] == calls_of_the_tag() - calls_of_the_core()
    core = {name for module in modules_of("src/entry.core.js") for name in settings_used_in(SOURCES[module])}
    # The build leaves out of it what it does for the whole tag alone.
    shipped = set(re.findall(r"\.(\w+)", (SDK / "dist" / "footfall.core.js").read_text()))
    assert rows["Settings"] == members("Settings") - (core & shipped)
    context = set(re.findall(r"\bcontext\.(\w+) = ", SOURCES["src/tag.js"])) | {"library"}
    assert "library: {" in SOURCES["src/queue.js"]
    assert context <= rows["In each event"]
    more = set(re.findall(r"(?:\bcontext|event)\.(\w+) = ", SOURCES["src/whole.js"])) - {"properties"}
    assert rows["In each event"] == context | more | {"context"}


def test_every_file_that_a_page_fetches_is_listed() -> None:
    listed = {word for row in table(section("install", "What a page fetches")) for word in words(row[0])}
    assert listed == {path.name for path in (SDK / "dist").glob("footfall*.js")}
    later = SOURCES["src/features/later.js"]
    # pointerdown is a press or touch; a click by key or script is told of as such; blur is the window's.
    assert [kinds.split() for kinds in re.findall(r'on\("((?:pointer|key)[^"]+)"', later)] == [
        ["pointermove", "keydown", "scroll"],
        ["pointerdown", "click", "auxclick", "input", "submit", "play", "blur"],
    ]
    assert "AFTER_MS = 4000;" in later
    told = "moves the pointer, presses a key, scrolls, touches, types, plays something or turns to another window"
    [when] = [
        row[1] for row in table(section("install", "What a page fetches")) if words(row[0]) == ["footfall.more.js"]
    ]
    assert f"when the visitor first {told}; when a request fails; else 4 s after the tag's start" in when


def test_every_extra_is_documented() -> None:
    own = {path.stem for path in (SDK / "extras").glob("*.js")}
    extras = own | set(settings_that_load().values())
    assert extras == own
    chapter = section("events", "By choice")
    assert {name for name in extras if f"`{name}`" in chapter} == extras
    for names in re.findall(r'data-extras="([^"]+)"', TEXT):
        assert set(names.split()) <= extras
    exported = json.loads((SDK / "package.json").read_text())["exports"]
    for module in set(re.findall(r"[`\"]footfall/(\w+)[`\"]", TEXT)):
        assert f"./{module}" in exported
    assert {name.removeprefix("./") for name in exported if re.fullmatch(r"\./\w+", name)} <= set(
        re.findall(r"footfall/(\w+)", PAGES["README.md"])
    )


# Events

PLAN = load_plan(DEFAULT_PLAN_DIR)
# Where the properties of an event are put together.
MADE_IN = {
    "page_view": ["src/navigation.js", "src/features/page_facts.js"],
    "click": ["src/features/clicks.js", "src/features/element.js"],
    "rage_click": ["src/features/element.js"],
    "dead_click": ["src/features/element.js"],
    "form_submit": ["src/features/forms.js"],
    "form_abandoned": ["src/features/forms.js"],
    "engagement": ["src/features/engagement.js"],
    "media_progress": ["src/features/media.js"],
    "web_vital": ["extras/vitals.js"],
    "error": ["extras/lib/failure.js"],
    "copy": ["extras/copy.js"],
    "print": [],
}


def documented_events() -> dict[str, set[str]]:
    by_default = {row[0].strip("`"): set(words(row[1])) for row in table(section("events", "By default"))}
    by_choice = {row[0].strip("`"): set(words(row[2])) for row in table(section("events", "By choice"))}
    return by_default | by_choice


def test_the_events_are_those_that_the_code_sends() -> None:
    code = "\n".join(text for name, text in SOURCES.items() if "/features/" in name or name.startswith("extras/"))
    sent = set(re.findall(r'\btrack\(\s*"(\w+)"', code)) | set(re.findall(r'\["(\w+)", (?:facts|{)', code))
    documented = documented_events()
    assert set(documented) == sent | {"page_view"} == set(MADE_IN)
    core = {path.stem for path in (DEFAULT_PLAN_DIR / "events" / "core").glob("*.yaml")}
    assert set(documented) == core - {"search"}, "search is sent by the site itself"


@pytest.mark.parametrize("event", MADE_IN)
def test_the_properties_of_an_event_are_those_of_the_plan_that_the_code_sends(event: str) -> None:
    planned = {prop.name for prop in PLAN.events[event].properties}
    code = "\n".join(bare(SOURCES[name]) for name in MADE_IN[event])
    sent = {name for name in planned if re.search(rf"(?<![.\w(]){name}\s*[:,}}]", code)}  # no f(argument, …)
    assert documented_events()[event] == sent


# Limits


def in_base_units(text: str) -> float:
    """`30 s` in milliseconds, `1/8` as 8, `256 characters` as 256."""
    found = re.match(r"(?:1/)?([\d,]+)(?: (s|min|h|days)\b)?", text)
    assert found, text
    number = int(found[1].replace(",", ""))
    return number * {None: 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "days": 86_400_000}[found[2]]


LIMITS: dict[str, tuple[str, str] | float] = {
    "One event, by the tag": ("src/json.js", "BYTES_MAX"),
    "One event, by the collector": EVENT_BYTES_MAX,
    "One text": ("src/json.js", "SHARE"),
    "Depth of properties": ("src/json.js", "DEPTH_MAX"),
    "Event name": NAME_CHARS_MAX,
    "User, group and visitor id": ID_CHARS_MAX,
    "A planned text without a `maxLength` of its own": PLAN.limits.max_string,
    "Unplanned properties listed as violations": PLAN.limits.max_extra_properties,
    "Page title": ("src/navigation.js", "TITLE_CHARS_MAX"),
    "Texts of clicked elements, forms and media": ("src/features/element.js", "TEXT_CHARS_MAX"),
    "Steps of a selector": ("src/features/element.js", "STEPS_MAX"),
    "Fields of a form": ("src/features/forms.js", "FIELDS_MAX"),
    "Errors told by the errors extra": ("extras/errors.js", "PER_PAGE_MAX"),
    "Message of an error": ("extras/lib/failure.js", "MESSAGE_CHARS_MAX"),
    "Stack of an error": ("extras/lib/failure.js", "STACK_CHARS_MAX"),
    "Calls before the tag starts": ("src/tag.js", "EARLY_MAX"),
    "Presses and inputs until `footfall.more.js` has come": ("src/features/later.js", "EVENTS_MAX"),
    "Events waiting": ("src/queue.js", "QUEUE_EVENTS_MAX"),
    "Time an event waits for others": ("src/queue.js", "BATCH_MS"),
    "Events of a batch": ("src/queue.js", "BATCH_EVENTS_MAX"),
    "Bytes of a batch": ("src/queue.js", "BATCH_BYTES_MAX"),
    "Body, by the collector": BODY_BYTES_MAX,
    "Events of a body, by the collector": EVENTS_MAX,
    "Wait for an answer": ("src/requests.js", "ANSWER_MS_MAX"),
    "Wait after a failure": ("src/queue.js", "FIRST_MS"),
    "Events sent as images at a time": ("src/features/last_resort.js", "IMAGES_MAX"),
    "An event sent as an image": ("src/features/last_resort.js", "DATA_CHARS_MAX"),
    "`Retry-After`": ("src/queue.js", "RETRY_AFTER_MS_MAX"),
    "A held start (extras)": ("src/whole.js", "HOLD_MS_MAX"),
    "Campaign of the landing page": ("src/campaign.js", "SESSION_MS"),
    "Age of an event": OFFLINE_MS_MAX,
    "Query of the pixel": QUERY_BYTES_MAX,
    "Parameters of the pixel": PARAMETERS_MAX,
}
# Stated elsewhere in the pages, in these words.
STATED = {
    ("src/queue.js", "WAIT_MS_MAX"): "doubling to 60 s",
    ("src/features/trouble.js", "RAGE_PX"): "within a second and 30 px",
    ("src/features/engagement.js", "IDLE_MS"): "had input within 30 s",
    ("src/features/zone.js", "AFTER_MS"): "looked up 3 s after the start",
    ("extras/cookie.js", "COOKIE_AGE_S"): "400 days",
}
NUMBERS = {
    "doubling to 60 s": 60_000,
    "within a second and 30 px": 30,
    "had input within 30 s": 30_000,
    "looked up 3 s after the start": 3_000,
}


@pytest.mark.parametrize(("row", "origin"), LIMITS.items(), ids=LIMITS)
def test_a_limit_is_that_of_the_source(row: str, origin: tuple[str, str] | float) -> None:
    limits = {cells[0]: cells[1] for cells in table(section("api", "Limits"))}
    truth = constants(origin[0])[origin[1]] if isinstance(origin, tuple) else origin
    assert in_base_units(limits[row]) == truth


def test_every_limit_of_the_tag_is_stated() -> None:
    assert {cells[0] for cells in table(section("api", "Limits"))} == set(LIMITS)
    for (name, constant), said in STATED.items():
        assert said in TEXT
        assert constants(name)[constant] == NUMBERS.get(said, 400 * 86_400)
    stated = {origin for origin in LIMITS.values() if isinstance(origin, tuple)} | set(STATED)
    for name in SOURCES:
        if name.startswith("src/"):
            for constant in constants(name):
                assert (name, constant) in stated or not constant.endswith("_MAX"), f"{name}: {constant}"


def test_the_times_in_the_pages_are_those_of_the_collector() -> None:
    assert f"holds for {TOKEN_SECONDS} s" in TEXT
    assert (STABLE_SECONDS, IMMUTABLE_SECONDS) == (3_600, 365 * 86_400)
    assert "cached for a year" in TEXT
    assert "after an hour" in TEXT
    assert constants("extras/cookie.js")["COOKIE_AGE_S"] == COOKIE_SECONDS


COOKIE_CHAPTER = ("domains-and-cookies", "A cookie set by the collector")


def test_what_the_collector_says_of_its_cookie_is_in_the_page() -> None:
    said = section(*COOKIE_CHAPTER)
    choices = Choices(collector_cookie=True, noscript=False)
    assert f"```html\n{snippet('https://t.shop.example', KEY, choices).splitlines()[-1]}\n```" in said
    assert f"`{COOKIE_NAME}`" in said


# Words of the browser and the collector


def test_the_overlays_sentences_are_its_own() -> None:
    said = [words(row[0]) for row in table(section("troubleshooting", "The debug overlay"))]
    sentences = [sentence for cell in said for sentence in cell]
    code = "\n".join(SOURCES[name] for name in SOURCES if name.startswith("extras/"))
    for sentence in sentences:
        for part in sentence.split("…"):
            assert part.strip(' "') in code, sentence
    # And all that explain.js can say is in the table.
    explained = re.findall(r"return[\s(]*[\"`]([A-Z][^\"`$]*)", SOURCES["extras/lib/explain.js"])
    assert len(explained) >= 12
    begin = tuple(sentence.partition("…")[0].rstrip(' "') for sentence in sentences)
    for start in explained:
        assert start.startswith(begin), start


def test_what_is_stored_is_listed() -> None:
    code = "\n".join(text for name, text in SOURCES.items() if name.startswith("src/"))
    # By name, or by the start of one: store("_user", …), `_zone${…}`.
    stored = {
        found.strip("_")
        for found in re.findall(r"""\b(?:store|load)\(\s*"(_\w+)"|(?:[=>] |\()`(_\w+)\$\{""", code)
        for found in found
    }
    stored -= {""}
    assert not re.findall(r'\b(?:store|load)\(\s*"[^_]', code), "names carry their underscore"
    listed = {word for row in table(section("privacy", "In the browser")) for word in words(row[0])}
    assert {name.removeprefix("footfall_").rstrip("_…") for name in listed} == stored


def test_every_route_exists() -> None:
    app = site("0", TAG_DIR, None, lambda _: "", lambda: None, lambda: ({}, {}))
    served = {getattr(route, "path", "") for route in app.routes} | {f"/{name}" for name in built_files(TAG_DIR)}
    events = BATCH_PATHS | set(SINGLE_PATHS) | {PIXEL_PATH, LINK_PATH}
    for route in re.findall(r"(?<![\w.])/v1/[\w./]+", TEXT):
        assert route.rstrip(".") in events, route
    for route in re.findall(r"`/(?!v1)(\w+(?:\.\w+)?)`", TEXT):
        assert f"/{route}" in served, route


def test_the_pixels_parameters_are_those_that_are_read() -> None:
    pixel = (HERE.parents[1] / "collector" / "wire" / "pixel.py").read_text()
    fields = re.search(r"_PIXEL_FIELDS = \(([^)]*)\)", pixel)
    assert fields
    read = set(re.findall(r'"(\w+)"', fields[1])) | {"data", "ack", "writeKey", "write_key", "url", "referrer", "title"}
    chapter = section("pixel", "Static pages, feeds, and all else that can show an image")
    assert {word for row in table(chapter) for word in words(row[0])} == read


def commands() -> Iterator[str]:
    for block in blocks("sh"):
        for line in block.text.splitlines():
            assert line.split()[0] in {"footfall", "npm", "curl"}, line
            if line.startswith("footfall "):
                yield line
    yield from re.findall(r"`(footfall (?!is not defined)[a-z][^`(]*)`", prose())


def test_every_command_and_flag_exists() -> None:
    found = list(commands())
    assert len(found) > 15
    for line in found:
        current: click.Command = command
        arguments = [word for word in re.findall(r'"[^"]*"|\S+', line)[1:] if word != "…"]
        while arguments and isinstance(current, click.Group):
            assert arguments[0] in current.commands, line
            current = current.commands[arguments.pop(0)]
        flags = {flag for param in current.params for flag in [*param.opts, *param.secondary_opts]}
        for word in arguments:
            assert not word.startswith("--") or word.partition("=")[0] in flags, line


# Snippets


def test_the_printed_snippets_are_those_that_are_printed() -> None:
    shown = {(block.page, block.more): block.text.strip() for block in blocks("html", "csp") if block.more}
    plain = snippet(BASE, KEY)
    assert f"```html\n{plain}\n```" in PAGES["docs/install.md"]
    pinned = snippet(BASE, KEY, Choices(pinned=built_files(TAG_DIR)["footfall.js"]))
    blurred = re.sub(r"sha384-[\w+/=]+", "sha384-…", re.sub(r"\.[0-9a-f]{12}\.", ".3f9c21d07ab4.", pinned))
    assert shown["docs/install.md", "pinned"] == blurred
    nonces = [block.text.strip() for block in blocks("html", "csp") if block.more == "nonce"]
    assert nonces == [snippet(BASE, KEY, Choices(nonce="{{ nonce }}")), policy(BASE, "{{ nonce }}")]
    assert f"```csp\n{policy(BASE)}\n```" in PAGES["docs/csp.md"]
    assert f"```html\n{email_pixel(BASE, KEY)}\n```" in PAGES["docs/pixel.md"]
    assert f"```html\n{amp_pixel(BASE, KEY)}\n```" in PAGES["docs/pixel.md"]
    noscript = plain.splitlines()[-1]
    assert f"```html\n{noscript}\n```" in PAGES["docs/pixel.md"]


class Elements(HTMLParser):
    """The elements of a block: opened and closed, attributes, and the text of scripts."""

    VOID = frozenset({"img", "input", "br", "meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and data.strip():
            self.scripts.append(data)


def test_every_html_block_is_whole() -> None:
    for block in blocks("html"):
        assert Elements(block.text).open == [], f"{block.page}: {block.text}"


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: f"{block.page}-{block.number}")
def test_every_setting_of_the_collector_is_one(block: Block) -> None:
    msgspec.convert(tomllib.loads(block.text), Settings)


def test_every_proxy_passes_on_to_the_collectors_port() -> None:
    found = blocks("nginx", "caddy")
    assert len(found) == 3
    for block in found:
        assert block.text.count("{") == block.text.count("}")
        assert set(re.findall(r"127\.0\.0\.1:(\d+)", block.text)) == {str(Settings().port)}


def test_every_language_of_a_block_is_checked_by_something() -> None:
    checked = {"html", "js", "jsx", "tsx", "sh", "sql", "answer", "toml", "csp", "nginx", "caddy"}
    assert {block.language for block in blocks()} == checked


AMBIENT = """\
declare const footfall: import("footfall").Footfall;
declare module "*.vue" { const component: import("vue").Component; export default component; }
declare module "next/headers" { export function headers(): Promise<Headers>; }
declare module "footfall/vitals" { const plugin: import("footfall").Plugin; export default plugin; }
"""


def test_every_script_compiles_against_the_types_of_the_package(tmp_path: Path) -> None:
    files = {"ambient.d.ts": AMBIENT}
    for block in blocks("js", "jsx", "tsx"):
        name = block.page.replace("/", "_").removesuffix(".md")
        files[f"{name}_{block.number}.{block.language}"] = f"{block.text}\nexport {{}};\n"
    for block in blocks("html"):
        for at, script in enumerate(Elements(block.text).scripts):
            page = block.page.replace("/", "_").removesuffix(".md")
            stub = "window.footfall=window.footfall||function(){" in script.replace(" ", "")
            if not stub:
                files[f"{page}_{block.number}_{at}.js"] = f"{script}\nexport {{}};\n"
        for at, (name, value) in enumerate(Elements(block.text).attributes):
            if name.startswith("on"):
                files[f"{block.page.replace('/', '_')}_{block.number}_on{at}.js"] = f"{value};\nexport {{}};\n"
    assert len(files) > 25
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    types = {"footfall": "index", **{f"footfall/{name}": name for name in ("react", "vue", "next")}}
    modules = SDK / "node_modules"
    options = {
        "strict": True,
        "noImplicitAny": False,
        "strictNullChecks": False,
        "allowJs": True,
        "checkJs": True,
        "noEmit": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "jsx": "react-jsx",
        "types": [],
        "skipLibCheck": True,
        "typeRoots": [str(modules / "@types")],
        "paths": {
            **{name: [str(SDK / "dist" / f"{file}.d.ts")] for name, file in types.items()},
            "react": [str(modules / "@types/react/index.d.ts")],
            "react/jsx-runtime": [str(modules / "@types/react/jsx-runtime.d.ts")],
            "vue": [str(modules / "vue/dist/vue.d.ts")],
        },
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": list(files)}))
    compiler = modules / "typescript" / "bin" / "tsc"
    done = subprocess.run(["node", compiler, "-p", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# Examples against a real collector


ONE_COLLECTOR = pytest.mark.xdist_group("browser")  # the shop is the first to use it: its answers are of it alone


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("docs") / "data") as running:
        yield running


def calls_made_by(code: str) -> list[list[object]]:
    """Run an example; the calls that it makes."""
    around = "const made = []; const footfall = (...call) => made.push(call);"
    script = f"{around}\n{code}\nconsole.log(JSON.stringify(made));"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    made: list[list[object]] = json.loads(done.stdout)
    return made


@ONE_COLLECTOR
def test_the_shop_of_the_page_has_the_answers_of_the_page(collector: Serving) -> None:
    page = PAGES["docs/ecommerce.md"]
    visit = next(block for block in blocks("js") if block.page == "docs/ecommerce.md")
    events = [
        {"type": name, "event": event, "properties": properties, "anonymousId": "v-1", "sequence": at}
        for at, (name, event, properties) in enumerate(calls_made_by(visit.text))
    ]
    assert [event["event"] for event in events] == [words(row[0])[0] for row in table(page)[:4]]
    answer = collector.send(*events).json
    assert answer == {"accepted": 4, "rejected": []}
    collector.until_loaded()
    assert collector.sql("SELECT violations FROM events WHERE notEmpty(violations)") == []
    asked = re.findall(r"```sql\n(.*?)```\n\n```answer\n(.*?)```", page, re.DOTALL)
    assert len(asked) == 4
    for query, expected in asked:
        rows = [" ".join(str(cell) for cell in row.values() if cell != "") for row in collector.sql(query)]
        assert rows == expected.splitlines(), query


@ONE_COLLECTOR
def test_every_query_of_the_pages_runs(collector: Serving) -> None:
    queries = [block.text for block in blocks("sql")]
    queries += re.findall(r'^footfall sql "([^"]+)"', TEXT, re.MULTILINE)
    assert len(queries) > 5
    for query in queries:
        collector.sql(query)  # raises the database's own sentence


@ONE_COLLECTOR
def test_every_pixel_of_the_pages_is_stored(collector: Serving) -> None:
    addresses = {html.unescape(found) for found in re.findall(r'https://t\.example(/v1/p\.gif\?[^"\s]+)"', TEXT)}
    assert len(addresses) >= 4
    for address in addresses:
        headers = {"referer": f"https://shop.example/pixel?{len(address)}"}
        assert collector.request("GET", address.replace(KEY, collector.write_key), headers=headers).status == 200
    collector.until_loaded()
    (stored,) = collector.sql("SELECT count() AS pixels FROM events WHERE library = '' AND visitor_id != 'v-1'")
    assert int(stored["pixels"]) == len(addresses)


def key_of_the_source_with_cookies(collector: Serving) -> str:
    """Run the page's own command for a source; its write key."""
    (line,) = re.findall(r"^footfall (sources set .*--cookie-domain.*)$", section(*COOKIE_CHAPTER), re.MULTILINE)
    arguments = line.split()
    added = footfall("sources", "add", arguments[2], "--json", "--data", collector.data_dir)
    changed = footfall(*arguments, "--data", collector.data_dir)
    assert changed.returncode == 0, changed.stderr
    key: str = json.loads(added.stdout)["write_key"]
    return key


BROWSER_SECONDS_MAX = 300.0  # of a machine that is busy otherwise


@ONE_COLLECTOR
def test_every_example_works_in_a_browser_against_the_collector(collector: Serving) -> None:
    tag = f'<script defer src="{BASE}/footfall.js" data-write-key="{KEY}"></script>'
    pages, scripts = {}, {}
    key_with_cookies = key_of_the_source_with_cookies(collector)
    for block in blocks("html", "js"):
        path = f"/{Path(block.page).stem}-{block.number}"
        if block.language == "js" and not block.more:
            scripts[path] = block.text
        elif ("footfall.js" in block.text or "data-footfall-event" in block.text) and block.more != "pinned":
            page = block.text if "footfall.js" in block.text else block.text + tag
            key = key_with_cookies if 'data-cookie="collector"' in page else collector.write_key
            pages[path] = page.replace(KEY, key).replace("{{ nonce }}", "n")
    assert len(pages) > 12
    assert len(scripts) > 12
    asked = json.dumps({"collector": collector.url, "key": collector.write_key, "pages": pages, "scripts": scripts})
    done = subprocess.run(
        ["node", str(HERE / "tag_docs.mjs")],
        input=asked,
        capture_output=True,
        text=True,
        timeout=BROWSER_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for path in [*pages, *scripts, "/script"]:
        assert told[path]["errors"] == [], path
    collector.until_loaded()

    kinds = {path: told[path]["kind"] for path in pages}
    seen = {path for path, kind in kinds.items() if kind not in ("pending", "silent")}
    facts = "path, uniqExact(message_id) AS views, any(visitor_id) AS visitor"
    rows = collector.sql(f"SELECT {facts} FROM events WHERE event = 'page_view' AND library != '' GROUP BY path")
    views = {row["path"]: row for row in rows}
    assert seen <= set(views)
    assert not {path for path, kind in kinds.items() if kind in ("pending", "silent")} & set(views)

    (banner,) = (path for path, kind in kinds.items() if kind == "banner")
    assert {key: told[banner][key] for key in ("consent", "sent", "kept", "asked")} == {
        "consent": "pending",
        "sent": 0,
        "kept": 0,
        "asked": False,
    }
    assert int(views[banner]["views"]) == 2, "the page that waited for the answer, and its reload"
    marked = [path for path, kind in kinds.items() if kind == "marked"]
    assert len(marked) == 2
    query = "SELECT path, event, properties, violations FROM events WHERE event IN ('sign_up', 'add_to_cart')"
    for path in marked:
        (found,) = collector.sql(f"{query} AND path = '{path}'")
        assert found["violations"] == []
    (baked,) = (path for path, page in pages.items() if 'data-cookie="collector"' in page)
    assert told[baked]["cookie"] == f"{COOKIE_NAME}={views[baked]['visitor']}", "set by the collector's answer"
    cookieless = next(path for path, page in pages.items() if "data-storage" in page)
    assert views[cookieless]["visitor"].startswith("c_")
