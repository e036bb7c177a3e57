"""The Grafana boards as files: what a linter of dashboards asks for, and what ours promise beyond.

The rules of Grafana's dashboard-linter are here under their names, but for those of `job` and
`instance`: the axis of these boards is the queue, and all workers say the same of it.
"""

from __future__ import annotations

import json
import re
import typing
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.models import units

from dashboards.alerts.annotations import Places, annotations_of
from dashboards.alerts.catalogue import ALERTS
from dashboards.grafana import DEFAULT_NAME
from dashboards.grafana.board import Slug
from dashboards.grafana.generate import FOLDER, rendered
from schemas import metric_names as m
from tests.support.boards import (
    OF_ONE_QUEUE,
    WITHOUT_QUERIES,
    Board,
    Selector,
    boards,
    interpolated,
    panels,
    selectors,
    targets,
)
from tests.support.commands import ROOT

BOARDS = boards()
TARGETS = [target for board in BOARDS.values() for target in targets(board)]
METRICS = {
    name: metric
    for metric in m.ALL
    for name in (
        (f"{metric.name}_bucket", f"{metric.name}_sum", f"{metric.name}_count")
        if metric.kind == "histogram"
        else (metric.name,)
    )
}
OF_PROMETHEUS = {
    "up": "whether a worker could be read",
    "scrape_duration_seconds": "how long reading it took",
    "scrape_samples_scraped": "how many series it has",
    "ALERTS": "what is pending and firing",
    "ALERTS_FOR_STATE": "since when",
    "process_start_time_seconds": "since when a worker runs",
    "process_cpu_seconds_total": "what it costs",
    "process_resident_memory_bytes": "what it costs",
}
UNITS = {unit for hint in typing.get_type_hints(units).values() for unit in typing.get_args(hint)}
ALERTS_ARE_ABOUT = {"queue", "channel", "source", "topic", "partition", "instance"}
LONG_RANGES = {"15m", "60m", "24h", "5m"}
"""Ranges that a panel names, or that stand for the range of the screen; no scrape is that slow."""

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def label_values(board: Board) -> list[str]:
    return [
        variable["query"]["query"]
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]


def test_the_boards_are_those_that_people_are_told_of() -> None:
    assert BOARDS.keys() == {slug.uid("floorwatch") for slug in Slug}
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


def test_what_is_shipped_is_what_the_builders_make() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}

    assert there == rendered()


def test_the_boards_of_another_installation_are_those_its_builders_would_make() -> None:
    made = [json.loads(text) for text in rendered("berlin-2").values()]

    assert boards("berlin-2") == {board["uid"]: board for board in made}
    assert "floorwatch-" not in json.dumps([board["links"] for board in made])


@each_board
def test_ids_are_set_and_unique(board: Board) -> None:
    ids = [panel["id"] for panel in board["panels"]]

    assert all(isinstance(number, int) and number > 0 for number in ids)
    assert len(set(ids)) == len(ids)
    for panel in panels(board):
        refs = [query["refId"] for query in panel.get("targets", ())]
        assert all(re.fullmatch("[A-Z]", ref) for ref in refs)
        assert len(set(refs)) == len(refs)


def test_a_panel_keeps_its_id_when_another_one_is_put_before_it() -> None:
    from dashboards.grafana.board import Band, board
    from dashboards.grafana.panels import text

    def ids(*titles: str) -> dict[str | None, int | None]:
        built = board(
            Slug.WALL,
            "floorwatch",
            description="",
            bands=[Band(1, [(1, text(title, "", "")) for title in titles])],
        )
        return {panel.title: panel.id_val for panel in built.panels or ()}

    assert ids("new", "old")["old"] == ids("old")["old"]


@each_board
def test_panels_neither_overlap_nor_leave_the_grid(board: Board) -> None:
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] >= 0
        assert at["x"] + at["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in board["panels"]), 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )


def test_the_wall_fits_a_screen_and_has_no_titled_rows() -> None:
    wall = BOARDS["floorwatch-wall"]

    assert max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in wall["panels"]) <= 27
    assert panels(wall) == wall["panels"]
    assert wall["refresh"] == "5s"


# -- dashboard-linter: template-*, uneditable-dashboard --


@each_board
def test_template_datasource_rule(board: Board) -> None:
    [datasource] = [each for each in board["templating"]["list"] if each["type"] == "datasource"]

    assert (datasource["name"], datasource["query"]) == ("datasource", "prometheus")


@each_board
def test_template_on_time_change_reload_rule(board: Board) -> None:
    queried = [each for each in board["templating"]["list"] if each["type"] == "query"]

    assert queried
    assert {each["refresh"] for each in queried} == {2}
    assert {each["datasource"]["uid"] for each in queried} == {"${datasource}"}


@each_board
def test_template_label_promql_rule(board: Board) -> None:
    for query in label_values(board):
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert match is not None
        [selector] = selectors(interpolated(match[1]))
        assert {match[2], *selector.matchers} <= labels_of(selector.name)


@each_board
def test_what_one_can_choose_several_of_is_a_pattern_and_what_one_can_choose_one_of_is_not(
    board: Board,
) -> None:
    is_multi = {
        each["name"]: each["multi"]
        for each in board["templating"]["list"]
        if each["type"] == "query"
    }

    queries = [*label_values(board), *(target.expr for target in targets(board))]
    found = re.findall(r'(=~|=)"\$(\w+)"', " ".join(queries))

    assert found
    assert {how == "=~" for how, name in found if is_multi[name]} <= {True}
    assert {how == "=~" for how, name in found if not is_multi[name]} <= {False}


@each_board
def test_variables_depend_only_on_those_before_them(board: Board) -> None:
    known: set[str] = set()
    for variable in board["templating"]["list"]:
        used = set(re.findall(r"\$(\w+)", json.dumps(variable.get("query", ""))))
        assert used <= known
        known.add(variable["name"])


@each_board
def test_uneditable_dashboard_rule(board: Board) -> None:
    assert board["editable"] is False


@each_board
def test_the_installation_is_one_cluster_one_namespace_and_one_job(board: Board) -> None:
    variables = {each["name"]: each for each in board["templating"]["list"]}

    for name in ("cluster", "namespace", "job"):
        assert not variables[name]["multi"]
        assert not variables[name]["includeAll"]


# -- dashboard-linter: panel-* --


@each_board
def test_panel_title_description_rule(board: Board) -> None:
    for panel in panels(board):
        assert panel["title"]
        assert len(panel["description"]) > 10


@each_board
def test_panel_units_rule(board: Board) -> None:
    for panel in panels(board):
        if panel["type"] not in WITHOUT_QUERIES:
            override_units = [
                each["value"]
                for override in panel["fieldConfig"]["overrides"]
                for each in override["properties"]
                if each["id"] == "unit"
            ]
            assert {panel["fieldConfig"]["defaults"]["unit"], *override_units} <= UNITS


@each_board
def test_panel_no_targets_rule(board: Board) -> None:
    for panel in panels(board):
        assert bool(panel.get("targets")) == (panel["type"] not in WITHOUT_QUERIES)


@each_board
def test_a_panel_without_a_number_says_so_in_words(board: Board) -> None:
    for panel in panels(board):
        if panel["type"] not in WITHOUT_QUERIES:
            assert panel["fieldConfig"]["defaults"]["noValue"]


@each_board
def test_panel_datasource_rule(board: Board) -> None:
    for panel in panels(board):
        if panel["type"] not in WITHOUT_QUERIES:
            asked = [panel["datasource"], *(each["datasource"] for each in panel["targets"])]
            assert asked == [{"type": "prometheus", "uid": "${datasource}"}] * len(asked)


# -- dashboard-linter: target-* --


@each_board
def test_target_promql_rule(board: Board) -> None:
    for target in targets(board):
        assert selectors(interpolated(target.expr))


@each_board
def test_target_rate_interval_rule(board: Board) -> None:
    for target in targets(board):
        ranges = re.findall(r"\[([$\w]+)\]", target.expr)

        assert set(ranges) <= {"$__rate_interval", "$__range", *LONG_RANGES}


@each_board
def test_target_counter_agg_rule(board: Board) -> None:
    for target in targets(board):
        for selector in selectors(interpolated(target.expr)):
            rising = selector.name.endswith(("_total", "_bucket", "_sum", "_count"))
            rates = [
                node
                for node in selector.around
                if isinstance(node, promql.Call) and node.func.name in ("rate", "increase")
            ]
            assert bool(rates) == rising, (target.where, selector.name)


@each_board
def test_only_metrics_and_labels_that_a_worker_exposes_are_read(board: Board) -> None:
    for target in targets(board):
        for selector in selectors(interpolated(target.expr)):
            assert selector.name in METRICS or selector.name in OF_PROMETHEUS, target.where
            assert selector.matchers.keys() <= labels_of(selector.name), target.where
            for aggregate in aggregates(selector)[:1]:
                kept = set(aggregate.modifier.labels if aggregate.modifier else ())
                assert kept <= labels_of(selector.name), target.where


@each_board
def test_every_selector_names_the_installation(board: Board) -> None:
    for target in targets(board):
        for selector in selectors(
            target.expr.replace("$__rate_interval", "1m").replace("$__range", "1h")
        ):
            whose = {name: selector.matchers.get(name) for name in ("cluster", "namespace", "job")}
            if selector.name.startswith("ALERTS"):
                assert whose == {"cluster": "$cluster|", "namespace": "$namespace|", "job": "$job|"}
            else:
                chosen = {"cluster": "$cluster", "namespace": "$namespace", "job": "$job"}
                assert whose == chosen, target.where


@each_board
def test_the_floor_is_read_from_whichever_worker_and_never_added_up_over_workers(
    board: Board,
) -> None:
    for target in targets(board):
        for selector in selectors(interpolated(target.expr)):
            metric = METRICS.get(selector.name)
            if metric is not None and "queue" in metric.labels:
                assert str(aggregates(selector)[0].op) == "max", target.where


@each_board
def test_every_series_has_a_legend(board: Board) -> None:
    for target in targets(board):
        assert target.query.get("format") == "table" or target.query["legendFormat"], target.where


# -- links and incidents --


@each_board
def test_links_lead_to_all_other_boards_and_take_what_was_chosen_along(board: Board) -> None:
    addresses = {link["url"].partition("?")[0]: link for link in board["links"]}

    assert addresses.keys() == {f"/d/{uid}" for uid in BOARDS if uid != board["uid"]}
    for address, link in addresses.items():
        of_one_queue = address.removeprefix("/d/") in OF_ONE_QUEUE
        assert link["includeVars"] != of_one_queue
        assert ("${job:queryparam}" in link["url"]) == of_one_queue


def test_several_queues_are_never_taken_to_a_board_of_one() -> None:
    for uid, board in BOARDS.items():
        variables = {each["name"]: each for each in board["templating"]["list"]}
        if "queue" in variables:
            assert variables["queue"]["multi"] == (uid not in OF_ONE_QUEUE)


@each_board
def test_links_in_panels_lead_to_boards_that_are_there(board: Board) -> None:
    for uid in re.findall(r'"/d/([\w-]+)\?', json.dumps(panels(board))):
        assert uid in BOARDS


@each_board
def test_what_a_link_takes_from_a_row_into_a_query_is_encoded(board: Board) -> None:
    for format_of in re.findall(r"var-\w+=\${__data\.fields\.\w+(.*?)}", json.dumps(panels(board))):
        assert format_of == ":percentencode"


@each_board
def test_links_and_incidents_are_in_view_and_not_in_a_menu(board: Board) -> None:
    for shown in (*board["links"], *board["annotations"]["list"]):
        assert "placement" not in shown


@each_board
def test_incidents_are_marked(board: Board) -> None:
    [incidents] = board["annotations"]["list"]

    assert incidents["enable"]
    assert incidents["target"]["expr"] == incidents["expr"]
    [selector] = selectors(interpolated(incidents["expr"]))
    assert selector.matchers["severity"] == "critical"


def test_every_metric_is_on_a_board() -> None:
    shown = {
        METRICS[selector.name]
        for target in TARGETS
        for selector in selectors(interpolated(target.expr))
        if selector.name in METRICS
    }

    assert {metric.name for metric in m.ALL if metric not in shown} == set()


# -- file provisioning --


def test_alerts_and_boards_know_one_another() -> None:
    links = re.findall(r"/d/([\w-]+)", " ".join(linked_by_alerts()))

    assert set(links) <= BOARDS.keys()
    assert set(links)


def linked_by_alerts() -> set[str]:
    return {annotations_of(alert, Places())["dashboard_url"] for alert in ALERTS}


def test_the_datasource_is_one_that_the_boards_can_choose() -> None:
    [datasource] = read(ROOT / "deploy/grafana/datasources/floorwatch.yaml")["datasources"]

    assert datasource["type"] == "prometheus"
    assert datasource["uid"] == Places().datasource


def test_the_boards_are_provisioned_as_they_are_shipped() -> None:
    [provider] = read(ROOT / "deploy/grafana/dashboards/floorwatch.yaml")["providers"]

    assert provider["folderUid"] == DEFAULT_NAME
    assert not provider["allowUiUpdates"]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert found["apiVersion"] == 1
    return found


def aggregates(selector: Selector) -> list[promql.AggregateExpr]:
    """What aggregates *selector*, the innermost first."""
    return [each for each in selector.around if isinstance(each, promql.AggregateExpr)]


def labels_of(name: str) -> set[str]:
    """The labels that a series of *name* can have in Prometheus."""
    target = {"cluster", "namespace", "job", "instance"}
    if name.startswith("ALERTS"):
        return target | {"alertname", "alertstate", "severity", *ALERTS_ARE_ABOUT}
    if name in OF_PROMETHEUS:
        return target
    return {*METRICS[name].labels, *target} | ({"le"} if name.endswith("_bucket") else set())
