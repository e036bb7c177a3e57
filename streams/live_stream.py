"""The floor as a live stream: each frame as soon as it is there, made once for all screens.

A screen that reads too slowly loses the oldest frames, never the newest; one that stops reading
altogether is cut off. Neither holds up any other screen.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from aiohttp import web

from streams.web_answers import (
    GZIP_HEADER,
    OFF_LOOP_FROM_BYTES,
    accepts_gzip,
    deflated,
    json_answer,
)

log = logging.getLogger(__name__)

FRAMES_KEPT_PER_CLIENT: Final = 2
RETRY_AFTER_S: Final = 30

LOOK_EVERY_S: Final = 0.02
SOONEST: Final = 0.5
LATEST: Final = 1.5
"""Another frame comes no sooner, and the same one again no later, than so many periods."""


class StreamSource(Protocol):
    """What the stream needs from a worker. Every call returns at once and touches no network."""

    def frame(self) -> bytes:
        """What a wall shows now: the floor document as one line of JSON, wall windows only."""
        ...

    def floors(self) -> int:
        """How many floors there have been: with another number comes another frame."""
        ...

    def history(self) -> bytes:
        """The last hour as one line of JSON, b"" before there is one; the same object until new."""
        ...


class _Piece(NamedTuple):
    """A part of the stream, as it is and, where somebody wants it so, compressed."""

    plain: bytes
    packed: bytes | None = None


class LiveStream:
    """Server-sent events: `edition` and `history` on arrival, then a `floor` about each period.

    A frame's id is its number in this worker's run. Whoever comes back and names the id of the
    newest frame is not sent it again; everybody else has it at once.

    Args:
        floor: where frames come from.
        edition: of the pages, so that one that is out of date can tell.
        max_clients: served at once; one more is told to come back later.
        frame_every_s: seconds between two frames, about: see `SOONEST` and `LATEST`.
        write_timeout_s: a screen that takes nothing for so long is cut off.
    """

    def __init__(
        self,
        floor: StreamSource,
        *,
        edition: str,
        max_clients: int,
        frame_every_s: float,
        write_timeout_s: float,
    ) -> None:
        self._floor = floor
        self._greeting = b"retry: 1000\nevent: edition\ndata: %b\n\n" % edition.encode()
        self._max_clients = max_clients
        self._frame_every_s = frame_every_s
        self._write_timeout_s = write_timeout_s
        self._clients: set[_Client] = set()
        self._run = secrets.token_hex(4)
        self._sent = 0
        self._frame = b""
        self._floors = 0
        self._history = b""
        self._history_event = b""
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

    def let_go(self) -> None:
        """End every answer under way; whoever still may comes back at once."""
        for client in self._clients:
            client.is_let_go = True
            client.wake()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one client until it goes away or the worker stops."""
        is_packed = accepts_gzip(request)
        headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "Vary": "Accept-Encoding",
            "X-Accel-Buffering": "no",
        }
        if is_packed:
            headers["Content-Encoding"] = "gzip"
        if request.method == "HEAD":
            return web.Response(headers=headers)
        if len(self._clients) >= self._max_clients:
            return json_answer(
                {
                    "error": "too_many_streams",
                    "message": f"{self._max_clients} live streams are open; try again later",
                },
                status=503,
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        response = web.StreamResponse(headers=headers)
        client = _Client(self._welcome(_last_id(request)), is_packed=is_packed)
        self._clients.add(client)
        try:
            await response.prepare(request)
            while not (self._is_closing or client.is_let_go):
                unread = await client.next()
                async with asyncio.timeout(self._write_timeout_s):
                    await response.write(unread)
        except TimeoutError:
            log.info("a screen that takes nothing is cut off")
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass
        finally:
            self._clients.discard(client)
        return response

    def _id(self, number: int) -> bytes:
        return f"{self._run}-{number}".encode()

    def _welcome(self, last_id: str) -> _Piece:
        is_up_to_date = last_id.encode() == self._id(self._sent)
        frame = b"" if is_up_to_date else self._frame
        return _Piece(self._greeting + self._history_event + frame)

    async def _publish_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._publish()
            except Exception:
                log.exception("no frame for the live stream; every screen will say so")
            await asyncio.sleep(self._frame_every_s * SOONEST)
            until = began + self._frame_every_s * LATEST
            while self._floor.floors() == self._floors and loop.time() < until:  # noqa: ASYNC110 # cheap
                await asyncio.sleep(min(LOOK_EVERY_S, self._frame_every_s * SOONEST))

    async def _publish(self) -> None:
        number = self._sent + 1
        self._floors = self._floor.floors()
        frame = b"id: %b\nevent: floor\ndata: %b\n\n" % (self._id(number), self._floor.frame())
        history = self._floor.history()
        is_new = history is not self._history
        news = b"event: history\ndata: %b\n\n" % history if is_new else b""
        piece = _Piece(frame + news)
        if any(client.is_packed for client in self._clients):
            piece = piece._replace(packed=await _packed(piece.plain))
        if is_new:
            self._history, self._history_event = history, news
        self._sent, self._frame = number, frame
        for client in self._clients:
            client.offer(piece)


async def _packed(plain: bytes) -> bytes:
    if len(plain) < OFF_LOOP_FROM_BYTES:
        return deflated(plain)
    return await asyncio.to_thread(deflated, plain)


def _last_id(request: web.Request) -> str:
    """The last frame that a screen has: a browser that connects anew by itself says it in a header.

    A page that opens a new connection cannot set one.
    """
    return request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")


class _Client:
    """The few newest pieces that one screen has not read yet."""

    def __init__(self, first: _Piece, *, is_packed: bool) -> None:
        self.is_packed = is_packed
        self.is_let_go = False
        self._begin = GZIP_HEADER if is_packed else b""
        self._unread = deque([first], maxlen=FRAMES_KEPT_PER_CLIENT)
        self._has_news = asyncio.Event()
        self._has_news.set()

    def offer(self, piece: _Piece) -> None:
        self._unread.append(piece)
        self._has_news.set()

    def wake(self) -> None:
        self._has_news.set()

    async def next(self) -> bytes:
        """All that is unread, once there is something; nothing when only woken up."""
        await self._has_news.wait()
        self._has_news.clear()
        begin, self._begin = self._begin, b""
        pieces = [self._bytes(piece) for piece in self._unread]
        self._unread.clear()
        return b"".join([begin, *pieces])

    def _bytes(self, piece: _Piece) -> bytes:
        if not self.is_packed:
            return piece.plain
        # One that came while a frame was being compressed for others has it compressed here.
        return deflated(piece.plain) if piece.packed is None else piece.packed
