"""The dashboards and alert rules that floorwatch ships, as they were generated."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

import orjson
import yaml

DASHBOARDS: Final = "grafana/generated"
ALERTING: Final = "grafana/generated/alerting.yaml"


def shipped_dashboards() -> list[dict[str, Any]]:
    """All dashboards, in the order of their files."""
    folder = resources.files("dashboards").joinpath(DASHBOARDS)
    files = [file for file in folder.iterdir() if file.name.endswith(".json")]
    return [orjson.loads(file.read_bytes()) for file in sorted(files, key=lambda file: file.name)]


def shipped_alerting() -> Mapping[str, Any]:
    """The alert rules, as Grafana's file provisioning has them."""
    file = resources.files("dashboards").joinpath(ALERTING)
    alerting: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return alerting
