"""The listening side of the web: how many may be connected, for how long, and what they hear.

Sizes of what is asked, idle connections and pipelines are bounded by aiohttp's own options. What it
has none for is here: the number of connections, a first request that does not come, an answer that
nobody takes, and what is said to something that is no HTTP, which would repeat a part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.http import RawRequestMessage
from yarl import URL

from streams.web_answers import json_answer
from streams.web_tls import Certificate

log = logging.getLogger(__name__)

FILES_FOR_THE_REST: Final = 200
"""Open files that a worker needs besides connections to its port."""

LEAST_CONNECTIONS: Final = 50
COMPLAIN_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, or all together, may take.

    There is none per address: behind an Ingress all walls have the same one.

    Attributes:
        connections: at a time; one more takes the place of the one that has been idle longest.
        first_request_s: until when a connection has to have sent its first request, all of it.
        idle_s: from an answer to the end of the next request; more than what proxies allow.
        answer_s: until when an answer other than the live stream has to be taken.
        line_bytes: of the request line, so of path and query.
        header_bytes: of one header.
        headers: in one request.
    """

    connections: int = 1_000
    first_request_s: float = 15.0
    idle_s: float = 75.0
    answer_s: float = 30.0
    line_bytes: int = 8_190
    header_bytes: int = 8_190
    headers: int = 64


class _Connection(web.RequestHandler):
    """One connection; `waits_since` is None while a request of it is being answered."""

    __slots__ = ("_answer_s", "_headers", "_wake", "waits_since")

    def __init__(self, listener: _Listener, limits: Limits, headers: Mapping[str, str]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            listener,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # None for none, as in AppRunner
            auto_decompress=False,
            keepalive_timeout=limits.idle_s,
            lingering_time=0,
            max_field_size=limits.header_bytes,
            max_headers=limits.headers,
            max_line_size=limits.line_bytes,
        )
        self._answer_s = limits.answer_s
        self._headers = headers
        self._wake = loop.call_later(limits.first_request_s, self._give_up)
        self.waits_since: float | None = loop.time()

    def begin(self) -> None:
        """A request is complete."""
        self._wake.cancel()
        self.waits_since = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp has it."""
        self._wake.cancel()
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; cut off who does not take it."""
        transport = request.transport
        try:
            async with asyncio.timeout(self._answer_s):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            log.info("a client that does not take its answer is cut off")
            if transport is not None:
                transport.abort()
            return resp, True
        finally:
            self.waits_since = asyncio.get_running_loop().time()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be read without repeating it, here or in the log."""
        if isinstance(exc, ConnectionError):
            raise exc
        if status >= 500:
            log.error("a request could not be answered", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer is on its way")
        if status >= 500:
            told = {"error": "internal", "message": "could not answer; see the log"}
        else:
            told = {"error": "bad_request", "message": "this is no request that can be read"}
        answer = json_answer(told, status=status, headers=dict(self._headers))
        answer.force_close()
        return answer

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Listener(web.Server):
    """Makes a `_Connection` of each that comes, up to the limit."""

    def __init__(self, inner: web.Server, limits: Limits, headers: Mapping[str, str]) -> None:
        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            connection = request.protocol
            assert isinstance(connection, _Connection)  # noqa: S101 # made below
            connection.begin()
            if "Expect" in request.headers:  # aiohttp repeats it, or fails where it is no text
                told = {"error": "expectation_failed", "message": "this service takes no body"}
                return json_answer(told, status=417, headers=dict(headers))
            return await inner.request_handler(request)

        def make(message: RawRequestMessage, *rest: Any) -> web.BaseRequest:  # noqa: ANN401 # as they come
            # aiohttp's parser lets a CONNECT to nothing through and its request fails on it.
            if message.url is None:
                message = message._replace(method="CONNECT", path="/", url=URL("/"))
            return inner.request_factory(message, *rest)

        super().__init__(answer, request_factory=make)
        self._limits = limits
        self._headers = headers
        self._open: dict[_Connection, asyncio.Transport] = {}
        self._complained_at = -COMPLAIN_EVERY_S

    def __call__(self) -> web.RequestHandler:
        """One more connection."""
        return _Connection(self, self._limits, self._headers)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Let it in; in the place of another one where all are taken."""
        super().connection_made(handler, transport)
        if len(self._open) >= self._limits.connections and not self._make_room():
            transport.abort()
            return
        assert isinstance(handler, _Connection)  # noqa: S101 # made above
        self._open[handler] = transport

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """One less."""
        self._open.pop(handler, None)  # type: ignore[call-overload] # it may be any other, too
        super().connection_lost(handler, exc)

    def _make_room(self) -> bool:
        """Cut off the connection that has been idle longest; False where all are being answered."""
        now = asyncio.get_running_loop().time()
        if now - self._complained_at >= COMPLAIN_EVERY_S:
            self._complained_at = now
            log.warning("%d connections, which is the most; idle ones are cut off", len(self._open))
        waiting = [
            (connection.waits_since, number, connection)
            for number, connection in enumerate(self._open)
            if connection.waits_since is not None
        ]
        if not waiting:
            return False
        self._open.pop(min(waiting)[2]).abort()
        return True


@contextlib.asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    *,
    headers: Mapping[str, str],
    certificate: Certificate | None = None,
    limits: Limits | None = None,
    patience_s: float = 2.0,
) -> AsyncIterator[list[str]]:
    """Serve *app* while the block runs; yields its addresses, `http://HOST:PORT/`.

    Args:
        app: what answers.
        host: to listen on.
        port: 0 for a free one.
        headers: of answers that *app* has no part in.
        certificate: for TLS.
        limits: see there.
        patience_s: how long an end waits for answers under way.

    Raises:
        OSError: the address cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    inner = runner.server
    assert inner is not None  # noqa: S101 # it is there after setup
    listener = _Listener(inner, limits or Limits(), headers)
    try:
        server = await asyncio.get_running_loop().create_server(
            listener,
            host,
            port,
            ssl=None if certificate is None else certificate.context,
            ssl_handshake_timeout=None if certificate is None else 10.0,
            ssl_shutdown_timeout=None if certificate is None else 5.0,
        )
        scheme = "http" if certificate is None else "https"
        watching = None if certificate is None else asyncio.create_task(certificate.watch())
        try:
            yield [
                f"{scheme}://{name}:{number}/"
                for name, number, *_ in (each.getsockname() for each in server.sockets)
            ]
        finally:
            if watching is not None:
                watching.cancel()
            server.close()
            listener.pre_shutdown()
            await runner.shutdown()
            await listener.shutdown(patience_s)
    finally:
        await runner.cleanup()


def room_for_connections() -> Limits:
    """As many connections as this process may have open files for, which it may raise itself."""
    wanted = Limits().connections + FILES_FOR_THE_REST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Limits()
    return Limits(connections=max(LEAST_CONNECTIONS, soft - FILES_FOR_THE_REST))
