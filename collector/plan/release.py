"""`footfall plan release`: versions computed, majors frozen, plan.lock and the changelog written.

    files + plan.lock --copy, edit, load, test, compare--> refused, or written: history/, plan.yaml, events/,
                                                           CHANGELOG.md, and plan.lock last

All of it happens in a copy first; the folder is touched only when the outcome has been loaded and tested. Each file is
replaced at once, and plan.lock, the only one that collectors look at, comes last: a release that is cut short leaves
them the plan they had, and the next one ends where this one would have.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from collector.files import replace_file
from collector.plan.against import (
    copy_plan,
    groups_of,
    history_path,
    load_copy,
    released_plan,
    retired,
    unfrozen,
    write_frozen,
)
from collector.plan.changes import WHOLE_PLAN, Bump, Changes, parts_of
from collector.plan.changes_text import Groups, shared
from collector.plan.compat import Seen, compare
from collector.plan.lock import LOCK_NAME, lock_bytes, write_lock
from collector.plan.model import EventPlan, Plan
from collector.plan.problems import Mark, PlanError, Problems
from collector.plan.read import read_file
from collector.plan.report import run_tests

CHANGELOG = "CHANGELOG.md"
_HEAD = "# Changelog of the tracking plan\n\nWritten by `footfall plan release`; it may be put in better words.\n"


class Release(Struct, frozen=True, kw_only=True):
    """What a release did, or would do.

    `failures` are mistakes and failed tests, `file:line:column: sentence`, or what stored events object. With those, or
    with changes that may not be released, nothing was written and `refused` is true. `files` are paths within the
    folder, in the order of writing; `left` names majors (`purchase@2`) that were frozen now and that their event does
    not accept.
    """

    old: str
    new: str
    changes: Changes | None = None
    groups: Groups = Groups()
    failures: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    refused: bool = False


class Stored(Protocol):
    """What stored events say of a release. Asked only where something has changed."""

    def seen(self) -> Seen | None:
        """Unplanned names that were sent, by event; None when nobody can say."""

    def objection(self, old: Plan, plan: Plan, changes: Changes) -> str:
        """Why this plan, as it would be written after `old`, must not be released: one sentence, or nothing."""


def release(
    folder: Path,
    today: datetime.date,
    *,
    allow_major: bool = False,
    write: bool = True,
    stored: Stored | None = None,
) -> Release:
    """Release the plan in `folder`.

    Args:
        folder: It holds plan.yaml; plan.lock, when there is one, is the release before.
        today: The date of the changelog entry, and the day by which sunsets are judged.
        allow_major: Release majors that nobody asked for in the files.
        write: False only tells what would be done.
        stored: Answers for the events that are stored.
    Raises:
        PlanError: plan.lock is damaged, or a file cannot be edited.
    """
    old = _before(folder)
    with TemporaryDirectory(prefix="footfall-release-") as made:
        copy = Path(made) / "plan"
        try:
            copy_plan(folder, copy)
            was = _contents(copy)
            if old is not None:
                for path, event in unfrozen(folder, old):
                    write_frozen(copy / path, event, old)
            plan = load_copy(copy, folder)
        except PlanError as error:
            return _failed(old, str(error).splitlines())
        if old is None and (problem := _released_before(folder, plan)):
            return _failed(old, [problem])
        failed = [f"{one.test.mark}: {one.failure}" for one in run_tests(plan) if one.failure]
        if failed:
            return _failed(old, [line.replace(str(copy), str(folder)) for line in failed])
        changes = None
        groups = Groups()
        if old is not None:
            asked = stored if old.hash != plan.hash else None
            seen = asked.seen() if asked is not None else None
            changes = compare(old, plan, today=today, seen=seen, retired=retired(copy), released=old)
            groups = groups_of(copy, plan, changes.events)
            if changes.errors or (changes.unasked and not allow_major):
                return Release(old=old.version, new=plan.version, changes=changes, groups=groups, refused=True)
            _stage(copy, folder, old, plan, changes)
            plan = load_copy(copy, folder)
            # Again, so that the changelog also says what the new versions mean, such as a major that is not accepted.
            changes = compare(old, plan, today=today, seen=seen, retired=retired(copy))
            if asked is not None and (problem := asked.objection(old, plan, changes)):
                return Release(old=old.version, new=plan.version, changes=changes, groups=groups, failures=(problem,),
                               refused=True)  # fmt: skip
        plan = replace(plan, folder=str(folder))
        done = _outcome(folder, copy, old, plan, changes, groups, today)
        if write:
            _write_all(folder, was, done, plan)
        return done.release


def _before(folder: Path) -> Plan | None:
    """The release before. A lock that cannot be read must not be written over: nobody would know what was live."""
    try:
        return released_plan(folder)
    except PlanError as error:
        what = str(error).partition("; ")[0]
        raise PlanError(f"{what}; take it from version control, or, to release without comparing, delete it and write "
                        "a version into plan.yaml under which nothing was released") from None  # fmt: skip


def _released_before(folder: Path, plan: Plan) -> str:
    """What is wrong where the lock is gone and the changelog knows the version: another plan may have had it."""
    log = _read(folder / CHANGELOG).decode("utf-8", "replace")
    if not _section(plan.version).search(log):
        return ""
    return (
        f"{folder / LOCK_NAME} is missing, and {folder / CHANGELOG} says that {plan.version} was released; take the "
        "lock from version control, or, if that release never was, delete its entry there"
    )


def _failed(old: Plan | None, failures: list[str]) -> Release:
    version = old.version if old is not None else ""
    return Release(old=version, new=version, failures=tuple(failures), refused=True)


def _stage(copy: Path, folder: Path, old: Plan, plan: Plan, changes: Changes) -> None:
    """Freeze what was left behind and write the computed versions, in the copy."""
    for name, change in changes.events.items():
        before, after = old.events.get(name), plan.events.get(name)
        gone = before is not None and (after is None or parts_of(change.next)[0] > before.major)
        if gone and before is not None and not (copy / history_path(before)).exists():
            write_frozen(copy / history_path(before), before, old)
        if before is not None and after is not None:
            _set_version(copy / _file_of(after, copy), change.next, copy, folder)
    _set_version(copy / "plan.yaml", changes.plan.next, copy, folder)


def _file_of(event: EventPlan, copy: Path) -> Path:
    path = Path(event.file)
    return path.relative_to(copy) if path.is_absolute() else path


def _set_version(path: Path, version: str, copy: Path, folder: Path) -> None:
    """Write a version into a file and leave every other character as it is."""
    problems = Problems()
    found = read_file(path, problems)
    problems.stop_if_any()
    assert found is not None
    stated = found.entries.get("version")
    if stated is None or getattr(stated, "value", None) == version:
        return
    text = path.read_bytes().decode("utf-8")
    lines = re.split(r"(?<=\n)", text)
    line, column = stated.mark.line - 1, stated.mark.column - 1
    edited = re.sub(r"^([\"']?)[0-9]+\.[0-9]+\.[0-9]+\1", rf"\g<1>{version}\g<1>", lines[line][column:])
    lines[line] = lines[line][:column] + edited
    path.write_bytes("".join(lines).encode("utf-8"))
    again = read_file(path, problems)
    if again is None or getattr(again.entries.get("version"), "value", None) != version:
        path.write_bytes(text.encode("utf-8"))
        place = Mark(stated.mark.file.replace(str(copy), str(folder)), stated.mark.line, stated.mark.column)
        raise PlanError(f"{place}: the version cannot be written here; write `version: {version}` on a line of its own")


class _Outcome(Struct, frozen=True):
    """A release, and the new content of its files."""

    release: Release
    content: dict[str, bytes]
    lock: bool


def _outcome(
    folder: Path,
    copy: Path,
    old: Plan | None,
    plan: Plan,
    changes: Changes | None,
    groups: Groups,
    today: datetime.date,
) -> _Outcome:
    content = {path: data for path, data in _contents(copy).items() if data != _read(folder / path)}
    if changes is None or changes.findings:
        log = _logged(_read(folder / CHANGELOG), _entry(plan, changes, groups, today), plan.version)
        if log != _read(folder / CHANGELOG):
            content[CHANGELOG] = log
    lock = _read(folder / LOCK_NAME) != lock_bytes(plan)
    version = old.version if old is not None else ""
    files = (*content, *([LOCK_NAME] if lock else []))
    frozen = [Path(path).stem for path in content if path.startswith("history/")]
    accepted = {f"{name}@{major}" for name, major in plan.history}
    left = tuple(name for name in frozen if name not in accepted and name.partition("@")[0] in plan.events)
    done = Release(old=version, new=plan.version, changes=changes, groups=groups, files=files, left=left)
    return _Outcome(done, content, lock)


def _write_all(folder: Path, was: dict[str, bytes], done: _Outcome, plan: Plan) -> None:
    """Write what differs, in an order that may be cut anywhere."""
    for path, data in was.items():
        if _read(folder / path) != data:
            raise PlanError(f"{folder / path} was edited while the plan was being released; run the release again")
    try:
        for path, data in done.content.items():
            replace_file(folder / path, data)
        if done.lock:
            write_lock(plan, folder / LOCK_NAME)
    except OSError as error:
        raise PlanError(f"{folder} cannot be written ({error.strerror}); nothing is live yet, collectors keep the plan "
                        "they have; make room or get access, and run the release again") from error  # fmt: skip


def _contents(copy: Path) -> dict[str, bytes]:
    """The files of a copy in the order of writing."""
    return {path: (copy / path).read_bytes() for path in _in_order(copy)}


def _in_order(copy: Path) -> list[str]:
    """History first, so that no major is left without its file; plan.yaml next, whose raised major says that those of
    its events were meant; then the events."""
    paths = [path.relative_to(copy).as_posix() for path in copy.rglob("*.yaml")]
    return sorted(paths, key=lambda path: (not path.startswith("history/"), path != "plan.yaml", path))


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


# The changelog


def _entry(plan: Plan, changes: Changes | None, groups: Groups, today: datetime.date) -> str:
    """The section of one release."""
    lines = [f"## [{plan.version}] - {today.isoformat()}", ""]
    if changes is None:
        lines += ["First release.", "", *(f"- {event.name} {event.version}" for event in plan.events.values())]
        return "\n".join(lines) + "\n"
    once = shared(changes, groups)
    told = {(one.rule, one.pointer, one.sentence) for one in once}
    lines += [f"- {one.head()}: {one.sentence} ({one.names()})" for one in once]
    by_event: dict[str, list[str]] = {}
    for finding in changes.findings:
        said = by_event.setdefault(finding.event, [])
        if (finding.rule, finding.pointer, finding.sentence) not in told:
            said.append(f"  - {finding.bump.word}: {finding.sentence}")
    for name, said in sorted(by_event.items()):
        change = changes.plan if name == WHOLE_PLAN else changes.events[name]
        step = " → ".join(part for part in (change.old, change.next) if part)
        bump = f" ({change.bump.word})" if name and change.bump is not Bump.NONE else ""
        lines += [f"- {name or 'the plan'} {step}{bump}", *said]
    return "\n".join(lines) + "\n"


def _logged(log: bytes, entry: str, version: str) -> bytes:
    """The changelog with this entry on top, in the place of one for the same version that a cut release left."""
    text = log.decode("utf-8") if log else _HEAD
    text = _section(version).sub("", text)
    first = re.search(r"^## ", text, re.MULTILINE)
    at = first.start() if first else len(text)
    before, after = text[:at].rstrip("\n"), text[at:]
    return (f"{before}\n\n{entry}" + (f"\n{after}" if after else "")).encode("utf-8")


def _section(version: str) -> re.Pattern[str]:
    """The entry of a version in the changelog."""
    return re.compile(rf"^## \[{re.escape(version)}\].*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
