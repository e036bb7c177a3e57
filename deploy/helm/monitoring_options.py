"""What watches the workers: monitors, rules, boards, routes, the test."""

from __future__ import annotations

from typing import Final

from dashboards.alerts.catalogue import ALERTS
from deploy.helm.option import (
    NAME,
    Option,
    Schema,
    Section,
    choice,
    flag,
    many,
    of_a_job,
    of_kubernetes,
    texts,
    whole,
    words,
)


def _relabelings(text: str) -> Option:
    return of_kubernetes(
        text,
        kind="array",
        examples=[[{"action": "labeldrop", "regex": "container"}]],
    )


def _monitor(kind: str, more: str) -> Section:
    return Section(
        text=f"A {kind} of the Prometheus operator. {more}",
        options={
            "enabled": flag("Make one."),
            "namespace": words(
                "Its namespace; empty for the release's.", pattern=NAME, examples=["", "monitoring"]
            ),
            "labels": texts(
                "Its labels; kube-prometheus-stack takes those with `release: NAME` alone unless "
                "told otherwise."
            ),
            "annotations": texts("Its annotations."),
            "interval": words(
                "How often. Alerts and boards are made for 5s, and need 30s or less.",
                "5s",
                pattern=r"^([1-9]|[12]\d|30)s$",
                examples=["5s", "30s"],
            ),
            "scrapeTimeout": words(
                "How long one may take; at most the interval.",
                "5s",
                pattern=r"^([1-9]|[12]\d|30)s$",
                examples=["1s", "5s"],
            ),
            "sampleLimit": whole(
                "Most samples of a pod; null is what settings.max_queues allows, 0 no limit.",
                None,
                *(0, 100_000_000),
                or_none=True,
            ),
            "labelLimit": whole("Most labels of a series; 0 for no limit.", 30, 0, 1000),
            "labelNameLengthLimit": whole(
                "Longest name of a label; 0 for no limit.", 64, 0, 10_000
            ),
            "labelValueLengthLimit": whole(
                "Longest value of a label; 0 for no limit.", 512, 0, 100_000
            ),
            "relabelings": _relabelings("Further relabelings of the target."),
            "metricRelabelings": _relabelings("Relabelings of its series."),
            "tlsConfig": of_kubernetes(
                "How the pod's certificate is checked; with http.tls this or `scrapeClass` is "
                "required. Pods are asked by their address, so name a `serverName` of it.",
                examples=[{"insecureSkipVerify": True}],
            ),
            "scrapeClass": words("Scrape class.", examples=["", "tls"]),
            "extraSpec": of_kubernetes(
                "Further fields of its spec.", examples=[{"attachMetadata": {"node": True}}]
            ),
            "extraEndpoint": of_kubernetes(
                "Further fields of its endpoint.",
                examples=[{"followRedirects": False, "enableHttp2": False}],
            ),
        },
    )


SERVICE_MONITOR: Final = _monitor("ServiceMonitor", "One of both kinds is enough.")
POD_MONITOR: Final = _monitor("PodMonitor", "In place of the ServiceMonitor.")

PROMETHEUS_RULE: Final = Section(
    text="The alerts, which are tested with floorwatch, as a PrometheusRule. Their limits are data "
    "of the policy: a change of it needs no new rules.",
    options={
        "enabled": flag("Make one."),
        "namespace": words(
            "Its namespace; empty for the release's.", pattern=NAME, examples=["", "monitoring"]
        ),
        "labels": texts("Its labels; kube-prometheus-stack wants `release: NAME`."),
        "annotations": texts("Its annotations."),
        "scope": choice(
            "`release` watches this release alone, `everything` each floorwatch that Prometheus "
            "has, so that one of several releases brings the rules.",
            "release",
            *("release", "everything"),
        ),
        "job": words(
            "Label `job` of the workers in Prometheus, with scope `release`; empty for what the "
            "monitors here set.",
            pattern=r"^[^\"\\\x00-\x1f]*$",
            examples=["", "floorwatch"],
        ),
        "matchers": many(
            'Further matchers of every series, in PromQL, as cluster="eu".',
            {
                "type": "string",
                "pattern": r"^[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)\"[^\"\\\x00-\x1f]*\"$",
            },
            examples=[[], ['cluster="eu"'], ['cluster=~"eu|us"', 'env!="test"']],
        ),
        "disabled": many(
            "Names of alerts that are left out.",
            {"enum": [alert.name for alert in ALERTS]},
            examples=[[], ["FloorwatchNoArrivals", "FloorwatchWatchdog"]],
            uniqueItems=True,
        ),
        "overrides": Option(
            text="Another `for`, `keepFiringFor` or `severity` of an alert, by its name.",
            default={},
            schema={
                "type": "object",
                "propertyNames": {"enum": [alert.name for alert in ALERTS]},
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "for": {"type": "string", "pattern": r"^\d+(s|m|h)$"},
                        "keepFiringFor": {"type": "string", "pattern": r"^\d+(s|m|h)$"},
                        "severity": {"enum": ["critical", "warning", "none"]},
                    },
                },
                "examples": [
                    {},
                    {"FloorwatchWorkerDown": {"for": "10m", "severity": "warning"}},
                    {"FloorwatchSourceStale": {"keepFiringFor": "5m"}},
                ],
            },
        ),
        "extraGroups": of_kubernetes(
            "Further groups of rules.",
            kind="array",
            examples=[
                [{"name": "own", "rules": [{"alert": "Own", "expr": "vector(1) > 2"}]}],
            ],
        ),
        "recordings": flag("The recorded figures, which no alert reads, too.", True),
        "alertLabels": texts("Further labels of every alert."),
        "alertAnnotations": texts("Further annotations of every alert."),
        "runbooksUrl": words(
            "Address of a folder with dashboards/alerts/runbooks; empty for no links.",
            pattern=r"^(https?://[^\s]+)?$",
            examples=["", "https://runbooks.example/floorwatch"],
        ),
        "grafanaUrl": words(
            "Address of the Grafana with the dashboards; empty for no links.",
            pattern=r"^(https?://[^\s]+)?$",
            examples=["", "https://grafana.example"],
        ),
    },
)

DASHBOARDS: Final = Section(
    text="The Grafana boards, a ConfigMap each, for the sidecar of Grafana's chart.",
    options={
        "enabled": flag("Make them."),
        "namespace": words(
            "Their namespace; empty for the release's.", pattern=NAME, examples=["", "monitoring"]
        ),
        "labels": texts("Labels that the sidecar looks for.", {"grafana_dashboard": "1"}),
        "annotations": texts(
            "Annotations; the sidecar's folder annotation by default.",
            {"grafana_folder": "floorwatch"},
        ),
    },
)

_RECEIVER: Final[Schema] = {
    "type": "object",
    "properties": {"name": False},
    "examples": [
        {"webhookConfigs": [{"url": "http://pager.example:9095/", "sendResolved": True}]},
    ],
}


def _receiver(text: str) -> Option:
    return Option(text=text, default={}, schema=_RECEIVER)


ALERTMANAGER_CONFIG: Final = Section(
    text="Routes and inhibitions of the alerts as an AlertmanagerConfig; the receivers are yours.",
    options={
        "enabled": flag("Make one."),
        "namespace": words(
            "Its namespace; empty for the release's.", pattern=NAME, examples=["", "monitoring"]
        ),
        "labels": texts("Its labels, which the Alertmanager selects it by."),
        "annotations": texts("Its annotations."),
        "receivers": Section(
            text="Who is told, each as a receiver of an AlertmanagerConfig without its name; an "
            "empty one tells nobody.",
            options={
                "dutyManager": _receiver("Pages of the floor. Required."),
                "sre": _receiver("Pages about floorwatch itself. Required."),
                "sreTickets": _receiver("Tickets about floorwatch itself."),
                "watchdog": _receiver("Who notices that nothing comes any more."),
                "boards": _receiver("Warnings of the floor, which the boards show anyway."),
            },
        ),
    },
)

PRECHECK: Final = Section(
    text="A Job before install and upgrade in which floorwatch reads settings and policy and asks "
    "nobody: where they are wrong, Helm stops and changes nothing. `existingPolicy` is not read.",
    options={
        "enabled": flag("Run it.", True),
        **of_a_job(),
    },
)

TEST: Final = Section(
    text="What `helm test` runs: floorwatch's own check, as a pod.",
    options={
        "enabled": flag("Have one.", True),
        "resources": of_kubernetes(
            "Its resources.",
            {
                "requests": {"cpu": "50m", "memory": "128Mi"},
                "limits": {"cpu": "1", "memory": "512Mi"},
            },
            examples=[{"limits": {"memory": "1Gi"}}],
        ),
    },
)
