"""Simulation: what a plan would do to stored and failed events, counted exactly."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from plan import built
from plan.hindsight import NOW_MS, Site, site, track

from collector.database.publish import record_version
from collector.database.store import Store
from collector.hindsight.failed import tools_for
from collector.hindsight.trial import Span, Trial, restored, try_plan
from collector.hindsight.trial_text import as_json, as_markdown, as_text, percent
from collector.plan import compile_plan
from collector.plan.lock import sealed
from collector.plan.model import Action, EventPlan, Plan, Rule, Sampling, Semantic, Type


def bought(n: dict[str, Any] | None = None, **facts: Any) -> EventPlan:
    return built.event(built.number("n", **(n or {})), built.text("note", max_length=20), name="bought", **facts)


FIRST = built.plan_of(bought())
DAY = datetime.timedelta(days=1)


@pytest.fixture
def shop(tmp_path: Path, dsn: str, store: Store) -> Site:
    return site(tmp_path, dsn, store, FIRST)


def tried(shop: Site, plan: Plan, *, page_rows: int = 50_000, now_ms: int = NOW_MS, **span: Any) -> Trial:
    with shop.asking() as ask:
        tools = tools_for(compile_plan(plan), shop.data.folder)
        return try_plan(ask, plan, tools, Span(0, **span), now_ms, page_rows)


def cases(trial: Trial) -> dict[tuple[str, int, str, str], tuple[int, int]]:
    return {key: (case.count, case.of) for key, case in trial.cases.items()}


def test_nothing_would_be_different_for_the_same_plan(shop: Site) -> None:
    shop.receive(
        track("bought", "a", n=1), track("bought", "b", n=2, odd=True), track("bought", "c", n="x"), track("z", "d")
    )
    shop.load()
    trial = tried(shop, FIRST)
    assert cases(trial) == {}
    assert {key: (one.stored, one.failed) for key, one in trial.totals.items()} == {
        ("bought", 2): (2, 1),
        ("z", 0): (1, 0),
    }


@pytest.mark.parametrize("page_rows", [1, 7, 50_000])
def test_a_new_bound_counts_exactly_the_events_beyond_it(shop: Site, page_rows: int) -> None:
    events = [track("bought", f"m{n:02}", n=n, note="line\nbreak") | {"anonymousId": f"v{n % 3}"} for n in range(40)]
    shop.receive(*events)  # many of one visitor, so that pages end within a visitor's events
    shop.load()
    trial = tried(shop, built.plan_of(bought({"maximum": 29})), page_rows=page_rows)
    assert cases(trial) == {("bought", 2, "quarantined", "constraint"): (10, 40)}
    (case,) = trial.cases.values()
    assert case.example.pointer == "/properties/n"
    assert "must be at most 29" in case.example.sentence


def test_a_wider_bound_would_accept_what_had_failed(shop: Site) -> None:
    shop.receive(
        track("Bought@2", "a", note="x" * 21), track("bought", "b", note="x" * 99), track("bought", "c", n="1")
    )
    shop.load()
    wider = built.plan_of(built.event(built.number("n"), built.text("note", max_length=50), name="bought"))
    assert cases(tried(shop, wider)) == {("bought", 2, "accepted", "constraint"): (1, 3)}


def test_what_is_flagged_or_stripped_anew_is_told_from_what_was_before(shop: Site) -> None:
    shop.receive(track("bought", "a", n=1, odd=1), track("bought", "b", n=300), track("bought", "c", n=300, odd=1))
    shop.load()
    rules = built.rules({"constraint": Action.STRIP})
    trial = tried(shop, built.plan_of(bought({"maximum": 29}, rules=rules)))
    assert cases(trial) == {("bought", 2, "stripped", "constraint"): (2, 3)}
    flagging = built.plan_of(built.event(built.text("note", max_length=20), name="bought"))
    assert cases(tried(shop, flagging)) == {("bought", 2, "flagged", "unknown_property"): (3, 3)}
    planned = built.plan_of(built.event(built.number("n"), built.number("odd"), built.text("note"), name="bought"))
    assert cases(tried(shop, planned)) == {("bought", 2, "cleared", "unknown_property"): (2, 3)}


def test_a_stripped_value_is_judged_again(shop: Site) -> None:
    stripping = built.rules({"wrong_type": Action.STRIP})
    shop.receive(track("bought", "a", n="1"), track("bought", "b", n="x"), tools=shop.tools_of(built.plan_of(bought(rules=stripping))))  # fmt: skip  # noqa: E501 - one call
    shop.load()
    either = Type(
        kind="union", members=(Type(kind="integer"), Type(kind="string", max_length=9, pattern="1", regex="1"))
    )
    prop = built.number("n")
    loose = built.plan_of(built.event(type(prop)(name="n", type=either), built.text("note"), name="bought"))
    assert cases(tried(shop, loose)) == {
        ("bought", 2, "cleared", "wrong_type"): (1, 2),
        ("bought", 2, "quarantined", "constraint"): (1, 2),
    }


def test_an_event_that_leaves_the_plan_or_enters_it(shop: Site) -> None:
    shop.receive(*(track("bought", f"a{n}", n=n) for n in range(3)), track("new", "b", x=1), track("new", "c", x="1"))
    shop.load()
    rules = built.rules({"unknown_event": Action.QUARANTINE})
    trial = tried(shop, built.plan_of(built.event(built.number("x"), name="new"), rules=rules))
    assert cases(trial) == {
        ("bought", 2, "quarantined", "unknown_event"): (3, 3),
        ("new", 0, "cleared", "unknown_event"): (1, 2),
        ("new", 0, "quarantined", "wrong_type"): (1, 2),
    }


def test_a_rule_of_later_is_counted_apart_until_its_day(shop: Site) -> None:
    today = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC).date()
    rule = Rule(action=Action.QUARANTINE, starts=today + DAY, before=Action.FLAG)
    plan = built.plan_of(bought({"maximum": 1}, rules=built.rules({"constraint": rule})))
    shop.receive(*(track("bought", f"m{n}", n=n) for n in range(4)))
    shop.load()
    assert cases(tried(shop, plan)) == {
        ("bought", 2, "flagged", "constraint"): (2, 4),
        ("bought", 2, "later", "constraint"): (2, 4),
    }
    on_the_day = tried(shop, plan, now_ms=NOW_MS + 86_400_000)
    assert cases(on_the_day) == {("bought", 2, "quarantined", "constraint"): (2, 4)}


@pytest.mark.parametrize(("action", "change"), [(Action.QUARANTINE, "quarantined"), (Action.FLAG, "flagged")])
def test_a_sunset_takes_all_events_of_a_version(shop: Site, action: Action, change: str) -> None:
    shop.receive(*(track("bought", f"m{n}", n=n) for n in range(4)))
    shop.load()
    plan = built.plan_of(bought(sunset=datetime.date(2026, 1, 1), rules=built.rules({"sunset_version": action})))
    assert cases(tried(shop, plan)) == {("bought", 2, change, "sunset_version"): (4, 4)}


def test_ends_to_come_and_consent_that_is_lacking_are_told_and_judge_nothing(shop: Site) -> None:
    shop.receive(track("bought", "a", n=1), track("bought", "b", n=2))
    shop.load()
    now = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC).date()
    ending = built.plan_of(bought(sunset=now + DAY))
    trial = tried(shop, ending)
    (note,) = trial.notes
    assert f"bought@2 ends: from {now + DAY} on such events are quarantined, and 2 were stored" in note
    assert cases(trial) == {}
    then = tried(shop, ending, now_ms=NOW_MS + 86_400_000)
    assert (then.notes, then.counted("quarantined")) == ([], 2)
    endless = built.rules({"sunset_version": Action.ALLOW})
    assert tried(shop, built.plan_of(bought(sunset=now + DAY, rules=endless))).notes == []

    # Consent is told, too: of those that state any, how many lack what the plan needs by now.
    for message_id, consent in (("c", {"analytics": True}), ("d", {"analytics": True, "ads": True}), ("e", "granted")):
        shop.receive(track("bought", message_id, n=1), context={"consent": consent})
    shop.load()
    (note,) = tried(shop, built.plan_of(bought(consent=("ads",)))).notes
    assert "bought@2 needs consent to ads: 1 of 5 stored events state consent, but not to that" in note


def test_environments_have_their_own_rules(shop: Site) -> None:
    rules = built.rules({}, dev={"constraint": Action.FLAG})
    shop.receive(track("bought", "a", n=9))
    shop.receive(track("bought", "b", n=9), environment="dev")
    shop.load()
    trial = tried(shop, built.plan_of(bought({"maximum": 1}, rules=rules)))
    assert cases(trial) == {
        ("bought", 2, "quarantined", "constraint"): (1, 2),
        ("bought", 2, "flagged", "constraint"): (1, 2),
    }


def test_handled_personal_data_is_not_taken_for_a_violation(shop: Site) -> None:
    hashed = built.event(built.text("mail", "sha256", format="email", max_length=40, regex="@"), name="bought")
    shop.receive(track("bought", "a", mail="a@b.example"), tools=shop.tools_of(built.plan_of(hashed)))
    shop.load()
    assert cases(tried(shop, built.plan_of(hashed))) == {}


def test_what_was_found_wrong_with_a_hashed_value_stands_in_a_simulation(shop: Site) -> None:
    """Flagged or refused: only the hash of what was no address is left, and a hash breaks no rule."""

    def plan(action: Action, **facts: Any) -> Plan:
        mail = built.text("mail", "sha256", max_length=9, **facts)
        event = built.event(mail, name="bought", rules=built.rules({"constraint": action}))
        return sealed(built.plan_of(event))

    flagging, refusing = plan(Action.FLAG), plan(Action.QUARANTINE)
    shop.receive(track("bought", "a", mail="no address"), track("bought", "b", mail="a@b.nl"),
                 tools=shop.tools_of(flagging))  # fmt: skip
    shop.receive(track("bought", "c", mail="no address"), tools=shop.tools_of(refusing))
    shop.load()
    # The plan that stored them is known neither by hash nor by version: its properties are taken for the same.
    assert cases(tried(shop, flagging)) == {("bought", 2, "accepted", "constraint"): (1, 1)}
    assert cases(tried(shop, refusing)) == {("bought", 2, "quarantined", "constraint"): (1, 2)}
    assert cases(tried(shop, plan(Action.ALLOW)))["bought", 2, "cleared", "constraint"] == (1, 2)
    # By a plan in plan_versions it is seen that the property became another.
    record_version(shop.store, flagging, NOW_MS)
    record_version(shop.store, refusing, NOW_MS + 1)
    assert cases(tried(shop, flagging)) == {("bought", 2, "accepted", "constraint"): (1, 1)}
    assert cases(tried(shop, plan(Action.QUARANTINE, min_length=1))) == {
        ("bought", 2, "cleared", "constraint"): (1, 2),
        ("bought", 2, "accepted", "constraint"): (1, 1),
    }


def test_another_sample_is_told_in_events(shop: Site) -> None:
    half = built.plan_of(bought(sampling=Sampling(rate=0.5, by="event")))
    shop.receive(*(track("bought", f"m{n}", n=n) for n in range(100)), tools=shop.tools_of(half))
    shop.load()
    stored = tried(shop, half).totals["bought", 2].stored
    assert 30 < stored < 70
    assert tried(shop, half).notes == []
    whole = tried(shop, FIRST)
    assert cases(whole) == {}
    said = f"bought@2: {stored} stored stand for {2 * stored}; in a sample of 1 about {2 * stored} would be stored"
    assert whole.notes == [said]
    assert said in as_text(whole, 7, "p")


def test_examples_hold_no_personal_data(shop: Site) -> None:
    shop.receive(track("bought", "a", note="me@shop.example"))
    shop.load()
    plan = built.plan_of(built.event(built.text("note", max_length=5, enum=("x", "y")), name="bought"))
    trial = tried(shop, plan)
    assert cases(trial) == {("bought", 2, "quarantined", "constraint"): (1, 1)}
    assert "me@shop" not in "\n".join(
        (*as_text(trial, 7, "p"), *as_markdown(trial, 7, "p"), str(as_json(trial, 7, "p")))
    )


def test_a_worth_of_too_many_digits_is_found_on_the_fast_way_too(shop: Site) -> None:
    shop.receive(track("bought", "a", n=1), track("bought", "b", n=10**15))
    shop.load()
    plan = built.plan_of(bought(semantic=Semantic(conversion="macro", value="n")))
    assert cases(tried(shop, plan)) == {("bought", 2, "quarantined", "constraint"): (1, 2)}


def test_an_older_major_is_judged_as_itself_and_the_doubt_is_said(shop: Site) -> None:
    shop.receive(track("bought", "a", n=1))
    shop.load()
    newer = built.event(built.number("m", required=True), name="bought", major=3)
    trial = tried(shop, built.plan_of(newer, history=(bought(),)))
    assert cases(trial) == {}
    assert trial.notes == ["bought@2 was judged as such; senders that state no version would be judged by bought@3"]


def test_a_share_of_the_visitors_is_a_share_of_the_events(shop: Site) -> None:
    shop.receive(*(track("bought", f"m{n}", n=n) for n in range(400)))
    shop.load()
    plan = built.plan_of(bought({"maximum": -1}))
    part = tried(shop, plan, sample=0.25).totals["bought", 2].stored
    assert 60 < part < 140
    assert tried(shop, plan, sample=0.25).counted("quarantined") == part
    assert cases(tried(shop, plan, event="other")) == {}


def test_a_comment_says_what_would_be_newly_quarantined(shop: Site) -> None:
    shop.receive(*(track("bought", f"m{n}", n=n) for n in range(250)), track("<b>|x", "z"))
    shop.load()
    trial = tried(shop, built.plan_of(bought({"maximum": 248})))
    text = "\n".join(as_markdown(trial, 7, "shop 1.2.3"))
    assert "would newly quarantine 0.4 % of bought&#64;2 (constraint: 1 of 250)" in text
    assert "<b>" not in text


def test_shares_are_never_rounded_to_nothing_or_to_all() -> None:
    assert [percent(share) for share in (0, 0.00001, 0.004, 0.5, 0.99999, 1)] == [
        "0 %", "< 0.1 %", "0.4 %", "50 %", "> 99.9 %", "100 %",
    ]  # fmt: skip


def test_what_was_stripped_is_put_back_where_it_was() -> None:
    words = [
        "wrong_type:/properties/n",
        "wrong_type:/properties/a~1b/c",
        "undeclared_pii:/properties/p",
        "constraint:/properties/l/0",
    ]
    extra = b'{"n":"x","a~1b/c":[1],"p":"***","own":1,"l/0":3}'
    assert restored(b'{"a/b":{"d":1},"l":[2]}', extra, words) == b'{"a/b":{"d":1,"c":[1]},"l":[2],"n":"x"}'
    assert restored(b"{}", b'{"properties":[1]}', ["wrong_type:/properties"]) == b"[1]"
