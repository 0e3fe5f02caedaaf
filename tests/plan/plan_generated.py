"""Plans and tools for the tests of generated code: every kind of type, node, tsc and esbuild."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

from msgspec.structs import replace

from collector.plan import load_plan
from collector.plan.model import PROD, Accept, Action, Plan, Rule
from collector.reason import Reason

ROOT = Path(__file__).resolve().parents[2]
NOW_MS = 1_790_000_000_000  # 2026-09-21
NODE_MODULES = ROOT / "js_sdk" / "node_modules"

# Every kind of type, at the edges where two languages could disagree.
KINDS_PLAN = {
    "plan.yaml": """
        format: 1
        plan: kinds
        version: 1.2.3
        naming: {events: "^[a-z]", properties: "^[A-Za-z0-9$]"}
        enforce: {unknown_event: quarantine, unknown_property: flag, constraint: flag}
        limits: {max_extra_properties: 2, max_string: 60}
    """,
    "types.yaml": """
        types:
          money: {type: decimal, minimum: 0}
        entities:
          line:
            properties:
              sku: {type: string, minLength: 1, maxLength: 8, required: true}
              price: {type: money, required: true, aliases: [cost]}
              size:
                type: object
                properties: {width: {type: number, exclusiveMinimum: 0}, unit: {type: string, enum: [cm, in]}}
    """,
    "events/core/scalars.yaml": """
        event: scalars
        version: 3.1.0
        description: "Ends a comment */ and a docstring \\"\\"\\" in words."
        properties:
          text: {type: string}
          few: {type: string, minLength: 2, maxLength: 5}
          word: {type: string, enum: [a, "b c", 'it''s "so"']}
          whole: {type: integer}
          odd: {type: integer, enum: [1, 3, 9007199254740993]}
          step: {type: integer, multipleOf: 5, minimum: -10, maximum: 1000}
          large: {type: integer, minimum: 9007199254740993}
          ratio: {type: number, exclusiveMinimum: 0, exclusiveMaximum: 1}
          half: {type: number, multipleOf: 0.05}
          money: {type: money}
          short: {type: decimal, precision: 5, scale: 2, multipleOf: 0.01, maximum: 99.5}
          debt: {type: decimal, exclusiveMinimum: -5}
          flag: {type: boolean}
          day: {type: date}
          moment: {type: datetime, nullable: true}
          mail: {type: string, format: email, pii: {class: email}}
          link: {type: string, format: uri}
          ident: {type: string, format: uuid}
          code: {type: string, pattern: "^[A-Z]{2,3}-[0-9]+$", maxLength: 10, examples: [AB-1]}
          loose: {type: string, pattern: "[\\\\d\\\\-a&&b~]|x\\\\]|\\\\s$", maxLength: 12}
          either: {type: [string, integer, boolean], minimum: 3, maxLength: 4}
          numeric: {type: [integer, number], maximum: 10}
    """,
    "events/core/nested.yaml": """
        event: nested
        version: 1.0.0
        semantic: {value: total}
        enforce: {missing_required: flag}
        properties:
          total: {type: number, required: true, aliases: [Sum]}
          lines: {type: array, items: line, required: true, minItems: 1, maxItems: 2}
          one: {type: line}
          tags: {type: map, values: {type: string, nullable: true, maxLength: 3}, maxProperties: 2}
          grid: {type: array, items: {type: array, items: integer}}
          free: {type: object}
          $set: {type: array}
          user-agent: {type: string, nullable: true}
          constructor: {type: string}
          "12": {type: boolean}
    """,
    "events/core/strict.yaml": """
        event: strict
        version: 1.0.0
        properties:
          needed: {type: integer, required: true, maximum: 5}
          list: {type: array, items: {type: integer, maximum: 5}, minItems: 1}
          inner: {type: object, properties: {a: {type: string, required: true, maxLength: 2}}}
          mail: {type: string, format: email, pii: {class: email, handling: sha256}}
    """,
    "events/core/lenient.yaml": """
        event: lenient
        version: 2.0.0
        enforce: {unknown_property: allow, wrong_type: allow}
        properties:
          a: {type: integer, required: true, maximum: 5}
        accept: [{major: 1}]
    """,
    "history/lenient@1.yaml": """
        event: lenient@1
        version: 1.0.0
        properties: {a: {type: string}}
    """,
}


def kinds_plan(folder: Path) -> Plan:
    """The plan above, written into a folder and loaded; with each action, a rule that starts later, and two ends."""
    for name, text in KINDS_PLAN.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    plan = load_plan(folder)
    strict, lenient = plan.events["strict"], plan.events["lenient"]
    rules = strict.rules[PROD] | {
        Reason.CONSTRAINT: Rule(action=Action.STRIP),
        Reason.WRONG_TYPE: Rule(action=Action.STRIP),
        Reason.UNKNOWN_PROPERTY: Rule(action=Action.QUARANTINE, starts=date(2026, 12, 1), before=Action.FLAG),
        Reason.MISSING_REQUIRED: Rule(action=Action.QUARANTINE, starts=date(2026, 9, 1)),
        Reason.UNDECLARED_PII: Rule(action=Action.DROP),
    }
    plan.events["strict"] = replace(strict, rules={PROD: rules}, sunset=date(2026, 9, 21))
    plan.events["lenient"] = replace(lenient, accept=(Accept(major=1, until=date(2026, 9, 20)),))
    return plan


def ran(arguments: list[str], cwd: Path | None = None, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; at most a minute, which only a stuck one needs."""
    return subprocess.run(arguments, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def tsc(folder: Path, *files: str, more: tuple[str, ...] = ()) -> list[str]:
    """The errors of the TypeScript compiler, strict, one a line."""
    settings = "--noEmit --strict --noUncheckedIndexedAccess --target es2022 --module esnext --moduleResolution bundler"
    done = ran(
        [str(NODE_MODULES / ".bin" / "tsc"), *settings.split(), "--lib", "es2022,dom", "--types", "", *more, *files],
        folder,
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]


_JUDGE = r"""
import { createInterface } from "node:readline";
globalThis.window = {};
Date.now = () => Number(process.argv[2]);
await import(process.argv[1]);
const SURROGATE = /\\\\|\\u(d[89a-f]..)(\\u(d[c-f]..))?/g;
for await (const line of createInterface({ input: process.stdin })) {
  const event = JSON.parse(line);
  const violations = window.footfallPlan.check(event);
  // The collector takes null for no properties, and repairs lone surrogates, which JSON.stringify writes as escapes.
  const text = JSON.stringify(event.properties ?? {});
  const sent = text.replace(SURROGATE, (found, high, _, low) => (high && !low ? "\\ufffd" : found));
  console.log(JSON.stringify({ violations, sent }));
}
"""


def judged(module: Path, events: list[dict[str, Any]]) -> list[tuple[list[tuple[str, str, str]], str]]:
    """What a development build says of events, in one process of node.

    Returns:
        For each event its violations as (class, pointer, fix), and the properties as JSON as a browser would send them.
    """
    lines = "".join(json.dumps(event) + "\n" for event in events)
    done = ran(["node", "--input-type=module", "-e", _JUDGE, module.as_uri(), str(NOW_MS)], stdin=lines)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert len(answers) == len(events)
    return [
        ([(found["reason"], found["pointer"], found["fix"]) for found in answer["violations"]], answer["sent"])
        for answer in answers
    ]
