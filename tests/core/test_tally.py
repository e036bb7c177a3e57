"""Sums, rolling windows, durations on a grid and histograms, each against its plainest form."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.figures import spread_of
from streams.core.tally import (
    ABANDONED_SHORT,
    DEFAULT_EDGES_S,
    OFFERED,
    Histogram,
    Rolling,
    Spread,
    Sums,
    exact,
    histogram_edges,
    rounded,
)

FORTY_DAYS_MS = 40 * 24 * 3_600_000


def some_sums(offered: int = 1, wait_ms: int = 7_000, segment: str = "gold") -> Sums:
    sums = Sums()
    sums.counts[OFFERED] = offered
    for spread in (sums.waits, sums.abandons, sums.responses, sums.thresholds):
        spread[wait_ms] = offered
    sums.add_segment(segment, offered, 1)
    return sums


def plain(sums: Sums) -> tuple[object, ...]:
    spreads = (sums.waits, sums.abandons, sums.responses, sums.thresholds)
    return (sums.counts, *spreads, sums.segments)


def test_sums_add_up_by_counter_by_duration_and_by_segment() -> None:
    total = some_sums(1, 7_000, "gold")

    total.add(some_sums(2, 7_000, "gold"))
    total.add(some_sums(4, 9_000, "basic"))

    assert total.counts[OFFERED] == 7
    assert total.waits == total.abandons == total.responses == total.thresholds
    assert total.waits == {7_000: 3, 9_000: 4}
    assert total.segments == {"gold": [3, 2], "basic": [4, 1]}


def test_what_is_taken_away_again_leaves_no_trace() -> None:
    total = some_sums(1)
    before = plain(some_sums(1))

    total.add(some_sums(2, 9_000, "basic"))
    total.add(some_sums(2, 9_000, "basic"), -1)

    assert plain(total) == before
    total.add(some_sums(1), -1)
    assert total.is_empty()
    assert plain(total) == plain(Sums())


def test_sums_of_refusals_alone_are_not_empty() -> None:
    sums = Sums()
    assert sums.is_empty()

    sums.counts[ABANDONED_SHORT] = 1

    assert not sums.is_empty()


@pytest.mark.parametrize(
    ("pane", "is_covered"), [(7, False), (8, True), (10, True), (11, False)], ids=str
)
def test_a_window_of_three_panes_covers_its_tick_and_the_two_before(
    pane: int, is_covered: bool
) -> None:
    rolling = Rolling(3)
    sums = rolling.move({pane: some_sums()}, 10)

    assert rolling.covers(pane) is is_covered
    assert sums.counts[OFFERED] == is_covered


_happenings = st.lists(
    st.tuples(st.sampled_from(("count", "move")), st.integers(0, 30)), min_size=1, max_size=40
)


@given(st.integers(1, 6), _happenings)
def test_a_window_moved_anywhere_is_the_sum_of_its_panes(
    width: int, happenings: list[tuple[str, int]]
) -> None:
    panes: dict[int, Sums] = {}
    counted: Counter[int] = Counter()
    rolling = Rolling(width)
    rolling.move(panes, 0)
    for what, pane in happenings:
        if what == "count":
            counted[pane] += 1
            panes.setdefault(pane, Sums()).add(some_sums())
            if rolling.covers(pane):
                rolling.sums.add(some_sums())
        else:
            sums = rolling.move(panes, pane)
            expected = sum(counted[number] for number in range(pane - width + 1, pane + 1))
            assert sums.counts[OFFERED] == sums.waits.get(7_000, 0) == expected


@given(st.integers(0, FORTY_DAYS_MS))
def test_a_rounded_duration_is_never_shorter_and_at_most_one_percent_longer(
    duration_ms: int,
) -> None:
    assert duration_ms <= rounded(duration_ms) <= duration_ms * 1.01


@given(st.integers(0, 200))
def test_durations_up_to_a_fifth_of_a_second_are_kept_as_they_are(duration_ms: int) -> None:
    assert rounded(duration_ms) == exact(duration_ms) == duration_ms


def test_the_durations_of_forty_days_fall_on_few_values() -> None:
    steps = {rounded(round(1.001**power)) for power in range(22_000)}

    assert len(steps) < 2_500


def test_an_edge_of_a_histogram_is_inclusive() -> None:
    histogram = Histogram((1_000, 2_000))

    for duration_ms in (0, 1_000, 1_001, 2_000, 2_001):
        histogram.observe(duration_ms)

    assert histogram.counts == [2, 2, 1]
    assert histogram.sum_ms == 6_002


def test_histograms_add_up_by_edge() -> None:
    one, other = Histogram((1_000,)), Histogram((1_000,))
    one.observe(1_000)
    other.observe(1_000)
    other.observe(1_001)

    one.add(other)

    assert (one.counts, one.sum_ms) == ([2, 1], 3_001)
    assert (other.counts, other.sum_ms) == ([1, 1], 2_001)


def test_every_threshold_is_an_edge_once() -> None:
    edges = histogram_edges((20_000, 45_000))

    assert edges == tuple(sorted({*(second * 1_000 for second in DEFAULT_EDGES_S), 45_000}))


def test_quantiles_are_nearest_rank() -> None:
    ten = {second * 1_000: 1 for second in range(1, 11)}

    assert spread_of(ten, 55_000) == {"mean": 5.5, "p50": 5.0, "p90": 9.0, "p99": 10.0, "max": 10.0}


def test_one_duration_is_all_of_its_quantiles() -> None:
    assert set(spread_of({7_000: 1}, 7_000).values()) == {7.0}


def test_nothing_counted_has_no_quantile() -> None:
    assert set(spread_of({}, 0).values()) == {None}


@given(st.dictionaries(st.integers(0, 100_000), st.integers(1, 200), min_size=1, max_size=20))
def test_a_quantile_is_the_duration_that_so_many_percent_do_not_pass(spread: Spread) -> None:
    durations_ms = sorted(Counter(spread).elements())
    figures = spread_of(spread, sum(durations_ms))

    for percent in (50, 90, 99):
        quantile_ms = round(1000 * (figures[f"p{percent}"] or 0))
        up_to = sum(duration_ms <= quantile_ms for duration_ms in durations_ms)
        below = sum(duration_ms < quantile_ms for duration_ms in durations_ms)
        assert below * 100 < percent * len(durations_ms) <= up_to * 100
