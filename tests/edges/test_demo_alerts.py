"""What the demo starts beside it to alert, and what it says where that is not built."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dashboards.alerts.catalogue import ALERTS
from streams.demo import alerts_of_the_demo
from streams.demo_alerts import (
    NOT_BUILT,
    SHIPPED,
    Ports,
    alertmanager_config,
    find_programs,
    write_alertmanager,
    write_prometheus,
)
from tests.support.prometheus import amtool, promtool

PORTS = Ports(worker=6066, prometheus=9090, alertmanager=9093)


def test_prometheus_takes_its_configuration_with_every_alert_that_is_shipped(
    tmp_path: Path,
) -> None:
    config = write_prometheus(tmp_path, PORTS)

    assert promtool("check", "config", config).returncode == 0
    plain = yaml.safe_load(config.read_text())
    rules = yaml.safe_load(Path(plain["rule_files"][0]).read_text())
    named = {rule.get("alert") for group in rules["groups"] for rule in group["rules"]}
    assert named >= {alert.name for alert in ALERTS}


def test_the_links_of_alerts_lead_to_the_wall_of_the_demo(tmp_path: Path) -> None:
    config = write_prometheus(tmp_path, PORTS)

    (rules,) = yaml.safe_load(config.read_text())["rule_files"]
    groups = yaml.safe_load(Path(rules).read_text())["groups"]
    links = {
        rule["alert"]: rule["annotations"]["dashboard_url"]
        for group in groups
        for rule in group["rules"]
        if "alert" in rule
    }
    wall = "http://127.0.0.1:6066/"
    of_queue = "queue={{ $labels.queue | urlquery }}&channel={{ $labels.channel | urlquery }}"
    assert links["FloorwatchManyQueuesInTrouble"] == wall
    assert links["FloorwatchNobodyStaffed"] == f"{wall}queue?{of_queue}"
    assert set(links.values()) == {wall, f"{wall}queue?{of_queue}"}


def test_alertmanager_takes_the_shipped_routes_and_tells_nobody(tmp_path: Path) -> None:
    config = write_alertmanager(tmp_path)

    assert amtool("check-config", config).returncode == 0
    plain = yaml.safe_load(config.read_text())
    shipped = yaml.safe_load(SHIPPED.read_text())
    assert plain["route"] == shipped["route"]
    assert plain["inhibit_rules"] == shipped["inhibit_rules"]
    assert all(list(receiver) == ["name"] for receiver in plain["receivers"])


def test_receivers_keep_nothing_but_their_names() -> None:
    shipped = {"receivers": [{"name": "pager", "webhook_configs": [{"url": "http://x"}]}]}

    assert alertmanager_config(shipped) == {"receivers": [{"name": "pager"}]}


def test_without_the_programs_the_demo_says_so_in_one_line_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_programs() is None
    with alerts_of_the_demo(6066) as beside:
        assert beside is None
    assert capsys.readouterr().out == f"{NOT_BUILT}\n"
    assert "`make programs`" in NOT_BUILT
