"""Reading topics from their start to where they end now, for reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.topics import TopicMissing, how_to_create, look

Place = tuple[str, int]


def recall(
    bootstrap: str, topics: Iterable[str], from_ms: int | None = None
) -> Iterator[tuple[Place, int, bytes | None]]:
    """Every record of *topics* up to their present ends: (place, record timestamp in ms, value).

    With *from_ms* each partition is read from its first record stamped then or later.

    Raises:
        BrokerUnreachable: no Kafka answers.
        TopicMissing: a topic is not there.
    """
    names = tuple(topics)
    there = look(bootstrap, names).topics
    for name in names:
        if name not in there:
            raise TopicMissing(how_to_create(name, bootstrap))
    parts = [
        TopicPartition(name, number) for name in names for number in range(there[name].partitions)
    ]
    loop = asyncio.new_event_loop()
    records = _records(bootstrap, parts, from_ms)
    try:
        while True:
            try:
                batch = loop.run_until_complete(anext(records))
            except StopAsyncIteration:
                return
            yield from batch
    finally:
        loop.run_until_complete(records.aclose())
        loop.close()


async def _records(
    bootstrap: str, parts: list[TopicPartition], from_ms: int | None
) -> AsyncGenerator[list[tuple[Place, int, bytes | None]], None]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        if from_ms is not None:
            await _seek(consumer, parts, from_ms, ends)
        left = {part for part in parts if await consumer.position(part) < ends[part]}
        while left:
            polled = await consumer.getmany(timeout_ms=1_000)
            yield [
                ((part.topic, part.partition), record.timestamp, record.value)
                for part, records in polled.items()
                for record in records
                if record.offset < ends[part]
            ]
            left = {part for part in left if await consumer.position(part) < ends[part]}
    finally:
        await consumer.stop()


async def _seek(
    consumer: AIOKafkaConsumer,
    parts: list[TopicPartition],
    from_ms: int,
    ends: dict[TopicPartition, int],
) -> None:
    found = await consumer.offsets_for_times(dict.fromkeys(parts, from_ms))
    for part in parts:
        at = found.get(part)
        consumer.seek(part, ends[part] if at is None else at.offset)
