"""A backlog is taken in batches, and its partition is told beforehand how far each of them goes."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Decoder
from schemas.events import Event
from streams.core.contact import Life, Limits
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from tests.support.core_events import call, ms, sales, tell
from tests.support.core_floor import book_of
from tests.support.core_state import differences, state_of
from tests.support.histories import History, histories, unruly

UNREAD_MS: Final = ms(10**6)
"""The moment of what cannot be read, of which nobody may take notice."""


def take(
    partition: Partition, told: Sequence[tuple[Event, int] | None], stamps_ms: list[int]
) -> list[int]:
    """Have a batch taken at once: each event with its moment, None where it cannot be read."""
    events = [None if each is None else each[0] for each in told]
    times_ms = [UNREAD_MS if each is None else each[1] for each in told]
    return partition.accept_all(events, times_ms, stamps_ms)


def figures_of(partition: Partition) -> dict[str, Any]:
    """All but when each contact is looked at: that may be sooner than anything is due."""
    state = state_of(partition)
    for lives in state["contacts"].values():
        for life in lives:
            del life["due_ms"]
    return state


@given(histories(), st.data(), st.integers(1, 9))
def test_a_batch_taken_at_once_comes_to_the_same_as_its_events_one_by_one(
    history: History, data: st.DataObject, size: int
) -> None:
    log = unruly(data.draw, history)
    decode = Decoder().decode
    at_once, one_by_one = (Partition(book_of(history.policy)) for _ in range(2))
    for start in range(0, len(log), size):
        stamps_ms = [stamp for stamp, _ in log[start : start + size]]
        events = [decode(orjson.dumps(event)) for _, event in log[start : start + size]]
        ahead = take(at_once, events, stamps_ms)
        taken = [
            one_by_one.accept(event, time_ms, stamp_ms)
            for (event, time_ms), stamp_ms in zip(events, stamps_ms, strict=True)
        ]
        one_by_one.advance(min(one_by_one.arrival_ms, one_by_one.latest_ms))

        assert ahead == [at for at, was_taken in enumerate(taken) if not was_taken]
        assert not differences(figures_of(at_once), figures_of(one_by_one))
        for life in at_once.lives.values():
            assert life.due_ms <= life.next_due_ms(at_once.limits)


def test_of_a_record_that_cannot_be_read_a_batch_takes_the_arrival() -> None:
    partition = Partition(PolicyBook())

    ahead = take(partition, [call(0, "queued"), None], [ms(0), ms(60)])

    assert ahead == []
    assert (partition.arrival_ms, partition.latest_ms, partition.now_ms) == (ms(60), ms(0), ms(0))
    assert len(partition.lives) == 1


def test_what_the_end_of_a_batch_has_passed_is_not_held_back() -> None:
    events = [call(0, "queued"), call(7, "answered"), call(600, "ended")]
    partition = Partition(PolicyBook())
    partition._expect(ms(600), ms(600))

    tell(partition, events)

    assert not partition.ahead
    assert sales(partition).panes


@pytest.mark.parametrize(("last_s", "arrival_s"), [(0, 20_000), (20_000, 0)])
def test_a_last_event_that_is_late_or_refused_says_nothing_of_how_far_a_batch_goes(
    last_s: int, arrival_s: int
) -> None:
    partition = Partition(PolicyBook())

    take(partition, [call(last_s, "queued")], [ms(arrival_s)])

    assert partition.shown_next_ms == 0


def test_a_batch_may_bring_another_content_of_an_id_that_it_has_brought() -> None:
    earlier, later = (call(at_s, "queued", id="one") for at_s in (0, 1))
    partition = Partition(PolicyBook())

    take(partition, [earlier, later], [ms(1), ms(1)])

    (life,) = partition.lives.values()
    assert [fact.time_ms for fact in life.facts] == [ms(1)]
    assert life.due_ms <= life.next_due_ms(partition.limits)


def test_two_lives_that_a_late_event_of_their_batch_makes_one_are_forgotten_once() -> None:
    rest_s = Limits().rest_ms // 1000
    forgotten: list[Life] = []
    partition = Partition(PolicyBook(), on_forget=forgotten.append)
    events = [call(at_s, "ended") for at_s in (0, rest_s + 1, rest_s // 2)]

    take(partition, events, [ms(0), ms(rest_s + 1), ms(rest_s + 1)])
    assert len(partition.lives["c-1"].facts) == 3
    partition.arrive(ms(10 * rest_s))
    partition.advance(ms(10 * rest_s))

    assert len(forgotten) == 1


@pytest.mark.parametrize(("times_ms", "stamps_ms"), [([], [ms(0)]), ([ms(0)], [ms(0), ms(0)])])
def test_a_batch_of_unequal_lengths_is_refused(times_ms: list[int], stamps_ms: list[int]) -> None:
    event, _ = call(0, "queued")

    with pytest.raises(ValueError, match=r"1 events with \d times and \d timestamps"):
        Partition(PolicyBook()).accept_all([event], times_ms, stamps_ms)
