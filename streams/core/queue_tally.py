"""All that one partition counts of one (queue, channel).

Counters go at once; windows and days stand at the last tick, so whatever happened after it is held
back by the partition and applied here when the tick has passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.core import panes as p
from streams.core import tally as t
from streams.core.calendar import day_of, day_start, pane_of
from streams.core.contact import ABANDONED, ANSWERED, EXPIRED, LEFT, VOICE, Life, Visit
from streams.core.figures import Live
from streams.core.panes import EACH, Pane, Rolling
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
        revision: rises with every change of a pane.
        fed: when each source last opened a visit here.
        segments: the customer types told apart here.
        thresholds: those of all visits so far, in ms; only where the policy changes over time.
        watch: who is told before panes change, if anyone.
        touched: the stretches of panes of which it has been told.
    """

    __slots__ = (
        "_by_arrival",
        "_covering",
        "_day_ends_ms",
        "_day_starts_ms",
        "_days",
        "_every_ms",
        "_fresh",
        "_from_ms",
        "_is_rolling",
        "_pane",
        "_rolling",
        "_rounding",
        "_segment_names",
        "_segment_numbers",
        "_stretch",
        "_to_ms",
        "_zone",
        "awaiting",
        "channel",
        "corrections",
        "counters",
        "dated",
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
        self.panes: dict[int, Pane] = {}
        self.watch: Watch | None = None
        self.touched: set[int] = set()
        self._by_arrival = by_arrival
        self._every_ms = every_ms
        self._stretch = stretch_length(every_ms)
        self._rounding = rounding
        self._zone = zone
        self._rolling = {name: Rolling(width // every_ms) for name, width in windows.items()}
        self._segment_names: list[str] = []
        self._segment_numbers: dict[str, int] = {}
        self._days: dict[int, t.Sums] = {}
        # What its day does not have yet: it is looked at by the second, and not by the event.
        self._fresh: Pane = {}
        self._day_starts_ms = self._day_ends_ms = 0
        # The last pane touched, and (from, to] in which it and its day have everything: most of
        # what happens falls where the last thing did.
        self._from_ms = self._to_ms = 0
        self._pane: Pane = {}
        self._is_rolling = False
        self._covering: list[t.Sums] = []

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
            for number, pane in self.panes.items():
                sums = self.sums_of(pane)
                sums.tell_thresholds(threshold_ms)
                self.panes[number] = p.pane_of_sums(sums, self._segment_numbers)
            for sums in self.days.values():
                sums.tell_thresholds(threshold_ms)
            if self.counters.get("offered"):
                self.thresholds.add(threshold_ms)
        self.dated = dated or self.dated
        if zone != self._zone:
            self._change_all()
            self._zone = zone
            self._fresh, self._days = {}, {}
            self._day_starts_ms = self._day_ends_ms = 0
            for number, pane in self.panes.items():
                starts_ms, _ = day_of(number * self._every_ms, zone)
                p.add_pane(self._days.setdefault(starts_ms, t.Sums()), pane, self._segment_names)

    def _change_all(self) -> None:
        """Every pane and day is about to change."""
        self.revision += 1
        self._look_anew()
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

    @property
    def days(self) -> dict[int, t.Sums]:
        """The sums of each day, by its first instant."""
        if self._fresh:
            p.add_pane(self._days[self._day_starts_ms], self._fresh, self._segment_names)
            self._fresh = {}
        return self._days

    def window(self, name: str, tick: int) -> t.Sums:
        """The rolling window *name* as it stands at *tick* (a pane number)."""
        self._look_anew()
        self._is_rolling = True
        return self._rolling[name].move(self.panes, tick, self._segment_names)

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

    def sums_of(self, pane: Pane) -> t.Sums:
        """What *pane*, one of this tally, adds up to."""
        sums = t.Sums()
        p.add_pane(sums, pane, self._segment_names)
        return sums

    def put_pane(self, number: int, sums: t.Sums) -> None:
        """Have the pane *number* add up to *sums*; windows do not take notice."""
        for segment in sums.segments:
            self._number_of(segment)
        self.panes[number] = p.pane_of_sums(sums, self._segment_numbers)

    def forget_touched(self) -> None:
        """Tell `watch` again of every stretch."""
        self.touched.clear()
        self._look_anew()

    def forget_before(self, pane: int) -> None:
        """Drop panes up to *pane*, and all but the last three days."""
        self._look_anew()
        for rolling in self._rolling.values():
            rolling.forget_before(pane)
        for old in [number for number in self.panes if number <= pane]:
            del self.panes[old]
        if len(self._days) > DAYS_KEPT:
            days = self.days
            for start_ms in sorted(days)[:-DAYS_KEPT]:
                del days[start_ms]
            self._day_starts_ms = self._day_ends_ms = 0

    def _number_of(self, segment: str) -> int:
        number = self._segment_numbers.get(segment)
        if number is None:
            number = self._segment_numbers[segment] = len(self._segment_names)
            self._segment_names.append(segment)
        return number

    def _look_anew(self) -> None:
        """Turn to its pane with whatever is counted next."""
        self._from_ms = self._to_ms = 0

    def _turn_to(self, time_ms: int) -> None:
        """Count into the pane and the day of *time_ms* from now on."""
        number = pane_of(time_ms, self._every_ms)
        if self.watch is not None and number // self._stretch not in self.touched:
            self.watch.panes_change(self, number // self._stretch)
            self.touched.add(number // self._stretch)
        if not self._day_starts_ms <= time_ms < self._day_ends_ms:
            day = day_of(time_ms, self._zone)
            if self._fresh:
                self.days  # noqa: B018 # gives the day before what it does not have yet
            self._day_starts_ms, self._day_ends_ms = day
            if self._day_starts_ms not in self._days:
                self._days[self._day_starts_ms] = t.Sums()
        pane = self.panes.get(number)
        if pane is None:
            pane = self.panes[number] = {}
        self._from_ms = max((number - 1) * self._every_ms, self._day_starts_ms - 1)
        self._to_ms = min(number * self._every_ms, self._day_ends_ms - 1)
        self._pane = pane
        if self._is_rolling:
            self._covering = [
                rolling.sums for rolling in self._rolling.values() if rolling.covers(number)
            ]

    def _count(self, time_ms: int, cell: Any, times: int) -> None:  # noqa: ANN401 # see below
        """Let what *cell* says have happened *times* times, never 0, at *time_ms*.

        A cell is an integer. Compiled, one called so would be made an object for each look-up anew.
        """
        self.revision += 1
        if not self._from_ms < time_ms <= self._to_ms:
            self._turn_to(time_ms)
        pane = self._pane
        count = pane.get(cell, 0) + times
        if count:
            pane[cell] = count
        else:
            del pane[cell]
        fresh = self._fresh
        count = fresh.get(cell, 0) + times
        if count:
            fresh[cell] = count
        else:
            del fresh[cell]
        for sums in self._covering:
            p.add_cell(sums, cell, times, self._segment_names)

    def _count_threshold(self, time_ms: int, visit: Visit, sign: int) -> None:
        if self.dated:
            self._count(time_ms, p.THRESHOLD + EACH * visit.policy.threshold_ms, sign)

    def apply_opened(self, visit: Visit, sign: int) -> None:
        """Count *visit* at its arrival, or with sign -1 take it back."""
        if visit.policy.instant_within_ms is None:
            thing = p.ARRIVED if visit.direct else p.ARRIVED_SENT_TO_WAIT
        elif visit.direct:
            thing = p.ARRIVED_MAYBE_INSTANT
        else:
            thing = p.ARRIVED_SENT_TO_WAIT_MAYBE_INSTANT
        self._count(visit.opened_ms, thing + EACH * self._number_of(visit.segment), sign)
        self._count_threshold(visit.opened_ms, visit, sign)

    def apply_missed(self, visit: Visit, sign: int) -> None:
        """Count that the threshold of *visit* passed: decided, at the arrival; missed, then."""
        self._count(visit.opened_ms, t.DECIDED_OF_ARRIVED, sign)
        at_ms = visit.opened_ms if self._by_arrival else visit.miss_ms
        self._count(at_ms, t.MISSED, sign)
        self._count_threshold(at_ms, visit, sign)

    def apply_closed(self, visit: Visit, sign: int) -> None:
        """Count the outcome of *visit*, at the arrival and when it happened."""
        at_ms = visit.opened_ms if self._by_arrival else visit.closed_ms
        if visit.outcome == ANSWERED:
            self._apply_answered(visit, at_ms, sign)
        elif visit.outcome == ABANDONED:
            self._apply_abandoned(visit, at_ms, sign)
        elif visit.outcome == LEFT:
            self._apply_left(visit, at_ms, sign)
        else:
            self._count(at_ms, t.EXPIRED, sign)
        self._count_threshold(at_ms, visit, sign)

    def _apply_answered(self, visit: Visit, at_ms: int, sign: int) -> None:
        wait_ms = visit.closed_ms - visit.opened_ms
        in_time = visit.in_time
        if self.is_instant(visit):
            thing = p.WITHIN_OF_ARRIVED_INSTANT if in_time else p.LATE_OF_ARRIVED_INSTANT
            self._count(visit.opened_ms, thing + EACH * self._number_of(visit.segment), sign)
        elif in_time:
            self._count(visit.opened_ms, p.WITHIN_OF_ARRIVED, sign)
        thing = p.ANSWERED_WITHIN if in_time else p.ANSWERED_LATE
        self._count(at_ms, thing + EACH * self._rounding(wait_ms), sign)
        if wait_ms:
            self._count(at_ms, t.ANSWER_WAIT_MS, sign * wait_ms)

    def _apply_abandoned(self, visit: Visit, at_ms: int, sign: int) -> None:
        wait_ms = visit.closed_ms - visit.opened_ms
        short = wait_ms <= visit.policy.short_abandon_ms
        if visit.in_time:
            thing = p.ABANDONED_SHORT if short else p.ABANDONED_BEFORE
            of_arrived = t.SHORT_OF_ARRIVED if short else t.BEFORE_OF_ARRIVED
            self._count(visit.opened_ms, of_arrived, sign)
            self._count(visit.opened_ms, t.DECIDED_OF_ARRIVED, sign)
        else:
            thing = p.ABANDONED_AFTER_SHORT if short else p.ABANDONED_AFTER
        self._count(at_ms, thing + EACH * self._rounding(wait_ms), sign)
        if wait_ms:
            self._count(at_ms, t.ABANDON_WAIT_MS, sign * wait_ms)

    def _apply_left(self, visit: Visit, at_ms: int, sign: int) -> None:
        in_time = visit.in_time
        withdrawn = visit.reason == "withdrawn"
        failed = visit.reason in FAILED
        if not in_time:
            self._count(at_ms, t.LEFT_AFTER, sign)
            if failed or withdrawn:
                self._count(at_ms, t.FAILED_AFTER, sign)
        elif withdrawn:
            opened_ms, number = visit.opened_ms, self._number_of(visit.segment)
            self._count(opened_ms, t.WITHDRAWN_WITHIN_OF_ARRIVED, sign)
            if visit.policy.instant_within_ms is not None:
                self._count(opened_ms, t.COULD_BE_INSTANT, -sign)
            self._count(opened_ms, p.OFFERED_OF_SEGMENT + EACH * number, -sign)
            self._count(at_ms, t.WITHDRAWN_WITHIN, sign)
        else:
            self._count(visit.opened_ms, t.LEFT_WITHIN_OF_ARRIVED, sign)
            self._count(visit.opened_ms, t.DECIDED_OF_ARRIVED, sign)
            self._count(at_ms, t.LEFT_WITHIN, sign)
            if failed:
                self._count(at_ms, t.FAILED_WITHIN, sign)

    def apply_note(self, note: Note, sign: int) -> None:
        """Count a refusal or a transfer when it happened."""
        if note.counter == "bot_contained":
            return
        at = t.TRANSFERRED if note.counter == "transferred" else t.REFUSED
        self._count(note.time_ms, at, sign)

    def apply_response(self, response: Response, sign: int) -> None:
        """Count an initial-response event when it happened."""
        time_ms, _, within, first_asked_ms = response
        at_ms = first_asked_ms if self._by_arrival else time_ms
        self._count(at_ms, p.RESPONDED_WITHIN if within else p.RESPONDED_LATE, sign)

    def apply_reply(self, reply: Reply, sign: int) -> None:
        """Count how long the first human reply took, when it came."""
        time_ms, _, first_asked_ms, took_ms, _, _ = reply
        at_ms = first_asked_ms if self._by_arrival else time_ms
        self._count(at_ms, p.RESPONSE + EACH * self._rounding(took_ms), sign)
        if took_ms:
            self._count(at_ms, t.RESPONSE_MS, sign * took_ms)
