"""What becomes of events by what their visitor agreed to: stored, stored as nobody's, only counted, or dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from plan.built import event, plan_of, rules, text

from collector.app.head import read_head, signals_of
from collector.consent import (
    COOKIELESS,
    COUNTS,
    DROP,
    MODES,
    NOTHING_STATED,
    WORDS,
    Overrides,
    Rules,
    Stated,
    laid_over,
    read_stated,
    why_not,
)
from collector.enrichment.enrich import Request
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.packed import COUNTED_COLUMNS, encode_packed
from collector.ingest.pipeline import COUNTER_NAMES, Outcome, Tools, process
from collector.plan import CompiledPlan
from collector.plan.model import Action
from collector.wire.decode import decode_batch, raw_events

NOW_MS = 1_790_000_000_000
REQUEST = Request(NOW_MS, "shop", False, "8.8.8.8", "agent")
SERVER = msgspec.structs.replace(REQUEST, is_server=True)
NO = {"consent": {"analytics": False}}
VISITOR, USER, CLICK = "visitor-7", "ann@shop.example", "click-7"
PERSONAL = (VISITOR, USER, CLICK, "device-7", "trait-7", "group-7", "ref-7")
VISIT: dict[str, Any] = {
    "type": "page",
    "messageId": "m1",
    "anonymousId": VISITOR,
    "userId": USER,
    "groupId": "group-7",
    "traits": {"name": "trait-7"},
    "properties": {
        "url": f"https://shop.example/a?utm_source=news&gclid={CLICK}",
        "search": f"?gclid={CLICK}",
        "referrer": "https://x.example/?ref-7",
        "title": "A",
    },
    "context": {
        "page": {
            "url": f"https://shop.example/a?gclid={CLICK}",
            "referrer": "https://x.example/?q=ref-7",
            "title": "A",
        },
        "campaign": f"utm_source=news&gclid={CLICK}",
        "device": {"id": "device-7"},
        "traits": {"email": USER},
        "locale": "de",
        "screen": {"width": 800},
        **NO,
    },
}


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    planned = [
        event(text("name"), name="offer_seen", consent=("Marketing",)),
        event(text("name", required=True), name="strict", rules=rules({"missing_required": Action.QUARANTINE})),
    ]
    salts = Salts(tmp_path_factory.mktemp("salts") / "salts.json")
    plan = CompiledPlan(plan_of(*planned, hash="abc"))
    return Tools(plan=plan, geo=open_geo("registry"), salts=salts, random=lambda size: b"r" * size)


def judge(tools: Tools, *sent: dict[str, Any], own: Request = REQUEST, handled: bool = False, **asked: Any) -> Outcome:
    tools = msgspec.structs.replace(tools, consent=Rules(**asked))
    body = json.dumps({"batch": [{"type": "track", "event": "e", **one} for one in sent]}).encode()
    batch = decode_batch(body)
    return process(batch, own, tools, lambda: list(batch.raws or raw_events(body)), handled=handled)


def signalled(*signals: str) -> Request:
    return msgspec.structs.replace(REQUEST, signals=signals)


def fates(outcome: Outcome) -> tuple[int, list[str], list[str], list[str], int]:
    """How many are stored, and the reasons of the nobody's, the counted and the dropped; how many are rejected."""
    lists = (outcome.cookieless, outcome.counted, outcome.dropped)
    return (len(outcome.packed.events), *([each.reason for each in one] for one in lists), len(outcome.rejected))  # type: ignore[return-value]  # three lists


# What is stated


@pytest.mark.parametrize(
    ("consent", "management", "stated"),
    [
        (None, None, NOTHING_STATED),
        ({}, None, NOTHING_STATED),
        ("granted", None, Stated("granted")),
        ("pending", None, Stated("pending")),
        (False, None, Stated("denied")),
        ("CPXxRfAPXxRfAAfKAB", None, NOTHING_STATED),
        (17, None, NOTHING_STATED),
        ({"analytics": True, "version": "2026-05"}, None, Stated("", {"analytics": "granted"})),
        ({"Analytics": "denied", "ads": None}, None, Stated("", {"analytics": "denied", "ads": "denied"})),
        ({"analytics": "pending"}, None, Stated("", {"analytics": "pending"})),
        ({"categoryPreferences": {"Advertising": True}}, None, Stated("", {"advertising": "granted"})),
        (
            None,
            {"deniedConsentIds": ["C2"], "allowedConsentIds": ["A", 3]},
            Stated("", {"a": "granted", "c2": "denied"}),
        ),
        (None, {"deniedConsentIds": "C2"}, NOTHING_STATED),
        ([{"analytics": False}], None, NOTHING_STATED),
    ],
)
def test_consent_is_read_in_the_shapes_that_clients_send(consent: Any, management: Any, stated: Stated) -> None:
    assert read_stated(consent, management) == stated


def test_of_a_long_statement_only_so_much_is_read() -> None:
    stated = read_stated({f"{n:03}" * 100: True for n in range(1_000)})
    assert len(stated.purposes) == 32
    assert max(map(len, stated.purposes)) == 64


ALL = Rules(required=True, gpc=True, dnt=True)


@pytest.mark.parametrize(
    ("asked", "signals", "consent", "needs", "lacking"),
    [
        (Rules(), (), None, (), ""),
        (Rules(), ("gpc",), None, (), "gpc"),
        (Rules(gpc=False), ("gpc",), None, (), ""),
        (Rules(), ("dnt",), None, (), ""),
        (ALL, ("dnt",), None, (), "dnt"),
        (ALL, (), None, (), "consent_unstated"),
        (ALL, ("gpc", "dnt"), "granted", (), ""),
        (ALL, ("gpc",), {"analytics": True}, (), ""),
        (ALL, ("gpc",), {"marketing": True}, (), "gpc"),
        (ALL, (), {"marketing": True}, (), "consent_unstated"),
        (Rules(), (), {"marketing": False}, (), ""),
        (Rules(), ("opt_out", "gpc"), {"analytics": True}, (), "opt_out"),
        (Rules(), ("gpc",), {"analytics": False}, (), "consent_denied"),
        (Rules(), (), "pending", (), "consent_pending"),
        (Rules(purpose="statistics"), (), {"analytics": False, "statistics": True}, (), ""),
        (Rules(purpose="statistics"), (), {"analytics": True, "statistics": False}, (), "consent_denied"),
        (Rules(), (), None, ("marketing",), ""),
        (Rules(), (), "granted", ("marketing",), ""),
        (Rules(), (), {"analytics": True}, ("marketing",), "consent_purpose"),
        (Rules(), (), {"analytics": True, "marketing": True}, ("Marketing",), ""),
    ],
)
def test_what_is_lacking(
    asked: Rules, signals: tuple[str, ...], consent: Any, needs: tuple[str, ...], lacking: str
) -> None:
    assert why_not(asked, signals, read_stated(consent), needs) == lacking


def test_a_server_is_held_to_what_it_states_and_to_nothing_else() -> None:
    assert why_not(ALL, (), NOTHING_STATED, is_server=True) == ""
    assert why_not(ALL, (), read_stated({"analytics": False}), is_server=True) == "consent_denied"
    assert why_not(ALL, (), read_stated({"analytics": True}), ("marketing",), is_server=True) == "consent_purpose"


def test_a_source_s_own_rules_lie_over_the_settings() -> None:
    assert laid_over(Rules(), Overrides(mode=COUNTS, gpc=False)) == Rules(COUNTS, gpc=False)
    assert laid_over(Rules(required=True), Overrides(required=False)) == Rules()


def test_the_head_of_a_request_tells_the_browser_s_signals() -> None:
    head = read_head([(b"sec-gpc", b"1"), (b"dnt", b"1"), (b"cookie", b"a=b; footfall_optout=1")], b"")
    assert signals_of(head) == ("gpc", "dnt", "opt_out")
    assert signals_of(read_head([(b"sec-gpc", b"0"), (b"dnt", b"x"), (b"cookie", b"footfall_optout=0")], b"")) == ()


# What becomes of events


@pytest.mark.parametrize("mode", MODES)
def test_an_event_without_consent_meets_the_fate_that_is_configured_and_its_neighbours_are_stored(
    tools: Tools, mode: str
) -> None:
    outcome = judge(tools, VISIT, {"anonymousId": "b", "context": {"consent": {"analytics": True}}}, mode=mode)
    fate = ["consent_denied"]
    assert (
        fates(outcome)
        == {
            DROP: (1, [], [], fate, 0),
            COOKIELESS: (2, fate, [], [], 0),
            COUNTS: (1, [], fate, [], 0),
        }[mode]
    )
    counter = {DROP: "dropped", COOKIELESS: "cookieless", COUNTS: "counted"}[mode]
    told = {name: count for name, count in outcome.counts.items() if not name.startswith("violations")}
    assert told == {f'{counter}_total{{reason="consent_denied"}}': 1}
    assert outcome.counts.keys() <= set(COUNTER_NAMES)
    (verdict,) = (*outcome.dropped, *outcome.cookieless, *outcome.counted)
    assert (verdict.index, verdict.message_id, verdict.pointer) == (0, "m1", "/context/consent")
    assert "did not agree" in verdict.fix
    spooled = encode_packed(outcome.packed, outcome.counted_rows)
    assert [word for word in PERSONAL if word.encode() in spooled] == []


def test_a_cookieless_event_is_a_visitor_of_one_day_and_keeps_what_happened(tools: Tools) -> None:
    (row,) = judge(tools, VISIT, mode=COOKIELESS).rows.events
    assert row.visitor_id.startswith("c_")
    assert (row.user_id, row.group_id, row.previous_id, row.traits) == ("", "", "", "{}")
    assert (row.url, row.query, row.utm_source, row.click_id, row.click_id_type) == (
        "https://shop.example/a",
        "",
        "news",
        "",
        "",
    )
    assert (row.event, row.path, row.title, row.language, row.screen_width) == ("page_view", "/a", "A", "de", 800)
    assert (row.channel, row.referrer) == ("paid_search", "https://x.example/")
    assert json.loads(row.properties) == {"title": "A"}
    assert json.loads(row.context) == {
        "page": {"title": "A"},
        "screen": {"width": 800},
        "locale": "de",
        "consent": {"analytics": False},
    }
    assert row.sender_flags.split()[-1] == "cookieless_consent_denied"
    again = judge(tools, VISIT | {"anonymousId": "other", "messageId": "m2"}, mode=COOKIELESS).rows.events[0]
    assert again.visitor_id == row.visitor_id, "one device on one day"


def test_a_counted_event_is_a_day_a_page_and_a_name(tools: Tools) -> None:
    (counted,) = judge(tools, VISIT, mode=COUNTS).counted_rows
    assert dict(zip(COUNTED_COLUMNS, counted, strict=True)) == {
        "message_id": "m1",
        "source_id": "shop",
        "received_at": NOW_MS,
        "environment": "prod",
        "event": "page_view",
        "host": "shop.example",
        "path": "/a",
        "is_bot": False,
        "reason": "consent_denied",
    }


@pytest.mark.parametrize("mode", [COOKIELESS, COUNTS])
@pytest.mark.parametrize("kind", ["identify", "group", "alias"])
def test_what_is_nothing_but_identity_is_dropped_in_every_mode(tools: Tools, mode: str, kind: str) -> None:
    sent = {"type": kind, "userId": USER, "groupId": "g", "previousId": "p", "context": NO}
    assert fates(judge(tools, sent, mode=mode)) == (0, [], [], ["consent_denied"], 0)


@pytest.mark.parametrize("mode", MODES)
def test_who_has_opted_out_is_dropped_in_every_mode(tools: Tools, mode: str) -> None:
    agreed = {"context": {"consent": "granted"}}
    assert fates(judge(tools, agreed, own=signalled("opt_out"), mode=mode)) == (0, [], [], ["opt_out"], 0)


def test_an_event_that_needs_a_purpose_of_the_plan_is_held_to_it(tools: Tools) -> None:
    offer = {"event": "Offer Seen", "properties": {"name": "x"}}
    refused = offer | {"context": {"consent": {"analytics": True, "marketing": False}}}
    agreed = offer | {"context": {"consent": {"analytics": True, "marketing": True}}}
    assert fates(judge(tools, offer, refused, agreed)) == (2, [], [], ["consent_purpose"], 0)
    assert "Marketing" in judge(tools, refused).dropped[0].fix
    assert fates(judge(tools, refused, mode=COOKIELESS))[1] == ["consent_purpose"]
    assert fates(judge(tools, refused, mode=COUNTS))[2] == ["consent_purpose"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "wrong",
    [{"event": "strict"}, {"event": ""}, {"event": 7}, {"userId": "u" * 600}, {"type": "nonsense"}],
    ids=["plan", "nameless", "malformed", "long id", "type"],
)
def test_of_an_event_without_consent_that_is_rejected_nothing_is_kept(
    tools: Tools, mode: str, wrong: dict[str, Any]
) -> None:
    outcome = judge(tools, {"context": NO, "anonymousId": VISITOR, **wrong}, mode=mode)
    kept = (len(outcome.packed.failed), len(outcome.rejected), len(outcome.packed.events))
    if wrong.get("userId") and mode != DROP:
        assert kept == (0, 0, int(mode == COOKIELESS)), "without its id it is a fine event"
    else:
        assert kept == (0, 0, 0)
        assert [each.reason for each in outcome.dropped] == ["consent_denied"]
    assert judge(tools, {"anonymousId": VISITOR, **wrong}, mode=mode).rejected


def test_a_replay_is_held_to_what_was_stated_and_not_to_today_s_settings(tools: Tools) -> None:
    """What was kept had consent when it came; a purpose that the plan needs since then is asked for."""
    assert fates(judge(tools, {}, handled=True, required=True, mode=COUNTS))[0] == 1
    refused = {"event": "offer_seen", "context": {"consent": {"analytics": True}}}
    assert fates(judge(tools, refused, handled=True, mode=COUNTS)) == (0, [], [], ["consent_purpose"], 0)


def test_a_source_s_own_rules_decide(tools: Tools) -> None:
    own = msgspec.structs.replace(signalled("gpc"), consent=Rules(gpc=False))
    assert fates(judge(tools, {}, own=own)) == (1, [], [], [], 0)
    assert fates(judge(tools, {}, own=signalled("gpc"))) == (0, [], [], ["gpc"], 0)


def test_every_word_has_a_sentence_and_a_counter() -> None:
    kinds = ("dropped", "cookieless", "counted")
    for word in WORDS:
        assert {f'{name}_total{{reason="{word}"}}' for name in kinds} <= set(COUNTER_NAMES)


def test_the_salt_is_not_asked_for_what_is_only_counted(tools: Tools, tmp_path: Path) -> None:
    none = msgspec.structs.replace(tools, salts=Salts(tmp_path / "nowhere" / "salts.json"))
    assert fates(judge(none, {"context": NO}, mode=COUNTS))[2] == ["consent_denied"]
