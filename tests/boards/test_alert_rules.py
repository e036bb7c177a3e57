"""The rules as Prometheus evaluates them: when they fire, when not, and when it is over."""

from __future__ import annotations

from typing import Final

import pytest

from dashboards.alerts.catalogue import ALERTS
from dashboards.alerts.generate import ROOT
from dashboards.alerts.rule import PREFIX, Alert
from tests.boards.alert_cases import CASES, cases_of, decisive_rules
from tests.support.prometheus import promtool
from tests.support.rule_cases import promtool_tests
from tests.support.rule_trials import Trial, failures

ALWAYS: Final = "Watchdog"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What was not as expected, by the name of an alert."""
    return failures(
        tmp_path_factory.mktemp("rules"),
        [
            Trial(
                alert.name,
                decisive_rules(alert, [alert]),
                promtool_tests(cases_of(alert), {alert.name: alert.labels}),
            )
            for alert in ALERTS
        ],
    )


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    firing = {case.alert for case in CASES if any(case.raised.values())}
    silent = {case.alert for case in CASES if not all(case.raised.values())}

    assert {f"{PREFIX}{name}" for name in firing} == {alert.name for alert in ALERTS}
    assert {f"{PREFIX}{name}" for name in silent | {ALWAYS}} == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name.removeprefix(PREFIX))
def test_an_alert_fires_when_its_cases_say_so_and_not_otherwise(
    alert: Alert, outcome: dict[str, list[str]]
) -> None:
    assert outcome.get("", []) == []
    assert outcome.get(alert.name, []) == []


def test_promtool_has_nothing_to_say_against_the_rule_file() -> None:
    file = ROOT / "deploy" / "prometheus" / "floorwatch.rules.yml"

    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", file)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_two_cases_have_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
