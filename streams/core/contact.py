"""One contact as the fold of its events: visits, initial response, life.

A contact is the set of its events; everything said about it is a fold over that set in sorted
order (design 4). `Life.step` is the fold's only step. An event that sorts behind the last one is
applied to the state at once; any other makes the partition fold the contact again from nothing,
with this same step, so the fast path and the fold cannot differ.

The fold knows no clock: `Life.run_to` is told up to which instant time has passed.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import astuple

from schemas.events import (
    EVENT_TYPES,
    RANK,
    Abandoned,
    Answered,
    ContactEvent,
    Ended,
    Event,
    Left,
    Messaged,
    Offered,
    Queued,
    Rang,
    Refused,
    Replied,
    SourceStarted,
    Transferred,
)
from streams.core.policy import PolicyBook, VisitPolicy

if TYPE_CHECKING:
    from streams.core.blocks import Block
    from streams.core.queue_tally import QueueTally

UNKNOWN: Final = "unknown"
VOICE: Final = "voice"

OPEN: Final = 0
ANSWERED: Final = 1
ABANDONED: Final = 2
LEFT: Final = 3
EXPIRED: Final = 4

NEVER: Final = (1 << 62) - 1
"""The greatest integer that compiled code has without an object."""

_OFFERED: Final = RANK[Offered]
_REFUSED: Final = RANK[Refused]
_QUEUED: Final = RANK[Queued]
_RANG: Final = RANK[Rang]
_ANSWERED: Final = RANK[Answered]
_MESSAGED: Final = RANK[Messaged]
_REPLIED: Final = RANK[Replied]
_TRANSFERRED: Final = RANK[Transferred]
_ABANDONED: Final = RANK[Abandoned]
_LEFT: Final = RANK[Left]
_ENDED: Final = RANK[Ended]
SOURCE_STARTED: Final = RANK[SourceStarted]
DROPPED: Final = 1_000
_TAKES_A_TRANSFER: Final = frozenset({_RANG, _ANSWERED, _ABANDONED, _REPLIED})
_GIVES_UP: Final = frozenset({_ABANDONED, _LEFT})
"""What a contact turned away may still send, although it was never offered."""


class Fact(NamedTuple):
    """What the fold needs of one event; facts sort in the order of design 4.

    Attributes:
        time_ms: when it happened at the source.
        sequence: the source's own order within the contact, 0 when absent.
        rank: row of the event table, decides between equal times and sequences.
        id: unique per source.
        source: the producing system.
        queue: the queue named by the event, canonical, or "".
        channel: the channel named, or "".
        segment: the customer type named, or "".
        detail: reason, by or to, whichever the type has, or "".
    """

    time_ms: int
    sequence: int
    rank: int
    id: str
    source: str
    queue: str
    channel: str
    segment: str
    detail: str


NO_FACT: Final = Fact(0, 0, 0, "", "", "", "", "", "")

DETAIL: Final[dict[type[Event], str]] = {
    Refused: "reason",
    Replied: "by",
    Transferred: "to",
    Left: "reason",
    Ended: "by",
}

_new: Final = tuple.__new__
"""Makes a named tuple without the call that its own constructor costs."""


_HAS_DETAIL: Final = tuple(kind in DETAIL for kind in EVENT_TYPES)

# Where the fields of a contact event stand; the first of its own has what `DETAIL` names.
_ID: Final = 0
_SOURCE: Final = 2
_SEQUENCE: Final = 3
_CONTACT: Final = 4
_QUEUE: Final = 5
_CHANNEL: Final = 6
_SEGMENT: Final = 10
_OWN: Final = 12


_intern: Final = intern
_astuple: Final = astuple
"""Compiled, an imported name is looked up in its module each time."""


def fact_of(
    event: ContactEvent, rank: int, time_ms: int, policies: PolicyBook, like: Fact
) -> tuple[str, Fact]:
    """The contact of an event and its fact, with queue names folded into their canonical ones.

    Of many equal texts one is kept, or a fact would hold five of its own for hours. Most are those
    of the fact before, which *like* may be, and are not searched for then.
    """
    # All at once: compiled, that is a fifth of what the fields cost by name.
    fields = _astuple(event)
    source: str = fields[_SOURCE]
    queue: str = fields[_QUEUE]
    channel: str = fields[_CHANNEL]
    segment: str = fields[_SEGMENT]
    detail: str = fields[_OWN] if _HAS_DETAIL[rank] else ""
    if policies.renamed:
        queue = policies.canonical(queue, time_ms)
        if rank == _TRANSFERRED:
            detail = policies.canonical(detail, time_ms)
    _, _, _, _, source_before, queue_before, channel_before, segment_before, detail_before = like
    return fields[_CONTACT], _new(
        Fact,
        (
            time_ms,
            fields[_SEQUENCE],
            rank,
            fields[_ID],
            source_before if source == source_before else _intern(source),
            queue_before if queue == queue_before else _intern(queue),
            channel_before if channel == channel_before else _intern(channel),
            segment_before if segment == segment_before else _intern(segment),
            detail_before if detail == detail_before else _intern(detail),
        ),
    )


class Visit:
    """One stay of one contact in one queue.

    Attributes:
        contact: whose stay it is.
        opened_ms: when the wait began; a direct visit is back-dated to the offer or transfer.
        known_ms: when an event made the visit known; nothing of it counts before.
        direct: it was not opened by `queued`.
        segment: the contact's customer type, "unknown" where none is named.
        tally: where its partition counts it; set by the partition.
        closed_ms: when it was closed, or -1 while open.
        outcome: OPEN, ANSWERED, ABANDONED, LEFT or EXPIRED.
        reason: why it left, for LEFT.
        observed: a histogram has taken it.
        missed: the threshold passed before the outcome and this has been counted.
        miss_ms: when that happens: opening + T + 1 ms, not before it is known.
        expires_ms: when an open visit expires.
    """

    __slots__ = (
        "closed_ms",
        "contact",
        "direct",
        "expires_ms",
        "known_ms",
        "miss_ms",
        "missed",
        "observed",
        "opened_ms",
        "outcome",
        "policy",
        "queue",
        "reason",
        "segment",
        "source",
        "tally",
    )

    def __init__(
        self,
        queue: str,
        source: str,
        opened_ms: int,
        known_ms: int,
        policy: VisitPolicy,
        direct: bool,
        segment: str,
        contact: str,
    ) -> None:
        self.contact = contact
        self.queue = queue
        self.source = source
        self.segment = segment
        self.opened_ms = opened_ms
        self.known_ms = known_ms
        self.direct = direct
        self.policy = policy
        self.closed_ms = -1
        self.outcome = OPEN
        self.reason = ""
        self.missed = False
        self.observed = False
        miss_ms = opened_ms + policy.threshold_ms + 1
        expires_ms = opened_ms + policy.expires_after_ms
        if direct:
            miss_ms = max(miss_ms, known_ms)
            expires_ms = max(expires_ms, known_ms)
        self.miss_ms = miss_ms
        self.expires_ms = expires_ms

    tally: QueueTally

    @property
    def wait_ms(self) -> int:
        """Opening to close; only of a closed visit."""
        return self.closed_ms - self.opened_ms

    def is_like(self, other: Visit) -> bool:
        """Whether *other*, of the same tally, is counted just like this one."""
        return (
            self.opened_ms == other.opened_ms
            and self.known_ms == other.known_ms
            and self.closed_ms == other.closed_ms
            and self.outcome == other.outcome
            and self.reason == other.reason
            and self.missed == other.missed
            and self.direct == other.direct
            and self.segment == other.segment
            and self.policy == other.policy
        )

    @property
    def in_time(self) -> bool:
        """Closed no later than the threshold after its opening."""
        return self.closed_ms - self.opened_ms <= self.policy.threshold_ms


class Sink:
    """What a fold reports while it goes. As it stands it takes no notice of anything."""

    def opened(self, life: Life, visit: Visit) -> None:
        """*visit* has been opened and is known."""

    def missed(self, life: Life, visit: Visit) -> None:
        """The threshold of *visit* has passed; it is reported before its close."""

    def closed(self, life: Life, visit: Visit) -> None:
        """*visit* has its outcome."""

    def noted(self, life: Life, note: Note) -> None:
        """A refusal, transfer or bot-contained contact."""

    def response_decided(self, life: Life) -> None:
        """`life.response` has been set."""

    def replied(self, life: Life) -> None:
        """`life.reply` has been set."""

    def unmatched(self, life: Life) -> None:
        """An outcome without an open visit has been ignored."""


SILENT: Final = Sink()
"""For refolds: their effect is the difference between two finished folds."""


class Note(NamedTuple):
    """Something counted that is no visit: `refused:full`, `transferred` or `bot_contained`."""

    time_ms: int
    queue: str
    counter: str


class Response(NamedTuple):
    """The initial-response event of a life: there is at most one."""

    time_ms: int
    queue: str
    within: bool
    first_asked_ms: int


class Reply(NamedTuple):
    """The first human reply, on its clocks, in ms; None where that clock never ran.

    `took_ms` is from the hand-off where a bot had replied before, else from the first asking.
    """

    time_ms: int
    queue: str
    first_asked_ms: int
    took_ms: int
    handoff_ms: int | None
    assignment_ms: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a contact's memory.

    Attributes:
        rest_ms: a contact ends for good this long after its last event or close.
        lateness_ms: an event older than the arrival by more than this is late.
        max_events: events kept of one contact.
    """

    rest_ms: int = 4 * 3_600_000
    lateness_ms: int = 4 * 3_600_000
    max_events: int = 512


_LIFE: Final = (
    "_answered_ms",
    "_asked_ms",
    "_awaited_to_ms",
    "_bot",
    "_expires_after_ms",
    "_handoff_ms",
    "_human",
    "_limit_ms",
    "_offered_ms",
    "_pending",
    "_turned_away",
    "awaits_from_ms",
    "block",
    "channel",
    "contact",
    "dropped",
    "due_ms",
    "earlier",
    "facts",
    "home",
    "ids",
    "is_unscheduled",
    "named_channel",
    "notes",
    "open",
    "queue",
    "ran_ms",
    "replaced",
    "reply",
    "reply_observed",
    "response",
    "segment",
    "shown",
    "unmatched",
    "visits",
)
"""What a `Life` has; by name here, since a compiled class does not keep its slots."""


class Life:
    """A contact from its first event until it has rested; the state of the fold.

    Attributes:
        block: where its contact is kept; set by the partition.
        facts: the facts folded so far, sorted.
        home: the source whose ids stand in `ids` as they are; others carry their source.
        ids: ids of all events ever accepted, facts or not.
        dropped: times of events of which only the id is kept.
        earlier: the life of the same contact id before this one, while it is remembered.
        is_unscheduled: its turn in the schedule has been put off to the end of the batch.
        open: visits not yet closed, in the order in which they were opened.
        visits: all visits, in the same order.
        queue: the queue the contact is in: the one named last, or "".
        response: the initial-response event, once decided.
        replaced: how often an event was replaced by another content of its id.
        reply_observed: the histograms have taken the first human reply.
        awaits_from_ms: since when a human reply is awaited, or -1.
        ran_ms: the latest instant at which time alone has changed something, or -1. An event of
            that instant or before comes too late for a step.
    """

    __slots__ = _LIFE

    def __init__(self, contact: str, channel: str = "", segment: str = "") -> None:
        self.contact = contact
        self.home = ""
        self.named_channel = channel
        self.channel = channel or VOICE
        self.segment = segment
        self.facts: list[Fact] = []
        self.ids: list[str] | set[str] = []
        self.earlier: Life | None = None
        self.dropped: array[int] | None = None
        self.ran_ms = -1
        self.due_ms = NEVER
        self.is_unscheduled = False
        self.visits: list[Visit] = []
        self.open: list[Visit] = []
        self.notes: list[Note] = []
        self.unmatched = 0
        self.replaced = 0
        self.queue = ""
        self.response: Response | None = None
        self.reply: Reply | None = None
        self.reply_observed = False
        self.awaits_from_ms = -1
        self.shown: QueueTally | None = None
        self._pending: dict[str, int] | None = None
        self._offered_ms = -1
        self._turned_away = False
        self._asked_ms = -1
        self._handoff_ms = -1
        self._answered_ms = -1
        self._awaited_to_ms = -NEVER
        self._bot = False
        self._human = False
        self._limit_ms = 0
        self._expires_after_ms = 0

    block: Block

    @property
    def asked_ms(self) -> int:
        """When the customer first asked, or -1."""
        return self._asked_ms

    @property
    def last_ms(self) -> int:
        """Time of the last event, also of one of which only the id is kept."""
        last = self.facts[-1].time_ms
        return max(last, *self.dropped) if self.dropped else last

    def key_of(self, fact: Fact) -> str:
        """What identifies *fact* among `ids`."""
        return fact.id if fact.source == self.home else f"{fact.source}\n{fact.id}"

    def drop(self, time_ms: int) -> None:
        """Remember of an event only that it happened."""
        if self.dropped is None:
            self.dropped = array("q")
        self.dropped.append(time_ms)

    def needs_no(self, fact: Fact) -> bool:
        """A message that changes no indicator, whatever comes late: only its id is kept.

        One that names a queue is none: it decides where the contact is, however things are told.
        """
        if fact.queue or self.channel == VOICE:
            return False
        if fact.rank == _MESSAGED:
            return self._asked_ms >= 0
        return fact.rank == _REPLIED and fact.detail != "human" and (self._bot or self._human)

    def become(self, other: Life) -> None:
        """Take over all that *other* knows, but for what is scheduled."""
        due_ms, is_unscheduled = self.due_ms, self.is_unscheduled
        for name in _LIFE:
            setattr(self, name, getattr(other, name))
        self.due_ms, self.is_unscheduled = due_ms, is_unscheduled

    def end_ms(self, limits: Limits) -> int:
        """When the contact has ended for good, inclusive, should nothing more happen.

        It rests from its last event, close or expiry; while a reply is awaited it does not rest,
        or an email answered the next morning would be another contact. Nobody awaits one any more
        when the last open visit expires.
        """
        last = self.last_ms if self.dropped else self.facts[-1].time_ms
        if self._awaited_to_ms > last:
            last = self._awaited_to_ms
        if self.awaits_from_ms >= 0 and not self.open:
            last = max(last, self.awaits_from_ms + self._expires_after_ms)
        for visit in self.visits:
            close = visit.closed_ms if visit.outcome else visit.expires_ms
            if close > last:
                last = close
        return last + limits.rest_ms

    def next_due_ms(self, limits: Limits) -> int:
        """The next instant at which time alone changes something, forgetting included."""
        due = NEVER
        for visit in self.open:
            next_ms = visit.expires_ms if visit.missed else visit.miss_ms
            if next_ms < due:
                due = next_ms
        if self.awaits_from_ms >= 0:
            if self.response is None and self.awaits_from_ms + self._limit_ms < due:
                due = self.awaits_from_ms + self._limit_ms + 1
            if self.awaits_from_ms + self._expires_after_ms < due:
                due = self.awaits_from_ms + self._expires_after_ms
        if due == NEVER:
            due = self.end_ms(limits) + limits.lateness_ms + 1
        return due

    def run_to(self, now_ms: int, sink: Sink) -> None:
        """Let time pass up to and including *now_ms*: misses, expiries, limits."""
        if self.open:
            for visit in self.open:
                if not visit.missed and visit.miss_ms <= now_ms:
                    visit.missed = True
                    self.ran_ms = max(self.ran_ms, visit.miss_ms)
                    sink.missed(self, visit)
            for visit in self.open:
                if visit.expires_ms <= now_ms:
                    self._expire(now_ms, sink)
                    break
        if self.awaits_from_ms >= 0:
            self._pass_limit(now_ms, sink)

    def step(self, fact: Fact, policies: PolicyBook, sink: Sink) -> None:
        """Fold one *fact* that sorts behind all folded before it."""
        # All at once: from a compiled tuple that is a tenth of what its attributes cost by name.
        now, _, rank, _, source, queue, _, _, detail = fact
        if self.open or self.awaits_from_ms >= 0:
            self._catch_up(now, sink)
        if queue:
            self.queue = queue
        self.facts.append(fact)
        if rank == _QUEUED:
            self._on_queued(now, source, policies, sink)
        elif rank == _ANSWERED:
            self._on_answered(now, fact, policies, sink)
        elif rank == _ENDED:
            self._on_ended(now, detail, fact, policies, sink)
        elif rank == _MESSAGED:
            self._ask(now, rank, policies)
        elif rank == _REPLIED:
            self._on_replied(now, fact, policies, sink)
        elif rank == _OFFERED:
            self._on_offered(now, policies)
        elif rank == _RANG:
            self._open_directly(fact, policies, sink)
        else:
            self._step_rarely(fact, policies, sink)

    def _step_rarely(self, fact: Fact, policies: PolicyBook, sink: Sink) -> None:
        rank = fact.rank
        if rank == _ABANDONED:
            self._on_abandoned(fact.time_ms, fact, policies, sink)
        elif rank == _LEFT:
            self._on_left(fact, policies, sink)
        elif rank == _TRANSFERRED:
            self._on_transferred(fact, sink)
        elif rank == _REFUSED:
            self._on_refused(fact, sink)

    def restart(self, fact: Fact, sink: Sink) -> None:
        """The source of *fact* has restarted: its open waits end as left, reason error."""
        self._catch_up(fact.time_ms, sink)
        ended = [visit for visit in self.open if visit.source == fact.source]
        for visit in ended:
            self._close(visit, fact.time_ms, LEFT, "error", sink)
        if ended:
            self._stop_waiting(fact.time_ms, sink)

    def _catch_up(self, now: int, sink: Sink) -> None:
        """Let happen what time alone did before *now*; events of an instant come before that."""
        for visit in self.open:
            if visit.expires_ms < now:
                self._expire(now - 1, sink)
                break
        if self.awaits_from_ms >= 0:
            self._pass_limit(now - 1, sink)

    # -- visits ---------------------------------------------------------------------------

    def _open(
        self,
        queue: str,
        source: str,
        opened_ms: int,
        known_ms: int,
        policies: PolicyBook,
        sink: Sink,
        direct: bool,
    ) -> Visit:
        policy = policies.visit(queue, self.channel, opened_ms)
        segment = self.segment or UNKNOWN
        visit = Visit(queue, source, opened_ms, known_ms, policy, direct, segment, self.contact)
        self.visits.append(visit)
        self.open.append(visit)
        sink.opened(self, visit)
        return visit

    def _open_directly(self, fact: Fact, policies: PolicyBook, sink: Sink) -> Visit | None:
        """The direct visit that *fact* makes known, or None if it makes none."""
        now, _, rank, _, source, queue, _, _, _ = fact
        if self._is_pending(rank, queue) and self._pending is not None:
            opened_ms = self._pending.pop(queue)
            return self._open(queue, source, opened_ms, now, policies, sink, True)
        if self.visits or (self._turned_away and rank in _GIVES_UP):
            return None
        opened_ms = self._offered_ms if self._offered_ms >= 0 else now
        return self._open(self.queue or UNKNOWN, source, opened_ms, now, policies, sink, True)

    def _is_pending(self, rank: int, queue: str) -> bool:
        """It happens in a queue that the contact was transferred to but never queued in."""
        return (
            self._pending is not None
            and queue in self._pending
            and rank in _TAKES_A_TRANSFER
            and self._visit_in(queue) is None
        )

    def _visit_in(self, queue: str) -> Visit | None:
        for visit in self.open:
            if visit.queue == queue:
                return visit
        return None

    def _last_opened(self) -> Visit:
        return max(reversed(self.open), key=lambda visit: visit.opened_ms)

    def _close(self, visit: Visit, now: int, outcome: int, reason: str, sink: Sink) -> None:
        visit.closed_ms = now
        visit.outcome = outcome
        visit.reason = reason
        if not visit.missed and not visit.in_time:
            visit.missed = True
            sink.missed(self, visit)
        self.open.remove(visit)
        sink.closed(self, visit)

    def _withdraw_others(self, now: int, sink: Sink) -> None:
        for visit in tuple(self.open):
            self._close(visit, now, LEFT, "withdrawn", sink)

    def _expire(self, now_ms: int, sink: Sink) -> None:
        for visit in sorted(self.open, key=lambda v: v.expires_ms):
            if visit.expires_ms <= now_ms:
                self._pass_limit(visit.expires_ms, sink)
                self.ran_ms = max(self.ran_ms, visit.expires_ms)
                self._close(visit, visit.expires_ms, EXPIRED, "", sink)
                self._stop_waiting(visit.expires_ms, sink)

    def _outcome(
        self, fact: Fact, outcome: int, reason: str, policies: PolicyBook, sink: Sink
    ) -> Visit | None:
        """Close the open visit that *fact* is about; open a direct one first where it makes one."""
        now, _, rank, _, _, queue, _, _, _ = fact
        if self.open and not self._is_pending(rank, queue):
            visit: Visit | None = self._visit_in(self.queue) or self._last_opened()
        else:
            visit = self._open_directly(fact, policies, sink)
        if visit is not None:
            self._close(visit, now, outcome, reason, sink)
        return visit

    # -- one method per event type ----------------------------------------------------------

    def _on_offered(self, now: int, policies: PolicyBook) -> None:
        if self._offered_ms < 0:
            self._offered_ms = now
        self._ask(now, _OFFERED, policies)

    def _on_refused(self, fact: Fact, sink: Sink) -> None:
        self._turned_away = True
        self._note(fact, f"refused:{fact.detail}", sink)
        self._stop_awaiting(fact.time_ms, sink)

    def _on_queued(self, now: int, source: str, policies: PolicyBook, sink: Sink) -> None:
        queue = self.queue or UNKNOWN
        if self._visit_in(queue) is None:
            self._open(queue, source, now, now, policies, sink, False)
        if self._pending:
            self._pending.pop(queue, None)
        self._ask(now, _QUEUED, policies)

    def _on_answered(self, now: int, fact: Fact, policies: PolicyBook, sink: Sink) -> None:
        visit = self._outcome(fact, ANSWERED, "", policies, sink)
        if visit is None:
            self._ignore(sink)
        elif self.open:
            self._withdraw_others(now, sink)
        if self._answered_ms < 0:
            self._answered_ms = now
        if self.channel == VOICE and not self._human:
            self._respond(now, visit, sink)

    def _on_replied(self, now: int, fact: Fact, policies: PolicyBook, sink: Sink) -> None:
        if self.channel == VOICE:
            return
        if fact.detail != "human":
            if not self._human and self._handoff_ms < 0:
                self._bot = True
                self.awaits_from_ms = -1
            return
        visit = self._outcome(fact, ANSWERED, "", policies, sink)
        if visit is not None and self.open:
            self._withdraw_others(now, sink)
        if not self._human:
            self._respond(now, visit, sink)

    def _on_transferred(self, fact: Fact, sink: Sink) -> None:
        self._note(fact, "transferred", sink)
        if fact.detail and self._visit_in(fact.detail) is None:
            if self._pending is None:
                self._pending = {}
            self._pending[fact.detail] = fact.time_ms

    def _on_abandoned(self, now: int, fact: Fact, policies: PolicyBook, sink: Sink) -> None:
        if self._outcome(fact, ABANDONED, "", policies, sink) is None:
            self._ignore(sink)
            return
        self._withdraw_others(now, sink)
        self._stop_waiting(now, sink)

    def _on_left(self, fact: Fact, policies: PolicyBook, sink: Sink) -> None:
        if fact.detail == "bot" and not self.visits:
            self._turned_away = True
            self._note(fact, "bot_contained", sink)
            self._stop_awaiting(fact.time_ms, sink)
            return
        visit = None
        if self.open:
            visit = self._visit_in(self.queue) or self._last_opened()
        else:
            visit = self._open_directly(fact, policies, sink)
        if visit is None:
            self._ignore(sink)
            return
        self._close(visit, fact.time_ms, LEFT, fact.detail, sink)
        self._stop_waiting(fact.time_ms, sink)

    def _on_ended(self, now: int, by: str, fact: Fact, policies: PolicyBook, sink: Sink) -> None:
        if self.open:
            outcome, reason = _ENDED_WHILE_WAITING[by]
            visit = self._visit_in(self.queue) or self._last_opened()
            self._close(visit, now, outcome, reason, sink)
            self._withdraw_others(now, sink)
        elif not self.visits and self._offered_ms >= 0 and not self._turned_away and by != "agent":
            outcome, reason = _ENDED_WHILE_WAITING[by]
            self._outcome(fact, outcome, reason, policies, sink)
        self._stop_awaiting(now, sink)

    def _note(self, fact: Fact, counter: str, sink: Sink) -> None:
        note = Note(fact.time_ms, self.queue or UNKNOWN, counter)
        self.notes.append(note)
        sink.noted(self, note)

    def _ignore(self, sink: Sink) -> None:
        self.unmatched += 1
        sink.unmatched(self)

    # -- initial response -------------------------------------------------------------------

    def _ask(self, now: int, rank: int, policies: PolicyBook) -> None:
        """A customer asks, or after a bot's reply is handed off: a human is awaited."""
        first = self._asked_ms < 0
        if first:
            self._asked_ms = now
        if self._human:
            return
        handed_off = self._bot and self._handoff_ms < 0 and rank != _MESSAGED
        if handed_off:
            self._handoff_ms = now
        if handed_off or (first and not self._bot):
            policy = policies.visit(self.queue or UNKNOWN, self.channel, self._asked_ms)
            self._limit_ms = policy.initial_response_limit_ms
            self._expires_after_ms = policy.expires_after_ms
            self.awaits_from_ms = now

    def _respond(self, now: int, visit: Visit | None, sink: Sink) -> None:
        """The first human reply; it counts where one is awaited."""
        self._human = True
        start_ms = self.awaits_from_ms
        if start_ms < 0:
            return
        self.awaits_from_ms = -1
        queue = visit.queue if visit is not None else self.queue or UNKNOWN
        if self.response is None:
            within = now - start_ms <= self._limit_ms
            self.response = _new(Response, (now, queue, within, self._asked_ms))
            sink.response_decided(self)
        assigned = self._answered_ms if self.channel != VOICE else -1
        self.reply = _new(
            Reply,
            (
                now,
                queue,
                self._asked_ms,
                now - start_ms,
                now - self._handoff_ms if self._handoff_ms >= 0 else None,
                now - assigned if assigned >= 0 else None,
            ),
        )
        sink.replied(self)

    def _pass_limit(self, now_ms: int, sink: Sink) -> None:
        """Count a miss whose limit has passed by *now_ms*; stop awaiting after the expiry."""
        start_ms = self.awaits_from_ms
        if start_ms < 0:
            return
        if self.response is None:
            miss_ms = start_ms + self._limit_ms + 1
            if miss_ms <= now_ms:
                self.ran_ms = max(self.ran_ms, miss_ms)
                self._miss_response(miss_ms, sink)
        expires_ms = start_ms + self._expires_after_ms
        if expires_ms <= now_ms:
            self.ran_ms = max(self.ran_ms, expires_ms)
            self._awaited_to_ms = expires_ms
            self.awaits_from_ms = -1

    def _miss_response(self, now_ms: int, sink: Sink) -> None:
        missed = (now_ms, self.queue or UNKNOWN, False, self._asked_ms)
        self.response = _new(Response, missed)
        sink.response_decided(self)

    def _stop_waiting(self, now_ms: int, sink: Sink) -> None:
        """A visit ended unanswered; with none left open nobody awaits a reply any more."""
        if not self.open:
            self._stop_awaiting(now_ms, sink)

    def _stop_awaiting(self, now_ms: int, sink: Sink) -> None:
        if self.awaits_from_ms >= 0:
            self.awaits_from_ms = -1
            if self.response is None:
                self._miss_response(now_ms, sink)


_ENDED_WHILE_WAITING: Final = {
    "": (ABANDONED, ""),
    "customer": (ABANDONED, ""),
    "system": (LEFT, "error"),
    "agent": (LEFT, "withdrawn"),
}


def fold(contact: str, facts: list[Fact], policies: PolicyBook, limits: Limits) -> list[Life]:
    """All lives of a contact from its sorted *facts*, the oldest first.

    Restarts of sources (`SOURCE_STARTED`) and markers of dropped messages (`DROPPED`) may be among
    the facts; they begin no life.
    """
    lives: list[Life] = []
    at = 0
    while at < len(facts):
        if facts[at].rank >= SOURCE_STARTED:
            at += 1
            continue
        life, at = _fold_life(contact, facts, at, policies, limits)
        lives.append(life)
    return lives


def _fold_life(
    contact: str, facts: list[Fact], start: int, policies: PolicyBook, limits: Limits
) -> tuple[Life, int]:
    """The life that begins at *start*, and where the next one does.

    Channel and segment are the first named in the life and hold for all of it, so a life in which
    one is named after its first event is folded again with it. Which events belong to the life is
    decided with what was named before each.
    """
    channel = facts[start].channel
    segment = facts[start].segment
    belongs = start
    while True:
        life = Life(contact, channel, segment)
        at = start
        named = False
        while at < len(facts) and not named:
            fact = facts[at]
            if at > belongs and fact.time_ms > life.end_ms(limits):
                return life, at
            if fact.rank == SOURCE_STARTED:
                life.restart(fact, SILENT)
            elif fact.rank == DROPPED:
                life.drop(fact.time_ms)
            elif (channel or not fact.channel) and (segment or not fact.segment):
                life.step(fact, policies, SILENT)
            else:
                channel = channel or fact.channel
                segment = segment or fact.segment
                named = True
                belongs = at
            at += 1
        if not named:
            return life, at
