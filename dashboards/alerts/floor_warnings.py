"""What the floor reads on its boards: it goes the wrong way, and nobody is woken for it."""

from __future__ import annotations

from typing import Final

from dashboards.alerts.pages import LEVEL_15M
from dashboards.alerts.promql import (
    FRESH,
    FRESH_S,
    LINE,
    TARGET,
    VOLUME_FLOOR,
    age,
    all_of,
    burning,
    by_own_formula,
    of_line,
    of_queue,
    on_the_floor,
    rise,
    window_contacts,
)
from dashboards.alerts.rule import PREFIX, Alert
from dashboards.alerts.summaries import (
    DURATION,
    SHARE,
    limit_of,
    queue_summary,
    target_of_queue,
)
from schemas import metric_names as m

SLOW_BURN: Final = 1.5
"""In an hour, an eighth of what a twelve-hour day may miss."""

DAY_CONTACTS: Final = 50
"""A day that rests on fewer contacts has not gone wrong yet."""

TEXT: Final = "!=voice"
"""A caller awaits a reply exactly while waiting, which has its own limits."""

STAYS_ON_THE_LINE: Final = "=~chat|voice"
"""Elsewhere a customer writes whenever they like, and expects nobody before the morning."""


def _warning(
    name: str,
    expr: str,
    *,
    told: str,
    meaning: str,
    limit: str = "",
    hold: str = "",
    keep: str = "",
) -> Alert:
    return Alert(
        name=f"{PREFIX}{name}",
        expr=expr,
        severity="warning",
        audience="floor",
        summary=queue_summary(f"{PREFIX}{name}", told, limit=limit),
        plain=told,
        description=meaning,
        hold=hold,
        keep=keep,
        of_queue=True,
    )


_WAITING: Final = of_queue(m.CONTACTS_WAITING, channel=STAYS_ON_THE_LINE)
_CLOSED: Final = (
    f"(\n{_WAITING} > 0 and {of_queue(m.QUEUE_SCHEDULED_OPEN)} == 0\n"
    f"or {_WAITING} > 0 and on ({LINE}) {of_line(m.QUEUE_OPEN)} == 0\n)"
)

FLOOR_WARNINGS: Final = (
    _warning(
        "LongestWaitWarning",
        on_the_floor(
            f"{age(m.OLDEST_WAITING)} > {of_queue(m.LONGEST_WAIT_LIMIT, severity='warning')}"
        ),
        told=f"longest wait {{{{ $value | {DURATION} }}}}",
        limit=limit_of(m.LONGEST_WAIT_LIMIT, DURATION, severity="warning"),
        meaning="The customer who has waited longest in this queue, and still waits, has waited"
        " longer than the queue's warning limit.",
        keep="1m",
    ),
    _warning(
        "ServiceLevelDrifting",
        on_the_floor(
            f"{by_own_formula(m.SERVICE_LEVEL, '60m')} < {burning(SLOW_BURN)}",
            f"{LEVEL_15M} < {burning(SLOW_BURN)}",
            f"{by_own_formula(m.SERVICE_LEVEL_CONTACTS, '60m')} >= {VOLUME_FLOOR}",
        ),
        told=f"service level {{{{ $value | {SHARE} }}}} in 60 min",
        limit=target_of_queue(),
        meaning="Over the last hour, and again over the last 15 minutes, so many were not answered"
        " in time that the day's allowance goes 1.5 times too fast.",
        hold="5m",
    ),
    _warning(
        "DayBelowTarget",
        on_the_floor(
            f"{by_own_formula(m.SERVICE_LEVEL, 'day')} < {TARGET}",
            f"{by_own_formula(m.SERVICE_LEVEL_CONTACTS, 'day')} >= {DAY_CONTACTS}",
        ),
        told=f"service level {{{{ $value | {SHARE} }}}} today",
        limit=target_of_queue(),
        meaning="The service level of the queue's own day so far is below its target, over 50"
        " contacts or more.",
        hold="5m",
    ),
    _warning(
        "AbandonmentSurge",
        on_the_floor(
            f"{of_queue(m.ABANDONMENT, window='15m')} > {of_queue(m.ABANDONMENT_LIMIT)}",
            f"{window_contacts('15m', 'abandoned|answered|left')} >= {VOLUME_FLOOR}",
        ),
        told=f"{{{{ $value | {SHARE} }}}} abandoned in 15 min",
        limit=limit_of(m.ABANDONMENT_LIMIT, SHARE),
        meaning="Of those whose wait ended in the last 15 minutes, more gave up than the queue's"
        " limit allows.",
        hold="1m",
    ),
    _warning(
        "InitialResponseOverLimit",
        on_the_floor(
            f"{of_queue(m.INITIAL_RESPONSE_WITHIN, window='15m', channel=TEXT)} < {TARGET}",
            f"{rise(m.INITIAL_RESPONSE_EVENTS, '15m')} >= {VOLUME_FLOOR}",
        ),
        told=f"{{{{ $value | {SHARE} }}}} replied to in time in 15 min",
        limit=limit_of(m.INITIAL_RESPONSE_LIMIT, DURATION),
        meaning="Of those who asked on this channel, the share that a human replied to within the"
        " channel's limit is below the queue's target.",
        hold="1m",
    ),
    _warning(
        "ReplyAwaitedTooLong",
        on_the_floor(
            f"{age(m.OLDEST_AWAITING_REPLY, channel=TEXT)} > {of_queue(m.INITIAL_RESPONSE_LIMIT)}"
        ),
        told=f"reply awaited for {{{{ $value | {DURATION} }}}}",
        limit=limit_of(m.INITIAL_RESPONSE_LIMIT, DURATION),
        meaning="Somebody on this channel has been waiting for the first reply of a human for"
        " longer than its limit.",
        keep="1m",
    ),
    _warning(
        "ClosedWithPeopleWaiting",
        all_of(_CLOSED, FRESH),
        told="closed",
        meaning="The queue is out of service or outside its opening hours, and somebody still waits"
        " on the line.",
        hold="5m",
    ),
    _warning(
        "NoArrivals",
        on_the_floor(
            f"{of_queue(m.WINDOW_CONTACTS, window='60m', outcome='offered')} > 3 * {VOLUME_FLOOR}",
            f"{of_queue(m.WINDOW_CONTACTS, window='15m', outcome='offered')} == 0",
        ),
        told="nobody in 15 min after {{ $value }} in 60 min",
        meaning="A queue that had visitors all along has had none for 15 minutes, inside its"
        " opening hours: a line may be dead that nobody has reported.",
        hold="1m",
    ),
)

QUEUE_UNKNOWN: Final = Alert(
    name=f"{PREFIX}QueueUnknown",
    expr=f"time() - {of_queue(m.QUEUE_AS_OF)} >= {FRESH_S}",
    severity="none",
    audience="floor",
    summary="{{ $labels.queue }} {{ $labels.channel }}: no data for"
    " {{ $value | humanizeDuration }}",
    plain="no data for {{ $value | humanizeDuration }}",
    description="Nobody knows how this queue is doing: its sources are silent, or what they sent"
    " has not been read yet. It tells nobody, and keeps a page of the queue from being called off.",
    of_queue=True,
)
"""The other side of `FRESH`."""
