"""What aiokafka has read ahead, handed over without a copy of each record.

This reaches into aiokafka's consumer; `tests/processors/test_faust_contract.py` holds what it uses.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords

from streams.reader import Record

__all__ = ["Prefetched"]


class Prefetched(OrderedDict[TopicPartition, Any]):
    """The fetcher's results by partition, in place of its own `OrderedDict`."""

    def __setitem__(self, tp: TopicPartition, result: object) -> None:
        """Keep *result*, a `FetchResult` or an error to raise, until it is asked for."""
        if isinstance(result, FetchResult):
            result._partition_records._consumer_record = _as_parsed
            result._partition_records.__class__ = _Unwrapped
        super().__setitem__(tp, result)


class _Unwrapped(PartitionRecords):  # type: ignore[misc] # aiokafka has no types
    """Records that are iterated over without a call for each."""

    _records_iterator: Iterator[Record]

    def __iter__(self) -> Iterator[Record]:
        return self._records_iterator


def _as_parsed(tp: TopicPartition, record: Record) -> Record:
    return record
