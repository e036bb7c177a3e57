"""The panels that the boards are made of, and what they have in common.

A panel says what its number means and shows words where there is no number. Colours are those of
the wallboard, and none of them is the only sign of anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final, Protocol, Self, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.builders import text as texts
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

GOOD: Final = "#0072B2"
WATCH: Final = "#9C6A00"
TROUBLE: Final = "#B0004E"
PLAIN: Final = "#52565E"

DURATION: Final = "dthms"
RATIO: Final = "percentunit"
COUNT: Final = "short"
SECONDS: Final = "s"

DATASOURCE: Final = kinds.DataSourceRef(type_val="prometheus", uid="${datasource}")

_USUAL_FIELDS: Final = frozenset({"Time", "queue", "channel", "name", "instance"})
"""Fields that tables have whether they show them or not."""

PanelBuilder: TypeAlias = Builder[model.Panel]
Steps: TypeAlias = Sequence[tuple[float | None, str]]
"""Colours by the value from which they hold; the first one from None."""

NEUTRAL: Final[Steps] = ((None, PLAIN),)
CALM: Final[Steps] = ((None, GOOD),)
ANY_IS_TROUBLE: Final[Steps] = ((None, GOOD), (1, TROUBLE))
OVER_IS_TROUBLE: Final = ANY_IS_TROUBLE  # of a share: from 100 % on
ANY_IS_WATCH: Final[Steps] = ((None, GOOD), (1, WATCH))

YES_OR_NO: Final = {"0": "no", "1": "yes"}


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL.
        legend: what each series is called, from its labels.
    """

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of figures in a table.

    Attributes:
        title: its heading.
        expr: PromQL; its series are the rows, joined with those of the other columns by labels.
        unit: of the figures.
        steps: colours of the cells, by value; none without.
        decimals: shown of each figure.
        words: shown in place of values.
    """

    title: str
    expr: str
    unit: str = COUNT
    steps: Steps = ()
    decimals: int | None = None
    words: Mapping[str, str] | None = None


class _Styled(Protocol):
    """What every panel builder of the SDK can be told."""

    def title(self, title: str, /) -> Self: ...
    def description(self, description: str, /) -> Self: ...
    def datasource(self, datasource: kinds.DataSourceRef, /) -> Self: ...
    def unit(self, unit: str, /) -> Self: ...
    def decimals(self, decimals: float, /) -> Self: ...
    def thresholds(self, thresholds: Builder[model.ThresholdsConfig], /) -> Self: ...
    def no_value(self, no_value: str, /) -> Self: ...


P = TypeVar("P", bound=_Styled)


def tile(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = COUNT,
    steps: Steps = NEUTRAL,
    legend_px: int = 0,
    no_value: str = "none",
    decimals: int | None = None,
    words: Mapping[str, str] | None = None,
) -> PanelBuilder:
    """A number on its colour, or one for each series, each with its legend.

    The digits are as large as fits; *legend_px* is the size of the legend, 0 as it fits. *words*
    are shown in place of values.
    """
    panel = (
        _styled(
            stat.Panel(),
            title,
            description,
            unit=unit,
            steps=steps,
            no_value=no_value,
            decimals=decimals,
        )
        .with_target(_instant("A", query))
        .color_mode(kinds.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .text_mode(kinds.BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(_last())
    )
    if legend_px:
        panel = panel.text(_legend(legend_px))
    if words:
        panel = panel.mappings([_words(words)])
    return panel


def tiles_by_state(
    title: str,
    description: str,
    *,
    trouble: Query | None = None,
    watch: Query | None = None,
    good: Query,
    unit: str,
    no_value: str,
    legend_px: int = 0,
    decimals: int | None = None,
) -> PanelBuilder:
    """A tile for each series: those in trouble first, then those to be watched, then the others.

    The digits are as large as fits; *legend_px* is the size of the legends, 0 as it fits.
    """
    panel = (
        _styled(
            stat.Panel(),
            title,
            description,
            unit=unit,
            steps=CALM,
            no_value=no_value,
            decimals=decimals,
        )
        .color_mode(kinds.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .text_mode(kinds.BigValueTextMode.VALUE_AND_NAME)
        .justify_mode(kinds.BigValueJustifyMode.CENTER)
        .wide_layout(False)
        .reduce_options(_last())
    )
    if legend_px:
        panel = panel.text(_legend(legend_px))
    states = [(trouble, TROUBLE), (watch, WATCH), (good, GOOD)]
    shown = [(query, colour) for query, colour in states if query is not None]
    for ref, (query, colour) in zip(ascii_uppercase, shown, strict=False):
        panel = panel.with_target(_instant(ref, query)).override_by_query(
            ref, [_fixed_colour(colour)]
        )
    return panel


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = COUNT,
    no_value: str = "none",
    steps: Steps = (),
    smallest: float = 0,
    largest: float | None = None,
    stacked: bool = False,
    dashed: str = "",
    decimals: int | None = None,
) -> PanelBuilder:
    """Lines over time, from *smallest*; with *steps*, drawn as limits across them.

    Series whose name matches the regular expression *dashed* are limits or bounds.
    """
    panel = (
        _styled(
            timeseries.Panel(),
            title,
            description,
            unit=unit,
            steps=steps or NEUTRAL,
            no_value=no_value,
            decimals=decimals,
        )
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
        .min(smallest)
        .line_width(2)
        .fill_opacity(30 if stacked else 0)
        .show_points(kinds.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull"])
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(kinds.TooltipDisplayMode.MULTI)
            .sort(kinds.SortOrder.DESCENDING)
        )
    )
    for ref, query in zip(ascii_uppercase, queries, strict=False):
        panel = panel.with_target(_range(ref, query))
    if largest is not None:
        panel = panel.max(largest)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))
    if steps:
        panel = panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        )
    if dashed:
        panel = panel.override_by_regexp(
            dashed,
            [
                model.DynamicConfigValue(
                    id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}
                ),
                model.DynamicConfigValue(id_val="custom.lineWidth", value=1),
            ],
        )
    return panel


def bars(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str,
    no_value: str,
    largest: float,
    steps: Steps = CALM,
    decimals: int | None = None,
) -> PanelBuilder:
    """A lying bar for each series, from 0 to *largest*."""
    return (
        _styled(
            bargauge.Panel(),
            title,
            description,
            unit=unit,
            steps=steps,
            no_value=no_value,
            decimals=decimals,
        )
        .with_target(_instant("A", query))
        .min(0)
        .max(largest)
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .value_mode(kinds.BarGaugeValueMode.TEXT)
        .name_placement(kinds.BarGaugeNamePlacement.LEFT)
        .show_unfilled(True)
        .sizing(kinds.BarGaugeSizing.AUTO)
        .reduce_options(_last())
    )


def states(
    title: str, description: str, query: Query, *, words: Mapping[str, str], no_value: str
) -> PanelBuilder:
    """Bands over time: what each series was, in *words* by value."""
    return (
        _styled(
            statetimeline.Panel(), title, description, steps=((None, TROUBLE),), no_value=no_value
        )
        .with_target(_range("A", query))
        .mappings([_words(words)])
        .show_value(kinds.VisibilityMode.AUTO)
        .merge_values(True)
        .line_width(0)
        .fill_opacity(85)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(False)
        )
    )


def table(
    title: str,
    description: str,
    *columns: Column,
    labels: Mapping[str, str],
    sort_by: str,
    no_value: str,
    links: Mapping[str, tuple[str, str]] | None = None,
    words: Mapping[str, Mapping[str, str]] | None = None,
    widths_px: Mapping[str, int] | None = None,
    descending: bool = True,
) -> PanelBuilder:
    """A row for each series, with its *labels* (label to heading) and then the *columns*.

    Args:
        title: of the panel.
        description: what the figures mean.
        columns: the figures.
        labels: the labels that are shown, in this order; others are left out.
        sort_by: the heading by which rows are sorted.
        no_value: what an empty table says.
        links: by heading, the title and the address of the link behind its cells.
        words: by heading, what is shown for a label's value.
        widths_px: by heading, of a label; others as it fits.
        descending: the largest first.
    """
    refs = dict(zip(ascii_uppercase, columns, strict=False))
    panel = _styled(tables.Panel(), title, description, no_value=no_value)
    names = dict(labels)
    for ref, column in refs.items():
        query = _instant(ref, Query(column.expr, "")).format(PromQueryFormat.TABLE)
        panel = panel.with_target(query)
        names["Value" if len(refs) == 1 else f"Value #{ref}"] = column.title
    panel = (
        panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": dict.fromkeys(sorted(_USUAL_FIELDS - names.keys()), True),
                    "indexByName": {name: at for at, name in enumerate(names)},
                    "renameByName": names,
                },
            )
        )
        .show_header(True)
        .cell_options(kinds.TableAutoCellOptions())
        .min_width(64)
        .filterable(True)
        .sort_by([common.TableSortByFieldState().display_name(sort_by).desc(descending)])
    )
    for column in columns:
        panel = panel.override_by_name(column.title, _cells(column))
    for heading in labels.values():
        cells = [_property("noValue", _EMPTY)]
        if words and heading in words:
            cells.append(_property("mappings", [_words(words[heading])]))
        if links and heading in links:
            link, url = links[heading]
            cells.append(_property("links", [{"title": link, "url": url}]))
        if widths_px and heading in widths_px:
            cells.append(_property("custom.width", widths_px[heading]))
        panel = panel.override_by_name(heading, cells)
    return panel


def text(title: str, description: str, markdown: str) -> PanelBuilder:
    """What is said in words."""
    return (
        texts.Panel()
        .title(title)
        .description(description)
        .mode(TextMode.MARKDOWN)
        .content(markdown)
    )


def _styled(
    panel: P,
    title: str,
    description: str,
    *,
    no_value: str,
    unit: str = COUNT,
    steps: Steps = NEUTRAL,
    decimals: int | None = None,
) -> P:
    """*panel* with what every panel has."""
    styled = (
        panel.title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .thresholds(_thresholds(steps))
        .no_value(no_value)
    )
    if decimals is None and unit == RATIO:
        decimals = 0
    return styled if decimals is None else styled.decimals(decimals)


def _instant(ref: str, query: Query) -> prometheus.Dataquery:
    return _query(ref, query).instant()


def _range(ref: str, query: Query) -> prometheus.Dataquery:
    return _query(ref, query).range()


def _query(ref: str, query: Query) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .ref_id(ref)
        .datasource(DATASOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)


def _legend(size_px: int) -> common.VizTextDisplayOptions:
    return common.VizTextDisplayOptions().title_size(size_px)


def _thresholds(steps: Steps) -> build.ThresholdsConfig:
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _fixed_colour(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def _words(words: Mapping[str, str]) -> model.ValueMap:
    return model.ValueMap(
        options={
            value: model.ValueMappingResult(text=text, index=at)
            for at, (value, text) in enumerate(words.items())
        }
    )


_EMPTY: Final = "–"
_NOTHING: Final = model.SpecialValueMap(
    options=model.DashboardSpecialValueMapOptions(
        match=model.SpecialValueMatch.NULL,
        result=model.ValueMappingResult(text=_EMPTY, color="transparent", index=0),
    )
)
"""An empty cell has no colour: it is neither good nor bad."""


def _cells(column: Column) -> list[model.DynamicConfigValue]:
    decimals = 0 if column.unit == RATIO and column.decimals is None else column.decimals
    cells = [_property("unit", column.unit), _property("noValue", _EMPTY)]
    if decimals is not None:
        cells.append(_property("decimals", decimals))
    if column.words:
        cells.append(_property("mappings", [_words(column.words)]))
    elif column.steps:
        cells += [
            _property("mappings", [_NOTHING]),
            _property("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
            _property("thresholds", _thresholds(column.steps).build()),
        ]
    return cells


def _property(id_val: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=id_val, value=value)
