"""Agents by state, queues open or closed, and what sources say of their own queues.

The newest event of each agent and queue wins, by (time, sequence, row of the event table, id), in
whatever order they come; of two contents of one id, the greater one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal, NamedTuple, TypeVar, get_args
from zlib import crc32

import orjson

from schemas.events import (
    RANK,
    AgentChanged,
    AgentState,
    Event,
    QueueClosed,
    QueueObserved,
    QueueOpened,
)
from streams.core.blocks import GROUPS, Watch, group_of
from streams.core.policy import PolicyBook
from streams.core.pseudonyms import Pseudonyms

MAX_AGENTS: Final = 200_000
MAX_QUEUES: Final = 2_000
MAX_SERVED: Final = 1_000_000
OTHER: Final = "_other"
MAX_REMEMBERED: Final = 100_000
DOORS_KEPT: Final = 64
AGENT_KEPT_MS: Final = 7 * 24 * 3_600_000
"""An agent of whom nothing has been heard for this long is known no more."""

StaffingEvent = AgentChanged | QueueOpened | QueueClosed | QueueObserved


class Order(NamedTuple):
    """What decides which of two events is the newer one."""

    time_ms: int
    sequence: int
    rank: int
    id: str
    source: str
    content: bytes


_NEVER: Final = Order(-1, 0, 0, "", "", b"")


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

Met = Literal["new", "same", "other"]


class Staffing:
    """What is known of agents and queues in one partition.

    Queues beyond *max_queues* are one, and once `MAX_SERVED` pairs of agent and queue are known,
    further agents serve none.

    Attributes:
        groups: by agent, in groups of `group_of`; never shown or logged.
        pseudonyms: under which agents are kept; None for their own names.
        changed_ms: by queue, when one of its agents last changed.
        doors: by queue.
        observations: by queue.
        policies: which old ids mean which queues.
        watch: who is told before an agent changes, if anyone.
        queues: those told apart.
        remembered: by source and id, when an event happened and the checksum of its content.
        swept_ms: the arrival at which `remembered` was last rid of what is too old.
    """

    def __init__(
        self,
        policies: PolicyBook,
        lateness_ms: int,
        *,
        max_queues: int = MAX_QUEUES,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self.groups: list[dict[str, Presence]] = [{} for _ in range(GROUPS)]
        self._agents = 0
        self.changed_ms: dict[str, int] = {}
        self.doors: dict[str, Door] = {}
        self.observations: dict[str, Observation] = {}
        self._doors: dict[str, list[Door]] = {}
        self._states: dict[str, dict[str, int]] = {}
        self.watch: Watch | None = None
        self._served = 0
        self.queues: set[str] = set()
        self._max_queues = max_queues
        self.pseudonyms = pseudonyms
        self.policies = policies
        self._lateness_ms = lateness_ms
        self.remembered: dict[tuple[str, str], tuple[int, int]] = {}
        self.swept_ms = 0

    @property
    def agents(self) -> dict[str, Presence]:
        """All agents; a copy."""
        return dict(chain.from_iterable(group.items() for group in self.groups))

    @property
    def known_doors(self) -> dict[str, list[Door]]:
        """By queue, the newest events from which `doors` is known, sorted."""
        return self._doors

    def remember(self, event: Event, time_ms: int, arrival_ms: int) -> Met:
        """Whether this id of its source is new, or was met with the same or with other content.

        Ids older than the allowed lateness are forgotten.
        """
        key = (event.source, event.id)
        digest = crc32(b"%d %d %b" % (time_ms, RANK[type(event)], content_of(event)))
        known = self.remembered.get(key)
        if known is not None:
            return "same" if known[1] == digest else "other"
        if (
            arrival_ms - self.swept_ms > self._lateness_ms // 4
            or len(self.remembered) >= MAX_REMEMBERED
        ):
            self.swept_ms = arrival_ms
            oldest_ms = arrival_ms - self._lateness_ms
            kept = {k: met for k, met in self.remembered.items() if met[0] >= oldest_ms}
            self.remembered = dict(list(kept.items())[-MAX_REMEMBERED // 2 :])
        self.remembered[key] = (time_ms, digest)
        return "new"

    def take(self, event: StaffingEvent, time_ms: int) -> bool:
        """Let *event* replace what is known, if it is newer; False where there is no room for it.

        Another content of an id met before may be taken, too: the greater one wins.
        """
        content = content_of(event, with_agent=self.pseudonyms is None)
        order = Order(time_ms, event.sequence, RANK[type(event)], event.id, event.source, content)
        if isinstance(event, AgentChanged):
            return self._take_agent(event, order)
        queue = self._bounded(self.policies.canonical(event.queue, time_ms))
        if queue == OTHER:
            return False
        if isinstance(event, QueueObserved):
            self._take_observation(queue, event, order)
        else:
            self._take_door(queue, event, order)
        return True

    def _take_observation(self, queue: str, event: QueueObserved, order: Order) -> None:
        seen = self.observations.get(queue)
        if event.waiting is None:
            return
        if seen is None or order > seen.order:
            self.observations[queue] = Observation(order, event.waiting)

    def _take_door(self, queue: str, event: QueueOpened | QueueClosed, order: Order) -> None:
        """Keep what came before, too: since when a queue is as it is depends on it."""
        known = self._doors.get(queue)
        if known is None:
            known = self._doors[queue] = []
        is_open = isinstance(event, QueueOpened)
        reason = "" if isinstance(event, QueueOpened) else event.reason
        known.append(Door(order, is_open, order.time_ms, reason))
        known.sort(key=lambda door: door.order)
        _keep_one_content(known)
        for at in range(1, len(known)):
            before, door = known[at - 1], known[at]
            same = (before.is_open, before.reason) == (door.is_open, door.reason)
            known[at] = replace(door, since_ms=before.since_ms if same else door.order.time_ms)
        del known[:-DOORS_KEPT]
        self.doors[queue] = known[-1]

    def _take_agent(self, event: AgentChanged, order: Order) -> bool:
        name = event.agent if self.pseudonyms is None else self.pseudonyms.of(event.agent)
        group = group_of(name)
        agents = self.groups[group]
        known = agents.get(name)
        if known is None:
            if self._agents >= MAX_AGENTS:
                return False
            self._agents += 1
            known = Presence(_NEVER, event.state, _NEVER, ())
        new = known
        if order > known.order:
            new = replace(new, order=order, state=event.state)
        if event.queues and order > known.queues_order:
            new = replace(new, queues_order=order, queues=self._named(event.queues, order.time_ms))
        self._count(known, -1)
        self._count(new, 1)
        has_room = self._served <= MAX_SERVED
        if not has_room:
            self._count(new, -1)
            new = replace(new, queues=())
        if self.watch is not None:
            self.watch.agents_change(group)
        agents[name] = new
        for queue in new.queues:
            self.changed_ms[queue] = max(self.changed_ms.get(queue, 0), order.time_ms)
        return has_room

    def forget_before(self, time_ms: int) -> None:
        """Forget agents of whom nothing has been heard since *time_ms*."""
        for group, agents in enumerate(self.groups):
            silent = [name for name, known in agents.items() if known.order.time_ms < time_ms]
            if silent and self.watch is not None:
                self.watch.agents_change(group)
            for name in silent:
                self._count(agents.pop(name), -1)
            self._agents -= len(silent)

    def put_agent(self, name: str, presence: Presence) -> None:
        """Know the agent *name*, not known before, as *presence*."""
        self.groups[group_of(name)][name] = presence
        self._agents += 1
        self._count(presence, 1)

    def _named(self, queues: Iterable[str], time_ms: int) -> tuple[str, ...]:
        canonical = self.policies.canonical
        return tuple(dict.fromkeys(self._bounded(canonical(queue, time_ms)) for queue in queues))

    def _bounded(self, queue: str) -> str:
        if queue not in self.queues:
            if len(self.queues) >= self._max_queues and not self.policies.is_named(queue):
                return OTHER
            self.queues.add(queue)
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


def content_of(event: Event, *, with_agent: bool = True) -> bytes:
    """What is kept of *event*, but for when and by whom: decides between contents of one id.

    Between those of one agent the name decides nothing.
    """
    kept: dict[str, object] = {}
    if isinstance(event, AgentChanged):
        kept = {"state": event.state, "queues": event.queues}
        if with_agent:
            kept["agent"] = event.agent
    elif isinstance(event, QueueClosed):
        kept = {"queue": event.queue, "reason": event.reason}
    elif isinstance(event, QueueObserved):
        kept = {"queue": event.queue, "waiting": event.waiting}
    elif isinstance(event, QueueOpened):
        kept = {"queue": event.queue}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def _keep_one_content(doors: list[Door]) -> None:
    """Of sorted *doors* with one id of one source, drop all but the last."""
    newest = {(door.order.id, door.order.source): door for door in doors}
    doors[:] = [door for door in doors if newest[door.order.id, door.order.source] is door]


def _keep_newest(mine: dict[str, T], theirs: Mapping[str, T]) -> None:
    for name, item in theirs.items():
        known = mine.get(name)
        if known is None or item.order > known.order:
            mine[name] = item
