"""The rules as files: for Prometheus, for its operator, for Grafana."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from dashboards.alerts.annotations import Places, annotations_of, plain_annotations_of
from dashboards.alerts.rule import PREFIX, Alert, Group, Recording

Document = dict[str, Any]

FOLDER: Final = "floorwatch alerts"
GRAFANA_STEP_S: Final = 10
"""Grafana evaluates at whole multiples of this."""

_HEADER: Final = "# Written by `python -m dashboards.alerts.generate`; change the rules there.\n"


def prometheus_rules(groups: Iterable[Group], places: Places) -> Document:
    """A rule file of Prometheus."""
    return {
        "groups": [
            {
                "name": group.name,
                "interval": group.interval,
                "rules": [_prometheus_rule(rule, places) for rule in group.rules],
            }
            for group in groups
        ]
    }


def prometheus_rule_manifest(groups: Iterable[Group], places: Places) -> Document:
    """The same as a resource of the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": places.name,
            "labels": {"app.kubernetes.io/name": "floorwatch", "role": "alert-rules"},
        },
        "spec": prometheus_rules(groups, places),
    }


def grafana_rules(groups: Iterable[Group], places: Places) -> Document:
    """The alerts as a file of Grafana's provisioning, for a Grafana that evaluates by itself.

    Recordings stay with Prometheus. The watchdog is left out too: what it watches is the way
    from Prometheus to whoever is told.
    """
    kept = []
    for group in groups:
        rules = [
            _grafana_rule(rule, places, _grafana_interval_s(group.interval))
            for rule in group.rules
            if isinstance(rule, Alert) and rule.audience != "watchdog"
        ]
        if rules:
            kept.append(
                {
                    "orgId": 1,
                    "name": group.name,
                    "folder": FOLDER,
                    "interval": f"{_grafana_interval_s(group.interval)}s",
                    "rules": rules,
                }
            )
    return {"apiVersion": 1, "groups": kept}


def _prometheus_rule(rule: Alert | Recording, places: Places) -> Document:
    if isinstance(rule, Recording):
        return {"record": rule.name, "expr": rule.expr}
    written: Document = {"alert": rule.name, "expr": rule.expr}
    if rule.hold:
        written["for"] = rule.hold
    if rule.keep:
        written["keep_firing_for"] = rule.keep
    return written | {"labels": dict(rule.labels), "annotations": annotations_of(rule, places)}


def _grafana_rule(alert: Alert, places: Places, every_s: int) -> Document:
    """One query, and whether it returned anything: its value may be 0, or below.

    A queue that is in breach no more has no series any more. Grafana ends the alert of a series
    that is missing for two evaluations, however long it should be kept firing, so it is told to
    wait for as many as that takes.
    """
    name = alert.name.removeprefix(PREFIX)
    written: Document = {
        "uid": f"{places.name}-{_dashed(name)}"[:40],
        "title": alert.name,
        "condition": "B",
        "data": [
            _query("A", places.datasource, {"expr": alert.expr, "instant": True, "range": False}),
            _query(
                "B",
                "__expr__",
                {
                    "type": "math",
                    "expression": "is_number($A) || is_inf($A)",
                    "datasource": {"type": "__expr__", "uid": "__expr__"},
                },
            ),
        ],
        # Nothing in breach is no data, and that is fine.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.hold or "0s",
    }
    if alert.keep:
        written["keepFiringFor"] = alert.keep
        evaluations = -(-int(alert.keep.removesuffix("m")) * 60 // every_s)
        written["missing_series_evals_to_resolve"] = evaluations
    return written | {
        "labels": dict(alert.labels),
        "annotations": plain_annotations_of(alert, places),
        "isPaused": False,
    }


def _query(ref: str, datasource: str, model: Mapping[str, Any]) -> Document:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": datasource,
        "model": {**model, "refId": ref, "intervalMs": 1000, "maxDataPoints": 43200},
    }


def _grafana_interval_s(interval: str) -> int:
    seconds = int(interval.removesuffix("s"))
    return -(-seconds // GRAFANA_STEP_S) * GRAFANA_STEP_S


def _dashed(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, none folded, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 # yaml's own signature
        """Write everything out."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(document: Document) -> str:
    """*document* as it is committed."""
    return _HEADER + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000
    )
