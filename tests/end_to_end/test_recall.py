"""Reports from topics are those of the file that was sent to them; and what those topics take."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result

from schemas.instants import read_instant, write_instant
from streams.cli import main
from streams.local_kafka import LocalKafka
from streams.settings import load_settings
from streams.topics import MAX_AHEAD_MS, ensure_topics
from tests.support.wire_examples import a_record

from .conftest import NewTopics

SMALL = Path(__file__).parents[1] / "data" / "small-floor.jsonl"
TOPICS = ("calls", "chats", "queues")
MINUTE_MS = 60_000
DAY_MS = 86_400_000
LONG_AGO_MS = read_instant("1999-08-29T10:00:00Z")
NO_LIMIT = str((1 << 63) - 1)


@pytest.fixture
def settings(kafka: LocalKafka, unique: str, tmp_path: Path) -> Path:
    """Settings of an installation of this test's own."""
    path = tmp_path / "floorwatch.yaml"
    named = ", ".join(f"{topic}: {unique}.{topic}" for topic in TOPICS)
    path.write_text(f"name: {unique}\nbootstrap: {kafka.bootstrap}\ntopics: {{{named}}}\n")
    return path


def run(command: str, settings: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, [command, "--settings", str(settings), *arguments], catch_exceptions=False
    )


def report(settings: Path, *arguments: str) -> list[dict[str, Any]]:
    """The lines of a report, in an order that does not depend on where its events came from."""
    reported = run("report", settings, "--format", "json", *arguments)
    assert (reported.exit_code, reported.stderr) == (0, ""), reported.output
    return sorted(map(json.loads, reported.stdout.splitlines()), key=json.dumps)


def event(time_ms: int, contact: str = "call-1", kind: str = "queued") -> bytes:
    named = {"id": f"{contact}/{kind}", "type": f"contact.{kind}", "contact": contact}
    return a_record(time=write_instant(time_ms), **named)


@pytest.mark.parametrize(
    "options",
    [
        ("--by", "queue,channel"),
        ("--by", "queue,hour", "--attribute", "outcome"),
        ("--every", "30s", "--window", "5m,day", "--by", "queue,channel"),
        ("--visits",),
        ("--from", "2026-11-24T10:00:05Z", "--to", "2026-11-24T10:01:40Z", "--by", "queue"),
        ("--from", "2026-11-24T10:00:30Z", "--to", "2026-11-24T10:01:30Z", "--every", "30s"),
    ],
    ids=" ".join,
)
def test_a_report_from_topics_equals_one_from_the_file(
    kafka: LocalKafka, settings: Path, options: tuple[str, ...]
) -> None:
    sent = run("replay", settings, str(SMALL))
    assert sent.exit_code == 0, sent.output

    from_topics = report(settings, "--bootstrap", kafka.bootstrap, *options)

    assert from_topics == report(settings, *options, str(SMALL))
    assert len(from_topics) > 1


async def send(kafka: LocalKafka, topic: str, partition: int, times_ms: Iterable[int]) -> None:
    """Send a call each, stamped as it happened; all of the partition's are longer than a fetch."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=20) as producer:
        for time_ms in times_ms:
            value = event(time_ms, f"call-{time_ms}") + b" " * 2_000
            await producer.send(topic, value, partition=partition, timestamp_ms=time_ms)


async def send_two_days(kafka: LocalKafka, topic: str) -> None:
    for partition in (0, 1):
        begins_ms = LONG_AGO_MS + MINUTE_MS + (1 - partition) * DAY_MS
        await send(kafka, topic, partition, range(begins_ms, begins_ms + 20_000_000, 20_000))


@pytest.mark.parametrize(
    "options", [("--every", "1h", "--window", "60m", "--by", "queue"), ("--by", "queue,hour")]
)
def test_a_partition_that_is_a_day_behind_another_is_not_late(
    kafka: LocalKafka, settings: Path, options: tuple[str, ...]
) -> None:
    ensure_topics(load_settings(settings, {}), 2)
    asyncio.run(send_two_days(kafka, load_settings(settings, {}).topics.calls or ""))

    rows = report(settings, "--bootstrap", kafka.bootstrap, *options)

    offered = Counter[str]()
    for row in rows:
        offered[row["at"][:10]] += row["offered"] * (row["queue"] != "*")
    assert offered == {"1999-08-29": 1_000, "1999-08-30": 1_000}


def test_a_report_of_topics_that_are_not_there_is_exit_code_3(
    kafka: LocalKafka, settings: Path, unique: str
) -> None:
    refused = run("report", settings, "--bootstrap", kafka.bootstrap)

    assert refused.exit_code == 3
    assert refused.stderr.startswith(f"floorwatch: there is no topic '{unique}.calls'")


# What the topics take


@pytest.mark.parametrize(
    ("any_time", "ahead_ms", "exit_code", "says"),
    [
        (False, LONG_AGO_MS - time.time_ns() // 1_000_000, 0, ""),
        (False, MAX_AHEAD_MS - MINUTE_MS, 0, ""),
        (True, 400 * DAY_MS, 0, ""),
        (
            False,
            MAX_AHEAD_MS + MINUTE_MS,
            1,
            "floorwatch: Kafka refused 1 records: further ahead of the broker's clock than the "
            "topic takes\n",
        ),
    ],
    ids=["long ago", "within the hour", "any time", "beyond the hour"],
)
def test_topics_of_live_events_take_any_day_that_was_and_the_coming_hour(
    settings: Path, tmp_path: Path, any_time: bool, ahead_ms: int, exit_code: int, says: str
) -> None:
    ensure_topics(load_settings(settings, {}), 1, any_time=any_time)
    path = tmp_path / "events.jsonl"
    path.write_bytes(event(time.time_ns() // 1_000_000 + ahead_ms))

    sent = run("replay", settings, str(path))

    assert (sent.exit_code, sent.stderr) == (exit_code, says)


def test_topics_of_live_events_have_nothing_to_be_warned_of(settings: Path) -> None:
    ensure_topics(load_settings(settings, {}), 1)

    checked = run("check", settings)

    assert checked.exit_code == 0
    assert {line[:4] for line in checked.stdout.splitlines()} == {"ok  "}


@pytest.mark.parametrize(
    ("config", "is_warned_of"),
    [
        ({"message.timestamp.after.max.ms": str(DAY_MS)}, False),
        ({"message.timestamp.after.max.ms": str(DAY_MS + 1)}, True),
        ({"message.timestamp.after.max.ms": NO_LIMIT}, True),
        (
            {"message.timestamp.after.max.ms": NO_LIMIT, "message.timestamp.type": "LogAppendTime"},
            False,
        ),
    ],
    ids=["a day", "more than a day", "no limit", "stamped by the broker"],
)
def test_a_topic_that_takes_records_of_a_day_to_come_is_warned_of(
    settings: Path,
    new_topics: NewTopics,
    unique: str,
    config: dict[str, str],
    is_warned_of: bool,
) -> None:
    new_topics({"calls": 1}, config)
    new_topics({"chats": 1, "queues": 1})

    checked = run("check", settings)

    warning = (
        f"warn  topic {unique}.calls: it takes records stamped more than a day ahead of the "
        "broker's clock; one of them makes all that come after it in its partition late, so not "
        "counted, until that time has come, so set its message.timestamp.after.max.ms to 1h "
        "(3600000)"
    )
    assert checked.exit_code == 0
    warned = [line for line in checked.stdout.splitlines() if line.startswith("warn")]
    assert warned == ([warning] if is_warned_of else [])
