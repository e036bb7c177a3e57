"""How a Kafka consumer ends."""

import asyncio
import contextlib
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

CLOSED_WITHIN_S: Final = 5.0


async def close(consumer: AIOKafkaConsumer) -> None:
    """Disconnect *consumer*, within `CLOSED_WITHIN_S` seconds.

    Where a fetch has failed and is about to be tried again, aiokafka's own `stop` raises a
    `CancelledError` that nobody asked for, and leaves connections open. Whoever awaits it would
    take that for the end of its own task.
    """
    for step in (consumer.stop, consumer._client.close):  # the second ends what the first has left
        ending = asyncio.ensure_future(step())
        await asyncio.wait({ending}, timeout=CLOSED_WITHIN_S)
        if not ending.done():
            ending.cancel()
        elif not ending.cancelled():
            with contextlib.suppress(KafkaError, OSError):
                ending.result()
