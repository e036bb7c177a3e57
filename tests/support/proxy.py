"""A TCP proxy that changes no byte, in front of a broker: a network that fails when it is told to.

It forwards in a thread of its own; its methods may be called from any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Callable
from typing import Final, Self

from streams.local_kafka import PORTS

HOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 1 << 16


class Proxy:
    """Listens on `port` of loopback and forwards to `target`; a context manager.

    Its port is known from the start, so that a broker can be told of it; whoever comes before the
    target is set is turned away.

    Attributes:
        port: where it listens, the same for as long as it lives.
        target: the port to which it forwards; None before it is known.
    """

    def __init__(self) -> None:
        self._listener = _listener()
        self.port: int = self._listener.getsockname()[1]
        self.target: int | None = None
        self._bytes_per_s: int | None = None
        self._refuses = False
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._thread = threading.Thread(target=self._run, name=f"proxy {self.port}", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close every connection and listen no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def bootstrap(self) -> str:
        """`HOST:PORT` for clients."""
        return f"{HOST}:{self.port}"

    def silence(self) -> None:
        """Pass nothing on, as when a cable is pulled: no connection ends, none gets an answer."""
        self._tell(self._flows.clear)

    def refuse(self) -> None:
        """End every connection, and each new one as soon as it is there."""
        self._tell(self._refuse)

    def slow(self, bytes_per_s: int) -> None:
        """Let each connection pass at most *bytes_per_s*, each way."""
        self._tell(lambda: setattr(self, "_bytes_per_s", bytes_per_s))

    def heal(self) -> None:
        """Forward again; what was held back by `silence` is passed on, late and in order."""
        self._tell(self._heal)

    def _tell(self, what: Callable[[], None]) -> None:
        """Return when the loop has done it."""
        done = threading.Event()

        def do() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(do)
        done.wait()

    # In the thread of the loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, sock=self._listener)
        )
        self._loop.run_forever()
        server.close()
        self._refuse()
        self._loop.run_until_complete(asyncio.gather(*self._connections, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _refuse(self) -> None:
        self._refuses = True
        for connection in self._connections:
            connection.cancel()

    def _heal(self) -> None:
        self._refuses = False
        self._bytes_per_s = None
        self._flows.set()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self._loop.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            if self._refuses or self.target is None:
                return
            await self._flows.wait()
            from_there, there = await asyncio.open_connection(HOST, self.target)
            pumps = [
                self._loop.create_task(self._pump(reader, there)),
                self._loop.create_task(self._pump(from_there, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass  # the broker is away, or the network has failed as it was told to
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if self._bytes_per_s is not None:
                    await asyncio.sleep(len(chunk) / self._bytes_per_s)
                await self._flows.wait()
                writer.write(chunk)
                await writer.drain()
            await self._flows.wait()  # nor does the end of a connection pass a pulled cable


def _listener() -> socket.socket:
    """A socket below the ports of outgoing connections, as a broker's own; see `LocalKafka`."""
    for port in random.sample(PORTS, len(PORTS)):
        listener = socket.socket()
        with contextlib.suppress(OSError):
            listener.bind((HOST, port))
            listener.listen()
            return listener
        listener.close()
    raise RuntimeError("no port is free")
