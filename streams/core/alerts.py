"""Alerts of an Alertmanager as the floor shows them, and where pages are kept back.

Prometheus judges by its own rules; here nothing is decided again, only read and put beside the
queue that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from schemas.instants import read_instant

PREFIX: Final = "Floorwatch"
"""Begins the name of every alert that is ours."""

PAGE: Final = "critical"
NOBODY: Final = "none"
"""The severity of what is told to nobody, such as a watchdog."""

MAX_ALERTS: Final = 1_000
LONGEST_TEXT: Final = 300

Status = Literal["firing", "silenced", "inhibited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        name: of its rule.
        severity: `critical` pages somebody.
        queue: what it is about; None where it is about no queue.
        channel: of the queue; None for all its channels.
        since_ms: when it began to fire; None where that cannot be read.
        status: `firing`, or why nobody is told of it.
        summary: its one line.
    """

    name: str
    severity: str
    queue: str | None
    channel: str | None
    since_ms: int | None
    status: Status
    summary: str

    def is_about(self, queue: str, channel: str) -> bool:
        """Whether it belongs on the tile of *queue* and *channel*."""
        return self.queue == queue and self.channel in (None, channel)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "severity": self.severity,
            "queue": self.queue,
            "channel": self.channel,
            "since_ms": self.since_ms,
            "status": self.status,
            "summary": self.summary,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """What is known of alerts.

    Attributes:
        as_of_ms: when the Alertmanager last answered; None if it never has.
        is_known: that was not long ago; if it was, no alert is shown as if it still fired.
        alerts: those that fire or would.
    """

    as_of_ms: int | None = None
    is_known: bool = False
    alerts: tuple[Alert, ...] = ()

    def of_queue(self, queue: str, channel: str) -> list[Alert]:
        """The alerts of one tile, pages first."""
        return [alert for alert in self.alerts if alert.is_about(queue, channel)]

    def document(self, shown: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """As JSON, with the alerts that are on no tile of *shown*."""
        keys = list(shown)
        queues = {queue for queue, _ in keys}
        elsewhere = [
            alert
            for alert in self.alerts
            if alert.queue not in queues or not any(alert.is_about(*key) for key in keys)
        ]
        return {
            "known": self.is_known,
            "as_of_ms": self.as_of_ms,
            "firing": sum(alert.status == "firing" for alert in self.alerts),
            "suppressed": sum(alert.status != "firing" for alert in self.alerts),
            "alerts": [alert.document() for alert in elsewhere],
        }


def suppressed(alerts: Iterable[Alert]) -> Status | None:
    """Why a page of one tile reaches nobody: the status of one, where no other page is told."""
    pages = [alert.status for alert in alerts if alert.severity == PAGE]
    if not pages or "firing" in pages:
        return None
    return min(pages)


def read_alerts(answer: object) -> tuple[Alert, ...]:
    """The alerts in what `GET /api/v2/alerts` answered: ours, pages first, then the oldest.

    At most `MAX_ALERTS` are kept.

    Raises:
        ValueError: it is no list of alerts.
    """
    if not isinstance(answer, list):
        raise ValueError("expected a list of alerts")
    alerts = [alert for each in answer if (alert := _alert(each)) is not None]
    alerts.sort(key=_rank)
    return tuple(alerts[:MAX_ALERTS])


def _rank(alert: Alert) -> tuple[bool, bool, int, str, str, str]:
    return (
        alert.status != "firing",
        alert.severity != PAGE,
        alert.since_ms or 0,
        alert.name,
        alert.queue or "",
        alert.channel or "",
    )


def _alert(plain: object) -> Alert | None:
    """The alert in *plain*, None where it is not ours or told to nobody."""
    if not isinstance(plain, Mapping):
        raise ValueError(
            "expected a list of alerts"
        )  # the answer is wrong, not the type of an argument
    labels, annotations = _texts(plain.get("labels")), _texts(plain.get("annotations"))
    name, severity = labels.get("alertname", ""), labels.get("severity", "")
    if not name.startswith(PREFIX) or severity == NOBODY:
        return None
    return Alert(
        name=name,
        severity=severity,
        queue=labels.get("queue"),
        channel=labels.get("channel"),
        since_ms=_instant(plain.get("startsAt")),
        status=_status(plain.get("status")),
        summary=annotations.get("summary", ""),
    )


def _texts(plain: object) -> dict[str, str]:
    if not isinstance(plain, Mapping):
        return {}
    return {
        str(key): value[:LONGEST_TEXT] for key, value in plain.items() if isinstance(value, str)
    }


def _status(plain: object) -> Status:
    if not isinstance(plain, Mapping) or plain.get("state") != "suppressed":
        return "firing"
    return "inhibited" if plain.get("inhibitedBy") else "silenced"


def _instant(plain: object) -> int | None:
    try:
        return read_instant(plain) if isinstance(plain, str) else None
    except ValueError:
        return None
