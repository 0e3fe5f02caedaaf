"""What other products export becomes a plan that passes its check, and says what it could not carry over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from collector.cli.plan.import_ import import_
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import CompiledPlan, Plan, check_report, compile_plan, load_plan
from collector.plan.convert.draft import ImportFailed
from collector.plan.convert.jsonschema import schemas_of, text_of
from collector.plan.convert.products import read
from collector.plan.convert.write import write
from collector.wire.names import snake_case

FILES = Path(__file__).parent / "imported"


def imported(product: str, path: Path, folder: Path) -> tuple[Plan, list[str]]:
    done = write(read(product, path, snake_case), folder, snake_case)
    report = check_report(folder)
    assert report.errors == []
    assert report.events > 0
    return load_plan(folder), done.notes


def found(plan: CompiledPlan, event: str, document: Any, major: int | None = None) -> set[tuple[str, str]]:
    checked = plan.check(event, major, msgspec.json.encode(document))
    return {(violation.reason.word, violation.pointer.removeprefix("/properties/")) for violation in checked.violations}


def test_a_segment_plan_in_json(tmp_path: Path) -> None:
    plan, notes = imported("segment", FILES / "segment.json", tmp_path)
    event = plan.events["order_completed"]
    assert (plan.name, event.version, event.description) == ("acme-web", "2.0.0", "Fired when the order is placed.")
    assert event.tags == ("priority:high",)
    by_name = {prop.name: prop for prop in event.properties}
    assert by_name["order_id"].aliases == ("orderId",)
    assert by_name["order_id"].required
    assert by_name["order_id"].description == "The shop's id: yes"
    assert by_name["status"].type.enum == ("no", "yes", "12")
    compiled = compile_plan(plan)
    good = {
        "orderId": "O",
        "total": None,
        "placedAt": "2026-09-01T10:00:00Z",
        "Products": [{"sku": "A", "Quantity": 1}],
    }
    assert found(compiled, "order_completed", good) == set()
    bad = {"total": 1e5, "currency": "eur", "status": "12 ", "products": [{"quantity": 0}]}
    assert found(compiled, "order_completed", bad) == {
        ("missing_required", "order_id"),
        ("constraint", "total"),
        ("constraint", "currency"),
        ("constraint", "status"),
        ("missing_required", "products/0/sku"),
        ("constraint", "products/0/quantity"),
    }
    assert found(compiled, "order_completed", {}, 1) == set()
    assert "# Segment: Order Completed\n" in (tmp_path / "events/imported/order_completed.yaml").read_text()
    said = "\n".join(notes)
    for part in ("Order Completed.coupon: the pattern ^(?!NONE).*$ is not checked", 'Products: "uniqueItems" has no'):
        assert part in said
    for part in ("anything: it may be of any type", "context have no counterpart", "identify: rules for traits"):
        assert part in said


def test_a_segment_plan_of_the_public_api(tmp_path: Path) -> None:
    plan, notes = imported("segment", FILES / "segment-rules.json", tmp_path)
    assert set(plan.events) == {"product_viewed", "page_view"}
    assert plan.events["product_viewed"].description == "A product page."
    assert notes == ["identify: rules for identify calls have no counterpart; they were left out"]


def test_a_segment_plan_in_csv(tmp_path: Path) -> None:
    plan, _ = imported("segment", FILES / "segment.csv", tmp_path)
    assert plan.events["logged_in"].description == "Came back, again"
    compiled = compile_plan(plan)
    good = {"method": "google", "plan": {"name": "pro"}, "createdAt": "2026-09-01T10:00:00Z", "items": [{"sku": "A"}]}
    assert found(compiled, "signed_up", good) == set()
    assert found(compiled, "signed_up", {"method": "fax", "plan": {"name": "PRO"}, "items": [{}]}) == {
        ("constraint", "method"),
        ("constraint", "plan/name"),
        ("missing_required", "items/0/sku"),
    }
    assert found(compiled, "logged_in", {"score": None}) == set()
    assert found(compiled, "logged_in", {"score": "1"}) == {("wrong_type", "score")}


def test_a_rudderstack_project_of_several_files(tmp_path: Path) -> None:
    plan, notes = imported("rudderstack", FILES / "rudder", tmp_path)
    assert (plan.name, set(plan.events)) == ("shop-plan", {"product_viewed", "page_view"})
    assert plan.events["product_viewed"].tags == ("category:browsing",)
    compiled = compile_plan(plan)
    good = {"SKU": "A-1", "price": 0.07, "method": "on", "tags": ["a"], "scores": [1, "b"], "cart": {"price": None}}
    assert found(compiled, "product_viewed", good) == set()
    assert found(compiled, "product_viewed", {"sku": "a", "price": 0.005, "tags": ["a"] * 6, "cart": {}}) == {
        ("constraint", "sku"),
        ("constraint", "price"),
        ("constraint", "tags"),
        ("missing_required", "cart/price"),
    }
    assert "Product Viewed: the property #property:gone is not in these files; it was left out" in notes
    assert "identify: rules for identify calls and for traits have no counterpart; they were left out" in notes


@pytest.mark.parametrize(
    ("file", "event", "good", "bad"),
    [
        ("rudder-old.yaml", "api_called", {"code": None, "list": ["a"]}, {"code": 99}),
        ("rudder-api.json", "cart_emptied", {"reason": "user"}, {"reason": "user", "count": -1}),
    ],
)
def test_the_other_forms_of_rudderstack(file: str, event: str, good: Any, bad: Any, tmp_path: Path) -> None:
    compiled = compile_plan(imported("rudderstack", FILES / file, tmp_path)[0])
    assert found(compiled, event, good) == set()
    assert [word for word, _ in found(compiled, event, bad)] == ["constraint"]
    assert "missing_required" in [word for word, _ in found(compiled, event, {})]


def test_an_avo_export(tmp_path: Path) -> None:
    plan, notes = imported("avo", FILES / "avo.json", tmp_path)
    compiled = compile_plan(plan)
    assert plan.events["page_viewed"].tags == ("Tier 3 - UI",)
    assert found(compiled, "page_viewed", {"Page Name": "Home", "Experiment": None, "Referrers": ["a"]}) == set()
    assert found(compiled, "page_viewed", {"page_name": "Blog", "depth": 101}) == {
        ("constraint", "page_name"),
        ("constraint", "depth"),
    }
    assert notes == ["page_viewed: its sources have no counterpart; they were left out"]


def test_what_avo_inspector_saw(tmp_path: Path) -> None:
    compiled = compile_plan(imported("avo", FILES / "avo-inspector.json", tmp_path)[0])
    good = {"level": 1, "players": ["a"], "device": {"os": "x"}, "odd": None}
    assert found(compiled, "game_started", good) == set()
    assert found(compiled, "game_started", {"level": 1.5, "players": [1]}) == {
        ("wrong_type", "level"),
        ("wrong_type", "players/0"),
    }


def test_an_iglu_registry_keeps_its_majors(tmp_path: Path) -> None:
    plan, notes = imported("iglu", FILES / "iglu", tmp_path)
    assert plan.events["ad_click"].version == "2.0.0"
    assert plan.history["ad_click", 1].version == "1.0.2"
    assert plan.events["ad_click"].tags == ("vendor:com.acme",)
    compiled = compile_plan(plan)
    assert found(compiled, "ad_click", {"bannerId": "a1", "clickId": None, "cost": 0.1, "ip": "x"}, 1) == set()
    assert found(compiled, "ad_click", {"bannerId": "A", "cost": 0}) == {
        ("constraint", "bannerId"),
        ("constraint", "cost"),
    }
    assert 'ad_click.ip: the format "ipv4" has no counterpart; it is not checked' in notes
    assert "ad_click 1.0.0: a newer minor stands for it" in notes


def test_a_plain_schema_and_all_it_says_that_a_plan_cannot(tmp_path: Path) -> None:
    plan, notes = imported("jsonschema", FILES / "schema.json", tmp_path)
    event = plan.events["video_played"]
    assert event.version == "2.1.0"
    compiled = compile_plan(plan)
    good = {
        "media": {"title": "x", "parent": {"any": "y"}},
        "positionS": 1,
        "quality": "hd",
        "mixed": "z",
        "answer": True,
    }
    good |= {"scores": {"a": 1}, "either": {"b": "x"}, "code": "aab", "when": "2026-09-01", "remote": 5, "tuple": [1]}
    assert found(compiled, "video_played", good) == set()
    assert ("wrong_type", "scores/a") in found(compiled, "video_played", {"scores": {"a": "x"}})
    assert ("missing_required", "either/b") in found(compiled, "video_played", {"either": {}})
    said = "\n".join(notes)
    for part in (
        'Video Played.bad"name: this name cannot be one of a property',
        "positionS: the same name as position_s but for case",
        "remote: https://acme.example/other.json is not in this file",
        "tuple: items with a type for each place are not checked",
        "Video Played.media.parent: it holds itself (#/$defs/media)",
        "mixed: ",
    ):
        assert part in said


def test_our_own_export_comes_back_with_the_same_verdicts(tmp_path: Path) -> None:
    source = load_plan(DEFAULT_PLAN_DIR)
    (tmp_path / "schemas").mkdir()
    for name, schema in schemas_of(source).items():
        (tmp_path / "schemas" / f"{name}.json").write_text(text_of(schema))
    plan, _ = imported("jsonschema", tmp_path / "schemas", tmp_path / "plan")
    assert {name: event.version for name, event in plan.events.items()} == {
        name: event.version for name, event in source.events.items()
    }
    assert set(plan.history) == set(source.history)
    compiled = compile_plan(plan)
    seen = 0
    for event in source.events.values():
        for test in event.tests:
            if not test.violates:
                seen += 1
                assert found(compiled, event.name, test.document, event.major) == set(), (event.name, test.document)
    assert seen >= 10


def run(*arguments: str) -> Result:
    return CliRunner().invoke(import_, list(arguments), standalone_mode=False)


def test_the_command_overwrites_nothing_and_says_what_it_did(tmp_path: Path) -> None:
    out = tmp_path / "plan"
    first = run("segment", str(FILES / "segment.json"), "--out", str(out))
    assert (first.exception, first.return_value) == (None, 0)
    assert first.output.splitlines()[-1].startswith(f"wrote 1 events into {out}, with ")
    mine = out / "events" / "imported" / "order_completed.yaml"
    mine.write_text(mine.read_text().replace("Fired when", "Mine, when"))
    before = mine.read_bytes()
    again = run("segment", str(FILES / "segment-rules.json"), "--out", str(out))
    third = run("segment", str(FILES / "segment.json"), "--out", str(out))
    assert (again.return_value, third.return_value) == (0, 0)
    assert mine.read_bytes() == before
    assert "note: order_completed.yaml: it is there already and was left as it is" in third.output
    assert set(load_plan(out).events) == {"order_completed", "product_viewed", "page_view"}


@pytest.mark.parametrize(
    ("product", "content", "says"),
    [
        ("segment", "{", "is not JSON"),
        ("segment", "[" * 100_000, "is not JSON"),
        ("segment", "[]", "has no events that Segment would export"),
        ("avo", '{"events": [5]}', "has no events that Avo would export"),
        ("iglu", '{"type": "object"}', "has no events that Iglu would export"),
        ("jsonschema", '{"type": "string"}', "has no events that JSON Schema would export"),
        ("jsonschema", "false", "its schema is false, which no value follows"),
        ("jsonschema", "true", "its schema is true, which any value follows, so it names no property"),
    ],
)
def test_a_file_that_is_none_of_theirs_is_one_sentence(product: str, content: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(content)
    done = run(product, str(path), "--out", str(tmp_path / "plan"))
    assert isinstance(done.exception, ImportFailed)
    assert says in str(done.exception)
    assert len(str(done.exception).splitlines()) == 1
    assert not (tmp_path / "plan").exists()


def test_what_an_import_leaves_out_is_said(tmp_path: Path) -> None:
    closed = tmp_path / "closed.json"
    closed.write_text('{"type": "object", "properties": {"a": false, "b": {"type": "string"}}}')
    plan, notes = imported("jsonschema", closed, tmp_path / "out")
    assert [prop.name for prop in plan.events["closed"].properties] == ["b"]
    assert notes == ["closed.a: its schema is false, which no value follows; it was left out"]
    for name, content, says in (
        ("rules.json", '{"rules": {"events": [{"name": 5, "rules": {}}]}}', "the name of a rule is 5, not text"),
        ("open.csv", 'Event Name,Property Name\n"Order,x\n', "is not CSV in UTF-8 (unexpected end of data)"),
    ):
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(ImportFailed) as raised:
            read("segment", path, snake_case)
        assert says in str(raised.value)
        assert "\n" not in str(raised.value)


def test_hostile_names_and_shapes_still_make_a_plan_that_passes(tmp_path: Path) -> None:
    properties = {"no": {"type": "string"}, "$$": {}, "1st": {"type": "integer"}}
    schema = {"properties": {"properties": {"type": "object", "properties": properties}}}
    names = [
        "no",
        "12",
        "Größe geändert",
        "a@b",
        "",
        "x" * 200,
        "null",
        "../../etc",
        "Order\nCompleted",
        "order_completed",
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"rules": {"events": [{"name": name, "rules": schema} for name in names]}}))
    plan, notes = imported("segment", path, tmp_path / "plan")
    assert {"no", "12", "größe_geändert", "null", "etc", "order_completed"} <= set(plan.events)
    assert any("order_completed is there twice" in note for note in notes)
    assert {file.parent.name for file in (tmp_path / "plan").rglob("*.yaml")} == {"plan", "imported"}
