"""The sink of the transport: records into partitions of the core, bad ones to their own topic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from schemas.codec import Decoder, Unreadable
from schemas.events import Unknown, type_name
from streams.core.partition import Partition
from streams.reader import TP, Record, Sink

log = logging.getLogger(__name__)

FUTURE: Final = "future"
BEGINNING: Final = None


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
        new_partition: makes the state of a partition that begins anew.
        rejections: takes records that cannot be read or lie in the future.
        max_record_bytes: a larger record is rejected unread.

    Attributes:
        partitions: the state of each partition that this worker owns.
        begun: those of them that have not been read to their end since they were assigned.
        rejected: how many records were rejected, by reason.
        gaps: how often records were missing where some were due.
    """

    def __init__(
        self,
        new_partition: Callable[[], Partition],
        rejections: Rejections,
        *,
        max_record_bytes: int,
    ) -> None:
        self.partitions: dict[TP, Partition] = {}
        self.begun: set[TP] = set()
        self.rejected: dict[str, int] = {}
        self.gaps = 0
        self._new_partition = new_partition
        self._rejections = rejections
        self._max_record_bytes = max_record_bytes
        self._decoders: dict[str, Decoder] = {}

    async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
        """Begin every partition anew from its first record."""
        for tp in tps:
            self.partitions[tp] = self._new_partition()
            self.begun.add(tp)
        log.info("assigned %d partitions", len(tps))
        return dict.fromkeys(tps, BEGINNING)

    async def revoked(self, tps: Collection[TP]) -> None:
        """Forget the state of *tps*; whoever owns them next reads them again."""
        for tp in tps:
            self.partitions.pop(tp, None)
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

    def gap(self, tp: TP, expected: int, got: int) -> None:
        """Count a gap and say where it is."""
        self.gaps += 1
        log.warning("%s[%d]: offset %d where %d was due", tp.topic, tp.partition, got, expected)

    def committable(self, tp: TP, processed: int) -> int:
        """Not past a rejected record that is not acknowledged yet."""
        oldest = self._rejections.oldest(tp)
        return processed if oldest is None else min(processed, oldest)

    async def room(self) -> None:
        """Hold back while too many rejected records are unacknowledged."""
        await self._rejections.room()

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
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        self._rejections.put(tp, record.offset, reason, record.value, record.timestamp)
