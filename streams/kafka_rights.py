"""What Kafka's access control lists allow this user, asked before it is needed.

Without asking, each missing right is found only where it is used, some of them hours later. Brokers
say what is allowed along with what they describe (Kafka 2.3 and later); from one without such lists
everything is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Literal, NamedTuple

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from streams.kafka_access import KafkaAccess
from streams.kafka_admin import BrokerRefuses, BrokerUnreachable, NotAllowed, unreachable
from streams.settings import Settings
from streams.topic_identity import group_operations, topic_operations
from streams.topics import floor_topic, rejected_topic, state_topic

log = logging.getLogger(__name__)

ASKED_EVERY_S: Final = 10.0
"""While a worker runs. Each time is a connection to one broker or two."""

Operation = Literal["Read", "Write"]
_BITS: Final[dict[Operation, int]] = {"Read": 1 << 3, "Write": 1 << 4}


class Right(NamedTuple):
    """One right: to do something with a topic or a group."""

    operation: Operation
    kind: Literal["topic", "group"]
    name: str

    def __str__(self) -> str:
        """As Kafka's own tools call it."""
        return f"{self.operation} on {self.kind} {self.name!r}"


def rights_of_worker(settings: Settings) -> tuple[Right, ...]:
    """All that a worker needs, where its topics are there; `deploy/kafka/ACLS.md` says why."""
    return (
        *(Right("Read", "topic", name) for name in settings.topics.in_use()),
        Right("Read", "group", settings.name),
        Right("Write", "topic", rejected_topic(settings)),
        Right("Read", "topic", state_topic(settings)),
        Right("Write", "topic", state_topic(settings)),
        Right("Read", "topic", floor_topic(settings)),
        Right("Write", "topic", floor_topic(settings)),
    )


async def missing_rights(kafka: KafkaAccess, rights: Iterable[Right]) -> list[Right]:
    """Those of *rights* that this user has not.

    Nothing is missing of a topic that is not there, nor where a broker does not say what is
    allowed.

    Raises:
        BrokerUnreachable: no Kafka answers, or it lets nobody in.
    """
    wanted = list(rights)
    client = AIOKafkaClient(**kafka.client)
    try:
        await client.bootstrap()
        topics = {right.name for right in wanted if right.kind == "topic"}
        allowed = {("topic", name): of for name, of in (await _topics(client, topics)).items()}
        for group in {right.name for right in wanted if right.kind == "group"}:
            operations = await _group(client, group)
            if operations is not None:
                allowed["group", group] = operations
    except (KafkaError, OSError) as silent:
        raise await unreachable(kafka, silent) from silent
    finally:
        with suppress(KafkaError, OSError):
            await client.close()
    return [
        right
        for right in wanted
        if not allowed.get((right.kind, right.name), _BITS[right.operation])
        & _BITS[right.operation]
    ]


async def require_rights(kafka: KafkaAccess, rights: Iterable[Right]) -> None:
    """Make sure that this user has *rights*.

    Raises:
        NotAllowed: some are missing; the text names each.
        BrokerUnreachable: no Kafka answers, or it lets nobody in.
    """
    missing = await missing_rights(kafka, rights)
    if missing:
        raise NotAllowed(what_is_missing(missing))


async def watch_rights(kafka: KafkaAccess, rights: Iterable[Right]) -> None:
    """Say in the log when one of *rights* goes or comes back, or Kafka lets us in no more.

    Raises:
        NotAllowed: the right to be in the group is gone. aiokafka is not in it any more then, and
            does not come back when it may again; whatever else is missing, we go on when it may.
    """
    wanted = list(rights)
    known = ""
    while True:
        await asyncio.sleep(ASKED_EVERY_S)
        try:
            missing = await missing_rights(kafka, wanted)
            found = what_is_missing(missing) if missing else ""
            if any(right.kind == "group" for right in missing):
                raise NotAllowed(found)
        except BrokerRefuses as refusal:
            found = str(refusal)
        except BrokerUnreachable:
            continue  # the transport says so
        if found != known:
            if found:
                log.error("%s", found)
            else:
                log.warning("Kafka lets this user in and allows all that is needed again")
            known = found


def what_is_missing(missing: Iterable[Right]) -> str:
    """What to tell the operator of missing rights."""
    return (
        f"Kafka does not allow this user: {', '.join(map(str, missing))}; "
        "deploy/kafka/ACLS.md has the commands that do"
    )


async def _topics(client: AIOKafkaClient, names: Iterable[str]) -> dict[str, int]:
    with suppress(NotImplementedError):  # the broker is older than the question
        return dict(await topic_operations(client, names))
    return {}


async def _group(client: AIOKafkaClient, name: str) -> int | None:
    """The operations on the group *name*; None while nobody can say."""
    try:
        node = await client.coordinator_lookup(CoordinationType.GROUP, name)
        return await group_operations(client, node, name)
    except GroupAuthorizationFailedError:
        return 0
    except (KafkaError, NotImplementedError):  # no coordinator yet, or a broker that is too old
        return None
