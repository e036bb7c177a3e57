"""The state topic at the broker: whoever owns a partition takes it over from there."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from streams.backoff import Backoff
from streams.closing import close
from streams.kafka_access import KafkaAccess
from streams.ledger import Ledger, claim_key, of_partitions
from streams.own_producer import OwnProducer
from streams.reader import TP
from streams.topic_identity import TopicIdentity, identities

log = logging.getLogger(__name__)

FETCH_BYTES: Final = 8 << 20
FETCH_WAIT_MS: Final = 20
"""For so long may a fetch that finds nothing be held back, and a question behind it waits."""

SILENT_WITHIN_S: Final = 20.0
"""How long the broker may say nothing before all is asked anew, over new connections."""


class StateLog:
    """The state topic as one worker reads and writes it.

    Args:
        kafka: the way to Kafka.
        topic: has to be there, compacted.
        member: this worker's name in claims; no other worker ever has the same.
        announce: tells all others of the epochs that are about to be claimed, so that no owner
            is replaced without a way to know.
        partitions: of the topic, where they are known; else the producer asks for them, which is
            allowed only to those who may write.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topic: str,
        member: str,
        *,
        announce: Callable[[Mapping[TP, int]], Awaitable[None]] | None = None,
        partitions: int = 0,
    ) -> None:
        self._announce = announce
        self.member = member
        self._topic = topic
        self._kafka = kafka
        self._producer = OwnProducer(kafka)
        self._partitions = partitions

    async def stop(self) -> None:
        """Disconnect; what is not acknowledged by then never was."""
        await self._producer.stop()

    async def take_over(self, epochs: Mapping[TP, int]) -> dict[TP, Ledger]:
        """Claim partitions and read what their owners before have left.

        Tries until the broker answers. Each claim is of an epoch above all that were claimed
        before, and above the one given for the partition.

        Args:
            epochs: the partitions, with the highest epoch that was seen of each elsewhere.

        Returns:
            The ledger of each partition, read beyond the claim, which it names as the newest.
        """
        backoff = Backoff()
        while True:
            try:
                return await self._take_over(epochs)
            except (KafkaError, OSError) as exc:
                log.warning("the state of %d partitions is not read yet: %r", len(epochs), exc)
                await self.stop()
            await backoff.wait()

    async def send(self, tp: TP, key: bytes, value: bytes | None) -> "asyncio.Future[Any]":
        """Hand a record of *tp* to the client; the future is its acknowledgement.

        Raises:
            KafkaError: the broker cannot be reached. The future may raise it, too.
            TimeoutError: the client takes nothing.
        """
        async with _patience():
            producer = await self._connected()
            place = self._place(tp)
            sent: asyncio.Future[Any] = await producer.send(
                self._topic, value, key=key, partition=place
            )
        return sent

    @staticmethod
    async def acknowledged(sent: Sequence["asyncio.Future[Any]"]) -> None:
        """Return when all that was *sent* is acknowledged.

        Raises:
            KafkaError: something was not written.
            TimeoutError: the broker has acknowledged nothing of it for long.
        """
        whole = asyncio.gather(*sent)
        for each in sent:
            if not (each.done() or whole.done()):
                done, _ = await asyncio.wait(
                    {each, whole}, timeout=SILENT_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    whole.cancel()
                    raise TimeoutError("Kafka acknowledges nothing")
        await whole

    async def look(self, tps: Collection[TP]) -> dict[TP, Ledger]:
        """Read what there is of *tps*, and claim nothing.

        Raises:
            KafkaError: the broker cannot be reached.
        """
        if not self._partitions:
            await self._connected()
        ledgers = {tp: Ledger() for tp in tps}
        async with _patience() as patience, self._reading(ledgers) as consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            await _read_to(consumer, ends, ledgers, patience)
        return ledgers

    async def topics(self, names: Collection[str]) -> Mapping[str, TopicIdentity]:
        """Which topics *names* are. Tries until the broker answers and all are there."""
        backoff = Backoff()
        while True:
            try:
                async with _patience():
                    found = await identities((await self._connected()).client, names)
                if len(found) == len(names):
                    return found
                log.warning("of the source topics only %s are there yet", sorted(found))
            except (KafkaError, OSError) as exc:
                log.warning("the source topics are not looked up yet: %r", exc)
                await self.stop()
            await backoff.wait()

    async def _connected(self) -> AIOKafkaProducer:
        producer = await self._producer.connected()
        if not self._partitions:
            self._partitions = len(await producer.partitions_for(self._topic))
        return producer

    def _place(self, tp: TP) -> int:
        """Partitions of one topic go to different places, so that none is read with another."""
        return (crc32(tp.topic.encode()) + tp.partition) % self._partitions

    async def _take_over(self, epochs: Mapping[TP, int]) -> dict[TP, Ledger]:
        async with _patience() as patience:
            await self._connected()
            ledgers = {tp: Ledger() for tp in epochs}
            async with self._reading(epochs) as consumer:
                ends = await consumer.end_offsets(consumer.assignment())
                await _read_to(consumer, ends, ledgers, patience)
                left: Collection[TP] = list(epochs)
                while left:
                    claimed = {tp: max(ledgers[tp].epoch, epochs[tp]) + 1 for tp in left}
                    await _read_to(consumer, await self._claim(claimed), ledgers, patience)
                    left = [
                        tp
                        for tp in left
                        if (ledgers[tp].epoch, ledgers[tp].owner) != (claimed[tp], self.member)
                    ]
        return ledgers

    @contextlib.asynccontextmanager
    async def _reading(self, tps: Collection[TP]) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            **self._kafka.client,
        )
        try:
            await consumer.start()
            places = {self._place(tp) for tp in tps}
            consumer.assign([TopicPartition(self._topic, place) for place in places])
            await consumer.seek_to_beginning()
            yield consumer
        finally:
            await close(consumer)

    async def _claim(self, epochs: Mapping[TP, int]) -> dict[TopicPartition, int]:
        """Tell the others of the claims, then write them; the offsets behind them."""
        if self._announce is not None:
            await self._announce(epochs)
        ends: dict[TopicPartition, int] = {}
        for tp, epoch in epochs.items():
            sent = await self.send(tp, claim_key(tp, epoch, self.member), self.member.encode())
            written = await sent
            place = TopicPartition(self._topic, written.partition)
            ends[place] = max(ends.get(place, 0), written.offset + 1)
        return ends


def _patience() -> asyncio.Timeout:
    """Ends what it surrounds, with an `OSError`, once the broker has long said nothing."""
    return asyncio.timeout(SILENT_WITHIN_S)


async def _read_to(
    consumer: AIOKafkaConsumer,
    ends: Mapping[TopicPartition, int],
    ledgers: Mapping[TP, Ledger],
    patience: asyncio.Timeout,
) -> None:
    """Give the ledgers all records before *ends*; what compaction removed is skipped."""
    for place, end in ends.items():
        while await consumer.position(place) < end:
            polled = await consumer.getmany(*ends, timeout_ms=500)
            for records in polled.values():
                of_partitions(((record.key, record.value) for record in records), ledgers)
            if polled:
                patience.reschedule(asyncio.get_running_loop().time() + SILENT_WITHIN_S)
