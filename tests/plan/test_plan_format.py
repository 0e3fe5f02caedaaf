"""Format 1: every keyword arrives where the collector acts on it, and editors are told the same as the loader says."""

from __future__ import annotations

import datetime
import re
import shutil
from pathlib import Path

import pytest
from plan.plan_types import WriteFolder

from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import Action, PlanError, check_report, load_plan
from collector.plan.editor import schema_text
from collector.plan.journeys import Call, Invariant, InvariantError, Number, Operation, parse_invariant
from collector.plan.journeys import Path as Name
from collector.plan.model import DEFAULT_ACTIONS, Accept, Expected, Pii, Plan, Property, Rule, Sampling, Upcast
from collector.plan.pattern import PatternError, longest_match, translate
from collector.reason import Reason

HERE = Path(__file__).parent
WORKED = HERE / "worked"


@pytest.fixture(scope="module")
def worked() -> Plan:
    return load_plan(WORKED)


def named(plan: Plan, event: str, name: str) -> Property:
    return next(prop for prop in plan.events[event].properties if prop.name == name)


def test_the_worked_example_passes_its_own_tests() -> None:
    report = check_report(WORKED)
    assert report.errors == []
    assert (report.events, report.tests) == (8, 15)


def test_what_an_editor_says_of_an_event_is_typed(worked: Plan) -> None:
    purchase = worked.events["purchase"]
    assert purchase.accept == (
        Accept(
            major=1,
            until=datetime.date(2027, 3, 31),
            upcast=Upcast(rename={"total": "value", "id": "order_id"}, default={"currency": "EUR"}),
        ),
    )
    assert purchase.expect.daily == Expected(min=100)
    assert purchase.expect.ratio == Expected(of="add_to_cart", min=0.05)
    assert purchase.semantic.dedupe_by == "order_id"
    assert purchase.file == "events/shop/purchase.yaml"
    assert worked.events["click"].sampling == Sampling(rate=0.25, by="visitor")
    assert worked.events["sign_up"].consent == ("analytics",)
    assert worked.events["custom"].sunset == datetime.date(2027, 1, 1)
    assert worked.environments["dev"].report == "browser_console"
    assert worked.owners == ("team-growth",)
    assert sorted(worked.history) == [("purchase", 1), ("sign_up", 1)]


def test_what_a_named_type_says_of_itself_holds_for_its_properties(worked: Plan) -> None:
    currency = named(worked, "purchase", "currency").type
    assert currency.column is not None
    assert currency.column.type == "LowCardinality(String)"
    assert currency.max_length == 3  # from its pattern, which has an end
    assert named(worked, "sign_up", "email").type.pii == Pii(pii_class="email", handling="sha256")
    url = named(worked, "page_view", "url").type
    assert url.pii == Pii(
        pii_class="url", handling="strip_query_except", keep=("utm_source", "utm_medium", "utm_campaign", "gclid")
    )
    assert named(worked, "purchase", "value").type.unit == "currency"
    items = named(worked, "purchase", "items").type.items
    assert items is not None
    assert {prop.name: prop.type.unit for prop in items.properties}["price"] == "currency"


def test_documentation_of_a_type_stands_in_where_a_property_is_silent(write_plan: WriteFolder) -> None:
    types = "types:\n  sku: {type: string, description: Of the shop., owner: me, tags: [x], deprecated: Use ean.}\n"
    body = "event: e\nversion: 1.0.0\nproperties:\n  a: {type: sku}\n  b: {type: sku, description: Mine.}\n"
    first, second = load_plan(write_plan({"types.yaml": types, "events/c/e.yaml": body})).events["e"].properties
    assert (first.description, first.owner, first.tags, first.deprecated) == ("Of the shop.", "me", ("x",), "Use ean.")
    assert (second.description, second.owner) == ("Mine.", "me")


# Rules


def rules_of(write_plan: WriteFolder, head: str, event: str = "") -> dict[str, dict[Reason, Rule]]:
    files = {
        "plan.yaml": f"format: 1\nplan: test\nversion: 1.0.0\n{head}\n",
        "events/c/e.yaml": f"event: e\nversion: 1.0.0\n{event}\n",
    }
    return load_plan(write_plan(files)).events["e"].rules


def test_an_events_rule_comes_before_its_environments_and_that_before_the_plans(write_plan: WriteFolder) -> None:
    rules = rules_of(
        write_plan,
        "enforce: {constraint: flag, wrong_type: flag}\n"
        "environments: {dev: {enforce: {constraint: allow, missing_required: flag}}}",
        "enforce: {constraint: quarantine}",
    )
    assert {name: {reason: rule.action for reason, rule in found.items()} for name, found in rules.items()} == {
        "prod": DEFAULT_ACTIONS | {Reason.WRONG_TYPE: Action.FLAG, Reason.CONSTRAINT: Action.QUARANTINE},
        "dev": DEFAULT_ACTIONS
        | {
            Reason.WRONG_TYPE: Action.FLAG,
            Reason.CONSTRAINT: Action.QUARANTINE,
            Reason.MISSING_REQUIRED: Action.FLAG,
        },
    }


def test_a_rule_with_a_date_is_what_it_was_before_until_then(write_plan: WriteFolder) -> None:
    rules = rules_of(
        write_plan,
        "enforce: {wrong_type: flag}\nenvironments: {dev: {enforce: {wrong_type: allow}}}",
        "enforce: {wrong_type: {action: quarantine, from: 2027-02-01}}",
    )
    rule = rules["prod"][Reason.WRONG_TYPE]
    assert rule.on(datetime.date(2027, 1, 31)) is Action.FLAG
    assert rule.on(datetime.date(2027, 2, 1)) is Action.QUARANTINE
    assert rules["dev"][Reason.WRONG_TYPE].on(datetime.date(2027, 1, 31)) is Action.ALLOW


def test_the_strictest_action_wins_in_the_order_of_the_enum() -> None:
    assert max(Action.STRIP, Action.FLAG, Action.QUARANTINE) is Action.QUARANTINE
    assert sorted(Action, reverse=True)[0] is Action.DROP
    assert not Action.FLAG < Action.ALLOW


def test_only_undeclared_personal_data_may_be_dropped(write_plan: WriteFolder) -> None:
    rules = rules_of(write_plan, "enforce: {undeclared_pii: drop}")
    assert rules["prod"][Reason.UNDECLARED_PII].action is Action.DROP
    for reason in set(DEFAULT_ACTIONS) - {Reason.UNDECLARED_PII}:
        with pytest.raises(PlanError, match=f'{reason.word} cannot be "drop"'):
            rules_of(write_plan, f"enforce: {{{reason.word}: drop}}")


# Journeys


def test_a_journeys_steps_are_in_milliseconds(worked: Plan) -> None:
    journey = worked.journeys["checkout"]
    assert journey.key == "session_id"
    assert [(step.event, step.within_ms, step.times) for step in journey.steps] == [
        ("page_view", None, None),
        ("add_to_cart", 1_800_000, None),
        ("purchase", 7_200_000, 1),
    ]
    assert journey.steps[0].where == {"page_type": "product"}


def test_an_invariant_is_read_by_its_grammar(worked: Plan) -> None:
    (text,) = worked.journeys["checkout"].invariants
    price, quantity = (Name("purchase", ("items",), (name,), kind) for name, kind in
                       (("price", "decimal"), ("quantity", "integer")))  # fmt: skip
    assert parse_invariant(text, worked.events) == Invariant(
        Name("purchase", (), ("value",), "decimal"), "==", Call("sum", Operation("*", price, quantity)), "0.01"
    )
    multiplied_first = parse_invariant("purchase.tax + 2 * 3 <= (1 + purchase.value) / 2", worked.events)
    assert multiplied_first.left == Operation(
        "+", Name("purchase", (), ("tax",), "decimal"), Operation("*", Number("2"), Number("3"))
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is missing at its end"),
        ("purchase.value", "no comparison at its end"),
        ("purchase.value == ", "is missing at its end"),
        ("purchase.value == 1 2", 'it goes on at "2" in column 21'),
        ("1 == 1", "it names no property"),
        ("purchase.valu == 1", '"valu" in purchase.valu is no property there; did you mean "value"?'),
        ("purchas.value == 1", '"purchas" is not an event of its steps; did you mean "purchase"?'),
        ("purchase == 1", "is a whole event"),
        ("purchase.items.price == 1", '"price" in purchase.items.price is no property there'),
        ("purchase.items[].price == 1", "put it into a function such as sum(purchase.items[].price)"),
        ("purchase.value[] == 1", "is no list that [] can walk"),
        ("sum(purchase.value) == 1", "sum walks no list"),
        ("sum(purchase.items[].sku) == 1", "sum is for numbers"),
        ("total(purchase.items[].price) == 1", '"total" is not a function'),
        ("sum(sum(purchase.items[].price)) == 1", "stands inside another function"),
        ("sum(purchase.items[].price + add_to_cart.items[].price) == 1", "sum walks two lists"),
        ("(purchase.value == 1", "a ) is missing"),
        ("purchase.order_id == 1", "it compares numbers with text"),
        ("purchase.order_id < 'x'", "texts are equal or not"),
        ("purchase.order_id + 1 == 1", "+ is for numbers"),
        ("purchase.new_customer == purchase.paid_at", "it compares booleans with datetimes"),
        ("purchase.value == 1 +- purchase.tax", "+- is not followed by a number"),
        ("purchase.value ~ 1", '"~" in column 16 of it means nothing'),
        ("(" * 30 + "1" + ")" * 30 + " == purchase.value", "nested more than 20 deep"),
        ("purchase.value == " + "1 + " * 200 + "1", "the limit is 500"),
    ],
)
def test_an_invariant_that_means_nothing_is_refused(worked: Plan, text: str, sentence: str) -> None:
    with pytest.raises(InvariantError) as raised:
        parse_invariant(text, worked.events)
    assert sentence in str(raised.value)


# Patterns


@pytest.mark.parametrize(
    ("pattern", "longest"),
    [
        ("^[A-Z]{3}$", 3),
        ("^(?:ab){2}(c|de)$", 6),
        ("^$", 0),
        ("^a+$", None),
        ("^a{2,}$", None),
        ("a{3}$", None),
        ("^a{3}", None),
        ("^a|b$", None),
        ("^a\\$", None),
    ],
)
def test_a_pattern_with_an_end_gives_its_text_a_length(pattern: str, longest: int | None) -> None:
    assert longest_match(pattern) == longest


@pytest.mark.parametrize("pattern", ["^[a-z]+(_[a-z0-9]+)*$", "^(-\\d{2,3})+$", "^\\w+(\\.\\w+)*$", "^a(,[^,]*)*$"])
def test_a_repetition_whose_parts_start_at_their_own_character_is_quick(pattern: str) -> None:
    assert translate(pattern, 128)


@pytest.mark.parametrize(
    "pattern", ["^(_[a-z_]+)*$", "^(a[a-z]+)*$", "^([a-z]+_)*$", "^(_[a-z]*[0-9]*)*$", "^((_a*)*)*$"]
)
def test_any_other_repetition_of_a_repetition_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="repeats a group"):
        translate(pattern, 128)


# What editors are told


def test_the_schema_that_ships_is_that_of_the_keyword_tables() -> None:
    shipped = (DEFAULT_PLAN_DIR / "plan.schema.json").read_text(encoding="utf-8")
    assert shipped == schema_text(), "make it anew: python -m collector.plan.editor > schemas/plan.schema.json"


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(DEFAULT_PLAN_DIR.rglob("*.yaml")) if path.parent.name != "history"],
    ids=lambda path: path.stem,
)
def test_every_file_that_ships_says_which_schema_it_follows(path: Path) -> None:
    stated = [line for line in path.read_text(encoding="utf-8").splitlines() if "yaml-language-server" in line]
    (line,) = stated
    target = path.parent / line.removeprefix("# yaml-language-server: $schema=")
    assert target.resolve() == (DEFAULT_PLAN_DIR / "plan.schema.json").resolve()


def test_what_the_readme_shows_can_be_written(tmp_path: Path) -> None:
    text = (DEFAULT_PLAN_DIR / "README.md").read_text(encoding="utf-8")
    event, enforcement, accept, journey = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    folder = tmp_path / "plan"
    shutil.copytree(DEFAULT_PLAN_DIR, folder, ignore=shutil.ignore_patterns("plan.lock"))
    (folder / "plan.yaml").write_text("format: 1\nplan: shown\nversion: 1.0.0\n" + enforcement, encoding="utf-8")
    (folder / "events/shop/coupon_applied.yaml").write_text(event, encoding="utf-8")
    (folder / "journeys/checkout.yaml").write_text(journey, encoding="utf-8")
    purchase = folder / "events/shop/purchase.yaml"
    without = re.sub(r"accept:\n(  .*\n)+", "", purchase.read_text(encoding="utf-8"))
    purchase.write_text(without + accept, encoding="utf-8")
    report = check_report(folder)
    assert report.errors == []
    assert load_plan(folder).events["purchase"].accept[0].upcast == Upcast(
        rename={"total": "value"}, default={"currency": "EUR"}
    )
