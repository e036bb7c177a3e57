"""The worker: Kafka to core to screens, put together.

Once a second the partitions are told how late it is, merged into one floor, and the floor becomes
the document of the API, the frame of the walls and the text of `/metrics`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import platform
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import orjson
import uvloop
from aiohttp import web

from streams.core.contact import Limits
from streams.core.document import floor_document, wall_document
from streams.core.floor import Floor, FloorMerger, Share
from streams.core.partition import Partition
from streams.exposition import Exposition, Pipeline
from streams.processors.records import Records
from streams.reader import TP, Position
from streams.rejected import SPARE_BYTES, RejectedRecords
from streams.settings import Settings
from streams.topics import (
    BrokerUnreachable,
    TopicMissing,
    ensure_rejected_topic,
    rejected_topic,
)
from streams.transport import (
    App,
    TransportOptions,
    create_app,
    health,
    positions,
    require_topics,
    run,
    stop_on_signals,
)
from streams.web import create_web

log = logging.getLogger(__name__)

BEHIND_MS: Final = 10_000
"""A partition whose last record is older than this, and that is not read to its end, is behind."""

END_KNOWN_FOR_S: Final = 3.0
"""How long what the broker last said of the end of a partition is taken for true."""

STUCK_AFTER_S: Final = 60.0
EVERY_S: Final = 1.0
EXIT_UNREACHABLE: Final = 3


def wall_clock_ms() -> int:
    """The machine's clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Shown:
    """One floor and what has been made of it."""

    floor: Floor
    document: dict[str, Any]
    frame: bytes
    metrics: bytes | None = None


class FloorKeeper:
    """Keeps the floor up to date and hands it to the web (`streams.web.FloorSource`)."""

    def __init__(
        self,
        settings: Settings,
        records: Records,
        *,
        read: Callable[[], Mapping[TP, Position]],
        stuck: Callable[[], str | None] = lambda: None,
        clock_ms: Callable[[], int] = wall_clock_ms,
        uptime_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._records = records
        self._read = read
        self._stuck = stuck
        self._clock_ms = clock_ms
        self._uptime_s = uptime_s
        self._merger = FloorMerger(
            settings.policy,
            every_ms=settings.tick_ms,
            max_queues=settings.max_queues,
            intervals_ms=settings.source_intervals_ms,
        )
        self._exposition = Exposition(
            settings.policy, metric_windows=settings.metric_windows, version=version("floorwatch")
        )
        self._ready = False
        self._now_ms = 0
        self._shown = self._look()

    def turn(self) -> None:
        """Let time pass to now, merge the partitions and show the floor anew."""
        self._shown = self._look()

    def _look(self) -> Shown:
        read = self._read()
        now_ms = self._now(read)
        shares = []
        for tp, partition in list(self._records.partitions.items()):
            position = read.get(tp)
            to_end = position is not None and self._is_at_its_end(position)
            reached_ms = max(partition.arrival_ms, partition.now_ms)
            behind = not to_end and now_ms - reached_ms > BEHIND_MS
            if to_end:
                partition.advance(now_ms)
            # Event time runs with what is read, so only the end says that all has been read.
            if to_end or (self._settings.clock == "wall" and position and not behind):
                self._records.begun.discard(tp)
            is_new = tp in self._records.begun
            shares.append(Share(partition, catching_up=behind, is_new=is_new))
        all_caught_up = bool(read) and not any(share.is_new for share in shares)
        if all_caught_up and not self._ready:
            self._ready = True
            log.info("caught up: the floor is shown")
        floor = self._merger.merge(shares, now_ms)
        document = floor_document(
            floor,
            self._settings.policy,
            name=self._settings.name,
            clock=self._settings.clock,
            ready=self._ready,
        )
        return Shown(floor, document, orjson.dumps(wall_document(document)))

    def _is_at_its_end(self, position: Position) -> bool:
        """Whether all has been read, as far as the broker has said so lately."""
        asked_s = self._uptime_s() - position.end_seen_at
        return position.read_to_end and asked_s <= END_KNOWN_FOR_S

    def _lag_s(self, position: Position | None, partition: Partition, now_ms: int) -> float:
        if position is not None and self._is_at_its_end(position):
            return 0.0
        return max(0, now_ms - partition.arrival_ms) / 1000 if partition.arrival_ms else 0.0

    def _now(self, read: Mapping[TP, Position]) -> int:
        """Now by the wall, or the highest event time; it does not run backwards."""
        if self._settings.clock == "wall":
            now_ms = self._clock_ms()
        else:
            partitions = self._records.partitions.values()
            now_ms = max((partition.latest_ms for partition in partitions), default=0)
        self._now_ms = max(self._now_ms, now_ms)
        return self._now_ms

    # -- FloorSource ------------------------------------------------------------------------

    def floor(self) -> dict[str, Any]:
        """The whole floor document."""
        return self._shown.document

    def frame(self) -> bytes:
        """The document of a wall, encoded."""
        return self._shown.frame

    def metrics(self) -> bytes:
        """The exposition of the floor shown, written once however often it is asked for."""
        shown = self._shown
        if shown.metrics is None:
            shown.metrics = self._exposition.render(
                shown.floor,
                self._pipeline(),
                show_floor=self._ready and not shown.floor.begins_anew,
            )
        return shown.metrics

    def is_ready(self) -> bool:
        """Whether every partition has been caught up with once; it stays so."""
        return self._ready

    def health(self) -> str | None:
        """None while records are polled, else what is wrong."""
        return self._stuck()

    def _pipeline(self) -> Pipeline:
        records = self._records
        read = self._read()
        now_ms = self._now_ms
        parts = records.partitions
        ignored: dict[tuple[str, str], int] = {}
        late: dict[str, int] = {}
        unmatched: dict[str, int] = {}
        duplicates: dict[str, int] = {}
        conflicting: dict[str, int] = {}
        for tp, partition in parts.items():
            late[tp.topic] = late.get(tp.topic, 0) + partition.late
            unmatched[tp.topic] = unmatched.get(tp.topic, 0) + partition.unmatched_outcomes
            for reason, count in partition.ignored.items():
                key = (tp.topic, reason)
                ignored[key] = ignored.get(key, 0) + count
            _add(duplicates, partition.duplicates)
            _add(conflicting, partition.conflicting)
        return Pipeline(
            events_total=records.events(),
            rejected=dict(records.rejected),
            shortened=records.shortened,
            duplicates=duplicates,
            conflicting=conflicting,
            late=late,
            ignored=ignored,
            unknown_fields=records.unknown_fields(),
            unmatched=unmatched,
            lag_records={(tp.topic, tp.partition): place.lag for tp, place in read.items()},
            event_lag_s={
                (tp.topic, tp.partition): self._lag_s(read.get(tp), partition, now_ms)
                for tp, partition in parts.items()
            },
            floor_partial=self._shown.floor.catching_up,
        )


def _add(mine: dict[str, int], theirs: Mapping[str, int]) -> None:
    for name, count in theirs.items():
        mine[name] = mine.get(name, 0) + count


def new_partition(settings: Settings) -> Partition:
    """The empty state of one partition under *settings*."""
    return Partition(
        settings.policy,
        limits=Limits(
            settings.rest_ms, settings.allowed_lateness_ms, settings.max_events_per_contact
        ),
        every_ms=settings.tick_ms,
        max_tallies=settings.max_queues,
        max_contacts=settings.max_contacts,
    )


def transport_options(settings: Settings) -> TransportOptions:
    """How to reach Kafka under *settings*."""
    return TransportOptions(
        name=settings.name,
        bootstrap=settings.bootstrap,
        topics=settings.topics.in_use(),
        instance_id=settings.instance_id,
        session_timeout_ms=settings.session_timeout_ms,
    )


def why_stuck(app: App) -> str | None:
    """None while records are polled; else what has stopped, while the broker still answers."""
    state = health(app)
    now = time.monotonic()
    answered = (
        state.broker_answered_at is not None and now - state.broker_answered_at < EVERY_S * 10
    )
    if state.rebalancing or not answered:
        return None
    if state.polled_at is not None and now - state.polled_at > STUCK_AFTER_S:
        return f"no poll for {now - state.polled_at:.0f} s while the broker answers"
    if state.behind_since is not None and now - state.behind_since > STUCK_AFTER_S:
        return f"{state.lag} records behind and none read for {now - state.behind_since:.0f} s"
    return None


async def _keep_turning(keeper: FloorKeeper) -> None:
    """Turn the floor at every whole second."""
    while True:
        await asyncio.sleep(EVERY_S - time.time() % EVERY_S)
        keeper.turn()


@contextlib.asynccontextmanager
async def _serving(keeper: FloorKeeper, settings: Settings) -> AsyncIterator[None]:
    runner = web.AppRunner(create_web(keeper), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        addresses = ", ".join(f"http://{host}:{port}/" for host, port, *_ in runner.addresses)
        log.info("wallboard at %s", addresses)
        yield
    finally:
        await runner.cleanup()


async def work(settings: Settings) -> None:
    """Run one worker until a signal stops it.

    Raises:
        TopicMissing: a source topic, or the one for rejected records, is not there.
        BrokerUnreachable: no Kafka answers.
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    options = transport_options(settings)
    await require_topics(options.bootstrap, options.topics, options.security)
    await asyncio.to_thread(ensure_rejected_topic, settings)
    rejections = RejectedRecords(
        settings.bootstrap,
        rejected_topic(settings),
        source_max_bytes=max(settings.max_record_bytes, (1 << 20) - SPARE_BYTES),
    )
    records = Records(
        lambda: new_partition(settings), rejections, max_record_bytes=settings.max_record_bytes
    )
    app = create_app(options, records)
    keeper = FloorKeeper(
        settings, records, read=lambda: positions(app), stuck=lambda: why_stuck(app)
    )
    rejections.start()
    async with _serving(keeper, settings):
        turning = asyncio.create_task(_keep_turning(keeper))
        running = asyncio.create_task(run(app, stop))
        try:
            await asyncio.wait({turning, running}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await running
            if turning.done():
                turning.result()
        finally:
            turning.cancel()
            await rejections.stop()


def run_worker(settings: Settings) -> int:
    """Run a worker; the exit code: 0 stopped, 3 no broker, topic or free port."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("faust", "mode"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # While a broker is away aiokafka says so many times a second; the transport says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # What a partition remembers is many small objects that live for hours and form no cycles.
    gc.set_threshold(100_000, 20, 100)
    log.info("floorwatch %s on Python %s", version("floorwatch"), platform.python_version())
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(settings))
    except (BrokerUnreachable, TopicMissing) as error:
        log.error("%s", error)  # the operator's fault: one line
        return EXIT_UNREACHABLE
    except OSError as error:
        if error.errno is None:
            raise
        log.error("cannot listen on %s:%d (%s)", settings.host, settings.port, error.strerror)
        return EXIT_UNREACHABLE
    return 0
