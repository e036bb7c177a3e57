"""What is handed over at once is what aiokafka hands over one by one."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final
from weakref import ref

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import (
    READ_COMMITTED,
    READ_UNCOMMITTED,
    FetchResult,
    PartitionRecords,
)
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from streams.prefetched import Prefetched

CALLS: Final = TopicPartition("calls", 0)
CONTROL: Final = 0x20
"""A batch with this attribute marks the end of a transaction and holds no record of anybody's."""

# Where a batch of format 2 says what, in bytes.
BASE_OFFSET: Final = slice(8)
CRC: Final = slice(17, 21)
SUMMED: Final = 21
ATTRIBUTES: Final = slice(21, 23)
LAST_OFFSET_DELTA: Final = slice(23, 27)


@dataclass(frozen=True)
class Written:
    """A batch as it is on the broker's disk.

    Attributes:
        steps: from each record's offset to the next one; the last is to the next batch.
        is_control: it marks the end of a transaction.
        is_whole: nothing has changed since it was written.
    """

    steps: tuple[int, ...] = (1,)
    is_control: bool = False
    is_compressed: bool = False
    is_whole: bool = True


def raw(batches: Sequence[Written]) -> bytes:
    """What a fetch brings of *batches*; a record's value is its offset."""
    fetched = b""
    base = 0
    for batch in batches:
        builder = DefaultRecordBatchBuilder(2, int(batch.is_compressed), 0, -1, -1, -1, 1 << 16)
        delta = 0
        for step in batch.steps:
            builder.append(delta, 1000 + delta, b"key", b"%d" % (base + delta), [("a", b"header")])
            delta += step
        written = bytearray(builder.build())
        written[BASE_OFFSET] = base.to_bytes(8, "big")
        written[LAST_OFFSET_DELTA] = (delta - 1).to_bytes(4, "big")
        attributes = int.from_bytes(written[ATTRIBUTES], "big") | CONTROL * batch.is_control
        written[ATTRIBUTES] = attributes.to_bytes(2, "big")
        written[CRC] = (calc_crc32c(written[SUMMED:]) ^ (not batch.is_whole)).to_bytes(4, "big")
        fetched += bytes(written)
        base += delta
    return fetched


class Fetched:
    """A result of aiokafka's fetcher, and the position that it moves."""

    def __init__(
        self,
        batches: Sequence[Written],
        *,
        start: int = 0,
        ours: bool = False,
        isolation: int = READ_UNCOMMITTED,
    ) -> None:
        self.state = SimpleNamespace(paused=False, position=start, consumed_to=self._move)
        records = PartitionRecords(
            CALLS, MemoryRecords(raw(batches)), [], start, None, None, True, isolation
        )
        self.result = FetchResult(
            CALLS,
            assignment=SimpleNamespace(active=True, state_value=lambda _: self.state),
            partition_records=records,
            backoff=0,
        )
        if ours:
            prefetched = Prefetched()
            prefetched[CALLS] = self.result
            assert prefetched[CALLS] is self.result

    def _move(self, offset: int) -> None:
        self.state.position = offset

    def take(self, at_most: int | None) -> list[Any] | str:
        """The next records, or why there are none."""
        try:
            return list(self.result.getall(at_most))
        except CorruptRecordException as exc:
            return str(exc)


def said(records: list[Any] | str) -> list[tuple[Any, ...]] | str:
    """All that a sink may read of *records*."""
    if isinstance(records, str):
        return records
    return [
        (each.offset, each.timestamp, each.key, each.value, tuple(each.headers)) for each in records
    ]


BATCHES: Final = st.lists(
    st.builds(
        Written,
        steps=st.lists(st.integers(1, 3), min_size=1, max_size=5).map(tuple),
        is_control=st.sampled_from([False, False, False, True]),
        is_compressed=st.booleans(),
        is_whole=st.sampled_from([True] * 7 + [False]),
    ),
    max_size=5,
)


@given(BATCHES, st.integers(0, 12), st.lists(st.one_of(st.none(), st.integers(1, 7)), min_size=1))
def test_records_are_handed_over_as_aiokafka_would(
    batches: list[Written], start: int, at_most: list[int | None]
) -> None:
    theirs = Fetched(batches, start=start)
    ours = Fetched(batches, start=start, ours=True)

    turn = 0
    while theirs.result.has_more():
        wanted = at_most[turn % len(at_most)]
        turn += 1
        assert said(ours.take(wanted)) == said(theirs.take(wanted))
        assert ours.result.has_more() == theirs.result.has_more()
        # aiokafka notices only with the next record that none is left behind its batch's last one.
        assert ours.state.position >= theirs.state.position
    assert ours.state.position == theirs.state.position


def test_no_record_is_copied() -> None:
    batches = [Written((1, 1))]

    assert all(isinstance(each, ConsumerRecord) for each in Fetched(batches).take(None))
    assert not any(isinstance(each, ConsumerRecord) for each in Fetched(batches, ours=True).take(9))


def test_nothing_behind_a_broken_batch_is_handed_over_until_it_is_fetched_again() -> None:
    fetched = Fetched([Written(is_whole=False), Written()], ours=True)

    assert fetched.take(None) == f"[Error 2] CorruptRecordException: Invalid CRC - {CALLS}"
    assert fetched.take(None) == []
    assert not fetched.result.has_more()
    assert fetched.state.position == 0


@pytest.mark.parametrize("at_most", [3, None])
def test_a_position_that_was_moved_meanwhile_drops_what_was_read_ahead(at_most: int | None) -> None:
    fetched = Fetched([Written((1,) * 5)], ours=True)
    fetched.take(1)
    fetched.state.position = 4

    assert fetched.take(at_most) == []
    assert not fetched.result.has_more()


def test_where_transactions_count_it_stays_with_aiokafka() -> None:
    fetched = Fetched([Written()], ours=True, isolation=READ_COMMITTED)

    assert [type(each) for each in fetched.take(None)] == [ConsumerRecord]


@pytest.mark.parametrize("at_most", [1, 3, None])
def test_what_was_fetched_is_let_go_of_without_a_collection(at_most: int | None) -> None:
    gc.disable()
    try:
        fetched = Fetched([Written((1, 1, 1))], ours=True)
        fetched.take(at_most)
        records = ref(fetched.result._partition_records or fetched.result)
        del fetched.result

        assert records() is None
    finally:
        gc.enable()


def test_an_error_is_kept_as_it_is() -> None:
    prefetched = Prefetched()
    error = CorruptRecordException("broken")

    prefetched[CALLS] = error

    assert prefetched[CALLS] is error
