"""What stands on a lock screen: templates as Prometheus fills them in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import GROUPS
from dashboards.alerts.documents import prometheus_rules
from dashboards.alerts.rule import PREFIX
from tests.boards.page_cases import LOW, OLDEST, agents, fault
from tests.boards.pipeline_cases import VIOLATIONS, partition, source
from tests.support.prometheus import promtool
from tests.support.rule_cases import (
    AT,
    NOW,
    Case,
    Course,
    Series,
    floor,
    line,
    promtool_tests,
    selector,
    stream,
)

LOCK_SCREEN: Final = 110
"""Characters that a phone shows of a notification before it cuts it."""

NAMED: Final = {selector("queue_info", **AT, instance="a", name="Sales", site="", team=""): 1.0}
AT_WORK: Final = agents(available=1, on_contact=2)
WAITS: Final[dict[str, Course]] = {OLDEST: {0: NOW, 60: 60}, "contacts_waiting": 7}


def case(alert: str, *parts: Series, at_s: int) -> Case:
    """*alert* fires at *at_s* on what *parts* say."""
    series = {selector: course for part in parts for selector, course in part.items()}
    return Case(alert, "told", series, {at_s: ()})


LINES: Final[dict[str, tuple[Case, str]]] = {
    "LongestWaitCritical": (
        case("LongestWaitCritical", floor(WAITS), NAMED, AT_WORK, at_s=420),
        "Sales voice: longest wait 6m 0s (limit 5m 0s), 7 waiting, 3 agents, since 00:06 UTC",
    ),
    "NobodyStaffed": (
        case("NobodyStaffed", floor(), NAMED, agents(), at_s=90),
        "Sales voice: nobody staffed, 2 waiting, 0 agents, since 00:00 UTC",
    ),
    "ServiceLevelBurning": (
        case("ServiceLevelBurning", floor(LOW), NAMED, AT_WORK, at_s=405),
        "Sales voice: service level 49% in 15 min (target 80%), 2 waiting, 3 agents,"
        " since 00:05 UTC",
    ),
    "LineOutOfService": (
        case("LineOutOfService", floor(), NAMED, AT_WORK, fault(), at_s=300),
        "Sales voice: out of service for 4m 0s, 2 waiting, 3 agents, since 00:01 UTC",
    ),
    "ManyQueuesInTrouble": (
        case(
            "ManyQueuesInTrouble",
            *(floor(WAITS, queue=f"q{number}") for number in range(12)),
            at_s=420,
        ),
        "12 queues in trouble at once (limit 5), 84 waiting, since 00:06 UTC",
    ),
    "LongestWaitWarning": (
        case("LongestWaitWarning", floor(WAITS), at_s=240),
        "sales voice: longest wait 3m 0s (limit 2m 0s), 7 waiting, since 00:03 UTC",
    ),
    "SourceStale": (
        case("SourceStale", source({0: NOW, 60: 60}), at_s=300),
        "pbx: not heard for 4m 0s",
    ),
    "LagCannotDrain": (
        case("LagCannotDrain", partition(1000, 75), at_s=330),
        "calls/0: 1m 15s behind and not catching up",
    ),
    "ConservationViolated": (
        case(
            "ConservationViolated",
            stream(VIOLATIONS, 2, queue="sales", channel="voice"),
            at_s=180,
        ),
        "sales voice: 2 visits not accounted for",
    ),
    "WaitingDrift": (
        case("WaitingDrift", line("waiting_drift", -3), at_s=330),
        "sales: 3 waiting more or less than the source says",
    ),
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules, with everything that is told."""
    path = tmp_path_factory.mktemp("texts") / "rules.yml"
    path.write_text(yaml.safe_dump(prometheus_rules(GROUPS, Places())), encoding="utf-8")
    return path


@pytest.mark.parametrize("alert", LINES)
def test_a_line_says_queue_value_limit_who_waits_who_is_there_and_since_when(
    alert: str, rules: Path
) -> None:
    told, expected = LINES[alert]
    name = f"{PREFIX}{alert}"
    (test,) = promtool_tests([told], {})
    (at_s,) = told.raised
    wanted: dict[str, Any] = {
        "rule_files": [rules.name],
        "evaluation_interval": test["interval"],
        "tests": [
            test | {"alert_rule_test": [{"eval_time": f"{at_s}s", "alertname": name}]},
        ],
    }
    path = rules.with_name(f"{alert}.yml")
    path.write_text(yaml.safe_dump(wanted, width=1_000_000), encoding="utf-8")

    ran = promtool("test", "rules", path)

    # Nothing was expected to fire, so promtool says what did.
    told_lines = re.findall(r'summary="((?:[^"\\]|\\.)*)"', ran.stdout + ran.stderr)
    assert told_lines == [expected]
    assert len(expected) <= LOCK_SCREEN
