"""Hypothesis strategies: believable but nasty histories of contacts, and the logs they arrive in.

A history is drawn as a few small numbers and looked up in tables, so that it is quick to draw and
shrinks towards few contacts, few events and no time between them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.support.oracle_policy import CHANNEL_DEFAULTS, DAY_MS, HOUR_MS, Policy, to_ms, to_text

Record = tuple[int, dict[str, Any]]  # record timestamp in ms, event
Draw = Callable[[st.SearchStrategy[Any]], Any]

BASES = (  # an instant a little before something happens to the calendar, and where it happens
    ("2026-11-24T10:00:00Z", "UTC"),
    ("2026-12-31T23:59:40Z", "UTC"),
    ("2026-03-29T00:59:40Z", "Europe/Berlin"),  # 02:00 becomes 03:00
    ("2026-03-28T22:59:40Z", "Europe/Berlin"),  # midnight before a day of 23 hours
    ("2026-10-25T00:59:40Z", "Europe/Berlin"),  # 03:00 becomes 02:00
    ("2026-10-24T21:59:40Z", "Europe/Berlin"),  # midnight before a day of 25 hours
    ("2018-11-04T02:59:40Z", "America/Sao_Paulo"),  # a day without midnight
    ("2006-10-29T02:29:40Z", "America/St_Johns"),  # a date that comes, goes and comes back
    ("2011-12-30T09:59:40Z", "Pacific/Apia"),  # a date that never was
    ("2026-11-23T18:29:40Z", "Asia/Kolkata"),
    ("1999-08-01T20:59:40Z", "+03:00"),
)

SHORT_STEPS_MS = (
    *(0, 0, 0, 1, 1_000, 2_000, 2_001, 3_000, 4_999, 5_000, 5_001),
    *(10_000, 15_000, 19_999, 20_000, 20_001, 30_000, 60_000, 119_999, 120_000, 120_001),
)
LONG_STEPS_MS = (
    *(299_999, 300_000, 300_001, 900_000, 900_001, HOUR_MS),
    *(2 * HOUR_MS - 1, 2 * HOUR_MS, 2 * HOUR_MS + 1, 4 * HOUR_MS, 4 * HOUR_MS + 1),
    *(6 * HOUR_MS, 6 * HOUR_MS + 1),
)
DAYS_MS = (DAY_MS, DAY_MS + 1, 14 * DAY_MS, 14 * DAY_MS + 4 * HOUR_MS + 1)
STEPS_MS = (*(4 * SHORT_STEPS_MS), *LONG_STEPS_MS, *DAYS_MS)  # from one event to the next
STEPS_WITHIN_A_DAY_MS = (*(2 * SHORT_STEPS_MS), *LONG_STEPS_MS)

QUEUES = ("sales", "service", "", "billing", "old-billing")
QUEUE_OF_EVENT = ("sales", "", "sales", "service", "billing", "old-billing")
WAS = {"old-billing": "billing"}

CHANNELS = ("voice", "chat", "", "email", "voice", "chat", "messaging", "carrier_pigeon")
SOURCES = ("pbx", "desk")
SEGMENTS = ("", "gold", "basic")

Move = tuple[tuple[str, dict[str, str]], ...]


def _one(kind: str, **extras: str) -> Move:
    return ((kind, extras),)


HUMAN = _one("replied", by="human")
BOT = _one("replied", by="bot")

USUAL_MOVES: tuple[Move, ...] = (
    _one("queued"),
    _one("answered"),
    _one("abandoned"),
    _one("offered"),
    _one("messaged"),
    HUMAN,
    BOT,
    _one("left", reason="timeout"),
    _one("ended", by="customer"),
    _one("rang"),
    _one("offered") + _one("queued"),
    _one("rang") + _one("answered"),
    _one("messaged") + _one("queued"),
    _one("messaged") + BOT,
    _one("messaged") + BOT + _one("queued"),
    _one("answered") + HUMAN,
    _one("answered") + _one("ended", by="agent"),
    _one("transferred", to="service", mode="blind"),
    _one("transferred", to="service") + _one("rang", queue="service"),
)
RARE_MOVES: tuple[Move, ...] = (
    _one("transferred", to="billing", mode="consult"),
    _one("transferred", to="old-billing"),
    _one("transferred", to="agent-7"),
    _one("abandoned") + _one("ended"),
    _one("rang") + _one("unanswered"),
    _one("left", reason="overflow"),
    _one("left", reason="overflow") + _one("queued", queue="service"),
    _one("left", reason="key"),
    _one("left", reason="callback"),
    _one("left", reason="voicemail"),
    _one("left", reason="empty"),
    _one("left", reason="withdrawn"),
    _one("left", reason="error"),
    _one("left", reason="bot"),
    _one("ended"),
    _one("ended", by="system"),
    _one("ended", by="agent"),
    _one("refused", reason="full"),
    _one("refused", reason="no_agents"),
    _one("held") + _one("resumed"),
    _one("wrapped"),
    _one("resolved"),
    _one("reopened"),
)
MOVES = (*USUAL_MOVES, *USUAL_MOVES, *RARE_MOVES)
OPENINGS: tuple[Move, ...] = (
    _one("queued"),
    (),
    _one("offered"),
    _one("messaged"),
    _one("offered") + _one("queued"),
    _one("messaged") + BOT,
    _one("messaged") + BOT + _one("offered"),
    _one("queued") + _one("answered"),
    BOT + _one("messaged"),
)

FOLLOW_MS = 1_000  # between the events of one move


@dataclass(frozen=True)
class History:
    """Events of some contacts, the settings they are judged by, and the zone of their days."""

    events: tuple[dict[str, Any], ...]
    policy: Policy
    zone: str
    base_ms: int

    @property
    def times(self) -> list[int]:
        """The times of the events, sorted."""
        return sorted(to_ms(event["time"]) for event in self.events)


# Settings


def policies(base_ms: int, zone: str) -> tuple[Policy, ...]:
    """The settings that histories are drawn with, the plainest first."""
    tight = {
        "threshold_s": 20,
        "short_abandon_s": 5,
        "instant_within_s": 2,
        "initial_response_limit_s": 20,
        "expires_after_s": 7200,
    }
    everywhere = [*CHANNEL_DEFAULTS, "carrier_pigeon"]
    dated = [(None, 20.0), (base_ms + 20_000, 30.0), (base_ms + HOUR_MS, 5.0)]
    return (
        Policy(zone=zone, was=WAS),
        Policy(zone=zone, was=WAS, channels={name: dict(tight) for name in everywhere}),
        Policy(
            zone=zone,
            was=WAS,
            channels={name: {**tight, "short_abandon_s": 30} for name in everywhere},
        ),
        Policy(
            zone=zone,
            was=WAS,
            channels={
                name: {**tight, "threshold_s": dated, "initial_response_limit_s": dated}
                for name in everywhere
            },
            queues={
                ("service", "*"): {"threshold_s": 60, "instant_within_s": 0},
                ("billing", "voice"): {"initial_response_limit_s": 60, "short_abandon_s": 0},
            },
        ),
        Policy(
            zone=zone,
            was=WAS,
            rest_s=60,
            channels={name: {**tight, "expires_after_s": 120} for name in everywhere},
        ),
    )


# Histories

_moves = st.tuples(
    st.sampled_from(MOVES), st.sampled_from(STEPS_MS), st.sampled_from(QUEUE_OF_EVENT)
)
_contacts = st.tuples(
    st.sampled_from(STEPS_WITHIN_A_DAY_MS),  # from the contact before it
    st.sampled_from(CHANNELS),
    st.sampled_from(("every event", "last event")),  # that names channel and segment
    st.sampled_from(("pbx", "desk", "both", "both, same ids")),
    st.sampled_from(("no sequence", "counting up", "counting down")),
    st.sampled_from(SEGMENTS),
    st.tuples(
        st.sampled_from(OPENINGS), st.sampled_from(SHORT_STEPS_MS), st.sampled_from(QUEUE_OF_EVENT)
    ),
    st.lists(_moves, min_size=0, max_size=7),
)
_changes = st.tuples(
    st.integers(0, 40),
    st.sampled_from(("time", "queue", "type", "agent")),
    st.sampled_from((0, 1, 1_000, 20_000, -1, -1_000, -20_000)),
)
_restarts = st.tuples(st.sampled_from(SOURCES), st.sampled_from(STEPS_WITHIN_A_DAY_MS))


@st.composite
def histories(draw: st.DrawFn, *, max_contacts: int = 8) -> History:
    """Contacts with all kinds of events, ties, edges, rests, conflicts of one id, and restarts."""
    base, zone = draw(st.sampled_from(BASES))
    base_ms = to_ms(base)
    policy = draw(st.sampled_from(policies(base_ms, zone)))
    contacts = draw(st.lists(_contacts, min_size=1, max_size=max_contacts))
    changes = draw(st.lists(_changes, max_size=2))
    restarts = draw(st.lists(_restarts, max_size=2))
    events: list[dict[str, Any]] = []
    begin = base_ms
    for number, contact in enumerate(contacts):
        begin += contact[0]
        events += _events_of(f"c{number}", begin, contact)
    if not events:
        events = _events_of("c0", base_ms, (*contacts[0][:6], (MOVES[0], 0, "sales"), []))
    events += [_changed(events[at % len(events)], how, by) for at, how, by in changes]
    begin = base_ms
    for number, (source, step) in enumerate(restarts):
        begin += step
        events.append(
            {
                "id": f"start-{number}",
                "type": "source.started",
                "time": to_text(begin),
                "source": source,
            }
        )
    return History(tuple(events), policy, zone, base_ms)


def _events_of(name: str, begin: int, drawn: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The events of one contact from what was drawn for it."""
    _, channel, naming, source_style, sequence_style, segment, opening, moves = drawn
    events: list[dict[str, Any]] = []
    time = begin
    for move, step, queue in (opening, *moves):
        time += step
        for place, (kind, extras) in enumerate(move):
            number = len(events)
            event: dict[str, Any] = {
                "id": f"{name}-{number}",
                "type": f"contact.{kind}",
                "time": to_text(time + place * FOLLOW_MS),
                "source": source_style,
                "contact": name,
                **extras,
            }
            if source_style.startswith("both"):
                event["source"] = SOURCES[number % 2]
            if source_style == "both, same ids":
                event["id"] = f"{name}-{number // 2}"
            if queue and "queue" not in event:
                event["queue"] = queue
            if sequence_style != "no sequence":
                event["sequence"] = number if sequence_style == "counting up" else 100 - number
            events.append(event)
    for event in events if naming == "every event" else events[-1:]:
        if channel:
            event["channel"] = channel
        if segment:
            event["segment"] = segment
    return events


def _changed(event: dict[str, Any], how: str, by_ms: int) -> dict[str, Any]:
    """Another content under the same id."""
    changed = dict(event)
    if how == "time":
        changed["time"] = to_text(to_ms(event["time"]) + by_ms)
    elif how == "queue":
        changed["queue"] = "service"
    elif how == "type":
        changed["type"] = "contact.queued"
        for name in ("by", "reason", "to", "mode"):
            changed.pop(name, None)
    else:
        changed["agent"] = "agent-7"
    return changed


# Logs

LATE_MS = (0, 0, 0, 1, 1_000, 5_000, 60_000, 900_000, HOUR_MS, 4 * HOUR_MS - 1, 4 * HOUR_MS)
TOO_LATE_MS = (4 * HOUR_MS + 1, 5 * HOUR_MS)
EARLY_MS = (-1, -300_000, -300_001, -HOUR_MS)

_deliveries = st.tuples(
    st.integers(0, 99),  # which event
    st.sampled_from(LATE_MS),
    st.booleans(),  # the record carries the time of its event, not of its arrival
)


def permuted(draw: Draw, history: History, *, repeats: bool = True) -> list[Record]:
    """A partition's log of a history: any order within the allowed lateness, and duplicates.

    Every record of it is accepted. `draw` is that of a composite strategy or of `st.data()`.
    """
    events = history.events
    delays = draw(st.lists(st.sampled_from(LATE_MS), min_size=len(events), max_size=len(events)))
    sent = [(delay, False, event) for delay, event in zip(delays, events, strict=True)]
    extra = draw(st.lists(_deliveries, max_size=5 if repeats else 0))
    sent += [(delay, plain, events[which % len(events)]) for which, delay, plain in extra]
    log = sorted(
        ((to_ms(event["time"]) + delay, plain, event) for delay, plain, event in sent),
        key=lambda record: record[0],
    )
    return [(to_ms(e["time"]) if plain else stamp, dict(e)) for stamp, plain, e in log]


def unruly(draw: Draw, history: History) -> list[Record]:
    """A log in which some records are late beyond the limit or stamped in the future."""
    log = permuted(draw, history)
    strays = draw(
        st.lists(st.tuples(st.integers(0, 99), st.sampled_from(TOO_LATE_MS + EARLY_MS)), max_size=4)
    )
    for which, delay in strays:
        at = which % len(log)
        event = log[at][1]
        log[at] = (to_ms(event["time"]) + delay, event)
    if draw(st.booleans()):
        log.sort(key=lambda record: record[0])
    return log


def in_order(history: History) -> list[Record]:
    """The log of a perfect run: every event once, at its time."""
    return sorted(
        ((to_ms(event["time"]), dict(event)) for event in history.events),
        key=lambda record: record[0],
    )


def split(log: Sequence[Record], partitions: int) -> list[list[Record]]:
    """The log over several partitions: a contact stays in one, source events go to all."""
    parts: list[list[Record]] = [[] for _ in range(partitions)]
    for stamp, event in log:
        if "contact" in event:
            parts[sum(event["contact"].encode()) % partitions].append((stamp, event))
        else:
            for part in parts:
                part.append((stamp, event))
    return parts


def moments(history: History) -> st.SearchStrategy[int]:
    """Instants at which a history is worth a look: near its events and their limits."""
    steps = (0, 5_000, -1, 1, 2_000, 20_000, 20_001, 60_000, 120_001, HOUR_MS, 2 * HOUR_MS)
    return st.builds(
        lambda time, step: time + step,
        st.sampled_from(sorted(set(history.times))),
        st.sampled_from(steps),
    )


WINDOWS: tuple[tuple[Any, ...] | None, ...] = (
    ("rolling", 300_000),
    ("rolling", 900_000),
    ("rolling", 1_800_000),
    ("rolling", 3_600_000),
    ("day",),
    None,
)
