"""What floorwatch ships for a Grafana, as that of one installation."""

from __future__ import annotations

from typing import Any, Final

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import GROUPS
from dashboards.alerts.documents import grafana_rules
from dashboards.grafana import shipped
from dashboards.provision.wanted import Wanted, wanted

_RUNBOOKS: Final = "runbooks"
"""The variable of a board that says where they are."""


def shipped_to(
    url: str,
    name: str,
    *,
    alerts: bool,
    datasource: str | None = None,
    runbooks: str | None = None,
) -> Wanted:
    """The dashboards, and with *alerts* the alert rules, of the installation *name*.

    Args:
        url: of the Grafana that they go to, for the links of alerts to dashboards.
        name: the installation's.
        alerts: whether Grafana is to evaluate the rules itself.
        datasource: uid of the Prometheus that the rules ask; None for `prometheus`.
        runbooks: address of the folder of the runbooks, for the links of alerts and boards; None
            for that of the shipped files.

    Raises:
        NotProvisionable: the name makes a uid too long for Grafana.
    """
    usual = Places()
    at = usual.runbooks if runbooks is None else runbooks.rstrip("/")
    boards = [_with_runbooks(board, at) for _, board in sorted(shipped(name).items())]
    alerting: dict[str, Any] | None = None
    if alerts:
        places = Places(
            name=name,
            boards=url,
            runbooks=at,
            datasource=usual.datasource if datasource is None else datasource,
        )
        alerting = grafana_rules(GROUPS, places)
    return wanted(name, boards, alerting)


def _with_runbooks(board: dict[str, Any], address: str) -> dict[str, Any]:
    """*board*, whose links to runbooks lead to *address*."""
    variables = [
        {**each, "query": address} if each["name"] == _RUNBOOKS else each
        for each in board["templating"]["list"]
    ]
    return {**board, "templating": {**board["templating"], "list": variables}}
