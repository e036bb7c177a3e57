"""`floorwatch check`: what is wrong with an installation, or with recorded events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import chain
from pathlib import Path
from typing import Final

import click

from schemas.codec import Decoder, Unreadable
from schemas.events import (
    Abandoned,
    AgentChanged,
    Answered,
    ContactEvent,
    Ended,
    Event,
    Left,
    QueueClosed,
    Queued,
    QueueObserved,
    QueueOpened,
    Refused,
    Replied,
    SourceAlive,
    SourceStarted,
    Transferred,
    Unknown,
    type_name,
)
from schemas.instants import write_instant
from streams.core.contact import EXPIRED, OPEN, VOICE, Life, Limits
from streams.core.durations import write_duration
from streams.core.partition import Partition
from streams.core.policy import BadSetting
from streams.findings import Finding, Level, tell
from streams.kafka_access import KafkaAccess, kafka_access
from streams.kafka_admin import BrokerUnreachable
from streams.kafka_rights import missing_rights, rights_of_worker, what_is_missing
from streams.ledger import Ledger, StateUnusable
from streams.parameters import FILE, ZONE, Written, settings_of, settings_options, typed
from streams.progress import bar
from streams.reader import TP
from streams.settings import Settings
from streams.sources.asterisk import QueueLogReader
from streams.sources.recorded import SOURCE_FORMATS, SourceFormat, read_records, size_of
from streams.sources.routing import Router
from streams.state_log import StateLog
from streams.topics import (
    MAX_AHEAD_MS,
    REJECTED_BYTES,
    Cluster,
    Topic,
    floor_topic,
    how_to_create,
    look,
    own_topics,
    rejected_topic,
    state_topic,
)
from streams.wall_clock import wall_clock_ms
from streams.worker_check import WorkerAddress, asked, read_worker_url

KEPT_AT_LEAST_MS: Final = 7 * 86_400_000
"""What a worker should find when it reads its partitions from the beginning."""

AHEAD_AT_MOST_MS: Final = 86_400_000
"""What a source topic may let records be stamped ahead of its broker's clock."""

_TIME_PASSES_EVERY: Final = 1_000


@click.command(
    "check",
    epilog="""\b
Examples:
  floorwatch check --settings floorwatch.yaml
  floorwatch check --worker http://127.0.0.1:6066
  floorwatch check --offline --settings floorwatch.yaml
  floorwatch check recorded.jsonl.gz
  floorwatch check --source-format asterisk-queue-log --tz Europe/Madrid queue_log

\b
Exit codes: 0 nothing that FAILs, 1 something does, 2 a wrong option or file, or with FILE a wrong
setting, 130 interrupted.""",
)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=FILE)
@click.option(
    "--source-format", type=click.Choice(SOURCE_FORMATS), default="canonical", show_default=True
)
@click.option("--tz", "zone", type=ZONE, default="UTC", help="Zone of times without offset.")
@click.option("--state", is_flag=True, help="Say what is kept of each partition, too.")
@click.option("--offline", is_flag=True, help="The settings and their policy alone; ask nobody.")
@click.option(
    "--worker",
    "worker_url",
    type=Written("url", read_worker_url),
    metavar="URL",
    help="Ask a running worker, too: http://HOST:PORT, or https.",
)
@click.option(
    "--worker-token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With the token of its /metrics.",
)
@click.option(
    "--worker-certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="That it has to show; else one that this machine trusts.",
)
@settings_options
def check_command(
    files: tuple[str, ...],
    source_format: SourceFormat,
    zone: tzinfo,
    state: bool,
    offline: bool,
    worker_url: str | None,
    worker_token_file: Path | None,
    worker_certificate: Path | None,
    settings_file: Path | None,
    bootstrap: str | None,
) -> int:
    """Say what is wrong: with settings, broker, topics and a worker, or with the events in FILE.

    Of a file it says which types it holds, what a worker would reject and where the first of it
    is (never what it says), which contacts never close, and which figures stay empty because
    nothing feeds them.
    """
    _refuse_what_would_change_nothing(files)
    if files:
        contents = Contents(settings_of(settings_file))
        _read(contents, files, source_format, zone)
        click.echo(contents.table())
        findings = contents.findings()
    else:
        findings = installation(settings_file, bootstrap, state=state, offline=offline)
        if worker_url is not None:
            worker = WorkerAddress(worker_url, worker_token_file, worker_certificate)
            findings = chain(findings, (Finding(*said) for said in asked(worker)))
    return tell(findings)


def _refuse_what_would_change_nothing(files: Sequence[str]) -> None:
    """Stop at an option that has no say in what is checked.

    Raises:
        click.UsageError: there is one.
    """
    written = typed()
    for name, option in (
        ("bootstrap", "--bootstrap"),
        ("state", "--state"),
        ("worker_url", "--worker"),
        ("offline", "--offline"),
    ):
        if files and name in written:
            raise click.UsageError(
                f"FILE and {option}: recorded events or an installation; name one"
            )
    for name, option in (("state", "--state"), ("worker_url", "--worker")):
        if {"offline", name} <= written:
            raise click.UsageError(f"--offline and {option}: one asks nobody; leave one out")
    for name, option in (("source_format", "--source-format"), ("zone", "--tz")):
        if not files and name in written:
            raise click.UsageError(f"{option} is of recorded events: name a FILE of them")
    for name, option in (
        ("worker_token_file", "--worker-token-file"),
        ("worker_certificate", "--worker-certificate"),
    ):
        if name in written and "worker_url" not in written:
            raise click.UsageError(f"{option} is of a worker: name its --worker URL")


# -- an installation -----------------------------------------------------------------------------


def installation(
    settings_file: Path | None,
    bootstrap: str | None,
    *,
    state: bool = False,
    offline: bool = False,
) -> Iterator[Finding]:
    """What there is to say about the settings, the broker, each topic and maybe what is kept.

    With *offline* of the settings alone, and nobody is asked.
    """
    try:
        settings = settings_of(settings_file, bootstrap)
    except BadSetting as wrong:
        yield Finding("FAIL", f"settings: {wrong}")
        return
    queues = len({queue for queue, _ in settings.policy.known()})
    yield Finding("ok", f"settings: {queues} queues named, clock {settings.clock}")
    if offline:
        return
    names = settings.topics.in_use()
    try:
        kafka = kafka_access(settings)
        cluster = look(kafka, [*names, *own_topics(settings)])
        missing = asyncio.run(missing_rights(kafka, rights_of_worker(settings)))
    except BadSetting as wrong:
        yield Finding("FAIL", f"settings: {wrong}")
        return
    except BrokerUnreachable as silent:
        yield Finding("FAIL", f"broker: {silent}")
        return
    yield Finding("ok", f"broker: {settings.bootstrap} answers, brokers: {cluster.brokers}")
    if settings.kafka.has_user and not settings.kafka.is_encrypted:
        yield Finding(
            "warn",
            "broker: what is said to it can be read on the way, with PLAIN the password too; set "
            "kafka.security_protocol to sasl_ssl",
        )
    if missing:
        yield Finding("FAIL", f"rights: {what_is_missing(missing)}")
    for name in names:
        yield from _source_topic(name, cluster, settings)
    yield from _rejected_topic(cluster, settings)
    for name in (state_topic(settings), floor_topic(settings)):
        yield from _own_topic(name, cluster)
    if state and state_topic(settings) in cluster.topics:
        yield from _kept_state(kafka, cluster, settings)


def _source_topic(name: str, cluster: Cluster, settings: Settings) -> Iterator[Finding]:
    topic = cluster.topics.get(name)
    if name in cluster.hidden:
        return  # a right is missing, which has been said
    if topic is None:
        yield Finding("FAIL", f"topic {name}: {how_to_create(name, settings.bootstrap)}")
        return
    if topic.is_compacted:
        yield Finding(
            "FAIL",
            f"topic {name}: it is compacted, which deletes all but a contact's last event; set its "
            "cleanup.policy to delete",
        )
    if topic.retention_ms is not None and topic.retention_ms < KEPT_AT_LEAST_MS:
        yield Finding(
            "warn",
            f"topic {name}: it keeps {write_duration(topic.retention_ms)}; a worker that starts "
            f"reads from the beginning, so set retention.ms to 7d ({KEPT_AT_LEAST_MS}) or more",
        )
    if topic.retention_bytes is not None:
        yield Finding(
            "warn",
            f"topic {name}: a partition keeps {topic.retention_bytes:,} bytes at most; on a busy "
            "day that may be less than 7d, so set its retention.bytes to -1",
        )
    if topic.max_ahead_ms is not None and topic.max_ahead_ms > AHEAD_AT_MOST_MS:
        yield Finding(
            "warn",
            f"topic {name}: it takes records stamped more than a day ahead of the broker's clock; "
            "one of them makes all that come after it in its partition late, so not counted, until "
            "that time has come, so set its message.timestamp.after.max.ms to "
            f"{write_duration(MAX_AHEAD_MS)} ({MAX_AHEAD_MS})",
        )
    yield Finding("ok", f"topic {name}: {_shape(topic)}")


def _rejected_topic(cluster: Cluster, settings: Settings) -> Iterator[Finding]:
    name = rejected_topic(settings)
    topic = cluster.topics.get(name)
    if name in cluster.hidden:
        return
    if topic is None:
        yield Finding("note", f"topic {name}: it is not there yet; the first worker creates it")
        return
    if topic.max_record_bytes < REJECTED_BYTES:
        yield Finding(
            "warn",
            f"topic {name}: it takes {topic.max_record_bytes:,} bytes a record, so the largest "
            f"rejected ones are cut; set its max.message.bytes to {REJECTED_BYTES}",
        )
    yield Finding("ok", f"topic {name}: {_shape(topic)}")


def _own_topic(name: str, cluster: Cluster) -> Iterator[Finding]:
    topic = cluster.topics.get(name)
    if name in cluster.hidden:
        return
    if topic is None:
        yield Finding("note", f"topic {name}: it is not there yet; the first worker creates it")
    elif topic.settings and not topic.is_compacted:
        yield Finding(
            "FAIL",
            f"topic {name}: it is not compacted, so it loses what is still needed or grows for "
            "ever; set its cleanup.policy to compact",
        )
    else:
        yield Finding("ok", f"topic {name}: partitions: {topic.partitions}, compacted")


def _kept_state(kafka: KafkaAccess, cluster: Cluster, settings: Settings) -> Iterator[Finding]:
    """What a worker would find of each partition."""
    tps = [
        TP(name, number)
        for name in settings.topics.in_use()
        if name in cluster.topics
        for number in range(cluster.topics[name].partitions)
    ]
    topic = state_topic(settings)
    log = StateLog(kafka, topic, "check", partitions=cluster.topics[topic].partitions)
    for tp, ledger in sorted(asyncio.run(log.look(tps)).items()):
        yield Finding(*_found_of(ledger, f"state of {tp.topic}[{tp.partition}]"))


def _found_of(ledger: Ledger, what: str) -> tuple[Level, str]:
    try:
        snapshot = ledger.newest()
    except StateUnusable as unusable:
        return "warn", f"{what}: {unusable}; the next owner reads the partition from its beginning"
    if snapshot is None:
        return "note", f"{what}: nothing yet"
    age_s = max(0, wall_clock_ms() - snapshot.manifest.cut_ms) // 1_000
    size = sum(map(len, snapshot.parts.values()))
    return "ok", (
        f"{what}: epoch {ledger.epoch}, offset {snapshot.manifest.offset}, "
        f"{len(snapshot.parts)} parts of {size:,} bytes, cut {age_s} s ago"
    )


def _shape(topic: Topic) -> str:
    kept = "keeps everything"
    if not topic.settings:
        kept = "this user may not see its settings"
    elif topic.retention_ms is not None:
        kept = f"keeps {write_duration(topic.retention_ms)}"
    return f"partitions: {topic.partitions}, {kept}"


# -- recorded events -----------------------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """How often something was met, and where first, as `FILE:LINE`."""

    count: int = 0
    first: str = ""

    def note(self, place: str, count: int = 1) -> None:
        """It was met *count* times more, at *place*."""
        if not self.count:
            self.first = place
        self.count += count

    def __str__(self) -> str:
        """Count and place."""
        return f"{self.count:,}, the first at {self.first}"


@dataclass(slots=True)
class Contents:
    """What some recorded events hold, seen through the core as a worker would.

    Attributes:
        settings: limits and policy that hold.
        records: how many were met, readable or not.
        types: how many events of each type.
        unknown_types: events of a type that this version does not know.
        rejected: records that cannot be read, by reason.
        late: events too late to count.
        repeated: events met before.
        human_replies: channels on which a person replied.
        channels: those of contacts.
        unclosed: contacts with a visit that never got an outcome.
        skipped: lines of an adapter's input that make no event, by reason.
    """

    settings: Settings
    records: int = 0
    types: Counter[str] = field(default_factory=Counter)
    unknown_types: Seen = field(default_factory=Seen)
    rejected: dict[str, Seen] = field(default_factory=dict)
    late: Seen = field(default_factory=Seen)
    repeated: Seen = field(default_factory=Seen)
    human_replies: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    segmented: bool = False
    contacts: int = 0
    visits: int = 0
    unclosed: Seen = field(default_factory=Seen)
    expired: int = 0
    skipped: dict[str, Seen] = field(default_factory=dict)
    first_ms: int | None = None
    last_ms: int = 0
    _decoder: Decoder = field(init=False)
    _partition: Partition = field(init=False)
    _begins: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with an empty floor."""
        settings = self.settings
        self._decoder = Decoder(settings.max_record_bytes)
        self._partition = Partition(
            settings.policy,
            limits=Limits(
                settings.rest_ms, settings.allowed_lateness_ms, settings.max_events_per_contact
            ),
            windows={},
            max_tallies=settings.max_queues,
            on_forget=self._end,
        )

    def take(self, record: bytes, place: str) -> None:
        """Take the record at *place*."""
        self.records += 1
        try:
            event, time_ms = self._decoder.decode(record)
        except Unreadable as unreadable:
            self.rejected.setdefault(unreadable.reason, Seen()).note(place)
            return
        self._note(event, place)
        self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)
        self.last_ms = max(self.last_ms, time_ms)
        partition = self._partition
        late, repeated = partition.late, sum(partition.duplicates.values())
        partition.accept(event, time_ms, time_ms)
        if partition.late > late:
            self.late.note(place)
        elif sum(partition.duplicates.values()) > repeated:
            self.repeated.note(place)
        elif isinstance(event, ContactEvent):
            self._begins.setdefault(event.contact, place)
        if self.records % _TIME_PASSES_EVERY == 0:
            partition.advance(partition.arrival_ms)

    def finish(self) -> None:
        """The input is over: look at the contacts that have not come to rest."""
        self._partition.advance(self._partition.arrival_ms)
        for newest in self._partition.lives.values():
            life: Life | None = newest
            while life is not None:
                self._end(life)
                life = life.earlier

    def table(self) -> str:
        """The types and how many events there are of each."""
        lines = [f"{self.records:,} records"]
        if self.first_ms is not None:
            span = f"from {write_instant(self.first_ms)} to {write_instant(self.last_ms)}"
            lines[0] += f", {span}; {self.contacts:,} contacts, {self.visits:,} visits"
        width = max(map(len, self.types), default=0)
        lines += [f"  {name:<{width}}  {count:>12,}" for name, count in self.types.most_common()]
        return "\n".join(lines)

    def findings(self) -> Iterator[Finding]:
        """What a worker would make of it, worst first."""
        if not self.types:
            yield Finding("FAIL", "there is not one readable event; is --source-format right?")
        for reason, seen in self.rejected.items():
            yield Finding("FAIL", f"rejected, {reason}: {seen}")
        if self.late.count:
            lateness = write_duration(self.settings.allowed_lateness_ms)
            yield Finding("FAIL", f"later than {lateness}, so not counted: {self.late}")
        yield from self._oddities()
        if self.types:
            for missing, empty in self._emptiness():
                yield Finding("note", f"no {missing}: {empty}")
        if not self.rejected and self.types:
            yield Finding("ok", "every record can be read")

    def _oddities(self) -> Iterator[Finding]:
        for reason, seen in self.skipped.items():
            yield Finding("note", f"lines that make no event, {reason}: {seen}")
        if self.unknown_types.count:
            yield Finding("warn", f"of a type that is not known, so ignored: {self.unknown_types}")
        if self.repeated.count:
            yield Finding("note", f"sent more than once, counted once: {self.repeated}")
        conflicting = sum(self._partition.conflicting.values())
        if conflicting:
            yield Finding("warn", f"one id with different contents: {conflicting:,} times")
        full = self._partition.ignored.get("contact_full", 0)
        if full:
            limit = self.settings.max_events_per_contact
            yield Finding("warn", f"beyond {limit:,} events of one contact, ignored: {full:,}")
        if self._partition.unmatched_outcomes:
            count = self._partition.unmatched_outcomes
            yield Finding("note", f"outcomes of contacts that were not waiting: {count:,}")
        if self._decoder.unknown_fields:
            count = self._decoder.unknown_fields
            yield Finding("note", f"fields that are not known, left out: {count:,}")
        if self.unclosed.count:
            waiting = self.unclosed.count - self.expired
            yield Finding(
                "warn",
                f"contacts never closed: {self.unclosed}; {self.expired:,} of them expired, "
                f"{waiting:,} still waited at the end",
            )

    def _emptiness(self) -> Iterator[tuple[str, str]]:
        """What never came, and which figures stay empty for it."""
        if not self.visits:
            yield "visit to any queue", "nothing is offered, and everything stays empty"
        for kinds, empty in EMPTY_WITHOUT:
            if not any(self.types[type_name(kind)] for kind in kinds):
                yield " or ".join(type_name(kind) for kind in kinds), empty
        answered = self.types[type_name(Answered)] or self.human_replies
        if not answered:
            yield (
                "contact.answered and no human contact.replied",
                "nobody counts as answered, and service level is 0",
            )
        elif VOICE in self.channels and not self.types[type_name(Answered)]:
            yield "contact.answered", "nobody counts as answered on voice"
        unheard = sorted(self.channels - self.human_replies - {VOICE})
        if unheard:
            yield (
                f"human contact.replied on {', '.join(unheard)}",
                "initial response stays empty there",
            )
        if not self.segmented:
            yield "segment in any event", "instant service by segment knows only `unknown`"

    def _note(self, event: Event, place: str) -> None:
        if isinstance(event, Unknown):
            self.types["(unknown type)"] += 1
            self.unknown_types.note(place)
            return
        self.types[type_name(type(event))] += 1
        if isinstance(event, ContactEvent):
            if event.segment:
                self.segmented = True
            if isinstance(event, Replied) and event.by == "human" and event.channel:
                self.human_replies.add(event.channel)

    def _end(self, life: Life) -> None:
        """Count a contact that has come to its end, or to that of the input."""
        self.contacts += 1
        self.visits += len(life.visits)
        self.channels.add(life.channel)
        if life.reply is not None:
            self.human_replies.add(life.channel)
        place = self._begins.pop(life.contact, "")
        outcomes = {visit.outcome for visit in life.visits}
        if outcomes & {OPEN, EXPIRED}:
            self.unclosed.note(place)
            self.expired += EXPIRED in outcomes


EMPTY_WITHOUT: Final[Sequence[tuple[tuple[type[Event], ...], str]]] = (
    (
        (Queued,),
        "a wait is known only when it is over, so waiting and longest wait stay 0, and everyone "
        "counts as never queued",
    ),
    ((Abandoned, Ended), "abandoned stays 0, and so does the abandonment ratio"),
    ((Left,), "nobody leaves a queue unanswered by another route: timeout, overflow, callback"),
    ((Refused,), "refused stays 0"),
    ((Transferred,), "transferred stays 0"),
    ((AgentChanged,), "agents by state stay empty, and no alert says that a queue has nobody"),
    ((QueueOpened, QueueClosed), "whether a queue is in service stays unknown"),
    ((QueueObserved,), "waiting_drift stays empty: nothing to compare our own count with"),
    (
        (SourceAlive,),
        "a source that falls silent is noticed only with an interval in the settings",
    ),
    ((SourceStarted,), "waits cut off by a restart of the source stay open until they expire"),
)
"""Events, and what stays empty or unknown when none of them ever comes."""


def _read(
    contents: Contents, files: Iterable[str], source_format: SourceFormat, zone: tzinfo
) -> None:
    """Take all records of *files*, oldest first."""
    router, queue_log = Router(), QueueLogReader(zone=zone)
    for path in files:
        with bar(size_of(path), Path(path).name) as on_bytes:
            for record in read_records(
                path,
                source_format=source_format,
                zone=zone,
                on_bytes=on_bytes,
                router=router,
                queue_log=queue_log,
            ):
                contents.take(record.value, f"{path}:{record.line_number}")
    for reason, skipped in queue_log.reading.skipped.items():
        contents.skipped[reason] = Seen(skipped.count, f"line {skipped.first_line}")
    contents.finish()
