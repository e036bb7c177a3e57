"""What `streams.transport` takes for granted about the releases of Faust and aiokafka it is for.

When one of these fails after an upgrade, read `streams/transport.py` (and `prefetched.py` for what
was read ahead, `own_producer.py` for the producer) beside the new release before anything else: the
numbers of the monitor rest on it.
"""

import asyncio
import inspect
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.producer.sender import Sender
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer, ConsumerThread, ThreadDelegateConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport
from mode import CrashingSupervisor
from mode.threads import ServiceThread, WorkerThread

from streams import transport
from streams.kafka_access import KafkaAccess
from streams.reader import TP, Record, Sink
from streams.transport import TransportOptions, create_app

PROJECT = Path(__file__).parents[2]
CALLS_0 = TP("calls", 0)
CALLS_1 = TP("calls", 1)


class Seen(Sink):
    """A sink that keeps the offsets of every batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[TP, list[int]]] = []

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        self.batches.append((tp, [record.offset for record in batch]))


def an_app(sink: Sink) -> transport.App:
    return create_app(
        TransportOptions(name="contract", kafka=KafkaAccess("127.0.0.1:1"), topics=("calls",)), sink
    )


def at(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=offset, timestamp=offset, key=None) for offset in offsets]


async def test_the_installed_releases_are_the_pinned_ones() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))

    for name in ("faust-streaming", "aiokafka"):
        assert f"{name}=={version(name)}" in project["project"]["dependencies"]
    assert version("mode-streaming") == "0.7.1"


OVERRIDDEN: list[tuple[type, str, str]] = [
    (faust.App, "_create_directories", "(self) -> None"),
    (faust.App, "on_stop", "(self) -> None"),
    (Consumer, "on_partitions_revoked", "(self, revoked: Set[faust.types.tuples.TP]) -> None"),
    (
        Consumer,
        "on_partitions_assigned",
        "(self, assigned: Set[faust.types.tuples.TP], generation_id: int = 0) -> None",
    ),
    (Consumer, "seek_to_committed", "(self) -> Mapping[faust.types.tuples.TP, int]"),
    (Consumer, "verify_all_partitions_active", "(self) -> None"),
    (
        ConsumerThread,
        "getmany",
        "(self, active_partitions: Optional[Set[faust.types.tuples.TP]], timeout: float)"
        " -> Mapping[faust.types.tuples.TP, List[Any]]",
    ),
    (ConsumerThread, "commit", "(self, tps: Mapping[faust.types.tuples.TP, int]) -> bool"),
    (
        AIOKafkaConsumerThread,
        "_create_worker_consumer",
        "(self, transport: 'Transport') -> aiokafka.consumer.consumer.AIOKafkaConsumer",
    ),
    (AIOKafkaConsumerThread, "on_start", "(self) -> None"),
    (
        AIOKafkaConsumerThread,
        "call_thread",
        "(self, fun: Callable[..., collections.abc.Awaitable], *args: Any, **kwargs: Any) -> Any",
    ),
    (ServiceThread, "_serve", "(self) -> None"),
    (ServiceThread, "_gather_remaining_tasks", "(self) -> None"),
    (ServiceThread, "on_crash", "(self, msg: str, *fmt: Any, **kwargs: Any) -> None"),
    (WorkerThread, "stop", "(self) -> None"),
    (fetcher.PartitionRecords, "_consumer_record", "(self, tp, record)"),
]


@pytest.mark.parametrize(
    ("owner", "name", "signature"), OVERRIDDEN, ids=lambda each: getattr(each, "__name__", each)
)
def test_what_is_overridden_is_there_and_takes_the_same_arguments(
    owner: type, name: str, signature: str
) -> None:
    assert str(inspect.signature(getattr(owner, name))) == signature


def test_a_consumer_makes_its_own_thread_and_a_transport_its_own_consumer() -> None:
    assert "self._new_consumer_thread()" in inspect.getsource(ThreadDelegateConsumer.__init__)
    assert "self.Consumer(self," in inspect.getsource(Transport.create_consumer)


async def drained(app: transport.App, polls: Sequence[Mapping[TP, Sequence[Any]]]) -> Any:
    """Run *polls* through Faust's own loop, conductor and stream into the processor."""
    app.finalize()
    consumer: Any = app.consumer
    tps = {CALLS_0, CALLS_1}
    remaining = list(polls)
    stopped = asyncio.Event()

    async def getmany(active_partitions: object, timeout: float) -> object:  # noqa: ASYNC109
        if remaining:
            return app.reader.batches(remaining.pop(0))
        stopped.set()
        return {}

    consumer.client.getmany = getmany
    consumer.client.highwater = lambda tp: 0
    app.sensors.add(app.monitor)
    app.reader.begin(dict.fromkeys(tps, 0), dict.fromkeys(tps, 0), 0.0)
    await app.agents.start()
    conductor: Any = app.topics
    await conductor._update_indices()
    await conductor.on_partitions_assigned(tps)
    consumer._set_active_tps(tps)
    app.flow_control.resume()
    consumer.resume_flow()
    await consumer._drain_messages(SimpleNamespace(_stopped=stopped))
    await asyncio.sleep(0.05)
    await app.agents.stop()
    return consumer


async def test_the_processor_gets_one_message_for_each_partition_of_a_poll() -> None:
    sink = Seen()

    await drained(an_app(sink), [{CALLS_0: at(0, 1, 2), CALLS_1: at(0)}, {CALLS_0: at(3)}])

    assert sorted(sink.batches) == [(CALLS_0, [0, 1, 2]), (CALLS_0, [3]), (CALLS_1, [0])]


async def test_every_batch_of_a_long_backlog_arrives_though_the_buffer_is_short() -> None:
    sink = Seen()
    polls = [{CALLS_0: at(2 * i, 2 * i + 1), CALLS_1: at(i)} for i in range(300)]

    await drained(an_app(sink), polls)

    assert len(sink.batches) == 600
    of_one = [offset for tp, offsets in sink.batches if tp == CALLS_0 for offset in offsets]
    assert of_one == list(range(600))


async def test_without_acks_faust_keeps_no_books_that_could_grow_or_be_committed() -> None:
    polls = [{CALLS_0: at(10 * i, 10 * i + 1)} for i in range(100)]
    consumer = await drained(an_app(Seen()), polls)

    assert dict(consumer._acked) == {}
    assert dict(consumer._gap) == {}
    assert len(consumer.unacked) == 0
    assert await consumer.commit() is False


async def test_offsets_that_fall_back_are_not_dropped_on_their_way() -> None:
    sink = Seen()

    await drained(an_app(sink), [{CALLS_0: at(0, 1, 2)}, {CALLS_0: at(0, 1)}])

    assert sink.batches == [(CALLS_0, [0, 1, 2]), (CALLS_0, [0, 1])]


async def test_a_seek_leaves_fausts_own_idea_of_the_positions_alone() -> None:
    consumer = await drained(an_app(Seen()), [{CALLS_0: at(0)}])
    read, committed = dict(consumer._read_offset), dict(consumer._committed_offset)

    await consumer.perform_seek()

    assert (dict(consumer._read_offset), dict(consumer._committed_offset)) == (read, committed)


def test_faust_still_commits_past_a_message_in_flight_which_is_why_it_may_not() -> None:
    tp = CALLS_0
    stock: Any = SimpleNamespace(
        _acked={tp: [2586, 2587, 2588, 2589]},
        _acked_index={tp: {2586, 2587, 2588, 2589}},
        _gap=defaultdict(list),
        _committed_offset={tp: 2585},
    )

    assert Consumer._new_offset(stock, tp) == 2590


def test_faust_seeks_through_the_hook_before_it_lets_records_flow() -> None:
    source = inspect.getsource(Recovery._resume_streams)

    assert 0 < source.index("consumer.perform_seek()") < source.index("resume_flow()")
    assert "self.seek_to_committed()" in inspect.getsource(Consumer.perform_seek)


def test_a_seek_may_take_as_long_as_a_restore_does() -> None:
    assert "timeout=self.app.conf.broker_request_timeout" in inspect.getsource(
        Recovery._resume_streams
    )
    assert an_app(Seen()).conf.broker_request_timeout == transport.BEGIN_WITHIN_S


def test_an_agent_that_fails_is_not_started_again() -> None:
    conf: Any = an_app(Seen()).conf
    assert conf.agent_supervisor is CrashingSupervisor
    assert "_stopped.set()" in inspect.getsource(CrashingSupervisor.wakeup)


async def test_polling_raises_what_the_group_coordinator_cannot_mend() -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")

    def refuse() -> None:
        raise GroupAuthorizationFailedError("contract")

    consumer._coordinator = SimpleNamespace(check_errors=refuse)
    with pytest.raises(GroupAuthorizationFailedError):
        await consumer.getmany()
    consumer._closed = True


def test_aiokafka_keeps_what_it_read_ahead_where_it_is_looked_for() -> None:
    source = inspect.getsource(fetcher.Fetcher)

    assert "self._records = collections.OrderedDict()" in source
    assert "self._records[tp] = FetchResult(" in source
    assert source.count("self._records = ") == 1


def test_mode_starts_a_service_through_its_worker_alone() -> None:
    source = inspect.getsource(ServiceThread.start)

    assert "self._thread = self.Worker(self)" in source
    assert "self._thread.start()" in source
    assert "self.service._start_thread()" in inspect.getsource(WorkerThread.run)
    assert "self._serve()" in inspect.getsource(ServiceThread._start_thread)


async def test_a_producer_keeps_what_its_end_needs_where_it_is_looked_for() -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", enable_idempotence=True)

    assert producer._sender.sender_task is None
    assert producer._message_accumulator._batches == {}
    assert producer._message_accumulator._pending_batches == set()
    assert str(inspect.signature(MessageAccumulator._pop_batch)) == "(self, tp)"
    assert "del self._batches[tp]" in inspect.getsource(MessageAccumulator._pop_batch)
    assert str(inspect.signature(MessageBatch.failure)) == "(self, exception)"
    assert "except asyncio.CancelledError" in inspect.getsource(Sender._sender_routine)
    await producer.stop()
