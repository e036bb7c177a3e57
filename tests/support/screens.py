"""Many screens on one stream: each reads what it is sent, chunk by chunk, as fast as it comes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

STREAM: Final = "/api/v1/floor/stream"
USUAL_BUFFER: Final = 64 * 1024


class RawScreen:
    """A connection to the stream, below any HTTP library: one chunk is one write of the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(
        cls, port: int, *, packed: bool = False, buffer: int = USUAL_BUFFER
    ) -> RawScreen:
        """A screen that has been answered and has read no frame yet.

        Args:
            port: of the web, on this machine.
            packed: whether it takes gzip.
            buffer: bytes that it holds without having read them, in the kernel and here.
        """
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=buffer)
        coding = "gzip" if packed else "identity"
        request = f"GET {STREAM} HTTP/1.1\r\nHost: floor\r\nAccept-Encoding: {coding}\r\n\r\n"
        writer.write(request.encode())
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.splitlines()[0]:
            raise ConnectionError(head.decode())
        return cls(reader, writer)

    async def chunk(self) -> bytes:
        """The next chunk."""
        size = int(await self._reader.readline(), 16)
        chunk = await self._reader.readexactly(size)
        await self._reader.readexactly(2)
        return chunk

    async def read_for_ever(self, arrived: Callable[[bytes], None]) -> None:
        """Tell *arrived* of each chunk until the connection ends."""
        while True:
            arrived(await self.chunk())

    async def close(self) -> None:
        """Go away."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
