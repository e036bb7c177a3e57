"""The HTTP face of a worker, read-only: wallboard, floor JSON, live stream, metrics and probes.

Nothing here computes a figure. A `FloorSource` hands over the floor as it stands; this module
encodes it, and `streams.live_stream` shares each frame among all screens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from dashboards import wallboard
from streams import openapi
from streams.core.queue_detail import formulas_document
from streams.http_settings import HttpSettings
from streams.live_stream import LiveStream, StreamSource
from streams.web_access import LOOK_EVERY_S, Access, Surface
from streams.web_answers import (
    JSON_TYPE,
    OFF_LOOP_FROM_BYTES,
    accepts_gzip,
    gzipped,
    json_answer,
)
from streams.web_guard import Guard, Handler, Rule
from streams.web_headers import hardening

log = logging.getLogger(__name__)

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
GZIP_FROM_BYTES: Final = 1024
RULES: Final[Mapping[str, Rule]] = {
    "/": Rule(Surface.WALL, is_page=True),
    "/queue": Rule(Surface.WALL, is_page=True),
    "/assets/{name}": Rule(Surface.WALL),
    "/api/v1/floor": Rule(Surface.API),
    "/api/v1/floor/stream": Rule(Surface.API, is_of_wall=True),
    "/api/v1/floor/history": Rule(Surface.API, is_of_wall=True),
    "/api/v1/queue": Rule(Surface.API, is_of_wall=True),
    "/api/v1/formulas": Rule(Surface.API, is_of_wall=True),
    "/api/v1/openapi.json": Rule(Surface.API),
    "/metrics": Rule(Surface.METRICS),
    "/healthz": Rule(None),
    "/readyz": Rule(None),
}
"""Every path there is, and what it asks for."""


class FloorSource(StreamSource, Protocol):
    """What the web needs from a worker. Every call returns at once and touches no network."""

    def floor(self) -> dict[str, Any]:
        """The whole floor document: a new object for every tick, never changed afterwards."""
        ...

    def detail(self, queue: str, channel: str) -> dict[str, Any] | None:
        """What stands behind the figures of one queue; None where there is no such queue."""
        ...

    def metrics(self) -> bytes:
        """The exposition in the Prometheus text format 0.0.4."""
        ...

    def is_ready(self) -> bool:
        """Whether the first catch-up has happened."""
        ...

    def health(self) -> str | None:
        """None while the worker is alive, else the reason why it should be restarted."""
        ...


def create_web(
    floor: FloorSource,
    *,
    access: Access | None = None,
    headers: Mapping[str, str] | None = None,
    name: str = "floorwatch",
    reread_every_s: float = LOOK_EVERY_S,
    max_streams: int = 500,
    frame_every_s: float = 1.0,
    write_timeout_s: float = 10.0,
) -> web.Application:
    """Build the application; whoever calls gives it an address and runs it on the same loop.

    Args:
        floor: where every answer comes from.
        access: the tokens; none are needed without.
        headers: of every answer; those of `hardening` without.
        name: of the installation, which is in the name of the wall's cookie.
        reread_every_s: seconds between two looks at the files of tokens.
        max_streams: live streams served at once; one more is told to come back later.
        frame_every_s: seconds between two frames of the live stream.
        write_timeout_s: seconds after which a screen that takes nothing is cut off.
    """
    pages = _Pages(wallboard.load_assets())
    figures = _Figures(floor)
    probes = _Probes(floor)
    stream = LiveStream(
        floor,
        edition=pages.edition,
        max_clients=max_streams,
        frame_every_s=frame_every_s,
        write_timeout_s=write_timeout_s,
    )
    access = access or Access(HttpSettings())
    guard = Guard(access, RULES, cookie=f"floorwatch_wall_{name}")
    every = headers or hardening()

    async def harden(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(every)

    async def watch_tokens(_app: web.Application) -> AsyncIterator[None]:
        watching = asyncio.create_task(access.watch(stream.let_go, every_s=reread_every_s))
        yield
        watching.cancel()

    app = web.Application(middlewares=[_errors_as_json, guard.middleware()])
    app.on_response_prepare.append(harden)
    app.cleanup_ctx.append(watch_tokens)
    app.cleanup_ctx.append(stream.run)
    app.on_shutdown.append(stream.close)
    handlers: dict[str, Handler] = {
        "/": pages.board,
        "/queue": pages.queue,
        "/assets/{name}": pages.asset,
        "/api/v1/floor": figures.floor,
        "/api/v1/floor/stream": stream.serve,
        "/api/v1/floor/history": figures.history,
        "/api/v1/queue": figures.queue,
        "/api/v1/formulas": figures.formulas,
        "/api/v1/openapi.json": figures.openapi,
        "/metrics": figures.metrics,
        "/healthz": probes.health,
        "/readyz": probes.ready,
    }
    for path in RULES:
        app.router.add_get(path, handlers[path])
    return app


class _Pages:
    """The wallboard's files, with the digest of each as its ETag."""

    def __init__(self, assets: dict[str, wallboard.Asset]) -> None:
        self._assets = assets
        self.edition = wallboard.edition(assets)

    async def board(self, request: web.Request) -> web.Response:
        return self._file(request, wallboard.BOARD)

    async def queue(self, request: web.Request) -> web.Response:
        return self._file(request, wallboard.QUEUE)

    async def asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._assets:
            raise web.HTTPNotFound
        return self._file(request, name)

    def _file(self, request: web.Request, name: str) -> web.Response:
        asset = self._assets[name]
        response = web.Response(headers={"Cache-Control": "no-cache"})
        response.etag = asset.digest
        known = request.if_none_match or ()
        if any(tag.value in {asset.digest, "*"} for tag in known):
            response.set_status(304)
            return response
        response.headers["Content-Type"] = asset.content_type
        response.body = asset.body
        return response


class _Figures:
    """The floor document and the metrics, compressed for those who ask."""

    def __init__(self, floor: FloorSource) -> None:
        self._floor = floor
        self._encoded: tuple[dict[str, Any], bytes] | None = None
        self._formulas = orjson.dumps(formulas_document())
        self._openapi = openapi.text().encode()

    async def floor(self, request: web.Request) -> web.Response:
        """The whole document, or only the queues and channels named in the query."""
        document = self._floor.floor()
        queues = set(request.query.getall("queue", []))
        channels = set(request.query.getall("channel", []))
        if queues or channels:
            body = orjson.dumps(_only(document, queues, channels))
        elif self._encoded is not None and self._encoded[0] is document:
            body = self._encoded[1]
        else:
            body = orjson.dumps(document)
            self._encoded = (document, body)
        return await _compressed(request, body, JSON_TYPE)

    async def queue(self, request: web.Request) -> web.Response:
        """The document of one queue and channel, and what stands behind its figures."""
        queue = request.query.get("queue", "")
        channel = request.query.get("channel", "")
        document = _only(self._floor.floor(), {queue}, {channel})
        detail = self._floor.detail(queue, channel) if document["queues"] else None
        body = orjson.dumps(document | {"detail": detail})
        return await _compressed(request, body, JSON_TYPE)

    async def history(self, request: web.Request) -> web.Response:
        return await _compressed(request, self._floor.history() or b"{}", JSON_TYPE)

    async def formulas(self, request: web.Request) -> web.Response:
        return await _compressed(request, self._formulas, JSON_TYPE)

    async def openapi(self, request: web.Request) -> web.Response:
        return await _compressed(request, self._openapi, JSON_TYPE)

    async def metrics(self, request: web.Request) -> web.Response:
        return await _compressed(request, self._floor.metrics(), METRICS_TYPE)


class _Probes:
    """Liveness and readiness; ready stays ready, because lag is shown and not hidden."""

    def __init__(self, floor: FloorSource) -> None:
        self._floor = floor
        self._was_ready = False

    async def health(self, _request: web.Request) -> web.Response:
        reason = self._floor.health()
        if reason is None:
            return json_answer({"status": "alive"})
        return json_answer({"status": "failing", "reason": reason}, status=503)

    async def ready(self, _request: web.Request) -> web.Response:
        self._was_ready = self._was_ready or self._floor.is_ready()
        if self._was_ready:
            return json_answer({"status": "ready"})
        return json_answer({"status": "catching_up"}, status=503)


def _only(document: dict[str, Any], queues: set[str], channels: set[str]) -> dict[str, Any]:
    def wanted(item: dict[str, Any]) -> bool:
        return (not queues or item["queue"] in queues) and (
            not channels or item["channel"] in channels
        )

    return document | {
        "queues": [queue for queue in document["queues"] if wanted(queue)],
        "entries": [entry for entry in document["entries"] if wanted(entry)],
    }


async def _compressed(request: web.Request, body: bytes, content_type: str) -> web.Response:
    headers = {
        "Content-Type": content_type,
        "Cache-Control": "no-store",
        "Vary": "Accept-Encoding",
    }
    if len(body) >= GZIP_FROM_BYTES and accepts_gzip(request):
        headers["Content-Encoding"] = "gzip"
        if len(body) >= OFF_LOOP_FROM_BYTES:
            body = await asyncio.to_thread(gzipped, body)
        else:
            body = gzipped(body)
    return web.Response(body=body, headers=headers)


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as exc:
        reason = exc.reason or "error"
        return json_answer(
            {"error": reason.lower().replace(" ", "_"), "message": reason}, status=exc.status
        )
    except ConnectionError:
        raise
    except Exception:
        # The path that was asked for may hold anything; ours does not.
        resource = request.match_info.route.resource
        log.exception("could not answer %s", resource and resource.canonical)
        return json_answer(
            {"error": "internal", "message": "could not answer; see the log"}, status=500
        )
