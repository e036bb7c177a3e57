"""Agents by state, queues open or closed, and what sources say of their own queues.

The newest event of each agent and queue wins, by (time, sequence, id), in whatever order they come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, get_args

from schemas.events import AgentChanged, AgentState, QueueClosed, QueueObserved, QueueOpened
from streams.core.policy import PolicyBook

MAX_AGENTS: Final = 200_000
MAX_QUEUES: Final = 5_000
MAX_REMEMBERED: Final = 100_000
DOORS_KEPT: Final = 64

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
    """An agent's state and the queues served, each as of the newest event that names it."""

    order: Order
    state: str
    queues_order: Order
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
        self._doors: dict[str, list[Door]] = {}
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
        """Keep what came before, too: since when a queue is as it is depends on it."""
        known = self._doors.get(queue)
        if known is None:
            if len(self._doors) >= MAX_QUEUES:
                return
            known = self._doors[queue] = []
        is_open = isinstance(event, QueueOpened)
        reason = "" if isinstance(event, QueueOpened) else event.reason
        known.append(Door(order, is_open, order[0], reason))
        known.sort(key=lambda door: door.order)
        for at in range(1, len(known)):
            before, door = known[at - 1], known[at]
            same = (before.is_open, before.reason) == (door.is_open, door.reason)
            known[at] = replace(door, since_ms=before.since_ms if same else door.order[0])
        del known[:-DOORS_KEPT]
        self.doors[queue] = known[-1]

    def _take_agent(self, event: AgentChanged, order: Order) -> None:
        known = self.agents.get(event.agent)
        if known is None:
            if len(self.agents) >= MAX_AGENTS:
                return
            known = Presence((-1, 0, ""), event.state, (-1, 0, ""), ())
        if order > known.order:
            known = replace(known, order=order, state=event.state)
        if event.queues and order > known.queues_order:
            canonical = self._policies.canonical
            queues = tuple(dict.fromkeys(canonical(queue, order[0]) for queue in event.queues))
            known = replace(known, queues_order=order, queues=queues)
        self.agents[event.agent] = known

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
