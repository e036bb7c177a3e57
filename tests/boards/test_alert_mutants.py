"""Rules that are wrong in one place: the cases of their alert find every one of them.

A mutant that survives is a case that is missing, or stands in `SURVIVORS` with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from dashboards.alerts.catalogue import ALERTS
from dashboards.alerts.pages import TROUBLE
from dashboards.alerts.promql import FRESH, IN_HOURS
from dashboards.alerts.rule import PREFIX, Alert
from tests.boards.alert_cases import cases_of, decisive_rules
from tests.support.rule_cases import Case, promtool_tests
from tests.support.rule_mutants import Mutant, mutants_of
from tests.support.rule_trials import Trial, failures

_TOLD: Final = "fires for the same queues; only the figure that is told differs"

SURVIVORS: Final[dict[str, dict[str, str]]] = {
    "LineOutOfService": {"max by -> min by (1)": _TOLD},
    "InitialResponseOverLimit": {">= -> > (1)": "an increase is hardly ever a whole number"},
    "Stalled": {"sum by -> max by (1)": _TOLD},
    "Watchdog": {
        "keep: 0s -> 1m": "it never stops firing",
        "1 -> 2 (1)": "whatever its value, it fires",
        "1 -> 0 (1)": "whatever its value, it fires",
    },
}
"""By alert and change: why the mutant is the same rule."""

SOON_S: Final = 1005
"""Beyond, only how long an alert is kept firing makes a difference."""


def parts_of(alert: Alert) -> tuple[str, ...]:
    """What is the same in several rules, and tried by the cases of one of them."""
    if alert.name == f"{PREFIX}ManyQueuesInTrouble":
        return TROUBLE
    return () if alert.name == f"{PREFIX}LongestWaitCritical" else (FRESH, IN_HOURS)


def trials_of(alert: Alert, mutants: Sequence[Mutant]) -> list[Trial]:
    """The cases of *alert* on its *mutants*, all of them side by side."""
    cases = cases_of(alert)
    long = [case for case in cases if len(case.raised) > 3] or cases
    soon = [case for case in map(_soon, cases) if case.raised]
    return [
        Trial(
            f"{alert.name}-{name}",
            decisive_rules(alert, [mutant.alert for mutant in some]),
            promtool_tests(chosen, {mutant.alert.name: alert.labels for mutant in some}),
        )
        for name, chosen, some in (
            ("kept", long, [mutant for mutant in mutants if mutant.keeps]),
            ("soon", soon, [mutant for mutant in mutants if not mutant.keeps]),
        )
    ]


def _soon(case: Case) -> Case:
    return replace(case, raised={at: who for at, who in case.raised.items() if at <= SOON_S})


@pytest.fixture(scope="module")
def survivors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Changes that nobody noticed, by alert."""
    folder = tmp_path_factory.mktemp("mutants")
    mutants = {alert.name: mutants_of(alert, parts=parts_of(alert)) for alert in ALERTS}
    trials = [trial for alert in ALERTS for trial in trials_of(alert, mutants[alert.name])]
    found = failures(folder, trials)
    assert "" not in found, found[""]
    return {
        name: {mutant.change for mutant in each if mutant.alert.name not in found}
        for name, each in mutants.items()
    }


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name.removeprefix(PREFIX))
def test_a_rule_that_is_wrong_in_one_place_is_found_out(
    alert: Alert, survivors: dict[str, set[str]]
) -> None:
    known = SURVIVORS.get(alert.name.removeprefix(PREFIX), {})

    assert survivors[alert.name] == set(known)
