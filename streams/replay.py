"""`floorwatch replay`: recorded events to Kafka, as if they happened again."""

from __future__ import annotations

import io
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click
import orjson

from schemas.codec import encode
from schemas.events import SourceAlive
from schemas.instants import write_instant
from streams.core.durations import write_duration
from streams.kafka_access import kafka_access
from streams.parameters import (
    FILE,
    SPEED,
    ZONE,
    create_topics_option,
    read_moment,
    settings_of,
    settings_options,
)
from streams.producing import Outlet, Producer
from streams.progress import bar
from streams.sources.asterisk import SOURCE, QueueLogReader, Reading
from streams.sources.recorded import (
    SOURCE_FORMATS,
    STDIN,
    Recorded,
    SourceFormat,
    follow_queue_log,
    read_records,
    size_of,
)
from streams.sources.routing import Router
from streams.topics import Topic, ensure_topics
from streams.wall_clock import wall_clock_ms

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

REPLAY: Final = "replay"
"""The source of the heartbeat that ends `--until`; it feeds no queue."""

CANONICAL: Final[SourceFormat] = "canonical"
LOOKS_EVERY_S: Final = 0.5
ALIVE_EVERY_S: Final = 10.0
_SHORTEST_SLEEP_S: Final = 0.005

EXIT_REFUSED: Final = 1


def up_to(records: Iterable[Recorded], until_ms: int) -> Iterator[Recorded]:
    """Events of *records* up to *until_ms*, inclusive, and a heartbeat of that time at the end.

    Later ones are left out wherever they stand. A record that cannot be read has no time of its
    own: it goes with the one before it.
    """
    is_left_out = False
    for record in records:
        if record.time_ms is not None:
            is_left_out = record.time_ms > until_ms
        if not is_left_out:
            yield record
    yield Recorded(until_ms, None, None, heartbeat(REPLAY, until_ms), 0)


def shifted(records: Iterable[Recorded], shift: Callable[[int], int]) -> Iterator[Recorded]:
    """*records* at other times: what *shift* makes of the first one's time is added to all."""
    shift_ms: int | None = None
    for record in records:
        if record.time_ms is None:
            yield record
            continue
        if shift_ms is None:
            shift_ms = shift(record.time_ms)
        time_ms = record.time_ms + shift_ms
        yield record._replace(time_ms=time_ms, value=_retimed(record.value, time_ms))


def stamped(records: Iterable[Recorded]) -> Iterator[tuple[int, Recorded]]:
    """Each of *records* with its arrival: the highest event time so far, 0 before the first."""
    arrival_ms = 0
    for record in records:
        if record.time_ms is not None and record.time_ms > arrival_ms:
            arrival_ms = record.time_ms
        yield arrival_ms, record


def heartbeat(source: str, now_ms: int) -> bytes:
    """A `source.alive` of *source* at *now_ms*."""
    now = write_instant(now_ms)
    return encode(SourceAlive(id=f"alive-{now_ms}", time=now, source=source))


def _retimed(value: bytes, time_ms: int) -> bytes:
    """The event at another time; what is no event after all stays as it is."""
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    event["time"] = write_instant(time_ms)
    return orjson.dumps(event)


class Pace:
    """Holds each record back until it is due.

    Args:
        speed: times faster than life; None for no waiting at all.
        before_sleep: called whenever there is time, so that nothing waits longer than it must.
    """

    def __init__(self, speed: float | None, before_sleep: Callable[[], None]) -> None:
        self._speed = speed
        self._before_sleep = before_sleep
        self._first_ms: int | None = None
        self._began_s = 0.0

    def wait_for(self, arrival_ms: int) -> None:
        """Return when what arrives at *arrival_ms* is due; the first call returns at once."""
        if self._speed is None:
            return
        if self._first_ms is None:
            self._first_ms = arrival_ms
            self._began_s = time.monotonic()
        due_s = self._began_s + (arrival_ms - self._first_ms) / 1000 / self._speed
        ahead_s = due_s - time.monotonic()
        if ahead_s > _SHORTEST_SLEEP_S:
            self._before_sleep()
            time.sleep(ahead_s)


class Recording:
    """Some files of events, oldest first, and what was met in them.

    Attributes:
        unreadable: records that cannot be read, as of the last pass.
        first_unreadable: where the first of them is, as `FILE:LINE`.
        reading: what became of an Asterisk log's lines; None for canonical files.
    """

    def __init__(self, files: Iterable[str], source_format: SourceFormat, zone: tzinfo) -> None:
        self.files = tuple(files)
        self.source_format = source_format
        self.unreadable = 0
        self.first_unreadable = ""
        self.reading: Reading | None = None
        self._zone = zone

    def records(self, before_wait: Callable[[], None] = lambda: None) -> Iterator[Recorded]:
        """All records, in order; *before_wait* is called before standard input is waited for."""
        router, queue_log = Router(), self._begin()
        for path in self.files:
            with bar(size_of(path), Path(path).name) as on_bytes:
                for record in read_records(
                    path,
                    source_format=self.source_format,
                    zone=self._zone,
                    on_bytes=on_bytes,
                    router=router,
                    queue_log=queue_log,
                    stdin=_Unhurried(before_wait),
                ):
                    if record.time_ms is None:
                        self._count_unreadable(path, record)
                    yield record

    def followed(self, sleep: Callable[[], None]) -> Iterator[Recorded | None]:
        """The records of the one log, without end; None after each *sleep*."""
        return follow_queue_log(self.files[0], sleep=sleep, queue_log=self._begin())

    def last_ms(self, until_ms: int | None) -> int | None:
        """The time of the last event up to *until_ms*, None for any; None when there is none."""
        times_ms = (record.time_ms for record in self.records() if record.time_ms is not None)
        return max((ms for ms in times_ms if until_ms is None or ms <= until_ms), default=None)

    def _begin(self) -> QueueLogReader:
        queue_log = QueueLogReader(zone=self._zone)
        self.unreadable = 0
        self.first_unreadable = ""
        self.reading = None if self.source_format == CANONICAL else queue_log.reading
        return queue_log

    def _count_unreadable(self, path: str, record: Recorded) -> None:
        if not self.unreadable:
            self.first_unreadable = f"{path}:{record.line_number}"
        self.unreadable += 1


class _Unhurried(io.BufferedIOBase):
    """Standard input, which has what it gave sent on before it waits for more."""

    def __init__(self, before_wait: Callable[[], None]) -> None:
        self._before_wait = before_wait

    def readable(self) -> bool:
        return True

    def readinto1(self, buffer: WriteableBuffer, /) -> int:
        file = cast("io.BufferedReader", sys.stdin.buffer)
        if not select.select([file], [], [], 0)[0]:
            self._before_wait()
        return file.readinto1(buffer)


@click.command(
    "replay",
    epilog="""\b
Examples:
  floorwatch replay recorded.jsonl.gz
  floorwatch replay --rebase now --speed 1x recorded.jsonl
  floorwatch replay --source-format asterisk-queue-log --tz Europe/Madrid queue_log.1 queue_log
  floorwatch replay --source-format asterisk-queue-log --follow /var/log/asterisk/queue_log
  zcat recorded.jsonl.gz | grep '"queue":"sales"' | floorwatch replay -

\b
Exit codes: 0 all sent, 1 Kafka refused some records, 2 a wrong option, setting or file,
3 no Kafka or no topic, 130 interrupted.""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option(
    "--source-format", type=click.Choice(SOURCE_FORMATS), default=CANONICAL, show_default=True
)
@click.option("--tz", "zone", type=ZONE, default="UTC", help="Zone of times without offset.")
@click.option("--speed", type=SPEED, default="max", help="Such as 1x or 60x.  [default: max]")
@click.option(
    "--rebase",
    type=click.Choice(["now"]),
    help="Shift all times: the first event is now; at full speed the last one is.",
)
@click.option(
    "--until",
    metavar="TIME",
    help="Only events up to TIME; then one heartbeat of this time to every partition.",
)
@click.option("--follow", is_flag=True, help="Go on with a log that is still being written.")
@create_topics_option
@settings_options
def replay_command(
    files: tuple[str, ...],
    source_format: SourceFormat,
    zone: tzinfo,
    speed: float | None,
    rebase: str | None,
    until: str | None,
    follow: bool,
    partitions: int,
    settings_file: Path | None,
    bootstrap: str | None,
) -> int:
    """Send recorded events to Kafka.

    FILE... are canonical events (JSON lines, also compressed with gzip; `-` is standard input), or
    queue logs of one Asterisk, the oldest first. Every record is stamped with the highest event
    time so far, as if it had just happened; a line that cannot be read is sent as it is.
    """
    recording = Recording(files, source_format, zone)
    if follow and (speed is not None or rebase or until):
        raise click.UsageError("--follow is live: it takes no --speed, --rebase or --until")
    if follow and (source_format == CANONICAL or len(files) > 1 or STDIN in files):
        raise click.UsageError("--follow takes one log of --source-format asterisk-queue-log")
    if rebase and speed is None and STDIN in files:
        raise click.UsageError(
            "--rebase now at full speed reads its input twice: name a file, or a --speed"
        )
    until_ms = None if until is None else read_moment(until, zone)
    settings = settings_of(settings_file, bootstrap)
    kafka = kafka_access(settings)
    topics = ensure_topics(settings, partitions, any_time=True)
    began_s = time.monotonic()
    with Producer(kafka, topics) as producer:
        outlet = Outlet(producer, settings.topics)
        if follow:
            _follow(recording, outlet)
        records = recording.records(before_wait=producer.push)
        if until_ms is not None:
            records = up_to(records, until_ms)
        shift = None
        if rebase is not None:
            shift = _Shift(None if speed is not None else recording.last_ms(until_ms))
            records = shifted(records, shift)
        pace = Pace(speed, producer.push)
        is_looked_at = False
        for arrival_ms, (_, topic, key, value, _) in stamped(records):
            if arrival_ms:
                if not is_looked_at:
                    _warn_of_losses(topics, arrival_ms)
                    is_looked_at = True
                pace.wait_for(arrival_ms)
            outlet.send(topic, key, value, arrival_ms)
        producer.finish()
    click.echo(
        f"sent {outlet.given:,} records to {settings.bootstrap} in "
        f"{time.monotonic() - began_s:.1f} s"
    )
    if shift is not None:
        click.echo(str(shift))
    return _tell_the_rest(recording, outlet)


class _Shift:
    """How far `--rebase now` shifts all times, known from the first event on.

    Args:
        last_ms: the event that is to be now; None for the first one.
    """

    def __init__(self, last_ms: int | None) -> None:
        self._last_ms = last_ms
        self._shift_ms = 0

    def __call__(self, first_ms: int) -> int:
        now_ms = wall_clock_ms()
        self._shift_ms = now_ms - (first_ms if self._last_ms is None else self._last_ms)
        return self._shift_ms

    def __str__(self) -> str:
        way = "later" if self._shift_ms >= 0 else "earlier"
        return f"times are {write_duration(abs(self._shift_ms))} {way} than recorded"


def _follow(recording: Recording, outlet: Outlet) -> None:
    """Send a live log's records as they are written, and that its source is alive; for ever."""
    arrival_ms = 0
    alive_due_s = 0.0

    def sleep() -> None:
        outlet.producer.push()
        time.sleep(LOOKS_EVERY_S)

    for record in recording.followed(sleep):
        if record is not None:
            arrival_ms = max(arrival_ms, record.time_ms or 0)
            outlet.send(record.topic, record.key, record.value, arrival_ms)
        elif time.monotonic() >= alive_due_s:
            alive_due_s = time.monotonic() + ALIVE_EVERY_S
            now_ms = wall_clock_ms()
            arrival_ms = max(arrival_ms, now_ms)
            outlet.send(None, None, heartbeat(SOURCE, now_ms), arrival_ms)


def _warn_of_losses(topics: Mapping[str, Topic], first_ms: int) -> None:
    """Say which topics will not keep records as old as these, or not their timestamps."""
    age_ms = wall_clock_ms() - first_ms
    for name, topic in topics.items():
        if topic.stamps_anew:
            _warn(
                f"topic {name} stamps records anew (message.timestamp.type=LogAppendTime), so that "
                "every recorded event comes late; replay into a topic with CreateTime"
            )
        elif topic.retention_ms is not None and age_ms > topic.retention_ms:
            _warn(
                f"topic {name} keeps records for {write_duration(topic.retention_ms)} and these "
                f"begin at {write_instant(first_ms)}, so Kafka deletes them at once; set its "
                "retention.ms to -1, or use --rebase now"
            )


def _tell_the_rest(recording: Recording, outlet: Outlet) -> int:
    """Say what became of records that did not go the plain way; the exit code."""
    if recording.unreadable:
        _warn(
            f"{recording.unreadable:,} records cannot be read and were sent as they are, the first "
            f"at {recording.first_unreadable}; `floorwatch check FILE` says why"
        )
    if recording.reading is not None and recording.reading.skipped:
        skipped = ", ".join(
            f"{each.count:,} {reason} (first: line {each.first_line})"
            for reason, each in recording.reading.skipped.items()
        )
        _warn(f"lines that made no event: {skipped}")
    for topic, count in outlet.left_out.items():
        _warn(f"{count:,} records were left out: topic {topic} is off")
    for reason, count in outlet.producer.refused.items():
        _warn(f"Kafka refused {count:,} records: {reason}")
    return EXIT_REFUSED if outlet.producer.refused else 0


def _warn(text: str) -> None:
    click.echo(f"floorwatch: {text}", err=True)
