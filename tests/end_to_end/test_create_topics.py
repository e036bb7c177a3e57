"""`floorwatch create-topics` on a real Kafka: made once, looked over ever after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.local_kafka import LocalKafka
from streams.topic_creation import create_topics
from streams.topics import look
from tests.support.running import settings_file

Run = Callable[..., Result]
WEEK_MS = 7 * 86_400_000


@pytest.fixture
def run(kafka: LocalKafka, unique: str, tmp_path: Path) -> Run:
    """Run the command for an installation with calls and queues and no chats."""
    topics = {"calls": f"{unique}.calls", "chats": "off", "queues": f"{unique}.queues"}
    settings = {"name": unique, "bootstrap": kafka.bootstrap, "topics": topics}
    path = str(settings_file(tmp_path, settings))

    def create(*options: str) -> Result:
        return CliRunner().invoke(main, ["create-topics", "--settings", path, *options])

    return create


def test_every_topic_is_made_as_the_design_needs_it_and_a_second_run_changes_nothing(
    run: Run, kafka: LocalKafka, unique: str
) -> None:
    asked = ("--partitions", "3", "--replication-factor", "1", "--min-insync-replicas", "1")
    names = [f"{unique}.{short}" for short in ("calls", "queues", "rejected", "state", "floor")]

    first = run(*asked, "--retention", "7d")
    made = look(kafka.access, names).topics
    second = run(*asked, "--retention", "7d")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.splitlines() == [
        f"ok    topic {name}: created, partitions: {made[name].partitions}" for name in names
    ]
    assert second.stdout.splitlines() == [
        f"ok    topic {name}: it was there, as asked" for name in names
    ]
    assert [made[name].partitions for name in names] == [3, 3, 1, 3, 1]
    assert [made[name].is_compacted for name in names] == [False, False, False, True, True]
    assert [made[name].retention_ms for name in names] == [WEEK_MS, WEEK_MS, WEEK_MS, None, None]
    assert {made[name].settings["min.insync.replicas"] for name in names} == {"1"}
    assert made[names[0]].max_ahead_ms == 3_600_000
    assert made[names[2]].max_record_bytes > made[names[0]].max_record_bytes
    assert look(kafka.access, names).topics == made


def test_records_are_kept_for_ever_unless_said_otherwise(
    run: Run, kafka: LocalKafka, unique: str
) -> None:
    assert run().exit_code == 0

    calls = look(kafka.access, [f"{unique}.calls"]).topics[f"{unique}.calls"]
    assert (calls.partitions, calls.retention_ms) == (4, None)


def test_what_was_there_and_differs_is_one_line_and_stays_as_it_is(
    run: Run, kafka: LocalKafka, unique: str
) -> None:
    calls = f"{unique}.calls"
    create_topics(kafka.access, {calls: 6}, {"retention.ms": "1000", "cleanup.policy": "delete"})
    before = look(kafka.access, [calls]).topics

    done = run("--partitions", "3", "--retention", "7d", "--replication-factor", "1")

    assert done.exit_code == 0
    (line,) = [line for line in done.stdout.splitlines() if not line.startswith("ok  ")]
    assert line.startswith(f"warn  topic {calls}: it was there and differs: partitions: 6 instead ")
    assert "floorwatch worker --accept-partitions" in line
    assert f"retention.ms: 1000 instead of {WEEK_MS}" in line
    assert f"kafka-configs.sh --alter --entity-type topics --entity-name {calls} --add" in line
    assert f"topic {unique}.state: created, partitions: 6" in done.stdout
    assert look(kafka.access, [calls]).topics == before


def test_a_retention_that_nobody_asked_for_is_no_difference(
    run: Run, kafka: LocalKafka, unique: str
) -> None:
    assert run("--retention", "7d").exit_code == 0

    assert "differs" not in run().stdout


@pytest.mark.parametrize(("short", "policy"), [("calls", "compact"), ("state", "delete")])
def test_a_topic_that_was_there_and_loses_what_is_needed_is_exit_code_1(
    run: Run, kafka: LocalKafka, unique: str, short: str, policy: str
) -> None:
    create_topics(kafka.access, {f"{unique}.{short}": 4}, {"cleanup.policy": policy})

    done = run()

    assert done.exit_code == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert f"{unique}.{short}: it was there and differs: " in line
    assert f"cleanup.policy: {policy} instead of " in line


def test_copies_that_the_brokers_cannot_hold_are_refused_in_one_line(run: Run, unique: str) -> None:
    done = run("--replication-factor", "2")

    assert done.exit_code == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"floorwatch: cannot create '{unique}.calls' at 127.0.0.1:")
    assert "InvalidReplicationFactorError" in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--min-insync-replicas", "2"), "--min-insync-replicas 2 of 1 copies: nothing could ever"),
        (("--retention", "0s"), "expected a duration longer than 0s, or off"),
        (("--retention", "week"), "or off"),
    ],
)
def test_what_could_not_work_is_a_wrong_option(
    run: Run, options: tuple[str, ...], says: str
) -> None:
    done = run(*options)

    assert done.exit_code == 2
    assert says in done.stderr
