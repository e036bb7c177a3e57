"""What is told with an alert, and where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dashboards.alerts.rule import Alert

_ON_THE_FLOOR: Final = "floor-lead"
_ON_CALL: Final = "pipeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are in one installation.

    Attributes:
        name: of the installation, which prefixes the uids of boards and rules.
        boards: address of Grafana.
        runbooks: address of the folder with the runbooks.
        suffix: of a runbook's file there.
        datasource: uid of the Prometheus that Grafana asks.
    """

    name: str = "floorwatch"
    boards: str = "http://localhost:3000"
    runbooks: str = "https://floorwatch.example/runbooks"
    suffix: str = ".md"
    datasource: str = "prometheus"


def annotations_of(alert: Alert, places: Places) -> dict[str, str]:
    """For Prometheus and its operator."""
    return {"summary": alert.summary, **_rest(alert, places)}


def plain_annotations_of(alert: Alert, places: Places) -> dict[str, str]:
    """For Grafana, where `$value` is that of query A.

    Labels are reached without `$`: older versions take `$labels` in a provisioning file for a
    variable of the environment.
    """
    told = {"summary": _head(alert) + alert.plain, **_rest(alert, places)}
    return {
        name: text.replace("$value", ".Values.A.Value").replace("$labels.", ".Labels.")
        for name, text in told.items()
    }


def _head(alert: Alert) -> str:
    is_named = alert.of_queue and "$labels.queue" not in alert.plain
    return "{{ $labels.queue }} {{ $labels.channel }}: " if is_named else ""


def _rest(alert: Alert, places: Places) -> dict[str, str]:
    board = _ON_THE_FLOOR if alert.audience == "floor" else _ON_CALL
    address = f"{places.boards}/d/{places.name}-{board}"
    if alert.of_queue:
        asked = "&".join(
            f"var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in ("queue", "channel")
        )
        address = f"{address}?{asked}"
    return {
        "description": alert.description,
        "runbook_url": f"{places.runbooks}/{alert.name}{places.suffix}",
        "dashboard_url": address,
    }
