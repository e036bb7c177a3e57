"""The boards, one module each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.boards.floor_lead import floor_lead
from dashboards.grafana.boards.intraday import intraday
from dashboards.grafana.boards.on_call import on_call
from dashboards.grafana.boards.pipeline_health import pipeline_health
from dashboards.grafana.boards.service_levels import service_levels
from dashboards.grafana.boards.wall import wall

BOARDS: Final[tuple[Callable[[str], Dashboard], ...]] = (
    wall,
    floor_lead,
    on_call,
    pipeline_health,
    service_levels,
    intraday,
)
"""Builders of all boards: the name of the installation in, the board out."""
