"""All that one partition counts of one (queue, channel).

Counters go at once; windows and days stand at the last tick, so whatever happened after it is held
back by the partition and applied here when the tick has passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.core import tally as t
from streams.core.calendar import Day, day_of, day_start
from streams.core.contact import ABANDONED, ANSWERED, EXPIRED, LEFT, VOICE, Life, Visit
from streams.core.figures import Live
from streams.core.sources import MAX_SOURCES, OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from streams.core.blocks import Watch
    from streams.core.contact import Note, Reply, Response

FAILED = frozenset({"timeout", "empty", "error"})
"""Reasons that Asterisk counts among its abandons (f* of the formulas)."""

EXPIRY = "expired"

NOTHING = "none"
"""Stands in corrections where no class replaces the old one."""

DAYS_KEPT = 3

_STRETCH_MS = 60_000


def stretch_length(every_ms: int) -> int:
    """How many panes are kept together: those of about a minute."""
    return max(1, _STRETCH_MS // every_ms)


VisitClasses = tuple[str | None, str | None, str | None, str | None, str | None]


class QueueTally:
    """Counters, corrections, histograms, panes, days and open visits of one (queue, channel).

    With *by_arrival* everything of a visit is put at its arrival instead of its own moment, and
    everything of an initial response at the first asking.

    Attributes:
        counters: by name, label values joined by `:`; they only rise.
        corrections: by (from, to); what left the class `from`.
        open: the visits that wait, with their opening.
        waiting_past: how many of them wait past their threshold.
        awaiting: the contacts that await a human reply here, with the start of that clock.
        panes: by number; a pane holds what happened in one tick.
        days: by the first instant of each day.
        revision: rises with every change of a pane.
        fed: when each source last opened a visit here.
        segments: the customer types told apart here.
        thresholds: those of all visits so far, in ms; only where the policy changes over time.
        watch: who is told before panes change, if anyone.
        touched: the stretches of panes of which it has been told.
    """

    __slots__ = (
        "_by_arrival",
        "_every_ms",
        "_is_rolling",
        "_number",
        "_number_day_ms",
        "_rolling",
        "_rounding",
        "_stretch",
        "_targets",
        "_today",
        "_zone",
        "awaiting",
        "channel",
        "corrections",
        "counters",
        "dated",
        "days",
        "fed",
        "last_event_ms",
        "open",
        "panes",
        "queue",
        "responses",
        "revision",
        "segments",
        "thresholds",
        "touched",
        "waiting_past",
        "waits",
        "watch",
    )

    def __init__(
        self,
        queue: str,
        channel: str,
        *,
        zone: tzinfo,
        every_ms: int,
        windows: Mapping[str, int],
        rounding: t.Rounding,
        edges_ms: tuple[int, ...],
        dated: bool,
        by_arrival: bool = False,
    ) -> None:
        self.queue = queue
        self.channel = channel
        self.dated = dated
        self.counters: dict[str, int] = {}
        self.corrections: dict[tuple[str, str], int] = {}
        self.waits = {name: t.Histogram(edges_ms) for name in ("answered", "abandoned", "left")}
        self.responses = {
            name: t.Histogram(edges_ms) for name in ("asked", "handoff", "assignment")
        }
        self.open: dict[Visit, int] = {}
        self.waiting_past = 0
        self.awaiting: dict[Life, int] = {}
        self.fed: dict[str, int] = {}
        self.segments: set[str] = set()
        self.thresholds: set[int] = set()
        self.last_event_ms = 0
        self.revision = 0
        self.panes: dict[int, t.Sums] = {}
        self.watch: Watch | None = None
        self.touched: set[int] = set()
        self._by_arrival = by_arrival
        self._every_ms = every_ms
        self._stretch = stretch_length(every_ms)
        self._rounding = rounding
        self._zone = zone
        self._rolling = {name: t.Rolling(width // every_ms) for name, width in windows.items()}
        self.days: dict[int, t.Sums] = {}
        self._today = Day(0, 0)
        # The sums of the last pane touched: most of what happens falls where the last one did.
        self._number = -1
        self._number_day_ms = 0
        self._is_rolling = False
        self._targets: tuple[t.Sums, ...] = ()

    def take_policy(
        self, *, zone: tzinfo, edges_ms: tuple[int, ...], dated: bool, threshold_ms: int
    ) -> None:
        """Go on under another policy; *threshold_ms* held for all visits while it was not dated.

        A day is cut anew from what is kept of it, so its zone changes only while all of it is.
        """
        for histograms in (self.waits, self.responses):
            for name, histogram in histograms.items():
                if histogram.edges_ms != edges_ms:
                    histograms[name] = histogram.moved_to(edges_ms)
        if dated and not self.dated:
            self._change_all()
            for sums in (*self.panes.values(), *self.days.values()):
                sums.tell_thresholds(threshold_ms)
            if self.counters.get("offered"):
                self.thresholds.add(threshold_ms)
        self.dated = dated or self.dated
        if zone != self._zone:
            self._change_all()
            self._zone = zone
            self._today = Day(0, 0)
            self.days = {}
            for number, pane in self.panes.items():
                day = self._day_of(number * self._every_ms)
                self.days.setdefault(day.start_ms, t.Sums()).add(pane)

    def _change_all(self) -> None:
        """Every pane and day is about to change."""
        self.revision += 1
        self._number = -1
        for rolling in self._rolling.values():
            rolling.at = -1
        for stretch in {number // self._stretch for number in self.panes} - self.touched:
            if self.watch is not None:
                self.watch.panes_change(self, stretch)
                self.touched.add(stretch)

    # -- counters -------------------------------------------------------------------------

    def count(self, name: str, by: int = 1) -> None:
        """Raise the counter *name*."""
        self.counters[name] = self.counters.get(name, 0) + by

    def correct(self, old: str | None, new: str | None) -> None:
        """Move one visit from the class *old* to *new*; counters only rise."""
        if old == new:
            return
        if new is not None:
            self.count(new)
        if old is not None:
            key = (old, new or NOTHING)
            self.corrections[key] = self.corrections.get(key, 0) + 1

    def feed(self, source: str, time_ms: int) -> None:
        """*source* has opened a visit here at *time_ms*."""
        last_ms = self.fed.get(source)
        if last_ms is None and len(self.fed) >= MAX_SOURCES:
            source = OTHER
            last_ms = self.fed.get(source)
        if last_ms is None or time_ms > last_ms:
            self.fed[source] = max(0, time_ms)

    def held(self, visit: Visit) -> None:
        """*visit* is one of those counted here."""
        self.feed(visit.source, visit.known_ms)
        if self.dated:
            self.thresholds.add(visit.policy.threshold_ms)

    def net(self) -> dict[str, int]:
        """Counters less what corrections took out of them."""
        net = dict(self.counters)
        for (old, _), count in self.corrections.items():
            net[old] = net.get(old, 0) - count
        return net

    def classes_of(self, visit: Visit) -> VisitClasses:
        """The classes that *visit* is in now, one per family of counters."""
        return (
            "offered",
            None if visit.direct else f"sent_to_wait:{visit.segment}",
            self.outcome_of(visit),
            self.level_of(visit),
            f"instant:{visit.segment}" if self.is_instant(visit) else None,
        )

    def outcome_of(self, visit: Visit) -> str | None:
        """The counter of the outcome, None while it waits."""
        if visit.outcome == ANSWERED:
            return "answered:true" if visit.in_time else "answered:false"
        if visit.outcome == ABANDONED:
            wait_ms, policy = visit.wait_ms, visit.policy
            if wait_ms > policy.threshold_ms:
                return "abandoned:after_threshold"
            if wait_ms > policy.short_abandon_ms:
                return "abandoned:before_threshold"
            return "abandoned:short"
        if visit.outcome == LEFT:
            return f"left:{visit.reason}:{'true' if visit.in_time else 'false'}"
        return EXPIRY if visit.outcome == EXPIRED else None

    def level_of(self, visit: Visit) -> str | None:
        """The service-level event of *visit*, None while it is undecided or if it has none."""
        if visit.missed:
            return "service_level_events:false"
        if visit.outcome == ANSWERED:
            return "service_level_events:true"
        if visit.outcome == ABANDONED or (visit.outcome == LEFT and visit.reason != "withdrawn"):
            return "service_level_events:false"
        return None

    def is_instant(self, visit: Visit) -> bool:
        """Answered without being sent to wait, or within the queue's limit for that."""
        within_ms = visit.policy.instant_within_ms
        if visit.outcome != ANSWERED or within_ms is None:
            return False
        if visit.direct and self.channel == VOICE:
            return True
        return within_ms > 0 and visit.wait_ms <= within_ms

    def live(self) -> Live:
        """The live figures, at the instant the partition stands at."""
        return Live(
            waiting=len(self.open),
            waiting_past=self.waiting_past,
            oldest_ms=min(self.open.values(), default=None),
            awaiting=len(self.awaiting),
            oldest_awaiting_ms=min(self.awaiting.values(), default=None),
        )

    # -- windows --------------------------------------------------------------------------

    def window(self, name: str, tick: int) -> t.Sums:
        """The rolling window *name* as it stands at *tick* (a pane number)."""
        self._number = -1
        self._is_rolling = True
        return self._rolling[name].move(self.panes, tick)

    def day(self, tick_ms: int) -> t.Sums:
        """The local day so far, both ends inclusive; not to be changed by the caller.

        Where clocks went back over midnight, the date shown at the tick may have begun a day ago.
        """
        start_ms = day_start(tick_ms, self._zone)
        days = [sums for begun_ms, sums in self.days.items() if start_ms <= begun_ms <= tick_ms]
        if len(days) == 1:
            return days[0]
        total = t.Sums()
        for sums in days:
            total.add(sums)
        return total

    def forget_touched(self) -> None:
        """Tell `watch` again of every stretch."""
        self.touched.clear()
        self._number = -1

    def forget_before(self, pane: int) -> None:
        """Drop panes up to *pane*, and all but the last three days."""
        self._number = -1
        for rolling in self._rolling.values():
            rolling.forget_before(pane)
        for old in [number for number in self.panes if number <= pane]:
            del self.panes[old]
        for start_ms in sorted(self.days)[:-DAYS_KEPT]:
            del self.days[start_ms]

    def _day_of(self, time_ms: int) -> Day:
        today = self._today
        if not today.start_ms <= time_ms < today.end_ms:
            today = self._today = day_of(time_ms, self._zone)
        return today

    def _sums_then(self, visit: Visit, own_ms: int) -> tuple[t.Sums, ...]:
        """The sums of a visit's own moment, which is its arrival where all is put there."""
        return self._sums_at(visit.opened_ms if self._by_arrival else own_ms)

    def _sums_at(self, time_ms: int) -> tuple[t.Sums, ...]:
        """Every sum that holds what is attributed to *time_ms*."""
        self.revision += 1
        number = -(-time_ms // self._every_ms)
        today = self._today
        if not today.start_ms <= time_ms < today.end_ms:
            today = self._day_of(time_ms)
        if number == self._number and today.start_ms == self._number_day_ms:
            return self._targets
        if self.watch is not None and number // self._stretch not in self.touched:
            self.watch.panes_change(self, number // self._stretch)
            self.touched.add(number // self._stretch)
        pane = self.panes.get(number)
        if pane is None:
            pane = self.panes[number] = t.Sums()
        day = self.days.get(today.start_ms)
        if day is None:
            day = self.days[today.start_ms] = t.Sums()
        covering = (
            [rolling.sums for rolling in self._rolling.values() if rolling.covers(number)]
            if self._is_rolling
            else ()
        )
        self._number = number
        self._number_day_ms = today.start_ms
        self._targets = (pane, day, *covering)
        return self._targets

    def apply_opened(self, visit: Visit, sign: int) -> None:
        """Count *visit* at its arrival, or with sign -1 take it back."""
        for sums in self._sums_at(visit.opened_ms):
            counts = sums.counts
            counts[t.OFFERED] += sign
            if not visit.direct:
                counts[t.SENT_TO_WAIT] += sign
            if visit.policy.instant_within_ms is not None:
                counts[t.COULD_BE_INSTANT] += sign
            if self.dated:
                t.bump(sums.thresholds, visit.policy.threshold_ms, sign)
            sums.add_segment(visit.segment, sign, 0)

    def apply_missed(self, visit: Visit, sign: int) -> None:
        """Count that the threshold of *visit* passed: decided, at the arrival; missed, then."""
        for sums in self._sums_at(visit.opened_ms):
            sums.counts[t.DECIDED_OF_ARRIVED] += sign
        for sums in self._sums_then(visit, visit.miss_ms):
            sums.counts[t.MISSED] += sign
            if self.dated:
                t.bump(sums.thresholds, visit.policy.threshold_ms, sign)

    def apply_closed(self, visit: Visit, sign: int) -> None:
        """Count the outcome of *visit*, at the arrival and when it happened."""
        _APPLY_CLOSED[visit.outcome](self, visit, sign)

    def _apply_answered(self, visit: Visit, sign: int) -> None:
        wait_ms = visit.wait_ms
        in_time = visit.in_time
        instant = self.is_instant(visit)
        if in_time or instant:
            for sums in self._sums_at(visit.opened_ms):
                counts = sums.counts
                if in_time:
                    counts[t.ANSWERED_WITHIN_OF_ARRIVED] += sign
                    counts[t.DECIDED_OF_ARRIVED] += sign
                if instant:
                    counts[t.INSTANT] += sign
                    sums.add_segment(visit.segment, 0, sign)
        at = t.ANSWERED_WITHIN if in_time else t.ANSWERED_LATE
        key = self._rounding(wait_ms)
        for sums in self._sums_then(visit, visit.closed_ms):
            counts = sums.counts
            counts[at] += sign
            counts[t.ANSWER_WAIT_MS] += sign * wait_ms
            t.bump(sums.waits, key, sign)
            if self.dated:
                t.bump(sums.thresholds, visit.policy.threshold_ms, sign)

    def _apply_abandoned(self, visit: Visit, sign: int) -> None:
        wait_ms = visit.wait_ms
        at, of_arrived = t.ABANDONED_AFTER, -1
        short = wait_ms <= visit.policy.short_abandon_ms
        if visit.in_time:
            at, of_arrived = t.ABANDONED_BEFORE, t.BEFORE_OF_ARRIVED
            if short:
                at, of_arrived = t.ABANDONED_SHORT, t.SHORT_OF_ARRIVED
            for sums in self._sums_at(visit.opened_ms):
                sums.counts[of_arrived] += sign
                sums.counts[t.DECIDED_OF_ARRIVED] += sign
        key = self._rounding(wait_ms)
        for sums in self._sums_then(visit, visit.closed_ms):
            counts = sums.counts
            counts[at] += sign
            counts[t.ABANDONED_UP_TO_SHORT] += sign * short
            counts[t.ABANDON_WAIT_MS] += sign * wait_ms
            t.bump(sums.abandons, key, sign)
            if self.dated:
                t.bump(sums.thresholds, visit.policy.threshold_ms, sign)

    def _apply_left(self, visit: Visit, sign: int) -> None:
        in_time = visit.in_time
        withdrawn = visit.reason == "withdrawn"
        if in_time:
            for sums in self._sums_at(visit.opened_ms):
                if withdrawn:
                    sums.counts[t.WITHDRAWN_WITHIN_OF_ARRIVED] += sign
                    if visit.policy.instant_within_ms is not None:
                        sums.counts[t.COULD_BE_INSTANT] -= sign
                    sums.add_segment(visit.segment, -sign, 0)
                else:
                    sums.counts[t.LEFT_WITHIN_OF_ARRIVED] += sign
                    sums.counts[t.DECIDED_OF_ARRIVED] += sign
        failed = visit.reason in FAILED
        for sums in self._sums_then(visit, visit.closed_ms):
            counts = sums.counts
            if self.dated:
                t.bump(sums.thresholds, visit.policy.threshold_ms, sign)
            if not in_time:
                counts[t.LEFT_AFTER] += sign
                if failed or withdrawn:
                    counts[t.FAILED_AFTER] += sign
            elif withdrawn:
                counts[t.WITHDRAWN_WITHIN] += sign
            else:
                counts[t.LEFT_WITHIN] += sign
                if failed:
                    counts[t.FAILED_WITHIN] += sign

    def _apply_expired(self, visit: Visit, sign: int) -> None:
        for sums in self._sums_then(visit, visit.closed_ms):
            sums.counts[t.EXPIRED] += sign
            if self.dated:
                t.bump(sums.thresholds, visit.policy.threshold_ms, sign)

    def apply_note(self, note: Note, sign: int) -> None:
        """Count a refusal or a transfer when it happened."""
        if note.counter == "bot_contained":
            return
        at = t.TRANSFERRED if note.counter == "transferred" else t.REFUSED
        for sums in self._sums_at(note.time_ms):
            sums.counts[at] += sign

    def apply_response(self, response: Response, sign: int) -> None:
        """Count an initial-response event when it happened."""
        at_ms = response.first_asked_ms if self._by_arrival else response.time_ms
        for sums in self._sums_at(at_ms):
            sums.counts[t.RESPONSES] += sign
            if response.within:
                sums.counts[t.RESPONSES_WITHIN] += sign

    def apply_reply(self, reply: Reply, sign: int) -> None:
        """Count how long the first human reply took, when it came."""
        took_ms = reply.took_ms
        key = self._rounding(took_ms)
        at_ms = reply.first_asked_ms if self._by_arrival else reply.time_ms
        for sums in self._sums_at(at_ms):
            sums.counts[t.RESPONSE_MS] += sign * took_ms
            t.bump(sums.responses, key, sign)


_APPLY_CLOSED = {
    ANSWERED: QueueTally._apply_answered,
    ABANDONED: QueueTally._apply_abandoned,
    LEFT: QueueTally._apply_left,
    EXPIRED: QueueTally._apply_expired,
}
