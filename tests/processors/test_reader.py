"""The books of what was read: in order, nothing twice, nothing left out."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.reader import LOST_AFTER_WAITS, TP, Batch, BatchLost, Reader, Record, Sink

CALLS_0 = TP("calls", 0)
CALLS_1 = TP("calls", 1)


@dataclass(frozen=True)
class Written:
    """A record in a partition."""

    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b"{}"


class Seen(Sink):
    """A sink that keeps the offsets it was given, and can be told to fail."""

    def __init__(self) -> None:
        self.offsets: dict[TP, list[int]] = {}
        self.gaps: list[tuple[TP, int, int]] = []
        self.broken = False

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        if self.broken:
            raise ZeroDivisionError
        self.offsets.setdefault(tp, []).extend(record.offset for record in batch)

    def gap(self, tp: TP, expected: int, got: int) -> None:
        self.gaps.append((tp, expected, got))


def written(*offsets: int) -> list[Written]:
    return [Written(offset, timestamp=1000 + offset) for offset in offsets]


def reader_at(**starts: int) -> tuple[Reader, Seen]:
    """A reader of partitions of `calls`; `p0=5` begins partition 0 at offset 5."""
    sink = Seen()
    reader = Reader(sink)
    begin(reader, {TP("calls", int(name[1:])): start for name, start in starts.items()})
    return reader, sink


def begin(reader: Reader, starts: Mapping[TP, int]) -> None:
    reader.begin(starts, starts, asked_at=1.0)


def polled(reader: Reader, tp: TP, *offsets: int) -> Batch:
    [batch] = reader.batches({tp: written(*offsets)})[tp]
    return batch


def test_a_poll_becomes_one_batch_for_each_of_its_partitions() -> None:
    reader, _ = reader_at(p0=0, p1=7)

    batches = reader.batches({CALLS_0: written(0, 1, 2), CALLS_1: written(7), TP("chats", 0): []})

    assert {tp: [len(batch.records) for batch in each] for tp, each in batches.items()} == {
        CALLS_0: [3],
        CALLS_1: [1],
    }


def test_batches_reach_the_sink_in_their_order() -> None:
    reader, sink = reader_at(p0=0, p1=7)

    for batch in (
        polled(reader, CALLS_0, 0, 1),
        polled(reader, CALLS_1, 7),
        polled(reader, CALLS_0, 2),
    ):
        reader.process(batch)

    assert sink.offsets == {CALLS_0: [0, 1, 2], CALLS_1: [7]}
    assert sink.gaps == []


def test_a_batch_that_a_seek_has_overtaken_is_dropped() -> None:
    reader, sink = reader_at(p0=0)
    reader.process(polled(reader, CALLS_0, 0, 1))
    stale = polled(reader, CALLS_0, 2, 3)

    assert reader.begin_again() == {CALLS_0: 2}
    reader.process(stale)
    reader.process(polled(reader, CALLS_0, 2, 3))

    assert sink.offsets == {CALLS_0: [0, 1, 2, 3]}


def test_a_batch_of_an_earlier_assignment_is_dropped_even_if_it_would_fit() -> None:
    reader, sink = reader_at(p0=0)
    stale = polled(reader, CALLS_0, 0)

    reader.end()
    begin(reader, {CALLS_0: 0})
    reader.process(stale)

    assert sink.offsets == {}


def test_a_batch_of_a_partition_that_was_let_go_is_dropped() -> None:
    reader, sink = reader_at(p0=0)
    stale = polled(reader, CALLS_0, 0)

    reader.end()
    reader.process(stale)

    assert sink.offsets == {}
    assert reader.batches({CALLS_0: written(1)}) == {}


def test_a_batch_whose_predecessor_never_came_stops_the_worker() -> None:
    reader, sink = reader_at(p0=0)
    polled(reader, CALLS_0, 0, 1)
    next_one = polled(reader, CALLS_0, 2)

    with pytest.raises(BatchLost, match=r"calls\[0\]: the batch from offset 2 on .* 0 was due"):
        reader.process(next_one)

    assert sink.offsets == {}


def test_what_the_sink_refuses_does_not_count_as_read() -> None:
    reader, sink = reader_at(p0=0)
    sink.broken = True

    with pytest.raises(ZeroDivisionError):
        reader.process(polled(reader, CALLS_0, 0))

    assert reader.positions()[CALLS_0].next_offset == 0
    assert reader.committable() == {CALLS_0: 0}


@pytest.mark.parametrize(
    ("offsets", "gaps"),
    [
        ((5, 6, 7), []),
        ((6, 7), [(5, 6)]),
        ((5, 8, 9, 12), [(6, 8), (10, 12)]),
        ((0, 1, 2), [(5, 0)]),
    ],
)
def test_offsets_that_do_not_follow_are_reported_and_still_read(
    offsets: tuple[int, ...], gaps: list[tuple[int, int]]
) -> None:
    reader, sink = reader_at(p0=5)

    reader.process(polled(reader, CALLS_0, *offsets))

    assert sink.gaps == [(CALLS_0, expected, got) for expected, got in gaps]
    assert sink.offsets == {CALLS_0: list(offsets)}
    assert reader.positions()[CALLS_0].next_offset == offsets[-1] + 1


def test_what_faust_takes_for_the_offset_only_rises_even_when_offsets_fall_back() -> None:
    reader, _ = reader_at(p0=5, p1=0)

    serials = [
        polled(reader, CALLS_0, 5).offset,
        polled(reader, CALLS_1, 0).offset,
        polled(reader, CALLS_0, 0, 1).offset,
    ]

    assert serials == sorted(set(serials))


def test_a_position_knows_its_lag_and_its_last_timestamp() -> None:
    reader, _ = reader_at(p0=0, p1=0)
    reader.note_ends({CALLS_0: 4, CALLS_1: 0}, asked_at=9.0)
    reader.process(polled(reader, CALLS_0, 0, 1))

    busy, idle = reader.positions()[CALLS_0], reader.positions()[CALLS_1]

    assert (busy.lag, busy.read_to_end, busy.last_timestamp_ms) == (2, False, 1001)
    assert (idle.lag, idle.read_to_end, idle.last_timestamp_ms) == (0, True, None)
    assert (busy.end_seen_at, idle.end_seen_at, reader.broker_answered_at) == (9.0, 9.0, 9.0)
    assert reader.lag == 2


def test_a_partition_is_behind_since_its_end_was_first_seen_ahead_and_until_it_moves() -> None:
    reader, _ = reader_at(p0=0, p1=0)
    assert reader.behind_since is None

    reader.note_ends({CALLS_0: 4, CALLS_1: 0}, asked_at=50.0)
    reader.note_ends({CALLS_0: 4, CALLS_1: 3}, asked_at=51.0)
    assert reader.behind_since == 50.0

    reader.process(polled(reader, CALLS_0, 0, 1))
    assert reader.behind_since == 51.0

    reader.process(polled(reader, CALLS_1, 0, 1, 2))
    reader.note_ends({CALLS_0: 4, CALLS_1: 3}, asked_at=52.0)
    assert reader.behind_since == 52.0

    reader.process(polled(reader, CALLS_0, 2, 3))
    reader.note_ends({CALLS_0: 4, CALLS_1: 3}, asked_at=53.0)
    assert reader.behind_since is None


def test_a_partition_with_a_batch_under_way_is_not_read_to_its_end() -> None:
    reader, _ = reader_at(p0=0)

    batch = polled(reader, CALLS_0, 0)
    assert not reader.positions()[CALLS_0].read_to_end
    reader.process(batch)

    assert reader.positions()[CALLS_0].read_to_end


def test_offsets_without_records_are_skipped_only_when_nothing_is_under_way() -> None:
    reader, sink = reader_at(p0=0)
    reader.note_ends({CALLS_0: 4}, asked_at=2.0)
    batch = polled(reader, CALLS_0, 0, 1)

    assert reader.behind_with_nothing_to_do() == []
    reader.skip(CALLS_0, 4)
    assert reader.positions()[CALLS_0].next_offset == 0

    reader.process(batch)
    assert reader.behind_with_nothing_to_do() == [CALLS_0]
    reader.skip(CALLS_0, 4)
    assert reader.positions()[CALLS_0].read_to_end
    assert sink.gaps == [(CALLS_0, 2, 4)]

    reader.process(polled(reader, CALLS_0, 4))
    assert sink.gaps == [(CALLS_0, 2, 4)]


def test_answers_about_partitions_that_were_let_go_are_ignored() -> None:
    reader, sink = reader_at(p0=0)
    reader.end()

    reader.note_ends({CALLS_0: 4}, asked_at=2.0)
    reader.skip(CALLS_0, 4)

    assert reader.positions() == {}
    assert sink.gaps == []


def test_kafka_is_told_what_the_sink_answers_for() -> None:
    class Cautious(Seen):
        def committable(self, tp: TP, processed: int) -> int:
            return min(processed, 1)

    reader = Reader(Cautious())
    begin(reader, {CALLS_0: 0, CALLS_1: 0})
    reader.process(polled(reader, CALLS_0, 0, 1, 2))

    assert reader.committable() == {CALLS_0: 1, CALLS_1: 0}


def test_a_sink_needs_only_to_take_records() -> None:
    sink = Seen()

    async def plain_answers() -> Mapping[TP, int | None]:
        await sink.revoked([CALLS_0])
        await sink.room()
        return await sink.assigned([CALLS_0])

    assert asyncio.run(plain_answers()) == {CALLS_0: None}
    assert sink.committable(CALLS_0, 7) == 7


async def test_a_poll_waits_until_what_was_polled_before_is_through() -> None:
    reader, _ = reader_at(p0=0, p1=0)
    assert await reader.through(within_s=0)
    first, second = polled(reader, CALLS_0, 0), polled(reader, CALLS_1, 0)
    waiting = asyncio.create_task(reader.through(within_s=5))

    await reader.take(first)
    await asyncio.sleep(0)
    assert not waiting.done()
    await reader.take(second)

    assert await waiting


async def test_a_sink_without_room_keeps_the_next_poll_waiting_and_that_is_no_fault() -> None:
    class Full(Seen):
        def __init__(self) -> None:
            super().__init__()
            self.has_room = asyncio.Event()

        async def room(self) -> None:
            await self.has_room.wait()

    sink = Full()
    reader = Reader(sink)
    begin(reader, {CALLS_0: 0})
    taking = asyncio.create_task(reader.take(polled(reader, CALLS_0, 0)))
    await asyncio.sleep(0)

    assert sink.offsets == {CALLS_0: [0]}
    assert not await reader.through(within_s=0.01)

    sink.has_room.set()
    await taking
    assert await reader.through(within_s=0.01)


async def test_a_batch_that_never_comes_to_the_processor_stops_the_worker() -> None:
    reader, _ = reader_at(p0=0)
    polled(reader, CALLS_0, 0)

    for _ in range(LOST_AFTER_WAITS - 1):
        assert not await reader.through(within_s=0.001)
    with pytest.raises(BatchLost, match="1 polled batches never came"):
        await reader.through(within_s=0.001)


async def test_a_batch_that_was_taken_while_the_loop_stood_still_is_not_lost() -> None:
    reader, sink = reader_at(p0=0)
    batch = polled(reader, CALLS_0, 0)

    async def stand_still() -> None:
        time.sleep(0.02)  # noqa: ASYNC251 - the loop does nothing else, that is the point
        await reader.take(batch)

    standing = asyncio.create_task(stand_still())
    assert await reader.through(within_s=0.01)
    await standing

    assert sink.offsets == {CALLS_0: [0]}


async def test_a_processor_that_had_no_turn_for_a_while_has_lost_nothing() -> None:
    reader, _ = reader_at(p0=0)
    for offset in range(3):
        batch = polled(reader, CALLS_0, offset)
        for _ in range(LOST_AFTER_WAITS - 1):
            assert not await reader.through(within_s=0)
        await reader.take(batch)
        assert await reader.through(within_s=0)


async def test_a_seek_frees_the_next_poll_from_waiting_for_what_it_has_overtaken() -> None:
    reader, _ = reader_at(p0=0)
    stale = polled(reader, CALLS_0, 0)
    reader.begin_again()

    assert await reader.through(within_s=0)
    fresh = polled(reader, CALLS_0, 0)
    await reader.take(stale)
    assert not reader._through.is_set()
    await reader.take(fresh)
    assert await reader.through(within_s=0)


async def test_after_a_failure_nothing_more_is_polled_and_the_failure_stays_the_reason() -> None:
    reader, sink = reader_at(p0=0)
    sink.broken = True
    with pytest.raises(ZeroDivisionError):
        await reader.take(polled(reader, CALLS_0, 0))

    assert not await reader.through(within_s=0.01)


@given(
    st.lists(
        st.sampled_from(["poll", "poll", "process", "seek again", "rebalance", "drop all"]),
        max_size=60,
    ),
    st.lists(st.integers(1, 5), min_size=60, max_size=60),
)
def test_whatever_happens_between_poll_and_processor_the_sink_sees_each_offset_once_in_order(
    happenings: list[str], sizes: list[int]
) -> None:
    reader, sink = reader_at(p0=0)
    under_way: list[Batch] = []
    client_at = 0
    for happening, size in zip(happenings, sizes, strict=False):
        if happening == "poll":
            under_way.append(polled(reader, CALLS_0, *range(client_at, client_at + size)))
            client_at += size
        elif happening == "process" and under_way:
            reader.process(under_way.pop(0))
        elif happening == "seek again":
            client_at = reader.begin_again()[CALLS_0]
        elif happening == "rebalance":
            client_at = reader.positions()[CALLS_0].next_offset
            reader.end()
            begin(reader, {CALLS_0: client_at})
        elif happening == "drop all":
            under_way.clear()
            client_at = reader.begin_again()[CALLS_0]
    for batch in under_way:
        reader.process(batch)

    seen = sink.offsets.get(CALLS_0, [])
    assert seen == list(range(len(seen)))
    assert reader.positions()[CALLS_0].next_offset == len(seen)
    assert sink.gaps == []
