"""What stands behind the figures of one queue: its waits, its clocks, what changed late, its data.

The page of a queue shows it; nothing here is on the wall.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Final

from streams.core import tally as t
from streams.core.figures import QUANTILES
from streams.core.floor import SILENT_AFTER_MS, Floor, QueueFloor, waiting_drift
from streams.core.formulas import FORMULAS, ratio_of
from streams.core.policy import PolicyBook, VisitPolicy
from streams.core.tally import DEFAULT_EDGES_S, Histogram, Spread, Sums, rounded

CLOCKS: Final = ("asked", "handoff", "assignment")

CORRECTIONS_SHOWN: Final = 100
"""The most frequent corrections; how many there are in all is told too."""


def queue_detail(queue: QueueFloor, floor: Floor, policies: PolicyBook) -> dict[str, Any]:
    """What stands behind the figures of *queue* on *floor*, as JSON."""
    visits = policies.visit(queue.queue, queue.channel, floor.now_ms)
    channels = [other for other in floor.queues.values() if other.queue == queue.queue]
    observed = queue.observed
    corrections = sorted(queue.corrections.items(), key=lambda item: (-item[1], item[0]))
    return {
        "waits": {window: _waits(sums, visits) for window, sums in queue.windows.items()},
        "initial_response": [_clock(name, queue.responses.get(name)) for name in CLOCKS],
        "instant_by_segment": {
            window: _segments(sums, visits) for window, sums in queue.windows.items()
        },
        "corrections": [
            {"from": old, "to": new, "count": count}
            for (old, new), count in corrections[:CORRECTIONS_SHOWN]
        ],
        "corrections_total": sum(queue.corrections.values()),
        "sources": _sources(queue, floor),
        "conservation_violations": queue.violations,
        "waiting_drift": waiting_drift(channels, floor.now_ms),
        "observed_waiting": None if observed is None else observed.waiting,
        "observed_ms": None if observed is None else observed.order.time_ms,
        "last_event_ms": queue.last_event_ms,
    }


def formulas_document() -> list[dict[str, str]]:
    """Every formula with what it means, in their order."""
    return [
        {
            "id": formula.id,
            "rule": formula.rule,
            "used_by": formula.used_by,
            "moment": formula.moment.value,
        }
        for formula in FORMULAS.values()
    ]


def _waits(sums: Sums, visits: VisitPolicy) -> dict[str, Any]:
    """How many waits of one window ended up to each edge, the threshold in force now among them.

    The last number of each list counts those beyond the last edge. Waits are kept on a grid, so
    other edges than the threshold may hold waits that are up to 1 % longer.
    """
    c = sums.counts
    threshold_ms = visits.threshold_ms
    edges_ms = sorted({*(edge * 1000 for edge in DEFAULT_EDGES_S), threshold_ms})
    answered = _binned(sums.waits, edges_ms)
    abandoned = _binned(sums.abandons, edges_ms)
    if sums.thresholds.keys() <= {threshold_ms}:
        at = edges_ms.index(threshold_ms)
        _be_exact(answered, at, c[t.ANSWERED_WITHIN])
        _be_exact(abandoned, at, c[t.ABANDONED_SHORT] + c[t.ABANDONED_BEFORE])
    return {
        "edges_s": [edge / 1000 for edge in edges_ms],
        "answered": answered,
        "abandoned": abandoned,
    }


def _binned(spread: Spread, edges_ms: list[int]) -> list[int]:
    """Counts up to each edge: none that ended at an edge counts beyond it."""
    reached_ms = [rounded(edge_ms) for edge_ms in edges_ms]
    counts = [0] * (len(edges_ms) + 1)
    for duration_ms, count in spread.items():
        counts[bisect_left(reached_ms, duration_ms)] += count
    return counts


def _be_exact(counts: list[int], at: int, within: int) -> None:
    """Let the counts up to the edge *at* add up to *within*; what is over ended just after it."""
    over = sum(counts[: at + 1]) - within
    counts[at] -= over
    counts[at + 1] += over


def _clock(name: str, histogram: Histogram | None) -> dict[str, Any]:
    """One clock of the initial response since the start: quantiles are edges of its histogram."""
    n = 0 if histogram is None else sum(histogram.counts)
    if histogram is None or not n:
        return {"clock": name, "n": 0, "mean_s": None, **dict.fromkeys(_quantile_names())}
    quantiles = {
        f"{quantile}_up_to_s": _edge(histogram, -(-percent * n // 100))
        for quantile, percent in QUANTILES.items()
    }
    return {"clock": name, "n": n, "mean_s": histogram.sum_ms / n / 1000, **quantiles}


def _quantile_names() -> Iterable[str]:
    return (f"{quantile}_up_to_s" for quantile in QUANTILES)


def _edge(histogram: Histogram, rank: int) -> float | None:
    """The edge up to which at least *rank* were counted; None beyond the last."""
    reached = 0
    for edge_ms, count in zip(histogram.edges_ms, histogram.counts, strict=False):
        reached += count
        if reached >= rank:
            return edge_ms / 1000
    return None


def _segments(sums: Sums, visits: VisitPolicy) -> list[dict[str, Any]]:
    """Instant service by customer type; nothing where it is undefined for the channel."""
    if visits.instant_within_ms is None:
        return []
    return [
        {
            "segment": segment,
            "offered": offered,
            "instant": instant,
            "ratio": ratio_of((instant, offered)),
        }
        for segment, (offered, instant) in sorted(sums.segments.items())
    ]


def _sources(queue: QueueFloor, floor: Floor) -> list[dict[str, Any]]:
    """The sources that fed the queue in the last seven days."""
    heard: Mapping[str, int] = floor.sources.last_ms
    return [
        {
            "source": source,
            "fed_ms": fed_ms,
            "heard_ms": heard.get(source),
            "is_stale": source in floor.stale,
        }
        for source, fed_ms in sorted(queue.fed.items())
        if floor.now_ms - fed_ms <= SILENT_AFTER_MS
    ]
