"""Inference: a plan that says what was sent, no more, and that can be used at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from plan import built
from plan.hindsight import NOW_MS, site, track

from collector.database.store import Store
from collector.hindsight.sample import look
from collector.plan import Plan, check_report, compile_plan, load_plan
from collector.plan.convert.write import Written, write
from collector.plan.infer import Seen, draft_of
from collector.plan.model import EventPlan


def inferred(folder: Path, *documents: dict[str, Any], times: int = 1) -> tuple[EventPlan, Written]:
    """The plan of one event with these properties, each of them sent so often."""
    seen = Seen()
    for document in documents:
        for _ in range(times):
            seen.look("e", msgspec.json.encode(document))
    done = write(draft_of(seen, "test"), folder, str)
    assert check_report(folder).errors == []
    return load_plan(folder).events["e"], done


def kind_of(folder: Path, *values: Any, times: int = 1) -> Any:
    event, _ = inferred(folder, *({"p": value} for value in values), times=times)
    return event.properties[0].type


@pytest.mark.parametrize(
    ("values", "kind", "facts"),
    [
        ((1, 2), "integer", {}),
        ((1, 2.5), "number", {}),
        ((2**63,), "number", {}),
        (("1", "22"), "string", {"max_length": 16}),
        ((True,), "boolean", {}),
        (("x" * 300,), "string", {"max_length": 1_024}),
        (("2026-01-02", "1999-12-31"), "date", {}),
        (("2026-01-02", "2026-02-31"), "string", {"format": None}),
        (("2026-01-02T10:00:00Z", "2026-01-02T10:00:00.5+02:00"), "datetime", {}),
        (("2026-01-02T10:00:00",), "string", {"format": None}),
        (("https://a.example/b", "app://x"), "string", {"format": "uri"}),
        (("https://a.example/b", "no"), "string", {"format": None}),
        (("0190a1b2-0000-7000-8000-00000000000a",), "string", {"format": "uuid"}),
        ((None, 1), "integer", {"nullable": True}),
        ((1, "x"), "union", {}),
        (([1, 2], [3]), "array", {}),
        (("",), "string", {"format": None}),
    ],
    ids=str,
)
def test_a_type_is_that_of_all_values(
    tmp_path: Path, values: tuple[Any, ...], kind: str, facts: dict[str, Any]
) -> None:
    found = kind_of(tmp_path, *values)
    assert found.kind == kind
    assert {name: getattr(found, name) for name in facts} == facts


def test_all_that_was_seen_is_valid_in_the_plan_that_was_inferred(tmp_path: Path) -> None:
    documents: list[dict[str, Any]] = [
        {"a": 1, "b": {"c": [1, 2.5], "d": {"f": "x"}}, "items": [{"sku": "a"}, {"sku": "b", "n": 1}]},
        {"a": None, "b": {"c": []}, "items": [], "mixed": 1, "Odd Name": "2026-01-02"},
        {"mixed": "one", "when": "2026-01-02T10:00:00Z", "url": "https://a.example/?q=1", "yes": "no", "no": True},
    ]
    inferred(tmp_path, *documents, times=120)
    compiled = compile_plan(load_plan(tmp_path))
    for document in documents:
        assert compiled.check("e", None, msgspec.json.encode(document)).violations == ()


@pytest.mark.parametrize(
    ("present", "of", "required"), [(100, 100, True), (99, 99, False), (998, 1_000, False), (2_000, 2_001, True)]
)
def test_required_is_what_almost_never_was_missing_in_at_least_a_hundred(
    tmp_path: Path, present: int, of: int, required: bool
) -> None:
    event, _ = inferred(tmp_path, *([{"p": 1}] * present + [{"q": 1}] * (of - present)))
    assert {prop.name: prop.required for prop in event.properties}["p"] is required


def test_an_enum_needs_few_words_in_many_events(tmp_path: Path) -> None:
    assert kind_of(tmp_path / "a", "home", "cart", times=100).enum == ("cart", "home")
    assert kind_of(tmp_path / "b", "home", "cart", times=99).enum is None
    assert kind_of(tmp_path / "c", *(f"w{chr(97 + n)}" for n in range(13)), times=100).enum is None
    assert kind_of(tmp_path / "d", *["home"] * 300, "once").enum is None
    assert kind_of(tmp_path / "e", "1", "2", times=200).enum is None


def test_personal_data_is_declared_and_said_and_stands_nowhere_in_the_files(tmp_path: Path) -> None:
    event, done = inferred(tmp_path, *({"who": f"user{n % 3}@shop.example", "text": f"call {n}"} for n in range(300)))
    who = {prop.name: prop.type for prop in event.properties}["who"]
    assert who.pii is not None
    assert (who.pii.pii_class, who.format, who.enum) == ("email", "email", None)
    assert [note for note in done.notes if "personal data (email)" in note] == done.notes
    assert not any("shop.example" in path.read_text() for path in tmp_path.rglob("*.yaml"))


def test_what_needs_a_hand_is_said(tmp_path: Path) -> None:
    _, done = inferred(
        tmp_path, {"m": 1, "a/b": 1, "Case": 1, "case": 2, "nothing": None, "deep": [1]}, {"m": "x", "deep": 1}
    )
    notes = "\n".join(done.notes)
    assert "e.m: it was sent in several types (1 integer, 1 string); agree on one" in notes
    assert "e.a/b: this name cannot be one of a property" in notes
    assert "e.case: the same name as Case but for case or separators" in notes
    assert "e.nothing: only null was sent" in notes
    assert "e.deep: it was sent in several types" in notes


def test_hostile_keys_and_values_cost_bounded_memory(tmp_path: Path) -> None:
    seen = Seen()
    for n in range(400):
        seen.look("e", msgspec.json.encode({f"k{n}_{m}": "v" * m for m in range(20)} | {"deep": [[[[[[n]]]]]]}))
        seen.look(f"name {n}", b"\xff")
        seen.look("e", b"[" * 5_000)
    assert len(seen.events["e"].members) <= 200
    done = write(draft_of(seen, "test"), tmp_path, str)
    assert done.files


def test_a_plan_is_inferred_from_a_sample_of_what_is_stored(tmp_path: Path, dsn: str, store: Store) -> None:
    shop = site(tmp_path, dsn, store, built.plan_of())
    for start in range(0, 3_000, 500):
        shop.receive(*(track("Bought It", f"m{n}", total=n / 2, size="small" if n % 2 else "large") for n in range(start, start + 500)))  # fmt: skip  # noqa: E501 - one call
    shop.receive(*(track("rare", f"r{n}", n=n) for n in range(5)), track("old", "o"), received_ms=NOW_MS)
    shop.load()
    with shop.asking() as ask:
        seen = look(ask, 0, each=700)
        assert look(ask, NOW_MS + 1).events == {}
    assert 500 < seen.events["bought_it"].seen < 1_500
    assert seen.counts == {"bought_it": 3_000, "rare": 5, "old": 1}
    write(draft_of(seen, "shop"), tmp_path / "plan", str)
    head = (tmp_path / "plan" / "plan.yaml").read_text()
    assert head.startswith("# Inferred from events that were stored by `footfall plan infer`; yours to edit.\n")
    plan: Plan = load_plan(tmp_path / "plan")
    kinds = {prop.name: (prop.type.kind, prop.required) for prop in plan.events["bought_it"].properties}
    assert kinds == {"size": ("string", True), "total": ("number", True)}
    assert plan.events["bought_it"].properties[0].type.enum == ("large", "small")
