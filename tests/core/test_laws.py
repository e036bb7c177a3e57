"""The laws, over random histories, against an oracle that shares no code with the core."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.core.formulas import FORMULA_IDS
from tests.support.core_floor import TICK_MS, CoreFloor, totals
from tests.support.histories import History, histories, in_order, moments, permuted, split, unruly
from tests.support.oracle import accept, row_over

WINDOWS = ("5m", "15m", "30m", "60m", "day")
SPANS = {"5m": 300_000, "15m": 900_000, "30m": 1_800_000, "60m": 3_600_000}
COMPARED = (
    "offered",
    "answered",
    "answered_within",
    "abandoned",
    "abandoned_short",
    "abandoned_within",
    "left",
    "left_within",
    "expired",
    "refused",
    "instant",
    "sent_to_wait",
    "transferred",
    "waiting",
    "waiting_past_threshold",
    "awaiting_reply",
    "initial_response_events",
    "initial_response_within",
    "longest_wait_s",
    "oldest_awaiting_reply_s",
    "wait_s",
    "abandon_wait_s",
    "initial_response_s",
    "initial_response_within_ratio",
    "service_level",
    "service_level_n",
    "service_level_low",
    "service_level_high",
    "instant_service_ratio",
    "abandonment_ratio",
)


def figures(of: dict[str, Any]) -> dict[str, Any]:
    """The compared figures, ratios and seconds to nine digits."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        return round(value, 9) if isinstance(value, float) else value

    shown = {name: plain(of[name]) for name in COMPARED}
    shown["service_level"] = {name: shown["service_level"][name] for name in FORMULA_IDS}
    return shown


def span(window: str) -> tuple[Any, ...]:
    return ("day",) if window == "day" else ("rolling", SPANS[window])


def keys_of(history: History) -> list[tuple[str, str]]:
    """Queue and channel of some rows worth a look, everything first."""
    pairs = {
        (event.get("queue") or "unknown", event.get("channel") or "*") for event in history.events
    }
    return [("*", "*"), *sorted(pairs)]


def fully_named(history: History) -> History:
    """The history with every event naming channel and segment of its contact.

    Where they are named late, a tick just before that may show the contact under neither.
    """
    named: dict[str, dict[str, str]] = {}
    for event in history.events:
        for name in ("channel", "segment"):
            if event.get(name) and "contact" in event:
                named.setdefault(event["contact"], {}).setdefault(name, event[name])
    events = tuple({**event, **named.get(event.get("contact", ""), {})} for event in history.events)
    return replace(history, events=events)


def check_against_brute_force(history: History, now_ms: int, data: st.DataObject) -> None:
    """Any row at *now_ms*, after any order of the history over some partitions."""
    queue, channel = data.draw(st.sampled_from(keys_of(history)))
    window = data.draw(st.sampled_from(WINDOWS))
    partitions = data.draw(st.integers(1, 3))
    logs = split(permuted(data.draw, history), partitions)
    floor = CoreFloor(history.policy, partitions)

    for number, log in enumerate(logs):
        floor.take(log, number)
    floor.advance(now_ms)

    known = [[event for _, event in log] for log in logs]
    expected = row_over(known, history.policy, queue, channel, span(window), now_ms)
    assert figures(floor.row(now_ms, window, queue, channel)) == figures(expected)


@given(histories(), st.data())
def test_windows_and_gauges_equal_brute_force_whatever_the_order_and_however_often_sent(
    history: History, data: st.DataObject
) -> None:
    latest_ms = max(history.times[-1], data.draw(moments(history)))
    check_against_brute_force(history, -(-latest_ms // TICK_MS) * TICK_MS, data)


@given(histories().map(fully_named), st.data())
def test_between_ticks_windows_stand_at_the_last_and_gauges_at_now(
    history: History, data: st.DataObject
) -> None:
    check_against_brute_force(history, max(history.times[-1], data.draw(moments(history))), data)


@given(histories(max_contacts=5).map(fully_named), st.data())
def test_windows_equal_brute_force_at_every_tick_while_time_passes_between_events(
    history: History, data: st.DataObject
) -> None:
    floor = CoreFloor(history.policy)
    taken: list[dict[str, Any]] = []
    queue, channel = data.draw(st.sampled_from(keys_of(history)))
    for stamp_ms, event in in_order(history):
        floor.take([(stamp_ms, event)])
        taken.append(event)
        if data.draw(st.booleans()):
            now_ms = stamp_ms + data.draw(st.sampled_from((0, 1, 4_999, 5_000, 20_001)))
            floor.advance(now_ms)
            if now_ms < floor.partitions[0].now_ms:
                continue
            window = data.draw(st.sampled_from(WINDOWS))
            expected = row_over([taken], history.policy, queue, channel, span(window), now_ms)
            assert figures(floor.row(now_ms, window, queue, channel)) == figures(expected)


@given(histories(), st.data())
def test_any_order_gives_the_net_counters_of_a_perfect_run(
    history: History, data: st.DataObject
) -> None:
    perfect, shuffled = CoreFloor(history.policy), CoreFloor(history.policy)
    looks = data.draw(st.lists(st.integers(0, 40), max_size=3))
    for at, (stamp_ms, event) in enumerate(permuted(data.draw, history)):
        shuffled.take([(stamp_ms, event)])
        if at in looks:
            shuffled.advance(shuffled.partitions[0].arrival_ms)
    now_ms = max(shuffled.partitions[0].arrival_ms, history.times[-1] + 20_001)
    shuffled.advance(now_ms)
    perfect.take(in_order(history))
    perfect.advance(now_ms)

    assert totals(shuffled.partitions) == totals(perfect.partitions)


@given(histories(), st.data())
def test_a_duplicate_changes_nothing_but_the_duplicates(
    history: History, data: st.DataObject
) -> None:
    log = permuted(data.draw, history)
    once, twice = CoreFloor(history.policy), CoreFloor(history.policy)
    once.take(log)
    twice.take([record for record in log for _ in range(2)])
    now_ms = history.times[-1]
    once.advance(now_ms)
    twice.advance(now_ms)

    assert totals(twice.partitions) == totals(once.partitions)
    assert figures(twice.row(now_ms, "60m")) == figures(once.row(now_ms, "60m"))
    before = sum(once.partitions[0].duplicates.values())
    assert sum(twice.partitions[0].duplicates.values()) == before + len(log)


@given(histories(), st.data())
def test_offered_is_answered_abandoned_left_expired_and_waiting_at_every_instant(
    history: History, data: st.DataObject
) -> None:
    floor = CoreFloor(history.policy)
    for stamp_ms, event in permuted(data.draw, history):
        floor.take([(stamp_ms, event)])
        if data.draw(st.booleans()):
            floor.advance(floor.partitions[0].arrival_ms)
        queues = floor.queues(floor.partitions[0].arrival_ms)
        assert {key: queue.violations for key, queue in queues.items() if queue.violations} == {}


@given(histories(), st.data())
def test_any_split_over_partitions_gives_the_same_floor(
    history: History, data: st.DataObject
) -> None:
    log = permuted(data.draw, history)
    now_ms = history.times[-1] + 1
    whole, parted = CoreFloor(history.policy), CoreFloor(history.policy, 3)
    whole.take(log)
    for number, part in enumerate(split(log, 3)):
        parted.take(part, number)
    whole.advance(now_ms)
    parted.advance(now_ms)

    for window in WINDOWS:
        assert figures(parted.row(now_ms, window)) == figures(whole.row(now_ms, window))
    assert totals(parted.partitions) == totals(whole.partitions)


@given(histories(), st.data())
def test_late_events_are_kept_out_and_future_ones_refused_as_the_oracle_says(
    history: History, data: st.DataObject
) -> None:
    log = unruly(data.draw, history)
    expected = accept(log, history.policy)
    floor = CoreFloor(history.policy)

    floor.take(log)

    assert floor.partitions[0].late == expected.late
    assert floor.future == expected.future


@given(histories(), st.data())
def test_an_arrival_report_equals_brute_force(history: History, data: st.DataObject) -> None:
    now_ms = history.times[-1] // 5_000 * 5_000 + 5_000
    floor = CoreFloor(history.policy, by_arrival=True)
    log = permuted(data.draw, history)
    floor.take(log)
    floor.advance(now_ms)
    window = data.draw(st.sampled_from(WINDOWS))
    queue, channel = data.draw(st.sampled_from(keys_of(history)))

    known = [[event for _, event in log]]
    expected = figures(
        row_over(known, history.policy, queue, channel, span(window), now_ms, "arrival")
    )
    shown = figures(floor.row(now_ms, window, queue, channel))
    for name in ("waiting", "waiting_past_threshold", "awaiting_reply", "longest_wait_s"):
        del expected[name], shown[name]
    for name in ("oldest_awaiting_reply_s",):
        del expected[name], shown[name]
    del expected["service_level"]["altigen_now"], shown["service_level"]["altigen_now"]
    del expected["service_level_n"]["altigen_now"], shown["service_level_n"]["altigen_now"]
    assert shown == expected
