"""The oracle's reading of events: what is accepted, the lives of a contact, and its visits.

Nothing here is shared with the core and nothing is clever: every question is answered by going
through all events again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.oracle_policy import MINUTE_MS, UNKNOWN, Event, Policy, to_ms

ORDER_OF_TYPES = (
    "contact.offered",
    "contact.refused",
    "contact.queued",
    "contact.rang",
    "contact.unanswered",
    "contact.answered",
    "contact.messaged",
    "contact.replied",
    "contact.held",
    "contact.resumed",
    "contact.transferred",
    "contact.abandoned",
    "contact.left",
    "contact.ended",
    "contact.wrapped",
    "contact.resolved",
    "contact.reopened",
)

FUTURE_LIMIT_MS = 5 * MINUTE_MS
VOICE = "voice"


# What a partition takes in


@dataclass
class Accepted:
    """The records of one partition that count, in log order, and how many did not."""

    events: list[Event] = field(default_factory=list)
    late: int = 0
    future: int = 0
    duplicates: int = 0
    conflicts: int = 0


def accept(records: Iterable[tuple[int, Event]], policy: Policy) -> Accepted:
    """Apply the rules of arrival to (record timestamp in ms, event) pairs of one partition.

    Duplicates stay in `events`: whoever folds them removes them. A conflict (same source and id,
    other content) is counted under both `duplicates` and `conflicts`.
    """
    taken = Accepted()
    arrival: int | None = None
    seen: dict[tuple[str, str, str], bytes] = {}
    for stamp, event in records:
        arrival = stamp if arrival is None else max(arrival, stamp)
        time = to_ms(event["time"])
        if time - arrival > FUTURE_LIMIT_MS:
            taken.future += 1
            continue
        if arrival - time > policy.lateness:
            taken.late += 1
            continue
        key = identity(event)
        if key in seen:
            taken.duplicates += 1
            if seen[key] != canonical(event):
                taken.conflicts += 1
        seen[key] = canonical(event)
        taken.events.append(event)
    return taken


def identity(event: Event) -> tuple[str, str, str]:
    """What makes two records the same event."""
    return (event.get("contact", ""), event["source"], event["id"])


NEEDED = ("type", "sequence", "queue", "channel", "segment", "reason", "by", "to")


def canonical(event: Event) -> bytes:
    """One spelling of what the figures need of an event, for telling contents apart."""
    needed = {name: event[name] for name in NEEDED if event.get(name)}
    needed["time"] = to_ms(event["time"])
    text = json.dumps(needed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def without_repeats(events: Iterable[Event]) -> list[Event]:
    """One event of every (contact, source, id): the one with the greater (time, bytes)."""
    kept: dict[tuple[str, str, str], Event] = {}
    for event in events:
        key = identity(event)
        if key not in kept or strength(event) > strength(kept[key]):
            kept[key] = event
    return list(kept.values())


def strength(event: Event) -> tuple[int, bytes]:
    """Of two contents of one id, the stronger counts."""
    return (to_ms(event["time"]), canonical(event))


# What comes out


@dataclass
class Visit:
    """One stay of a contact in one queue. All instants are epoch milliseconds."""

    queue: str
    channel: str
    opened_ms: int
    known_ms: int
    direct: bool
    source: str
    threshold_ms: int
    short_ms: int
    instant_within_ms: int
    expires_ms: int
    closed_ms: int | None = None
    outcome: str | None = None  # answered, abandoned, left, expired; None while open
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Nothing has ended the visit yet."""
        return self.outcome is None

    @property
    def miss_ms(self) -> int:
        """The instant at which the visit is past its threshold, and known."""
        return max(self.opened_ms + self.threshold_ms + 1, self.known_ms)

    @property
    def wait_ms(self) -> int:
        """The wait of a visit that is closed."""
        assert self.closed_ms is not None
        return self.closed_ms - self.opened_ms


@dataclass
class Response:
    """The initial response event of a contact."""

    moment_ms: int
    queue: str
    met: bool


@dataclass
class Reply:
    """The first human reply of a contact that was waiting for one.

    `waited_ms` is on the clock that the indicators use; the three clocks are beside it, None where
    a clock never started.
    """

    moment_ms: int
    queue: str
    waited_ms: int
    from_asked_ms: int | None
    from_handoff_ms: int | None
    from_assignment_ms: int | None


@dataclass
class Happening:
    """Something counted at its own moment: a refusal, a transfer, an outcome without a visit."""

    moment_ms: int
    queue: str
    detail: str = ""


@dataclass
class OracleContact:
    """One life of a contact id, as far as it is known."""

    contact: str
    life: int
    channel: str
    segment: str
    visits: list[Visit] = field(default_factory=list)
    asked_ms: int | None = None
    response: Response | None = None
    replies: list[Reply] = field(default_factory=list)
    awaiting: list[tuple[int, int | None]] = field(default_factory=list)
    queue_changes: list[tuple[int, str]] = field(default_factory=list)
    refused: list[Happening] = field(default_factory=list)
    transferred: list[Happening] = field(default_factory=list)
    bot_contained: list[Happening] = field(default_factory=list)
    unmatched: list[Happening] = field(default_factory=list)
    last_event_ms: int = 0

    def queue_at(self, moment_ms: int) -> str:
        """The queue that the contact's events had named last at an instant."""
        named = UNKNOWN
        for moment, queue in self.queue_changes:
            if moment <= moment_ms:
                named = queue
        return named

    def awaits_at(self, moment_ms: int) -> int | None:
        """Since when somebody awaits a human reply at an instant; None when nobody does."""
        for begun, over in self.awaiting:
            if begun <= moment_ms and (over is None or moment_ms < over):
                return begun
        return None


# From events to contacts


def visits_of(
    events: Iterable[Event], policy: Policy, *, until_ms: int | None = None
) -> list[OracleContact]:
    """Every life of every contact, knowing the events with time <= `until_ms`.

    Events may come in any order and repeat. Without `until_ms` everything is known, and "now" is
    the highest event time.
    """
    known = [e for e in events if until_ms is None or to_ms(e["time"]) <= until_ms]
    if not known:
        return []
    now = max(to_ms(e["time"]) for e in known) if until_ms is None else until_ms
    unique = without_repeats(known)
    restarts = [(to_ms(e["time"]), e["source"]) for e in unique if e["type"] == "source.started"]
    by_contact: dict[str, list[Event]] = {}
    for event in unique:
        if event["type"] in ORDER_OF_TYPES:
            by_contact.setdefault(event["contact"], []).append(renamed(event, policy))
    contacts = []
    for contact, mine in sorted(by_contact.items()):
        for number, life in enumerate(lives(mine, restarts, policy)):
            contacts.append(Fold(contact, number, life, restarts, policy).run(now))
    return contacts


def renamed(event: Event, policy: Policy) -> dict[str, Any]:
    """The event with old queue ids replaced by the ones they are folded into."""
    copy = dict(event)
    for name in ("queue", "to"):
        if copy.get(name):
            copy[name] = policy.was.get(copy[name], copy[name])
    return copy


def order(event: Event) -> tuple[int, int, int, str, str]:
    """The order of a contact's events."""
    return (
        to_ms(event["time"]),
        event.get("sequence", 0),
        ORDER_OF_TYPES.index(event["type"]),
        event["id"],
        event["source"],
    )


def lives(
    events: Sequence[Event], restarts: Sequence[tuple[int, str]], policy: Policy
) -> list[list[Event]]:
    """Cut the events of one id where it rested; every cut is found by folding what came before."""
    cut: list[list[Event]] = []
    for event in sorted(events, key=order):
        time = to_ms(event["time"])
        if cut:
            earlier = [(at, source) for at, source in restarts if at < time]
            before = Fold("", 0, cut[-1], earlier, policy).run(time)
            if time <= end_of(before, policy) + policy.rest:
                cut[-1].append(event)
                continue
        cut.append([event])
    return cut


def end_of(contact: OracleContact, policy: Policy) -> int:
    """The last instant of a contact as far as it is known: event, close or (to come) expiry.

    A contact does not rest while a reply is awaited.
    """
    closes = [v.expires_ms if v.closed_ms is None else v.closed_ms for v in contact.visits]
    for begun, ended in contact.awaiting:
        asked = contact.asked_ms
        assert asked is not None
        give_up = begun + policy.expires_after(contact.channel, asked)
        closes.append(give_up if ended is None else ended)
    return max([contact.last_event_ms, *closes])


class Fold:
    """One life, event by event, with the timers that fire in between.

    At one instant the contact's own events come first, then a restart of a source, then timers.
    """

    def __init__(
        self,
        contact: str,
        life: int,
        events: Sequence[Event],
        restarts: Sequence[tuple[int, str]],
        policy: Policy,
    ) -> None:
        self.events = sorted(events, key=order)
        self.restarts = restarts
        self.policy = policy
        self.result = OracleContact(
            contact,
            life,
            channel=first_named("channel", self.events, VOICE),
            segment=first_named("segment", self.events, UNKNOWN),
        )
        self.current_queue = ""
        self.first_offered: int | None = None
        self.pending: dict[str, int] = {}  # queue transferred to, with no visit there yet: since
        # initial response
        self.awaited_since: int | None = None
        self.limit_ms = 0
        self.give_up_ms = 0
        self.bot_replied = False
        self.handoff: int | None = None
        self.assigned: int | None = None
        self.human_replied = False

    # the course of time

    def run(self, now: int) -> OracleContact:
        """Fold everything with time <= `now`."""
        steps: list[tuple[int, int, Any]] = [(to_ms(e["time"]), 0, e) for e in self.events]
        steps += [(at, 1, source) for at, source in self.restarts]
        steps.sort(key=lambda step: step[:2])  # stable: the events keep their order
        for time, kind, what in steps:
            if time > now:
                break
            self.let_pass(time - 1)
            if kind == 0:
                self.result.last_event_ms = time
                self.take(what, time)
            else:
                self.source_started(what, time)
        self.let_pass(now)
        return self.result

    def let_pass(self, until: int) -> None:
        """Fire every timer up to and including `until`, in the order of time."""
        while True:
            timers = []
            if self.awaited_since is not None:
                if self.result.response is None:
                    timers.append((self.awaited_since + self.limit_ms + 1, 0, "limit"))
                timers.append((self.give_up_ms, 2, "give up"))
            timers += [(visit.expires_ms, 1, "expiry") for visit in self.open_visits()]
            if not timers or min(timers)[0] > until:
                return
            moment, _, what = min(timers)
            if what == "limit":
                self.respond(moment, self.here, met=False)
            elif what == "give up":
                self.end_awaiting(moment)
            else:
                for visit in self.open_visits():
                    if visit.expires_ms == moment:
                        self.close(visit, moment, "expired")
                self.end_awaiting_if_nothing_is_open(moment)

    # events

    def take(self, event: Event, time: int) -> None:
        """One event of the contact."""
        if event.get("queue"):
            self.current_queue = event["queue"]
            self.result.queue_changes.append((time, event["queue"]))
        kind = event["type"].removeprefix("contact.")
        if kind in ("offered", "queued", "messaged"):
            self.asks(kind, time)
        what_it_means = {
            "offered": self.offered,
            "refused": self.refused,
            "queued": self.queued,
            "rang": self.make_direct_visit,
            "answered": self.answered,
            "replied": self.replied,
            "transferred": self.transferred,
            "abandoned": self.abandoned,
            "left": self.left,
            "ended": self.ended,
        }
        if kind in what_it_means:
            what_it_means[kind](event, time)

    @property
    def here(self) -> str:
        """The queue of the event being folded: its own, else the contact's current one."""
        return self.current_queue or UNKNOWN

    def offered(self, event: Event, time: int) -> None:
        """A person is asked for; no visit yet."""
        if self.first_offered is None:
            self.first_offered = time

    def refused(self, event: Event, time: int) -> None:
        """Turned away at the door."""
        self.result.refused.append(Happening(time, self.here, event.get("reason", "")))
        self.end_awaiting(time)

    def queued(self, event: Event, time: int) -> None:
        """Sent to wait; where a visit is open it changes nothing."""
        self.pending.pop(self.here, None)
        if self.open_in(self.here) is None:
            self.open(self.here, time, time, event, direct=False)

    def answered(self, event: Event, time: int) -> None:
        """An agent took it."""
        if self.assigned is None:
            self.assigned = time
        visit = self.outcome(event, time, "answered")
        if self.result.channel == VOICE:
            self.human_reply(time, visit.queue if visit else self.here)

    def transferred(self, event: Event, time: int) -> None:
        """Sent on by an agent: a visit there may become known later."""
        to = event.get("to", "")
        self.result.transferred.append(Happening(time, self.here, to))
        if to and self.open_in(to) is None:
            self.pending[to] = time

    def abandoned(self, event: Event, time: int) -> None:
        """The customer left while waiting."""
        self.outcome(event, time, "abandoned")

    def left(self, event: Event, time: int) -> None:
        """Left the queue unanswered by another route, or was served by a bot alone."""
        if event.get("reason") == "bot" and not self.result.visits:
            self.result.bot_contained.append(Happening(time, self.here))
            self.end_awaiting(time)
        else:
            self.outcome(event, time, "left", event.get("reason", ""))

    def replied(self, event: Event, time: int) -> None:
        """A message to the customer; on voice it means nothing."""
        if self.result.channel == VOICE:
            return
        if event.get("by") != "human":
            self.bot_reply(time)
            return
        visit = None
        self.make_direct_visit(event, time)
        if self.open_visits():
            visit = self.outcome(event, time, "answered")
        self.human_reply(time, visit.queue if visit else self.here)

    def ended(self, event: Event, time: int) -> None:
        """The contact is over: whoever still waits has left or hung up."""
        by = event.get("by") or "customer"
        outcome, reason = {
            "customer": ("abandoned", ""),
            "system": ("left", "error"),
            "agent": ("left", "withdrawn"),
        }[by]
        asks = self.first_offered is not None and not self.turned_away
        if not self.result.visits and asks and by != "agent":
            assert self.first_offered is not None
            self.open_direct(self.here, self.first_offered, time, event)
        if self.open_visits():
            self.outcome(event, time, outcome, reason, withdraw_others=True)
        self.end_awaiting(time)

    def source_started(self, source: str, time: int) -> None:
        """The visits that this source opened end with the source's restart."""
        closed = [visit for visit in self.open_visits() if visit.source == source]
        for visit in closed:
            self.close(visit, time, "left", "error")
        if closed:
            self.end_awaiting_if_nothing_is_open(time)

    # visits

    @property
    def turned_away(self) -> bool:
        """Refused at the door, or served by a bot alone: never offered, whatever ends it."""
        return bool(self.result.refused or self.result.bot_contained)

    def open_visits(self) -> list[Visit]:
        """The visits that nothing has ended, the one opened last at the end."""
        return sorted(
            (visit for visit in self.result.visits if visit.is_open),
            key=lambda visit: visit.opened_ms,
        )

    def open_in(self, queue: str) -> Visit | None:
        """The open visit in a queue; there is at most one."""
        for visit in self.open_visits():
            if visit.queue == queue:
                return visit
        return None

    def open(self, queue: str, opened: int, known: int, event: Event, *, direct: bool) -> Visit:
        """Open a visit, with the policy in force at its opening."""
        channel = self.result.channel
        visit = Visit(
            queue,
            channel,
            opened,
            known,
            direct,
            event["source"],
            threshold_ms=self.policy.threshold(queue, channel, opened),
            short_ms=self.policy.short(queue, channel, opened),
            instant_within_ms=self.policy.instant_within(queue, channel, opened),
            expires_ms=max(opened + self.policy.expires_after(channel, opened), known),
        )
        self.result.visits.append(visit)
        return visit

    def open_direct(self, queue: str, opened: int, known: int, event: Event) -> Visit:
        """Open a visit that no `queued` opened."""
        return self.open(queue, opened, known, event, direct=True)

    def make_direct_visit(self, event: Event, time: int) -> None:
        """Open the direct visit that this event makes known, if it makes one known."""
        named = event.get("queue", "")
        if (
            event["type"] != "contact.left"
            and named in self.pending
            and self.open_in(named) is None
        ):
            self.open_direct(named, self.pending.pop(named), time, event)
        elif not self.result.visits and not (
            self.turned_away and event["type"] in ("contact.abandoned", "contact.left")
        ):
            opened = time if self.first_offered is None else self.first_offered
            self.open_direct(self.here, opened, time, event)

    def outcome(
        self,
        event: Event,
        time: int,
        outcome: str,
        reason: str = "",
        *,
        withdraw_others: bool | None = None,
    ) -> Visit | None:
        """Close the visit that an outcome belongs to; None when there is none."""
        if event["type"] != "contact.ended":
            self.make_direct_visit(event, time)
        if not self.open_visits():
            what = event["type"].removeprefix("contact.")
            self.result.unmatched.append(Happening(time, self.here, what))
            return None
        visit = self.open_in(self.current_queue) or self.open_visits()[-1]
        self.close(visit, time, outcome, reason)
        if withdraw_others or (withdraw_others is None and outcome != "left"):
            for other in self.open_visits():
                self.close(other, time, "left", "withdrawn")
        if outcome != "answered":
            self.end_awaiting_if_nothing_is_open(time)
        return visit

    def close(self, visit: Visit, time: int, outcome: str, reason: str = "") -> None:
        """End a visit."""
        visit.closed_ms, visit.outcome, visit.reason = time, outcome, reason

    # initial response

    def asks(self, kind: str, time: int) -> None:
        """The customer, or the system for him, asks for a person."""
        if self.human_replied:
            return
        if self.result.asked_ms is None:
            self.result.asked_ms = time
            if not self.bot_replied:
                self.await_from(time)
        if self.bot_replied and kind != "messaged" and self.handoff is None:
            self.handoff = time
            self.await_from(time)

    def await_from(self, time: int) -> None:
        """Somebody awaits a human reply from now on."""
        asked = self.result.asked_ms
        assert asked is not None
        channel = self.result.channel
        self.awaited_since = time
        self.limit_ms = self.policy.response_limit(self.here, channel, asked)
        self.give_up_ms = time + self.policy.expires_after(channel, asked)
        self.result.awaiting.append((time, None))

    def bot_reply(self, time: int) -> None:
        """A bot's first reply ends the awaiting until a hand-off."""
        if self.human_replied or self.bot_replied:
            return
        self.bot_replied = True
        self.stop_awaiting(time)

    def human_reply(self, time: int, queue: str) -> None:
        """The first human reply answers whoever is awaited; if nobody is, nothing ever will be."""
        if self.human_replied:
            return
        self.human_replied = True
        if self.awaited_since is None:
            return
        asked = self.result.asked_ms
        assert asked is not None
        waited = time - self.awaited_since
        self.result.replies.append(
            Reply(
                time,
                queue,
                waited,
                from_asked_ms=time - asked,
                from_handoff_ms=None if self.handoff is None else time - self.handoff,
                from_assignment_ms=None if self.assigned is None else time - self.assigned,
            )
        )
        self.respond(time, queue, met=waited <= self.limit_ms)
        self.stop_awaiting(time)

    def respond(self, moment: int, queue: str, *, met: bool) -> None:
        """The initial response event, once per contact."""
        if self.result.response is None:
            self.result.response = Response(moment, queue, met)

    def end_awaiting(self, time: int) -> None:
        """Whoever is awaited is awaited no more: without an event so far, a miss."""
        if self.awaited_since is not None:
            self.respond(time, self.here, met=False)
            self.stop_awaiting(time)

    def end_awaiting_if_nothing_is_open(self, time: int) -> None:
        """The last visit of the contact closed unanswered."""
        if not self.open_visits():
            self.end_awaiting(time)

    def stop_awaiting(self, time: int) -> None:
        """Close the interval in which somebody was awaited."""
        if self.awaited_since is not None:
            begun, _ = self.result.awaiting[-1]
            self.result.awaiting[-1] = (begun, time)
            self.awaited_since = None


def first_named(name: str, events: Iterable[Event], otherwise: str) -> str:
    """The first value that the events, in order, give to a field."""
    for event in events:
        if event.get(name):
            return str(event[name])
    return otherwise
