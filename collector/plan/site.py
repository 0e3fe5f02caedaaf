"""The plan as a static site: plain HTML and one stylesheet, without script, that also works from a folder on a disk.

    Plan, groups, live volumes, changelog --site--> {path: text}

Whatever stands in a plan is text that someone proposed, so all of it is escaped, and only links of our own are links.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from urllib.parse import quote

import msgspec
from msgspec import Struct

from collector.plan.changes_text import Groups
from collector.plan.codegen.facts import bounds_in_words
from collector.plan.model import PROD, Accept, EventPlan, Journey, Plan, Property, Rule, Type

CHANGELOG_CHARS_MAX = 200_000
_NAV = (
    ("index.html", "Events"),
    ("groups.html", "Groups"),
    ("journeys.html", "Journeys"),
    ("changelog.html", "Changelog"),
)


class Live(Struct, frozen=True):
    """What of an event came in the last days. `failed_share` is of all that came."""

    count: int
    failed_share: float
    last_seen_ms: int | None
    versions: dict[int, int] = {}


class Context(Struct, frozen=True):
    """What the site shows beside the plan. `live` is None where no database was asked; `made` is when it was built."""

    made: str
    groups: Groups = Groups()
    changelog: str = ""
    live: dict[str, Live] | None = None
    days: int = 7


def site(plan: Plan, context: Context) -> dict[str, str]:
    """All files of the site, by their path."""
    pages = {
        "index.html": _page(plan, context, "Events", _index(plan, context), "index.html"),
        "groups.html": _page(plan, context, "Groups", _groups(context.groups), "groups.html"),
        "journeys.html": _page(plan, context, "Journeys", _journeys(plan.journeys), "journeys.html"),
        "changelog.html": _page(plan, context, "Changelog", _changelog(context.changelog), "changelog.html"),
        "style.css": files(__package__).joinpath("site.css").read_text("utf-8"),
    }
    for name, event in plan.events.items():
        pages[f"events/{_file(name)}"] = _page(plan, context, name, _event(plan, event, context), "")
    return pages


def _page(plan: Plan, context: Context, title: str, body: str, here: str) -> str:
    up = "" if here else "../"
    links = "".join(
        f'<li><a href="{up}{path}"{_current(path == here)}>{label}</a></li>' for path, label in _NAV
    )  # fmt: skip
    what = f"{escape(plan.name)} {escape(plan.version)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · {what}</title>
<link rel="stylesheet" href="{up}style.css">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<strong>{what}</strong>
<nav aria-label="Pages"><ul>{links}</ul></nav>
</header>
<main id="main">
<h1>{escape(title)}</h1>
{body}
</main>
<footer>Made by <code>footfall plan docs</code> on {escape(context.made)} from plan {what}.</footer>
</body>
</html>
"""


def _current(here: bool) -> str:
    return ' aria-current="page"' if here else ""


# Events


def _index(plan: Plan, context: Context) -> str:
    parts = [f"<p>{escape(plan.description)}</p>"] if plan.description else []
    if plan.owners:
        parts.append(f"<p>Owners: {escape(', '.join(plan.owners))}</p>")
    domains: dict[str, list[EventPlan]] = {}
    for event in plan.events.values():
        domains.setdefault(_domain(event), []).append(event)
    live = context.live
    heads = ["Event", "Version", "What it is", "Owner"]
    heads += [f"Last {context.days} days", "Failed", "Last seen"] if live is not None else []
    for domain, events in sorted(domains.items()):
        rows = []
        for event in sorted(events, key=lambda one: one.name):
            cells = [f"{_link(event.name, '')}{_ending(event)}", escape(event.version), escape(event.description),
                     escape(event.owner)]  # fmt: skip
            if live is not None:
                cells += _volumes(live.get(event.name))
            rows.append(cells)
        parts += [f"<h2>{escape(domain)}</h2>", _table(heads, rows, numbers=(4, 5))]
    if live is not None:
        unplanned = {name: one for name, one in live.items() if name not in plan.events and one.count}
        if unplanned:
            rows = [[f"<code>{escape(name)}</code>", *_volumes(one)] for name, one in sorted(unplanned.items())]
            parts += ["<h2>Seen, but not planned</h2>", _table(["Event", *heads[4:]], rows, numbers=(1, 2))]
    return "\n".join(parts)


def _domain(event: EventPlan) -> str:
    """The folder below events/ that the file stands in."""
    parts = event.file.split("/")
    return "/".join(parts[1:-1]) or "events"


def _ending(event: EventPlan) -> str:
    tags = ["deprecated"] if event.deprecated else []
    tags += [f"ends {event.sunset}"] if event.sunset is not None else []
    return "".join(f' <span class="tag">{tag}</span>' for tag in tags)


def _volumes(live: Live | None) -> list[str]:
    if live is None or live.last_seen_ms is None:
        return [f"{live.count if live else 0:,}", "", '<span class="soft">never seen</span>']
    seen = datetime.datetime.fromtimestamp(live.last_seen_ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M")
    share = f"{live.failed_share:.1%}"
    return [
        f"{live.count:,}",
        f'<span class="bad">{share}</span>' if live.failed_share > 0.01 else share,
        f"{seen} UTC",
    ]


def _event(plan: Plan, event: EventPlan, context: Context) -> str:
    parts = [f"<p>{escape(event.description)}</p>"] if event.description else []
    if event.deprecated:
        why = "" if event.deprecated is True else f": {escape(event.deprecated)}"
        parts.append(f'<p class="bad">Deprecated{why}</p>')
    parts.append(_facts(_event_facts(event, context)))
    parts += ["<h2>Properties</h2>", _properties(event.properties, event.name)]
    if example := _valid_example(event):
        parts += ["<h2>Example</h2>", f"<pre><code>{escape(example)}</code></pre>"]
    if journeys := [one for one in plan.journeys.values() if any(step.event == event.name for step in one.steps)]:
        links = ", ".join(f'<a href="../journeys.html#{_id(one.name)}">{escape(one.name)}</a>' for one in journeys)
        parts += ["<h2>Journeys</h2>", f"<p>{links}</p>"]
    places = sorted(event.rules, key=lambda name: (name != PROD, name))
    shown = [
        [f"<code>{reason.word}</code>", *(_acted(event.rules[name][reason]) for name in places)]
        for reason in sorted(event.rules[PROD], key=lambda reason: reason.word)
    ]
    head = ["Action"] if len(places) == 1 else [f"In {escape(name)}" for name in places]
    parts += ["<h2>What happens to a violation</h2>", _table(["Class", *head], shown)]
    parts += _history(plan, event)
    return "\n".join(parts)


def _event_facts(event: EventPlan, context: Context) -> list[tuple[str, str]]:
    semantic = event.semantic
    facts = [
        ("Version", escape(event.version)),
        ("When it is sent", escape(event.trigger)),
        ("Owner", escape(event.owner)),
        ("Tags", " ".join(f'<span class="tag">{escape(tag)}</span>' for tag in event.tags)),
        ("Conversion", escape(semantic.conversion)),
        ("Worth", f"<code>{escape(semantic.value)}</code>" if semantic.value else ""),
        ("One for each", f"<code>{escape(semantic.dedupe_by)}</code>" if semantic.dedupe_by else ""),
        ("Consent", escape(", ".join(event.consent))),
        ("Stored", f"{event.sampling.rate:.0%} of them, by {event.sampling.by}" if event.sampling else ""),
        ("Ends", str(event.sunset) if event.sunset is not None else ""),
        ("Expected", "; ".join(_expected(event))),
        ("Groups", ", ".join(_group_link(name) for name in context.groups.used.get(event.name, ()))),
        ("File", f"<code>{escape(event.file)}</code>" if event.file else ""),
    ]
    if context.live is not None:
        count, share, seen = _volumes(context.live.get(event.name))
        facts += [(f"Last {context.days} days", f"{count} stored" + (f", {share} failed" if share else "")),
                  ("Last seen", seen)]  # fmt: skip
    return facts


def _acted(rule: Rule) -> str:
    return rule.action.value if rule.starts is None else f"{rule.before.value}; {rule.action.value} from {rule.starts}"


def _expected(event: EventPlan) -> Iterable[str]:
    for bounds, what in ((event.expect.daily, "a day"), (event.expect.ratio, "for each")):
        if bounds is not None:
            limits = [f"at least {bounds.min}" if bounds.min is not None else "",
                      f"at most {bounds.max}" if bounds.max is not None else ""]  # fmt: skip
            yield escape(f"{' and '.join(filter(None, limits))} {what} {bounds.of}".strip())


def _history(plan: Plan, event: EventPlan) -> list[str]:
    if not event.accept:
        return []
    parts = ["<h2>Older versions</h2>"]
    for accept in sorted(event.accept, key=lambda one: -one.major):
        old = plan.history.get((event.name, accept.major))
        until = f", accepted until {accept.until}" if accept.until else ", accepted"
        version = old.version if old is not None else f"{accept.major}.x"
        parts.append(f'<h3 id="v{accept.major}">{escape(version)}{until}</h3>')
        parts += _upcast(accept)
        if old is not None:
            parts.append(_properties(old.properties, f"{event.name} {version}"))
    return parts


def _upcast(accept: Accept) -> Iterable[str]:
    if accept.upcast is None:
        return
    renamed = [f"<code>{escape(old)}</code> reads as <code>{escape(new)}</code>"
               for old, new in accept.upcast.rename.items()]  # fmt: skip
    default = [f"<code>{escape(name)}</code> is {_json(value)} where it was not sent"
               for name, value in accept.upcast.default.items()]  # fmt: skip
    yield f"<p>In views {'; '.join(renamed + default)}.</p>" if renamed or default else ""


def _valid_example(event: EventPlan) -> str:
    """The first document of the event's tests that is valid: its editors wrote it to be read."""
    for test in event.tests:
        if not test.violates:
            return msgspec.json.format(msgspec.json.encode(test.document), indent=2).decode()
    return ""


# Properties


def _properties(properties: tuple[Property, ...], caption: str) -> str:
    rows = [row for prop in properties for row in _property(prop, "")]
    if not rows:
        return "<p>None.</p>"
    return _table(
        ["Property", "Type", "", "What it is", "Personal data", "Examples"], rows, caption=f"Properties of {caption}"
    )


def _property(prop: Property, within: str) -> Iterable[list[str]]:
    name, kind = f"{within}{prop.name}", prop.type
    described = [escape(prop.description)] if prop.description else []
    described += [f'<span class="soft">{escape(limits)}</span>'] if (limits := bounds_in_words(kind)) else []
    described += [f"Unit: {escape(kind.unit)}."] if kind.unit else []
    described += [f"Also sent as {', '.join(f'<code>{escape(alias)}</code>' for alias in prop.aliases)}."] if prop.aliases else []  # fmt: skip  # noqa: E501 - one more sentence of the list
    described += [f"Owner: {escape(prop.owner)}."] if prop.owner else []
    if prop.deprecated:
        described.append("Deprecated." if prop.deprecated is True else f"Deprecated: {escape(prop.deprecated)}")
    yield [
        f"<code>{escape(name)}</code>",
        _kind(kind),
        "required" if prop.required else "",
        " ".join(described),
        escape(f"{kind.pii.pii_class} ({kind.pii.handling})") if kind.pii is not None else "",
        ", ".join(_json(example) for example in kind.examples[:3]),
    ]
    inner, mark = kind, "."
    while inner.items is not None or inner.values is not None:
        inner, mark = (inner.items, f"[]{mark}") if inner.items is not None else (inner.values or inner, f".*{mark}")
    for member in inner.properties:
        yield from _property(member, f"{name}{mark}")


def _kind(kind: Type) -> str:
    words = kind.kind
    if kind.kind == "array":
        words = f"array of {kind.items.kind}" if kind.items is not None else "array"
    elif kind.kind == "map" and kind.values is not None:
        words = f"map of {kind.values.kind}"
    elif kind.kind == "union":
        words = " or ".join(member.kind for member in kind.members)
    if kind.enum is not None:
        words += ": " + ", ".join(str(value) for value in kind.enum)
    return escape(words) + (" or null" if kind.nullable else "")


# Groups, journeys, changelog


def _groups(groups: Groups) -> str:
    if not groups.properties:
        return "<p>The plan has no groups, or its files were not at hand.</p>"
    parts = []
    for name, properties in sorted(groups.properties.items()):
        used = [event for event, names in sorted(groups.used.items()) if name in names]
        shown = ", ".join(f"<code>{escape(prop)}</code>" for prop in sorted(properties))
        where = ", ".join(_link(event, "") for event in used) or '<span class="soft">nowhere</span>'
        parts += [f'<h2 id="{_id(name)}">{escape(name)}</h2>', _facts([("Properties", shown), ("Used in", where)])]
    return "\n".join(parts)


def _group_link(name: str) -> str:
    return f'<a href="../groups.html#{_id(name)}">{escape(name)}</a>'


def _journeys(journeys: Mapping[str, Journey]) -> str:
    if not journeys:
        return "<p>The plan has no journeys.</p>"
    parts = []
    for name, journey in sorted(journeys.items()):
        parts.append(f'<h2 id="{_id(name)}">{escape(name)}</h2>')
        parts += [f"<p>{escape(journey.description)}</p>"] if journey.description else []
        parts.append(_facts([("For each", f"<code>{escape(journey.key)}</code>"), ("Owner", escape(journey.owner))]))
        steps = []
        for step in journey.steps:
            where = ", ".join(f"{escape(key)} is {_json(value)}" for key, value in step.where.items())
            words = [_link(step.event, "")]
            words += [f"where {where}"] if where else []
            words += [f"within {datetime.timedelta(milliseconds=step.within_ms)}"] if step.within_ms is not None else []
            words += [f"exactly {step.times} times"] if step.times is not None else []
            steps.append(f"<li>{', '.join(words)}</li>")
        parts.append(f"<ol>{''.join(steps)}</ol>")
        parts += [f"<pre><code>{escape(text)}</code></pre>" for text in journey.invariants]
    return "\n".join(parts)


_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_CODE = re.compile(r"`([^`]+)`")


def _changelog(text: str) -> str:
    """The headings, lists and paragraphs that `plan release` writes; all else stays the text it is."""
    if not text.strip():
        return "<p>Nothing was released yet.</p>"
    parts: list[str] = []
    listed = False
    for line in text[:CHANGELOG_CHARS_MAX].splitlines():
        shown = _CODE.sub(r"<code>\1</code>", _BOLD.sub(r"<strong>\1</strong>", escape(line.strip())))
        item = line.lstrip().startswith(("- ", "* "))
        if listed and not item:
            parts.append("</ul>")
        if item:
            parts += ([] if listed else ["<ul>"]) + [f"<li>{shown[2:]}</li>"]
        elif line.startswith("## "):
            parts.append(f"<h2>{shown[3:]}</h2>")
        elif line.startswith("### "):
            parts.append(f"<h3>{shown[4:]}</h3>")
        elif shown and not line.startswith("# "):
            parts.append(f"<p>{shown}</p>")
        listed = item
    return "\n".join([*parts, *(["</ul>"] if listed else [])])


# HTML


def _table(heads: list[str], rows: list[list[str]], numbers: tuple[int, ...] = (), caption: str = "") -> str:
    """A table; the cells are HTML. It scrolls by itself, so that a phone's page does not."""

    def mark(index: int) -> str:
        return ' class="number"' if index in numbers else ""

    head = "".join(f'<th scope="col"{mark(index)}>{escape(text)}</th>' for index, text in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(f"<td{mark(index)}>{cell}</td>" for index, cell in enumerate(cells)) + "</tr>\n"
        for cells in rows
    )
    label = f' role="region" aria-label="{escape(caption)}" tabindex="0"' if caption else ""
    return f'<div class="scroll"{label}><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in facts if value) + "</dl>"


def _link(event: str, up: str) -> str:
    return f'<a href="{up}events/{quote(_file(event))}"><code>{escape(event)}</code></a>'


def _file(event: str) -> str:
    """The file of an event's page. A name may hold what a file's may not."""
    return f"{quote(event, safe=' ')}.html"


def _id(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def _json(value: object) -> str:
    return f"<code>{escape(msgspec.json.encode(value).decode())}</code>"
