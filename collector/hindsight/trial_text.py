"""The outcome of a trial as people and machines read it: lines for a terminal, a pull request's comment, JSON."""

from __future__ import annotations

from typing import Any

from collector.hindsight.trial import CHANGES, Case, Trial
from collector.plan.changes_text import cell

ROWS_MAX = 100  # a comment is read, not scrolled; the JSON has them all

_WOULD = {
    "dropped": "would newly drop",
    "quarantined": "would newly quarantine",
    "stripped": "would newly strip a value from",
    "flagged": "would newly flag",
    "later": "would judge otherwise from a later day on",
    "cleared": "would no longer flag or strip",
    "accepted": "would newly accept",
}


def in_order(trial: Trial) -> list[Case]:
    """Worst change first, then the largest share."""
    return sorted(
        trial.cases.values(),
        key=lambda case: (CHANGES.index(case.change), -case.share, -case.count, case.event, case.version, case.reason),
    )


def headline(case: Case) -> str:
    """`would newly quarantine 0.4 % of purchase@2 (constraint)`."""
    which = f"failed {named(case)}" if case.change == "accepted" else named(case)
    return f"{_WOULD[case.change]} {percent(case.share)} of {which} ({case.reason}: {case.count:,} of {case.of:,})"


def named(case: Case) -> str:
    """`purchase@2`; without a version where the plan knew none."""
    return f"{case.event}@{case.version}" if case.version else case.event or "(no name)"


def percent(share: float) -> str:
    """`0.4 %`; what is not nothing is never shown as 0, nor what is not all as 100."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share * 100:.3g} %"


def summary(trial: Trial, days: int, plan: str) -> str:
    """What was looked at."""
    stored = sum(total.stored for total in trial.totals.values())
    failed = sum(total.failed for total in trial.totals.values())
    return f"plan {plan} over {days} days: {stored:,} stored and {failed:,} failed events"


def as_text(trial: Trial, days: int, plan: str) -> list[str]:
    """Lines for a terminal."""
    lines = [summary(trial, days, plan)]
    for case in in_order(trial):
        example = case.example
        lines.append(f"  {headline(case)}")
        lines.append(f"      for example {example.message_id}: {example.sentence}")
    if not trial.cases:
        lines.append("  nothing would be different for them")
    return [*lines, *_footnotes(trial)]


def as_markdown(trial: Trial, days: int, plan: str) -> list[str]:
    """A comment for a pull request."""
    cases = in_order(trial)
    lines = ["### Tracking plan: simulation", "", f"{cell(summary(trial, days, plan)).capitalize()}.", ""]
    lines += [f"- **{cell(headline(case))}**" for case in cases[:10] if case.change in ("dropped", "quarantined")]
    if not cases:
        lines.append("Nothing would be different.")
    else:
        lines += [
            "",
            "| change | event | reason | events | share | for example |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {case.change} | {cell(named(case))} | {case.reason} | {case.count:,} | {percent(case.share)} "
            f"| {cell(case.example.sentence)} |"
            for case in cases[:ROWS_MAX]
        ]
    if len(cases) > ROWS_MAX:
        lines += ["", f"{len(cases) - ROWS_MAX} more rows; `footfall plan simulate --format json` lists all of them."]
    return [*lines, *(f"\n{cell(note)}" for note in _footnotes(trial))]


def as_json(trial: Trial, days: int, plan: str) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "plan": plan,
        "days": days,
        "totals": sorted(trial.totals.values(), key=lambda total: (total.event, total.version)),
        "cases": [
            {"event": case.event, "version": case.version, "change": case.change, "reason": case.reason,
             "count": case.count, "of": case.of, "share": round(case.share, 6), "example": case.example}
            for case in in_order(trial)
        ],
        "left_out": trial.left_out,
        "notes": trial.notes,
    }  # fmt: skip


def _footnotes(trial: Trial) -> list[str]:
    left = [f"{trial.left_out:,} events of rare names were left out"] if trial.left_out else []
    return left + trial.notes
