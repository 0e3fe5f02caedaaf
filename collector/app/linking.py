"""`/v1/link`: a token for a visitor's id (POST), or the id for a token (GET). link.py says what a token is."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from collector.app.answers import CORS, JSON, Answer, answer
from collector.app.head import Headers, key_in, parameters
from collector.app.intake import Asked, Intake
from collector.app.link import TOKEN_SECONDS, make_token, read_token
from collector.app.unpack import unpack_as
from collector.reason import Reason, Refused

LINK_PATH = "/v1/link"
_HEADERS: Headers = [JSON, CORS, (b"cache-control", b"no-store")]


class _LinkBody(Struct):
    """What POST /v1/link takes."""

    anonymousId: str
    writeKey: str = ""


def link_answer(intake: Intake, asked: Asked, body: bytes | None) -> Answer:
    """Make a token for what the body names, or, without a body, say whose the token of the query is. Raises Refused."""
    query, salts, now_ms = asked.head.query, intake.tools.salts, intake.now_ms()
    try:
        if body is None:
            intake.admit(key_in(query), asked.head.origin)
            found: dict[str, str | int] = {"anonymousId": read_token(salts, now_ms, parameters(query).get("token", ""))}
        else:
            named = _read_body(asked, body)
            intake.admit(named.writeKey or key_in(query), asked.head.origin)
            found = {"token": make_token(salts, now_ms, named.anonymousId), "expires_in": TOKEN_SECONDS}
    except OSError as problem:
        raise Refused(
            Reason.SPOOL_UNAVAILABLE, f"links cannot be signed now ({problem.strerror}); try it again"
        ) from problem
    return answer(200, _HEADERS, msgspec.json.encode(found))


def _read_body(asked: Asked, body: bytes) -> _LinkBody:
    try:
        return msgspec.json.decode(unpack_as(asked.head.encoding, body), type=_LinkBody)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(
            Reason.NOT_JSON, f'body asks for no link ({error}); send {{"writeKey": …, "anonymousId": …}}'
        ) from error
