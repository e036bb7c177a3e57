"""The sink of the transport: records into partitions of the core, bad ones to their own topic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from schemas.codec import Decoder, Unreadable
from schemas.events import Unknown, type_name
from streams.core.partition import Partition
from streams.reader import TP, Record, Sink
from streams.snapshots import Held, Source

log = logging.getLogger(__name__)

FUTURE: Final = "future"
ACKNOWLEDGED_EVERY_S: Final = 0.05


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

    Attributes:
        partitions: the state of each partition that this worker owns.
        begun: those of them that were begun anew and have not been read to their end since.
        gaps: how often records were missing where some were due.
    """

    def __init__(
        self,
        states: States,
        rejections: Rejections,
        *,
        max_record_bytes: int,
    ) -> None:
        self.partitions: dict[TP, Partition] = {}
        self.begun: set[TP] = set()
        self.gaps = 0
        self._states = states
        self._offsets: dict[TP, int] = {}
        self._recreated: set[TP] = set()
        self._rejected: dict[TP, dict[str, int]] = {}
        self._rejections = rejections
        self._max_record_bytes = max_record_bytes
        self._decoders: dict[str, Decoder] = {}

    async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
        """Take the partitions over as they were left."""
        starts = {}
        for tp, held in (await self._states.take_over(tps)).items():
            self.partitions[tp] = held.partition
            self._rejected[tp] = dict(held.rejected)
            if held.offset is None:
                self.begun.add(tp)
            else:
                self._offsets[tp] = held.offset
            starts[tp] = held.offset
        log.info("assigned %d partitions, %d of them anew", len(tps), len(self.begun))
        return starts

    async def revoked(self, tps: Collection[TP]) -> None:
        """Forget the state of *tps*; whoever owns them next takes it from where it is kept."""
        await self._states.let_go(tps, self)
        for tp in tps:
            self.partitions.pop(tp, None)
            self._offsets.pop(tp, None)
            self._recreated.discard(tp)
            self._rejected.pop(tp, None)
            self.begun.discard(tp)
        log.info("revoked %d partitions", len(tps))

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        """Take a batch; what cannot be read is counted, kept elsewhere and never stops it."""
        partition = self.partitions[tp]
        accept = partition.accept
        decode = self._decoder(tp.topic).decode
        for record in batch:
            value = record.value
            try:
                event, time_ms = decode(value)
            except Unreadable as unreadable:
                partition.arrive(record.timestamp)
                self._reject(tp, record, unreadable.reason)
                continue
            if not accept(event, time_ms, record.timestamp):
                self._reject(tp, record, FUTURE)
        partition.advance(min(partition.arrival_ms, partition.latest_ms))
        self._offsets[tp] = batch[-1].offset + 1

    def gap(self, tp: TP, expected: int, got: int) -> None:
        """Count a gap and say where it is."""
        self.gaps += 1
        if got < expected:
            self._recreated.add(tp)
        log.warning("%s[%d]: offset %d where %d was due", tp.topic, tp.partition, got, expected)

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

    def is_recreated(self, tp: TP) -> bool:
        """Whether the partition's offsets have begun anew since this worker has it."""
        return tp in self._recreated

    def rejected_of(self, tp: TP) -> Mapping[str, int]:
        """How many records of *tp* were rejected, by reason."""
        return self._rejected.get(tp, {})

    async def acknowledged(self, tp: TP, offset: int) -> None:
        """Return when every rejected record of *tp* before *offset* has been written."""
        while self.committable(tp, offset) < offset:  # noqa: ASYNC110 - its writer tells nobody
            await asyncio.sleep(ACKNOWLEDGED_EVERY_S)

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

    def events(self) -> dict[tuple[str, str], int]:
        """How many events of each (topic, type) the owned partitions have taken."""
        counts: dict[tuple[str, str], int] = {}
        for tp, partition in self.partitions.items():
            for kind, count in partition.events.items():
                key = (tp.topic, "unknown" if kind is Unknown else type_name(kind))
                counts[key] = counts.get(key, 0) + count
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
