"""The rights that the document for operators lists: enough for everything, and none too many."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import TopicAuthorizationFailedError
from click.testing import CliRunner, Result

from streams.cli import main
from streams.kafka_access import KafkaAccess, kafka_access
from streams.kafka_admin import NotAllowed
from streams.kafka_rights import missing_rights, require_rights, rights_of_worker
from streams.reader import TP
from streams.settings import Settings, load_settings
from streams.state_log import StateLog
from streams.topic_identity import identities
from streams.topics import look, own_topics, remove_topics
from tests.end_to_end.test_worker import BEGINS_MS, answered_calls
from tests.support.commands import floorwatch, read_back
from tests.support.guarded_kafka import GuardedKafka
from tests.support.kafka_rights import Granted, grant, of_document, take_away
from tests.support.oracle import to_text
from tests.support.perfect import net_counters
from tests.support.running import PATIENCE_S, RunningWorker, parsed, settings_file

DOCUMENTED: Final = of_document()
CALLS: Final = 30
HOUR: Final = ("--from", to_text(BEGINS_MS), "--to", to_text(BEGINS_MS + 3_600_000))
UNREADABLE: Final = b'{"id":"x"}\n'


def of(role: str) -> list[Granted]:
    """The rights of the user `floorwatch-`*role*."""
    return [right for right in DOCUMENTED if right.user == f"User:floorwatch-{role}"]


OF_WORKER: Final = of("worker")


def until(true: Callable[[], bool], what: str) -> None:
    """Return when it is *true*: brokers put rights into force a moment after they said so."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


def has_counted_all(worker: RunningWorker) -> bool:
    counted = net_counters(parsed(worker.metrics()), "sales", "voice")
    return counted.get("answered") == counted.get("offered") == CALLS


class Guarded:
    """An installation with the names of the document, at a broker where it has those rights."""

    def __init__(self, kafka: GuardedKafka, folder: Path) -> None:
        self.kafka = kafka
        self.workers = 0
        self.folder = folder

    def written(self, role: str) -> dict[str, Any]:
        """The settings with which the user of *role* comes."""
        return {
            "clock": "event",
            "snapshot_every": "1s",
            "instance_id": "worker-0",
            **self.kafka.by_password(f"floorwatch-{role}"),
        }

    def file(self, role: str) -> Path:
        """They, in a file."""
        folder = self.folder / role
        folder.mkdir(exist_ok=True)
        return settings_file(folder, self.written(role))

    def settings(self, role: str) -> Settings:
        """They, read."""
        return load_settings(self.file(role), {})

    def access(self, role: str) -> KafkaAccess:
        """The way in for the user of *role*."""
        return kafka_access(self.settings(role))

    def run(self, role: str, command: str, *options: str) -> Result:
        """Run a command as the user of *role*."""
        return CliRunner().invoke(main, [command, "--settings", str(self.file(role)), *options])

    def missing(self) -> list[str]:
        """What the worker's user may not do."""
        rights = rights_of_worker(self.settings("worker"))
        return [str(right) for right in asyncio.run(missing_rights(self.access("worker"), rights))]

    def send_unreadable(self) -> None:
        """Send a record that cannot be read."""
        broken = str(self.folder / "broken.jsonl")
        assert self.run("events", "replay", "--create-topics", "0", broken).exit_code == 0

    def rejected(self) -> int:
        """How many records are kept that could not be read."""
        return len(read_back(self.kafka.bootstrap, ["floorwatch.rejected"]))

    @contextlib.contextmanager
    def worker(self) -> Iterator[RunningWorker]:
        """A worker that has its partitions and has counted all."""
        self.workers += 1
        folder = self.folder / f"worker-{self.workers}"
        with RunningWorker(folder, self.written("worker")) as worker:
            worker.wait_until(lambda: "streams.transport: reading " in worker.log(), "it reads")
            worker.wait_until(lambda: has_counted_all(worker), "all was counted")
            yield worker


@pytest.fixture(scope="module")
def floor_with_calls(
    guarded: GuardedKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """Topics are there and have calls, made by those who may."""
    floor = Guarded(guarded, tmp_path_factory.mktemp("floor"))
    grant(guarded.bootstrap, DOCUMENTED)
    until(lambda: floor.run("topics", "create-topics").exit_code == 0, "topics were made")
    until(lambda: not floor.missing(), "the rights came into force")
    recorded = floor.folder / "calls.jsonl"
    recorded.write_bytes(b"\n".join(call.value for call in answered_calls(CALLS)) + b"\n")
    (floor.folder / "broken.jsonl").write_bytes(UNREADABLE)
    assert floor.run("events", "replay", "--create-topics", "0", str(recorded)).exit_code == 0
    yield floor
    take_away(guarded.bootstrap, DOCUMENTED)
    sources = floor.settings("worker").topics.in_use()
    remove_topics(guarded.access, [*sources, *own_topics(floor.settings("worker"))])


@pytest.fixture
def floor(floor_with_calls: Guarded) -> Iterator[Guarded]:
    """All rights of the document are in force; which of them a test takes away is up to it."""
    yield floor_with_calls
    grant(floor_with_calls.kafka.bootstrap, DOCUMENTED)
    until(lambda: not floor_with_calls.missing(), "the rights came into force again")


def test_a_worker_with_the_listed_rights_alone_does_everything(floor: Guarded) -> None:
    rejected = floor.rejected()

    with floor.worker() as worker:
        floor.send_unreadable()
        worker.wait_until(lambda: floor.rejected() > rejected, "it was kept")
        worker.wait_until(
            lambda: ", cut " in floor.run("worker", "check", "--state").stdout, "a snapshot"
        )
        assert worker.stop() == 0
        first = worker.log()
    with floor.worker() as worker:
        assert worker.stop() == 0
        second = worker.log()
    reported = floor.run("report", "report", "--bootstrap", floor.kafka.at("SCRAM"), *HOUR)
    checked = floor.run("worker", "check")

    assert not re.search("WARNING|ERROR|Traceback", first + second)
    assert "assigned 12 partitions, 8 of them anew" in second  # those without a record
    assert reported.exit_code == 0
    assert "sales" in reported.stdout
    assert checked.exit_code == 0
    assert "FAIL" not in checked.stdout


def test_each_right_of_a_worker_that_is_missing_is_named_at_its_start(floor: Guarded) -> None:
    for right in OF_WORKER:
        take_away(floor.kafka.bootstrap, [right])
        until(lambda right=right: floor.missing() == [str(right)], f"{right} was missed")  # type: ignore[misc]
        with pytest.raises(NotAllowed, match=re.escape(f"allow this user: {right}; ")):
            asyncio.run(
                require_rights(floor.access("worker"), rights_of_worker(floor.settings("worker")))
            )
        grant(floor.kafka.bootstrap, [right])
        until(lambda: not floor.missing(), f"{right} was back")


def test_a_worker_without_a_right_does_not_start_and_check_says_the_same(floor: Guarded) -> None:
    right = OF_WORKER[-1]
    take_away(floor.kafka.bootstrap, [right])
    until(lambda: bool(floor.missing()), "it was taken away")

    ended = floorwatch("worker", "--settings", str(floor.file("worker")))
    checked = floor.run("worker", "check")

    says = f"Kafka does not allow this user: {right}; deploy/kafka/ACLS.md has the commands that do"
    assert ended.returncode == 3
    *before, line = ended.stderr.splitlines()
    assert all(" INFO " in each for each in before)
    assert line.endswith(says)
    assert checked.exit_code == 1
    assert f"FAIL  rights: {says}" in checked.stdout


def test_no_right_to_write_is_needless_and_a_running_worker_says_what_it_misses(
    floor: Guarded,
) -> None:
    written = [right for right in OF_WORKER if right.operation == "Write"]
    rejected = floor.rejected()
    with floor.worker() as worker:
        take_away(floor.kafka.bootstrap, written)
        floor.send_unreadable()
        for says in (
            r"rejected records wait to be written to floorwatch\.rejected: .*AuthorizationFailed",
            r"a snapshot is not written yet: .*AuthorizationFailed",
            r"the floor is not told at present: .*AuthorizationFailed",
            "Kafka does not allow this user: ",
        ):
            worker.wait_until(lambda says=says: re.search(says, worker.log()), says)  # type: ignore[misc]
        assert all(str(right) in worker.log() for right in written)
        grant(floor.kafka.bootstrap, written)
        worker.wait_until(lambda: floor.rejected() > rejected, "it was kept")
        worker.wait_until(
            lambda: "allows all that is needed again" in worker.log(), "it said that it may again"
        )
        assert worker.stop() == 0


def test_a_worker_that_may_not_read_events_for_a_while_goes_on_where_it_was(
    floor: Guarded,
) -> None:
    right = next(right for right in OF_WORKER if right.name == "calls")
    with floor.worker() as worker:
        take_away(floor.kafka.bootstrap, [right])
        rejected = floor.rejected()
        floor.send_unreadable()
        worker.wait_until(lambda: f"this user: {right}; " in worker.log(), "it named the right")
        assert floor.rejected() == rejected
        grant(floor.kafka.bootstrap, [right])
        worker.wait_until(lambda: floor.rejected() > rejected, "it read on")
        assert has_counted_all(worker)
        assert worker.stop() == 0
        log = worker.log()

    assert floor.rejected() == rejected + 1
    assert "has begun anew" not in log
    assert "Traceback" not in log


def test_a_worker_that_may_not_be_in_its_group_any_more_ends_and_names_the_right(
    floor: Guarded,
) -> None:
    right = next(right for right in OF_WORKER if right.kind == "group")
    with floor.worker() as worker:
        take_away(floor.kafka.bootstrap, [right])

        assert worker.ended() == 3

    assert f"Kafka does not allow this user: {right}; " in worker.log().splitlines()[-1]
    assert "Traceback" not in worker.log()


def test_a_topic_that_is_hidden_is_not_taken_for_one_that_is_gone(floor: Guarded) -> None:
    async def asked() -> object:
        client = AIOKafkaClient(**floor.access("worker").client)
        await client.bootstrap()
        try:
            return await identities(client, ["calls", "chats"])
        finally:
            await client.close()

    take_away(floor.kafka.bootstrap, [right for right in OF_WORKER if right.name == "calls"])
    until(lambda: bool(floor.missing()), "it was taken away")

    with pytest.raises(TopicAuthorizationFailedError, match="calls"):
        asyncio.run(asked())


def test_the_state_and_the_floor_cannot_be_read_without_the_right_to(floor: Guarded) -> None:
    read = [right for right in OF_WORKER if right.operation == "Read" and "." in right.name]
    assert [right.name for right in read] == ["floorwatch.state", "floorwatch.floor"]
    take_away(floor.kafka.bootstrap, read)
    until(lambda: len(floor.missing()) == len(read), "they were taken away")

    for right in read:
        log = StateLog(floor.access("worker"), right.name, "reader", partitions=1)
        with pytest.raises(TopicAuthorizationFailedError):
            asyncio.run(log.look([TP("calls", 0)]))


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("events", ("replay", "--create-topics", "0")),
        ("events", ("simulate", "--speed", "max", "--for", "1m")),
        ("report", ("report", *HOUR)),
    ],
)
def test_producers_and_readers_without_one_of_their_rights_are_told(
    role: str, command: tuple[str, ...], floor: Guarded
) -> None:
    options = [*command[1:]]
    if command[0] == "replay":
        options.append(str(floor.folder / "calls.jsonl"))
    if command[0] == "report":
        options += ["--bootstrap", floor.kafka.at("SCRAM")]
    for right in of(role):
        take_away(floor.kafka.bootstrap, [right])

        def is_told(right: Granted = right) -> bool:
            ended = floor.run(role, command[0], *options)
            (line,) = ended.stderr.splitlines() or [""]
            return ended.exit_code == 3 and f"may not use the topic {right.name!r}" in line

        until(is_told, f"{right} was missed")
        grant(floor.kafka.bootstrap, [right])


def test_create_topics_needs_each_of_its_rights(floor: Guarded) -> None:
    kafka = floor.kafka
    remove_topics(kafka.access, ["floorwatch.floor"])
    until(lambda: not look(kafka.access, ["floorwatch.floor"]).topics, "it went")
    expected = {
        "Create": (3, "there is no topic 'floorwatch.floor' at .* this user may not create it"),
        "Describe": (3, "may not see whether these topics are there: floorwatch.floor, "),
        "DescribeConfigs": (0, "floorwatch.state: it was there, as asked; this user may not see"),
    }

    for operation, (code, says) in expected.items():
        rights = [
            right
            for right in of("topics")
            if right.pattern == "prefixed" and right.operation == operation
        ]
        assert rights
        take_away(kafka.bootstrap, rights)

        def refused(code: int = code, says: str = says) -> bool:
            done = floor.run("topics", "create-topics")
            return done.exit_code == code and bool(re.search(says, done.output))

        until(refused, f"{operation} was missed")
        grant(kafka.bootstrap, rights)
