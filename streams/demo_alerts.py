"""Prometheus and Alertmanager beside the demo, with the rules that are shipped."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import GROUPS
from dashboards.alerts.documents import as_yaml, prometheus_rules
from streams.leashed import Leashed
from streams.programs import find_program

PROMETHEUS: Final = "prometheus"
ALERTMANAGER: Final = "alertmanager"

HOST: Final = "127.0.0.1"
PROMETHEUS_PORT: Final = 9090
ALERTMANAGER_PORT: Final = 9093
SCRAPES_EVERY: Final = "5s"

SHIPPED: Final = Path(__file__).parents[1] / "deploy" / "prometheus" / "alertmanager.yml"
"""In a checkout; an installed package has none."""

NOT_BUILT: Final = (
    "no Prometheus and Alertmanager here, so the demo goes on without alerts; in a checkout "
    "`make programs` builds them once, which takes minutes"
)


class Programs(NamedTuple):
    """Where the two are."""

    prometheus: Path
    alertmanager: Path


class Ports(NamedTuple):
    """Where things of the demo listen."""

    worker: int
    prometheus: int
    alertmanager: int


def find_programs() -> Programs | None:
    """The two programs; None unless both are there, and what is shipped for them."""
    prometheus, alertmanager = find_program(PROMETHEUS), find_program(ALERTMANAGER)
    if prometheus is None or alertmanager is None or not SHIPPED.exists():
        return None
    return Programs(prometheus, alertmanager)


@contextlib.contextmanager
def alerts_beside(programs: Programs, ports: Ports) -> Iterator[tuple[Leashed, Leashed]]:
    """Both programs, running; nothing of them is left afterwards."""
    with contextlib.ExitStack() as parts:
        folders = [parts.enter_context(_scratch(name)) for name in (ALERTMANAGER, PROMETHEUS)]
        alertmanager = parts.enter_context(_alertmanager(programs.alertmanager, folders[0], ports))
        prometheus = parts.enter_context(_prometheus(programs.prometheus, folders[1], ports))
        yield prometheus, alertmanager


def prometheus_config(ports: Ports, rules: Path) -> dict[str, Any]:
    """Scrapes the worker, and tells the Alertmanager what the *rules* find."""
    return {
        "global": {"scrape_interval": SCRAPES_EVERY, "evaluation_interval": SCRAPES_EVERY},
        "rule_files": [str(rules)],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"{HOST}:{ports.alertmanager}"]}]}]
        },
        "scrape_configs": [
            {
                "job_name": "floorwatch",
                "static_configs": [{"targets": [f"{HOST}:{ports.worker}"]}],
            }
        ],
    }


def alertmanager_config(shipped: Mapping[str, Any]) -> dict[str, Any]:
    """The *shipped* routes and inhibitions, with receivers that tell nobody: the wall shows it."""
    return {**shipped, "receivers": [{"name": each["name"]} for each in shipped["receivers"]]}


def lead_to_wall(rules: dict[str, Any], wall: str) -> dict[str, Any]:
    """*rules* whose alerts lead to the *wall*, or its page of their queue: there is no Grafana."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                annotations = rule["annotations"]
                query = annotations["dashboard_url"].partition("?")[2].replace("var-", "")
                annotations["dashboard_url"] = f"{wall}/queue?{query}" if query else f"{wall}/"
    return rules


def write_prometheus(folder: Path, ports: Ports) -> Path:
    """Put the rules and the configuration into *folder*; the path of the latter."""
    rules, config = folder / "floorwatch.rules.yml", folder / "prometheus.yml"
    written = lead_to_wall(prometheus_rules(GROUPS, Places()), f"http://{HOST}:{ports.worker}")
    rules.write_text(as_yaml(written), encoding="utf-8")
    config.write_text(yaml.safe_dump(prometheus_config(ports, rules)), encoding="utf-8")
    return config


def write_alertmanager(folder: Path) -> Path:
    """Put the configuration into *folder*; its path."""
    config = folder / "alertmanager.yml"
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump(alertmanager_config(shipped)), encoding="utf-8")
    return config


def _prometheus(program: Path, folder: Path, ports: Ports) -> Leashed:
    command = [
        str(program),
        f"--config.file={write_prometheus(folder, ports)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{ports.prometheus}",
    ]
    return Leashed("Prometheus", command, removing=folder)


def _alertmanager(program: Path, folder: Path, ports: Ports) -> Leashed:
    command = [
        str(program),
        f"--config.file={write_alertmanager(folder)}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{ports.alertmanager}",
        "--cluster.listen-address=",  # alone: it listens for no other one
    ]
    return Leashed("Alertmanager", command, removing=folder)


@contextlib.contextmanager
def _scratch(name: str) -> Iterator[Path]:
    """A folder that goes with the demo; with the program, too, should the demo be killed."""
    with tempfile.TemporaryDirectory(
        prefix=f"floorwatch-{name}-", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)
