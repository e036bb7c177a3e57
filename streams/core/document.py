"""The floor as people and programs read it: the JSON of the API, the event stream and the wall."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from operator import is_
from typing import Any, Final

from schemas.instants import write_instant
from streams.core import tally as t
from streams.core.alerts import Alerting, suppressed
from streams.core.figures import Counted, Entry, Live, counted_of, entry_with, threshold_figures
from streams.core.floor import Floor, Partial, QueueFloor, is_withheld
from streams.core.formulas import DEFAULT_FORMULA, FORMULA_IDS
from streams.core.frame import WINDOWS
from streams.core.history import FloorHistory, Sample, Trend
from streams.core.judgement import DURATIONS, Cause, judge
from streams.core.policy import PolicyBook, QueuePolicy, VisitPolicy
from streams.core.queue_tally import FAILED
from streams.core.steps import Steps, last_of
from streams.core.tally import Sums

ALL: Final = "*"
TOTAL: Final = "total"

STALE: Final = "stale"
"""Why no page of a queue is sent: rules need data of now."""

COMMON_FORMULAS: Final = ("of_offered",)
"""What a wall needs beside a queue's own formula: instant service rests on all offered."""

STEP: Final = 50
"""Queues at a time."""

_instant: Final = lru_cache(maxsize=64)(write_instant)
"""One document says the same few instants thousands of times."""


class Documents:
    """Makes the documents of floors that follow one another.

    What an unchanged sum came to is kept, so a document costs what has changed since the last one.

    Args:
        policies: what queues are judged by.
        name: of the installation.
        clock: `wall` or `event`.

    Attributes:
        history: which way each queue goes; nothing is known of that until it has taken a floor.
    """

    def __init__(self, policies: PolicyBook, *, name: str, clock: str) -> None:
        self.history = FloorHistory(policies)
        self._policies = policies
        self._name = name
        self._clock = clock
        self._counted: dict[_Place, tuple[object, object, Counted]] = {}
        self._everything: list[tuple[Counted, set[int]]] = []
        self._added_up: list[Mapping[str, Sums]] = []

    def take_policy(self, policies: PolicyBook) -> None:
        """Go on under *policies*."""
        self._policies = policies
        self._everything = []
        self.history.take_policy(policies)

    def document(
        self, floor: Floor, *, ready: bool, alerting: Alerting | None = None
    ) -> dict[str, Any]:
        """The whole floor: every queue with its state, every entry of every window.

        Args:
            floor: as it stands.
            ready: whether all has been caught up with once.
            alerting: what an Alertmanager says; None where nobody asks one.
        """
        return last_of(self.steps(floor, ready=ready, alerting=alerting))

    def steps(
        self, floor: Floor, *, ready: bool, alerting: Alerting | None = None
    ) -> Steps[dict[str, Any]]:
        """The same, a little with each step."""
        policies = self._policies
        shown = [queue for queue in floor.queues.values() if _is_shown(queue)]
        tiles = []
        entries: list[Entry] = []
        counted: dict[_Place, tuple[object, object, Counted]] = {}
        for number, queue in enumerate(shown, 1):
            policy = policies.queue(queue.queue, queue.channel, floor.now_ms)
            visits = policies.visit(queue.queue, queue.channel, floor.now_ms)
            own = list(self._entries(queue, policy, visits, floor, counted))
            trend = self._trend(queue, policy, own, floor)
            tiles.append(_tile(queue, policy, visits, floor, trend=trend, alerting=alerting))
            entries += own
            if number % STEP == 0:
                yield
        self._counted = counted
        entries += yield from self._floor_entries(floor)
        return {
            "name": self._name,
            "as_of": write_instant(floor.now_ms),
            "as_of_ms": floor.now_ms,
            "tick": write_instant(floor.tick_ms),
            "tick_ms": floor.tick_ms,
            "clock": self._clock,
            "ready": ready,
            "partial": _partial(floor.partial),
            "paging": None if alerting is None else alerting.document(_keys(tiles)),
            "queues": tiles,
            "entries": entries,
        }

    def _trend(
        self, queue: QueueFloor, policy: QueuePolicy, own: Iterable[Entry], floor: Floor
    ) -> dict[str, Trend | None]:
        key = (queue.queue, queue.channel)
        if is_withheld(queue):
            return self.history.trend(key, None, floor.now_ms)
        (first,) = (entry for entry in own if entry["window"] == policy.windows[0])
        sample = Sample(
            queue.live.waiting,
            first["service_level"][policy.formula],
            first["service_level_n"][policy.formula] >= policy.volume_floor,
        )
        return self.history.trend(key, sample, floor.now_ms)

    def _entries(
        self,
        queue: QueueFloor,
        policy: QueuePolicy,
        visits: VisitPolicy,
        floor: Floor,
        counted: dict[_Place, tuple[object, object, Counted]],
    ) -> Iterable[Entry]:
        now_ms = queue.as_of_ms if queue.catching_up else floor.now_ms
        for window, sums in queue.windows.items():
            place = (queue.queue, queue.channel, window)
            known = self._counted.get(place)
            if known is None or known[0] is not sums:
                known = (sums, None, counted_of(sums, FORMULA_IDS))
            counted[place] = known
            thresholds = sums.thresholds.keys() or {visits.threshold_ms}
            head = _head(queue, window, policy.formula, queue.tick_ms, now_ms, thresholds)
            yield entry_with(known[2], queue.live, head, as_of_ms=now_ms)
        place = (queue.queue, queue.channel, TOTAL)
        known = self._counted.get(place)
        if known is None or known[0] is not queue.net or known[1] is not visits:
            sums = totals_of(queue.net, visits)
            known = (queue.net, visits, counted_of(sums, FORMULA_IDS))
        counted[place] = known
        thresholds = set(queue.thresholds) or {visits.threshold_ms}
        head = _head(queue, TOTAL, policy.formula, now_ms, now_ms, thresholds)
        total = entry_with(known[2], queue.live, head, as_of_ms=now_ms)
        if visits.short_abandon_ms > min(thresholds):
            # No counter tells the abandonments apart that came after T and up to S.
            total["abandoned_short"] = None
        yield total

    def _floor_entries(self, floor: Floor) -> Steps[list[Entry]]:
        """All queues together, under `*`; the sum of their visits, each with its own threshold."""
        queues = list(floor.queues.values())
        windows = [queue.windows for queue in queues]
        is_known = len(windows) == len(self._added_up) and all(map(is_, windows, self._added_up))
        if not (is_known and self._everything):
            found = []
            for window in WINDOWS:
                sums = Sums()
                thresholds: set[int] = set()
                for queue in queues:
                    part = queue.windows[window]
                    sums.add(part)
                    if part.holds_visits():
                        visits = self._policies.visit(queue.queue, queue.channel, floor.now_ms)
                        thresholds |= part.thresholds.keys() or {visits.threshold_ms}
                found.append((counted_of(sums, FORMULA_IDS), thresholds))
                yield
            self._everything, self._added_up = found, windows
        live = Live()
        everything = QueueFloor(ALL, ALL)
        for queue in queues:
            live.add(queue.live)
            everything.incomplete |= queue.incomplete
        return [
            entry_with(
                counted,
                live,
                _head(everything, name, DEFAULT_FORMULA, floor.tick_ms, floor.now_ms, thresholds),
                as_of_ms=floor.now_ms,
            )
            for name, (counted, thresholds) in zip(WINDOWS, self._everything, strict=True)
        ]


_Place = tuple[str, str, str]
"""A queue, a channel and a window."""


def floor_document(
    floor: Floor, policies: PolicyBook, *, name: str, clock: str, ready: bool
) -> dict[str, Any]:
    """The document of one floor alone."""
    return Documents(policies, name=name, clock=clock).document(floor, ready=ready)


def _partial(partial: Partial | None) -> dict[str, Any] | bool:
    if partial is None:
        return False
    return {"share": partial.share, "since_ms": partial.since_ms}


def wall_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """*document* with only what a wall shows: each queue's wall windows, under its own formula."""
    policies = {(queue["queue"], queue["channel"]): queue["policy"] for queue in document["queues"]}
    entries = []
    for entry in document["entries"]:
        policy = policies.get((entry["queue"], entry["channel"]))
        if policy is not None and entry["window"] in policy["windows"]:
            formulas = dict.fromkeys((policy["formula"], *COMMON_FORMULAS))
            levels = {name: entry["service_level"][name] for name in formulas}
            counts = {name: entry["service_level_n"][name] for name in formulas}
            entries.append({**entry, "service_level": levels, "service_level_n": counts})
    return {**document, "entries": entries}


def _is_shown(queue: QueueFloor) -> bool:
    """A queue that something happened in; not one that only contains what a bot did."""
    live = queue.live
    known = live.agents is not None or queue.door is not None or live.awaiting
    return bool(known or any(name != "bot_contained" for name in queue.counters))


def _keys(tiles: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(tile["queue"], tile["channel"]) for tile in tiles]


def _tile(
    queue: QueueFloor,
    policy: QueuePolicy,
    visits: VisitPolicy,
    floor: Floor,
    *,
    trend: Mapping[str, Trend | None],
    alerting: Alerting | None,
) -> dict[str, Any]:
    judgement = judge(queue, policy, visits, floor.now_ms)
    alerts = [] if alerting is None else alerting.of_queue(queue.queue, queue.channel)
    door = queue.door
    out_of_service = door is not None and not door.is_open and door.reason == "fault"
    return {
        "queue": queue.queue,
        "channel": queue.channel,
        "name": policy.name,
        "site": policy.site,
        "team": policy.team,
        "state": judgement.state,
        "reason": judgement.reason,
        "cause": _cause(judgement.cause),
        "as_of_ms": queue.as_of_ms or floor.now_ms,
        "no_data_since_ms": queue.no_data_since_ms,
        "out_of_service_since_ms": door.since_ms if door is not None and out_of_service else None,
        "oldest_waiting_ms": queue.live.oldest_ms,
        "oldest_awaiting_reply_ms": queue.live.oldest_awaiting_ms,
        "open": queue.live.is_open,
        "agents": queue.live.agents,
        "trend": trend,
        "alerts": [alert.document() for alert in alerts],
        "paging_suppressed": STALE if is_withheld(queue) else suppressed(alerts),
        "policy": _policy(policy, visits),
    }


def _cause(cause: Cause | None) -> dict[str, Any] | None:
    if cause is None:
        return None
    if cause.limit is None or cause.id not in DURATIONS:
        return {"id": cause.id, "limit": cause.limit}
    return {"id": cause.id, "limit": cause.limit / 1000}


def _policy(policy: QueuePolicy, visits: VisitPolicy) -> dict[str, Any]:
    within_ms = visits.instant_within_ms
    return {
        "threshold_s": visits.threshold_ms / 1000,
        "target": policy.target_ratio,
        "short_abandon_s": visits.short_abandon_ms / 1000,
        "instant_within_s": None if within_ms is None else within_ms / 1000,
        "instant_target": policy.instant_target_ratio,
        "formula": policy.formula,
        "longest_wait_limit_s": {
            "warning": policy.longest_wait_warning_ms / 1000,
            "critical": policy.longest_wait_critical_ms / 1000,
        },
        "initial_response_limit_s": visits.initial_response_limit_ms / 1000,
        "abandonment_limit": policy.abandonment_limit_ratio,
        "volume_floor": policy.volume_floor,
        "windows": list(policy.windows),
        "zone": policy.zone_name,
    }


def _head(
    queue: QueueFloor,
    window: str,
    formula: str,
    at_ms: int,
    now_ms: int,
    thresholds: Collection[int],
) -> Entry:
    return {
        "at": _instant(at_ms),
        "as_of": _instant(now_ms),
        "window": window,
        "queue": queue.queue,
        "channel": queue.channel,
        **threshold_figures(thresholds),
        "formula": formula,
        "incomplete": window in queue.incomplete,
    }


def totals_of(net: Mapping[str, int], visits: VisitPolicy) -> Sums:
    """Net counters as the sums of one window that holds everything; durations stay empty."""
    sums = Sums()
    counts = sums.counts
    for name, count in net.items():
        family, _, rest = name.partition(":")
        if family == "left":
            reason, _, within = rest.rpartition(":")
            for at in _left_indices(reason, within == "true"):
                counts[at] += count
        elif family == "instant":
            counts[t.INSTANT] += count
        else:
            for at in _INDICES.get(name, ()) or _INDICES.get(family, ()):
                counts[at] += count
    decided_early = counts[t.ABANDONED_SHORT] + counts[t.ABANDONED_BEFORE] + counts[t.LEFT_WITHIN]
    counts[t.MISSED] = net.get("service_level_events:false", 0) - decided_early
    if visits.instant_within_ms is not None:
        withdrawn = counts[t.WITHDRAWN_WITHIN_OF_ARRIVED]
        counts[t.COULD_BE_INSTANT] = counts[t.OFFERED] - withdrawn
    return sums


_INDICES: Final[Mapping[str, tuple[int, ...]]] = {
    "offered": (t.OFFERED,),
    "sent_to_wait": (t.SENT_TO_WAIT,),
    "answered:true": (t.ANSWERED_WITHIN, t.ANSWERED_WITHIN_OF_ARRIVED),
    "answered:false": (t.ANSWERED_LATE,),
    "abandoned:short": (t.ABANDONED_SHORT, t.SHORT_OF_ARRIVED, t.ABANDONED_UP_TO_SHORT),
    "abandoned:before_threshold": (t.ABANDONED_BEFORE, t.BEFORE_OF_ARRIVED),
    "abandoned:after_threshold": (t.ABANDONED_AFTER,),
    "expired": (t.EXPIRED,),
    "refused": (t.REFUSED,),
    "transferred": (t.TRANSFERRED,),
    "initial_response_events:true": (t.RESPONSES, t.RESPONSES_WITHIN),
    "initial_response_events:false": (t.RESPONSES,),
    "service_level_events:true": (t.DECIDED_OF_ARRIVED,),
    "service_level_events:false": (t.DECIDED_OF_ARRIVED,),
}


def _left_indices(reason: str, within: bool) -> tuple[int, ...]:
    withdrawn = reason == "withdrawn"
    if not within:
        return (t.LEFT_AFTER, t.FAILED_AFTER) if withdrawn or reason in FAILED else (t.LEFT_AFTER,)
    if withdrawn:
        return (t.WITHDRAWN_WITHIN, t.WITHDRAWN_WITHIN_OF_ARRIVED)
    indices = (t.LEFT_WITHIN, t.LEFT_WITHIN_OF_ARRIVED)
    return (*indices, t.FAILED_WITHIN) if reason in FAILED else indices
