"""A running `footfall serve` follows plan.lock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import structs
from serving import serving

from collector.plan import Plan, load_plan, write_lock

WORKED = Path(__file__).parent / "worked"


def edited(plan: Plan, limit: int) -> Plan:
    """The plan, where the score of a survey is at most so much; more is refused."""
    event = plan.events["nps_response"]
    properties = tuple(
        structs.replace(prop, type=structs.replace(prop.type, maximum=limit)) if prop.name == "score" else prop
        for prop in event.properties
    )
    rules = plan.events["purchase"].rules  # whose constraint is quarantine
    strict = structs.replace(event, properties=properties, rules=rules)
    return structs.replace(plan, version=f"3.2.{limit}", events=plan.events | {"nps_response": strict})


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come true."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_a_released_plan_is_live_without_a_restart_and_a_broken_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    plan = load_plan(WORKED)
    (folder / "plan.yaml").write_text("format: 1\nplan: p\nversion: 1.0.0\n", encoding="utf-8")
    write_lock(edited(plan, 10), folder / "plan.lock")
    sent = 0

    with serving(tmp_path / "data", "--workers", "1", FOOTFALL_PLAN=str(folder)) as collector:

        def accepted(score: int) -> bool:
            nonlocal sent
            sent += 1
            event = {
                "type": "track",
                "event": "nps_response",
                "messageId": f"m-{sent}",
                "properties": {"score": score, "survey_id": "q"},
            }
            answer = collector.send(event)
            assert answer.status == 200, answer
            return bool(json.loads(answer.body)["accepted"])

        assert accepted(9)
        assert not accepted(11)
        write_lock(edited(plan, 8), folder / "plan.lock")
        until(lambda: not accepted(9))
        assert accepted(8)
        (folder / "plan.lock").write_bytes(b"{")
        until(lambda: collector.metric("footfall_plan_reload_failures_total") == 1)
        assert accepted(8)
        assert not accepted(9)
        assert collector.metric("footfall_plan_reloads_total") == 1
        assert "plan.lock:1:2: the lock is not what this Footfall writes" in collector.log()
        write_lock(edited(plan, 12), folder / "plan.lock")
        until(lambda: accepted(11))
