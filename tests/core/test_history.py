"""The last hour of each queue: what is kept of each minute, and which way a queue goes."""

from typing import Any

import pytest

from streams.core.figures import Live
from streams.core.floor import Floor, QueueFloor
from streams.core.history import FloorHistory
from streams.core.policy import PolicyBook
from streams.core.sources import SourceBook
from streams.core.tally import ANSWERED_WITHIN, MISSED, Sums
from tests.support.core_events import TEN_MS, ms

KEY = ("sales", "voice")
MINUTE_S = 60


def a_queue(waiting: int = 0, *, within: int = 0, missed: int = 0, **changes: Any) -> QueueFloor:
    """A queue with some who wait, and visits decided in the last 15 minutes."""
    sums = Sums()
    sums.counts[ANSWERED_WITHIN] = within
    sums.counts[MISSED] = missed
    windows = {"15m": sums, "day": Sums()}
    return QueueFloor(*KEY, live=Live(waiting=waiting), windows=windows, **changes)


def a_floor(now_s: float, *queues: QueueFloor) -> Floor:
    keys = {(queue.queue, queue.channel): queue for queue in queues}
    return Floor(ms(now_s), ms(now_s), keys, SourceBook(), {})


def of_sales(history: FloorHistory) -> dict[str, Any]:
    (queue,) = history.document()["queues"]
    assert (queue.pop("queue"), queue.pop("channel")) == KEY
    return dict(queue)


def trend(history: FloorHistory, queue: QueueFloor, now_s: float) -> dict[str, Any]:
    policy = PolicyBook().queue(*KEY, ms(now_s))
    return dict(history.trend(KEY, FloorHistory.sample(queue, policy), ms(now_s)))


def test_the_first_floor_of_each_minute_is_kept_and_no_other() -> None:
    history = FloorHistory(PolicyBook())
    for now_s, waiting in ((0, 1), (59, 2), (61, 3), (62, 4), (119, 5)):
        history.take(a_floor(now_s, a_queue(waiting)))

    assert of_sales(history)["waiting"][-3:] == [None, 1, 3]
    assert history.document()["until_ms"] == TEN_MS + 60_000
    assert history.document()["every_s"] == 60


def test_sixty_minutes_are_kept_and_a_queue_that_is_in_none_of_them_is_forgotten() -> None:
    history = FloorHistory(PolicyBook())
    history.take(a_floor(0, a_queue(7)))
    for minute in range(1, 60):
        history.take(a_floor(minute * MINUTE_S))
    assert of_sales(history)["waiting"] == [7] + [None] * 59

    history.take(a_floor(60 * MINUTE_S))

    assert history.document()["queues"] == []


def test_minutes_that_nobody_saw_are_unknown_however_many_they_are() -> None:
    history = FloorHistory(PolicyBook())
    history.take(a_floor(0, a_queue(1)))
    history.take(a_floor(3 * MINUTE_S, a_queue(2)))
    assert of_sales(history)["waiting"][-4:] == [1, None, None, 2]

    history.take(a_floor(1_000 * MINUTE_S, a_queue(3)))

    assert of_sales(history)["waiting"] == [None] * 59 + [3]


@pytest.mark.parametrize("changes", [{"catching_up": True}, {"no_data_since_ms": TEN_MS}])
def test_what_was_not_known_at_the_time_stays_unknown(changes: dict[str, Any]) -> None:
    history = FloorHistory(PolicyBook())
    history.take(a_floor(0, a_queue(1)))
    history.take(a_floor(MINUTE_S, a_queue(9, **changes)))

    assert of_sales(history)["waiting"][-2:] == [1, None]
    unknown = history.trend(KEY, None, ms(301))
    assert unknown == {"waiting": None, "service_level": None}
    assert trend(history, a_queue(9), 361)["waiting"] is None


def test_a_service_level_of_nothing_is_unknown_and_others_are_rounded_to_be_drawn() -> None:
    history = FloorHistory(PolicyBook())
    history.take(a_floor(0, a_queue()))
    history.take(a_floor(MINUTE_S, a_queue(within=2, missed=1)))

    assert of_sales(history)["service_level"][-2:] == [None, 0.667]


@pytest.mark.parametrize(
    ("before", "now", "way"),
    [
        (0, 1, "steady"),
        (0, 2, "rising"),
        (10, 11, "steady"),
        (10, 12, "rising"),
        (20, 23, "steady"),
        (20, 24, "rising"),
        (20, 17, "steady"),
        (20, 16, "falling"),
        (2, 0, "falling"),
    ],
)
def test_waiting_goes_where_it_has_changed_by_two_and_a_fifth_in_five_minutes(
    before: int, now: int, way: str
) -> None:
    history = FloorHistory(PolicyBook())
    history.take(a_floor(0, a_queue(before)))

    assert trend(history, a_queue(now), 359)["waiting"] == way
    assert trend(history, a_queue(now), 299)["waiting"] is None
    assert trend(history, a_queue(now), 360)["waiting"] is None


@pytest.mark.parametrize(
    ("before", "now", "way"),
    [
        ((8, 2), (16, 4), "steady"),
        ((8, 2), (17, 3), "rising"),
        ((16, 4), (15, 5), "falling"),
        ((80, 20), (84, 16), "steady"),
        ((8, 2), (4, 5), None),
        ((4, 5), (8, 2), None),
        ((0, 0), (8, 2), None),
    ],
)
def test_a_level_goes_where_it_has_changed_by_five_points_in_fifteen_minutes_on_enough(
    before: tuple[int, int], now: tuple[int, int], way: str | None
) -> None:
    history = FloorHistory(PolicyBook())
    history.take(a_floor(0, a_queue(within=before[0], missed=before[1])))

    now_queue = a_queue(within=now[0], missed=now[1])
    assert trend(history, now_queue, 15 * MINUTE_S)["service_level"] == way
