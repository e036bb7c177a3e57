"""What one partition says at one second: a value that can be sent, kept and added to others.

Frames are not changed once they are made. What did not change since the frame before is the same
object in both, so that whoever sends or adds frames sees at a glance what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import Final, NamedTuple

from streams.core.calendar import DAY, ROLLING_WINDOWS, last_tick, pane_of
from streams.core.figures import Live
from streams.core.partition import Partition
from streams.core.queue_tally import QueueTally
from streams.core.staffing import Door, Observation, Staffing
from streams.core.tally import Histogram, Sums

WINDOWS: Final = (*ROLLING_WINDOWS, DAY)

RESTORED: Final = "restored"
"""Stands in corrections for what a new owner of a partition counts no more."""

Key = tuple[str, str]
"""A queue and a channel."""

_ENDED: Final = ("answered:", "abandoned:", "left:", "expired")


class Totals(NamedTuple):
    """What only rises of one (queue, channel).

    Attributes:
        counters: by name, as `QueueTally` has them.
        corrections: by (from, to).
        waits: histograms by outcome.
        responses: histograms by clock.
        fed: when each source last opened a visit here.
        thresholds: of all visits so far, in ms; only where the policy changes over time.
        last_event_ms: the newest event.
    """

    counters: Mapping[str, int]
    corrections: Mapping[tuple[str, str], int]
    waits: Mapping[str, Histogram]
    responses: Mapping[str, Histogram]
    fed: Mapping[str, int]
    thresholds: frozenset[int]
    last_event_ms: int


class QueueFrame(NamedTuple):
    """One (queue, channel) of a partition.

    Attributes:
        totals: at the frame's own instant.
        windows: sums of each window, at the frame's tick.
        live: what is true at the frame's own instant; agents and service apart.
        balance: visits offered less all that ended and those who wait; not 0 where one was lost.
    """

    totals: Totals
    windows: Mapping[str, Sums]
    live: Live
    balance: int


class Staffed(NamedTuple):
    """What a partition knows of a queue in all its channels.

    Attributes:
        agents: by state; None where none is known.
        changed_ms: when one of them last changed.
        door: in or out of service; None while nothing is known.
        observed: the source's own count of those waiting.
    """

    agents: Mapping[str, int] | None
    changed_ms: int
    door: Door | None
    observed: Observation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One partition at one second.

    Attributes:
        serial: its number among the frames of its owner, rising.
        second_ms: the second it is for, on the floor's clock.
        now_ms: the instant the partition stands at; earlier than the second while it has not been
            read to its end.
        tick_ms: the tick its windows stand at.
        arrival_ms: the highest record timestamp so far.
        catching_up: it is behind; instant and tick are those of its last record.
        is_new: it has not been read to its end since it was assigned, so whose contacts it holds
            is not known yet.
        next_offset: the first record of its source that is not in it.
        queues: by (queue, channel).
        staffed: by queue.
        heard_ms: time of the newest event of each source.
        beating: sources that have ever sent `source.alive`.
        log: in which *next_offset* lies; empty where nobody knows.
        missing: records between these two instants were gone before they were read, so nobody knows
            what was in them; None if there are none. The second is far off while the gap is open.
    """

    serial: int
    second_ms: int
    now_ms: int
    tick_ms: int
    arrival_ms: int
    catching_up: bool
    is_new: bool
    next_offset: int
    queues: Mapping[Key, QueueFrame]
    staffed: Mapping[str, Staffed]
    heard_ms: Mapping[str, int]
    beating: frozenset[str]
    log: str = ""
    missing: tuple[int, int] | None = None


class Framer:
    """Makes the frames of one partition, and keeps its totals from falling below an owner's before.

    Args:
        partition: whose frames they are.
        every_ms: its tick.
        last: the last frame of the owner before, None where there was none. The first frame made
            here has to be of an offset not below its own. Where its totals are lower, because the
            same records took another way to the same figures or some are gone, they are raised by
            the difference from then on, and so are corrections, which keeps net figures.
    """

    def __init__(
        self, partition: Partition, *, every_ms: int = 5_000, last: Frame | None = None
    ) -> None:
        self._partition = partition
        self._every_ms = every_ms
        self._last = last
        self._serial = 0
        self._lifts: dict[Key, Totals] = {}
        self._made: dict[Key, _Made] = {}
        self._staffed: dict[str, Staffed] = {}

    def frame(
        self,
        second_ms: int,
        *,
        catching_up: bool = False,
        is_new: bool = False,
        next_offset: int = 0,
        log: str = "",
        missing: tuple[int, int] | None = None,
    ) -> Frame:
        """The partition as it stands, for *second_ms*.

        Windows stand at the tick of that second, or of the partition's own instant where it is
        *catching_up*.
        """
        partition = self._partition
        tick_ms = last_tick(partition.now_ms if catching_up else second_ms, self._every_ms)
        if self._last is not None:
            self._lifts = _lifts(self._last, partition.tallies)
            self._last = None
        made = {key: self._make(key, tally, tick_ms) for key, tally in partition.tallies.items()}
        queues = {key: each.frame for key, each in made.items()}
        for key in self._lifts.keys() - queues.keys():
            queues[key] = QueueFrame(self._lifts[key], NO_WINDOWS, Live(), 0)
        self._made = made
        self._staffed = _staffed(partition.staffing, self._staffed)
        self._serial += 1
        return Frame(
            serial=self._serial,
            second_ms=second_ms,
            now_ms=partition.now_ms,
            tick_ms=tick_ms,
            arrival_ms=partition.arrival_ms,
            catching_up=catching_up,
            is_new=is_new,
            next_offset=next_offset,
            queues=queues,
            staffed=self._staffed,
            heard_ms=dict(partition.sources.last_ms),
            beating=frozenset(partition.sources.beating),
            log=log,
            missing=missing,
        )

    def _make(self, key: Key, tally: QueueTally, tick_ms: int) -> _Made:
        known = self._made.get(key, _NOTHING)
        before = known.frame
        windows = before.windows
        if (known.tick_ms, known.revision) != (tick_ms, tally.revision):
            windows = _windows_of(tally, tick_ms, self._every_ms, windows)
        own, totals = known.own, before.totals
        if not _is_as_counted(own, tally):
            own = totals = _totals_of(tally, own)
            lift = self._lifts.get(key)
            if lift is not None:
                totals = total_of((own, lift))
        live = tally.live()
        if own is known.own and live == before.live:
            balance = before.balance
            live = before.live
        else:
            balance = _balance(own, live)
        frame = QueueFrame(totals, windows, live, balance)
        if totals is before.totals and windows is before.windows and live is before.live:
            frame = before
        return _Made(tick_ms, tally.revision, own, frame)


class _Made(NamedTuple):
    """A queue's frame and what it was made from."""

    tick_ms: int
    revision: int
    own: Totals
    frame: QueueFrame


_NO_TOTALS: Final = Totals({}, {}, {}, {}, {}, frozenset(), 0)
NO_WINDOWS: Final = {name: Sums() for name in WINDOWS}
_NOTHING: Final = _Made(-1, -1, _NO_TOTALS, QueueFrame(_NO_TOTALS, {}, Live(), 0))


def total_of(parts: Sequence[Totals]) -> Totals:
    """The totals of several partitions together; *parts* are not empty."""
    if len(parts) == 1:
        return parts[0]
    counters: dict[str, int] = {}
    corrections: dict[tuple[str, str], int] = {}
    fed: dict[str, int] = {}
    for part in parts:
        for name, count in part.counters.items():
            counters[name] = counters.get(name, 0) + count
        for pair, count in part.corrections.items():
            corrections[pair] = corrections.get(pair, 0) + count
        for source, time_ms in part.fed.items():
            fed[source] = max(fed.get(source, 0), time_ms)
    return Totals(
        counters,
        corrections,
        _add_histograms([part.waits for part in parts]),
        _add_histograms([part.responses for part in parts]),
        fed,
        frozenset().union(*(part.thresholds for part in parts)),
        max(part.last_event_ms for part in parts),
    )


def sum_of(parts: Sequence[Sums]) -> Sums:
    """The sums of several partitions together; *parts* are not empty."""
    if len(parts) == 1:
        return parts[0]
    total = parts[0].copy()
    for part in parts[1:]:
        total.add(part)
    return total


def net_of(
    counters: Mapping[str, int], corrections: Mapping[tuple[str, str], int]
) -> dict[str, int]:
    """Totals less what corrections took out of them."""
    net = dict(counters)
    for (old, _), count in corrections.items():
        net[old] = net.get(old, 0) - count
    return net


def _balance(own: Totals, live: Live) -> int:
    counters = own.counters
    ended = sum([count for name, count in counters.items() if name.startswith(_ENDED)])
    offered = counters.get("offered", 0)
    for (old, _), count in own.corrections.items():
        if old == "offered":
            offered -= count
        elif old.startswith(_ENDED):
            ended -= count
    return offered - ended - live.waiting


def _totals_of(tally: QueueTally, known: Totals = _NO_TOTALS) -> Totals:
    """What *tally* has counted; of the histograms *known* ones where they are the same."""
    return Totals(
        dict(tally.counters),
        dict(tally.corrections),
        _copied(tally.waits, known.waits),
        _copied(tally.responses, known.responses),
        dict(tally.fed),
        frozenset(tally.thresholds),
        tally.last_event_ms,
    )


def _is_as_counted(own: Totals, tally: QueueTally) -> bool:
    """Whether *own* is still what *tally* has counted."""
    return (
        own.last_event_ms == tally.last_event_ms
        and own.counters == tally.counters
        and own.corrections == tally.corrections
        and own.fed == tally.fed
        and own.thresholds == tally.thresholds
        and _are_same(own.waits, tally.waits)
        and _are_same(own.responses, tally.responses)
    )


def _windows_of(
    tally: QueueTally, tick_ms: int, every_ms: int, known: Mapping[str, Sums]
) -> Mapping[str, Sums]:
    """The windows of *tally* at *tick_ms*; *known* ones where they are the same."""
    pane = pane_of(tick_ms, every_ms)
    found = {name: tally.window(name, pane) for name in ROLLING_WINDOWS}
    found[DAY] = tally.day(tick_ms)
    windows = {}
    for name, sums in found.items():
        before = known.get(name)
        windows[name] = before if before and _is_same(before, sums) else sums.copy()
    is_known = len(known) == len(windows) and all(
        windows[name] is sums for name, sums in known.items()
    )
    return known if is_known else windows


def _is_same(one: Sums, other: Sums) -> bool:
    """Whether both hold the same."""
    return (
        one.counts == other.counts
        and one.waits == other.waits
        and one.abandons == other.abandons
        and one.responses == other.responses
        and one.thresholds == other.thresholds
        and one.segments == other.segments
    )


def _copied(
    histograms: Mapping[str, Histogram], known: Mapping[str, Histogram]
) -> dict[str, Histogram]:
    copies = {}
    for name, histogram in histograms.items():
        before = known.get(name)
        if (
            before is not None
            and before.sum_ms == histogram.sum_ms
            and before.counts == histogram.counts
            and before.edges_ms == histogram.edges_ms
        ):
            copies[name] = before
        else:
            copies[name] = copy = Histogram(histogram.edges_ms)
            copy.counts = histogram.counts.copy()
            copy.sum_ms = histogram.sum_ms
    return copies


def _are_same(mine: Mapping[str, Histogram], theirs: Mapping[str, Histogram]) -> bool:
    if mine.keys() != theirs.keys():
        return False
    for name, histogram in mine.items():
        other = theirs[name]
        if histogram.sum_ms != other.sum_ms or histogram.counts != other.counts:
            return False
        if histogram.edges_ms != other.edges_ms:
            return False
    return True


def _add_histograms(parts: Sequence[Mapping[str, Histogram]]) -> dict[str, Histogram]:
    by_name: dict[str, list[Histogram]] = {}
    for part in parts:
        for name, histogram in part.items():
            by_name.setdefault(name, []).append(histogram)
    return {name: _add_up(histograms) for name, histograms in by_name.items()}


def _add_up(histograms: Sequence[Histogram]) -> Histogram:
    """One histogram with the edges of all: owners that were set up at different times differ."""
    edges_ms = histograms[0].edges_ms
    if any(each.edges_ms != edges_ms for each in histograms):
        edges_ms = tuple(sorted({edge for each in histograms for edge in each.edges_ms}))
        histograms = [_with_edges(each, edges_ms) for each in histograms]
    counting = [each for each in histograms if each.sum_ms or any(each.counts)]
    if len(counting) < 2:
        return (counting or histograms)[0]
    total = Histogram(edges_ms)
    total.counts = counting[0].counts
    for each in counting:
        total.sum_ms += each.sum_ms
    for each in counting[1:]:
        total.counts = list(map(add, total.counts, each.counts))
    return total


def _with_edges(histogram: Histogram, edges_ms: tuple[int, ...]) -> Histogram:
    if histogram.edges_ms == edges_ms:
        return histogram
    moved = Histogram(edges_ms)
    moved.take(histogram.edges_ms, histogram.counts, histogram.sum_ms)
    return moved


def _lifts(last: Frame, tallies: Mapping[Key, QueueTally]) -> dict[Key, Totals]:
    """By how much the totals of each queue are below those in *last*, where they are."""
    lifts = {}
    for key, queue in last.queues.items():
        tally = tallies.get(key)
        own = _NO_TOTALS if tally is None else _totals_of(tally)
        lift = _lift(queue.totals, own)
        if tally is None or lift.counters or lift.waits or lift.responses:
            lifts[key] = lift
    return lifts


def _lift(last: Totals, own: Totals) -> Totals:
    counters: dict[str, int] = {}
    corrections: dict[tuple[str, str], int] = {}
    for pair, count in last.corrections.items():
        gone = count - own.corrections.get(pair, 0)
        if gone > 0:
            corrections[pair] = gone
            counters[pair[0]] = counters.get(pair[0], 0) + gone
    for name, count in last.counters.items():
        gone = count - own.counters.get(name, 0) - counters.get(name, 0)
        if gone > 0:
            counters[name] = counters.get(name, 0) + gone
            pair = (name, RESTORED)
            corrections[pair] = corrections.get(pair, 0) + gone
    return Totals(
        counters,
        corrections,
        _missing(last.waits, own.waits),
        _missing(last.responses, own.responses),
        last.fed,
        last.thresholds,
        last.last_event_ms,
    )


def _missing(last: Mapping[str, Histogram], own: Mapping[str, Histogram]) -> dict[str, Histogram]:
    """What has to be added to *own* histograms so that none of *last* is below."""
    missing = {}
    for name, histogram in last.items():
        mine = own.get(name)
        if mine is None:
            missing[name] = histogram
            continue
        before = _with_edges(histogram, mine.edges_ms)
        lift = Histogram(mine.edges_ms)
        lift.counts = [max(0, b - m) for b, m in zip(before.counts, mine.counts, strict=True)]
        lift.sum_ms = max(0, before.sum_ms - mine.sum_ms)
        if lift.sum_ms or any(lift.counts):
            missing[name] = lift
    return missing


def _staffed(staffing: Staffing, known: Mapping[str, Staffed]) -> dict[str, Staffed]:
    """What is known of each queue; *known* objects where it is the same."""
    agents = staffing.agents_by_state()
    names = {*agents, *staffing.changed_ms, *staffing.doors, *staffing.observations}
    found = {}
    for name in names:
        staffed = Staffed(
            agents.get(name),
            staffing.changed_ms.get(name, 0),
            staffing.doors.get(name),
            staffing.observations.get(name),
        )
        before = known.get(name)
        found[name] = before if before == staffed else staffed
    return found
