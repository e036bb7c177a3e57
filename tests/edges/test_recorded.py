"""Recorded files, as the records that are sent."""

from __future__ import annotations

import gzip
import io
from datetime import UTC
from pathlib import Path

import orjson
import pytest

from schemas.codec import Decoder, Unreadable
from schemas.instants import read_instant
from streams.sources import routing
from streams.sources.asterisk import QueueLogReader
from streams.sources.recorded import (
    MAX_LINE_BYTES,
    Recorded,
    UnreadableFile,
    follow_queue_log,
    read_records,
    size_of,
)
from streams.sources.routing import Route, Router

EVERY_EVENT = Path(__file__).parent.parent / "data" / "every-event.queue_log"
TIME = "2026-11-24T10:00:00Z"


def line(kind: str, **fields: object) -> bytes:
    return orjson.dumps({"id": "e", "type": kind, "time": TIME, "source": "pbx", **fields})


def records(tmp_path: Path, *lines: bytes) -> list[Recorded]:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(each + b"\n" for each in lines))
    return list(read_records(str(path), zone=UTC))


def routes(tmp_path: Path, *lines: bytes) -> list[Route]:
    return [Route(record.topic, record.key) for record in records(tmp_path, *lines)]


def test_a_record_is_the_line_itself_with_its_time_topic_and_key(tmp_path: Path) -> None:
    written = b'{ "id":"1","type":"contact.offered" ,"time":"2026-11-24T10:00:00.5+01:00",' + (
        b'"source":"pbx","contact":"c-1", "more": [1,  2]}'
    )

    assert records(tmp_path, written) == [
        Recorded(read_instant("2026-11-24T09:00:00.500Z"), "calls", b"c-1", written, 1)
    ]


@pytest.mark.parametrize(
    ("written", "route"),
    [
        (line("contact.queued", contact="c", queue="q"), ("calls", b"c")),
        (line("contact.queued", contact="c", channel="voice"), ("calls", b"c")),
        (line("contact.queued", contact="c", channel="chat"), ("chats", b"c")),
        (line("contact.queued", contact="c", channel="email"), ("chats", b"c")),
        (line("contact.queued", contact="c", channel="pigeon"), ("chats", b"c")),
        (line("contact.queued", contact="c", channel=None), ("calls", b"c")),
        (line("queue.opened", queue="q"), ("queues", b"q")),
        (line("agent.changed", agent="a", queue="q"), ("queues", b"a")),
        (line("source.alive"), (None, None)),
        (line("source.started"), (None, None)),
        (line("survey.answered", contact="c", channel="chat"), ("chats", b"c")),
        (line("audit.scored", agent="a", queue="q"), ("queues", b"a")),
        (line("complaint.filed", queue="q"), ("queues", b"q")),
        (line("complaint.filed"), ("queues", b"e")),
        (line("something.new", contact="c"), ("calls", b"c")),
        (line("something.new"), ("queues", b"e")),
    ],
)
def test_each_event_goes_where_its_thing_lives(
    tmp_path: Path, written: bytes, route: tuple[str | None, bytes | None]
) -> None:
    assert routes(tmp_path, written) == [route]


def test_a_contact_stays_in_the_topic_of_the_channel_it_named_first(tmp_path: Path) -> None:
    assert routes(
        tmp_path,
        line("contact.messaged", contact="c-1", channel="chat"),
        line("contact.queued", contact="c-1"),
        line("contact.queued", contact="c-2", channel="voice"),
        line("contact.messaged", contact="c-2", channel="messaging"),
        line("survey.answered", contact="c-1"),
    ) == [("chats", b"c-1")] * 2 + [("calls", b"c-2")] * 2 + [("chats", b"c-1")]


def test_the_memory_of_channels_is_bounded_and_keeps_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routing, "GENERATION", 10)
    router = Router()

    def topic(contact: int, channel: str) -> str | None:
        return router.route(
            "contact.messaged",
            contact=str(contact),
            channel=channel,
            agent="",
            queue="",
            event_id="e",
        ).topic

    for contact in range(100):
        topic(contact, "chat")

    assert {topic(contact, "") for contact in range(90, 100)} == {"chats"}
    assert {topic(contact, "") for contact in range(50)} == {"calls"}


@pytest.mark.parametrize(
    "bad",
    [
        b"\x00\xff not json",
        b'{"id":"1"',
        b'{"id":"1","type":"contact.queued","source":"s","contact":"c"}',
        b'{"id":"1","type":"contact.queued","time":"yesterday","source":"s","contact":"c"}',
        b'{"id":"1","type":"contact.queued","time":7,"source":"s","contact":"c"}',
        b'{"id":"1","type":"contact.queued","time":"' + TIME.encode() + b'","contact":["c"]}',
        b'{"id":"1","type":"contact.queued","time":"' + TIME.encode() + b'","contact":"\\ud800"}',
        b"[" * 100_000,
        b'{"id":"1","type":"source.alive","time":"' + TIME.encode() + b'","x":' + b"[" * 100_000,
        b"[]",
        b"null",
    ],
)
def test_a_line_that_cannot_be_read_is_passed_on_as_it_is(tmp_path: Path, bad: bytes) -> None:
    good = line("contact.queued", contact="c")

    assert records(tmp_path, bad, good) == [
        Recorded(None, "calls", b"", bad, 1),
        Recorded(read_instant(TIME), "calls", b"c", good, 2),
    ]
    with pytest.raises(Unreadable):
        Decoder().decode(bad)


def test_blank_lines_are_left_out_and_line_ends_cut_off(tmp_path: Path) -> None:
    good = line("contact.queued", contact="c")

    assert [
        (record.line_number, record.value)
        for record in records(tmp_path, b"", good + b"\r", b"  ", good)
    ] == [(2, good), (4, good)]


def test_a_last_line_without_line_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line("source.alive"))

    assert len(list(read_records(str(path), zone=UTC))) == 1


def test_a_byte_order_mark_does_not_spoil_the_first_line(tmp_path: Path) -> None:
    good = line("contact.queued", contact="c")

    assert [record.value for record in records(tmp_path, b"\xef\xbb\xbf" + good)] == [good]


def test_a_line_without_end_is_cut_and_the_next_one_is_read(tmp_path: Path) -> None:
    good = line("contact.queued", contact="c")

    endless, after = records(tmp_path, b"x" * (3 * MAX_LINE_BYTES), good)

    assert len(endless.value) == MAX_LINE_BYTES
    assert (after.line_number, after.value) == (2, good)


@pytest.mark.parametrize("name", ["events.jsonl.gz", "events"])
def test_a_compressed_file_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(line("contact.queued", contact="c") + b"\n"))

    assert [record.key for record in read_records(str(path), zone=UTC)] == [b"c"]


def test_a_compressed_file_that_is_cut_off_says_so_after_what_it_held(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.gz"
    lines = b"".join(line("contact.queued", contact=str(n)) + b"\n" for n in range(50_000))
    path.write_bytes(gzip.compress(lines)[:-2_000])

    read = read_records(str(path), zone=UTC)

    with pytest.raises(UnreadableFile, match=r"events\.jsonl\.gz: compressed data .* after line"):
        for _ in read:
            pass


def test_standard_input_is_read_compressed_or_not() -> None:
    good = line("contact.queued", contact="c")

    for content in (good, gzip.compress(good)):
        [record] = read_records("-", zone=UTC, stdin=io.BytesIO(content))
        assert record.value == good


def test_progress_is_told_in_bytes_of_the_file_up_to_its_size(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.gz"
    lines = b"".join(line("contact.queued", contact=str(n)) + b"\n" for n in range(100_000))
    path.write_bytes(gzip.compress(lines))
    told: list[int] = []

    for _ in read_records(str(path), zone=UTC, on_bytes=told.append):
        pass

    assert told == sorted(told)
    assert told[0] < told[-1] == size_of(str(path)) == path.stat().st_size


def test_the_size_of_standard_input_is_not_known() -> None:
    assert size_of("-") is None


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    assert records(tmp_path) == []


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(read_records(str(tmp_path / "none"), zone=UTC))


def test_a_queue_log_gives_events_that_the_worker_reads(tmp_path: Path) -> None:
    queue_log = QueueLogReader(zone=UTC)
    path = tmp_path / "queue_log.gz"
    path.write_bytes(gzip.compress(b"\n" + EVERY_EVENT.read_bytes()))

    found = list(
        read_records(str(path), source_format="asterisk-queue-log", zone=UTC, queue_log=queue_log)
    )

    decoder = Decoder()
    for record in found:
        assert decoder.decode(record.value)[1] == record.time_ms
    assert len(found) == queue_log.reading.events.total()
    assert {record.topic for record in found} == {None, "calls", "queues"}
    assert found[0] == Recorded(1_700_000_000_000, None, None, found[0].value, 2)


def test_rotated_logs_read_through_one_reader_are_one_history(tmp_path: Path) -> None:
    lines = EVERY_EVENT.read_bytes().splitlines(keepends=True)
    queue_log = QueueLogReader(zone=UTC)
    found: list[Recorded] = []

    for name, part in (("queue_log.1", lines[:9]), ("queue_log", lines[9:])):
        (tmp_path / name).write_bytes(b"".join(part))
        found += read_records(
            str(tmp_path / name),
            source_format="asterisk-queue-log",
            zone=UTC,
            queue_log=queue_log,
        )

    assert len({orjson.loads(record.value)["id"] for record in found}) == len(found)
    assert queue_log.reading.repaired == 0


def test_a_live_log_gives_records_and_a_pause_after_each_look(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"
    log.write_bytes(b"1700000000|1700000000.1|sales|NONE|ENTERQUEUE||15550001|1\n")
    later = b"1700000060|1700000000.1|sales|NONE|ABANDON|1|1|60\n"

    def sleep() -> None:
        if later not in log.read_bytes():
            log.write_bytes(log.read_bytes() + later)

    following = follow_queue_log(str(log), sleep=sleep, queue_log=QueueLogReader(zone=UTC))

    queued, pause, abandoned, again = (next(following) for _ in range(4))
    assert queued is not None
    assert abandoned is not None
    assert pause is again is None
    assert (queued.line_number, abandoned.line_number) == (1, 2)
    assert queued.key == abandoned.key == b"1700000000.1"
