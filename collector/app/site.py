"""What the collector serves beside taking events: the tag, the demo shop, health, metrics and its version."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from collector.app.tag import TAG_FILE, read_tag
from collector.enrichment.device import EXACT_HINTS

SNIPPET_PLACE = "{{ snippet }}"
# What each measure is. Names of those that carry a label stand as `rejected_total{reason="wrong_type"}` (metrics.py).
HELP = {
    "plan_reloads_total": "Times a worker has taken over a new tracking plan.",
    "plan_reload_failures_total": "Locks of the tracking plan that could not be used.",
    "received_total": "Events that reached the spool, accepted or rejected.",
    "accepted_total": "Events accepted and made durable.",
    "rejected_total": "Events rejected and kept in failed_events, by reason.",
    "refused_total": "Requests refused whole, by reason.",
    "dropped_total": "Events dropped by our own choice, by why: sampled, undeclared data, an opt-out, no consent.",
    "cookieless_total": "Events without consent that were stored as nobody's, by what was lacking.",
    "counted_total": "Events without consent that were only counted, by what was lacking.",
    "violations_total": "Violations of the plan, in events accepted and not, by reason.",
    "shadowed_total": "Violations that a rule of the plan which is yet to begin will judge otherwise, by reason.",
    "requests_total": "Requests that carried events.",
    "connections": "Connections that a worker has open, by process; brought up to date every second.",
    "restarts_total": "Times a process that had ended by itself was started again.",
    "commits_total": "Syncs of a spool segment.",
    "commit_records_total": "Requests made durable by these syncs.",
    "commit_nanoseconds_total": "Time spent writing and syncing.",
    "cache_hits_total": "Look-ups that were answered from a cache, by cache; brought up to date every 5 s.",
    "cache_misses_total": "Look-ups that were not.",
    "inserts_total": "Batches that were inserted into the database.",
    "insert_nanoseconds_total": "Time these took.",
    "pressed_segments_total": "Segments of the spool that were compressed because they had to wait.",
    "pressed_saved_bytes_total": "Bytes of the disk that this saved.",
    "ledger_received": "Events that were ever made durable: the sum of the next five.",
    "ledger_spooled": "Events in the spool that are in no table yet.",
    "ledger_stored": "Events in the table of events, and those that counted_events counts.",
    "ledger_deduplicated": "Events that were stored already and came once more.",
    "ledger_rejected": "Events in the table of failed events.",
    "ledger_dropped": "Events dropped by our own choice.",
    "ledger_refused": "Of the rejected, those that the database itself refused.",
    "ledger_set_aside": "Of the rejected, those that are in a file because the database took them in no table.",
    "damaged_bytes": "Bytes of the spool that could not be read and are kept in spool/damaged.",
    "spool_segments": "Files of the spool.",
    "spool_bytes": "Their size.",
    "spool_max_bytes": "The size beyond which events are refused with 503 (spool_mb_max).",
    "disk_free_bytes": "Free space of the disk that they are on; events are refused with 503 below free_mb_min.",
    "oldest_unwritten_seconds": "Age of the oldest event that is in no table yet; 0 when there is none.",
}


def site(
    version: str,
    tag_dir: Path,
    demo_dir: Path | None,
    demo_snippet: Callable[[str], str],
    unready: Callable[[], str | None],
    measures: Callable[[], tuple[dict[str, int], dict[str, float]]],
    kept_dir: Path | None = None,
    plan: Callable[[], dict[str, str]] = dict,
    asks_hints: bool = False,
) -> Starlette:
    """The Starlette application behind the Collector.

    Args:
        version: Of Footfall.
        tag_dir: Folder of the built tag.
        demo_dir: Folder of the demo shop, or None to serve none.
        demo_snippet: Gives the snippet of the demo's pages for the base URL they were asked under.
        unready: Says why events cannot be taken now; None when they can.
        measures: Gives all counters by name, and the gauges by name.
        kept_dir: Folder of the tag's former files that pages may have pinned, or None for none.
        plan: Gives name, version and hash of the tracking plan in force.
        asks_hints: Whether the demo's pages ask browsers for exact client hints.
    Raises:
        TagError: the tag is not built.
    """
    tag = read_tag(tag_dir, kept_dir)

    def serve_tag(request: Request) -> Response:
        # Several headers of one name are one list (RFC 9110, section 5.3).
        accepts, knows = (",".join(request.headers.getlist(name)) for name in ("accept-encoding", "if-none-match"))
        name = request.url.path.removeprefix("/")
        found = tag.answer(name, accepts, knows)
        if found is None:
            return _no_such_tag(name)
        status, headers, content = found
        return Response(content, status, headers)

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
        asked = {"accept-ch": ", ".join(EXACT_HINTS)} if asks_hints else {}
        return Response(content, media_type=kind, headers={"cache-control": "no-cache", **asked})

    def ready(_: Request) -> Response:
        why = unready()
        return JSONResponse({"ready": why is None, "reason": why}, status_code=200 if why is None else 503)

    registry = CollectorRegistry()
    registry.register(_Exposed(measures))

    def serve_metrics(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    described: list[bytes] = []  # made when it is first asked for: most workers never are

    def serve_openapi(_: Request) -> Response:
        if not described:
            from collector.app.openapi import openapi  # noqa: PLC0415 - as above

            described.append(msgspec.json.encode(openapi(version)))
        return Response(described[0], media_type="application/json", headers=_CORS)

    routes = [
        Route("/", lambda _: PlainTextResponse(f"Footfall {version} takes events at /v1/batch.\n")),
        Route(f"/{TAG_FILE}", serve_tag),
        Route("/footfall.{name}.js", serve_tag),
        Route("/livez", lambda _: JSONResponse({"alive": True})),
        Route("/readyz", ready),
        Route("/metrics", serve_metrics),
        Route("/version", lambda _: JSONResponse({"name": "footfall", "version": version, "plan": plan()})),
        Route("/openapi.json", serve_openapi),
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
        yield from _families(CounterMetricFamily, counters)
        yield from _families(GaugeMetricFamily, gauges)


def _families(
    family: type[CounterMetricFamily] | type[GaugeMetricFamily], values: Mapping[str, float]
) -> Iterable[Metric]:
    """Those of the same name together, told apart by their label."""
    found: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for full, value in values.items():
        name, kind, of = _label(full)
        if name not in found:
            found[name] = family(f"footfall_{name}", HELP.get(name, name), labels=[kind] if kind else [])
        found[name].add_metric([of] if kind else [], value)
    return found.values()


def _label(full: str) -> tuple[str, str, str]:
    """Name, label and its value, as in `rejected_total{reason="wrong_type"}`; the last two empty without a label."""
    name, _, label = full.partition("{")
    kind, _, of = label.rstrip("}").partition("=")
    return name, kind, of.strip('"')


# A page that misspells a path may read why.
_CORS = {"access-control-allow-origin": "*"}


def _no_such_tag(name: str) -> Response:
    sentence = f"no file of the tag is named {name[:100]}, of this version or of one kept; `footfall snippet` has one"
    # Kept by nobody: behind a balancer the next collector may have it.
    headers = {"cache-control": "no-store", **_CORS}
    return JSONResponse({"error": sentence, "reason": "not_found"}, 404, headers)


def _not_found(request: Request, _: Exception) -> Response:
    sentence = f"there is nothing at {request.url.path[:100]}; events go to /v1/batch"
    return JSONResponse({"error": sentence, "reason": "not_found"}, 404, _CORS)


def _wrong_method(request: Request, _: Exception) -> Response:
    sentence = f"{request.method} is not for {request.url.path[:100]}; use GET"
    return JSONResponse({"error": sentence, "reason": "method_not_allowed"}, 405, {"allow": "GET, HEAD", **_CORS})


def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "the collector failed; its log says why", "reason": "internal"}, 500, _CORS)
