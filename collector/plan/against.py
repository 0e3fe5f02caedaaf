"""The plans a change is compared with: the working folder, its lock, a commit, what runs, and what is frozen.

    FOLDER | lock | live | git:REF[:PATH] --> Plan

A major that an editor has raised is not frozen yet: `plan release` does that. Until then the plan that was released
stands in for the missing file of history/, so that the folder can be checked.
"""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec.structs import replace

from collector.plan.changes_text import Groups
from collector.plan.compat import Retired
from collector.plan.freeze import frozen_text
from collector.plan.load import FILES_MAX, load_plan
from collector.plan.lock import LOCK_NAME, LockReader, read_lock
from collector.plan.model import EventPlan, Plan
from collector.plan.problems import PlanError, Problems
from collector.plan.read import Leaf, Map, Seq, content_of, plain, read_file
from collector.plan.rules import token

# A repository on a slow disk answers in seconds; what takes longer waits for a password or a network.
GIT_SECONDS_MAX = 60

_VERSION = re.compile(r"^[\"']?version[\"']?\s*:\s*[\"']?([0-9]{1,5})\.", re.MULTILINE)


def released_plan(folder: Path) -> Plan | None:
    """The plan of the folder's plan.lock; None when nothing was released yet.

    Raises:
        PlanError: the lock is damaged.
    """
    path = folder / LOCK_NAME
    return read_lock(path) if path.exists() else None


def locked_plan(folder: Path) -> Plan:
    """The same, where there must be one."""
    found = released_plan(folder)
    if found is None:
        raise PlanError(f"{folder / LOCK_NAME} is missing, so nothing was released yet; run `footfall plan release`")
    return found


def stored_plan(lock: bytes) -> Plan:
    """The plan in a lock that the database has.

    Raises:
        PlanError: another Footfall wrote it.
    """
    try:
        return LockReader().decode(lock, Path("plan_versions"))
    except (PlanError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        problem = str(error).partition("; ")[0]
        sentence = f"the live plan is not one that this Footfall reads ({problem}); use the version of the collector"
        raise PlanError(sentence) from None


def working_plan(folder: Path, released: Plan | None) -> Plan:
    """The plan in the files of `folder`. Majors raised since `released` and not yet frozen are taken from there.

    Raises:
        PlanError: as load_plan, with the places in `folder`.
    """
    raised = dict(unfrozen(folder, released))
    if not raised or released is None:
        return load_plan(folder)
    with TemporaryDirectory(prefix="footfall-plan-") as made:
        copy = Path(made) / "plan"
        copy_plan(folder, copy)
        for path, event in raised.items():
            write_frozen(copy / path, event, released)
        return replace(load_copy(copy, folder), folder=str(folder))


def unreleased(folder: Path, current: Plan) -> str:
    """One line where a folder's files say something else than the plan that was read from it; else nothing."""
    try:
        working = working_plan(folder, current)
    except PlanError as error:
        return f"the files in {folder} have mistakes ({str(error).splitlines()[0]}); {LOCK_NAME} is what judges"
    if working.hash == current.hash:
        return ""
    return (
        f"the files in {folder} are not what was released as {current.version}, by which events are judged; run "
        "`footfall plan release` first"
    )


def load_copy(copy: Path, folder: Path) -> Plan:
    """Load a copy of a folder; mistakes are told with the places that people know."""
    try:
        return load_plan(copy)
    except PlanError as error:
        raise PlanError(str(error).replace(str(copy), str(folder))) from None


def unfrozen(folder: Path, released: Plan | None) -> Iterator[tuple[str, EventPlan]]:
    """Released majors that the files have left behind and that are not in history/ yet, by the path they belong at."""
    for path in sorted(folder.glob("events/**/*.yaml")) if released is not None else ():
        event = released.events.get(path.stem) if released is not None else None
        if event is None:
            continue
        try:
            stated = _VERSION.search(content_of(path).decode("utf-8", errors="replace"))
        except OSError:
            continue  # load_plan says so, with what to do
        target = history_path(event)
        if stated and int(stated[1]) > event.major and not (folder / target).exists():
            yield target, event


def history_path(event: EventPlan) -> str:
    """Where the frozen file of a major belongs, within the folder."""
    return f"history/{event.name}@{event.major}.yaml"


def write_frozen(path: Path, event: EventPlan, released: Plan) -> None:
    """Write the frozen file of a released event."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(frozen_text(event, released.rules), encoding="utf-8")


def copy_plan(folder: Path, to: Path) -> None:
    """Copy the YAML files of a plan; nothing else is part of one.

    Raises:
        PlanError: there is no such folder, or a file of it cannot be read.
    """
    if not folder.is_dir():
        raise PlanError(f"{folder}: there is no such folder; name the folder that holds plan.yaml")
    to.mkdir()
    for suffix in ("*.yaml", "*.yml"):
        for path in folder.rglob(suffix):
            parts = path.relative_to(folder).parts
            if not any(part.startswith(".") for part in parts):
                target = to.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    target.write_bytes(content_of(path))
                except OSError:
                    read_file(path, problems := Problems())
                    problems.stop_if_any()
                    raise


# Git


def git_plan(spec: str, folder: Path) -> Plan:
    """The plan at a commit.

    Args:
        spec: REF, or REF:PATH where PATH is the plan's folder within the repository; without it, that of `folder`.
        folder: A folder in the repository's working tree.
    Raises:
        PlanError: there is no git, repository, commit or plan, or the plan there has mistakes.
    """
    ref, _, path = spec.partition(":")
    if not ref:
        raise PlanError("git: names no commit; write git:REF such as git:origin/main")
    at = folder if folder.is_dir() else Path.cwd()
    prefix = path.strip("/") if path else _git(at, "rev-parse", "--show-prefix").decode().strip().rstrip("/")
    commit = _git(at, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}",
                  otherwise=f'git knows no commit "{ref}"; fetch it, or name another').decode().strip()  # fmt: skip
    with TemporaryDirectory(prefix="footfall-plan-") as made:
        copy = Path(made) / "plan"
        copy.mkdir()
        if not _checkout(at, commit, prefix, copy):
            raise PlanError(f"{ref} holds no plan in {prefix or 'its top folder'}; name it with git:{ref}:FOLDER")
        try:
            return replace(working_plan(copy, released_plan(copy)), folder="")
        except PlanError as error:
            place = f"{ref}:{prefix}" if prefix else ref
            raise PlanError(str(error).replace(str(copy), place)) from None


def _checkout(at: Path, commit: str, prefix: str, to: Path) -> bool:
    """Write the plan's files of a commit; False when it has none."""
    top = Path(_git(at, "rev-parse", "--show-toplevel").decode().strip())
    listed = _git(top, "ls-tree", "-r", "-z", commit, "--", *([f"{prefix}/"] if prefix else []))
    files: list[tuple[str, str]] = []
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = line.partition("\t")
        if facts.startswith("100") and path.endswith((".yaml", ".yml", f"/{LOCK_NAME}", LOCK_NAME)):
            files.append((facts.split()[2], path.removeprefix(f"{prefix}/") if prefix else path))
    if not any(path == "plan.yaml" for _, path in files):
        return False
    if len(files) > FILES_MAX:
        raise PlanError(f"{commit} has {len(files):,} plan files, the limit is {FILES_MAX:,}; split the plan")
    content = io.BytesIO(_git(top, "cat-file", "--batch", send="".join(f"{name}\n" for name, _ in files).encode()))
    for _, path in files:
        size = int(content.readline().split()[2])
        target = to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.read(size))
        content.read(1)
    return True


def _git(at: Path, *arguments: str, send: bytes = b"", otherwise: str = "") -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(at), *arguments], input=send, capture_output=True, check=False,  # noqa: S603, S607 - the user's own git, on the user's own repository
                              timeout=GIT_SECONDS_MAX)  # fmt: skip
    except FileNotFoundError:
        raise PlanError("git is not installed; install it, or compare with `lock` or a folder") from None
    except subprocess.TimeoutExpired:
        raise PlanError(f"git did not answer within {GIT_SECONDS_MAX} seconds; try again") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise PlanError(otherwise or f"git could not read {at} ({said[0] if said else 'no reason given'})")
    return done.stdout


# What only the YAML says: where a shared edit was made


def groups_of(folder: Path, plan: Plan, events: Iterable[str]) -> Groups:
    """The groups in `folder`, and which of them these events use. What cannot be read is left out: it only names."""
    used: dict[str, tuple[str, ...]] = {}
    for name in events:
        event = plan.events.get(name)
        found = read_file(folder / event.file, Problems()) if event is not None and event.file else None
        names = found.entries.get("use") if found is not None else None
        if isinstance(names, Seq):
            used[name] = tuple(str(plain(item)) for item in names.items)
    properties: dict[str, frozenset[str]] = {}
    for path in sorted(folder.glob("groups/**/*.yaml")) if used else ():
        found = read_file(path, Problems())
        inner = found.entries.get("properties") if found is not None else None
        if isinstance(inner, Map):
            properties[path.stem] = frozenset(inner.entries)
    return Groups(used, properties)


# What frozen files say, accepted or not


def retired(folder: Path) -> Retired:
    """The majors in history/, and the types that their properties had. Only what is written out counts: types that a
    hand-written file names elsewhere may have changed since."""
    majors: dict[str, set[int]] = {}
    kinds: dict[str, dict[str, set[str]]] = {}
    for path in sorted(folder.glob("history/*.yaml")):
        name, _, tail = path.stem.partition("@")
        found = read_file(path, Problems())
        if found is None or not tail.isdigit():
            continue
        majors.setdefault(name, set()).add(int(tail))
        if isinstance(properties := found.entries.get("properties"), Map):
            for pointer, kind in _kinds(properties, "/properties"):
                kinds.setdefault(name, {}).setdefault(pointer, set()).add(kind)
    return Retired(majors, kinds)


def _kinds(properties: Map, at: str) -> Iterator[tuple[str, str]]:
    for name, value in properties.entries.items():
        if not isinstance(value, Map):
            continue
        pointer = f"{at}/{token(name)}"
        if (kind := _plain_kind(value)) is not None:
            yield pointer, kind
        if isinstance(inner := value.entries.get("properties"), Map):
            yield from _kinds(inner, pointer)


_PLAIN = frozenset({"string", "integer", "number", "decimal", "boolean", "date", "datetime"})


def _plain_kind(value: Map) -> str | None:
    kind = value.entries.get("type")
    return kind.value if isinstance(kind, Leaf) and isinstance(kind.value, str) and kind.value in _PLAIN else None
