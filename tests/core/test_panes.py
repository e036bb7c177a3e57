"""Panes as cells, and the windows that add them up."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.panes import (
    ANSWERED_WITHIN,
    ARRIVED_SENT_TO_WAIT,
    EACH,
    INSTANT_OF_SEGMENT,
    THRESHOLD,
    Pane,
    Rolling,
    add_cell,
    add_pane,
    pane_of_sums,
)
from streams.core.tally import ANSWERED_WITHIN as ANSWERED_WITHIN_COUNTER
from streams.core.tally import OFFERED, SENT_TO_WAIT, WIDTH, Sums

SEGMENTS = ("unknown", "gold", "basic")


def plain(sums: Sums) -> tuple[object, ...]:
    spreads = (sums.waits, sums.abandons, sums.responses, sums.thresholds)
    return (sums.counts, *spreads, sums.segments)


def some_pane(offered: int = 1) -> Pane:
    return {
        ARRIVED_SENT_TO_WAIT + EACH * SEGMENTS.index("gold"): offered,
        ANSWERED_WITHIN + EACH * 7_000: offered,
    }


@st.composite
def any_sums(draw: st.DrawFn) -> Sums:
    sums = Sums()
    spreads = st.dictionaries(st.integers(0, 1 << 40), st.integers(1, 1 << 40), max_size=4)
    sums.counts = draw(st.lists(st.integers(-3, 1 << 40), min_size=WIDTH, max_size=WIDTH))
    for name in ("waits", "abandons", "responses", "thresholds"):
        setattr(sums, name, draw(spreads))
    pairs = st.tuples(st.integers(-2, 9), st.integers(-2, 9)).filter(any).map(list)
    sums.segments = draw(st.dictionaries(st.sampled_from(SEGMENTS), pairs))
    return sums


@given(any_sums())
def test_the_pane_of_any_sums_adds_up_to_them_and_takes_them_away(sums: Sums) -> None:
    pane = pane_of_sums(sums, {name: number for number, name in enumerate(SEGMENTS)})
    total = Sums()

    add_pane(total, pane, SEGMENTS)

    assert plain(total) == plain(sums)
    add_pane(total, pane, SEGMENTS, -1)
    assert plain(total) == plain(Sums())


def test_a_cell_changes_counters_its_duration_and_its_segment() -> None:
    sums = Sums()

    add_cell(sums, ARRIVED_SENT_TO_WAIT + EACH * 1, 2, SEGMENTS)
    add_cell(sums, ANSWERED_WITHIN + EACH * 7_000, 3, SEGMENTS)
    add_cell(sums, INSTANT_OF_SEGMENT + EACH * 2, 1, SEGMENTS)
    add_cell(sums, THRESHOLD + EACH * 20_000, 4, SEGMENTS)

    assert sums.counts[OFFERED] == sums.counts[SENT_TO_WAIT] == 2
    assert sums.counts[ANSWERED_WITHIN_COUNTER] == 3
    assert sums.waits == {7_000: 3}
    assert sums.thresholds == {20_000: 4}
    assert sums.segments == {"gold": [2, 0], "basic": [0, 1]}


@pytest.mark.parametrize(
    ("pane", "is_covered"), [(7, False), (8, True), (10, True), (11, False)], ids=str
)
def test_a_window_of_three_panes_covers_its_tick_and_the_two_before(
    pane: int, is_covered: bool
) -> None:
    rolling = Rolling(3)
    sums = rolling.move({pane: some_pane()}, 10, SEGMENTS)

    assert rolling.covers(pane) is is_covered
    assert sums.counts[OFFERED] == is_covered


_happenings = st.lists(
    st.tuples(st.sampled_from(("count", "move")), st.integers(0, 30)), min_size=1, max_size=40
)


@given(st.integers(1, 6), _happenings)
def test_a_window_moved_anywhere_is_the_sum_of_its_panes(
    width: int, happenings: list[tuple[str, int]]
) -> None:
    panes: dict[int, Pane] = {}
    counted: Counter[int] = Counter()
    rolling = Rolling(width)
    rolling.move(panes, 0, SEGMENTS)
    for what, pane in happenings:
        if what == "count":
            counted[pane] += 1
            panes[pane] = some_pane(counted[pane])
            if rolling.covers(pane):
                add_pane(rolling.sums, some_pane(), SEGMENTS)
        else:
            sums = rolling.move(panes, pane, SEGMENTS)
            expected = sum(counted[number] for number in range(pane - width + 1, pane + 1))
            assert sums.counts[OFFERED] == sums.waits.get(7_000, 0) == expected


def test_a_window_moved_on_by_one_pane_loses_its_oldest() -> None:
    rolling = Rolling(3)
    panes = {pane: some_pane(offered) for pane, offered in ((8, 1), (9, 2), (10, 4), (11, 8))}

    sums = [rolling.move(panes, to, SEGMENTS).counts[OFFERED] for to in (10, 11, 13)]
    assert sums == [7, 14, 8]
