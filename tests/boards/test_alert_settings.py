"""Limits come with the series they are compared with: the rules never change with the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from dashboards.alerts.pages import PAGES
from dashboards.alerts.rule import PREFIX
from schemas import metric_names as m
from streams.core.formulas import FORMULA_IDS
from streams.core.policy_reading import read_policy
from tests.boards.alert_cases import decisive_rules
from tests.boards.test_alert_days import a_day
from tests.support.rule_trials import Trial, failures
from tests.support.scraped_day import EVERY_S, Day, scraped, series_of

NAMES: Final = [metric.name for metric in m.ALL if any(metric.name in p.expr for p in PAGES)]

ONE_WAITS: Final = a_day([(30, 900, "abandoned", "sales")], 2_000 // EVERY_S)
HALF_IN_TIME: Final = a_day(
    [(20 * n, 10 if n % 5 < 2 else 30, "answered", "sales") for n in range(90)], 1_800 // EVERY_S
)
"""Forty of a hundred are answered up to 20 s, all up to 30 s."""


def sales(**settings: Any) -> dict[str, Any]:
    return {"queues": {"sales": settings}}


CHANGES: Final[dict[str, tuple[str, Day, dict[str, Any], dict[int, bool]]]] = {
    "none": ("LongestWaitCritical", ONE_WAITS, {}, {330: False, 345: True}),
    "a lower limit": (
        "LongestWaitCritical",
        ONE_WAITS,
        sales(longest_wait_limit={"warning": "1m", "critical": "2m"}),
        {150: False, 165: True},
    ),
    "a higher limit": (
        "LongestWaitCritical",
        ONE_WAITS,
        sales(longest_wait_limit={"critical": "10m"}),
        {615: False, 645: True},
    ),
    "a longer threshold": (
        "LongestWaitCritical",
        ONE_WAITS,
        sales(threshold="30s"),
        {480: False, 495: True},
    ),
    "other opening hours": (
        "LongestWaitCritical",
        ONE_WAITS,
        sales(hours="mon-sun 08:00-18:00"),
        {345: False, 900: False},
    ),
    "the same target": ("ServiceLevelBurning", HALF_IN_TIME, {}, {1200: True}),
    "a lower target": ("ServiceLevelBurning", HALF_IN_TIME, sales(target=0.7), {1200: False}),
    "a threshold that is kept": (
        "ServiceLevelBurning",
        HALF_IN_TIME,
        sales(threshold="30s"),
        {1200: False},
    ),
    "a volume floor": (
        "ServiceLevelBurning",
        HALF_IN_TIME,
        sales(volume_floor=100),
        {1200: False},
    ),
    "a formula that leaves nobody out": (
        "ServiceLevelBurning",
        HALF_IN_TIME,
        sales(formula="connect", threshold="30s"),
        {1200: False},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_settings_changes_what_fires_and_no_rule(change: str, tmp_path: Path) -> None:
    alert, day, settings, fires = CHANGES[change]
    name = f"{PREFIX}{alert}"
    expr = f'count(ALERTS{{alertname="{name}",alertstate="firing",queue="sales"}})'
    tests = {
        "interval": f"{EVERY_S}s",
        "input_series": series_of(scraped(day, read_policy(settings, formulas=FORMULA_IDS), NAMES)),
        "promql_expr_test": [
            {
                "expr": expr,
                "eval_time": f"{at_s}s",
                "exp_samples": [{"labels": "{}", "value": 1}] if is_firing else [],
            }
            for at_s, is_firing in fires.items()
        ],
        "alert_rule_test": [{"eval_time": f"{max(fires)}s", "alertname": "Nothing"}],
    }

    assert failures(tmp_path, [Trial("change", decisive_rules(PAGES[0], PAGES[1:]), [tests])]) == {}
