"""Who is told what, and what is held back, by the shipped configuration of Alertmanager."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from dashboards.alerts.catalogue import ALERTS
from dashboards.alerts.generate import ROOT
from dashboards.alerts.rule import PREFIX, Alert
from tests.support.prometheus import amtool

CONFIG: Final = ROOT / "deploy" / "prometheus" / "alertmanager.yml"
HERE: Final = {"job": "floorwatch", "queue": "sales", "channel": "voice"}

RECEIVERS: Final = {
    ("floor", "critical"): "duty-manager",
    ("floor", "warning"): "boards",
    ("floor", "none"): "boards",
    ("sre", "critical"): "sre",
    ("sre", "warning"): "sre-tickets",
    ("watchdog", "none"): "watchdog",
}


def labels_of(alert: Alert, **place: str) -> dict[str, str]:
    of_queue = HERE if alert.of_queue else {"job": "floorwatch"}
    return {"alertname": alert.name, **alert.labels, **of_queue, **place}


def test_amtool_takes_the_configuration() -> None:
    checked = amtool("check-config", CONFIG)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name.removeprefix(PREFIX))
def test_an_alert_goes_to_whoever_can_act(alert: Alert) -> None:
    labels = [f"{name}={value}" for name, value in labels_of(alert).items()]
    receiver = RECEIVERS[alert.audience, alert.severity]

    routed = amtool(
        *("config", "routes", "test", f"--config.file={CONFIG}"),
        *(f"--verify.receivers={receiver}", *labels),
    )

    assert routed.returncode == 0, routed.stdout + routed.stderr


def test_nobody_is_told_what_the_boards_show() -> None:
    config = read(CONFIG)
    (boards,) = (each for each in config["receivers"] if each["name"] == "boards")

    assert boards == {"name": "boards"}
    assert config["route"]["receiver"] == "boards"


@cache
def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


# -- what is held back ---------------------------------------------------------------------------

MATCHER: Final = re.compile(r'(\w+) (=~|!=|=) "?([^"]*)"?')


def matches(matchers: list[str], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        name, sign, value = MATCHER.fullmatch(matcher).groups()  # type: ignore[union-attr] # ours
        own = labels.get(name, "")
        equal = re.fullmatch(value, own) is not None if sign == "=~" else own == value
        if equal == (sign == "!="):
            return False
    return True


def is_held_back(target: dict[str, str], *sources: dict[str, str]) -> bool:
    """As Alertmanager decides it: a rule of the configuration holds, its labels being equal."""
    return any(
        matches(rule["target_matchers"], target)
        and any(
            matches(rule["source_matchers"], source)
            and all(source.get(name, "") == target.get(name, "") for name in rule["equal"])
            for source in sources
            if source != target
        )
        for rule in read(CONFIG)["inhibit_rules"]
    )


BY_NAME: Final = {alert.name.removeprefix(PREFIX): alert for alert in ALERTS}
MANY: Final = labels_of(BY_NAME["ManyQueuesInTrouble"])
PAGES: Final = [alert for alert in ALERTS if alert.labels == BY_NAME["NobodyStaffed"].labels]
QUEUE_PAGES: Final = [alert for alert in PAGES if alert.of_queue]
WARNINGS: Final = [alert for alert in ALERTS if alert.labels == BY_NAME["NoArrivals"].labels]
PIPELINE: Final = [alert for alert in ALERTS if alert.audience == "sre"]


def test_eighty_queues_in_trouble_are_one_page() -> None:
    pages = [labels_of(alert, queue=f"q{n}") for n in range(80) for alert in QUEUE_PAGES]

    told = [page for page in (MANY, *pages) if not is_held_back(page, MANY, *pages)]

    assert told == [MANY]


def test_many_queues_in_trouble_hold_back_nobody_elsewhere_and_nothing_else() -> None:
    elsewhere = labels_of(BY_NAME["NobodyStaffed"], namespace="other")

    assert not is_held_back(elsewhere, MANY)
    for alert in (*WARNINGS, *PIPELINE):
        assert not is_held_back(labels_of(alert), MANY)


@pytest.mark.parametrize("page", QUEUE_PAGES, ids=lambda alert: alert.name)
def test_a_page_holds_back_the_warnings_of_its_queue_and_channel(page: Alert) -> None:
    source = labels_of(page)

    for warning in WARNINGS:
        assert is_held_back(labels_of(warning), source)
        for other in ({"queue": "care"}, {"channel": "chat"}, {"cluster": "eu"}, {"job": "x"}):
            assert not is_held_back(labels_of(warning, **other), source)
    for alert in (*PAGES, *PIPELINE):
        assert not is_held_back(labels_of(alert), source)


def test_a_queue_that_nobody_knows_is_held_back_and_no_other() -> None:
    unknown = labels_of(BY_NAME["QueueUnknown"])

    for alert in (*QUEUE_PAGES, *WARNINGS):
        assert is_held_back(labels_of(alert), unknown)
        assert not is_held_back(labels_of(alert, queue="care"), unknown)
        assert not is_held_back(labels_of(alert, channel="chat"), unknown)
    assert not is_held_back(MANY, unknown)
    for alert in PIPELINE:
        assert not is_held_back(labels_of(alert), unknown)


def test_no_alert_of_the_pipeline_holds_anything_back() -> None:
    for source in PIPELINE:
        for alert in ALERTS:
            assert not is_held_back(labels_of(alert), labels_of(source, source="pbx"))


def test_a_page_is_sent_within_a_second_and_one_for_each_queue() -> None:
    route = read(CONFIG)["route"]

    assert route["group_wait"] == "1s"
    assert {"cluster", "namespace", "job", "alertname", "queue"} <= {*route["group_by"]}
    waits = {each["receiver"]: each.get("group_wait", "1s") for each in route["routes"]}
    assert waits["duty-manager"] == "1s"
