"""All rules, in the order in which they are evaluated."""

from __future__ import annotations

from typing import Final

from dashboards.alerts.floor_warnings import FLOOR_WARNINGS, QUEUE_UNKNOWN
from dashboards.alerts.pages import PAGES
from dashboards.alerts.pipeline import PIPELINE, WATCHDOG
from dashboards.alerts.recordings import RECORDINGS
from dashboards.alerts.rule import Alert, Group

GROUPS: Final = (
    Group(name="floorwatch-figures", interval="15s", rules=RECORDINGS),
    Group(name="floorwatch-pages", interval="5s", rules=(QUEUE_UNKNOWN, *PAGES)),
    Group(name="floorwatch-warnings", interval="15s", rules=FLOOR_WARNINGS),
    Group(name="floorwatch-pipeline", interval="15s", rules=(*PIPELINE, WATCHDOG)),
)

ALERTS: Final = tuple(rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert))
