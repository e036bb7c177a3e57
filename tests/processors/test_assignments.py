"""How partitions are taken on and given up, whatever comes in between."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

import pytest
from aiokafka.errors import IllegalStateError

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
        return dict.fromkeys(tps, 5)

    async def revoked(self, tps: Collection[TP]) -> None:
        self.told.append(f"revoked {len(tps)}")
        if self.fails:
            raise ZeroDivisionError("cannot let go")

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        raise NotImplementedError


class Client:
    """Stands in for the Kafka client of a consumer."""

    def __init__(self) -> None:
        self.seeks: list[Mapping[TP, int]] = []
        self.commits: list[Mapping[TP, int]] = []

    async def topics(self) -> Mapping[str, TopicIdentity]:
        return {"calls": TopicIdentity("one", 2)}

    async def answered(self, ask: Callable[[], Awaitable[object]]) -> object:
        return await ask()

    async def bounds(self, tps: Iterable[TP]) -> tuple[Mapping[TP, int], Mapping[TP, int]]:
        return dict.fromkeys(tps, 0), dict.fromkeys(tps, 10)

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
        TransportOptions(name="assignments", bootstrap="127.0.0.1:1", topics=("calls",)), sink
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
