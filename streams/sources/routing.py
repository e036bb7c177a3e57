"""Which topic and key an event travels under, so that one thing's events share one partition."""

from __future__ import annotations

from typing import Final, NamedTuple

CALLS: Final = "calls"
CHATS: Final = "chats"
QUEUES: Final = "queues"
VOICE: Final = "voice"

GENERATION: Final = 250_000


class Route(NamedTuple):
    """Where a record goes.

    Attributes:
        topic: `calls`, `chats` or `queues`; None stands for every topic.
        key: what the partition is chosen by; None stands for every partition of the topic.
    """

    topic: str | None
    key: bytes | None


EVERYWHERE: Final = Route(None, None)
UNREADABLE: Final = Route(CALLS, b"")


class Router:
    """Chooses the topic of each event; remembers which contacts have named their channel.

    - `source.*` goes everywhere.
    - `queue.*` and `agent.*` go to `queues`, under the queue or the agent.
    - An event that names a contact goes where that contact's events go, under the contact:
      `calls` when the contact's first named channel is voice or none was named yet, else `chats`.
      That includes surveys, audits, complaints and follow-ups, so that they meet their contact.
    - Anything else goes to `queues` under its agent, its queue or, with neither, its own id.

    A contact's channel is taken from the first event that names one. At least the newest 250,000
    contacts are remembered, at most twice as many; one that is forgotten, or that names a text
    channel only after events without any channel, has its channel-less events in `calls`.
    """

    def __init__(self) -> None:
        self._newer: dict[str, str] = {}
        self._older: dict[str, str] = {}

    def route(
        self, kind: str, *, contact: str, channel: str, agent: str, queue: str, event_id: str
    ) -> Route:
        """The topic and key of an event of type *kind*; absent texts are ""."""
        if kind.startswith("source."):
            return EVERYWHERE
        if kind.startswith("agent."):
            return Route(QUEUES, (agent or event_id).encode())
        if kind.startswith("queue."):
            return Route(QUEUES, (queue or event_id).encode())
        if contact:
            return Route(self._contact_topic(contact, channel), contact.encode())
        return Route(QUEUES, (agent or queue or event_id).encode())

    def _contact_topic(self, contact: str, channel: str) -> str:
        topic = self._newer.get(contact)
        if topic is not None:
            return topic
        topic = self._older.get(contact)
        if topic is None:
            if not channel:
                return CALLS
            topic = CALLS if channel == VOICE else CHATS
        if len(self._newer) >= GENERATION:
            self._older, self._newer = self._newer, {}
        self._newer[contact] = topic
        return topic
