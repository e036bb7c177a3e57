"""Every formula on the same floor, checked by hand, and against what the README says of it."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.formulas import (
    DEFAULT_FORMULA,
    FORMULA_IDS,
    FORMULAS,
    Classes,
    Formula,
    Moment,
    ratio_of,
    strict_bounds,
)

README: Final = Path(__file__).parents[2] / "README.md"

PLAIN: Final = Classes(
    answered_within=70,
    answered_late=12,
    abandoned_short=3,
    abandoned_before=4,
    abandoned_after=3,
    left_within=0,
    left_after=2,
    failed_within=0,
    failed_after=2,  # both timed out
    waiting_past=4,
    waiting_within=2,
    offered=100,
    refused=0,
    live_past=4,
    live_within=2,
)
"""A hundred offered, everybody accounted for."""

BUSIER: Final = PLAIN._replace(left_within=5, offered=105, refused=10)
"""Five more pressed a key in time, ten more were refused at the door."""

VALUES: Final = {
    "strict": (0.7143, 0.6796),
    "of_offered": (0.7000, 0.6667),
    "answered_only": (0.8537, 0.8537),
    "ucce_ignore": (0.7692, 0.7692),
    "ucce_negative": (0.7368, 0.7368),
    "ucce_positive": (0.7789, 0.7789),
    "icmi_1": (0.8370, 0.8370),
    "icmi_3": (0.7609, 0.7609),
    "icmi_4": (0.8235, 0.8235),
    "icmi_5": (0.7935, 0.7935),
    "genesys": (0.7865, 0.7865),
    "genesys_flowouts": (0.7692, 0.7292),
    "asterisk_perf2": (0.8191, 0.8191),
    "connect": (0.7700, 0.7810),
    "vonage": (0.7447, 0.7071),
    "talkdesk": (0.7216, 0.6863),
    "knocked": (0.7000, 0.6087),
    "altigen_now": (0.3333, 0.3333),
}

EVENT_FORMULAS: Final = {"strict", "ucce_ignore", "ucce_negative", "ucce_positive"}
ARRIVAL_FORMULAS: Final = {"of_offered", "connect", "talkdesk", "knocked"}
LIVE_FORMULAS: Final = {"altigen_now"}

every_formula = pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULA_IDS)


def rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 4)


@every_formula
def test_a_formula_has_the_published_value_on_the_plain_and_on_the_busier_floor(
    formula: Formula,
) -> None:
    values = (rounded(formula.ratio(PLAIN)), rounded(formula.ratio(BUSIER)))

    assert values == VALUES[formula.id]


@pytest.mark.parametrize(
    ("classes", "low", "high"), [(PLAIN, 0.7000, 0.7200), (BUSIER, 0.6667, 0.6857)]
)
def test_strict_is_low_should_the_two_undecided_miss_and_high_should_they_make_it(
    classes: Classes, low: float, high: float
) -> None:
    bounds = strict_bounds(classes, undecided=2)

    assert [rounded(ratio_of(bound)) for bound in bounds] == [low, high]


def test_both_bounds_are_strict_itself_when_everybody_is_decided() -> None:
    exact = FORMULAS["strict"].fraction(PLAIN)

    assert strict_bounds(PLAIN, undecided=0) == (exact, exact)


@every_formula
def test_nothing_to_divide_by_is_no_number(formula: Formula) -> None:
    assert formula.ratio(Classes()) is None


def test_nobody_in_time_is_zero_and_not_nothing() -> None:
    assert FORMULAS["strict"].ratio(Classes(answered_late=1)) == 0.0


@every_formula
def test_a_formula_says_its_rule_who_uses_it_and_nothing_less(formula: Formula) -> None:
    assert all(getattr(formula, field.name) for field in fields(formula))
    assert FORMULAS[formula.id] is formula


@every_formula
def test_a_formula_takes_its_counters_at_its_one_stated_moment(formula: Formula) -> None:
    moments = {
        Moment.EVENT: formula.id in EVENT_FORMULAS,
        Moment.ARRIVAL: formula.id in ARRIVAL_FORMULAS,
        Moment.LIVE: formula.id in LIVE_FORMULAS,
    }

    assert formula.moment is next((at for at, holds in moments.items() if holds), Moment.OUTCOME)


def test_strict_is_the_formula_where_none_is_chosen() -> None:
    assert DEFAULT_FORMULA == FORMULA_IDS[0] == "strict"


counts = st.integers(0, 50)


@given(st.lists(counts, min_size=9, max_size=9), st.integers(0, 50), st.integers(0, 50))
def test_no_ratio_passes_one_whatever_is_counted(
    classes: list[int], failed_within: int, refused: int
) -> None:
    a, late, s, b, after, f, left_late, waiting, undecided = classes
    floor = Classes(
        *(a, late, s, b, after, f, left_late),
        failed_within=min(f, failed_within),
        waiting_past=waiting,
        offered=sum(classes),
        refused=refused,
        live_past=waiting,
        live_within=undecided,
    )

    ratios = [formula.ratio(floor) for formula in FORMULAS.values()]

    assert all(ratio is None or 0 <= ratio <= 1 for ratio in ratios)


ROW: Final = re.compile(r"^\| `(\w+)` \| (.+?) / (.+?)(?: of those waiting now)? \|", re.MULTILINE)
TERM: Final = re.compile(r"(-\s*)?(all offered|refused|[fF]\*|[a-zA-Z])")


def sum_of(written: str, classes: Classes) -> int:
    """The value of a sum such as `(a+s+f*)` on *classes*."""
    values = {
        "a": classes.answered_within,
        "A": classes.answered_late,
        "s": classes.abandoned_short,
        "b": classes.abandoned_before,
        "B": classes.abandoned_after,
        "f": classes.left_within,
        "F": classes.left_after,
        "f*": classes.failed_within,
        "F*": classes.failed_after,
        "w": classes.waiting_within,
        "W": classes.waiting_past,
        "all offered": classes.offered,
        "refused": classes.refused,
    }
    return sum((-1 if minus else 1) * values[name] for minus, name in TERM.findall(written))


def test_the_readme_lists_the_formulas_that_there_are_in_their_order() -> None:
    table = ROW.findall(README.read_text(encoding="utf-8").replace("\\*", "*"))

    assert tuple(row[0] for row in table) == FORMULA_IDS


def test_each_formula_of_the_readme_is_the_one_that_is_computed() -> None:
    distinct = BUSIER._replace(left_within=9, failed_within=1, left_after=8, offered=1_000)
    for formula_id, good, counted in ROW.findall(
        README.read_text(encoding="utf-8").replace("\\*", "*")
    ):
        written = (sum_of(good, distinct), sum_of(counted, distinct))
        assert written == FORMULAS[formula_id].fraction(distinct), formula_id
