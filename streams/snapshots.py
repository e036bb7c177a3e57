"""Snapshots of the owned partitions: restored at an assignment, written every few seconds.

A snapshot is one cut at one source offset. Its parts are written while the stream goes on; the
manifest follows when all of them, and all rejected records before the offset, are acknowledged.
Only then is what it replaces removed.
"""

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from zlib import crc32

from aiokafka.errors import KafkaError

from streams.backoff import Backoff
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.snapshot import Cutter, Restorer, SnapshotUnusable
from streams.ledger import (
    FALLEN_BACK,
    NOTHING_MISSED,
    Ledger,
    Manifest,
    Missed,
    PartName,
    Snapshot,
    StateUnusable,
    claim_key,
    manifest_key,
    part_key,
    write_manifest,
)
from streams.reader import TP, is_same_log
from streams.state_log import StateLog
from streams.topic_identity import TopicIdentity, partitions_changed
from streams.wall_clock import wall_clock_ms

log = logging.getLogger(__name__)

REST_PER_WORK: Final = 9.0
"""While a cut is under way, encoding takes a tenth of the time."""

LOOK_EVERY_S: Final = 0.2
ACKNOWLEDGED_EVERY_S: Final = 0.05
LAST_WITHIN_S: Final = 4.0
OLD_AFTER_S: Final = 30.0
"""Whoever leaves says once more that nothing has come since, if the last cut is older than this."""

MOST_DOUBLINGS: Final = 4
RETRY_FROM_S: Final = 1.0
RETRY_TO_S: Final = 30.0


class Source(Protocol):
    """What is known of a partition besides its state; read between two batches."""

    def next_offset(self, tp: TP) -> int | None:
        """The offset after the last record that is in the state; None before the first."""

    def rejected_of(self, tp: TP) -> Mapping[str, int]:
        """How many of its records were rejected, by reason."""

    def log_of(self, tp: TP) -> str:
        """The log in which its offset lies."""

    def unread_of(self, tp: TP) -> int:
        """How many records are known to lie behind its offset."""

    def missed_of(self, tp: TP) -> Missed:
        """What was gone before it was read."""

    def is_acknowledged(self, tp: TP, offset: int) -> bool:
        """Whether every rejected record before *offset* has been written."""


@dataclass(frozen=True, slots=True)
class Held:
    """A partition as its new owner begins with it.

    Attributes:
        partition: its state.
        offset: where its source is to be read from; None for the first record.
        rejected: records rejected before that, by reason.
        log: in which the offset lies.
        missed: what was gone before it was read.
        is_recreated: the source is another topic than the one of the snapshot.
        unread: records known to lie behind the snapshot's offset.
        cut_ms: when the snapshot was cut, by the wall; nothing is counted by it.
        lost_at: of a state that had been kept and was not used, up to which offset its source had
            been read, 0 where nobody knows; None where there never was one.
    """

    partition: Partition
    offset: int | None
    rejected: Mapping[str, int]
    log: str = ""
    missed: Missed = NOTHING_MISSED
    is_recreated: bool = False
    unread: int = 0
    cut_ms: int = 0
    lost_at: int | None = None


@dataclass(frozen=True, slots=True)
class _Lost:
    """There is a state that is not used; its source had been read up to *offset*."""

    offset: int


@dataclass(frozen=True, slots=True)
class _Cut:
    """A cut whose parts are all on the state topic, and no manifest yet."""

    offset: int
    cut_ms: int
    log: str
    rejected: Mapping[str, int]
    unread: int
    missed: Missed


@dataclass(slots=True)
class _Owned:
    """A partition of ours, and what the state topic holds of it."""

    tp: TP
    epoch: int
    partitions: int
    cutter: Cutter
    keys: set[bytes]
    cut: tuple[str, int] | None = None
    pending: _Cut | None = None
    serial: int = 1
    written: dict[str, PartName] = field(default_factory=dict)
    is_written: bool = False
    written_s: float = field(default_factory=time.monotonic)
    cut_s: float = field(default_factory=time.monotonic)
    is_leaving: bool = False
    lost_s: float | None = None
    claims: int = 0
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Snapshots:
    """The state of this worker's partitions on the state topic.

    Args:
        state: the topic.
        new: makes the state of a partition that begins anew.
        restorer: makes it from the parts of a snapshot, which it takes out.
        policies: the policy in force.
        every_s: the time from one snapshot of a partition to the next, at least.
        seen_epoch: the highest epoch of a partition that was seen outside of the state topic.
        claim_again_after_s: how long somebody else's claim of a partition stands before this
            worker, to which the group still gives it, claims it again; twice as long each time.
        accept_partitions: number of partitions that a source topic may have been changed to.
        rebuild: ignore what is there.

    Attributes:
        rebuilt: how often a partition's state could not be used, by reason.
    """

    def __init__(
        self,
        state: StateLog,
        *,
        new: Callable[[], Partition],
        restorer: Callable[[dict[str, bytes]], Restorer],
        policies: Callable[[], PolicyBook],
        every_s: float,
        seen_epoch: Callable[[TP], int] = lambda _: 0,
        claim_again_after_s: float = 5.0,
        accept_partitions: int | None = None,
        rebuild: bool = False,
    ) -> None:
        self.rebuilt: dict[str, int] = {}
        self._state = state
        self._new = new
        self._restorer = restorer
        self._policies = policies
        self._every_s = every_s
        self._seen_epoch = seen_epoch
        self._claim_again_after_s = claim_again_after_s
        self._accept_partitions = accept_partitions
        self._rebuild = rebuild
        self._owned: dict[TP, _Owned] = {}
        self._dismantling: set[asyncio.Task[None]] = set()

    def epoch(self, tp: TP) -> int:
        """The epoch in which this worker owns *tp*; 0 where it does not."""
        owned = self._owned.get(tp)
        return owned.epoch if owned is not None else 0

    def is_written(self, tp: TP) -> bool:
        """Whether there is a snapshot of the epoch in which this worker owns *tp*."""
        owned = self._owned.get(tp)
        return owned is not None and owned.is_written

    def ages_s(self) -> dict[TP, float]:
        """How long ago the newest snapshot of each owned partition held all that was read."""
        now = time.monotonic()
        return {tp: now - owned.written_s for tp, owned in self._owned.items()}

    async def take_over(self, tps: Collection[TP]) -> dict[TP, Held]:
        """Claim partitions and restore their newest snapshots.

        One is restored after the other, in steps between which the worker does whatever else it
        has to: a large state takes longer than a member of the group may be silent. When this is
        cancelled, nothing has been taken over.

        Raises:
            PartitionsChanged: a source has another number of partitions than before.
        """
        if self._dismantling:
            await asyncio.wait(self._dismantling)
        if not self._owned:
            gc.unfreeze()
            gc.collect()  # little is left now; whatever is frozen later is looked at no more
        ledgers = await self._state.take_over({tp: self._seen_epoch(tp) for tp in tps})
        topics = await self._state.topics({tp.topic for tp in tps})
        found = {tp: self._found(tp, ledgers[tp], topics[tp.topic].partitions) for tp in tps}
        owners = {tp: (ledger.epoch, set(ledger.keys())) for tp, ledger in ledgers.items()}
        ledgers.clear()  # only what is found is needed, and that no longer than until it is read
        held: dict[TP, Held] = {}
        owned: dict[TP, _Owned] = {}
        try:
            with _no_collection():
                for tp, (epoch, keys) in owners.items():
                    begin = await self._begin(tp, found.pop(tp))
                    held[tp] = _in_its_log(begin, topics[tp.topic])
                    owned[tp] = _Owned(
                        tp=tp,
                        epoch=epoch,
                        partitions=topics[tp.topic].partitions,
                        cutter=Cutter(held[tp].partition),
                        keys=keys,
                    )
        except BaseException:
            for each in held.values():
                self._dismantle(each.partition)
            raise
        for each in held.values():
            each.partition.take_policy(self._policies())  # it may have changed meanwhile
        self._owned |= owned
        return held

    async def let_go(self, tps: Collection[TP], source: Source) -> None:
        """Write a last snapshot of *tps*, if that is quickly done, and then no more of them."""
        leaving = [owned for tp in tps if (owned := self._owned.get(tp)) is not None]
        leaving.sort(key=lambda owned: _waits_for_rejected(owned.tp, source))
        for owned in leaving:
            owned.is_leaving = True
        try:
            async with asyncio.timeout(LAST_WITHIN_S):
                for owned in leaving:
                    await self._write_if_new(owned, source)
        except (KafkaError, OSError, TimeoutError) as exc:
            log.warning("the newest snapshots stay as they are: %r", exc)
        finally:
            for owned in leaving:
                if self._owned.pop(owned.tp, None) is not None:
                    owned.cutter.forget()  # a cut under way refers to itself in circles
                    self._dismantle(owned.cutter.partition)

    async def keep(self, source: Source) -> None:
        """Write snapshots for ever, of one partition after the other."""
        backoff = Backoff(RETRY_FROM_S, RETRY_TO_S)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for owned in list(self._owned.values()):
                is_claimed_again = await self._keep_ours(owned)
                is_fresh = time.monotonic() - owned.written_s < self._every_s
                if is_fresh and not is_claimed_again:
                    continue
                try:
                    await self._write_if_new(owned, source)
                    backoff.succeeded()
                except (KafkaError, OSError) as exc:
                    owned.cutter.forget()
                    owned.pending = None
                    await self._state.stop()
                    log.warning("a snapshot is not written yet: %r", exc)
                    await backoff.wait()

    async def _keep_ours(self, owned: _Owned) -> bool:
        """Claim a partition again that somebody else has claimed while the group gives it to us.

        Who was frozen before its claim, and put out of the group meanwhile, writes it when it wakes
        up and is gone: no rebalance follows. Were it the new owner, the group would tell us.

        Returns:
            Whether it was claimed again: nothing written before counts any more.
        """
        if self._seen_epoch(owned.tp) <= owned.epoch:
            owned.lost_s = None
            return False
        now_s = time.monotonic()
        if owned.lost_s is None:
            owned.lost_s = now_s
        wait_s = self._claim_again_after_s * 2 ** min(owned.claims, MOST_DOUBLINGS)
        if now_s - owned.lost_s < wait_s:
            return False
        async with owned.writing:
            if self._owned.get(owned.tp) is not owned or owned.is_leaving:
                return False
            log.warning(
                "%s[%d] was claimed by another worker while it is ours; claiming it again",
                owned.tp.topic,
                owned.tp.partition,
            )
            ledgers = await self._state.take_over({owned.tp: self._seen_epoch(owned.tp)})
            owned.epoch, owned.keys = ledgers[owned.tp].epoch, set(ledgers[owned.tp].keys())
            owned.claims += 1
            owned.cutter.forget()
            owned.written, owned.cut, owned.is_written = {}, None, False
        return True

    async def _write_if_new(self, owned: _Owned, source: Source) -> None:
        """Write a snapshot unless the newest one of this epoch already holds all that was read."""
        async with owned.writing:
            if not self._is_ours(owned):
                return
            offset = source.next_offset(owned.tp)
            cut = (source.log_of(owned.tp), offset)
            if owned.pending is not None and (
                cut[0] != owned.pending.log or (owned.is_leaving and offset != owned.pending.offset)
            ):
                owned.pending = None
            if owned.pending is None:
                is_old = owned.is_leaving and time.monotonic() - owned.cut_s > OLD_AFTER_S
                if offset is not None and (cut != owned.cut or not owned.is_written or is_old):
                    owned.pending = await self._cut(owned, source, offset)
                elif owned.is_written or offset is None:
                    owned.written_s = time.monotonic()
            if owned.pending is not None:
                await self._finish(owned, source, owned.pending)

    def _found(self, tp: TP, ledger: Ledger, partitions: int) -> Snapshot | _Lost | None:
        """The snapshot to begin with, or that there was one, if any."""
        try:
            snapshot = ledger.newest()
        except StateUnusable as unusable:
            if not self._rebuild:
                self._tell_unusable(tp, unusable.reason, unusable)
            return _Lost(unusable.offset)
        if snapshot is None:
            return None
        if self._rebuild:
            return _Lost(snapshot.manifest.offset)
        had = snapshot.manifest.partitions
        if partitions not in (had, self._accept_partitions):
            raise partitions_changed(tp.topic, partitions, had)
        return snapshot

    async def _begin(self, tp: TP, snapshot: Snapshot | _Lost | None) -> Held:
        """What *snapshot* says, or where there is none or it cannot be restored, a new state."""
        if snapshot is None:
            return Held(self._new(), None, {})
        if isinstance(snapshot, _Lost):
            return Held(self._new(), None, {}, lost_at=snapshot.offset)
        restorer = self._restorer(snapshot.parts)
        try:
            for _ in restorer.steps():
                await asyncio.sleep(0)
        except BaseException as problem:
            self._dismantle(restorer.partition)
            if not isinstance(problem, SnapshotUnusable):
                raise
            self._tell_unusable(tp, "other_settings", problem)
            return Held(self._new(), None, {}, lost_at=snapshot.manifest.offset)
        manifest = snapshot.manifest
        return Held(
            restorer.partition,
            manifest.offset,
            manifest.rejected,
            manifest.log,
            manifest.missed,
            unread=manifest.unread,
            cut_ms=manifest.cut_ms,
        )

    def _tell_unusable(self, tp: TP, reason: str, problem: Exception) -> None:
        self.rebuilt[reason] = self.rebuilt.get(reason, 0) + 1
        log.warning(
            "%s[%d] is read from its beginning: its snapshot cannot be used, since %s",
            tp.topic,
            tp.partition,
            problem,
        )

    def _dismantle(self, partition: Partition) -> None:
        """Free the memory of a *partition* of ours no more; the next ones wait for that."""
        task = asyncio.create_task(_dismantle(partition))
        self._dismantling.add(task)
        task.add_done_callback(self._dismantling.discard)

    async def _cut(self, owned: _Owned, source: Source, offset: int) -> _Cut | None:
        """Write the parts of a cut, made now at *offset*; None when it is ours no more.

        Raises:
            KafkaError: something could not be written.
        """
        tp, cutter = owned.tp, owned.cutter
        cut = _Cut(
            offset=offset,
            cut_ms=wall_clock_ms(),
            log=source.log_of(tp),
            rejected=dict(source.rejected_of(tp)),
            unread=source.unread_of(tp),
            missed=source.missed_of(tp),
        )
        owned.cut_s = time.monotonic()
        if cutter.is_under_way:
            cutter.forget()  # the one before was given up in the middle
        cutter.begin()
        under_way: list[asyncio.Future[Any]] = []
        new: dict[str, PartName] = {}
        while self._is_ours(owned):
            began = time.monotonic()
            part = cutter.next_part()
            if part is None:
                break
            name, body = part
            new[name] = PartName(name, owned.serial, crc32(body))
            key = part_key(tp, owned.epoch, owned.serial)
            owned.keys.add(key)
            took_s = time.monotonic() - began
            under_way.append(await self._state.send(tp, key, body))
            owned.serial += 1  # handed over: where nothing was, the next part has the number
            await asyncio.sleep(0 if owned.is_leaving else REST_PER_WORK * took_s)
        await self._state.acknowledged(under_way)
        if not self._is_ours(owned):
            return None
        known = owned.written | new
        owned.written = {name: known[name] for name in cutter.names()}
        return cut

    async def _finish(self, owned: _Owned, source: Source, cut: _Cut) -> None:
        """Write the manifest of *cut*, and remove what it replaces.

        It waits for the rejected records before the cut, or where that would hold up the snapshots
        of other partitions, leaves the manifest to a later call.

        Raises:
            KafkaError: something could not be written.
        """
        tp = owned.tp
        while not source.is_acknowledged(tp, cut.offset):
            if not owned.is_leaving or not self._is_ours(owned):
                return
            await asyncio.sleep(ACKNOWLEDGED_EVERY_S)
        manifest = Manifest(
            epoch=owned.epoch,
            offset=cut.offset,
            cut_ms=cut.cut_ms,
            partitions=owned.partitions,
            rejected=dict(cut.rejected),
            parts=list(owned.written.values()),
            log=cut.log,
            unread=cut.unread,
            missed=cut.missed,
        )
        key = manifest_key(tp, owned.epoch, owned.serial)
        owned.serial += 1
        owned.keys.add(key)
        await self._state.acknowledged([await self._state.send(tp, key, write_manifest(manifest))])
        owned.pending = None
        owned.cut, owned.is_written = (cut.log, cut.offset), True
        owned.written_s = time.monotonic()
        if not self._is_ours(owned):
            return  # the manifest may stand behind another claim: what it replaces still counts
        kept = {key, claim_key(tp, owned.epoch, self._state.member)}
        kept |= {part_key(tp, owned.epoch, part.serial) for part in owned.written.values()}
        await self._remove(owned, kept)

    async def _remove(self, owned: _Owned, kept: set[bytes]) -> None:
        """Remove everything of the partition but what is *kept*."""
        gone = owned.keys - kept
        await self._state.acknowledged(
            [await self._state.send(owned.tp, key, None) for key in gone]
        )
        owned.keys = kept

    def _is_ours(self, owned: _Owned) -> bool:
        """Whether the partition has neither been let go nor taken over by anybody else."""
        return self._owned.get(owned.tp) is owned and self._seen_epoch(owned.tp) <= owned.epoch


def _waits_for_rejected(tp: TP, source: Source) -> bool:
    offset = source.next_offset(tp)
    return offset is not None and not source.is_acknowledged(tp, offset)


async def _dismantle(partition: Partition) -> None:
    for _ in partition.dismantle():
        await asyncio.sleep(0)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from what is being restored: it would find nothing, for long.

    Of what is there at the end it looks at nothing again. `Partition.dismantle` undoes the circles
    in it.
    """
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if is_on:
            gc.enable()


def _in_its_log(held: Held, topic: TopicIdentity) -> Held:
    """*held* with where its source goes on: at the beginning, where that is another topic now."""
    if held.offset is None or not held.log:
        return replace(held, log=topic.id)
    known_id = held.log.partition(FALLEN_BACK)[0]
    if is_same_log(known_id, topic.id):
        return held
    return replace(held, offset=0, log=topic.id, is_recreated=True)
