"""The store process's own door: a unix socket in the data directory, for the commands on the same machine.

Only one process can open the embedded engine, so everybody else asks this one. The socket is readable by its owner
alone; the queries it takes only read. What writes has a route of its own, and no SQL in it but an audience's file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from collector.database.query import answer
from collector.database.store import Store, StoreError

QUERY_BYTES_MAX = 1_000_000


def console(
    store: Callable[[], Store | None],
    status: Callable[[], dict[str, Any]],
    migrate: Callable[[], list[str]],
    audience: Callable[[str, str, Mapping[str, Any]], dict[str, Any]],
    erase: Callable[[bytes], bytes | None],
) -> Starlette:
    """The Starlette application on the socket.

    Args:
        store: Gives the store for queries, or None while the database cannot be reached.
        status: Gives what `footfall doctor` shows of the store process.
        migrate: Applies migrations and names those it applied.
        audience: Does an action to the audience of a name, with options, and says what came of it.
        erase: Erases a person, asked for as JSON, and gives the receipt, or None while the database
            cannot be reached. Raises ValueError with a sentence.
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

    async def act_on_audience(request: Request) -> Response:
        try:
            options = msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
            action, name = request.path_params["action"], request.query_params.get("name", "")
            return JSONResponse(await run_in_threadpool(audience, action, name, options))
        except (StoreError, msgspec.MsgspecError) as error:
            return PlainTextResponse(str(error), 400)

    async def run_erasure(request: Request) -> Response:
        body = await request.body()
        try:
            receipt = await run_in_threadpool(erase, body)
            if receipt is None:
                return PlainTextResponse("the database cannot be reached yet; see `footfall doctor`", 503)
            return Response(receipt, media_type="application/json")
        except (StoreError, ValueError) as error:
            return PlainTextResponse(str(error), 400)

    return Starlette(
        routes=[
            Route("/query", query, methods=["POST"]),
            Route("/status", show_status),
            Route("/migrate", run_migrations, methods=["POST"]),
            Route("/audiences/{action}", act_on_audience, methods=["POST"]),
            Route("/erase", run_erasure, methods=["POST"]),
        ]
    )
