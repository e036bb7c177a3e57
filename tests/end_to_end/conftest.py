"""One real Kafka for the tests of this folder, one behind locks, and topics that no two share."""

import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest

from streams.local_kafka import LocalKafka
from streams.topic_creation import create_topics
from tests.support.certificates import Authority
from tests.support.guarded_kafka import USERS, GuardedKafka

NewTopics = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def kafka() -> Iterator[LocalKafka]:
    """A broker for the whole session; a test that stops or harms one starts its own."""
    with LocalKafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    """A broker that lets in nobody without a password or a certificate, for the whole session."""
    folder = tmp_path_factory.mktemp("guarded")
    with GuardedKafka(folder, Authority(folder, "ca"), USERS) as broker:
        yield broker


@pytest.fixture
def unique() -> str:
    """A name that no other test has: for an installation, a consumer group, a topic."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def new_topics(kafka: LocalKafka, unique: str) -> NewTopics:
    """Create topics of this test alone: short name to partitions in, short name to real name out.

    A second argument sets topic settings, as in `create_topics`.
    """

    def create(
        partitions: Mapping[str, int], config: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        names = {short: f"{unique}.{short}" for short in partitions}
        create_topics(
            kafka.access, {names[short]: count for short, count in partitions.items()}, config
        )
        return names

    return create
