import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidConfigurationError

from streams.kafka_access import KafkaAccess
from streams.local_kafka import KafkaDidNotStart, LocalKafka, default_cache, free_port
from streams.topic_creation import create_topics

SUMMER_OF_1999_MS = 935_000_000_000

NewTopics = Callable[..., dict[str, str]]


async def send(bootstrap: str, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, timestamp_ms=SUMMER_OF_1999_MS)


async def read(bootstrap: str, topic: str, count: int) -> list[tuple[int, bytes]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        records = [await consumer.getone() for _ in range(count)]
    return [(record.timestamp, record.value) for record in records]


async def settings_of(bootstrap: str, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        [response] = await admin.describe_configs([resource])
        [(_, _, _, _, entries)] = response.resources
        return {name: value for name, value, *_ in entries}
    finally:
        await admin.close()


async def partitions_of(bootstrap: str, topic: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        [description] = await admin.describe_topics([topic])
        return len(description["partitions"])
    finally:
        await admin.close()


def processes_naming(folder: Path) -> list[str]:
    listed = subprocess.run(
        ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that temporary folders are made in: what is in it afterwards was left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_records_of_1999_come_back_with_their_times(
    kafka: LocalKafka, new_topics: NewTopics
) -> None:
    topic = new_topics({"calls": 1})["calls"]

    asyncio.run(send(kafka.bootstrap, topic, b"one", b"two"))

    assert asyncio.run(read(kafka.bootstrap, topic, 2)) == [
        (SUMMER_OF_1999_MS, b"one"),
        (SUMMER_OF_1999_MS, b"two"),
    ]


def test_topics_keep_everything_unless_told_otherwise(
    kafka: LocalKafka, new_topics: NewTopics
) -> None:
    kept = new_topics({"calls": 1})["calls"]
    compacted = new_topics({"floor": 1}, {"cleanup.policy": "compact"})["floor"]

    assert asyncio.run(settings_of(kafka.bootstrap, kept))["retention.ms"] == "-1"
    assert asyncio.run(settings_of(kafka.bootstrap, compacted))["cleanup.policy"] == "compact"


def test_a_topic_that_exists_is_left_as_it_is(kafka: LocalKafka, unique: str) -> None:
    create_topics(kafka.access, {unique: 3})
    create_topics(kafka.access, {unique: 5})

    assert asyncio.run(partitions_of(kafka.bootstrap, unique)) == 3


def test_a_topic_that_kafka_refuses_is_an_error_that_names_it(
    kafka: LocalKafka, unique: str
) -> None:
    with pytest.raises(InvalidConfigurationError, match=unique):
        create_topics(kafka.access, {unique: 1}, {"retention.ms": "soon"})


def test_topics_can_be_created_where_an_event_loop_runs(kafka: LocalKafka, unique: str) -> None:
    async def create() -> int:
        create_topics(kafka.access, {unique: 2})
        return await partitions_of(kafka.bootstrap, unique)

    assert asyncio.run(create()) == 2


@pytest.mark.usefixtures("kafka")
def test_a_second_start_fetches_nothing_and_stop_leaves_nothing(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    broker = LocalKafka(tell=told.append)

    # The thread that starts it ends at once, as those of asyncio do; the broker must not.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(broker.start).result()
    create_topics(broker.access, {"calls": 1})
    running = processes_naming(temporary)
    broker.stop()

    assert told == ["starting Kafka"]
    assert running
    assert not processes_naming(temporary)
    assert not list(temporary.iterdir())


def test_records_and_address_outlive_a_halt_and_a_kill(tmp_path: Path) -> None:
    quickly = {"broker.session.timeout.ms": "1000"}  # until a killed broker may join again
    with LocalKafka(data_dir=tmp_path, properties=quickly) as broker:
        address = broker.bootstrap
        create_topics(KafkaAccess(address), {"calls": 1})
        asyncio.run(send(address, "calls", b"before"))
        broker.halt()
        broker.start()
        asyncio.run(send(address, "calls", b"between"))
        broker.kill()
        halfway = broker.running
        broker.start()
        asyncio.run(send(address, "calls", b"after"))
        values = [value for _, value in asyncio.run(read(address, "calls", 3))]

        assert values == [b"before", b"between", b"after"]
        assert broker.bootstrap == address
        assert not halfway

    assert (tmp_path / "records").is_dir()


def test_a_failed_start_shows_the_end_of_the_log_and_leaves_nothing(temporary: Path) -> None:
    broker = LocalKafka(properties={"log.retention.ms": "soon"})

    with pytest.raises(KafkaDidNotStart, match=r"Invalid value soon(?s:.)*--bootstrap HOST:PORT"):
        broker.start()

    assert not broker.running
    assert not processes_naming(temporary)
    assert not list(temporary.iterdir())


def test_a_port_is_not_given_twice() -> None:
    both = range(29_000, 29_002)

    for _ in range(20):
        first = free_port(both)
        assert {first, free_port(both, {first})} == {*both}

    with pytest.raises(KafkaDidNotStart):
        free_port(both, {*both})


def test_a_port_that_is_taken_is_named(temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(KafkaDidNotStart, match=f"port {port} is taken"):
            LocalKafka(port=port).start()

    assert not list(temporary.iterdir())


@pytest.mark.usefixtures("kafka")
def test_a_broker_ends_with_a_process_that_is_killed(temporary: Path) -> None:
    program = (
        "import time\n"
        "from streams.local_kafka import LocalKafka\n"
        "with LocalKafka() as broker:\n"
        "    print(broker.bootstrap, flush=True)\n"
        "    time.sleep(600)\n"
    )
    surroundings = {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(default_cache().parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=surroundings
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().startswith(b"127.0.0.1:")
        running = processes_naming(temporary)
        owner.kill()

    assert running
    wait_until(lambda: not processes_naming(temporary), "the broker outlived its owner")
    wait_until(lambda: not list(temporary.iterdir()), "the broker's folder was left behind")
