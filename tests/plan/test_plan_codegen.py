"""Generated helpers: wrong use fails to compile, right use compiles and sends what it says, and a page hardly pays."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from plan.plan_generated import NODE_MODULES, ROOT, kinds_plan, ran, tsc

from collector.cli.options import Failure
from collector.cli.plan.codegen import codegen
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import EventPlan, Plan, load_plan
from collector.plan.codegen import CodegenError, generate

EXAMPLE = Path(__file__).parent / "example"
ITEM = '{ sku: "A", price: 1, quantity: 1 }'
BOUGHT = f'order_id: "O", currency: "EUR", value: 9.5, items: [{ITEM}]'

RIGHT = [
    'pageView({ url: "https://a.example/", page_type: "home", load_ms: 3 });',
    f"purchase({{ {BOUGHT} }});",
    f'purchase({{ {BOUGHT}, tip: "0.50", paid_at: new Date() }}, {{ extra: {{ colour: "red" }}, consent: "ads" }});',
    f'purchase({{ orderId: "O", currency: "EUR", value: "9.50", items: [{ITEM}] as const }});',
    'custom({ name: "a", data: { a: "x", b: 1, c: true }, mail: null, $set: { any: [1] }, "user-agent": "x" });',
    'const line: Item = { sku: "A", price: "1.50", quantity: 2 };',
    'const sent: Purchase["items"] = [line]; void sent;',
]
WRONG = [
    ('pageView({ page_type: "home" });', "url"),
    ("pageView();", "Expected 1-2 arguments"),
    ('pageView({ url: "x", page_type: "landing" });', '"landing"'),
    ('pageView({ url: "x", load_ms: "3" });', "number"),
    ('pageView({ url: "x", load_ms: null });', "null"),
    ('pageView({ url: "x", colour: "red" });', "colour"),
    ('pageView({ url: "x" }, { colour: "red" });', "colour"),
    ('pageView({ url: "x" }, { extra: "red" });', "string"),
    (f'purchase({{ currency: "EUR", value: 9.5, items: [{ITEM}] }});', "order_id"),
    (f'purchase({{ {BOUGHT}, tip: "much" }});', '"much"'),
    (f"purchase({{ {BOUGHT}, paid_at: 5 }});", "number"),
    ('purchase({ order_id: "O", currency: "EUR", value: 1, items: [{ sku: "A", price: 1 }] });', "quantity"),
    (f'purchase({{ order_id: "O", currency: "EUR", value: 1, items: {ITEM} }});', "sku"),
    ('purchase({ order_id: "O", currency: "EUR", value: 1, items: [{ sku: 5, price: 1, quantity: 1 }] });', "number"),
    ('custom({ name: "a", data: { a: [1] } });', "number[]"),
    ('custom({ name: "a", mail: 5 });', "number"),
    ('custom("banner");', "'string'"),
    ("checkoutStarted({});", "checkoutStarted"),
]


def written(plan: Plan, folder: Path, language: str, **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for ending, text in generate(plan, language, **options).items():
        (folder / f"tracking{ending}").write_text(text, encoding="utf-8")
    return folder


def test_wrong_use_fails_to_compile_where_it_stands_and_right_use_compiles(tmp_path: Path) -> None:
    """Both languages, with and without a validator, in one run of the compiler, which starts longer than it runs."""
    head = 'import { custom, type Item, pageView, purchase, type Purchase } from "./tracking";\n'
    lines = [f"{code}" for code in RIGHT] + [code for code, _ in WRONG]
    found: dict[str, dict[int, str]] = {}
    for language, dev in itertools.product(("typescript", "javascript"), (False, True)):
        name = f"{language}-{'development' if dev else 'production'}"
        folder = written(load_plan(EXAMPLE), tmp_path / name, language, dev=dev, source="global")
        (folder / "use.ts").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
        found[name] = {}
    place = None
    for line in tsc(tmp_path, *(f"{name}/use.ts" for name in found)):
        if start := re.match(r"([a-z-]+)/use\.ts\((\d+),", line):
            place = (start[1], int(start[2]))
            assert place[1] not in found[place[0]], line
        assert place, line
        found[place[0]][place[1]] = found[place[0]].get(place[1], "") + line
    first = 2 + len(RIGHT)
    for name, errors in found.items():
        assert sorted(errors) == list(range(first, first + len(WRONG))), name
        for number, (code, word) in enumerate(WRONG, first):
            assert word in errors[number], (name, code, errors[number])


def test_helpers_of_every_kind_of_type_compile_in_a_strict_project(tmp_path: Path) -> None:
    plan = kinds_plan(tmp_path / "plan")
    for language in ("typescript", "javascript"):
        folder = written(plan, tmp_path / language, language, source="global")
        (folder / "use.ts").write_text(
            'import { lenient, nested, scalars } from "./tracking";\n'
            "lenient({ a: 5 });\n"
            'scalars({ word: "b c", odd: 1, moment: null, either: true, day: "2026-09-01" });\n'
            "scalars();\n"
            'nested({ Sum: 1, lines: [{ sku: "A", cost: 1, size: { unit: "cm" } }], grid: [[1]] });\n'
            "nested({ total: 1, lines: [], tags: { a: null } });\n",
            encoding="utf-8",
        )
    strict = ("--exactOptionalPropertyTypes", "--noImplicitReturns")
    assert tsc(tmp_path, "typescript/use.ts", "javascript/use.ts", more=strict) == []


def test_the_validator_itself_is_typed(tmp_path: Path) -> None:
    source = ROOT / "collector" / "plan" / "codegen" / "validator.js"
    assert (
        tsc(tmp_path, str(source), more=("--allowJs", "--checkJs", "--noImplicitReturns", "--target", "es2020")) == []
    )


def test_what_the_plan_says_of_an_event_stands_at_its_helper(tmp_path: Path) -> None:
    plan = load_plan(EXAMPLE)
    ended = replace(plan.events["custom"], deprecated="Use banner_shown.")
    text = generate(replace(plan, events=plan.events | {"custom": ended}), "typescript")[".ts"]
    assert text.startswith("// Typed helpers of the tracking plan everything 3.2.0 (")
    assert "// Generated by `footfall plan codegen`; do not edit.\n" in text
    assert " * A page became visible.\n * When: Once per page.\n * Owner: team-a. Tags: core." in text
    assert " * @deprecated Use banner_shown.\n */\nexport const custom" in text
    assert "/** @deprecated Send it as order_id. */\n  orderId: string;" in text
    assert "/** Unit: currency. At least 0. */" in text
    assert 'Examples: "EUR".' in text
    hostile = replace(plan.events["custom"], description='Ends */ a comment and """ a docstring\\')
    every = replace(plan, events=plan.events | {"custom": hostile})
    assert "Ends *\\/ a comment" in generate(every, "typescript")[".ts"]
    compile(generate(every, "python")[".py"], "tracking.py", "exec")


def test_the_same_plan_gives_the_same_bytes() -> None:
    plans = load_plan(DEFAULT_PLAN_DIR), load_plan(DEFAULT_PLAN_DIR)
    first, second = ([generate(plan, language, dev=dev) for language, dev in BUILDS] for plan in plans)
    assert first == second
    assert not any(str(ROOT) in text for files in first for text in files.values())


BUILDS = [("typescript", False), ("typescript", True), ("javascript", False), ("javascript", True), ("python", False)]

_PAGE = """
const calls = []; const warned = [];
globalThis.shop = (...call) => calls.push(call);
console.warn = (text, facts) => warned.push([text, facts.pointer]);
globalThis.window = globalThis;
const helpers = await import(process.argv[1]);
helpers.custom({ name: "a" });
helpers.purchase({ order_id: "O", currency: "eur", value: 1, items: [] }, { extra: { a: 1 }, consent: "ads" });
helpers.pageView({ url: "https://a.example/" });
console.log(JSON.stringify({ calls, warned, plan: globalThis.footfallPlan?.version }));
"""


@pytest.mark.parametrize("dev", [False, True], ids=["production", "development"])
def test_a_helper_sends_the_version_and_keeps_unplanned_properties_apart(dev: bool, tmp_path: Path) -> None:
    plan = load_plan(EXAMPLE)
    consented = replace(plan.events["page_view"], consent=("analytics",))
    plan = replace(plan, events=plan.events | {"page_view": consented})
    text = generate(plan, "javascript", dev=dev, source="global:shop")[".js"]
    path = tmp_path / "tracking.mjs"
    path.write_text(text, encoding="utf-8")
    done = ran(["node", "--input-type=module", "-e", _PAGE, path.as_uri()])
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    bought = {"order_id": "O", "currency": "eur", "value": 1, "items": []}
    assert seen["calls"] == [
        ["track", "custom@1", {"name": "a"}, None],
        ["track", "purchase@2", bought, {"extra": {"a": 1}, "consent": "ads"}],
        ["track", "page_view@1", {"url": "https://a.example/"}, {"consent": ["analytics"]}],
    ]
    fixes = [
        'footfall: purchase@2 constraint at /properties/currency: currency is "eur", it must match ^[A-Z]{3}$; '
        'send a value such as "EUR"',
        "footfall: purchase@2 constraint at /properties/items: items is a list of 0, it must have at least 1 items; "
        "send more, or no event",
    ]
    assert [text for text, _ in seen["warned"]] == (fixes if dev else [])
    assert seen.get("plan") == ("3.2.0" if dev else None)


def bundled(folder: Path, used: list[str]) -> int:
    """Bytes of a production bundle that uses these helpers, minified and gzipped."""
    calls = "".join(f"{name}(value{index});" for index, name in enumerate(used))
    values = "".join(f"const value{index} = window.v{index};" for index in range(len(used)))
    imported = f'import {{ {", ".join(used)} }} from "./tracking";' if used else ""
    (folder / "page.js").write_text(f"{imported}{values}{calls}", encoding="utf-8")
    esbuild = [
        str(NODE_MODULES / ".bin" / "esbuild"),
        "page.js",
        "--bundle",
        "--minify",
        "--format=esm",
        "--target=es2020",
    ]
    done = ran([*esbuild, "--external:footfall"], folder)
    assert done.returncode == 0, done.stderr
    assert "Properties" not in done.stdout
    return len(gzip.compress(done.stdout.encode(), 9, mtime=0))


@pytest.mark.parametrize("source", ["footfall", "global"])
def test_each_used_event_costs_at_most_30_bytes_and_an_unused_one_nothing(source: str, tmp_path: Path) -> None:
    plan = load_plan(DEFAULT_PLAN_DIR)
    folder = written(plan, tmp_path, "typescript", source=source)
    names = re.findall(r"export const (\w+):", (folder / "tracking.ts").read_text())
    assert len(names) == len(plan.events) >= 8

    few, many = bundled(folder, names[:2]), bundled(folder, names[:8])
    assert (many - few) / 6 <= 30, (few, many)
    (folder / "unused.js").write_text('import "./tracking";')
    done = ran(
        [str(NODE_MODULES / ".bin" / "esbuild"), "unused.js", "--bundle", "--minify", "--external:footfall"], folder
    )
    assert "@" not in done.stdout


PYTHON_RIGHT = """\
from decimal import Decimal
from tracking import Events, Item, Purchase, exact, http, segment

sent: list[dict[str, object]] = []
events = Events(http(sent.append))
line: Item = {"sku": "A", "price": exact(Decimal("9.50")), "quantity": 1}
events.purchase({"order_id": "O", "currency": "EUR", "value": 9.5, "items": [line]}, user_id="u-1", extra={"a": 1})
events.page_view({"url": "https://a.example/", "page_type": "home"}, anonymous_id="a-1", message_id="m-1")
events.custom({"name": "a", "data": {"a": "x", "b": 1, "c": True}, "mail": None, "$set": {"x": [1]}, "user-agent": "x"})
"""
PYTHON_WRONG = [
    'events.page_view({"page_type": "home"})',
    'events.page_view({"url": "x", "page_type": "landing"})',
    'events.page_view({"url": "x", "load_ms": "3"})',
    'events.page_view({"url": "x", "colour": "red"})',
    'events.purchase({"order_id": "O", "currency": "EUR", "value": "free", "items": []})',
    'events.purchase({"order_id": "O", "currency": "EUR", "value": 1, "items": [{"sku": "A", "price": 1}]})',
    'events.custom({"name": "a", "mail": 5})',
    "events.custom()",
    "events.checkout_started({})",
]


def test_in_python_wrong_use_fails_mypy_and_right_use_is_sent(tmp_path: Path) -> None:
    folder = written(load_plan(EXAMPLE), tmp_path, "python")
    (folder / "right.py").write_text(PYTHON_RIGHT)
    (folder / "wrong.py").write_text(PYTHON_RIGHT + "\n".join(PYTHON_WRONG) + "\n")
    checked = ran([sys.executable, "-m", "mypy", "--strict", "--no-incremental", "right.py", "wrong.py"], folder)
    first = PYTHON_RIGHT.count("\n") + 1
    lines = {int(found) for found in re.findall(r"^wrong\.py:(\d+): error", checked.stdout, re.M)}
    assert lines == set(range(first, first + len(PYTHON_WRONG))), checked.stdout
    assert not re.findall(r"^(right|tracking)\.py", checked.stdout, re.M)
    script = "import right, json; print(json.dumps(right.sent))"
    sent = json.loads(ran([sys.executable, "-c", script], folder).stdout)
    assert [message["event"] for message in sent] == ["purchase@2", "page_view@1", "custom@1"]
    assert sent[0]["properties"]["items"] == [{"sku": "A", "price": "9.50", "quantity": 1}]
    assert (sent[0]["extra"], sent[0]["userId"], sent[1]["messageId"]) == ({"a": 1}, "u-1", "m-1")
    assert "extra" not in sent[1]


def test_the_python_helpers_send_through_segments_own_client(tmp_path: Path) -> None:
    folder = written(load_plan(EXAMPLE), tmp_path, "python")
    script = """
import json, segment.analytics
from tracking import Events, segment as through
through_client, answers = through(segment.analytics.Client("key", send=False)), []
events = Events(lambda *sent, **who: answers.append(through_client(*sent, **who)))
events.page_view({"url": "https://a.example/"}, user_id="u-1", extra={"colour": "red"})
[(_, message)] = answers
print(json.dumps([message["event"], message["properties"], message["userId"]]))
"""
    done = ran([sys.executable, "-W", "ignore", "-c", script], folder)
    assert json.loads(done.stdout) == ["page_view@1", {"url": "https://a.example/", "colour": "red"}, "u-1"], (
        done.stderr
    )


def named(*names: str) -> Plan:
    plan = load_plan(EXAMPLE)
    model: EventPlan = plan.events["page_view"]
    return replace(plan, events={name: replace(model, name=name) for name in names})


def test_names_that_are_no_identifiers_or_reserved_get_others(tmp_path: Path) -> None:
    plan = named("delete", "Order Completed", "2fa", "options", "date", "event", "track", "größe", "import", "lambda")
    text = generate(plan, "typescript", source="global")[".ts"]
    for line in (
        "deleteEvent: Send<Delete>",
        "orderCompleted: Send<OrderCompleted>",
        "event2fa: Send<",
        "größe: Send<",
    ):
        assert f"export const {line}" in text
    for line in ("options: Send<OptionsEvent>", "date: Send<DateEvent>", "importEvent: Send<Import>"):
        assert f"export const {line}" in text
    (tmp_path / "tracking.ts").write_text(text, encoding="utf-8")
    assert tsc(tmp_path, "tracking.ts") == []
    made = generate(plan, "python")[".py"]
    compile(made, "tracking.py", "exec")
    for name in ("delete", "order_completed", "event_2fa", "import_event", "lambda_event", "größe"):
        assert f"    def {name}(self, " in made


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a:b", "a/b"), 'the events "a/b" and "a:b" would both be the helper aB; rename one of them'),
        (("delete", "delete event"), "would both be the helper deleteEvent; rename one of them"),
        (("$$",), 'the event "$$" cannot be the name of a helper; rename it with letters and digits'),
    ],
    ids=["separators", "suffix", "no letters"],
)
def test_names_that_cannot_be_helpers_are_one_clear_error(names: tuple[str, ...], says: str) -> None:
    with pytest.raises(CodegenError) as raised:
        generate(named(*names), "typescript")
    assert says in str(raised.value)


def test_the_command_prints_or_writes_and_overwrites_only_its_own_files(tmp_path: Path) -> None:
    run = CliRunner().invoke
    printed = run(codegen, [str(EXAMPLE), "--lang", "typescript", "--import", "./tag.js"])
    assert 'import { track as $track } from "./tag.js";' in printed.output
    out = tmp_path / "src" / "tracking.js"
    for _ in range(2):
        done = run(codegen, [str(EXAMPLE), "--lang", "javascript", "--out", str(out)], standalone_mode=False)
        assert done.exception is None
        assert done.output == f"wrote {out}\nwrote {tmp_path / 'src' / 'tracking.d.ts'}\n"
    out.write_text("export const mine = 1;\n")
    refused = run(codegen, [str(EXAMPLE), "--lang", "javascript", "--out", str(out)], standalone_mode=False)
    assert isinstance(refused.exception, Failure)
    assert "was not generated by this command" in str(refused.exception)
    assert out.read_text() == "export const mine = 1;\n"
    # The plan says for which environments the helpers report: dev has report: browser_console, staging has ci.
    made = {name: run(codegen, [str(EXAMPLE), "--lang", "javascript", "--environment", name]).output
            for name in ("dev", "staging", "prod")}  # fmt: skip
    assert ["$report(" in made[name] for name in ("dev", "staging", "prod")] == [True, False, False]
    unknown = run(codegen, [str(EXAMPLE), "--lang", "javascript", "--environment", "x"], standalone_mode=False)
    assert "known are dev, prod, staging" in str(unknown.exception)
    with pytest.raises(CodegenError, match="a development build is for browsers"):
        generate(load_plan(EXAMPLE), "python", dev=True)
