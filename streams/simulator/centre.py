"""What the simulated centre is made of: its queues, its pools of agents, and its day."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Final

HALF_HOURS: Final = 48
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000

ORDINARY_DAY: Final = (
    0.08, 0.06, 0.05, 0.05, 0.05, 0.08, 0.18, 0.38, 0.66, 0.90, 1.00, 0.98,
    0.88, 0.84, 0.91, 0.93, 0.86, 0.72, 0.56, 0.43, 0.33, 0.25, 0.18, 0.12,
)  # fmt: skip
ORDINARY_WEEK: Final = (1.10, 1.0, 1.0, 1.0, 0.95, 0.60, 0.45)


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """How an exchange of messages goes on a text channel.

    Attributes:
        exchanges: mean number of answers by a person.
        reply_s: mean time an agent needs for one.
        pause_s: mean time the customer takes to write again.
        bot_share: share of contacts that meet the bot first, 0 to 1.
        contained_share: share of those that the bot finishes alone.
    """

    exchanges: float
    reply_s: float
    pause_s: float
    bot_share: float = 0.0
    contained_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlan:
    """One queue: who asks, how long they stand it, and what is done with them.

    Attributes:
        queue: its id.
        channel: voice, chat, messaging or email.
        source: the system that produces its events.
        per_hour: contacts that ask, in the busiest hour of an ordinary weekday.
        hours: local opening hours, [from, to); (0, 24) never closes.
        handle_s: mean time with an agent.
        after_s: mean after-contact work.
        threshold_s: what an answer in time is; weighs queues against each other.
        patience_s: mean patience of those who neither balk nor jump at an announcement; 0 means
            that nobody leaves.
        max_wait_s: who has waited this long is sent away (`left`, timeout); 0 for never.
        overflow_to: where callers go after *overflow_after_s*; "" for nowhere.
        overflow_after_s: wait after which they go there.
        room: how many may wait before the door is shut.
        topics: what people ask about.
        transfers_to: where an agent passes callers on to; "" for nowhere.
        talk: the exchange on a text channel; None for voice.
    """

    queue: str
    channel: str
    source: str
    per_hour: float
    hours: tuple[float, float] = (0, 24)
    handle_s: float
    after_s: float = 0.0
    threshold_s: float
    patience_s: float = 0.0
    max_wait_s: float = 0.0
    overflow_to: str = ""
    overflow_after_s: float = 0.0
    room: int = 1_000_000
    topics: tuple[str, ...] = ("general",)
    transfers_to: str = ""
    talk: Talk | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """A group of agents with the same skills.

    Attributes:
        name: begins the ids of its agents.
        serves: the queues it serves, each with the share of that queue's work it is staffed for.
        slots: contacts one agent takes at a time.
        hours: local hours in which it is staffed, [from, to); (0, 24) for day and night.
        slack: agents beyond the load, as a multiple of its square root.
        spread_evenly: staff for the day's average load, not for each half-hour's (work that may
            wait over night).
    """

    name: str
    serves: tuple[tuple[str, float], ...]
    slots: int = 1
    hours: tuple[float, float] = (0, 24)
    slack: float = 0.5
    spread_evenly: bool = False


@dataclass(frozen=True, slots=True)
class Shift:
    """One agent's working day: minutes after local midnight, and breaks as (minute, length)."""

    begins_min: int
    ends_min: int
    breaks: tuple[tuple[int, int], ...]

    def present(self, minute: int) -> float:
        """The share of the half-hour from *minute* on that is no break."""
        away_min = sum(
            max(0, min(begins + lasts, minute + 30) - max(begins, minute))
            for begins, lasts in self.breaks
        )
        return 1 - away_min / 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """A whole contact centre.

    Attributes:
        queues: in the order of their arrivals' random numbers.
        pools: of agents.
        zone: of the local day.
        day: arrivals in each local hour, as a share of the busiest.
        week: the same for each weekday, Monday first.
    """

    queues: tuple[QueuePlan, ...]
    pools: tuple[PoolPlan, ...]
    zone: tzinfo = UTC
    day: tuple[float, ...] = ORDINARY_DAY
    week: tuple[float, ...] = ORDINARY_WEEK

    def plan(self, queue: str) -> QueuePlan:
        """The plan of *queue*.

        Raises:
            StopIteration: the centre has no such queue.
        """
        return next(plan for plan in self.queues if plan.queue == queue)

    def level(self, minute: float) -> float:
        """Arrivals at a local minute of the day, as a share of the busiest hour's."""
        at = minute / 60 - 0.5
        before = math.floor(at)
        weight = at - before
        return self.day[before % 24] * (1 - weight) + self.day[(before + 1) % 24] * weight

    def shifts(self, pool: PoolPlan, *, weekday: int, rate: float) -> tuple[Shift, ...]:
        """The working days that cover what *pool* needs on a weekday, at *rate* times the load.

        Half-hours are filled in order from 06:00 on with shifts of eight, five and six hours; a
        shift may run on into the next morning.
        """
        need = self._needed(pool, weekday=weekday, rate=rate)
        cover = [0.0] * HALF_HOURS
        lengths = (16, 10, 16, 12)
        shifts: list[Shift] = []
        first, last = round(pool.hours[0] * 2), round(pool.hours[1] * 2)
        is_always = last - first == HALF_HOURS
        start = 12 if is_always else first
        for step in range(last - first):
            slot = (start + step) % HALF_HOURS
            while cover[slot] < need[slot]:
                length = lengths[len(shifts) % len(lengths)]
                if not is_always:
                    length = min(length, last - slot)
                shift = _shift(slot, length, len(shifts))
                for covered in range(slot, slot + length):
                    cover[covered % HALF_HOURS] += shift.present(covered * 30)
                shifts.append(shift)
        return tuple(shifts)

    def _needed(self, pool: PoolPlan, *, weekday: int, rate: float) -> list[float]:
        """Agents wanted in each half-hour of the day; square-root staffing."""
        loads = [0.0] * HALF_HOURS
        for queue, share in pool.serves:
            plan = self.plan(queue)
            reaching = 1.0
            if plan.talk is not None:
                reaching -= plan.talk.bot_share * plan.talk.contained_share
            erlangs = plan.per_hour * reaching * (plan.handle_s + plan.after_s + 4) / 3600
            for slot in range(HALF_HOURS):
                loads[slot] += (
                    erlangs
                    * share
                    * rate
                    * self.week[weekday]
                    / pool.slots
                    * (self.level(slot * 30 + 15))
                )
        staffed = [pool.hours[0] <= slot / 2 < pool.hours[1] for slot in range(HALF_HOURS)]
        if pool.spread_evenly:
            even = sum(loads) / sum(staffed)
            loads = [even] * HALF_HOURS
        return [
            load + pool.slack * math.sqrt(load) if is_staffed else 0.0
            for load, is_staffed in zip(loads, staffed, strict=True)
        ]


def _shift(slot: int, length: int, ordinal: int) -> Shift:
    """A shift with its breaks, which differ from agent to agent so that they do not coincide."""
    begins_min = slot * 30
    breaks: tuple[tuple[int, int], ...] = ()
    if length >= 14:
        breaks = (
            (begins_min + 70 + ordinal * 17 % 80, 15),
            (begins_min + 190 + ordinal * 37 % 120, 30),
            (begins_min + 360 + ordinal * 29 % 80, 15),
        )
    elif length >= 6:
        breaks = ((begins_min + length * 15 - 60 + ordinal * 41 % 90, 15),)
    return Shift(begins_min, begins_min + length * 30, breaks)


def zone_where_it_is(hour: int, now_ms: int) -> timezone:
    """The whole-hour zone in which the local time at *now_ms* is within [hour, hour + 1)."""
    offset_h = (hour - now_ms % _DAY_MS // _HOUR_MS) % 24
    return timezone(timedelta(hours=offset_h if offset_h <= 12 else offset_h - 24))


def default_centre(zone: tzinfo = UTC) -> Centre:
    """A centre of about sixty agents on an ordinary weekday morning: six queues, four channels."""
    return Centre(
        zone=zone,
        queues=(
            QueuePlan(
                queue="sales",
                channel="voice",
                source="pbx",
                per_hour=430,
                hours=(7, 22),
                handle_s=74,
                after_s=12,
                threshold_s=20,
                patience_s=420,
                max_wait_s=900,
                overflow_to="support",
                overflow_after_s=300,
                room=60,
                topics=("new_contract", "upgrade", "prices"),
                transfers_to="billing",
            ),
            QueuePlan(
                queue="support",
                channel="voice",
                source="pbx",
                per_hour=540,
                handle_s=94,
                after_s=14,
                threshold_s=20,
                patience_s=450,
                max_wait_s=900,
                room=80,
                topics=("outage", "setup", "how_to", "repair"),
                transfers_to="billing",
            ),
            QueuePlan(
                queue="billing",
                channel="voice",
                source="pbx",
                per_hour=330,
                hours=(7, 20),
                handle_s=66,
                after_s=10,
                threshold_s=20,
                patience_s=480,
                max_wait_s=900,
                room=40,
                topics=("invoice", "payment", "refund"),
                transfers_to="support",
            ),
            QueuePlan(
                queue="webchat",
                channel="chat",
                source="chatdesk",
                per_hour=1250,
                hours=(7, 22),
                handle_s=222,
                threshold_s=120,
                patience_s=300,
                room=80,
                topics=("order", "delivery", "how_to"),
                talk=Talk(
                    exchanges=16, reply_s=7.5, pause_s=6.5, bot_share=1.0, contained_share=0.55
                ),
            ),
            QueuePlan(
                queue="messages",
                channel="messaging",
                source="chatdesk",
                per_hour=110,
                handle_s=420,
                threshold_s=900,
                topics=("order", "delivery", "invoice"),
                talk=Talk(exchanges=4, reply_s=35, pause_s=75, bot_share=0.5),
            ),
            QueuePlan(
                queue="mail",
                channel="email",
                source="chatdesk",
                per_hour=70,
                handle_s=170,
                threshold_s=86_400,
                topics=("complaint", "invoice", "contract"),
                talk=Talk(exchanges=1, reply_s=165, pause_s=0),
            ),
        ),
        pools=(
            PoolPlan(name="sales", serves=(("sales", 1.0),), hours=(7, 22.5), slack=0.6),
            PoolPlan(name="support", serves=(("support", 0.88),), slack=0.5),
            PoolPlan(name="billing", serves=(("billing", 0.7),), hours=(7, 20.5), slack=0.5),
            PoolPlan(
                name="phone",
                serves=(("support", 0.15), ("billing", 0.3)),
                hours=(7, 20.5),
                slack=0.5,
            ),
            PoolPlan(name="chat", serves=(("webchat", 1.0),), slots=3, hours=(7, 22.5), slack=0.3),
            PoolPlan(name="message", serves=(("messages", 1.0),), slots=5, slack=0.6),
            PoolPlan(
                name="mail",
                serves=(("mail", 1.0), ("messages", 0.0)),
                hours=(8, 18),
                slack=0.2,
                spread_evenly=True,
            ),
        ),
    )
