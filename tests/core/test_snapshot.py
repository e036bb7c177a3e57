"""A partition cut into parts and restored from them is the partition that never stopped."""

import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zlib import crc32

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Decoder
from streams.core.calendar import pane_of
from streams.core.contact import Life, Limits, Visit
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.queue_tally import QueueTally
from streams.core.snapshot import FORMAT, Cutter, Restorer, SnapshotUnusable, restore
from streams.core.tally import Histogram, exact
from tests.support.core_events import (
    DAY,
    HOUR,
    MINUTE,
    Told,
    call,
    chat,
    event,
    ms,
    policy,
    sales,
    tell,
    told,
)
from tests.support.core_floor import book_of
from tests.support.core_state import differences, state_of, sums
from tests.support.histories import (
    DAYS_MS,
    LONG_STEPS_MS,
    SHORT_STEPS_MS,
    History,
    Record,
    histories,
    permuted,
    unruly,
)
from tests.support.oracle_policy import to_text

LATER_MS = sorted(
    {5_000, 60_000, 61_000, 900_000, *LONG_STEPS_MS, *DAYS_MS, 8 * 3_600_000, 10 * 3_600_000}
)

Parts = dict[str, bytes]
Step = Callable[[Partition], None]


def calls(count: int, *, at_s: float = 0, length: int = 0) -> list[Told]:
    """Contacts that each wait and are answered, one second after the other."""
    events = []
    for number in range(count):
        name = f"c-{number:04}{'-' * length}"
        events += [
            call(at_s + number, "queued", contact=name),
            call(at_s + number + 0.5, "answered", contact=name),
        ]
    return events


SHORT = Limits(rest_ms=60_000, lateness_ms=60_000)


def whole() -> Partition:
    """A partition that has something of everything."""
    partition = told(
        *calls(3),
        chat(4, "messaged", contact="t-1"),
        chat(5, "transferred", contact="t-1", to="service"),
        chat(6, "replied", contact="t-1", by="human", source="desk"),
        event(7, "source.started", source="desk"),
        event(8, "agent.changed", agent="a-1", state="available", queues=["sales"]),
        event(9, "queue.closed", queue="sales", reason="fault"),
        event(10, "queue.observed", queue="sales", waiting=2),
        event(11, "source.alive"),
        call(MINUTE, "queued", contact="waits"),
        now_s=3 * MINUTE,
    )
    tell(partition, [call(4 * MINUTE, "queued", contact="held back")])
    return partition


class Shelf:
    """Keeps the parts of cuts as whoever writes them would: what is not named is thrown away."""

    def __init__(self, partition: Partition, **sizes: int) -> None:
        self.cutter = Cutter(partition, **sizes)
        self.parts: Parts = {}
        self.written: list[str] = []

    def write(self, parts: int | None = None) -> bool:
        """Write some more *parts* of the cut under way, or all; True once it is complete."""
        while parts is None or parts > 0:
            part = self.cutter.next_part()
            if part is None:
                names = self.cutter.names()
                self.parts = {name: self.parts[name] for name in names}
                return True
            self.parts[part[0]] = part[1]
            self.written.append(part[0])
            parts = None if parts is None else parts - 1
        return False

    def cut(self) -> Parts:
        """A whole cut at one go."""
        self.written = []
        self.cutter.begin()
        self.write()
        return dict(self.parts)


def all_parts(partition: Partition) -> Parts:
    return Shelf(partition).cut()


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    different = differences(found, expected)
    assert not different, "\n".join(different)


# -- the law -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What a partition goes through, and what is done about cuts after each step."""

    history: History
    steps: Sequence[Step]
    cuts: Sequence[int]  # after each step: -1 begins a cut, else parts written of one under way
    sizes: Mapping[str, int]
    options: Mapping[str, Any]

    def book(self) -> PolicyBook:
        return book_of(self.history.policy)

    def restored(self, parts: Parts) -> Partition:
        return restore(parts, self.book(), **self.options)


def took(record: Record) -> Step:
    event, time_ms = Decoder().decode(orjson.dumps(record[1]))

    def step(partition: Partition) -> None:
        partition.accept(event, time_ms, record[0])

    return step


def passed(time_ms: int) -> Step:
    def step(partition: Partition) -> None:
        partition.advance(time_ms)

    return step


@st.composite
def staffing_events(draw: st.DrawFn, base_ms: int) -> list[Record]:
    """Agents, doors, observations and heartbeats, some twice, some with other content."""
    kinds: tuple[dict[str, Any], ...] = (
        {"type": "agent.changed", "state": "available", "queues": ["sales", "service"]},
        {"type": "agent.changed", "state": "on_contact"},
        {"type": "agent.changed", "state": "logged_out", "queues": ["old-billing"]},
        {"type": "queue.opened", "queue": "sales"},
        {"type": "queue.closed", "queue": "sales", "reason": "fault"},
        {"type": "queue.closed", "queue": "service", "reason": "planned"},
        {"type": "queue.observed", "queue": "sales", "waiting": 3},
        {"type": "source.alive"},
    )
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(kinds),
                st.sampled_from((*SHORT_STEPS_MS, *LONG_STEPS_MS, *DAYS_MS)),
                st.integers(0, 3),
                st.sampled_from(("pbx", "desk")),
            ),
            max_size=6,
        )
    )
    records: list[Record] = []
    for fields, step_ms, number, source in drawn:
        event = {"id": f"s-{number}", "time": to_text(base_ms + step_ms), "source": source}
        if fields["type"] == "agent.changed":
            event["agent"] = f"agent-{number}"
        records.append((base_ms + step_ms, {**event, **fields}))
    return records


def talk(messages: int, base_ms: int) -> list[Record]:
    """A chat with more messages than are kept, so that of some only the id is."""
    plain = {"source": "desk", "contact": "talk", "channel": "chat", "type": "contact.messaged"}
    times = [base_ms + number * 1_000 for number in range(messages)]
    return [
        (time_ms, {"id": f"m-{number}", "time": to_text(time_ms), **plain})
        for number, time_ms in enumerate(times)
    ]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    history = draw(histories(max_contacts=6))
    log = unruly(draw, history) if draw(st.booleans()) else permuted(draw, history)
    log += draw(staffing_events(history.base_ms))
    log += 2 * talk(draw(st.sampled_from((0, 0, 0, 20, 40))), history.base_ms)
    log.sort(key=lambda record: record[0])
    policy = history.policy
    options = {
        "limits": Limits(rest_ms=policy.rest, lateness_ms=policy.lateness),
        "rounding": exact,
        "block_contacts": draw(st.sampled_from((2, 4, 500))),
        "max_tallies": draw(st.sampled_from((2_000, 2))),
    }
    steps: list[Step] = []
    cuts: list[int] = []
    for record in log:
        steps.append(took(record))
        later_ms = draw(st.sampled_from((None, None, 0, 1, 4_999, 20_001, 59_000)))
        if later_ms is not None:
            steps.append(passed(record[0] + later_ms))
    later = draw(st.lists(st.sampled_from(LATER_MS), max_size=6))
    steps += [passed(log[-1][0] + later_ms) for later_ms in later]
    cuts = draw(
        st.lists(st.sampled_from((-1, 0, 1, 2, 99)), min_size=len(steps), max_size=len(steps))
    )
    sizes = {
        "part_bytes": draw(st.sampled_from((64, 600_000))),
        "part_events": draw(st.sampled_from((1, 4, 8_000))),
    }
    return Plan(history, steps, cuts, sizes, options)


@given(plans())
def test_restored_from_any_cut_nothing_is_different_ever_after(plan: Plan) -> None:
    lasting, unwatched = (Partition(plan.book(), **plan.options) for _ in range(2))
    shelf = Shelf(lasting, **plan.sizes)
    states = []
    complete: list[tuple[int, Parts]] = []
    begun = 0
    for number, (step, cut) in enumerate(zip(plan.steps, plan.cuts, strict=True)):
        step(lasting)
        step(unwatched)
        states.append(state_of(unwatched))
        if cut < 0 and not shelf.cutter.is_under_way:
            shelf.cutter.begin()
            begun = number
        elif shelf.cutter.is_under_way and shelf.write(cut):
            complete.append((begun, dict(shelf.parts)))
    if shelf.cutter.is_under_way:
        shelf.write()
        complete.append((begun, dict(shelf.parts)))

    assert_same(state_of(lasting), states[-1])
    for begun, parts in complete[-3:]:
        restored = plan.restored(parts)
        assert_same(state_of(restored), states[begun])
        for step, expected in zip(plan.steps[begun + 1 :], states[begun + 1 :], strict=True):
            step(restored)
            assert_same(state_of(restored), expected)
        again = plan.restored(all_parts(restored))
        assert_same(state_of(again), states[-1])


# -- what is written -----------------------------------------------------------------------------


def kinds(names: Sequence[str]) -> set[str]:
    return {name.partition("/")[0] for name in names}


def test_a_second_cut_of_what_has_not_changed_writes_nothing() -> None:
    shelf = Shelf(told(*calls(3), now_s=60))

    first = shelf.cut()
    second = shelf.cut()

    assert kinds(shelf.written) == set()
    assert second == first


def test_only_the_blocks_whose_contacts_changed_are_written_again() -> None:
    partition = told(*calls(6), now_s=60, block_contacts=2)
    shelf = Shelf(partition)
    shelf.cut()
    assert {name for name in shelf.written if name.startswith("contacts")} == {
        "contacts/0",
        "contacts/1",
        "contacts/2",
    }

    tell(partition, [call(61, "ended", contact="c-0003")])
    shelf.cut()

    assert {name for name in shelf.written if name.startswith("contacts")} == {"contacts/1"}


def test_only_the_minutes_in_which_something_was_counted_are_written_again() -> None:
    partition = told(*calls(1), now_s=120)
    shelf = Shelf(partition)
    shelf.cut()

    tell(partition, [call(121, "queued", contact="new")])
    partition.advance(ms(130))
    shelf.cut()

    minutes = {name.split("/")[1] for name in shelf.written if name.startswith("panes")}
    assert minutes == {str(ms(121) // 60_000)}


def test_a_miss_and_an_expiry_are_changes_although_nothing_was_told() -> None:
    partition = told(call(0, "queued"), now_s=20)
    shelf = Shelf(partition)
    shelf.cut()

    for now_s, changed in ((20.001, True), (21, False), (2 * HOUR, True), (2 * HOUR + 1, False)):
        partition.advance(ms(now_s))
        shelf.cut()
        assert ("contacts/0" in shelf.written) is changed, now_s


def blocks(names: Sequence[str]) -> set[str]:
    return {name for name in names if name.startswith("contacts")}


def test_forgetting_contacts_writes_none_of_them_again_and_drops_a_block_without_any() -> None:
    partition = told(
        *calls(2), call(2, "queued", contact="waits"), limits=SHORT, now_s=3, block_contacts=2
    )
    shelf = Shelf(partition)
    shelf.cut()
    partition.arrive(ms(HOUR))

    partition.advance(ms(121))  # the first is forgotten two minutes after it was answered
    parts = shelf.cut()
    assert len(partition.lives) == 2
    assert blocks(shelf.written) == {"contacts/1"}  # where one waits, and has become a miss
    assert list(restore(parts, PolicyBook(), limits=SHORT).lives) == list(partition.lives)

    partition.advance(ms(122))
    parts = shelf.cut()
    assert blocks(shelf.written) == set()
    assert blocks(list(parts)) == {"contacts/1"}
    assert list(restore(parts, PolicyBook(), limits=SHORT).lives) == ["waits"]


def test_blocks_in_which_few_are_left_are_put_together() -> None:
    partition = Partition(PolicyBook(), limits=SHORT, block_contacts=8)
    shelf = Shelf(partition)
    for number in range(64):
        kind = "queued" if number % 8 == 0 else "refused"
        tell(partition, [call(number, kind, contact=f"c-{number}", channel="email", reason="full")])
    partition.advance(ms(64))
    assert len(blocks(list(shelf.cut()))) == 8
    partition.arrive(ms(HOUR))
    partition.advance(ms(HOUR))
    assert len(partition.lives) == 8

    parts = shelf.cut()

    assert len(blocks(list(parts))) == 5  # four of them into one; three and the newest are left
    assert blocks(shelf.written) == {"contacts/3"}
    restored = restore(parts, PolicyBook(), limits=SHORT, block_contacts=8)
    assert_same(state_of(restored), state_of(partition))


def test_days_that_are_dropped_are_dropped_from_the_parts_although_nothing_was_counted() -> None:
    slow = policy(channels={"voice": {"threshold": "5d", "expires_after": "14d"}})
    partition = told(call(0, "queued"), policies=slow)
    tell(partition, [call(day * DAY, "refused", contact="no", reason="full") for day in (1, 2, 3)])
    partition.advance(ms(3 * DAY))
    tell(partition, [call(3 * DAY + 1, "answered")])  # counts on the day on which it was queued
    partition.advance(ms(3 * DAY + 5))
    shelf = Shelf(partition)
    before = shelf.cut()

    partition.advance(ms(3 * DAY + HOUR))
    parts = shelf.cut()

    assert len(sales(partition).days) == 3
    assert len(sales(restore(before, slow)).days) == 4
    assert_same(state_of(restore(parts, slow)), state_of(partition))


def test_of_a_contact_that_came_again_the_life_that_is_forgotten_is_gone_from_the_parts() -> None:
    partition = told(call(0, "ended"), call(70, "ended"), limits=SHORT, now_s=71)
    shelf = Shelf(partition)
    shelf.cut()
    partition.arrive(ms(HOUR))

    partition.advance(ms(125))
    parts = shelf.cut()

    assert partition.lives["c-1"].earlier is None
    assert_same(state_of(restore(parts, PolicyBook(), limits=SHORT)), state_of(partition))


def test_a_contact_is_looked_at_again_when_it_would_have_been() -> None:
    """It has rested, but records of its partition are too old for it to be forgotten."""
    partition = told(call(0, "ended"), limits=SHORT, now_s=1)
    shelf = Shelf(partition)
    shelf.cut()

    for now_s in (130, 200):
        partition.advance(ms(now_s))
        restored = restore(shelf.cut(), PolicyBook(), limits=SHORT)
        assert_same(state_of(restored), state_of(partition))
    assert blocks(shelf.written) == set()

    tell(partition, [call(-10, "ended", contact="old")])  # should have been looked at before
    restored = restore(shelf.cut(), PolicyBook(), limits=SHORT)
    assert_same(state_of(restored), state_of(partition))


@pytest.mark.parametrize("part_bytes", [64, 1_000, 600_000])
def test_no_part_is_larger_than_allowed(part_bytes: int) -> None:
    partition = told(*calls(100, length=100), now_s=60)

    shelf = Shelf(partition, part_bytes=part_bytes)
    parts = shelf.cut()

    assert max(map(len, parts.values())) <= part_bytes
    assert len(parts) > 30_000 // part_bytes
    assert_same(state_of(restore(parts, PolicyBook())), state_of(partition))


def test_contacts_with_many_events_go_into_several_parts() -> None:
    partition = told(*calls(6), now_s=60, block_contacts=6)
    shelf = Shelf(partition, part_events=6)  # each contact has two events and a visit

    parts = shelf.cut()
    assert blocks(list(parts)) == {"contacts/0", "contacts/0.2", "contacts/0.4"}

    tell(partition, [call(61, "ended", contact="c-0005")])
    assert blocks(list(shelf.cut())) == {"contacts/0", "contacts/0.2", "contacts/0.4"}
    assert blocks(shelf.written) == {"contacts/0.4"}
    assert blocks(list(shelf.cut())) == {"contacts/0", "contacts/0.2", "contacts/0.4"}
    assert_same(state_of(restore(shelf.parts, PolicyBook())), state_of(partition))


def test_contacts_forgotten_since_are_gone_from_every_part_of_their_block() -> None:
    lasting = [call(at_s, "queued", contact=f"waits-{at_s}") for at_s in (1, 3, 5)]
    partition = told(*calls(6), *lasting, limits=SHORT, now_s=6)
    shelf = Shelf(partition, part_events=3)
    shelf.cut()
    partition.arrive(ms(HOUR))
    partition.advance(ms(60))  # those who wait are misses
    shelf.cut()
    partition.advance(ms(130))

    parts = shelf.cut()

    assert sorted(partition.lives) == ["waits-1", "waits-3", "waits-5"]
    assert_same(state_of(restore(parts, PolicyBook(), limits=SHORT)), state_of(partition))


def test_agents_are_as_they_were_at_the_cut_whatever_they_do_meanwhile() -> None:
    ready = [
        event(0, "agent.changed", agent=f"a-{number}", state="available", queues=["sales"])
        for number in range(100)
    ]
    partition = told(*ready, now_s=60)
    shelf = Shelf(partition)
    at_the_cut = state_of(partition)
    shelf.cutter.begin()

    away = [
        event(61, "agent.changed", agent=f"a-{number}", state="not_ready")
        for number in range(0, 150, 2)
    ]
    tell(partition, away)
    shelf.write()

    assert_same(state_of(restore(shelf.parts, PolicyBook())), at_the_cut)
    assert_same(state_of(restore(shelf.cut(), PolicyBook())), state_of(partition))


def test_windows_of_a_restored_partition_stand_at_its_tick_without_adding_up() -> None:
    partition = told(*calls(100), now_s=60)
    parts = all_parts(partition)
    expected = state_of(partition)["tallies"][0]["windows"]
    assert any(any(counts) for counts, *_ in expected.values())

    restored = restore(parts, PolicyBook())
    tally = sales(restored)
    tally.panes.clear()  # a window that still has to be added up would find nothing

    pane = pane_of(restored.tick_ms, restored.every_ms)
    assert {name: sums(tally.window(name, pane)) for name in restored.windows} == expected


def test_a_restore_takes_many_short_steps_and_takes_out_what_it_has_read() -> None:
    partition = told(*calls(40), now_s=60, block_contacts=4)
    parts = all_parts(partition)
    restorer = Restorer(parts, PolicyBook(), block_contacts=4)

    left = [len(parts) for _ in restorer.steps()]

    assert len(left) > 10  # one for each block, at least
    assert max(before - after for before, after in pairwise(left)) <= 1
    assert parts == {}
    assert_same(state_of(restorer.partition), state_of(partition))


def test_a_dismantled_partition_is_freed_although_much_of_it_refers_to_itself() -> None:
    def remain() -> Counter[type]:
        kinds = (Partition, Cutter, QueueTally, Life, Visit)
        return Counter(type(each) for each in gc.get_objects() if isinstance(each, kinds))

    gc.collect()
    before = remain()
    gc.disable()
    try:
        partition = whole()
        shelf = Shelf(partition)
        shelf.cut()
        assert len(remain() - before) == 5

        for _ in partition.dismantle():
            pass
        del partition, shelf
        assert remain() == before
    finally:
        gc.enable()


def test_nobody_appears_in_the_name_of_a_part() -> None:
    parts = all_parts(
        told(
            call(0, "queued", contact="+49 30 123456", queue="secret"),
            event(1, "agent.changed", agent="Ada", state="available", queues=["secret"]),
            now_s=60,
        )
    )

    assert not [name for name in parts if "49" in name.split("/")[0] or "Ada" in name]
    assert not [name for name in parts if "secret" in name]


def test_a_cut_shows_the_instant_at_which_it_began_however_long_it_takes() -> None:
    partition = told(*calls(40), now_s=50, block_contacts=4)
    shelf = Shelf(partition, part_bytes=300)
    at_the_cut = state_of(partition)
    shelf.cutter.begin()

    late = 0
    while not shelf.write(1):
        tell(
            partition, [call(late % 40 + 0.25, "held", contact=f"c-{late % 40:04}", id=f"x{late}")]
        )
        tell(partition, [call(late % 40, "queued", contact=f"d-{late}", queue=f"q-{late % 9}")])
        partition.advance(ms(60 + late))
        late += 1

    assert late > 30
    assert_same(state_of(restore(shelf.parts, PolicyBook(), block_contacts=4)), at_the_cut)


def test_a_cut_begins_only_after_the_one_before() -> None:
    shelf = Shelf(told(call(0, "queued")))
    shelf.cutter.begin()

    with pytest.raises(RuntimeError):
        shelf.cutter.begin()
    with pytest.raises(RuntimeError):
        shelf.cutter.names()
    shelf.write()
    shelf.cutter.begin()


def test_after_a_cut_is_abandoned_the_next_one_writes_everything() -> None:
    partition = told(*calls(3), now_s=60)
    shelf = Shelf(partition)
    whole = shelf.cut()
    shelf.cutter.begin()

    shelf.cutter.forget()
    assert not shelf.cutter.is_under_way
    tell(partition, [call(61, "queued", contact="new")])
    parts = shelf.cut()

    assert set(shelf.written) == set(parts) >= set(whole)
    assert_same(state_of(restore(parts, PolicyBook())), state_of(partition))


# -- what is read --------------------------------------------------------------------------------


def test_visits_keep_the_policy_of_their_opening_whatever_is_in_force_at_the_restart() -> None:
    parts = all_parts(told(call(0, "queued"), now_s=1))
    from_now_on = {"from": to_text(ms(2)), "value": "1m"}
    milder = policy(channels={"voice": {"threshold": ["20s", from_now_on]}})

    restored = restore(parts, milder)
    restored.advance(ms(20))
    assert restored.tallies["sales", "voice"].waiting_past == 0
    restored.advance(ms(20.001))
    assert restored.tallies["sales", "voice"].waiting_past == 1


def test_equal_texts_and_policies_are_one_object_again() -> None:
    parts = all_parts(told(*calls(2), now_s=60, block_contacts=1))

    one, other = (life.facts[0] for life in restore(parts, PolicyBook()).lives.values())
    assert one.queue is other.queue
    assert one.source is other.source
    visits = [life.visits[0] for life in restore(parts, PolicyBook()).lives.values()]
    assert visits[0].policy is visits[1].policy


def test_a_policy_with_another_threshold_keeps_what_histograms_had_counted() -> None:
    partition = told(*calls(3), now_s=60)
    cut = all_parts(partition)
    later = [{"from": to_text(ms(DAY)), "value": "700ms"}]
    with_edge = restore(cut, policy(defaults={"threshold": later}))
    again = restore(all_parts(with_edge), PolicyBook())

    counts = partition.tallies["sales", "voice"].waits["answered"].counts
    changed = with_edge.tallies["sales", "voice"].waits["answered"]
    assert 700 in changed.edges_ms
    assert changed.counts[changed.edges_ms.index(700)] == 0
    assert changed.counts[changed.edges_ms.index(1_000)] == 3
    assert again.tallies["sales", "voice"].waits["answered"].counts == counts


@pytest.mark.parametrize(
    ("edges_ms", "counts"),
    [
        ((10, 20), [1, 2, 4]),
        ((10, 15, 20), [1, 0, 2, 4]),
        ((20,), [3, 4]),
        ((10,), [1, 6]),
        ((10, 20, 30), [1, 2, 0, 4]),
        ((5,), [0, 7]),
    ],
)
def test_a_removed_edge_is_merged_upward_and_a_new_one_starts_from_the_next_lower(
    edges_ms: tuple[int, ...], counts: list[int]
) -> None:
    histogram = Histogram(edges_ms)

    histogram.take((10, 20), [1, 2, 4], 99)

    assert (histogram.counts, histogram.sum_ms) == (counts, 99)


def test_a_missing_part_makes_a_snapshot_unusable_whichever_it_is() -> None:
    parts = all_parts(whole())

    for name in parts:
        with pytest.raises(SnapshotUnusable, match="missing"):
            restore({other: parts[other] for other in parts if other != name}, PolicyBook())


@given(st.data())
def test_a_damaged_part_is_either_refused_or_harmless(data: st.DataObject) -> None:
    partition = whole()
    parts = all_parts(partition)
    name = data.draw(st.sampled_from(sorted(parts)))
    body = bytearray(parts[name])
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    cut_short = data.draw(st.booleans())
    parts[name] = bytes(body[:at] if cut_short else body)

    try:
        restored = restore(parts, PolicyBook())
    except SnapshotUnusable as error:
        assert "\n" not in str(error)  # noqa: PT017 # it need not be raised
        assert "c-0" not in str(error)  # noqa: PT017
    else:
        assert_same(state_of(restored), state_of(partition))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"every_ms": 1_000}, "tick"),
        ({"windows": {"5m": 300_000}}, "windows"),
        ({"by_arrival": True}, "attribution"),
    ],
)
def test_what_was_counted_another_way_is_not_taken_over(options: dict[str, Any], what: str) -> None:
    with pytest.raises(SnapshotUnusable, match=what):
        restore(all_parts(whole()), PolicyBook(), **options)


def test_a_format_that_is_not_known_is_refused_whatever_follows() -> None:
    head = all_parts(whole())["head"]
    body = msgspec.msgpack.encode([FORMAT + 1, "of the future"])
    frame = crc32(body).to_bytes(4, "big") + head[4:8]

    with pytest.raises(SnapshotUnusable, match=f"format is {FORMAT + 1}"):
        restore({"head": frame + body}, PolicyBook())


@pytest.mark.parametrize("content", [None, 7, [], [FORMAT], [FORMAT, 7], [FORMAT, {"parts": 7}]])
def test_a_head_that_is_none_is_refused(content: object) -> None:
    head = all_parts(whole())["head"]
    body = msgspec.msgpack.encode(content)

    with pytest.raises(SnapshotUnusable):
        restore({"head": crc32(body).to_bytes(4, "big") + head[4:8] + body}, PolicyBook())


def test_nothing_is_no_snapshot() -> None:
    with pytest.raises(SnapshotUnusable, match="head is missing"):
        restore({}, PolicyBook())
