"""The members of Asterisk's queues: who is logged in where, paused or talking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from schemas.events import MAX_QUEUES, AgentState

_LOGINS: Final = frozenset({"AGENTLOGIN", "AGENTCALLBACKLOGIN"})
_LOGOFFS: Final = frozenset({"AGENTLOGOFF", "AGENTCALLBACKLOGOFF"})
_PAUSES: Final = frozenset({"PAUSE", "PAUSEALL"})
_UNPAUSES: Final = frozenset({"UNPAUSE", "UNPAUSEALL"})
STAFF_LINES: Final = frozenset(
    {"ADDMEMBER", "REMOVEMEMBER", *_LOGINS, *_LOGOFFS, *_PAUSES, *_UNPAUSES}
)

MAX_MEMBERS: Final = 20_000


class Presence(NamedTuple):
    """What an agent does, and the queues for which it holds."""

    agent: str
    state: AgentState
    queues: tuple[str, ...]


@dataclass(slots=True)
class _Member:
    """A member: paused or not in each queue, and how many calls are being talked on."""

    paused: dict[str, bool] = field(default_factory=dict)
    is_paused_everywhere: bool = False
    is_logged_in: bool = False
    is_logged_off: bool = False
    talking: int = 0
    told: Presence | None = None

    def presence(self, agent: str) -> Presence:
        """The state that follows; who is paused in some queues only is available in the others."""
        queues = tuple(self.paused)[:MAX_QUEUES]
        serving = tuple(queue for queue in queues if not self.paused[queue])
        if self.is_logged_off or not (queues or self.is_logged_in):
            return Presence(agent, "logged_out", queues)
        if self.talking:
            return Presence(agent, "on_contact", queues)
        if serving or not (queues or self.is_paused_everywhere):
            return Presence(agent, "available", serving)
        return Presence(agent, "not_ready", queues)


class Members:
    """Every member the log has named; each change gives the new presence, or None for no news.

    At most 20,000 are remembered; then the one named first is forgotten.
    """

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}

    def change(self, event: str, agent: str, queue: str, is_paused: bool) -> Presence | None:
        """A line of `STAFF_LINES`.

        Args:
            event: of the line.
            agent: the member as the log names it.
            queue: "" for every queue of a pause.
            is_paused: an ADDMEMBER adds the member paused.
        """
        member = self._members.get(agent)
        if member is None:
            if len(self._members) >= MAX_MEMBERS:
                del self._members[next(iter(self._members))]
            member = self._members[agent] = _Member()
        if event == "ADDMEMBER":
            member.paused[queue] = is_paused
            member.is_logged_off = False
        elif event == "REMOVEMEMBER":
            member.paused.pop(queue, None)
        elif event in _LOGINS:
            member.is_logged_in, member.is_logged_off = True, False
        elif event in _LOGOFFS:
            member.is_logged_in, member.is_logged_off, member.talking = False, True, 0
        elif queue:
            member.paused[queue] = event in _PAUSES
        else:
            member.is_paused_everywhere = event in _PAUSES
            member.paused = dict.fromkeys(member.paused, event in _PAUSES)
        return self._news(agent, member)

    def took_call(self, agent: str, queue: str) -> Presence | None:
        """A member talks on a call of *queue*, which shows that the member serves it."""
        member = self._members.get(agent)
        if member is None:
            return None
        if queue:
            member.paused.setdefault(queue, False)
        member.talking += 1
        return self._news(agent, member)

    def done_with_call(self, agent: str) -> Presence | None:
        """A member no longer talks on a call."""
        member = self._members.get(agent)
        if member is None:
            return None
        member.talking = max(0, member.talking - 1)
        return self._news(agent, member)

    def all_calls_over(self) -> Iterator[Presence]:
        """Nobody talks any more."""
        for agent, member in self._members.items():
            member.talking = 0
            presence = self._news(agent, member)
            if presence is not None:
                yield presence

    def _news(self, agent: str, member: _Member) -> Presence | None:
        presence = member.presence(agent)
        if presence == member.told:
            return None
        member.told = presence
        return presence
