"""Agents and doors: the newest event wins, in whatever order they come."""

from itertools import permutations
from typing import Any

import pytest

from streams.core import staffing
from streams.core.staffing import Staffing
from tests.support.core_events import DAY, HOUR, Told, event, ms, policy, told

STATES = {
    "available": 0,
    "on_contact": 0,
    "after_contact_work": 0,
    "not_ready": 0,
    "logged_out": 0,
}


def agent(at_s: float, state: str, **fields: object) -> Told:
    """The agent `a-1` of `sales`, unless the fields say otherwise."""
    who = {"agent": "a-1", "queues": ["sales"], "state": state, **fields}
    return event(at_s, "agent.changed", **who)


def door(at_s: float, kind: str, **fields: object) -> Told:
    reason = {"reason": "fault"} if kind == "closed" else {}
    return event(at_s, f"queue.{kind}", **{"queue": "sales", **reason, **fields})


def of(*events: Told, **options: Any) -> Staffing:
    return told(*events, **options).staffing


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_an_agent_is_in_the_state_of_the_newest_event(order: tuple[int, ...]) -> None:
    events = [agent(0, "available"), agent(1, "on_contact"), agent(2, "not_ready")]

    staff = of(*(events[at] for at in order))

    assert staff.agents_by_state() == {"sales": {**STATES, "not_ready": 1}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"sequence": 1}, {"sequence": 2}),
        ({"id": "a"}, {"id": "b"}),
        ({"id": "a", "source": "desk"}, {"id": "a"}),
    ],
    ids=["sequence", "id", "source"],
)
def test_at_one_moment_the_sequence_decides_and_then_the_id(
    first: dict[str, object], second: dict[str, object]
) -> None:
    events = [agent(0, "not_ready", **first), agent(0, "available", **{"id": "z", **second})]

    for order in (events, events[::-1]):
        assert of(*order).agents["a-1"].state == "available"


def test_at_one_moment_a_queue_is_opened_before_it_is_closed_whatever_the_ids() -> None:
    events = [door(0, "opened", id="z"), door(0, "closed", id="a")]

    for order in (events, events[::-1]):
        assert not of(*order).doors["sales"].is_open


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_of_two_contents_of_one_id_the_greater_one_counts_and_is_told(
    order: tuple[int, ...],
) -> None:
    doors = [door(0, "opened"), door(5, "closed", id="x"), door(7, "opened", id="x")]
    agents = [
        agent(0, "available"),
        agent(5, "available", id="y"),
        agent(5, "not_ready", id="y"),
    ]

    partition = told(*(doors[at] for at in order), *(agents[at] for at in order))

    shown = partition.staffing.doors["sales"]
    assert (shown.is_open, shown.since_ms) == (True, ms(0))
    assert partition.staffing.agents["a-1"].state == "not_ready"
    assert partition.duplicates == partition.conflicting == {"pbx": 2}


def test_an_agent_of_whom_nothing_is_heard_for_a_week_is_known_no_more() -> None:
    partition = told(agent(0, "available"), agent(DAY, "available", agent="a-2"))

    for days in (7, 8):
        partition.advance(ms(days * DAY))
        partition.advance(ms(days * DAY + HOUR))
        assert len(partition.staffing.agents) == 8 - days
    assert partition.staffing.agents_by_state() == {}


def test_an_agent_counts_in_each_queue_served_and_once_in_each() -> None:
    staff = of(agent(0, "available", queues=["sales", "service", "sales"]))

    counted = {queue: states["available"] for queue, states in staff.agents_by_state().items()}
    assert counted == {"sales": 1, "service": 1}


def test_an_agent_who_names_no_queue_serves_the_same_as_before() -> None:
    staff = of(agent(0, "available"), agent(1, "on_contact", queues=[]))

    assert staff.agents_by_state() == {"sales": {**STATES, "on_contact": 1}}


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_queues_of_an_agent_are_those_named_last_in_whatever_order(
    order: tuple[int, ...],
) -> None:
    events = [
        agent(0, "available", queues=["service"]),
        agent(1, "available"),
        agent(2, "not_ready", queues=[]),
    ]

    staff = of(*(events[at] for at in order))

    assert staff.agents_by_state() == {"sales": {**STATES, "not_ready": 1}}


def test_an_agent_who_moves_to_another_queue_leaves_the_old_one() -> None:
    staff = of(agent(0, "available"), agent(1, "available", queues=["service"]))

    assert staff.agents_by_state() == {"service": {**STATES, "available": 1}}


def test_agents_who_logged_out_are_still_shown_as_such() -> None:
    staff = of(agent(0, "available"), agent(1, "logged_out"), agent(1, "available", agent="a-2"))

    assert staff.agents_by_state() == {"sales": {**STATES, "available": 1, "logged_out": 1}}


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_queue_is_in_service_as_the_newest_event_says(order: tuple[int, ...]) -> None:
    events = [door(0, "opened"), door(5, "closed"), door(9, "opened")]

    shown = of(*(events[at] for at in order)).doors["sales"]

    assert (shown.is_open, shown.reason, shown.order[0]) == (True, "", ms(9))


def test_a_closed_queue_says_since_when_and_why() -> None:
    shown = of(door(0, "opened"), door(5, "closed", reason="planned")).doors["sales"]

    assert (shown.is_open, shown.since_ms, shown.reason) == (False, ms(5), "planned")


@pytest.mark.parametrize(
    ("between", "since_s"), [("closed", 0), ("opened", 9)], ids=["closed on", "opened in between"]
)
def test_a_queue_is_closed_since_it_was_last_open_in_whatever_order_it_is_told(
    between: str, since_s: int
) -> None:
    events = [door(0, "closed"), door(5, between), door(9, "closed")]

    for order in permutations(events):
        assert of(*order).doors["sales"].since_ms == ms(since_s)


def test_a_queue_that_opens_and_closes_for_ever_is_remembered_for_a_while() -> None:
    changes = [door(at_s, ("opened", "closed")[at_s % 2]) for at_s in range(1_000)]

    staff = of(*changes)

    assert len(staff._doors["sales"]) == staffing.DOORS_KEPT
    assert staff.doors["sales"].since_ms == ms(999)


def test_a_queue_closed_for_another_reason_is_closed_for_it_since_then() -> None:
    shown = of(door(0, "closed", reason="planned"), door(9, "closed")).doors["sales"]

    assert (shown.since_ms, shown.reason) == (ms(9), "fault")


def test_the_newest_count_of_a_source_stands() -> None:
    counts = [event(at_s, "queue.observed", queue="sales", waiting=at_s) for at_s in (3, 9, 6)]

    assert of(*counts).observations["sales"].waiting == 9


def test_a_source_that_does_not_say_how_many_wait_has_counted_nothing() -> None:
    observed = event(0, "queue.observed", queue="sales", agents={"ready": 3})

    assert of(observed).observations == {}


def test_agents_and_doors_of_an_old_queue_id_are_those_of_the_new_one() -> None:
    book = policy(queues={"sales": {"was": ["verkauf"]}})
    staff = of(
        agent(0, "available", queues=["verkauf", "sales"]),
        door(0, "opened", queue="verkauf"),
        policies=book,
    )

    assert staff.agents_by_state() == {"sales": {**STATES, "available": 1}}
    assert list(staff.doors) == ["sales"]


def test_an_id_is_remembered_as_long_as_a_copy_could_be_on_time() -> None:
    staff = Staffing(policy(), lateness_ms=1_000)
    (first, _), (other, _) = door(0, "opened", id="1"), door(0, "opened", id="1", source="desk")

    assert staff.remember(first, time_ms=0, arrival_ms=0) == "new"
    assert staff.remember(first, time_ms=0, arrival_ms=1_000) == "same"
    assert staff.remember(other, time_ms=1_000, arrival_ms=1_000) == "new"
    assert staff.remember(first, time_ms=0, arrival_ms=1_000) == "same"


def test_the_memory_of_ids_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staffing, "MAX_REMEMBERED", 10)
    staff = Staffing(policy(), lateness_ms=1_000)

    told_once = [door(0, "opened", id=str(number))[0] for number in range(100)]
    met = [staff.remember(each, 0, 0) for each in told_once]

    assert {*met} == {"new"}
    assert staff.remember(told_once[-1], 0, 0) == "same"
    assert len(staff.remembered) <= 10


def test_agents_beyond_the_bound_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staffing, "MAX_AGENTS", 2)
    agents = (agent(0, "available", agent=f"a-{number}") for number in range(5))

    partition = told(*agents, agent(9, "not_ready", agent="a-0"))

    counted = partition.staffing.agents_by_state()
    assert counted == {"sales": {**STATES, "available": 1, "not_ready": 1}}
    assert partition.ignored == {"too_much_staffing": 3}


def test_agents_who_would_serve_too_much_serve_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staffing, "MAX_SERVED", 3)
    both = ["sales", "service"]
    agents = [agent(0, "available", agent=f"a-{number}", queues=both) for number in range(3)]

    staff = of(*agents, agent(9, "not_ready", agent="a-0", queues=both))

    assert staff.agents_by_state() == {queue: {**STATES, "not_ready": 1} for queue in both}


def test_doors_of_queues_beyond_the_bound_are_not_kept_and_their_agents_are_together() -> None:
    staff = of(
        *(door(0, "opened", queue=f"q-{number}") for number in range(5)),
        *(event(0, "queue.observed", queue=f"q-{number}", waiting=1) for number in range(5)),
        *(agent(0, "available", agent=f"a-{n}", queues=[f"q-{n}", "q-0"]) for n in range(5)),
        max_tallies=2,
    )

    assert list(staff.doors) == list(staff.observations) == ["q-0", "q-1"]
    counted = {queue: states["available"] for queue, states in staff.agents_by_state().items()}
    assert counted == {"q-0": 5, "q-1": 1, staffing.OTHER: 3}


def test_what_partitions_know_of_agents_and_doors_adds_up() -> None:
    one = of(agent(0, "available"), door(0, "opened"))
    other = of(agent(3, "not_ready", agent="a-2"), door(5, "closed"))

    for order in ((one, other), (other, one)):
        merged = Staffing(policy(), 0)
        for part in order:
            merged.add(part)
        assert merged.agents_by_state() == {"sales": {**STATES, "available": 1, "not_ready": 1}}
        assert (merged.doors["sales"].is_open, merged.changed_ms) == (False, {"sales": ms(3)})
