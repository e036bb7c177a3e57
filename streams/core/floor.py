"""The whole floor at one instant: frames of partitions merged, queues judged.

Everything a frame holds can be added up, so any split over partitions gives the same floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from operator import is_
from typing import Final, NamedTuple, TypeVar

from streams.core.calendar import DAY, ROLLING_WINDOWS, day_start, last_tick
from streams.core.contact import UNKNOWN
from streams.core.figures import Live
from streams.core.frame import (
    NO_WINDOWS,
    WINDOWS,
    Frame,
    Key,
    QueueFrame,
    Staffed,
    Totals,
    net_of,
    sum_of,
    total_of,
)
from streams.core.partition import MAX_SEGMENTS, OTHER
from streams.core.policy import PolicyBook
from streams.core.sources import SourceBook
from streams.core.staffing import Door, Observation
from streams.core.steps import Steps, last_of
from streams.core.tally import Histogram, Sums

SILENT_AFTER_MS: Final = 7 * 24 * 3_600_000
"""A queue silent for this long leaves the floor; a source that last fed it before then is none."""

OBSERVED_WITHIN_MS: Final = 60_000
"""For so long a source's own count is about now, inclusive."""

STEP: Final = 100
"""Queues at a time."""

LONGEST_DAY_MS: Final = 30 * 3_600_000
"""No window reaches further back: a day is some hours longer where clocks or a zone change."""

UNKNOWN_FOR_MS: Final = max(ROLLING_WINDOWS.values())
"""So long after records that are gone nothing is said of their queues.

Afterwards no rolling window holds the gap, and those who came in it and were answered behind it, as
if they had not waited, are gone.
"""

_SEGMENTED: Final = ("instant:", "sent_to_wait:")
"""Counters that tell customer types apart."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A part of the floor is missing from what is shown.

    Attributes:
        share: of all partitions, more than 0 and at most 1.
        since_ms: where the one stands that has been missing for longest; None where nothing has
            ever been heard of it.
    """

    share: float
    since_ms: int | None


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
        no_data_since_ms: every source that feeds it is stale, since then, or records that may have
            been its own are gone.
        incomplete: windows that those would have counted in.
        door: in or out of service; None while nothing is known.
        observed: the source's own count of those waiting.
        violations: by how many visits offered differs from all that ended and those who wait.
    """

    queue: str
    channel: str
    counters: dict[str, int] = field(default_factory=dict)
    corrections: dict[tuple[str, str], int] = field(default_factory=dict)
    net: dict[str, int] = field(default_factory=dict)
    waits: Mapping[str, Histogram] = field(default_factory=dict)
    responses: Mapping[str, Histogram] = field(default_factory=dict)
    windows: Mapping[str, Sums] = field(default_factory=dict)
    live: Live = field(default_factory=Live)
    thresholds: frozenset[int] = frozenset()
    fed: Mapping[str, int] = field(default_factory=dict)
    last_event_ms: int = 0
    tick_ms: int = 0
    as_of_ms: int = 0
    catching_up: bool = False
    no_data_since_ms: int | None = None
    incomplete: frozenset[str] = frozenset()
    door: Door | None = None
    observed: Observation | None = None
    violations: int = 0


def is_withheld(queue: QueueFloor) -> bool:
    """Whether nobody can say what is true of *queue* now."""
    return queue.catching_up or queue.no_data_since_ms is not None


def waiting_drift(channels: Sequence[QueueFloor], now_ms: int) -> int | None:
    """Those waiting by our count less those by the source's; None without a count of about now.

    The source counts a queue in all its *channels*.
    """
    observed = channels[0].observed
    if observed is None or now_ms - observed.order[0] > OBSERVED_WITHIN_MS:
        return None
    if any(is_withheld(queue) for queue in channels):
        return None
    return sum(queue.live.waiting for queue in channels) - observed.waiting


@dataclass(slots=True)
class Floor:
    """The floor at one instant.

    Attributes:
        now_ms: live figures and counters stand here.
        tick_ms: windows stand here.
        queues: by (queue, channel), sorted.
        sources: when each was last heard.
        stale: the stale ones, with their last event.
        silence_limits_ms: how long those that can be stale may be silent.
        begins_anew: a partition is being read from its beginning: totals are not whole.
        partial: what is missing, None while nothing is.
    """

    now_ms: int
    tick_ms: int
    queues: dict[Key, QueueFloor]
    sources: SourceBook
    stale: dict[str, int]
    begins_anew: bool = False
    partial: Partial | None = None
    silence_limits_ms: Mapping[str, int] = field(default_factory=dict)

    @property
    def catching_up(self) -> bool:
        """Whether some queue's figures are withheld because a partition is behind."""
        return any(queue.catching_up for queue in self.queues.values())


class FloorMerger:
    """Merges frames into floors, reusing what was added up before and has not changed since.

    Each partition bounds its queues and customer types; the floor does too, so that they do not
    add up. A name that has once had its place keeps it.
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
        self._totals: dict[Key, tuple[list[Totals], _Merged]] = {}
        self._windows: dict[Key, tuple[list[Mapping[str, Sums]], Mapping[str, Sums]]] = {}
        self._segments: dict[Key, set[str]] = {}
        self._keys: set[Key] = set()
        self._max_queues = max_queues

    def take_policy(self, policies: PolicyBook) -> None:
        """Go on under *policies*."""
        self._policies = policies

    def merge(
        self, frames: Iterable[Frame], now_ms: int, *, partial: Partial | None = None
    ) -> Floor:
        """The floor at *now_ms*, from one frame of each partition in any order.

        A partition that is catching up, or that has no frame of *now_ms*, adds what it last said.
        Only to windows one that is catching up adds nothing, unless all that know the queue are.
        """
        return last_of(self.steps(frames, now_ms, partial=partial))

    def steps(
        self, frames: Iterable[Frame], now_ms: int, *, partial: Partial | None = None
    ) -> Steps[Floor]:
        """The same as `merge`, a little with each step."""
        frames = list(frames)
        tick_ms = last_tick(now_ms, self._every_ms)
        queues = {}
        for number, (key, parts) in enumerate(self._by_key(frames).items(), 1):
            queues[key] = self._queue(key, parts, now_ms)
            if number % STEP == 0:
                yield
        begins_anew = any(frame.is_new for frame in frames)
        if begins_anew:
            # Any queue may have contacts in a partition that is read for the first time.
            for queue in queues.values():
                queue.catching_up = True
        self._add_staffed(queues, frames, tick_ms)
        sources = _sources(frames)
        stale = sources.stale_since(now_ms, self._intervals_ms)
        for queue in queues.values():
            queue.no_data_since_ms = _no_data_since(queue, now_ms, stale)
        self._mark_missing(queues, frames, now_ms)
        shown = {
            key: queue
            for key, queue in sorted(queues.items())
            if now_ms - queue.last_event_ms <= SILENT_AFTER_MS
            or queue.live.waiting
            or queue.live.awaiting
        }
        limits_ms = sources.silence_limits_ms(self._intervals_ms)
        return Floor(now_ms, tick_ms, shown, sources, stale, begins_anew, partial, limits_ms)

    def _mark_missing(
        self, queues: Mapping[Key, QueueFloor], frames: Iterable[Frame], now_ms: int
    ) -> None:
        """Say of which queues nobody knows what records said that are gone.

        They may have been of any contact in their partition, so of any queue that has ever been
        met there.
        """
        for frame in frames:
            if frame.missing is None or now_ms - frame.missing[1] > LONGEST_DAY_MS:
                continue
            since_ms, until_ms = frame.missing
            for key in frame.queues:
                queue = queues.get(key if key in queues else (OTHER, OTHER))
                if queue is not None:
                    self._mark(queue, since_ms, until_ms, now_ms)

    def _mark(self, queue: QueueFloor, since_ms: int, until_ms: int, now_ms: int) -> None:
        policy = self._policies.queue(queue.queue, queue.channel, now_ms)
        queue.incomplete |= _windows_with(until_ms, queue.tick_ms, policy.zone)
        if now_ms - until_ms < UNKNOWN_FOR_MS or policy.windows[0] in queue.incomplete:
            known_ms = queue.no_data_since_ms
            queue.no_data_since_ms = since_ms if known_ms is None else min(known_ms, since_ms)

    def _by_key(self, frames: Sequence[Frame]) -> dict[Key, list[_Part]]:
        """What every partition says of each queue; queues beyond the bound are one."""
        new = {key for frame in frames for key in frame.queues} - self._keys
        overflow = {key for key in sorted(new) if not self._has_place(key)}
        parts: dict[Key, list[_Part]] = {}
        for frame in frames:
            for own_key, queue in frame.queues.items():
                key = (OTHER, OTHER) if own_key in overflow else own_key
                known = parts.get(key)
                if known is None:
                    parts[key] = [(frame, queue)]
                else:
                    known.append((frame, queue))
        return parts

    def _has_place(self, key: Key) -> bool:
        if len(self._keys) >= self._max_queues and not self._policies.is_named(*key):
            return False
        self._keys.add(key)
        return True

    def _queue(self, key: Key, parts: Sequence[_Part], now_ms: int) -> QueueFloor:
        totals = self._merged_totals(key, [part.totals for _, part in parts])
        counted = [part for part in parts if not part[0].catching_up] or parts
        queue = QueueFloor(
            *key,
            counters=totals.counters,
            corrections=totals.corrections,
            net=totals.net,
            waits=totals.of_parts.waits,
            responses=totals.of_parts.responses,
            windows=self._merged_windows(key, [part.windows for _, part in counted]),
            thresholds=totals.of_parts.thresholds,
            fed=totals.of_parts.fed,
            last_event_ms=totals.of_parts.last_event_ms,
            tick_ms=min([frame.tick_ms for frame, _ in counted]),
            as_of_ms=now_ms,
        )
        for frame, part in parts:
            queue.live.add(part.live)
            queue.violations += abs(part.balance)
            if frame.catching_up:
                queue.catching_up = True
            if frame.catching_up or frame.second_ms < now_ms:
                queue.as_of_ms = min(queue.as_of_ms, frame.now_ms)
        return queue

    def _merged_windows(self, key: Key, parts: list[Mapping[str, Sums]]) -> Mapping[str, Sums]:
        known = self._windows.get(key)
        if known is not None and _are_identical(known[0], parts):
            return known[1]
        windows = {name: sum_of([part[name] for part in parts]) for name in WINDOWS}
        self._windows[key] = (parts, windows)
        return windows

    def _merged_totals(self, key: Key, parts: list[Totals]) -> _Merged:
        known = self._totals.get(key)
        if known is not None and _are_identical(known[0], parts):
            return known[1]
        total = total_of(parts)
        counters = dict(total.counters)
        corrections = dict(total.corrections)
        if not self._has_room(key, counters):
            known_segments = self._segments[key]
            counters, corrections = {}, {}
            for name, count in sorted(total.counters.items()):
                bounded = _bounded(name, known_segments)
                counters[bounded] = counters.get(bounded, 0) + count
            for (old, new), count in total.corrections.items():
                pair = (_bounded(old, known_segments), _bounded(new, known_segments))
                corrections[pair] = corrections.get(pair, 0) + count
        merged = _Merged(counters, corrections, net_of(counters, corrections), total)
        self._totals[key] = (parts, merged)
        return merged

    def _has_room(self, key: Key, counters: Iterable[str]) -> bool:
        """Whether all customer types in *counters* have a place in the queue of *key*."""
        known = self._segments.setdefault(key, set())
        met = {name.partition(":")[2] for name in counters if name.startswith(_SEGMENTED)}
        met -= {UNKNOWN, OTHER}
        if len(known | met) > MAX_SEGMENTS - 2:
            return False
        known |= met
        return True

    def _add_staffed(
        self, queues: dict[Key, QueueFloor], frames: Sequence[Frame], tick_ms: int
    ) -> None:
        """Agents and doors are known by queue; each of its channels shows them."""
        channels: dict[str, list[QueueFloor]] = {}
        for key, shown in queues.items():
            channels.setdefault(key[0], []).append(shown)
        for queue, staffed in _staffed(frames).items():
            known = channels.get(queue)
            if known is None:
                if staffed.agents is None and staffed.door is None:
                    continue
                key = self._only_channel(queue)
                known = [QueueFloor(*key, windows=NO_WINDOWS, tick_ms=tick_ms)]
                queues[key] = known[0]
            door = staffed.door
            newest_ms = max(staffed.changed_ms, door.order.time_ms if door else 0)
            for shown in known:
                shown.live.agents = None if staffed.agents is None else dict(staffed.agents)
                shown.door = door
                shown.live.is_open = door.is_open if door else None
                shown.observed = staffed.observed
                shown.last_event_ms = max(shown.last_event_ms, newest_ms)

    def _only_channel(self, queue: str) -> Key:
        """The first channel that the settings name for a queue without contacts, else voice."""
        return next((key for key in self._policies.known() if key[0] == queue), (queue, "voice"))


_Part = tuple[Frame, QueueFrame]


class _Merged(NamedTuple):
    """Totals of all partitions: bounded counters, and the rest of the parts together."""

    counters: dict[str, int]
    corrections: dict[tuple[str, str], int]
    net: dict[str, int]
    of_parts: Totals


def _are_identical(known: Sequence[object], parts: Sequence[object]) -> bool:
    """Whether *parts* are the very objects known: frames share what did not change."""
    return len(known) == len(parts) and all(map(is_, known, parts))


def _bounded(name: str, known: set[str]) -> str:
    """*name*, with a segment beyond the first ones *known* folded into the last."""
    family, _, segment = name.partition(":")
    if not name.startswith(_SEGMENTED) or segment in (UNKNOWN, OTHER):
        return name
    if segment not in known:
        if len(known) >= MAX_SEGMENTS - 2:
            return f"{family}:{OTHER}"
        known.add(segment)
    return name


def _staffed(frames: Iterable[Frame]) -> dict[str, Staffed]:
    """Agents of all partitions add up; of doors and observations the newest stay."""
    merged: dict[str, Staffed] = {}
    for frame in frames:
        for queue, staffed in frame.staffed.items():
            known = merged.get(queue)
            merged[queue] = staffed if known is None else _both(known, staffed)
    return merged


def _both(one: Staffed, other: Staffed) -> Staffed:
    agents = one.agents or other.agents
    if one.agents is not None and other.agents is not None:
        agents = {state: count + other.agents[state] for state, count in one.agents.items()}
    return Staffed(
        agents,
        max(one.changed_ms, other.changed_ms),
        _newest(one.door, other.door),
        _newest(one.observed, other.observed),
    )


T = TypeVar("T", Door, Observation)


def _newest(one: T | None, other: T | None) -> T | None:
    if one is None or other is None:
        return one or other
    return one if one.order > other.order else other


def _sources(frames: Iterable[Frame]) -> SourceBook:
    heard: dict[str, int] = {}
    beating: set[str] = set()
    for frame in frames:
        for source, time_ms in frame.heard_ms.items():
            heard[source] = max(heard.get(source, 0), time_ms)
        beating |= frame.beating
    sources = SourceBook()
    for source, time_ms in sorted(heard.items()):
        sources.heard(source, time_ms)
    sources.beating = beating
    return sources


def _windows_with(time_ms: int, tick_ms: int, zone: tzinfo) -> frozenset[str]:
    """The windows at *tick_ms* that hold *time_ms* or begin behind it."""
    windows = {name for name, length_ms in ROLLING_WINDOWS.items() if tick_ms - length_ms < time_ms}
    if day_start(tick_ms, zone) <= time_ms:
        windows.add(DAY)
    return frozenset(windows)


def _no_data_since(queue: QueueFloor, now_ms: int, stale: Mapping[str, int]) -> int | None:
    """Since when every source that fed the queue within seven days has been stale."""
    feeding = [name for name, fed_ms in queue.fed.items() if now_ms - fed_ms <= SILENT_AFTER_MS]
    if feeding and all(name in stale for name in feeding):
        return max(stale[name] for name in feeding)
    return None
