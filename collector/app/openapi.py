"""The OpenAPI document of all that the collector answers, served at /openapi.json.

It is put together from the routes, reasons and limits of the code, so that it cannot promise others; the tests hold it
against the answers themselves (tests/http/test_openapi.py).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from collector.app.answers import COOKIE_NAME
from collector.app.linking import LINK_PATH
from collector.app.optout import OPT_OUT_PATH
from collector.app.receive import BATCH_PATHS, PIXEL_PATH, SINGLE_PATHS
from collector.app.tag import TAG_FILE
from collector.app.verdicts import Explanation
from collector.ingest.pipeline import Verdict
from collector.limits import BODY_BYTES_MAX, EVENT_BYTES_MAX, EVENTS_MAX, MESSAGE_ID_CHARS_MAX, QUERY_BYTES_MAX
from collector.reason import Reason

Part: TypeAlias = dict[str, Any]

_TEXT: Part = {"type": "string"}
_ANY_ID: Part = {"type": ["string", "integer", "null"]}
_TIME: Part = {"type": ["string", "number", "null"], "description": "ISO 8601, or milliseconds or seconds since 1970."}
_OBJECT: Part = {"type": "object"}
_HEADERS: Part = {
    "Retry-After": {"description": "Seconds to wait before the same is sent again.", "schema": {"type": "integer"}},
    "Allow": {"description": "The methods that the path takes.", "schema": _TEXT},
    "Accept-Encoding": {"description": "The codings that a body may have.", "schema": _TEXT},
}
_WITH_HEADER = {405: "Allow", 415: "Accept-Encoding", 429: "Retry-After", 503: "Retry-After"}
_MEANINGS = {
    400: "Unreadable. If the body says whose it is, its bytes are kept in failed_events.",
    401: "No write key, or one of no source.",
    403: "The source does not take this.",
    404: "There is nothing here.",
    405: "Another method is meant.",
    408: "The request did not arrive in time.",
    413: f"The body is over {BODY_BYTES_MAX:,} bytes, packed or unpacked, or has over {EVENTS_MAX:,} events.",
    414: f"The URL or its query is over {QUERY_BYTES_MAX:,} bytes.",
    415: "Another content type or encoding is meant.",
    429: "A source or an address sends more than the operator allows. Nothing is stored; send it again later.",
    431: "The head of the request is too large.",
    500: "A fault of the collector.",
    503: "Nothing can be stored now, or too much is asked at once. Nothing is stored; send it again later.",
}
# What any request may meet before its path is looked at.
_ANYWHERE = (
    *(Reason.NOT_HTTP, Reason.HEAD_TOO_SLOW, Reason.URL_TOO_LONG, Reason.HEADERS_TOO_LARGE, Reason.TOO_BUSY),
    Reason.INTERNAL,
)
_OF_KEYS = (Reason.KEY_MISSING, Reason.KEY_UNKNOWN, Reason.SOURCE_DISABLED, Reason.ORIGIN_NOT_ALLOWED)
_OF_BODIES = (
    *(Reason.NOT_JSON, Reason.BODY_EMPTY, Reason.NOT_A_BATCH, Reason.BAD_QUERY, Reason.BAD_COMPRESSION),
    *(Reason.BODY_TOO_SLOW, Reason.BODY_TOO_LARGE, Reason.WRONG_CONTENT_TYPE, Reason.WRONG_ENCODING),
)
_OF_EVENTS = (*_OF_KEYS, *_OF_BODIES, Reason.METHOD_NOT_ALLOWED, Reason.RATE_LIMITED, Reason.SPOOL_UNAVAILABLE)


def openapi(version: str) -> Part:
    """The document, as of OpenAPI 3.1.

    Args:
        version: Of Footfall.
    """
    paths: Part = {path: {"post": _batch(path), "options": _preflight()} for path in sorted(BATCH_PATHS)}
    paths |= {path: {"post": _single(path, kind), "options": _preflight()} for path, kind in SINGLE_PATHS.items()}
    paths[PIXEL_PATH] = {"get": _pixel("get"), "head": _pixel("head")}
    paths[LINK_PATH] = {"post": _make_link(), "get": _follow_link(), "options": _preflight()}
    paths[OPT_OUT_PATH] = {
        "get": _opt_out("see_opt_out", "Whether this visitor has opted out: a page, or JSON where asked for."),
        "post": {**_opt_out("opt_out", "Opt out, or in again."), "requestBody": _opt_out_body()},
        "options": _preflight(),
    }
    paths |= _site()
    refusals = _shared_refusals(paths)
    _, schemas = msgspec.json.schema_components([Verdict, Explanation], ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Footfall collector",
            "version": version,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Takes events in the form of the Segment HTTP tracking API. 200 means: on the disk.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas, **_schemas()},
            "responses": refusals,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "The write key as user name."},
                "query": {"type": "apiKey", "in": "query", "name": "writeKey"},
            },
        },
    }


def _batch(path: str) -> Part:
    return {
        "operationId": f"send_{path.rpartition('/')[2]}",
        "summary": "Send a batch of events.",
        "description": "Every event has a verdict of its own: one that breaks the plan costs its neighbours nothing.",
        "parameters": _parameters_of_post(),
        "security": [{"basic": []}, {"query": []}, {}],
        "requestBody": _json_body("Batch"),
        "responses": _judged(),
    }


def _single(path: str, kind: str) -> Part:
    return {
        "operationId": f"send_{path.rpartition('/')[2]}",
        "summary": f"Send one event of type {kind}.",
        "parameters": _parameters_of_post(),
        "security": [{"basic": []}, {"query": []}, {}],
        "requestBody": _json_body("Event"),
        "responses": _judged(),
    }


def _pixel(method: str) -> Part:
    image: Part = {"200": {"description": "A transparent image, whatever becomes of the event."}}
    if method == "get":
        image["200"]["content"] = {"image/gif": {}}
    return {
        "operationId": f"{method}_pixel",
        "summary": "Send one event by an image." if method == "get" else "The image's head; no event.",
        "parameters": [
            *(_query(name) for name in ("writeKey", "type", "event", "userId", "anonymousId", "messageId")),
            *(_query(name) for name in ("timestamp", "url", "referrer", "title")),
            _query("data", "The whole event as base64 or JSON; then the others do not count."),
            _query("ack", "1: say why an event was not taken, in place of the image.", {"enum": ["1"]}),
        ],
        "security": [{"query": []}, {}],
        "responses": {**image, **_refusals(*_OF_EVENTS)},
    }


def _make_link() -> Part:
    return {
        "operationId": "make_link",
        "summary": "Make a token that carries a visitor's id to another site.",
        "parameters": [_query("writeKey")],
        "requestBody": _json_body("LinkBody"),
        "responses": {
            "200": _json("The token.", "LinkToken"),
            **_refusals(
                *_OF_KEYS, *_OF_BODIES, Reason.METHOD_NOT_ALLOWED, Reason.SPOOL_UNAVAILABLE, Reason.LINK_INVALID
            ),
        },
    }


def _follow_link() -> Part:
    answers = _refusals(
        *(*_OF_KEYS, Reason.LINK_INVALID, Reason.BAD_QUERY, Reason.METHOD_NOT_ALLOWED, Reason.SPOOL_UNAVAILABLE)
    )
    return {
        "operationId": "follow_link",
        "summary": "Say whose a token is.",
        "parameters": [_query("writeKey"), _query("token")],
        "responses": {"200": _json("The visitor's id.", "LinkVisitor"), **answers},
    }


def _opt_out(name: str, summary: str) -> Part:
    content = _json("The state.", "OptOut")["content"] | {"text/html": {"schema": _TEXT}}
    answers: Part = {"200": {"description": "The state.", "content": content}}
    if name == "opt_out":
        headers = {"Set-Cookie": {"description": "The choice.", "schema": _TEXT}}
        answers = {
            "200": {**_json("The state.", "OptOut"), "headers": headers},
            "303": {"description": "To the page, after a form.", "headers": headers},
        }
        answers |= _refusals(*_OF_BODIES, Reason.ORIGIN_NOT_ALLOWED, Reason.METHOD_NOT_ALLOWED)
    else:
        answers |= _refusals(Reason.METHOD_NOT_ALLOWED)
    return {"operationId": name, "summary": summary, "responses": answers}


def _opt_out_body() -> Part:
    body = _json_body("OptOut")
    state = _object(("state",), {"state": {"enum": ["out", "in"]}})
    body["content"]["application/x-www-form-urlencoded"] = {"schema": state}
    return body


def _site() -> Part:
    return {
        "/": {"get": _get("greeting", "Says what this is.", "text/plain")},
        f"/{TAG_FILE}": {"get": _get("tag", "The tag.", "text/javascript", 304)},
        "/footfall.{name}.js": {
            "get": {
                **_get(
                    "tag_file", "A file of the tag; under a name with a hash it never changes.", "text/javascript", 304
                ),
                "parameters": [{"name": "name", "in": "path", "required": True, "schema": _TEXT}],
            }
        },
        "/livez": {"get": _get_json("livez", "Answers as long as the process runs.", "Alive")},
        "/readyz": {
            "get": {
                **(made := _get_json("readyz", "Whether events can be taken.", "Ready")),
                "responses": {**made["responses"], "503": _json("They cannot; `reason` says why.", "Ready")},
            }
        },
        "/metrics": {"get": _get("metrics", "Counters and gauges, as Prometheus reads them.", "text/plain")},
        "/version": {"get": _get_json("version", "Version, and the tracking plan in force.", "Version")},
        "/openapi.json": {"get": _get_json("openapi", "This document.", "Document")},
    }


def _get(name: str, summary: str, kind: str, *more: int) -> Part:
    responses = {"200": {"description": summary, "content": {kind: {"schema": _TEXT}}}}
    responses |= {str(status): {"description": "Not changed since."} for status in more}
    responses |= _refusals(Reason.NOT_FOUND, Reason.METHOD_NOT_ALLOWED)
    return {"operationId": name, "summary": summary, "responses": responses}


def _get_json(name: str, summary: str, schema: str) -> Part:
    responses = {"200": _json(summary, schema), **_refusals(Reason.NOT_FOUND, Reason.METHOD_NOT_ALLOWED)}
    return {"operationId": name, "summary": summary, "responses": responses}


def _preflight() -> Part:
    return {
        "summary": "A browser's question before it sends from a page of another origin.",
        "responses": {"204": {"description": "It may."}, **_refusals()},
    }


def _parameters_of_post() -> list[Part]:
    return [
        _query("writeKey"),
        _query("debug", "1: the answer has a verdict for every event, accepted ones too.", {"enum": ["1"]}),
        {
            "name": "Content-Encoding",
            "in": "header",
            "schema": {"enum": ["gzip", "x-gzip", "deflate", "br", "zstd", "identity"]},
        },
    ]


def _query(name: str, description: str = "", schema: Part = _TEXT) -> Part:
    made: Part = {"name": name, "in": "query", "schema": schema}
    return {**made, "description": description} if description else made


def _json_body(schema: str) -> Part:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"required": True, "content": {"application/json": content, "text/plain": content}}


def _json(description: str, schema: str) -> Part:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _judged() -> Part:
    """What a POST of events is answered: verdicts, or why nothing of it was taken."""
    verdicts = {"anyOf": [{"$ref": "#/components/schemas/Explanation"}, {"$ref": "#/components/schemas/Verdicts"}]}
    headers = {"Set-Cookie": {"description": f"{COOKIE_NAME}, for sources with a cookie domain.", "schema": _TEXT}}
    accepted = {
        "description": "Judged, and on the disk.",
        "headers": headers,
        "content": {"application/json": {"schema": verdicts}},
    }
    return {"200": accepted, **_refusals(*_OF_EVENTS)}


def _refusals(*reasons: Reason) -> Part:
    """The answers to requests that are refused, by status, each with the reasons it may have."""
    found: dict[int, list[str]] = {}
    for reason in dict.fromkeys((*reasons, *_ANYWHERE)):
        found.setdefault(reason.status, []).append(reason.word)
    answers: Part = {}
    for status in sorted(found):
        named = {"properties": {"reason": {"enum": found[status]}}}
        schema = {"allOf": [{"$ref": "#/components/schemas/Refusal"}, named]}
        made: Part = {"description": _MEANINGS[status], "content": {"application/json": {"schema": schema}}}
        if status in _WITH_HEADER:
            made["headers"] = {_WITH_HEADER[status]: _HEADERS[_WITH_HEADER[status]]}
        answers[str(status)] = made
    return answers


def _shared_refusals(paths: Part) -> Part:
    """Write each kind of refusal once, and have the operations refer to it: all of them are half of the document."""
    named: dict[bytes, str] = {}
    shared: Part = {}
    for operation in (operation for methods in paths.values() for operation in methods.values()):
        responses = operation["responses"]
        for status, response in responses.items():
            if response["description"] != _MEANINGS.get(int(status)):
                continue
            form = msgspec.json.encode(response)
            if form not in named:
                alike = sum(name.startswith(f"Refused{status}") for name in shared)
                named[form] = f"Refused{status}" + (f"_{alike + 1}" if alike else "")
                shared[named[form]] = response
            responses[status] = {"$ref": f"#/components/responses/{named[form]}"}
    return shared


def _object(required: tuple[str, ...], properties: Part, *, more: bool = False) -> Part:
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": more}


def _schemas() -> Part:
    event: Part = {
        "type": {"enum": sorted(set(SINGLE_PATHS.values())), "description": "Given by the path where that names one."},
        "event": {"type": ["string", "null"], "description": "The name of a track; `name@2` asks for a version."},
        "name": {"type": ["string", "null"], "description": "The name of a page or a screen."},
        "category": {"type": ["string", "null"]},
        "messageId": {
            "type": ["string", "null"],
            "maxLength": MESSAGE_ID_CHARS_MAX,
            "description": "Sent again, an event with the same id is stored once.",
        },
        **dict.fromkeys(("anonymousId", "userId", "groupId", "previousId"), _ANY_ID),
        **dict.fromkeys(("timestamp", "originalTimestamp", "sentAt"), _TIME),
        "sequence": {"type": ["integer", "null"]},
        "writeKey": {"type": ["string", "null"]},
        **dict.fromkeys(("properties", "traits", "context", "extra"), _OBJECT),
    }
    about_event = f"At most {EVENT_BYTES_MAX:,} bytes. Fields that are not named here are let be."
    batch: Part = {
        "batch": {"type": "array", "maxItems": EVENTS_MAX, "items": {"$ref": "#/components/schemas/Event"}},
        "context": {**_OBJECT, "description": "Holds for all events; an event's own lies over it."},
        "sentAt": _TIME,
        "writeKey": {"type": ["string", "null"]},
    }
    plan = dict.fromkeys(("name", "version", "hash"), _TEXT)
    count: Part = {"type": "integer", "minimum": 0}
    verdict: Part = {"$ref": "#/components/schemas/Verdict"}
    return {
        "Event": {**_object((), event, more=True), "description": about_event},
        "Batch": _object(("batch",), batch, more=True),
        "Verdicts": _object(
            ("accepted", "rejected"), {"accepted": count, "rejected": {"type": "array", "items": verdict}}
        ),
        "Refusal": {
            "type": "object",
            "required": ["error", "reason"],
            "properties": {
                "error": {**_TEXT, "description": "What happened, the limit, and what to do."},
                "reason": {"enum": [reason.word for reason in Reason if not reason.rejects_event]},
            },
            "unevaluatedProperties": False,
        },
        "LinkBody": _object(("anonymousId",), {"anonymousId": _TEXT, "writeKey": _TEXT}, more=True),
        "LinkToken": _object(("token", "expires_in"), {"token": _TEXT, "expires_in": {"type": "integer"}}),
        "LinkVisitor": _object(("anonymousId",), {"anonymousId": _TEXT}),
        "OptOut": _object(("opted_out",), {"opted_out": {"type": "boolean"}}),
        "Alive": _object(("alive",), {"alive": {"const": True}}),
        "Ready": _object(("ready", "reason"), {"ready": {"type": "boolean"}, "reason": {"type": ["string", "null"]}}),
        "Version": _object(
            ("name", "version", "plan"), {"name": _TEXT, "version": _TEXT, "plan": {**_OBJECT, "properties": plan}}
        ),
        "Document": _object(("openapi", "info", "paths"), {"openapi": _TEXT}, more=True),
    }
