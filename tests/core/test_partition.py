"""What a partition lets in, what it remembers, and how its counters change when it learns more."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.contact import NEVER, Limits
from streams.core.partition import FUTURE_MS, OTHER, Partition
from streams.core.policy import PolicyBook
from streams.core.tally import OFFERED, exact
from tests.support.core_events import (
    DAY,
    HOUR,
    MINUTE,
    Told,
    call,
    chat,
    event,
    ms,
    net,
    policy,
    sales,
    tell,
    told,
)
from tests.support.core_floor import CoreFloor
from tests.support.histories import History, histories, permuted

SHORT = Limits(rest_ms=60_000, lateness_ms=60_000)

# -- what is let in ------------------------------------------------------------------------------


@pytest.mark.parametrize(("too_late_ms", "late"), [(0, 0), (1, 1)])
def test_an_event_is_late_only_beyond_the_allowed_lateness(too_late_ms: int, late: int) -> None:
    partition = Partition(PolicyBook(), limits=SHORT)
    queued, time_ms = call(0, "queued")

    assert partition.accept(queued, time_ms, time_ms + 60_000 + too_late_ms)

    assert partition.late == late
    assert len(partition.lives) == 1 - late


@pytest.mark.parametrize(("too_early_ms", "taken"), [(0, True), (1, False)])
def test_an_event_is_in_the_future_only_more_than_five_minutes_ahead(
    too_early_ms: int, taken: bool
) -> None:
    partition = Partition(PolicyBook())
    queued, time_ms = call(0, "queued")

    assert partition.accept(queued, time_ms, time_ms - FUTURE_MS - too_early_ms) is taken

    assert sum(partition.events.values()) == len(partition.lives) == taken


def test_the_year_9999_lies_in_the_future_whenever_it_is_told() -> None:
    partition = Partition(PolicyBook())
    (queued, time_ms) = event(0, "contact.queued", contact="c-1", time="9999-01-01T00:00:00Z")

    assert not partition.accept(queued, time_ms, time_ms)
    assert not partition.lives


def test_arrival_is_the_highest_record_timestamp_so_far_and_events_do_not_move_it() -> None:
    partition = Partition(PolicyBook())
    (queued, first_ms), (answered, second_ms) = call(0, "queued"), call(60, "answered")

    partition.accept(answered, second_ms, second_ms - 10_000)
    assert partition.arrival_ms == second_ms - 10_000
    partition.accept(queued, first_ms, first_ms)
    assert partition.arrival_ms == second_ms - 10_000
    partition.arrive(second_ms)
    assert partition.arrival_ms == second_ms


def test_an_event_kept_out_for_being_late_leaves_no_trace_but_its_count() -> None:
    partition = told(call(0, "queued"), limits=SHORT)
    partition.arrive(ms(120))

    tell(partition, [call(30, "answered", source="desk")])

    assert partition.late == 1
    assert len(sales(partition).open) == 1
    assert list(partition.sources.last_ms) == ["pbx"]


def test_a_type_that_is_not_known_is_counted_and_ignored() -> None:
    partition = told(event(0, "contact.teleported", contact="c-1"))

    assert partition.ignored == {"unknown_type": 1}
    assert not partition.lives
    assert not partition.sources.last_ms


@pytest.mark.parametrize("type_", ["survey.answered", "complaint.filed"])
def test_what_customers_said_afterwards_changes_no_indicator_yet(type_: str) -> None:
    partition = told(event(0, type_, contact="c-1", queue="sales"))

    assert not partition.lives
    assert not partition.tallies


def test_time_does_not_run_backwards() -> None:
    partition = told(call(0, "queued"), now_s=21)

    partition.advance(ms(1))

    assert (partition.now_ms, partition.tick_ms) == (ms(21), ms(20))
    assert sales(partition).waiting_past == 1


# -- twice ---------------------------------------------------------------------------------------


def test_the_same_id_of_another_source_is_another_event() -> None:
    partition = told(
        call(0, "queued", id="1"),
        call(12, "answered", id="1", source="desk"),
        call(12, "answered", id="1", source="desk"),
    )

    assert partition.duplicates == {"desk": 1}
    assert net(partition)["answered:true"] == 1


def test_a_copy_of_other_content_counts_as_duplicate_and_conflict() -> None:
    partition = told(call(0, "queued", id="1"), call(0, "queued", id="1", queue="service"))

    assert (partition.duplicates, partition.conflicting) == ({"pbx": 1}, {"pbx": 1})


def test_a_copy_that_differs_in_what_nothing_reads_is_a_plain_duplicate() -> None:
    partition = told(call(0, "queued", id="1"), call(0, "queued", id="1", topic="bill"))

    assert (partition.duplicates, partition.conflicting) == ({"pbx": 1}, {})


@pytest.mark.parametrize(
    ("lesser", "greater"),
    [
        (call(5, "queued", id="1", queue="z"), call(6, "queued", id="1", queue="a")),
        (call(5, "queued", id="1", queue="a"), call(5, "queued", id="1", queue="b")),
    ],
    ids=["the later one", "at one time the greater bytes"],
)
def test_of_two_contents_of_one_id_the_greater_wins_in_either_order(
    lesser: Told, greater: Told
) -> None:
    alone = net(told(greater))

    for order in ([lesser, greater], [greater, lesser]):
        partition = told(*order)
        (life,) = partition.lives.values()
        assert [visit.opened_ms for visit in life.visits] == [greater[1]]
        assert net(partition) == alone


def test_an_agent_s_event_sent_twice_is_a_duplicate_too() -> None:
    change = event(0, "agent.changed", agent="a-1", state="available", queues=["sales"])

    assert told(change, change).duplicates == {"pbx": 1}


# -- what is remembered --------------------------------------------------------------------------


def test_a_contact_has_at_most_512_events_and_ignores_the_rest() -> None:
    partition = told(
        call(0, "queued"),
        *(call(second, "held") for second in range(1, 512)),
        call(600, "answered"),
    )

    assert partition.ignored == {"contact_full": 1}
    assert len(partition.lives["c-1"].ids) == 512
    assert len(sales(partition).open) == 1


def test_all_lives_of_a_contact_have_512_events_together() -> None:
    visits = (call(100 * n, kind) for n in range(300) for kind in ("queued", "abandoned"))
    limits = Limits(rest_ms=1_000, lateness_ms=3_600_000_000)

    partition = told(*visits, limits=limits)

    assert partition.ignored == {"contact_full": 600 - 512}
    assert net(partition)["abandoned:short"] == 256


def test_an_event_that_is_replaced_for_ever_is_replaced_as_often_as_there_may_be_events() -> None:
    copies = (call(0, "queued", id="1", queue=f"queue-{n:03}") for n in range(600))

    partition = told(*copies)

    assert partition.conflicting == {"pbx": 599}
    assert partition.ignored == {"contact_full": 599 - 511}
    assert [key[0] for key, tally in partition.tallies.items() if tally.open] == ["queue-511"]


def test_a_contact_that_is_folded_again_and_again_is_scheduled_once() -> None:
    late_first = [call(second, "held") for second in range(400, 0, -1)]

    partition = told(call(500, "queued"), *late_first)

    assert len(list(partition._schedule.take(NEVER))) == 1


def test_of_messages_that_change_nothing_only_the_id_is_kept() -> None:
    messages = [chat(second, "messaged", queue="") for second in range(1, 101)]
    partition = told(chat(0, "queued"), *messages)
    life = partition.lives["c-1"]

    tell(partition, messages)

    assert partition.duplicates == {"pbx": 100}
    assert len(life.facts) == 17
    assert len(life.dropped or ()) == 84
    assert life.last_ms == ms(100)


def test_a_contact_folded_again_after_messages_were_dropped_is_the_same() -> None:
    chatter = [chat(second, "messaged", queue="") for second in range(10, 110)]
    partition = told(chat(1, "queued"), *chatter, chat(200, "answered"))

    tell(partition, [chat(0, "offered"), *chatter])

    assert net(partition) == net(told(chat(0, "offered"), chat(1, "queued"), chat(200, "answered")))
    assert partition.duplicates == {"pbx": 100}


def test_a_message_that_says_where_the_contact_is_says_so_whatever_comes_late() -> None:
    chatter = [chat(second, "messaged") for second in range(10, 40)]
    moved = chat(20.5, "held", queue="sales")
    tail = chat(50, "transferred", queue="", to="service")

    for history in ([*chatter, moved, tail], [*chatter, tail, moved]):
        partition = told(chat(0, "queued"), *history)
        assert partition.tallies["help", "chat"].net()["transferred"] == 1


@pytest.mark.parametrize(("after_ms", "visits"), [(0, [2]), (1, [1, 1])])
def test_what_comes_after_the_rest_begins_a_new_contact(after_ms: int, visits: list[int]) -> None:
    partition = told(
        call(0, "queued"),
        call(10, "answered"),
        call(70 + after_ms / 1000, "queued"),
        limits=SHORT,
    )

    newest = partition.lives["c-1"]
    chain = [newest.earlier, newest] if newest.earlier else [newest]
    assert [len(life.visits) for life in chain] == visits


@pytest.mark.parametrize(("after_ms", "remembered"), [(0, True), (1, False)])
def test_a_contact_is_forgotten_when_it_has_rested_and_no_copy_could_be_on_time(
    after_ms: int, remembered: bool
) -> None:
    partition = told(call(0, "queued"), call(10, "answered"), limits=SHORT)
    partition.arrive(ms(130) + after_ms)  # 10 s, a rest of 60 s, a lateness of 60 s
    partition.advance(ms(130) + after_ms)

    assert ("c-1" in partition.lives) is remembered
    tell(partition, [call(10, "answered")])
    assert partition.late == 1


def test_a_contact_is_remembered_while_its_partition_is_behind() -> None:
    partition = told(call(0, "queued"), call(10, "answered"), limits=SHORT)

    partition.advance(ms(HOUR))

    assert "c-1" in partition.lives
    tell(partition, [call(10, "answered")])
    assert partition.duplicates == {"pbx": 1}


def test_an_open_contact_is_remembered_until_it_has_expired_and_rested() -> None:
    partition = told(call(0, "queued"), limits=SHORT)
    partition.arrive(ms(3 * HOUR))

    partition.advance(ms(2 * HOUR + 120))
    assert "c-1" in partition.lives
    partition.advance(ms(2 * HOUR + 120.001))
    assert not partition.lives
    assert net(partition)["expired"] == 1


def test_forgetting_an_old_life_keeps_the_new_one() -> None:
    partition = told(
        call(0, "queued"), call(10, "answered"), call(100, "queued"), now_s=101, limits=SHORT
    )
    newest = partition.lives["c-1"]
    assert newest.earlier is not None

    partition.arrive(ms(131))
    partition.advance(ms(131))

    assert partition.lives == {"c-1": newest}
    assert newest.earlier is None
    assert len(sales(partition).open) == 1


def test_contacts_forgotten_take_nothing_of_the_counters_with_them() -> None:
    partition = told(call(0, "queued"), call(10, "answered"), limits=SHORT)
    before = net(partition)
    partition.arrive(ms(HOUR))
    partition.advance(ms(HOUR))

    assert not partition.lives
    assert net(partition) == before


# -- bounds --------------------------------------------------------------------------------------


def test_queues_beyond_the_bound_are_counted_together() -> None:
    calls = (call(0, "queued", contact=f"c-{n}", queue=f"queue-{n}") for n in range(50))
    partition = told(*calls, max_tallies=3)

    assert len(partition.tallies) == 4
    assert partition.tallies[OTHER, OTHER].counters["offered"] == 47


def test_a_queue_of_the_settings_has_its_own_counters_however_many_came_before() -> None:
    named = policy(queues={"sales": {"channels": {"email": {}}}})
    calls = (call(0, "queued", contact=f"c-{n}", queue=f"queue-{n}") for n in range(50))
    partition = told(*calls, call(0, "queued"), policies=named, max_tallies=3)

    assert len(partition.tallies) == 5
    assert sales(partition).counters["offered"] == 1


def test_a_channel_that_nobody_named_adds_none_to_a_queue_of_the_settings() -> None:
    named = policy(queues={"sales": {}})
    calls = (call(0, "queued", contact=f"c-{n}", channel=f"channel-{n}") for n in range(50))
    partition = told(*calls, policies=named, max_tallies=3)

    assert len(partition.tallies) == 4
    assert partition.tallies[OTHER, OTHER].counters["offered"] == 47


def test_a_queue_has_at_most_ten_customer_types() -> None:
    calls = (call(0, "queued", contact=f"c-{n}", segment=f"type-{n}") for n in range(50))
    partition = told(call(0, "queued", contact="of no type"), *calls)

    types = [name for name in sales(partition).counters if name.startswith("sent_to_wait:")]
    assert len(types) == 10
    assert sales(partition).counters[f"sent_to_wait:{OTHER}"] == 42


def test_sources_beyond_the_bound_are_counted_together() -> None:
    calls = [call(n, "queued", contact=f"c-{n}", source=f"source-{n}") for n in range(300)]
    partition = told(*calls, *calls)

    assert len(partition.sources.last_ms) == 201
    assert len(partition.duplicates) == 201
    assert partition.duplicates[OTHER] == 100


def test_of_each_source_five_hundred_restarts_are_remembered() -> None:
    one = told(*(event(n, "source.started") for n in range(550)))
    many = told(*(event(n, "source.started", source=f"source-{n}") for n in range(250)))

    assert one.ignored == many.ignored == {"too_many_restarts": 50}


def test_a_restart_is_remembered_as_long_as_an_earlier_life_could_be_folded_again() -> None:
    again = 4 * HOUR + 0.001
    partition = told(
        *(call(0, "queued"), event(0, "source.started"), call(again, "queued")),
        call(again, "queued", contact="c-2"),
        now_s=again,
    )

    tell(partition, [call(again, "offered")])

    assert net(partition)["left:error:true"] == 1


def test_a_source_that_restarts_all_the_time_takes_no_restart_from_another() -> None:
    restarts = (event(n / 10, "source.started", source="looping") for n in range(600))
    partition = told(call(0, "queued"), *restarts, event(70, "source.started"))

    assert net(partition)["left:error:false"] == 1


def test_contacts_beyond_the_bound_are_counted_and_those_before_go_on() -> None:
    calls = [call(n, "queued", contact=f"c-{n}") for n in range(5)]
    partition = told(*calls, call(9, "answered", contact="c-1"), max_contacts=2)

    assert len(partition.lives) == 2
    assert partition.ignored == {"too_many_contacts": 3}
    assert net(partition)["answered:true"] == 1


def test_a_contact_is_remembered_no_longer_than_its_rest_whatever_it_might_have_waited() -> None:
    partition = told(call(0, "queued", channel="email"), limits=SHORT, now_s=2 * DAY - 1)
    tell(partition, [call(2 * DAY, "replied", channel="email", by="human")])

    partition.arrive(ms(2 * DAY + 121))
    partition.advance(ms(2 * DAY + 121))

    assert not partition.lives


def test_customer_types_of_queues_beyond_the_bound_are_bounded_together() -> None:
    calls = (
        call(n, "queued", contact=f"c-{n}", queue=f"queue-{n}", segment=f"type-{n}")
        for n in range(50)
    )
    other = told(*calls, max_tallies=2).tallies[OTHER, OTHER]

    assert sum(name.startswith("sent_to_wait:") for name in other.counters) == 9


def test_panes_and_days_that_no_window_holds_are_dropped() -> None:
    partition = Partition(PolicyBook())
    for minute in range(0, 10 * 24 * 60, 10):
        at_s = minute * MINUTE
        tell(partition, [call(at_s, "queued", contact=f"c-{minute}")])
        tell(partition, [call(at_s + 1, "answered", contact=f"c-{minute}")])
        partition.advance(ms(at_s + 5))

    tally = sales(partition)
    assert len(tally.panes) <= 20  # the last hour, and slack for as long again
    assert len(partition.lives) <= 8 * 6 + 1  # a rest of 4 h, a lateness of 4 h
    assert tally.counters["offered"] == 1_440


# -- counters and corrections --------------------------------------------------------------------


def test_what_comes_late_to_a_day_that_was_dropped_begins_it_anew() -> None:
    day_s = 86_400
    partition = Partition(PolicyBook(), limits=Limits(lateness_ms=10 * day_s * 1000))
    tell(partition, [call(day * day_s, "queued", contact=f"c-{day}") for day in (1, 2, 3, 4)])
    partition.advance(ms(4 * day_s))
    tell(partition, [call(0, "queued", contact="c-late")])
    sales(partition).forget_before(0)
    assert len(sales(partition).days) == 3

    tell(partition, [call(1, "queued", contact="c-later")])

    first_ms = min(sales(partition).days)
    assert first_ms <= ms(1) < first_ms + day_s * 1000
    assert sales(partition).days[first_ms].counts[OFFERED] == 1


def test_a_correction_says_from_which_class_to_which() -> None:
    partition = told(call(0, "queued"), call(12, "answered"))

    tell(partition, [call(10, "abandoned")])

    assert sales(partition).corrections == {
        ("answered:true", "abandoned:before_threshold"): 1,
        ("service_level_events:true", "service_level_events:false"): 1,
        ("initial_response_events:true", "initial_response_events:false"): 1,
    }
    assert net(partition) == net(told(call(0, "queued"), call(10, "abandoned")))


def test_a_visit_that_moves_to_another_queue_is_replaced_by_none_in_its_old_one() -> None:
    partition = told(call(0, "queued", id="1"))

    tell(partition, [call(0, "queued", id="1", queue="service")])

    assert sales(partition).corrections == {
        ("offered", "none"): 1,
        ("sent_to_wait:unknown", "none"): 1,
    }
    assert partition.tallies["service", "voice"].net()["offered"] == 1
    assert not any(sales(partition).net().values())


def test_what_was_only_waiting_needs_no_correction() -> None:
    partition = told(call(0, "queued"), call(15, "held"))

    tell(partition, [call(12, "answered")])

    assert sales(partition).corrections == {}
    assert net(partition)["answered:true"] == 1


def test_a_miss_already_counted_moves_when_an_answer_in_time_arrives_late() -> None:
    partition = told(call(0, "queued"), now_s=30)
    assert net(partition)["service_level_events:false"] == 1

    tell(partition, [call(20, "answered")])

    corrections = sales(partition).corrections
    assert corrections["service_level_events:false", "service_level_events:true"] == 1
    assert sales(partition).waiting_past == 0


def test_an_expired_visit_is_corrected_by_an_earlier_outcome_but_not_by_a_later_one() -> None:
    partition = told(call(0, "queued"), now_s=2 * HOUR)
    assert net(partition)["expired"] == 1

    tell(partition, [call(2 * HOUR + 1, "answered")])
    assert net(partition)["expired"] == 1
    assert partition.unmatched_outcomes == 1

    tell(partition, [call(2 * HOUR, "abandoned")])
    assert "expired" not in net(partition)
    assert net(partition)["abandoned:after_threshold"] == 1


def test_a_refusal_that_changes_its_reason_is_corrected_to_it() -> None:
    partition = told(call(0, "refused", id="1", reason="closed"))

    tell(partition, [call(0, "refused", id="1", reason="full")])

    assert sales(partition).corrections == {("refused:closed", "refused:full"): 1}


def test_a_histogram_takes_a_visit_once_as_first_closed() -> None:
    partition = told(call(0, "queued"), call(30, "answered"))

    tell(partition, [call(10, "answered")])

    waits = sales(partition).waits
    assert (sum(waits["answered"].counts), waits["answered"].sum_ms) == (1, 30_000)


def test_a_visit_that_opens_again_is_in_its_histogram_already() -> None:
    partition = told(call(0, "queued"), call(10, "answered", id="1"))

    tell(partition, [call(12, "held", id="1"), call(20, "answered")])

    waits = sales(partition).waits["answered"]
    assert net(partition)["answered:true"] == 1
    assert (sum(waits.counts), waits.sum_ms) == (1, 10_000)


def test_a_visit_that_expired_is_in_no_histogram_until_its_outcome_is_known() -> None:
    partition = told(call(0, "queued"), now_s=2 * HOUR)
    waits = sales(partition).waits
    assert sum(sum(histogram.counts) for histogram in waits.values()) == 0

    tell(partition, [call(30, "answered")])

    assert waits["answered"].sum_ms == 30_000


def test_an_outcome_without_an_open_visit_is_counted_and_ignored() -> None:
    partition = told(call(0, "queued"), call(5, "answered"))
    before = net(partition)

    tell(partition, [call(6, "answered"), call(7, "abandoned"), call(8, "left", reason="key")])

    assert partition.unmatched_outcomes == 3
    assert net(partition) == before


def test_a_restart_ends_the_waits_of_its_own_source_only() -> None:
    partition = told(
        call(0, "queued"),
        call(0, "queued", contact="c-2", source="desk"),
        event(5, "source.started"),
    )

    assert net(partition)["left:error:true"] == 1
    assert [visit.source for visit in sales(partition).open] == ["desk"]


def test_a_restart_also_ends_a_wait_that_is_told_late() -> None:
    partition = told(event(5, "source.started"), call(0, "queued"), call(9, "answered"))

    assert net(partition)["left:error:true"] == 1
    assert partition.unmatched_outcomes == 1


def test_a_restart_comes_behind_the_numbered_events_of_its_moment() -> None:
    answered = call(5, "answered", sequence=1 << 62)
    restart = event(5, "source.started")

    for told_last in ([answered, restart], [restart, answered]):
        partition = told(call(0, "queued"), *told_last)
        assert net(partition)["answered:true"] == 1
        assert partition.unmatched_outcomes == 0


def test_a_restart_heard_after_time_alone_ended_the_wait_still_ends_it_in_its_time() -> None:
    partition = told(call(0, "queued"), now_s=7_200)
    tell(partition, [event(7_199, "source.started")])

    assert net(partition)["left:error:false"] == 1
    assert net(partition).get("expired", 0) == 0


def test_counters_stand_at_now_and_windows_at_the_last_tick() -> None:
    partition = told(call(1, "queued"), call(6, "answered"), now_s=9, rounding=exact)
    tally = sales(partition)

    assert net(partition)["answered:true"] == 1
    window = tally.window("5m", ms(5) // 5_000)
    assert (window.counts[OFFERED], window.waits) == (1, {})
    partition.advance(ms(10))
    assert tally.window("5m", ms(10) // 5_000).waits == {5_000: 1}


def test_thresholds_are_those_in_force_at_the_opening() -> None:
    dated = ["20s", {"from": "2026-11-24T10:00:30Z", "value": "60s"}]
    book = policy(channels={"voice": {"threshold": dated}})
    partition = told(
        call(29.999, "queued"),
        call(50, "answered"),
        call(30, "queued", contact="c-2"),
        call(90, "answered", contact="c-2"),
        policies=book,
    )

    assert (net(partition)["answered:false"], net(partition)["answered:true"]) == (1, 1)


def counted(partition: Partition) -> dict[Any, int]:
    """Every counter and correction of every queue, and what a histogram has taken."""
    found: dict[Any, int] = {}
    for key, tally in partition.tallies.items():
        for name, count in (*tally.counters.items(), *tally.corrections.items()):
            found[key, name] = count
        for name, histogram in (*tally.waits.items(), *tally.responses.items()):
            found[key, name, "histogram"] = sum(histogram.counts)
    return found


@given(histories(), st.data())
def test_no_counter_and_no_correction_ever_falls(history: History, data: st.DataObject) -> None:
    floor = CoreFloor(history.policy)
    partition = floor.partitions[0]
    before = counted(partition)
    for stamp_ms, sent in permuted(data.draw, history):
        floor.take([(stamp_ms, sent)])
        if data.draw(st.booleans()):
            floor.advance(partition.arrival_ms)
        after = counted(partition)
        assert {key: n for key, n in before.items() if after.get(key, 0) < n} == {}
        before = after


@given(histories(), st.data())
def test_no_net_counter_is_ever_negative(history: History, data: st.DataObject) -> None:
    floor = CoreFloor(history.policy)
    for record in permuted(data.draw, history):
        floor.take([record])
        for tally in floor.partitions[0].tallies.values():
            assert {name: n for name, n in tally.net().items() if n < 0} == {}


def test_what_comes_late_from_before_midnight_is_of_the_day_before_if_not_of_another_pane() -> None:
    midnight_s = 14 * 3600
    partition = told(call(midnight_s, "queued", contact="first"), now_s=midnight_s + 5)
    for at_s, contact in ((midnight_s, "second"), (midnight_s - 2, "third")):
        tell(partition, [call(at_s, "queued", contact=contact)])

    offered = {day: sums.counts[OFFERED] for day, sums in sales(partition).days.items()}
    assert offered == {ms(midnight_s) - 86_400_000: 1, ms(midnight_s): 2}
