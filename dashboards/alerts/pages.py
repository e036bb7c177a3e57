"""What wakes the floor's duty manager: people wait too long, or nobody can serve them."""

from __future__ import annotations

from typing import Final

from dashboards.alerts.promql import (
    INSTALLATION,
    LINE,
    QUEUE,
    VOLUME_FLOOR,
    age,
    burning,
    by_own_formula,
    most_staffed,
    of_line,
    of_queue,
    on_the_floor,
    rise,
    series,
)
from dashboards.alerts.rule import PREFIX, Alert
from dashboards.alerts.summaries import (
    DURATION,
    SHARE,
    floor_summary,
    limit_of,
    queue_summary,
    target_of_queue,
)
from schemas import metric_names as m

EPISODE: Final = "15m"
"""Breaches of one alert that are less than this apart are one episode, and one page."""

MANY_QUEUES: Final = 5
MANY_EPISODE: Final = "30m"
"""Twice an `EPISODE`: a queue that recovers up to 15 minutes after the many did is kept firing no
longer than what holds its page back, so nobody is paged for it when that ends.
"""

FAST_BURN: Final = 2.5
"""In a quarter of an hour, a twentieth of what a twelve-hour day may miss."""

LONGEST_WAIT: Final = on_the_floor(
    f"{age(m.OLDEST_WAITING)} > {of_queue(m.LONGEST_WAIT_LIMIT, severity='critical')}"
)
NOBODY_STAFFED: Final = on_the_floor(
    f"{of_queue(m.CONTACTS_WAITING)} > 0", f"on ({LINE}) {most_staffed()} == 0"
)
LEVEL_15M: Final = by_own_formula(m.SERVICE_LEVEL, "15m")
LEVEL_5M: Final = (
    f"{rise(m.SERVICE_LEVEL_EVENTS, '5m', met='true')} / {rise(m.SERVICE_LEVEL_EVENTS, '5m')}"
)
LEVEL_BURNS: Final = on_the_floor(
    f"{LEVEL_15M} < {burning(FAST_BURN)}",
    f"{LEVEL_5M} < {burning(FAST_BURN)}",
    f"{by_own_formula(m.SERVICE_LEVEL_CONTACTS, '15m')} >= {VOLUME_FLOOR}",
)
OUT_OF_SERVICE: Final = on_the_floor(
    f"group by ({QUEUE}) ({series(m.QUEUE_SCHEDULED_OPEN)})\n"
    f"* on ({LINE}) group_left () (time() - {of_line(m.QUEUE_OUT_OF_SERVICE_SINCE)})"
)
TROUBLE: Final = (LONGEST_WAIT, NOBODY_STAFFED, LEVEL_BURNS, OUT_OF_SERVICE)


def _page(name: str, expr: str, *, told: str, limit: str = "", meaning: str, hold: str) -> Alert:
    return Alert(
        name=name,
        expr=expr,
        severity="critical",
        audience="floor",
        summary=queue_summary(name, told, limit=limit),
        plain=told,
        description=meaning,
        hold=hold,
        keep=EPISODE,
        of_queue=True,
    )


_MANY: Final = f"{PREFIX}ManyQueuesInTrouble"
_MANY_TOLD: Final = f"{{{{ $value }}}} queues in trouble at once (limit {MANY_QUEUES})"
_EITHER: Final = "\nor\n".join(TROUBLE)

MANY_QUEUES_IN_TROUBLE: Final = Alert(
    name=_MANY,
    expr=f"count by ({INSTALLATION}) (\n{_EITHER}\n) > {MANY_QUEUES}",
    severity="critical",
    audience="floor",
    summary=floor_summary(_MANY, _MANY_TOLD),
    plain=_MANY_TOLD,
    description="More queues are in trouble at once than anybody can be paged for one by one. The"
    " cause is probably common to them; their own pages are held back while this one lasts.",
    keep=MANY_EPISODE,
)

PAGES: Final = (
    # First: it holds the others back, and whoever receives them has to know of it before them.
    MANY_QUEUES_IN_TROUBLE,
    _page(
        f"{PREFIX}LongestWaitCritical",
        LONGEST_WAIT,
        told=f"longest wait {{{{ $value | {DURATION} }}}}",
        limit=limit_of(m.LONGEST_WAIT_LIMIT, DURATION, severity="critical"),
        meaning="The customer who has waited longest in this queue, and still waits, has waited"
        " longer than the queue's critical limit.",
        hold="",
    ),
    _page(
        f"{PREFIX}NobodyStaffed",
        NOBODY_STAFFED,
        told="nobody staffed",
        meaning="Somebody waits in this queue, and of the agents who serve it none is available,"
        " on a contact or in after-contact work.",
        hold="30s",
    ),
    _page(
        f"{PREFIX}ServiceLevelBurning",
        LEVEL_BURNS,
        told=f"service level {{{{ $value | {SHARE} }}}} in 15 min",
        limit=target_of_queue(),
        meaning="Of those whose wait was decided in the last 15 minutes, and again in the last 5,"
        " so many were not answered in time that the day's allowance goes 2.5 times too fast.",
        hold="1m",
    ),
    _page(
        f"{PREFIX}LineOutOfService",
        OUT_OF_SERVICE,
        told=f"out of service for {{{{ $value | {DURATION} }}}}",
        meaning="A fault has taken this queue out of service inside its opening hours.",
        hold="",
    ),
)
