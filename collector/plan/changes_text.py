"""Changes as people and machines read them: lines for a terminal, a table for a pull request, JSON for a program.

One edit of a group shows as many findings that are alike; they are told once, with the events they touch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from collector.plan.changes import WHOLE_PLAN, Bump, Changes, EventChange, Finding

# A comment of a pull request is read, not scrolled; the whole list is in the JSON. GitHub's own limit is 65,536.
ROWS_MAX = 200
NAMES_MAX = 12


class Shared(Struct, frozen=True, kw_only=True):
    """One edit that reaches several events. `group` is where it was made; empty when that is not known."""

    group: str
    bump: Bump
    events: tuple[str, ...]
    pointer: str
    rule: str
    sentence: str

    def head(self) -> str:
        """`group commerce: major for 4 events`."""
        where = f"group {self.group}" if self.group else self.pointer or "the plan"
        return f"{where}: {self.bump.word} for {len(self.events)} events"

    def names(self) -> str:
        """The events, the first few by name."""
        more = len(self.events) - NAMES_MAX
        return ", ".join(self.events[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


class Groups(Struct, frozen=True):
    """Which groups an event uses, and which properties a group has: what tells where a shared edit was made."""

    used: Mapping[str, tuple[str, ...]] = {}
    properties: Mapping[str, frozenset[str]] = {}


def shared(changes: Changes, groups: Groups) -> tuple[Shared, ...]:
    """Findings that two or more events have alike, worst first."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in changes.findings:
        if finding.event != WHOLE_PLAN and finding.pointer:
            alike.setdefault((finding.rule, finding.pointer, finding.sentence), []).append(finding)
    made = [
        Shared(
            group=_group(pointer, tuple(finding.event for finding in found), groups),
            bump=found[0].bump,
            events=tuple(finding.event for finding in found),
            pointer=pointer,
            rule=rule,
            sentence=sentence,
        )
        for (rule, pointer, sentence), found in alike.items()
        if len(found) > 1
    ]
    return tuple(sorted(made, key=lambda one: (-one.bump, one.group, one.pointer, one.rule)))


def _group(pointer: str, events: tuple[str, ...], groups: Groups) -> str:
    """The group that all of them use and that has the property; if none has it any more, the only one they share."""
    if not pointer.startswith("/properties/"):
        return ""
    common = set(groups.used.get(events[0], ()))
    for event in events[1:]:
        common &= set(groups.used.get(event, ()))
    name = pointer.split("/")[2].replace("~1", "/").replace("~0", "~")
    holding = sorted(group for group in common if name in groups.properties.get(group, ()))
    if len(holding) == 1:
        return holding[0]
    return common.pop() if len(common) == 1 and not holding else ""


def as_json(changes: Changes, groups: Groups) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "bump": changes.bump.word,
        "refused": changes.refused,
        "plan": _change(changes.plan),
        "events": {name: _change(change) for name, change in sorted(changes.events.items())},
        "shared": [
            {
                "group": one.group,
                "bump": one.bump.word,
                "events": list(one.events),
                "pointer": one.pointer,
                "rule": one.rule,
                "sentence": one.sentence,
            }
            for one in shared(changes, groups)
        ],
        "findings": [finding.as_json() for finding in changes.findings],
        "unasked": [finding.as_json() for finding in changes.unasked],
    }


def _change(change: EventChange) -> dict[str, Any]:
    return {
        "bump": change.bump.word,
        "old": change.old,
        "stated": change.stated,
        "next": change.next,
        "asked": change.asked,
    }


def as_text(changes: Changes, groups: Groups, against: str) -> list[str]:
    """Lines for a terminal: what is shared, then event by event, then what follows."""
    if not changes.findings:
        return [f"nothing changed against {against}"]
    once = shared(changes, groups)
    told = {(one.rule, one.pointer, one.sentence) for one in once}
    lines: list[str] = []
    for one in once:
        lines += [f"{one.head()}: {one.names()}", f"  {_line(one.bump, one.pointer, one.sentence, one.rule)}"]
    for name, findings in _by_event(changes.findings):
        left = [one for one in findings if (one.rule, one.pointer, one.sentence) not in told]
        lines.append(_head(name, changes))
        lines += [f"  {_line(one.bump, one.pointer, one.sentence, one.rule)}" for one in left]
    return [*lines, *verdict(changes)]


def _line(bump: Bump, pointer: str, sentence: str, rule: str) -> str:
    return f"{bump.word:5}  {pointer + '  ' if pointer else ''}{sentence}  [{rule}]"


def _head(name: str, changes: Changes) -> str:
    change = changes.plan if name == WHOLE_PLAN else changes.events[name]
    return f"{name or 'the plan'}  {_step(change)}{change.bump.word}"


def _step(change: EventChange) -> str:
    if not change.old:
        return f"{change.next}: "
    if not change.next:
        return f"{change.old}: "
    return f"{change.old} -> {change.next}: " if change.bump is not Bump.ERROR else f"{change.old}: "


def verdict(changes: Changes) -> list[str]:
    """What the change is, and what to do where it may not be released as it is."""
    if changes.errors:
        lines = [f"{len(changes.errors)} of these cannot be released under any version; correct them"]
    else:
        lines = [f"the plan goes from {changes.plan.old} to {changes.plan.next} ({changes.bump.word})"]
    if changes.unasked:
        events = sorted({finding.event or "the plan" for finding in changes.unasked})
        more = f" and {len(events) - NAMES_MAX} more" if len(events) > NAMES_MAX else ""
        lines.append(
            f"a new major is needed and was not asked for: {', '.join(events[:NAMES_MAX])}{more}; undo it, or ask "
            "for it: raise the event's version to its next major and list the old one in accept, or raise plan.yaml's"
        )
    return lines


def as_markdown(changes: Changes, groups: Groups, against: str) -> list[str]:
    """A comment for a pull request."""
    if not changes.findings:
        return [f"### Tracking plan: no change against `{against}`"]
    plan = changes.plan
    title = f"{changes.bump.word}, {plan.old} → {plan.next}" if changes.bump is not Bump.ERROR else "cannot be released"
    lines = [f"### Tracking plan: {title}", ""]
    lines += [f"{'**' if changes.refused else ''}{_sentence(text)}{'**' if changes.refused else ''}  "
              for text in verdict(changes)]  # fmt: skip
    once = shared(changes, groups)
    told = {(one.rule, one.pointer, one.sentence) for one in once}
    rows = [_row(one.bump, one.head(), one.pointer, f"{one.sentence} ({one.names()})", one.rule) for one in once]
    for name, findings in _by_event(changes.findings):
        change = changes.plan if name == WHOLE_PLAN else changes.events[name]
        shown = f"`{name}` {_step(change).rstrip(': ')}" if name else "the plan"
        rows += [
            _row(one.bump, shown, one.pointer, one.sentence, one.rule)
            for one in findings
            if (one.rule, one.pointer, one.sentence) not in told
        ]
    lines += ["", "| bump | event | where | change | rule |", "| --- | --- | --- | --- | --- |", *rows[:ROWS_MAX]]
    if len(rows) > ROWS_MAX:
        lines += ["", f"{len(rows) - ROWS_MAX} more rows; `footfall plan diff` lists all of them."]
    return lines


def _row(bump: Bump, event: str, pointer: str, sentence: str, rule: str) -> str:
    word = f"**{bump.word}**" if bump >= Bump.MAJOR else bump.word
    where = f"`{pointer.replace('`', '')}`".replace("|", "\\|") if pointer else ""
    return f"| {word} | {cell(event)} | {where} | {cell(sentence)} | {rule} |"


def cell(text: str) -> str:
    """Text that neither ends the cell nor becomes HTML: names and values come from files that anyone may propose."""
    for char, harmless in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("@", "&#64;"), ("\n", " ")):
        text = text.replace(char, harmless)
    return text


def _sentence(text: str) -> str:
    return cell(text[:1].upper() + text[1:] + ".")


def _by_event(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    by_event: dict[str, list[Finding]] = {}
    for finding in findings:
        by_event.setdefault(finding.event, []).append(finding)
    return sorted(by_event.items(), key=lambda entry: (-max(one.bump for one in entry[1]), entry[0]))
