"""The Prometheus text format 0.0.4, written from strings made once.

All of a series but its value is made when the series is first shown: names, escaped labels, edges.
After that a page is values put between known strings.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Final

from prometheus_client.utils import floatToGoString

from schemas.metric_names import Metric
from streams.core.tally import Histogram

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

EXPORTED_EDGES_S: Final = (5, 10, 20, 30, 60, 120, 300, 900, 3600, 86_400)
"""The edges that are exported beside the configured thresholds.

Fewer than are counted: every edge is a series of every histogram of every queue and channel, and
200 series are all that these may have. Exact percentiles of the windows stand beside them.
"""

Number = int | float
Labelled = (
    Mapping[str, Number] | Mapping[tuple[str, str], Number] | Mapping[tuple[str, int], Number]
)
"""Values by that of their one label, or by those of their two."""


def head(metric: Metric) -> str:
    """The two lines that introduce *metric*."""
    kind = "gauge" if metric.kind == "info" else metric.kind
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {kind}\n"


def series(metric: Metric, *values: str) -> str:
    """All that stands before the value of one series; *values* are those of its labels."""
    return _series(metric.name, zip(metric.labels, values, strict=True))


def line(prefix: str, value: Number | None) -> str:
    """One sample; nothing where the value is undefined."""
    return "" if value is None else f"{prefix}{value!r}\n"


def samples(metric: Metric, values: Labelled) -> str:
    """All samples of *metric*."""
    lines = []
    for key, value in values.items():
        labels = (key,) if isinstance(key, str) else map(str, key)
        lines.append(line(series(metric, *labels), value))
    return "".join(lines)


def seconds(duration_ms: int) -> Number:
    """Milliseconds as seconds, a whole number where they are one."""
    return duration_ms / 1000 if duration_ms % 1000 else duration_ms // 1000


def exported_edges(thresholds_ms: Iterable[int]) -> tuple[int, ...]:
    """The edges of every exported histogram, in ms: the fixed ones and every threshold."""
    return tuple(sorted({*(edge * 1000 for edge in EXPORTED_EDGES_S), *thresholds_ms}))


class HistogramText:
    """One histogram with its labels and edges, waiting for its counts."""

    __slots__ = ("_edges_ms", "_template")

    def __init__(self, metric: Metric, edges_ms: tuple[int, ...], *values: str) -> None:
        labels = tuple(zip(metric.labels, values, strict=True))
        buckets = [*map(_edge, edges_ms), "+Inf"]
        prefixes = [
            *(_series(f"{metric.name}_bucket", (*labels, ("le", edge))) for edge in buckets),
            _series(f"{metric.name}_sum", labels),
            _series(f"{metric.name}_count", labels),
        ]
        self._edges_ms = edges_ms
        self._template = "".join([prefix.replace("%", "%%") + "%r\n" for prefix in prefixes])

    def write(self, histogram: Histogram | None) -> str:
        """All its samples; every count is 0 without a *histogram*.

        An edge that is not counted has the count of the next lower one.
        """
        if histogram is None:
            return self._template % ((0,) * (len(self._edges_ms) + 3))
        reached = [0, *accumulate(histogram.counts)]
        total = reached[-1]
        counts = [reached[at] for at in _places(self._edges_ms, histogram.edges_ms)]
        return self._template % (*counts, total, seconds(histogram.sum_ms), total)


def _edge(edge_ms: int) -> str:
    return str(floatToGoString(edge_ms / 1000))  # type: ignore[no-untyped-call] # has no types


def _series(name: str, labels: Iterable[tuple[str, str]]) -> str:
    written = ",".join([f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels])
    return f"{name}{{{written}}} " if written else f"{name} "


@lru_cache(maxsize=16)
def _places(exported_ms: tuple[int, ...], counted_ms: tuple[int, ...]) -> tuple[int, ...]:
    """How many of the counted edges are at most each exported one."""
    return tuple([bisect_right(counted_ms, edge_ms) for edge_ms in exported_ms])
