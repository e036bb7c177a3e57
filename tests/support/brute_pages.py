"""Which pages a day of calls is worth, from its contacts alone.

Nothing here knows of the core, of windows that are kept or of PromQL: every instant is worked out
anew from a list of visits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import orjson

from tests.support.scraped_day import EVERY_S, Day

THRESHOLD_MS: Final = 20_000
LIMIT_MS: Final = 300_000
LEVEL: Final = 0.5
VOLUME: Final = 10
HOLD_S: Final = {"LongestWaitCritical": 0, "ServiceLevelBurning": 60, "ManyQueuesInTrouble": 0}
KEPT_S: Final = {
    "LongestWaitCritical": 900,
    "ServiceLevelBurning": 900,
    "ManyQueuesInTrouble": 1800,
}
EPISODE_S: Final = 900


@dataclass
class Visit:
    """A stay in a queue; *ends_ms* is None while nobody knows of an end."""

    queue: str
    begins_ms: int
    ends_ms: int | None = None
    answered: bool = False

    @property
    def is_met(self) -> bool:
        """Answered up to the threshold."""
        return self.answered and self.decided_ms <= self.begins_ms + THRESHOLD_MS

    @property
    def decided_ms(self) -> int:
        """When it was certain whether the threshold was met."""
        latest_ms = self.begins_ms + THRESHOLD_MS + 1
        return latest_ms if self.ends_ms is None else min(self.ends_ms, latest_ms)


def visits_of(records: Iterable[tuple[int, bytes]]) -> list[Visit]:
    """The visits of calls that are in one queue at a time."""
    waiting: dict[str, Visit] = {}
    seen: set[str] = set()
    visits = []
    for at_ms, record in records:
        event: Mapping[str, Any] = orjson.loads(record)
        kind, contact = event["type"].removeprefix("contact."), event["contact"]
        if kind == "queued" or (
            kind in ("answered", "abandoned") and contact not in seen and contact not in waiting
        ):
            waiting[contact] = Visit(event["queue"], at_ms)
            visits.append(waiting[contact])
            seen.add(contact)
        if kind in ("answered", "abandoned", "ended", "left") and contact in waiting:
            visit = waiting.pop(contact)
            visit.ends_ms, visit.answered = at_ms, kind == "answered"
    return visits


Breaches = dict[tuple[str, str], list[int]]
"""By alert and queue: the seconds of the day at which it is in breach."""


def breaches_of(day: Day) -> Breaches:
    """What is wrong at each scrape of *day*."""
    by_queue: dict[str, list[Visit]] = {}
    for visit in visits_of(day.records):
        by_queue.setdefault(visit.queue, []).append(visit)
    found: Breaches = {}
    for at_s in day.instants_s:
        now_ms = day.begins_ms + at_s * 1000
        troubled = 0
        for queue, visits in by_queue.items():
            recent = [visit for visit in visits if now_ms - 3_600_000 < visit.begins_ms <= now_ms]
            wrong = [
                alert
                for alert, is_so in (
                    ("LongestWaitCritical", _waits_too_long(recent, now_ms)),
                    ("ServiceLevelBurning", _burns(recent, now_ms)),
                )
                if is_so
            ]
            troubled += bool(wrong)
            for alert in wrong:
                found.setdefault((alert, queue), []).append(at_s)
        if troubled > 5:
            found.setdefault(("ManyQueuesInTrouble", ""), []).append(at_s)
    return found


def _waits_too_long(visits: Sequence[Visit], now_ms: int) -> bool:
    return any(
        now_ms - visit.begins_ms > LIMIT_MS
        for visit in visits
        if visit.ends_ms is None or visit.ends_ms > now_ms
    )


def _burns(visits: Sequence[Visit], now_ms: int) -> bool:
    def level(over_ms: int, at_least: int) -> bool:
        decided = [v.is_met for v in visits if now_ms - over_ms < v.decided_ms <= now_ms]
        return len(decided) >= at_least and sum(decided) < LEVEL * len(decided)

    # Of five minutes Prometheus has the scrapes that lie in them: the first is as long ago as this.
    return level(900_000, VOLUME) and level(300_000 - EVERY_S * 1000, 1)


def pages_of(breaches: Breaches) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """When each alert fires: from second to second, both of them scrapes at which it does."""
    pages: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for (alert, queue), seconds in breaches.items():
        fires: list[tuple[int, int]] = []
        began_s = last_s = seconds[0]
        kept_s = KEPT_S[alert]
        for at_s in seconds:
            if at_s - last_s > EVERY_S:
                began_s = at_s
            last_s = at_s
            goes_on = bool(fires) and at_s <= fires[-1][1] + EVERY_S
            if goes_on:
                fires[-1] = (fires[-1][0], at_s + kept_s)
            elif at_s - began_s >= HOLD_S[alert]:
                fires.append((at_s, at_s + kept_s))
        if fires:
            pages[alert, queue] = fires
    return pages


def episodes(seconds: Sequence[int]) -> int:
    """How many times something went wrong, where less than a quarter of an hour apart is once."""
    return 1 + sum(after - before >= EPISODE_S for before, after in pairwise(seconds))
