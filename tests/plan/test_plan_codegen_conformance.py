"""The validator of a development build says what the collector says: the same classes, paths and words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.plan_examples import examples
from plan.plan_generated import NOW_MS, judged, kinds_plan, ran
from plan.test_plan_property_based import SCALARS, VALUES, members

from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.plan.codegen import generate
from collector.plan.convert.ecma import ecma
from collector.plan.model import EventPlan, Plan
from collector.plan.pattern import PatternError, translate

EXAMPLE = Path(__file__).parent / "example"
WORKED = Path(__file__).parent / "worked"

Event = tuple[str, int, Any]

HARD: list[Any] = [
    *[
        "\ud83d",
        "a\udc00b",
        "😀😀",
        "e\u0301",
        "",
        "EUR\n",
        "\u00a0",
        "\ufeff",
        "\x85",
        "٣",
        "AB-12",
        "AB-1\n",
        "x]",
        "&",
        "~",
    ],
    *["2024-02-29", "2026-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "9999-12-31", "2026-04-31", "2026-1-1"],
    *["2026-09-01T10:00:00Z", "2026-09-01 10:00:00.123456789+0530", "2026-09-01T10:00:00", "2026-09-01t23:59:60z"],
    *[
        "2026-09-01T10:00:00+24:00",
        "9999-12-31T23:59:59.9999999Z",
        "0001-01-01T00:00:00+01:00",
        "2026-09-01T10:00:00.Z",
    ],
    *["a@b", "a@b@c", "a@b\x85", "@", "x:", "1x:y", "mailto:a", "urn:\ufeff", "A" * 33 + ":x"],
    *["123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000", "99.5", "99.50", "-0", "007", "1e2"],
    *["1e-400", "1e9999", "0e9999", "1.", ".5", "+1", "0x10", " 1", "9" * 80, "9" * 81, "-1e400", "1_0"],
    *["write to a.b@shop.example now", "a%40b.example", "4111 1111 1111 1111", "4111 1111 1111 1112", 4111111111111111],
    *[
        "DE89 3704 0044 0532 0130 00",
        "eyJhbGciOi.eyJzdWIiOiI",
        "AKIAIOSFODNN7EXAMPLE",
        "größe@müller.example",
        "xAKIAIOSFODNN7EXAMPLE",
    ],
    *[5.0, -0.0, 0.05, 0.15000000000000002, 0.1, 1e21, 1e22, 1e-7, 123456789012345680000, 2**53 + 1, 2**63 - 1, 2**63],
    *[
        -(2**63),
        -(2**63) - 1025,
        99999999999999.98,
        1e14,
        99.5,
        99.51,
        999.99,
        1000,
        1.7976931348623157e308,
        5e-324,
        10.5,
    ],
]
NAMES = st.sampled_from(
    ["Total", "lines", "sku", "__proto__", "a/b", "c~d", "k" * 201, "\ud83d", "12", "toString", "e_"]
)


def module_of(plan: Plan, folder: Path) -> Path:
    path = folder / "plan.mjs"
    path.write_text(generate(plan, "javascript", dev=True, source="global")[".js"], encoding="utf-8")
    return path


def assert_same(plan: Plan, module: Path, events: list[Event]) -> list[list[tuple[str, str, str]]]:
    """Both judge alike what a browser sends; returns the verdicts."""
    compiled = compile_plan(plan)
    sent = [{"type": "track", "event": f"{name}@{major}", "properties": document} for name, major, document in events]
    answers = judged(module, sent)
    for (name, major, document), (violations, text) in zip(events, answers, strict=True):
        checked = compiled.check(name, major, text.encode(), now_ms=NOW_MS)
        expected = [(found.reason.word, found.pointer, found.fix) for found in checked.violations]
        assert violations == expected, (name, document, text)
    return [violations for violations, _ in answers]


def planned(plan: Plan) -> list[EventPlan]:
    return [*plan.events.values(), *plan.history.values()]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    plan = kinds_plan(folder)
    return plan, module_of(plan, folder)


@pytest.mark.parametrize("folder", [DEFAULT_PLAN_DIR, EXAMPLE, WORKED], ids=["shipped", "example", "worked"])
def test_the_plans_own_tests_give_the_same_classes_and_paths_in_the_browser(folder: Path, tmp_path: Path) -> None:
    plan = load_plan(folder)
    tests = [(event, test) for event in planned(plan) for test in event.tests]
    events: list[Event] = [(event.name, event.major, test.document) for event, test in tests]
    found = assert_same(plan, module_of(plan, tmp_path), events)
    assert len(tests) > 10
    for (event, test), violations in zip(tests, found, strict=True):
        assert {(reason, pointer) for reason, pointer, _ in violations} == test.violates, (event.name, test.document)


def test_whatever_is_sent_the_words_are_the_collectors(kinds: tuple[Plan, Path]) -> None:
    plan, module = kinds
    events: list[Event] = []
    hard = st.one_of(st.sampled_from(HARD), SCALARS)

    # Made once: what is near a type is found by trying its rules.
    documents = [
        st.tuples(st.just(event.name), st.just(event.major), st.one_of(members(event.properties), VALUES))
        for event in planned(plan)
    ]

    @given(
        event=st.one_of(documents),
        strangers=st.dictionaries(NAMES, hard, max_size=4),
    )
    @settings(max_examples=examples(150), deadline=None, derandomize=True, database=None)
    def collect(event: Event, strangers: dict[str, Any]) -> None:
        name, major, document = event
        events.append((name, major, {**document, **strangers} if isinstance(document, dict) else document))

    collect()
    # And every value that is hard to judge, in every place where it could stand.
    for event in planned(plan):
        for prop in event.properties:
            events += [(event.name, event.major, {prop.name: value}) for value in [*HARD, None, True, [], {}, [1]]]
    found = assert_same(plan, module, events)
    assert {reason for violations in found for reason, _, _ in violations} >= {
        "unknown_property",
        "missing_required",
        "wrong_type",
        "constraint",
        "sunset_version",
        "undeclared_pii",
    }
    assert sum(not violations for violations in found) > 50
    assert sum(len(violations) > 3 for violations in found) > 10


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"type": "track", "event": "never_planned"}, [("unknown_event", "/event")]),
        ({"type": "track", "event": "lenient@9", "properties": {}}, [("event_version_unknown", "/event")]),
        ({"type": "track", "event": "Lenient", "properties": {"a": 1}}, []),
        ({"type": "track", "event": "lenient@1", "properties": {"a": "x"}}, [("sunset_version", "/event")]),
        ({"type": "track", "event": "lenient"}, [("missing_required", "/properties/a")]),
        ({"type": "page", "properties": {"a": 1}}, [("unknown_event", "/event")]),
        ({"type": "identify", "traits": {"a": 1}}, []),
        ({"type": "track", "event": "toString"}, [("unknown_event", "/event")]),
    ],
    ids=lambda value: value.get("event", value["type"]) if isinstance(value, dict) else "",
)
def test_an_event_is_named_as_the_collector_names_it(
    kinds: tuple[Plan, Path], sent: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    plan, module = kinds
    [(violations, _)] = judged(module, [{"properties": {}, **sent}])
    assert [(reason, pointer) for reason, pointer, _ in violations] == expected
    if sent.get("event") in ("never_planned", "lenient@9"):
        name, _, major = sent["event"].partition("@")
        checked = compile_plan(plan).check(name, int(major) if major else None, b"{}", now_ms=NOW_MS)
        assert [fix for _, _, fix in violations] == [found.fix for found in checked.violations]


TEXTS = [
    "",
    "a",
    "b",
    "ab",
    "aab",
    "1",
    "-",
    "]",
    "}",
    "\n",
    "a\n",
    "\u00a0",
    "٣",
    "😀",
    "a1",
    "--",
    "|",
    "^",
    "[",
    "&",
]


def test_a_pattern_means_in_the_browser_what_it_means_in_the_collector() -> None:
    patterns: list[str] = []

    @given(pattern=st.text(alphabet="ab^$|()[]{},*+?.\\dsw-1&~/]}", min_size=1, max_size=9))
    @settings(max_examples=examples(400), deadline=None, derandomize=True, database=None)
    def collect(pattern: str) -> None:
        try:
            patterns.append(translate(pattern, 20))
        except PatternError:
            return

    collect()
    assert len(patterns) > 80
    script = """
      const chunks = []; for await (const chunk of process.stdin) chunks.push(chunk);
      const [sources, texts] = JSON.parse(Buffer.concat(chunks).toString());
      const answers = (regex) => texts.map((text) => regex.test(text));
      console.log(JSON.stringify(sources.map((source) => answers(new RegExp(source, "u")))));
    """
    done = ran(["node", "--input-type=module", "-e", script], stdin=json.dumps([[ecma(p) for p in patterns], TEXTS]))
    assert done.returncode == 0, done.stderr
    for pattern, answers in zip(patterns, json.loads(done.stdout), strict=True):
        search = re.compile(pattern).search
        assert answers == [search(text) is not None for text in TEXTS], (pattern, ecma(pattern))
