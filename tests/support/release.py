"""A release of the chart on the tests' control plane, as an SRE would make it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.control_plane import ControlPlane
from tests.support.kubernetes_yaml import Object, objects_in
from tests.support.rendered_chart import CHART

WITHIN: Final = "120s"
"""How long an install or upgrade may take; nodes that are played take seconds."""

MONITORING: Final[Mapping[str, Any]] = {
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboards": {"enabled": True},
    "alertmanagerConfig": {
        "enabled": True,
        "receivers": {
            "dutyManager": {"webhookConfigs": [{"url": "http://pager.example:9095/"}]},
            "sre": {"webhookConfigs": [{"url": "http://pager.example:9095/"}]},
        },
    },
}
"""Values that turn on what is made for other programs: Prometheus' operator, Grafana's sidecar."""

POD_MONITOR: Final[Mapping[str, Any]] = {
    "serviceMonitor": {"enabled": False},
    "podMonitor": {"enabled": True},
}
"""Values that have the pods scraped without their Service: one or the other is enough."""

SMALL: Final[Mapping[str, Any]] = {
    "kafka": {"bootstrap": "kafka.example:9092"},
    "workers": {"replicas": 2, "minReadySeconds": 0},
}
"""Values of a small installation, whose pods are replaced without a pause."""

Values = Mapping[str, Any]


def merged(*values: Values) -> dict[str, Any]:
    """What Helm makes of several files of values: mappings are joined, later ones win."""
    joined: dict[str, Any] = {}
    for each in values:
        for key, value in each.items():
            known = joined.get(key)
            both = isinstance(known, Mapping) and isinstance(value, Mapping)
            joined[key] = merged(known, value) if both else value  # type: ignore[arg-type] # both
    return joined


class Release:
    """The release *name* in *namespace*; nothing is installed yet.

    Args:
        folder: where its files of values go.
    """

    def __init__(
        self, cluster: ControlPlane, namespace: str, folder: Path, name: str = "floor"
    ) -> None:
        self.cluster, self.namespace, self.name = cluster, namespace, name
        self._folder, self._numbers = folder, count(1)

    def install(self, values: Values) -> str:
        """Install it and wait until all is ready; its notes."""
        return self._changed("install", values)

    def upgrade(self, values: Values, within: str = WITHIN) -> str:
        """Upgrade it to *values* and nothing else, and wait; its notes."""
        return self._changed("upgrade", values, "--reset-values", within=within)

    def roll_back(self, revision: int) -> None:
        """Go back to *revision*, counted from 1, and wait."""
        self.cluster.helm(
            *("rollback", self.name, str(revision), self._in, "--wait", f"--timeout={WITHIN}")
        )

    def uninstall(self) -> None:
        """Remove it, and wait until all of it is gone."""
        self.cluster.helm("uninstall", self.name, self._in, "--wait", f"--timeout={WITHIN}")

    def rendered(self, values: Values | Path) -> list[Object]:
        """The objects that it would make of *values*, those of hooks too."""
        file = values if isinstance(values, Path) else self._values(values)
        return objects_in(
            self.cluster.helm("template", self.name, CHART, self._in, f"--values={file}")
        )

    def revisions(self) -> list[tuple[int, str]]:
        """(number, status) of each of its revisions."""
        listed = yaml.safe_load(self.cluster.helm("history", self.name, self._in, "--output=yaml"))
        return [(each["revision"], each["status"]) for each in listed]

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """Its objects of *kind*, by the label that Helm's charts put on them."""
        return self.cluster.get(
            self.namespace, kind, f"--selector=app.kubernetes.io/instance={self.name}"
        )

    def only(self, kind: str) -> dict[str, Any]:
        """Its one object of *kind*."""
        found = self.objects(kind)
        assert len(found) == 1, f"{len(found)} {kind}, expected one"
        return found[0]

    def workers(self) -> dict[str, dict[str, Any]]:
        """Its workers' pods by name, as they are."""
        [stateful] = self.objects("statefulsets")
        return {
            pod["metadata"]["name"]: pod
            for pod in self.objects("pods")
            if any(
                owner["uid"] == stateful["metadata"]["uid"]
                for owner in pod["metadata"].get("ownerReferences", [])
            )
        }

    @property
    def _in(self) -> str:
        return f"--namespace={self.namespace}"

    def _changed(self, verb: str, values: Values, *options: str, within: str = WITHIN) -> str:
        return self.cluster.helm(
            *(verb, self.name, CHART, self._in, f"--values={self._values(values)}"),
            *("--wait", f"--timeout={within}", *options),
        )

    def _values(self, values: Values) -> Path:
        path = self._folder / f"{self.name}-{next(self._numbers)}.yaml"
        path.write_text(yaml.safe_dump(merged(values)), encoding="utf-8")
        return path


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether *pod* is Ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
