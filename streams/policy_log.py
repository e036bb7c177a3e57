"""What decides classes, events and days, as all workers of an installation have agreed on it.

It stands on the floor topic, which every worker reads whole before it counts anything, under keys
`policy/VERSION/ID`. The first record of the next version counts, any other of the same version is
ignored: so whoever writes at the same time, all take over the same one.
"""

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import uuid4

import msgspec

from streams.core.policy import Deciding
from streams.core.policy_change import read_deciding, write_deciding

log = logging.getLogger(__name__)

MAX_BYTES: Final = 64 << 20
READ_BACK_WITHIN_S: Final = 10.0

Write = Callable[[int, str, bytes | None], Awaitable[None]]
"""Writes the record of a version and id; no body removes it."""


class PolicyLog:
    """The agreed policy as one worker reads and writes it.

    Args:
        write: returns once the record is there.

    Attributes:
        deciding: what has been agreed on; None where nothing has.
        changed: set whenever that becomes another one; whoever waits for it clears it.
    """

    def __init__(self, write: Write) -> None:
        self.deciding: Deciding | None = None
        self.changed = asyncio.Event()
        self._write = write
        self._version = 0
        self._winner = ""
        self._keys: set[tuple[int, str]] = set()

    def take(self, version: int, id_: str, body: bytes | None) -> None:
        """Take the next record of the log; it may come again."""
        if body is None:
            self._keys.discard((version, id_))
            return
        self._keys.add((version, id_))
        if self.deciding is not None and version != self._version + 1:
            return
        try:
            deciding = _read(body)
        except (ValueError, TypeError, LookupError, AttributeError, zlib.error) as unreadable:
            log.warning("the policy agreed on cannot be read (%s)", type(unreadable).__name__)
            return
        self._version, self._winner, self.deciding = version, id_, deciding
        self.changed.set()

    async def propose(self, deciding: Deciding) -> None:
        """Have all agree on *deciding*, unless they agree on something else first.

        Returns once the next version has been read, whosever it is.

        Raises:
            KafkaError: it was not written.
            TimeoutError: it was not written or read in time.
        """
        version, id_ = self._version + 1, uuid4().hex
        self.changed.clear()
        await self._write(version, id_, zlib.compress(write_deciding(deciding)))
        async with asyncio.timeout(READ_BACK_WITHIN_S):
            while self._version < version:
                self.changed.clear()
                await self.changed.wait()
        if self._winner == id_:
            for old_version, old_id in self._keys - {(version, id_)}:
                if old_version <= version:
                    await self._write(old_version, old_id, None)


def _read(body: bytes) -> Deciding:
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(body, MAX_BYTES)
    return read_deciding(msgspec.msgpack.decode(plain))
