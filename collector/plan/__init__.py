"""The tracking plan: what events may be sent, written by product teams in YAML, checked by the collector in C.

    folder of YAML --load_plan--> Plan --compile_plan--> CompiledPlan --check--> Checked
                                   |  ^
                          write_lock  read_lock: plan.lock

Read schemas/README.md for the format. load.py reads and merges, event.py reads one event, resolve.py looks up types,
lock.py writes and reads plan.lock, live.py follows it; rules.py says what is valid, fast.py says the same to msgspec,
check.py puts the two together.
"""

from __future__ import annotations

from collector.plan.check import Checked, CompiledPlan
from collector.plan.live import LivePlan, read_plan
from collector.plan.load import load_plan
from collector.plan.lock import read_lock, write_lock
from collector.plan.model import Action, EventPlan, Plan
from collector.plan.problems import PlanError
from collector.plan.report import Report, check_plan, check_report
from collector.plan.rules import Violation


def compile_plan(plan: Plan) -> CompiledPlan:
    """Build the decoders and rules of every event, once at start: about 0.7 ms an event."""
    return CompiledPlan(plan).prepare()


__all__ = [
    "Action",
    "Checked",
    "CompiledPlan",
    "EventPlan",
    "LivePlan",
    "Plan",
    "PlanError",
    "Report",
    "Violation",
    "check_plan",
    "check_report",
    "compile_plan",
    "load_plan",
    "read_lock",
    "read_plan",
    "write_lock",
]
