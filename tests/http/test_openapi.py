"""The OpenAPI document says what the collector does: held against its routes, its reasons and its answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib import import_module
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from serving import Answer, Serving

from collector.app.linking import LINK_PATH
from collector.app.openapi import openapi
from collector.app.optout import OPT_OUT_PATH
from collector.app.receive import BATCH_PATHS, PIXEL_PATH, SINGLE_PATHS
from collector.app.site import site
from collector.paths import TAG_DIR
from collector.reason import Reason
from collector.sources import add_source

DOCUMENT = openapi("1.2.3")
SPELLED = {"application/json": "application/json", "application/javascript": "text/javascript"}


class Asked(NamedTuple):
    """One request, and the status that it is answered with."""

    status: int
    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] | None = None


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or the one that it refers to."""
    while "$ref" in part:
        found: Any = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {(method.upper(), path): made for path, has in DOCUMENT["paths"].items() for method, made in has.items()}


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_its_schemas_are_schemas_and_its_references_lead_somewhere() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for target in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT))):
        assert resolved({"$ref": target})
    names = [made["operationId"] for made in operations().values() if "operationId" in made]
    assert len(names) == len(set(names))


def test_it_has_the_routes_there_are_and_no_others() -> None:
    app = site("0", TAG_DIR, None, lambda _: "", lambda: None, lambda: ({}, {}))
    served = {getattr(route, "path", "") for route in app.routes}
    assert set(DOCUMENT["paths"]) == served | BATCH_PATHS | set(SINGLE_PATHS) | {PIXEL_PATH, LINK_PATH, OPT_OUT_PATH}


def test_each_reason_to_refuse_a_request_stands_under_its_status() -> None:
    found: dict[str, int] = {}
    for response in DOCUMENT["components"]["responses"]:
        schema = DOCUMENT["components"]["responses"][response]["content"]["application/json"]["schema"]
        for word in schema["allOf"][1]["properties"]["reason"]["enum"]:
            found[word] = int(response[7:10])
    assert found == {reason.word: reason.status for reason in Reason if not reason.rejects_event}


def requests(key: str) -> dict[str, Asked]:
    """What is asked below, by what is special about it."""
    event = {"type": "track", "event": "e", "messageId": "openapi", "anonymousId": "v"}
    odd = {**event, "type": "odd", "messageId": "openapi-odd"}
    one = json.dumps({"batch": [event], "writeKey": key}).encode()
    two = json.dumps({"batch": [event, odd], "writeKey": key}).encode()
    single = json.dumps({**event, "writeKey": key}).encode()
    keyless = json.dumps({"batch": [event]}).encode()
    link = json.dumps({"anonymousId": "v", "writeKey": key}).encode()
    refused = {
        "no key": Asked(401, "POST", "/v1/batch", keyless),
        "unknown key": Asked(401, "POST", "/v1/b", keyless.replace(b"{", b'{"writeKey":"fw_x",', 1)),
        "no JSON": Asked(400, "POST", "/v1/batch", b"{"),
        "empty": Asked(400, "POST", "/v1/track", b""),
        "a batch on the path of one event": Asked(400, "POST", "/v1/p", one),
        "crowded query": Asked(400, "POST", "/v1/b?" + "debug=1&" * 60, one),
        "no gzip": Asked(400, "POST", "/v1/batch", one, {"content-encoding": "gzip"}),
        "unknown coding": Asked(415, "POST", "/v1/batch", one, {"content-encoding": "rot13"}),
        "other type": Asked(415, "POST", "/v1/i", single, {"content-type": "image/png"}),
        "too large": Asked(413, "POST", "/v1/batch", b"x" * 600_000),
        "too large for a link": Asked(413, "POST", "/v1/link", b"x" * 600_000),
        "long address": Asked(414, "GET", "/v1/p.gif?" + "a" * 9_000),
        "large head": Asked(431, "POST", "/v1/batch", one, {"x": "a" * 40_000}),
        "pixel that says why": Asked(401, "GET", "/v1/p.gif?event=e&ack=1"),
        "no token": Asked(400, "GET", f"/v1/link?writeKey={key}"),
        "no link": Asked(400, "POST", "/v1/link", b"[]"),
        "no such file": Asked(404, "GET", "/footfall.0123456789ab.js"),
    }
    return refused | {
        "batch": Asked(200, "POST", "/v1/batch", one),
        "rejected": Asked(200, "POST", "/v1/b", two),
        "explained": Asked(200, "POST", "/v1/batch?debug=1", two),
        "single": Asked(200, "POST", "/v1/t", single),
        "preflight": Asked(204, "OPTIONS", "/v1/batch"),
        "pixel": Asked(200, "GET", f"/v1/p.gif?event=e&writeKey={key}"),
        "head of the pixel": Asked(200, "HEAD", "/v1/p.gif"),
        "link": Asked(200, "POST", "/v1/link", link),
        "greeting": Asked(200, "GET", "/"),
        "tag": Asked(200, "GET", "/footfall.js"),
        "core": Asked(200, "GET", "/footfall.core.js"),
        **{path: Asked(200, "GET", path) for path in ("/livez", "/readyz", "/metrics", "/version", "/openapi.json")},
    }


def check(asked: Asked, answer: Answer) -> None:
    """Hold an answer against the document."""
    path = asked.path.partition("?")[0]
    if path.startswith("/footfall.") and path != "/footfall.js":
        path = "/footfall.{name}.js"
    response = resolved(operations()[asked.method, path]["responses"][str(answer.status)])
    content = response.get("content", {})
    if asked.method == "HEAD" or not content:
        assert answer.body == b""
        return
    kind = answer.headers["content-type"].partition(";")[0]
    kind = SPELLED.get(kind, kind)
    assert kind in content
    if kind == "application/json":
        validator(content[kind]["schema"]).validate(answer.json)
    for name in set(response.get("headers", {})) & {"Retry-After", "Allow"}:
        assert name.lower() in answer.headers


@pytest.mark.parametrize("name", requests(""))
def test_an_answer_is_as_the_document_says(collector: Serving, name: str) -> None:
    asked = requests(collector.write_key)[name]
    answer = collector.request(asked.method, asked.path, asked.body, asked.headers)
    assert answer.status == asked.status
    check(asked, answer)


def test_a_method_that_a_path_does_not_have_is_told(collector: Serving) -> None:
    for path in DOCUMENT["paths"]:
        asked = path.replace("{name}", "core")
        has = {method for method, known in operations() if known == path}
        method = next(each for each in ("POST", "GET", "PUT") if each not in has)
        answer = collector.request(method, asked)
        assert (answer.status, answer.json["reason"]) == (405, "method_not_allowed"), (method, path)
        assert {name.strip() for name in answer.headers["allow"].split(",")} >= has


def test_it_is_served(collector: Serving) -> None:
    served = collector.request("GET", "/openapi.json")
    assert served.headers["access-control-allow-origin"] == "*"
    shown = {**DOCUMENT, "info": {**DOCUMENT["info"], "version": served.json["info"]["version"]}}
    assert served.json == json.loads(json.dumps(shown))


def test_whatever_the_document_allows_is_answered_as_it_says(collector: Serving) -> None:
    """schemathesis makes requests of the document, fitting ones and others, and looks at the answers."""
    schemathesis: Any = pytest.importorskip("schemathesis", reason="it is in the test group: `make unit` installs it")
    known = import_module("schemathesis.specs.openapi.checks")
    checks = [import_module("schemathesis.checks").not_a_server_error, known.status_code_conformance]
    checks += [known.content_type_conformance, known.response_schema_conformance]
    schema = schemathesis.openapi.from_url(f"{collector.url}/openapi.json")
    short = settings(
        max_examples=3, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    key = add_source(collector.data_dir, "By document", [])[0].write_key
    asked: Counter[int] = Counter()

    def run(case: Any) -> None:
        asked[case.call_and_validate(checks=checks, base_url=collector.url, auth=(key, "")).status_code] += 1

    for path in ("/v1/batch", PIXEL_PATH):
        for method in set(DOCUMENT["paths"][path]) & {"get", "post"}:
            for mode in schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE:
                cases = schema[path][method.upper()].as_strategy(generation_mode=mode)
                short(given(case=cases)(run))()
    assert sum(asked.values()) >= 12
    assert {200, 400} <= set(asked), "it has made what is taken, and what is not"
