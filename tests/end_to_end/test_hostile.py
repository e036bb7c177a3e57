"""A hundred thousand hostile records among those of an ordinary day, through Kafka to a worker.

Whatever they are, the worker goes on, the figures of the others stand, what cannot be read is kept
with its reason, and neither memory nor labels nor private data get out of hand.
"""

import asyncio
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2

from schemas import metric_names
from schemas.codec import Decoder, Unreadable
from schemas.events import Unknown
from streams.core.partition import FUTURE_MS
from streams.local_kafka import LocalKafka
from streams.replay import REPLAY, heartbeat
from streams.settings import load_settings
from streams.sources.recorded import Recorded
from streams.topics import ensure_topics
from tests.support.oracle import to_text
from tests.support.perfect import (
    FIGURES,
    STAFFING,
    WINDOWS,
    Perfect,
    net_counters,
    sum_of,
    unequal,
)
from tests.support.recordings import Look, simulated, tick_after, time_of
from tests.support.running import RunningWorker, Samples, parsed, settings_file

HOSTILE: Final = 100_000
PARTITIONS: Final = 2
MAX_QUEUES: Final = 12
SERIES_OF_A_QUEUE: Final = 200
SOURCES: Final = 200
MARKER: Final = "+34-600-PRIVATE-61"
CONTACTS: Final = 400

QUEUES: Final = {
    "sales": "voice",
    "support": "voice",
    "billing": "voice",
    "webchat": "chat",
    "messages": "messaging",
    "mail": "email",
}
NASTY: Final = (
    "<script>alert(1)</script>",
    '"} 1\nfloorwatch_contacts_offered_total{queue="sales',
    "\\",
    'a"b\\c\nd',
    "\u202egnp.exe",
    "\u0000",
    "\ud7ff\ue000\uffff",
    "🧨" * 64,
    "q" * 256,
    " ",
    "*",
    "_other",
    "total",
    "../../etc/passwd",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/x}",
    "'; drop table queues; --",
)


class Sent(NamedTuple):
    """A record, ready to be sent: *partition* of *topic*, a short name, at *at_ms*."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    at_ms: int


# -- hostile records --------------------------------------------------------------------------


class Attacker:
    """Makes records that nobody should send; the same ones each time."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._count = 0

    def record(self, at_ms: int) -> Sent:
        """The next one, at about *at_ms*."""
        self._count += 1
        [make] = self._draw.choices([*_KINDS], [*_KINDS.values()])
        contact = self._draw.randrange(CONTACTS)
        topic = ("calls", "chats", "queues")[contact % 3]
        key = b"evil-%d" % contact
        value = make(self, self._event(contact, at_ms))
        return Sent(topic, contact // 3 % PARTITIONS, key, value, at_ms)

    def _event(self, contact: int, at_ms: int) -> dict[str, Any]:
        """A believable event of one of a few hostile contacts."""
        return {
            "id": f"evil-{self._count}",
            "type": self._draw.choice(("contact.queued", "contact.answered", "contact.offered")),
            "time": to_text(at_ms),
            "source": "evil",
            "contact": f"evil-{contact}-{MARKER}",
            "queue": "hostile",
            "channel": "voice",
            "agent": f"agent-{MARKER}",
            "customer": MARKER,
            "interaction": MARKER,
            "topic": MARKER,
        }

    def random_bytes(self, _: dict[str, Any]) -> bytes:
        """Anything at all."""
        return self._draw.randbytes(self._draw.randrange(200)) + MARKER.encode()

    def bulk(self, _: dict[str, Any]) -> bytes:
        """Nothing, and much of it."""
        return MARKER.encode() * self._draw.randrange(3_000)

    def mutated(self, event: dict[str, Any]) -> bytes:
        """An event with a few bytes changed, added or lost."""
        raw = bytearray(orjson.dumps(event))
        for _ in range(self._draw.randint(1, 4)):
            at = self._draw.randrange(len(raw))
            raw[at : at + self._draw.randrange(3)] = self._draw.randbytes(self._draw.randrange(3))
        return bytes(raw)

    def wrong(self, event: dict[str, Any]) -> bytes:
        """An event with one field that is missing or not what it should be."""
        name, values = self._draw.choice(
            (
                ("time", ("0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "now", "2026-03-04", 1)),
                ("id", ("", "x" * 257, None, 7, [MARKER])),
                ("source", ("", "x" * 257, {MARKER: 1}, True)),
                ("contact", ("", MARKER * 20, None, 1.5)),
                ("queue", ("x" * 257, [], 0)),
                ("sequence", (-1, 2**63, "1", 0.5)),
                ("type", ("contact.left", "contact.refused", "contact.replied", None, [])),
            )
        )
        if self._draw.random() < 0.2:
            event.pop(name, None)
        else:
            event[name] = self._draw.choice(values)
        written = orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS)
        return self._draw.choice(
            (written, b"[" + written + b"]", written + written, b"\xef\xbb\xbf" + written)
        )

    def not_json(self, event: dict[str, Any]) -> bytes:
        """What other readers of JSON let through."""
        written = orjson.dumps(event)
        return self._draw.choice(
            (
                written[:-1] + b',"announced_wait_s":NaN}',
                written[:-1] + b',"sequence":1e999}',
                written.replace(b'"hostile"', b"'hostile'"),
                written.replace(b'"hostile"', b'"\\ud800"'),
                written.replace(b'"hostile"', b'"\xed\xa0\x80"'),
                written.replace(b'"evil"', b'"e\x00vil"'),
            )
        )

    def deep(self, event: dict[str, Any]) -> bytes:
        """Levels upon levels."""
        levels = self._draw.choice((1_023, 1_025, 30_000))
        return orjson.dumps(event)[:-1] + b',"x":' + b"[" * levels + b"]" * levels + b"}"

    def nothing(self, _: dict[str, Any]) -> None:
        """A tombstone."""

    def giant(self, event: dict[str, Any]) -> bytes:
        """More than a record may have; the largest that Kafka takes."""
        event["customer"] = MARKER * self._draw.choice((14_564, 40_000, 57_000))
        return orjson.dumps(event)

    def future(self, event: dict[str, Any]) -> bytes:
        """An event of a day to come."""
        event["time"] = self._draw.choice(("2100-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"))
        return orjson.dumps(event)

    def unknown(self, event: dict[str, Any]) -> bytes:
        """A type or a field that there may be one day."""
        if self._draw.random() < 0.5:
            event["type"] = f"contact.{self._name(8)}"
        else:
            event |= {self._name(6): MARKER for _ in range(self._draw.randint(1, 50))}
        return orjson.dumps(event)

    def labelled(self, event: dict[str, Any]) -> bytes:
        """An event that can be read, with names made to do harm."""
        for name in self._draw.sample(("queue", "channel", "segment", "source"), 2):
            event[name] = self._label()
        if self._draw.random() < 0.1:
            event["type"] = "contact.transferred"
            event["to"] = self._label()
        return orjson.dumps(event)

    def staffed(self, event: dict[str, Any]) -> bytes:
        """Doors, agents and sources by the thousand."""
        known = {name: event[name] for name in ("id", "time")}
        kind = self._draw.choice(
            ("agent.changed", "queue.opened", "queue.observed", "source.alive")
        )
        event = {**known, "type": kind, "source": self._label()}
        if kind == "agent.changed":
            queues = [self._label() for _ in range(self._draw.choice((1, 256)))]
            event |= {"agent": f"{self._name(3)}-{MARKER}", "queues": queues, "state": "available"}
        elif kind != "source.alive":
            event["queue"] = self._label()
        if kind == "queue.observed":
            event |= {"waiting": 2**63 - 1, "agents": {self._label(): 1}}
        return orjson.dumps(event)

    def restarted(self, event: dict[str, Any]) -> bytes:
        """A system that comes and goes."""
        source = self._draw.choice(("evil", self._label()))
        event = {"id": event["id"], "time": event["time"], "source": source}
        return orjson.dumps(event | {"type": "source.started"})

    def _label(self) -> str:
        return self._draw.choice(NASTY) if self._draw.random() < 0.2 else self._name(4)

    def _name(self, length: int) -> str:
        return "".join(self._draw.choices(string.ascii_lowercase, k=length))


_KINDS: Final[dict[Callable[[Attacker, dict[str, Any]], bytes | None], float]] = {
    Attacker.random_bytes: 22,
    Attacker.bulk: 3,
    Attacker.mutated: 20,
    Attacker.wrong: 15,
    Attacker.not_json: 5,
    Attacker.deep: 0.2,
    Attacker.nothing: 5,
    Attacker.giant: 0.04,
    Attacker.future: 5,
    Attacker.unknown: 5,
    Attacker.labelled: 15,
    Attacker.staffed: 4,
    Attacker.restarted: 0.5,
}
"""How often each kind comes, in a hundred."""


# -- what is sent -----------------------------------------------------------------------------

TOPICS: Final = ("calls", "chats", "queues")


def ordinary(record: Recorded) -> list[Sent]:
    """The record in the partitions that it belongs to."""
    at_ms = time_of(record)
    if record.topic is None or record.key is None:
        return [
            Sent(topic, partition, None, record.value, at_ms)
            for topic in TOPICS
            for partition in range(PARTITIONS)
        ]
    partition = (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS
    return [Sent(record.topic, partition, record.key, record.value, at_ms)]


def besieged(records: Sequence[Recorded]) -> Iterator[Sent]:
    """The day with hostile records all over it, but for its last minutes.

    Events may be five minutes ahead of their time, so that later ones would put off the end.
    """
    attacker = Attacker(seed=99)
    last_ms = time_of(records[-1]) - 2 * FUTURE_MS
    targets = sum(time_of(record) < last_ms for record in records)
    for number, record in enumerate(records):
        yield from ordinary(record)
        if number < targets:
            share = HOSTILE * (number + 1) // targets - HOSTILE * number // targets
            for _ in range(share):
                yield attacker.record(time_of(record))


def with_private_data(record: Recorded) -> Recorded:
    """The record with a marker where it names persons."""
    value = record.value
    for name in (b"contact", b"agent"):
        value = value.replace(b'"%b":"' % name, b'"%b":"%b-' % (name, MARKER.encode()))
    return record._replace(value=value)


@dataclass
class Expected:
    """What the codec and the rule of arrival make of all that was sent.

    Attributes:
        rejected: reason and value by key.
    """

    rejected: dict[str, tuple[str, bytes | None]] = field(default_factory=dict)
    unknown_types: int = 0
    unknown_fields: int = 0
    _decoder: Decoder = field(default_factory=Decoder)
    _arrivals: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, topic: str, offset: int, sent: Sent) -> None:
        place = (topic, sent.partition)
        arrival_ms = self._arrivals[place] = max(self._arrivals.get(place, 0), sent.at_ms)
        key = f"{topic}-{sent.partition}-{offset}"
        try:
            event, time_ms = self._decoder.decode(sent.value)
        except Unreadable as unreadable:
            self.rejected[key] = (unreadable.reason, sent.value)
            return
        if time_ms - arrival_ms > FUTURE_MS:
            self.rejected[key] = ("future", sent.value)
        elif isinstance(event, Unknown):
            self.unknown_types += 1
        self.unknown_fields = self._decoder.unknown_fields


async def send(
    bootstrap: str, names: dict[str, str], sending: Sequence[Sent], to: Expected
) -> None:
    """Send all and tell *to* which offset each got."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=5, max_batch_size=1 << 18, max_request_size=1 << 20
    ) as producer:
        under_way = [
            await producer.send(
                names[sent.topic],
                sent.value,
                key=sent.key,
                partition=sent.partition,
                timestamp_ms=sent.at_ms,
            )
            for sent in sending
        ]
        for sent, future in zip(sending, under_way, strict=True):
            to.take(names[sent.topic], (await future).offset, sent)


class Kept(NamedTuple):
    """A record on the topic of rejected ones."""

    key: str
    value: bytes | None
    headers: dict[str, bytes]


async def kept(bootstrap: str, topic: str) -> list[Kept]:
    """All records of a topic with one partition."""
    records: list[Kept] = []
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        await consumer.seek_to_beginning()
        [end] = (await consumer.end_offsets([place])).values()
        while await consumer.position(place) < end:
            for polled in (await consumer.getmany(timeout_ms=500)).values():
                records += [
                    Kept(each.key.decode(), each.value, dict(each.headers)) for each in polled
                ]
    return records


# -- the siege --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Siege:
    """What there was to see of a worker under attack.

    Attributes:
        pages: `/metrics` at the start, after half of it and at the end.
        second_half: how many bytes came in it.
        shown: everything else that it let anybody see.
    """

    expected: Expected
    pages: list[Samples]
    second_half: int
    shown: dict[str, bytes]
    health: int
    kept: list[Kept]
    perfect: Perfect
    look: Look


@pytest.fixture(scope="module")
def siege(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Siege:
    """A day, its attackers, and a worker between them."""
    folder = tmp_path_factory.mktemp("siege")
    recording = simulated(folder)
    records = [with_private_data(record) for record in recording.records()]
    until_ms = tick_after(records)
    settings = recording.settings("siege", kafka.bootstrap) | {"max_queues": MAX_QUEUES}
    settings["policy"]["queues"] = {name: {} for name in QUEUES}
    path = settings_file(folder, settings)
    sending = list(besieged(records))
    end = Recorded(until_ms, None, None, heartbeat(REPLAY, until_ms), 0)
    halves = [sending[: len(sending) // 2], [*sending[len(sending) // 2 :], *ordinary(end)]]
    expected = Expected()

    ensure_topics(load_settings(path, {}), PARTITIONS, any_time=True)
    with RunningWorker(folder, settings) as worker:
        worker.wait_until(lambda: worker.get("/readyz").status == 200, "it was ready")
        pages = [parsed(worker.metrics())]
        sent = 0
        for half in halves:
            asyncio.run(send(kafka.bootstrap, settings["topics"], half, expected))
            sent += len(half)
            worker.wait_for_records(sent)
            text = worker.metrics()
            pages.append(parsed(text))
        shown = {
            "/api/v1/floor": worker.get("/api/v1/floor").body,
            "/metrics": text.encode(),
            "the live stream": worker.first_frame(),
        }
        health = worker.get("/healthz").status
        worker.stop()
        shown["the log"] = worker.log().encode()
    return Siege(
        expected=expected,
        pages=pages,
        second_half=sum(len(each.value or b"") for each in halves[1]),
        shown=shown,
        health=health,
        kept=asyncio.run(kept(kafka.bootstrap, "siege.rejected")),
        perfect=Perfect(recording, load_settings(path, {}).policy),
        look=Look(tuple(records), until_ms),
    )


def test_the_worker_lives_through_it(siege: Siege) -> None:
    started = [sum_of(page, "process_start_time_seconds") for page in siege.pages]

    assert siege.health == 200
    assert started[0] == started[-1] > 0
    assert b"Traceback" not in siege.shown["the log"]


def test_the_figures_of_the_others_are_those_of_a_day_without_it(siege: Siege) -> None:
    floor = orjson.loads(siege.shown["/api/v1/floor"])
    entries = {
        (entry["queue"], entry["channel"], entry["window"]): entry
        for entry in floor["entries"]
        if QUEUES.get(entry["queue"]) == entry["channel"] and entry["window"] in WINDOWS
    }
    rows = siege.perfect.rows(siege.look)
    staffing = siege.perfect.by_brute_force(siege.look, "60m")
    totals = siege.perfect.totals(siege.look.known)

    assert floor["as_of_ms"] == siege.look.at_ms
    assert {key[0] for key in entries} == {*QUEUES}
    assert unequal(entries, rows) == {}
    for key in staffing.keys() - {("*", "*", "60m")}:
        assert unequal({key: entries[key]}, {key: staffing[key]}, (*FIGURES, *STAFFING)) == {}
    assert {place: net_counters(siege.pages[-1], *place) for place in totals} == totals


def test_every_record_that_cannot_be_read_is_kept_with_its_place_and_reason(siege: Siege) -> None:
    found = {each.key: (each.headers["reason"].decode(), each.value) for each in siege.kept}

    assert len(siege.expected.rejected) > HOSTILE / 2
    assert found == siege.expected.rejected


def test_what_was_met_is_counted_as_the_codec_says(siege: Siege) -> None:
    page = siege.pages[-1]
    reasons = Counter(reason for reason, _ in siege.expected.rejected.values())
    counted = {
        dict(labels)["reason"]: round(value)
        for (name, labels), value in page.items()
        if name == "floorwatch_events_rejected_total"
    }

    assert {reason: n for reason, n in counted.items() if n} == reasons
    assert sum_of(page, "floorwatch_events_total", type="unknown") == siege.expected.unknown_types
    assert sum_of(page, "floorwatch_unknown_fields_total") == siege.expected.unknown_fields


def test_no_label_gets_out_of_its_quotes_and_there_are_only_so_many(siege: Siege) -> None:
    page = siege.pages[-1]
    ours = {name for name, _ in page if name.startswith("floorwatch_")}
    known = {
        metric.name + ending
        for metric in metric_names.ALL
        for ending in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
    }
    places = {
        (dict(has)["queue"], dict(has)["channel"]) for _, has in page if "channel" in dict(has)
    }
    sources = {dict(has)["source"] for _, has in page if "source" in dict(has)}
    corrections = sum(name == "floorwatch_corrections_total" for name, _ in page)
    partitions = len(TOPICS) * PARTITIONS
    # Of each partition: queues of contacts and those of agents and doors, and one for all others.
    most = partitions * 2 * (MAX_QUEUES + 1) + len(QUEUES)

    assert ours <= known
    assert len(places) <= most
    assert len(page) - corrections <= most * SERIES_OF_A_QUEUE + 10 * SOURCES
    assert len(sources) <= SOURCES + 2
    assert ("_other", "_other") in places


def test_memory_does_not_grow_with_what_is_thrown_at_it(siege: Siege) -> None:
    start, middle, end = (sum_of(page, "process_resident_memory_bytes") for page in siege.pages)

    assert end - middle < 0.75 * (middle - start)
    # Contacts that can be read fill up to their bound, and so does what is written of them: about
    # half as much as came. To keep what was rejected would take as much again.
    assert end - middle < 0.75 * siege.second_half


def test_nothing_private_is_to_be_seen(siege: Siege) -> None:
    for place, text in siege.shown.items():
        assert MARKER.encode() not in text, place
    for each in siege.kept:
        assert MARKER not in each.key
        assert MARKER.encode() not in b"".join(each.headers.values())
