"""Rejected records on a real topic, behind a real transport."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.local_kafka import LocalKafka
from streams.reader import TP, Record, Sink
from streams.rejected import KEPT_BYTES, SPARE_BYTES, RejectedRecords
from streams.settings import load_settings
from streams.topic_creation import create_topics
from streams.topics import ensure_own_topics, rejected_topic
from streams.transport import TransportOptions, create_app, run

from .conftest import NewTopics

PATIENCE_S = 60.0


class Refusing(Sink):
    """A sink that rejects every record whose value does not begin with `good`."""

    def __init__(self, rejected: RejectedRecords) -> None:
        self.rejected = rejected
        self.seen = 0
        self.most_waiting = 0

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        for record in batch:
            if not (record.value or b"").startswith(b"good"):
                self.rejected.put(tp, record.offset, "not_good", record.value, record.timestamp)
        self.seen += len(batch)
        self.most_waiting = max(self.most_waiting, self.rejected.waiting)

    def committable(self, tp: TP, processed: int) -> int:
        oldest = self.rejected.oldest(tp)
        return processed if oldest is None else min(processed, oldest)

    async def room(self) -> None:
        await self.rejected.room()


@asynccontextmanager
async def refusing(
    kafka: LocalKafka, source: str, topic: str, max_poll_records: int = 2_000
) -> AsyncIterator[Refusing]:
    """Read *source* in the background; what is not good goes to *topic*."""
    rejected = RejectedRecords(kafka.access, topic)
    rejected.start()
    sink = Refusing(rejected)
    options = TransportOptions(
        name=source,
        kafka=kafka.access,
        topics=(source,),
        max_poll_records=max_poll_records,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(run(create_app(options, sink), stop))
    try:
        yield sink
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)
        await rejected.stop()


async def produce_bad(kafka: LocalKafka, topic: str, numbers: range, partitions: int = 1) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=5) as producer:
        for i in numbers:
            await producer.send(topic, b"bad %d" % i, partition=i % partitions)


async def until_seen(sink: Refusing, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while sink.seen < count:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.02)
        await sink.rejected.flush()


async def read_back(kafka: LocalKafka, topic: str, count: int) -> list[Any]:
    """The first *count* records of a topic with one partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, enable_auto_commit=False)
    records: list[Any] = []
    async with consumer, asyncio.timeout(PATIENCE_S):
        tp = TopicPartition(topic, 0)
        consumer.assign([tp])
        consumer.seek(tp, 0)
        while len(records) < count:
            for polled in (await consumer.getmany(timeout_ms=200)).values():
                records += polled
    return records


@pytest.fixture
def topic(new_topics: NewTopics) -> str:
    """A topic for rejected records that is large enough for them."""
    limit = 1_048_588 + SPARE_BYTES
    return new_topics({"rejected": 1}, {"max.message.bytes": str(limit)})["rejected"]


async def test_bad_records_are_kept_with_their_position_reason_and_time(
    kafka: LocalKafka, new_topics: NewTopics, topic: str
) -> None:
    source = new_topics({"calls": 1})["calls"]
    large = b"x" * 900_000
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, max_request_size=1 << 20
    ) as producer:
        for value in (b"good", b"\xff\x00", None, b"good", large):
            await producer.send_and_wait(source, value, key=b"k", partition=0, timestamp_ms=7)

    async with refusing(kafka, source, topic) as sink:
        await until_seen(sink, 5)

    kept = {
        record.key: (record.value, dict(record.headers))
        for record in await read_back(kafka, topic, 3)
    }
    headers = {"reason": b"not_good", "timestamp": b"7"}
    assert kept == {
        f"{source}-0-1".encode(): (b"\xff\x00", headers),
        f"{source}-0-2".encode(): (None, headers),
        f"{source}-0-4".encode(): (large, headers),
    }


async def test_what_the_topic_refuses_is_kept_in_part(
    kafka: LocalKafka, new_topics: NewTopics
) -> None:
    topics = new_topics({"calls": 1})
    small = new_topics({"rejected": 1}, {"max.message.bytes": "200000"})["rejected"]
    large = b"x" * 300_000
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await producer.send_and_wait(topics["calls"], large, partition=0)

    async with refusing(kafka, topics["calls"], small) as sink:
        await until_seen(sink, 1)

    [record] = await read_back(kafka, small, 1)
    headers = dict(record.headers)
    assert record.value == large[:KEPT_BYTES]
    assert headers["length"] == b"300000"
    assert headers["sha256"] == hashlib.sha256(large).hexdigest().encode()
    assert sink.rejected.truncated == 1


@pytest.mark.parametrize("years", [-30, 10])
async def test_the_topic_that_we_create_takes_records_of_a_worker_whose_clock_is_wrong(
    kafka: LocalKafka, unique: str, years: int
) -> None:
    settings = replace(load_settings(None, {}), name=unique, bootstrap=kafka.bootstrap)
    await asyncio.to_thread(ensure_own_topics, settings)
    stamped_ms = time.time_ns() // 1_000_000 + years * 365 * 86_400_000

    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await producer.send_and_wait(rejected_topic(settings), b"bad", timestamp_ms=stamped_ms)

    [record] = await read_back(kafka, rejected_topic(settings), 1)
    assert (record.value, record.timestamp) == (b"bad", stamped_ms)


async def test_a_flood_of_bad_records_waits_for_room_and_all_are_kept(
    kafka: LocalKafka, new_topics: NewTopics, topic: str
) -> None:
    source = new_topics({"calls": 2})["calls"]
    await produce_bad(kafka, source, range(20_000), partitions=2)

    async with refusing(kafka, source, topic, max_poll_records=500) as sink:
        await until_seen(sink, 20_000)

    kept = {record.value for record in await read_back(kafka, topic, 20_000)}
    assert kept == {b"bad %d" % i for i in range(20_000)}
    assert sink.most_waiting < 2_000 + 500


async def test_reading_and_rejecting_go_on_when_the_broker_comes_back(unique: str) -> None:
    source, topic = f"{unique}.calls", f"{unique}.rejected"
    with LocalKafka() as kafka:
        create_topics(kafka.access, {source: 1, topic: 1})
        await produce_bad(kafka, source, range(30))
        async with refusing(kafka, source, topic) as sink:
            await until_seen(sink, 30)
            await asyncio.to_thread(kafka.kill)
            sink.rejected.put(TP(source, 0), 30, "not_good", b"while away", 0)
            await asyncio.sleep(2.0)
            assert sink.committable(TP(source, 0), 31) == 30
            await asyncio.to_thread(kafka.start)
            await produce_bad(kafka, source, range(30, 60))
            await until_seen(sink, 60)
        kept = {record.value for record in await read_back(kafka, topic, 61)}

    assert kept == {b"bad %d" % i for i in range(60)} | {b"while away"}
