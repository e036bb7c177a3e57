"""Panes: what happened in one tick, as flat cells, and the windows that add them up.

There are thousands of panes for each queue, and in most of them a few things happened once. So a
pane is one dict of integers: which thing happened, to how often. What a thing changes of `Sums` is
said once, in `_THINGS`, and looked up when a window or a day adds the pane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from streams.core import tally as t
from streams.core.tally import Sums, bump

Pane = dict[int, int]
"""Cells, each with how often it happened, or for sums of durations with how many ms; never 0.

A cell is the number of a thing below, plus `EACH` times the duration, threshold or segment that it
happened with.
"""

EACH: Final = 64


class _Thing(NamedTuple):
    """What one cell changes.

    Attributes:
        counts: the counters that rise.
        spread: which spread has the cell's duration, one of the four below, or "".
        offered: it is one more of the cell's segment, all offered.
        instant: it is one more of the cell's segment, served at once.
    """

    counts: tuple[int, ...]
    spread: str = ""
    offered: bool = False
    instant: bool = False


# Up to here, `WIDTH` of them, a cell is a counter of `Sums` alone. Literals as there.
WAIT: Final = 30
ABANDON: Final = 31
RESPONSE: Final = 32
THRESHOLD: Final = 33
OFFERED_OF_SEGMENT: Final = 34
INSTANT_OF_SEGMENT: Final = 35
ARRIVED: Final = 36
ARRIVED_SENT_TO_WAIT: Final = 37
ARRIVED_MAYBE_INSTANT: Final = 38
ARRIVED_SENT_TO_WAIT_MAYBE_INSTANT: Final = 39
WITHIN_OF_ARRIVED: Final = 40
WITHIN_OF_ARRIVED_INSTANT: Final = 41
LATE_OF_ARRIVED_INSTANT: Final = 42
ANSWERED_WITHIN: Final = 43
ANSWERED_LATE: Final = 44
ABANDONED_SHORT: Final = 45
ABANDONED_BEFORE: Final = 46
ABANDONED_AFTER: Final = 47
ABANDONED_AFTER_SHORT: Final = 48
RESPONDED_LATE: Final = 49
RESPONDED_WITHIN: Final = 50

_THINGS: Final[tuple[_Thing, ...]] = (
    *(_Thing((counter,)) for counter in range(t.WIDTH)),
    _Thing((), "waits"),
    _Thing((), "abandons"),
    _Thing((), "responses"),
    _Thing((), "thresholds"),
    _Thing((), offered=True),
    _Thing((), instant=True),
    _Thing((t.OFFERED,), offered=True),
    _Thing((t.OFFERED, t.SENT_TO_WAIT), offered=True),
    _Thing((t.OFFERED, t.COULD_BE_INSTANT), offered=True),
    _Thing((t.OFFERED, t.SENT_TO_WAIT, t.COULD_BE_INSTANT), offered=True),
    _Thing((t.ANSWERED_WITHIN_OF_ARRIVED, t.DECIDED_OF_ARRIVED)),
    _Thing((t.ANSWERED_WITHIN_OF_ARRIVED, t.DECIDED_OF_ARRIVED, t.INSTANT), instant=True),
    _Thing((t.INSTANT,), instant=True),
    _Thing((t.ANSWERED_WITHIN,), "waits"),
    _Thing((t.ANSWERED_LATE,), "waits"),
    _Thing((t.ABANDONED_SHORT, t.ABANDONED_UP_TO_SHORT), "abandons"),
    _Thing((t.ABANDONED_BEFORE,), "abandons"),
    _Thing((t.ABANDONED_AFTER,), "abandons"),
    _Thing((t.ABANDONED_AFTER, t.ABANDONED_UP_TO_SHORT), "abandons"),
    _Thing((t.RESPONSES,)),
    _Thing((t.RESPONSES, t.RESPONSES_WITHIN)),
)


def add_cell(sums: Sums, cell: int, times: int, segments: Sequence[str]) -> None:
    """Add what happened *times* times to *sums*; *segments* are by number."""
    counts, spread, offered, instant = _THINGS[cell % EACH]
    for at in counts:
        sums.counts[at] += times
    if spread:
        bump(getattr(sums, spread), cell // EACH, times)
    if offered or instant:
        sums.add_segment(segments[cell // EACH], offered * times, instant * times)


def add_pane(sums: Sums, pane: Pane, segments: Sequence[str], sign: int = 1) -> None:
    """Add *pane* to *sums*, or with sign -1 take it away again."""
    for cell, times in pane.items():
        add_cell(sums, cell, sign * times, segments)


def pane_of_sums(sums: Sums, number_of: Mapping[str, int]) -> Pane:
    """The pane that adds up to *sums*, given the numbers of its segments."""
    pane = {at: count for at, count in enumerate(sums.counts) if count}
    for thing, spread in (
        (WAIT, sums.waits),
        (ABANDON, sums.abandons),
        (RESPONSE, sums.responses),
        (THRESHOLD, sums.thresholds),
    ):
        for value, count in spread.items():
            pane[thing + EACH * value] = count
    for segment, (offered, instant) in sums.segments.items():
        number = EACH * number_of[segment]
        if offered:
            pane[OFFERED_OF_SEGMENT + number] = offered
        if instant:
            pane[INSTANT_OF_SEGMENT + number] = instant
    return pane


class Rolling:
    """The sum of the panes of one rolling window, moved along with the tick."""

    __slots__ = ("at", "sums", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.at = -1
        self.sums = Sums()

    def covers(self, pane: int) -> bool:
        """Whether the sum, as it stands, includes *pane*."""
        return self.at - self.width < pane <= self.at

    def forget_before(self, pane: int) -> None:
        """Begin anew at the next move if panes up to *pane*, soon gone, are in the sum."""
        if pane > self.at - self.width:
            self.at = -1

    def move(self, panes: dict[int, Pane], to: int, segments: Sequence[str]) -> Sums:
        """The sum of panes in (to - width, to]; *segments* are by number."""
        if self.at < 0 or not 0 <= to - self.at < self.width:
            self.sums = Sums()
            for number, pane in panes.items():
                if to - self.width < number <= to:
                    add_pane(self.sums, pane, segments)
        else:
            for number in range(self.at + 1, to + 1):
                entering = panes.get(number)
                if entering is not None:
                    add_pane(self.sums, entering, segments)
                leaving = panes.get(number - self.width)
                if leaving is not None:
                    add_pane(self.sums, leaving, segments, -1)
        self.at = to
        return self.sums
