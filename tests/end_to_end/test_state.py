"""State on a real Kafka: who owns a partition, and what its next owner finds."""

import asyncio
import gc
import itertools
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from streams import snapshots
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.snapshot import Restorer
from streams.floor_exchange import FloorExchange
from streams.kafka_access import kafka_access
from streams.ledger import (
    Ledger,
    Manifest,
    Missed,
    manifest_key,
    of_partitions,
    part_key,
    read_key,
    write_manifest,
)
from streams.local_kafka import LocalKafka
from streams.reader import TP
from streams.settings import Settings, Topics
from streams.snapshots import Held, Snapshots
from streams.state_log import StateLog
from streams.topic_creation import create_topics
from streams.topic_identity import PartitionsChanged
from streams.topics import ensure_own_topics, floor_topic, remove_topics, state_topic
from tests.support.commands import floorwatch
from tests.support.core_events import call, net, tell
from tests.support.running import settings_file

NAMES = (f"state-{number}" for number in itertools.count())


class AtOffset:
    """A source of which so much is in the state; nothing of it was rejected."""

    def __init__(self) -> None:
        self.offsets: dict[TP, int] = {}
        self.log = ""
        self.unread = 0
        self.unacknowledged: set[TP] = set()

    def next_offset(self, tp: TP) -> int | None:
        return self.offsets.get(tp)

    def rejected_of(self, tp: TP) -> Mapping[str, int]:
        return {"future": 3}

    def log_of(self, tp: TP) -> str:
        return self.log

    def unread_of(self, tp: TP) -> int:
        return self.unread

    def missed_of(self, tp: TP) -> Missed:
        return Missed(records=7, since_ms=1, until_ms=2)

    def is_acknowledged(self, tp: TP, offset: int) -> bool:
        return tp not in self.unacknowledged


class Member:
    """A worker as far as its state goes."""

    def __init__(self, settings: Settings, name: str, **options: object) -> None:
        self.exchange = FloorExchange(
            kafka_access(settings),
            floor_topic(settings),
            owned_epoch=lambda tp: self.snapshots.epoch(tp),  # noqa: PLW0108 # made below
            has_snapshot=lambda tp: self.snapshots.is_written(tp),  # noqa: PLW0108 # made below
        )
        self.log = StateLog(
            kafka_access(settings), state_topic(settings), name, announce=self.exchange.announce
        )
        self.source = AtOffset()
        self.restorers: list[Restorer] = []
        self.snapshots = Snapshots(
            self.log,
            restorer=self._restorer,
            policies=PolicyBook,
            every_s=0.0,
            claim_again_after_s=0.5,
            **{  # type: ignore[arg-type]
                "new": lambda: Partition(PolicyBook(), block_contacts=4),
                "seen_epoch": self.exchange.epoch,
                **options,
            },
        )

    def _restorer(self, parts: dict[str, bytes]) -> Restorer:
        self.restorers.append(Restorer(parts, PolicyBook(), block_contacts=4))
        return self.restorers[-1]

    async def owns(self, tp: TP) -> Held:
        """Take *tp* over."""
        return (await self.snapshots.take_over([tp]))[tp]

    async def writes(self, tp: TP, offset: int) -> None:
        """Write a snapshot at *offset*, and no more."""
        self.source.offsets[tp] = offset
        await self.snapshots.let_go([tp], self.source)


@pytest.fixture
def settings(kafka: LocalKafka) -> Settings:
    name = next(NAMES)
    topics = Topics(calls=f"{name}.calls", chats=None, queues=None)
    settings = Settings(name=name, bootstrap=kafka.bootstrap, topics=topics)
    create_topics(kafka.access, {f"{name}.calls": 2})
    ensure_own_topics(settings)
    return settings


@pytest.fixture
async def member(settings: Settings) -> AsyncIterator[Callable[..., Member]]:
    """Makes members of the installation."""
    made: list[Member] = []

    def make(name: str, **options: object) -> Member:
        made.append(Member(settings, name, **options))
        return made[-1]

    yield make
    for each in made:
        await each.log.stop()
        await each.exchange.stop()


@pytest.fixture
def calls(settings: Settings) -> TP:
    return TP(f"{settings.name}.calls", 1)


async def left(settings: Settings) -> dict[bytes, bytes | None]:
    """What compaction leaves of the state topic."""
    found: dict[bytes, bytes | None] = {}
    places = [TopicPartition(state_topic(settings), number) for number in range(2)]
    async with AIOKafkaConsumer(bootstrap_servers=settings.bootstrap) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        for place, end in (await consumer.end_offsets(places)).items():
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found |= {record.key: record.value for record in records}
    return {key: value for key, value in found.items() if value is not None}


async def test_the_next_owner_goes_on_where_the_last_one_stood(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben = member("ann"), member("ben")
    anew = await ann.owns(calls)
    tell(anew.partition, [call(0, "queued"), call(5, "answered")])
    told = net(anew.partition)
    await ann.writes(calls, 42)

    held = await ben.owns(calls)

    assert (anew.offset, anew.rejected) == (None, {})
    assert (held.offset, held.rejected) == (42, {"future": 3})
    assert net(held.partition) == told
    assert told["answered:true"] == 1


async def test_whoever_takes_a_partition_over_has_the_higher_epoch(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben = member("ann"), member("ben", seen_epoch=lambda _: 7)

    await ann.owns(calls)
    await ben.owns(calls)

    assert (ann.snapshots.epoch(calls), ben.snapshots.epoch(calls)) == (1, 8)


async def test_of_many_who_claim_at_once_each_has_an_epoch_of_its_own(
    member: Callable[..., Member], calls: TP
) -> None:
    members = [member(f"member-{number}") for number in range(6)]

    await asyncio.gather(*(each.owns(calls) for each in members))

    assert len({each.snapshots.epoch(calls) for each in members}) == 6


async def test_a_snapshot_of_whoever_was_replaced_counts_for_nothing(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben, eve = member("ann"), member("ben"), member("eve")
    mine = await ann.owns(calls)
    tell(mine.partition, [call(0, "queued")])
    await ben.owns(calls)
    await ann.writes(calls, 42)

    held = await eve.owns(calls)

    assert (held.offset, held.lost_at) == (None, 42)
    assert eve.snapshots.rebuilt == {"missing": 1}


async def test_a_partition_of_which_there_never_was_a_snapshot_is_no_rebuilt_one(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben = member("ann"), member("ben")
    await ann.owns(calls)
    held = await ben.owns(calls)

    assert (held.offset, held.lost_at) == (None, None)
    assert ben.snapshots.rebuilt == {}


async def test_an_owner_claims_again_what_a_sleeper_has_claimed_and_left(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben, eve = member("ann"), member("ben"), member("eve")
    held = await ben.owns(calls)
    tell(held.partition, [call(0, "queued")])
    ben.source.offsets[calls] = 10
    beside = [
        asyncio.create_task(ben.exchange.read()),
        asyncio.create_task(ben.snapshots.keep(ben.source)),
    ]
    try:
        await until(lambda: ben.snapshots.is_written(calls))
        await ann.owns(calls)  # frozen while she was put out of the group; killed right behind it
        slept_in = ann.snapshots.epoch(calls)
        await until(lambda: ben.snapshots.epoch(calls) > slept_in)
        tell(held.partition, [call(20, "answered")])
        told = net(held.partition)
        await ben.writes(calls, 42)
    finally:
        for task in beside:
            task.cancel()

    after = await eve.owns(calls)
    assert (after.offset, net(after.partition)) == (42, told)


async def test_what_a_snapshot_replaces_is_removed_behind_it(
    member: Callable[..., Member], settings: Settings, calls: TP
) -> None:
    ann = member("ann")
    for offset in (10, 20, 30):
        held = await ann.owns(calls)
        tell(held.partition, [call(offset, "queued", contact=f"c-{offset}")])
        await ann.writes(calls, offset)

    keys = [read_key(key) for key in await left(settings)]

    assert {key.epoch for key in keys if key is not None} == {3}
    kinds = Counter(key.kind for key in keys if key is not None)
    assert (kinds["claim"], kinds["manifest"]) == (1, 1)
    assert kinds["part"] == len(keys) - 2 > 0


async def until(is_so: Callable[[], bool]) -> None:
    """Return at the first turn of the loop at which *is_so*."""
    while not is_so():  # noqa: ASYNC110 - what is looked at tells nobody
        await asyncio.sleep(0)


async def patiently(is_so: Callable[[], bool]) -> None:
    """Return soon after *is_so*, which has to come true within a minute."""
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.02)


MANY = [call(number, "queued", contact=f"c-{number}") for number in range(400)]


async def test_a_worker_goes_on_while_it_restores(member: Callable[..., Member], calls: TP) -> None:
    ann, ben = member("ann"), member("ben")
    tell((await ann.owns(calls)).partition, MANY)
    await ann.writes(calls, 42)

    restoring = asyncio.create_task(ben.owns(calls))
    seen = set()
    while not restoring.done():
        await asyncio.sleep(0)
        seen |= {len(restorer.partition.lives) for restorer in ben.restorers}

    assert (await restoring).offset == 42
    assert len(seen) > 50  # of a hundred blocks, another turn of the loop between any two


async def test_a_restore_that_is_cancelled_leaves_nothing(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben = member("ann"), member("ben")
    tell((await ann.owns(calls)).partition, MANY)
    await ann.writes(calls, 42)
    restoring = asyncio.create_task(ben.owns(calls))
    await until(lambda: bool(ben.restorers and ben.restorers[0].partition.lives))

    restoring.cancel()
    await asyncio.wait({restoring})
    assert restoring.cancelled()
    assert (ben.snapshots.epoch(calls), ben.snapshots.ages_s()) == (0, {})

    again = await ben.owns(calls)
    assert ben.restorers[0].partition.lives == {}
    assert (again.offset, len(again.partition.lives)) == (42, len(MANY))
    assert gc.isenabled()


class Large(Partition):
    """A partition that takes long to dismantle."""

    def dismantle(self) -> Iterator[None]:
        yield from itertools.repeat(None, 100_000)
        yield from super().dismantle()


async def test_what_is_let_go_is_gone_before_anything_is_restored(
    member: Callable[..., Member], calls: TP
) -> None:
    ann = member("ann", new=lambda: Large(PolicyBook()))
    first = (await ann.owns(calls)).partition
    tell(first, MANY)
    await ann.writes(calls, 42)

    begun = asyncio.create_task(ann.owns(calls))
    await until(lambda: bool(ann.restorers))

    assert first.lives == {}
    assert len((await begun).partition.lives) == len(MANY)


async def test_a_snapshot_waits_for_the_rejected_records_before_it(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben = member("ann"), member("ben")
    tell((await ann.owns(calls)).partition, [call(0, "queued")])
    ann.source.unacknowledged.add(calls)
    writing = asyncio.create_task(ann.writes(calls, 42))
    await asyncio.sleep(0.5)
    assert not writing.done()
    ann.source.unacknowledged.clear()
    await writing

    assert (await ben.owns(calls)).offset == 42


async def test_a_partition_whose_rejected_records_wait_holds_up_no_other_one(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, other = member("ann"), TP(calls.topic, 0)
    ann.source.offsets = {calls: 42, other: 42}
    ann.source.unacknowledged.add(calls)
    for tp, held in (await ann.snapshots.take_over([calls, other])).items():
        tell(held.partition, [call(0, "queued", contact=f"c-{tp.partition}")])
    keeping = asyncio.create_task(ann.snapshots.keep(ann.source))

    await patiently(lambda: ann.snapshots.is_written(other))
    assert not ann.snapshots.is_written(calls)
    ann.source.unacknowledged.clear()
    await patiently(lambda: ann.snapshots.is_written(calls))
    keeping.cancel()
    await asyncio.wait({keeping})


async def test_a_manifest_that_comes_behind_another_claim_takes_nothing_from_the_one_before(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, member: Callable[..., Member], calls: TP
) -> None:
    seen = {calls: 0}
    ann, ben, eve = member("ann", seen_epoch=lambda tp: seen[tp]), member("ben"), member("eve")
    await ann.owns(calls)
    await ann.writes(calls, 42)
    mine = await ann.owns(calls)
    tell(mine.partition, [call(0, "queued")])
    ann.source.offsets[calls] = 50
    keeping = asyncio.create_task(ann.snapshots.keep(ann.source))
    await patiently(lambda: ann.snapshots.is_written(calls))
    send = ann.log.send

    async def late(tp: TP, key: bytes, value: bytes | None) -> "asyncio.Future[object]":
        if b"/manifest/" in key and not seen[calls]:
            await ben.owns(calls)
            seen[calls] = ben.snapshots.epoch(calls)
        return await send(tp, key, value)

    monkeypatch.setattr(ann.log, "send", late)
    tell(mine.partition, [call(5, "answered")])
    ann.source.offsets[calls] = 60
    await patiently(lambda: seen[calls] > 0)
    await ann.snapshots.let_go([calls], ann.source)
    keeping.cancel()
    await asyncio.wait({keeping})

    ledger = Ledger()
    of_partitions((await left(settings)).items(), {calls: ledger})
    found = ledger.newest()
    assert found is not None
    assert found.manifest.offset == 50
    assert (await eve.owns(calls)).offset == 50


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_a_cut_under_way_when_time_is_up_leaves_nothing_in_memory(
    monkeypatch: pytest.MonkeyPatch,
    without_collector: None,
    member: Callable[..., Member],
    calls: TP,
) -> None:
    ann = member("ann")
    mine = (await ann.owns(calls)).partition
    tell(mine, MANY)
    cutters = weakref.WeakSet(each.cutter for each in ann.snapshots._owned.values())
    monkeypatch.setattr(snapshots, "LAST_WITHIN_S", 0.0)
    monkeypatch.setattr(snapshots.log, "disabled", True)  # pytest keeps what a line was made from
    await ann.writes(calls, 42)
    was_under_way = not ann.snapshots.is_written(calls)
    await patiently(lambda: not ann.snapshots._dismantling)

    assert was_under_way
    assert (mine.lives, mine.blocks, mine.staffing.remembered) == ({}, {}, {})
    assert list(cutters) == []


async def test_what_was_frozen_with_a_state_is_collected_once_nothing_is_owned(
    member: Callable[..., Member], calls: TP
) -> None:
    class Circle:
        pass

    ann = member("ann")
    circle = Circle()
    circle.itself = circle  # type: ignore[attr-defined]
    left = weakref.ref(circle)
    await ann.owns(calls)
    del circle
    gc.collect()
    assert left() is not None

    await ann.writes(calls, 42)
    await ann.owns(calls)

    assert left() is None


@pytest.mark.parametrize(
    ("body", "reason"), [(b"torn", "damaged"), (None, "missing")], ids=["torn", "no part"]
)
async def test_a_snapshot_that_cannot_be_used_means_the_beginning_and_is_told(
    member: Callable[..., Member], calls: TP, body: bytes | None, reason: str
) -> None:
    ann, ben = member("ann"), member("ben")
    tell((await ann.owns(calls)).partition, [call(0, "queued")])
    await ann.writes(calls, 42)
    await (await ann.log.send(calls, part_key(calls, 1, 1), body))

    held = await ben.owns(calls)

    assert (held.offset, held.lost_at) == (None, 42)
    assert ben.snapshots.rebuilt == {reason: 1}


async def test_a_format_that_is_newer_than_ours_means_the_beginning(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben = member("ann"), member("ben")
    await ann.owns(calls)
    newer = Manifest(format=99, epoch=1, offset=42, cut_ms=0, partitions=2, rejected={}, parts=[])
    await (await ann.log.send(calls, manifest_key(calls, 1, 1), write_manifest(newer)))

    assert (await ben.owns(calls)).offset is None
    assert ben.snapshots.rebuilt == {"newer": 1}


async def test_who_is_told_to_rebuild_begins_anew(member: Callable[..., Member], calls: TP) -> None:
    ann, ben = member("ann"), member("ben", rebuild=True)
    tell((await ann.owns(calls)).partition, [call(0, "queued")])
    await ann.writes(calls, 42)
    held = await ben.owns(calls)

    assert (held.offset, held.lost_at) == (None, 42)
    assert ben.snapshots.rebuilt == {}


async def test_another_number_of_partitions_is_refused_unless_it_is_accepted(
    kafka: LocalKafka, member: Callable[..., Member], calls: TP
) -> None:
    ann, ben, eve = member("ann"), member("ben"), member("eve", accept_partitions=3)
    tell((await ann.owns(calls)).partition, [call(0, "queued")])
    await ann.writes(calls, 42)
    await add_partitions(kafka.bootstrap, calls.topic, 3)

    with pytest.raises(PartitionsChanged, match=r"3 partitions and had 2.*--accept-partitions 3"):
        await ben.owns(calls)
    assert (await eve.owns(calls)).offset == 42


async def test_the_snapshot_of_a_former_topic_is_kept_and_its_successor_read_from_its_beginning(
    kafka: LocalKafka, member: Callable[..., Member], calls: TP
) -> None:
    ann, ben, eve = member("ann"), member("ben"), member("eve")
    former = await ann.owns(calls)
    tell(former.partition, [call(0, "queued")])
    counted = net(former.partition)
    ann.source.log, ann.source.unread = former.log, 5
    await ann.writes(calls, 42)
    same = await ben.owns(calls)
    await asyncio.to_thread(remove_topics, kafka.access, [calls.topic])
    await asyncio.to_thread(create_topics, kafka.access, {calls.topic: 2})

    other = await eve.owns(calls)

    assert (same.offset, same.log, same.is_recreated) == (42, former.log, False)
    assert (other.offset, other.is_recreated, other.unread) == (0, True, 5)
    assert other.log not in ("", former.log)
    assert net(other.partition) == counted != {}
    assert other.missed == Missed(records=7, since_ms=1, until_ms=2)


async def test_a_log_that_has_fallen_back_keeps_its_name_and_an_older_snapshot_gets_one(
    member: Callable[..., Member], calls: TP
) -> None:
    ann, ben, eve = member("ann"), member("ben"), member("eve")
    nameless = await ann.owns(calls)
    tell(nameless.partition, [call(0, "queued")])
    await ann.writes(calls, 42)
    named = await ben.owns(calls)
    ben.source.log = f"{named.log}#1"
    await ben.writes(calls, 7)

    again = await eve.owns(calls)

    assert (named.offset, named.is_recreated) == (42, False)
    assert len(named.log) == 32
    assert (again.offset, again.log, again.is_recreated) == (7, f"{named.log}#1", False)


async def test_check_says_what_is_kept_of_each_partition(
    tmp_path: Path, settings: Settings, member: Callable[..., Member], calls: TP
) -> None:
    ann = member("ann")
    tell((await ann.owns(calls)).partition, [call(0, "queued")])
    await ann.writes(calls, 42)
    other = TP(calls.topic, 0)
    await ann.owns(other)
    await (await ann.log.send(other, manifest_key(other, 1, 1), b"torn"))
    plain = {
        "name": settings.name,
        "bootstrap": settings.bootstrap,
        "topics": {"calls": calls.topic, "chats": "off", "queues": "off"},
    }

    path = str(settings_file(tmp_path, plain))
    checked = await asyncio.to_thread(floorwatch, "check", "--settings", path, "--state")

    lines = [line for line in checked.stdout.splitlines() if "state of" in line]
    assert lines[0] == (
        f"warn  state of {other.topic}[0]: its manifest is damaged; the next owner reads the "
        "partition from its beginning"
    )
    assert lines[1].startswith(f"ok    state of {calls.topic}[1]: epoch 1, offset 42, ")
    assert checked.returncode == 0


async def add_partitions(bootstrap: str, topic: str, count: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(count)})
    finally:
        await admin.close()
