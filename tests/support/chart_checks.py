"""What holds of the chart's objects whatever the values: asked of every set that tests render."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import ALERTS
from dashboards.grafana import shipped
from tests.support import kubernetes_schemas, pod_security
from tests.support.boards import selectors
from tests.support.drawn_values import merged
from tests.support.kubernetes_yaml import Object, read
from tests.support.rendered_chart import NAMESPACE, RELEASE

MARK: Final = "app.kubernetes.io/"
COMPONENTS: Final = {"StatefulSet": "worker", "Job": "topics", "Pod": "test"}
CONTAINERS: Final = {"worker": "worker", "topics": "topics", "test": "check"}
ON_THE_WAY_S: Final = 10
"""How long a worker takes to stop when it is told to."""

_PORT: Final = re.compile(r":(\d+) *(?:,|$)")


@dataclass(frozen=True)
class Rendering:
    """What the chart made of some values.

    Attributes:
        objects: all of them.
        given: the values that were not the defaults.
    """

    objects: list[Object]
    given: Mapping[str, Any]
    release: str = RELEASE
    release_namespace: str = NAMESPACE

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values with the defaults."""
        return merged(self.given)

    @cached_property
    def ours(self) -> list[Object]:
        """Without what `extraDeploy` adds."""
        return [each for each in self.objects if not each["metadata"]["name"].startswith("more")]

    @property
    def namespace(self) -> str:
        """Where it is installed."""
        return str(self.values["namespaceOverride"] or self.release_namespace)

    def all(self, kind: str) -> list[Object]:
        """The objects of *kind*."""
        return [each for each in self.ours if each["kind"] == kind]

    def named(self, kind: str, name: str) -> Object | None:
        """The object of *kind* called *name*, if there is one."""
        found = [each for each in self.all(kind) if each["metadata"]["name"] == name]
        return found[0] if found else None

    @cached_property
    def pods(self) -> dict[str, Object]:
        """By component, what pods are made of: metadata and spec."""
        found = {}
        for kind, component in COMPONENTS.items():
            for each in self.all(kind):
                found[component] = each if kind == "Pod" else each["spec"]["template"]
        return found

    def container(self, component: str) -> Object:
        """The container of the pods of *component*."""
        [container] = [
            each
            for each in self.pods[component]["spec"]["containers"]
            if each["name"] == CONTAINERS[component]
        ]
        return dict(container)

    def settings(self, component: str) -> tuple[str, dict[str, Any]]:
        """The settings of *component* as written and as read."""
        for volume in self.pods[component]["spec"]["volumes"]:
            if volume["name"] == "settings":
                held = self.named("ConfigMap", volume["configMap"]["name"])
                assert held is not None, "no ConfigMap with the settings"
                text = held["data"]["floorwatch.yaml"]
                return text, read(text)
        raise AssertionError("no volume with the settings")


def complaints(rendering: Rendering) -> list[str]:
    """What does not hold, a line each."""
    said: list[str] = []
    for check in CHECKS:
        try:
            said += [f"{check.__name__.strip('_')}: {each}" for each in check(rendering)]
        except (AssertionError, KeyError, IndexError, TypeError, ValueError) as missing:
            said.append(f"{check.__name__.strip('_')}: {type(missing).__name__} {missing}")
    return said


def _schemas(rendering: Rendering) -> Iterator[str]:
    for each in rendering.objects:
        yield from kubernetes_schemas.complaints(each)


def _names(rendering: Rendering) -> Iterator[str]:
    values = rendering.values
    apart = {
        "ServiceMonitor": values["serviceMonitor"]["namespace"],
        "PodMonitor": values["podMonitor"]["namespace"],
        "PrometheusRule": values["prometheusRule"]["namespace"],
        "AlertmanagerConfig": values["alertmanagerConfig"]["namespace"],
    }
    seen = set()
    for each in rendering.ours:
        meta = each["metadata"]
        kind, name, labels = each["kind"], meta["name"], meta["labels"]
        namespace = apart.get(kind) or rendering.namespace
        if labels[f"{MARK}component"] == "dashboards":
            namespace = values["dashboards"]["namespace"] or rendering.namespace
        if meta["namespace"] != namespace:
            yield f"{kind} {name} is in {meta['namespace']}, not in {namespace}"
        if not re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
            yield f"{kind}: {name!r} is no name"
        if (kind, namespace, name) in seen:
            yield f"two {kind} {name} in {namespace}"
        seen.add((kind, namespace, name))
        wanted = {
            f"{MARK}instance": rendering.release,
            f"{MARK}name": values["nameOverride"] or "floorwatch",
            f"{MARK}managed-by": "Helm",
            f"{MARK}part-of": "floorwatch",
        }
        for label, value in wanted.items():
            if labels.get(label) != value:
                yield f"{kind} {name}: label {label} is {labels.get(label)}, not {value}"
        for label in ("helm.sh/chart", f"{MARK}version", f"{MARK}component"):
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,62}", labels.get(label, "")):
                yield f"{kind} {name}: label {label} is {labels.get(label)!r}"
        for label, value in values["commonLabels"].items():
            if not label.startswith(MARK) and value is not None and label not in labels:
                yield f"{kind} {name}: no common label {label}"


def _pods(rendering: Rendering) -> Iterator[str]:
    values, image = rendering.values, _image(rendering)
    for component, pod in rendering.pods.items():
        spec = pod["spec"]
        for said in pod_security.complaints(spec):
            yield f"{component}: {said}"
        of_all = spec["securityContext"]
        if of_all.get("runAsNonRoot") is not True or "seccompProfile" not in of_all:
            yield f"{component}: the pod does not say what holds for containers that values add"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{component}: the account's token is mounted"
        if spec.get("enableServiceLinks") is not False:
            yield f"{component}: services become variables, which floorwatch takes for settings"
        account = spec["serviceAccountName"]
        made = rendering.named("ServiceAccount", account)
        if values["serviceAccount"]["create"] != (made is not None):
            yield f"{component}: account {account}"
        if made is not None and made["automountServiceAccountToken"] is not False:
            yield f"{account}: its token is mounted"
        container = rendering.container(component)
        context = container["securityContext"]
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{component}: its files can be written"
        if context.get("privileged") is not False:
            yield f"{component}: privileged is not denied"
        if context.get("runAsNonRoot") is not True or "seccompProfile" not in context:
            yield f"{component}: the container does not say itself what holds for the pod"
        for part in ("runAsUser", "runAsGroup", "fsGroup"):
            if spec["securityContext"].get(part) != values["security"][part]:
                yield f"{component}: {part} is {spec['securityContext'].get(part)}"
        if "memory" not in container["resources"].get("limits", {}):
            yield f"{component}: no limit of memory"
        if container["image"] != image:
            yield f"{component}: image {container['image']}, not {image}"
        if container["imagePullPolicy"] != values["image"]["pullPolicy"]:
            yield f"{component}: {container['imagePullPolicy']}"
        pulled = [each["name"] for each in spec.get("imagePullSecrets", [])]
        if not set(values["image"]["pullSecrets"]) <= set(pulled):
            yield f"{component}: pull secrets {pulled}"
        labels = pod["metadata"]["labels"]
        if labels.get(f"{MARK}component") != component:
            yield f"{component}: its pods are labelled {labels.get(f'{MARK}component')}"
        if rendering.values["scheduling"]["nodeSelector"] != spec.get("nodeSelector", {}):
            yield f"{component}: nodeSelector"


def _image(rendering: Rendering) -> str:
    image = rendering.values["image"]
    registry = rendering.values["global"].get("imageRegistry") or image["registry"]
    version = f"@{image['digest']}" if image["digest"] else f":{image['tag'] or '0.1.0'}"
    return f"{registry.rstrip('/')}/" * bool(registry) + image["repository"] + version


def _volumes(rendering: Rendering) -> Iterator[str]:
    for component, pod in rendering.pods.items():
        volumes = {each["name"]: each for each in _own(pod["spec"]["volumes"])}
        mounted = _own(rendering.container(component)["volumeMounts"])
        mounts = {each["name"]: each["mountPath"] for each in mounted}
        for name in volumes.keys() ^ mounts.keys():
            yield f"{component}: volume {name} is not both there and mounted"
        if mounts["tmp"] != "/tmp" or not volumes["tmp"]["emptyDir"]["sizeLimit"]:  # noqa: S108 # what is asked
            yield f"{component}: no bounded /tmp"
        for mount in mounted:
            if mount["name"] != "tmp" and mount.get("readOnly") is not True:
                yield f"{component}: {mount['name']} can be written"
            if "subPath" in mount:
                yield f"{component}: {mount['name']} by subPath would never change"
        there = set(_files(rendering, component))
        variables = {each["name"]: each.get("value") for each in _environment(rendering, component)}
        _, settings = rendering.settings(component)
        for where in (variables["FLOORWATCH_SETTINGS"], *_named_files(settings)):
            if where not in there:
                yield f"{component}: {where} is not among {sorted(there)}"
        if "secrets" in volumes and volumes["secrets"]["projected"]["defaultMode"] != 0o440:
            yield f"{component}: secrets can be read by others"


def _own(parts: list[Object]) -> list[Object]:
    """*parts* without the one that values add."""
    return [each for each in parts if each["name"] != "more"]


def _environment(rendering: Rendering, component: str) -> list[Object]:
    return list(rendering.container(component)["env"])


def _named_files(settings: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _named_files(value)
        elif key.endswith("_file"):
            yield value


def _files(rendering: Rendering, component: str) -> Iterator[str]:
    """The files that the pods of *component* have, by their mounts."""
    volumes = {each["name"]: each for each in rendering.pods[component]["spec"]["volumes"]}
    for mount in _own(rendering.container(component)["volumeMounts"]):
        volume = volumes[mount["name"]]
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            if name == rendering.values["existingPolicy"]:
                yield f"{mount['mountPath']}/policy.yaml"
            else:
                held = rendering.named("ConfigMap", name)
                assert held is not None, f"no ConfigMap {name}"
                _hook_has_what_it_needs(rendering, component, held)
                yield from (f"{mount['mountPath']}/{key}" for key in held["data"])
        for source in volume.get("projected", {}).get("sources", []):
            assert source["secret"]["name"], "a secret without a name"
            for item in source["secret"]["items"]:
                yield f"{mount['mountPath']}/{item['path']}"


def _hook_has_what_it_needs(rendering: Rendering, component: str, held: Object) -> None:
    """What a hook reads is made before it; a pod of the release waits for nothing."""
    if component != "topics":
        return
    [job] = rendering.all("Job")
    mine, its = (each["metadata"]["annotations"] for each in (job, held))
    assert set(mine["helm.sh/hook"].split(",")) == {"pre-install", "pre-upgrade"}
    assert its["helm.sh/hook"] == mine["helm.sh/hook"], "the ConfigMap comes after the hook"
    assert int(its["helm.sh/hook-weight"]) < int(mine["helm.sh/hook-weight"])
    assert "before-hook-creation" in mine["helm.sh/hook-delete-policy"]


def _settings(rendering: Rendering) -> Iterator[str]:
    values = rendering.values
    text, settings = rendering.settings("worker")
    checksum = rendering.pods["worker"]["metadata"]["annotations"]["checksum/settings"]
    if checksum != hashlib.sha256(text.rstrip("\n").encode()).hexdigest():
        yield "the checksum is not that of the settings"
    tokens = values["http"]["tokens"]
    surfaces = [surface for surface in ("wall", "api", "metrics") if tokens[surface]]
    if settings["http"].get("open_without_token", False) != (len(surfaces) < 3):
        yield "open_without_token"
    for surface in ("wall", "api", "metrics"):
        if (f"{surface}_token_file" in settings["http"]) != tokens[surface]:
            yield f"token of {surface}"
    wanted = {
        "host": values["http"]["host"],
        "port": 6066,
        "bootstrap": values["kafka"]["bootstrap"],
        "name": values["name"] or _fullname(rendering),
        "topics": {key: values["topics"][key] for key in ("calls", "chats", "queues")},
        **values["settings"],
    }
    for key, value in wanted.items():
        if settings.get(key) != value:
            yield f"{key} is {settings.get(key)}, not {value}"
    protocol = settings.get("kafka", {}).get("security_protocol", "plaintext")
    if protocol != values["kafka"]["securityProtocol"]:
        yield f"security_protocol is {protocol}"
    has_user = {"sasl_mechanism", "username_file", "password_file"} <= settings.get(
        "kafka", {}
    ).keys()
    if has_user != protocol.startswith("sasl"):
        yield "a user without SASL, or SASL without one"
    for secret, key in (("caSecret", "ca_file"), ("certificateSecret", "certificate_file")):
        if bool(values["kafka"]["tls"][secret]) != (key in settings.get("kafka", {})):
            yield key


def _fullname(rendering: Rendering) -> str:
    [stateful] = rendering.all("StatefulSet")
    return str(stateful["metadata"]["name"])


def _workload(rendering: Rendering) -> Iterator[str]:
    values = rendering.values
    [stateful] = rendering.all("StatefulSet")
    spec, pod = stateful["spec"], stateful["spec"]["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    if not _selects(spec["selector"]["matchLabels"], labels):
        yield "its selector does not select its own pods"
    if spec["podManagementPolicy"] != "Parallel":
        yield "workers wait for one another"
    if pod["terminationGracePeriodSeconds"] <= ON_THE_WAY_S:
        yield "killed while it stops"
    headless = rendering.named("Service", spec["serviceName"])
    if headless is None or headless["spec"].get("clusterIP") != "None":
        yield "no headless service of its name"
    sizes = {"small": 2, "medium": 5, "large": 34}
    replicas = values["workers"]["replicas"]
    if spec["replicas"] != (sizes[values["size"]] if replicas is None else replicas):
        yield f"{spec['replicas']} replicas"
    variables = {each["name"]: each for each in _environment(rendering, "worker")}
    told = variables.get("FLOORWATCH_INSTANCE_ID", {}).get("valueFrom", {}).get("fieldRef", {})
    if (told.get("fieldPath") == "metadata.name") != values["workers"]["persistentIdentity"]:
        yield "who it is in its group is not its pod's name"
    arguments = rendering.container("worker")["args"]
    if arguments[0] != "worker" or ("--rebuild" in arguments) != values["workers"]["rebuild"]:
        yield f"it runs {arguments}"
    if not values["scheduling"]["topologySpreadConstraints"]:
        spread = {each["topologyKey"]: each for each in pod.get("topologySpreadConstraints", [])}
        for key, option in (
            ("topology.kubernetes.io/zone", "spreadOverZones"),
            ("kubernetes.io/hostname", "spreadOverNodes"),
        ):
            how = values["scheduling"][option]
            if spread.get(key, {}).get("whenUnsatisfiable", "off") != how:
                yield f"spread over {key}"
            if how != "off" and not _selects(spread[key]["labelSelector"]["matchLabels"], labels):
                yield f"spread over {key} of other pods"


def _probes(rendering: Rendering) -> Iterator[str]:
    container = rendering.container("worker")
    scheme = "HTTPS" if rendering.values["http"]["tls"]["existingSecret"] else "HTTP"
    for probe, path in (
        ("startup", "/healthz"),
        ("liveness", "/healthz"),
        ("readiness", "/readyz"),
    ):
        asked = container[f"{probe}Probe"]
        if asked["httpGet"] != {"path": path, "port": "http", "scheme": scheme}:
            yield f"{probe} asks {asked['httpGet']}"
        times = {key: value for key, value in asked.items() if key != "httpGet"}
        if times != rendering.values["probes"][probe]:
            yield f"{probe} {times}"
    if {"name": "http", "containerPort": 6066, "protocol": "TCP"} not in container["ports"]:
        yield "the port that is asked is not there"


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def _selects_only(rendering: Rendering, selector: Mapping[str, str], component: str) -> bool:
    """Whether pods of *component* are selected, of this release alone, and none of the others."""
    identity = {f"{MARK}instance", f"{MARK}component", f"{MARK}name"}
    return identity <= selector.keys() and {
        each
        for each, pod in rendering.pods.items()
        if _selects(selector, pod["metadata"]["labels"])
    } == {component}


def _services(rendering: Rendering) -> Iterator[str]:
    services = rendering.all("Service")
    if len(services) != 2:
        yield f"{len(services)} services"
    for service in services:
        name, spec = service["metadata"]["name"], service["spec"]
        if not _selects_only(rendering, spec["selector"], "worker"):
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


def _budgets(rendering: Rendering) -> Iterator[str]:
    budgets = rendering.all("PodDisruptionBudget")
    if len(budgets) != rendering.values["podDisruptionBudget"]["enabled"]:
        yield f"{len(budgets)} budgets"
    for budget in budgets:
        if not _selects_only(rendering, budget["spec"]["selector"]["matchLabels"], "worker"):
            yield "the budget is not that of the workers"
        if (
            budget["spec"]["maxUnavailable"]
            != (rendering.values["podDisruptionBudget"]["maxUnavailable"])
        ):
            yield "maxUnavailable"


def _network(rendering: Rendering) -> Iterator[str]:
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
            if _selects_only(rendering, selector, component):
                by_component[component] = policy["spec"]
        if set(policy["spec"]["policyTypes"]) != {"Ingress", "Egress"}:
            yield f"{policy['metadata']['name']} leaves a direction open"
    if by_component.keys() != rendering.pods.keys():
        yield f"policies for {sorted(by_component)} of {sorted(rendering.pods)}"
        return
    kafka = {int(each) for each in _PORT.findall(rendering.values["kafka"]["bootstrap"])}
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


def _monitors(rendering: Rendering) -> Iterator[str]:
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
                found = _selects_only(rendering, selector, "worker") and _selects(selector, worker)
                [endpoint] = spec["podMetricsEndpoints"]
            else:
                services = [
                    each["spec"].get("clusterIP")
                    for each in rendering.all("Service")
                    if _selects(selector, each["metadata"]["labels"])
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
            set_to = {each.get("targetLabel"): each for each in endpoint["relabelings"]}
            if set_to["instance"].get("sourceLabels") != ["__meta_kubernetes_pod_name"]:
                yield f"{kind}: a worker that comes back is another instance"
            if set_to["job"].get("replacement") != _fullname(rendering):
                yield f"{kind}: two releases would be one job"
            if ("authorization" in endpoint) != values["http"]["tokens"]["metrics"]:
                yield f"{kind}: token of /metrics"
            limit = asked["sampleLimit"]
            if limit is None and spec["sampleLimit"] < values["settings"]["max_queues"] * 200:
                yield f"{kind}: {spec['sampleLimit']} samples are fewer than a worker may have"
            if limit is not None and spec.get("sampleLimit", 0) != limit:
                yield f"{kind}: {spec.get('sampleLimit')} samples"


def _topics(rendering: Rendering) -> Iterator[str]:
    create = rendering.values["topics"]["create"]
    jobs = rendering.all("Job")
    if len(jobs) != create["enabled"]:
        yield f"{len(jobs)} jobs"
    for job in jobs:
        sizes = {"small": 8, "medium": 32, "large": 256}
        partitions = create["partitions"]
        wanted = [
            "create-topics",
            f"--partitions={sizes[rendering.values['size']] if partitions is None else partitions}",
            f"--replication-factor={create['replicationFactor']}",
            f"--min-insync-replicas={create['minInsyncReplicas']}",
            f"--retention={create['retention']}",
        ]
        if rendering.container("topics")["args"] != wanted:
            yield f"it runs {rendering.container('topics')['args']}"
        if job["spec"]["template"]["spec"]["restartPolicy"] != "Never":
            yield "restartPolicy"
        _, worker = rendering.settings("worker")
        _, own = rendering.settings("topics")
        if own != {key: worker[key] for key in own} or not {"bootstrap", "name"} <= own.keys():
            yield "it would make the topics of another installation"


def _test(rendering: Rendering) -> Iterator[str]:
    pods = rendering.all("Pod")
    if len(pods) != rendering.values["test"]["enabled"]:
        yield f"{len(pods)} tests"
    for pod in pods:
        if pod["metadata"]["annotations"]["helm.sh/hook"] != "test":
            yield "a pod that is no test"
        if rendering.container("test")["args"] != _wanted_check(rendering):
            yield f"it runs {rendering.container('test')['args']}"
        if pod["spec"]["restartPolicy"] != "Never":
            yield "restartPolicy"


def _wanted_check(rendering: Rendering) -> list[str]:
    values, secrets = rendering.values, "/etc/floorwatch/secrets"
    scheme = "https" if values["http"]["tls"]["existingSecret"] else "http"
    host, port = f"{_fullname(rendering)}.{rendering.namespace}", values["service"]["port"]
    wanted = ["check", f"--worker={scheme}://{host}:{port}"]
    if values["http"]["tokens"]["metrics"]:
        wanted.append(f"--worker-token-file={secrets}/metrics-token")
    if scheme == "https":
        wanted.append(f"--worker-certificate={secrets}/http-tls.crt")
    return wanted


def _marks(rendering: Rendering) -> Iterator[str]:
    for each in rendering.ours:
        left = re.findall(r"@[A-Z]+@", json.dumps(each))
        if left:
            yield f"{each['kind']} {each['metadata']['name']} has {left[0]} left in it"


def _rules(rendering: Rendering) -> Iterator[str]:
    values = rendering.values["prometheusRule"]
    rules = [
        rule
        for each in rendering.all("PrometheusRule")
        for group in each["spec"]["groups"]
        for rule in group["rules"]
    ]
    if bool(rules) != values["enabled"]:
        yield f"{len(rules)} rules"
    if not rules:
        return
    whose = {}
    if values["scope"] == "release":
        whose = {
            "namespace": rendering.namespace,
            "job": values["job"] or _fullname(rendering),
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
            links = {"runbook_url": "runbooksUrl", "dashboard_url": "grafanaUrl"}
            for link, option in links.items():
                found = rule["annotations"].get(link, "")
                base = values[option].rstrip("/")
                if not (found.startswith(f"{base}/") if base else found == ""):
                    yield f"{name}: {link} is {found!r}"


@cache
def _shipped(installation: str) -> dict[str, Any]:
    return shipped(installation)


def _dashboards(rendering: Rendering) -> Iterator[str]:
    values = rendering.values["dashboards"]
    maps = [
        each
        for each in rendering.all("ConfigMap")
        if each["metadata"]["labels"][f"{MARK}component"] == "dashboards"
    ]
    wanted = _shipped(rendering.values["name"] or _fullname(rendering))
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


def _routes(rendering: Rendering) -> Iterator[str]:
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


CHECKS: Final[tuple[Callable[[Rendering], Iterator[str]], ...]] = (
    _schemas,
    _names,
    _pods,
    _volumes,
    _settings,
    _workload,
    _probes,
    _services,
    _budgets,
    _network,
    _monitors,
    _topics,
    _test,
    _marks,
    _rules,
    _dashboards,
    _routes,
)
