"""From counters to numbers people read: one entry of a report, the API and the wall.

Whatever divides lives here, so everything before it can be added up. An entry carries what its
numbers rest on: formula, threshold, window, how many, and as of when. Nothing to divide by is None.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any, Final

from streams.core import tally as t
from streams.core.formulas import (
    FORMULAS,
    Classes,
    Fraction,
    Moment,
    ratio_of,
    strict_bounds,
)
from streams.core.tally import Spread, Sums

QUANTILES: Final = {"p50": 50, "p90": 90, "p99": 99}

Entry = dict[str, Any]


@dataclass(slots=True)
class Live:
    """What is true at one instant of a queue: it adds up over partitions and queues.

    Attributes:
        waiting: visits open.
        waiting_past: of them, those past their threshold.
        oldest_ms: opening of the oldest of them.
        awaiting: contacts that await a human reply.
        oldest_awaiting_ms: start of the longest of those.
        agents: agents by state; None while nothing is known.
        is_open: whether the queue is in service; None while nothing is known.
    """

    waiting: int = 0
    waiting_past: int = 0
    oldest_ms: int | None = None
    awaiting: int = 0
    oldest_awaiting_ms: int | None = None
    agents: dict[str, int] | None = field(default=None)
    is_open: bool | None = None

    def add(self, other: Live) -> None:
        """Merge another queue's or partition's; agents and service are not added up."""
        self.waiting += other.waiting
        self.waiting_past += other.waiting_past
        self.oldest_ms = _earlier(self.oldest_ms, other.oldest_ms)
        self.awaiting += other.awaiting
        self.oldest_awaiting_ms = _earlier(self.oldest_awaiting_ms, other.oldest_awaiting_ms)


def _earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def classes_at(sums: Sums, moment: Moment, live: Live) -> Classes:
    """The classes of a window with counters taken at *moment*."""
    c = sums.counts
    if moment is Moment.EVENT:
        return Classes(
            answered_within=c[t.ANSWERED_WITHIN],
            abandoned_short=c[t.ABANDONED_SHORT],
            abandoned_before=c[t.ABANDONED_BEFORE],
            left_within=c[t.LEFT_WITHIN],
            waiting_past=c[t.MISSED],
        )
    if moment is Moment.ARRIVAL:
        return Classes(
            answered_within=c[t.ANSWERED_WITHIN_OF_ARRIVED],
            abandoned_short=c[t.SHORT_OF_ARRIVED],
            abandoned_before=c[t.BEFORE_OF_ARRIVED],
            left_within=c[t.LEFT_WITHIN_OF_ARRIVED],
            waiting_within=undecided(sums),
            offered=all_offered(sums),
            refused=c[t.REFUSED],
        )
    if moment is Moment.LIVE:
        return Classes(live_past=live.waiting_past, live_within=live.waiting - live.waiting_past)
    return Classes(
        answered_within=c[t.ANSWERED_WITHIN],
        answered_late=c[t.ANSWERED_LATE],
        abandoned_short=c[t.ABANDONED_SHORT],
        abandoned_before=c[t.ABANDONED_BEFORE],
        abandoned_after=c[t.ABANDONED_AFTER],
        left_within=c[t.LEFT_WITHIN],
        left_after=c[t.LEFT_AFTER],
        failed_within=c[t.FAILED_WITHIN],
        failed_after=c[t.FAILED_AFTER],
    )


def all_offered(sums: Sums) -> int:
    """Offered, without those withdrawn up to the threshold."""
    return sums.counts[t.OFFERED] - sums.counts[t.WITHDRAWN_WITHIN_OF_ARRIVED]


def undecided(sums: Sums) -> int:
    """Visits that arrived here and have no service-level event yet (w)."""
    return all_offered(sums) - sums.counts[t.DECIDED_OF_ARRIVED]


def abandonment(sums: Sums, *, by_arrival: bool = False) -> Fraction:
    """Abandoned of all who ended their wait, or of all offered where counted by arrival."""
    c = sums.counts
    abandoned = c[t.ABANDONED_SHORT] + c[t.ABANDONED_BEFORE] + c[t.ABANDONED_AFTER]
    if by_arrival:
        return abandoned, all_offered(sums)
    answered = c[t.ANSWERED_WITHIN] + c[t.ANSWERED_LATE]
    left = c[t.LEFT_WITHIN] + c[t.WITHDRAWN_WITHIN] + c[t.LEFT_AFTER]
    return abandoned, answered + abandoned + left


def fractions(sums: Sums, live: Live, formulas: Iterable[str]) -> dict[str, Fraction]:
    """Numerator and denominator of each formula."""
    taken: dict[Moment, Classes] = {}
    result = {}
    for formula_id in formulas:
        formula = FORMULAS[formula_id]
        classes = taken.get(formula.moment)
        if classes is None:
            classes = taken[formula.moment] = classes_at(sums, formula.moment, live)
        result[formula_id] = formula.fraction(classes)
    return result


def spread_of(spread: Spread, total_ms: int) -> dict[str, float | None]:
    """Mean, nearest-rank quantiles and maximum in seconds; None where nothing is counted."""
    # Until its tick has passed, a change told late may have been taken back but not counted yet.
    if spread and min(spread.values()) <= 0:
        spread = {duration_ms: count for duration_ms, count in spread.items() if count > 0}
    if not spread:
        return dict.fromkeys(("mean", *QUANTILES, "max"))
    ordered = sorted(spread)
    reached = list(accumulate(map(spread.__getitem__, ordered)))
    n = reached[-1]
    figures: dict[str, float | None] = {"mean": total_ms / n / 1000}
    for name, percent in QUANTILES.items():
        rank = -(-percent * n // 100)
        figures[name] = ordered[bisect_left(reached, rank)] / 1000
    figures["max"] = ordered[-1] / 1000
    return figures


def counters_of(sums: Sums) -> dict[str, int]:
    """The nested counters of an entry, edges inclusive."""
    c = sums.counts
    abandoned_within = c[t.ABANDONED_SHORT] + c[t.ABANDONED_BEFORE]
    left_within = c[t.LEFT_WITHIN] + c[t.WITHDRAWN_WITHIN]
    return {
        "offered": c[t.OFFERED],
        "answered": c[t.ANSWERED_WITHIN] + c[t.ANSWERED_LATE],
        "answered_within": c[t.ANSWERED_WITHIN],
        "abandoned": abandoned_within + c[t.ABANDONED_AFTER],
        "abandoned_short": c[t.ABANDONED_UP_TO_SHORT],
        "abandoned_within": abandoned_within,
        "left": left_within + c[t.LEFT_AFTER],
        "left_within": left_within,
        "expired": c[t.EXPIRED],
        "refused": c[t.REFUSED],
        "instant": c[t.INSTANT],
        "sent_to_wait": c[t.SENT_TO_WAIT],
        "transferred": c[t.TRANSFERRED],
        "initial_response_events": c[t.RESPONSES],
        "initial_response_within": c[t.RESPONSES_WITHIN],
    }


def ratio_figures(sums: Sums, live: Live, formulas: Iterable[str], *, by_arrival: bool) -> Entry:
    """The ratios of an entry and what each rests on."""
    c = sums.counts
    levels = fractions(sums, live, formulas)
    low, high = strict_bounds(classes_at(sums, Moment.EVENT, live), undecided(sums))
    return {
        "initial_response_within_ratio": ratio_of((c[t.RESPONSES_WITHIN], c[t.RESPONSES])),
        "service_level": {name: ratio_of(level) for name, level in levels.items()},
        "service_level_n": {name: level[1] for name, level in levels.items()},
        "service_level_low": ratio_of(low),
        "service_level_high": ratio_of(high),
        "instant_service_ratio": ratio_of((c[t.INSTANT], c[t.COULD_BE_INSTANT])),
        "abandonment_ratio": ratio_of(abandonment(sums, by_arrival=by_arrival)),
    }


def threshold_figures(thresholds: Collection[int]) -> Entry:
    """The threshold of a window, None where it holds none or several, and whether it is mixed."""
    one = next(iter(thresholds)) / 1000 if len(thresholds) == 1 else None
    return {"threshold_s": one, "mixed": len(thresholds) > 1}


@dataclass(frozen=True, slots=True)
class Counted:
    """The part of an entry that follows from its sums alone, as long as these stay as they are.

    Attributes:
        counters: nested, edges inclusive.
        spreads: of durations, in seconds.
        ratios: and what each rests on; those of formulas that are live only stand at nobody.
        formulas: of which there are ratios.
    """

    counters: Entry
    spreads: Entry
    ratios: Entry
    formulas: tuple[str, ...]


def counted_of(sums: Sums, formulas: Iterable[str], *, by_arrival: bool = False) -> Counted:
    """What *sums* come to."""
    c = sums.counts
    formulas = tuple(formulas)
    return Counted(
        counters_of(sums),
        {
            "wait_s": spread_of(sums.waits, c[t.ANSWER_WAIT_MS]),
            "abandon_wait_s": spread_of(sums.abandons, c[t.ABANDON_WAIT_MS]),
            "initial_response_s": spread_of(sums.responses, c[t.RESPONSE_MS]),
        },
        ratio_figures(sums, Live(), formulas, by_arrival=by_arrival),
        formulas,
    )


def entry_of(
    sums: Sums,
    live: Live,
    head: Mapping[str, Any],
    *,
    as_of_ms: int,
    formulas: Iterable[str],
    by_arrival: bool = False,
) -> Entry:
    """One entry: *head* (when, which window, which queue, which definitions), then its figures."""
    counted = counted_of(sums, formulas, by_arrival=by_arrival)
    return entry_with(counted, live, head, as_of_ms=as_of_ms)


def entry_with(counted: Counted, live: Live, head: Mapping[str, Any], *, as_of_ms: int) -> Entry:
    """The same of what has been worked out before."""
    entry = {
        **head,
        **counted.counters,
        "waiting": live.waiting,
        "waiting_past_threshold": live.waiting_past,
        "awaiting_reply": live.awaiting,
        "agents": live.agents,
        "queue_open": live.is_open,
        **counted.spreads,
        "longest_wait_s": _age_s(as_of_ms, live.oldest_ms),
        "oldest_awaiting_reply_s": _age_s(as_of_ms, live.oldest_awaiting_ms),
        **counted.ratios,
    }
    if live.waiting:
        now = fractions(Sums(), live, _live_only(counted.formulas))
        levels = {name: ratio_of(level) for name, level in now.items()}
        entry["service_level"] = entry["service_level"] | levels
        rests_on = {name: level[1] for name, level in now.items()}
        entry["service_level_n"] = entry["service_level_n"] | rests_on
    return entry


@cache
def _live_only(formulas: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in formulas if FORMULAS[name].moment is Moment.LIVE)


def _age_s(now_ms: int, since_ms: int | None) -> float | None:
    return None if since_ms is None else max(0, now_ms - since_ms) / 1000
