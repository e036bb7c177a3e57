"""What partitions say, sent, read back and put together: the floor is the same on every way."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import accumulate
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.figures import Live
from streams.core.floor import FloorMerger, Partial
from streams.core.floorboard import Floorboard, Place, Standing
from streams.core.frame import RESTORED, Frame, Framer, Totals, net_of, sum_of
from streams.core.frame_codec import HEAD, FrameLog, FrameWriter
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.sources import SourceBook
from streams.core.tally import OFFERED, WIDTH, Histogram, Sums
from tests.support.core_events import HOUR, call, chat, event, ms, policy, tell, told
from tests.support.core_floor import CoreFloor, frame_of
from tests.support.core_state import attributes_of
from tests.support.histories import histories, permuted, split

SALES = ("sales", "voice")
AVAILABLE = {"agent": "a-1", "state": "available", "queues": ["sales"]}
ONE, OTHER, THIRD = (("calls", 0), ("calls", 1), ("calls", 2))


def plain(value: Any) -> Any:
    """*value* by what it holds, to be compared."""
    if isinstance(value, Sums | Histogram | SourceBook):
        return [getattr(value, name) for name in attributes_of(type(value))]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def a_little_of_everything() -> Partition:
    """A little of everything that a frame holds."""
    return told(
        *(call(0, "queued", segment="gold"), call(25, "answered"), call(20, "abandoned")),
        *(call(3, "queued", contact="c-2", source="desk"), chat(4, "messaged", contact="c-3")),
        *(chat(1, "messaged"), chat(2, "queued"), chat(40, "replied", by="human")),
        event(0, "agent.changed", **AVAILABLE),
        event(1, "queue.closed", queue="sales", reason="fault"),
        event(2, "queue.observed", queue="sales", waiting=4),
        event(3, "source.alive"),
        now_s=60,
    )


@dataclass
class Said:
    """What a partition said, one frame after another, and the same by one that knew no other."""

    partition: Partition
    frames: list[Frame] = field(default_factory=list)
    anew: list[Any] = field(default_factory=list)


@st.composite
def said(draw: st.DrawFn, *, partitions: int = 3, steps: int = 4) -> list[Said]:
    """Partitions that hear a history bit by bit, some of them behind, and say where they are."""
    history = draw(histories(max_contacts=5))
    logs = split(permuted(draw, history), partitions)
    core = CoreFloor(history.policy, partitions)
    framers = [Framer(partition) for partition in core.partitions]
    all_said = [Said(partition) for partition in core.partitions]
    now_ms = 0
    for step in range(steps):
        bits = [log[len(log) * step // steps : len(log) * (step + 1) // steps] for log in logs]
        stamps = [stamp for bit in bits for stamp, _ in bit]
        now_ms = -(-max([now_ms, *stamps]) // 1000) * 1000
        now_ms += 1000 * draw(st.sampled_from((0, 1, 4, 5, 25, 300, HOUR)))
        for at, (framer, bit) in enumerate(zip(framers, bits, strict=True)):
            core.take(bit, at)
            behind = draw(st.sampled_from((False, False, True)))
            if not behind:
                core.partitions[at].advance(now_ms)
            frame = framer.frame(now_ms, catching_up=behind)
            all_said[at].frames.append(frame)
            anew = frame_of(core.partitions[at], now_ms, catching_up=behind)
            all_said[at].anew.append(plain(replace(anew, serial=frame.serial)))
    return all_said


# What a partition says


@given(said(partitions=1))
def test_a_frame_says_what_it_would_without_the_ones_before_and_stays_as_it_was(
    of_partitions: list[Said],
) -> None:
    (only,) = of_partitions

    assert plain(only.frames) == only.anew


def test_what_did_not_change_is_the_same_object_in_the_next_frame() -> None:
    partition = told(call(0, "queued"), chat(0, "queued", contact="c-2"), now_s=60)
    framer = Framer(partition)
    before = framer.frame(ms(60))
    tell(partition, [call(61, "answered")])
    partition.advance(ms(62))

    after = framer.frame(ms(62))

    sales, chats = SALES, ("help", "chat")
    assert after.queues[chats] is before.queues[chats]
    assert after.queues[sales].totals is not before.queues[sales].totals
    assert after.queues[sales].windows is before.queues[sales].windows


def test_windows_that_hold_the_same_at_the_next_tick_are_the_same_object() -> None:
    partition = told(call(0, "queued"), now_s=20)
    framer = Framer(partition)
    before, after, later = (framer.frame(ms(at)) for at in (20, 25, 301))

    assert after.queues[SALES].windows is before.queues[SALES].windows
    assert later.queues[SALES].windows["15m"] is before.queues[SALES].windows["15m"]
    assert later.queues[SALES].windows["5m"].counts == [0] * WIDTH


# A new owner


def lifted(last: Frame, partition: Partition) -> Frame:
    return Framer(partition, last=last).frame(last.second_ms)


def test_totals_of_a_new_owner_do_not_fall_and_net_ones_are_its_own() -> None:
    before = frame_of(told(call(0, "queued"), call(21, "answered"), now_s=60), ms(60))
    same = told(call(0, "queued"), now_s=60)

    queue = lifted(before, same).queues[SALES]

    assert queue.totals.counters["answered:false"] == 1
    assert queue.totals.corrections == {("answered:false", RESTORED): 1}
    assert net_of(queue.totals.counters, queue.totals.corrections)["answered:false"] == 0
    assert sum(queue.totals.waits["answered"].counts) == 1
    assert queue.totals.waits["answered"].sum_ms == 21_000
    assert (queue.live.waiting, queue.balance) == (1, 0)


def test_what_is_raised_stays_raised_by_as_much() -> None:
    before = frame_of(told(call(0, "queued"), call(1, "queued", contact="c-2")), ms(60))
    partition = told(call(0, "queued"))
    framer = Framer(partition, last=before)
    framer.frame(ms(60))
    tell(partition, [call(2, "queued", contact="c-3")])

    totals = framer.frame(ms(61)).queues[SALES].totals

    assert totals.counters["offered"] == 3
    assert totals.corrections["offered", RESTORED] == 1


def test_a_queue_that_a_new_owner_knows_nothing_of_keeps_its_totals() -> None:
    before = frame_of(told(call(0, "queued")), ms(60))

    after = lifted(before, Partition(PolicyBook()))

    queue = after.queues[SALES]
    assert queue.totals.counters == before.queues[SALES].totals.counters
    assert not any(net_of(queue.totals.counters, queue.totals.corrections).values())
    assert queue.totals.last_event_ms == ms(0)
    assert (queue.live, queue.windows["5m"].counts) == (Live(), [0] * WIDTH)


@given(said())
def test_raw_totals_never_fall_from_owner_to_owner_and_net_totals_are_those_of_the_last(
    owners: list[Said],
) -> None:
    """Different partitions stand in for what the owners of one have made of its log."""
    last: Frame | None = None
    for owner in owners:
        own = owner.frames[-1]
        raised = Framer(owner.partition, last=last).frame(own.second_ms)
        for key, queue in raised.queues.items():
            before = own.queues.get(key)
            assert nonzero_net(queue.totals) == (nonzero_net(before.totals) if before else {})
            assert queue.balance == 0
        for key, queue in last.queues.items() if last else ():
            assert fallen(queue.totals, raised.queues[key].totals) == []
        last = raised


def nonzero_net(totals: Totals) -> dict[str, int]:
    net = net_of(totals.counters, totals.corrections)
    return {name: count for name, count in net.items() if count}


def fallen(before: Totals, after: Totals) -> list[object]:
    """What is lower in *after*."""
    low: list[object] = [
        name for name in before.counters if before.counters[name] > after.counters.get(name, 0)
    ]
    low += [
        pair
        for pair in before.corrections
        if before.corrections[pair] > after.corrections.get(pair, 0)
    ]
    for mine, theirs in ((before.waits, after.waits), (before.responses, after.responses)):
        for name, histogram in mine.items():
            pairs = zip(histogram.counts, theirs[name].counts, strict=True)
            if histogram.sum_ms > theirs[name].sum_ms or any(b > a for b, a in pairs):
                low.append(name)
    return low


# Frames added up


@given(said(partitions=4), st.permutations(range(4)))
def test_frames_in_any_order_make_the_same_floor(said_by: list[Said], order: list[int]) -> None:
    frames = [each.frames[-1] for each in said_by]
    now_ms = frames[0].second_ms

    again = FloorMerger(PolicyBook()).merge([frames[at] for at in order], now_ms)

    assert plain(again) == plain(FloorMerger(PolicyBook()).merge(frames, now_ms))


@given(said(partitions=4))
def test_a_merger_that_has_merged_before_makes_the_same_floor_as_a_new_one(
    said_by: list[Said],
) -> None:
    merger = FloorMerger(PolicyBook())
    for frames in zip(*(each.frames for each in said_by), strict=True):
        now_ms = frames[0].second_ms
        anew = FloorMerger(PolicyBook()).merge(frames, now_ms)
        assert plain(merger.merge(frames, now_ms)) == plain(anew)


def test_names_beyond_the_bounds_are_the_same_in_any_order() -> None:
    parts = [
        told(
            *(
                call(n, "queued", contact=f"c-{n}", queue=f"{part}-{n}", segment=f"{part}-{n}")
                for n in range(6)
            ),
            *(
                call(n, "queued", contact=f"d-{n}", source=f"{part}-{n}", segment=f"{part}-{n}")
                for n in range(6)
            ),
        )
        for part in range(3)
    ]
    frames = [frame_of(part, ms(10)) for part in parts]

    one, other = (
        FloorMerger(PolicyBook(), max_queues=8).merge(order, ms(10))
        for order in (frames, frames[::-1])
    )

    assert [queue for queue, _ in one.queues] == [
        *(f"0-{n}" for n in range(6)),
        *("1-0", "1-1", "_other"),
    ]
    assert plain(one) == plain(other)


def test_a_customer_type_that_has_had_its_place_keeps_it() -> None:
    late_ones = [call(n, "queued", contact=f"c-{n}", segment=f"z-{n}") for n in range(8)]
    early_ones = [call(n, "queued", contact=f"d-{n}", segment=f"a-{n}") for n in range(8)]
    merger = FloorMerger(PolicyBook())
    before = merger.merge([frame_of(told(*late_ones), ms(10))], ms(10))

    frames = [frame_of(told(*calls), ms(10)) for calls in (early_ones, late_ones)]
    after = merger.merge(frames, ms(10)).queues[SALES].counters

    assert after == {**before.queues[SALES].counters, "offered": 16, "sent_to_wait:_other": 8}


def test_a_partition_that_has_said_nothing_of_this_second_adds_what_it_said_last() -> None:
    now, before = (
        told(call(0, "queued"), now_s=60),
        told(call(2, "queued", contact="c-2"), now_s=57),
    )
    frames = [frame_of(now, ms(60)), frame_of(before, ms(57))]

    queue = FloorMerger(PolicyBook()).merge(frames, ms(60)).queues[SALES]

    assert (queue.live.waiting, queue.as_of_ms, queue.catching_up) == (2, ms(57), False)
    assert (queue.windows["5m"].counts[OFFERED], queue.tick_ms) == (2, ms(55))


def test_histograms_with_other_edges_add_up_cumulatively() -> None:
    few = told(
        *(call(0, "queued"), call(8, "answered")),
        *(call(0, "queued", contact="c-2"), call(12, "answered", contact="c-2")),
    )
    book = policy(channels={"voice": {"threshold": "11s"}})
    many = told(call(0, "queued"), call(10.5, "answered"), policies=book)
    frames = [frame_of(few, ms(60)), frame_of(many, ms(60))]

    for order in (frames, frames[::-1]):
        wait = FloorMerger(PolicyBook()).merge(order, ms(60)).queues[SALES].waits["answered"]
        upto = dict(zip(wait.edges_ms, accumulate(wait.counts), strict=False))
        assert (upto[7_000], upto[10_000], upto[11_000], upto[15_000]) == (0, 1, 2, 3)
        assert wait.sum_ms == 30_500


_spreads = st.dictionaries(st.integers(0, 3), st.sampled_from((-1, 1, 2)))


@st.composite
def _sums(draw: st.DrawFn) -> Sums:
    sums = Sums()
    sums.counts = draw(st.lists(st.integers(-2, 2), min_size=WIDTH, max_size=WIDTH))
    sums.waits, sums.abandons = draw(_spreads), draw(_spreads)
    sums.responses, sums.thresholds = draw(_spreads), draw(_spreads)
    sums.segments = draw(
        st.dictionaries(st.sampled_from("ab"), st.sampled_from(([1, 0], [-1, 0], [2, 1])))
    )
    sums.segments = {name: list(pair) for name, pair in sums.segments.items()}
    return sums


@given(st.lists(_sums(), min_size=1, max_size=4))
def test_sums_of_several_are_what_adding_one_by_one_gives_and_stay_as_they_were(
    parts: list[Sums],
) -> None:
    before, total = plain(parts), Sums()
    for part in parts:
        total.add(part)

    assert plain(sum_of(parts)) == plain(total)
    assert plain(parts) == before


# Frames as records


Records = list[tuple[str, bytes | None]]


def records_of(frames: Iterable[Frame], **options: int) -> list[Records]:
    writer = FrameWriter(**options)
    return [writer.records(frame) for frame in frames]


def read(records: Iterable[tuple[str, bytes | None]]) -> list[Frame]:
    log = FrameLog()
    for suffix, value in records:
        log.take(suffix, value)
    assert log.unusable == 0
    return log.frames()


def test_a_frame_is_read_as_it_was_written() -> None:
    frame = Framer(a_little_of_everything()).frame(ms(60), next_offset=17)

    assert plain(read(*records_of([frame]))) == plain([frame])


@given(said(partitions=1), st.data())
def test_frames_are_read_as_they_were_written_though_records_come_twice_or_late(
    of_partitions: list[Said], data: st.DataObject
) -> None:
    (only,) = of_partitions
    sent: Records = []
    late: Records = []
    for written in records_of(only.frames, chunk_bytes=data.draw(st.sampled_from((1, 2_000)))):
        now: Records = []
        later: Records = []
        again = data.draw(st.lists(st.sampled_from(written), max_size=3))
        for record in written:
            is_late = record[1] is not None and data.draw(st.sampled_from((False, False, True)))
            (later if is_late else now).append(record)
        sent += [*now, *late, *again]
        late = later

    assert plain(read([*sent, *late])) == only.anew[-3:]


@given(said(partitions=1), st.data())
def test_of_a_compacted_log_the_newest_frame_is_read_and_none_that_was_not_written(
    of_partitions: list[Said], data: st.DataObject
) -> None:
    (only,) = of_partitions
    written = [record for each in records_of(only.frames, chunk_bytes=2_000) for record in each]
    last = {suffix: at for at, (suffix, _) in enumerate(written)}
    left = [
        record
        for at, record in enumerate(written)
        if last[record[0]] == at or data.draw(st.booleans())
    ]

    found = plain(read(left))

    assert found[-1] == only.anew[-1]
    assert all(frame in only.anew for frame in found)


def test_only_what_changed_is_written_again() -> None:
    calls = (call(0, "queued", contact=f"c-{n}", queue=f"queue-{n:02}") for n in range(40))
    partition = told(*calls, now_s=60)
    framer = Framer(partition)
    frames = [framer.frame(ms(60))]
    tell(partition, [call(61, "answered", contact="c-20", queue="queue-20")])
    partition.advance(ms(62))
    frames.append(framer.frame(ms(62)))

    first, second = records_of(frames)

    assert [suffix for suffix, _ in first] == [
        *(f"queues.{n}" for n in (1, 2, 3)),
        *(f"windows.{n}" for n in (1, 2, 3)),
        HEAD,
    ]
    assert [suffix for suffix, _ in second] == ["queues.2", HEAD]


def test_after_forgetting_everything_is_written_again_and_read_as_before() -> None:
    frames = [frame_of(a_little_of_everything(), ms(60))]
    frames.append(replace(frames[0], serial=2))
    writer = FrameWriter()
    first = writer.records(frames[0])
    writer.forget()
    second = writer.records(frames[1])

    assert [suffix for suffix, _ in second] == [suffix for suffix, _ in first]
    assert plain(read([*first[:2], *second])) == plain([frames[1]])


def test_a_chunk_that_is_no_more_gets_a_tombstone_behind_the_head() -> None:
    framer = Framer(told(event(0, "agent.changed", **AVAILABLE)))
    frame = framer.frame(ms(60))
    gone = replace(frame, serial=2, staffed={})

    first, second = records_of([frame, gone])

    assert [suffix for suffix, _ in first] == ["staffed.1", HEAD]
    assert [suffix for suffix, _ in second] == [HEAD, "staffed.1"]
    assert second[1][1] is None
    assert plain(read([*first, *second])[-1]) == plain(gone)


def test_no_record_is_longer_than_the_limit_and_no_key_names_a_queue() -> None:
    calls = (call(0, "queued", contact=f"c-{n}", queue=f"queue-{n}") for n in range(200))
    frame = frame_of(told(*calls, event(0, "agent.changed", **AVAILABLE)), ms(60))

    (records,) = records_of([frame], chunk_bytes=3_000)

    longest = max(len(value or b"") for suffix, value in records if suffix != HEAD)
    assert 1_500 < longest < 3_500
    assert {suffix.rstrip("0123456789") for suffix, _ in records} == {
        *("queues.", "windows.", "staffed.", HEAD)
    }
    assert plain(read(records)) == plain([frame])


def test_a_frame_is_not_there_before_all_of_it_is() -> None:
    (records,) = records_of([frame_of(a_little_of_everything(), ms(60))])

    assert all(read([*records[:at], *records[at + 1 :]]) == [] for at in range(len(records)))


def test_the_three_newest_frames_are_read_and_what_is_the_same_in_them_is_one_object() -> None:
    partition = told(
        call(0, "queued"),
        *(call(0, "queued", contact=f"c-{n}", queue=f"queue-{n}") for n in range(2, 20)),
    )
    framer, writer, log = Framer(partition), FrameWriter(), FrameLog()
    for second in range(60, 67):
        tell(partition, [call(second, "queued", contact=f"d-{second}")])
        partition.advance(ms(second))
        for suffix, value in writer.records(framer.frame(ms(second))):
            log.take(suffix, value)
        if second > 63:
            found = log.frames()
            assert [frame.second_ms for frame in found] == [ms(second - at) for at in (2, 1, 0)]

    assert all(one is other for one, other in zip(found, log.frames(), strict=True))
    totals = [frame.queues["queue-19", "voice"].totals for frame in found]
    assert totals[0] is totals[1] is totals[2]


def test_a_queue_that_leaves_a_chunk_is_not_read_any_more() -> None:
    agents = {"agent": "a-1", "state": "available", "queues": ["sales", "service"]}
    frame = frame_of(told(event(0, "agent.changed", **agents)), ms(60))
    only_sales = {name: each for name, each in frame.staffed.items() if name == "sales"}
    after = replace(frame, serial=2, staffed=only_sales)

    written = records_of([frame, after])

    assert plain(read([*written[0], *written[1]])[-1]) == plain(after)


def spoilt(records: Records, spoil: Callable[[str, Any], None]) -> FrameLog:
    """What is read of *records* once *spoil* has changed what they hold."""
    log = FrameLog()
    for suffix, value in records:
        held = msgspec.msgpack.decode(value or b"", strict=False)
        spoil(suffix, held)
        log.take(suffix, msgspec.msgpack.encode(held))
    assert log.frames() == []
    return log


def test_what_is_right_but_for_its_format_or_its_counts_is_not_read_either() -> None:
    (records,) = records_of([frame_of(a_little_of_everything(), ms(60))])

    def of_newer_format(suffix: str, held: Any) -> None:
        held[0] += suffix == HEAD

    def with_one_window_counter_less(suffix: str, held: Any) -> None:
        if suffix == "windows.1":
            held[3][0][1]["5m"][0].pop()

    def with_one_edge_more(suffix: str, held: Any) -> None:
        if suffix == "queues.1":
            held[2][0].append(10**9)

    for spoil in (of_newer_format, with_one_window_counter_less, with_one_edge_more):
        assert spoilt(records, spoil).unusable == 1


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x92\x02\x01", b"\x90"], ids=repr)
def test_what_cannot_be_read_or_is_of_a_newer_format_is_counted_and_the_frames_before_stay(
    value: bytes,
) -> None:
    frame = frame_of(a_little_of_everything(), ms(60))
    (records,) = records_of([frame])
    log = FrameLog()
    for suffix, good in records:
        log.take(suffix, good)
    log.frames()

    log.take(HEAD, value)
    log.take("queues.1", value)

    assert log.unusable == 2
    assert plain(log.frames()) == plain([frame])


# Which frames make the floor


def at(second_s: float, *, serial: int = 1, waiting: int = 1, **changes: Any) -> Frame:
    """A frame of *second_s* in which so many wait in `sales`."""
    calls = (call(0, "queued", contact=f"c-{n}") for n in range(waiting))
    frame = frame_of(told(*calls, now_s=second_s), ms(second_s))
    return replace(frame, serial=serial, **changes)


def board_of(*taken: tuple[Place, Frame], epoch: int = 1) -> Floorboard:
    board = Floorboard()
    for place, frame in taken:
        board.take(place, epoch, frame)
    return board


def seconds(standing: Standing) -> list[float]:
    return [(frame.second_ms - ms(0)) / 1000 for frame in standing.frames]


@given(said(partitions=4), st.data())
def test_any_order_of_frames_and_any_of_them_again_give_the_same_floor(
    said_by: list[Said], data: st.DataObject
) -> None:
    places = ((ONE, 1), (OTHER, 1), (THIRD, 1), (ONE, 2))  # the last one has taken over
    taken = [
        (place, epoch, frame)
        for (place, epoch), each in zip(places, said_by, strict=True)
        for frame in each.frames
    ]
    now_ms = said_by[0].frames[-1].second_ms
    again = data.draw(st.lists(st.sampled_from(taken), max_size=5))
    standings = []
    for frames in (taken, data.draw(st.permutations([*taken, *again]))):
        board = Floorboard()
        for place, epoch, frame in frames:
            board.take(place, epoch, frame)
        standings.append(board.standing(now_ms))

    assert plain(standings[0]) == plain(standings[1])
    merged = [
        FloorMerger(PolicyBook()).merge(each.frames, each.now_ms, partial=each.partial)
        for each in standings
    ]
    assert plain(merged[0]) == plain(merged[1])


def test_the_floor_stands_at_the_newest_second_that_most_partitions_have() -> None:
    board = board_of(
        *((ONE, at(second, serial=second)) for second in (58, 59, 60)),
        *((OTHER, at(second, serial=second)) for second in (57, 58, 59)),
    )

    standing = board.standing(ms(60))

    assert (standing.now_ms, seconds(standing), standing.partial) == (ms(59), [59, 59], None)


def test_totals_are_the_newest_whatever_second_the_floor_stands_at() -> None:
    board = board_of(
        (ONE, at(59, serial=1, waiting=1)), (ONE, at(60, serial=2, waiting=3)), (OTHER, at(59))
    )

    standing = board.standing(ms(60))
    queue = FloorMerger(PolicyBook()).merge(standing.frames, standing.now_ms).queues[SALES]

    assert seconds(standing) == [59, 59]
    assert (queue.counters["offered"], queue.live.waiting, queue.violations) == (4, 2, 0)


def test_a_partition_without_that_second_stands_at_its_own_and_is_missing_since_then() -> None:
    board = board_of(
        *((place, at(second, serial=second)) for place in (ONE, OTHER) for second in (59, 60)),
        (THIRD, at(55)),
    )

    standing = board.standing(ms(60))

    assert (standing.now_ms, seconds(standing)) == (ms(60), [60, 60, 55])
    assert standing.partial == Partial(1 / 3, ms(55))


def test_frames_of_one_second_with_another_tick_are_not_added_up() -> None:
    board = board_of((ONE, at(60)), (OTHER, at(60)), (THIRD, at(60, tick_ms=ms(45))))

    assert board.standing(ms(60)).partial == Partial(1 / 3, ms(60))


def test_a_partition_that_is_catching_up_does_not_stand_with_the_others() -> None:
    behind = at(60, now_ms=ms(20), catching_up=True)
    board = board_of((ONE, at(60)), (OTHER, behind))

    assert board.standing(ms(60)).partial == Partial(0.5, ms(20))


def test_a_partition_that_has_fallen_behind_does_not_stand_where_it_was_whole() -> None:
    board = board_of((ONE, at(60)))
    board.take(ONE, 1, at(71, serial=2, now_ms=ms(61), catching_up=True))

    standing = board.standing(ms(71))

    assert (standing.now_ms, [frame.catching_up for frame in standing.frames]) == (ms(71), [True])


def test_a_second_at_which_a_partition_was_behind_is_none_that_it_has() -> None:
    behind = at(59, serial=1, now_ms=ms(20), catching_up=True)
    caught_up = at(60, serial=2)
    board = board_of((ONE, behind), (ONE, caught_up), (OTHER, at(59)))

    assert (board.standing(ms(60)).now_ms, seconds(board.standing(ms(60)))) == (ms(60), [60, 59])

    board.take(THIRD, 1, at(59))
    assert (board.standing(ms(60)).now_ms, seconds(board.standing(ms(60)))) == (
        ms(59),
        [60, 59, 59],
    )


def test_the_three_newest_frames_are_kept_in_whatever_order_they_come() -> None:
    frames = [at(second, serial=second) for second in (58, 61, 57, 60, 59)]
    board = board_of(*((ONE, frame) for frame in frames))
    newest = board.newest(ONE)

    assert newest is frames[1]
    for second in (61, 60, 59):
        assert seconds(board.standing(ms(second))) == [second]
    assert board.standing(ms(58)).partial == Partial(1.0, ms(58))
    assert board.newest(OTHER) is None


def test_those_that_have_stopped_do_not_hold_the_second_back() -> None:
    board = board_of(
        *((place, at(50)) for place in (ONE, OTHER)),
        *((THIRD, at(second, serial=second)) for second in (51, 52, 53)),
    )

    assert board.standing(ms(53)).now_ms == ms(53)


@pytest.mark.parametrize(("after_ms", "is_behind"), [(10_000, False), (10_001, True)])
def test_a_partition_that_is_silent_for_more_than_ten_seconds_is_catching_up(
    after_ms: int, is_behind: bool
) -> None:
    board = board_of((ONE, at(60)), (OTHER, at(50)))

    standing = board.standing(ms(50) + after_ms)

    assert [frame.catching_up for frame in standing.frames] == [False, is_behind]


def test_a_worker_that_hears_nothing_takes_every_partition_for_missing() -> None:
    board = board_of((ONE, at(60)), (OTHER, at(60)))

    standing = board.standing(ms(71))

    assert all(frame.catching_up for frame in standing.frames)
    assert standing.partial == Partial(1.0, ms(60))


def test_a_second_that_has_not_come_yet_does_not_make_the_floor() -> None:
    board = board_of((ONE, at(60)), (OTHER, at(64)))

    standing = board.standing(ms(61))

    assert (standing.now_ms, standing.partial) == (ms(60), Partial(0.5, ms(60)))


def test_an_owner_with_a_lower_epoch_is_not_heard_any_more() -> None:
    board = board_of((ONE, at(60, serial=9)), epoch=1)
    board.take(ONE, 2, at(58, serial=1))
    board.take(ONE, 1, at(61, serial=10))

    assert seconds(board.standing(ms(61))) == [58]


def test_a_partition_that_is_expected_is_missing_and_one_that_is_not_is_left_out() -> None:
    board = board_of((ONE, at(60)), (THIRD, at(60)))
    board.expect([ONE, OTHER])

    standing = board.standing(ms(60))

    assert (len(standing.frames), standing.partial) == (1, Partial(0.5, None))

    board.expect([ONE, OTHER, THIRD])
    board.take(THIRD, 2, at(50))
    assert board.standing(ms(60)).partial == Partial(2 / 3, None)


def test_a_floor_of_nothing_stands_at_the_instant_it_is_asked_for() -> None:
    assert Floorboard().standing(ms(60)) == Standing(ms(60), (), None)
