"""Reading topics from their start to where they end now, for reports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.closing import close
from streams.kafka_access import KafkaAccess
from streams.topics import require_topics


class Kept(NamedTuple):
    """A record as its partition keeps it: its timestamp in epoch ms, and its value."""

    timestamp_ms: int
    value: bytes | None


@contextlib.contextmanager
def recalled(kafka: KafkaAccess, topics: Iterable[str]) -> Iterator[list[Iterator[Kept]]]:
    """The records of each partition of *topics*, up to its present end.

    They can be taken in any order, each as far as is wanted: of one that is not taken from, no more
    is held than what Kafka sends at once.

    Raises:
        BrokerUnreachable: no Kafka answers.
        TopicMissing: a topic is not there.
        NotAllowed: this user may not read one.
    """
    names = tuple(topics)
    there = require_topics(kafka, names).topics
    parts = [
        TopicPartition(name, number) for name in names for number in range(there[name].partitions)
    ]
    with asyncio.Runner() as runner:
        consumer = runner.run(_consumer(kafka))
        try:
            ends = runner.run(_ends(consumer, parts))
            yield [_records(runner, consumer, part, ends[part]) for part in parts]
        finally:
            runner.run(close(consumer))


async def _consumer(kafka: KafkaAccess) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **kafka.client)


async def _ends(
    consumer: AIOKafkaConsumer, parts: list[TopicPartition]
) -> Mapping[TopicPartition, int]:
    await consumer.start()
    consumer.assign(parts)
    ends: Mapping[TopicPartition, int] = await consumer.end_offsets(parts)
    return ends


def _records(
    runner: asyncio.Runner, consumer: AIOKafkaConsumer, part: TopicPartition, end: int
) -> Iterator[Kept]:
    while (batch := runner.run(_batch(consumer, part, end))) is not None:
        yield from batch


async def _batch(consumer: AIOKafkaConsumer, part: TopicPartition, end: int) -> list[Kept] | None:
    """The next records of *part*, maybe none yet; None when it is read up to *end*."""
    if await consumer.position(part) >= end:
        consumer.pause(part)  # or what is still to be read would wait for more to come here
        return None
    polled = await consumer.getmany(part, timeout_ms=1_000)
    return [
        Kept(record.timestamp, record.value)
        for record in polled.get(part, ())
        if record.offset < end
    ]
