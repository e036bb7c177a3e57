"""Which topic it is that has a name: one that is deleted and created again keeps its name.

Kafka gives every topic an id of its own. aiokafka does not ask for it, so the request is here; this
is the only module that speaks Kafka's protocol with what aiokafka keeps to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, Final, NamedTuple

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    NoError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)


class TopicIdentity(NamedTuple):
    """What tells a topic from another one of its name.

    Attributes:
        id: 32 hexadecimal digits; empty where the broker gives topics none (before Kafka 3.1).
        partitions: how many it has.
    """

    id: str
    partitions: int


class PartitionsChanged(RuntimeError):
    """A source topic has another number of partitions than its state was kept for."""


def partitions_changed(topic: str, now: int, before: int) -> PartitionsChanged:
    """What to raise, and to tell the operator, when *topic* has not as many as *before*."""
    return PartitionsChanged(
        f"{topic} has {now} partitions and had {before}: its contacts may go on in another one "
        f"than they began in; go on all the same with: floorwatch worker --accept-partitions {now}"
    )


async def identities(client: Any, names: Iterable[str]) -> Mapping[str, TopicIdentity]:  # noqa: ANN401 # aiokafka has no types
    """Ask the broker of *client*, an `AIOKafkaClient`, which of the topics *names* are there.

    Raises:
        TopicAuthorizationFailedError: one is hidden from this user, so nobody knows.
        KafkaError: it does not answer.
    """
    asked = sorted(names)
    node = _some_node(client)
    try:
        answer = await client.send(node, _IdentityRequest(asked))
        topics = [
            (error, name, id_.hex(), parts) for error, name, id_, _, parts, *_ in answer.topics
        ]
    except NotImplementedError:  # the broker is older than the request
        answer = await client.send(node, MetadataRequest(asked))
        topics = [(error, name, "", parts) for error, name, _, parts in answer.topics]
    for error, name, *_ in topics:
        if error == TopicAuthorizationFailedError.errno:
            raise TopicAuthorizationFailedError(name)
    return {
        name: TopicIdentity(id_, len(parts))
        for error, name, id_, parts in topics
        if error == NoError.errno
    }


async def topic_operations(client: Any, names: Iterable[str]) -> Mapping[str, int]:  # noqa: ANN401 # aiokafka has no types
    """Ask which operations on the topics *names* are allowed: a bit each, by Kafka's own numbers.

    0 for a topic that is hidden; one that is not there is left out.

    Raises:
        KafkaError: the broker does not answer.
        NotImplementedError: it is too old to say.
    """
    answer = await client.send(_some_node(client), _IdentityRequest(sorted(names), operations=True))
    return {
        name: operations if error == NoError.errno else 0
        for error, name, *_, operations, _tags in answer.topics
        if error in (NoError.errno, TopicAuthorizationFailedError.errno)
    }


async def group_operations(client: Any, node: int, name: str) -> int | None:  # noqa: ANN401 # aiokafka has no types
    """Ask *node*, the coordinator of the group *name*, which operations on it are allowed.

    None where it cannot say now.

    Raises:
        GroupAuthorizationFailedError: not even to describe it.
        KafkaError: the broker does not answer.
        NotImplementedError: it is too old to say.
    """
    answer = await client.send(node, _GroupRequest(name))
    [(error, *_, operations)] = answer.groups
    if error == GroupAuthorizationFailedError.errno:
        raise GroupAuthorizationFailedError(name)
    return operations if error == NoError.errno else None


def _some_node(client: Any) -> Any:  # noqa: ANN401 # aiokafka has no types
    node = client.get_random_node()
    if node is None:
        raise KafkaConnectionError("no broker is known")
    return node


_NO_ID: Final = bytes(16)


class _Id(AbstractType):  # type: ignore[misc, type-arg, unused-ignore] # aiokafka has no types
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(len(_NO_ID))


class _IdentityAnswer(Response):  # type: ignore[misc, unused-ignore] # aiokafka has no types
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Id),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _IdentityRequestStruct(RequestStruct):  # type: ignore[misc, unused-ignore] # aiokafka has no types
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _IdentityAnswer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Id), ("topic", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _IdentityRequest(Request[_IdentityRequestStruct]):  # type: ignore[misc, unused-ignore] # aiokafka has no types
    API_KEY = 3

    def __init__(self, names: Iterable[str], *, operations: bool = False) -> None:
        self._names = names
        self._operations = operations

    def build(self, request_struct_class: type[_IdentityRequestStruct]) -> _IdentityRequestStruct:
        no_tags: dict[int, bytes] = {}
        asked = [(_NO_ID, name, no_tags) for name in self._names]
        return request_struct_class(asked, False, self._operations, no_tags)


class _GroupRequestStruct(DescribeGroupsRequest_v3):  # type: ignore[misc, unused-ignore] # aiokafka has no types
    """aiokafka's own, which reads the answer as one without the operations."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _GroupRequest(Request[_GroupRequestStruct]):  # type: ignore[misc, unused-ignore] # aiokafka has no types
    API_KEY = 15

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[_GroupRequestStruct]) -> _GroupRequestStruct:
        return request_struct_class([self._name], True)
