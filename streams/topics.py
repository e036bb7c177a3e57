"""The topics at a broker, as the commands need them: looked at, created, removed.

Apart from `streams.transport`, so that a command that only sends records loads no Faust.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAuthorizationFailedError

from streams.kafka_access import KafkaAccess, kafka_access
from streams.kafka_admin import NotAllowed, admin
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
COPIES: Final = 3
"""Of each partition of a topic that we create, where there are so many brokers."""

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


class TopicMissing(RuntimeError):
    """A topic that is needed is not there; the text says how to create it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as its broker describes it.

    Attributes:
        partitions: how many.
        settings: its settings by name; empty when this user may not see them.
        copies: of each partition, itself included; where they differ, the fewest.
    """

    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)
    copies: int = 1

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
        hidden: those of which this user may not know whether they are there.
    """

    brokers: int
    topics: Mapping[str, Topic]
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """A topic as floorwatch would make it.

    Attributes:
        partitions: how many.
        settings: those that it would set itself.
    """

    partitions: int
    settings: Mapping[str, str]


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


def look(kafka: KafkaAccess, names: Iterable[str]) -> Cluster:
    """The cluster that *kafka* leads to, with those topics of *names* that are there.

    Raises:
        BrokerUnreachable: no Kafka answers, or it lets nobody in.
    """
    return asyncio.run(_look(kafka, list(names)))


def plans(
    settings: Settings,
    partitions: int,
    *,
    there: Mapping[str, Topic],
    any_time: bool = False,
    retention_ms: int = KEEPS_ALL,
    min_insync_replicas: int | None = None,
) -> dict[str, Plan]:
    """Every topic of an installation as it is to be made: those in use and its own.

    Where events are live, what is stamped more than `MAX_AHEAD_MS` ahead of the broker's clock is
    refused: it would move its partition's arrival, and make all that comes after it late until that
    time has come. What was stamped long ago is taken: recorded events carry the times of their day.

    Args:
        settings: name the topics.
        partitions: of each topic in use.
        there: the topics that exist: the state has as many partitions as the largest source.
        any_time: take records of days to come, too, as recordings and simulations may have them.
        retention_ms: how old records of events, and rejected ones, may become; `KEEPS_ALL` for any
            age.
        min_insync_replicas: how many copies have to have a record before it counts as written; None
            for what the brokers say.
    """
    every: dict[str, str] = {}
    if min_insync_replicas is not None:
        every["min.insync.replicas"] = str(min_insync_replicas)
    kept = {**every, "retention.ms": str(retention_ms), "retention.bytes": str(KEEPS_ALL)}
    ahead_ms = _WITHOUT_LIMIT if any_time else MAX_AHEAD_MS
    events = {
        **kept,
        "cleanup.policy": "delete",
        "message.timestamp.before.max.ms": str(_WITHOUT_LIMIT),
        "message.timestamp.after.max.ms": str(ahead_ms),
    }
    sources = settings.topics.in_use()
    most = max(there[name].partitions if name in there else partitions for name in sources)
    rejected = {**kept, **_ANY_TIME, "max.message.bytes": str(REJECTED_BYTES)}
    return {
        **{name: Plan(partitions, events) for name in sources},
        rejected_topic(settings): Plan(1, {**rejected, "cleanup.policy": "delete"}),
        state_topic(settings): Plan(most, {**every, **_ANY_TIME, **_COMPACTED}),
        floor_topic(settings): Plan(1, {**every, **_ANY_TIME, **_COMPACTED}),
    }


def make(
    kafka: KafkaAccess,
    cluster: Cluster,
    planned: Mapping[str, Plan],
    *,
    copies: int | None = None,
) -> list[str]:
    """Make those topics that *cluster* has not; their names.

    Args:
        kafka: the way there.
        cluster: what is there. A topic that is hidden from this user is left alone.
        planned: how each is to be.
        copies: of each partition; None for three, or as many as there are brokers.

    Raises:
        NotAllowed: this user may not create one.
        TopicMissing: one cannot be created otherwise; the text says why.
        BrokerUnreachable: no Kafka answers.
    """
    made = []
    for name, plan in planned.items():
        if name in cluster.topics or name in cluster.hidden:
            continue
        factor = copies or min(COPIES, cluster.brokers)
        try:
            create_topics(kafka, {name: plan.partitions}, plan.settings, replication_factor=factor)
        except TopicAuthorizationFailedError as refused:
            raise NotAllowed(
                f"there is no topic {name!r} at {kafka.bootstrap}, and this user may not create "
                "it; have floorwatch create-topics run by one who may"
            ) from refused
        except KafkaError as refused:
            raise TopicMissing(
                f"cannot create {name!r} at {kafka.bootstrap}: {refused}"
            ) from refused
        made.append(name)
    return made


def ensure_topics(
    settings: Settings, partitions: int, *, any_time: bool = False
) -> Mapping[str, Topic]:
    """The topics in use, and those of the installation itself, created where they are missing.

    What is created keeps its records for ever.

    Args:
        settings: name the topics and the way there.
        partitions: of each topic that is created; 0 creates none.
        any_time: as in `plans`.

    Raises:
        BrokerUnreachable: no Kafka answers.
        TopicMissing: one is not there and none is to be created.
        NotAllowed: this user may not use one.
    """
    kafka, wanted = kafka_access(settings), settings.topics.in_use()
    cluster = look(kafka, [*wanted, *own_topics(settings)])
    _require_seen(cluster, wanted)
    missing = [name for name in wanted if name not in cluster.topics]
    if not partitions:
        for name in missing:
            raise TopicMissing(how_to_create(name, kafka.bootstrap))
    else:
        make(kafka, cluster, plans(settings, partitions, there=cluster.topics, any_time=any_time))
    there = look(kafka, wanted).topics if missing else cluster.topics
    return {name: there[name] for name in wanted}


def ensure_own_topics(settings: Settings) -> None:
    """Create the topics that are the installation's own where they are missing.

    Raises:
        BrokerUnreachable: no Kafka answers.
        TopicMissing: one is not there and cannot be created.
    """
    kafka, own = kafka_access(settings), own_topics(settings)
    cluster = look(kafka, [*own, *settings.topics.in_use()])
    planned = plans(settings, 1, there=cluster.topics)
    make(kafka, cluster, {name: planned[name] for name in own})


def require_topics(kafka: KafkaAccess, names: Iterable[str]) -> Cluster:
    """What is there of the topics *names*: all of them. None is created.

    Raises:
        TopicMissing: one is not there.
        NotAllowed: one is hidden from this user.
        BrokerUnreachable: no Kafka answers.
    """
    wanted = list(names)
    cluster = look(kafka, wanted)
    _require_seen(cluster, wanted)
    for name in wanted:
        if name not in cluster.topics:
            raise TopicMissing(how_to_create(name, kafka.bootstrap))
    return cluster


def _require_seen(cluster: Cluster, names: Iterable[str]) -> None:
    for name in names:
        if name in cluster.hidden:
            raise NotAllowed(
                f"this user may not use the topic {name!r}: no operation on it is allowed"
            )


def remove_topics(kafka: KafkaAccess, names: Iterable[str]) -> None:
    """Remove topics, with all their records; one that is not there is no error.

    Raises:
        BrokerUnreachable: no Kafka answers.
    """

    async def remove() -> None:
        async with admin(kafka) as client:
            await client.delete_topics(list(names))

    asyncio.run(remove())


def how_to_create(name: str, bootstrap: str) -> str:
    """What to tell the operator when there is no topic *name*."""
    return (
        f"there is no topic {name!r} at {bootstrap}; create it, for instance with floorwatch "
        "create-topics, or take it out of the settings"
    )


async def _look(kafka: KafkaAccess, names: list[str]) -> Cluster:
    async with admin(kafka) as client:
        brokers = len((await client.describe_cluster())["brokers"])
        described = {each["topic"]: each for each in await client.describe_topics(names)}
        there = {
            name: each for name, each in described.items() if each["error_code"] == NoError.errno
        }
        settings = await _settings_of(client, list(there))
        return Cluster(
            brokers,
            {
                name: Topic(
                    len(each["partitions"]),
                    settings.get(name, {}),
                    min(len(partition["replicas"]) for partition in each["partitions"]),
                )
                for name, each in there.items()
            },
            frozenset(
                name
                for name, each in described.items()
                if each["error_code"] == TopicAuthorizationFailedError.errno
            ),
        )


async def _settings_of(
    client: AIOKafkaAdminClient, names: list[str]
) -> Mapping[str, Mapping[str, str]]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answers: list[Any] = await client.describe_configs(asked) if asked else []
    return {
        name: {key: value for key, value, *_ in entries if value is not None}
        for answer in answers
        for _error, _text, _kind, name, entries in answer.resources
    }
