"""Kafka clients that fall silent for ever while the broker is there, or do not end: what we do.

aiokafka's own time limits do not hold where its sender or its fetcher has ended.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams import floor_log, state_log
from streams.closing import close
from streams.floor_log import FloorLog
from streams.kafka_access import kafka_access
from streams.local_kafka import LocalKafka
from streams.reader import TP
from streams.settings import Settings
from streams.state_log import StateLog
from streams.topics import ensure_own_topics, floor_topic, state_topic
from tests.support.running import PATIENCE_S

CALLS = TP("calls", 1)


class FirstIsSilent(AIOKafkaConsumer):  # type: ignore[misc] # aiokafka has no types
    """A real consumer; the first one that is made never returns a record."""

    made = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        type(self).made += 1
        self.is_silent = type(self).made == 1

    async def getmany(self, *places: Any, timeout_ms: int = 0) -> Any:
        if self.is_silent:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        return await super().getmany(*places, timeout_ms=timeout_ms)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_log, "SILENT_WITHIN_S", 2.0)
    monkeypatch.setattr(floor_log, "SILENT_WITHIN_S", 2.0)
    monkeypatch.setattr(FirstIsSilent, "made", 0)


@pytest.fixture
def settings(kafka: LocalKafka, unique: str) -> Settings:
    settings = Settings(name=unique, bootstrap=kafka.bootstrap)
    ensure_own_topics(settings)
    return settings


@pytest.fixture
async def state(settings: Settings) -> AsyncIterator[StateLog]:
    log = StateLog(kafka_access(settings), state_topic(settings), "ann")
    yield log
    await log.stop()


async def _end_the_sender(log: StateLog) -> None:
    producer = await log._producer.connected()
    producer._sender.sender_task.cancel()
    with suppress(asyncio.CancelledError):
        await producer._sender.sender_task


async def test_a_claim_that_is_never_acknowledged_is_made_anew(state: StateLog) -> None:
    await state.take_over({CALLS: 0})
    await _end_the_sender(state)

    ledgers = await asyncio.wait_for(state.take_over({CALLS: 0}), PATIENCE_S)

    assert (ledgers[CALLS].epoch, ledgers[CALLS].owner) == (2, "ann")


async def test_a_snapshot_that_is_never_acknowledged_has_failed(state: StateLog) -> None:
    await state.take_over({CALLS: 0})
    await _end_the_sender(state)
    sent = [await state.send(CALLS, f"key-{number}".encode(), b"part") for number in range(3)]

    with pytest.raises(TimeoutError, match="acknowledges nothing"):
        await asyncio.wait_for(state.acknowledged(sent), PATIENCE_S)

    await state.stop()
    await state.acknowledged([await state.send(CALLS, b"key", b"part")])


async def test_a_state_that_is_never_read_to_its_end_is_read_anew(
    state: StateLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_log, "AIOKafkaConsumer", FirstIsSilent)

    ledgers = await asyncio.wait_for(state.take_over({CALLS: 0}), PATIENCE_S)

    assert ledgers[CALLS].owner == "ann"
    assert FirstIsSilent.made == 2


async def test_a_floor_on_which_nobody_is_heard_is_read_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor_log, "AIOKafkaConsumer", FirstIsSilent)
    heard: list[bytes | None] = []
    log = FloorLog(
        kafka_access(settings),
        floor_topic(settings),
        lambda _tp, _epoch, _end, value: heard.append(value),
    )
    reading = asyncio.create_task(log.read())
    try:
        await log.write(CALLS, 1, [("0", b"frame")])
        await asyncio.wait_for(log.arrived.wait(), PATIENCE_S)
        assert heard == [b"frame"]
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        await log.stop()


async def _with_a_fetch_to_be_tried_again(settings: Settings) -> AIOKafkaConsumer:
    """A consumer whose last fetch failed a moment ago, as aiokafka keeps it."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(floor_topic(settings), 0)])
    await consumer.seek_to_beginning()
    consumer._fetcher._pending_tasks.add(asyncio.create_task(asyncio.sleep(3_600)))
    await asyncio.sleep(0)
    return consumer


async def test_a_consumer_that_is_about_to_fetch_again_ends_without_ending_whoever_waits(
    settings: Settings,
) -> None:
    by_itself = await _with_a_fetch_to_be_tried_again(settings)
    with pytest.raises(asyncio.CancelledError):  # else `close` is needed no more
        await by_itself.stop()
    await by_itself._client.close()

    consumer = await _with_a_fetch_to_be_tried_again(settings)
    await close(consumer)

    assert not any(each.connected() for each in consumer._client._conns.values())


async def test_a_consumer_at_rest_ends(settings: Settings) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    await consumer.start()

    await close(consumer)
    await close(consumer)

    assert not any(each.connected() for each in consumer._client._conns.values())
