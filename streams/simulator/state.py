"""Who and what is on the simulated floor at one moment: contacts, agents, queues."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from streams.simulator.centre import QueuePlan, Talk

STATES: Final = ("available", "on_contact", "after_contact_work", "not_ready")
_NO_TALK: Final = Talk(exchanges=0, reply_s=0, pause_s=0)


@dataclass(slots=True, eq=False)
class Contact:
    """A contact in progress.

    Attributes:
        stage: grows with every step that voids what was planned before: entering a queue, being
            answered, being over.
        ring: grows when an agent is asked to take the contact and again when that is over, so it
            is odd while a telephone rings.
        head_start_ms: place in line gained by the customer's segment.
        exchanges: replies still to come from an agent.
        is_gone: the customer has left without a word.
        is_known: an event has said whose contact it is.
    """

    id: str
    queue: Queue
    customer: str
    interaction: str
    segment: str
    head_start_ms: int
    topic: str
    key: bytes
    agent: Agent | None = None
    sequence: int = 0
    stage: int = 0
    ring: int = 0
    queued_ms: int = 0
    exchanges: int = 0
    is_gone: bool = False
    is_known: bool = False

    @property
    def is_ringing(self) -> bool:
        """Whether an agent has been asked and has neither taken it nor missed it."""
        return self.ring % 2 == 1

    @property
    def served_by(self) -> Agent:
        """The agent who was asked to take the contact or serves it."""
        if self.agent is None:
            raise AssertionError(f"contact {self.id} is with nobody")
        return self.agent


@dataclass(slots=True, eq=False)
class Agent:
    """An agent: on duty until *until_ms*, serving *load* contacts at once.

    Attributes:
        pause_ms: length of the break that is due or running; 0 for none.
        is_pausing: the break has begun.
        is_leaving: logs out once the work in hand is done.
        is_out: kept away by an incident.
    """

    id: str
    key: bytes
    queues: tuple[Queue, ...]
    slots: int
    state: str = "logged_out"
    until_ms: int = 0
    load: int = 0
    pause_ms: int = 0
    is_pausing: bool = False
    is_on_duty: bool = False
    is_leaving: bool = False
    is_out: bool = False

    @property
    def takes_contacts(self) -> bool:
        """Whether another contact may be given to this agent."""
        return not (self.load >= self.slots or self.is_leaving or self.is_out or self.pause_ms)


@dataclass(slots=True, eq=False)
class Queue:
    """A queue: who waits, which agents are idle, and what is wrong with it.

    Attributes:
        line: (when queued less the head start, tie-breaker, contact, its stage), as a heap;
            entries whose contact has moved on are dropped when they come up.
        waiting: contacts that wait, those for whom a telephone rings included.
        idle: agents who could take a contact now, the longest idle first.
        on_duty: agents of this queue who are logged in.
        staff: those by state.
        late: incidents that make its events late.
        twice: incidents that make its events arrive twice.
    """

    plan: QueuePlan
    key: bytes
    topic: str
    talk: Talk = _NO_TALK
    line: list[tuple[int, int, Contact, int]] = field(default_factory=list)
    waiting: int = 0
    idle: OrderedDict[Agent, None] = field(default_factory=OrderedDict)
    on_duty: int = 0
    staff: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    is_open: bool = False
    is_faulty: bool = False
    late: int = 0
    twice: int = 0

    @property
    def is_voice(self) -> bool:
        """Whether its contacts are calls."""
        return self.plan.talk is None


def queue_of(plan: QueuePlan) -> Queue:
    """An empty queue, not yet open."""
    topic = "calls" if plan.channel == "voice" else "chats"
    return Queue(plan, plan.queue.encode(), topic, plan.talk or _NO_TALK)
