"""All values of the chart, in the order in which `values.yaml` has them.

`values.yaml`, `values.schema.json` and the table in the chart's README are written from here by
`python -m deploy.helm.generate`.
"""

from __future__ import annotations

from typing import Final

from deploy.helm.connection_options import HTTP, IDENTITY, IMAGE, KAFKA, SETTINGS, TOPICS
from deploy.helm.monitoring_options import (
    ALERTMANAGER_CONFIG,
    DASHBOARDS,
    POD_MONITOR,
    PRECHECK,
    PROMETHEUS_RULE,
    SERVICE_MONITOR,
    TEST,
)
from deploy.helm.network_options import INGRESS, NETWORK_POLICY, PDB, SERVICE
from deploy.helm.option import NAME, SECRET, Option, Section, choice, texts, words
from deploy.helm.policy_options import POLICY
from deploy.helm.worker_options import PROBES, SCHEDULING, SECURITY, SERVICE_ACCOUNT, WORKERS

ROOT: Final = Section(
    text="Values of the floorwatch chart.",
    options={
        "nameOverride": words(
            "In place of the chart's name in names.",
            pattern=NAME,
            max_length=40,
            examples=["", "wallboard"],
        ),
        "fullnameOverride": words(
            "In place of release and chart in names.",
            pattern=NAME,
            max_length=50,
            examples=["", "floor-of-berlin"],
        ),
        "namespaceOverride": words(
            "In place of the release's namespace.", pattern=NAME, examples=["", "floor"]
        ),
        "commonLabels": texts("Labels of everything."),
        "commonAnnotations": texts("Annotations of everything."),
        "name": words(
            "Name of the installation: it prefixes the consumer group, floorwatch's own topics and "
            "the dashboards' ids, so it stays. Empty for the release's full name; two releases "
            "that share a Kafka need two.",
            pattern=r"^([a-z0-9][a-z0-9_-]{0,29})?$",
            examples=["", "floorwatch", "berlin_2"],
        ),
        "size": choice(
            "Workers, resources and partitions by deploy/SIZING.md: small for 100 agents, medium "
            "for 10,000, large for 100,000.",
            "small",
            *("small", "medium", "large"),
        ),
        "image": IMAGE,
        "kafka": KAFKA,
        "topics": TOPICS,
        "policy": POLICY,
        "existingPolicy": words(
            "ConfigMap with the policy under policy.yaml, in place of `policy`.",
            pattern=SECRET,
            examples=["", "floor-policy"],
        ),
        "settings": SETTINGS,
        "identity": IDENTITY,
        "http": HTTP,
        "workers": WORKERS,
        "security": SECURITY,
        "probes": PROBES,
        "scheduling": SCHEDULING,
        "serviceAccount": SERVICE_ACCOUNT,
        "service": SERVICE,
        "ingress": INGRESS,
        "podDisruptionBudget": PDB,
        "networkPolicy": NETWORK_POLICY,
        "serviceMonitor": SERVICE_MONITOR,
        "podMonitor": POD_MONITOR,
        "prometheusRule": PROMETHEUS_RULE,
        "dashboards": DASHBOARDS,
        "alertmanagerConfig": ALERTMANAGER_CONFIG,
        "precheck": PRECHECK,
        "test": TEST,
        "extraDeploy": Option(
            text="Further objects, as mappings or as templates.",
            default=[],
            schema={
                "type": "array",
                "items": {"type": ["object", "string"]},
                "examples": [
                    [],
                    [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "metadata": {"name": "more"},
                            "data": {"of": "{{ .Release.Name }}"},
                        }
                    ],
                ],
            },
        ),
        "global": Option(
            text="What a chart around this one says to all: `imageRegistry`, `imagePullSecrets`.",
            default={},
            schema={
                "type": "object",
                "properties": {
                    "imageRegistry": {"type": ["string", "null"]},
                    "imagePullSecrets": {"type": ["array", "null"]},
                },
                "examples": [{}, {"imageRegistry": "registry.example:5000"}],
            },
        ),
    },
)
