"""Nasty edge cases of contact centres as data: what is sent, and what must be shown.

Every expected figure was worked out by hand from the definitions. A case is numbered; a number may
come twice where two sequences show it. `note` says where the field's usual rule and ours differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.oracle_policy import Policy, to_ms, to_text

BASE = "2026-11-24T10:00:00Z"
BASE_MS = to_ms(BASE)

HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True)
class Sent:
    """One record: an event at `at` seconds from the base, delivered `delay` seconds later."""

    at: float
    type: str
    fields: Mapping[str, Any]
    delay: float = 0


@dataclass(frozen=True)
class Expected:
    """Figures that must be shown.

    Attributes:
        figures: By name; a dotted name goes into an object (`wait_s.max`). Names beyond those of
            the floor's entries: `service_level_met`, `service_level_missed`, `bot_contained`,
            `unmatched`, `left_by_reason` (reason: (up to T, after)) and `instant_by_segment`
            (segment: (instant, all offered)).
        at: Now, in seconds from the base; None is the highest event time.
        queue: The queue, or `*`.
        channel: The channel, or `*`.
        window: `("rolling", seconds)`, `("day",)`, `("interval", start, end)` in seconds from the
            base, or None for everything.
        attribute: "outcome" or "arrival".
        after: Only the first so many records have arrived; None is all.
    """

    figures: Mapping[str, Any]
    at: float | None = None
    queue: str = "*"
    channel: str = "*"
    window: tuple[Any, ...] | None = None
    attribute: str = "outcome"
    after: int | None = None


@dataclass(frozen=True)
class Case:
    """A sequence of records in the order of their arrival, and what follows from it."""

    number: int
    title: str
    sent: tuple[Sent, ...]
    expected: tuple[Expected, ...]
    policy: Policy = field(default_factory=Policy)
    base: str = BASE
    late: int = 0
    future: int = 0
    duplicates: int = 0
    conflicts: int = 0
    note: str = ""

    @property
    def base_ms(self) -> int:
        """The instant from which the seconds count."""
        return to_ms(self.base)

    def records(self) -> list[tuple[int, dict[str, Any]]]:
        """(record timestamp in ms, event as on the wire), in the order of arrival."""
        records = []
        for number, sent in enumerate(self.sent):
            time = self.base_ms + round(sent.at * 1000)
            event = {
                "id": f"e{number}",
                "type": sent.type,
                "time": to_text(time),
                "source": "pbx",
                **{name: value for name, value in sent.fields.items() if value is not None},
            }
            records.append((time + round(sent.delay * 1000), event))
        return records


def call(at: float, kind: str, *, delay: float = 0, **fields: object) -> Sent:
    """A contact event of `call-1` in `sales` on voice, unless the fields say otherwise."""
    named: dict[str, Any] = {"contact": "call-1", "queue": "sales", "channel": "voice", **fields}
    return Sent(at, f"contact.{kind}", named, delay)


def chat(at: float, kind: str, *, delay: float = 0, **fields: object) -> Sent:
    """A contact event of `chat-1` in `support` on chat, unless the fields say otherwise."""
    named: dict[str, Any] = {"contact": "chat-1", "queue": "support", "channel": "chat", **fields}
    return Sent(at, f"contact.{kind}", named, delay)


def other(at: float, kind: str, *, delay: float = 0, **fields: object) -> Sent:
    """An event of a queue, an agent or a source."""
    return Sent(at, kind, fields, delay)


ONE_ANSWERED_AFTER_12_S: dict[str, Any] = {
    "offered": 1,
    "answered": 1,
    "answered_within": 1,
    "waiting": 0,
    "wait_s.mean": 12.0,
    "wait_s.max": 12.0,
    "sent_to_wait": 1,
    "instant": 0,
    "service_level.strict": 1.0,
    "service_level_n.strict": 1,
}

CASES: tuple[Case, ...] = (
    Case(
        1,
        "events of one second in any order make one contact with one visit",
        (
            call(0, "queued"),
            call(0, "offered"),
            call(30, "ended", by="agent"),
            call(12, "answered"),
        ),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
    ),
    Case(
        2,
        "an answer that arrives before its queued is corrected when that comes",
        (call(12, "answered"), call(0, "queued", delay=14)),
        (
            Expected(
                {"offered": 1, "answered": 1, "wait_s.max": 0.0, "instant": 1, "sent_to_wait": 0},
                at=12,
                after=1,
            ),
            Expected(ONE_ANSWERED_AFTER_12_S),
        ),
        note="Usual: nothing counts before the queued. Here the answer alone is a direct visit.",
    ),
    Case(
        3,
        "a duplicate hours later moves no counter",
        (
            call(0, "queued", id="q"),
            call(12, "answered", id="a"),
            call(12, "answered", id="a", delay=3 * HOUR),
        ),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
        duplicates=1,
    ),
    Case(
        4,
        "two refusals of one agent in one second are both kept, and end no wait",
        (
            call(0, "queued"),
            call(5, "rang", agent="1001"),
            call(5, "unanswered", agent="1001"),
            call(5, "rang", agent="1001"),
            call(5, "unanswered", agent="1001"),
            call(12, "answered", agent="1002"),
        ),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
    ),
    Case(
        5,
        "a changed attribute under the same id moves no counter",
        (
            call(0, "queued"),
            call(12, "answered", id="a", agent="1001"),
            call(12, "answered", id="a", agent="1002"),
        ),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
        duplicates=1,
        note="No figure needs the agent, so the changed copy is a plain duplicate.",
    ),
    Case(
        5,
        "of two times under the same id the later counts, whichever arrives first",
        (
            call(0, "queued"),
            call(25, "answered", id="a"),
            call(12, "answered", id="a", delay=20),
        ),
        (
            Expected(
                {
                    "offered": 1,
                    "answered": 1,
                    "answered_within": 0,
                    "wait_s.max": 25.0,
                    "service_level.strict": 0.0,
                }
            ),
        ),
        duplicates=1,
        conflicts=1,
        note="Usual: the last version sent. Here the greater (time, bytes), so order is no matter.",
    ),
    Case(
        6,
        "a lost queued leaves a direct visit that is back-dated to offered",
        (call(0, "offered"), call(12, "answered")),
        (
            Expected(
                {
                    "offered": 1,
                    "answered": 1,
                    "answered_within": 1,
                    "wait_s.max": 12.0,
                    "sent_to_wait": 0,
                    "instant": 1,
                }
            ),
        ),
        note="Usual: rebuilt from cumulative time stamps and counted as repaired; no such counter.",
    ),
    Case(
        7,
        "an answer stamped before its queued is an answer at once and another visit",
        (call(-1, "answered"), call(0, "queued"), call(60, "ended", by="agent")),
        (
            Expected(
                {
                    "offered": 2,
                    "answered": 1,
                    "wait_s.max": 0.0,
                    "left": 1,
                    "left_by_reason": {"withdrawn": (0, 1)},
                    "service_level.strict": 0.5,
                    "service_level_n.strict": 2,
                }
            ),
        ),
        note="Usual: wait clamped to 0 and flagged. Here time orders, and clocks are the source's.",
    ),
    Case(
        9,
        "a burst delivered 40 s late has its true waits",
        (call(0, "queued", delay=40), call(12, "answered", delay=28)),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
    ),
    Case(
        10,
        "a time far in the future is rejected and moves nothing",
        (
            call(0, "queued"),
            call(2e9, "answered", contact="call-2", delay=-2e9 + 1),
            call(12, "answered"),
        ),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
        future=1,
    ),
    Case(
        12,
        "a visit whose end never comes is a miss past T, expires, and is no abandonment",
        (call(0, "queued"),),
        (
            Expected(
                {
                    "waiting": 1,
                    "waiting_past_threshold": 0,
                    "longest_wait_s": 20.0,
                    "service_level.strict": None,
                    "service_level_n.strict": 0,
                    "service_level_low": 0.0,
                    "service_level_high": 1.0,
                    "service_level.altigen_now": 1.0,
                },
                at=20,
            ),
            Expected(
                {
                    "waiting": 1,
                    "waiting_past_threshold": 1,
                    "service_level.strict": 0.0,
                    "service_level_n.strict": 1,
                    "service_level.altigen_now": 0.0,
                },
                at=20.001,
            ),
            Expected({"waiting": 1, "expired": 0, "longest_wait_s": 7199.999}, at=7199.999),
            Expected(
                {
                    "offered": 1,
                    "waiting": 0,
                    "waiting_past_threshold": 0,
                    "expired": 1,
                    "abandoned": 0,
                    "longest_wait_s": None,
                    "service_level.strict": 0.0,
                    "service_level_n.strict": 1,
                    "service_level_n.altigen_now": 0,
                    "service_level_missed": 1,
                },
                at=7200,
            ),
        ),
    ),
    Case(
        12,
        "an outcome at the expiry counts, one after it does not touch the expired visit",
        (
            call(0, "queued"),
            call(2 * HOUR, "answered"),
            call(0, "queued", contact="call-2"),
            call(2 * HOUR + 0.001, "answered", contact="call-2"),
        ),
        (
            Expected(
                {
                    "offered": 2,
                    "answered": 1,
                    "answered_within": 0,
                    "expired": 1,
                    "unmatched": 1,
                    "wait_s.max": 7200.0,
                }
            ),
        ),
    ),
    Case(
        13,
        "a restart of a source ends its open waits, and only its own",
        (
            *(call(n, "queued", contact=f"call-{n}") for n in range(12)),
            call(0, "queued", contact="elsewhere", source="other-pbx"),
            call(0, "queued", contact="answered"),
            call(29, "answered", contact="answered"),
            other(30, "source.started"),
        ),
        (
            Expected(
                {
                    "offered": 14,
                    "answered": 1,
                    "left": 12,
                    # those queued at 10 and 11 had waited 20 s and 19 s
                    "left_within": 2,
                    "left_by_reason": {"error": (2, 10)},
                    "waiting": 1,
                    "abandoned": 0,
                }
            ),
        ),
    ),
    Case(
        14,
        "a desk that crashes while talking leaves the contact answered, and ended by its customer",
        (call(0, "queued"), call(12, "answered", agent="1001"), call(100, "ended", by="customer")),
        (Expected(ONE_ANSWERED_AFTER_12_S), Expected({"waiting": 0, "abandoned": 0}, at=9 * HOUR)),
        note="The contact's side only; the agent's heartbeats have no canonical event.",
    ),
    Case(
        15,
        "a connector that sends its last hour again changes nothing",
        (
            call(0, "queued", id="1"),
            call(12, "answered", id="2"),
            call(0, "queued", id="1", delay=HOUR),
            call(12, "answered", id="2", delay=HOUR),
        ),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
        duplicates=2,
    ),
    Case(
        17,
        "half an hour of backlog is counted by its own times",
        (
            call(0, "queued", delay=1800),
            call(12, "answered", delay=1800),
            call(60, "queued", contact="call-2", delay=1800),
            call(90, "abandoned", contact="call-2", delay=1800),
        ),
        (
            Expected({"offered": 2, "answered": 1, "abandoned": 1, "waiting": 0}),
            Expected(
                {"answered": 1, "answered_within": 1, "waiting": 1, "waiting_past_threshold": 0},
                at=75,
            ),
            Expected({"service_level.strict": 0.5, "service_level_n.strict": 2}, at=90),
        ),
    ),
    Case(
        19,
        "a contact that returns to its first queue makes three visits",
        (
            call(0, "queued", queue="a"),
            call(10, "answered", queue="a"),
            call(100, "transferred", queue="a", to="b", mode="blind"),
            call(100, "queued", queue="b"),
            call(115, "answered", queue="b"),
            call(300, "transferred", queue="b", to="a", mode="blind"),
            call(300, "queued", queue="a"),
            call(325, "answered", queue="a"),
            call(400, "ended", by="customer"),
        ),
        (
            Expected({"offered": 2, "answered": 2, "answered_within": 1}, queue="a"),
            Expected({"offered": 1, "answered": 1, "answered_within": 1}, queue="b"),
            Expected(
                {
                    "offered": 3,
                    "sent_to_wait": 3,
                    "transferred": 2,
                    "wait_s.mean": 50 / 3,
                    "wait_s.p50": 15.0,
                    "wait_s.p90": 25.0,
                    "service_level.strict": 2 / 3,
                    "initial_response_events": 1,
                    "initial_response_within": 1,
                    "initial_response_s.max": 10.0,
                }
            ),
        ),
    ),
    Case(
        19,
        "a transfer without a queued makes a direct visit that waits from the transfer",
        (
            call(0, "queued", queue="a"),
            call(10, "answered", queue="a"),
            call(100, "transferred", queue="a", to="b"),
            call(125, "answered", queue="b"),
        ),
        (
            Expected({"offered": 0, "waiting": 0}, queue="b", at=124),
            Expected(
                {
                    "offered": 1,
                    "answered": 1,
                    "answered_within": 0,
                    "wait_s.max": 25.0,
                    "sent_to_wait": 0,
                    "instant": 1,
                },
                queue="b",
            ),
        ),
    ),
    Case(
        20,
        "a ring without answer goes on with the same visit",
        (
            call(0, "queued"),
            call(4, "rang", agent="1001"),
            call(19, "unanswered", agent="1001"),
            call(20, "rang", agent="1002"),
            call(27, "answered", agent="1002"),
        ),
        (
            Expected(
                {
                    "offered": 1,
                    "answered": 1,
                    "answered_within": 0,
                    "abandoned": 0,
                    "wait_s.max": 27.0,
                    "service_level_missed": 1,
                }
            ),
        ),
    ),
    Case(
        21,
        "an agent who hangs up on the announcement has not answered",
        (
            call(0, "queued"),
            call(4, "rang", agent="1001"),
            call(6, "unanswered", agent="1001"),
            call(12, "answered", agent="1002"),
        ),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
        note="An answered that was sent can only be taken back under its own id.",
    ),
    Case(
        22,
        "an answer that proves false is replaced under its own id",
        (call(0, "queued"), call(8, "answered", id="bridge"), call(41, "answered", id="bridge")),
        (
            Expected({"answered": 1, "answered_within": 1, "wait_s.max": 8.0}, at=40, after=2),
            Expected(
                {"answered": 1, "answered_within": 0, "wait_s.max": 41.0, "offered": 1}, at=41
            ),
        ),
        duplicates=1,
        conflicts=1,
    ),
    Case(
        23,
        "six agents ring, one answers, and nobody else has missed anything",
        (
            call(0, "queued"),
            *(call(5, "rang", agent=str(n)) for n in range(6)),
            call(12, "answered", agent="3"),
            *(call(12, "unanswered", agent=str(n)) for n in (0, 1, 2, 4, 5)),
        ),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
    ),
    Case(
        24,
        "an answer in one queue withdraws the visit in the other, which no formula counts",
        (
            call(0, "queued", queue="q1"),
            call(0, "queued", queue="q2"),
            call(15, "answered", queue="q1"),
        ),
        (
            Expected({"waiting": 2, "offered": 2}, at=14.999),
            Expected({"offered": 1, "answered_within": 1, "service_level.strict": 1.0}, queue="q1"),
            Expected(
                {
                    "offered": 1,
                    "answered": 0,
                    "left": 1,
                    "left_within": 1,
                    "left_by_reason": {"withdrawn": (1, 0)},
                    "service_level.strict": None,
                    "service_level_n.strict": 0,
                    "service_level.of_offered": None,
                    "service_level_n.knocked": 0,
                    "service_level_missed": 0,
                },
                queue="q2",
            ),
            Expected(
                {
                    "offered": 2,
                    "service_level.of_offered": 1.0,
                    "service_level_n.of_offered": 1,
                    "waiting": 0,
                }
            ),
        ),
    ),
    Case(
        24,
        "a visit withdrawn after T is the miss that it was",
        (
            call(0, "queued", queue="q1"),
            call(0, "queued", queue="q2"),
            call(30, "answered", queue="q1"),
        ),
        (
            Expected(
                {
                    "left": 1,
                    "left_within": 0,
                    "service_level.strict": 0.0,
                    "service_level_n.strict": 1,
                    "service_level_n.asterisk_perf2": 1,
                },
                queue="q2",
            ),
        ),
    ),
    Case(
        25,
        "a consultation with another agent opens no visit",
        (
            call(0, "queued"),
            call(12, "answered", agent="1001"),
            call(60, "transferred", to="1002", mode="consult"),
            call(90, "ended", by="customer"),
        ),
        (Expected({**ONE_ANSWERED_AFTER_12_S, "transferred": 1, "abandoned": 0}),),
        note="A consultation `to` a queue that then answers there is a visit like any transfer.",
    ),
    Case(
        28,
        "a renamed queue goes on under its new name",
        (
            call(0, "queued", queue="old"),
            call(12, "answered", queue="old"),
            call(60, "queued", queue="new", contact="call-2"),
            call(70, "answered", queue="new", contact="call-2"),
            call(80, "transferred", queue="new", to="old", contact="call-2"),
            call(85, "answered", queue="new", contact="call-2"),
        ),
        (
            Expected({"offered": 0}, queue="old"),
            Expected({"offered": 3, "answered": 3, "transferred": 1}, queue="new"),
        ),
        policy=Policy(was={"old": "new"}),
    ),
    Case(
        29,
        "a visit keeps the threshold that held when it opened, and the window is mixed",
        (
            call(415, "queued"),
            call(425, "queued", contact="call-2"),
            call(440, "answered"),
            call(450, "answered", contact="call-2"),
        ),
        (
            Expected(
                {"answered": 2, "answered_within": 1, "mixed": True, "service_level.strict": 0.5},
                at=450,
                window=("rolling", 900),
            ),
            Expected(
                {"waiting": 2, "waiting_past_threshold": 0, "service_level_n.strict": 0},
                at=435,
                window=("rolling", 900),
            ),
            Expected(
                {"waiting": 1, "waiting_past_threshold": 0, "service_level_n.strict": 1},
                at=440,
                window=("rolling", 900),
            ),
        ),
        policy=Policy(channels={"voice": {"threshold_s": [(None, 20), (BASE_MS + 420_000, 30)]}}),
    ),
    Case(
        30,
        "who waits past T is a miss at once, and stays one when answered",
        (call(0, "queued"), call(45, "answered")),
        (
            Expected({"service_level_missed": 0, "waiting_past_threshold": 0}, at=20),
            Expected({"service_level_missed": 1, "waiting_past_threshold": 1}, at=20.001),
            Expected(
                {
                    "service_level_missed": 1,
                    "service_level_n.strict": 1,
                    "answered": 1,
                    "answered_within": 0,
                    "waiting": 0,
                },
                at=45,
            ),
            # five minutes after the miss it has left the window, the answer has not
            Expected(
                {"service_level_n.strict": 0, "answered": 1, "service_level.answered_only": 0.0},
                at=325,
                window=("rolling", 300),
            ),
            Expected({"service_level_n.strict": 1}, at=320, window=("rolling", 300)),
        ),
    ),
    Case(
        31,
        "an answer exactly at T is within it, a millisecond later is not",
        (
            call(0, "queued"),
            call(20, "answered"),
            call(0, "queued", contact="call-2"),
            call(20.001, "answered", contact="call-2"),
        ),
        (Expected({"answered": 2, "answered_within": 1, "service_level.strict": 0.5}),),
    ),
    Case(
        32,
        "a short abandonment leaves the formulas that leave it out, and is always counted",
        (call(0, "queued"), call(3, "abandoned")),
        (
            Expected(
                {
                    "abandoned": 1,
                    "abandoned_short": 1,
                    "abandoned_within": 1,
                    "abandon_wait_s.max": 3.0,
                    "abandonment_ratio": 1.0,
                    "service_level.strict": 0.0,
                    "service_level_n.strict": 1,
                    "service_level.ucce_ignore": None,
                    "service_level.ucce_negative": None,
                    "service_level.genesys": None,
                    "service_level.talkdesk": None,
                    "service_level.icmi_4": None,
                    "service_level.icmi_1": 1.0,
                    "service_level.icmi_3": 0.0,
                    "service_level.icmi_5": 1.0,
                    "service_level.connect": 1.0,
                    "service_level.asterisk_perf2": 1.0,
                    "service_level.vonage": 0.0,
                }
            ),
        ),
    ),
    Case(
        32,
        "an abandonment exactly at the short limit is short",
        (
            call(0, "queued"),
            call(5, "abandoned"),
            call(0, "queued", contact="call-2"),
            call(5.001, "abandoned", contact="call-2"),
        ),
        (
            Expected(
                {
                    "abandoned": 2,
                    "abandoned_short": 1,
                    "abandoned_within": 2,
                    "service_level_n.talkdesk": 1,
                    "service_level.icmi_5": 0.5,
                }
            ),
        ),
    ),
    Case(
        33,
        "where the short limit is above T, who leaves in between stays a miss",
        (call(0, "queued"), call(25, "abandoned")),
        (
            Expected(
                {
                    "abandoned": 1,
                    "abandoned_within": 0,
                    "abandoned_short": 1,
                    "service_level.strict": 0.0,
                    "service_level_n.talkdesk": 1,
                    "service_level_n.ucce_ignore": 1,
                    "service_level.icmi_5": 0.0,
                }
            ),
            Expected({"service_level_n.strict": 1}, at=320, window=("rolling", 300)),
            Expected(
                {"service_level_n.strict": 0, "abandoned": 0}, at=325, window=("rolling", 300)
            ),
        ),
        policy=Policy(channels={"voice": {"short_abandon_s": 30}}),
    ),
    Case(
        34,
        "who leaves while still with the bot was never offered",
        (
            call(0, "left", reason="bot", queue=None),
            chat(0, "messaged", queue=None),
            chat(1, "replied", by="bot", queue=None),
            chat(60, "left", reason="bot", queue=None),
        ),
        (
            Expected(
                {
                    "offered": 0,
                    "left": 0,
                    "abandoned": 0,
                    "bot_contained": 2,
                    "initial_response_events": 0,
                    "awaiting_reply": 0,
                    "abandonment_ratio": None,
                }
            ),
        ),
    ),
    Case(
        35,
        "who hangs up while an agent's phone rings has abandoned",
        (call(0, "queued"), call(10, "rang", agent="1001"), call(12, "abandoned", agent="1001")),
        (Expected({"offered": 1, "abandoned": 1, "answered": 0, "abandon_wait_s.max": 12.0}),),
    ),
    Case(
        36,
        "a timeout, an empty queue, a withdrawal and an error are no abandonments",
        (
            *(
                call(0, "queued", contact=why)
                for why in ("timeout", "empty", "withdrawn", "error", "system", "agent")
            ),
            *(
                call(10, "left", contact=why, reason=why)
                for why in ("timeout", "empty", "withdrawn", "error")
            ),
            call(10, "ended", contact="system", by="system"),
            call(10, "ended", contact="agent", by="agent"),
        ),
        (
            Expected(
                {
                    "offered": 6,
                    "abandoned": 0,
                    "left": 6,
                    "left_within": 6,
                    "left_by_reason": {
                        "timeout": (1, 0),
                        "empty": (1, 0),
                        "withdrawn": (2, 0),
                        "error": (2, 0),
                    },
                    "service_level_n.strict": 4,
                    "service_level.strict": 0.0,
                    "service_level.connect": 1.0,
                    "service_level.asterisk_perf2": 1.0,
                    "service_level_n.asterisk_perf2": 4,
                    "service_level_n.ucce_negative": 0,
                }
            ),
        ),
    ),
    Case(
        36,
        "to end the contact while waiting is to abandon, for the customer",
        (call(0, "queued"), call(10, "ended", by="customer")),
        (Expected({"offered": 1, "abandoned": 1, "left": 0, "abandon_wait_s.max": 10.0}),),
    ),
    Case(
        37,
        "to leave by a key is a class of its own",
        (call(0, "queued"), call(15, "left", reason="key")),
        (
            Expected(
                {
                    "abandoned": 0,
                    "left": 1,
                    "left_within": 1,
                    "service_level.strict": 0.0,
                    "service_level.connect": 1.0,
                    "service_level.genesys": None,
                    "service_level.genesys_flowouts": 0.0,
                    "service_level.asterisk_perf2": None,
                    "service_level.vonage": 0.0,
                }
            ),
        ),
    ),
    Case(
        38,
        "who is refused at the door is not offered, and only `knocked` counts it",
        (
            call(0, "refused", reason="full"),
            call(0, "queued", contact="call-2"),
            call(12, "answered", contact="call-2"),
        ),
        (
            Expected(
                {
                    **ONE_ANSWERED_AFTER_12_S,
                    "refused": 1,
                    "service_level.knocked": 0.5,
                    "service_level_n.knocked": 2,
                    "service_level.of_offered": 1.0,
                    "instant_service_ratio": 0.0,
                }
            ),
        ),
    ),
    Case(
        39,
        "who abandons and comes back makes a second visit",
        (
            call(0, "queued"),
            call(30, "abandoned"),
            call(60, "queued"),
            call(70, "answered"),
        ),
        (Expected({"offered": 2, "abandoned": 1, "answered": 1, "answered_within": 1}),),
        note="Usual: the abandonment is taken back where the source resumes the wait.",
    ),
    Case(
        40,
        "who asks to be called back has left, neither answered nor abandoned",
        (call(0, "queued"), call(15, "left", reason="callback")),
        (
            Expected(
                {
                    "left": 1,
                    "left_by_reason": {"callback": (1, 0)},
                    "abandoned": 0,
                    "answered": 0,
                    "service_level.strict": 0.0,
                    "service_level.connect": 1.0,
                }
            ),
        ),
        note="The clocks of the call back come later.",
    ),
    Case(
        42,
        "a chat that an agent took but never wrote in is answered, and has no response",
        (
            chat(0, "queued"),
            chat(8, "answered"),
            chat(608, "ended", by="system"),
        ),
        (
            Expected({"answered": 1, "awaiting_reply": 1, "oldest_awaiting_reply_s": 20.0}, at=20),
            Expected(
                {
                    "answered": 1,
                    "answered_within": 1,
                    "abandoned": 0,
                    "initial_response_events": 1,
                    "initial_response_within": 0,
                    "initial_response_s.max": None,
                    "awaiting_reply": 0,
                }
            ),
        ),
        note="Usual: a silent abandonment. Here the answer counts, and the reply is missed.",
    ),
    Case(
        43,
        "an answer that the agent drops at once is an answer",
        (call(0, "queued"), call(12, "answered"), call(15, "ended", by="agent")),
        (Expected({**ONE_ANSWERED_AFTER_12_S, "left": 0}),),
        note="Short answers are counted later.",
    ),
    Case(
        44,
        "a bot's reply is no reply, and the clock runs from the hand-off",
        (
            chat(0, "messaged", queue=None),
            chat(1, "replied", by="bot", queue=None),
            chat(90, "queued"),
            chat(200, "replied", by="human"),
        ),
        (
            Expected(
                {
                    "offered": 1,
                    "answered": 1,
                    "answered_within": 1,
                    "wait_s.max": 110.0,
                    "initial_response_events": 1,
                    "initial_response_within": 1,
                    "initial_response_s.max": 110.0,
                },
                queue="support",
            ),
            Expected({"initial_response_events": 0}, at=199.999),
        ),
    ),
    Case(
        45,
        "nobody is awaited while a bot has replied; from the hand-off somebody is",
        (
            chat(0, "messaged"),
            chat(10, "replied", by="bot"),
            chat(90, "queued"),
        ),
        (
            Expected({"awaiting_reply": 1, "oldest_awaiting_reply_s": 9.999}, at=9.999),
            Expected({"awaiting_reply": 0, "oldest_awaiting_reply_s": None}, at=10),
            Expected({"awaiting_reply": 0, "initial_response_events": 0}, at=89.999),
            Expected({"awaiting_reply": 1, "oldest_awaiting_reply_s": 10.0}, at=100),
            Expected({"initial_response_events": 0}, at=210),
            Expected(
                {
                    "initial_response_events": 1,
                    "initial_response_within_ratio": 0.0,
                    "awaiting_reply": 1,
                    "oldest_awaiting_reply_s": 120.001,
                },
                at=210.001,
            ),
        ),
    ),
    Case(
        48,
        "a chat that is resolved and ended without a reply is a miss",
        (chat(0, "messaged"), chat(30, "resolved"), chat(40, "ended", by="agent")),
        (
            Expected({"awaiting_reply": 1, "initial_response_events": 0}, at=39.999),
            Expected(
                {
                    "offered": 0,
                    "awaiting_reply": 0,
                    "initial_response_events": 1,
                    "initial_response_within": 0,
                }
            ),
        ),
    ),
    Case(
        49,
        "what is written five days later is a new contact with its own first response",
        (
            chat(0, "queued", channel="messaging"),
            chat(60, "replied", by="human", channel="messaging"),
            chat(300, "ended", by="customer", channel="messaging"),
            chat(5 * DAY, "reopened", channel="messaging"),
            chat(5 * DAY, "messaged", channel="messaging"),
            chat(5 * DAY + 600, "replied", by="human", channel="messaging"),
        ),
        (
            Expected(
                {
                    "initial_response_events": 2,
                    "initial_response_within": 2,
                    "initial_response_s.p50": 60.0,
                    "initial_response_s.max": 600.0,
                    "offered": 2,
                    "answered": 2,
                    "wait_s.max": 60.0,
                    "instant_service_ratio": None,
                }
            ),
            Expected(
                {"initial_response_events": 1, "initial_response_s.max": 600.0},
                at=5 * DAY + 600,
                window=("rolling", 900),
            ),
        ),
        note="Usual: a new turn of the same conversation. Here a contact ends for good at rest.",
    ),
    Case(
        50,
        "a conversation that an agent begins has no first response",
        (
            chat(0, "replied", by="human"),
            chat(60, "messaged"),
            chat(120, "replied", by="human"),
        ),
        (
            Expected({"awaiting_reply": 0}, at=90),
            Expected(
                {
                    "initial_response_events": 0,
                    "initial_response_s.max": None,
                    "offered": 1,
                    "answered": 1,
                    "wait_s.max": 0.0,
                }
            ),
        ),
    ),
    Case(
        51,
        "four messages and a reply are one response, from the first message",
        (
            *(chat(at, "messaged") for at in (0, 10, 20, 30)),
            chat(40, "replied", by="human"),
        ),
        (Expected({"initial_response_events": 1, "initial_response_s.max": 40.0}),),
    ),
    Case(
        52,
        "who was assigned does not matter to the first response",
        (
            chat(0, "queued"),
            chat(10, "answered", agent="a"),
            chat(50, "replied", by="human", agent="b"),
        ),
        (
            Expected(
                {
                    "answered": 1,
                    "wait_s.max": 10.0,
                    "initial_response_events": 1,
                    "initial_response_s.max": 50.0,
                }
            ),
        ),
    ),
    Case(
        53,
        "a call over midnight is offered on the first day and answered on the second",
        (call(0, "queued"), call(25, "answered")),
        (
            Expected({"offered": 1, "answered": 0, "waiting": 1}, at=5, window=("day",)),
            Expected({"offered": 0, "answered": 0, "waiting": 1}, at=10, window=("day",)),
            Expected(
                {
                    "offered": 0,
                    "answered": 1,
                    "answered_within": 0,
                    "wait_s.max": 25.0,
                    "service_level_n.strict": 1,
                    "service_level_n.of_offered": 0,
                },
                at=25,
                window=("day",),
            ),
            Expected(
                {"offered": 1, "answered": 1, "service_level_n.strict": 1},
                at=25,
                window=("rolling", 300),
            ),
            Expected(
                {"offered": 1, "answered": 1, "answered_within": 0},
                window=("interval", 10 - DAY, 10),
                attribute="arrival",
            ),
            Expected(
                {"offered": 0, "answered": 0}, window=("interval", 10, DAY), attribute="arrival"
            ),
        ),
        base="2026-11-23T22:59:50Z",
        policy=Policy(zone="Europe/Berlin"),
    ),
    Case(
        54,
        "the day of 25 hours holds both half past two",
        (
            call(0, "queued"),  # the first instant of the day
            call(12, "answered"),
            call(2.5 * HOUR, "queued", contact="call-2"),
            call(2.5 * HOUR + 12, "answered", contact="call-2"),
            call(3.5 * HOUR, "queued", contact="call-3"),
            call(3.5 * HOUR + 12, "answered", contact="call-3"),
            call(25 * HOUR - 0.001, "queued", contact="call-4"),
            call(25 * HOUR, "queued", contact="call-5"),
        ),
        (
            Expected({"offered": 3, "answered": 3}, at=4 * HOUR, window=("day",)),
            Expected({"offered": 3}, at=25 * HOUR - 5, window=("day",)),
            Expected({"offered": 1, "answered": 0}, at=25 * HOUR, window=("day",)),
        ),
        base="2026-10-24T22:00:00Z",
        policy=Policy(zone="Europe/Berlin"),
    ),
    Case(
        54,
        "a day without midnight begins at one o'clock",
        (call(-0.001, "queued"), call(0, "queued", contact="call-2")),
        (
            Expected({"offered": 1}, at=0, window=("day",)),
            Expected({"offered": 1}, at=23 * HOUR - 5, window=("day",)),
            Expected({"offered": 0}, at=23 * HOUR, window=("day",)),
        ),
        base="2018-11-04T03:00:00Z",
        policy=Policy(zone="America/Sao_Paulo"),
    ),
    Case(
        55,
        "the boundary belongs to the next interval and to the tick",
        (call(0, "queued"),),
        (
            Expected({"offered": 0}, window=("interval", -1800, 0), attribute="arrival"),
            Expected({"offered": 1}, window=("interval", 0, 1800), attribute="arrival"),
            Expected({"offered": 1}, at=0, window=("rolling", 900)),
            Expected({"offered": 1}, at=895, window=("rolling", 900)),
            Expected({"offered": 0}, at=900, window=("rolling", 900)),
        ),
    ),
    Case(
        56,
        "an answer that arrives 3 h 50 min late corrects an expired visit",
        (call(0, "queued"), call(12, "answered", delay=13_800)),
        (
            Expected({"expired": 1, "answered": 0, "service_level.strict": 0.0}, at=8000, after=1),
            Expected({**ONE_ANSWERED_AFTER_12_S, "expired": 0}, at=8000),
        ),
    ),
    Case(
        57,
        "what is later than the allowed lateness is counted and kept out",
        (
            call(0, "queued"),
            call(12, "answered", delay=4 * HOUR + 0.001),
        ),
        (Expected({"offered": 1, "answered": 0, "waiting": 1}, at=12),),
        late=1,
    ),
    Case(
        57,
        "exactly the allowed lateness is not late",
        (call(0, "queued"), call(12, "answered", delay=4 * HOUR)),
        (Expected(ONE_ANSWERED_AFTER_12_S),),
    ),
    Case(
        58,
        "nothing to divide by is undefined",
        (call(0, "queued"), call(12, "answered")),
        (
            Expected(
                {
                    "offered": 0,
                    "service_level.strict": None,
                    "service_level_n.strict": 0,
                    "service_level.of_offered": None,
                    "service_level.answered_only": None,
                    "service_level.altigen_now": None,
                    "service_level_low": None,
                    "service_level_high": None,
                    "instant_service_ratio": None,
                    "abandonment_ratio": None,
                    "initial_response_within_ratio": None,
                    "wait_s.mean": None,
                    "wait_s.p99": None,
                    "longest_wait_s": None,
                },
                at=HOUR,
                window=("rolling", 900),
            ),
        ),
    ),
    Case(
        59,
        "one call and it is missed: 0 % of 1",
        (call(0, "queued"), call(45, "answered")),
        (
            Expected(
                {"service_level.strict": 0.0, "service_level_n.strict": 1},
                at=60,
                window=("rolling", 900),
            ),
        ),
    ),
    Case(
        61,
        "what a source says of its own counters changes nothing",
        (
            call(0, "queued"),
            other(5, "queue.observed", queue="sales", waiting=99, agents={"available": 1}),
            call(12, "answered"),
            other(13, "queue.observed", queue="sales", waiting=0, agents={}),
        ),
        (
            Expected({"waiting": 1}, at=5, queue="sales"),
            Expected(ONE_ANSWERED_AFTER_12_S, queue="sales"),
        ),
    ),
    Case(
        62,
        "a segment that comes late moves the visit from unknown",
        (
            call(0, "queued"),
            call(1, "answered"),
            call(300, "wrapped", segment="gold"),
        ),
        (
            Expected({"instant_by_segment": {"unknown": (1, 1)}}, at=299),
            Expected({"instant_by_segment": {"gold": (1, 1)}, "instant_service_ratio": 1.0}),
        ),
    ),
)

NOT_EXPRESSIBLE: dict[int, str] = {
    8: "which clock a time comes from is the adapter's matter; an event has one time",
    11: "units are the adapter's matter; canonical events carry no durations to mistake",
    16: "reading a topic again sends nothing new; the law that a replay is the same covers it",
    18: "a moved partition sends nothing; the law that crashes do not matter covers it",
    26: "who listens in or joins has no event, so an adapter sends none",
    27: "talk time is not measured yet",
    41: "attempts to call back have no event yet",
    46: "notes and automatic texts are not replies, so an adapter sends none for them",
    47: "that an assignment carries a reply is for the adapter to see",
    60: "an idle partition sends nothing; every partition's arrival is its own",
}
