"""All cases of the alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import GROUPS
from dashboards.alerts.documents import prometheus_rules
from dashboards.alerts.rule import PREFIX, Alert
from tests.boards import page_cases, pipeline_cases, warning_cases
from tests.support.rule_cases import Case, within

_WRITTEN: Final[tuple[Case, ...]] = (
    *page_cases.CASES,
    *warning_cases.CASES,
    *pipeline_cases.CASES,
)


def _within() -> Iterator[Case]:
    """The first case in which an alert fires, once more where there are clusters."""
    firing = {case.alert: case for case in reversed(_WRITTEN) if any(case.raised.values())}
    for case in firing.values():
        if not case.is_of_everything:
            yield within(case)


CASES: Final = (*_WRITTEN, *_within())


def cases_of(alert: Alert) -> list[Case]:
    """Those about *alert*."""
    return [case for case in CASES if f"{PREFIX}{case.alert}" == alert.name]


def decisive_rules(alert: Alert, variants: Iterable[Alert]) -> dict[str, Any]:
    """A rule file with *variants* in the group of *alert*, as far as rules decide what fires."""
    (group,) = (group for group in GROUPS if alert in group.rules)
    rules = prometheus_rules([replace(group, rules=tuple(variants))], Places())
    for rule in rules["groups"][0]["rules"]:
        del rule["annotations"]
    return rules
