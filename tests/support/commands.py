"""The command `floorwatch` in tests: run, and what it has sent read back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka_access import KafkaAccess
from streams.topics import look

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = (sys.executable, "-m", "streams.cli")


def surroundings(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with other settings: *variables* and no others."""
    inherited = {key: value for key, value in os.environ.items() if key[:11] != "FLOORWATCH_"}
    return {**inherited, "PYTHONPATH": str(ROOT), **(variables or {})}


def floorwatch(
    *arguments: str, variables: Mapping[str, str] | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with *given* on standard input."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=surroundings(variables),
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def started(*arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the command and leave it running; whoever asks for it ends it."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=surroundings(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Sent(NamedTuple):
    """A record as it is in Kafka."""

    topic: str
    partition: int
    timestamp: int
    key: bytes | None
    value: bytes


def read_back(bootstrap: str, topics: Iterable[str]) -> list[Sent]:
    """Every record of *topics*: each partition from its first to its last, one after another."""
    there = look(KafkaAccess(bootstrap), topics).topics
    places = [
        TopicPartition(name, partition)
        for name, topic in there.items()
        for partition in range(topic.partitions)
    ]
    return asyncio.run(_read_back(bootstrap, places)) if places else []


async def _read_back(bootstrap: str, places: list[TopicPartition]) -> list[Sent]:
    sent: dict[TopicPartition, list[Sent]] = {place: [] for place in places}
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(timeout_ms=1_000)).items():
                sent[place] += [
                    Sent(each.topic, each.partition, each.timestamp, each.key, each.value)
                    for each in records
                ]
    return [record for records in sent.values() for record in records]
