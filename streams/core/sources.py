"""Producing systems: when each was last heard, and which of them are stale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DEFAULT_INTERVAL_MS: Final = 30_000
MISSED_HEARTBEATS: Final = 3
MAX_SOURCES: Final = 200
OTHER: Final = "_other"


class SourceBook:
    """The sources heard in one partition, or merged over several.

    Attributes:
        beating: sources that have ever sent `source.alive`.
    """

    __slots__ = ("_hearing", "_hearing_ms", "_last_ms", "beating")

    def __init__(self) -> None:
        self._last_ms: dict[str, int] = {}
        self.beating: set[str] = set()
        # The source last heard, and until when: put into the dict when somebody looks.
        self._hearing = ""
        self._hearing_ms = 0

    @property
    def last_ms(self) -> dict[str, int]:
        """Time of the newest event of each source."""
        if self._hearing:
            self._note(self._hearing, self._hearing_ms)
        return self._last_ms

    @last_ms.setter
    def last_ms(self, last_ms: dict[str, int]) -> None:
        self._hearing = ""
        self._last_ms = last_ms

    def heard(self, source: str, time_ms: int) -> None:
        """An event of *source* happened at *time_ms*."""
        if source != self._hearing:
            if self._hearing:
                self._note(self._hearing, self._hearing_ms)
            self._hearing = source
            self._hearing_ms = time_ms
        elif time_ms > self._hearing_ms:
            self._hearing_ms = time_ms

    def _note(self, source: str, time_ms: int) -> None:
        last_ms = self._last_ms.get(source)
        if last_ms is None and len(self._last_ms) >= MAX_SOURCES:
            source = OTHER
            last_ms = self._last_ms.get(source)
        if last_ms is None or time_ms > last_ms:
            self._last_ms[source] = time_ms

    def alive(self, source: str) -> None:
        """*source* sends heartbeats, so its silence means something."""
        if source in self.last_ms:
            self.beating.add(source)

    def add(self, other: SourceBook) -> None:
        """Merge what another partition heard."""
        for source, time_ms in other.last_ms.items():
            self.heard(source, time_ms)
        self.beating |= other.beating

    def silence_limits_ms(self, intervals_ms: Mapping[str, int]) -> dict[str, int]:
        """How long each source may be silent, which is three heartbeats.

        Only a source with an expected interval in *intervals_ms*, or one that has ever sent
        `source.alive`, has a limit.
        """
        limits = {}
        for source in self.last_ms:
            interval_ms = intervals_ms.get(source)
            if interval_ms is None and source in self.beating:
                interval_ms = DEFAULT_INTERVAL_MS
            if interval_ms is not None:
                limits[source] = MISSED_HEARTBEATS * interval_ms
        return limits

    def stale_since(self, now_ms: int, intervals_ms: Mapping[str, int]) -> dict[str, int]:
        """The stale sources, silent for longer than their limit, with their last event."""
        limits_ms = self.silence_limits_ms(intervals_ms)
        return {
            source: self.last_ms[source]
            for source, limit_ms in limits_ms.items()
            if now_ms - self.last_ms[source] > limit_ms
        }
