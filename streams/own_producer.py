"""The connection over which a worker writes to the installation's own topics.

How it ends is ours: aiokafka's own `stop`, cut short, leaves behind what goes on sending. For that,
this module touches what aiokafka keeps to itself; `tests/processors` holds it to the release.
"""

import asyncio
import contextlib
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.kafka_access import KafkaAccess

MAX_REQUEST_BYTES: Final = 1_000_000
STOP_WITHIN_S: Final = 2.0


class OwnProducer:
    """A producer that connects when it is first asked for, and again after `stop`.

    After an error it has to be stopped: an idempotent producer does not recover by itself.

    Args:
        kafka: the way to Kafka.
    """

    def __init__(self, kafka: KafkaAccess) -> None:
        self._kafka = kafka
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
        """Disconnect; what is not acknowledged by then never was, and is sent no more.

        Only of what is on its way at that time may something still arrive.
        """
        producer, self._producer = self._producer, None
        if producer is None:
            return
        is_stopped = False
        try:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(producer.stop(), STOP_WITHIN_S)
                is_stopped = True
        finally:
            if not is_stopped:
                await _end(producer)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            max_request_size=MAX_REQUEST_BYTES,
            **self._kafka.client,
        )
        try:
            await producer.start()
        except BaseException:
            with contextlib.suppress(KafkaError, OSError):
                await producer.stop()
            raise
        return producer


async def _end(producer: AIOKafkaProducer) -> None:
    """End what an interrupted `stop` of *producer* leaves: its sender, connections and records."""
    sending = producer._sender.sender_task
    for _ in range(2):  # a sender that is cancelled waits for its requests; again, and it does not
        if sending is not None and not sending.done():
            sending.cancel()
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(producer.client.close(), STOP_WITHIN_S)
        if sending is not None and not sending.done():
            await asyncio.wait({sending}, timeout=STOP_WITHIN_S / 2)
    unsent = producer._message_accumulator
    while unsent._batches:
        unsent._pop_batch(next(iter(unsent._batches)))
    for batch in list(unsent._pending_batches):
        batch.failure(KafkaConnectionError("given up"))
