"""How a queue is doing, in one word and the reason for it.

The word is decided here and nowhere else; the wall, the API and the tests read it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from streams.core.contact import VOICE
from streams.core.figures import Live, abandonment, fractions
from streams.core.floor import QueueFloor
from streams.core.formulas import ratio_of
from streams.core.policy import QueuePolicy, VisitPolicy
from streams.core.tally import Sums

TROUBLE: Final = "trouble"
WATCH: Final = "watch"
GOOD: Final = "good"
TOO_FEW: Final = "too_few"
NO_CALLS: Final = "no_calls"
CLOSED: Final = "closed"
NO_DATA: Final = "no_data"
CATCHING_UP: Final = "catching_up"

STATES: Final = (TROUBLE, WATCH, GOOD, TOO_FEW, NO_CALLS, CLOSED, NO_DATA, CATCHING_UP)
"""Worst first; the last ones say that nothing is known now."""

REASONS: Final = {
    "longest_wait": "longest wait over {}",
    "out_of_service": "out of service",
    "nobody_staffed": "nobody staffed",
    "reply_awaited": "reply awaited over {}",
    "service_level": "service level under {}",
    "abandoned": "abandoned over {}",
}
"""Why a queue is in trouble or to be watched, by the id of the cause."""

DURATIONS: Final = frozenset({"longest_wait", "reply_awaited"})
"""The causes whose limit is a duration."""

STAFFED: Final = frozenset({"available", "on_contact", "after_contact_work"})


class Cause(NamedTuple):
    """Which limit is passed: `id`, one of `REASONS`, and the limit itself where it has one.

    The limit is in ms of a duration, and a ratio from 0 to 1 otherwise.
    """

    id: str
    limit: float | None = None

    @property
    def reason(self) -> str:
        """The same in words."""
        if self.limit is None:
            return REASONS[self.id]
        if self.id in DURATIONS:
            return REASONS[self.id].format(clock(int(self.limit)))
        return REASONS[self.id].format(f"{self.limit * 100:.0f} %")


class Judgement(NamedTuple):
    """A state and, where a limit is passed, which one."""

    state: str
    cause: Cause | None = None

    @property
    def reason(self) -> str:
        """The cause in words, "" without one."""
        return "" if self.cause is None else self.cause.reason


def judge(queue: QueueFloor, policy: QueuePolicy, visits: VisitPolicy, now_ms: int) -> Judgement:
    """The state of *queue* at *now_ms* under its policy in force now.

    Trouble is a critical limit passed, watch a warning limit. Ratios that rest on fewer contacts
    than the volume floor decide nothing.
    """
    if queue.catching_up:
        return Judgement(CATCHING_UP)
    if queue.no_data_since_ms is not None:
        return Judgement(NO_DATA)
    live = queue.live
    sums = queue.windows[policy.windows[0]]
    critical = _critical(queue, policy, now_ms)
    if critical:
        return Judgement(TROUBLE, critical)
    warning = _waiting_warning(queue, policy, visits, now_ms) or _ratio_warning(sums, live, policy)
    if warning:
        return Judgement(WATCH, warning)
    return Judgement(_quiet(queue, sums, policy))


def _quiet(queue: QueueFloor, sums: Sums, policy: QueuePolicy) -> str:
    """The state of a queue that passes no limit."""
    live = queue.live
    if queue.door is not None and not queue.door.is_open and not live.waiting:
        return CLOSED
    counted = fractions(sums, live, (policy.formula,))[policy.formula][1]
    if not counted and not live.waiting:
        return NO_CALLS
    return TOO_FEW if counted < policy.volume_floor else GOOD


def _critical(queue: QueueFloor, policy: QueuePolicy, now_ms: int) -> Cause | None:
    live = queue.live
    wait_ms = _age_ms(live.oldest_ms, now_ms)
    if wait_ms > policy.longest_wait_critical_ms:
        return Cause("longest_wait", policy.longest_wait_critical_ms)
    if queue.door is not None and not queue.door.is_open and queue.door.reason == "fault":
        return Cause("out_of_service")
    staffed = live.agents is None or any(
        count for state, count in live.agents.items() if state in STAFFED
    )
    return None if staffed or not live.waiting else Cause("nobody_staffed")


def _waiting_warning(
    queue: QueueFloor, policy: QueuePolicy, visits: VisitPolicy, now_ms: int
) -> Cause | None:
    live = queue.live
    if _age_ms(live.oldest_ms, now_ms) > policy.longest_wait_warning_ms:
        return Cause("longest_wait", policy.longest_wait_warning_ms)
    limit_ms = visits.initial_response_limit_ms
    # A caller awaits a reply exactly while waiting, which has its own limits.
    if queue.channel != VOICE and _age_ms(live.oldest_awaiting_ms, now_ms) > limit_ms:
        return Cause("reply_awaited", limit_ms)
    return None


def _ratio_warning(sums: Sums, live: Live, policy: QueuePolicy) -> Cause | None:
    level = fractions(sums, live, (policy.formula,))[policy.formula]
    if level[1] >= policy.volume_floor and (ratio_of(level) or 0.0) < policy.target_ratio:
        return Cause("service_level", policy.target_ratio)
    abandoned, ended = abandonment(sums)
    if ended >= policy.volume_floor and abandoned > policy.abandonment_limit_ratio * ended:
        return Cause("abandoned", policy.abandonment_limit_ratio)
    return None


def clock(duration_ms: int) -> str:
    """A limit as it is read on a wall: `3:20`, `1:00:00`."""
    minutes, seconds = divmod(duration_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _age_ms(since_ms: int | None, now_ms: int) -> int:
    return 0 if since_ms is None else now_ms - since_ms
