"""The store process's own door: a unix socket in the data directory, for the commands on the same machine.

Only one process can open the embedded engine, so everybody else asks this one. The socket is readable by its owner
alone; the queries it takes only read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from collector.query import answer
from collector.store import Store, StoreError

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
