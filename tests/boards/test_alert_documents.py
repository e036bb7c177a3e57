"""The three forms of the rules, and what is told with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import promql_parser
import pytest
import yaml

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import ALERTS, GROUPS
from dashboards.alerts.generate import ROOT, main
from dashboards.alerts.pages import PAGES
from dashboards.alerts.rule import PREFIX, Alert, Recording
from dashboards.provision.differences import duration_ms
from schemas import metric_names as m

Document = dict[str, Any]

DEPLOY: Final = ROOT / "deploy"
RUNBOOKS: Final = ROOT / "dashboards" / "alerts" / "runbooks"
SECTIONS: Final = ("Meaning", "Impact", "Diagnosis", "Mitigation", "False positives")
OF_PROMETHEUS: Final = {"up", "ALERTS_FOR_STATE"}
"""Series that Prometheus makes itself."""

RULES: Final = tuple(rule for group in GROUPS for rule in group.rules)
by_name = pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each.name.removeprefix(PREFIX))


def read(path: str) -> Document:
    document: Document = yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))
    return document


def rules_of(groups: list[Document]) -> list[Document]:
    return [rule for group in groups for rule in group["rules"]]


FOR_PROMETHEUS: Final = rules_of(read("prometheus/floorwatch.rules.yml")["groups"])
FOR_GRAFANA: Final = rules_of(read("grafana/alerting/floorwatch.rules.yaml")["groups"])


# -- the forms -----------------------------------------------------------------------------------


def test_what_is_committed_is_what_would_be_written() -> None:
    assert main(["--check"]) == 0


def test_a_file_that_drifted_is_named_and_written_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--into", str(tmp_path)]) == 0
    changed = tmp_path / "deploy" / "prometheus" / "floorwatch.rules.yml"
    changed.write_text(changed.read_text().replace("> 5", "> 6"))

    assert main(["--check", "--into", str(tmp_path)]) == 1
    assert "floorwatch.rules.yml is not what" in capsys.readouterr().err

    assert main(["--into", str(tmp_path)]) == 0
    assert main(["--check", "--into", str(tmp_path)]) == 0


def test_the_operator_gets_what_prometheus_gets() -> None:
    manifest = read("prometheus/floorwatch.prometheusrule.yaml")

    assert manifest["spec"] == read("prometheus/floorwatch.rules.yml")
    assert (manifest["apiVersion"], manifest["kind"]) == (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
    )


def test_grafana_compares_what_prometheus_compares() -> None:
    alerts = {
        rule["alert"]: (rule["expr"], rule.get("for", "0s"), rule.get("keep_firing_for"))
        for rule in FOR_PROMETHEUS
        if "alert" in rule and rule["labels"]["audience"] != "watchdog"
    }

    assert alerts == {
        rule["title"]: (
            rule["data"][0]["model"]["expr"],
            rule["for"],
            rule.get("keepFiringFor"),
        )
        for rule in FOR_GRAFANA
    }


def test_grafana_ends_an_alert_whose_series_is_gone_no_sooner_than_one_that_it_keeps() -> None:
    groups = read("grafana/alerting/floorwatch.rules.yaml")["groups"]
    waits = {
        rule["title"]: (
            rule.get("missing_series_evals_to_resolve", 0) * duration_ms(group["interval"]),
            duration_ms(rule.get("keepFiringFor")),
        )
        for group in groups
        for rule in group["rules"]
    }

    assert waits["FloorwatchManyQueuesInTrouble"] == (1_800_000, 1_800_000)
    assert {missing_ms == kept_ms for missing_ms, kept_ms in waits.values()} == {True}


def test_grafana_routes_by_the_same_labels() -> None:
    expected = {rule["alert"]: rule["labels"] for rule in FOR_PROMETHEUS if "alert" in rule}

    for rule in FOR_GRAFANA:
        assert rule["labels"] == expected[rule["title"]]


def test_grafana_asks_the_configured_source_and_decides_by_whether_anything_came_back() -> None:
    for rule in FOR_GRAFANA:
        query, condition = rule["data"]
        assert rule["condition"] == condition["refId"] == "B"
        assert (query["refId"], query["datasourceUid"]) == ("A", Places().datasource)
        assert condition["datasourceUid"] == "__expr__"
        assert condition["model"]["expression"] == "is_number($A) || is_inf($A)"
        assert rule["noDataState"] == "OK"


def test_a_uid_in_grafana_is_short_unique_and_carries_the_installations_name() -> None:
    uids = [rule["uid"] for rule in FOR_GRAFANA]

    assert len(set(uids)) == len(uids) == len(ALERTS) - 1
    assert all(re.fullmatch(r"floorwatch-[a-z-]{1,29}", uid) for uid in uids)


def test_grafana_evaluates_at_multiples_of_its_own_step() -> None:
    groups = read("grafana/alerting/floorwatch.rules.yaml")["groups"]

    assert all(int(group["interval"].removesuffix("s")) % 10 == 0 for group in groups)


def test_nothing_that_grafana_would_take_for_its_environment_is_in_what_it_tells() -> None:
    for rule in FOR_GRAFANA:
        for text in rule["annotations"].values():
            assert "$" not in text


# -- the rules -----------------------------------------------------------------------------------


def selectors(expr: str) -> list[Any]:
    found: list[Any] = []

    def walk(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        for name in ("expr", "lhs", "rhs", "vector_selector", "args", "param"):
            inner = getattr(node, name, None)
            for each in inner if isinstance(inner, list) else [inner]:
                if each is not None and not isinstance(each, str):
                    walk(each)

    walk(promql_parser.parse(expr))
    return found


LABELS: Final = {metric.name: {*metric.labels} for metric in m.ALL}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_reads_metrics_that_there_are_by_labels_that_they_have(
    rule: Alert | Recording,
) -> None:
    found = selectors(rule.expr)
    assert found or rule.name == f"{PREFIX}Watchdog"
    for selector in found:
        if selector.name in OF_PROMETHEUS:
            continue
        if selector.name is None:
            (names,) = selector.matchers.matchers
            assert {*names.value.split("|")} <= LABELS.keys()
            continue
        assert selector.name in LABELS
        matched = {matcher.name for matcher in selector.matchers.matchers}
        assert matched <= LABELS[selector.name]


@by_name
def test_what_is_told_asks_for_metrics_that_there_are(alert: Alert) -> None:
    asked = set(re.findall(r"\b(floorwatch_\w+)", alert.summary))

    assert asked <= LABELS.keys()


def test_a_whole_floor_series_is_never_added_up_over_workers() -> None:
    floor = {
        metric.name
        for metric in m.ALL
        if "queue" in metric.labels and metric.name != "floorwatch_corrections_total"
    }

    for rule in RULES:
        for name in re.findall(r"sum by \([^)]*\) \((?:increase\()?(floorwatch_\w+)", rule.expr):
            assert name not in floor


@by_name
def test_an_alert_of_the_floor_names_queue_and_channel(alert: Alert) -> None:
    if alert.audience == "floor" and alert.name != f"{PREFIX}ManyQueuesInTrouble":
        assert alert.of_queue
        assert "queue, channel)" in alert.expr


def test_pages_are_those_that_were_agreed() -> None:
    pages = {
        alert.name.removeprefix(PREFIX)
        for alert in ALERTS
        if (alert.audience, alert.severity) == ("floor", "critical")
    }

    assert pages == {
        "LongestWaitCritical",
        "NobodyStaffed",
        "ServiceLevelBurning",
        "LineOutOfService",
        "ManyQueuesInTrouble",
    }


def test_whoever_holds_others_back_comes_before_them() -> None:
    names = [alert.name.removeprefix(PREFIX) for alert in ALERTS]

    assert names[:2] == ["QueueUnknown", "ManyQueuesInTrouble"]


def test_many_queues_hold_the_others_back_twice_as_long_as_those_are_kept_firing() -> None:
    kept = {alert.name.removeprefix(PREFIX): duration_ms(alert.keep) for alert in PAGES}
    of_many = kept.pop("ManyQueuesInTrouble")

    assert {2 * of_one for of_one in kept.values()} == {of_many}


def test_a_restart_is_over_before_anybody_is_told_of_the_pipeline() -> None:
    for alert in ALERTS:
        if alert.audience == "sre":
            assert int(alert.hold.removesuffix("m")) >= 2


# -- what is told --------------------------------------------------------------------------------


@by_name
def test_an_alert_leads_to_its_runbook_and_a_board(alert: Alert) -> None:
    (rule,) = (rule for rule in FOR_PROMETHEUS if rule.get("alert") == alert.name)
    told = rule["annotations"]

    assert set(told) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert told["runbook_url"].endswith(f"/runbooks/{alert.name}.md")
    assert re.match(
        r"http://localhost:3000/d/floorwatch-(floor-lead|pipeline)", told["dashboard_url"]
    )
    if alert.of_queue:
        assert "?var-queue={{ $labels.queue | urlquery }}&var-channel=" in told["dashboard_url"]
    assert re.fullmatch(r"[A-Z].*\.", told["description"])


@by_name
def test_a_runbook_says_all_that_somebody_who_was_woken_needs(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")

    title, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert title.strip() == f"# {alert.name}"
    assert [section.partition("\n")[0] for section in sections] == list(SECTIONS)
    for section in sections:
        assert len(section.partition("\n")[2].strip()) >= 10


def test_there_is_no_runbook_of_an_alert_that_is_gone() -> None:
    assert {path.stem for path in RUNBOOKS.iterdir()} == {alert.name for alert in ALERTS}


def test_runbooks_speak_of_metrics_that_there_are() -> None:
    for path in RUNBOOKS.iterdir():
        for name in re.findall(r"`(?:rate\()?(floorwatch_\w+)", path.read_text(encoding="utf-8")):
            assert name in LABELS


def test_an_installation_says_where_its_boards_and_runbooks_are(tmp_path: Path) -> None:
    main(
        [
            *("--into", str(tmp_path), "--name", "north", "--datasource", "mimir"),
            *("--boards-url", "https://g.example/", "--runbooks-url", "https://wiki.example/r/"),
        ]
    )

    text = (tmp_path / "deploy" / "prometheus" / "floorwatch.rules.yml").read_text()
    assert "https://g.example/d/north-floor-lead?var-queue=" in text
    assert "https://wiki.example/r/FloorwatchNobodyStaffed.md" in text
    grafana = (tmp_path / "deploy" / "grafana" / "alerting" / "floorwatch.rules.yaml").read_text()
    assert "uid: north-longest-wait-critical" in grafana
    assert "datasourceUid: mimir" in grafana
