"""How partitions are taken on and given up, whatever comes in between."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic

import pytest
from aiokafka.errors import IllegalStateError

from streams import transport
from streams.kafka_access import KafkaAccess
from streams.reader import TP, Record, Sink
from streams.topic_identity import TopicIdentity
from streams.transport import App, TransportOptions, _Consumer, create_app

CALLS_0 = TP("calls", 0)
CALLS_1 = TP("calls", 1)


class Restoring(Sink):
    """A sink that takes its time, and writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.restored = asyncio.Event()
        self.fails = False
        self.offset: int | None = 5

    async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
        self.told.append("assigned")
        try:
            await self.restored.wait()
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise
        if self.fails:
            raise ZeroDivisionError("cannot restore")
        self.told.append("restored")
        return dict.fromkeys(tps, self.offset)

    async def revoked(self, tps: Collection[TP]) -> None:
        self.told.append(f"revoked {len(tps)}")
        if self.fails:
            raise ZeroDivisionError("cannot let go")

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        raise NotImplementedError

    def missed(self, tp: TP, expected: int, got: int) -> None:
        self.told.append(f"missed {expected} to {got}")

    def began(self, tp: TP, first: int) -> None:
        self.told.append(f"began at {first}")

    def recreated(self, tp: TP, topic_id: str, first: int, unread: int | None) -> None:
        self.told.append(f"recreated as {topic_id} from {first}, {unread} unread")


class Client:
    """Stands in for the Kafka client of a consumer."""

    def __init__(self) -> None:
        self.seeks: list[Mapping[TP, int]] = []
        self.commits: list[Mapping[TP, int]] = []
        self.topic_id = "one"
        self.first = 0
        self.end = 10

    async def topics(self) -> Mapping[str, TopicIdentity]:
        return {"calls": TopicIdentity(self.topic_id, 2)}

    async def ends(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        return dict.fromkeys(tps, self.end)

    async def position(self, tp: TP) -> int:
        return self.seeks[-1][tp]

    async def answered(self, ask: Callable[[], Awaitable[object]]) -> object:
        return await ask()

    async def bounds(self, tps: Iterable[TP]) -> tuple[Mapping[TP, int], Mapping[TP, int]]:
        return dict.fromkeys(tps, self.first), dict.fromkeys(tps, self.end)

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        self.commits.append(dict(offsets))
        return True

    def seek_all(self, offsets: Mapping[TP, int]) -> None:
        self.seeks.append(dict(offsets))


@pytest.fixture
async def sink() -> Restoring:
    return Restoring()


@pytest.fixture
async def app(sink: Restoring) -> App:
    app = create_app(
        TransportOptions(name="assignments", kafka=KafkaAccess("127.0.0.1:1"), topics=("calls",)),
        sink,
    )
    app.finalize()
    return app


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
async def consumer(app: App, client: Client, monkeypatch: pytest.MonkeyPatch) -> _Consumer:
    consumer = app.consumer
    assert isinstance(consumer, _Consumer)
    monkeypatch.setattr(consumer, "client", client)
    return consumer


async def test_an_assignment_asks_the_sink_then_seeks_then_reads(
    app: App, sink: Restoring, consumer: _Consumer, client: Client
) -> None:
    consumer.announced = frozenset({CALLS_0, CALLS_1})
    seeking = asyncio.create_task(consumer.seek_to_committed())
    await asyncio.sleep(0)
    assert app.reader.owned == frozenset()

    sink.restored.set()
    await seeking

    assert client.seeks == [{CALLS_0: 5, CALLS_1: 5}]
    assert app.reader.owned == {CALLS_0, CALLS_1}


async def test_a_second_seek_of_the_same_assignment_does_not_ask_the_sink_again(
    sink: Restoring, consumer: _Consumer, client: Client
) -> None:
    consumer.announced = frozenset({CALLS_0})
    sink.restored.set()
    await asyncio.gather(consumer.seek_to_committed(), consumer.seek_to_committed())

    assert sink.told == ["assigned", "restored"]
    assert client.seeks == [{CALLS_0: 5}, {CALLS_0: 5}]


async def test_a_rebalance_in_the_middle_of_a_restore_ends_it_before_the_farewell(
    app: App, sink: Restoring, consumer: _Consumer, client: Client
) -> None:
    consumer.announced = frozenset({CALLS_0})
    seeking = asyncio.create_task(consumer.seek_to_committed())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await consumer.release()

    assert sink.told == ["assigned", "cancelled", "revoked 1"]
    with pytest.raises(IllegalStateError):
        await seeking
    assert app.reader.owned == frozenset()
    assert client.seeks == []


async def test_letting_go_tells_kafka_first_and_the_sink_only_of_what_it_was_asked_for(
    sink: Restoring, consumer: _Consumer, client: Client
) -> None:
    await consumer.release()
    assert sink.told == []

    consumer.announced = frozenset({CALLS_0})
    sink.restored.set()
    await consumer.seek_to_committed()
    await consumer.release()
    await consumer.release()

    assert sink.told == ["assigned", "restored", "revoked 1"]
    assert client.commits == [{}, {CALLS_0: 5}, {}]


async def test_a_worker_without_partitions_seeks_nothing(
    consumer: _Consumer, client: Client
) -> None:
    assert await consumer.seek_to_committed() == {}
    assert client.seeks == []


@pytest.mark.parametrize(
    ("offset", "first", "end", "told", "start"),
    [
        (None, 7, 10, ["began at 7"], 7),
        (None, 0, 10, [], 0),
        (5, 7, 10, ["missed 5 to 7"], 7),
        (5, 0, 3, ["recreated as one from 0, None unread"], 0),
    ],
    ids=["anew, and the first are gone", "anew", "removed", "fallen back"],
)
async def test_the_sink_is_told_where_its_partition_does_not_begin_as_it_said(
    sink: Restoring,
    consumer: _Consumer,
    client: Client,
    offset: int | None,
    first: int,
    end: int,
    told: list[str],
    start: int,
) -> None:
    sink.offset, client.first, client.end = offset, first, end
    consumer.announced = frozenset({CALLS_0})
    sink.restored.set()

    await consumer.seek_to_committed()

    assert sink.told == ["assigned", "restored", *told]
    assert client.seeks == [{CALLS_0: start}]


async def test_a_sink_that_cannot_restore_fails_the_seek(
    sink: Restoring, consumer: _Consumer
) -> None:
    consumer.announced = frozenset({CALLS_0})
    sink.fails = True
    sink.restored.set()

    with pytest.raises(ZeroDivisionError, match="cannot restore"):
        await consumer.seek_to_committed()


async def test_a_sink_that_cannot_let_go_stops_the_worker(
    app: App, sink: Restoring, consumer: _Consumer
) -> None:
    consumer.announced = frozenset({CALLS_0})
    sink.restored.set()
    await consumer.seek_to_committed()
    sink.fails = True

    with pytest.raises(ZeroDivisionError, match="cannot let go"):
        await consumer.release()

    assert isinstance(app.crash_reason, ZeroDivisionError)


@pytest.fixture
async def reading(app: App, sink: Restoring, consumer: _Consumer) -> _Consumer:
    """A consumer that reads one partition from offset 5 on; it ends at 10."""
    consumer.announced = frozenset({CALLS_0})
    sink.restored.set()
    await consumer.seek_to_committed()
    sink.told.clear()
    return consumer


async def look(consumer: _Consumer) -> None:
    await consumer._look_for_the_ends(monotonic())


async def test_a_topic_of_another_id_is_followed_from_its_beginning_though_the_offset_is_there(
    app: App, sink: Restoring, reading: _Consumer, client: Client
) -> None:
    client.topic_id, client.end = "two", 20
    await look(reading)
    seen_once = reading.former([])
    await look(reading)
    seen_twice = reading.former([])
    await reading.follow(seen_twice)
    await look(reading)

    assert (seen_once, seen_twice) == ([], [CALLS_0])
    assert sink.told == ["recreated as two from 0, 5 unread"]
    assert client.seeks[-1] == {CALLS_0: 0}
    assert app.reader.positions()[CALLS_0].next_offset == 0
    assert app.reader.lag == 20
    assert reading.former([]) == []


async def test_what_the_client_still_has_of_a_former_topic_is_read_first_unless_it_takes_too_long(
    reading: _Consumer, client: Client
) -> None:
    client.topic_id = "two"
    for _ in range(2):
        await look(reading)
    while_it_comes = reading.former([CALLS_0])
    reading.former_since["calls"] -= 3

    assert while_it_comes == []
    assert reading.former([CALLS_0]) == [CALLS_0]


async def test_the_end_of_another_topic_is_not_taken_for_that_of_the_one_that_is_read(
    app: App, reading: _Consumer, client: Client
) -> None:
    client.topic_id, client.end = "two", 3
    await look(reading)

    assert app.reader.positions()[CALLS_0].end_offset == 10
    assert not app.reader.positions()[CALLS_0].read_to_end


async def test_the_same_topic_is_never_followed(reading: _Consumer, client: Client) -> None:
    for _ in range(3):
        await look(reading)

    assert reading.former([]) == []


@pytest.mark.parametrize(
    ("first", "end", "topic_id", "told", "offset"),
    [
        (8, 10, "one", ["missed 5 to 8"], 8),
        (0, 3, "one", ["recreated as one from 0, 5 unread"], 0),
        (0, 20, "two", ["recreated as two from 0, 5 unread"], 0),
        (0, 20, "one", [], 5),
    ],
    ids=["removed", "fallen back", "another topic", "it was there after all"],
)
async def test_where_the_broker_has_no_record_to_read_on_from_the_reason_decides(
    app: App,
    sink: Restoring,
    reading: _Consumer,
    client: Client,
    first: int,
    end: int,
    topic_id: str,
    told: list[str],
    offset: int,
) -> None:
    client.first, client.end, client.topic_id = first, end, topic_id

    await reading.find_again([CALLS_0, CALLS_1])

    assert sink.told == told
    assert client.seeks[-1] == {CALLS_0: offset}
    assert app.reader.positions()[CALLS_0].next_offset == offset
    assert app.reader.positions()[CALLS_0].end_offset == end


async def test_a_question_that_the_broker_leaves_open_is_asked_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    monkeypatch.setattr(transport, "ENDS_WITHIN_S", 0.05)
    assert isinstance(app.consumer, _Consumer)

    async def ask() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.sleep(3_600)
        return "the answer"

    answer = await asyncio.wait_for(app.consumer.client.answered(ask), timeout=60)

    assert (answer, asked) == ("the answer", 2)
