"""`footfall plan diff`: what a change of the plan means, and whether it needs a major that was not asked for."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli.options import print_json, settings_of

if TYPE_CHECKING:
    from collector.cli.plan.reading import Session
    from collector.config import Settings
    from collector.hindsight.trial import Trial
    from collector.plan.changes import Changes
    from collector.plan.changes_text import Groups
    from collector.plan.compat import Seen
    from collector.plan.model import Plan


@click.command()
@click.argument("folder", required=False)
@click.option("--against", metavar="WHAT", default="lock",
              help="lock (default), live, git:REF[:PATH], or another plan's folder.")  # fmt: skip
@click.option("--days", metavar="N", type=click.IntRange(1, 3_650),
              help="Also look at the events received in the last N days: which of them the change would refuse, and "
                   "whether a new name was already sent with another type (`live` asks for 30 days).")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("--data", metavar="DIR", help="Data directory of the collector, for `live` and --days.")
@click.option("--config", metavar="FILE", help="TOML file of its settings.")
def diff(folder: str | None, against: str, days: int | None, form: str, data: str | None, config: str | None) -> int:
    """Show what changed in a plan and the version that follows.

    Exit 1 when the change cannot be released as it is: it needs a major that nobody asked for, or breaks what was
    released. Ask for a major by raising an event's version to the next one and listing the old one in accept.

    `live` is the plan that the database names as live now; where it cannot be asked, the one of the configured folder.
    """
    from collector.cli.plan.stored import not_asked, seen_in
    from collector.plan.against import released_plan, working_plan
    from collector.plan.changes_text import as_json, as_markdown, as_text

    settings = settings_of(data=data, config=config)
    chosen = Path(folder) if folder else settings.plan_dir
    trial: Trial | None = None
    with _asking(settings, against, days) as session:
        old, named = other_plan(chosen, against, settings, session)
        new = working_plan(chosen, released_plan(chosen) or old)
        seen = seen_in(session) if days is None else seen_in(session, days)
        if days is not None and session is not None:
            trial = _trial(settings, new, days, session)
    changes, groups = changes_of(chosen, new, old, seen)
    if trial is not None:
        trial = trial.of(changes.events)
    name = f"{new.name} {changes.plan.next}"
    if form == "json":
        from collector.hindsight.trial_text import as_json as trial_as_json

        stored = {} if trial is None or days is None else {"stored": trial_as_json(trial, days, name)}
        print_json(as_json(changes, groups) | stored)
        return 1 if changes.refused else 0
    lines = as_markdown(changes, groups, named) if form == "markdown" else as_text(changes, groups, named)
    lines += not_asked(changes, seen) if form == "text" else []
    if trial is not None and days is not None and changes.findings:
        from collector.hindsight.trial_text import as_markdown as trial_as_markdown
        from collector.hindsight.trial_text import as_text as trial_as_text

        lines += ["", *(trial_as_markdown if form == "markdown" else trial_as_text)(trial, days, name)]
    click.echo("\n".join(lines))
    return 1 if changes.refused else 0


def changes_of(folder: Path, new: Plan, old: Plan, seen: Seen | None = None) -> tuple[Changes, Groups]:
    """Compare the plan of the files in `folder` with another, and name the groups that it shares changes through."""
    from collector.plan.against import groups_of, released_plan, retired
    from collector.plan.compat import compare

    today = datetime.datetime.now(datetime.UTC).date()
    released = released_plan(folder)  # what versions in the files are computed from, whatever `old` is
    changes = compare(old, new, today=today, seen=seen, retired=retired(folder), released=released)
    return changes, groups_of(folder, new, changes.events)


def other_plan(folder: Path, against: str, settings: Settings, session: Session | None = None) -> tuple[Plan, str]:
    """The plan that `against` names, and what to call it.

    Args:
        folder: The plan that is compared.
        against: lock, live, git:REF[:PATH] or a folder.
        settings: Whose collector `live` means.
        session: Answers what is live; without one the configured folder does.
    Raises:
        PlanError: it is not there, or cannot be read.
    """
    from collector.plan import read_plan
    from collector.plan.against import git_plan, locked_plan, released_plan, stored_plan, working_plan
    from collector.plan.problems import PlanError

    if against == "lock":
        return locked_plan(folder), against
    if against == "live":
        from collector.hindsight.live import live_lock

        live = live_lock(session.ask) if session is not None else None
        if live is not None:
            since = datetime.datetime.fromtimestamp(live.live_from_ms / 1000, datetime.UTC)
            named = f"live ({live.name} {live.version}, since {since:%Y-%m-%d %H:%M} UTC)"
            return stored_plan(live.lock.encode()), named
        if session is not None:
            click.echo(f"The database names no live plan yet; it is taken from {settings.plan_dir} instead.", err=True)
        return read_plan(settings.plan_dir), f"live ({settings.plan_dir})"
    if against.startswith("git:"):
        return git_plan(against.removeprefix("git:"), folder), against
    other = Path(against)
    if not against.strip() or not other.is_dir():
        raise PlanError(
            f"there is no such folder {against!r}; compare with lock, live, git:REF or the folder of another plan"
        )
    return working_plan(other, released_plan(other)), against


def live_session(settings: Settings, against: str) -> contextlib.AbstractContextManager[Session | None]:
    """A session for what `against` needs of the database: None for all but `live`, and where it cannot be asked."""
    return _asking(settings, against, None)


@contextlib.contextmanager
def _asking(settings: Settings, against: str, days: int | None) -> Iterator[Session | None]:
    """Open the database where it is needed. For --days it must be there; for `live` there is another answer."""
    if against != "live" and days is None:
        yield None
        return
    from collector.cli.plan.reading import UNREACHABLE, reading

    with contextlib.ExitStack() as stack:
        session: Session | None = None
        try:
            session = stack.enter_context(reading(settings, "footfall plan diff"))
        except UNREACHABLE as error:
            if days is not None:
                raise
            click.echo(f"{error}. What is live is taken from {settings.plan_dir} instead.", err=True)
        yield session


def _trial(settings: Settings, plan: Plan, days: int, session: Session) -> Trial:
    """What the plan would do to the events of the last days."""
    from collector.cli.plan.reading import DAY_MS
    from collector.hindsight.failed import tools_for
    from collector.hindsight.trial import Span, try_plan
    from collector.ingest.clock import now_ms
    from collector.plan import compile_plan

    now = now_ms()
    tools = tools_for(compile_plan(plan), Path(settings.data))
    return try_plan(session.ask, plan, tools, Span(now - days * DAY_MS), now)
