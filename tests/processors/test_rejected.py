"""Rejected records wait until they are acknowledged, whatever the broker does."""

import asyncio
import hashlib
from typing import ClassVar

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError

from streams import rejected
from streams.kafka_access import KafkaAccess
from streams.reader import TP
from streams.rejected import KEPT_BYTES, RejectedRecords

CALLS_3 = TP("calls", 3)


class Broker:
    """Stands in for aiokafka's producer and the broker behind it."""

    written: ClassVar[list[tuple[bytes, bytes | None, dict[str, bytes]]]]
    takes_bytes: ClassVar[int]
    open: ClassVar[bool]
    connected: ClassVar[bool]
    producers: ClassVar[int]

    def __init__(self, **options: object) -> None:
        Broker.producers += 1

    async def start(self) -> None:
        if not Broker.connected:
            raise KafkaConnectionError

    async def stop(self) -> None:
        pass

    async def send_and_wait(
        self, topic: str, value: bytes | None, *, key: bytes, headers: list[tuple[str, bytes]]
    ) -> None:
        await asyncio.sleep(0)
        if not Broker.open:
            raise KafkaTimeoutError
        if len(value or b"") > Broker.takes_bytes:
            raise MessageSizeTooLargeError
        Broker.written.append((key, value, dict(headers)))


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    Broker.written, Broker.takes_bytes = [], 1 << 20
    Broker.open = Broker.connected = True
    Broker.producers = 0
    monkeypatch.setattr(rejected, "AIOKafkaProducer", Broker)
    monkeypatch.setattr(rejected, "RETRY_FROM_S", 0.001)
    monkeypatch.setattr(rejected, "RETRY_TO_S", 0.01)
    monkeypatch.setattr(rejected, "STOP_WITHIN_S", 0.05)


def some(max_records: int = 2_000, max_bytes: int = 1 << 20) -> RejectedRecords:
    records = RejectedRecords(
        KafkaAccess("127.0.0.1:1"),
        "floorwatch.rejected",
        max_records=max_records,
        max_bytes=max_bytes,
    )
    records.start()
    return records


async def flushed(records: RejectedRecords) -> None:
    await asyncio.wait_for(records.flush(), 5)


async def test_a_record_is_written_with_its_position_as_key_and_its_reason_and_time() -> None:
    records = some()

    records.put(CALLS_3, 42, "bad_time", b"{}", 936_000_000_000)
    await flushed(records)
    await records.stop()

    headers = {"reason": b"bad_time", "timestamp": b"936000000000"}
    assert Broker.written == [(b"calls-3-42", b"{}", headers)]
    assert (records.written, records.truncated, records.waiting) == (1, 0, 0)


async def test_a_tombstone_is_kept_as_one() -> None:
    records = some()

    records.put(CALLS_3, 42, "no_value", None, 0)
    await flushed(records)
    await records.stop()

    assert Broker.written[0][1] is None


async def test_without_rejected_records_nobody_connects() -> None:
    records = some()
    await records.room()
    await flushed(records)
    await asyncio.sleep(0.01)
    await records.stop()

    assert Broker.producers == 0


async def test_the_oldest_offset_not_acknowledged_is_known_for_each_partition() -> None:
    Broker.open = False
    records = some()
    for offset in (7, 5, 9):
        records.put(CALLS_3, offset, "bad_time", b"{}", 0)

    assert records.oldest(CALLS_3) == 5
    assert records.oldest(TP("calls", 4)) is None

    Broker.open = True
    await flushed(records)
    await records.stop()
    assert records.oldest(CALLS_3) is None


async def test_no_record_is_lost_while_the_broker_is_away_or_refuses() -> None:
    Broker.connected = Broker.open = False
    records = some()
    for offset in range(1200):
        records.put(CALLS_3, offset, "bad_time", b"%d" % offset, 0)
    await asyncio.sleep(0.02)
    Broker.connected = True
    await asyncio.sleep(0.02)
    Broker.open = True
    await flushed(records)
    await records.stop()

    assert {value for _, value, _ in Broker.written} == {b"%d" % i for i in range(1200)}
    assert records.written == 1200


async def test_there_is_no_room_beyond_the_limit_of_records_until_some_are_acknowledged() -> None:
    Broker.open = False
    records = some(max_records=10)
    for offset in range(9):
        records.put(CALLS_3, offset, "bad_time", b"{}", 0)
    await records.room()

    records.put(CALLS_3, 9, "bad_time", b"{}", 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(records.room(), 0.03)

    Broker.open = True
    await asyncio.wait_for(records.room(), 5)
    await records.stop()


async def test_there_is_no_room_beyond_the_limit_of_bytes() -> None:
    Broker.open = False
    records = some(max_bytes=100_000)
    records.put(CALLS_3, 0, "oversize", bytes(99_000), 0)
    await records.room()

    records.put(CALLS_3, 1, "oversize", bytes(1_000), 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(records.room(), 0.03)

    Broker.open = True
    await asyncio.wait_for(records.room(), 5)
    await records.stop()


async def test_of_a_value_that_is_refused_for_its_size_the_head_length_and_hash_are_kept() -> None:
    Broker.takes_bytes = 100_000
    value = bytes(range(256)) * 2_000
    records = some()

    records.put(CALLS_3, 42, "oversize", value, 0)
    records.put(CALLS_3, 43, "bad_time", b"{}", 0)
    await flushed(records)
    await records.stop()

    kept = {key: (kept, headers) for key, kept, headers in Broker.written}
    head, headers = kept[b"calls-3-42"]
    assert head == value[:KEPT_BYTES]
    assert headers["length"] == b"512000"
    assert headers["sha256"] == hashlib.sha256(value).hexdigest().encode()
    assert kept[b"calls-3-43"][0] == b"{}"
    assert (records.written, records.truncated) == (2, 1)


async def test_a_topic_that_takes_next_to_nothing_still_gets_length_and_hash() -> None:
    Broker.takes_bytes = 10
    records = some()

    records.put(CALLS_3, 42, "oversize", bytes(100_000), 0)
    await flushed(records)
    await records.stop()

    [(_, value, headers)] = Broker.written
    assert value == b""
    assert headers["length"] == b"100000"
    assert records.truncated == 1


async def test_stopping_does_not_wait_for_a_broker_that_is_away() -> None:
    Broker.open = False
    records = some()
    records.put(CALLS_3, 42, "bad_time", b"{}", 0)

    await asyncio.wait_for(records.stop(), 5)

    assert records.oldest(CALLS_3) == 42


async def test_a_bug_in_the_writing_reaches_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Broker, *args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Broker, "send_and_wait", broken)
    records = some(max_records=1)
    records.put(CALLS_3, 42, "bad_time", b"{}", 0)

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(records.room(), 5)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(records.flush(), 5)
