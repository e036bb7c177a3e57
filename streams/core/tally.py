"""What is counted of one (queue, channel): panes of the windows, days, histograms, counters.

All of it is mergeable: sums, counts, buckets. A pane holds what happened in one tick, so that a
window (tick - w, tick] is exactly the sum of its panes. Whole milliseconds throughout.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from operator import add, sub
from typing import Final

# One index per counter of a pane, as literals, which compiled code has without a look-up. The first
# group stands at the arrival of the visit, the second at the moment each thing happened.
OFFERED: Final = 0
SENT_TO_WAIT: Final = 1
INSTANT: Final = 2
COULD_BE_INSTANT: Final = 3
DECIDED_OF_ARRIVED: Final = 4
ANSWERED_WITHIN_OF_ARRIVED: Final = 5
SHORT_OF_ARRIVED: Final = 6
BEFORE_OF_ARRIVED: Final = 7
LEFT_WITHIN_OF_ARRIVED: Final = 8
WITHDRAWN_WITHIN_OF_ARRIVED: Final = 9
ANSWERED_WITHIN: Final = 10
ANSWERED_LATE: Final = 11
ABANDONED_SHORT: Final = 12
ABANDONED_BEFORE: Final = 13
ABANDONED_AFTER: Final = 14
ABANDONED_UP_TO_SHORT: Final = 15
LEFT_WITHIN: Final = 16
LEFT_AFTER: Final = 17
FAILED_WITHIN: Final = 18
FAILED_AFTER: Final = 19
WITHDRAWN_WITHIN: Final = 20
MISSED: Final = 21
EXPIRED: Final = 22
REFUSED: Final = 23
TRANSFERRED: Final = 24
RESPONSES: Final = 25
RESPONSES_WITHIN: Final = 26
ANSWER_WAIT_MS: Final = 27
ABANDON_WAIT_MS: Final = 28
RESPONSE_MS: Final = 29
WIDTH: Final = 30

_TOLD_BY_THRESHOLD: Final = (
    OFFERED,
    MISSED,
    ANSWERED_WITHIN,
    ANSWERED_LATE,
    ABANDONED_SHORT,
    ABANDONED_BEFORE,
    ABANDONED_AFTER,
    LEFT_WITHIN,
    LEFT_AFTER,
    WITHDRAWN_WITHIN,
    EXPIRED,
)

Spread = dict[int, int]
"""How often each (possibly rounded) duration in ms occurred."""


def exact(duration_ms: int) -> int:
    """Durations as they are; quantiles from them are exact."""
    return duration_ms


def _grid() -> tuple[int, ...]:
    """Durations in steps of at most 1 %."""
    edges = [*range(100)]
    while edges[-1] < 40 * 24 * 3_600_000:
        edges.append(edges[-1] + max(1, edges[-1] // 100))
    return tuple(edges)


_GRID: Final = _grid()


def _looked_up(duration_ms: int) -> int:
    at = bisect_left(_GRID, duration_ms)
    return _GRID[at] if at < len(_GRID) else _GRID[-1]


# Most durations are short of these limits, and a look into a table is an eighth of a search.
# Behind the first limit edges are further apart than the second table's steps, so no more than one
# of them lies within a step.
_SHORT_MS: Final = 1 << 14
_STEP: Final = 7
_ROUNDED: Final = [
    0,
    *(edge for below, edge in pairwise(_GRID) if below < _SHORT_MS for _ in range(below, edge)),
][:_SHORT_MS]
_NEXT_EDGE: Final = [bisect_left(_GRID, step << _STEP) for step in range((1 << 20 >> _STEP) + 1)]


def rounded(duration_ms: int) -> int:
    """A duration rounded up on a fixed grid: at most 1 % too long, exact up to 200 ms."""
    if 0 <= duration_ms < _SHORT_MS:
        return _ROUNDED[duration_ms]
    step = duration_ms >> _STEP
    if step >= len(_NEXT_EDGE) or step < 0:
        return _looked_up(duration_ms)
    at = _NEXT_EDGE[step]
    return _GRID[at] if _GRID[at] >= duration_ms else _GRID[at + 1]


Rounding = Callable[[int], int]


class Sums:
    """Counters and spreads of one pane, window or day.

    Attributes:
        counts: one integer per index above.
        waits: durations of the waits that were answered.
        abandons: durations of the waits that were abandoned.
        responses: durations of initial responses.
        thresholds: how many visits were offered under each threshold; only where the policy
            changes over time.
        segments: per customer type, [all offered, instant] at the arrival.
    """

    __slots__ = ("abandons", "counts", "responses", "segments", "thresholds", "waits")

    def __init__(self) -> None:
        self.counts: list[int] = [0] * WIDTH
        self.waits: Spread = {}
        self.abandons: Spread = {}
        self.responses: Spread = {}
        self.thresholds: Spread = {}
        self.segments: dict[str, list[int]] = {}

    def add(self, other: Sums, sign: int = 1) -> None:
        """Add *other*, or with sign -1 take it away again."""
        self.counts[:] = map(add if sign > 0 else sub, self.counts, other.counts)
        for mine, theirs in (
            (self.waits, other.waits),
            (self.abandons, other.abandons),
            (self.responses, other.responses),
            (self.thresholds, other.thresholds),
        ):
            if theirs:
                _add_spread(mine, theirs, sign)
        for segment, (offered, instant) in other.segments.items():
            self.add_segment(segment, sign * offered, sign * instant)

    def add_segment(self, segment: str, offered: int, instant: int) -> None:
        """Add visits of one customer type: all offered, and instant ones."""
        pair = self.segments.get(segment)
        if pair is None:
            self.segments[segment] = [offered, instant]
            return
        pair[0] += offered
        pair[1] += instant
        if not any(pair):
            del self.segments[segment]

    def copy(self) -> Sums:
        """The same, by value."""
        copied = Sums.__new__(Sums)
        copied.counts = self.counts.copy()
        copied.waits = self.waits.copy()
        copied.abandons = self.abandons.copy()
        copied.responses = self.responses.copy()
        copied.thresholds = self.thresholds.copy()
        copied.segments = {name: pair.copy() for name, pair in self.segments.items()}
        return copied

    def tell_thresholds(self, threshold_ms: int) -> None:
        """Have every visit counted here told by its threshold; of the others it is *threshold_ms*.

        Each arrival, miss and outcome of a visit is told.
        """
        told = sum(self.counts[at] for at in _TOLD_BY_THRESHOLD)
        missing = told - sum(self.thresholds.values())
        if missing > 0:
            bump(self.thresholds, threshold_ms, missing)

    def holds_visits(self) -> bool:
        """Whether an arrival, a miss or an outcome of a visit is counted here."""
        return any(self.counts[:REFUSED])

    def is_empty(self) -> bool:
        """Nothing is counted here."""
        return not (any(self.counts) or self.segments)


def _add_spread(mine: Spread, theirs: Spread, sign: int) -> None:
    # As `bump`, without a call for every key: windows and floors add up millions of them.
    for key, count in theirs.items():
        new = mine.get(key, 0) + sign * count
        if new:
            mine[key] = new
        else:
            mine.pop(key, None)


def bump(spread: Spread, key: int, by: int) -> None:
    """Add *by* occurrences; a key without any is removed."""
    count = spread.get(key, 0) + by
    if count:
        spread[key] = count
    else:
        spread.pop(key, None)


class Histogram:
    """A Prometheus histogram of one outcome or clock: counts per edge and a sum, only rising.

    The last count is of durations beyond the last edge. Edges are inclusive upper limits in ms.
    """

    __slots__ = ("counts", "edges_ms", "sum_ms")

    def __init__(self, edges_ms: tuple[int, ...]) -> None:
        self.edges_ms = edges_ms
        self.counts = [0] * (len(edges_ms) + 1)
        self.sum_ms = 0

    def observe(self, duration_ms: int) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.edges_ms, duration_ms)] += 1
        self.sum_ms += duration_ms

    def take(self, edges_ms: Sequence[int], counts: Sequence[int], sum_ms: int) -> None:
        """Become a histogram of other edges as nearly as can be.

        What was counted up to an edge that is no longer there counts up to the next one; an edge
        that was not there has, cumulatively, the count of the next lower one.
        """
        self.sum_ms = sum_ms
        if tuple(edges_ms) == self.edges_ms:
            self.counts = list(counts)
            return
        self.counts = [0] * (len(self.edges_ms) + 1)
        for at, count in enumerate(counts):
            limit = bisect_left(self.edges_ms, edges_ms[at]) if at < len(edges_ms) else -1
            self.counts[limit] += count

    def moved_to(self, edges_ms: tuple[int, ...]) -> Histogram:
        """The same with other edges, as nearly as can be."""
        moved = Histogram(edges_ms)
        moved.take(self.edges_ms, self.counts, self.sum_ms)
        return moved

    def add(self, other: Histogram) -> None:
        """Merge *other*, which has the same edges."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.sum_ms += other.sum_ms


DEFAULT_EDGES_S: Final = (
    1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180, 240, 300, 420, 600, 900,
    1800, 3600, 14_400, 86_400,
)  # fmt: skip


def histogram_edges(thresholds_ms: Iterable[int]) -> tuple[int, ...]:
    """The edge list of all queues: the fixed one and every configured threshold, in ms."""
    return tuple(sorted({*(edge * 1000 for edge in DEFAULT_EDGES_S), *thresholds_ms}))
