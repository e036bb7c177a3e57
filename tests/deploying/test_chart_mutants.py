"""Slips in the chart, each in a copy of it: what is asked of every rendering finds all of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.chart_checks import complaints
from tests.support.chart_mutants import MUTANTS, Mutant
from tests.support.chart_rendering import Rendering
from tests.support.kubernetes_yaml import read
from tests.support.rendered_chart import CHART, rendered

EVERYTHING: Final = (CHART / "ci" / "everything-values.yaml").read_text(encoding="utf-8")


def values() -> list[dict[str, Any]]:
    """With all that there is, boards apart since they are large; and with nothing but Kafka."""
    everything = read(EVERYTHING)
    boards = everything.pop("dashboards")
    kafka = {"kafka": {"bootstrap": "kafka.example:9092"}}
    return [everything, kafka, {**kafka, "dashboards": boards}]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_slip_in_the_chart_is_found(mutant: Mutant, tmp_path: Path) -> None:
    chart = tmp_path / "floorwatch"
    shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("ci"))
    mutant.put_into(chart)

    assert any(complaints(Rendering(rendered(each, chart=chart), each)) for each in values())


def test_without_a_slip_nothing_is_found() -> None:
    for each in values():
        assert complaints(Rendering(rendered(each), each)) == []


def test_no_two_slips_are_one() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(m.file, m.old, m.new) for m in MUTANTS}) == len(MUTANTS)
