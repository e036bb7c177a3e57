"""The canonical events: what happened on the floor, one flat JSON object per Kafka record.

The structs below are the only place where fields, bounds and allowed values are written. The
decoder, the JSON Schema files and the AsyncAPI document are made from them.

A text that does not apply is absent on the wire and "" here; an empty text on the wire is the same
as an absent one. Bounds on texts and collections keep a broken producer from growing memory.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from schemas.instants import INSTANT_PATTERN, MAX_INSTANT_LENGTH

MAX_TEXT_LENGTH: Final = 256
"""Characters of any text field."""

MAX_QUEUES: Final = 256
"""Queues one agent may be said to serve."""

MAX_STATES: Final = 32
"""Agent states one observation of a queue may count."""

MAX_INTEGER: Final = 2**63 - 1
MAX_SECONDS: Final = 31_536_000.0
"""A year: no wait announced to a customer is longer."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_LENGTH)]
Text: TypeAlias = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)]
Instant: TypeAlias = Annotated[
    str,
    Meta(
        max_length=MAX_INSTANT_LENGTH,
        extra_json_schema={"format": "date-time", "pattern": INSTANT_PATTERN},
    ),
]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
QueueNames: TypeAlias = Annotated[tuple[Name, ...], Meta(max_length=MAX_QUEUES)]
CountByState: TypeAlias = Annotated[dict[Name, Count], Meta(max_length=MAX_STATES)]

RefusedReason: TypeAlias = Literal["full", "closed", "no_agents"]
LeftReason: TypeAlias = Literal[
    "timeout", "overflow", "callback", "voicemail", "key", "empty", "withdrawn", "error", "bot"
]
ReplyBy: TypeAlias = Literal["human", "bot"]
TransferMode: TypeAlias = Literal["", "blind", "consult"]
EndedBy: TypeAlias = Literal["", "customer", "agent", "system"]
ClosedReason: TypeAlias = Literal["planned", "fault"]
AgentState: TypeAlias = Literal[
    "available", "on_contact", "after_contact_work", "not_ready", "logged_out"
]


class Event(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True
):
    """Something that happened at one moment, told by one source.

    Attributes:
        id: unique per source; the same source and id again is a duplicate.
        time: RFC 3339 with offset, the moment it happened, at the source.
        source: the system that says so.
        sequence: the source's own order among events of the same moment; 0 when it has none.
    """

    id: Name
    time: Instant
    source: Name
    sequence: Count = 0


class ContactEvent(Event, frozen=True, kw_only=True):
    """Something that happened to one contact: one call, one chat.

    Attributes:
        contact: the contact's key; all its events are in one partition.
        queue: the queue it is about, once known.
        channel: voice, chat, messaging, email or another.
        interaction: the customer's whole matter, which may take several contacts.
        agent: the person who serves, as an opaque key.
        customer: an opaque key, never a number or an address.
        segment: the customer's type.
        topic: what the contact is about.
    """

    contact: Name
    queue: Text = ""
    channel: Text = ""
    interaction: Text = ""
    agent: Text = ""
    customer: Text = ""
    segment: Text = ""
    topic: Text = ""


class Offered(ContactEvent, frozen=True, kw_only=True, tag="contact.offered"):
    """The contact asks for a person; its queue is a default for what follows."""


class Refused(ContactEvent, frozen=True, kw_only=True, tag="contact.refused"):
    """The contact is turned away at the door.

    Attributes:
        reason: why it was turned away.
    """

    reason: RefusedReason


class Queued(ContactEvent, frozen=True, kw_only=True, tag="contact.queued"):
    """The contact is sent to wait in a queue.

    Attributes:
        announced_wait_s: the wait announced to the customer, in seconds, if one was.
    """

    announced_wait_s: Seconds | None = None


class Rang(ContactEvent, frozen=True, kw_only=True, tag="contact.rang"):
    """The contact is offered to an agent."""


class Unanswered(ContactEvent, frozen=True, kw_only=True, tag="contact.unanswered"):
    """That agent did not take it; the contact waits on."""


class Answered(ContactEvent, frozen=True, kw_only=True, tag="contact.answered"):
    """An agent took the contact."""


class Messaged(ContactEvent, frozen=True, kw_only=True, tag="contact.messaged"):
    """A message from the customer."""


class Replied(ContactEvent, frozen=True, kw_only=True, tag="contact.replied"):
    """A message to the customer; notes and system texts are not replies.

    Attributes:
        by: who wrote it.
    """

    by: ReplyBy


class Held(ContactEvent, frozen=True, kw_only=True, tag="contact.held"):
    """The customer is put on hold."""


class Resumed(ContactEvent, frozen=True, kw_only=True, tag="contact.resumed"):
    """The customer is off hold."""


class Transferred(ContactEvent, frozen=True, kw_only=True, tag="contact.transferred"):
    """An agent passes the contact on, to a queue or an agent.

    Attributes:
        to: the queue or agent it goes to.
        mode: whether the agent talked to the next one first.
    """

    to: Text = ""
    mode: TransferMode = ""


class Abandoned(ContactEvent, frozen=True, kw_only=True, tag="contact.abandoned"):
    """The customer left while waiting."""


class Left(ContactEvent, frozen=True, kw_only=True, tag="contact.left"):
    """The contact left the queue unanswered by another route.

    Attributes:
        reason: the route taken.
    """

    reason: LeftReason


class Ended(ContactEvent, frozen=True, kw_only=True, tag="contact.ended"):
    """The contact is over.

    Attributes:
        by: who ended it; the customer when nothing is said.
    """

    by: EndedBy = ""


class Wrapped(ContactEvent, frozen=True, kw_only=True, tag="contact.wrapped"):
    """After-contact work is finished."""


class Resolved(ContactEvent, frozen=True, kw_only=True, tag="contact.resolved"):
    """The matter is solved.

    Attributes:
        first_contact: whether this was its first contact; null when the source does not know.
    """

    first_contact: bool | None = None


class Reopened(ContactEvent, frozen=True, kw_only=True, tag="contact.reopened"):
    """The matter is open again."""


class QueueOpened(Event, frozen=True, kw_only=True, tag="queue.opened"):
    """The line is in service.

    Attributes:
        queue: the line.
    """

    queue: Name


class QueueClosed(Event, frozen=True, kw_only=True, tag="queue.closed"):
    """The line is out of service.

    Attributes:
        queue: the line.
        reason: whether that was meant.
    """

    queue: Name
    reason: ClosedReason


class QueueObserved(Event, frozen=True, kw_only=True, tag="queue.observed"):
    """The source's own count of a queue: a cross-check, never the truth.

    Attributes:
        queue: the queue counted.
        waiting: contacts that wait in it; null when the source does not say.
        agents: how many agents are in each state, in the source's own words.
    """

    queue: Name
    waiting: Count | None = None
    agents: CountByState = {}


class AgentChanged(Event, frozen=True, kw_only=True, tag="agent.changed"):
    """An agent is in a state, for the queues named.

    Attributes:
        agent: the person, as an opaque key.
        state: what the agent does now.
        queues: the queues served; none named are the same ones as before.
    """

    agent: Name
    state: AgentState
    queues: QueueNames = ()


class SourceAlive(Event, frozen=True, kw_only=True, tag="source.alive"):
    """The heartbeat of a producing system, sent to every partition it writes."""


class SourceStarted(Event, frozen=True, kw_only=True, tag="source.started"):
    """A producing system restarted: its open waits are over."""


class QualityEvent(Event, frozen=True, kw_only=True):
    """Something said about service after the fact.

    Attributes:
        contact: the contact it is about, if known.
        queue: the queue it is about, if known.
        channel: the channel it is about, if known.
        interaction: the customer's matter it is about, if known.
        agent: the person it is about, as an opaque key, if known.
        customer: an opaque key, never a number or an address.
        segment: the customer's type.
        topic: what the customer's matter was about.
    """

    contact: Text = ""
    queue: Text = ""
    channel: Text = ""
    interaction: Text = ""
    agent: Text = ""
    customer: Text = ""
    segment: Text = ""
    topic: Text = ""


class SurveyAnswered(QualityEvent, frozen=True, kw_only=True, tag="survey.answered"):
    """A customer answered a survey.

    Attributes:
        satisfied: whether the customer was content; null when not asked.
        score: the score given, on the survey's own scale; null when there is none.
    """

    satisfied: bool | None = None
    score: float | None = None


class AuditScored(QualityEvent, frozen=True, kw_only=True, tag="audit.scored"):
    """A contact was assessed.

    Attributes:
        score: on the audit's own scale; null when there is none.
        high_impact_errors: errors found that hurt the customer or the firm.
        low_impact_errors: errors found that do not.
    """

    score: float | None = None
    high_impact_errors: Count = 0
    low_impact_errors: Count = 0


class ComplaintFiled(QualityEvent, frozen=True, kw_only=True, tag="complaint.filed"):
    """A customer complained; `topic` says about what."""


class FollowupDue(QualityEvent, frozen=True, kw_only=True, tag="followup.due"):
    """A promised follow-up falls due now.

    Attributes:
        followup: the promise's key.
    """

    followup: Name


class FollowupDone(QualityEvent, frozen=True, kw_only=True, tag="followup.done"):
    """A promised follow-up was kept.

    Attributes:
        followup: the promise's key, as it fell due.
    """

    followup: Name


class Unknown(Event, frozen=True, kw_only=True):
    """An event of a type this version does not know: counted, and otherwise left alone."""

    type: Name


EVENT_TYPES: Final[tuple[type[Event], ...]] = (
    Offered,
    Refused,
    Queued,
    Rang,
    Unanswered,
    Answered,
    Messaged,
    Replied,
    Held,
    Resumed,
    Transferred,
    Abandoned,
    Left,
    Ended,
    Wrapped,
    Resolved,
    Reopened,
    QueueOpened,
    QueueClosed,
    QueueObserved,
    AgentChanged,
    SourceAlive,
    SourceStarted,
    SurveyAnswered,
    AuditScored,
    ComplaintFiled,
    FollowupDue,
    FollowupDone,
)
"""Every type this version knows, in the order in which events of the same moment are taken."""

RANK: Final[dict[type[Event], int]] = {kind: rank for rank, kind in enumerate(EVENT_TYPES)}
"""Which of two events of the same moment and sequence comes first: the lower."""


def type_name(kind: type[Event]) -> str:
    """The `type` on the wire of one of `EVENT_TYPES`."""
    return str(kind.__struct_config__.tag)
