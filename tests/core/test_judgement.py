"""The word and the reason on a tile, on both sides of each limit that decides them."""

from typing import Any

import pytest

from streams.core.figures import Live
from streams.core.floor import QueueFloor
from streams.core.judgement import REASONS, STAFFED, STATES, Cause, Judgement, clock, judge
from streams.core.staffing import Door, Order
from streams.core.tally import (
    ABANDONED_BEFORE,
    ANSWERED_LATE,
    ANSWERED_WITHIN,
    MISSED,
    OFFERED,
    Sums,
)
from tests.support.core_events import TEN_MS, ms, policy

NOW_MS = ms(3_600)
GOOD = Judgement("good")

AT_TEN = Order(TEN_MS, 0, 0, "", "", b"")
CLOSED = Door(AT_TEN, False, TEN_MS, "planned")
OPEN = Door(AT_TEN, True, TEN_MS, "")
FAULTY = Door(AT_TEN, False, TEN_MS, "fault")


def window(*, within: int = 0, late: int = 0, abandoned: int = 0) -> Sums:
    """Visits that were answered in time, answered late, or abandoned in time; nobody else."""
    sums = Sums()
    sums.counts[OFFERED] = within + late + abandoned
    sums.counts[ANSWERED_WITHIN] = within
    sums.counts[ANSWERED_LATE] = sums.counts[MISSED] = late
    sums.counts[ABANDONED_BEFORE] = abandoned
    return sums


def waiting(age_ms: int = 0, **live: Any) -> Live:
    """One visit that waits for *age_ms*."""
    return Live(waiting=1, oldest_ms=NOW_MS - age_ms, **live)


def judged(
    live: Live | None = None,
    sums: Sums | None = None,
    *,
    channel: str = "voice",
    settings: Any = None,
    **of_queue: Any,
) -> Judgement:
    """The judgement of `sales`; on voice the longest wait is limited to 120 s and 300 s."""
    book = policy(defaults=settings or {})
    windows = {"15m": sums or window(), "day": window(late=100)}
    queue = QueueFloor("sales", channel, live=live or Live(), windows=windows, **of_queue)
    rules = book.queue("sales", channel, NOW_MS), book.visit("sales", channel, NOW_MS)
    return judge(queue, *rules, NOW_MS)


def test_a_queue_that_catches_up_is_not_judged_whatever_else_is_known() -> None:
    judgement = judged(waiting(999_000), catching_up=True, no_data_since_ms=TEN_MS)

    assert judgement == Judgement("catching_up")


def test_a_queue_without_data_is_not_judged_by_what_it_last_showed() -> None:
    assert judged(waiting(999_000), no_data_since_ms=TEN_MS) == Judgement("no_data")


@pytest.mark.parametrize(
    ("age_ms", "judgement"),
    [
        (120_000, Judgement("too_few")),
        (120_001, Judgement("watch", Cause("longest_wait", 120_000))),
        (300_000, Judgement("watch", Cause("longest_wait", 120_000))),
        (300_001, Judgement("trouble", Cause("longest_wait", 300_000))),
    ],
)
def test_the_longest_wait_passes_a_limit_only_when_it_is_longer(
    age_ms: int, judgement: Judgement
) -> None:
    assert judged(waiting(age_ms)) == judgement


@pytest.mark.parametrize(
    ("door", "judgement"),
    [
        (FAULTY, Judgement("trouble", Cause("out_of_service"))),
        (CLOSED, Judgement("closed")),
        (OPEN, Judgement("no_calls")),
        (None, Judgement("no_calls")),
    ],
)
def test_only_a_fault_is_trouble_and_a_planned_close_is_closed(
    door: Door | None, judgement: Judgement
) -> None:
    assert judged(door=door) == judgement


def test_a_closed_queue_in_which_somebody_waits_is_not_shown_as_closed() -> None:
    assert judged(waiting(), door=CLOSED).state == "too_few"


@pytest.mark.parametrize("state", sorted(STAFFED))
def test_one_agent_at_work_is_enough_to_be_staffed(state: str) -> None:
    assert judged(waiting(agents={state: 1, "logged_out": 9})).state == "too_few"


@pytest.mark.parametrize(
    ("live", "judgement"),
    [
        (
            waiting(agents={"available": 0, "not_ready": 5}),
            Judgement("trouble", Cause("nobody_staffed")),
        ),
        (Live(agents={"available": 0, "not_ready": 5}), Judgement("no_calls")),
        (waiting(agents=None), Judgement("too_few")),
    ],
    ids=["somebody waits", "nobody waits", "nothing known of agents"],
)
def test_nobody_staffed_is_trouble_once_somebody_waits(live: Live, judgement: Judgement) -> None:
    assert judged(live) == judgement


@pytest.mark.parametrize(
    ("age_ms", "judgement"),
    [(120_000, GOOD), (120_001, Judgement("watch", Cause("reply_awaited", 120_000)))],
)
def test_a_reply_awaited_for_longer_than_its_limit_is_to_be_watched(
    age_ms: int, judgement: Judgement
) -> None:
    live = waiting(awaiting=1, oldest_awaiting_ms=NOW_MS - age_ms)

    assert judged(live, window(within=10), channel="chat") == judgement


def test_a_caller_awaits_a_reply_while_waiting_which_has_its_own_limits() -> None:
    live = waiting(20_001, awaiting=1, oldest_awaiting_ms=NOW_MS - 20_001)

    assert judged(live, window(within=10)) == GOOD


@pytest.mark.parametrize(
    ("sums", "judgement"),
    [
        (window(within=8, late=2), GOOD),
        (window(within=7, late=3), Judgement("watch", Cause("service_level", 0.8))),
        (window(within=2, late=7), Judgement("too_few")),
        (window(late=10), Judgement("watch", Cause("service_level", 0.8))),
    ],
    ids=["on target", "under target", "nine of them", "none in time"],
)
def test_a_service_level_under_its_target_counts_from_ten_contacts(
    sums: Sums, judgement: Judgement
) -> None:
    assert judged(sums=sums) == judgement


@pytest.mark.parametrize(
    ("sums", "judgement"),
    [
        (window(within=9, abandoned=1), GOOD),
        (window(within=8, abandoned=2), Judgement("watch", Cause("abandoned", 0.1))),
        (window(within=4, abandoned=5), Judgement("too_few")),
    ],
    ids=["at the limit", "over the limit", "nine of them"],
)
def test_too_many_abandoned_counts_from_ten_contacts(sums: Sums, judgement: Judgement) -> None:
    assert judged(sums=sums, settings={"formula": "icmi_1"}) == judgement


def test_those_who_still_wait_do_not_hide_how_many_of_the_others_abandoned() -> None:
    sums = window(within=8, abandoned=2)
    sums.counts[OFFERED] += 90

    judgement = judged(waiting(), sums, settings={"formula": "icmi_1"})

    assert judgement == Judgement("watch", Cause("abandoned", 0.1))


def test_the_formula_the_target_and_the_floor_are_the_queue_s_own() -> None:
    sums = window(within=5, late=1, abandoned=4)
    own = {"volume_floor": 6, "target": 0.9, "abandonment_limit": 1, "formula": "answered_only"}

    assert judged(sums=sums, settings=own) == Judgement("watch", Cause("service_level", 0.9))
    assert judged(sums=sums, settings={**own, "target": 0.8}) == GOOD
    assert judged(sums=sums, settings={**own, "volume_floor": 7}).state == "too_few"


def test_the_first_window_of_the_wall_is_the_one_that_is_judged() -> None:
    sums = window(within=10)

    assert judged(sums=sums) == GOOD
    assert judged(sums=sums, settings={"windows": ["day", "15m"]}).state == "watch"


@pytest.mark.parametrize(
    ("live", "sums", "state"),
    [
        (Live(), window(), "no_calls"),
        (waiting(), window(), "too_few"),
        (Live(), window(within=1), "too_few"),
        (Live(), window(within=9), "too_few"),
        (Live(), window(within=10), "good"),
    ],
    ids=["nothing", "one waits", "one decided", "nine decided", "ten decided"],
)
def test_a_queue_within_its_limits_is_told_apart_by_how_much_is_known(
    live: Live, sums: Sums, state: str
) -> None:
    assert judged(live, sums) == Judgement(state)


def test_a_critical_limit_goes_before_a_warning() -> None:
    assert judged(waiting(300_001), window(late=10)).reason == "longest wait over 5:00"
    assert judged(waiting(120_001), window(late=10)).reason == "longest wait over 2:00"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (Cause("longest_wait", 300_000), "longest wait over 5:00"),
        (Cause("out_of_service"), "out of service"),
        (Cause("nobody_staffed"), "nobody staffed"),
        (Cause("reply_awaited", 86_400_000), "reply awaited over 24:00:00"),
        (Cause("service_level", 0.8), "service level under 80 %"),
        (Cause("abandoned", 0.1), "abandoned over 10 %"),
    ],
)
def test_a_cause_is_said_in_words_with_its_limit(cause: Cause, reason: str) -> None:
    assert Judgement("watch", cause).reason == reason


def test_every_cause_has_its_words_and_a_queue_without_one_says_nothing() -> None:
    assert all(Cause(name, 0.5).reason for name in REASONS)
    assert Judgement("good").reason == ""


def test_the_states_are_listed_worst_first() -> None:
    assert STATES[:3] == ("trouble", "watch", "good")
    assert len(set(STATES)) == 8


@pytest.mark.parametrize(
    ("duration_ms", "read"),
    [(0, "0:00"), (20_000, "0:20"), (200_999, "3:20"), (3_600_000, "1:00:00")],
)
def test_a_limit_is_read_as_on_a_clock(duration_ms: int, read: str) -> None:
    assert clock(duration_ms) == read
