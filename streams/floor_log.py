"""The floor topic at the broker: every worker writes its partitions' frames and reads all.

Keys are `TOPIC/PARTITION/EPOCH/CHUNK`, so that the frames of an owner who was replaced and does not
know it yet stand beside those of the new one and can be told from them. The policy agreed on is
under `policy/VERSION/ID`.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.backoff import Backoff
from streams.closing import close
from streams.kafka_access import KafkaAccess
from streams.own_producer import OwnProducer
from streams.reader import TP

log = logging.getLogger(__name__)

SENT_WITHIN_S: Final = 5.0
SILENT_WITHIN_S: Final = 30.0
"""How long nobody may say anything before the topic is read anew, over a new connection."""

_KEY: Final = re.compile(rb"([A-Za-z0-9._-]+)/(\d+)/(\d+)/([a-z0-9.]+)")

_POLICY_KEY: Final = re.compile(rb"policy/(\d+)/([0-9a-f]+)")

Take = Callable[[TP, int, str, bytes | None], None]
"""Takes a record of a partition: its epoch, the end of its key, and its value."""
TakePolicy = Callable[[int, str, bytes | None], None]
"""Takes a record of a policy: its version, its id, and its value."""


class FloorLog:
    """The floor topic as one worker reads and writes it.

    Args:
        kafka: the way to Kafka.
        topic: has to be there, compacted.
        take: gets every record, in the order of the log; after a cut from the broker maybe again.
        take_policy: gets those of the policy, likewise.

    Attributes:
        is_read: whether the topic has been read to where it ended when reading began.
        heard_at: when a record was last read, on the monotonic clock, in seconds; None before.
        arrived: set whenever records have been taken; whoever waits for it clears it.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topic: str,
        take: Take,
        take_policy: TakePolicy = lambda version, id_, value: None,
    ) -> None:
        self.is_read = False
        self.heard_at: float | None = None
        self.arrived = asyncio.Event()
        self._topic = topic
        self._take = take
        self._take_policy = take_policy
        self._kafka = kafka
        self._producer = OwnProducer(kafka)
        self._keys: dict[TP, dict[int, set[str]]] = {}

    async def stop(self) -> None:
        """Disconnect the writing side."""
        await self._producer.stop()

    async def write(self, tp: TP, epoch: int, records: Sequence[tuple[str, bytes | None]]) -> None:
        """Write *records* of *tp*, each with the end of its key, and wait until they are there.

        Raises:
            KafkaError: not all of them were written.
            TimeoutError: it took too long.
        """
        async with asyncio.timeout(SENT_WITHIN_S):
            producer = await self._producer.connected()
            sent = [
                await producer.send(
                    self._topic, body, key=f"{tp.topic}/{tp.partition}/{epoch}/{end}".encode()
                )
                for end, body in records
            ]
            await asyncio.gather(*sent)

    async def write_policy(self, version: int, id_: str, body: bytes | None) -> None:
        """Write a record of the policy, or remove it, and wait until that is done.

        Raises:
            KafkaError: it was not written.
            TimeoutError: it took too long.
        """
        async with asyncio.timeout(SENT_WITHIN_S):
            producer = await self._producer.connected()
            key = f"policy/{version}/{id_}".encode()
            await (await producer.send(self._topic, body, key=key))

    async def remove_before(self, tp: TP, epoch: int) -> None:
        """Remove what owners of *tp* before *epoch* have written.

        Raises:
            KafkaError: not all of it was removed; what is left can be removed again.
        """
        known = self._keys.get(tp, {})
        for old in [number for number in known if number < epoch]:
            await self.write(tp, old, [(end, None) for end in known[old]])
            known.pop(old, None)

    async def read(self) -> None:
        """Read the topic from its beginning, and go on for ever."""
        backoff = Backoff()
        while True:
            heard_at = self.heard_at
            try:
                await self._read()
            except (KafkaError, OSError) as exc:
                log.warning("the floor is not read at present: %r", exc)
            if self.heard_at != heard_at:
                backoff.succeeded()
            await backoff.wait()

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False, fetch_max_wait_ms=100, **self._kafka.client
        )
        try:
            async with asyncio.timeout(SILENT_WITHIN_S) as patience:
                await consumer.start()
                place = TopicPartition(self._topic, 0)
                consumer.assign([place])
                await consumer.seek_to_beginning()
                [end] = (await consumer.end_offsets([place])).values()
                while True:
                    self.is_read = self.is_read or await consumer.position(place) >= end
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        for record in records:
                            self._read_one(record.key, record.value)
                        self.heard_at = monotonic()
                        self.arrived.set()
                        patience.reschedule(asyncio.get_running_loop().time() + SILENT_WITHIN_S)
        finally:
            await close(consumer)

    def _read_one(self, key: bytes | None, value: bytes | None) -> None:
        found = _KEY.fullmatch(key or b"")
        if found is None:
            of_policy = _POLICY_KEY.fullmatch(key or b"")
            if of_policy is not None:
                self._take_policy(int(of_policy[1]), of_policy[2].decode(), value)
            return
        tp = TP(found[1].decode(), int(found[2]))
        epoch, end = int(found[3]), found[4].decode()
        ends = self._keys.setdefault(tp, {}).setdefault(epoch, set())
        if value is None:
            ends.discard(end)
        else:
            ends.add(end)
        self._take(tp, epoch, end, value)
