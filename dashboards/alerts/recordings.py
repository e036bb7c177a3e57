"""Figures that are kept for boards and for looking back: what the alerts compare, by queue."""

from __future__ import annotations

from typing import Final

from dashboards.alerts.pages import LEVEL_5M, LEVEL_15M
from dashboards.alerts.promql import TARGET, age, by_own_formula, rise
from dashboards.alerts.rule import Recording
from schemas import metric_names as m


def _burn(window: str, level: str) -> Recording:
    return Recording(
        name=f"queue_channel:floorwatch_service_level_burn:ratio{window}",
        expr=f"(1 - {level})\n/ (1 - {TARGET})",
    )


RECORDINGS: Final = (
    Recording(name="queue_channel:floorwatch_longest_wait_seconds:max", expr=age(m.OLDEST_WAITING)),
    Recording(name="queue_channel:floorwatch_service_level:ratio15m", expr=LEVEL_15M),
    _burn("5m", LEVEL_5M),
    _burn("15m", LEVEL_15M),
    _burn("60m", by_own_formula(m.SERVICE_LEVEL, "60m")),
    Recording(
        name="queue_channel:floorwatch_service_level_events:increase5m",
        expr=rise(m.SERVICE_LEVEL_EVENTS, "5m"),
    ),
)
