"""`replay` and `check` with a real broker: what is in Kafka afterwards."""

from __future__ import annotations

import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.instants import read_instant, write_instant
from streams.local_kafka import LocalKafka
from streams.topics import look
from tests.support.commands import Sent, floorwatch, read_back, started
from tests.support.wire_examples import a_record

from .conftest import NewTopics

T = read_instant("2026-11-24T10:00:00Z")
TOPICS = ("calls", "chats", "queues")
HOUR_MS = 3_600_000
WEEK = {"retention.ms": str(7 * 24 * HOUR_MS)}
PATIENCE_S = 60.0


@pytest.fixture
def variables(kafka: LocalKafka, unique: str) -> dict[str, str]:
    """Settings of an installation of this test's own."""
    return {
        "FLOORWATCH_NAME": unique,
        "FLOORWATCH_BOOTSTRAP": kafka.bootstrap,
        **{f"FLOORWATCH_TOPICS__{topic.upper()}": f"{unique}.{topic}" for topic in TOPICS},
    }


@pytest.fixture
def replayed(
    kafka: LocalKafka, unique: str, variables: dict[str, str], tmp_path: Path
) -> Callable[..., list[Sent]]:
    """Replay a file of these lines; what is in the three topics then."""

    def replay(lines: Iterable[bytes], *options: str) -> list[Sent]:
        path = tmp_path / "events.jsonl"
        path.write_bytes(b"\n".join(lines))
        done = floorwatch("replay", *options, str(path), variables=variables)
        assert done.returncode == 0, done.stderr
        return read_back(kafka.bootstrap, [f"{unique}.{topic}" for topic in TOPICS])

    return replay


def event(time_ms: int, contact: str = "call-1", **fields: object) -> bytes:
    """An event of *contact* at that time."""
    named = {"id": f"{contact}/{time_ms}", "time": write_instant(time_ms), "contact": contact}
    return a_record(**named | fields)


def alive(time_ms: int) -> bytes:
    """A heartbeat."""
    beat = {"id": f"alive-{time_ms}", "type": "source.alive", "source": "pbx"}
    return json.dumps(beat | {"time": write_instant(time_ms)}).encode()


def by_place(sent: Sequence[Sent]) -> dict[tuple[str, int], list[Sent]]:
    """The records of each partition, in order."""
    places = defaultdict(list)
    for record in sent:
        places[record.topic, record.partition].append(record)
    return places


def test_a_contacts_events_are_in_one_partition_in_the_order_of_the_file(
    replayed: Callable[..., list[Sent]],
) -> None:
    contacts = [f"call-{number}" for number in range(20)]
    lines = [event(T + step, contact) for step in range(50) for contact in contacts]

    places = by_place(replayed(lines))

    assert len(places) == 4
    for contact in contacts:
        (records,) = (
            mine
            for records in places.values()
            if (mine := [each for each in records if each.key == contact.encode()])
        )
        assert [each.value for each in records] == [event(T + step, contact) for step in range(50)]


def test_a_key_goes_where_kafkas_own_producers_send_it(
    replayed: Callable[..., list[Sent]],
) -> None:
    lines = [event(T, f"call-{number}") for number in range(100)]

    sent = replayed(lines, "--create-topics", "3")

    choose = DefaultPartitioner()
    assert {each.partition for each in sent} == {0, 1, 2}
    assert all(each.partition == choose(each.key, [0, 1, 2], []) for each in sent)


def test_order_holds_over_many_batches_of_one_partition(
    replayed: Callable[..., list[Sent]],
) -> None:
    lines = [event(T + step, topic="x" * 200) for step in range(10_000)]

    (records,) = by_place(replayed(lines)).values()

    assert [each.value for each in records] == lines


def test_calls_chats_and_queues_get_what_is_theirs_under_its_key(
    replayed: Callable[..., list[Sent]], unique: str
) -> None:
    queue = {"id": "q", "type": "queue.opened", "time": write_instant(T), "source": "pbx"}
    agent = queue | {"id": "a", "type": "agent.changed", "state": "available", "agent": "ann"}
    lines = [
        event(T),
        event(T, "chat-1", channel="chat"),
        json.dumps(queue | {"queue": "sales"}).encode(),
        json.dumps(agent).encode(),
    ]

    where = {(each.topic.removeprefix(f"{unique}."), each.key) for each in replayed(lines)}

    assert where == {
        ("calls", b"call-1"),
        ("chats", b"chat-1"),
        ("queues", b"sales"),
        ("queues", b"ann"),
    }


def test_a_record_is_stamped_with_the_highest_event_time_so_far(
    replayed: Callable[..., list[Sent]],
) -> None:
    sent = replayed([event(T), event(T + 5_000), event(T - 60_000), event(T + 6_000)])

    assert [each.timestamp for each in sent] == [T, T + 5_000, T + 5_000, T + 6_000]


def test_until_ends_with_its_heartbeat_in_every_partition_of_every_topic(
    replayed: Callable[..., list[Sent]],
) -> None:
    lines = [event(T), event(T + 2), event(T + 1)]

    sent = replayed(lines, "--until", write_instant(T + 1))

    beats = [each for each in sent if each.key is None]
    assert [each.value for each in sent if each.key is not None] == [lines[0], lines[2]]
    assert len({(each.topic, each.partition) for each in beats}) == len(beats) == 12
    assert {each.timestamp for each in beats} == {T + 1}
    assert {read_instant(json.loads(each.value)["time"]) for each in beats} == {T + 1}
    assert all(records[-1].key is None for records in by_place(sent).values())


def test_what_a_source_says_of_itself_goes_to_every_partition(
    replayed: Callable[..., list[Sent]],
) -> None:
    places = by_place(replayed([alive(T)]))

    assert len(places) == 12
    assert all([each.value for each in records] == [alive(T)] for records in places.values())


def test_a_line_that_cannot_be_read_is_sent_as_it_is_and_said(
    variables: dict[str, str], unique: str, kafka: LocalKafka, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([event(T), b"\xff not an event", event(T + 1)]))

    done = floorwatch("replay", str(path), variables=variables)

    sent = read_back(kafka.bootstrap, [f"{unique}.calls"])
    (bad,) = (each for each in sent if each.key == b"")
    assert (bad.value, bad.timestamp) == (b"\xff not an event", T)
    assert done.returncode == 0
    assert f"1 records cannot be read and were sent as they are, the first at {path}:2" in (
        done.stderr
    )


def test_a_compressed_file_is_replayed_as_what_it_holds(
    variables: dict[str, str], unique: str, kafka: LocalKafka, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(event(T)))

    done = floorwatch("replay", str(path), variables=variables)

    assert done.stdout.startswith(f"sent 1 records to {kafka.bootstrap} in ")
    assert [each.value for each in read_back(kafka.bootstrap, [f"{unique}.calls"])] == [event(T)]


def test_at_full_speed_a_rebased_file_ends_now_and_keeps_its_distances(
    replayed: Callable[..., list[Sent]],
) -> None:
    before_ms = time.time_ns() // 1_000_000

    sent = replayed([event(T), event(T + 90_000), event(T + 30_000)], "--rebase", "now")

    after_ms = time.time_ns() // 1_000_000
    first_ms, last_ms, middle_ms = (read_instant(json.loads(each.value)["time"]) for each in sent)
    assert before_ms <= last_ms <= after_ms
    assert (last_ms - first_ms, last_ms - middle_ms) == (90_000, 60_000)
    assert [each.timestamp for each in sent] == [first_ms, last_ms, last_ms]


def test_at_a_pace_a_rebased_file_begins_now_and_takes_its_time(
    replayed: Callable[..., list[Sent]],
) -> None:
    before_ms = time.time_ns() // 1_000_000

    sent = replayed([event(T), event(T + 1_200)], "--rebase", "now", "--speed", "1x")

    after_ms = time.time_ns() // 1_000_000
    first_ms, last_ms = (each.timestamp for each in sent)
    assert before_ms <= first_ms
    assert last_ms == first_ms + 1_200 <= after_ms


def test_an_asterisk_log_arrives_as_canonical_events(
    replayed: Callable[..., list[Sent]],
) -> None:
    lines = [
        b"1700000020|1700000019.1|sales|NONE|ENTERQUEUE||15550001|1",
        b"1700000024|1700000019.1|sales|PJSIP/1|CONNECT|4|1700000020.2|1",
    ]

    sent = replayed(lines, "--source-format", "asterisk-queue-log")

    assert [json.loads(each.value)["type"] for each in sent if each.key == b"1700000019.1"] == [
        "contact.queued",
        "contact.answered",
    ]
    assert not any(b"15550001" in each.value for each in sent)


def test_a_log_that_is_still_written_is_followed_and_its_source_is_alive(
    variables: dict[str, str], unique: str, kafka: LocalKafka, tmp_path: Path
) -> None:
    path = tmp_path / "queue_log"
    path.write_text(f"{T // 1000}|{T // 1000}.1|sales|NONE|ENTERQUEUE||15550001|1\n")
    options = ["--source-format", "asterisk-queue-log", "--follow", str(path)]
    calls = [f"{unique}.calls"]

    with started("replay", *options, variables=variables) as following:
        try:
            first = _await(kafka, calls, lambda sent: _types(sent) >= {"contact.queued"})
            with path.open("a") as log:
                log.write(f"{T // 1000 + 4}|{T // 1000}.1|sales|NONE|ABANDON|1|1|4\n")
            wanted = {"contact.queued", "contact.abandoned", "source.alive"}
            then = _await(kafka, calls, lambda sent: _types(sent) >= wanted)
        finally:
            following.terminate()

    assert "contact.abandoned" not in _types(first)
    assert {each.partition for each in then if each.key is None} == {0, 1, 2, 3}


def test_standard_input_is_sent_on_while_more_is_waited_for(
    variables: dict[str, str], unique: str, kafka: LocalKafka
) -> None:
    calls = [f"{unique}.calls"]

    with started("replay", "-", variables=variables) as reading:
        try:
            assert reading.stdin is not None
            reading.stdin.write(event(T).decode() + "\n")
            reading.stdin.flush()
            sent = _await(kafka, calls, bool)
            assert reading.poll() is None
        finally:
            reading.terminate()

    assert [each.value for each in sent] == [event(T)]


# What stands in the way


def test_a_topic_that_is_off_gets_nothing_and_that_is_said(
    variables: dict[str, str], unique: str, kafka: LocalKafka, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([event(T), event(T, "chat-1", channel="chat")]))
    variables["FLOORWATCH_TOPICS__CHATS"] = "off"

    done = floorwatch("replay", str(path), variables=variables)

    assert done.returncode == 0
    assert done.stderr == "floorwatch: 1 records were left out: topic chats is off\n"
    assert f"{unique}.chats" not in look(kafka.access, [f"{unique}.chats"]).topics


def test_a_missing_topic_is_one_line_where_none_is_to_be_created(
    variables: dict[str, str], unique: str, kafka: LocalKafka, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(event(T))

    refused = floorwatch("replay", "--create-topics", "0", str(path), variables=variables)

    assert refused.returncode == 3
    (line,) = refused.stderr.splitlines()
    assert line.startswith(
        f"floorwatch: there is no topic '{unique}.calls' at {kafka.bootstrap}; create it, for "
        "instance with floorwatch create-topics"
    )
    assert not look(kafka.access, [f"{unique}.calls"]).topics


def test_topics_are_created_as_asked_and_keep_records_of_any_time(
    variables: dict[str, str], unique: str, kafka: LocalKafka, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([event(T - 27 * 365 * 24 * HOUR_MS), event(T + 24 * HOUR_MS)]))

    done = floorwatch("replay", "--create-topics", "2", str(path), variables=variables)

    assert (done.returncode, done.stderr) == (0, "")
    topic = look(kafka.access, [f"{unique}.calls"]).topics[f"{unique}.calls"]
    assert (topic.partitions, topic.retention_ms) == (2, None)
    assert len(read_back(kafka.bootstrap, [f"{unique}.calls"])) == 2


def test_a_topic_that_would_delete_the_records_at_once_is_warned_of(
    variables: dict[str, str], new_topics: NewTopics, tmp_path: Path
) -> None:
    names = new_topics({"calls": 1, "chats": 1, "queues": 1}, WEEK)
    path = tmp_path / "events.jsonl"
    now_ms = time.time_ns() // 1_000_000

    path.write_bytes(event(now_ms - 6 * 24 * HOUR_MS))
    assert floorwatch("replay", str(path), variables=variables).stderr == ""
    path.write_bytes(event(T - 27 * 365 * 24 * HOUR_MS))
    warned = floorwatch("replay", str(path), variables=variables)

    assert warned.returncode == 0
    first, *_ = warned.stderr.splitlines()
    assert first.startswith(f"floorwatch: topic {names['calls']} keeps records for 7d and these")


def test_a_record_that_kafka_will_not_take_is_said_and_the_others_arrive(
    variables: dict[str, str], unique: str, kafka: LocalKafka, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([event(T), b"x" * 2_000_000, event(T + 1)]))

    done = floorwatch("replay", str(path), variables=variables)

    assert done.returncode == 1
    assert "Kafka refused 1 records: larger than the topic's max.message.bytes" in done.stderr
    sent = read_back(kafka.bootstrap, [f"{unique}.calls"])
    assert {each.value for each in sent} == {event(T), event(T + 1)}


# An installation, checked


def test_an_installation_without_fault_passes(
    variables: dict[str, str], new_topics: NewTopics, unique: str
) -> None:
    new_topics({"calls": 4, "chats": 2, "queues": 1})

    checked = floorwatch("check", variables=variables)

    assert checked.returncode == 0
    assert f"ok    topic {unique}.chats: partitions: 2, keeps everything" in checked.stdout
    assert f"note  topic {unique}.rejected: it is not there yet" in checked.stdout


def test_a_missing_topic_and_a_compacted_one_fail(
    variables: dict[str, str], new_topics: NewTopics, unique: str
) -> None:
    new_topics({"calls": 1})
    new_topics({"chats": 1}, {"cleanup.policy": "compact"})

    checked = floorwatch("check", variables=variables)

    assert checked.returncode == 1
    assert f"FAIL  topic {unique}.chats: it is compacted" in checked.stdout
    assert f"FAIL  topic {unique}.queues: there is no topic" in checked.stdout


@pytest.mark.parametrize(("less_ms", "is_warned_of"), [(0, False), (1, True)])
def test_a_topic_that_keeps_less_than_a_week_is_warned_of(
    variables: dict[str, str], new_topics: NewTopics, less_ms: int, is_warned_of: bool
) -> None:
    kept_ms = 7 * 24 * HOUR_MS - less_ms
    new_topics({"calls": 1, "chats": 1, "queues": 1}, {"retention.ms": str(kept_ms)})

    checked = floorwatch("check", variables=variables)

    assert checked.returncode == 0
    assert ("warn  topic" in checked.stdout) == is_warned_of


def _types(sent: Iterable[Sent]) -> set[str]:
    return {json.loads(each.value)["type"] for each in sent}


def _await(
    kafka: LocalKafka, topics: list[str], is_enough: Callable[[list[Sent]], bool]
) -> list[Sent]:
    """What is in *topics* as soon as that is enough, or after `PATIENCE_S` seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        sent = read_back(kafka.bootstrap, topics)
        if is_enough(sent) or time.monotonic() > deadline:
            return sent
        time.sleep(0.2)
