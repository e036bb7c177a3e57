"""The Grafana boards on a floor in trouble: a real worker, watched by a real Prometheus.

Every query is asked; and two boards are drawn by the components that Grafana is built of, which
leaves pictures in `build/pictures`. It is not Grafana itself that draws them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from prometheus_client.parser import text_string_to_metric_families

from schemas import metric_names as m
from streams.core.formulas import FORMULA_IDS
from tests.support.boards import (
    VALUES,
    Board,
    Target,
    ask,
    boards,
    complaint,
    interpolated,
    panels,
    selectors,
    targets,
    values_of,
)
from tests.support.drawn_boards import PICTURES, drawn, with_values
from tests.support.prometheus import Refused
from tests.support.watched_floor import WatchedFloor, watched_floor

PATIENCE_S = 180.0
DRAWN_WITHIN_MS = 60_000
BOARDS = boards()
INTRADAY = "floorwatch-intraday"
NOT_ON_A_BOARD = {
    "process_virtual_memory_bytes": "what is reserved says nothing about what is used",
    "process_open_fds": "two Kafka connections and the walls; Python's client exports it unasked",
    "process_max_fds": "a limit of the machine; Python's client exports it unasked",
    "python_info": "the version stands beside floorwatch's own, in floorwatch_build_info",
    "python_gc_objects_collected": "for a developer with a leak, who asks Prometheus itself",
    "python_gc_objects_uncollectable": "for a developer with a leak, who asks Prometheus itself",
    "python_gc_collections": "for a developer with a leak, who asks Prometheus itself",
}
ONE_AT_A_TIME = "floorwatch-wall / Longest wait in the worst queue"
"""A panel that shows one queue in one of three states, so two of its queries find nothing."""

OFTEN_NOT_THERE = {"cluster", "namespace"}
"""Labels that a Prometheus outside Kubernetes does not add; their variables are then empty."""


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedFloor]:
    with watched_floor(tmp_path_factory.mktemp("floor")) as running:
        yield running


def test_every_query_of_every_board_finds_series_with_names(floor: WatchedFloor) -> None:
    pending = {
        target.where: target
        for uid, board in BOARDS.items()
        if uid != INTRADAY
        for target in targets(board)
        if not target.where.startswith(ONE_AT_A_TIME)
    }
    complaints: dict[str, str] = {}
    deadline = time.monotonic() + PATIENCE_S

    while pending and time.monotonic() < deadline:
        for where, target in tuple(pending.items()):
            complaints[where] = complaint(target, floor.prometheus, values_of(target.board))
            if not complaints[where]:
                del pending[where]
        time.sleep(1)

    assert [complaints[where] for where in pending] == []
    worst = [each for each in targets(BOARDS["floorwatch-wall"]) if ONE_AT_A_TIME in each.where]
    assert [complaint(each, floor.prometheus) for each in worst].count("") == 1


def test_a_floor_without_a_past_week_answers_the_intraday_board_with_nothing(
    floor: WatchedFloor,
) -> None:
    past = [target for target in targets(BOARDS[INTRADAY]) if "1w" in target.expr]

    assert past
    for target in past:
        assert ask(target, floor.prometheus, VALUES) in ([], [{}])


def test_every_variable_finds_values(floor: WatchedFloor) -> None:
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert match is not None
            selector, label = match.groups()
            # A board of one queue takes its id as it is, not as a pattern.
            values = {**VALUES, "queue": "sales"} if 'queue="$queue"' in selector else VALUES
            found = floor.prometheus.ask(
                f"label/{label}/values", **{"match[]": interpolated(selector, values)}
            )
            assert found or label in OFTEN_NOT_THERE, variable["query"]["query"]


def test_another_installation_in_the_same_prometheus_is_not_added(floor: WatchedFloor) -> None:
    [workers] = [
        target
        for target in targets(BOARDS["floorwatch-pipeline"])
        if target.panel["title"] == "Workers"
    ]

    assert floor.prometheus.value("sum(up)") == 2
    assert floor.prometheus.value(interpolated(workers.expr)) == 1


def test_incidents_are_found(floor: WatchedFloor) -> None:
    [incidents] = BOARDS["floorwatch-wall"]["annotations"]["list"]

    found = floor.prometheus.wait_until(
        lambda: floor.prometheus.query(interpolated(incidents["expr"])), "an alert fires"
    )

    assert {"alertname", "queue", "channel"} <= found[0].labels.keys()


def test_all_formulas_are_exported_over_the_hour_where_the_settings_say_so(
    floor: WatchedFloor,
) -> None:
    of_the_hour = 'count by (formula) (floorwatch_service_level_contacts{window="60m"})'

    found = floor.prometheus.query(of_the_hour)

    assert {sample.labels["formula"] for sample in found} == set(FORMULA_IDS)


def test_every_metric_that_a_worker_exposes_is_on_a_board_or_has_a_reason_not_to_be(
    floor: WatchedFloor,
) -> None:
    families = {family.name for family in text_string_to_metric_families(floor.worker.metrics())}
    on_boards = {
        re.sub("_(total|bucket|sum|count)$", "", selector.name)
        for board in BOARDS.values()
        for target in targets(board)
        for selector in selectors(interpolated(target.expr))
    }

    assert families - on_boards == NOT_ON_A_BOARD.keys()
    assert {metric.name.removesuffix("_total") for metric in m.ALL} <= on_boards


@pytest.fixture
def planted(floor: WatchedFloor) -> Target:
    """A query that is right, for a test to spoil."""
    [target] = [
        each
        for each in targets(BOARDS["floorwatch-wall"])
        if each.panel["title"] == "Waiting by queue"
    ]
    floor.prometheus.wait_until(
        lambda: not complaint(target, floor.prometheus), "the query finds something"
    )
    return target


def spoiled(target: Target, **changes: str) -> Target:
    return target._replace(query={**target.query, **changes})


def test_a_metric_that_nobody_exposes_is_found_out(floor: WatchedFloor, planted: Target) -> None:
    misspelt = planted.expr.replace("contacts_waiting", "contacts_wating")

    assert complaint(spoiled(planted, expr=misspelt), floor.prometheus).endswith(": nothing")


def test_a_legend_of_a_label_that_is_not_there_is_found_out(
    floor: WatchedFloor, planted: Target
) -> None:
    wrong = spoiled(planted, legendFormat="{{queue}} {{chanel}}")

    assert complaint(wrong, floor.prometheus).endswith("no series has chanel")


def test_a_query_that_is_none_is_found_out(floor: WatchedFloor, planted: Target) -> None:
    with pytest.raises(Refused):
        complaint(spoiled(planted, expr=f"{planted.expr})"), floor.prometheus)


# -- pictures --


@pytest.fixture
def page(browser: Browser) -> Page:
    return browser.new_page(viewport={"width": 1920, "height": 1080})


def height_px(board: Board) -> int:
    """All of it: what is outside the window is not drawn."""
    rows = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in board["panels"])
    return 8 + 38 * int(rows)


@pytest.mark.parametrize("uid", ["floorwatch-wall", "floorwatch-floor-lead"])
def test_every_panel_is_drawn(uid: str, page: Page, floor: WatchedFloor) -> None:
    board = boards()[uid]
    chosen = values_of(uid)[0]
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))

    with drawn(board, floor.prometheus, chosen) as address:
        page.set_viewport_size({"width": 1920, "height": height_px(board)})
        page.goto(address)
        expect(page).to_have_title("drawn", timeout=DRAWN_WITHIN_MS)
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{uid}.png", full_page=True)

        assert failures == []
        assert page.get_by_test_id("panel-error").all_inner_texts() == []
        shown = page.get_by_test_id("panel")
        titles = [shown.nth(at).get_attribute("aria-label") for at in range(shown.count())]
        assert titles == [panel["title"] for panel in panels(with_values(board, chosen))]
        for at, title in enumerate(titles):
            assert shown.nth(at).inner_text().removeprefix(title or "").strip(), title
