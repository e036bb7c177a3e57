"""Which frames make the floor: those of one second, where partitions have them.

What is taken in is a set: any order, and any frame again, gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from streams.core.figures import Live
from streams.core.floor import Partial
from streams.core.frame import NO_WINDOWS, Frame, QueueFrame

BEHIND_MS: Final = 10_000
"""A partition of which nothing has been heard for longer is behind."""

KEPT: Final = 3
"""Frames of each partition that are kept, and seconds among which the floor's is chosen."""

Place = tuple[str, int]
"""A topic and a partition of it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What `FloorMerger.merge` takes.

    Attributes:
        now_ms: the second of the floor.
        frames: one of every partition that has ever been heard.
        partial: which share of the partitions does not stand at that second; None if all do.
    """

    now_ms: int
    frames: tuple[Frame, ...]
    partial: Partial | None


class _Moment(NamedTuple):
    """Frames of one second and one tick can be added up."""

    second_ms: int
    tick_ms: int


class Floorboard:
    """The newest frames of every partition, of the owner with the highest epoch.

    A frame of a lower epoch than one taken before changes nothing.
    """

    def __init__(self, *, behind_ms: int = BEHIND_MS) -> None:
        self._behind_ms = behind_ms
        self._expected: frozenset[Place] | None = None
        self._epochs: dict[Place, int] = {}
        self._kept: dict[Place, dict[int, Frame]] = {}

    def expect(self, places: Iterable[Place]) -> None:
        """The floor is made of *places*: one that is silent is missing, others are left out.

        Until then it is made of those that have been heard.
        """
        self._expected = frozenset(places)

    def take(self, place: Place, epoch: int, frame: Frame) -> None:
        """Take a frame of the owner of *place* in *epoch*."""
        known = self._epochs.get(place, -1)
        if epoch < known:
            return
        if epoch > known:
            self._epochs[place] = epoch
            self._kept[place] = {}
        kept = self._kept[place]
        kept[frame.serial] = frame
        if len(kept) > KEPT:
            del kept[min(kept)]

    def newest(self, place: Place) -> Frame | None:
        """The newest frame of *place*, None if there is none."""
        kept = self._kept.get(place)
        return kept[max(kept)] if kept else None

    def standing(self, now_ms: int) -> Standing:
        """The floor as it can be put together at *now_ms*.

        It stands at the second that most partitions have, the newest one of these, among the last
        three that any has. A partition without that second and its tick, or one that is catching
        up, stands where it last was. Totals are always the newest. Once nothing has been heard of
        a partition for ten seconds it is catching up.
        """
        places = sorted(self._kept if self._expected is None else self._expected)
        moment = self._moment(places, now_ms)
        frames: list[Frame] = []
        missing: list[int | None] = []
        for place in places:
            newest = self.newest(place)
            if newest is None:
                missing.append(None)
                continue
            is_stale = now_ms - newest.second_ms > self._behind_ms
            there = None
            if _is_whole(newest) and not is_stale:
                there = _at(moment, self._kept[place])
            if there is None:
                missing.append(min(newest.now_ms, moment.second_ms) or None)
                frames.append(replace(newest, catching_up=True) if is_stale else newest)
            else:
                frames.append(_with_totals(there, newest))
        partial = None
        if missing:
            known = [since_ms for since_ms in missing if since_ms is not None]
            is_known = len(known) == len(missing)
            partial = Partial(len(missing) / len(places), min(known) if is_known else None)
        return Standing(moment.second_ms, tuple(frames), partial)

    def _moment(self, places: Iterable[Place], now_ms: int) -> _Moment:
        votes: dict[_Moment, int] = {}
        for place in places:
            newest = self.newest(place)
            if newest is None or not _is_whole(newest):
                continue
            moments = {
                _Moment(frame.second_ms, frame.tick_ms)
                for frame in self._kept.get(place, {}).values()
                if _is_whole(frame) and frame.second_ms <= now_ms
            }
            for moment in moments:
                votes[moment] = votes.get(moment, 0) + 1
        last = sorted({moment.second_ms for moment in votes})[-KEPT:]
        return max(
            (moment for moment in votes if moment.second_ms in last),
            key=lambda moment: (votes[moment], moment),
            default=_Moment(now_ms, now_ms),
        )


def _is_whole(frame: Frame) -> bool:
    return not (frame.catching_up or frame.is_new)


def _at(moment: _Moment, kept: Mapping[int, Frame]) -> Frame | None:
    """The newest frame of *moment*."""
    there = [
        serial
        for serial, frame in kept.items()
        if _is_whole(frame) and (frame.second_ms, frame.tick_ms) == moment
    ]
    return kept[max(there)] if there else None


def _with_totals(frame: Frame, newest: Frame) -> Frame:
    """*frame* with the totals of *newest*: what rises must not fall with the second chosen."""
    if frame is newest:
        return frame
    queues = {}
    for key, queue in newest.queues.items():
        there = frame.queues.get(key)
        if there is None:
            queues[key] = QueueFrame(queue.totals, NO_WINDOWS, Live(), 0)
        elif there.totals is queue.totals:
            queues[key] = there
        else:
            queues[key] = there._replace(totals=queue.totals)
    return replace(frame, queues=queues)
