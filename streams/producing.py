"""Records into Kafka, fast and in the order in which they are given.

The caller fills batches in its own thread and hands over full ones; a second thread sends them.
Within a partition the order stays. A record may arrive twice after a lost connection, which the
worker recognises by the event's id.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.partitioner import murmur2

from streams.kafka_access import KafkaAccess
from streams.kafka_admin import NotAllowed, unreachable
from streams.settings import Topics
from streams.sources.routing import CALLS, CHATS, QUEUES
from streams.topics import Topic

BATCH_BYTES: Final = 256 * 1024
MAX_BATCHES_UNDER_WAY: Final = 64
MAX_REQUEST_BYTES: Final = 64 << 20
STOP_WITHIN_S: Final = 5.0
PATIENCE_MS: Final = 120_000
"""How long a broker may take to come back, or to answer at all."""
_HASHES_KEPT: Final = 200_000

_REFUSALS: Final[Mapping[type[BaseException], str]] = {
    MessageSizeTooLargeError: "larger than the topic's max.message.bytes",
    InvalidTimestampError: "further ahead of the broker's clock than the topic takes",
}
"""Why a broker refuses a record that it would refuse again."""

_Place = tuple[str, int]


class Producer:
    """Sends records to the partitions of some topics; a context manager.

    On leaving, what was given is acknowledged, unless an exception is under way: then what is not
    sent yet is dropped.

    Args:
        kafka: the way to Kafka.
        topics: where to send to; the number of partitions decides where a key belongs.

    Attributes:
        acknowledged: records that Kafka has taken.
        refused: records that Kafka will not take, by reason; a reason holds for a whole batch.
    """

    def __init__(self, kafka: KafkaAccess, topics: Mapping[str, Topic]) -> None:
        self.acknowledged = 0
        self.refused: Counter[str] = Counter()
        self._kafka = kafka
        self._partitions = {name: topic.partitions for name, topic in topics.items()}
        self._filling: dict[_Place, Any] = {}
        self._hashes: dict[bytes, int] = {}
        self._under_way = 0
        self._changed = threading.Condition()
        self._failure: Exception | None = None
        self._failing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._producer: AIOKafkaProducer
        self._over: asyncio.Event
        self._queues: dict[_Place, asyncio.Queue[Any]] = {}
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            BrokerUnreachable: no Kafka answers, or it lets nobody in.
        """
        self._thread.start()
        self._is_up.wait()
        self._raise_failure()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        """Send the rest, unless an exception is under way, and disconnect."""
        try:
            if kind is None:
                self.finish()
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    def send(self, topic: str, key: bytes, value: bytes, timestamp_ms: int) -> None:
        """Send a record to the partition of *key*: the one that Kafka's own producers choose.

        Raises:
            BrokerUnreachable: Kafka has stopped answering.
            NotAllowed: this user may not write there.
        """
        hashed = self._hashes.get(key)
        if hashed is None:
            hashed = self._hash(key)
        self._append((topic, hashed % self._partitions[topic]), key, value, timestamp_ms)

    def send_everywhere(self, topic: str, value: bytes, timestamp_ms: int) -> None:
        """Send a record without a key to every partition of *topic*.

        Raises:
            BrokerUnreachable: Kafka has stopped answering.
            NotAllowed: this user may not write there.
        """
        for partition in range(self._partitions[topic]):
            self._append((topic, partition), None, value, timestamp_ms)

    def push(self) -> None:
        """Let go of what has been given so far: it waits for nothing more to share its way.

        Raises:
            BrokerUnreachable: Kafka has stopped answering.
            NotAllowed: this user may not write there.
        """
        filling, self._filling = self._filling, {}
        for place, batch in filling.items():
            self._hand_over(place, batch)

    def finish(self) -> None:
        """Return when all that was given is acknowledged or refused.

        Raises:
            BrokerUnreachable: Kafka has stopped answering.
            NotAllowed: this user may not write there.
        """
        self.push()
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way or self._failure is not None)
        self._raise_failure()

    def _hash(self, key: bytes) -> int:
        if len(self._hashes) >= _HASHES_KEPT:
            self._hashes.clear()
        hashed: int = murmur2(key) & 0x7FFFFFFF
        self._hashes[key] = hashed
        return hashed

    def _append(self, place: _Place, key: bytes | None, value: bytes, timestamp_ms: int) -> None:
        batch = self._filling.get(place)
        if batch is not None:
            if batch.append(timestamp=timestamp_ms, key=key, value=value) is not None:
                return
            self._hand_over(place, batch)
        batch = self._filling[place] = self._producer.create_batch()
        batch.append(timestamp=timestamp_ms, key=key, value=value)  # the first one always fits

    def _hand_over(self, place: _Place, batch: Any) -> None:  # noqa: ANN401 # aiokafka has no types
        with self._changed:
            self._changed.wait_for(
                lambda: self._under_way < MAX_BATCHES_UNDER_WAY or self._failure is not None
            )
            self._under_way += 1
        self._raise_failure()
        batch.close()
        self._loop.call_soon_threadsafe(self._queues[place].put_nowait, batch)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # In the second thread

    def _run(self) -> None:
        asyncio.run(self._send_until_over())

    async def _send_until_over(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._producer = AIOKafkaProducer(
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=PATIENCE_MS,
            **self._kafka.client,
        )
        senders = []
        try:
            await self._producer.start()
            for topic, count in self._partitions.items():
                for place in ((topic, partition) for partition in range(count)):
                    self._queues[place] = asyncio.Queue()
                    senders.append(asyncio.create_task(self._send_in_order(place)))
            self._is_up.set()
            await self._over.wait()
        except (KafkaError, OSError) as exc:
            await self._fail(exc)
        finally:
            self._is_up.set()
            for sender in senders:
                sender.cancel()
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(self._producer.stop(), STOP_WITHIN_S)

    async def _send_in_order(self, place: _Place) -> None:
        topic, partition = place
        queue = self._queues[place]
        while True:
            batch = await queue.get()
            try:
                sent = await self._producer.send_batch(batch, topic, partition=partition)
            except KafkaError as exc:
                await self._fail(exc, topic)
                return
            sent.add_done_callback(partial(self._settle, topic, batch.record_count()))

    def _settle(self, topic: str, count: int, sent: asyncio.Future[Any]) -> None:
        error = None if sent.cancelled() else sent.exception()
        refusal = _REFUSALS.get(type(error)) if error is not None else None
        if error is not None and refusal is None:
            self._failing = self._loop.create_task(self._fail(error, topic))
            return
        with self._changed:
            if refusal is None:
                self.acknowledged += count
            else:
                self.refused[refusal] += count
            self._under_way -= 1
            self._changed.notify_all()

    async def _fail(self, error: BaseException, topic: str = "") -> None:
        failure: Exception
        if isinstance(error, TopicAuthorizationFailedError):
            failure = NotAllowed(f"this user may not Write the topic {topic!r}")
        else:
            failure = await unreachable(self._kafka, error)
        with self._changed:
            if self._failure is None:
                self._failure = failure
            self._changed.notify_all()


class Outlet:
    """Sends to the topics of an installation, under the names that adapters know them by.

    Args:
        producer: sends the records.
        topics: the real names; records of a topic that is off are left out.

    Attributes:
        given: records taken, however many partitions each went to.
        left_out: records of a topic that is off, by topic.
    """

    def __init__(self, producer: Producer, topics: Topics) -> None:
        self.producer = producer
        self.given = 0
        self.left_out: Counter[str] = Counter()
        self._names = {CALLS: topics.calls, CHATS: topics.chats, QUEUES: topics.queues}

    def send(self, topic: str | None, key: bytes | None, value: bytes, timestamp_ms: int) -> None:
        """Send a record.

        Args:
            topic: `calls`, `chats` or `queues`; None for all of them.
            key: what the partition is chosen by; None for all partitions.
            value: the record.
            timestamp_ms: its timestamp, in epoch ms; before 1970 it is that year's first instant.

        Raises:
            BrokerUnreachable: Kafka has stopped answering.
            NotAllowed: this user may not write there.
        """
        timestamp_ms = max(0, timestamp_ms)
        if topic is not None and key is not None:
            name = self._names[topic]
            if name is None:
                self.left_out[topic] += 1
                return
            self.producer.send(name, key, value, timestamp_ms)
        else:
            for name in self._names.values() if topic is None else [self._names[topic]]:
                if name is not None:
                    self.producer.send_everywhere(name, value, timestamp_ms)
        self.given += 1
