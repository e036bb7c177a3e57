"""What wakes whoever runs floorwatch: the numbers cannot be believed, or will not be soon.

All of them wait longer than a restart takes, so that an upgrade tells nobody.
"""

from __future__ import annotations

from typing import Final

from dashboards.alerts.promql import INSTALLATION, QUEUE, of_line, series
from dashboards.alerts.rule import PREFIX, Alert, Severity
from schemas import metric_names as m

RESTART: Final = "2m"
"""A worker is back within half a minute; three of them, one after the other, within two."""

PARTITION: Final = f"{INSTALLATION}, topic, partition"
SOURCE: Final = f"{INSTALLATION}, source"

BEHIND_S: Final = 60
SNAPSHOT_OLD_S: Final = 120
REJECTED_SHARE: Final = 0.01
DRIFT_CONTACTS: Final = 2

_BEHIND: Final = f"max by ({INSTALLATION}) ({series(m.EVENT_LAG)}) > {BEHIND_S}"
_LAG: Final = f"max by ({PARTITION}) ({series(m.EVENT_LAG)})"
_REST: Final = f"max by ({PARTITION}) (predict_linear({series(m.PARTITION_LAG, over='5m')}, 900))"
_POLICY_WRONG: Final = f"max by ({INSTALLATION}) ({series(m.POLICY_RELOAD_FAILED)})"
_POLICY_REFUSED: Final = f"max by ({INSTALLATION}) ({series(m.POLICY_CHANGES_REFUSED)})"
_UNREAD: Final = f"sum by ({INSTALLATION}, topic) ({series(m.PARTITION_LAG)})"
_READ: Final = f"max by ({INSTALLATION}, topic) (rate({series(m.EVENTS, over='2m')}))"
_REJECTING: Final = f"max by ({INSTALLATION}) (rate({series(m.EVENTS_REJECTED, over='2m')}))"
_REJECTED: Final = f"sum by ({INSTALLATION}) (increase({series(m.EVENTS_REJECTED, over='5m')}))"
_EVERYTHING: Final = f'{{__name__=~"{m.EVENTS.name}|{m.EVENTS_REJECTED.name}"}}'
_ALL: Final = f"sum by ({INSTALLATION}) (increase({_EVERYTHING}[5m]))"
_NAMED: Final = 'up{job=~".*floorwatch.*"}'


def _alert(
    name: str,
    expr: str,
    *,
    severity: Severity,
    told: str,
    meaning: str,
    hold: str = RESTART,
    of_queue: bool = False,
) -> Alert:
    return Alert(
        name=f"{PREFIX}{name}",
        expr=expr,
        severity=severity,
        audience="sre",
        summary=told,
        plain=told,
        description=meaning,
        hold=hold,
        of_queue=of_queue,
    )


PIPELINE: Final = (
    _alert(
        "SourceStale",
        f"time() - max by ({SOURCE}) ({series(m.SOURCE_LAST_EVENT)})\n"
        f"  > max by ({SOURCE}) ({series(m.SOURCE_SILENCE_LIMIT)})\n"
        f"unless on ({INSTALLATION}) {_BEHIND}",
        severity="critical",
        told="{{ $labels.source }}: not heard for {{ $value | humanizeDuration }}",
        meaning="A producing system has been silent for longer than three of its heartbeats. What"
        " only it feeds is shown as unknown, and pages nobody.",
    ),
    _alert(
        "LagCannotDrain",
        f"{_LAG} > {BEHIND_S}\nand {_REST} > 0",
        severity="critical",
        told="{{ $labels.topic }}/{{ $labels.partition }}:"
        " {{ $value | humanizeDuration }} behind and not catching up",
        meaning="A partition is more than a minute behind, and as it goes it will not be read to"
        " its end within 15 minutes.",
        hold="5m",
    ),
    _alert(
        "Stalled",
        f"{_UNREAD} > 0\nunless {_READ} > 0\nunless on ({INSTALLATION}) {_REJECTING} > 0",
        severity="critical",
        told="{{ $labels.topic }}: {{ $value }} records unread and none read",
        meaning="There are records to read on a topic, and no worker has read one for two minutes.",
    ),
    _alert(
        "RejectsSurge",
        f"{_REJECTED} / {_ALL} > {REJECTED_SHARE}",
        severity="warning",
        told="{{ $value | humanizePercentage }} of records rejected in 5 min",
        meaning="More than one record in a hundred cannot be read. They are kept on the topic of"
        " rejected records, and count nowhere.",
        hold="5m",
    ),
    _alert(
        "ConservationViolated",
        f"max by ({QUEUE}) ({series(m.CONSERVATION_VIOLATIONS)}) > 0",
        severity="critical",
        told="{{ $labels.queue }} {{ $labels.channel }}: {{ $value }} visits not accounted for",
        meaning="Offered is not answered + abandoned + left + expired + waiting: floorwatch itself"
        " has miscounted.",
        of_queue=True,
    ),
    _alert(
        "SnapshotOld",
        f"max by ({PARTITION}) ({series(m.SNAPSHOT_AGE)}) > {SNAPSHOT_OLD_S}",
        severity="warning",
        told="{{ $labels.topic }}/{{ $labels.partition }}:"
        " newest snapshot {{ $value | humanizeDuration }} old",
        meaning="The state of a partition has not been kept for more than two minutes. No number"
        " is wrong; whoever takes it over will read that much again.",
        hold="3m",
    ),
    _alert(
        "FloorPartial",
        f"max by ({INSTALLATION}) ({series(m.FLOOR_PARTIAL)}) > 0",
        severity="warning",
        told="a part of the floor is missing",
        meaning="At least one partition does not say how it stands. Queues with contacts there are"
        " shown as catching up.",
    ),
    _alert(
        "PolicyNotInForce",
        f"{_POLICY_WRONG} > 0\nor {_POLICY_REFUSED} > 0",
        severity="warning",
        told="the policy on disk is not the one in force",
        meaning="For five minutes a worker has gone by another policy than the one on disk: that is"
        " wrong, or would change what has been counted. Its log says which value, and what would"
        " be right. With one that is wrong, a worker that is started again ends at once.",
        hold="5m",
    ),
    _alert(
        "WaitingDrift",
        f"abs({of_line(m.WAITING_DRIFT)}) > {DRIFT_CONTACTS}",
        severity="warning",
        told="{{ $labels.queue }}: {{ $value }} waiting more or less than the source says",
        meaning="For five minutes the number of those waiting has differed from the source's own"
        " count: events of it are missing.",
        hold="5m",
    ),
    _alert(
        "WorkerDown",
        f"(up == 0 and on ({INSTALLATION}) ({_NAMED} or {series(m.BUILD_INFO)}))\n"
        f"or absent({series(m.BUILD_INFO)})",
        severity="critical",
        told="{{ with $labels.instance }}worker {{ . }} is{{ else }}all workers are{{ end }}"
        " not there",
        meaning="A worker cannot be scraped, or there is none at all. With none, nobody is paged"
        " for the floor.",
    ),
)

WATCHDOG: Final = Alert(
    name=f"{PREFIX}Watchdog",
    expr="vector(1)",
    severity="none",
    audience="watchdog",
    summary="always firing",
    plain="always firing",
    description="Fires always. Whoever receives it tells somebody when it stops: then no page"
    " comes through.",
)
