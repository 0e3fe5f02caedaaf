"""The helpers themselves, in TypeScript or JavaScript: one line an event, and a validator in development builds."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from collector.plan.codegen.facts import facts_of
from collector.plan.codegen.names import CodegenError, camel_case, helper_names
from collector.plan.codegen.typescript import SHARED, Types, event_comment
from collector.plan.model import Plan

# Words of ECMAScript in strict mode and in modules; no helper can be named so.
_RESERVED = frozenset(
    [
        "arguments",
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "eval",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "undefined",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ]
)
_RUNTIME = Path(__file__).with_name("validator.js")
GLOBAL = "global"


def typescript(plan: Plan, source: str, header: list[str], *, dev: bool) -> str:
    """A TypeScript module of helpers.

    Args:
        plan: The plan as loaded.
        source: The module that `track` comes from, or `global` for the page's function, `global:name` for another.
        header: Lines for the top of the file.
        dev: Check each event and say in the console what is wrong.
    """
    types = Types(plan)
    parts = [
        _header(header, unchecked=dev),
        _track(source, typed=True),
        _event(typed=True, dev=dev),
        SHARED,
        types.text(),
    ]
    parts += [
        event_comment(plan.events[event])
        + f"export const {helper}: Send<{types.names[event]}> = /* @__PURE__ */ {_call(plan, event)};\n"
        for event, helper in _helpers(plan).items()
    ]
    return _joined(parts, plan, dev=dev)


def javascript(plan: Plan, source: str, header: list[str], *, dev: bool) -> str:
    """The same in JavaScript; `declarations` has the types."""
    parts = [_header(header, unchecked=False), _track(source, typed=False), _event(typed=False, dev=dev)]
    parts += [
        event_comment(plan.events[event]) + f"export const {helper} = /* @__PURE__ */ {_call(plan, event)};\n"
        for event, helper in _helpers(plan).items()
    ]
    return _joined(parts, plan, dev=dev)


def declarations(plan: Plan, header: list[str]) -> str:
    """The types of the JavaScript helpers, as a .d.ts file that stands beside them."""
    types = Types(plan)
    parts = [_header(header, unchecked=False), SHARED, types.text()]
    parts += [
        event_comment(plan.events[event]) + f"export declare const {helper}: Send<{types.names[event]}>;\n"
        for event, helper in _helpers(plan).items()
    ]
    return "\n".join(parts)


def _helpers(plan: Plan) -> dict[str, str]:
    return helper_names(plan.events, camel_case, _RESERVED, "Event")


def _header(lines: list[str], *, unchecked: bool) -> str:
    text = "".join(f"// {line}\n" for line in lines) + "/* eslint-disable */\n"
    # The validator is plain JavaScript, which the types of the helpers do not depend on.
    return text + ("// @ts-nocheck: the validator below is plain JavaScript\n" if unchecked else "")


def _track(source: str, *, typed: bool) -> str:
    """Where `$track` comes from. Names that start with a $ are never those of helpers."""
    kind, _, name = source.partition(":")
    if kind != GLOBAL:
        return f"import {{ track as $track }} from {msgspec.json.encode(source).decode()};\n"
    name = name or "footfall"
    if not name.isidentifier():
        raise CodegenError(f'"{name}" cannot be the name of a global function; use letters, digits and _')
    # Looked up at each call: the snippet's stub is replaced when the script has come.
    if typed:
        return f'const $track = (...call: any[]): void => (globalThis as any).{name}?.("track", ...call);\n'
    return f'const $track = (...call) => globalThis.{name}?.("track", ...call);\n'


def _event(*, typed: bool, dev: bool) -> str:
    any_, texts = (": any", ": readonly string[]") if typed else ("", "")
    name = "name: string" if typed else "name"
    consent = f"consent?{texts}" if typed else "consent"
    check = "    $report(name, properties);\n" if dev else ""
    return (
        f"const $event = ({name}, {consent}){any_} =>\n"
        f"  (properties{any_}, options{any_}) => {{\n"
        f"{check}"
        "    $track(name, properties, consent ? { consent, ...options } : options);\n"
        "  };\n"
    )


def _call(plan: Plan, event: str) -> str:
    found = plan.events[event]
    arguments = [msgspec.json.encode(f"{event}@{found.major}").decode()]
    if found.consent:
        arguments.append(msgspec.json.encode(found.consent).decode())
    return f"$event({', '.join(arguments)})"


def _joined(parts: list[str], plan: Plan, *, dev: bool) -> str:
    return "\n".join([*parts, _development(plan)] if dev else parts)


def _development(plan: Plan) -> str:
    """The validator, what it knows, and the report to the console."""
    # Inside a function, so that none of its names meets that of a helper.
    runtime = _RUNTIME.read_text(encoding="utf-8").rstrip("\n").replace("\nexport const planOf", "\nconst planOf")
    facts = json.dumps(facts_of(plan), ensure_ascii=True, separators=(",", ":"))
    return (
        f"const $planOf = (() => {{\n{runtime}\nreturn planOf;\n}})();\n\n"
        f"const $plan = $planOf({facts});\n\n"
        "const $report = (event, properties) => {\n"
        '  for (const found of $plan.check({ type: "track", event, properties })) {\n'
        "    const { reason, pointer, fix } = found;\n"
        "    console.warn(`footfall: ${event} ${reason} at ${pointer}: ${fix}`, { ...found, event, properties });\n"
        "  }\n"
        "};\n\n"
        "// The tag's debug extra asks this of every event, also of those that no helper sends.\n"
        'if (typeof window !== "undefined") window.footfallPlan = $plan;\n'
    )
