"""Partitions merged into one floor: it does not matter how the events were split."""

from itertools import permutations
from typing import Any

import pytest

from streams.core.floor import Floor, FloorMerger, QueueFloor
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.staffing import Staffing
from streams.core.tally import OFFERED, Sums
from tests.support.core_events import (
    DAY,
    HOUR,
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
from tests.support.core_floor import frame_of

SALES = ("sales", "voice")
AVAILABLE = {"agent": "a-1", "state": "available", "queues": ["sales"]}


def floor_of(
    *partitions: Partition, now_s: float, behind: tuple[Partition, ...] = (), **plain: Any
) -> Floor:
    """The floor at *now_s*; those *behind* have not come that far."""
    for partition in partitions:
        partition.advance(ms(now_s))
    frames = [frame_of(partition, ms(now_s)) for partition in partitions]
    frames += [frame_of(partition, ms(now_s), catching_up=True) for partition in behind]
    return FloorMerger(policy(**plain)).merge(frames, ms(now_s))


def three_partitions() -> list[Partition]:
    """Calls and chats of two queues, one corrected, some waiting, agents and a door."""
    one = told(
        *(call(0, "queued"), call(25, "answered"), call(20, "abandoned")),
        *(call(1, "queued", contact="c-2", segment="gold"), call(2, "answered", contact="c-2")),
        event(0, "agent.changed", **AVAILABLE),
    )
    other = told(
        *(call(5, "queued", contact="c-3", source="desk"), call(3, "refused", reason="full")),
        event(9, "agent.changed", **{**AVAILABLE, "state": "on_contact"}),
        event(0, "queue.opened", queue="sales"),
    )
    third = told(
        *(chat(0, "messaged"), chat(1, "queued"), chat(40, "replied", by="human")),
        event(3, "queue.closed", queue="sales", reason="planned"),
    )
    return [one, other, third]


def plain(sums: Sums) -> tuple[object, ...]:
    return (sums.counts, sums.waits, sums.abandons, sums.responses, sums.segments)


def shown(queue: QueueFloor) -> dict[str, object]:
    """All that is said of a queue."""
    histograms = {**queue.waits, **queue.responses}
    return {
        "counters": queue.counters,
        "corrections": queue.corrections,
        "net": queue.net,
        "live": queue.live,
        "fed": queue.fed,
        "door": queue.door,
        "windows": {name: plain(sums) for name, sums in queue.windows.items()},
        "histograms": {name: (each.counts, each.sum_ms) for name, each in histograms.items()},
        "last": queue.last_event_ms,
    }


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_partitions_in_any_order_make_the_same_floor(order: tuple[int, ...]) -> None:
    parts = three_partitions()
    floor = floor_of(*parts, now_s=60)

    again = floor_of(*(parts[at] for at in order), now_s=60)

    assert list(again.queues) == list(floor.queues) == [("help", "chat"), SALES]
    assert {key: shown(queue) for key, queue in again.queues.items()} == {
        key: shown(queue) for key, queue in floor.queues.items()
    }


def test_windows_of_some_partitions_and_of_the_rest_add_up_to_all() -> None:
    one, other, third = three_partitions()
    total = Sums()

    for some in ([one, other], [third]):
        for queue in floor_of(*some, now_s=60).queues.values():
            total.add(queue.windows["15m"])

    whole = Sums()
    for queue in floor_of(one, other, third, now_s=60).queues.values():
        whole.add(queue.windows["15m"])
    assert plain(total) == plain(whole)


def test_a_floor_of_no_partitions_is_empty() -> None:
    floor = floor_of(now_s=0)

    assert (floor.queues, floor.stale, floor.catching_up) == ({}, {}, False)


def test_a_visit_that_was_lost_in_between_is_a_violation() -> None:
    partition = told(call(0, "queued"), call(5, "answered"), call(3, "abandoned"))
    assert floor_of(partition, now_s=10).queues[SALES].violations == 0

    sales(partition).count("offered")
    assert floor_of(partition, now_s=10).queues[SALES].violations == 1

    sales(partition).count("expired", 3)
    assert floor_of(partition, now_s=10).queues[SALES].violations == 2


@pytest.mark.parametrize("outcome", ["answered", "abandoned", "left", "expired", "waiting"])
def test_every_outcome_and_waiting_keep_the_balance(outcome: str) -> None:
    reason = {"reason": "timeout"} if outcome == "left" else {}
    ends = () if outcome in ("expired", "waiting") else (call(5, outcome, **reason),)
    now_s = 2 * HOUR if outcome == "expired" else 10

    queue = floor_of(told(call(0, "queued"), *ends), now_s=now_s).queues[SALES]

    assert (queue.net["offered"], queue.violations) == (1, 0)


@pytest.mark.parametrize(("after_ms", "is_there"), [(0, True), (1, False)])
def test_a_queue_that_is_silent_for_seven_days_leaves_the_floor(
    after_ms: int, is_there: bool
) -> None:
    partition = told(call(0, "queued"), call(5, "answered"))

    floor = floor_of(partition, now_s=5 + 7 * DAY + after_ms / 1000)

    assert (SALES in floor.queues) is is_there


def test_a_queue_in_which_somebody_waits_is_never_silent() -> None:
    email = call(0, "queued", channel="email")

    assert list(floor_of(told(email), now_s=8 * DAY).queues) == [("sales", "email")]


def test_a_queue_in_which_a_reply_is_awaited_is_there_before_anybody_is_queued() -> None:
    email = {"channel": "email", "contact": "c-2"}
    partition = told(chat(0, "messaged"), call(0, "messaged", **email))
    floor = floor_of(partition, now_s=121)
    assert list(floor.queues) == [("help", "chat"), ("sales", "email")]
    assert floor.queues["help", "chat"].net == {"initial_response_events:false": 1}

    assert list(floor_of(partition, now_s=8 * DAY).queues) == [("sales", "email")]


def test_what_is_told_late_does_not_make_a_queue_or_its_sources_silent_for_longer() -> None:
    queue = floor_of(told(call(0, "queued"), call(-HOUR, "queued", contact="c-2")), now_s=1)

    assert queue.queues[SALES].fed == {"pbx": ms(0)}
    assert queue.queues[SALES].last_event_ms == ms(0)


def test_sources_of_a_queue_beyond_the_bound_are_one() -> None:
    calls = (call(n, "queued", contact=f"c-{n}", source=f"source-{n}") for n in range(300))

    assert len(floor_of(told(*calls), now_s=301).queues[SALES].fed) == 201


def test_customer_types_are_bounded_over_all_partitions_together() -> None:
    parts = [
        told(*(call(n, "queued", contact=f"c-{n}", segment=f"{part}-{n}") for n in range(6)))
        for part in range(3)
    ]

    counters = floor_of(*parts, now_s=1).queues[SALES].counters

    types = [name for name in counters if name.startswith("sent_to_wait:")]
    assert len(types) == 9
    assert sum(counters[name] for name in types) == counters["offered"] == 18


def test_queues_beyond_the_bound_are_one_over_all_partitions_together() -> None:
    parts = [
        told(*(call(n, "queued", contact=f"c-{n}", queue=f"{part}-{n}") for n in range(6)))
        for part in range(3)
    ]
    frames = [frame_of(part, ms(10)) for part in (*parts, told(call(0, "queued")))]
    book = policy(queues={"sales": {}})

    queues = FloorMerger(book, max_queues=8).merge(frames, ms(10)).queues

    assert len(queues) == 10
    assert SALES in queues
    assert queues["_other", "_other"].counters["offered"] == 10


def test_a_queue_stands_where_the_partition_that_is_behind_stands_but_windows_leave_it_out() -> (
    None
):
    ahead = told(call(30, "queued"), call(0, "queued", contact="c-2", queue="service"))
    behind = told(call(0, "queued", contact="c-3"), call(9, "answered", contact="c-3"), now_s=12)

    floor = floor_of(ahead, now_s=60, behind=(behind,))

    shown_sales, service = floor.queues[SALES], floor.queues["service", "voice"]
    assert (shown_sales.catching_up, shown_sales.as_of_ms) == (True, ms(12))
    assert shown_sales.live.waiting == 1
    assert (shown_sales.windows["5m"].counts[OFFERED], shown_sales.tick_ms) == (1, ms(60))
    assert (service.catching_up, service.as_of_ms) == (False, ms(60))
    assert floor.catching_up


def test_a_partition_begun_anew_holds_every_queue_back_but_empties_none() -> None:
    healthy, begun = told(call(0, "queued"), now_s=60), Partition(PolicyBook())
    frames = [
        frame_of(healthy, ms(60)),
        frame_of(begun, ms(60), catching_up=True, is_new=True),
    ]

    queue = FloorMerger(PolicyBook()).merge(frames, ms(60)).queues[SALES]

    assert (queue.catching_up, queue.as_of_ms) == (True, ms(60))
    assert queue.windows["5m"].counts[OFFERED] == 1


def test_a_floor_that_is_shown_does_not_change_with_what_comes_after() -> None:
    partition = told(call(0, "queued"), now_s=60)
    floor = floor_of(partition, now_s=60)

    tell(partition, [call(1, "queued", contact="c-2")])

    assert floor.queues[SALES].windows["5m"].counts[OFFERED] == 1


def test_a_day_has_nothing_of_a_partition_that_is_still_at_the_day_before() -> None:
    midnight_s = 14 * HOUR
    ahead = told(call(midnight_s + 1, "queued"))
    behind = told(call(midnight_s - 9, "queued", contact="c-2"), now_s=midnight_s - 5)

    queue = floor_of(ahead, now_s=midnight_s + 60, behind=(behind,)).queues[SALES]

    assert (queue.windows["day"].counts[OFFERED], queue.tick_ms) == (1, ms(midnight_s + 60))


def test_the_live_figures_of_partitions_add_up_and_the_oldest_is_the_oldest() -> None:
    one = told(call(3, "queued"), call(9, "queued", contact="c-2"))
    other = told(call(1, "queued", contact="c-3"))

    live = floor_of(one, other, now_s=23).queues[SALES].live

    assert (live.waiting, live.waiting_past, live.oldest_ms) == (3, 1, ms(1))


def test_a_late_event_is_in_the_windows_of_the_same_tick() -> None:
    partition = told(call(0, "queued"), now_s=12)
    merger = FloorMerger(PolicyBook())

    def waits() -> dict[int, int]:
        floor = merger.merge([frame_of(partition, ms(12))], ms(12))
        return floor.queues[SALES].windows["15m"].waits

    assert waits() == {}
    tell(partition, [call(0.1, "answered")])
    assert waits() == {100: 1}


def test_agents_and_door_are_shown_in_every_channel_of_their_queue() -> None:
    staff: tuple[Told, ...] = (
        event(0, "agent.changed", **AVAILABLE),
        event(0, "queue.opened", queue="sales"),
        event(1, "queue.observed", queue="sales", waiting=4),
    )
    floor = floor_of(
        told(call(0, "queued"), chat(0, "queued", contact="c-2", queue="sales"), *staff), now_s=5
    )

    for channel in ("voice", "chat"):
        queue = floor.queues["sales", channel]
        assert queue.live.agents is not None
        assert queue.live.agents["available"] == 1
        assert queue.live.is_open is True
        assert queue.observed is not None
        assert queue.observed.waiting == 4


def test_of_agents_and_door_nothing_is_known_until_something_is_told() -> None:
    queue = floor_of(told(call(0, "queued")), now_s=5).queues[SALES]

    assert (queue.live.agents, queue.live.is_open, queue.door, queue.observed) == (None,) * 4


@pytest.mark.parametrize(
    ("settings", "key"),
    [({}, SALES), ({"queues": {"sales": {"channels": {"chat": {}}}}}, ("sales", "chat"))],
    ids=["unlisted", "listed"],
)
def test_a_queue_without_contacts_is_there_once_an_agent_serves_it(
    settings: dict[str, Any], key: tuple[str, str]
) -> None:
    floor = floor_of(told(event(0, "agent.changed", **AVAILABLE)), now_s=5, **settings)

    assert list(floor.queues) == [key]
    assert floor.queues[key].windows["15m"].is_empty()
    assert floor.queues[key].violations == 0


def test_agents_of_several_partitions_add_up() -> None:
    parts = [
        told(event(0, "agent.changed", **{**AVAILABLE, "agent": name})).staffing
        for name in ("a-1", "a-2")
    ]

    merged = Staffing(PolicyBook(), 0)
    for part in parts:
        merged.add(part)

    assert {queue: states["available"] for queue, states in merged.agents_by_state().items()} == {
        AVAILABLE["queues"][0]: 2
    }
