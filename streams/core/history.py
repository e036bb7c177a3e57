"""How each queue has stood in the last hour: what a wall draws, and which way it goes.

It is the memory of one worker, taken at the first second that it shows of each minute, and begins
anew with it. What was not known at that second stays unknown.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from streams.core.figures import fractions
from streams.core.floor import Floor, QueueFloor, is_withheld
from streams.core.formulas import ratio_of
from streams.core.frame import Key
from streams.core.policy import PolicyBook, QueuePolicy

MINUTE_MS: Final = 60_000
MINUTES: Final = 60

WAITING_BACK: Final = 5
"""Minutes ago with which those waiting now are compared."""

WAITING_STEP: Final = 2
WAITING_STEP_RATIO: Final = 0.2
"""The least change of those waiting that is one: so many, and such a share of those before."""

LEVEL_BACK: Final = 15
"""Minutes ago with which the service level is compared."""

LEVEL_STEP_RATIO: Final = 0.05

Trend = Literal["rising", "steady", "falling"]


class Sample(NamedTuple):
    """One queue at one second.

    Attributes:
        waiting: visits open.
        level: service level by the queue's own formula in the first window of its wall; None where
            there is nothing to divide by.
        is_firm: that rests on no fewer than the volume floor.
    """

    waiting: int
    level: float | None
    is_firm: bool


class FloorHistory:
    """A sample of every queue for each of the last sixty minutes; at most one floor's queues each.

    Args:
        policies: name the formula and the window of each queue.
    """

    def __init__(self, policies: PolicyBook) -> None:
        self._policies = policies
        self._minutes: dict[int, dict[Key, Sample]] = {}
        self._newest = -1

    def take_policy(self, policies: PolicyBook) -> None:
        """Go on under *policies*; samples taken before stay what they were."""
        self._policies = policies

    @property
    def newest_minute(self) -> int:
        """The number of the minute last taken; -1 before the first."""
        return self._newest

    def take(self, floor: Floor) -> None:
        """Keep *floor* if it is the first one of its minute."""
        minute = floor.now_ms // MINUTE_MS
        if minute <= self._newest:
            return
        self._newest = minute
        self._minutes[minute] = {
            key: self.sample(queue, self._policies.queue(*key, floor.now_ms))
            for key, queue in floor.queues.items()
            if not is_withheld(queue)
        }
        for old in [each for each in self._minutes if each <= minute - MINUTES]:
            del self._minutes[old]

    @staticmethod
    def sample(queue: QueueFloor, policy: QueuePolicy) -> Sample:
        """*queue* as it stands."""
        sums = queue.windows[policy.windows[0]]
        level = fractions(sums, queue.live, (policy.formula,))[policy.formula]
        return Sample(queue.live.waiting, ratio_of(level), level[1] >= policy.volume_floor)

    def trend(self, key: Key, now: Sample | None, now_ms: int) -> dict[str, Trend | None]:
        """Which way a queue goes that stands at *now*; None where that, or the past, is unknown."""
        if now is None:
            return {"waiting": None, "service_level": None}
        minute = now_ms // MINUTE_MS
        return {
            "waiting": _of_waiting(now, self._minutes.get(minute - WAITING_BACK, {}).get(key)),
            "service_level": _of_level(now, self._minutes.get(minute - LEVEL_BACK, {}).get(key)),
        }

    def document(self) -> dict[str, Any]:
        """The last hour as JSON: of each queue sixty values, the newest last, None where unknown.

        Service levels are rounded to a thousandth: they are drawn, not read.
        """
        minutes = range(self._newest - MINUTES + 1, self._newest + 1)
        kept = [self._minutes.get(minute, {}) for minute in minutes]
        samples = {
            key: [each.get(key) for each in kept]
            for key in sorted({key for each in kept for key in each})
        }
        return {
            "every_s": MINUTE_MS // 1000,
            "until_ms": max(self._newest, 0) * MINUTE_MS,
            "queues": [
                {
                    "queue": queue,
                    "channel": channel,
                    "waiting": [None if at is None else at.waiting for at in known],
                    "service_level": [
                        None if at is None or at.level is None else round(at.level, 3)
                        for at in known
                    ],
                }
                for (queue, channel), known in samples.items()
            ],
        }


def _of_waiting(now: Sample, before: Sample | None) -> Trend | None:
    if before is None:
        return None
    step = max(WAITING_STEP, WAITING_STEP_RATIO * before.waiting)
    return _direction(now.waiting - before.waiting, step)


def _of_level(now: Sample, before: Sample | None) -> Trend | None:
    if before is None or now.level is None or before.level is None:
        return None
    if not (now.is_firm and before.is_firm):
        return None
    # Two ratios that differ by just the step may differ by less in binary.
    return _direction(round(now.level - before.level, 9), LEVEL_STEP_RATIO)


def _direction(change: float, step: float) -> Trend:
    if change >= step:
        return "rising"
    return "falling" if change <= -step else "steady"
