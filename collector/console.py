"""The store process's own door: a unix socket in the data directory, for the commands on the same machine.

Only one process can open the embedded engine, so everybody else asks this one. The socket is readable by its owner
alone; the queries it takes only read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from collector.store import FORMATS, Store, StoreError

SOCKET_NAME = "store.sock"
QUERY_BYTES_MAX = 1_000_000


def console(
    store: Callable[[], Store | None], status: Callable[[], dict[str, Any]], migrate: Callable[[], list[str]]
) -> Starlette:
    """The Starlette application on the socket.

    Args:
        store: Gives the store for queries, or None while the database cannot be reached.
        status: Gives what `footfall doctor` shows of the store process.
        migrate: Applies migrations and names those it applied.
    """

    async def query(request: Request) -> Response:
        fmt = request.query_params.get("format", "Pretty")
        body = await request.body()
        if len(body) > QUERY_BYTES_MAX:
            return PlainTextResponse(f"the query is over {QUERY_BYTES_MAX:,} bytes, the limit", 400)
        try:
            lane = store()
            if lane is None:
                return PlainTextResponse("the database cannot be reached yet; see `footfall doctor`", 503)
            return Response(await run_in_threadpool(answer, lane, body.decode(), fmt))
        except (StoreError, UnicodeDecodeError) as error:
            return PlainTextResponse(str(error), 400)

    async def show_status(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(status))

    async def run_migrations(_: Request) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(migrate))
        except StoreError as error:
            return PlainTextResponse(str(error), 400)

    return Starlette(
        routes=[
            Route("/query", query, methods=["POST"]),
            Route("/status", show_status),
            Route("/migrate", run_migrations, methods=["POST"]),
        ]
    )


# Strings, quoted names and comments: a word inside them is no keyword.
_LITERAL = re.compile(r"'(?:\\.|''|[^'\\])*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_OWN_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*$", re.IGNORECASE)
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)


def answer(store: Store, sql: str, fmt: str) -> bytes:
    """Run one reading query and return its answer.

    Args:
        store: Opened read-only.
        sql: One statement; a FORMAT of its own wins over `fmt`.
        fmt: One of FORMATS.
    Raises:
        StoreError: with ClickHouse's own sentence, or saying what is not allowed.
    """
    if fmt not in FORMATS:
        raise StoreError(f"format {fmt!r} is not known; choose one of {', '.join(FORMATS)}", transient=False)
    sql = sql.strip().rstrip(";").strip()
    words = _LITERAL.sub(lambda found: " " if found[0].startswith(("--", "/*")) else "''", sql)
    if not words.strip():
        raise StoreError("there is no query; give one SELECT", transient=False)
    # The embedded engine writes files even in a read-only session.
    if _OUTFILE.search(words):
        raise StoreError(
            "INTO OUTFILE writes on the server; redirect the output of `footfall sql` instead", transient=False
        )
    return store.answer(sql, None if _OWN_FORMAT.search(words) else fmt)
