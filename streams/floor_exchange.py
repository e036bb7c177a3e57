"""Every second: this worker's frames to the floor topic, everyone's frames to the floor."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from uuid import uuid4

from aiokafka.errors import KafkaError

from streams.backoff import Backoff
from streams.core.frame import Frame
from streams.core.frame_codec import FrameLog, FrameWriter
from streams.core.steps import Steps
from streams.floor_keeper import FloorKeeper
from streams.floor_log import FloorLog
from streams.kafka_access import KafkaAccess
from streams.policy_log import PolicyLog
from streams.reader import TP

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
RETRY_FROM_S: Final = 1.0
RETRY_TO_S: Final = 5.0
SURELY_IN_IT_S: Final = 0.003
"""How far into a second its frames are made.

A loop whose timers count whole milliseconds may wake up too soon: still in the second before, whose
frames are there already, so that the floor would wait in vain for those of its own.
"""

SETTLED_WITHIN_S: Final = 0.7
"""How long after its second a floor waits for the frames that are still under way."""

CLAIM: Final = "claim"
"""Begins the end of the key of a record that says: an epoch begins here."""

T = TypeVar("T")


class FloorExchange:
    """Hands frames to and fro between a `FloorKeeper` and the floor topic.

    The first record of an epoch in the log ends the ones before it: what their owners say behind it
    counts for nobody, and what they said last stands until the new owner says something.

    Args:
        kafka: the way to Kafka.
        topic: the floor topic; has to be there, compacted.
        owned_epoch: the epoch in which this worker owns a partition; 0 where it does not.
        has_snapshot: whether a snapshot of that epoch has been written.

    Attributes:
        policy: what all workers have agreed on; of use once the topic has been read.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topic: str,
        *,
        owned_epoch: Callable[[TP], int],
        has_snapshot: Callable[[TP], bool],
    ) -> None:
        self.policy = PolicyLog(self._write_policy)
        self._log = FloorLog(kafka, topic, self._take, self.policy.take)
        self._owned_epoch = owned_epoch
        self._has_snapshot = has_snapshot
        self._epochs: dict[TP, int] = {}
        self._logs: dict[TP, dict[int, FrameLog]] = {}
        self._heard: dict[TP, int] = {}
        self._fresh: set[tuple[TP, int]] = set()
        self._writers: dict[tuple[TP, int], FrameWriter] = {}
        self._cleaned: set[tuple[TP, int]] = set()
        self._writing: asyncio.Task[None] | None = None
        self._backoff = Backoff(RETRY_FROM_S, RETRY_TO_S)
        self._not_before_s = 0.0

    def epoch(self, tp: TP) -> int:
        """The highest epoch of *tp* that anybody has written in; 0 before any."""
        return self._epochs.get(tp, 0)

    def speaks_in(self, tp: TP) -> int | None:
        """The epoch in which this worker says what *tp* counts; None while it may not.

        It may once it has read its own epoch's beginning in the topic and handed over all that lies
        before it, and only until anybody begins a higher one.
        """
        owned = self._owned_epoch(tp)
        return owned if owned and owned == self.epoch(tp) == self._heard.get(tp) else None

    async def announce(self, epochs: Mapping[TP, int]) -> None:
        """Begin these epochs: whoever owns a partition in a lower one learns that it has ended.

        Raises:
            KafkaError: not all of it was written.
            OSError: it was not written in time.
        """
        # A key of its own each time: a second record of one key would take the place of the first.
        record = (f"{CLAIM}.{uuid4().hex}", b"1")
        try:
            await asyncio.gather(
                *(self._log.write(tp, epoch, [record]) for tp, epoch in epochs.items())
            )
        except (KafkaError, OSError):
            await self._log.stop()
            raise

    async def read(self) -> None:
        """Read the floor topic for ever."""
        await self._log.read()

    async def caught_up(self) -> None:
        """Return when the topic has been read to where it ended when reading began."""
        while not self._log.is_read:
            self._log.arrived.clear()
            await asyncio.wait({asyncio.ensure_future(self._log.arrived.wait())}, timeout=EVERY_S)

    async def run(self, keeper: FloorKeeper) -> None:
        """Exchange frames at every whole second and have the floor shown."""
        while True:
            await asyncio.sleep(until_next(time.time()))
            frames = await _between(keeper.framing())
            is_free = self._writing is None or self._writing.done()
            if is_free and time.monotonic() >= self._not_before_s:
                self._writing = asyncio.create_task(self._write(frames))
            await self._settle(keeper)
            await _between(keeper.showing())

    async def stop(self) -> None:
        """Write no more."""
        if self._writing is not None:
            self._writing.cancel()
        await self._log.stop()

    async def _settle(self, keeper: FloorKeeper) -> None:
        """Hand over what arrives until the floor is whole at its second, or time is up."""
        until = time.monotonic() + SETTLED_WITHIN_S
        while True:
            self._log.arrived.clear()
            await self.hand_over(keeper)
            left_s = until - time.monotonic()
            if left_s <= 0 or keeper.is_whole():
                return
            try:
                await asyncio.wait_for(self._log.arrived.wait(), left_s)
            except TimeoutError:
                continue

    async def _write_policy(self, version: int, id_: str, body: bytes | None) -> None:
        try:
            await self._log.write_policy(version, id_, body)
        except (KafkaError, OSError):
            await self._log.stop()
            raise

    async def hand_over(self, keeper: FloorKeeper) -> None:
        """Hand over what has arrived since the last time."""
        fresh, self._fresh = self._fresh, set()
        for tp, epoch in sorted(fresh):
            logs = self._logs[tp]
            for frame in logs[epoch].frames():
                keeper.take(tp, epoch, frame)
            # Lower epochs were handed over before this one: nothing of them is taken any more.
            self._logs[tp] = {number: logs[number] for number in logs if number >= epoch}
            self._heard[tp] = epoch
            await asyncio.sleep(0)

    def _take(self, tp: TP, epoch: int, end: str, value: bytes | None) -> None:
        known = self.epoch(tp)
        if epoch < known or (epoch > known and value is None):
            return
        self._epochs[tp] = epoch
        frames = self._logs.setdefault(tp, {}).setdefault(epoch, FrameLog())
        if end.partition(".")[0] != CLAIM:
            frames.take(end, value)
        self._fresh.add((tp, epoch))

    async def _write(self, frames: Mapping[TP, tuple[int, Frame]]) -> None:
        """Write the frames of partitions whose epoch is still the one they were made in."""
        mine = {(tp, epoch) for tp, (epoch, _) in frames.items() if self.speaks_in(tp) == epoch}
        self._writers = {own: self._writers.get(own) or FrameWriter() for own in mine}
        try:
            async with asyncio.TaskGroup() as writing:
                for tp, epoch in mine:
                    records = self._writers[tp, epoch].records(frames[tp][1])
                    writing.create_task(self._log.write(tp, epoch, records))
                    await asyncio.sleep(0)
            await self._clean(mine)
            self._wrote()
        except* (KafkaError, OSError, TimeoutError) as failed:
            self._failed(failed.exceptions[0])
            for writer in self._writers.values():
                writer.forget()
            await self._log.stop()

    def _wrote(self) -> None:
        if self._backoff.failures:
            log.warning("the floor is told again")
        self._backoff.succeeded()

    def _failed(self, why: BaseException) -> None:
        """Say so once, and leave more and more time before the next attempt."""
        if not self._backoff.failures:
            log.warning("the floor is not told at present: %r", why)
        self._not_before_s = time.monotonic() + self._backoff.failed()

    async def _clean(self, mine: set[tuple[TP, int]]) -> None:
        """Remove what owners before have written, once a snapshot shows that we hold it."""
        self._cleaned &= mine
        for tp, epoch in mine - self._cleaned:
            if self._has_snapshot(tp):
                await self._log.remove_before(tp, epoch)
                self._cleaned.add((tp, epoch))


def until_next(now_s: float) -> float:
    """How long to sleep at *now_s* to wake up within the next second, and soon."""
    return EVERY_S - now_s % EVERY_S + SURELY_IN_IT_S


async def _between(steps: Steps[T]) -> T:
    """What comes of *steps*, between which the worker does what else it has to."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)
