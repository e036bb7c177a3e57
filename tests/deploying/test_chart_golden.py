"""What the chart makes of a few sets of values, word by word."""

from __future__ import annotations

import pytest

from tests.support.golden_charts import FOLDER, NAMES, golden


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return golden()


@pytest.mark.parametrize("name", NAMES)
def test_the_chart_makes_what_was_looked_at(name: str, made: dict[str, str]) -> None:
    # A change that is meant: python -m tests.support.golden_charts, and look at the difference.
    assert made[name] == (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def test_nothing_else_is_kept() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)
