"""Intraday: today beside the same day of past weeks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.board import Band, Slug, board, queue_variables
from dashboards.grafana.panels import (
    DURATION,
    RATIO,
    PanelBuilder,
    Query,
    lines,
    tile,
)
from dashboards.grafana.queries import CHOSEN_QUEUES
from schemas import metric_names as m

NEEDS_A_WEEK = "needs one week"
floor = CHOSEN_QUEUES

_WEEKS = (1, 2, 3, 4)
_QUARTER = "15m"


def intraday(installation: str) -> Dashboard:
    """The board that compares today with the weeks before."""
    return board(
        Slug.INTRADAY,
        installation,
        description="Today beside the same weekday of the past four weeks. Prometheus has to keep"
        " five weeks for all of it (--storage.tsdb.retention.time=35d), one for the first.",
        refresh="1m",
        begins="now/d",
        ends="now/d",
        variables=queue_variables(),
        bands=[
            Band(
                4,
                [
                    (6, _change("Offered, of a week ago", "Visits offered", _offered)),
                    (6, _difference()),
                    (6, _change("Abandoned, of a week ago", "Visits abandoned", _abandoned)),
                    (6, _change("Mean wait, of a week ago", "Mean wait of those answered", _wait)),
                ],
            ),
            Band(10, [(12, _offered_by_time()), (12, _levels_by_time())]),
            Band(10, [(12, _waits_by_time()), (12, _abandonment_by_time())]),
        ],
    )


def _rise(metric: m.Metric, offset: str, over: str) -> str:
    return f"sum({floor(metric, rate='increase', over=over, offset=offset)})"


def _rise_of_wait(part: str, offset: str, over: str) -> str:
    waits = floor(m.WAIT, rate="increase", over=over, offset=offset, part=part, outcome="answered")
    return f"sum({waits})"


def _offered(offset: str = "", over: str = _QUARTER) -> str:
    return _rise(m.CONTACTS_OFFERED, offset, over)


def _abandoned(offset: str = "", over: str = _QUARTER) -> str:
    return _rise(m.CONTACTS_ABANDONED, offset, over)


def _abandonment(offset: str = "") -> str:
    ended = " + ".join(
        f"({_rise(metric, offset, _QUARTER)} or vector(0))"
        for metric in (m.CONTACTS_ABANDONED, m.CONTACTS_ANSWERED, m.CONTACTS_LEFT)
    )
    return f"{_abandoned(offset)} / (({ended}) > 0)"


def _wait(offset: str = "", over: str = _QUARTER) -> str:
    total = _rise_of_wait("_sum", offset, over)
    count = _rise_of_wait("_count", offset, over)
    return f"{total} / ({count} > 0)"


def _level(offset: str = "") -> str:
    return floor.pooled_service_level(_QUARTER, offset=offset)


def _mean_of_weeks(of_week: Sequence[str]) -> str:
    """The mean over those of the past weeks that Prometheus still has."""
    each = " or ".join(
        f'label_replace({expr}, "week", "{week}", "", "")'
        for week, expr in zip(_WEEKS, of_week, strict=True)
    )
    return f"avg({each})"


def _beside_past_weeks(of: Callable[[str], str]) -> list[Query]:
    """Today, a week ago, and the mean of the past weeks."""
    past = [of(f"{week}w") for week in _WEEKS]
    return [
        Query(of(""), "today"),
        Query(past[0], "a week ago"),
        Query(_mean_of_weeks(past), "mean of the past 4 weeks"),
    ]


def _change(title: str, what: str, of: Callable[[str, str], str]) -> PanelBuilder:
    return tile(
        title,
        f"{what} in the last 60 minutes, as a share of the same hour a week ago: 100 % is as many.",
        Query(f"{of('', '60m')} / ({of('1w', '60m')} > 0)", "of a week ago"),
        unit=RATIO,
        no_value=NEEDS_A_WEEK,
    )


def _difference() -> PanelBuilder:
    return tile(
        "Service level, less that of a week ago",
        "By strict over 15 minutes, all queues chosen as one: now, less the same quarter of an hour"
        " a week ago, in points of a hundred.",
        Query(f"{_level()} - {_level('1w')}", "less a week ago"),
        unit=RATIO,
        no_value=NEEDS_A_WEEK,
        decimals=1,
    )


def _offered_by_time() -> PanelBuilder:
    return lines(
        "Offered in 15 min",
        "Visits that arrived in the 15 minutes before each moment, all queues chosen together.",
        *_beside_past_weeks(_offered),
        no_value=NEEDS_A_WEEK,
        dashed=".*week.*",
        decimals=0,
    )


def _levels_by_time() -> PanelBuilder:
    return lines(
        "Service level, 15 min",
        "By strict over the 15 minutes before each moment, all queues chosen as one.",
        *_beside_past_weeks(_level),
        unit=RATIO,
        largest=1,
        no_value=NEEDS_A_WEEK,
        dashed=".*week.*",
    )


def _waits_by_time() -> PanelBuilder:
    return lines(
        "Mean wait of those answered, 15 min",
        "Over visits answered in the 15 minutes before each moment.",
        *_beside_past_weeks(_wait),
        unit=DURATION,
        no_value=NEEDS_A_WEEK,
        dashed=".*week.*",
    )


def _abandonment_by_time() -> PanelBuilder:
    return lines(
        "Abandonment ratio, 15 min",
        "Visits abandoned, of all whose wait ended in the 15 minutes before each moment.",
        *_beside_past_weeks(_abandonment),
        unit=RATIO,
        no_value=NEEDS_A_WEEK,
        dashed=".*week.*",
    )
