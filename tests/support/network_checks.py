"""What holds of those who reach the pods, and of whom these reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from tests.support.chart_rendering import Rendering, selects_only
from tests.support.kubernetes_yaml import Object

_PORT: Final = re.compile(r":(\d+) *(?:,|$)")


def check_services(rendering: Rendering) -> Iterator[str]:
    services = rendering.all("Service")
    if len(services) != 2:
        yield f"{len(services)} services"
    for service in services:
        name, spec = service["metadata"]["name"], service["spec"]
        if not selects_only(rendering, spec["selector"], "worker"):
            yield f"{name} does not select the workers alone"
        if spec.get("publishNotReadyAddresses") is not True:
            yield f"{name} hides workers that catch up"
        [port] = spec["ports"]
        if (port["name"], port["targetPort"]) != ("http", "http"):
            yield f"{name}: {port}"
    for ingress in rendering.all("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                to = path["backend"]["service"]
                found = rendering.named("Service", to["name"])
                if found is None or to["port"]["name"] not in {
                    each["name"] for each in found["spec"]["ports"]
                }:
                    yield f"the ingress leads to {to}"
                elif found["spec"].get("clusterIP") == "None":
                    yield "the ingress leads to the headless service"


def check_budgets(rendering: Rendering) -> Iterator[str]:
    budgets = rendering.all("PodDisruptionBudget")
    if len(budgets) != rendering.values["podDisruptionBudget"]["enabled"]:
        yield f"{len(budgets)} budgets"
    for budget in budgets:
        if not selects_only(rendering, budget["spec"]["selector"]["matchLabels"], "worker"):
            yield "the budget is not that of the workers"
        if (
            budget["spec"]["maxUnavailable"]
            != (rendering.values["podDisruptionBudget"]["maxUnavailable"])
        ):
            yield "maxUnavailable"


def check_network(rendering: Rendering) -> Iterator[str]:  # noqa: PLR0912 # one condition after another
    values = rendering.values["networkPolicy"]
    policies = rendering.all("NetworkPolicy")
    if not values["enabled"]:
        if policies:
            yield "a NetworkPolicy that nobody wanted"
        return
    by_component: dict[str, Object] = {}
    for policy in policies:
        selector = policy["spec"]["podSelector"].get("matchLabels", {})
        for component in rendering.pods:
            if selects_only(rendering, selector, component):
                by_component[component] = policy["spec"]
        if set(policy["spec"]["policyTypes"]) != {"Ingress", "Egress"}:
            yield f"{policy['metadata']['name']} leaves a direction open"
    if by_component.keys() != rendering.pods.keys():
        yield f"policies for {sorted(by_component)} of {sorted(rendering.pods)}"
        return
    kafka = {int(each) for each in _PORT.findall(rendering.values["kafka"]["bootstrap"])}
    if by_component.pop("precheck", {}).keys() & {"egress", "ingress"}:
        yield "who asks nobody may"
    for component, spec in by_component.items():
        allowed = {
            (each.get("protocol", "TCP"), each["port"])
            for rule in spec["egress"]
            for each in rule.get("ports", [])
        }
        needed = {("TCP", port) for port in kafka | set(values["kafkaPorts"])}
        needed |= {(how, port) for how in ("TCP", "UDP") for port in values["dnsPorts"]}
        if component == "test":
            needed.add(("TCP", 6066))
        if not needed <= allowed:
            yield f"{component} may not reach {sorted(needed - allowed)}"
        if any(not rule for rule in spec["egress"]):
            yield f"{component} may reach everyone"
        if component != "worker" and spec.get("ingress"):
            yield f"{component} can be reached"
    first, *_ = by_component["worker"]["ingress"]
    if first["ports"] != [{"protocol": "TCP", "port": "http"}]:
        yield f"the wall's port is {first['ports']}"
    wanted = list(values["ingressFrom"])
    if first.get("from", [])[: len(wanted)] != wanted or bool(first.get("from")) != bool(wanted):
        yield "ingressFrom"
    address = rendering.values["settings"]["alertmanager"]
    if address != "off":
        url = urlsplit(address)
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        if ("TCP", port) not in {
            (each["protocol"], each["port"])
            for rule in by_component["worker"]["egress"]
            for each in rule["ports"]
            if "protocol" in each
        }:
            yield "the Alertmanager may not be reached"
