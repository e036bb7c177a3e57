"""Agents by state, queues open or closed, and what sources say of their own queues.

The newest event of each agent and queue wins, by (time, sequence, id), in whatever order they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from schemas.events import AgentChanged, AgentState, QueueClosed, QueueObserved, QueueOpened
from streams.core.policy import PolicyBook

MAX_AGENTS: Final = 200_000
MAX_QUEUES: Final = 5_000
MAX_REMEMBERED: Final = 100_000

Order = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Door:
    """Whether a queue is in service: since *since_ms*, closed for *reason* ("" when open)."""

    order: Order
    is_open: bool
    since_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Presence:
    """An agent's state and the queues served in it."""

    order: Order
    state: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """A source's own count of those waiting in a queue."""

    order: Order
    waiting: int


class Staffing:
    """What is known of agents and queues in one partition.

    Attributes:
        agents: by agent; never shown or logged.
        doors: by queue.
        observations: by queue.
    """

    def __init__(self, policies: PolicyBook, lateness_ms: int) -> None:
        self.agents: dict[str, Presence] = {}
        self.doors: dict[str, Door] = {}
        self.observations: dict[str, Observation] = {}
        self._policies = policies
        self._lateness_ms = lateness_ms
        self._remembered: dict[tuple[str, str], int] = {}
        self._swept_ms = 0

    def remember(self, source: str, event_id: str, time_ms: int, arrival_ms: int) -> bool:
        """Whether (source, id) is new; ids older than the allowed lateness are forgotten."""
        key = (source, event_id)
        if key in self._remembered:
            return False
        if (
            arrival_ms - self._swept_ms > self._lateness_ms // 4
            or len(self._remembered) >= MAX_REMEMBERED
        ):
            self._swept_ms = arrival_ms
            oldest_ms = arrival_ms - self._lateness_ms
            kept = {k: ms for k, ms in self._remembered.items() if ms >= oldest_ms}
            self._remembered = dict(list(kept.items())[-MAX_REMEMBERED // 2 :])
        self._remembered[key] = time_ms
        return True

    def take(
        self, event: AgentChanged | QueueOpened | QueueClosed | QueueObserved, time_ms: int
    ) -> None:
        """Let *event* replace what is known, if it is newer."""
        order = (time_ms, event.sequence, event.id)
        if isinstance(event, AgentChanged):
            self._take_agent(event, order)
            return
        queue = self._policies.canonical(event.queue, time_ms)
        if isinstance(event, QueueObserved):
            self._take_observation(queue, event, order)
        else:
            self._take_door(queue, event, order)

    def _take_observation(self, queue: str, event: QueueObserved, order: Order) -> None:
        seen = self.observations.get(queue)
        if event.waiting is None or (seen is None and len(self.observations) >= MAX_QUEUES):
            return
        if seen is None or order > seen.order:
            self.observations[queue] = Observation(order, event.waiting)

    def _take_door(self, queue: str, event: QueueOpened | QueueClosed, order: Order) -> None:
        door = self.doors.get(queue)
        if door is None and len(self.doors) >= MAX_QUEUES:
            return
        if door is None or order > door.order:
            is_open = isinstance(event, QueueOpened)
            reason = "" if isinstance(event, QueueOpened) else event.reason
            same = door is not None and (door.is_open, door.reason) == (is_open, reason)
            since_ms = door.since_ms if door is not None and same else order[0]
            self.doors[queue] = Door(order, is_open, since_ms, reason)

    def _take_agent(self, event: AgentChanged, order: Order) -> None:
        known = self.agents.get(event.agent)
        if known is None and len(self.agents) >= MAX_AGENTS:
            return
        if known is None or order > known.order:
            canonical = self._policies.canonical
            queues = tuple(dict.fromkeys(canonical(queue, order[0]) for queue in event.queues))
            if not queues and known is not None:
                queues = known.queues
            self.agents[event.agent] = Presence(order, event.state, queues)

    def agents_by_state(self) -> dict[str, dict[str, int]]:
        """How many agents of each queue are in each state, none left out."""
        staff: dict[str, dict[str, int]] = {}
        for presence in self.agents.values():
            for queue in presence.queues:
                states = staff.get(queue)
                if states is None:
                    states = staff[queue] = dict.fromkeys(get_args(AgentState), 0)
                states[presence.state] += 1
        return staff
