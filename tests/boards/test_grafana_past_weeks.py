"""The intraday board on blocks of past weeks, as a Prometheus has them that has kept them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from schemas import metric_names as m
from schemas.metric_names import Metric
from tests.support.boards import VALUES, Target, boards, complaint, interpolated, panels, targets
from tests.support.prometheus import RunningPrometheus, promtool, scraping

BOARD = boards()["floorwatch-intraday"]
VALUES_TODAY = {**VALUES, "__rate_interval": "5m"}

MINUTE_S = 60
HOUR_S = 3_600
WEEK_S = 7 * 24 * HOUR_S
A_MINUTE = {0: 6, 1: 4, 2: 3, 3: 2, 4: 1}
"""Visits offered a minute, by how many weeks ago: two in three of them answered."""
LEVEL = {0: 0.8, 1: 0.9, 2: 0.7, 3: 0.6, 4: 0.6}
"""Service level, by how many weeks ago."""
WAIT_S = {0: 30, 1: 20, 2: 20, 3: 20, 4: 20}
"""Mean wait of those answered, by how many weeks ago."""


@pytest.fixture(scope="module")
def now_s() -> int:
    return int(time.time()) // MINUTE_S * MINUTE_S


@pytest.fixture(scope="module")
def prometheus(now_s: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    folder = tmp_path_factory.mktemp("weeks")
    history = folder / "history.txt"
    history.write_text(openmetrics(now_s))
    running = RunningPrometheus(folder, scraping({}))
    done = promtool("tsdb", "create-blocks-from", "openmetrics", history, running.storage)
    assert done.returncode == 0, done.stdout + done.stderr
    with running:
        yield running


def openmetrics(now_s: int) -> str:
    """Two hours of each of five weeks, up to *now_s* and a bit beyond in those that are past."""
    lines: list[str] = []

    def write(metric: Metric, part: str, of_week: dict[int, float], **labels: str) -> None:
        kind = metric.kind if metric.kind != "histogram" else "unknown"
        family = metric.name + ("" if metric.kind != "histogram" else part)
        lines.append(f"# TYPE {family.removesuffix('_total')} {kind}")
        written = ",".join(
            f'{label}="{value}"'
            for label, value in {
                "job": "floorwatch",
                "queue": "sales",
                "channel": "voice",
                **labels,
            }.items()
        )
        counted = 0.0
        for week in sorted(of_week, reverse=True):
            ends_s = now_s - week * WEEK_S + (10 * MINUTE_S if week else 0)
            for at_s in range(now_s - week * WEEK_S - 2 * HOUR_S, ends_s + 1, MINUTE_S):
                counted += of_week[week]
                value = of_week[week] if metric.kind == "gauge" else counted
                lines.append(f"{family}{{{written}}} {value} {at_s}")

    def times(share: float, of_week: dict[int, int]) -> dict[int, float]:
        return {week: share * value for week, value in of_week.items()}

    answered = times(2 / 3, A_MINUTE)
    write(m.CONTACTS_OFFERED, "", times(1, A_MINUTE))
    write(m.CONTACTS_ANSWERED, "", answered, within="true")
    write(m.CONTACTS_ABANDONED, "", times(1 / 3, A_MINUTE), timing="after_threshold")
    waits = {week: WAIT_S[week] * count for week, count in answered.items()}
    write(m.WAIT, "_sum", waits, outcome="answered")
    write(m.WAIT, "_count", answered, outcome="answered")
    write(m.SERVICE_LEVEL, "", LEVEL, window="15m", formula="strict")
    write(m.SERVICE_LEVEL_CONTACTS, "", times(15, A_MINUTE), window="15m", formula="strict")
    return "\n".join([*lines, "# EOF", ""])


def found(prometheus: RunningPrometheus, now_s: int, title: str) -> dict[str, float]:
    """What the panel *title* shows of *now_s*, by legend."""
    return {
        target.query["legendFormat"]: prometheus.value(
            interpolated(target.expr, VALUES_TODAY), at_s=now_s
        )
        for target in targets(BOARD)
        if target.panel["title"] == title
    }


@pytest.mark.parametrize("target", [*targets(BOARD)], ids=lambda target: target.where)
def test_every_query_finds_something(prometheus: RunningPrometheus, target: Target) -> None:
    assert complaint(target, prometheus, [VALUES_TODAY]) == ""


def test_today_stands_beside_a_week_ago_and_the_mean_of_four_weeks(
    prometheus: RunningPrometheus, now_s: int
) -> None:
    offered = found(prometheus, now_s, "Offered in 15 min")
    level = found(prometheus, now_s, "Service level, 15 min")

    assert offered == {
        "today": pytest.approx(90),
        "a week ago": pytest.approx(60),
        "mean of the past 4 weeks": pytest.approx((60 + 45 + 30 + 15) / 4),
    }
    assert level == {
        "today": pytest.approx(0.8),
        "a week ago": pytest.approx(0.9),
        "mean of the past 4 weeks": pytest.approx(0.7),
    }


def test_tiles_compare_this_hour_with_the_same_hour_a_week_ago(
    prometheus: RunningPrometheus, now_s: int
) -> None:
    def tile(title: str) -> float:
        [value] = found(prometheus, now_s, title).values()
        return value

    assert tile("Offered, of a week ago") == pytest.approx(1.5)
    assert tile("Abandoned, of a week ago") == pytest.approx(1.5)
    assert tile("Mean wait, of a week ago") == pytest.approx(1.5)
    assert tile("Service level, less that of a week ago") == pytest.approx(-0.1)


def test_what_needs_a_week_says_so() -> None:
    assert {panel["fieldConfig"]["defaults"]["noValue"] for panel in panels(BOARD)} == {
        "needs one week"
    }
