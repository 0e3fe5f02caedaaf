"""What the plan does to events on their way: environments, samples, personal data, what moves to `extra`, counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plan.built import event, number, plan_of, rules, text

from collector.enrichment.enrich import Request
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.pipeline import COUNTER_NAMES, Outcome, Tools, is_local, process
from collector.plan import CompiledPlan
from collector.plan.model import Action, EventPlan, Limits, Sampling
from collector.record import EventRow, FailedRow
from collector.wire.decode import decode_batch, raw_events

NOW_MS = 1_790_000_000_000
A = Action
URL = "https://shop.example/p?utm_source=news&email=a%40b.example"


class Judge:
    """Takes batches through the pipeline under one plan."""

    def __init__(self, salts: Salts, *events: EventPlan, **facts: Any) -> None:
        plan = CompiledPlan(plan_of(*events, hash="abc", **facts))
        self.tools = Tools(plan=plan, geo=open_geo("registry"), salts=salts, random=lambda size: b"r" * size)

    def __call__(self, *sent: Any, environment: str = "prod", handled: bool = False, **batch: Any) -> Outcome:
        events = [
            one if isinstance(one, bytes) else json.dumps({"type": "track", "event": "e", **one}).encode()
            for one in sent
        ]
        rest = "".join(f",{json.dumps(key)}:{json.dumps(value)}" for key, value in batch.items()).encode()
        body = b'{"batch":[' + b",".join(events) + b"]" + rest + b"}"
        request = Request(NOW_MS, "shop", False, "8.8.8.8", "agent", environment=environment)
        decoded = decode_batch(body)
        return process(decoded, request, self.tools, lambda: list(decoded.raws or raw_events(body)), handled=handled)

    def row(self, **sent: Any) -> EventRow:
        outcome = self(sent)
        assert (outcome.rejected, outcome.dropped) == ([], [])
        return outcome.rows.events[0]

    def failed(self, sent: Any, **batch: Any) -> FailedRow:
        outcome = self(sent, **batch)
        assert outcome.rows.events == []
        return outcome.rows.failed[0]


@pytest.fixture(scope="module")
def salts(tmp_path_factory: pytest.TempPathFactory) -> Salts:
    return Salts(tmp_path_factory.mktemp("salts") / "salts.json")


# Columns


def test_a_plain_event_has_the_defaults_and_the_version_of_the_plan(salts: Salts) -> None:
    found = Judge(salts, event(number("n"))).row(properties={"n": 1})
    assert (found.extra, found.sample_rate, found.environment, found.plan_version) == ("{}", 1.0, "prod", "1.2.3")


def test_extra_holds_what_is_not_planned_what_was_stripped_and_what_was_sent_as_extra(salts: Salts) -> None:
    judge = Judge(salts, event(number("n"), rules=rules({"wrong_type": A.STRIP})))
    found = judge.row(properties={"n": "x", "colour": "red"}, extra={"slot": [1.5]})
    assert json.loads(found.properties) == {"colour": "red"}
    assert json.loads(found.extra) == {"slot": [1.5], "n": "x", "colour": "red"}
    assert found.violations == ["wrong_type:/properties/n", "unknown_property:/properties/colour"]


def test_extra_alone_is_no_violation_of_any_kind_of_event(salts: Salts) -> None:
    judge = Judge(salts, event(number("n")))
    for sent in ({"properties": {"n": 1}}, {"type": "identify"}):
        found = judge.row(**sent, extra={"a": 1})
        assert (json.loads(found.extra).popitem(), found.violations) in ((("a", 1), []), (("extra", {"a": 1}), []))
    empty: dict[str, Any] = {}
    for nothing in (None, empty):
        assert judge.row(properties={"n": 1}, extra=nothing).extra == "{}"


def test_the_plan_s_own_limit_of_bytes_is_held(salts: Salts) -> None:
    judge = Judge(salts, event(text("t")), limits=Limits(max_event_bytes=256))
    for field in ("properties", "extra"):
        outcome = judge({field: {"t": "x" * 300}}, {field: {"t": "x" * 200}})
        assert [(found.reason, found.pointer) for found in outcome.rejected] == [("event_too_large", f"/{field}")]
        assert len(outcome.rows.events) == 1


# Environments


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("shop.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9:3000", True),
        ("[::1]", True),
        ("[::1]:8080", True),
        ("localhost.example", False),
        ("mylocalhost", False),
        ("127.0.0.1.example", False),
        ("shop.example", False),
        ("", False),
    ],
)
def test_a_page_on_the_developer_s_machine_is_told_from_others(host: str, local: bool) -> None:
    assert is_local(host) == local


def test_the_source_s_environment_holds_and_a_local_page_of_production_is_dev(salts: Salts) -> None:
    own = rules({"missing_required": A.QUARANTINE}, dev={"missing_required": A.FLAG})
    judge = Judge(salts, event(number("n", required=True), rules=own))
    local = {"context": {"page": {"url": "http://localhost:8000/a"}}}
    outcome = judge(local)
    assert (outcome.rows.events[0].environment, outcome.rejected) == ("dev", [])
    assert [found.reason for found in outcome.flagged] == ["missing_required"]
    outcome = judge({}, local, environment="staging")
    assert [found.environment for found in outcome.rows.failed] == ["staging", "staging"]
    found = judge.failed({})
    assert (found.environment, found.plan_version, found.plan_hash) == ("prod", "1.2.3", "abc")


# Samples


def test_what_is_not_in_the_sample_is_counted_as_dropped_and_the_rest_has_its_rate(salts: Salts) -> None:
    judge = Judge(salts, event(number("n"), sampling=Sampling(rate=0.25)))
    sent = [{"anonymousId": f"visitor {n}", "properties": {"n": n}} for n in range(400)]
    outcome = judge(*sent, *sent)
    visitors = [found.visitor_id for found in outcome.rows.events]
    assert 140 < len(visitors) < 260
    assert visitors[: len(visitors) // 2] == visitors[len(visitors) // 2 :]
    assert {found.sample_rate for found in outcome.rows.events} == {0.25}
    assert len(outcome.dropped) + len(visitors) == 800
    assert outcome.counts == {'dropped_total{reason="sampled"}': len(outcome.dropped)}
    assert {found.reason for found in outcome.dropped} == {"sampled"}
    for all_of_them in (judge(*sent, environment="dev"), judge(*sent, handled=True)):
        assert (len(all_of_them.rows.events), all_of_them.rows.events[0].sample_rate) == (400, 1.0)


# Personal data


def page_view(*more: Any, keep: tuple[str, ...] = ("utm_source",), **facts: Any) -> EventPlan:
    return event(text("url", "strip_query_except", keep=keep), *more, name="page_view", major=1, **facts)


def test_an_address_is_handled_wherever_it_stands(salts: Salts) -> None:
    judge = Judge(salts, page_view(), event(number("n")))
    context = {
        "page": {"url": URL, "referrer": URL, "search": "?utm_source=news&email=x", "title": "T"},
        "campaign": "utm_source=news&email=x&gclid=email",
        "locale": "fr",
    }
    for kind, properties in (("page", {"url": URL}), ("page", {}), ("track", {"n": 1}), ("identify", {})):
        choices: list[dict[str, Any]] = [{}, {"context": context}]
        for shared in choices:
            own = {} if shared else {"context": context}
            outcome = judge({"type": kind, "properties": properties, **own}, environment="prod", **shared)
            found = outcome.rows.events[0]
            assert (found.url, found.query) == ("https://shop.example/p?utm_source=news", "utm_source=news")
            assert (found.utm_source, found.language) == ("news", "fr")
            assert "email" not in all_text(found)


def all_text(found: EventRow | FailedRow) -> str:
    return " ".join(str(getattr(found, name)) for name in found.__struct_fields__)


def test_a_rejected_event_is_kept_without_what_is_personal(salts: Salts) -> None:
    mail = text("mail", "sha256", pii_class="email")
    judge = Judge(salts, page_view(), event(mail, number("n")), event(text("secret", "drop"), name="other"))
    context = {"page": {"url": URL}, "ip": "192.0.2.7"}
    deep = b"[" * 9_999 + b"]" * 9_999
    secret = {"mail": "ann@shop.example", "n": "x"}
    for sent in (
        {"properties": secret, "context": context},
        {"properties": secret, "context": context, "messageId": "m" * 101},
        {"properties": secret, "context": context, "event": "E"},
        {"properties": {"secret": "ann", "mail": "ann"}, "context": context, "event": 5},
        b'{"type":"track","event":"e","properties":{"mail":"ann@shop.example","n":NaN},"context":'
        + json.dumps(context).encode()
        + b"}",
        b'{"type":"track","event":"e","properties":{"mail":"ann@shop.example","n":' + deep + b"}}",
        b'{"type":"track","event":"e","properties":{"mail":"ann@shop.example","n":"\xff"}}',
    ):
        found = judge.failed(sent)
        assert "ann" not in all_text(found)
        assert "email" not in all_text(found)
        assert "192.0.2.7" not in all_text(found)
        again = judge.failed(sent, context=context)
        assert "email=" not in again.context


def test_bytes_that_are_no_text_are_kept_and_can_be_told(salts: Salts) -> None:
    found = Judge(salts, event(number("n"))).failed(b'{"type":"track","event":"e","properties":{"n":"\xff\xc3\xa9"}}')
    assert found.raw == '{"type":"track","event":"e","properties":{"n":"\\xffé"}}'


def test_personal_data_where_nobody_declared_it_can_drop_an_event(salts: Salts) -> None:
    judge = Judge(salts, event(number("n"), rules=rules({"undeclared_pii": A.DROP})))
    outcome = judge({"messageId": "m", "properties": {"x": "a@b.example"}}, {"properties": {"n": 1}})
    assert (len(outcome.rows.events), outcome.rows.failed, outcome.rejected) == (1, [], [])
    assert [(found.index, found.message_id, found.reason) for found in outcome.dropped] == [(0, "m", "undeclared_pii")]
    assert outcome.counts['dropped_total{reason="undeclared_pii"}'] == 1


def test_an_event_that_is_replayed_is_not_handled_again(salts: Salts) -> None:
    mail = text("mail", "sha256", pii_class="email", format="email", regex=r"\A[^@]+@[^@]+\Z", required=True)
    judge = Judge(salts, event(mail, number("n")))
    raw = json.loads(judge.failed({"properties": {"mail": "ann@shop.example", "n": "x"}}).raw)
    raw["properties"]["n"] = 1
    outcome = judge(raw, handled=True)
    assert json.loads(outcome.rows.events[0].properties) == raw["properties"]
    assert outcome.rows.events[0].violations == []


# Counts


def test_every_violation_is_counted_by_its_class_and_told_to_the_sender(salts: Salts) -> None:
    judge = Judge(salts, event(number("n", maximum=3)))
    outcome = judge({"properties": {"a": 1, "b": 2}}, {"properties": {"n": 4, "c": 3}}, {"event": 5}, {"event": "new"})
    assert [(found.index, found.reason, found.pointer) for found in outcome.flagged] == [
        (0, "unknown_property", "/properties/a"),
        (0, "unknown_property", "/properties/b"),
        (3, "unknown_event", "/event"),
    ]
    assert [(found.index, found.reason) for found in outcome.rejected] == [
        (1, "constraint"),
        (2, "event_field_invalid"),
    ]
    assert outcome.counts == {
        'violations_total{reason="unknown_property"}': 3,
        'violations_total{reason="constraint"}': 1,
        'violations_total{reason="unknown_event"}': 1,
    }
    assert set(outcome.counts) <= set(COUNTER_NAMES)


def test_all_that_is_wrong_with_an_event_is_listed(salts: Salts) -> None:
    judge = Judge(salts, event(number("n", required=True), number("m")))
    found = judge.failed({"properties": {"m": "x", "o": 1}})
    assert found.violations == [
        "wrong_type:/properties/m",
        "unknown_property:/properties/o",
        "missing_required:/properties/n",
    ]
    found = judge.failed(b'{"type":"track","event":7,"messageId":5,"properties":{"n":NaN,"m":[Infinity]}}')
    assert found.violations == [
        f"event_field_invalid:{pointer}" for pointer in ("/event", "/messageId", "/properties/n", "/properties/m/0")
    ]
