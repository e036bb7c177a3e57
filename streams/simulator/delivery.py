"""How events reach the broker: at once, late, twice, or not before their source speaks again."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, NamedTuple

_LATE: Final = 0.3
_LATE_MEAN_MS: Final = 45_000
_LATE_MOST_MS: Final = 600_000
_TWICE: Final = 0.2
_TWICE_WITHIN_MS: Final = 60_000


class Delivery(NamedTuple):
    """A record and when it is sent.

    Attributes:
        at_ms: when it is sent; never before the event's time.
        topic: `calls`, `chats` or `queues`.
        key: what the partition is chosen by; None stands for every partition of the topic.
        value: the event as JSON.
    """

    at_ms: int
    topic: str
    key: bytes | None
    value: bytes


class Outbox:
    """Deliveries on their way.

    It draws from random numbers of its own, so that what goes wrong on the way never changes what
    happened.

    Attributes:
        ready: what goes out next, in the order in which it was said.
        late: what goes out later, as a heap.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self.ready: deque[Delivery] = deque()
        self.late: list[tuple[int, int, Delivery]] = []
        self._held: dict[str, list[Delivery]] = {}
        self._count = 0

    def send(
        self, delivery: Delivery, source: str, *, late: bool = False, twice: bool = False
    ) -> None:
        """Send *delivery* of *source* now, unless the source is silent.

        Args:
            delivery: due at once.
            source: who says it.
            late: it is one of those of which three in ten are late.
            twice: it is one of those of which two in ten come again.
        """
        held = self._held.get(source) if self._held else None
        if held is not None:
            held.append(delivery)
            return
        draw = self._random
        if late and draw.random() < _LATE:
            late_ms = min(_LATE_MOST_MS, 1 + int(draw.expovariate(1 / _LATE_MEAN_MS)))
            delivery = delivery._replace(at_ms=delivery.at_ms + late_ms)
            self._delay(delivery)
        else:
            self.ready.append(delivery)
        if twice and draw.random() < _TWICE:
            again_ms = delivery.at_ms + int(draw.random() * _TWICE_WITHIN_MS)
            self._delay(delivery._replace(at_ms=again_ms))

    def is_silent(self, source: str) -> bool:
        """Whether *source* is held back."""
        return source in self._held

    def silence(self, source: str) -> None:
        """Hold back everything that *source* says from now on."""
        self._held.setdefault(source, [])

    def release(self, source: str, at_ms: int) -> None:
        """Send what *source* has said meanwhile, in its order, at *at_ms*."""
        for delivery in self._held.pop(source, ()):
            self.ready.append(delivery._replace(at_ms=at_ms))

    def due(self, before_ms: float) -> Iterator[Delivery]:
        """What is ready, then what is late and goes out before *before_ms*."""
        while self.ready:
            yield self.ready.popleft()
        while self.late and self.late[0][0] < before_ms:
            yield heappop(self.late)[2]

    def release_all(self, at_ms: int) -> None:
        """Send at *at_ms* what every silent source has said meanwhile."""
        for source in list(self._held):
            self.release(source, at_ms)

    def _delay(self, delivery: Delivery) -> None:
        self._count += 1
        heappush(self.late, (delivery.at_ms, self._count, delivery))
