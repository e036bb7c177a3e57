"""What was read of each partition: in order, nothing twice, nothing left out.

The books between the Kafka client and the sink. They know neither Faust nor the network, so that
every way in which a batch can be late, lost or overtaken is a plain test.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

from faust.types import TP

__all__ = ["TP", "Batch", "BatchLost", "Position", "Reader", "Record", "Sink", "is_same_log"]

LOST_AFTER_WAITS: Final = 10
"""Whole waits for the processor, one after another, in which it took no batch at all."""


def is_same_log(one: str, other: str) -> bool:
    """Whether offsets of *one* log mean the same in the *other*; a log without a name is any."""
    return not one or not other or one == other


class BatchLost(RuntimeError):
    """A batch vanished between the poll and the processor: going on would lose its records.

    The worker stops with it. Nothing is lost yet: the positions end where the batch began.
    """


class Record(Protocol):
    """What the sink may use of a record; its topic and partition come beside it."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """Epoch milliseconds, as its producer or the broker stamped it."""

    @property
    def key(self) -> bytes | None:
        """What chose the partition."""

    @property
    def value(self) -> bytes | None:
        """The event; None is a tombstone."""


class Sink(ABC):
    """Where the records go. Only `records` has to be there; the rest has a plain answer."""

    async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
        """Say at which offset each of *tps* begins; None or nothing said is its first record.

        Called on every assignment, before any record of it, also for partitions that this worker
        had before. The next rebalance may cancel a call; `revoked` follows then, too.
        """
        return dict.fromkeys(tps)

    async def revoked(self, tps: Collection[TP]) -> None:
        """Take leave of *tps*: no record of them comes before the next `assigned`.

        Called in a rebalance and at the end, while the worker is still a member of its group.
        """
        return

    @abstractmethod
    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        """Take the next records of a partition: never empty, each offset above the one before.

        What it raises is a bug of ours: the worker stops with it, and the batch does not count as
        read.
        """

    def gap(self, tp: TP, expected: int, got: int) -> None:
        """Note that offset *got* comes where *expected* was due, before `records` has it.

        Offsets without a record are no fault in a topic that is compacted or written in
        transactions.
        """
        return

    def missed(self, tp: TP, expected: int, got: int) -> None:
        """Note that the records from *expected* on are gone unread: the first one left is *got*."""
        return

    def began(self, tp: TP, first: int) -> None:
        """Note that a partition that begins at its first record begins at offset *first*, above 0.

        Called behind `assigned`, before any record: what came before is gone, or never was.
        """
        return

    def recreated(self, tp: TP, topic_id: str, first: int, unread: int | None) -> None:
        """Note that the partition has begun anew, at offset *first*: its topic is another one.

        Args:
            tp: the partition.
            topic_id: of the topic as it is now; empty where the broker gives topics none.
            first: the offset that comes next.
            unread: how many records of the former topic are known to have been left unread; None
                at an assignment, where nobody has looked since the sink last kept its state.
        """
        return

    def committable(self, tp: TP, processed: int) -> int:
        """The offset to tell Kafka, given that all before *processed* went through `records`."""
        return processed

    async def room(self) -> None:
        """Return when there is room for another batch. Awaited after each one."""
        return


class Batch:
    """What one poll brought of one partition. To Faust it is one record, whose value is itself.

    Attributes:
        records: never empty.
        start: the offset after the batch before.
        epoch: the epoch of the `Reader` in which it was polled.
        offset: what Faust is told, which drops whatever is not above the last one: a serial number,
            since real offsets fall back when a topic is made anew.
    """

    __slots__ = ("epoch", "offset", "records", "start", "timestamp", "tp")

    key = None
    headers = ()
    checksum = None
    timestamp_type = 0
    serialized_key_size = 0
    serialized_value_size = 0

    def __init__(
        self, tp: TP, records: Sequence[Record], *, start: int, epoch: int, serial: int
    ) -> None:
        self.tp = tp
        self.records = records
        self.start = start
        self.epoch = epoch
        self.offset = serial
        self.timestamp = records[-1].timestamp

    @property
    def topic(self) -> str:
        """The topic of all its records."""
        return self.tp.topic

    @property
    def partition(self) -> int:
        """The partition of all its records."""
        return self.tp.partition

    @property
    def value(self) -> "Batch":
        """What the processor gets."""
        return self


@dataclass(frozen=True, slots=True)
class Position:
    """How far one partition is read. Instants are of the monotonic clock, in seconds.

    Attributes:
        next_offset: the offset after the last record that went through the sink.
        end_offset: the offset of the next record to be written, as the broker last said.
        end_seen_at: when the broker was asked for it.
        last_timestamp_ms: the timestamp of the last record since the assignment; None before it.
        moved_at: when `next_offset` last moved, or the assignment.
    """

    next_offset: int
    end_offset: int
    end_seen_at: float
    last_timestamp_ms: int | None
    moved_at: float

    @property
    def lag(self) -> int:
        """Records written and not yet read, counting offsets that hold none."""
        return max(0, self.end_offset - self.next_offset)

    @property
    def read_to_end(self) -> bool:
        """Whether nothing was left to read when the broker was last asked."""
        return self.lag == 0


class _Progress:
    """The mutable side of a `Position`; `fetched` is the offset after the last record polled."""

    __slots__ = (
        "behind_since",
        "end_offset",
        "end_seen_at",
        "fetched",
        "moved_at",
        "next_offset",
        "timestamp_ms",
    )

    def __init__(self, start: int, now: float) -> None:
        self.next_offset = self.fetched = self.end_offset = start
        self.end_seen_at = self.moved_at = now
        self.timestamp_ms: int | None = None
        self.behind_since: float | None = None


class Reader:
    """Passes batches to *sink*, each exactly behind the one before.

    An *epoch* lasts from one seek to the next. A batch of an earlier epoch is dropped wherever it
    turns up, because the seek brings its records again. What one poll brought is through before the
    next poll, so no more than that is ever under way.

    Attributes:
        polled_at: when a poll last came back, with records or without; None before the first. This
            and the next two are instants of the monotonic clock, in seconds.
        moved_at: when a batch last went through the sink.
        broker_answered_at: when the broker was last asked for the ends and answered.
        unsettled_since: since when it has not been known what is to be read; None while it is.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.polled_at: float | None = None
        self.moved_at: float | None = None
        self.broker_answered_at: float | None = None
        self.unsettled_since: float | None = None
        self._partitions: dict[TP, _Progress] = {}
        self._left: dict[TP, int] = {}
        self._epoch = 0
        self._serial = 0
        self._under_way = 0
        self._taking = False
        self._idle_waits = 0
        self._through = asyncio.Event()
        self._through.set()

    @property
    def owned(self) -> frozenset[TP]:
        """The partitions that are being read."""
        return frozenset(self._partitions)

    @property
    def lag(self) -> int:
        """Records written and not yet read, of all partitions."""
        return sum(position.lag for position in self.positions().values())

    @property
    def behind_since(self) -> float | None:
        """Since when a partition has had something to read and none of it was read.

        The earliest of all partitions, on the monotonic clock, in seconds; None when each is read
        to its end or moves on.
        """
        since = [each.behind_since for each in self._partitions.values()]
        return min((each for each in since if each is not None), default=None)

    @property
    def polled_to_end(self) -> bool:
        """Whether all that the broker last spoke of has been polled."""
        return all(each.fetched >= each.end_offset for each in self._partitions.values())

    def begin(self, starts: Mapping[TP, int], ends: Mapping[TP, int], asked_at: float) -> None:
        """Begin an epoch: each of *starts* is read from its offset on, and ends as *ends* says."""
        self._overtake()
        self._partitions = {tp: _Progress(start, asked_at) for tp, start in starts.items()}
        self.settle()
        self.note_ends(ends, asked_at)

    def begin_again(self) -> dict[TP, int]:
        """Begin an epoch at the present positions, and say which these are."""
        self._overtake()
        for progress in self._partitions.values():
            progress.fetched = progress.next_offset
        return {tp: progress.next_offset for tp, progress in self._partitions.items()}

    def end(self) -> None:
        """End the epoch without another: what is still under way is dropped."""
        self._overtake()
        self._left = {tp: position.lag for tp, position in self.positions().items()}
        self._partitions = {}
        self.unsettled_since = self.unsettled_since or monotonic()

    def settle(self) -> None:
        """It is known what is to be read, if anything."""
        self.unsettled_since = None

    def unread(self, tp: TP) -> int:
        """Records of *tp* written and not yet read, also once it has been given up."""
        position = self.positions().get(tp)
        return self._left.get(tp, 0) if position is None else position.lag

    def _overtake(self) -> None:
        self._epoch += 1
        self._under_way = 0
        self._idle_waits = 0
        self._through.set()

    async def through(self, within_s: float) -> bool:
        """Wait until what was polled has gone through the sink; False if it has not by then.

        A loop that stood still for longer than that has batches on their way which the processor
        had no turn to take: only after some waits in a row, in which it took none, are they lost.

        Raises:
            BatchLost: it never will.
        """
        if not self._through.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._through.wait(), within_s)
        if self._through.is_set() or self._taking:
            self._idle_waits = 0
        else:
            self._idle_waits += 1
            if self._idle_waits == LOST_AFTER_WAITS:
                raise BatchLost(
                    f"{self._under_way} polled batches never came to the processor; start the "
                    "worker again"
                )
        return self._through.is_set()

    def batches(self, polled: Mapping[TP, Sequence[Record]]) -> dict[TP, list[Batch]]:
        """Turn what a poll brought into one batch for each partition."""
        self.polled_at = monotonic()
        batches = {}
        for topic_partition, records in polled.items():
            tp = TP(*topic_partition)
            progress = self._partitions.get(tp)
            if progress is not None and records:
                self._serial += 1
                batch = Batch(
                    tp, records, start=progress.fetched, epoch=self._epoch, serial=self._serial
                )
                batches[tp] = [batch]
                progress.fetched = records[-1].offset + 1
        if batches:
            self._under_way += len(batches)
            self._through.clear()
        return batches

    async def take(self, batch: Batch) -> None:
        """Pass *batch* to the sink, unless a seek has overtaken it, and wait for room for another.

        Raises:
            BatchLost: the batch before it never came.
        """
        self._taking = True
        self._idle_waits = 0
        self.process(batch)
        await self.sink.room()
        self._taking = False
        if batch.epoch == self._epoch:
            self._under_way -= 1
            if not self._under_way:
                self._through.set()

    def process(self, batch: Batch) -> None:
        """The part of `take` that nothing can interrupt."""
        if batch.epoch != self._epoch:
            return
        tp, records = batch.tp, batch.records
        progress = self._partitions[tp]
        if batch.start != progress.next_offset:
            raise BatchLost(
                f"{tp.topic}[{tp.partition}]: the batch from offset {batch.start} on came where "
                f"{progress.next_offset} was due; start the worker again"
            )
        first, last, expected = records[0], records[-1], batch.start
        if first.offset != expected or last.offset - first.offset + 1 != len(records):
            for record in records:
                if record.offset != expected:
                    self.sink.gap(tp, expected, record.offset)
                expected = record.offset + 1
        self.sink.records(tp, records)
        progress.next_offset = last.offset + 1
        progress.timestamp_ms = last.timestamp
        progress.moved_at = self.moved_at = monotonic()
        progress.behind_since = None

    def note_ends(self, ends: Mapping[TP, int], asked_at: float) -> None:
        """Note where partitions end, as the broker said to a question of *asked_at*."""
        self.broker_answered_at = asked_at
        for tp, end in ends.items():
            progress = self._partitions.get(tp)
            if progress is not None:
                progress.end_offset = end
                progress.end_seen_at = asked_at
                if end <= progress.next_offset:
                    progress.behind_since = None
                elif progress.behind_since is None:
                    progress.behind_since = asked_at

    def behind_with_nothing_to_do(self) -> list[TP]:
        """Partitions that are behind their end although all that was polled is processed."""
        return [
            tp
            for tp, progress in self._partitions.items()
            if progress.fetched == progress.next_offset < progress.end_offset
        ]

    def skip(self, tp: TP, offset: int) -> None:
        """Note that the client found no record before *offset*: transaction marks, compaction.

        Nothing happens where records have been polled in the meantime.
        """
        progress = self._partitions.get(tp)
        if progress is not None and progress.fetched == progress.next_offset < offset:
            self.sink.gap(tp, progress.next_offset, offset)
            progress.next_offset = progress.fetched = offset
            progress.moved_at = monotonic()

    def move(self, tp: TP, offset: int, end: int, asked_at: float) -> None:
        """Go on at *offset*, wherever that lies; nothing of *tp* may be under way.

        Nothing happens where *tp* is not read, or records of it have been polled.
        """
        progress = self._partitions.get(tp)
        if progress is not None and progress.fetched == progress.next_offset:
            progress.next_offset = progress.fetched = offset
            progress.end_offset = end
            progress.end_seen_at = progress.moved_at = asked_at
            progress.behind_since = None if end <= offset else asked_at

    def positions(self) -> dict[TP, Position]:
        """How far each partition is read; empty in a rebalance."""
        return {
            tp: Position(
                next_offset=progress.next_offset,
                end_offset=max(progress.end_offset, progress.fetched),
                end_seen_at=progress.end_seen_at,
                last_timestamp_ms=progress.timestamp_ms,
                moved_at=progress.moved_at,
            )
            for tp, progress in self._partitions.items()
        }

    def committable(self) -> dict[TP, int]:
        """The offsets to tell Kafka."""
        return {
            tp: self.sink.committable(tp, progress.next_offset)
            for tp, progress in self._partitions.items()
        }
