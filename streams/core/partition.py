"""The state of one (topic, partition): events and time in, tallies out.

`accept` takes one event and the timestamp of its record; `advance` says how far time has passed.
Neither looks at a clock, so the same records give the same state whenever they are read.

A contact's events mostly arrive in order and are folded one by one. An event that sorts behind
nothing new makes the contact fold again; what the old fold had counted is then taken back from the
windows, and moved in the counters, which only rise, with a correction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, cast

import orjson

from schemas.events import (
    EVENT_TYPES,
    RANK,
    AgentChanged,
    ContactEvent,
    Event,
    QueueClosed,
    QueueObserved,
    QueueOpened,
    SourceAlive,
    SourceStarted,
    Transferred,
    Unknown,
    type_name,
)
from streams.core.blocks import BLOCK, Block, Watch
from streams.core.calendar import ROLLING_WINDOWS, last_tick, pane_of
from streams.core.contact import (
    DETAIL,
    DROPPED,
    NEVER,
    NO_FACT,
    OPEN,
    SILENT,
    SOURCE_STARTED,
    UNKNOWN,
    Fact,
    Life,
    Limits,
    Note,
    Reply,
    Sink,
    Visit,
    fact_of,
    fold,
)
from streams.core.policy import FOREVER, PolicyBook, in_force
from streams.core.policy_change import first_difference
from streams.core.pseudonyms import Pseudonyms
from streams.core.queue_tally import EXPIRY, QueueTally, stretch_length
from streams.core.schedule import Schedule
from streams.core.sources import MAX_SOURCES, SourceBook
from streams.core.staffing import AGENT_KEPT_MS, Staffing
from streams.core.tally import Rounding, histogram_edges, rounded

FUTURE_MS: Final = 5 * 60_000
"""An event further than this ahead of its arrival is rejected."""

LAST_MS: Final = 253_370_764_800_000
"""The year 9999: calendars end there, so whatever claims to be of it lies in the future."""

OTHER: Final = "_other"
"""The label of all that came after a bound on labels was reached."""

_SLACK_PANES: Final = 120
_RESTARTS_KEPT: Final = 500
_MESSAGES_KEPT: Final = 16
_LET_GO: Final = 1_000
_LOOK_AGAIN_MS: Final = 60_000
"""How soon a contact is looked at again that rests longer than its partition has records for."""

_LAST: Final = 1 << 62
"""The sequence of a restart, behind the events of its moment; snapshots have it."""

MAX_CONTACTS: Final = 1_000_000
"""Contacts of one partition remembered at a time."""

MAX_SEGMENTS: Final = 10
"""Customer types told apart in a queue, `unknown` and the one for all others included."""

_PLACES: Final[dict[type[Event], int]] = {**RANK, Unknown: len(RANK)}
_IS_OF_A_CONTACT: Final = tuple(issubclass(kind, ContactEvent) for kind in _PLACES)


class Partition(Sink):
    """One partition's contacts, tallies, staffing and sources.

    Attributes:
        arrival_ms: the highest record timestamp so far.
        latest_ms: the highest event time so far.
        now_ms: the instant up to which time has passed here.
        tick_ms: the last tick not after it; the windows stand there.
        shown_next_ms: the windows are next looked at when this tick, or a later one, has passed.
        tallies: by (queue, channel).
        lives: the newest life of every contact that is remembered.
        blocks: those contacts in blocks, by number, in the order in which they began.
        late: events kept out for being late.
        ignored: events tolerated but not counted, by reason.
        duplicates: events met before, by source.
        conflicting: duplicates with other content, by source.
        unmatched: outcomes without an open visit.
        ahead: by pane, what the windows will count once the tick has passed: method, item, sign.
        restarts: of sources, by source.
        block_contacts: how many contacts are put into a block.
        newest_block: where the next contact is put, unless it is full.
    """

    def __init__(
        self,
        policies: PolicyBook,
        *,
        limits: Limits | None = None,
        every_ms: int = 5_000,
        windows: Mapping[str, int] = ROLLING_WINDOWS,
        rounding: Rounding = rounded,
        max_tallies: int = 2_000,
        max_contacts: int = MAX_CONTACTS,
        block_contacts: int = BLOCK,
        by_arrival: bool = False,
        pseudonyms: Pseudonyms | None = None,
        on_forget: Callable[[Life], None] | None = None,
    ) -> None:
        self.policies = policies
        self.limits = limits or Limits()
        self.arrival_ms = 0
        self.latest_ms = 0
        self.now_ms = 0
        self.tick_ms = 0
        self.shown_next_ms = 0
        self.tallies: dict[tuple[str, str], QueueTally] = {}
        self.lives: dict[str, Life] = {}
        self.staffing = Staffing(
            policies, self.limits.lateness_ms, max_queues=max_tallies, pseudonyms=pseudonyms
        )
        self.sources = SourceBook()
        self._met = [0] * len(_PLACES)
        self._last_fact = NO_FACT
        self.late = 0
        self.ignored: dict[str, int] = {}
        self.duplicates: dict[str, int] = {}
        self.conflicting: dict[str, int] = {}
        self.unmatched_outcomes = 0
        self.blocks: dict[int, Block] = {}
        self.newest_block = Block(-1)
        self._watch: Watch | None = None
        self.every_ms = every_ms
        self.windows = windows
        self._rounding = rounding
        self.by_arrival = by_arrival
        self._on_forget = on_forget
        self._max_tallies = max_tallies
        self._max_contacts = max_contacts
        self.block_contacts = block_contacts
        self._kept_ms = self.limits.rest_ms + self.limits.lateness_ms + 1
        self.edges_ms = histogram_edges(policies.thresholds_ms())
        self._kept_panes = max(windows.values(), default=0) // every_ms + _SLACK_PANES
        self.ahead: dict[int, list[tuple[Callable[..., None], Any, int]]] = {}
        self.restarts: dict[str, list[Fact]] = {}
        self.last_restart_ms = -1
        self._schedule = Schedule()
        self._is_in_batch = False
        self._unscheduled: list[Life] = []
        self.pruned_pane = 0
        # While folds are replaced: when the event that changed them happened. A tick before that
        # does not know of it yet.
        self._changed_ms = 0

    @property
    def events(self) -> dict[type[Event], int]:
        """How many events were met, by their class."""
        return {kind: count for kind, count in zip(_PLACES, self._met, strict=True) if count}

    @events.setter
    def events(self, met: Mapping[type[Event], int]) -> None:
        self._met = [met.get(kind, 0) for kind in _PLACES]

    # -- events ---------------------------------------------------------------------------

    def accept(self, event: Event, time_ms: int, record_ms: int) -> bool:
        """Take one event of a record stamped *record_ms*; False if it lies in the future.

        A future event (more than five minutes ahead of its arrival) is the caller's to reject;
        everything else is counted here.
        """
        arrival_ms = self.arrival_ms
        if record_ms > arrival_ms:
            arrival_ms = self.arrival_ms = record_ms
        if time_ms - arrival_ms > FUTURE_MS or time_ms >= LAST_MS:
            return False
        place = _PLACES[type(event)]
        met = self._met
        met[place] = met[place] + 1
        if arrival_ms - time_ms > self.limits.lateness_ms:
            self.late += 1
            return True
        if time_ms > self.latest_ms:
            self.latest_ms = time_ms
        if _IS_OF_A_CONTACT[place]:
            of_contact = cast(ContactEvent, event)
            contact, fact = fact_of(of_contact, place, time_ms, self.policies, self._last_fact)
            self._last_fact = fact
            self._take(contact, fact)
        else:
            self._take_other(event, time_ms)
        return True

    def accept_all(
        self, events: list[Event | None], times_ms: list[int], stamps_ms: list[int]
    ) -> list[int]:
        """Take the events of one batch of records, and let time pass behind them.

        It comes to `accept` of each and then `advance` to the lower of `arrival_ms` and
        `latest_ms`, but nobody looks at the windows in between. So what the tick at the end will
        have passed is not held back, which is most of a backlog, and a contact is scheduled once,
        however many of its events the batch brings.

        Args:
            events: None where a record cannot be read.
            times_ms: when each happened; of what cannot be read it says nothing.
            stamps_ms: the timestamps of their records; not empty.

        Returns:
            The places of those that lie in the future, which are the caller's to reject.

        Raises:
            ValueError: they are not of one length.
        """
        if not len(events) == len(times_ms) == len(stamps_ms):
            raise ValueError(
                f"{len(events)} events with {len(times_ms)} times and {len(stamps_ms)} timestamps"
            )
        if events[-1] is not None:
            self._expect(times_ms[-1], max(stamps_ms))
        ahead = []
        self._is_in_batch = True
        for at, event in enumerate(events):
            time_ms, stamp_ms = times_ms[at], stamps_ms[at]
            if event is None:
                self.arrive(stamp_ms)
            elif not self.accept(event, time_ms, stamp_ms):
                ahead.append(at)
        self._is_in_batch = False
        self._schedule_all()
        self.advance(min(self.arrival_ms, self.latest_ms))
        return ahead

    def arrive(self, record_ms: int) -> None:
        """A record stamped *record_ms* has arrived, whatever it says."""
        self.arrival_ms = max(self.arrival_ms, record_ms)

    def _expect(self, time_ms: int, arrival_ms: int) -> None:
        """Have the windows next looked at where time passes to behind a last event of *time_ms*."""
        arrival_ms = max(arrival_ms, self.arrival_ms)
        if -self.limits.lateness_ms <= time_ms - arrival_ms <= FUTURE_MS and time_ms < LAST_MS:
            tick_ms = last_tick(min(time_ms, arrival_ms), self.every_ms)
            self.shown_next_ms = max(self.shown_next_ms, tick_ms)

    def _take_other(self, event: Event, time_ms: int) -> None:
        source = event.source
        if isinstance(event, Unknown):
            self._ignore("unknown_type")
            return
        met = self.staffing.remember(event, time_ms, self.arrival_ms)
        if met != "new":
            self._repeat(source)
            if met == "same":
                return
            _bump(self.conflicting, self._label(self.conflicting, source))
        self.sources.heard(source, time_ms)
        if isinstance(event, SourceAlive):
            self.sources.alive(source)
        elif isinstance(event, SourceStarted):
            self._restart(Fact(time_ms, _LAST, SOURCE_STARTED, event.id, source, "", "", "", ""))
        elif isinstance(
            event, AgentChanged | QueueOpened | QueueClosed | QueueObserved
        ) and not self.staffing.take(event, time_ms):
            self._ignore("too_much_staffing")

    def _take(self, contact: str, fact: Fact) -> None:
        time_ms, _, _, key, source, _, channel, segment, _ = fact
        self.sources.heard(source, time_ms)
        life = self.lives.get(contact)
        if life is None:
            if len(self.lives) >= self._max_contacts:
                self._ignore("too_many_contacts")
            elif time_ms <= self.last_restart_ms:
                self._refold(contact, None, fact)
            else:
                self._begin(contact, fact, None)
            return
        if source != life.home:
            key = life.key_of(fact)
        if key in life.ids or (life.earlier is not None and _is_known(life.earlier, key)):
            self._repeated(contact, life, fact)
            return
        if _ids_of(life) >= self.limits.max_events:
            self._ignore("contact_full")
            return
        last = life.facts[-1]
        last_ms = last[0]
        is_next = time_ms > last_ms or (time_ms == last_ms and fact > last)
        if is_next and time_ms > life.ran_ms and time_ms > self.last_restart_ms:
            if time_ms > last_ms + self.limits.rest_ms and time_ms > life.end_ms(self.limits):
                self._begin(contact, fact, life)
                return
            if (life.named_channel or not channel) and (life.segment or not segment):
                if not life.block.is_free:
                    self._tell(life)
                _remember(life, key)
                if len(life.facts) > _MESSAGES_KEPT and life.needs_no(fact):
                    life.drop(time_ms)
                    return
                life.step(fact, self.policies, self)
                self._settle(life, time_ms)
                return
        self._refold(contact, life, fact)

    def _begin(self, contact: str, fact: Fact, earlier: Life | None) -> None:
        life = Life(contact, fact.channel, fact.segment)
        if earlier is None:
            life.home = fact.source
            self.enrol(life)
        else:
            if not earlier.block.is_free:
                self._tell(earlier)
            life.home = earlier.home
            life.block = earlier.block
            life.earlier = earlier
        self.lives[contact] = life
        _remember(life, life.key_of(fact))
        life.step(fact, self.policies, self)
        self._settle(life, fact.time_ms)

    def tell_changes_to(self, watch: Watch) -> None:
        """Tell *watch*, and nobody else, before anything changes."""
        self._watch = watch
        self.staffing.watch = watch
        for tally in self.tallies.values():
            tally.watch = watch

    def move_contacts(self, block: Block, into: Block) -> None:
        """Put the contacts of *block* before those of *into*, and drop it."""
        into.contacts = {**block.contacts, **into.contacts}
        for contact in block.contacts:
            for life in _chain(self.lives[contact]):
                life.block = into
        del self.blocks[block.number]

    def know_again(self, lives: list[Life], written_ms: int) -> None:
        """Know a contact by its *lives*, the oldest first, as they were at *written_ms*.

        Nothing had become due since, or it would have been written again.
        """
        newest = lives[-1]
        self.lives[newest.contact] = newest
        self.enrol(newest)
        for life in lives:
            life.block = newest.block
            due_ms, life.due_ms = life.due_ms, NEVER
            if due_ms <= self.now_ms and written_ms < self.now_ms:
                due_ms = life.next_due_ms(self.limits)
                if due_ms <= self.now_ms:
                    due_ms = _look_again_ms(due_ms, self.now_ms)
            self._schedule.put(life, due_ms)
            for visit in life.open:
                visit.tally.open[visit] = visit.opened_ms
            if life.shown is not None:
                life.shown.awaiting[life] = life.awaits_from_ms

    def dismantle(self) -> Iterator[None]:
        """Let go of everything, a little with each step; it is of no more use then.

        Much of it refers to itself in circles, which hold it in memory, and all of it is too much
        to be let go of at once.
        """
        self._watch = self.staffing.watch = None
        self._schedule = Schedule()
        self.ahead = {}
        yield
        for tally in self.tallies.values():
            tally.watch = None
            tally.open = {}
            tally.awaiting = {}
        yield
        while self.lives:
            for _ in range(min(_LET_GO, len(self.lives))):
                self.lives.popitem()
            yield
        while self.tallies:
            self.tallies.popitem()
            yield
        for group in self.staffing.groups:
            group.clear()
            yield
        kept: dict[Any, Any]
        for kept in (self.blocks, self.staffing.remembered):
            while kept:
                for _ in range(min(_LET_GO, len(kept))):
                    kept.popitem()
                yield

    def enrol(self, life: Life) -> None:
        """Put a new contact into the newest block."""
        block = self.newest_block
        if len(block.contacts) >= self.block_contacts or block.number not in self.blocks:
            block = self.newest_block = Block(block.number + 1)
            self.blocks[block.number] = block
        block.contacts[life.contact] = None
        life.block = block
        if not block.is_free and self._watch is not None:
            self._watch.contact_begins(life)

    def _tell(self, life: Life) -> None:
        if self._watch is not None:
            self._watch.contact_changes(life)

    def _settle(self, life: Life, last_ms: int) -> None:
        """Schedule what follows from an event of *last_ms*, and show who awaits a reply.

        Behind an event that time has not passed yet nothing is due yet either, so in a batch the
        schedule may wait for its end.
        """
        if self._is_in_batch and last_ms > self.now_ms:
            if not life.is_unscheduled:
                life.is_unscheduled = True
                self._unscheduled.append(life)
        else:
            self._put_on_schedule(life)
        if life.awaits_from_ms >= 0 or life.shown is not None:
            self._show_awaiting(life)

    def _put_on_schedule(self, life: Life) -> None:
        """Schedule what is due earlier than before."""
        last_ms = life.facts[-1].time_ms
        if life.open or life.awaits_from_ms >= 0 or life.due_ms > last_ms + self._kept_ms:
            due_ms = life.next_due_ms(self.limits)
            if due_ms <= self.now_ms:
                life.run_to(self.now_ms, self)
                due_ms = life.next_due_ms(self.limits)
            if due_ms < life.due_ms:
                self._schedule.put(life, due_ms)

    def _schedule_all(self) -> None:
        """Schedule those whose turn was put off."""
        if self._unscheduled:
            lives, self._unscheduled = self._unscheduled, []
            for life in lives:
                life.is_unscheduled = False
                self._put_on_schedule(life)

    def _show_awaiting(self, life: Life) -> None:
        start_ms = life.awaits_from_ms
        tally = None
        if start_ms >= 0:
            tally = life.shown
            if tally is None or tally.queue != life.queue or tally.channel != life.channel:
                tally = self.tally(life.queue or UNKNOWN, life.channel)
        if life.shown is not None and life.shown is not tally:
            del life.shown.awaiting[life]
        if tally is not None:
            tally.awaiting[life] = start_ms
            if start_ms > tally.last_event_ms:
                tally.last_event_ms = start_ms
        life.shown = tally

    def _repeated(self, contact: str, life: Life, fact: Fact) -> None:
        """The id was met before: nothing changes, unless this content is the greater one."""
        old: Life | None = life
        while old is not None:
            for at, known in enumerate(old.facts):
                if known[3:5] == fact[3:5]:
                    self._repeat(fact.source)
                    if known != fact:
                        _bump(self.conflicting, self._label(self.conflicting, fact.source))
                        if len(life.ids) + life.replaced >= self.limits.max_events:
                            self._ignore("contact_full")
                        elif _content(fact) > _content(known):
                            if not life.block.is_free:
                                self._tell(life)
                            life.replaced += 1
                            self._schedule_all()
                            del old.facts[at]
                            self._refold(contact, life, fact, replaces=True)
                    return
            old = old.earlier
        self._repeat(fact.source)

    def _refold(
        self, contact: str, life: Life | None, fact: Fact, *, replaces: bool = False
    ) -> None:
        """Fold *contact* again with *fact* among its events, and count the difference."""
        old = [] if life is None else _chain(life)
        home = fact.source if life is None else life.home
        self._fold_again(contact, old, [fact], home, 0 if replaces else fact.time_ms)

    def _fold_again(
        self, contact: str, old: list[Life], facts: list[Fact], home: str, changed_ms: int
    ) -> None:
        """Fold the facts of *old* lives and the new *facts* from nothing."""
        self._schedule_all()
        if old and not old[-1].block.is_free:
            self._tell(old[-1])
        ids: set[str] = set()
        for life in old:
            # What time alone did before the change was so, even if it now looks different.
            life.run_to(changed_ms - 1, self)
            facts += life.facts
            facts += [_marker(time_ms) for time_ms in life.dropped or ()]
            ids.update(life.ids)
        sources = {fact.source for fact in facts}
        first_ms = min(fact.time_ms for fact in facts)
        facts += [
            restart
            for source in sources
            for restart in self.restarts.get(source, ())
            if restart.time_ms >= first_ms
        ]
        facts.sort()
        new = fold(contact, facts, self.policies, self.limits)
        passed_ms = max(self.now_ms, changed_ms - 1, *(life.ran_ms for life in old), 0)
        replaced = max((life.replaced for life in old), default=0)
        earlier: Life | None = None
        for life in new:
            life.home = home
            life.replaced = replaced
            life.earlier, earlier = earlier, life
            life.ids = [life.key_of(fact) for fact in life.facts]
            ids.difference_update(life.ids)
            life.run_to(passed_ms, SILENT)
        if earlier is not None:
            for key in ids:
                _remember(earlier, key)
            if not old:
                self.enrol(earlier)
            for life in new:
                life.block = old[-1].block if old else earlier.block
            self.lives[contact] = earlier
        self._changed_ms = changed_ms
        self._replace(old, new)
        self._changed_ms = 0
        if old and new:
            # The newest old life goes on as the newest new one, so that it stays scheduled once
            # however often it is folded again.
            old[-1].become(new[-1])
            new[-1] = self.lives[contact] = old[-1]
        for life in old[:-1]:
            self._schedule.drop(life)
        for life in new:
            self._settle(life, self.now_ms)  # something of it may be due already

    def _restart(self, restart: Fact) -> None:
        """A source has restarted: end its open waits, also those of contacts known since."""
        restarts = self.restarts.get(restart.source)
        if restarts is None and len(self.restarts) < MAX_SOURCES:
            restarts = self.restarts[restart.source] = []
        if restarts is None or len(restarts) >= _RESTARTS_KEPT:
            self._ignore("too_many_restarts")
            return
        restarts.append(restart)
        self.last_restart_ms = max(self.last_restart_ms, restart.time_ms)
        for contact in self._waiting_at(restart):
            life = self.lives[contact]
            self._fold_again(contact, _chain(life), [], life.home, restart.time_ms)

    def _waiting_at(self, restart: Fact) -> list[str]:
        """The contacts that wait when their source restarts.

        Nothing can have ended since a restart that is the newest event and that time has not
        passed, so those who wait now are all; for another, every remembered contact is looked at.
        """
        if restart.time_ms >= self.latest_ms and restart.time_ms > self.now_ms:
            return [
                visit.contact
                for tally in self.tallies.values()
                for visit in tally.open
                if visit.source == restart.source
            ]
        return [
            contact
            for contact, newest in self.lives.items()
            if any(
                visit.source == restart.source
                and visit.opened_ms <= restart.time_ms
                and (visit.outcome == OPEN or visit.closed_ms > restart.time_ms)
                for life in _chain(newest)
                for visit in life.visits
            )
        ]

    # -- time -----------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Let time pass to *now_ms*, inclusive; an earlier instant than before changes nothing."""
        if now_ms <= self.now_ms:
            return
        self.now_ms = now_ms
        tick_ms = last_tick(now_ms, self.every_ms)
        self.shown_next_ms = max(self.shown_next_ms, tick_ms)
        again = []
        for life, due_ms in self._schedule.take(now_ms):
            next_ms = self._fall_due(life, now_ms) if due_ms <= now_ms else due_ms
            if next_ms < NEVER:
                again.append((life, next_ms))
        for life, due_ms in again:
            self._schedule.put(life, due_ms)
        if tick_ms > self.tick_ms:
            self.tick_ms = tick_ms
            self._apply_ahead()
            self._forget_panes()

    def _fall_due(self, life: Life, now_ms: int) -> int:
        """Let happen what is due by *now_ms*; the next instant due, or NEVER once forgotten."""
        if not life.block.is_free and self._watch is not None:
            if life.open or life.awaits_from_ms >= 0 or life.shown is not None:
                self._watch.contact_changes(life)
            else:
                self._watch.contact_moves_on(life)
        life.run_to(now_ms, self)
        if life.awaits_from_ms >= 0 or life.shown is not None:
            self._show_awaiting(life)
        due_ms = life.next_due_ms(self.limits)
        if due_ms > now_ms:
            return due_ms
        if self.arrival_ms >= due_ms:
            self._forget(life)
            return NEVER
        return _look_again_ms(due_ms, now_ms)

    def _forget(self, life: Life) -> None:
        if self._on_forget is not None:
            self._on_forget(life)
        newest = self.lives.get(life.contact)
        if newest is life:
            self._drop(life)
            return
        while newest is not None and newest.earlier is not life:
            newest = newest.earlier
        if newest is not None:
            if not newest.block.is_free:
                self._tell(newest)
            newest.earlier = None

    def _drop(self, life: Life) -> None:
        block = life.block
        del self.lives[life.contact]
        del block.contacts[life.contact]
        if not block.contacts:
            del self.blocks[block.number]

    def _forget_panes(self) -> None:
        # Whole stretches only, so that whoever keeps panes by the stretch may drop the same ones.
        length = stretch_length(self.every_ms)
        kept = (pane_of(self.tick_ms, self.every_ms) - self._kept_panes + 1) // length
        pane = kept * length - 1
        if pane - self.pruned_pane >= _SLACK_PANES:
            self.pruned_pane = pane
            if self._watch is not None:
                self._watch.panes_go(kept)
            for tally in self.tallies.values():
                tally.forget_before(pane)
            self.staffing.forget_before(self.tick_ms - AGENT_KEPT_MS)
            self._forget_restarts()

    def _forget_restarts(self) -> None:
        """Drop restarts older than anything a contact could still be folded from."""
        if not self.restarts:
            return
        oldest_ms = self.arrival_ms - self.limits.lateness_ms
        for newest in self.lives.values():
            oldest = newest
            while oldest.earlier is not None:
                oldest = oldest.earlier
            oldest_ms = min(oldest_ms, oldest.facts[0].time_ms)
        for source in tuple(self.restarts):
            kept = [fact for fact in self.restarts[source] if fact.time_ms >= oldest_ms]
            if kept:
                self.restarts[source] = kept
            else:
                del self.restarts[source]

    def _apply_ahead(self) -> None:
        pane = pane_of(self.tick_ms, self.every_ms)
        for number in sorted(number for number in self.ahead if number <= pane):
            for apply, item, sign in self.ahead.pop(number):
                apply(item, sign)

    def _count_at(
        self, moment_ms: int, apply: Callable[..., None], item: object, sign: int
    ) -> None:
        """Apply to the windows now if they are next shown behind *moment_ms*, else then."""
        if self._changed_ms > moment_ms:
            moment_ms = self._changed_ms
        if moment_ms <= self.shown_next_ms:
            apply(item, sign)
        else:
            self._hold(moment_ms, apply, item, sign)

    def _hold(self, moment_ms: int, apply: Callable[..., None], item: object, sign: int) -> None:
        number = pane_of(moment_ms, self.every_ms)
        waiting = self.ahead.get(number)
        if waiting is None:
            self.ahead[number] = [(apply, item, sign)]
        else:
            waiting.append((apply, item, sign))

    # -- the policy -------------------------------------------------------------------------

    def take_policy(self, policies: PolicyBook) -> None:
        """Go on under *policies*; what was counted from where they differ on is counted anew.

        That is nothing, unless it was told of after they had come into force.
        """
        old, self.policies = self.policies, policies
        self.staffing.policies = policies
        if old.deciding == policies.deciding:
            return
        self.edges_ms = histogram_edges(policies.thresholds_ms())
        differs_from: dict[QueueTally, int] = {}
        for (queue, channel), tally in self.tallies.items():
            was, is_ = old.periods(queue, channel), policies.periods(queue, channel)
            tally.take_policy(
                zone=policies.queue(queue, channel, self.now_ms).zone,
                edges_ms=self.edges_ms,
                dated=policies.is_dated(queue, channel),
                threshold_ms=in_force(was, self.now_ms).threshold_ms,
            )
            at_ms = first_difference(was, is_)
            if at_ms is not None and at_ms <= self.latest_ms:
                differs_from[tally] = at_ms
        renamed_ms = _renamed_from(old, policies)
        if differs_from or renamed_ms <= self.latest_ms:
            self._count_anew(differs_from, renamed_ms)

    def _count_anew(self, differs_from: Mapping[QueueTally, int], renamed_ms: int) -> None:
        """Fold those contacts again that rest on what is different."""
        asked_ms = min(differs_from.values(), default=FOREVER)
        for contact, newest in list(self.lives.items()):
            lives = _chain(newest)
            is_other = any(
                life.asked_ms >= max(asked_ms, 0)
                or any(
                    visit.opened_ms >= differs_from.get(visit.tally, FOREVER)
                    for visit in life.visits
                )
                for life in lives
            )
            if any(life.facts[-1].time_ms >= renamed_ms for life in lives):
                if not newest.block.is_free:
                    self._tell(newest)
                for life in lives:
                    life.facts = [_renamed(fact, self.policies) for fact in life.facts]
                is_other = True
            if is_other:
                self._fold_again(contact, lives, [], newest.home, 0)

    # -- what a step reports (Sink) ---------------------------------------------------------

    def opened(self, life: Life, visit: Visit) -> None:
        """Count an arrival."""
        tally = self.tally(visit.queue, life.channel)
        visit.tally = tally
        self._bound_segment(visit)
        tally.open[visit] = visit.opened_ms
        tally.held(visit)
        if visit.known_ms > tally.last_event_ms:
            tally.last_event_ms = visit.known_ms
        tally.count("offered")
        if not visit.direct:
            tally.count(f"sent_to_wait:{visit.segment}")
        if visit.known_ms <= self.shown_next_ms:
            tally.apply_opened(visit, 1)
        else:
            self._hold(visit.known_ms, tally.apply_opened, visit, 1)

    def missed(self, life: Life, visit: Visit) -> None:
        """Count a threshold that passed."""
        tally = visit.tally
        tally.waiting_past += 1
        tally.count("service_level_events:false")
        if visit.miss_ms <= self.shown_next_ms:
            tally.apply_missed(visit, 1)
        else:
            self._hold(visit.miss_ms, tally.apply_missed, visit, 1)

    def closed(self, life: Life, visit: Visit) -> None:
        """Count an outcome."""
        tally = visit.tally
        del tally.open[visit]
        if visit.closed_ms > tally.last_event_ms:
            tally.last_event_ms = visit.closed_ms
        tally.count(tally.outcome_of(visit) or EXPIRY)
        if visit.missed:
            tally.waiting_past -= 1
        else:
            level = tally.level_of(visit)
            if level is not None:
                tally.count(level)
        if tally.is_instant(visit):
            tally.count(f"instant:{visit.segment}")
        _observe_wait(tally, visit)
        if visit.closed_ms <= self.shown_next_ms:
            tally.apply_closed(visit, 1)
        else:
            self._hold(visit.closed_ms, tally.apply_closed, visit, 1)

    def noted(self, life: Life, note: Note) -> None:
        """Count a refusal, a transfer or a contained contact."""
        tally = self.tally(note.queue, life.channel)
        tally.count(note.counter)
        if note.time_ms > tally.last_event_ms:
            tally.last_event_ms = note.time_ms
        if note.time_ms <= self.shown_next_ms:
            tally.apply_note(note, 1)
        else:
            self._hold(note.time_ms, tally.apply_note, note, 1)

    def response_decided(self, life: Life) -> None:
        """Count an initial-response event."""
        response = life.response
        if response is not None:
            time_ms, queue, within, _ = response
            tally = self._tally_of(life, queue)
            if time_ms > tally.last_event_ms:
                tally.last_event_ms = time_ms
            tally.count(_response_class(within))
            if time_ms <= self.shown_next_ms:
                tally.apply_response(response, 1)
            else:
                self._hold(time_ms, tally.apply_response, response, 1)

    def replied(self, life: Life) -> None:
        """Count how long the first human reply took."""
        reply = life.reply
        if reply is not None:
            time_ms, queue, _, _, _, _ = reply
            tally = self._tally_of(life, queue)
            if time_ms > tally.last_event_ms:
                tally.last_event_ms = time_ms
            _observe_reply(tally, reply)
            life.reply_observed = True
            if time_ms <= self.shown_next_ms:
                tally.apply_reply(reply, 1)
            else:
                self._hold(time_ms, tally.apply_reply, reply, 1)

    def unmatched(self, life: Life) -> None:
        """Count an outcome that closed nothing."""
        self.unmatched_outcomes += 1

    # -- replacing folds --------------------------------------------------------------------

    def _replace(self, old: list[Life], new: list[Life]) -> None:
        """Count *new* folds in place of *old* ones; what is the same in both stays as it is.

        Visits correspond by their tally and their number in it.
        """
        for life in new:
            for visit in life.visits:
                self._place(visit, life.channel)
        before = _by_ordinal(old)
        for key, visit in _by_ordinal(new).items():
            was = before.pop(key, None)
            if was is not None:
                visit.observed = was.observed
                if was.outcome == OPEN:
                    del visit.tally.open[was]
                    visit.tally.waiting_past -= was.missed
            if visit.outcome == OPEN:
                visit.tally.open[visit] = visit.opened_ms
                visit.tally.waiting_past += visit.missed
            if was is None or not was.is_like(visit):
                self._replace_visit(was, visit)
        for gone in before.values():
            if gone.outcome == OPEN:
                del gone.tally.open[gone]
                gone.tally.waiting_past -= gone.missed
            self._count_visit(gone, -1)
            for old_class in gone.tally.classes_of(gone):
                gone.tally.correct(old_class, None)
        self._replace_contact(old, new)

    def _place(self, visit: Visit, channel: str) -> None:
        tally = self.tally(visit.queue, channel)
        visit.tally = tally
        self._bound_segment(visit)
        tally.held(visit)
        tally.last_event_ms = max(tally.last_event_ms, visit.known_ms, visit.closed_ms)

    def _replace_visit(self, was: Visit | None, visit: Visit) -> None:
        tally = visit.tally
        if was is not None:
            self._count_visit(was, -1)
        self._count_visit(visit, 1)
        old_classes = tally.classes_of(was) if was is not None else (None,) * 5
        for old_class, new_class in zip(old_classes, tally.classes_of(visit), strict=True):
            tally.correct(old_class, new_class)
        _observe_wait(tally, visit)

    def _count_visit(self, visit: Visit, sign: int) -> None:
        tally = visit.tally
        self._count_at(visit.known_ms, tally.apply_opened, visit, sign)
        if visit.missed:
            self._count_at(visit.miss_ms, tally.apply_missed, visit, sign)
        if visit.outcome:
            self._count_at(visit.closed_ms, tally.apply_closed, visit, sign)

    def _replace_contact(self, old: list[Life], new: list[Life]) -> None:
        for life in old:
            if life.shown is not None:
                del life.shown.awaiting[life]
                life.shown = None
        if [_beside_visits(life) for life in old] != [_beside_visits(life) for life in new]:
            for life in old:
                self._count_contact(life, -1)
            for life in new:
                self._count_contact(life, 1)
            self._correct_contacts(old, new)
        observed = any(life.reply_observed for life in old)
        for life in new:
            if life.reply is not None and not observed:
                _observe_reply(self.tally(life.reply.queue, life.channel), life.reply)
            life.reply_observed = observed or life.reply is not None
        unmatched = sum(life.unmatched for life in new) - sum(life.unmatched for life in old)
        self.unmatched_outcomes += max(0, unmatched)

    def _count_contact(self, life: Life, sign: int) -> None:
        for note in life.notes:
            tally = self.tally(note.queue, life.channel)
            self._count_at(note.time_ms, tally.apply_note, note, sign)
        if life.response is not None:
            tally = self.tally(life.response.queue, life.channel)
            if life.response.time_ms > tally.last_event_ms:
                tally.last_event_ms = life.response.time_ms
            self._count_at(life.response.time_ms, tally.apply_response, life.response, sign)
        if life.reply is not None:
            tally = self.tally(life.reply.queue, life.channel)
            self._count_at(life.reply.time_ms, tally.apply_reply, life.reply, sign)

    def _correct_contacts(self, old: list[Life], new: list[Life]) -> None:
        """Move what is counted per contact: notes and the response event."""
        before = self._contact_classes(old)
        after = self._contact_classes(new)
        for tally, name in before:
            if (tally, name) in after:
                after.remove((tally, name))
            else:
                replacement = next(
                    (entry for entry in after if entry[0] is tally and _kin(entry[1], name)), None
                )
                if replacement is not None:
                    after.remove(replacement)
                tally.correct(name, replacement[1] if replacement is not None else None)
        for tally, name in after:
            tally.count(name)

    def _contact_classes(self, lives: Iterable[Life]) -> list[tuple[QueueTally, str]]:
        classes = []
        for life in lives:
            classes += [(self.tally(note.queue, life.channel), note.counter) for note in life.notes]
            if life.response is not None:
                tally = self.tally(life.response.queue, life.channel)
                classes.append((tally, _response_class(life.response.within)))
        return classes

    # -- bounded labels ---------------------------------------------------------------------

    def tally(self, queue: str, channel: str) -> QueueTally:
        """The tally of (queue, channel); one for all the others once there are too many.

        Queues that the settings name have their own, however many others came before them.
        """
        key = (queue, channel)
        tally = self.tallies.get(key)
        if tally is None:
            is_one_too_many = len(self.tallies) >= self._max_tallies and key != (OTHER, OTHER)
            if is_one_too_many and not self.policies.is_named(*key):
                return self.tally(OTHER, OTHER)
            tally = self.new_tally(queue, channel)
        return tally

    def _tally_of(self, life: Life, queue: str) -> QueueTally:
        """The tally of *queue* and the channel of *life*, which is mostly shown there."""
        shown = life.shown
        if shown is not None and shown.queue == queue and shown.channel == life.channel:
            return shown
        return self.tally(queue, life.channel)

    def new_tally(self, queue: str, channel: str) -> QueueTally:
        """A tally of (queue, channel), however many there are."""
        tally = self.tallies[queue, channel] = QueueTally(
            queue,
            channel,
            zone=self.policies.queue(queue, channel, self.now_ms).zone,
            every_ms=self.every_ms,
            windows=self.windows,
            rounding=self._rounding,
            edges_ms=self.edges_ms,
            dated=self.policies.is_dated(queue, channel),
            by_arrival=self.by_arrival,
        )
        tally.watch = self._watch
        return tally

    def _bound_segment(self, visit: Visit) -> None:
        """At most ten customer types a queue, the last for all others."""
        if visit.segment == UNKNOWN:
            return
        known = visit.tally.segments
        if visit.segment not in known:
            if len(known) >= MAX_SEGMENTS - 2:
                visit.segment = OTHER
            else:
                known.add(visit.segment)

    def _label(self, counter: dict[str, int], name: str) -> str:
        return name if name in counter or len(counter) < 200 else OTHER

    def _repeat(self, source: str) -> None:
        _bump(self.duplicates, self._label(self.duplicates, source))

    def _ignore(self, reason: str) -> None:
        _bump(self.ignored, reason)


def _renamed_from(old: PolicyBook, new: PolicyBook) -> int:
    """The first instant from which an old id means another queue than before."""
    was, is_ = old.deciding.was, new.deciding.was
    changed = [
        from_ms
        for old_id in {*was, *is_}
        if was.get(old_id) != is_.get(old_id)
        for _, from_ms in filter(None, (was.get(old_id), is_.get(old_id)))
    ]
    return min(changed, default=FOREVER)


def _renamed(fact: Fact, policies: PolicyBook) -> Fact:
    """*fact* in the queue that its name means now."""
    queue = policies.canonical(fact.queue, fact.time_ms)
    detail = fact.detail
    if EVENT_TYPES[fact.rank] is Transferred:
        detail = policies.canonical(detail, fact.time_ms)
    return fact._replace(queue=queue, detail=detail)


def _look_again_ms(due_ms: int, now_ms: int) -> int:
    """When a contact due at *due_ms* that could not be forgotten by *now_ms* is looked at again.

    It depends on nothing else, so a restored contact is looked at when the first one would be.
    """
    looks = (now_ms - due_ms) // _LOOK_AGAIN_MS + 1
    return due_ms + looks * _LOOK_AGAIN_MS


def _bump(counter: dict[str, int], name: str) -> None:
    counter[name] = counter.get(name, 0) + 1


def _is_known(life: Life | None, key: str) -> bool:
    while life is not None:
        if key in life.ids:
            return True
        life = life.earlier
    return False


def _ids_of(life: Life) -> int:
    """How many events of a contact are remembered, over all its lives."""
    count = len(life.ids)
    earlier = life.earlier
    while earlier is not None:
        count += len(earlier.ids)
        earlier = earlier.earlier
    return count


def _remember(life: Life, event_id: str) -> None:
    if isinstance(life.ids, set):
        life.ids.add(event_id)
    else:
        life.ids.append(event_id)
        if len(life.ids) > 32:
            life.ids = set(life.ids)


def _marker(time_ms: int) -> Fact:
    return Fact(time_ms, 0, DROPPED, "", "", "", "", "", "")


def _chain(life: Life) -> list[Life]:
    """A contact's remembered lives, the oldest first."""
    chain = [life]
    while life.earlier is not None:
        life = life.earlier
        chain.append(life)
    return chain[::-1]


def _content(fact: Fact) -> tuple[int, bytes]:
    """What decides between two events with one id: the later one, then the greater bytes.

    The bytes are those of the kept fields in canonical JSON, not of the record: a record's white
    space, key order or a field that nothing reads decides nothing.
    """
    kind = EVENT_TYPES[fact.rank]
    fields = {
        "type": type_name(kind),
        "sequence": fact.sequence,
        "queue": fact.queue,
        "channel": fact.channel,
        "segment": fact.segment,
        DETAIL.get(kind, "detail"): fact.detail,
    }
    kept = {name: value for name, value in fields.items() if value}
    return fact.time_ms, orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def _beside_visits(life: Life) -> tuple[object, ...]:
    """What is counted of a contact beside its visits."""
    return life.channel, life.notes, life.response, life.reply


def _kin(one: str, other: str) -> bool:
    """Two classes of one counter."""
    return one.split(":", 1)[0] == other.split(":", 1)[0]


def _response_class(within: bool) -> str:
    return "initial_response_events:true" if within else "initial_response_events:false"


def _by_ordinal(lives: Iterable[Life]) -> dict[tuple[int, int], Visit]:
    """Visits by their tally and their number in it."""
    seen: dict[int, int] = {}
    visits = {}
    for life in lives:
        for visit in life.visits:
            tally = id(visit.tally)
            number = seen[tally] = seen.get(tally, 0) + 1
            visits[tally, number] = visit
    return visits


def _observe_wait(tally: QueueTally, visit: Visit) -> None:
    """Take a visit into its histogram, once; an expired one has no wait to take."""
    name = ("", "answered", "abandoned", "left", "")[visit.outcome]
    if name and not visit.observed:
        visit.observed = True
        tally.waits[name].observe(visit.wait_ms)


def _observe_reply(tally: QueueTally, reply: Reply) -> None:
    time_ms, _, first_asked_ms, _, handoff_ms, assignment_ms = reply
    tally.responses["asked"].observe(time_ms - first_asked_ms)
    if handoff_ms is not None:
        tally.responses["handoff"].observe(handoff_ms)
    if assignment_ms is not None:
        tally.responses["assignment"].observe(assignment_ms)
