"""The worker: Kafka to core to screens, put together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import platform
import sys
import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any, Final, NamedTuple
from uuid import uuid4

import uvloop

from streams.alert_watch import AlertWatch
from streams.core.contact import Limits
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.pseudonyms import Pseudonyms
from streams.core.snapshot import Restorer
from streams.floor_exchange import EVERY_S, FloorExchange
from streams.floor_keeper import FloorKeeper
from streams.http_settings import refuse_open_surfaces
from streams.kafka_access import KafkaAccess, kafka_access
from streams.kafka_admin import BrokerUnreachable, NotAllowed
from streams.kafka_rights import require_rights, rights_of_worker, watch_rights
from streams.policy_reload import PolicyReload, PolicySetAnew
from streams.processors.records import Records
from streams.reader import TP
from streams.rejected import SPARE_BYTES, RejectedRecords
from streams.settings import Settings
from streams.snapshots import Snapshots
from streams.starting import StoppedBefore, aside, unless_stopped
from streams.state_log import StateLog
from streams.topic_identity import PartitionsChanged
from streams.topics import (
    TopicMissing,
    ensure_own_topics,
    floor_topic,
    rejected_topic,
    require_topics,
    state_topic,
)
from streams.transport import (
    App,
    TransportOptions,
    create_app,
    health,
    positions,
    run,
    stop_on_signals,
)
from streams.web import create_web
from streams.web_access import Access
from streams.web_headers import hardening
from streams.web_server import listening, room_for_connections
from streams.web_tls import Certificate, certificate_of

log = logging.getLogger(__name__)

STUCK_AFTER_S: Final = 60.0
UNSETTLED_AFTER_S: Final = 300.0
"""Longer than a group waits for its slowest member and a worker for its largest state."""

CLAIM_AGAIN_PER_SESSION: Final = 4
"""A member that the group has put out learns it with its next heartbeat, of ten in a session."""

GC_THRESHOLDS: Final = (100_000, 20, 100)
"""What a partition remembers is many small objects that live for hours and form no cycles."""

EXIT_UNREACHABLE: Final = 3
EXIT_PARTITIONS_CHANGED: Final = 4
EXIT_POLICY_SET_ANEW: Final = 5


def partition_options(settings: Settings) -> dict[str, Any]:
    """What a partition needs to know of *settings* besides the policy."""
    return {
        "limits": Limits(
            settings.rest_ms, settings.allowed_lateness_ms, settings.max_events_per_contact
        ),
        "every_ms": settings.tick_ms,
        "max_tallies": settings.max_queues,
        "max_contacts": settings.max_contacts,
        "pseudonyms": Pseudonyms(settings.identity_key or settings.name.encode()),
    }


def new_partition(settings: Settings, policies: PolicyBook | None = None) -> Partition:
    """The empty state of one partition under *settings*, and other *policies* than theirs."""
    return Partition(policies or settings.policy, **partition_options(settings))


def transport_options(settings: Settings, kafka: KafkaAccess) -> TransportOptions:
    """What to read from *kafka* under *settings*."""
    return TransportOptions(
        name=settings.name,
        kafka=kafka,
        topics=settings.topics.in_use(),
        instance_id=settings.instance_id,
        session_timeout_ms=settings.session_timeout_ms,
    )


def why_stuck(app: App) -> str | None:
    """None while records are polled; else what has stopped, while the broker still answers.

    Faust and aiokafka are known to hang in a rejoin, in a restore, and in polls that fetch nothing;
    none of these ends by itself, and a restart loses nothing.
    """
    state = health(app)
    now = time.monotonic()
    answered = (
        state.broker_answered_at is not None and now - state.broker_answered_at < EVERY_S * 10
    )
    if not answered:
        return None
    if state.unsettled_since is not None and now - state.unsettled_since > UNSETTLED_AFTER_S:
        return f"no partitions assigned and restored for {now - state.unsettled_since:.0f} s"
    if state.rebalancing:
        return None
    if state.polled_at is not None and now - state.polled_at > STUCK_AFTER_S:
        return f"no poll for {now - state.polled_at:.0f} s while the broker answers"
    if state.behind_since is not None and now - state.behind_since > STUCK_AFTER_S:
        return f"{state.lag} records behind and none read for {now - state.behind_since:.0f} s"
    return None


class CannotListen(RuntimeError):
    """The worker's port cannot be had."""


@contextlib.asynccontextmanager
async def _serving(keeper: FloorKeeper, settings: Settings, door: Door) -> AsyncIterator[None]:
    headers = hardening(settings.http.frame_ancestors)
    app = create_web(keeper, access=door.access, headers=headers, name=settings.name)
    port = listening(
        app,
        settings.host,
        settings.port,
        headers=headers,
        certificate=door.certificate,
        limits=room_for_connections(),
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            addresses = await stack.enter_async_context(port)
        except OSError as error:
            raise CannotListen(
                f"cannot listen on {settings.host}:{settings.port} ({_why_not(error)}); `port` in "
                "the settings, or FLOORWATCH_PORT, names another"
            ) from error
        log.info("wallboard at %s", ", ".join(addresses))
        yield


def _why_not(error: OSError) -> str | None:
    """What the system says; the loop's own words repeat the address."""
    number = error.errno or 0
    return os.strerror(number).lower() if number > 0 else error.strerror


class Door(NamedTuple):
    """Who may come in, and over what."""

    access: Access
    certificate: Certificate | None


def door_of(settings: Settings) -> Door:
    """What the worker's port needs from files.

    Raises:
        BadSetting: one of them cannot be used, or others than this machine could see something
            without a token and nobody said that they may.
    """
    refuse_open_surfaces(settings.http, settings.host)
    return Door(Access(settings.http), certificate_of(settings.http))


async def work(
    settings: Settings, door: Door, *, accept_partitions: int | None = None, rebuild: bool = False
) -> None:
    """Run one worker until a signal stops it.

    Args:
        settings: what to read and how.
        door: of its port.
        accept_partitions: number of partitions that a source topic may have been changed to.
        rebuild: begin anew instead of with the snapshots that are there.

    Raises:
        PartitionsChanged: a source topic has another number of partitions than before.
        PolicySetAnew: another worker has set the policy anew.
        TopicMissing: a source topic, or the one for rejected records, is not there.
        NotAllowed: this user has not all rights that a worker needs.
        BrokerUnreachable: no Kafka answers, or it lets nobody in.
        CannotListen: somebody has the port, or the address is none of this machine's.
        BadSetting: a file of the settings `kafka` cannot be used.
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    with contextlib.suppress(StoppedBefore):
        await _work(settings, door, stop, accept_partitions, rebuild)


async def _work(
    settings: Settings,
    door: Door,
    stop: asyncio.Event,
    accept_partitions: int | None,
    rebuild: bool,
) -> None:
    kafka, rights = kafka_access(settings), rights_of_worker(settings)
    await unless_stopped(stop, require_rights(kafka, rights))
    sources = await unless_stopped(
        stop, aside(lambda: require_topics(kafka, settings.topics.in_use()))
    )
    await unless_stopped(stop, aside(lambda: ensure_own_topics(settings)))
    rejections = RejectedRecords(
        kafka,
        rejected_topic(settings),
        source_max_bytes=max(settings.max_record_bytes, (1 << 20) - SPARE_BYTES),
    )
    state = StateLog(
        kafka,
        state_topic(settings),
        uuid4().hex,
        announce=lambda epochs: exchange.announce(epochs),  # noqa: PLW0108 # made below
    )
    snapshots = Snapshots(
        state,
        new=lambda: new_partition(settings, policy.book),
        restorer=lambda parts: Restorer(parts, policy.book, **partition_options(settings)),
        policies=lambda: policy.book,
        every_s=settings.snapshot_every_ms / 1000,
        seen_epoch=lambda tp: exchange.epoch(tp),  # noqa: PLW0108 # made below
        claim_again_after_s=settings.session_timeout_ms / 1000 / CLAIM_AGAIN_PER_SESSION,
        accept_partitions=accept_partitions,
        rebuild=rebuild,
    )
    exchange = FloorExchange(
        kafka,
        floor_topic(settings),
        owned_epoch=snapshots.epoch,
        has_snapshot=snapshots.is_written,
    )
    records = Records(
        snapshots,
        rejections,
        max_record_bytes=settings.max_record_bytes,
        unread=lambda tp: app.reader.unread(tp),  # noqa: PLW0108 # made below
    )
    app = create_app(transport_options(settings, kafka), records)
    alerts = None if settings.alertmanager is None else AlertWatch(settings.alertmanager)
    keeper = FloorKeeper(
        settings,
        records,
        read=lambda: positions(app),
        epoch=exchange.speaks_in,
        stuck=lambda: why_stuck(app),
        kept=snapshots,
        alerting=lambda: None if alerts is None else alerts.alerting(),
        policy=lambda: policy,
    )
    policy = PolicyReload(
        settings.policy,
        settings.policy_file,
        exchange.policy,
        counted_until_ms=keeper.counted_until_ms,
        met=keeper.met,
    )

    def adopt(policies: PolicyBook) -> None:
        for partition in records.partitions.values():
            partition.take_policy(policies)
        keeper.take_policy(policies)

    keeper.expect(
        [
            TP(name, number)
            for name, topic in sources.topics.items()
            for number in range(topic.partitions)
        ]
    )
    rejections.start()
    async with _serving(keeper, settings, door):
        beside = [asyncio.create_task(exchange.read())]
        try:
            await unless_stopped(stop, exchange.caught_up(), beside[0])
            await exchange.hand_over(keeper)
            await unless_stopped(stop, policy.begin(rebuild=rebuild), beside[0])
            adopt(policy.book)
            beside.append(asyncio.create_task(policy.watch(adopt)))
            beside.append(asyncio.create_task(exchange.run(keeper)))
            beside.append(asyncio.create_task(snapshots.keep(records)))
            beside.append(asyncio.create_task(watch_rights(kafka, rights)))
            if alerts is not None:
                beside.append(asyncio.create_task(alerts.watch()))
            running = asyncio.create_task(run(app, stop))
            await asyncio.wait({*beside, running}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await running
            for ended in beside:
                if ended.done():
                    ended.result()
        except NotAllowed:
            await require_rights(kafka, rights)  # which names them all
            raise
        finally:
            for task in beside:
                task.cancel()
            await exchange.stop()
            await state.stop()
            await rejections.stop()


def run_worker(
    settings: Settings, *, accept_partitions: int | None = None, rebuild: bool = False
) -> int:
    """Run a worker and give its exit code.

    0 stopped, 3 no broker, right, topic or free port, 4 other partitions, 5 another policy by
    --rebuild.

    `accept_partitions` and `rebuild` as in `work`.

    Raises:
        BadSetting: as in `door_of`.
    """
    door = door_of(settings)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("faust", "mode"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # While a broker is away aiokafka says so many times a second; the transport says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    gc.set_threshold(*GC_THRESHOLDS)
    log.info("floorwatch %s on Python %s", version("floorwatch"), platform.python_version())
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(settings, door, accept_partitions=accept_partitions, rebuild=rebuild))
    except (BrokerUnreachable, NotAllowed, TopicMissing, CannotListen) as error:
        log.error("%s", error)  # the operator's fault: one line
        return EXIT_UNREACHABLE
    except PartitionsChanged as error:
        log.error("%s", error)
        return EXIT_PARTITIONS_CHANGED
    except PolicySetAnew as error:
        log.error("%s", error)
        return EXIT_POLICY_SET_ANEW
    return 0
