"""The connection to a worker's own topics, to a broker that does not answer."""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka_access import KafkaAccess
from streams.local_kafka import LocalKafka
from streams.own_producer import OwnProducer
from streams.topic_creation import create_topics
from tests.support.proxy import Proxy


@pytest.fixture
def far() -> Iterator[tuple[LocalKafka, Proxy]]:
    """A broker, and the only way to it."""
    with Proxy() as proxy, LocalKafka(heap_mb=256, proxies=[proxy.port]) as broker:
        proxy.target = broker.behind(proxy.port)
        yield broker, proxy


async def test_what_is_given_up_when_the_broker_does_not_answer_is_sent_no_more(
    far: tuple[LocalKafka, Proxy],
) -> None:
    broker, proxy = far
    await asyncio.to_thread(create_topics, broker.access, {"late": 1})
    own = OwnProducer(KafkaAccess(proxy.bootstrap))
    producer = await own.connected()
    await producer.send_and_wait("late", b"first", partition=0)
    before = asyncio.all_tasks()
    proxy.silence()
    sent = [await producer.send("late", b"on its way", partition=0)]
    await asyncio.sleep(0.5)
    sent += [await producer.send("late", b"given up", partition=0) for _ in range(3)]

    await own.stop()

    assert all(isinstance(future.exception(), KafkaError) for future in sent)
    assert producer._sender.sender_task.done()
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() <= before
    assert not any(each.connected() for each in producer.client._conns.values())
    proxy.heal()
    again = await own.connected()
    last = await again.send_and_wait("late", b"last", partition=0)
    await asyncio.sleep(2)
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
        place = TopicPartition("late", 0)
        consumer.assign([place])
        await consumer.seek_to_beginning()
        values = []
        while await consumer.position(place) <= last.offset:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                values += [record.value for record in records]
    await own.stop()
    assert b"given up" not in values
    assert (values[0], b"last" in values) == (b"first", True)
