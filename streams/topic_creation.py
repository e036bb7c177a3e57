"""Creating topics, for whoever may: the commands, the demo and the tests."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiokafka.admin import NewTopic
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from streams.kafka_access import KafkaAccess
from streams.kafka_admin import admin

KEEP_EVERYTHING: Final[Mapping[str, str]] = {"retention.ms": "-1", "retention.bytes": "-1"}
"""Recorded events carry the timestamps of their day: with a retention they would go at once."""


def create_topics(
    kafka: KafkaAccess,
    topics: Mapping[str, int],
    config: Mapping[str, str] | None = None,
    *,
    replication_factor: int = 1,
) -> None:
    """Create *topics* (name to number of partitions) and return when each has its leaders.

    Blocks; from asyncio, use `asyncio.to_thread`. A topic that exists is left as it is.

    Args:
        kafka: the way to any Kafka.
        topics: name to number of partitions.
        config: topic settings that are added to `KEEP_EVERYTHING` or replace its values.
        replication_factor: copies of each partition, itself included.

    Raises:
        KafkaError: Kafka refuses a topic.
        BrokerUnreachable: Kafka cannot be reached.
    """
    settings = {**KEEP_EVERYTHING, **(config or {})}

    async def create() -> KafkaError | None:
        new = [
            NewTopic(name, partitions, replication_factor, topic_configs=settings)
            for name, partitions in topics.items()
        ]
        async with admin(kafka) as client:
            response = await client.create_topics(new)
            for name, code, *text in response.topic_errors:
                if code not in (NoError.errno, TopicAlreadyExistsError.errno):
                    refusal: KafkaError = for_code(code)(f"topic {name}: {text[0] if text else ''}")
                    return refusal
            while not _led(await client.describe_topics(list(topics))):  # noqa: ASYNC110 - theirs
                await asyncio.sleep(0.02)
        return None

    # A thread of its own, so that a caller within a running event loop may block on it too.
    with ThreadPoolExecutor(1) as thread:
        refusal = thread.submit(asyncio.run, create()).result()
    if refusal is not None:
        raise refusal


def _led(descriptions: list[Any]) -> bool:
    """Whether each has its leaders; of one that this user may not see, nobody says."""
    return all(
        topic["error_code"] == TopicAuthorizationFailedError.errno
        or (
            topic["error_code"] == NoError.errno
            and all(partition["leader"] >= 0 for partition in topic["partitions"])
        )
        for topic in descriptions
    )
