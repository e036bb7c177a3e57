"""What holds of those who watch the workers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import ALERTS
from dashboards.grafana import shipped
from tests.support.boards import selectors
from tests.support.chart_rendering import MARK, Rendering, selects, selects_only


def check_monitors(rendering: Rendering) -> Iterator[str]:  # noqa: PLR0912 # one condition after another
    values = rendering.values
    worker = rendering.pods["worker"]["metadata"]["labels"]
    for kind, option in (("ServiceMonitor", "serviceMonitor"), ("PodMonitor", "podMonitor")):
        monitors = rendering.all(kind)
        if len(monitors) != values[option]["enabled"]:
            yield f"{len(monitors)} {kind}"
        for monitor in monitors:
            spec, asked = monitor["spec"], values[option]
            selector = spec["selector"]["matchLabels"]
            if kind == "PodMonitor":
                found = selects_only(rendering, selector, "worker") and selects(selector, worker)
                [endpoint] = spec["podMetricsEndpoints"]
            else:
                services = [
                    each["spec"].get("clusterIP")
                    for each in rendering.all("Service")
                    if selects(selector, each["metadata"]["labels"])
                ]
                found = services == ["None"] and f"{MARK}instance" in selector
                [endpoint] = spec["endpoints"]
            if not found:
                yield f"{kind} does not find each worker once"
            if spec["namespaceSelector"] != {"matchNames": [rendering.namespace]}:
                yield f"{kind} looks in {spec['namespaceSelector']}"
            if (endpoint["port"], endpoint["path"]) != ("http", "/metrics"):
                yield f"{kind} asks {endpoint['port']} {endpoint['path']}"
            secure = bool(values["http"]["tls"]["existingSecret"])
            if endpoint["scheme"] != ("https" if secure else "http"):
                yield f"{kind} asks over {endpoint['scheme']}"
            if (endpoint["interval"], endpoint["scrapeTimeout"]) != (
                asked["interval"],
                asked["scrapeTimeout"],
            ):
                yield f"{kind}: {endpoint['interval']}"
            if not asked["extraEndpoint"].items() <= endpoint.items():
                yield f"{kind}: extraEndpoint"
            if not asked["extraSpec"].items() <= spec.items():
                yield f"{kind}: extraSpec"
            set_to = {each.get("targetLabel"): each for each in endpoint["relabelings"]}
            if set_to["instance"].get("sourceLabels") != ["__meta_kubernetes_pod_name"]:
                yield f"{kind}: a worker that comes back is another instance"
            if set_to["job"].get("replacement") != rendering.fullname:
                yield f"{kind}: two releases would be one job"
            if ("authorization" in endpoint) != values["http"]["tokens"]["metrics"]:
                yield f"{kind}: token of /metrics"
            limit = asked["sampleLimit"]
            if limit is None and spec["sampleLimit"] < values["settings"]["max_queues"] * 200:
                yield f"{kind}: {spec['sampleLimit']} samples are fewer than a worker may have"
            if limit is not None and spec.get("sampleLimit", 0) != limit:
                yield f"{kind}: {spec.get('sampleLimit')} samples"


def check_marks(rendering: Rendering) -> Iterator[str]:
    for each in rendering.ours:
        left = re.findall(r"@[A-Z]+@", json.dumps(each))
        if left:
            yield f"{each['kind']} {each['metadata']['name']} has {left[0]} left in it"


def check_rules(rendering: Rendering) -> Iterator[str]:  # noqa: PLR0912 # one condition after another
    values = rendering.values["prometheusRule"]
    groups = [group for each in rendering.all("PrometheusRule") for group in each["spec"]["groups"]]
    own = len(groups) - len(values["extraGroups"])
    if groups and groups[own:] != values["extraGroups"]:
        yield "extraGroups"
    rules = [rule for group in groups[:own] for rule in group["rules"]]
    if bool(rules) != values["enabled"]:
        yield f"{len(rules)} rules"
    if not rules:
        return
    whose = {}
    if values["scope"] == "release":
        whose = {
            "namespace": rendering.namespace,
            "job": values["job"] or rendering.fullname,
        }
    names = [rule["alert"] for rule in rules if "alert" in rule]
    if names != [each.name for each in ALERTS if each.name not in values["disabled"]]:
        yield f"{len(names)} alerts"
    if any("record" in rule for rule in rules) != values["recordings"]:
        yield "recordings"
    for rule in rules:
        name = rule.get("alert") or rule["record"]
        for selector in selectors(rule["expr"]):
            if not whose.items() <= selector.matchers.items() and "absent" not in rule["expr"]:
                yield f"{name}: {selector.name} of whatever release"
        for matcher in (*(f'{key}="{value}"' for key, value in whose.items()), *values["matchers"]):
            if matcher not in rule["expr"] and "{" in rule["expr"]:
                yield f"{name}: no {matcher}"
        if "alert" in rule:
            if not {"severity", "audience"} <= rule["labels"].keys():
                yield f"{name}: nobody knows whom to tell"
            if not values["alertLabels"].keys() <= rule["labels"].keys():
                yield f"{name}: alertLabels"
            for key, value in values["overrides"].get(name, {}).items():
                written = {"keepFiringFor": "keep_firing_for"}.get(key, key)
                if {**rule, **rule["labels"]}.get(written) != value:
                    yield f"{name}: {key} is not {value}"
            links = {"runbook_url": "runbooksUrl", "dashboard_url": "grafanaUrl"}
            for link, option in links.items():
                found = rule["annotations"].get(link, "")
                base = values[option].rstrip("/")
                if not (found.startswith(f"{base}/") if base else found == ""):
                    yield f"{name}: {link} is {found!r}"


@cache
def _shipped(installation: str) -> dict[str, Any]:
    return shipped(installation)


def check_dashboards(rendering: Rendering) -> Iterator[str]:
    values = rendering.values["dashboards"]
    maps = [
        each
        for each in rendering.all("ConfigMap")
        if each["metadata"]["labels"][f"{MARK}component"] == "dashboards"
    ]
    wanted = _shipped(rendering.values["name"] or rendering.fullname)
    if len(maps) != len(wanted) * values["enabled"]:
        yield f"{len(maps)} boards"
    for each in maps:
        if not values["labels"].items() <= each["metadata"]["labels"].items():
            yield "the sidecar looks for other labels"
        if not values["annotations"].items() <= each["metadata"].get("annotations", {}).items():
            yield "annotations"
        [(file, text)] = each["data"].items()
        board = json.loads(text)
        runbooks = rendering.values["prometheusRule"]["runbooksUrl"].rstrip("/")
        for variable in board["templating"]["list"]:
            if variable["name"] == "runbooks" and runbooks:
                if variable["query"] != runbooks:
                    yield f"{file}: runbooks at {variable['query']}"
                variable["query"] = Places().runbooks
        if board != wanted.get(file.removesuffix(".json")):
            yield f"{file} is not what is shipped"


def check_routes(rendering: Rendering) -> Iterator[str]:
    values = rendering.values["alertmanagerConfig"]
    found = rendering.all("AlertmanagerConfig")
    if len(found) != values["enabled"]:
        yield f"{len(found)} AlertmanagerConfigs"
    for each in found:
        spec = each["spec"]
        receivers = {receiver["name"]: receiver for receiver in spec["receivers"]}
        for name, how in values["receivers"].items():
            if receivers.get(name) != {"name": name, **how}:
                yield f"receiver {name}"
        told = {
            spec["route"]["receiver"],
            *(route["receiver"] for route in spec["route"]["routes"]),
        }
        if not told <= receivers.keys():
            yield f"routes to {told - receivers.keys()}"
