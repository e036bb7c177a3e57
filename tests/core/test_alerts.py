"""Alerts as an Alertmanager tells them: which are ours, whose they are, who is told of them."""

from typing import Any

import pytest

from streams.core.alerts import LONGEST_TEXT, MAX_ALERTS, Alerting, read_alerts, suppressed
from tests.support.core_events import TEN_MS

FIRING = {"state": "active", "silencedBy": [], "inhibitedBy": []}
SILENCED = {"state": "suppressed", "silencedBy": ["id"], "inhibitedBy": []}
INHIBITED = {"state": "suppressed", "silencedBy": [], "inhibitedBy": ["id"]}


def told(name: str = "FloorwatchLongestWait", /, status: Any = FIRING, **labels: Any) -> Any:
    """An alert as `GET /api/v2/alerts` answers it."""
    own = {"queue": "sales", "channel": "voice", "severity": "critical", **labels}
    return {
        "labels": {"alertname": name, **{key: value for key, value in own.items() if value}},
        "annotations": {"summary": "Sales voice: longest wait 6:12", "runbook_url": "x"},
        "startsAt": "2026-11-24T10:00:00.123Z",
        "endsAt": "2026-11-24T10:05:00.123Z",
        "status": status,
        "fingerprint": "abc",
        "receivers": [{"name": "floor"}],
    }


def test_an_alert_is_read_with_its_queue_its_severity_and_since_when() -> None:
    (alert,) = read_alerts([told()])

    assert alert.document() == {
        "name": "FloorwatchLongestWait",
        "severity": "critical",
        "queue": "sales",
        "channel": "voice",
        "since_ms": TEN_MS + 123,
        "status": "firing",
        "summary": "Sales voice: longest wait 6:12",
    }


def test_alerts_of_others_and_those_told_to_nobody_are_left_out() -> None:
    others = [told("KubePodCrashLooping"), told("FloorwatchWatchdog", severity="none")]

    assert read_alerts(others) == ()


@pytest.mark.parametrize(
    ("status", "read"),
    [
        (FIRING, "firing"),
        ({"state": "unprocessed"}, "firing"),
        (SILENCED, "silenced"),
        (INHIBITED, "inhibited"),
        ({"state": "suppressed", "mutedBy": ["nights"]}, "silenced"),
        (None, "firing"),
    ],
)
def test_whoever_is_told_of_an_alert_can_be_read(status: Any, read: str) -> None:
    assert [alert.status for alert in read_alerts([told(status=status)])] == [read]


@pytest.mark.parametrize("answer", [None, {}, "alerts", [1], [None], [[told()]]])
def test_what_is_no_list_of_alerts_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match="a list of alerts"):
        read_alerts(answer)


def test_parts_that_are_not_as_they_should_be_are_unknown_and_texts_are_bounded() -> None:
    odd = {"labels": {"alertname": "FloorwatchX", "queue": 7}, "startsAt": "yesterday"}
    long = told(queue="q" * 10_000)

    one, other = sorted(read_alerts([odd, long]), key=lambda alert: alert.name)

    assert len(one.queue or "") == LONGEST_TEXT
    assert (other.queue, other.severity, other.since_ms, other.summary) == (None, "", None, "")


def test_only_so_many_are_kept_and_pages_that_somebody_is_told_of_come_first() -> None:
    answer = [
        *(told(severity="warning", queue=f"q{i:04}") for i in range(MAX_ALERTS)),
        told("FloorwatchSilenced", SILENCED),
        told("FloorwatchPage"),
    ]

    kept = read_alerts(answer)

    assert len(kept) == MAX_ALERTS
    assert [alert.name for alert in kept][:2] == ["FloorwatchPage", "FloorwatchLongestWait"]


@pytest.mark.parametrize(
    ("alerts", "why"),
    [
        ([], None),
        ([told()], None),
        ([told(status=SILENCED)], "silenced"),
        ([told(status=INHIBITED)], "inhibited"),
        ([told(status=SILENCED), told("FloorwatchServiceLevelNow")], None),
        ([told(status=SILENCED, severity="warning")], None),
        ([told(status=INHIBITED), told(severity="warning")], "inhibited"),
    ],
)
def test_a_queues_pages_are_suppressed_where_it_has_some_and_none_is_told(
    alerts: list[Any], why: str | None
) -> None:
    assert suppressed(read_alerts(alerts)) == why


def test_an_alert_is_on_the_tiles_it_is_about_and_all_others_are_the_floors() -> None:
    answer = [
        told("FloorwatchA"),
        told("FloorwatchB", channel=None),
        told("FloorwatchC", queue=None, channel=None),
        told("FloorwatchD", queue="gone"),
        told("FloorwatchE", SILENCED, channel="chat"),
    ]
    alerting = Alerting(as_of_ms=TEN_MS, is_known=True, alerts=read_alerts(answer))

    def names(queue: str, channel: str) -> list[str]:
        return [alert.name for alert in alerting.of_queue(queue, channel)]

    assert names("sales", "voice") == ["FloorwatchA", "FloorwatchB"]
    assert names("sales", "chat") == ["FloorwatchB", "FloorwatchE"]
    assert names("help", "voice") == []
    document = alerting.document([("sales", "voice")])
    assert [alert["name"] for alert in document.pop("alerts")] == [
        "FloorwatchC",
        "FloorwatchD",
        "FloorwatchE",
    ]
    assert document == {"known": True, "as_of_ms": TEN_MS, "firing": 4, "suppressed": 1}
