"""The topics at a broker, as the commands need them: looked at, created, removed.

Apart from `streams.transport`, so that a command that only sends records loads no Faust.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, NoError

from streams.settings import Settings
from streams.topic_creation import create_topics

PARTITIONS: Final = 4
"""Partitions of a topic that we create, unless somebody says otherwise."""

KEEPS_ALL: Final = -1
MAX_RECORD_BYTES: Final = 1_048_588
"""What a topic takes unless its `max.message.bytes` says otherwise."""

REJECTED_BYTES: Final = MAX_RECORD_BYTES + 65_536
"""What the topic of rejected records takes: its sources' limit, a key and headers."""

MAX_AHEAD_MS: Final = 3_600_000
"""How far ahead of the broker's clock a record may be stamped in the topics that we create.

Less than the allowed lateness, so that one wrong clock makes nobody else's events late.
"""

_WITHOUT_LIMIT: Final = (1 << 63) - 1
_AHEAD_LIMITS: Final = ("message.timestamp.after.max.ms", "message.timestamp.difference.max.ms")
_COPIES: Final = 3
_ANY_TIME: Final[Mapping[str, str]] = {
    # Nothing is decided by these timestamps, and a worker whose clock is wrong must not stop.
    "message.timestamp.before.max.ms": str(_WITHOUT_LIMIT),
    "message.timestamp.after.max.ms": str(_WITHOUT_LIMIT),
}
_COMPACTED: Final[Mapping[str, str]] = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "segment.bytes": str(64 << 20),
}


class BrokerUnreachable(RuntimeError):
    """No Kafka answers at the given address, or it has stopped answering."""


class TopicMissing(RuntimeError):
    """A topic that is needed is not there; the text says how to create it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as its broker describes it.

    Attributes:
        partitions: how many.
        settings: its settings by name; empty when this user may not see them.
    """

    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def retention_ms(self) -> int | None:
        """How old a record may become, by its timestamp; None for any age, or when unknown."""
        kept_ms = int(self.settings.get("retention.ms", KEEPS_ALL))
        deletes = "delete" in self.settings.get("cleanup.policy", "delete")
        return None if kept_ms < 0 or not deletes else kept_ms

    @property
    def retention_bytes(self) -> int | None:
        """How large a partition may become; None for any size, or when unknown."""
        kept = int(self.settings.get("retention.bytes", KEEPS_ALL))
        return None if kept < 0 else kept

    @property
    def is_compacted(self) -> bool:
        """Whether only the newest record of each key is kept."""
        return "compact" in self.settings.get("cleanup.policy", "")

    @property
    def stamps_anew(self) -> bool:
        """Whether the broker replaces the timestamps of records by the time it got them."""
        return self.settings.get("message.timestamp.type") == "LogAppendTime"

    @property
    def max_ahead_ms(self) -> int | None:
        """How far ahead of the broker's clock a record may be stamped; None when unknown."""
        if self.stamps_anew:
            return 0
        limits = [int(self.settings[name]) for name in _AHEAD_LIMITS if name in self.settings]
        return min(limits, default=None)

    @property
    def max_record_bytes(self) -> int:
        """The largest record that it takes."""
        return int(self.settings.get("max.message.bytes", MAX_RECORD_BYTES))


@dataclass(frozen=True, slots=True)
class Cluster:
    """What answers at an address.

    Attributes:
        brokers: how many there are.
        topics: those asked for that are there.
    """

    brokers: int
    topics: Mapping[str, Topic]


def rejected_topic(settings: Settings) -> str:
    """Where this installation's workers keep the records that they cannot read."""
    return f"{settings.name}.rejected"


def state_topic(settings: Settings) -> str:
    """Where this installation's workers keep their state."""
    return f"{settings.name}.state"


def floor_topic(settings: Settings) -> str:
    """Where this installation's workers say what they count, every second."""
    return f"{settings.name}.floor"


def own_topics(settings: Settings) -> tuple[str, ...]:
    """All topics that are the installation's own."""
    return rejected_topic(settings), state_topic(settings), floor_topic(settings)


def look(bootstrap: str, names: Iterable[str]) -> Cluster:
    """The cluster at *bootstrap*, with those topics of *names* that are there.

    Raises:
        BrokerUnreachable: no Kafka answers.
    """
    return asyncio.run(_look(bootstrap, list(names)))


def ensure_topics(
    settings: Settings, partitions: int, *, any_time: bool = False
) -> Mapping[str, Topic]:
    """The topics in use, and those of the installation itself, created where they are missing.

    What is created keeps its records for ever and takes those of any day that was: recorded events
    carry the timestamps of their day. Where events are live, what is stamped more than
    `MAX_AHEAD_MS` ahead of the broker's clock is refused: it would move its partition's arrival,
    and make all that comes after it late until that time has come.

    Args:
        settings: name the topics and the broker.
        partitions: of each topic that is created; 0 creates none.
        any_time: take records of days to come, too, as recordings and simulations may have them.

    Raises:
        BrokerUnreachable: no Kafka answers.
        TopicMissing: one is not there and none is to be created.
    """
    wanted = settings.topics.in_use()
    bootstrap = settings.bootstrap
    cluster = look(bootstrap, wanted)
    missing = {name: partitions for name in wanted if name not in cluster.topics}
    if not partitions:
        for name in missing:
            raise TopicMissing(how_to_create(name, bootstrap))
        return cluster.topics
    copies = min(_COPIES, cluster.brokers)
    ages = {
        "message.timestamp.before.max.ms": str(_WITHOUT_LIMIT),
        "message.timestamp.after.max.ms": str(_WITHOUT_LIMIT if any_time else MAX_AHEAD_MS),
    }
    try:
        if missing:
            create_topics(bootstrap, missing, ages, replication_factor=copies)
    except KafkaError as refused:
        raise TopicMissing(f"cannot create topics at {bootstrap}: {refused}") from refused
    ensure_own_topics(settings)
    return look(bootstrap, wanted).topics if missing else cluster.topics


def ensure_own_topics(settings: Settings) -> None:
    """Create the topics that are the installation's own where they are missing.

    Raises:
        BrokerUnreachable: no Kafka answers.
        TopicMissing: one is not there and cannot be created.
    """
    bootstrap = settings.bootstrap
    own = {
        rejected_topic(settings): {"max.message.bytes": str(REJECTED_BYTES)},
        state_topic(settings): _COMPACTED,
        floor_topic(settings): _COMPACTED,
    }
    cluster = look(bootstrap, [*own, *settings.topics.in_use()])
    sources = [each.partitions for name, each in cluster.topics.items() if name not in own]
    copies = min(_COPIES, cluster.brokers)
    for topic, keeps in own.items():
        if topic in cluster.topics:
            continue
        partitions = max(sources, default=1) if topic == state_topic(settings) else 1
        try:
            create_topics(
                bootstrap, {topic: partitions}, {**_ANY_TIME, **keeps}, replication_factor=copies
            )
        except KafkaError as refused:
            raise TopicMissing(f"cannot create {topic!r} at {bootstrap}: {refused}") from refused


def remove_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Remove topics, with all their records; one that is not there is no error.

    Raises:
        BrokerUnreachable: no Kafka answers.
    """

    async def remove() -> None:
        async with _admin(bootstrap) as admin:
            await admin.delete_topics(list(names))

    asyncio.run(remove())


def how_to_create(name: str, bootstrap: str) -> str:
    """What to tell the operator when there is no topic *name*."""
    return (
        f"there is no topic {name!r} at {bootstrap}; create it, for instance with "
        f"kafka-topics.sh --bootstrap-server {bootstrap} --create --topic {name} "
        f"--partitions {PARTITIONS}, or take it out of the settings"
    )


def unreachable(bootstrap: str, error: BaseException) -> BrokerUnreachable:
    """What to raise when talking to *bootstrap* ended in *error*."""
    why = "" if isinstance(error, KafkaConnectionError) else f" ({str(error).rstrip('.')})"
    return BrokerUnreachable(
        f"no Kafka answers at {bootstrap}{why}; start it, or correct the address"
    )


async def _look(bootstrap: str, names: list[str]) -> Cluster:
    async with _admin(bootstrap) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        described = await admin.describe_topics(names)
        counts = {
            each["topic"]: len(each["partitions"])
            for each in described
            if each["error_code"] == NoError.errno
        }
        settings = await _settings_of(admin, list(counts))
        return Cluster(
            brokers,
            {name: Topic(count, settings.get(name, {})) for name, count in counts.items()},
        )


async def _settings_of(
    admin: AIOKafkaAdminClient, names: list[str]
) -> Mapping[str, Mapping[str, str]]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answers: list[Any] = await admin.describe_configs(asked) if asked else []
    return {
        name: {key: value for key, value, *_ in entries if value is not None}
        for answer in answers
        for _error, _text, _kind, name, entries in answer.resources
    }


@contextlib.asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as silent:
        raise unreachable(bootstrap, silent) from silent
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await admin.close()
