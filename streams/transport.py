"""Records from Kafka into the monitor, through Faust, one message per partition and poll.

Stock Faust spends about 45 us of bookkeeping on a message. Here a message is all that one poll
brought of one partition, so that this price is paid once for hundreds of records. But for a request
in `topic_identity` and the end of `own_producer`, this is the only module that touches what Faust
and aiokafka keep to themselves; `tests/processors` holds it to the releases that `pyproject.toml`
pins.

Four things are ours and not Faust's:

- The positions. The topics are declared without acks, so Faust keeps no books of offsets; the
  `Reader` does. Kafka is told the positions as telemetry, and nothing is ever read from there.
- The start. On every assignment the sink says at which offset each partition begins.
- The loop. Faust runs its Kafka client in a second thread. Here it runs in the loop of everyone
  else, because two threads of one interpreter spend their time handing its lock to each other.
- The records. aiokafka parses them in C and then copies each into a Python object of its own. The
  copy is left out.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeVar, cast

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from faust.app import BootStrategy as FaustBootStrategy
from faust.transport.drivers import aiokafka as driver
from faust.types import AppT, Message, StreamT
from faust.types.transports import TransportT
from mode import CrashingSupervisor, Service, get_logger
from mode.threads import ServiceThread, WorkerThread
from mode.utils.futures import maybe_async

from streams.backoff import Backoff
from streams.closing import close
from streams.kafka_access import KafkaAccess
from streams.kafka_admin import NotAllowed
from streams.prefetched import Prefetched
from streams.reader import TP, Batch, Position, Reader, Sink
from streams.topic_identity import (
    PartitionsChanged,
    TopicIdentity,
    identities,
    partitions_changed,
)
from streams.topics import require_topics

T = TypeVar("T")

log = logging.getLogger(__name__)
fausts_log = get_logger("faust")

POLL_EVERY_S: Final = 0.05
"""With no backlog. A poll of one record costs as much as one of a hundred."""

ENDS_EVERY_S: Final = 1.0
ENDS_WITHIN_S: Final = 5.0
DRAINED_WITHIN_S: Final = 2.0
"""For so long what the client holds of a former topic is read before its successor is."""

COMMIT_EVERY_S: Final = 5.0
COMMIT_WITHIN_S: Final = 2.0
STOP_WITHIN_S: Final = 8.0
CLIENT_RETRY_MS: Final = 500
METADATA_EVERY_MS: Final = 10_000
"""A group that formed while the broker was away shares out nothing until its leader looks again."""

MANY_PARTITIONS: Final = 100_000
"""Never reached: Faust holds the batches of one poll, and rests for a second at a full buffer."""

BEGIN_WITHIN_S: Final = 86_400.0
"""A sink may restore for as long as it takes: Faust's recovery ends for good at a timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """How to reach Kafka and how much to take at once.

    Attributes:
        name: the consumer group; two installations on one Kafka need two names.
        kafka: the way to Kafka.
        topics: the topics to read, at least one.
        instance_id: this worker's name in the group. A worker that comes back under the same name
            within `session_timeout_ms` finds its partitions waiting. None leaves the group at
            every stop.
        session_timeout_ms: how long a silent worker keeps its partitions.
        max_poll_records: the most records of one poll, and so the longest stretch for which the
            loop does nothing else.
        max_partition_fetch_bytes: what the broker may send of one partition at once; also the most
            that is read ahead of it.
        fetch_max_bytes: what the broker may send at once of all partitions.
        fetch_max_wait_ms: how long the broker may wait for new records of the partitions asked
            for. For so long can idle partitions keep a busy one from being asked for.
    """

    name: str
    kafka: KafkaAccess
    topics: tuple[str, ...]
    instance_id: str | None = None
    session_timeout_ms: int = 20_000
    max_poll_records: int = 2_000
    max_partition_fetch_bytes: int = 1 << 20
    fetch_max_bytes: int = 32 << 20
    fetch_max_wait_ms: int = 100


@dataclass(frozen=True, slots=True)
class Health:
    """What a watchdog needs. Instants are of the monotonic clock, in seconds; None is never.

    Attributes:
        polled_at: when a poll last came back, with records or without: every second or so, except
            in a rebalance, while the sink has no room, and for a worker without partitions.
        moved_at: when a batch last went through the sink.
        broker_answered_at: when the broker was last asked where the partitions end, and answered.
        rebalancing: whether the group is sharing out its partitions.
        unsettled_since: since when this worker has been without the partitions that are its own:
            while it joins its group, waits for the others or restores; None while it has them.
        behind_since: since when a partition has had something to read and none of it was read.
        lag: records written and not yet read.
    """

    polled_at: float | None
    moved_at: float | None
    broker_answered_at: float | None
    rebalancing: bool
    unsettled_since: float | None
    behind_since: float | None
    lag: int


class App(faust.App):
    """A Faust app that reads the topics of its *options* into its *sink*."""

    logger = fausts_log

    def __init__(self, options: TransportOptions, sink: Sink) -> None:
        self.options = options
        self.reader = Reader(sink)
        self.refused = asyncio.Event()
        self.refusal: Exception | None = None
        super().__init__(
            options.name,
            broker=[f"kafka://{address}" for address in options.kafka.bootstrap.split(",")],
            store="memory://",
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            stream_buffer_maxsize=MANY_PARTITIONS,
            stream_wait_empty=False,
            agent_supervisor=CrashingSupervisor,
            broker_request_timeout=BEGIN_WITHIN_S,
            broker_session_timeout=options.session_timeout_ms / 1000,
        )
        self.transport = _Transport(self.conf.broker_consumer, self)

    def refuse(self, why: Exception) -> None:
        """Have `run` end in good order and raise *why*: an operator's matter, and no crash."""
        self.refusal = why
        self.refused.set()

    class BootStrategy(FaustBootStrategy):
        """Starts no producer of Faust's: nothing is sent through it."""

        enable_kafka_producer = False

    async def on_stop(self) -> None:
        """Stop reading, then let go of the partitions while still in the group."""
        await super().on_stop()
        if isinstance(self._consumer, _Consumer):
            await self._consumer.release()

    def _create_directories(self) -> None:
        """Make none: nothing is kept in files."""


def create_app(options: TransportOptions, sink: Sink) -> App:
    """Build the Faust app that reads the topics of *options* into *sink*."""
    app = App(options, sink)

    async def processor(batches: StreamT[Batch]) -> None:
        """Pass every batch to the sink."""
        async for batch in batches:
            await app.reader.take(batch)

    topic = app.topic(*options.topics, schema=_AsItIs(), acks=False)
    app.agent(topic, name="processor")(processor)
    return app


def positions(app: App) -> dict[TP, Position]:
    """How far each partition of this worker is read; empty in a rebalance. Never blocks."""
    return app.reader.positions()


def health(app: App) -> Health:
    """What a watchdog needs to know now. Never blocks."""
    reader = app.reader
    return Health(
        polled_at=reader.polled_at,
        moved_at=reader.moved_at,
        broker_answered_at=reader.broker_answered_at,
        rebalancing=app.rebalancing,
        unsettled_since=reader.unsettled_since,
        behind_since=reader.behind_since,
        lag=reader.lag,
    )


async def run(app: App, stop: asyncio.Event) -> None:
    """Read until *stop* is set, then take leave of Kafka, within `STOP_WITHIN_S` seconds.

    Raises:
        TopicMissing: a topic to read is not there.
        NotAllowed: this user may not read one, or may not be in its group any more.
        BrokerUnreachable: no Kafka answers.
        PartitionsChanged: a topic has not as many partitions as its state was kept for.
        Exception: what the sink raised, or what the Kafka client could not mend.
    """
    options = app.options
    asyncio.get_running_loop().set_exception_handler(_on_loose_end)
    await asyncio.to_thread(require_topics, options.kafka, options.topics)
    starting = asyncio.ensure_future(app.start())
    stopping = asyncio.ensure_future(_any_of(stop, app.refused))
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await starting
            await app.wait_for_stopped(stopping)
    finally:
        stopping.cancel()
        starting.cancel()
        # A plain `wait_for` would cancel the stop at its timeout and then wait for it all the same.
        ending = asyncio.ensure_future(app.stop())
        await asyncio.wait({ending}, timeout=STOP_WITHIN_S)
        if ending.done():
            ending.result()
        else:
            log.error("not stopped within %.0f s; the rest is left as it is", STOP_WITHIN_S)
    if app.refusal is not None:
        raise app.refusal
    if app.crash_reason is not None:
        raise app.crash_reason


async def _any_of(*events: asyncio.Event) -> None:
    """Return when one of *events* is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


def _on_loose_end(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Leave alone what Kafka answers to a question that nobody waits for any more."""
    if isinstance(context.get("exception"), KafkaError):
        log.debug("too late: %r", context["exception"])
    else:
        loop.default_exception_handler(context)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set *stop* at the first SIGTERM or SIGINT; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def on_signal(number: signal.Signals) -> None:
        log.info("%s: stopping; a second one stops at once", number.name)
        stop.set()
        for each in signals:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    for each in signals:
        loop.add_signal_handler(each, on_signal, each)


class _AsItIs(faust.Schema[None, Batch]):
    """Hands a batch from the client to the processor."""

    def loads_key(self, app: AppT, message: Message, **kwargs: object) -> None:
        return None

    def loads_value(self, app: AppT, message: Message, **kwargs: object) -> Batch:
        return cast(Batch, message.value)


class _Consumer(driver.Consumer):
    """Faust's consumer, which begins where the sink says and lets go of everything at once."""

    logger = fausts_log
    app: App

    def _new_consumer_thread(self) -> "_Client":
        self.reader = self.app.reader
        self.reader.unsettled_since = monotonic()
        self.seeking = asyncio.Lock()
        self.releasing = asyncio.Lock()
        self.announced: frozenset[TP] = frozenset()
        self.topics: Mapping[str, TopicIdentity] = {}
        self.ids: dict[TP, str] = {}
        self.former_since: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.looking: asyncio.Future[None] | None = None
        self.asked_for: frozenset[TP] = frozenset()
        self.beginning: asyncio.Future[None] | None = None
        self.client = _Client(
            self, loop=self.loop, thread_loop=self.loop, Worker=_NoThread, beacon=self.beacon
        )
        return self.client

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.release()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.announced = frozenset(TP(*tp) for tp in assigned)
        if not assigned:
            self.reader.settle()
        await super().on_partitions_assigned(assigned, generation_id)

    async def release(self) -> None:
        """Read no more of any partition, and tell Kafka and the sink so."""
        async with self.releasing:
            await self._release()

    async def _release(self) -> None:
        try:
            await self.client.commit(self.reader.committable())
            self.reader.end()
            self.announced = frozenset()
            if self.beginning is not None and not self.beginning.done():
                self.beginning.cancel()
                await asyncio.wait({self.beginning})
            given_up, self.asked_for = self.asked_for, frozenset()
            if given_up:
                await self.reader.sink.revoked(given_up)
                log.info("let go of %s", _listed(given_up))
        except Exception as exc:
            await self.app.crash(exc)  # aiokafka logs what its listener raises, and goes on
            raise

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to where the sink begins, or go on from where a poll was thrown away.

        Faust calls it when the partitions of an assignment are settled, and after a poll that came
        back while reading was suspended. What it returns would go into Faust's own books.

        Raises:
            IllegalStateError: the next rebalance came in between, as Faust expects of a seek.
        """
        async with self.seeking:
            tps = self.announced
            if tps and tps == self.reader.owned:
                self.client.seek_all(self.reader.begin_again())
            elif tps:
                self.beginning = asyncio.ensure_future(self._begin(tps))
                try:
                    await self.beginning
                except PartitionsChanged as changed:
                    self.app.refuse(changed)
                    raise IllegalStateError("nothing is read") from None
                except asyncio.CancelledError:
                    if tps is self.announced:
                        raise
                    raise IllegalStateError("the partitions were taken away again") from None
        return {}

    async def _begin(self, tps: frozenset[TP]) -> None:
        self.asked_for = tps
        # Asked first: it must not be newer than the offsets it stands for.
        self.topics = await self.client.answered(self.client.topics)
        self.ids = {tp: self.id_of(tp) for tp in tps}
        wanted = await self.reader.sink.assigned(tps)
        asked_at = monotonic()
        firsts, ends = await self.client.answered(lambda: self.client.bounds(tps))
        starts = {}
        for tp in tps:
            start = wanted.get(tp)
            starts[tp] = firsts[tp] if start is None else start
            if start is None and firsts[tp] > 0:
                self.reader.sink.began(tp, firsts[tp])
            if not firsts[tp] <= starts[tp] <= ends[tp]:
                self._say_why_not(tp, starts[tp], firsts[tp], unread=None)
                starts[tp] = firsts[tp]
        self.client.seek_all(starts)
        self.reader.begin(starts, ends, asked_at)
        log.info("reading %s, %d records behind", _listed(tps), self.reader.lag)

    def id_of(self, tp: TP) -> str:
        """The id of the topic of *tp*, as last seen; empty if there is none."""
        topic = self.topics.get(tp.topic)
        return "" if topic is None else topic.id

    def _say_why_not(self, tp: TP, wanted: int, first: int, *, unread: int | None) -> None:
        """Tell the sink why the partition cannot be read from offset *wanted* on."""
        if wanted < first:
            self.reader.sink.missed(tp, wanted, first)
        else:
            self.reader.sink.recreated(tp, self.id_of(tp), first, unread)

    def former(self, polled: Collection[TP]) -> list[TP]:
        """The partitions that are still read as those of a topic that is no more.

        Nothing of them is under way, and they are not in *polled* unless it took too long: what the
        client had of the former topic has been read.
        """
        return [
            tp
            for tp in self.ids.keys() & self.reader.owned
            if (since := self.former_since.get(tp.topic)) is not None
            and self.ids[tp] != self.id_of(tp)
            and (tp not in polled or monotonic() - since > DRAINED_WITHIN_S)
        ]

    async def follow(self, tps: Collection[TP]) -> None:
        """Read *tps* from the beginning of the topic that has taken the place of the former one."""
        asked_at = monotonic()
        firsts, ends = await self.client.bounds(tps)
        for tp in tps:
            if tp in self.reader.owned:
                unread = self.reader.unread(tp)
                self.reader.sink.recreated(tp, self.id_of(tp), firsts[tp], unread)
                self._go_on(tp, firsts[tp], ends[tp], asked_at)

    async def find_again(self, tps: Collection[TP]) -> None:
        """Go on where it is possible: the broker has no record where *tps* were to be read on."""
        asked_at = monotonic()
        self.topics = await self.client.topics()
        firsts, ends = await self.client.bounds(tps)
        positions = self.reader.positions()
        for tp in tps:
            position = positions.get(tp)
            if position is None:
                continue
            offset, unread = position.next_offset, position.lag
            if self.ids[tp] != self.id_of(tp):
                self.reader.sink.recreated(tp, self.id_of(tp), firsts[tp], unread)
                offset = firsts[tp]
            elif not firsts[tp] <= offset <= ends[tp]:
                self._say_why_not(tp, offset, firsts[tp], unread=unread)
                offset = firsts[tp]
            self._go_on(tp, offset, ends[tp], asked_at)

    def _go_on(self, tp: TP, offset: int, end: int, asked_at: float) -> None:
        self.ids[tp] = self.id_of(tp)
        self.reader.move(tp, offset, end, asked_at)
        self.client.seek_all({tp: offset})

    async def verify_all_partitions_active(self) -> None:
        """Leave this to the watchdog, which `health` serves: Faust's looks for its own commits."""

    @Service.task
    async def _watch_the_ends(self) -> None:
        silent_since: float | None = None
        while not self.should_stop:
            await self.sleep(ENDS_EVERY_S)
            if not self.client.is_connected or self.client.should_stop:
                continue
            asked_at = monotonic()
            self.looking = asyncio.ensure_future(self._look_for_the_ends(asked_at))
            try:
                await asyncio.wait_for(self.looking, ENDS_WITHIN_S)
            except (KafkaError, TimeoutError) as exc:
                if silent_since is None and not self.should_stop:
                    silent_since = asked_at
                    log.warning("Kafka does not answer (%r); reading goes on when it does", exc)
            else:
                if silent_since is not None:
                    log.warning("Kafka answers again after %.0f s", monotonic() - silent_since)
                    silent_since = None

    async def look_no_more(self) -> None:
        """End a look that is under way."""
        looking, self.looking = self.looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait({looking})

    async def _look_for_the_ends(self, asked_at: float) -> None:
        ends: Mapping[TP, int] = {}
        with contextlib.suppress(UnknownTopicOrPartitionError):
            ends = await self.client.ends(tp for tp in self.reader.owned if tp.topic in self.topics)
        # Asked behind: where the topic is still the same, the ends were those of that one.
        await self._look_at_the_topics(asked_at)
        same = {tp: end for tp, end in ends.items() if self.ids.get(tp) == self.id_of(tp)}
        self.reader.note_ends(same, asked_at)
        for tp in self.reader.behind_with_nothing_to_do():
            self.reader.skip(tp, cast(int, await self.client.position(tp)))

    async def _look_at_the_topics(self, asked_at: float) -> None:
        before, self.topics = self.topics, await self.client.topics()
        for name, topic in self.topics.items():
            known = self.counts.setdefault(name, topic.partitions)
            if topic.partitions != known:
                self.app.refuse(partitions_changed(name, topic.partitions, known))
            if all(
                self.ids.get(tp, "") == topic.id for tp in self.reader.owned if tp.topic == name
            ):
                self.former_since.pop(name, None)
            elif before.get(name) == topic:  # seen twice: brokers may know it one after another
                self.former_since.setdefault(name, asked_at)

    @Service.task
    async def _tell_the_positions(self) -> None:
        while not self.should_stop:
            await self.sleep(COMMIT_EVERY_S)
            await self.client.commit(self.reader.committable())


class _Client(driver.AIOKafkaConsumerThread):
    """Faust's hold on the aiokafka consumer, without the thread."""

    logger = fausts_log
    app: App
    consumer: _Consumer
    aiokafka: AIOKafkaConsumer
    is_connected = False

    async def on_start(self) -> None:
        """Connect, as often as it takes: the broker that was there a moment ago may be away."""
        backoff = Backoff()
        while not self.should_stop:
            try:
                await super().on_start()
                self.aiokafka._fetcher._records = Prefetched()
                self.is_connected = True
                return
            except KafkaConnectionError as exc:
                log.warning("Kafka does not answer: %s", exc)
                await close(self.aiokafka)
                await self.sleep(backoff.failed())

    async def on_thread_stop(self) -> None:
        """Ask nothing more, or a connection is opened behind those that are closed."""
        await self.consumer.look_no_more()
        await self._join_no_more()
        await close(self.aiokafka)
        await super().on_thread_stop()

    async def _join_no_more(self) -> None:
        """End a join that is under way: it may last until every member's session is over."""
        coordinator = getattr(self._consumer, "_coordinator", None)
        joining = getattr(coordinator, "_coordination_task", None)
        if joining is not None and not joining.done():
            joining.cancel()
            await asyncio.wait({joining})

    def _create_worker_consumer(self, transport: TransportT) -> AIOKafkaConsumer:
        options = self.app.options
        self.aiokafka = AIOKafkaConsumer(
            client_id=options.name,
            group_id=options.name,
            group_instance_id=options.instance_id,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_poll_records=options.max_poll_records,
            max_partition_fetch_bytes=options.max_partition_fetch_bytes,
            fetch_max_bytes=options.fetch_max_bytes,
            fetch_max_wait_ms=options.fetch_max_wait_ms,
            session_timeout_ms=options.session_timeout_ms,
            heartbeat_interval_ms=max(1, options.session_timeout_ms // 10),
            retry_backoff_ms=CLIENT_RETRY_MS,
            metadata_max_age_ms=METADATA_EVERY_MS,
            **options.kafka.client,
        )
        return self.aiokafka

    async def call_thread(
        self, fun: Callable[..., Awaitable[Any]], *args: object, **kwargs: object
    ) -> object:
        return await maybe_async(fun(*args, **kwargs))

    async def getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109 - Faust's signature
    ) -> Mapping[TP, list[Batch]]:
        """Poll. Unlike Faust's way, aiokafka's own raises what its coordinator cannot mend."""
        reader = self.app.reader
        if not active_partitions or not await reader.through(timeout):
            return {}
        if reader.polled_to_end and reader.polled_at is not None:
            await asyncio.sleep(reader.polled_at + POLL_EVERY_S - monotonic())
        if not self.consumer.flow_active:
            return {}
        tps = _aiokafka_tps(active_partitions)
        try:
            polled = await self.aiokafka.getmany(*tps, timeout_ms=int(timeout * 1000))
        except OffsetOutOfRangeError as exc:
            await self._mend(self.consumer.find_again([TP(*tp) for tp in exc.args[0]]))
            return {}
        except NoOffsetForPartitionError:  # asked for before the seek, which settled it
            await asyncio.sleep(POLL_EVERY_S)
            return {}
        except KafkaError as exc:
            self._pause_or_end(exc)
            await asyncio.sleep(timeout)
            return {}
        former = self.consumer.former(polled)
        batches = reader.batches({tp: of_tp for tp, of_tp in polled.items() if tp not in former})
        if former:
            await self._mend(self.consumer.follow(former))
        return batches

    def _pause_or_end(self, exc: KafkaError) -> None:
        """Say that reading pauses, or raise *exc* if it is nothing that goes by."""
        if isinstance(exc, GroupAuthorizationFailedError):  # aiokafka does not join it again
            self.app.refuse(NotAllowed(f"Kafka does not allow this user to be in its group: {exc}"))
        elif exc.retriable or isinstance(exc, TopicAuthorizationFailedError):
            log.warning("reading pauses: %s", exc)
        else:
            raise exc

    async def _mend(self, finding: Awaitable[None]) -> None:
        """Find out where to go on; what is in vain is tried again at the next poll."""
        try:
            await asyncio.wait_for(finding, ENDS_WITHIN_S)
        except (KafkaError, OSError, TimeoutError) as exc:
            log.warning("where to read on is not known yet: %r", exc)
            await asyncio.sleep(CLIENT_RETRY_MS / 1000)

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        """Tell Kafka the positions, for those who watch the lag there. A failure is no harm."""
        if not offsets:
            return False
        committed = {TopicPartition(*tp): offset for tp, offset in offsets.items()}
        try:
            await asyncio.wait_for(self.aiokafka.commit(committed), COMMIT_WITHIN_S)
        except (KafkaError, TimeoutError) as exc:
            log.debug("Kafka was not told the positions: %r", exc)
            return False
        return True

    def seek_all(self, offsets: Mapping[TP, int]) -> None:
        """Have the next poll begin at *offsets*."""
        for tp, offset in offsets.items():
            self.aiokafka.seek(TopicPartition(*tp), offset)

    async def ends(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Where partitions end: the offset of the next record to be written."""
        return cast(Mapping[TP, int], await self.aiokafka.end_offsets(_aiokafka_tps(tps)))

    async def topics(self) -> Mapping[str, TopicIdentity]:
        """Which of the topics to read are there."""
        return await identities(self.aiokafka._client, self.app.options.topics)

    async def bounds(self, tps: Iterable[TP]) -> tuple[Mapping[TP, int], Mapping[TP, int]]:
        """The first offsets that are still there, and the ends."""
        firsts = await self.aiokafka.beginning_offsets(_aiokafka_tps(tps))
        return firsts, await self.ends(tps)

    async def answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the broker says to *ask*, which is asked anew until it answers.

        After `ENDS_WITHIN_S` too: aiokafka waits up to 40 seconds for an answer over a connection
        that broke while the process stood still.
        """
        backoff = Backoff()
        while True:
            try:
                return await asyncio.wait_for(ask(), ENDS_WITHIN_S)
            except (KafkaError, TimeoutError) as exc:
                log.warning("Kafka does not say where the partitions begin and end: %r", exc)
            await backoff.wait()

    def on_crash(self, msg: str, *fmt: object, **kwargs: object) -> None:
        log.error("the Kafka client ended: %s", msg.format(*fmt))

    async def _gather_remaining_tasks(self) -> None:
        """Leave the loop's other tasks alone: a thread of its own would have none but its own."""


class _NoThread(WorkerThread):
    """Runs a service in the present loop that mode would give a thread and a loop of its own."""

    def __init__(self, service: ServiceThread) -> None:
        self.service = service

    def start(self) -> None:
        """Run the service. When it fails, `Service.crash` tells everyone before its task ends."""
        self.task = asyncio.get_running_loop().create_task(self.service._serve())
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def stop(self) -> None:
        """Join nothing: the service has ended before mode asks for it."""


def _listed(tps: Iterable[TP]) -> str:
    by_topic: dict[str, list[str]] = {}
    for tp in sorted(tps):
        by_topic.setdefault(tp.topic, []).append(str(tp.partition))
    return " ".join(f"{topic}[{','.join(of_topic)}]" for topic, of_topic in by_topic.items())


def _aiokafka_tps(tps: Iterable[TP]) -> list[TopicPartition]:
    return [TopicPartition(*tp) for tp in tps]


class _Transport(driver.Transport):
    Consumer = _Consumer
