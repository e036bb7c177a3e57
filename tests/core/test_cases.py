"""The edge cases of the field, one by one: what must hold, worked out by hand."""

from typing import Any

import pytest

from streams.core.calendar import ROLLING_WINDOWS
from tests.core.cases import CASES, Case, Expected
from tests.support.core_floor import EVERYTHING, TICK_MS, CoreFloor, totals
from tests.support.oracle_policy import to_ms

NAMES = {width_ms // 1000: name for name, width_ms in ROLLING_WINDOWS.items()}
EXPECTED = [
    pytest.param(case, expected, id=f"{case.number}-{case.title}-{number}")
    for case in CASES
    for number, expected in enumerate(case.expected)
]


def shown(case: Case, expected: Expected) -> dict[str, Any]:
    """What the core shows where a case expects something."""
    window: str | tuple[int, int] = EVERYTHING
    every_ms = 1
    match expected.window:
        case ("rolling", seconds):
            window, every_ms = NAMES[seconds], TICK_MS
        case ("day",):
            window, every_ms = "day", TICK_MS
        case ("interval", start, end):
            window = (case.base_ms + start * 1000, case.base_ms + end * 1000)
    by_arrival = expected.attribute == "arrival"
    floor = CoreFloor(case.policy, by_arrival=by_arrival, every_ms=every_ms)
    records = case.records()[: expected.after]
    if expected.at is None:
        floor.take(records)
        now_ms = floor.latest_ms
    else:
        now_ms = case.base_ms + round(expected.at * 1000)
        floor.take(record for record in records if to_ms(record[1]["time"]) <= now_ms)
    floor.advance(now_ms)
    return {
        **floor.row(now_ms, window, expected.queue, expected.channel),
        **counted(floor, expected),
        **staffing(floor, expected, now_ms),
    }


def counted(floor: CoreFloor, expected: Expected) -> dict[str, Any]:
    """Figures that are counters only, net."""
    net: dict[str, int] = {}
    for key, counts in totals(floor.partitions).items():
        queue, channel = key.split("/")
        if expected.queue in ("*", queue) and expected.channel in ("*", channel):
            for name, count in counts.items():
                net[name] = net.get(name, 0) + count
    left: dict[str, tuple[int, int]] = {}
    for name, count in net.items():
        family, _, rest = name.partition(":")
        if family == "left":
            reason, within = rest.split(":")
            before, after = left.get(reason, (0, 0))
            left[reason] = (before + count, after) if within == "true" else (before, after + count)
    return {
        "left_by_reason": left,
        "bot_contained": net.get("bot_contained", 0),
        "service_level_met": net.get("service_level_events:true", 0),
        "service_level_missed": net.get("service_level_events:false", 0),
    }


def staffing(floor: CoreFloor, expected: Expected, now_ms: int) -> dict[str, Any]:
    """Agents and service of the expected queue."""
    for (queue, _), shown_queue in floor.queues(now_ms).items():
        if queue == expected.queue:
            return {
                "agents": shown_queue.live.agents,
                "queue_open": shown_queue.live.is_open,
            }
    return {}


@pytest.mark.parametrize(("case", "expected"), EXPECTED)
def test_the_core_shows_what_was_worked_out_by_hand(case: Case, expected: Expected) -> None:
    figures = shown(case, expected)

    got = {name: figure(figures, name) for name in expected.figures}

    assert got == dict(expected.figures)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{case.title}")
def test_the_core_takes_in_what_the_cases_say(case: Case) -> None:
    floor = CoreFloor(case.policy)

    floor.take(case.records())

    partition = floor.partitions[0]
    taken = (
        partition.late,
        floor.future,
        sum(partition.duplicates.values()),
        sum(partition.conflicting.values()),
    )
    assert taken == (case.late, case.future, case.duplicates, case.conflicts)


def figure(of: dict[str, Any], name: str) -> Any:
    """A figure by its dotted name."""
    value: Any = of
    for part in name.split("."):
        value = value[part]
    return value
