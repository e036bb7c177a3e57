"""The Grafana boards as tests read them: their panels, their queries, what Grafana puts in."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import promql_parser as promql

from dashboards.grafana import DEFAULT_NAME, shipped
from tests.support.prometheus import RunningPrometheus

Board = dict[str, Any]
Panel = dict[str, Any]
Labels = dict[str, str]

WITHOUT_QUERIES: Final = frozenset({"row", "text"})

VALUES: Final[dict[str, str]] = {
    "datasource": "prometheus",
    "cluster": "",
    "namespace": "",
    "job": "floorwatch",
    "site": ".*",
    "team": ".*",
    "queue": ".*",
    "channel": ".*",
    "window": "15m",
    "__rate_interval": "15s",
    "__range": "5m",
}
"""What stands for each variable where nobody chose, for a Prometheus that is minutes old."""

OF_ONE_QUEUE: Final = frozenset({"floorwatch-floor-lead", "floorwatch-service-levels"})
"""Boards on which one queue and channel is chosen."""

ONE_QUEUE: Final = tuple(
    {**VALUES, "queue": queue, "channel": channel}
    for queue, channel in (("sales", "voice"), ("webchat", "chat"))
)
"""A queue for calls, and one for what only text has."""

_VARIABLE: Final = re.compile(r"\$\{?(\w+)(?::\w+)?\}?")
_LEGEND_LABEL: Final = re.compile(r"{{\s*(\w+)\s*}}")


class Target(NamedTuple):
    """One query, and where it stands.

    Attributes:
        board: the uid of the board.
        panel: the panel that shows it.
        query: as it is in the JSON.
    """

    board: str
    panel: Panel
    query: dict[str, Any]

    @property
    def where(self) -> str:
        """What a failing test says it is about."""
        return f"{self.board} / {self.panel['title']} / {self.query['refId']}"

    @property
    def expr(self) -> str:
        """Its PromQL with variables."""
        return str(self.query["expr"])

    @property
    def is_range(self) -> bool:
        """Whether it is asked over time."""
        return bool(self.query["range"])

    @property
    def labels_shown(self) -> set[str]:
        """The labels that have to be there for the legend, or the table's columns, to say anything.

        A table's columns are those that it gives a heading.
        """
        if self.query.get("format") == "table":
            organize = self.panel["transformations"][-1]["options"]["renameByName"]
            return {name for name in organize if not name.startswith("Value")}
        return set(_LEGEND_LABEL.findall(self.query["legendFormat"]))


def boards(installation: str = DEFAULT_NAME) -> dict[str, Board]:
    """Every board that is shipped, by its uid, as *installation* has them."""
    return shipped(installation)


def panels(board: Board) -> list[Panel]:
    """The panels of *board* that show something; titled lines are none."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board: Board) -> Iterator[Target]:
    """Every query of *board*."""
    for panel in panels(board):
        for query in panel.get("targets", ()):
            yield Target(board["uid"], panel, query)


def interpolated(text: str, values: Mapping[str, str] = VALUES) -> str:
    """*text* as Grafana sends it, with *values* for its variables.

    Raises:
        KeyError: a variable that no board has.
    """
    return _VARIABLE.sub(lambda match: values[match[1]], text)


class Selector(NamedTuple):
    """One selector in PromQL, and what stands around it, the innermost first."""

    name: str
    matchers: dict[str, str]
    around: tuple[promql.Expr, ...]


def selectors(expr: str) -> list[Selector]:
    """Every selector in *expr*, which is interpolated already.

    Raises:
        ValueError: it is not PromQL.
    """
    return list(_selectors(promql.parse(expr), ()))


def _selectors(node: promql.Expr, around: tuple[promql.Expr, ...]) -> Iterator[Selector]:
    if isinstance(node, promql.VectorSelector):
        matchers = {each.name: each.value for each in node.matchers.matchers}
        yield Selector(node.name or matchers.get("__name__", ""), matchers, around)
        return
    for child in ("expr", "lhs", "rhs", "vector_selector", "args", "param"):
        found = getattr(node, child, None)
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, promql.Expr):
                yield from _selectors(each, (node, *around))


def values_of(uid: str) -> tuple[dict[str, str], ...]:
    """What may be chosen on the board *uid*; the first is what pictures are drawn with."""
    return ONE_QUEUE if uid in OF_ONE_QUEUE else (VALUES,)


def ask(target: Target, prometheus: RunningPrometheus, values: Mapping[str, str]) -> list[Labels]:
    """The labels of each series that *target* finds now.

    Raises:
        Refused: it is no query.
    """
    expr = interpolated(target.expr, values)
    if not target.is_range:
        return [sample.labels for sample in prometheus.query(expr)]
    now_s = time.time()
    found = prometheus.query_range(expr, start_s=now_s - 120, end_s=now_s, step_s=5)
    return [series.labels for series in found]


def complaint(
    target: Target,
    prometheus: RunningPrometheus,
    choices: Iterable[Mapping[str, str]] = (VALUES,),
) -> str:
    """What is wrong with what *target* finds now whatever is chosen; "" when nothing is.

    Of the labels in a legend, each has to be in some series, and every series has to have one.

    Raises:
        Refused: it is no query.
    """
    said = ""
    for values in choices:
        said = _complaint(target, ask(target, prometheus, values))
        if not said:
            break
    return said


def _complaint(target: Target, found: list[Labels]) -> str:
    if not found:
        return f"{target.where}: nothing"
    shown = target.labels_shown
    never = shown - {label for labels in found for label, value in labels.items() if value}
    if never:
        return f"{target.where}: no series has {', '.join(sorted(never))}"
    if shown and not all(any(labels.get(label) for label in shown) for labels in found):
        return f"{target.where}: a series without a name"
    return ""
