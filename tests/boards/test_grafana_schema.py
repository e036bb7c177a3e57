"""The boards against the schema that Grafana itself generates its types from."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from tests.support.boards import Board, boards, panels
from tests.support.node_packages import SOURCES, board_schema, panel_schema

BOARDS = boards()
PANELS = [panel for board in BOARDS.values() for panel in panels(board)]
TYPES = sorted({panel["type"] for panel in PANELS})
WITH_FIELDS_OF_THEIR_OWN = ("state-timeline", "table", "timeseries")
OF_PROMETHEUS = ("expr", "step", "tagKeys", "textFormat", "titleFormat", "target")
"""What Prometheus's annotations have; the schema knows those of Grafana's own annotations only."""

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def complaints(schema: dict[str, Any], found: object) -> list[str]:
    """Where *found* is not as the schema has it, of several possible shapes the nearest one."""
    errors = [best_match([error]) for error in Draft7Validator(schema).iter_errors(found)]
    return [f"{error.json_path}: {error.message[:200]}" for error in errors if error is not None]


def as_the_schema_knows_it(board: Board) -> Board:
    known = copy.deepcopy(board)
    for annotation in known["annotations"]["list"]:
        for key in OF_PROMETHEUS:
            del annotation[key]
    for variable in known["templating"]["list"]:
        variable.pop("definition", None)  # every export has it: what the list of variables shows
    return known


@each_board
def test_a_board_is_what_grafana_calls_one(board: Board) -> None:
    assert complaints(board_schema(), as_the_schema_knows_it(board)) == []


@pytest.mark.parametrize("kind", TYPES)
def test_the_options_of_panels_are_those_that_grafana_knows(kind: str) -> None:
    schema = panel_schema(kind, "Options")

    for panel in PANELS:
        if panel["type"] == kind:
            assert complaints(schema, panel["options"]) == [], panel["title"]


@pytest.mark.parametrize("kind", WITH_FIELDS_OF_THEIR_OWN)
def test_what_fields_are_told_is_what_grafana_knows(kind: str) -> None:
    schema = panel_schema(kind, "FieldConfig")

    for panel in PANELS:
        if panel["type"] == kind:
            custom = panel["fieldConfig"]["defaults"].get("custom", {})
            assert complaints(schema, custom) == [], panel["title"]


def test_a_misspelt_key_is_found_out() -> None:
    board = as_the_schema_knows_it(copy.deepcopy(BOARDS["floorwatch-wall"]))
    [tile, *_] = [panel for panel in panels(board) if panel["type"] == "stat"]
    tile["fieldConfig"]["defaults"]["unti"] = "dthms"
    tile["options"]["graphMod"] = "none"

    assert "'unti' was unexpected" in "".join(complaints(board_schema(), board))
    [found] = complaints(panel_schema("stat", "Options"), tile["options"])
    assert "'graphMod' was unexpected" in found


def test_the_lock_of_npm_packages_has_their_hashes_and_no_addresses() -> None:
    packages = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    fetched = {name: each for name, each in packages.items() if name}

    assert fetched
    assert [name for name, each in fetched.items() if not each.get("integrity")] == []
    assert [name for name, each in fetched.items() if "resolved" in each] == []
