"""Reports over recorded events, with the fold, the tallies and the figures of the live worker.

An interval report takes each contact when it has ended for good, so it knows the whole input and
holds only contacts that are still open and the rows. A tick report plays the events in the order
in which they happened and looks at the windows at every tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from heapq import heappop, heappush, merge
from itertools import repeat
from typing import Any, Final, NamedTuple

from schemas.events import Event
from schemas.instants import write_instant
from streams.core.calendar import DAY, day_of, hour_of, last_tick, pane_of
from streams.core.contact import (
    ABANDONED,
    ANSWERED,
    EXPIRED,
    NEVER,
    OPEN,
    UNKNOWN,
    Life,
    Limits,
    Visit,
)
from streams.core.figures import Entry, Live, entry_of, threshold_figures
from streams.core.formulas import FORMULA_IDS
from streams.core.panes import add_cell
from streams.core.partition import FUTURE_MS, Partition
from streams.core.policy import PolicyBook
from streams.core.queue_tally import QueueTally
from streams.core.tally import Sums, exact

ALL: Final = "*"
_ADVANCE_EVERY_MS: Final = 60_000
GROUPINGS: Final = ("queue", "channel", "segment", "hour", "day")


class Timed(NamedTuple):
    """An event, when it happened and when it arrived, in ms."""

    event: Event
    time_ms: int
    arrival_ms: int


class Span(NamedTuple):
    """What is shown of a report, [from_ms, to_ms); what lies outside is known all the same."""

    from_ms: int = -NEVER
    to_ms: int = NEVER

    def holds(self, time_ms: int) -> bool:
        """Whether *time_ms* lies in it."""
        return self.from_ms <= time_ms < self.to_ms


WHOLE: Final = Span()


class Group(NamedTuple):
    """One row of an interval report; a part that is not asked for is `*`, a start is None."""

    start_ms: int | None
    queue: str
    channel: str
    segment: str


@dataclass(slots=True)
class Bucket:
    """What one row adds up."""

    sums: Sums = field(default_factory=Sums)
    live: Live = field(default_factory=Live)
    thresholds: set[int] = field(default_factory=set)


class _GroupTally(QueueTally):
    """Counts into the buckets of a report instead of panes."""

    __slots__ = ("buckets_at", "segment")

    buckets_at: Callable[[_GroupTally, int], tuple[Sums, ...]]
    segment: str

    def _count(self, time_ms: int, cell: int, times: int) -> None:
        for sums in self.buckets_at(self, time_ms):
            add_cell(sums, cell, times, self._segment_names)


class IntervalReport:
    """Counts of the whole input, as one interval or by local hour or day.

    Every count stands at its own moment, or with *by_arrival* at the arrival of its visit, so that
    a row says what became of those who came in it. Intervals are [start, end). Of a *span* only the
    counts that stand in it are shown: the contacts are the same.
    """

    def __init__(
        self,
        policies: PolicyBook,
        *,
        zone: tzinfo,
        by: Sequence[str] = ("queue",),
        by_arrival: bool = True,
        span: Span = WHOLE,
        limits: Limits | None = None,
        on_visit: Callable[[Life, Visit], None] | None = None,
    ) -> None:
        self._policies = policies
        self._zone = zone
        self._by = frozenset(by)
        self._by_arrival = by_arrival
        self._span = span
        self._limits = limits
        self._on_visit = on_visit
        self._parts: dict[object, Partition] = {}
        self._tallies: dict[tuple[str, str], _GroupTally] = {}
        self._buckets: dict[Group, Bucket] = {}
        self._advanced_ms: dict[object, int] = {}
        self._latest_ms = 0
        self._first_ms = NEVER

    def accept(self, event: Event, time_ms: int, record_ms: int, part: object = None) -> bool:
        """Take one event of *part*, some files or a partition; False if it lies in the future."""
        partition = self._parts.get(part)
        if partition is None:
            partition = self._parts[part] = Partition(
                self._policies,
                limits=self._limits,
                windows={},
                rounding=exact,
                max_tallies=100_000,
                on_forget=self._finish,
            )
        late = partition.late
        taken = partition.accept(event, time_ms, record_ms)
        if taken and partition.late == late:
            self._latest_ms = max(self._latest_ms, time_ms)
            self._first_ms = min(self._first_ms, time_ms)
        due_ms = self._advanced_ms.get(part, 0) + _ADVANCE_EVERY_MS
        if partition.arrival_ms >= due_ms:
            self._advanced_ms[part] = partition.arrival_ms
            partition.advance(partition.arrival_ms)
        return taken

    @property
    def partitions(self) -> Iterable[Partition]:
        """The partitions taken from, for what they counted beside the rows."""
        return self._parts.values()

    def rows(self) -> Iterator[Entry]:
        """Close the report and give its rows; call it once."""
        for partition in self._parts.values():
            partition.advance(self._latest_ms)
            for newest in partition.lives.values():
                life: Life | None = newest
                while life is not None:
                    self._finish(life)
                    life = life.earlier
        for group in sorted(self._buckets, key=lambda g: (g.start_ms or 0, g.queue == ALL, *g[1:])):
            bucket = self._buckets[group]
            if not bucket.sums.is_empty() or bucket.live.waiting or bucket.live.awaiting:
                yield self._row(group, bucket)

    def _row(self, group: Group, bucket: Bucket) -> Entry:
        first_ms = max(self._first_ms, self._span.from_ms)
        head = {
            "at": write_instant(group.start_ms or first_ms, self._zone),
            "interval": next((by for by in ("hour", DAY) if by in self._by), "all"),
            "as_of": write_instant(self._latest_ms, self._zone),
            "queue": group.queue,
            "channel": group.channel,
            **({"segment": group.segment} if "segment" in self._by else {}),
            **threshold_figures(bucket.thresholds),
            "formula": self._formula(group),
        }
        return entry_of(
            bucket.sums,
            bucket.live,
            head,
            as_of_ms=self._latest_ms,
            formulas=FORMULA_IDS,
            by_arrival=self._by_arrival,
        )

    def _formula(self, group: Group) -> str:
        return self._policies.queue(group.queue, group.channel, self._latest_ms).formula

    def _finish(self, life: Life) -> None:
        """Count a contact that has ended for good, or stands as it does at the end of the input."""
        segment = life.segment or UNKNOWN
        for visit in life.visits:
            tally = self._tally(visit.queue, life.channel, segment)
            tally.apply_opened(visit, 1)
            if visit.missed:
                tally.apply_missed(visit, 1)
            if visit.outcome:
                tally.apply_closed(visit, 1)
            waits = Live(1, int(visit.missed), visit.opened_ms) if not visit.outcome else None
            for bucket in self._buckets_of(tally, visit.opened_ms):
                bucket.thresholds.add(visit.policy.threshold_ms)
                if waits is not None:
                    bucket.live.add(waits)
            if self._on_visit is not None and self._span.holds(visit.opened_ms):
                self._on_visit(life, visit)
        self._finish_contact(life, segment)

    def _finish_contact(self, life: Life, segment: str) -> None:
        for note in life.notes:
            self._tally(note.queue, life.channel, segment).apply_note(note, 1)
        if life.response is not None:
            tally = self._tally(life.response.queue, life.channel, segment)
            tally.apply_response(life.response, 1)
        if life.reply is not None:
            tally = self._tally(life.reply.queue, life.channel, segment)
            tally.apply_reply(life.reply, 1)
        if life.awaits_from_ms >= 0:
            tally = self._tally(life.queue or UNKNOWN, life.channel, segment)
            awaits = Live(awaiting=1, oldest_awaiting_ms=life.awaits_from_ms)
            for bucket in self._buckets_of(tally, life.asked_ms):
                bucket.live.add(awaits)

    def _tally(self, queue: str, channel: str, segment: str) -> _GroupTally:
        tally = self._tallies.get((queue, channel))
        if tally is None:
            tally = self._tallies[queue, channel] = _GroupTally(
                queue,
                channel,
                zone=self._zone,
                every_ms=1_000,
                windows={},
                rounding=exact,
                edges_ms=(),
                dated=False,
                by_arrival=self._by_arrival,
            )
            tally.buckets_at = self._sums_at
        tally.segment = segment
        return tally

    def _sums_at(self, tally: _GroupTally, time_ms: int) -> tuple[Sums, ...]:
        return tuple(bucket.sums for bucket in self._buckets_of(tally, time_ms))

    def _buckets_of(self, tally: _GroupTally, time_ms: int) -> list[Bucket]:
        if not self._span.holds(time_ms):
            return []
        start_ms: int | None = None
        if "hour" in self._by:
            start_ms = hour_of(time_ms, self._zone)
        elif DAY in self._by:
            start_ms = day_of(time_ms, self._zone).start_ms
        channel = tally.channel if "channel" in self._by else ALL
        segment = tally.segment if "segment" in self._by else ALL
        queues = (tally.queue, ALL) if "queue" in self._by else (ALL,)
        found = []
        for queue in queues:
            group = Group(start_ms, queue, channel, segment)
            bucket = self._buckets.get(group)
            if bucket is None:
                bucket = self._buckets[group] = Bucket()
            found.append(bucket)
        return found


def in_event_order(records: Iterable[Timed], lateness_ms: int) -> Iterator[Timed]:
    """*records* in the order in which they happened, late and future ones left out.

    Holds what arrived within the allowed lateness, no more.
    """
    waiting: list[tuple[int, int, Timed]] = []
    for number, record in enumerate(records):
        oldest_ms = record.arrival_ms - lateness_ms
        if record.time_ms >= oldest_ms and record.time_ms - record.arrival_ms <= FUTURE_MS:
            heappush(waiting, (record.time_ms, number, record))
        while waiting and waiting[0][0] < oldest_ms:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]


class TickReport:
    """Rolling windows and days as they stood at every tick; a row knows events up to its tick.

    Of a *span* only the ticks in it are shown.
    """

    def __init__(
        self,
        policies: PolicyBook,
        *,
        zone: tzinfo,
        every_ms: int,
        windows: Mapping[str, int],
        days: bool,
        by: Sequence[str] = ("queue",),
        by_arrival: bool = False,
        span: Span = WHOLE,
        tick_ms: int = 5_000,
        limits: Limits | None = None,
    ) -> None:
        self._policies = policies
        self._zone = zone
        self._every_ms = every_ms
        self._windows = windows
        self._by = frozenset(by)
        self._by_arrival = by_arrival
        self._span = span
        self._tick_ms = tick_ms
        self._names = (*windows, *((DAY,) if days else ()))
        self._limits = limits or Limits()
        self._partitions: list[Partition] = []

    def rows(self, *parts: Iterable[Timed]) -> Iterator[Entry]:
        """The rows of every tick from the first event to the tick that knows the last one.

        Each of *parts*, some files or a partition, is folded by itself, as a worker does it: what
        is late is so by its own arrival. They are read in step, so that no more is held of each
        than may still be overtaken there.
        """
        self._partitions = [self._partition() for _ in parts]
        ordered = (in_event_order(part, self._limits.lateness_ms) for part in parts)
        happening = merge(*map(zip, ordered, map(repeat, self._partitions)), key=_moment)
        at_ms: int | None = None
        last_ms = 0
        for (event, time_ms, _), partition in happening:
            if at_ms is None:
                at_ms = -(-time_ms // self._every_ms) * self._every_ms
            while at_ms < time_ms:
                yield from self._at(at_ms)
                at_ms += self._every_ms
            if at_ms >= self._span.to_ms:
                return
            partition.accept(event, time_ms, time_ms)
            last_ms = time_ms
        while at_ms is not None and at_ms < last_ms + self._every_ms:
            yield from self._at(at_ms)
            at_ms += self._every_ms

    def _partition(self) -> Partition:
        return Partition(
            self._policies,
            limits=self._limits,
            every_ms=self._tick_ms,
            windows=self._windows,
            rounding=exact,
            max_tallies=100_000,
            by_arrival=self._by_arrival,
        )

    def _at(self, at_ms: int) -> Iterator[Entry]:
        for partition in self._partitions:
            partition.advance(at_ms)
        if not self._span.holds(at_ms):
            return
        tick_ms = last_tick(at_ms, self._tick_ms)
        groups: dict[tuple[str, str], list[QueueTally]] = {}
        for partition in self._partitions:
            for (queue, channel), tally in partition.tallies.items():
                named = channel if "channel" in self._by else ALL
                for name in (queue, ALL) if "queue" in self._by else (ALL,):
                    groups.setdefault((name, named), []).append(tally)
        for window in self._names:
            for (queue, channel), tallies in sorted(
                groups.items(), key=lambda item: (item[0][0] == ALL, item[0])
            ):
                yield self._row(at_ms, tick_ms, window, queue, channel, tallies)

    def _row(
        self,
        at_ms: int,
        tick_ms: int,
        window: str,
        queue: str,
        channel: str,
        tallies: Sequence[QueueTally],
    ) -> Entry:
        sums, live = Sums(), Live()
        pane = pane_of(tick_ms, self._tick_ms)
        thresholds: set[int] = set()
        for tally in tallies:
            part = tally.day(tick_ms) if window == DAY else tally.window(window, pane)
            sums.add(part)
            live.add(tally.live())
            if part.holds_visits():
                policy = self._policies.visit(tally.queue, tally.channel, tick_ms)
                thresholds |= part.thresholds.keys() or {policy.threshold_ms}
        head = {
            "at": write_instant(at_ms, self._zone),
            "window": window,
            "as_of": write_instant(tick_ms, self._zone),
            "queue": queue,
            "channel": channel,
            **threshold_figures(thresholds),
            "formula": self._policies.queue(queue, channel, tick_ms).formula,
        }
        return entry_of(
            sums,
            live,
            head,
            as_of_ms=tick_ms,
            formulas=FORMULA_IDS,
            by_arrival=self._by_arrival,
        )


def _moment(happening: tuple[Timed, Partition]) -> int:
    return happening[0].time_ms


def visit_line(life: Life, visit: Visit, zone: tzinfo) -> dict[str, Any]:
    """One visit with its class and the rule that decided; it names no contact."""
    policy = visit.policy
    decided = f"T={policy.threshold_ms / 1000:g}s at the opening"
    rule = f"wait {'<=' if visit.in_time else '>'} T, {decided}"
    if visit.outcome == OPEN:
        outcome, rule = "waiting", "no outcome yet"
    elif visit.outcome == EXPIRED:
        outcome, rule = "expired", f"open for {policy.expires_after_ms / 1000:g}s"
    elif visit.outcome == ANSWERED:
        outcome = "answered"
    elif visit.outcome == ABANDONED:
        outcome = "abandoned"
        if visit.wait_ms <= min(policy.short_abandon_ms, policy.threshold_ms):
            rule = f"wait <= S={policy.short_abandon_ms / 1000:g}s, {decided}"
    else:
        outcome = f"left:{visit.reason}"
    wait_ms = None if visit.outcome in (OPEN, EXPIRED) else visit.wait_ms
    return {
        "opened": write_instant(visit.opened_ms, zone),
        "queue": visit.queue,
        "channel": life.channel,
        "segment": visit.segment,
        "direct": visit.direct,
        "wait_s": None if wait_ms is None else wait_ms / 1000,
        "threshold_s": policy.threshold_ms / 1000,
        "outcome": outcome,
        "within": None if wait_ms is None else visit.in_time,
        "missed": visit.missed,
        "rule": rule,
    }
