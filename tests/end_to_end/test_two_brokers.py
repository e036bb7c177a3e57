"""A worker on a cluster of two brokers, of which one goes away and comes back with its leadership.

The coordinator of the worker's group and the leaders of its partitions move with it. The oracle is
what can be counted in the head.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.local_kafka import LocalKafka
from tests.support.live_calls import answered
from tests.support.perfect import net_counters
from tests.support.running import PATIENCE_S, Feed, RunningWorker, parsed, settings_file

WAITING: Final = "floorwatch_contacts_waiting{"
EVERYTHING_TWICE: Final = {
    "default.replication.factor": "2",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "2",
    "transaction.state.log.replication.factor": "2",
    "leader.imbalance.check.interval.seconds": "1",
}


@pytest.fixture(scope="module")
def brokers() -> Iterator[tuple[LocalKafka, LocalKafka]]:
    with (
        LocalKafka(properties=EVERYTHING_TWICE) as first,
        LocalKafka(properties=EVERYTHING_TWICE, beside=first) as second,
    ):
        yield first, second


def test_a_coordinator_that_moves_and_moves_back_costs_no_number(
    brokers: tuple[LocalKafka, LocalKafka], unique: str, tmp_path: Path
) -> None:
    first, second = brokers
    settings: Mapping[str, Any] = {
        "name": _name_coordinated_by(2, first, unique),
        "bootstrap": f"{first.bootstrap},{second.bootstrap}",
        "snapshot_every": "1s",
        "topics": {"calls": f"{unique}.calls", "chats": "off", "queues": "off"},
    }
    begins_ms = time.time_ns() // 1_000_000 - 120_000
    with (
        Feed(settings_file(tmp_path, settings), partitions=4) as feed,
        RunningWorker(tmp_path, settings) as worker,
    ):
        feed.send_until(answered("before", 10, begins_ms), begins_ms + 20_000)
        worker.wait_until(lambda: _shown(worker) == 10, "the first are shown")

        second.kill()
        feed.send_until(answered("without", 10, begins_ms + 20_000), begins_ms + 40_000)
        worker.wait_until(lambda: _shown(worker) == 20, "the next are shown")
        assert _coordinator(first, settings["name"]) == 1

        second.start()
        _wait_for_coordinator(2, first, settings["name"])
        feed.send_until(answered("after", 10, begins_ms + 40_000), begins_ms + 60_000)
        worker.wait_until(lambda: _shown(worker) == 30, "the last are shown")

        assert worker.is_running
        assert "Traceback" not in worker.log()
        assert worker.stop() == 0

    with RunningWorker(tmp_path, settings) as worker:
        worker.wait_until(lambda: _shown(worker) == 30, "another worker goes on from there")
        assert net_counters(dict(parsed(worker.metrics())), "sales", "voice")["offered"] == 30


def _shown(worker: RunningWorker) -> int | None:
    """How many contacts were answered, once live figures are shown beside it."""
    page = worker.metrics()
    if WAITING not in page:
        return None
    return net_counters(dict(parsed(page)), "sales", "voice")["answered"]


def _name_coordinated_by(broker: int, kafka: LocalKafka, unique: str) -> str:
    """A name whose group is kept by *broker*: which one it is follows from the name."""
    names = (f"{unique}-{number}" for number in range(100))
    return next(name for name in names if _coordinator(kafka, name) == broker)


def _wait_for_coordinator(broker: int, kafka: LocalKafka, name: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while _coordinator(kafka, name) != broker:
        assert time.monotonic() < deadline, f"broker {broker} does not coordinate {name}"
        time.sleep(0.2)


def _coordinator(kafka: LocalKafka, name: str) -> int:
    """Which broker coordinates the group *name*."""
    return asyncio.run(_ask_for_coordinator(kafka.bootstrap, name))


async def _ask_for_coordinator(bootstrap: str, name: str) -> int:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        for _ in range(100):
            try:
                return int(await client.find_coordinator(name))
            except KafkaError:  # there is none yet
                await asyncio.sleep(0.2)
    finally:
        await client.close()
    raise AssertionError(f"nobody coordinates {name}")
