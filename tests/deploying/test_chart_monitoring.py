"""What a release tells Prometheus, Alertmanager and Grafana is what has been tested without it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import promql_parser as promql
import pytest
import yaml

from dashboards.alerts.catalogue import ALERTS
from dashboards.alerts.generate import ROOT
from dashboards.alerts.rule import PREFIX, Alert
from dashboards.grafana import shipped
from deploy.helm.generate import OWN, alert_rules, of_one_release
from schemas import metric_names as m
from tests.boards.alert_cases import CASES, cases_of
from tests.support.boards import selectors
from tests.support.prometheus import promtool
from tests.support.rendered_chart import NAMESPACE, Values, rendered
from tests.support.rule_cases import Case, promtool_tests, within
from tests.support.rule_trials import Trial, failures

KAFKA: Final = {"kafka": {"bootstrap": "kafka.example:9092"}}
OF_EVERYTHING: Final = ("WorkerDown", "Watchdog")
EXPOSED: Final = {
    name
    for metric in m.ALL
    for name in (
        (f"{metric.name}_bucket", f"{metric.name}_sum", f"{metric.name}_count")
        if metric.kind == "histogram"
        else (metric.name,)
    )
} | {"up"}


def groups_of(values: Values, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """The groups of the PrometheusRule that the chart makes of *values*."""
    objects = rendered(
        {**KAFKA, "prometheusRule": {"enabled": True, **values}}, namespace=namespace
    )
    [rule] = [each for each in objects if each["kind"] == "PrometheusRule"]
    return list(rule["spec"]["groups"])


def alone(groups: list[dict[str, Any]], name: str) -> tuple[dict[str, Any], Mapping[str, str]]:
    """A rule file with the alert *name* alone, without its words, and its labels."""
    for group in groups:
        for rule in group["rules"]:
            if rule.get("alert") == name:
                bare = {key: value for key, value in rule.items() if key != "annotations"}
                return {"groups": [{**group, "rules": [bare]}]}, rule["labels"]
    raise AssertionError(f"no alert {name}")


def tried(
    folder: Path, groups: list[dict[str, Any]], cases: Mapping[Alert, list[Case]]
) -> dict[str, list[str]]:
    """What promtool finds against the rendered rules in *cases*."""
    trials = []
    for alert, of_it in cases.items():
        rules, labels = alone(groups, alert.name)
        trials.append(Trial(alert.name, rules, promtool_tests(of_it, {alert.name: labels})))
    return failures(folder, trials)


def firing(alert: Alert) -> Case:
    """The first case in which *alert* fires, in a cluster and a namespace."""
    return within(next(case for case in cases_of(alert) if any(case.raised.values())))


OF_ONE_INSTALLATION: Final = [
    alert for alert in ALERTS if alert.name.removeprefix(PREFIX) not in OF_EVERYTHING
]


def test_rules_of_everything_are_those_that_are_tested(tmp_path: Path) -> None:
    groups = groups_of({"scope": "everything"})

    said = tried(tmp_path, groups, {alert: cases_of(alert) for alert in ALERTS})

    assert said == {}


def test_rules_with_further_matchers_fire_as_they_do_without(tmp_path: Path) -> None:
    matchers = ['job=~"floorwatch.*|cc.*|node"', 'namespace!="elsewhere"']
    groups = groups_of({"scope": "everything", "matchers": matchers})
    cases = {alert: [firing(alert)] for alert in OF_ONE_INSTALLATION}

    assert tried(tmp_path, groups, cases) == {}


def test_rules_of_a_release_fire_for_it_and_for_no_other(tmp_path: Path) -> None:
    # The job of a first case beside others, as they are written side by side.
    cases = {alert: [firing(alert)] for alert in OF_ONE_INSTALLATION}
    for folder in ("own", "other"):
        (tmp_path / folder).mkdir()

    own = tried(tmp_path / "own", groups_of({"job": "floorwatch.0"}, namespace="cc"), cases)
    other = tried(tmp_path / "other", groups_of({"job": "floorwatch.1"}, namespace="cc"), cases)
    elsewhere = groups_of({"job": "floorwatch.0"}, namespace="elsewhere")
    (tmp_path / "elsewhere").mkdir()

    assert own == {}
    assert other.keys() == {alert.name for alert in OF_ONE_INSTALLATION}
    assert tried(tmp_path / "elsewhere", elsewhere, cases).keys() == other.keys()


def test_a_release_without_workers_is_missed_under_its_own_name(tmp_path: Path) -> None:
    groups = groups_of({})
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    whose = 'namespace="contact-centre",job="floor-floorwatch"'
    expected = [
        f'ALERTS{{alertname="FloorwatchWorkerDown",alertstate="firing",{whose}'
        ',severity="critical",audience="sre"}',
        f'ALERTS{{alertname="FloorwatchWatchdog",alertstate="firing",{whose}'
        ',severity="none",audience="watchdog"}',
    ]
    tests = {
        "rule_files": ["rules.yml"],
        "tests": [
            {
                "interval": "15s",
                # Another release lives on.
                "input_series": [
                    {
                        "series": 'floorwatch_build_info{namespace="contact-centre",job="b"}',
                        "values": "1x60",
                    }
                ],
                "promql_expr_test": [
                    {
                        "expr": "ALERTS",
                        "eval_time": "10m",
                        "exp_samples": [{"labels": each, "value": 1} for each in expected],
                    }
                ],
            }
        ],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")

    done = promtool("test", "rules", tmp_path / "tests.yml")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"scope": "everything"},
        {"matchers": ['cluster="eu"'], "alertLabels": {"team": "floor"}, "recordings": False},
    ],
    ids=["release", "everything", "further"],
)
def test_promtool_has_nothing_to_say_against_the_rendered_rules(
    values: Values, tmp_path: Path
) -> None:
    links = {"grafanaUrl": "https://grafana.example", "runbooksUrl": "https://runbooks.example"}
    file = tmp_path / "rules.yml"
    groups = groups_of({**links, **values})
    file.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")

    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", file)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_rendered_rules_read_metrics_that_a_worker_exposes() -> None:
    for group in groups_of({}):
        for rule in group["rules"]:
            for selector in selectors(rule["expr"]):
                names = selector.name.split("|")
                assert set(names) <= EXPOSED, rule


def test_each_selector_of_a_rule_is_marked_and_nothing_else() -> None:
    for group in alert_rules()["groups"]:
        for rule in group["rules"]:
            plain = rule["expr"].replace(OWN, "")
            own = rule["expr"].replace(OWN, 'whose="mine",')
            for bare, marked in zip(selectors(plain), selectors(own), strict=True):
                assert marked.name == bare.name
                assert marked.matchers == {**bare.matchers, "whose": "mine"}
            assert promql.parse(own.replace('whose="mine",', "")) is not None


def test_a_mark_leaves_texts_and_names_that_only_look_alike() -> None:
    written = 'sum by (setup) (rate(floorwatch_a_total{b="up"}[5m])) > queue:floorwatch_a:max'

    assert of_one_release(written) == written.replace('{b="up"}', '{@OWN@b="up"}')


def test_with_neither_address_alerts_have_no_links() -> None:
    rules = [rule for group in groups_of({}) for rule in group["rules"] if "alert" in rule]

    assert rules
    for rule in rules:
        assert rule["annotations"].keys() == {"summary", "description"}


def test_links_of_alerts_lead_to_the_boards_of_the_release() -> None:
    values = {
        **KAFKA,
        "name": "berlin",
        "prometheusRule": {"enabled": True, "grafanaUrl": "https://grafana.example"},
        "dashboards": {"enabled": True},
    }
    objects = rendered(values)
    uids = {
        json.loads(text)["uid"]
        for each in objects
        for name, text in each.get("data", {}).items()
        if name.endswith(".json")
    }

    links = re.findall(r"https://grafana\.example/d/([\w-]+)", json.dumps(objects))

    assert links
    assert set(links) <= uids


def test_the_boards_of_a_release_are_the_shipped_ones_whose_queries_are_tried_on_a_floor() -> None:
    for name in ("floorwatch", "berlin_2"):
        objects = rendered({**KAFKA, "name": name, "dashboards": {"enabled": True}})
        boards = {
            board["uid"]: board
            for each in objects
            for file, text in each.get("data", {}).items()
            if file.endswith(".json")
            for board in [json.loads(text)]
        }

        assert boards == shipped(name)


def test_the_routes_of_a_release_are_those_of_the_shipped_file() -> None:
    receiver = {"webhookConfigs": [{"url": "http://pager.example/"}]}
    receivers = {"dutyManager": receiver, "sre": receiver}
    objects = rendered({**KAFKA, "alertmanagerConfig": {"enabled": True, "receivers": receivers}})
    [made] = [each["spec"] for each in objects if each["kind"] == "AlertmanagerConfig"]
    file = ROOT / "deploy" / "prometheus" / "alertmanager.yml"
    written = yaml.safe_load(file.read_text(encoding="utf-8"))

    assert as_alertmanager(made["route"]) == written["route"]
    assert [
        {
            "source_matchers": matchers(rule["sourceMatch"]),
            "target_matchers": matchers(rule["targetMatch"]),
            "equal": rule["equal"],
        }
        for rule in made["inhibitRules"]
    ] == written["inhibit_rules"]


def as_alertmanager(route: Mapping[str, Any]) -> dict[str, Any]:
    """A route of the operator in Alertmanager's own words."""
    names = {"dutyManager": "duty-manager", "sreTickets": "sre-tickets"}
    written: dict[str, Any] = {}
    for key, value in route.items():
        own = re.sub("[A-Z]", lambda upper: f"_{upper[0].lower()}", key)
        match key:
            case "receiver":
                written[own] = names.get(value, value)
            case "matchers":
                written[own] = matchers(value)
            case "routes":
                written[own] = [as_alertmanager(each) for each in value]
            case _:
                written[own] = value
    return written


def matchers(written: list[dict[str, str]]) -> list[str]:
    """Matchers of the operator as Alertmanager's file has them."""
    return [
        f"{each['name']} {each['matchType']} "
        + (each["value"] if re.fullmatch(r"\w+", each["value"]) else f'"{each["value"]}"')
        for each in written
    ]


def test_there_is_a_case_for_every_alert() -> None:
    assert {f"{PREFIX}{case.alert}" for case in CASES} == {alert.name for alert in ALERTS}
