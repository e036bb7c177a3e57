"""The whole floor at one instant: partitions merged, queues judged.

Everything a partition holds can be added up, so any split over partitions gives the same floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.core.calendar import DAY, ROLLING_WINDOWS, last_tick, pane_of
from streams.core.contact import UNKNOWN
from streams.core.figures import Live
from streams.core.partition import MAX_SEGMENTS, OTHER, Partition
from streams.core.policy import PolicyBook
from streams.core.queue_tally import QueueTally
from streams.core.sources import SourceBook
from streams.core.staffing import Door, Observation, Staffing
from streams.core.tally import Histogram, Sums

WINDOWS: Final = (*ROLLING_WINDOWS, DAY)
SILENT_AFTER_MS: Final = 7 * 24 * 3_600_000
"""A queue silent for this long leaves the floor; a source that last fed it before then is none."""

Key = tuple[str, str]


@dataclass(slots=True)
class Share:
    """One partition's part of the floor.

    Attributes:
        partition: its state.
        catching_up: it is behind; its own time stands at its last record.
        is_new: it has not been read to its end since it was assigned, so whose contacts it holds
            is not known yet.
    """

    partition: Partition
    catching_up: bool = False
    is_new: bool = False


@dataclass(slots=True)
class QueueFloor:
    """One (queue, channel) over all partitions.

    Attributes:
        counters: totals, which only rise.
        corrections: by (from, to).
        net: totals less what corrections took out.
        waits: histograms by outcome.
        responses: histograms by clock.
        windows: sums of each window at the last tick.
        live: what is true now.
        thresholds: of all visits so far, in ms; only where the policy changes over time.
        fed: when each source last opened a visit here.
        last_event_ms: the newest event.
        tick_ms: the tick its windows stand at.
        as_of_ms: the instant the live figures stand at: the earliest of its partitions.
        catching_up: one of its partitions is behind.
        no_data_since_ms: every source that feeds it is stale, since then.
        door: in or out of service; None while nothing is known.
        observed: the source's own count of those waiting.
    """

    queue: str
    channel: str
    counters: dict[str, int] = field(default_factory=dict)
    corrections: dict[tuple[str, str], int] = field(default_factory=dict)
    net: dict[str, int] = field(default_factory=dict)
    waits: dict[str, Histogram] = field(default_factory=dict)
    responses: dict[str, Histogram] = field(default_factory=dict)
    windows: dict[str, Sums] = field(default_factory=dict)
    live: Live = field(default_factory=Live)
    thresholds: set[int] = field(default_factory=set)
    fed: dict[str, int] = field(default_factory=dict)
    last_event_ms: int = 0
    tick_ms: int = 0
    as_of_ms: int = 0
    catching_up: bool = False
    no_data_since_ms: int | None = None
    door: Door | None = None
    observed: Observation | None = None

    @property
    def violations(self) -> int:
        """By how many visits offered differs from all that ended and those who wait."""
        ended = sum(
            count
            for name, count in self.net.items()
            if name.startswith(("answered:", "abandoned:", "left:", "expired"))
        )
        return abs(self.net.get("offered", 0) - ended - self.live.waiting)


@dataclass(slots=True)
class Floor:
    """The floor at one instant.

    Attributes:
        now_ms: live figures and counters stand here.
        tick_ms: windows stand here.
        queues: by (queue, channel), sorted.
        sources: when each was last heard.
        stale: the stale ones, with their last event.
        begins_anew: a partition is being read from its beginning: totals are not whole.
    """

    now_ms: int
    tick_ms: int
    queues: dict[Key, QueueFloor]
    sources: SourceBook
    stale: dict[str, int]
    begins_anew: bool = False

    @property
    def catching_up(self) -> bool:
        """Whether some queue's figures are withheld because a partition is behind."""
        return any(queue.catching_up for queue in self.queues.values())


class FloorMerger:
    """Merges partitions into floors, reusing window sums that have not changed since.

    Each partition bounds its queues; the floor does too, so that they do not add up.
    """

    def __init__(
        self,
        policies: PolicyBook,
        *,
        every_ms: int = 5_000,
        max_queues: int = 2_000,
        intervals_ms: Mapping[str, int] | None = None,
    ) -> None:
        self._policies = policies
        self._every_ms = every_ms
        self._intervals_ms = intervals_ms or {}
        self._windows: dict[Key, tuple[object, dict[str, Sums]]] = {}
        self._segments: dict[Key, set[str]] = {}
        self._keys: set[Key] = set()
        self._max_queues = max_queues

    def merge(self, shares: Sequence[Share], now_ms: int) -> Floor:
        """The floor at *now_ms*; partitions have been advanced as far as they may be."""
        queues: dict[Key, QueueFloor] = {}
        parts: dict[Key, list[QueueTally]] = {}
        for share in shares:
            for own_key, tally in share.partition.tallies.items():
                key = self._bounded_key(own_key)
                queue = queues.get(key)
                if queue is None:
                    queue = queues[key] = QueueFloor(*key, as_of_ms=now_ms)
                    parts[key] = []
                parts[key].append(tally)
                _add_tally(queue, tally)
                self._add_counters(queue, tally)
                if share.catching_up:
                    queue.catching_up = True
                    queue.as_of_ms = min(queue.as_of_ms, share.partition.now_ms)
        begins_anew = any(share.is_new for share in shares)
        if begins_anew:
            # Any queue may have contacts in a partition that is read for the first time.
            for queue in queues.values():
                queue.catching_up = True
        tick_ms = last_tick(now_ms, self._every_ms)
        sources = _sources(shares)
        stale = sources.stale_since(now_ms, self._intervals_ms)
        self._add_staffing(queues, shares)
        for key, queue in queues.items():
            queue.windows = self._sums(key, parts.get(key, []), queue, tick_ms)
            queue.net = _net(queue)
            queue.no_data_since_ms = _no_data_since(queue, now_ms, stale)
        shown = {
            key: queue
            for key, queue in sorted(queues.items())
            if now_ms - queue.last_event_ms <= SILENT_AFTER_MS
            or queue.live.waiting
            or queue.live.awaiting
        }
        return Floor(now_ms, tick_ms, shown, sources, stale, begins_anew)

    def _bounded_key(self, key: Key) -> Key:
        if key in self._keys:
            return key
        if len(self._keys) >= self._max_queues and not self._policies.is_named(*key):
            return OTHER, OTHER
        self._keys.add(key)
        return key

    def _sums(
        self, key: Key, tallies: list[QueueTally], queue: QueueFloor, tick_ms: int
    ) -> dict[str, Sums]:
        if queue.catching_up:
            tick_ms = last_tick(queue.as_of_ms, self._every_ms)
        queue.tick_ms = tick_ms
        state = (tick_ms, tuple((id(tally), tally.revision) for tally in tallies))
        known = self._windows.get(key)
        if known is not None and known[0] == state:
            return known[1]
        pane = pane_of(tick_ms, self._every_ms)
        windows = {
            name: _total(tally.window(name, pane) for tally in tallies) for name in ROLLING_WINDOWS
        }
        windows[DAY] = _total(tally.day(tick_ms) for tally in tallies)
        self._windows[key] = (state, windows)
        return windows

    def _add_counters(self, queue: QueueFloor, tally: QueueTally) -> None:
        """Add counters and corrections; each partition bounds its segments, the floor does too."""
        known = self._segments.setdefault((queue.queue, queue.channel), set())
        for name, count in tally.counters.items():
            bounded = _bounded(name, known)
            queue.counters[bounded] = queue.counters.get(bounded, 0) + count
        for (old, new), count in tally.corrections.items():
            pair = (_bounded(old, known), _bounded(new, known))
            queue.corrections[pair] = queue.corrections.get(pair, 0) + count

    def _add_staffing(self, queues: dict[Key, QueueFloor], shares: Iterable[Share]) -> None:
        """Agents and doors are known by queue; each of its channels shows them."""
        staffing = Staffing(self._policies, 0)
        for share in shares:
            staffing.add(share.partition.staffing)
        by_state = staffing.agents_by_state()
        channels: dict[str, list[Key]] = {}
        for key in queues:
            channels.setdefault(key[0], []).append(key)
        for queue in (*by_state, *staffing.doors):
            if queue not in channels:
                key = self._only_channel(queue)
                queues[key] = QueueFloor(*key)
                channels[queue] = [key]
        for queue, keys in channels.items():
            for key in keys:
                shown = queues[key]
                shown.live.agents = by_state.get(queue)
                shown.door = staffing.doors.get(queue)
                shown.live.is_open = shown.door.is_open if shown.door else None
                shown.observed = staffing.observations.get(queue)
                door_ms = shown.door.order.time_ms if shown.door else 0
                changed_ms = staffing.changed_ms.get(queue, 0)
                shown.last_event_ms = max(shown.last_event_ms, changed_ms, door_ms)

    def _only_channel(self, queue: str) -> Key:
        """The first channel that the settings name for a queue without contacts, else voice."""
        return next((key for key in self._policies.known() if key[0] == queue), (queue, "voice"))


def _bounded(name: str, known: set[str]) -> str:
    """*name*, with a segment beyond the first ones *known* folded into the last."""
    family, _, segment = name.partition(":")
    if family not in ("instant", "sent_to_wait") or segment in (UNKNOWN, OTHER):
        return name
    if segment not in known:
        if len(known) >= MAX_SEGMENTS - 2:
            return f"{family}:{OTHER}"
        known.add(segment)
    return name


def _add_tally(queue: QueueFloor, tally: QueueTally) -> None:
    _add_histograms(queue.waits, tally.waits)
    _add_histograms(queue.responses, tally.responses)
    queue.live.add(tally.live())
    queue.thresholds |= tally.thresholds
    for source, time_ms in tally.fed.items():
        queue.fed[source] = max(queue.fed.get(source, 0), time_ms)
    queue.last_event_ms = max(queue.last_event_ms, tally.last_event_ms)


def _add_histograms(mine: dict[str, Histogram], theirs: Mapping[str, Histogram]) -> None:
    for name, histogram in theirs.items():
        known = mine.get(name)
        if known is None:
            known = mine[name] = Histogram(histogram.edges_ms)
        known.add(histogram)


def _net(queue: QueueFloor) -> dict[str, int]:
    net = dict(queue.counters)
    for (old, _), count in queue.corrections.items():
        net[old] = net.get(old, 0) - count
    return net


def _sources(shares: Iterable[Share]) -> SourceBook:
    sources = SourceBook()
    for share in shares:
        sources.add(share.partition.sources)
    return sources


def _no_data_since(queue: QueueFloor, now_ms: int, stale: Mapping[str, int]) -> int | None:
    """Since when every source that fed the queue within seven days has been stale."""
    feeding = [name for name, fed_ms in queue.fed.items() if now_ms - fed_ms <= SILENT_AFTER_MS]
    if feeding and all(name in stale for name in feeding):
        return max(stale[name] for name in feeding)
    return None


def _total(parts: Iterable[Sums]) -> Sums:
    # A copy even of one part: it goes on counting while the floor is shown.
    total = Sums()
    for part in parts:
        total.add(part)
    return total
