"""`footfall plan status`: what of the plan is in use, and how well what comes follows it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from collector.cli.options import print_json, with_data

if TYPE_CHECKING:
    from collector.config import Settings
    from collector.hindsight.usage import Counted, EventUsage, Usage


@click.command()
@click.argument("folder", required=False)
@click.option("--days", metavar="N", type=click.IntRange(1, 3_650), default=7, show_default=True,
              help="Look at events received in the last N days.")  # fmt: skip
@click.option("--failed-max", metavar="SHARE", type=click.FloatRange(0, 1), default=0.01, show_default=True,
              help="A larger share of failed events is wrong.")  # fmt: skip
@click.option("--check", is_flag=True, help="Exit 1 when something is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def status(settings: Settings, folder: str | None, days: int, failed_max: float, check: bool, as_json: bool) -> int:
    """Show per event whether it comes, in which versions, what fails, and what comes that nobody planned.

    With --check, wrong is: an event that is not planned, too many that fail, a version past its end, what the plan's
    `expect:` does not allow, any violation from an environment with `report: ci`, and two plans under one version.
    """
    from pathlib import Path

    from collector.cli.plan.reading import reading
    from collector.hindsight.usage import usage
    from collector.ingest.clock import now_ms
    from collector.plan import read_plan

    plan = read_plan(Path(folder) if folder else settings.plan_dir)
    with reading(settings, "footfall plan status") as session:
        found = usage(session.ask, plan, days, now_ms(), failed_max)
    if as_json:
        print_json(_as_json(found, f"{plan.name} {plan.label}", days))
    else:
        click.echo("\n".join(_as_text(found, f"{plan.name} {plan.label}", days)))
    return 1 if check and found.wrong else 0


def _as_json(found: Usage, plan: str, days: int) -> dict[str, Any]:
    events = [
        msgspec.to_builtins(one, str_keys=True) | {"state": one.state, "failed_share": round(one.failed_share, 6)}
        for one in _in_order(found)
    ]
    left = found.names_left_out
    return {"plan": plan, "days": days, "events": events, "wrong": found.wrong, "names_left_out": left}


_STATES = ("seen", "not planned", "not seen lately", "never seen")


def _in_order(found: Usage) -> list[EventUsage]:
    return sorted(found.events.values(), key=lambda one: (_STATES.index(one.state), -one.count, one.event))


def _as_text(found: Usage, plan: str, days: int) -> list[str]:
    events = _in_order(found)
    lines = [f"plan {plan} over {days} days", *(f"  WRONG  {sentence}" for sentence in found.shared)]
    for state in _STATES:
        chosen = [one for one in events if one.state == state]
        if not chosen:
            continue
        lines += ["", f"{state} ({len(chosen)})"]
        if state == "never seen":
            lines.append("  " + ", ".join(one.event for one in chosen))
            continue
        for one in chosen:
            lines += _lines(one)
    if found.names_left_out:
        lines += ["", f"{found.names_left_out:,} further names were left out"]
    return [*lines, "", f"{len(found.wrong)} wrong" if found.wrong else "nothing is wrong"]


def _lines(one: EventUsage) -> list[str]:
    versions = ", ".join(f"@{version} {count:,}" for version, count in sorted(one.versions.items()) if version)
    head = f"  {one.event}  {one.count:,}" + (f" ({versions})" if versions else "")
    if one.last_seen_ms is not None and one.first_seen_ms is not None:
        head += f", first {_moment(one.first_seen_ms)}, last {_moment(one.last_seen_ms)}"
    if one.failed:
        head += f"; {one.failed:,} failed" + (f", {one.replayed:,} of them stored since" if one.replayed else "")
        head += f" ({one.failed_share:.1%})"
    lines = [head]
    for word, counted in (("failed", one.failures), ("found", one.violations), ("unplanned", one.unplanned)):
        if counted:
            lines.append(f"      {word}: {_listed(counted)}")
    lines += [f"      {sentence}" for sentence in one.ends]
    return lines + [f"      WRONG  {sentence}" for sentence in one.wrong]


def _listed(counted: list[Counted]) -> str:
    return ", ".join(f"{one.name} {one.count:,}" for one in counted)


def _moment(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M")
