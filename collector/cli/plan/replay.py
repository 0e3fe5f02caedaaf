"""`footfall plan replay`: events that were refused, and that the plan accepts by now, are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from collector.cli.options import Failure, print_json, with_data

if TYPE_CHECKING:
    from collector.config import Settings
    from collector.hindsight.replay import Replayed


@click.command()
@click.option("--days", metavar="N", type=click.IntRange(1, 3_650), default=30, show_default=True,
              help="Look at events refused in the last N days.")  # fmt: skip
@click.option("--event", metavar="NAME", default="", help="Only this event.")
@click.option("--reason", metavar="WORD", default="", help="Only those refused for this, such as missing_required.")
@click.option("--plan", metavar="DIR", help="Folder of the plan (default: the one the collector acts on).")
@click.option("--dry-run", is_flag=True, help="Only say what would be stored.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def replay(
    settings: Settings, days: int, event: str, reason: str, plan: str | None, dry_run: bool, as_json: bool
) -> None:
    """Store the failed events that the plan accepts by now, once, with their own times and ids.

    Works while a collector runs and when none does. Run it again whenever you like, also after it was killed: what is
    stored already is not stored again.
    """
    from pathlib import Path

    from collector.cli.plan.reading import DAY_MS, reading
    from collector.hindsight.failed import Wanted, tools_for
    from collector.hindsight.replay import replay as run
    from collector.hindsight.segment import Replayer
    from collector.ingest.clock import now_ms
    from collector.plan import compile_plan, read_plan
    from collector.plan.against import unreleased
    from collector.reason import Reason

    known = [one.word for one in Reason if one.rejects_event]
    if reason and reason not in known:
        raise Failure(f"{reason!r} is no reason to refuse an event; choose one of {', '.join(known)}")
    folder = Path(plan) if plan else settings.plan_dir
    current = read_plan(folder)
    if said := unreleased(folder, current):
        click.echo(said, err=True)
    wanted = Wanted(now_ms() - days * DAY_MS, event, reason)
    tools = tools_for(compile_plan(current), Path(settings.data))
    with reading(settings, "footfall plan replay", loads=True) as session:
        if dry_run:
            done, loaded = run(session.ask, tools, wanted, None), True
        else:
            replayer = Replayer(Path(settings.data))
            try:
                # What an earlier one left in the spool must be there before anybody is asked what is there.
                if not session.load(replayer.waiting()):
                    problem = session.failure() or "it is slow"
                    raise Failure(f"the collector has not loaded the replay before this one ({problem}); try again")
                done = run(session.ask, tools, wanted, replayer)
                replayer.seal()
                loaded = session.load(replayer.waiting())
            finally:
                replayer.close()
    if as_json:
        print_json(_as_json(done, f"{current.name} {current.label}", dry_run, loaded))
    else:
        for line in _as_text(done, f"{current.name} {current.label}", dry_run, loaded):
            click.echo(line)


def _as_json(done: Replayed, plan: str, dry_run: bool, loaded: bool) -> dict[str, object]:
    words = ("failed", "replayed", "stored", "dropped", "still_failing")
    return {
        "plan": plan,
        "dry_run": dry_run,
        "loaded": loaded,
        **{word: done.total(word) for word in words},
        "events": [done.tallies[key] for key in sorted(done.tallies)],
    }


def _as_text(done: Replayed, plan: str, dry_run: bool, loaded: bool) -> list[str]:
    if not done.tallies:
        return ["no event was refused in that time"]
    lines = []
    for key in sorted(done.tallies):
        tally = done.tallies[key]
        parts = [f"{tally.replayed:,} {'would be stored' if dry_run else 'stored'}"]
        parts += [f"{tally.stored:,} were stored before"] if tally.stored else []
        parts += [f"{tally.dropped:,} are dropped by the plan"] if tally.dropped else []
        parts += [f"{tally.still_failing:,} still fail ({_still(tally.still)})"] if tally.still_failing else []
        lines.append(f"{tally.event or '(no name)'}  {tally.reason}: {tally.failed:,} failed, {', '.join(parts)}")
    verb = (
        "would be stored" if dry_run else "are stored" if loaded else "are in the spool, where the collector has them"
    )
    return [*lines, f"{done.total('replayed'):,} of {done.total('failed'):,} failed events {verb}, by plan {plan}"]


def _still(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items(), key=lambda one: -one[1]))
