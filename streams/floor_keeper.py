"""The floor of all workers, put together from the frames of their partitions and shown to the web.

Once a second each worker says what its own partitions count; every worker adds up what all of them
have said and makes the document of the API, the frame of the walls and the text of `/metrics`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final, Protocol

import orjson

from streams.core.alerts import Alerting
from streams.core.document import Documents, wall_document
from streams.core.floor import Floor, FloorMerger
from streams.core.floorboard import Floorboard
from streams.core.frame import Frame, Framer, Key
from streams.core.history import MINUTE_MS
from streams.core.partition import FUTURE_MS, Partition
from streams.core.policy import PolicyBook
from streams.core.queue_detail import queue_detail
from streams.core.steps import Steps, last_of
from streams.exposition import Exposition, Pipeline
from streams.processors.records import Records
from streams.reader import TP, Position, is_same_log
from streams.settings import Settings
from streams.wall_clock import wall_clock_ms

log = logging.getLogger(__name__)

BEHIND_MS: Final = 10_000
"""A partition that stands further back than this, and is not read to its end, is behind."""

END_KNOWN_FOR_S: Final = 3.0
"""How long what the broker last said of the end of a partition is taken for true."""


class PolicyStatus(Protocol):
    """What is known of the policy on disk."""

    @property
    def failed(self) -> bool:
        """It cannot be read, or is wrong, and the last one holds."""

    @property
    def refusals(self) -> Sequence[object]:
        """What of it stays as it was."""


class Kept(Protocol):
    """What is known of the state that outlives this worker."""

    rebuilt: dict[str, int]
    """How often a partition's state could not be used, by reason."""

    def ages_s(self) -> Mapping[TP, float]:
        """How old the newest snapshot of each partition is."""


@dataclass(slots=True)
class Shown:
    """One floor and what has been made of it."""

    floor: Floor
    document: dict[str, Any]
    frame: bytes
    metrics: bytes | None = None


@dataclass(slots=True)
class _Own:
    """A partition of ours and what it takes to say what it counts.

    Attributes:
        partition: its state.
        epoch: in which it says so; None while this worker may not.
        framer: makes its frames; None before the first one of the epoch.
        is_inherited: an owner before had read all there was, and has said what it counted.
    """

    partition: Partition
    epoch: int | None = None
    framer: Framer | None = None
    is_inherited: bool = False


class FloorKeeper:
    """Keeps the floor up to date and hands it to the web (`streams.web.FloorSource`).

    Args:
        settings: of the installation.
        records: this worker's own partitions.
        read: how far each of them is read.
        epoch: in which this worker says what a partition counts; None while it may not.
        stuck: None while records are polled, else what has stopped.
        kept: what is known of the state that outlives this worker; None where none does.
        alerting: what is known of alerts; None where nobody asks for them.
        policy: what is known of the policy on disk; None while nothing is.
        clock_ms: the wall's clock.
        uptime_s: the monotonic clock.
    """

    def __init__(
        self,
        settings: Settings,
        records: Records,
        *,
        read: Callable[[], Mapping[TP, Position]],
        epoch: Callable[[TP], int | None] = lambda _: 0,
        stuck: Callable[[], str | None] = lambda: None,
        kept: Kept | None = None,
        alerting: Callable[[], Alerting | None] = lambda: None,
        policy: Callable[[], PolicyStatus | None] = lambda: None,
        clock_ms: Callable[[], int] = wall_clock_ms,
        uptime_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._records = records
        self._read = read
        self._epoch = epoch
        self._stuck = stuck
        self._kept = kept
        self._alerting = alerting
        self._policy_status = policy
        self._policies = settings.policy
        self._history_text = b""
        self._clock_ms = clock_ms
        self._uptime_s = uptime_s
        self._board = Floorboard()
        self._expected: list[TP] = []
        self._own: dict[TP, _Own] = {}
        self._merger = FloorMerger(
            settings.policy,
            every_ms=settings.tick_ms,
            max_queues=settings.max_queues,
            intervals_ms=settings.source_intervals_ms,
        )
        self._documents = Documents(settings.policy, name=settings.name, clock=settings.clock)
        self._exposition = Exposition(
            settings.policy, metric_windows=settings.metric_windows, version=version("floorwatch")
        )
        self._ready = False
        self._heard_ms = 0
        self._now_ms = 0
        self._floors = 0
        self._shown = last_of(self._look())

    def expect(self, tps: Collection[TP]) -> None:
        """The floor is made of *tps*, whoever owns them."""
        self._expected = list(tps)
        self._board.expect((tp.topic, tp.partition) for tp in tps)

    def take_policy(self, policies: PolicyBook) -> None:
        """Judge, show and export by *policies* from now on."""
        self._policies = policies
        self._merger.take_policy(policies)
        self._documents.take_policy(policies)
        self._exposition.take_policy(policies)

    def met(self) -> frozenset[Key] | None:
        """Queues and channels of which any partition knows something, "" for no channel.

        None while one of them has not been heard.
        """
        frames = [self._board.newest((tp.topic, tp.partition)) for tp in self._expected]
        found: set[Key] = set()
        for frame in frames:
            if frame is None:
                return None
            found.update(frame.queues)
            found.update((queue, "") for queue in frame.staffed)
        return frozenset(found)

    def counted_until_ms(self) -> int:
        """Up to which instant something may have been counted, inclusive.

        A clock that is ahead by more than events may be does not put it off.
        """
        second_ms = self._second()
        frames = [self._board.newest((tp.topic, tp.partition)) for tp in self._expected]
        heard = [max(frame.heard_ms.values(), default=0) for frame in frames if frame is not None]
        newest_ms = max(heard, default=0)
        if self._settings.clock == "wall":
            newest_ms = min(newest_ms, second_ms + FUTURE_MS)
        return max(second_ms, newest_ms)

    def frames(self) -> dict[TP, Frame]:
        """Let time pass in this worker's partitions, and say what each counts at this second.

        A partition that has not read as far yet as its owner before had says nothing: what that
        one last said stands.
        """
        return {tp: frame for tp, (_, frame) in last_of(self.framing()).items()}

    def framing(self) -> Steps[dict[TP, tuple[int, Frame]]]:
        """The same with the epoch of each, one partition with each step."""
        second_ms = self._second()
        parts = self._records.partitions
        self._own = {tp: own for tp, own in self._own.items() if own.partition is parts.get(tp)}
        frames: dict[TP, tuple[int, Frame]] = {}
        for tp in list(parts):
            partition = parts.get(tp)
            if partition is None:
                continue
            own = self._own.get(tp)
            if own is None or own.partition is not partition:
                own = self._own[tp] = _Own(partition)
            frame = self._frame(tp, own, self._read().get(tp), second_ms)
            if frame is not None and own.epoch is not None:
                frames[tp] = (own.epoch, frame)
            yield
        return frames

    def take(self, tp: TP, epoch: int, frame: Frame) -> None:
        """Take what the owner of *tp* in *epoch* has said."""
        self._heard_ms = max(self._heard_ms, frame.second_ms)
        self._board.take((tp.topic, tp.partition), epoch, frame)

    def is_whole(self) -> bool:
        """Whether every partition has said what it counts at this very second."""
        second_ms = self._second()
        standing = self._board.standing(second_ms)
        return standing.partial is None and standing.now_ms == second_ms

    def show(self) -> None:
        """Add up what the partitions have said, and show it."""
        last_of(self.showing())

    def showing(self) -> Steps[None]:
        """The same, a little with each step."""
        self._shown = yield from self._look()
        self._floors += 1

    def turn(self) -> None:
        """Show what this worker's own partitions count now, without anybody else's."""
        for tp, (epoch, frame) in last_of(self.framing()).items():
            self.take(tp, epoch, frame)
        self.show()

    def _frame(self, tp: TP, own: _Own, position: Position | None, second_ms: int) -> Frame | None:
        partition = own.partition
        to_end = position is not None and self._is_at_its_end(position)
        reached_ms = max(partition.arrival_ms, partition.now_ms)
        behind = not to_end and second_ms - reached_ms > BEHIND_MS
        if to_end:
            partition.advance(second_ms)
            self._records.end_gap(tp, second_ms)
        # Event time runs with what is read, so only the end says that all has been read.
        if to_end or (self._settings.clock == "wall" and position is not None and not behind):
            self._records.begun.discard(tp)
        epoch = self._epoch(tp)
        if own.epoch != epoch:
            own.epoch, own.framer = epoch, None
        if epoch is None:
            return None
        offset = self._records.next_offset(tp) or 0
        if own.framer is None:
            last = self._board.newest((tp.topic, tp.partition))
            own.is_inherited = last is not None and not last.is_new
            same = last is not None and is_same_log(last.log, self._records.log_of(tp))
            if last is not None and same and offset < last.next_offset:
                return None
            own.framer = Framer(partition, every_ms=self._settings.tick_ms, last=last)
        if own.is_inherited:
            self._records.begun.discard(tp)
        return own.framer.frame(
            second_ms,
            catching_up=behind,
            is_new=tp in self._records.begun,
            next_offset=offset,
            log=self._records.log_of(tp),
            missing=self._records.missing(tp),
        )

    def _look(self) -> Steps[Shown]:
        standing = self._board.standing(self._second())
        if not self._ready and self._is_caught_up(standing.frames):
            self._ready = True
            log.info("caught up: the floor is shown")
        floor = yield from self._merger.steps(
            standing.frames, standing.now_ms, partial=standing.partial
        )
        history = self._documents.history
        if self._ready and floor.now_ms // MINUTE_MS > history.newest_minute:
            history.take(floor)
            self._history_text = orjson.dumps(history.document())
        document = yield from self._documents.steps(
            floor, ready=self._ready, alerting=self._alerting()
        )
        return Shown(floor, document, orjson.dumps(wall_document(document)))

    def _is_caught_up(self, frames: Collection[Frame]) -> bool:
        """Whether every partition has been heard and none begins anew."""
        return (
            bool(frames)
            and len(frames) >= len(self._expected)
            and not any(frame.is_new for frame in frames)
        )

    def _is_at_its_end(self, position: Position) -> bool:
        """Whether all has been read, as far as the broker has said so lately."""
        asked_s = self._uptime_s() - position.end_seen_at
        return position.read_to_end and asked_s <= END_KNOWN_FOR_S

    def _second(self) -> int:
        """The second of the wall, or the highest event time; it does not run backwards."""
        if self._settings.clock == "wall":
            now_ms = self._clock_ms() // 1_000 * 1_000
        else:
            partitions = self._records.partitions.values()
            now_ms = max((partition.latest_ms for partition in partitions), default=0)
            now_ms = max(now_ms, self._heard_ms)
        self._now_ms = max(self._now_ms, now_ms)
        return self._now_ms

    # -- FloorSource ------------------------------------------------------------------------

    def floor(self) -> dict[str, Any]:
        """The whole floor document."""
        return self._shown.document

    def floors(self) -> int:
        """How many floors have been shown."""
        return self._floors

    def frame(self) -> bytes:
        """The document of a wall, encoded."""
        return self._shown.frame

    def history(self) -> bytes:
        """The last hour of every queue, encoded; the same object until the next minute."""
        return self._history_text

    def detail(self, queue: str, channel: str) -> dict[str, Any] | None:
        """What stands behind the figures of a queue, and what this worker kept out of them."""
        floor = self._shown.floor
        found = floor.queues.get((queue, channel))
        if found is None:
            return None
        return {
            **queue_detail(found, floor, self._policies),
            "worker": self._kept_out(),
        }

    def metrics(self) -> bytes:
        """The exposition of the floor shown, written once however often it is asked for."""
        shown = self._shown
        if self._is_out_of_date(shown.floor):
            return self._render(_withheld(shown.floor))
        if shown.metrics is None:
            shown.metrics = self._render(shown.floor)
        return shown.metrics

    def _render(self, floor: Floor) -> bytes:
        return self._exposition.render(
            floor, self._pipeline(), show_floor=self._ready and not floor.begins_anew
        )

    def _is_out_of_date(self, floor: Floor) -> bool:
        """Whether *floor* is of long ago: a process that was frozen is asked before it can know."""
        is_of_now = self._settings.clock == "wall"
        return is_of_now and self._clock_ms() - floor.now_ms > BEHIND_MS

    def is_ready(self) -> bool:
        """Whether every partition has been caught up with once; it stays so."""
        return self._ready

    def health(self) -> str | None:
        """None while records are polled, else what is wrong."""
        return self._stuck()

    def _pipeline(self) -> Pipeline:
        records = self._records
        read = self._read()
        now_ms = self._now_ms
        parts = records.partitions
        counts = records.counts()
        status = self._policy_status()

        def by_one(kind: str) -> dict[str, int]:
            return {labels[0]: count for (name, *labels), count in counts.items() if name == kind}

        def by_two(kind: str) -> dict[tuple[str, str], int]:
            return {
                (labels[0], labels[1]): count
                for (name, *labels), count in counts.items()
                if name == kind
            }

        return Pipeline(
            events_total=by_two("events"),
            rejected=by_one("rejected"),
            shortened=records.shortened,
            duplicates=by_one("duplicates"),
            conflicting=by_one("conflicting"),
            late=by_one("late"),
            ignored=by_two("ignored"),
            unknown_fields=records.unknown_fields(),
            unmatched=by_one("unmatched"),
            lag_records={(tp.topic, tp.partition): place.lag for tp, place in read.items()},
            event_lag_s={
                (tp.topic, tp.partition): self._lag_s(read.get(tp), partition, now_ms)
                for tp, partition in parts.items()
            },
            snapshot_age_s={(tp.topic, tp.partition): age for tp, age in self._ages_s().items()},
            rebuilds={} if self._kept is None else self._kept.rebuilt,
            missed=by_one("missed"),
            recreated=by_one("recreated"),
            policy_reload_failed=status is not None and status.failed,
            policy_changes_refused=0 if status is None else len(status.refusals),
            floor_partial=self._shown.floor.partial is not None,
        )

    def _kept_out(self) -> dict[str, int]:
        """What this worker has met and counted nowhere, over all queues."""
        parts = self._records.partitions.values()
        return {
            "late": sum(part.late for part in parts),
            "duplicates": sum(sum(part.duplicates.values()) for part in parts),
            "conflicting": sum(sum(part.conflicting.values()) for part in parts),
            "ignored": sum(sum(part.ignored.values()) for part in parts),
            "unmatched": sum(part.unmatched_outcomes for part in parts),
            "rejected": sum(self._records.rejected.values()),
        }

    def _lag_s(self, position: Position | None, partition: Partition, now_ms: int) -> float:
        if position is not None and self._is_at_its_end(position):
            return 0.0
        return max(0, now_ms - partition.arrival_ms) / 1000 if partition.arrival_ms else 0.0

    def _ages_s(self) -> Mapping[TP, float]:
        return {} if self._kept is None else self._kept.ages_s()


def _withheld(floor: Floor) -> Floor:
    """*floor* with every queue behind: its totals stay, live and window figures are not shown."""
    queues = {key: replace(queue, catching_up=True) for key, queue in floor.queues.items()}
    return replace(floor, queues=queues)
