"""Service levels explained: one hour of one queue, by every formula in use somewhere."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.board import Band, Slug, board, queue_variables
from dashboards.grafana.panels import (
    COUNT,
    DURATION,
    RATIO,
    Column,
    PanelBuilder,
    Query,
    bars,
    lines,
    table,
    text,
    tile,
)
from dashboards.grafana.queries import ONE_QUEUE
from schemas import metric_names as m
from streams.core.formulas import DEFAULT_FORMULA, FORMULAS

floor = ONE_QUEUE

_WINDOW = "60m"
_FORMULA = "{{formula}}"


def service_levels(installation: str) -> Dashboard:
    """The board that says why two systems report two service levels."""
    return board(
        Slug.SERVICE_LEVELS,
        installation,
        description="One hour of one queue by all the formulas in use somewhere. Needs the setting"
        " export_formulas: all for the queue, and 60m among metric_windows.",
        variables=queue_variables(several=False),
        begins="now-6h",
        bands=[
            Band(
                4,
                [
                    (6, _own()),
                    (4, _threshold()),
                    (4, _target()),
                    (5, _bound(m.SERVICE_LEVEL_LOW, "Strict, should the undecided miss", "miss")),
                    (5, _bound(m.SERVICE_LEVEL_HIGH, "Strict, should they make it", "make it")),
                ],
            ),
            Band(17, [(9, _side_by_side()), (15, _each())]),
            Band(10, [(12, _over_time()), (12, _against_strict())]),
            Band(8, [(12, _counters()), (12, _classes())]),
            Band(16, [(24, _definitions())]),
        ],
    )


def _own() -> PanelBuilder:
    own = f"{floor(m.SERVICE_LEVEL, window=_WINDOW)} and on (queue, channel, formula) " + floor(
        m.SERVICE_LEVEL_FORMULA
    )
    return tile(
        "Service level of the queue, 60 min",
        "By the formula by which the queue is judged, over the last 60 minutes: what its wall and"
        " its alerts use.",
        Query(own, _FORMULA),
        unit=RATIO,
        no_value="no calls",
        decimals=1,
    )


def _threshold() -> PanelBuilder:
    return tile(
        "Threshold",
        "T: the longest wait that counts as in time, inclusive, for visits that open now.",
        Query(floor(m.SERVICE_LEVEL_THRESHOLD), "threshold"),
        unit=DURATION,
        no_value="no queue",
    )


def _target() -> PanelBuilder:
    return tile(
        "Target",
        "Share of visits that should be answered in time.",
        Query(floor(m.SERVICE_LEVEL_TARGET), "target"),
        unit=RATIO,
        no_value="no queue",
    )


def _bound(metric: m.Metric, title: str, what: str) -> PanelBuilder:
    return tile(
        title,
        f"The strict service level of the last 60 minutes, should everybody who still waits within"
        f" the threshold {what}.",
        Query(floor(metric, window=_WINDOW), "strict"),
        unit=RATIO,
        no_value="no calls",
        decimals=1,
    )


def _side_by_side() -> PanelBuilder:
    return bars(
        "The same hour by every formula",
        "Service level of the last 60 minutes by each formula. Only the queue's own and strict are"
        " there unless export_formulas is all.",
        Query(f"sort_desc({floor(m.SERVICE_LEVEL, window=_WINDOW)})", _FORMULA),
        unit=RATIO,
        largest=1,
        no_value="no calls",
        decimals=1,
    )


def _each() -> PanelBuilder:
    return table(
        "What each formula divides by what",
        "Service level of the last 60 minutes, and the visits that it rests on: the denominator.",
        Column("Service level", floor(m.SERVICE_LEVEL, window=_WINDOW), RATIO, decimals=1),
        Column("Rests on", floor(m.SERVICE_LEVEL_CONTACTS, window=_WINDOW)),
        labels={"formula": "Formula"},
        sort_by="Service level",
        widths_px={"Formula": 720},
        no_value="no calls",
        words={
            "Formula": {
                formula.id: f"{formula.id}: {formula.rule}" for formula in FORMULAS.values()
            }
        },
    )


def _over_time() -> PanelBuilder:
    return lines(
        "Every formula over time",
        "Service level of the 60 minutes before each moment.",
        Query(floor(m.SERVICE_LEVEL, window=_WINDOW), _FORMULA),
        unit=RATIO,
        largest=1,
        no_value="no calls",
    )


def _against_strict() -> PanelBuilder:
    every = floor(m.SERVICE_LEVEL, window=_WINDOW)
    strict = floor(m.SERVICE_LEVEL, window=_WINDOW, formula=DEFAULT_FORMULA)
    return lines(
        "How much kinder than strict",
        "Each formula less strict, at each moment: what a change of formula alone would change.",
        Query(f"{every} - on (queue, channel) group_left () {strict}", _FORMULA),
        unit=RATIO,
        smallest=-1,
        largest=1,
        no_value="no calls",
    )


def _counters() -> PanelBuilder:
    return table(
        "The hour in counts",
        "Visits of the last 60 minutes by outcome, each at its own moment.",
        Column("Visits", floor(m.WINDOW_CONTACTS, window=_WINDOW)),
        labels={"outcome": "Outcome"},
        sort_by="Visits",
        no_value="none",
    )


def _classes() -> PanelBuilder:
    def of(metric: m.Metric) -> str:
        return floor(metric, rate="increase", over="60m")

    return lines(
        "The counters behind them, 60 min",
        "Rise over the 60 minutes before each moment, by class: answered within the threshold and"
        " later; abandoned short, before and after it; service level met and missed. Read from"
        " scrapes, so a visit more or less than the window's own count.",
        Query(of(m.CONTACTS_ANSWERED), "answered, within {{within}}"),
        Query(of(m.CONTACTS_ABANDONED), "abandoned, {{timing}}"),
        Query(of(m.SERVICE_LEVEL_EVENTS), "decided, met {{met}}"),
        unit=COUNT,
        no_value="no calls",
        decimals=0,
    )


def _definitions() -> PanelBuilder:
    rows = [
        f"| `{formula.id}` | {formula.rule} | {formula.moment.value} | {formula.used_by} |"
        for formula in FORMULAS.values()
    ]
    return text(
        "What each one means",
        "The formulas of floorwatch, when each takes its counts, and who reports it so.",
        "\n".join(
            [
                "Nothing to divide by is no number: neither 0 nor 100 %. In time is up to the"
                " threshold, which is inclusive.",
                "",
                "| formula | divides | takes its counts at | as reported by |",
                "|---|---|---|---|",
                *rows,
            ]
        ),
    )
