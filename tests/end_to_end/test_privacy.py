"""What marks a person goes in everywhere and is nowhere to be seen.

Every event type, as it should be and in many ways as it should not, with a mark of its own for each
kind of private data; then everything that a worker shows, says or writes is searched for the marks.
`test_hostile` does the same under siege, with one mark and without a look into the topics.
"""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import inspect

from schemas.events import EVENT_TYPES, Event, type_name
from streams.kafka_access import KafkaAccess
from streams.local_kafka import LocalKafka
from streams.settings import load_settings
from streams.topics import ensure_topics, look
from tests.support.commands import floorwatch
from tests.support.oracle import to_text
from tests.support.perfect import sum_of
from tests.support.running import RunningWorker, parsed, settings_file

BEGINS_MS: Final = 1_795_514_400_000
MAX_RECORD_BYTES: Final = 4_096
LATE_MS: Final = 5 * 3_600_000

CONTACT: Final = "cleartext-contact"
CUSTOMER: Final = "Ramona-Beispiel"
AGENT: Final = "agent-Iglesias"
PHONE: Final = "+34600123461"
NUMBER: Final = 34600987654
TEXT: Final = "private-words"
EXTENSION: Final = "desk-of-Iglesias"
MARKS: Final = (CONTACT, CUSTOMER, AGENT, EXTENSION, PHONE.lstrip("+"), str(NUMBER), TEXT)

MARKED: Final = {
    "contact": CONTACT,
    "interaction": CONTACT,
    "customer": CUSTOMER,
    "agent": AGENT,
    "to": EXTENSION,
    "topic": TEXT,
}
SHOWN: Final = {"queue": "sales", "channel": "voice", "segment": "gold", "source": "pbx"}
"""What is a label, because it names no person."""

PATHS: Final = (
    "/",
    "/queue?queue=sales&channel=voice",
    "/api/v1/floor",
    "/api/v1/floor/history",
    "/api/v1/queue?queue=sales&channel=voice",
    "/api/v1/queue?queue=unknown&channel=voice",
    "/api/v1/formulas",
    "/metrics",
    "/healthz",
    "/readyz",
    "/nothing",
)


class LoudWorker(RunningWorker):
    """A worker whose log says everything that it can."""

    command = (sys.executable, "-m", "tests.support.loud_worker")


class Sent(NamedTuple):
    """A record with a private key and header."""

    topic: str
    key: str
    value: bytes
    at_ms: int


# -- what is sent --------------------------------------------------------------------------------


def value_of(name: str, kind: inspect.Type) -> Any:
    """A value of *kind* for the field *name*; a mark, wherever there may be one."""
    if isinstance(kind, inspect.UnionType):
        kind = kind.types[0]
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    plain = {
        inspect.StrType: MARKED.get(name) or SHOWN.get(name) or f"{TEXT}-{PHONE}",
        inspect.IntType: 1,
        inspect.FloatType: 0.5,
        inspect.BoolType: True,
        inspect.VarTupleType: [SHOWN["queue"]],
        inspect.DictType: {"available": 1},
    }
    return plain[type(kind)]


def well_formed(kind: type[Event], number: int, at_ms: int) -> dict[str, Any]:
    """An event of *kind* with all the fields that it may have."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    fields = {
        field.name: value_of(field.name, field.type)
        for field in described.fields
        if field.name != "time"
    }
    names = {"contact": f"{CONTACT}-{number}", "id": f"{PHONE}-{number}"}
    known = {name: names[name] for name in fields.keys() & names}
    return {**fields, **known, "type": type_name(kind), "time": to_text(at_ms)}


def malformed(event: dict[str, Any]) -> Iterator[bytes]:
    """The event as it should not be, each time in another way."""
    for name, right in event.items():
        for wrong in ([TEXT, {PHONE: CUSTOMER}], {CUSTOMER: PHONE}, "", TEXT * 60, None):
            yield orjson.dumps({**event, name: wrong})
        if isinstance(right, str):
            yield orjson.dumps({**event, name: NUMBER})
        yield orjson.dumps({other: event[other] for other in event if other != name})
    written = orjson.dumps(event)
    yield written[: len(written) // 2]
    yield written + written
    yield written.replace(b'"', b"'")
    yield f"{CUSTOMER} {PHONE}".encode()
    yield orjson.dumps({**event, f"{CUSTOMER}-{TEXT}": TEXT})
    yield orjson.dumps({**event, "type": f"contact.{TEXT}"})
    yield orjson.dumps({**event, "customer": CUSTOMER * 1_000})
    yield orjson.dumps({**event, "time": "2199-01-01T00:00:00Z"})
    yield orjson.dumps({**event, "time": to_text(BEGINS_MS - LATE_MS)})
    yield orjson.dumps({**event, "sequence": 7})


def everything() -> Iterator[Sent]:
    """All event types, well-formed first, and then in every wrong way."""
    at_ms = BEGINS_MS
    for number, kind in enumerate(EVENT_TYPES):
        at_ms += 1_000
        topic = ("calls", "chats", "queues")[number % 3]
        event = well_formed(kind, number, at_ms)
        key = f"{CONTACT}-{PHONE}-{number}"
        yield Sent(topic, key, orjson.dumps(event), at_ms)
        yield Sent(topic, key, orjson.dumps(event), at_ms)
        for value in malformed(event):
            yield Sent(topic, key, value, at_ms)
    for number in range(20):
        # So that there is a floor: these wait, and are answered by somebody.
        for name in ("contact.offered", "contact.queued", "contact.rang", "contact.answered"):
            at_ms += 1_000
            fields = {"type": name, "id": f"{PHONE}-{name}-{number}", "time": to_text(at_ms)}
            contact = {"contact": f"{CONTACT}-floor-{number}", "agent": AGENT, "customer": CUSTOMER}
            value = orjson.dumps({**SHOWN, **fields, **contact})
            yield Sent("calls", f"{CONTACT}-floor-{number}", value, at_ms)


async def send(bootstrap: str, names: dict[str, str], records: list[Sent]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        under_way = [
            await producer.send(
                names[record.topic],
                record.value,
                key=record.key.encode(),
                timestamp_ms=record.at_ms,
                headers=[(CUSTOMER, PHONE.encode())],
            )
            for record in records
        ]
        await asyncio.gather(*under_way)


# -- what is to be seen --------------------------------------------------------------------------


class Record(NamedTuple):
    key: bytes
    headers: bytes
    value: bytes


async def records_of(bootstrap: str, places: list[TopicPartition]) -> list[Record]:
    found: list[Record] = []
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for polled in (await consumer.getmany(timeout_ms=500)).values():
                found += [
                    Record(
                        record.key or b"",
                        b"".join(name.encode() + value for name, value in record.headers),
                        record.value or b"",
                    )
                    for record in polled
                ]
    return found


@dataclass(frozen=True)
class Seen:
    """Everything that a worker has let anybody see, and the records of its own topics."""

    shown: dict[str, bytes]
    topics: dict[str, list[Record]]
    rejected: int


@pytest.fixture(scope="module")
def seen(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("privacy")
    name = f"privacy-{folder.name}"[:30]
    topics = {short: f"{name}.{short}" for short in ("calls", "chats", "queues")}
    settings = {
        "name": name,
        "bootstrap": kafka.bootstrap,
        "clock": "event",
        "topics": topics,
        "snapshot_every": "1s",
        "max_record_bytes": MAX_RECORD_BYTES,
        "policy": {"queues": {"sales": {"channels": {"voice": {}}}}},
    }
    path = settings_file(folder, settings)
    ensure_topics(load_settings(path, {}), 1, any_time=True)
    records = list(everything())
    asyncio.run(send(kafka.bootstrap, topics, records))
    shown: dict[str, bytes] = {}
    with LoudWorker(folder, settings) as worker:
        worker.wait_for_records(len(records))
        worker.wait_until(lambda: worker.get("/readyz").status == 200, "it was ready")
        for place in PATHS:
            shown[place] = worker.get(place).body
        shown["the live stream"] = worker.first_frame()
        worker.get(f"/api/v1/queue?queue={CUSTOMER}&channel={PHONE}")
        worker.get(f"/{CUSTOMER}")
        rejected = sum_of(parsed(worker.metrics()), "floorwatch_events_rejected_total")
        worker.stop()
        shown["the log"] = worker.log().encode()
    written = folder / "events.jsonl"
    written.write_bytes(b"\n".join(each.value for each in records if b"\n" not in each.value))
    for arguments in (
        ("check", str(written)),
        ("check", "--settings", str(path)),
        ("check", "--settings", str(path), "--state"),
        ("report", str(written)),
        ("report", "--by", "queue,channel,segment", "--format", "json", str(written)),
        ("report", "--settings", str(path), "--bootstrap", kafka.bootstrap, "--format", "csv"),
    ):
        ended = floorwatch(*arguments)
        shown[" ".join(arguments[:2])] = (ended.stdout + ended.stderr).encode()
    own = {}
    for short in ("rejected", "state", "floor"):
        [(topic, there)] = look(KafkaAccess(kafka.bootstrap), [f"{name}.{short}"]).topics.items()
        places = [TopicPartition(topic, number) for number in range(there.partitions)]
        own[short] = asyncio.run(records_of(kafka.bootstrap, places))
    return Seen(shown, own, rejected)


def marks_in(text: bytes) -> list[str]:
    return [mark for mark in MARKS if mark.encode() in text]


def test_nothing_that_is_shown_or_said_names_anybody(seen: Seen) -> None:
    found = {place: marks for place, text in seen.shown.items() if (marks := marks_in(text))}

    assert found == {}


def test_what_was_searched_says_what_it_should(seen: Seen) -> None:
    assert b" DEBUG " in seen.shown["the log"]
    assert b'queue="sales"' in seen.shown["/metrics"]
    assert b'"sales"' in seen.shown["/api/v1/floor"]
    assert b"sales" in seen.shown["report --by"]
    assert seen.rejected == len(seen.topics["rejected"]) > 1_000
    assert any(CUSTOMER.encode() in record.value for record in seen.topics["rejected"])
    assert any(CONTACT.encode() in record.value for record in seen.topics["state"])


def test_keys_and_headers_of_its_own_topics_name_nobody(seen: Seen) -> None:
    found = {
        (topic, *marks)
        for topic, records in seen.topics.items()
        for record in records
        if (marks := marks_in(record.key + b" " + record.headers))
    }

    assert found == set()


def test_what_is_said_of_the_floor_names_nobody(seen: Seen) -> None:
    found = {mark for record in seen.topics["floor"] for mark in marks_in(record.value)}

    assert found - {PHONE.lstrip("+")} == set()


def test_what_is_kept_knows_no_customer_and_no_agent(seen: Seen) -> None:
    kept = b"".join(record.value for record in seen.topics["state"])

    assert set(marks_in(kept)) <= {CONTACT, PHONE.lstrip("+"), EXTENSION}
