"""The oracle's indicators: formulas over class counters, and one row of figures."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.oracle_policy import DAY_MS, EPOCH, MINUTE_MS, Event, Policy, to_ms
from tests.support.oracle_visits import (
    Happening,
    OracleContact,
    Visit,
    visits_of,
    without_repeats,
)

TICK_MS = 5_000
INSTANT_CHANNELS = ("voice", "chat")
LEFT_FOR_WANT_OF_AN_AGENT = ("timeout", "empty", "error")


# Formulas


@dataclass
class Classes:
    """How many visits of each class, as the letters of the formula table.

    `f` and `F` are all who left (F with those withdrawn after T); `f_star` and `F_star` are those
    of them that `asterisk_perf2` counts. Waiting: `w` up to T, `W` past it, expired ones included
    (but `altigen_now` is given only those who still wait).
    """

    a: int = 0
    A: int = 0
    s: int = 0
    b: int = 0
    B: int = 0
    f: int = 0
    F: int = 0
    f_star: int = 0
    F_star: int = 0
    w: int = 0
    W: int = 0
    offered: int = 0
    refused: int = 0


Part = Callable[[Classes], int]

# id: (numerator, what it rests on)
FORMULAS: dict[str, tuple[Part, Part]] = {
    "strict": (lambda n: n.a, lambda n: n.a + n.A + n.s + n.b + n.B + n.f + n.F + n.W),
    "of_offered": (lambda n: n.a, lambda n: n.offered),
    "answered_only": (lambda n: n.a, lambda n: n.a + n.A),
    "ucce_ignore": (lambda n: n.a, lambda n: n.a + n.A + n.B + n.F + n.W),
    "ucce_negative": (lambda n: n.a, lambda n: n.a + n.b + n.A + n.B + n.F + n.W),
    "ucce_positive": (lambda n: n.a + n.b, lambda n: n.a + n.b + n.A + n.B + n.F + n.W),
    "icmi_1": (lambda n: n.a + n.s + n.b, lambda n: n.a + n.A + n.s + n.b + n.B),
    "icmi_3": (lambda n: n.a, lambda n: n.a + n.A + n.s + n.b + n.B),
    "icmi_4": (lambda n: n.a, lambda n: n.a + n.A + n.B),
    "icmi_5": (lambda n: n.a + n.s, lambda n: n.a + n.A + n.s + n.b + n.B),
    "genesys": (lambda n: n.a, lambda n: n.a + n.A + n.b + n.B),
    "genesys_flowouts": (lambda n: n.a, lambda n: n.a + n.A + n.b + n.B + n.f + n.F),
    "asterisk_perf2": (
        lambda n: n.a + n.s + n.b + n.f_star,
        lambda n: n.a + n.A + n.s + n.b + n.B + n.f_star + n.F_star,
    ),
    "connect": (lambda n: n.a + n.s + n.b + n.f, lambda n: n.offered),
    "vonage": (lambda n: n.a, lambda n: n.a + n.A + n.s + n.b + n.B + n.f + n.F),
    "talkdesk": (lambda n: n.a, lambda n: n.offered - n.s),
    "knocked": (lambda n: n.a, lambda n: n.offered + n.refused),
    "altigen_now": (lambda n: n.w, lambda n: n.w + n.W),
    "strict_low": (lambda n: n.a, lambda n: n.a + n.A + n.s + n.b + n.B + n.f + n.F + n.W + n.w),
    "strict_high": (
        lambda n: n.a + n.w,
        lambda n: n.a + n.A + n.s + n.b + n.B + n.f + n.F + n.W + n.w,
    ),
}

AT_SERVICE_LEVEL_EVENT = (
    "strict",
    "strict_low",
    "strict_high",
    "ucce_ignore",
    "ucce_negative",
    "ucce_positive",
)
AT_OUTCOME = (
    "answered_only",
    "icmi_1",
    "icmi_3",
    "icmi_4",
    "icmi_5",
    "genesys",
    "genesys_flowouts",
    "asterisk_perf2",
    "vonage",
)
AT_ARRIVAL = ("of_offered", "connect", "talkdesk", "knocked")
LIVE = ("altigen_now",)


def ratio(part: float, whole: float) -> float | None:
    """A ratio, or None where there is nothing to divide by."""
    return None if whole == 0 else part / whole


def class_of(visit: Visit, now: int) -> str:
    """The letter of a visit's class as known at `now`; "" for one that is in no formula."""
    if visit.outcome == "expired":
        return "W"
    if visit.is_open:
        return "w" if now < visit.miss_ms else "W"
    within = visit.wait_ms <= visit.threshold_ms
    if visit.outcome == "answered":
        return "a" if within else "A"
    if visit.outcome == "abandoned" and within:
        return "s" if visit.wait_ms <= visit.short_ms else "b"
    if visit.reason == "withdrawn" and within:
        return ""
    return {"abandoned": "B", "left": "f" if within else "F"}[visit.outcome or ""]


def service_level_event_ms(visit: Visit, now: int) -> int | None:
    """When a visit was decided; None while it is not, and for one withdrawn up to T."""
    letter = class_of(visit, now)
    if letter in ("", "w"):
        return None
    if letter in ("a", "s", "b", "f"):
        return visit.closed_ms
    if visit.outcome == "expired":
        assert visit.closed_ms is not None
        return min(visit.miss_ms, visit.closed_ms)
    return visit.miss_ms


def count_classes(
    visits: Iterable[Visit], now: int, refused: int = 0, *, undecided: Iterable[Visit] = ()
) -> Classes:
    """Count visits by class; `undecided` are looked through for those waiting up to T only."""
    counts = Classes(refused=refused)
    for visit in visits:
        letter = class_of(visit, now)
        if letter:
            counts.offered += 1
            setattr(counts, letter, getattr(counts, letter) + 1)
        if letter == "f" and visit.reason in LEFT_FOR_WANT_OF_AN_AGENT:
            counts.f_star += 1
        if letter == "F" and visit.reason in (*LEFT_FOR_WANT_OF_AN_AGENT, "withdrawn"):
            counts.F_star += 1
    for visit in undecided:
        if class_of(visit, now) == "w":
            counts.w += 1
    return counts


# Windows


@dataclass
class Window:
    """A stretch of time; `from_ms` and `to_ms` are instants, each inside it or not."""

    from_ms: int | None = None
    to_ms: int | None = None
    from_inside: bool = True
    to_inside: bool = True

    def holds(self, moment: int | None) -> bool:
        """Whether an instant lies in the window; None lies in no window."""
        if moment is None:
            return False
        begun = self.from_ms is None or (
            moment >= self.from_ms if self.from_inside else moment > self.from_ms
        )
        over = self.to_ms is not None and (
            moment > self.to_ms if self.to_inside else moment >= self.to_ms
        )
        return begun and not over


def tick_of(now: int) -> int:
    """The last whole tick at or before an instant."""
    return now // TICK_MS * TICK_MS


def zone_named(name: str) -> tzinfo:
    """An IANA zone, or a fixed offset such as +03:00."""
    if name[0] in "+-":
        hours, minutes = name[1:].split(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(offset if name[0] == "+" else -offset)
    return ZoneInfo(name)


def local_date(moment: int, zone: str) -> date:
    """The date on a calendar in a zone at an instant."""
    utc = EPOCH + timedelta(milliseconds=moment)
    return utc.astimezone(zone_named(zone)).date()


@lru_cache(maxsize=1000)
def first_instant_of(day: date, zone: str) -> int:
    """The first instant at which the calendar of a zone shows a date, found minute by minute."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    moment = (noon - EPOCH) // timedelta(milliseconds=1) - DAY_MS - 4 * 60 * MINUTE_MS
    while local_date(moment, zone) != day:
        moment += MINUTE_MS
    return moment


# A row


@dataclass
class Look:
    """What a row takes: which queue and channel, over which window, when, and how attributed."""

    queue: str
    channel: str
    window: Window
    tick: int
    arrival: bool

    def wants(self, queue: str, channel: str) -> bool:
        """Whether a queue and channel belong to the row; `*` is all."""
        return self.queue in ("*", queue) and self.channel in ("*", channel)


WindowSpec = tuple[Any, ...] | None


def row(
    events: Iterable[Event],
    policy: Policy,
    *,
    queue: str = "*",
    channel: str = "*",
    window: WindowSpec = None,
    now_ms: int | None = None,
    attribute: str = "outcome",
) -> dict[str, Any]:
    """One row of figures by brute force, with the field names of the wire.

    Args:
        events: All events (of all contacts, in any order, repeats included).
        policy: The settings.
        queue: The queue, or `*`.
        channel: The channel, or `*`.
        window: `(lo, hi)` is (lo, hi] in ms; `("rolling", w_ms)` is (tick - w, tick];
            `("day", zone)` is [first instant of the local date, tick], `zone` may be left out;
            `("interval", start, end)` is [start, end) and knows the whole input; None is
            everything.
        now_ms: The instant of the live gauges; the last tick at or before it is the tick. None is
            the highest event time. Windows other than intervals and None know events up to the
            tick, the live gauges and None those up to now.
        attribute: "outcome" counts each thing at its own moment, "arrival" at its arrival.
    """
    return row_over([list(events)], policy, queue, channel, window, now_ms, attribute)


def row_over(
    partitions: Sequence[Sequence[Event]],
    policy: Policy,
    queue: str = "*",
    channel: str = "*",
    window: WindowSpec = None,
    now_ms: int | None = None,
    attribute: str = "outcome",
) -> dict[str, Any]:
    """The same over several partitions, each with its own copies of the source events."""
    if now_ms is None:
        now_ms = max((to_ms(e["time"]) for part in partitions for e in part), default=0)
    tick = tick_of(now_ms)
    if window is None:
        span, tick = Window(to_ms=now_ms), now_ms
    elif window[0] == "rolling":
        span = Window(tick - window[1], tick, from_inside=False)
    elif window[0] == "day":
        zone = window[1] if len(window) > 1 else policy.zone
        span = Window(first_instant_of(local_date(tick, zone), zone), tick)
    elif window[0] == "interval":
        span, tick = Window(window[1], window[2], to_inside=False), now_ms
    else:
        span, tick = Window(window[0], window[1], from_inside=False), window[1]
    look = Look(queue, channel, span, tick, attribute == "arrival")
    # What a changed event said before is unknown as soon as the change is known.
    partitions = [
        without_repeats(e for e in part if to_ms(e["time"]) <= now_ms) for part in partitions
    ]
    contacts = [c for part in partitions for c in visits_of(part, policy, until_ms=tick)]
    if now_ms == tick:
        live = contacts
    else:
        live = [c for part in partitions for c in visits_of(part, policy, until_ms=now_ms)]
    every = [e for part in partitions for e in part if to_ms(e["time"]) <= now_ms]
    return {
        **figures(contacts, live, look, now_ms),
        "agents": agents_of(every, policy, queue),
        "queue_open": is_queue_open(every, policy, queue),
    }


def interval_row(
    contacts: list[OracleContact],
    *,
    queue: str = "*",
    channel: str = "*",
    start_ms: int | None = None,
    end_ms: int | None = None,
    now_ms: int,
    attribute: str = "arrival",
) -> dict[str, Any]:
    """A row over [start, end) of contacts that `visits_of` gave, `now_ms` their last instant."""
    span = Window(start_ms, end_ms, to_inside=False)
    look = Look(queue, channel, span, now_ms, attribute == "arrival")
    return figures(contacts, contacts, look, now_ms)


def figures(
    contacts: list[OracleContact], live: list[OracleContact], look: Look, now: int
) -> dict[str, Any]:
    """The row of contacts as known at the tick and, for the live gauges, as known at `now`."""
    return {
        **window_figures(contacts, look),
        **live_figures(live, look, now),
        **formula_figures(contacts, live, look, now),
    }


def visits_in(contacts: Iterable[OracleContact], look: Look) -> list[Visit]:
    """The visits of the row's queue and channel."""
    return [v for c in contacts for v in c.visits if look.wants(v.queue, v.channel)]


def window_figures(contacts: list[OracleContact], look: Look) -> dict[str, Any]:
    """What happened in the window."""
    return {
        **visit_figures(visits_in(contacts, look), look),
        **happening_figures(contacts, look),
        **response_figures(contacts, look),
        **instant_figures(contacts, look),
    }


def visit_figures(visits: list[Visit], look: Look) -> dict[str, Any]:
    """The counters of visits, and the waits."""
    holds = look.window.holds
    arrived = [v for v in visits if holds(v.opened_ms)]
    closed = arrived if look.arrival else [v for v in visits if holds(v.closed_ms)]
    answered = [v for v in closed if v.outcome == "answered"]
    abandoned = [v for v in closed if v.outcome == "abandoned"]
    left = [v for v in closed if v.outcome == "left"]
    expired = [v for v in closed if v.outcome == "expired"]
    decided = []
    for visit in visits:
        event = service_level_event_ms(visit, look.tick)
        if event is not None and holds(visit.opened_ms if look.arrival else event):
            decided.append(visit)

    left_by_reason: dict[str, tuple[int, int]] = {}
    for visit in left:
        within, after = left_by_reason.get(visit.reason, (0, 0))
        late = visit.wait_ms > visit.threshold_ms
        left_by_reason[visit.reason] = (within + (not late), after + late)

    if look.arrival:
        abandonment = ratio(len(abandoned), sum(class_of(v, look.tick) != "" for v in arrived))
    else:
        abandonment = ratio(len(abandoned), len(answered) + len(abandoned) + len(left))
    thresholds = {v.threshold_ms for v in (*arrived, *closed, *decided)}
    return {
        "offered": len(arrived),
        "answered": len(answered),
        "answered_within": sum(v.wait_ms <= v.threshold_ms for v in answered),
        "abandoned": len(abandoned),
        "abandoned_short": sum(v.wait_ms <= v.short_ms for v in abandoned),
        "abandoned_within": sum(v.wait_ms <= v.threshold_ms for v in abandoned),
        "left": len(left),
        "left_within": sum(v.wait_ms <= v.threshold_ms for v in left),
        "left_by_reason": left_by_reason,
        "expired": len(expired),
        "sent_to_wait": sum(not v.direct for v in arrived),
        "service_level_met": sum(class_of(v, look.tick) == "a" for v in decided),
        "service_level_missed": sum(class_of(v, look.tick) != "a" for v in decided),
        "wait_s": spread([v.wait_ms for v in answered]),
        "abandon_wait_s": spread([v.wait_ms for v in abandoned]),
        "abandonment_ratio": abandonment,
        "mixed": len(thresholds) > 1,
    }


def happening_figures(contacts: list[OracleContact], look: Look) -> dict[str, Any]:
    """What is counted at its own moment, beside the visits."""

    def in_row(contact: OracleContact, happenings: list[Happening]) -> list[Happening]:
        return [
            what
            for what in happenings
            if look.wants(what.queue, contact.channel) and look.window.holds(what.moment_ms)
        ]

    refused: dict[str, int] = {}
    for contact in contacts:
        for what in in_row(contact, contact.refused):
            refused[what.detail] = refused.get(what.detail, 0) + 1
    return {
        "refused": sum(refused.values()),
        "refused_by_reason": refused,
        "transferred": sum(len(in_row(c, c.transferred)) for c in contacts),
        "bot_contained": sum(len(in_row(c, c.bot_contained)) for c in contacts),
        "unmatched": sum(len(in_row(c, c.unmatched)) for c in contacts),
    }


def response_figures(contacts: list[OracleContact], look: Look) -> dict[str, Any]:
    """Initial response events, and how long the replies took."""
    events = met = 0
    waited = []
    for contact in contacts:
        for response in [contact.response] if contact.response else []:
            moment = contact.asked_ms if look.arrival else response.moment_ms
            if look.wants(response.queue, contact.channel) and look.window.holds(moment):
                events += 1
                met += response.met
        for reply in contact.replies:
            moment = contact.asked_ms if look.arrival else reply.moment_ms
            if look.wants(reply.queue, contact.channel) and look.window.holds(moment):
                waited.append(reply.waited_ms)
    return {
        "initial_response_events": events,
        "initial_response_within": met,
        "initial_response_within_ratio": ratio(met, events),
        "initial_response_s": spread(waited),
    }


def instant_figures(contacts: list[OracleContact], look: Look) -> dict[str, Any]:
    """Instant service at the arrival, altogether and by segment as (instant, all offered)."""
    segments: dict[str, tuple[int, int]] = {}
    for contact in contacts:
        for visit in visits_in([contact], look):
            if visit.channel in INSTANT_CHANNELS and look.window.holds(visit.opened_ms):
                got, of = segments.get(contact.segment, (0, 0))
                counted = class_of(visit, look.tick) != ""
                segments[contact.segment] = (got + is_instant(visit), of + counted)
    instant = sum(got for got, _ in segments.values())
    return {
        "instant": instant,
        "instant_service_ratio": ratio(instant, sum(of for _, of in segments.values())),
        "instant_by_segment": segments,
    }


def is_instant(visit: Visit) -> bool:
    """Answered, and never queued (voice) or within the queue's `instant_within`."""
    if visit.outcome != "answered" or visit.channel not in INSTANT_CHANNELS:
        return False
    if visit.channel == "voice" and visit.direct:
        return True
    return visit.instant_within_ms > 0 and visit.wait_ms <= visit.instant_within_ms


def live_figures(contacts: list[OracleContact], look: Look, now: int) -> dict[str, Any]:
    """Who waits at `now`; attributed to arrival, only those who arrived in the window."""
    waiting = [v for v in visits_in(contacts, look) if v.is_open]
    awaited = []
    for contact in contacts:
        since = contact.awaits_at(now)
        mine = look.wants(contact.queue_at(now), contact.channel)
        arrived = not look.arrival or look.window.holds(contact.asked_ms)
        if since is not None and mine and arrived:
            awaited.append(since)
    if look.arrival:
        waiting = [v for v in waiting if look.window.holds(v.opened_ms)]
    oldest = min((v.opened_ms for v in waiting), default=None)
    longest_awaited = min(awaited, default=None)
    return {
        "waiting": len(waiting),
        "waiting_past_threshold": sum(now >= v.miss_ms for v in waiting),
        "awaiting_reply": len(awaited),
        "longest_wait_s": None if oldest is None else (now - oldest) / 1000,
        "oldest_awaiting_reply_s": (
            None if longest_awaited is None else (now - longest_awaited) / 1000
        ),
        "oldest_waiting_ms": oldest,
        "oldest_awaiting_reply_ms": longest_awaited,
    }


def formula_figures(
    contacts: list[OracleContact], live: list[OracleContact], look: Look, now: int
) -> dict[str, Any]:
    """Every formula over its counters, each taken at the moment that the formula states."""
    visits = visits_in(contacts, look)
    holds = look.window.holds
    refused = happening_figures(contacts, look)["refused"]
    arrived = [v for v in visits if holds(v.opened_ms)]
    at_arrival = count_classes(arrived, look.tick, refused)
    if look.arrival:
        at_event = at_outcome = at_arrival
        standing = [v for v in visits_in(live, look) if v.is_open and holds(v.opened_ms)]
    else:
        at_event = count_classes(
            [v for v in visits if holds(service_level_event_ms(v, look.tick))],
            look.tick,
            undecided=arrived,
        )
        at_outcome = count_classes(
            [v for v in visits if v.outcome != "expired" and holds(v.closed_ms)], look.tick
        )
        standing = [v for v in visits_in(live, look) if v.is_open]
    at_now = count_classes(standing, now)

    levels: dict[str, float | None] = {}
    rests_on: dict[str, int] = {}
    for name, (part, whole) in FORMULAS.items():
        if name in AT_SERVICE_LEVEL_EVENT:
            counts = at_event
        elif name in AT_OUTCOME:
            counts = at_outcome
        elif name in AT_ARRIVAL:
            counts = at_arrival
        else:
            counts = at_now
        levels[name] = ratio(part(counts), whole(counts))
        rests_on[name] = whole(counts)
    low, high = levels.pop("strict_low"), levels.pop("strict_high")
    del rests_on["strict_low"], rests_on["strict_high"]
    return {
        "service_level": levels,
        "service_level_n": rests_on,
        "service_level_low": low,
        "service_level_high": high,
    }


def agents_of(events: list[Event], policy: Policy, queue: str) -> dict[str, int] | None:
    """How many agents of a queue are in each state; None while nothing was said of any."""
    latest: dict[str, Event] = {}
    for event in sorted(without_repeats(events), key=order_of_others):
        if event["type"] == "agent.changed":
            latest[event["agent"]] = event
    states: dict[str, int] = {}
    for event in latest.values():
        queues = [policy.was.get(name, name) for name in event.get("queues", [])]
        if queue == "*" or queue in queues:
            states[event["state"]] = states.get(event["state"], 0) + 1
    return states or None


def is_queue_open(events: list[Event], policy: Policy, queue: str) -> bool | None:
    """Whether a queue is in service; None while nothing was said of it."""
    known: bool | None = None
    for event in sorted(without_repeats(events), key=order_of_others):
        if event["type"] in ("queue.opened", "queue.closed"):
            name = event.get("queue", "")
            if policy.was.get(name, name) == queue:
                known = event["type"] == "queue.opened"
    return known


def order_of_others(event: Event) -> tuple[int, int, bool, str, str]:
    """The order of events that are no contact's: at one instant, opened before closed."""
    closed = event["type"] == "queue.closed"
    return (to_ms(event["time"]), event.get("sequence", 0), closed, event["id"], event["source"])


def spread(values_ms: list[int]) -> dict[str, float | None]:
    """Mean, nearest-rank percentiles and maximum in seconds; None over nothing."""
    names = ("mean", "p50", "p90", "p99", "max")
    if not values_ms:
        return dict.fromkeys(names)
    ranked = sorted(values_ms)
    n = len(ranked)
    figures: dict[str, float | None] = {"mean": sum(ranked) / n / 1000}
    for percent in (50, 90, 99):
        rank = -(-percent * n // 100)  # the smallest rank that covers that share
        figures[f"p{percent}"] = ranked[rank - 1] / 1000
    figures["max"] = ranked[-1] / 1000
    return figures
