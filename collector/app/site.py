"""What the collector serves beside taking events: the tag, the demo shop, health, metrics and its version."""

from __future__ import annotations

import hashlib
import html
import mimetypes
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

TAG_FILE = "footfall.js"
SNIPPET_PLACE = "{{ snippet }}"
# Names of the counters that carry a label stand as `rejected_total{reason="wrong_type"}` (metrics.py).
_HELP = {
    "received_total": "Events that reached the spool, accepted or rejected.",
    "accepted_total": "Events accepted and made durable.",
    "rejected_total": "Events rejected and kept in failed_events, by reason.",
    "refused_total": "Requests refused whole, by reason.",
    "dropped_total": "Events dropped by our own choice.",
    "requests_total": "Requests that carried events.",
    "commits_total": "Syncs of a spool segment.",
    "commit_records_total": "Requests made durable by these syncs.",
    "commit_nanoseconds_total": "Time spent writing and syncing.",
}


def snippet(base_url: str, write_key: str) -> str:
    """The HTML a customer pastes into the head of every page."""
    base, key = html.escape(base_url.rstrip("/"), quote=True), html.escape(write_key, quote=True)
    return (
        "<script>window.footfall=window.footfall||function(){(footfall.q=footfall.q||[]).push(arguments)}</script>\n"
        f'<script defer src="{base}/{TAG_FILE}" data-write-key="{key}"></script>\n'
        f'<noscript><img src="{base}/v1/p.gif?writeKey={key}" alt="" width="1" height="1"></noscript>'
    )


def site(
    version: str,
    tag_dir: Path,
    demo_dir: Path | None,
    demo_snippet: Callable[[str], str],
    unready: Callable[[], str | None],
    measures: Callable[[], tuple[dict[str, int], dict[str, float]]],
) -> Starlette:
    """The Starlette application behind the Collector.

    Args:
        version: Of Footfall.
        tag_dir: Folder of the built tag.
        demo_dir: Folder of the demo shop, or None to serve none.
        demo_snippet: Gives the snippet of the demo's pages for the base URL they were asked under.
        unready: Says why events cannot be taken now; None when they can.
        measures: Gives all counters by name, and the gauges by name.
    """
    tag = (tag_dir / TAG_FILE).read_bytes()
    tag_headers = {
        "cache-control": "public, max-age=3600",
        "etag": f'"{hashlib.sha256(tag).hexdigest()[:20]}"',
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }

    def serve_tag(request: Request) -> Response:
        # Weakened (W/) where a proxy has compressed the file, and possibly one of several (RFC 9110, section 13.1.2).
        known = request.headers.get("if-none-match", "").replace("W/", "").split(",")
        if tag_headers["etag"] in map(str.strip, known):
            return Response(status_code=304, headers=tag_headers)
        return Response(tag, media_type="text/javascript", headers=tag_headers)

    def serve_demo(request: Request) -> Response:
        assert demo_dir is not None
        name = request.path_params.get("name") or "index.html"
        path = demo_dir / name
        if "/" in name or not path.is_file():
            raise HTTPException(404)
        content = path.read_bytes()
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if kind == "text/html":
            inserted = demo_snippet(str(request.base_url).rstrip("/"))
            content = content.replace(SNIPPET_PLACE.encode(), inserted.encode())
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    def ready(_: Request) -> Response:
        why = unready()
        return JSONResponse({"ready": why is None, "reason": why}, status_code=200 if why is None else 503)

    registry = CollectorRegistry()
    registry.register(_Exposed(measures))

    def serve_metrics(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    routes = [
        Route("/", lambda _: PlainTextResponse(f"Footfall {version} takes events at /v1/batch.\n")),
        Route(f"/{TAG_FILE}", serve_tag),
        Route("/livez", lambda _: JSONResponse({"alive": True})),
        Route("/readyz", ready),
        Route("/metrics", serve_metrics),
        Route("/version", lambda _: JSONResponse({"name": "footfall", "version": version})),
    ]
    if demo_dir is not None:
        routes += [
            Route("/demo", lambda _: RedirectResponse("/demo/")),
            Route("/demo/", serve_demo),
            Route("/demo/{name}", serve_demo),
        ]
    return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _wrong_method, 500: _failed})


class _Exposed:
    """Turns the shared counters into Prometheus' families at the moment they are asked for."""

    def __init__(self, measures: Callable[[], tuple[dict[str, int], dict[str, float]]]) -> None:
        self._measures = measures

    def collect(self) -> Iterator[Metric]:
        """Every counter and gauge, under `footfall_`."""
        counters, gauges = self._measures()
        families: dict[str, CounterMetricFamily] = {}
        for full, value in counters.items():
            name, _, label = full.partition("{reason=")
            family = families.get(name)
            if family is None:
                labels = ["reason"] if label else []
                family = families[name] = CounterMetricFamily(f"footfall_{name}", _HELP.get(name, name), labels=labels)
            family.add_metric([label.strip('"}')] if label else [], value)
        yield from families.values()
        for name, amount in gauges.items():
            yield GaugeMetricFamily(f"footfall_{name}", name.replace("_", " "), value=amount)


# A page that misspells a path may read why.
_CORS = {"access-control-allow-origin": "*"}


def _not_found(request: Request, _: Exception) -> Response:
    sentence = f"there is nothing at {request.url.path[:100]}; events go to /v1/batch"
    return JSONResponse({"error": sentence, "reason": "not_found"}, 404, _CORS)


def _wrong_method(request: Request, _: Exception) -> Response:
    sentence = f"{request.method} is not for {request.url.path[:100]}; use GET"
    return JSONResponse({"error": sentence, "reason": "method_not_allowed"}, 405, {"allow": "GET, HEAD", **_CORS})


def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "the collector failed; its log says why", "reason": "internal"}, 500, _CORS)
