"""Records from a real Kafka into a sink, and what happens to that when something breaks."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.structs import ConsumerRecord

from streams import transport, worker
from streams.kafka_access import KafkaAccess
from streams.kafka_admin import BrokerUnreachable
from streams.local_kafka import LocalKafka
from streams.reader import TP, Record, Sink
from streams.topic_creation import create_topics
from streams.topic_identity import PartitionsChanged
from streams.topics import TopicMissing, remove_topics
from streams.transport import TransportOptions, create_app, health, positions, run
from tests.support.proxy import Proxy

from .conftest import NewTopics

PATIENCE_S = 60.0


class Notebook(Sink):
    """A sink that writes everything down."""

    def __init__(self, starts: Mapping[TP, int | None] | None = None) -> None:
        self.starts = starts or {}
        self.offsets: dict[TP, list[int]] = {}
        self.values: dict[TP, list[bytes | None]] = {}
        self.batches: list[int] = []
        self.kinds: set[type] = set()
        self.gaps: list[tuple[TP, int, int]] = []
        self.gone: list[tuple[TP, int, int]] = []
        self.anew: list[tuple[TP, int, int | None]] = []
        self.assignments: list[frozenset[TP]] = []
        self.farewells: list[frozenset[TP]] = []

    async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
        self.assignments.append(frozenset(tps))
        return self.starts

    async def revoked(self, tps: Collection[TP]) -> None:
        self.farewells.append(frozenset(tps))

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        self.offsets.setdefault(tp, []).extend(record.offset for record in batch)
        self.values.setdefault(tp, []).extend(record.value for record in batch)
        self.batches.append(len(batch))
        self.kinds.update(map(type, batch))

    def gap(self, tp: TP, expected: int, got: int) -> None:
        self.gaps.append((tp, expected, got))

    def missed(self, tp: TP, expected: int, got: int) -> None:
        self.gone.append((tp, expected, got))

    def recreated(self, tp: TP, topic_id: str, first: int, unread: int | None) -> None:
        self.anew.append((tp, first, unread))

    @property
    def count(self) -> int:
        return sum(map(len, self.offsets.values()))


class Failing(Notebook):
    """A sink with a bug that shows at one offset."""

    def __init__(self, at_offset: int) -> None:
        super().__init__()
        self.at_offset = at_offset

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        if batch[-1].offset >= self.at_offset:
            raise ZeroDivisionError("a bug of ours")
        super().records(tp, batch)


async def until(claim: object) -> None:
    """Wait until calling *claim* gives something true."""
    assert callable(claim)
    async with asyncio.timeout(PATIENCE_S):
        while not claim():  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.02)


@asynccontextmanager
async def reading(options: TransportOptions, sink: Sink) -> AsyncIterator[transport.App]:
    """Read in the background for as long as the block lasts."""
    app, stop = create_app(options, sink), asyncio.Event()
    running = asyncio.create_task(run(app, stop))
    try:
        yield app
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)


async def produce(kafka: LocalKafka, topic: str, values: Mapping[int, Sequence[bytes]]) -> None:
    """Write the values of each partition in their order."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=5) as producer:
        for partition, of_partition in values.items():
            for i, value in enumerate(of_partition):
                await producer.send(topic, value, partition=partition, timestamp_ms=1000 + i)


def numbered(count: int) -> list[bytes]:
    return [b"%d" % i for i in range(count)]


@pytest.fixture
def options(kafka: LocalKafka, unique: str) -> TransportOptions:
    return TransportOptions(
        name=unique, kafka=kafka.access, topics=(f"{unique}.calls", f"{unique}.queues")
    )


async def test_every_record_comes_once_and_in_the_order_of_its_partition(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 3, "queues": 1})
    sent = {0: numbered(5000), 1: numbered(700), 2: []}
    await produce(kafka, names["calls"], sent)
    await produce(kafka, names["queues"], {0: numbered(10)})
    sink = Notebook()

    async with reading(options, sink):
        await until(lambda: sink.count >= 5710)
        await produce(kafka, names["calls"], {2: numbered(3)})
        await until(lambda: sink.count >= 5713)

    assert sink.values == {
        TP(names["calls"], 0): numbered(5000),
        TP(names["calls"], 1): numbered(700),
        TP(names["calls"], 2): numbered(3),
        TP(names["queues"], 0): numbered(10),
    }
    assert sink.offsets[TP(names["calls"], 0)] == list(range(5000))
    assert sink.gaps == []


async def test_a_poll_brings_many_records_of_a_partition_at_once_but_never_more_than_the_limit(
    kafka: LocalKafka, new_topics: NewTopics, unique: str
) -> None:
    names = new_topics({"calls": 1})
    await produce(kafka, names["calls"], {0: numbered(1000)})
    sink = Notebook()
    options = TransportOptions(
        name=unique,
        kafka=kafka.access,
        topics=(names["calls"],),
        max_poll_records=100,
    )

    async with reading(options, sink):
        await until(lambda: sink.count == 1000)

    assert max(sink.batches) == 100
    assert len(sink.batches) < 100
    assert ConsumerRecord not in sink.kinds


async def test_each_partition_begins_where_the_sink_says(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 3, "queues": 1})
    await produce(kafka, names["calls"], dict.fromkeys(range(3), numbered(100)))
    calls = names["calls"]
    sink = Notebook({TP(calls, 0): 40, TP(calls, 1): None, TP(calls, 2): 100})

    async with reading(options, sink) as app:
        await until(lambda: sink.count == 160)
        assert positions(app)[TP(calls, 2)].next_offset == 100

    assert sink.offsets == {
        TP(calls, 0): list(range(40, 100)),
        TP(calls, 1): list(range(100)),
    }
    assert sink.assignments == [
        frozenset({TP(calls, 0), TP(calls, 1), TP(calls, 2), TP(names["queues"], 0)})
    ]
    assert sink.farewells == sink.assignments


async def test_a_start_that_is_not_there_any_more_is_a_gap_and_one_behind_the_end_another_log(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 3, "queues": 1})
    cut, short, empty = (TP(names["calls"], i) for i in range(3))
    await produce(kafka, names["calls"], dict.fromkeys(range(2), numbered(100)))
    await delete_before(kafka, cut, 60)
    sink = Notebook({cut: 40, short: 5000, empty: 7})

    async with reading(options, sink) as app:
        await until(lambda: sink.count == 140)
        assert positions(app)[empty].next_offset == 0

    assert sink.gone == [(cut, 40, 60)]
    assert sorted(sink.anew) == [(short, 0, None), (empty, 0, None)]
    assert sink.gaps == []
    assert sink.offsets == {cut: list(range(60, 100)), short: list(range(100))}


class Slow(Notebook):
    """A sink that has no room until it is told so."""

    def __init__(self) -> None:
        super().__init__()
        self.roomy = asyncio.Event()
        self.roomy.set()

    async def room(self) -> None:
        await self.roomy.wait()


async def test_what_is_removed_before_it_is_read_is_missed_and_reading_goes_on_behind_it(
    kafka: LocalKafka, new_topics: NewTopics, unique: str
) -> None:
    calls = TP(new_topics({"calls": 1})["calls"], 0)
    sink = Slow()
    options = TransportOptions(
        name=unique,
        kafka=kafka.access,
        topics=(calls.topic,),
        max_poll_records=10,
        max_partition_fetch_bytes=4_096,
    )

    async with reading(options, sink) as app:
        await produce(kafka, calls.topic, {0: numbered(10)})
        await until(lambda: sink.count == 10)
        sink.roomy.clear()
        await produce(kafka, calls.topic, {0: numbered(2_000)})
        await until(lambda: health(app).lag > 1_000)
        await delete_before(kafka, calls, 2_005)
        sink.roomy.set()
        await until(lambda: sink.offsets[calls][-1] == 2_009 and health(app).lag == 0)

    [(_, expected, got)] = sink.gone
    assert got == 2_005
    assert sink.offsets[calls] == [*range(expected), *range(2_005, 2_010)]
    assert sink.anew == []
    assert sink.gaps == []


class NeverRestoring(Notebook):
    """A sink that never says where to begin."""

    async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def test_a_worker_that_hangs_says_so_and_stops_all_the_same(
    kafka: LocalKafka,
    new_topics: NewTopics,
    options: TransportOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "STUCK_AFTER_S", 1.5)
    monkeypatch.setattr(worker, "UNSETTLED_AFTER_S", 1.5)
    names = new_topics({"calls": 1, "queues": 1})
    full, restoring = Slow(), NeverRestoring()
    full.roomy.clear()
    found = []
    for sink in (full, restoring):
        async with reading(options, sink) as app:
            await produce(kafka, names["calls"], {0: numbered(10)})
            await until(lambda app=app: worker.why_stuck(app))
            found.append(worker.why_stuck(app) or "")

    assert "no poll" in found[0] or "none read" in found[0]
    assert "no partitions assigned and restored" in found[1]


@pytest.mark.parametrize("again", [3, 100], ids=["shorter", "as long"])
async def test_a_topic_made_anew_is_read_from_its_beginning_however_far_it_has_grown(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions, again: int
) -> None:
    names = new_topics({"calls": 2, "queues": 1})
    calls, other = TP(names["calls"], 0), TP(names["calls"], 1)
    await produce(kafka, names["calls"], {0: numbered(50)})
    sink = Notebook()

    async with reading(options, sink) as app:
        await until(lambda: sink.count == 50)
        await asyncio.to_thread(remove_topics, kafka.access, [names["calls"]])
        await asyncio.to_thread(create_topics, kafka.access, {names["calls"]: 2})
        await produce(kafka, names["calls"], {0: [b"new %d" % i for i in range(again)]})
        last = b"new %d" % (again - 1)
        await until(lambda: last in sink.values[calls] and health(app).lag == 0)
        await until(lambda: other in {tp for tp, *_ in sink.anew} or len(sink.assignments) > 1)

    values = sink.values[calls]
    assert [value for value in dict.fromkeys(values) if value in numbered(50)] == numbered(50)
    new = [value for value in values if value not in numbered(50)]
    assert list(dict.fromkeys(new[-again:])) == [b"new %d" % i for i in range(again)]
    if len(sink.assignments) == 1:
        assert sorted(sink.anew) == [(calls, 0, 0), (other, 0, 0)]


async def test_another_number_of_partitions_stops_a_worker_with_what_to_do(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 1, "queues": 1})
    running = asyncio.create_task(run(create_app(options, Notebook()), asyncio.Event()))
    await asyncio.sleep(3.0)
    await add_partitions(kafka, names["calls"], 3)

    with pytest.raises(PartitionsChanged, match=r"3 partitions and had 1.*--accept-partitions 3"):
        await asyncio.wait_for(running, PATIENCE_S)


async def delete_before(kafka: LocalKafka, tp: TP, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(*tp): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def add_partitions(kafka: LocalKafka, topic: str, count: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(count)})
    finally:
        await admin.close()


async def test_a_partition_is_read_to_its_end_when_nothing_is_left_or_nothing_ever_was(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 2, "queues": 1})
    await produce(kafka, names["calls"], {0: numbered(10)})
    sink = Notebook()

    def settled() -> bool:
        known = positions(app)
        return len(known) == 3 and all(each.read_to_end for each in known.values())

    async with reading(options, sink) as app:
        assert positions(app) == {}
        await until(settled)
        busy = positions(app)[TP(names["calls"], 0)]
        assert (busy.next_offset, busy.end_offset, busy.last_timestamp_ms) == (10, 10, 1009)
        assert positions(app)[TP(names["queues"], 0)].last_timestamp_ms is None
        await until(lambda: positions(app)[TP(names["queues"], 0)].end_seen_at > busy.end_seen_at)
        watched = health(app)

    assert watched.lag == 0
    assert not watched.rebalancing
    assert watched.polled_at is not None
    assert watched.moved_at is not None
    assert watched.broker_answered_at is not None


async def test_the_marks_of_transactions_do_not_keep_a_partition_from_its_end(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions, unique: str
) -> None:
    names = new_topics({"calls": 1, "queues": 1})
    tp = TP(names["calls"], 0)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=unique)
    async with producer:
        for _ in range(2):
            async with producer.transaction():
                await producer.send_and_wait(names["calls"], b"x", partition=0)
    sink = Notebook()

    def at_the_end() -> bool:
        position = positions(app).get(tp)
        return position is not None and position.next_offset == 4 and position.read_to_end

    async with reading(options, sink) as app:
        await until(at_the_end)

    assert sink.offsets == {tp: [0, 2]}
    assert sink.gaps == [(tp, 1, 2), (tp, 3, 4)]


async def test_a_sink_that_raises_stops_the_worker_with_that_and_its_batch_is_not_passed(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 1, "queues": 1})
    await produce(kafka, names["calls"], {0: numbered(100)})
    sink = Failing(at_offset=0)
    app = create_app(options, sink)

    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        await asyncio.wait_for(run(app, asyncio.Event()), PATIENCE_S)

    assert sink.count == 0
    assert await committed(kafka, options.name, names["calls"]) in (None, 0)


async def test_a_sink_that_cannot_say_where_to_begin_stops_the_worker_with_that(
    new_topics: NewTopics, options: TransportOptions
) -> None:
    class Torn(Notebook):
        async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
            raise ZeroDivisionError("a torn snapshot")

    new_topics({"calls": 1, "queues": 1})

    with pytest.raises(ZeroDivisionError, match="a torn snapshot"):
        await asyncio.wait_for(run(create_app(options, Torn()), asyncio.Event()), PATIENCE_S)


async def test_kafka_is_told_how_far_the_sink_is(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 1, "queues": 1})
    await produce(kafka, names["calls"], {0: numbered(100)})
    sink = Notebook()

    async with reading(options, sink):
        await until(lambda: sink.count == 100)

    assert await committed(kafka, options.name, names["calls"]) == 100


async def test_what_kafka_was_told_does_not_decide_where_the_next_run_begins(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 1, "queues": 1})
    await produce(kafka, names["calls"], {0: numbered(100)})
    for _ in range(2):
        sink = Notebook()
        async with reading(options, sink):
            await until(lambda sink=sink: sink.count == 100)

        assert sink.offsets == {TP(names["calls"], 0): list(range(100))}


async def test_two_workers_share_the_partitions_and_the_one_left_takes_them_all(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 4, "queues": 2})
    sent = dict.fromkeys(range(4), numbered(50))
    await produce(kafka, names["calls"], sent)
    everything = {TP(names["calls"], i) for i in range(4)} | {
        TP(names["queues"], i) for i in range(2)
    }
    one, other = Notebook(), Notebook()

    async with reading(options, one) as first:
        await until(lambda: one.count == 200)
        async with reading(options, other) as second:
            await until(lambda: len(positions(first)) == len(positions(second)) == 3)
            assert set(positions(first)) | set(positions(second)) == everything
            await until(lambda: other.count >= 50)
        await until(lambda: len(positions(first)) == 6)
        await until(lambda: health(first).lag == 0)

    assert one.assignments[0] == one.assignments[-1] == everything
    assert one.farewells == one.assignments
    again = [each for each in other.offsets.values() if each]
    assert again == [list(range(50))] * len(again)


async def test_stopping_is_quick_at_any_moment(
    kafka: LocalKafka, new_topics: NewTopics, options: TransportOptions
) -> None:
    names = new_topics({"calls": 1, "queues": 1})
    await produce(kafka, names["calls"], {0: numbered(100)})
    for delay_s in (0.0, 0.3, 1.2):
        stop = asyncio.Event()
        running = asyncio.create_task(run(create_app(options, Notebook()), stop))
        await asyncio.sleep(delay_s)
        stop.set()
        await asyncio.wait_for(running, transport.STOP_WITHIN_S)


async def test_a_missing_topic_is_named_with_the_way_to_create_it(
    kafka: LocalKafka, new_topics: NewTopics, unique: str
) -> None:
    there = new_topics({"calls": 1})["calls"]
    options = TransportOptions(name=unique, kafka=kafka.access, topics=(there, f"{unique}.chats"))

    with pytest.raises(TopicMissing, match=rf"{unique}\.chats.*floorwatch create-topics"):
        await run(create_app(options, Notebook()), asyncio.Event())

    with pytest.raises(TopicMissing):  # the question did not create it
        await run(create_app(options, Notebook()), asyncio.Event())


async def test_an_address_where_no_kafka_answers_is_named(unique: str) -> None:
    options = TransportOptions(name=unique, kafka=KafkaAccess("127.0.0.1:1"), topics=("calls",))

    with pytest.raises(BrokerUnreachable, match=r"no Kafka answers at 127\.0\.0\.1:1;"):
        await run(create_app(options, Notebook()), asyncio.Event())


async def test_a_broker_that_goes_away_while_a_worker_starts_is_waited_for(
    kafka: LocalKafka, new_topics: NewTopics, unique: str
) -> None:
    topic = new_topics({"calls": 1})["calls"]
    await produce(kafka, topic, {0: numbered(3)})
    sink = Notebook()
    with Proxy() as proxy:
        options = TransportOptions(name=unique, kafka=KafkaAccess(proxy.bootstrap), topics=(topic,))
        app = create_app(options, sink)
        starting = asyncio.create_task(app.start())
        try:
            await asyncio.sleep(1.0)
            assert not starting.done()
            assert sink.count == 0

            proxy.target = int(kafka.bootstrap.rpartition(":")[2])
            await until(lambda: sink.count == 3)
        finally:
            await app.stop()
            starting.cancel()


async def test_a_worker_leaves_nothing_in_its_folder(
    kafka: LocalKafka,
    new_topics: NewTopics,
    options: TransportOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new_topics({"calls": 1, "queues": 1})
    monkeypatch.chdir(tmp_path)

    async with reading(options, Notebook()) as app:
        await until(lambda: positions(app))

    assert os.listdir(tmp_path) == []


async def committed(kafka: LocalKafka, group: str, topic: str) -> int | None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False
    )
    async with consumer:
        tp = TopicPartition(topic, 0)
        consumer.assign([tp])
        offset: int | None = await consumer.committed(tp)
        return offset
