"""The exported JSON Schema says what the collector says, by the judgement of the jsonschema package."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError
from plan.plan_examples import examples
from plan.plan_generated import kinds_plan
from plan.test_plan_codegen_conformance import HARD
from plan.test_plan_property_based import VALUES, members

from collector.cli.options import Failure
from collector.cli.plan.export import export
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import Plan, compile_plan, load_plan
from collector.plan.convert.jsonschema import schemas_of
from collector.plan.model import Type
from collector.reason import Reason

EXAMPLE = Path(__file__).parent / "example"


@cache
def _search(pattern: str) -> Any:
    return re.compile(re.sub(r"\$(?=\)|\||$)", r"\\Z", pattern)).search


def _ecma_pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    """Patterns of JSON Schema are ECMA-262's, whose $ is the very end; the package searches with Python's."""
    if isinstance(instance, str) and not _search(pattern)(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


Validator = validators.extend(Draft202012Validator, {"pattern": _ecma_pattern})  # type: ignore[no-untyped-call]  # its stubs say nothing of it


class Judges:
    """The two judges of a plan's events. Personal data and the ends of versions are no matter of a schema."""

    def __init__(self, plan: Plan) -> None:
        self.compiled = compile_plan(plan)
        self.validators = {name: Validator(schema) for name, schema in schemas_of(plan).items()}

    def valid(self, event: str, major: int, document: Any) -> bool:
        """What both say of a document; fails when they differ."""
        text = json.dumps(document)
        checked = self.compiled.check(event, major, text.encode())
        listed = [v for v in checked.violations if v.reason not in (Reason.UNDECLARED_PII, Reason.SUNSET_VERSION)]
        valid: bool = self.validators[f"{event}@{major}"].is_valid(json.loads(text))
        assert valid is not bool(listed), (event, document, listed)
        return valid


@pytest.mark.parametrize("folder", [DEFAULT_PLAN_DIR, EXAMPLE], ids=["shipped", "example"])
def test_the_plans_own_tests_agree(folder: Path) -> None:
    plan = load_plan(folder)
    schemas = schemas_of(plan)
    tests = [(event, test) for event in [*plan.events.values(), *plan.history.values()] for test in event.tests]
    assert len(tests) > 10
    for event, test in tests:
        valid = Validator(schemas[f"{event.name}@{event.major}"]).is_valid(test.document)
        assert valid == (not test.violates), (event.name, test.document)


def has_inexact(kind: Type | None) -> bool:
    """Remainders of binary fractions are not those of the decimals as written, and text has no bounds in a schema."""
    if kind is None:
        return False
    inner = (kind.items, kind.values, *(prop.type for prop in kind.properties), *kind.members)
    return kind.kind == "decimal" or isinstance(kind.multiple_of, float) or any(has_inexact(part) for part in inner)


def test_whatever_is_sent_schema_and_collector_agree(tmp_path: Path) -> None:
    plan = kinds_plan(tmp_path)
    judges = Judges(plan)
    # Values are allowed in some events by a lenient action, which a schema cannot know of each value.
    events = [plan.events["scalars"], plan.events["nested"], plan.history["lenient", 1]]
    exact = {event.name: tuple(prop for prop in event.properties if not has_inexact(prop.type)) for event in events}
    seen = {True: 0, False: 0}

    documents = [st.tuples(st.just(event), st.one_of(members(exact[event.name]), VALUES)) for event in events]

    @given(event=st.one_of(documents))
    @settings(max_examples=examples(60), deadline=None, derandomize=True, database=None)
    def compare(event: Any) -> None:
        planned, document = event
        inexact = [prop for prop in planned.properties if prop not in exact[planned.name]]
        names = {name for prop in inexact for name in (prop.name, *prop.aliases)}
        if isinstance(document, dict):
            document = {key: value for key, value in document.items() if key not in names}
        if any("\ud800" <= char <= "\udfff" for char in json.dumps(document, ensure_ascii=False)):
            return
        seen[judges.valid(planned.name, planned.major, document)] += 1

    compare()
    for planned in events:
        for prop in exact[planned.name]:
            for value in [*HARD, None, True, [], {}]:
                if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
                    continue  # the collector repairs lone surrogates before it looks
                judges.valid(planned.name, planned.major, {prop.name: value})
    assert min(seen.values()) > 8


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        *[(0, True), (-0.01, False), (99999999999999.9, True), (1e14, False), ("99.50", True), ("-1", False)],
        *[("1" * 14, True), ("1" * 15, False), ("0" * 20 + "1", True), ("x", False), (True, False), (None, False)],
    ],
)
def test_money_is_a_number_or_a_number_as_text(value: Any, valid: bool, tmp_path: Path) -> None:
    plan = kinds_plan(tmp_path)
    assert Judges(plan).valid("scalars", 3, {"money": value}) is valid


def test_the_schemas_are_schemas_and_say_what_the_plan_says() -> None:
    schemas = schemas_of(load_plan(EXAMPLE))
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    bought = schemas["purchase@2"]
    assert bought["$id"] == "urn:footfall:everything:purchase:2.1.0"
    assert bought["properties"]["orderId"]["deprecated"] is True
    assert {"anyOf": [{"required": [name]} for name in ("order_id", "orderId", "order")]} in bought["allOf"]
    assert schemas["custom@1"]["properties"]["mail"]["x-pii"] == "email"
    assert bought["additionalProperties"] is False


def run(*arguments: str) -> Result:
    return CliRunner().invoke(export, ["jsonschema", str(EXAMPLE), *arguments], standalone_mode=False)


def test_the_command_prints_one_or_all_or_writes_files(tmp_path: Path) -> None:
    assert json.loads(run("--event", "purchase").output)["title"] == "purchase@2"
    assert json.loads(run("--event", "purchase@1").output)["title"] == "purchase@1"
    assert set(json.loads(run().output)["$defs"]) == {"custom@1", "page_view@1", "purchase@1", "purchase@2"}
    for _ in range(2):
        assert f"wrote {tmp_path / 'purchase@2.json'}\n" in run("--out", str(tmp_path)).output
    (tmp_path / "custom@1.json").write_text("{}")
    refused = run("--out", str(tmp_path))
    assert isinstance(refused.exception, Failure)
    assert "was not written by this command" in str(refused.exception)
    unknown = run("--event", "purchas")
    assert str(unknown.exception) == 'the plan has no event "purchas"; did you mean "purchase"?'
