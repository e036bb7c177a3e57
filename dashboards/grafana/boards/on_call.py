"""The on-call board: what is firing, since when, and why."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.board import Band, Slug, board, drill_down, queue_variables, runbooks
from dashboards.grafana.panels import (
    ANY_IS_TROUBLE,
    ANY_IS_WATCH,
    DURATION,
    GOOD,
    OVER_IS_TROUBLE,
    RATIO,
    SECONDS,
    TROUBLE,
    WATCH,
    YES_OR_NO,
    Column,
    PanelBuilder,
    Query,
    Steps,
    lines,
    states,
    table,
    tile,
)
from dashboards.grafana.queries import CHOSEN_QUEUES, INSTALLATION, OF_ALERTS, largest, source_age
from schemas import metric_names as m

floor = CHOSEN_QUEUES

_ALERT_LABELS = "alertname, severity, queue, channel, source"
_QUEUE = "{{name}} {{channel}}"
_STAFFED = "~available|on_contact|after_contact_work"


def on_call(installation: str) -> Dashboard:
    """The board for whoever has been paged."""
    return board(
        Slug.ON_CALL,
        installation,
        description="What is firing, since when, and the figures behind it.",
        refresh="10s",
        begins="now-3h",
        variables=[*queue_variables(), runbooks()],
        bands=[
            Band(
                4,
                [
                    (4, _firing_now("critical", "Pages", ANY_IS_TROUBLE)),
                    (4, _firing_now("warning", "Warnings", ANY_IS_WATCH)),
                    (4, _workers_up()),
                    (4, _partial()),
                    (4, _policy_reload()),
                    (4, _conservation()),
                ],
            ),
            Band(9, [(14, _firing(installation)), (10, _pending())], title="Firing"),
            Band(9, [(24, _over_time())]),
            Band(9, [(12, _over_limit()), (12, _waits())], title="Why: the floor"),
            Band(8, [(8, _service_levels()), (8, _abandonment()), (8, _nobody_staffed())]),
            Band(
                8,
                [(8, _sources()), (8, _lag()), (8, _out_of_service())],
                title="Why: the stream",
            ),
        ],
    )


def _alerts(state: str, severity: str = "") -> str:
    of_severity = f', severity="{severity}"' if severity else ""
    return f'ALERTS{{{OF_ALERTS}, alertstate="{state}"{of_severity}}}'


def _firing_now(severity: str, title: str, steps: Steps) -> PanelBuilder:
    return tile(
        title,
        f"Alerts of floorwatch with severity {severity} that are firing now, each queue and"
        " channel once.",
        Query(f"count({_alerts('firing', severity)}) or vector(0)", "firing"),
        steps=steps,
    )


def _workers_up() -> PanelBuilder:
    return tile(
        "Workers",
        "Workers that Prometheus can read, of all that it knows of.",
        Query(f"sum(up{{{INSTALLATION}}})", "up"),
        steps=((None, TROUBLE), (1, GOOD)),
        no_value="none known",
    )


def _partial() -> PanelBuilder:
    return tile(
        "Floor",
        "Whether a partition of the floor is missing from what is shown.",
        Query(largest(m.FLOOR_PARTIAL), "floor"),
        steps=ANY_IS_TROUBLE,
        words={"0": "whole", "1": "PARTIAL"},
        no_value="no worker",
    )


def _policy_reload() -> PanelBuilder:
    return tile(
        "Policy on disk",
        "Whether the policy on disk can be read; while it cannot, the last one holds.",
        Query(largest(m.POLICY_RELOAD_FAILED), "policy"),
        steps=ANY_IS_WATCH,
        words={"0": "in force", "1": "UNREADABLE"},
        no_value="no worker",
    )


def _conservation() -> PanelBuilder:
    return tile(
        "Visits unaccounted for",
        "Visits by which offered differs from answered + abandoned + left + expired + waiting, in"
        " all queues. Anything but 0 is a fault of floorwatch.",
        Query(f"sum(abs({floor(m.CONSERVATION_VIOLATIONS)}))", "visits"),
        steps=ANY_IS_TROUBLE,
        no_value="no data",
    )


def _firing(installation: str) -> PanelBuilder:
    since = f"ALERTS_FOR_STATE{{{OF_ALERTS}}}"
    return table(
        "Firing now",
        "Each alert that fires, and for how long its condition has held. The name leads to its"
        " runbook, the queue to its figures.",
        Column(
            "Held for",
            f"time() - max by ({_ALERT_LABELS}) ({since} and ignoring (alertstate)"
            f" {_alerts('firing')})",
            DURATION,
        ),
        labels={
            "severity": "Severity",
            "alertname": "Alert",
            "queue": "Queue",
            "channel": "Channel",
            "source": "Source",
        },
        sort_by="Severity",
        descending=False,
        no_value="nothing is firing",
        links={
            "Alert": ("Runbook", "${runbooks}/${__data.fields.alertname}.md"),
            "Queue": (
                "Figures of the queue",
                drill_down(installation, "__data.fields.queue", "__data.fields.channel"),
            ),
        },
    )


def _pending() -> PanelBuilder:
    since = f"ALERTS_FOR_STATE{{{OF_ALERTS}}}"
    return table(
        "About to fire",
        "Alerts whose condition holds, but not yet for as long as it has to.",
        Column(
            "Held for",
            f"time() - max by ({_ALERT_LABELS}) ({since} and ignoring (alertstate)"
            f" {_alerts('pending')})",
            DURATION,
        ),
        labels={
            "severity": "Severity",
            "alertname": "Alert",
            "queue": "Queue",
            "channel": "Channel",
            "source": "Source",
        },
        sort_by="Held for",
        no_value="nothing is pending",
    )


def _over_time() -> PanelBuilder:
    return states(
        "What fired when",
        "Each alert and queue as a band for as long as it fired.",
        Query(
            f"max by ({_ALERT_LABELS}) ({_alerts('firing')})",
            "{{severity}} {{alertname}} {{queue}} {{channel}} {{source}}",
        ),
        words={"1": "firing"},
        no_value="nothing has fired",
    )


def _over_limit() -> PanelBuilder:
    wait = floor.longest_wait()
    critical = floor(m.LONGEST_WAIT_LIMIT, severity="critical")
    return table(
        "Longest wait against its limits",
        "Age of the visit that waits longest, and the limits that decide: a page is about the"
        " critical limit, a warning about the other.",
        Column("Of limit", floor.named(f"{wait} / {critical}"), RATIO, OVER_IS_TROUBLE),
        Column("Longest wait", floor.named(wait), DURATION),
        Column("Critical", floor.named(critical), DURATION),
        Column("Warning", floor.named(floor(m.LONGEST_WAIT_LIMIT, severity="warning")), DURATION),
        Column("Waiting", floor.named(floor(m.CONTACTS_WAITING))),
        Column("In hours", floor.named(floor(m.QUEUE_SCHEDULED_OPEN)), words=YES_OR_NO),
        labels={"name": "Queue", "channel": "Channel"},
        sort_by="Of limit",
        no_value="no data",
    )


def _waits() -> PanelBuilder:
    critical = floor(m.LONGEST_WAIT_LIMIT, severity="critical")
    return lines(
        "Longest wait, of its critical limit",
        "At 100 % the page goes out.",
        Query(floor.named(f"{floor.longest_wait()} / {critical}"), _QUEUE),
        unit=RATIO,
        steps=((None, "transparent"), (1, TROUBLE)),
        no_value="no data",
    )


def _service_levels() -> PanelBuilder:
    level = floor.own_formula(m.SERVICE_LEVEL, "15m")
    return lines(
        "Service level less its target, 15 min",
        "By the queue's own formula over the last 15 minutes. Below 0 it is under its target; what"
        " rests on too few visits is shown too.",
        Query(floor.named(f"{level} - {floor(m.SERVICE_LEVEL_TARGET)}"), _QUEUE),
        unit=RATIO,
        smallest=-1,
        steps=((None, "transparent"), (0, WATCH)),
        no_value="no calls",
    )


def _abandonment() -> PanelBuilder:
    ratio = floor(m.ABANDONMENT, window="15m")
    return lines(
        "Abandonment ratio, of its limit, 15 min",
        "Visits abandoned, of all whose wait ended in the last 15 minutes, as a share of the limit"
        " of the queue.",
        Query(floor.named(f"{ratio} / {floor(m.ABANDONMENT_LIMIT)}"), _QUEUE),
        unit=RATIO,
        steps=((None, "transparent"), (1, WATCH)),
        no_value="no calls",
    )


def _nobody_staffed() -> PanelBuilder:
    staffed = f"sum by (queue) ({floor(m.AGENTS, state=_STAFFED)})"
    return table(
        "Waiting, and who could answer",
        "Visits open now, and agents of the queue who are available, on a contact or in"
        " after-contact work. Only where the source tells of agents.",
        Column("Waiting", floor.named(floor(m.CONTACTS_WAITING)), steps=ANY_IS_WATCH),
        Column("Staffed", floor.in_each_channel(staffed), steps=((None, TROUBLE), (1, GOOD))),
        labels={"name": "Queue", "channel": "Channel"},
        sort_by="Waiting",
        no_value="not told",
    )


def _sources() -> PanelBuilder:
    return table(
        "Sources",
        "How long ago each source was last heard, and how long it may be silent. Beyond that its"
        " queues are withheld, and nobody is paged for them.",
        Column("Last heard", source_age(), DURATION),
        Column("May be silent", floor(m.SOURCE_SILENCE_LIMIT), DURATION),
        labels={"source": "Source"},
        sort_by="Last heard",
        no_value="any time",
    )


def _lag() -> PanelBuilder:
    return lines(
        "Behind the topic",
        "How far the last record read of each partition is behind now; 0 while it is read to its"
        " end.",
        Query(largest(m.EVENT_LAG, "topic", "partition"), "{{topic}} {{partition}}"),
        unit=SECONDS,
        no_value="no worker",
    )


def _out_of_service() -> PanelBuilder:
    return table(
        "Out of service",
        "For how long a fault has kept the line of a queue out of service.",
        Column("For", f"time() - {floor(m.QUEUE_OUT_OF_SERVICE_SINCE)}", DURATION),
        labels={"queue": "Queue"},
        sort_by="For",
        no_value="none",
    )
