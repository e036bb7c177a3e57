"""The HTTP face of a worker, read-only: wallboard, floor JSON, live stream, metrics and probes.

Nothing here computes a figure. A `FloorSource` hands over the floor as it stands; this module
encodes it, shares one encoded frame among all screens and keeps a slow or hostile reader from
hurting the others.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from dashboards import wallboard

log = logging.getLogger(__name__)

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
JSON_TYPE: Final = "application/json"
FRAMES_KEPT_PER_CLIENT: Final = 2
WRITE_TIMEOUT_S: Final = 10.0
GZIP_FROM_BYTES: Final = 1024
GZIP_OFF_LOOP_FROM_BYTES: Final = 64 * 1024
RETRY_AFTER_S: Final = 30
HARDENING: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "floorwatch",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FloorSource(Protocol):
    """What the web needs from a worker. Every call returns at once and touches no network."""

    def floor(self) -> dict[str, Any]:
        """The whole floor document: a new object for every tick, never changed afterwards."""
        ...

    def frame(self) -> bytes:
        """What a wall shows now: the floor document as one line of JSON, wall windows only."""
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
    floor: FloorSource, *, max_streams: int = 500, frame_every_s: float = 1.0
) -> web.Application:
    """Build the application; whoever calls gives it an address and runs it on the same loop.

    Args:
        floor: where every answer comes from.
        max_streams: live streams served at once; one more is told to come back later.
        frame_every_s: seconds between two frames of the live stream.
    """
    pages = _Pages(wallboard.load_assets())
    figures = _Figures(floor)
    probes = _Probes(floor)
    stream = LiveStream(
        floor, edition=pages.edition, max_clients=max_streams, frame_every_s=frame_every_s
    )
    app = web.Application(middlewares=[_errors_as_json])
    app.on_response_prepare.append(_harden)
    app.cleanup_ctx.append(stream.run)
    app.on_shutdown.append(stream.close)
    app.router.add_get("/", pages.board)
    app.router.add_get("/queue", pages.queue)
    app.router.add_get("/assets/{name}", pages.asset)
    app.router.add_get("/api/v1/floor", figures.floor)
    app.router.add_get("/api/v1/floor/stream", stream.serve)
    app.router.add_get("/metrics", figures.metrics)
    app.router.add_get("/healthz", probes.health)
    app.router.add_get("/readyz", probes.ready)
    return app


class LiveStream:
    """One frame per period, encoded once, to every screen that listens.

    A screen that reads too slowly loses the oldest frames, never the newest, and one that stops
    reading altogether is cut off after `WRITE_TIMEOUT_S`.
    """

    def __init__(
        self, floor: FloorSource, *, edition: str, max_clients: int, frame_every_s: float
    ) -> None:
        self._floor = floor
        self._greeting = b"retry: 1000\nevent: edition\ndata: %b\n\n" % edition.encode()
        self._max_clients = max_clients
        self._frame_every_s = frame_every_s
        self._clients: set[_Client] = set()
        self._latest = b""
        self._sent = 0
        self._is_closing = False

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Publish frames for as long as the application is up."""
        publishing = asyncio.create_task(self._publish_for_ever())
        yield
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing

    async def close(self, _app: web.Application) -> None:
        """Let go of every client, so that a shutdown does not wait for them."""
        self._is_closing = True
        for client in self._clients:
            client.wake()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one client until it goes away or the worker stops."""
        headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
        if request.method == "HEAD":
            return web.Response(headers=headers)
        if len(self._clients) >= self._max_clients:
            return _json(
                {
                    "error": "too_many_streams",
                    "message": f"{self._max_clients} live streams are open; try again later",
                },
                status=503,
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        response = web.StreamResponse(headers=headers)
        client = _Client(self._greeting + self._latest)
        self._clients.add(client)
        try:
            await response.prepare(request)
            while not self._is_closing:
                await asyncio.wait_for(response.write(await client.next()), WRITE_TIMEOUT_S)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass
        finally:
            self._clients.discard(client)
        return response

    async def _publish_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                self._publish()
            except Exception:
                log.exception("no frame for the live stream; every screen will say so")
            due = max(due + self._frame_every_s, loop.time())
            await asyncio.sleep(due - loop.time())

    def _publish(self) -> None:
        self._sent += 1
        self._latest = b"id: %d\nevent: floor\ndata: %b\n\n" % (self._sent, self._floor.frame())
        for client in self._clients:
            client.offer(self._latest)


class _Client:
    """The few newest pieces that one screen has not read yet."""

    def __init__(self, first: bytes) -> None:
        self._unread = deque([first], maxlen=FRAMES_KEPT_PER_CLIENT)
        self._has_news = asyncio.Event()
        self._has_news.set()

    def offer(self, piece: bytes) -> None:
        self._unread.append(piece)
        self._has_news.set()

    def wake(self) -> None:
        self._has_news.set()

    async def next(self) -> bytes:
        """All that is unread, once there is something; nothing when only woken up."""
        await self._has_news.wait()
        self._has_news.clear()
        pieces = b"".join(self._unread)
        self._unread.clear()
        return pieces


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
            return _json({"status": "alive"})
        return _json({"status": "failing", "reason": reason}, status=503)

    async def ready(self, _request: web.Request) -> web.Response:
        self._was_ready = self._was_ready or self._floor.is_ready()
        if self._was_ready:
            return _json({"status": "ready"})
        return _json({"status": "catching_up"}, status=503)


def _only(document: dict[str, Any], queues: set[str], channels: set[str]) -> dict[str, Any]:
    def wanted(item: dict[str, Any]) -> bool:
        return (not queues or item["queue"] in queues) and (
            not channels or item["channel"] in channels
        )

    return document | {
        "queues": [queue for queue in document["queues"] if wanted(queue)],
        "entries": [entry for entry in document["entries"] if wanted(entry)],
    }


def _json(
    document: dict[str, str], *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=orjson.dumps(document),
        status=status,
        content_type=JSON_TYPE,
        headers={"Cache-Control": "no-store"} | (headers or {}),
    )


async def _compressed(request: web.Request, body: bytes, content_type: str) -> web.Response:
    headers = {
        "Content-Type": content_type,
        "Cache-Control": "no-store",
        "Vary": "Accept-Encoding",
    }
    if len(body) >= GZIP_FROM_BYTES and _accepts_gzip(request):
        headers["Content-Encoding"] = "gzip"
        if len(body) >= GZIP_OFF_LOOP_FROM_BYTES:
            body = await asyncio.to_thread(_gzip, body)
        else:
            body = _gzip(body)
    return web.Response(body=body, headers=headers)


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, level=1, wbits=31)


def _accepts_gzip(request: web.Request) -> bool:
    for item in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.rstrip("0") not in {"0.", "."} and weight != "0"
    return False


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HARDENING)


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as exc:
        return _json(
            {"error": "method_not_allowed", "message": "this service only answers GET and HEAD"},
            status=exc.status,
            headers={"Allow": "GET, HEAD"},
        )
    except web.HTTPException as exc:
        reason = exc.reason or "error"
        return _json(
            {"error": reason.lower().replace(" ", "_"), "message": reason}, status=exc.status
        )
    except ConnectionError:
        raise
    except Exception:
        log.exception("could not answer %s", request.path)
        return _json({"error": "internal", "message": "could not answer; see the log"}, status=500)
