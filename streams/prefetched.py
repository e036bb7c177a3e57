"""What aiokafka has read ahead, handed over without a copy of each record.

This reaches into aiokafka's consumer; `tests/processors/test_prefetched.py` compares it with
aiokafka's own way, and `test_faust_contract.py` holds where its results are kept.
"""

import sys
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import Any
from weakref import ref

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

from streams.reader import Record

__all__ = ["Prefetched"]


class Prefetched(OrderedDict[TopicPartition, Any]):
    """The fetcher's results by partition, in place of its own `OrderedDict`.

    They are taken by `getmany`; `getone` does not know how.
    """

    def __setitem__(self, tp: TopicPartition, result: object) -> None:
        """Keep *result*, a `FetchResult` or an error to raise, until it is asked for."""
        if isinstance(result, FetchResult):
            records = result._partition_records
            if records._isolation_level != READ_COMMITTED:
                records.__class__ = _Unwrapped
                # Neither is held by what it holds, or each would stay until a collection.
                records._records_iterator = None
                result.getall = partial(_getall, ref(result))
        super().__setitem__(tp, result)


def _getall(of: "ref[Any]", max_records: int | None = None) -> list[Record]:
    """As `FetchResult.getall`, many records at once."""
    result: Any = of()
    if not result.check_assignment(result._topic_partition) or not result.has_more():
        return []
    records: _Unwrapped = result._partition_records
    taken = records.take(max_records)
    result._update_position()
    if records.is_over:
        result._partition_records = None
    return taken


class _Unwrapped(PartitionRecords):  # type: ignore[misc] # aiokafka has no types
    """Records as they are parsed, whatever transactions they belong to.

    Attributes:
        is_over: there are no more of them, or none that can be read.
    """

    is_over = False
    next_fetch_offset: int
    _begun: Iterator[Record] | None = None
    _behind_begun: int

    def take(self, at_most: int | None) -> list[Record]:
        """The next records, all that are left for None.

        Raises:
            CorruptRecordException: they are not what the producer wrote. What was behind them has
                to be fetched again.
        """
        taken: list[Record] = []
        room = sys.maxsize if at_most is None else at_most
        try:
            while room > 0 and not self.is_over:
                some = self._of_next_batch(room) if self._begun is None else self._of_begun(room)
                if some and some[0].offset < self.next_fetch_offset:
                    some = [record for record in some if record.offset >= self.next_fetch_offset]
                if some:
                    self.next_fetch_offset = some[-1].offset + 1
                    taken += some
                    room -= len(some)
                if self._begun is None and not self.is_over:
                    # Not the last record's: those behind it may have been compacted away.
                    self.next_fetch_offset = self._behind_begun
        except BaseException:
            self.is_over = True
            raise
        return taken

    def _of_begun(self, room: int) -> list[Record]:
        some = list(islice(self._begun or (), room))
        if len(some) < room:
            self._begun = None
        return some

    def _of_next_batch(self, room: int) -> list[Record]:
        if not self._records.has_next():
            self.is_over = True
            return []
        batch = self._records.next_batch()
        if self._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {self._tp}")
        self._behind_begun = batch.next_offset
        if batch.is_control_batch:
            return []
        if self._behind_begun - self.next_fetch_offset <= room:
            return list(batch)
        self._begun = chain(batch)  # asked for its iterator again, a batch refuses
        return self._of_begun(room)
