"""Creating topics, for whoever may: the commands, the demo and the tests."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

KEEP_EVERYTHING: Final[Mapping[str, str]] = {"retention.ms": "-1", "retention.bytes": "-1"}
"""Recorded events carry the timestamps of their day: with a retention they would go at once."""


def create_topics(
    bootstrap: str,
    topics: Mapping[str, int],
    config: Mapping[str, str] | None = None,
    *,
    replication_factor: int = 1,
) -> None:
    """Create *topics* (name to number of partitions) and return when each has its leaders.

    Blocks; from asyncio, use `asyncio.to_thread`. A topic that exists is left as it is.

    Args:
        bootstrap: `HOST:PORT` of any Kafka.
        topics: name to number of partitions.
        config: topic settings that are added to `KEEP_EVERYTHING` or replace its values.
        replication_factor: copies of each partition, itself included.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached, or refuses a topic.
    """
    settings = {**KEEP_EVERYTHING, **(config or {})}

    async def create() -> None:
        new = [
            NewTopic(name, partitions, replication_factor, topic_configs=settings)
            for name, partitions in topics.items()
        ]
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            await admin.start()
            response = await admin.create_topics(new)
            for name, code, *text in response.topic_errors:
                if code not in (NoError.errno, TopicAlreadyExistsError.errno):
                    raise for_code(code)(f"topic {name}: {text[0] if text else ''}")
            while not _led(await admin.describe_topics(list(topics))):  # noqa: ASYNC110 - theirs
                await asyncio.sleep(0.02)
        finally:
            await admin.close()

    # A thread of its own, so that a caller within a running event loop may block on it too.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, create()).result()


def _led(descriptions: list[Any]) -> bool:
    return all(
        topic["error_code"] == NoError.errno
        and all(partition["leader"] >= 0 for partition in topic["partitions"])
        for topic in descriptions
    )
