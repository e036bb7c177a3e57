"""The on-call board: what is firing, since when, and why."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana import trust
from dashboards.grafana.board import Band, Slug, board, drill_down, queue_variables, runbooks
from dashboards.grafana.panels import (
    ANY_IS_TROUBLE,
    ANY_IS_WATCH,
    DURATION,
    GOOD,
    OVER_IS_TROUBLE,
    RATIO,
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
from dashboards.grafana.queries import ALERT_IS_ABOUT, ALERT_LABELS, CHOSEN_QUEUES, OF_ALERTS
from schemas import metric_names as m

floor = CHOSEN_QUEUES

_WHERE = '"where", " ", "source", "topic", "partition", "instance"'
_LABELS = {
    "severity": "Severity",
    "alertname": "Alert",
    "queue": "Queue",
    "channel": "Channel",
    "where": "Where",
}
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
                    (4, trust.workers()),
                    (4, trust.whole_floor()),
                    (4, trust.policy_on_disk()),
                    (4, trust.unaccounted_for()),
                ],
            ),
            Band(9, [(14, _firing(installation)), (10, _pending())], title="Firing"),
            Band(9, [(24, _over_time())]),
            Band(9, [(12, _over_limit()), (12, _waits())], title="Why: the floor"),
            Band(8, [(8, _service_levels()), (8, _abandonment()), (8, _nobody_staffed())]),
            Band(
                8,
                [(8, trust.sources()), (8, trust.behind()), (8, _out_of_service())],
                title="Why: the stream",
            ),
        ],
    )


def _alerts(state: str, severity: str = "critical|warning") -> str:
    return f'ALERTS{{{OF_ALERTS}, alertstate="{state}", severity=~"{severity}"}}'


def _held_for(state: str) -> Column:
    since = f"ALERTS_FOR_STATE{{{OF_ALERTS}}} and ignoring (alertstate) {_alerts(state)}"
    held = f"time() - max by ({ALERT_LABELS}) ({since})"
    return Column("Held for", f"label_join({held}, {_WHERE})", DURATION)


def _firing_now(severity: str, title: str, steps: Steps) -> PanelBuilder:
    return tile(
        title,
        f"Alerts of floorwatch with severity {severity} that are firing now, each queue and"
        " channel once.",
        Query(f"count({_alerts('firing', severity)}) or vector(0)", "firing"),
        steps=steps,
    )


def _firing(installation: str) -> PanelBuilder:
    return table(
        "Firing now",
        "Each alert that fires, and for how long its condition has held. The name leads to its"
        " runbook, the queue to its figures.",
        _held_for("firing"),
        labels=_LABELS,
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
    return table(
        "About to fire",
        "Alerts whose condition holds, but not yet for as long as it has to.",
        _held_for("pending"),
        labels=_LABELS,
        sort_by="Held for",
        no_value="nothing is pending",
    )


def _over_time() -> PanelBuilder:
    return states(
        "What fired when",
        "Each alert and queue as a band for as long as it fired.",
        Query(
            f"max by ({ALERT_LABELS}) ({_alerts('firing')})",
            f"{{{{severity}}}} {{{{alertname}}}} {ALERT_IS_ABOUT}",
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


def _out_of_service() -> PanelBuilder:
    return table(
        "Out of service",
        "For how long a fault has kept the line of a queue out of service.",
        Column("For", f"time() - {floor(m.QUEUE_OUT_OF_SERVICE_SINCE)}", DURATION),
        labels={"queue": "Queue"},
        sort_by="For",
        no_value="none",
    )
