"""The connection over which a worker writes to the installation's own topics."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

MAX_REQUEST_BYTES: Final = 1_000_000
STOP_WITHIN_S: Final = 2.0


class OwnProducer:
    """A producer that connects when it is first asked for, and again after `stop`.

    After an error it has to be stopped: an idempotent producer does not recover by itself.

    Args:
        client: arguments of an aiokafka client, such as `bootstrap_servers`.
    """

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def connected(self) -> AIOKafkaProducer:
        """The producer.

        Raises:
            KafkaError: the broker cannot be reached.
        """
        async with self._connecting:
            if self._producer is None:
                self._producer = await self._connect()
            return self._producer

    async def stop(self) -> None:
        """Disconnect; what is not acknowledged by then never was."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(producer.stop(), STOP_WITHIN_S)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            max_request_size=MAX_REQUEST_BYTES,
            **self._client,
        )
        try:
            await producer.start()
        except BaseException:
            with contextlib.suppress(KafkaError, OSError):
                await producer.stop()
            raise
        return producer
