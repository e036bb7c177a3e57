"""The sink of the transport: records into partitions of the core, bad ones to their own topic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

import msgspec

from schemas.codec import Decoder
from streams.core.partition import Partition
from streams.ledger import FALLEN_BACK, NOT_YET, NOTHING_MISSED, Missed
from streams.processors.own_counts import Count, OwnCounts, counts_of
from streams.reader import TP, Record, Sink, is_same_log
from streams.snapshots import Held, Source
from streams.wall_clock import wall_clock_ms

log = logging.getLogger(__name__)

_VALUE: Final = attrgetter("value")
_TIMESTAMP: Final = attrgetter("timestamp")

FUTURE: Final = "future"
SURELY_WHOLE_MS: Final = 60_000
"""A topic made anew within this time after its last snapshot held no more than that one knew of."""


class _Kept(NamedTuple):
    """What is known of a partition from when its state was last kept; see `Held`."""

    unread: int
    cut_ms: int
    lost_at: int | None


class States(Protocol):
    """Where partitions come from and go to."""

    async def take_over(self, tps: Collection[TP]) -> Mapping[TP, Held]:
        """The state of each of *tps*, which are ours from now on."""

    async def let_go(self, tps: Collection[TP], source: Source) -> None:
        """*tps*, of which *source* tells, are no longer ours."""


class Anew(States):
    """Begins every partition anew and keeps none."""

    def __init__(self, new_partition: Callable[[], Partition]) -> None:
        self._new_partition = new_partition

    async def take_over(self, tps: Collection[TP]) -> Mapping[TP, Held]:
        """An empty state of each."""
        return {tp: Held(self._new_partition(), None, {}) for tp in tps}

    async def let_go(self, tps: Collection[TP], source: Source) -> None:
        """Nothing is kept."""


class Rejections(Protocol):
    """Where rejected records go; `room` holds back while too many are unacknowledged."""

    truncated: int
    """How many were kept without a part of their value."""

    def put(self, tp: TP, offset: int, reason: str, value: bytes | None, timestamp: int) -> None:
        """Add a record."""

    def oldest(self, tp: TP) -> int | None:
        """The lowest offset of *tp* that is not acknowledged."""

    async def room(self) -> None:
        """Return when there is room for more."""


class Records(Sink):
    """Decodes every record and hands it to the state of its partition.

    Args:
        states: where the partitions come from.
        rejections: takes records that cannot be read or lie in the future.
        max_record_bytes: a larger record is rejected unread.
        unread: how many records of a partition are known to wait to be read.

    Attributes:
        partitions: the state of each partition that this worker owns.
        begun: those of them that were begun anew and have not been read to their end since.
    """

    def __init__(
        self,
        states: States,
        rejections: Rejections,
        *,
        max_record_bytes: int,
        unread: Callable[[TP], int] = lambda _: 0,
    ) -> None:
        self.partitions: dict[TP, Partition] = {}
        self.begun: set[TP] = set()
        self._states = states
        self._offsets: dict[TP, int] = {}
        self._logs: dict[TP, str] = {}
        self._missed: dict[TP, Missed] = {}
        self._open_gaps: set[TP] = set()
        self._kept: dict[TP, _Kept] = {}
        self._unread = unread
        self._rejected: dict[TP, dict[str, int]] = {}
        self._own_counts = OwnCounts()
        self._rejections = rejections
        self._max_record_bytes = max_record_bytes
        self._decoders: dict[str, Decoder] = {}

    async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
        """Take the partitions over as they were left."""
        starts = {}
        for tp, held in (await self._states.take_over(tps)).items():
            self.partitions[tp] = held.partition
            self._rejected[tp] = dict(held.rejected)
            self._logs[tp] = held.log
            self._missed[tp] = held.missed
            self._own_counts.begin(tp, self._counts_of(tp))
            self._kept[tp] = _Kept(held.unread, held.cut_ms, held.lost_at)
            if held.missed.until_ms == NOT_YET:
                self._open_gaps.add(tp)
            if held.is_recreated:
                self._note_recreated(tp, held.unread, held.cut_ms)
            if held.offset is None:
                self.begun.add(tp)
            else:
                self._offsets[tp] = held.offset
            starts[tp] = held.offset
        log.info("assigned %d partitions, %d of them anew", len(tps), len(self.begun))
        return starts

    async def revoked(self, tps: Collection[TP]) -> None:
        """Forget the state of *tps*; whoever owns them next takes it from where it is kept."""
        for tp in tps:
            if tp in self.partitions:
                self._own_counts.end(tp, self._counts_of(tp))
        await self._states.let_go(tps, self)
        for tp in tps:
            self.partitions.pop(tp, None)
            self._offsets.pop(tp, None)
            self._logs.pop(tp, None)
            self._missed.pop(tp, None)
            self._open_gaps.discard(tp)
            self._kept.pop(tp, None)
            self._rejected.pop(tp, None)
            self.begun.discard(tp)
        log.info("revoked %d partitions", len(tps))

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        """Take a batch; what cannot be read is counted, kept elsewhere and never stops it."""
        partition = self.partitions[tp]
        if tp in self._open_gaps:
            self.end_gap(tp, batch[0].timestamp)
        decoder = self._decoder(tp.topic)
        events, times_ms, unreadable = decoder.decode_all(map(_VALUE, batch))
        ahead = partition.accept_all(events, times_ms, list(map(_TIMESTAMP, batch)))
        reasons = dict.fromkeys(ahead, FUTURE)
        for at, refused in unreadable.items():
            reasons[at] = refused.reason
        for at in sorted(reasons):
            self._reject(tp, batch[at], reasons[at])
        self._offsets[tp] = batch[-1].offset + 1

    def missed(self, tp: TP, expected: int, got: int) -> None:
        """Count what is gone: the figures of the partition's queues are not known for a while."""
        self._offsets[tp] = got
        self._begin_gap(tp, got - expected)
        log.warning(
            "%s[%d]: %d records from offset %d on were removed before they were read; its queues "
            "are shown as unknown until an hour of records has followed",
            tp.topic,
            tp.partition,
            got - expected,
            expected,
        )

    def began(self, tp: TP, first: int) -> None:
        """Where its state was lost, what it held of the records before *first* is gone for good."""
        lost_at = self._kept[tp].lost_at
        if lost_at is None:
            return
        self._offsets[tp] = first
        self._begin_gap(tp, max(0, first - lost_at))
        log.warning(
            "%s[%d]: its state is lost, and so is what was removed before offset %d; its queues "
            "are shown as unknown until an hour of records has followed",
            tp.topic,
            tp.partition,
            first,
        )

    def recreated(self, tp: TP, topic_id: str, first: int, unread: int | None) -> None:
        """Go on with all that is known of the partition, in another log."""
        known, _, times = self._logs[tp].partition(FALLEN_BACK)
        fell_back = is_same_log(known, topic_id)
        self._logs[tp] = f"{known}{FALLEN_BACK}{int(times or 0) + 1}" if fell_back else topic_id
        self._offsets[tp] = first
        if unread is None:
            self._note_recreated(tp, self._kept[tp].unread, self._kept[tp].cut_ms)
        else:
            self._note_recreated(tp, unread, wall_clock_ms())

    def _note_recreated(self, tp: TP, unread: int, known_ms: int) -> None:
        """Count it, and what is lost with the former topic, of which *known_ms* is the last."""
        missed = self._missed[tp]
        self._missed[tp] = msgspec.structs.replace(missed, logs=missed.logs + 1)
        is_whole = not unread and wall_clock_ms() - known_ms < SURELY_WHOLE_MS
        log.warning(
            "%s[%d] has begun anew: its topic is another one or has fallen back; what is known "
            "stays, the new log is read from its beginning, and of the former one %s",
            tp.topic,
            tp.partition,
            "all was read" if is_whole else f"{unread or 'an unknown number of'} records were not",
        )
        if not is_whole:
            self._begin_gap(tp, unread)

    def _begin_gap(self, tp: TP, records: int) -> None:
        missed = self._missed[tp]
        self._missed[tp] = msgspec.structs.replace(
            missed,
            records=missed.records + records,
            since_ms=missed.since_ms if tp in self._open_gaps else self.partitions[tp].arrival_ms,
            until_ms=NOT_YET,
        )
        self._open_gaps.add(tp)

    def end_gap(self, tp: TP, until_ms: int) -> None:
        """What is gone was older than *until_ms*; nothing happens where nothing is gone."""
        if tp in self._open_gaps:
            self._open_gaps.discard(tp)
            missed = self._missed[tp]
            self._missed[tp] = msgspec.structs.replace(
                missed, since_ms=missed.since_ms or until_ms, until_ms=until_ms
            )

    def committable(self, tp: TP, processed: int) -> int:
        """Not past a rejected record that is not acknowledged yet."""
        oldest = self._rejections.oldest(tp)
        return processed if oldest is None else min(processed, oldest)

    async def room(self) -> None:
        """Hold back while too many rejected records are unacknowledged."""
        await self._rejections.room()

    def next_offset(self, tp: TP) -> int | None:
        """The offset after the last record that is in the state; None before the first."""
        return self._offsets.get(tp)

    def log_of(self, tp: TP) -> str:
        """The log in which the offsets of *tp* lie."""
        return self._logs.get(tp, "")

    def unread_of(self, tp: TP) -> int:
        """How many records of *tp* are known to wait to be read."""
        return self._unread(tp)

    def missing(self, tp: TP) -> tuple[int, int] | None:
        """Between which instants records of *tp* are gone; None if they never were."""
        missed = self.missed_of(tp)
        return (missed.since_ms, missed.until_ms) if missed.until_ms else None

    def missed_of(self, tp: TP) -> Missed:
        """What of *tp* was gone before it was read."""
        return self._missed.get(tp, NOTHING_MISSED)

    def rejected_of(self, tp: TP) -> Mapping[str, int]:
        """How many records of *tp* were rejected, by reason."""
        return self._rejected.get(tp, {})

    def is_acknowledged(self, tp: TP, offset: int) -> bool:
        """Whether every rejected record of *tp* before *offset* has been written."""
        return self.committable(tp, offset) >= offset

    @property
    def rejected(self) -> dict[str, int]:
        """How many records of the owned partitions were rejected, by reason."""
        total: dict[str, int] = {}
        for reasons in self._rejected.values():
            for reason, count in reasons.items():
                total[reason] = total.get(reason, 0) + count
        return total

    @property
    def shortened(self) -> int:
        """How many rejected records were kept without a part of their value."""
        return self._rejections.truncated

    def unknown_fields(self) -> dict[str, int]:
        """How many fields that this version does not know were met, by topic."""
        return {topic: decoder.unknown_fields for topic, decoder in self._decoders.items()}

    def counts(self) -> Mapping[Count, int]:
        """What this process has met of all partitions that it ever had: it only rises."""
        return self._own_counts.total({tp: self._counts_of(tp) for tp in self.partitions})

    def _counts_of(self, tp: TP) -> Mapping[Count, int]:
        counts = counts_of(tp.topic, self.partitions[tp])
        for reason, count in self.rejected_of(tp).items():
            counts["rejected", reason] = count
        missed = self.missed_of(tp)
        counts["missed", tp.topic] = missed.records
        counts["recreated", tp.topic] = missed.logs
        return counts

    def _decoder(self, topic: str) -> Decoder:
        decoder = self._decoders.get(topic)
        if decoder is None:
            decoder = self._decoders[topic] = Decoder(self._max_record_bytes)
        return decoder

    def _reject(self, tp: TP, record: Record, reason: str) -> None:
        reasons = self._rejected.setdefault(tp, {})
        reasons[reason] = reasons.get(reason, 0) + 1
        self._rejections.put(tp, record.offset, reason, record.value, record.timestamp)
