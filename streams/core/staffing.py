"""Agents by state, queues open or closed, and what sources say of their own queues.

The newest event of each agent and queue wins, by (time, sequence, id), in whatever order they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar, get_args

from schemas.events import AgentChanged, AgentState, QueueClosed, QueueObserved, QueueOpened
from streams.core.policy import PolicyBook

MAX_AGENTS: Final = 200_000
MAX_QUEUES: Final = 2_000
MAX_SERVED: Final = 1_000_000
OTHER: Final = "_other"
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


T = TypeVar("T", Door, Observation)


class Staffing:
    """What is known of agents and queues in one partition.

    Queues beyond *max_queues* are one, and once `MAX_SERVED` pairs of agent and queue are known,
    further agents serve none.

    Attributes:
        agents: by agent; never shown or logged.
        changed_ms: by queue, when one of its agents last changed.
        doors: by queue.
        observations: by queue.
    """

    def __init__(
        self, policies: PolicyBook, lateness_ms: int, *, max_queues: int = MAX_QUEUES
    ) -> None:
        self.agents: dict[str, Presence] = {}
        self.changed_ms: dict[str, int] = {}
        self.doors: dict[str, Door] = {}
        self.observations: dict[str, Observation] = {}
        self._doors: dict[str, list[Door]] = {}
        self._states: dict[str, dict[str, int]] = {}
        self._served = 0
        self._queues: set[str] = set()
        self._max_queues = max_queues
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
        queue = self._bounded(self._policies.canonical(event.queue, time_ms))
        if isinstance(event, QueueObserved):
            self._take_observation(queue, event, order)
        else:
            self._take_door(queue, event, order)

    def _take_observation(self, queue: str, event: QueueObserved, order: Order) -> None:
        seen = self.observations.get(queue)
        if event.waiting is None or queue == OTHER:
            return
        if seen is None or order > seen.order:
            self.observations[queue] = Observation(order, event.waiting)

    def _take_door(self, queue: str, event: QueueOpened | QueueClosed, order: Order) -> None:
        """Keep what came before, too: since when a queue is as it is depends on it."""
        known = self._doors.get(queue)
        if queue == OTHER:
            return
        if known is None:
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
        new = known
        if order > known.order:
            new = replace(new, order=order, state=event.state)
        if event.queues and order > known.queues_order:
            new = replace(new, queues_order=order, queues=self._named(event.queues, order[0]))
        self._count(known, -1)
        self._count(new, 1)
        if self._served > MAX_SERVED:
            self._count(new, -1)
            new = replace(new, queues=())
        self.agents[event.agent] = new
        for queue in new.queues:
            self.changed_ms[queue] = max(self.changed_ms.get(queue, 0), order[0])

    def _named(self, queues: Iterable[str], time_ms: int) -> tuple[str, ...]:
        canonical = self._policies.canonical
        return tuple(dict.fromkeys(self._bounded(canonical(queue, time_ms)) for queue in queues))

    def _bounded(self, queue: str) -> str:
        if queue not in self._queues:
            if len(self._queues) >= self._max_queues and not self._policies.is_named(queue):
                return OTHER
            self._queues.add(queue)
        return queue

    def _count(self, presence: Presence, sign: int) -> None:
        self._served += sign * len(presence.queues)
        for queue in presence.queues:
            self._add(queue, presence.state, sign)

    def _add(self, queue: str, state: str, by: int) -> None:
        states = self._states.get(queue)
        if states is None:
            states = self._states[queue] = dict.fromkeys(get_args(AgentState), 0)
        states[state] += by

    def agents_by_state(self) -> dict[str, dict[str, int]]:
        """How many agents of each queue are in each state, none left out."""
        return {
            queue: dict(states) for queue, states in self._states.items() if any(states.values())
        }

    def add(self, other: Staffing) -> None:
        """Merge another partition's: agents add up, of doors and observations the newest stay."""
        for queue, states in other.agents_by_state().items():
            for state, count in states.items():
                self._add(queue, state, count)
        for queue, time_ms in other.changed_ms.items():
            self.changed_ms[queue] = max(self.changed_ms.get(queue, 0), time_ms)
        _keep_newest(self.doors, other.doors)
        _keep_newest(self.observations, other.observations)


def _keep_newest(mine: dict[str, T], theirs: Mapping[str, T]) -> None:
    for name, item in theirs.items():
        known = mine.get(name)
        if known is None or item.order > known.order:
            mine[name] = item
