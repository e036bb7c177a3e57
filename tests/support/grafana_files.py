"""Dashboards and alert rules as they are shipped, small enough to read."""

from __future__ import annotations

from typing import Any, Final

from dashboards.provision.wanted import Wanted, wanted


def dashboard(slug: str, name: str = "floorwatch", **more: Any) -> dict[str, Any]:
    """One with a panel, in classic JSON."""
    return {
        "id": None,
        "uid": f"{name}-{slug}",
        "title": f"{name} / {slug.title()}",
        "tags": [name],
        "schemaVersion": 42,
        "editable": False,
        "panels": [
            {
                "id": 1,
                "type": "stat",
                "title": "Waiting now",
                "targets": [{"refId": "A", "expr": "sum(floorwatch_contacts_waiting)"}],
                "fieldConfig": {"defaults": {"decimals": 0, "noValue": ""}, "overrides": []},
            }
        ],
        "links": [],
        **more,
    }


def rule(slug: str, name: str = "floorwatch", **more: Any) -> dict[str, Any]:
    """One in the form of Grafana's file provisioning."""
    query = {
        "refId": "A",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": "prometheus",
        "model": {"refId": "A", "expr": "floorwatch_queue_open == 0", "instant": True},
    }
    return {
        "uid": f"{name}-{slug}",
        "title": f"Floorwatch {slug}",
        "condition": "A",
        "data": [query],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": "60s",
        "keepFiringFor": "5m",
        "labels": {"severity": "critical", "price": "$$5"},
        "annotations": {"summary": "{{ .Labels.queue }}: $$", "runbook_url": "/r/x"},
        "isPaused": False,
        **more,
    }


def alerting(*groups: dict[str, Any], name: str = "floorwatch") -> dict[str, Any]:
    """A file of alert provisioning; with no *groups*, one of two rules."""
    usual = {
        "orgId": 1,
        "name": "floor: now / soon",
        "folder": "floorwatch alerts",
        "interval": "10s",
        "rules": [rule("closed", name), rule("longest-wait", name)],
    }
    return {"apiVersion": 1, "groups": list(groups) or [usual]}


BOARDS: Final = (dashboard("wall"), dashboard("floor-lead"))
"""Of the installation `floorwatch`."""


def wishes(name: str = "floorwatch", *, alerts: bool = True) -> Wanted:
    """What an installation of two dashboards and two alert rules wants."""
    boards = [dashboard(slug, name) for slug in ("wall", "floor-lead")]
    return wanted(name, boards, alerting(name=name) if alerts else None)
