"""The documents of the API as types: what `streams.openapi` describes and its tests hold them to.

Nothing is built from these; the core writes plain dicts. A duration is in seconds (`_s`), an
instant in epoch milliseconds (`_ms`) or, without a unit, a text in UTC. None is what nobody knows,
or what there is nothing to divide by for.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object that has just these fields, all of them."""


class Spread(Document):
    """Durations in seconds; null where nothing is counted.

    Attributes:
        mean: exact.
        p50: nearest rank, at most 1 % too long, as are the next ones.
        p90: likewise.
        p99: likewise.
        max: likewise.
    """

    mean: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class Entry(Document):
    """One queue, or all of them, over one window.

    Attributes:
        at: end of the window.
        as_of: the instant at which what is live was true.
        window: rolling, the queue's own day, or `total` since the start.
        queue: id of the queue; `*` is all of them.
        channel: as in the events; `*` is all of them.
        threshold_s: T in force; null where the window holds none or several.
        mixed: whether several thresholds were in force.
        formula: the queue's own.
        incomplete: whether the window began before everything was known.
        offered: visits that arrived.
        answered: visits answered by a person.
        answered_within: of them, after T or sooner.
        abandoned: visits that the customer gave up.
        abandoned_short: of them, by the short-abandon limit; null where not told apart.
        abandoned_within: of them, after T or sooner.
        left: visits that ended unanswered otherwise.
        left_within: of them, after T or sooner.
        expired: visits of which no outcome was ever heard.
        refused: contacts turned away before they were offered.
        instant: visits served at once.
        sent_to_wait: visits that were queued.
        transferred: visits that ended in a transfer.
        initial_response_events: first replies that came, or whose limit passed.
        initial_response_within: of them, in time.
        waiting: visits open now.
        waiting_past_threshold: of them, past T.
        awaiting_reply: contacts that await a person's reply.
        agents: people by state; null while nothing is known.
        queue_open: whether the queue is in service; null while nothing is known.
        wait_s: of answered visits.
        abandon_wait_s: of abandoned ones.
        initial_response_s: of first replies.
        longest_wait_s: age of the oldest open visit.
        oldest_awaiting_reply_s: of the contact that has awaited a reply for longest.
        initial_response_within_ratio: in time, of all events.
        service_level: by formula, from 0 to 1.
        service_level_n: by formula, what it is divided by.
        service_level_low: of `strict`, should all who are undecided miss.
        service_level_high: of `strict`, should they all make it.
        instant_service_ratio: of all offered.
        abandonment_ratio: of all who ended their wait.
    """

    at: str
    as_of: str
    window: str
    queue: str
    channel: str
    threshold_s: float | None
    mixed: bool
    formula: str
    incomplete: bool
    offered: int
    answered: int
    answered_within: int
    abandoned: int
    abandoned_short: int | None
    abandoned_within: int
    left: int
    left_within: int
    expired: int
    refused: int
    instant: int
    sent_to_wait: int
    transferred: int
    initial_response_events: int
    initial_response_within: int
    waiting: int
    waiting_past_threshold: int
    awaiting_reply: int
    agents: dict[str, int] | None
    queue_open: bool | None
    wait_s: Spread
    abandon_wait_s: Spread
    initial_response_s: Spread
    longest_wait_s: float | None
    oldest_awaiting_reply_s: float | None
    initial_response_within_ratio: float | None
    service_level: dict[str, float | None]
    service_level_n: dict[str, int]
    service_level_low: float | None
    service_level_high: float | None
    instant_service_ratio: float | None
    abandonment_ratio: float | None


class Cause(Document):
    """The limit that is passed.

    Attributes:
        id: which one.
        limit: seconds of a duration, else a ratio; null where it has none.
    """

    id: str
    limit: float | None


class Trend(Document):
    """Which way a queue goes; null where that, or the past, is unknown.

    Attributes:
        waiting: against five minutes ago.
        service_level: against fifteen minutes ago.
    """

    waiting: Literal["rising", "steady", "falling"] | None
    service_level: Literal["rising", "steady", "falling"] | None


class Alert(Document):
    """An alert of the Alertmanager that the settings name.

    Attributes:
        name: of its rule.
        severity: `critical` pages somebody.
        queue: what it is about; null where it is about none.
        channel: of the queue; null for all.
        since_ms: when it began to fire.
        status: firing, or why nobody is told.
        summary: one line.
    """

    name: str
    severity: str
    queue: str | None
    channel: str | None
    since_ms: int | None
    status: Literal["firing", "silenced", "inhibited"]
    summary: str


class Limits(Document):
    """Limits of the longest wait, in seconds.

    Attributes:
        warning: the queue is to be watched.
        critical: the queue is in trouble.
    """

    warning: float
    critical: float


class Policy(Document):
    """What a queue is held to now.

    Attributes:
        threshold_s: T.
        target: service level that is promised.
        short_abandon_s: the short-abandon limit.
        instant_within_s: longest wait that is instant service; null where that is undefined.
        instant_target: instant service ratio that is promised; null promises none.
        formula: the queue's own.
        longest_wait_limit_s: by severity.
        initial_response_limit_s: a first reply is due within it.
        abandonment_limit: ratio that is still acceptable.
        volume_floor: a ratio that rests on fewer colours nothing.
        windows: on the wall.
        zone: of the queue's day.
    """

    threshold_s: float
    target: float
    short_abandon_s: float
    instant_within_s: float | None
    instant_target: float | None
    formula: str
    longest_wait_limit_s: Limits
    initial_response_limit_s: float
    abandonment_limit: float
    volume_floor: int
    windows: list[str]
    zone: str


class Queue(Document):
    """A queue and channel as it stands: one tile of the wall.

    Attributes:
        queue: its id.
        channel: as in the events.
        name: what people call it.
        site: where it is answered; may be empty.
        team: by whom; may be empty.
        state: in one word, worst first.
        reason: why, in words; may be empty.
        cause: why, for programs.
        as_of_ms: until when it is known.
        no_data_since_ms: since when nothing is heard of it; null while all is well.
        out_of_service_since_ms: since when a fault keeps it out of service.
        oldest_waiting_ms: when the oldest open visit opened.
        oldest_awaiting_reply_ms: since when a reply is awaited for longest.
        open: whether it is in service; null while nothing is known.
        agents: people by state; null while nothing is known.
        trend: which way it goes.
        alerts: about it.
        paging_suppressed: why a page of it reaches nobody; null where it would.
        policy: what it is held to.
    """

    queue: str
    channel: str
    name: str
    site: str | None
    team: str | None
    state: str
    reason: str
    cause: Cause | None
    as_of_ms: int
    no_data_since_ms: int | None
    out_of_service_since_ms: int | None
    oldest_waiting_ms: int | None
    oldest_awaiting_reply_ms: int | None
    open: bool | None
    agents: dict[str, int] | None
    trend: Trend
    alerts: list[Alert]
    paging_suppressed: Literal["silenced", "inhibited", "stale"] | None
    policy: Policy


class Partial(Document):
    """A part of the floor is missing.

    Attributes:
        share: of all partitions.
        since_ms: since when; null where nothing was ever heard of it.
    """

    share: float
    since_ms: int | None


class Paging(Document):
    """What the Alertmanager says beyond single queues.

    Attributes:
        known: whether it answered not long ago.
        as_of_ms: when it last answered.
        firing: how many alerts do.
        suppressed: how many are told to nobody.
        alerts: those that are about no queue shown.
    """

    known: bool
    as_of_ms: int | None
    firing: int
    suppressed: int
    alerts: list[Alert]


class Floor(Document):
    """The floor at one second.

    Attributes:
        name: of the installation.
        as_of: the second.
        as_of_ms: the same.
        tick: where rolling windows end.
        tick_ms: the same.
        clock: what "now" means.
        ready: whether all has been caught up with once.
        partial: false, or what is missing.
        paging: null where no Alertmanager is asked.
        queues: each queue and channel.
        entries: each of them over each window, then all together.
    """

    name: str
    as_of: str
    as_of_ms: int
    tick: str
    tick_ms: int
    clock: Literal["wall", "event"]
    ready: bool
    partial: Partial | Literal[False]
    paging: Paging | None
    queues: list[Queue]
    entries: list[Entry]


class Waits(Document):
    """How many waits ended up to each edge; the last number of each list is beyond the last.

    Attributes:
        edges_s: the edges, in seconds.
        answered: of answered visits.
        abandoned: of abandoned ones.
    """

    edges_s: list[float]
    answered: list[int]
    abandoned: list[int]


class Clock(Document):
    """One clock of the initial response since the start.

    Attributes:
        clock: from which instant it counts.
        n: how many.
        mean_s: exact; null where there are none.
        p50_up_to_s: an edge of the histogram; null where there are none, or beyond the last.
        p90_up_to_s: likewise.
        p99_up_to_s: likewise.
    """

    clock: str
    n: int
    mean_s: float | None
    p50_up_to_s: float | None
    p90_up_to_s: float | None
    p99_up_to_s: float | None


class Segment(Document):
    """Instant service of one customer type.

    Attributes:
        segment: the type.
        offered: visits that arrived.
        instant: of them, served at once.
        ratio: the one by the other.
    """

    segment: str
    offered: int
    instant: int
    ratio: float | None


class Correction(Document, rename={"from_": "from"}):
    """Contacts that an event told late has moved.

    Attributes:
        from: where they were counted.
        to: where they are now.
        count: how many.
    """

    from_: str
    to: str
    count: int


class Source(Document):
    """A producing system that feeds the queue.

    Attributes:
        source: its name.
        fed_ms: when it last said something of this queue.
        heard_ms: when it last said anything.
        is_stale: whether it has missed three heartbeats.
    """

    source: str
    fed_ms: int
    heard_ms: int | None
    is_stale: bool


class KeptOut(Document):
    """What the answering worker has met and counted nowhere, over all queues.

    Attributes:
        late: events that came too late.
        duplicates: events told again.
        conflicting: of them, with another content.
        ignored: events beyond a limit.
        unmatched: outcomes of contacts that were not waiting.
        rejected: records that could not be used.
    """

    late: int
    duplicates: int
    conflicting: int
    ignored: int
    unmatched: int
    rejected: int


class Detail(Document):
    """What stands behind the figures of one queue.

    Attributes:
        waits: by window.
        initial_response: by clock.
        instant_by_segment: by window.
        corrections: the most frequent ones.
        corrections_total: how many contacts in all.
        sources: that fed it in the last seven days.
        conservation_violations: should be 0.
        waiting_drift: our count less the source's own; null without one of about now.
        observed_waiting: the source's own count.
        observed_ms: when it said so.
        last_event_ms: the newest event of it.
        worker: what is counted nowhere.
    """

    waits: dict[str, Waits]
    initial_response: list[Clock]
    instant_by_segment: dict[str, list[Segment]]
    corrections: list[Correction]
    corrections_total: int
    sources: list[Source]
    conservation_violations: int
    waiting_drift: int | None
    observed_waiting: int | None
    observed_ms: int | None
    last_event_ms: int | None
    worker: KeptOut


class FloorOfQueue(Floor):
    """The floor with one queue alone, and what stands behind its figures.

    Attributes:
        detail: null where there is no such queue.
    """

    detail: Detail | None


class PastQueue(Document):
    """A queue in the last hour: sixty values, the newest last, null where unknown.

    Attributes:
        queue: its id.
        channel: as in the events.
        waiting: visits open.
        service_level: by its own formula, in the first window of its wall.
    """

    queue: str
    channel: str
    waiting: list[int | None]
    service_level: list[float | None]


class History(Document):
    """The last hour of each queue.

    Attributes:
        every_s: seconds from one value to the next.
        until_ms: of the newest.
        queues: each queue and channel.
    """

    every_s: int
    until_ms: int
    queues: list[PastQueue]


class NoHistory(Document):
    """There is no minute yet."""


class Formula(Document):
    """One way to count a service level.

    Attributes:
        id: as in `service_level`.
        rule: what is divided by what.
        used_by: who counts so.
        moment: when a rolling window takes its counters.
    """

    id: str
    rule: str
    used_by: str
    moment: str


class Health(Document):
    """Whether the worker lives, or is ready.

    Attributes:
        status: in one word.
    """

    status: str


class Failing(Document):
    """The worker should be restarted.

    Attributes:
        status: in one word.
        reason: why.
    """

    status: Literal["failing"]
    reason: str


class Error(Document):
    """What is wrong with a request.

    Attributes:
        error: for programs.
        message: for people.
    """

    error: str
    message: str
