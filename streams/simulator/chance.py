"""Chance in the simulated centre: who comes, how long things take, and when people give up."""

from __future__ import annotations

import math
import random
from typing import Final, NamedTuple

from streams.simulator.centre import QueuePlan

_BALKS: Final = 0.035
_JUMPS: Final = 0.03
_ANNOUNCED_EVERY_S: Final = 60
_ANNOUNCED_UNTIL_S: Final = 360
_LOSES_HEART: Final = (("callback", 0.05), ("voicemail", 0.08), ("key", 0.12))
"""Share of callers giving up after half a minute who leave by another route, cumulative."""

HEAD_START_MS: Final = {"gold": 60_000, "silver": 20_000, "standard": 0}
"""Customer types, and the place in line that each gains."""

_SEGMENTS: Final = ("gold",) * 12 + ("silver",) * 28 + ("standard",) * 60


class Leaving(NamedTuple):
    """When a contact that is not answered leaves, and by which route."""

    after_ms: int
    route: str


class Chance:
    """The centre's random numbers; *seed* fixes them all."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self._draw = self._random.random

    def happens(self, share: float) -> bool:
        """True in *share* of all cases, 0 to 1."""
        return self._draw() < share

    def between_ms(self, least_ms: int, most_ms: int) -> int:
        """A length of time in [least, most), all equally likely."""
        return least_ms + int(self._draw() * (most_ms - least_ms))

    def lasts_ms(self, mean_s: float, spread: float) -> int:
        """A length of time that is mostly short and at times long (log-normal), 1 s or more."""
        drawn_s = self._random.lognormvariate(math.log(mean_s) - spread * spread / 2, spread)
        return max(1_000, int(drawn_s * 1000))

    def gap_ms(self, per_hour: float) -> int:
        """Time to the next arrival of a Poisson process, 1 ms or more."""
        return 1 + int(-math.log(1.0 - self._draw()) * 3_600_000 / per_hour)

    def one_of(self, choices: tuple[str, ...]) -> str:
        """One of *choices*, all equally likely."""
        return choices[int(self._draw() * len(choices))]

    def segment(self) -> str:
        """A customer type."""
        return self.one_of(_SEGMENTS)

    def customer(self) -> str:
        """An opaque key of a customer never seen before."""
        return f"k{self._random.getrandbits(40):010x}"

    def exchanges(self, mean: float) -> int:
        """How many replies an exchange of messages takes, 1 or more."""
        return 1 + int(self._draw() * (2 * mean - 1))

    def leaving(self, plan: QueuePlan) -> Leaving | None:
        """When a contact in this queue gives up or is sent away; None when nobody leaves it.

        The hazard of leaving has two peaks: at once, when the message says that this is a queue,
        and at each announcement.
        """
        if not plan.patience_s:
            return None
        draw = self._draw
        patience_s = -math.log(1.0 - draw()) * plan.patience_s
        if draw() < _BALKS:
            patience_s = 1 + 5 * draw()
        else:
            for announced_s in range(_ANNOUNCED_EVERY_S, _ANNOUNCED_UNTIL_S, _ANNOUNCED_EVERY_S):
                if announced_s > patience_s:
                    break
                if draw() < _JUMPS:
                    patience_s = announced_s + 4 * draw()
        route = "abandoned"
        if patience_s > 30 and plan.talk is None:
            drawn = draw()
            route = next((other for other, share in _LOSES_HEART if drawn < share), route)
        if plan.max_wait_s and patience_s > plan.max_wait_s:
            patience_s, route = plan.max_wait_s, "timeout"
        if plan.overflow_to and patience_s > plan.overflow_after_s:
            patience_s, route = plan.overflow_after_s, "overflow"
        return Leaving(int(patience_s * 1000), route)
