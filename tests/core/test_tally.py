"""Sums, rolling windows, durations on a grid and histograms; what a queue's windows hold when."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.figures import (
    Live,
    abandonment,
    fractions,
    ratio_figures,
    spread_of,
    undecided,
)
from streams.core.partition import Partition
from streams.core.tally import (
    ABANDONED_SHORT,
    ANSWERED_WITHIN,
    COULD_BE_INSTANT,
    DEFAULT_EDGES_S,
    FAILED_AFTER,
    FAILED_WITHIN,
    LEFT_AFTER,
    LEFT_WITHIN,
    MISSED,
    OFFERED,
    RESPONSES,
    RESPONSES_WITHIN,
    Histogram,
    Spread,
    Sums,
    exact,
    histogram_edges,
    rounded,
)
from tests.support.core_events import HOUR, Told, call, chat, ms, policy, tell, told

FORTY_DAYS_MS = 40 * 24 * 3_600_000
TICK_MS = 5_000


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


@given(st.integers(0, FORTY_DAYS_MS))
def test_a_rounded_duration_is_never_shorter_and_at_most_one_percent_longer(
    duration_ms: int,
) -> None:
    assert duration_ms <= rounded(duration_ms) <= duration_ms * 1.01


@given(st.integers(0, 200))
def test_durations_up_to_a_fifth_of_a_second_are_kept_as_they_are(duration_ms: int) -> None:
    assert rounded(duration_ms) == exact(duration_ms) == duration_ms


def test_a_duration_is_rounded_up_to_the_next_edge() -> None:
    edge = 0
    while edge < FORTY_DAYS_MS:
        following = edge + max(1, edge // 100)

        assert rounded(edge) == edge
        assert rounded(edge + 1) == rounded(following) == following

        edge = following
    assert rounded(following + 1) == following


def test_less_than_no_time_is_none() -> None:
    assert rounded(-1) == rounded(-(1 << 40)) == 0


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


# -- the windows of a queue ----------------------------------------------------------------------


def in_window(partition: Partition, queue: str = "sales", channel: str = "voice") -> Sums:
    """The five minutes up to the last tick."""
    return partition.tallies[queue, channel].window("5m", partition.tick_ms // TICK_MS)


def test_what_happened_at_the_tick_is_in_the_window_though_it_is_told_after_it() -> None:
    partition = told(call(0, "offered", contact="other"), now_s=10)

    tell(partition, [call(10, "queued")])

    assert in_window(partition).counts[OFFERED] == 1


def test_a_direct_visit_is_in_no_window_before_it_is_known() -> None:
    partition = told(call(0, "offered"), call(12, "rang"))

    partition.advance(ms(10))
    assert in_window(partition).counts[OFFERED] == 0

    partition.advance(ms(15))
    assert in_window(partition).counts[OFFERED] == 1


def test_a_direct_visit_known_sooner_than_told_first_was_missed_sooner() -> None:
    known = (call(-60, "offered"), call(12, "rang"))
    partition = told(*known, now_s=15)

    tell(partition, [call(6, "rang")])

    partition.advance(ms(310))
    assert in_window(partition).counts[MISSED] == 0


def test_an_answer_put_off_under_its_own_id_is_none_until_then() -> None:
    answered = [call(at_s, "answered", id="a") for at_s in (12, 25)]
    partition = told(call(0, "queued"), answered[0], now_s=15)
    assert in_window(partition).counts[ANSWERED_WITHIN] == 1

    tell(partition, answered[1:])
    partition.advance(ms(20))

    assert in_window(partition).counts[ANSWERED_WITHIN] == 0


def test_a_window_does_not_know_yet_what_changed_after_its_tick() -> None:
    partition = told(call(0, "queued"), now_s=5)

    tell(partition, [call(8, "held", segment="gold")])

    assert in_window(partition).segments == {"unknown": [1, 0]}
    partition.advance(ms(10))
    assert in_window(partition).segments == {"gold": [1, 0]}


def test_a_miss_is_in_the_windows_from_its_moment_though_a_later_change_is_known() -> None:
    partition = told(call(0, "queued"), call(50, "held", segment="gold"))

    partition.advance(ms(25))

    assert in_window(partition).counts[MISSED] == 1


def test_beyond_the_bound_a_visit_is_judged_by_its_channel_though_that_is_told_late() -> None:
    partition = told(call(0, "queued", channel=""), max_tallies=0)

    tell(partition, [call(5, "held", channel="email")])
    partition.advance(ms(10))

    sums = in_window(partition, "_other", "_other")
    assert (sums.counts[OFFERED], sums.counts[COULD_BE_INSTANT]) == (1, 0)


REPLIED = {"queue": "help", "channel": "chat", "by": "human"}
CORRECTED = [
    ((call(0, "queued"), call(12, "answered")), call(10, "abandoned")),
    ((call(0, "queued"), call(12, "abandoned")), call(10, "answered")),
    ((call(0, "queued"), call(4, "abandoned")), call(3, "left", reason="key")),
    ((call(0, "queued"), call(30, "left", reason="timeout")), call(9, "answered")),
    ((call(0, "queued"), call(1, "answered")), call(0.5, "left", reason="withdrawn")),
    ((call(0, "queued", queue="other"), call(9, "answered")), call(0, "queued")),
    ((call(0, "offered"), call(9, "abandoned")), call(3, "refused", reason="full")),
    ((chat(0, "queued"), call(30, "replied", **REPLIED)), call(9, "replied", **REPLIED)),
    ((chat(0, "queued"), call(150, "replied", **REPLIED)), call(9, "replied", **REPLIED)),
    ((call(0, "queued"),), call(60, "abandoned")),
    ((call(0, "queued"),), call(7_000, "answered")),
]


@pytest.mark.parametrize(("told_first", "late"), CORRECTED)
def test_a_day_with_something_told_late_is_the_day_with_it_told_in_order(
    told_first: tuple[Told, ...], late: Told
) -> None:
    corrected = told(*told_first, now_s=3 * HOUR)
    tell(corrected, [late])
    in_order = told(*sorted((*told_first, late), key=lambda each: each[1]), now_s=3 * HOUR)

    def days(partition: Partition) -> dict[tuple[str, str], tuple[object, ...]]:
        return {
            key: plain(day)
            for key, tally in partition.tallies.items()
            if not (day := tally.day(partition.tick_ms)).is_empty()
        }

    assert days(corrected) == days(in_order)


TWO_QUEUES = (call(0, "queued", segment="gold"), call(3, "queued", queue="service"))


def test_who_was_withdrawn_in_time_was_offered_to_no_customer_type() -> None:
    partition = told(*TWO_QUEUES, call(9, "answered"), now_s=10)

    assert in_window(partition).segments == {"gold": [1, 0]}
    assert in_window(partition, "service").segments == {}


def test_of_abandonments_by_arrival_who_was_withdrawn_in_time_is_not_offered() -> None:
    partition = told(*TWO_QUEUES, call(9, "abandoned"), now_s=10, by_arrival=True)
    both = Sums()
    for queue in ("sales", "service"):
        both.add(in_window(partition, queue))

    assert abandonment(both, by_arrival=True) == (1, 1)


@pytest.mark.parametrize(
    "outcome",
    [
        call(3, "answered"),
        call(3, "abandoned"),
        call(7, "abandoned"),
        call(3, "left", reason="timeout"),
    ],
    ids=["answered", "abandoned short", "abandoned", "left"],
)
@pytest.mark.parametrize("formula", ["of_offered", "connect", "talkdesk", "knocked"])
def test_who_arrived_before_the_window_is_in_none_of_the_formulas_taken_at_the_arrival(
    outcome: Told, formula: str
) -> None:
    partition = told(call(0, "queued"), outcome, now_s=300)
    sums = in_window(partition)
    assert (sums.counts[OFFERED], sums.holds_visits()) == (0, True)

    assert fractions(sums, Live(), (formula,)) == {formula: (0, 0)}


@pytest.mark.parametrize(
    ("events", "now_s"),
    [
        ((), 300),
        ((call(200, "answered"),), 325),
        ((call(200, "abandoned"),), 325),
        ((call(200, "left", reason="key"),), 325),
        ((), 7_200),
    ],
    ids=["missed", "answered", "abandoned", "left", "expired"],
)
def test_a_window_knows_the_thresholds_of_visits_that_arrived_before_it(
    events: tuple[Told, ...], now_s: float
) -> None:
    dated = ["20s", {"from": "2026-11-24T10:00:10Z", "value": "30s"}]
    book = policy(channels={"voice": {"threshold": dated}})

    sums = in_window(told(call(0, "queued"), *events, now_s=now_s, policies=book))

    assert (sums.counts[OFFERED], sums.thresholds) == (0, {20_000: 1})


def test_a_window_that_stood_while_its_panes_were_dropped_does_not_keep_them() -> None:
    partition = told(call(0, "queued"), call(5, "answered"), now_s=1_800)
    hour = partition.tallies["sales", "voice"]
    assert hour.window("60m", partition.tick_ms // TICK_MS).counts[OFFERED] == 1

    partition.advance(ms(75 * 60))

    assert hour.window("60m", partition.tick_ms // TICK_MS).is_empty()


def test_the_date_a_clock_shows_again_keeps_what_it_had() -> None:
    book = policy(defaults={"zone": "America/St_Johns"})
    before, after = (
        call(0, "queued", contact=at, time=f"2006-10-{at}Z")
        for at in ("28T12:00:00", "29T02:30:10")
    )
    partition = told(before, after, policies=book)
    tally = partition.tallies["sales", "voice"]

    shown = []
    for minute in (0, 45):
        partition.advance(after[1] + minute * 60_000 + 5_000)
        shown.append(tally.day(partition.tick_ms).counts[OFFERED])

    assert shown == [1, 2]


def test_what_is_told_late_is_in_a_window_that_has_moved_over_its_pane() -> None:
    partition = told(call(0, "queued"), now_s=5)
    assert in_window(partition).counts[OFFERED] == 1

    tell(partition, [call(8, "queued", contact="c-2")])
    partition.advance(ms(10))
    assert in_window(partition).counts[OFFERED] == 2

    tell(partition, [call(9, "queued", contact="c-3")])
    assert in_window(partition).counts[OFFERED] == 3


@pytest.mark.parametrize(
    ("reason", "is_failure"),
    [
        *((reason, True) for reason in ("timeout", "empty", "error")),
        *((reason, False) for reason in ("overflow", "callback", "voicemail", "key", "bot")),
    ],
)
def test_who_left_by_timeout_empty_queue_or_error_failed(reason: str, is_failure: bool) -> None:
    soon, late = (call(0, "queued"), call(0, "queued", contact="c-2"))
    left = call(9, "left", reason=reason), call(30, "left", contact="c-2", reason=reason)

    counts = in_window(told(soon, late, *left, now_s=30)).counts

    assert (counts[LEFT_WITHIN], counts[LEFT_AFTER]) == (1, 1)
    assert (counts[FAILED_WITHIN], counts[FAILED_AFTER]) == (is_failure, is_failure)


def test_who_was_withdrawn_ended_a_wait_but_was_never_undecided() -> None:
    elsewhere = {"queue": "service", "contact": "c-2"}
    gone = (call(4, "queued", **elsewhere), call(8, "abandoned", **elsewhere))
    elsewhere["contact"] = "c-3"
    left = (call(4, "queued", **elsewhere), call(8, "left", reason="key", **elsewhere))

    sums = in_window(told(*TWO_QUEUES, *gone, *left, call(9, "answered"), now_s=10), "service")

    assert abandonment(sums) == (1, 3)
    assert undecided(sums) == 0


def test_the_ratio_of_responses_is_of_all_that_were_decided_and_of_nothing_else() -> None:
    sums = Sums()
    for at, count in ((OFFERED, 8), (RESPONSES, 4), (RESPONSES_WITHIN, 3)):
        sums.counts[at] = count

    ratios = ratio_figures(sums, Live(), (), by_arrival=False)

    assert ratios["initial_response_within_ratio"] == 0.75


def test_a_mean_is_over_all_durations_not_over_the_different_ones() -> None:
    assert spread_of({5_000: 3, 9_000: 1}, 24_000)["mean"] == 6.0


def test_a_duration_taken_back_before_it_is_counted_is_in_no_quantile() -> None:
    figures = spread_of({5_000: 1, 9_000: -1}, 5_000)

    assert (figures["p50"], figures["p99"], figures["max"]) == (5.0, 5.0, 5.0)
