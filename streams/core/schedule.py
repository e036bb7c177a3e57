"""Contacts by the second in which time alone next changes something of them."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final

from streams.core.contact import NEVER, Life

_BUCKET_MS: Final = 1_000


class Schedule:
    """Each contact at most once, under its `due_ms`."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[Life, None]] = {}
        self._order: list[int] = []

    def put(self, life: Life, due_ms: int) -> None:
        """Schedule *life* for *due_ms*, wherever it was before."""
        if life.due_ms != NEVER:
            self.drop(life)
        life.due_ms = due_ms
        number = due_ms // _BUCKET_MS
        bucket = self._buckets.get(number)
        if bucket is None:
            self._buckets[number] = {life: None}
            heappush(self._order, number)
        else:
            bucket[life] = None

    def drop(self, life: Life) -> None:
        """Schedule *life* no more."""
        bucket = self._buckets.get(life.due_ms // _BUCKET_MS)
        if bucket is not None:
            bucket.pop(life, None)
        life.due_ms = NEVER

    def take(self, now_ms: int) -> Iterator[tuple[Life, int]]:
        """Take out every contact of the seconds up to that of *now_ms*, with when it is due.

        Some of the last second may be due only after *now_ms*. What is put back meanwhile must be
        for a later second. `due_ms` stays as it was.
        """
        while self._order and self._order[0] * _BUCKET_MS <= now_ms:
            for life in self._buckets.pop(heappop(self._order)):
                yield life, life.due_ms
