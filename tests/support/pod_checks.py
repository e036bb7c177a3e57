"""What holds of the pods of the chart, and of what they are told."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.support import pod_security
from tests.support.chart_rendering import MARK, Rendering, environment, selects
from tests.support.kubernetes_yaml import Object

_USER: Final = ("username", "password")
ON_THE_WAY_S: Final = 10
"""How long a worker takes to stop when it is told to."""


def check_names(rendering: Rendering) -> Iterator[str]:
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


def check_pods(rendering: Rendering) -> Iterator[str]:  # noqa: PLR0912 # one condition after another
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
    return f"{registry.rstrip('/')}/" * bool(registry) + f"{image['repository']}{version}"


def check_volumes(rendering: Rendering) -> Iterator[str]:
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
        variables = {each["name"]: each.get("value") for each in environment(rendering, component)}
        _, settings = rendering.settings(component)
        for where in (variables["FLOORWATCH_SETTINGS"], *_named_files(settings)):
            if where not in there:
                yield f"{component}: {where} is not among {sorted(there)}"
        given = _secret_items(pod["spec"]["volumes"])
        if given != (wanted := _wanted_secrets(rendering.values, component)):
            yield f"{component}: of secrets it has {sorted(given)}, not {sorted(wanted)}"
        if "secrets" in volumes and volumes["secrets"]["projected"]["defaultMode"] != 0o440:
            yield f"{component}: secrets can be read by others"


def _secret_items(volumes: list[Object]) -> set[tuple[str, str, str]]:
    """Secret, its key and its file, of all that *volumes* bring."""
    return {
        (source["secret"]["name"], item["key"], item["path"])
        for volume in _own(volumes)
        for source in volume.get("projected", {}).get("sources", [])
        for item in source["secret"]["items"]
    }


def _wanted_secrets(values: Mapping[str, Any], component: str) -> set[tuple[str, str, str]]:
    """What *component* needs of the secrets, and nothing else."""
    if component == "precheck":
        return set()
    kafka, http = values["kafka"], values["http"]
    other = values["topics"]["create"]["existingSecret"] if component == "topics" else ""
    has_user = kafka["securityProtocol"].startswith("sasl")
    wanted = set()
    if has_user:
        secret = other or kafka["sasl"]["existingSecret"]
        wanted |= {(secret, kafka["sasl"][f"{key}Key"], f"kafka-{key}") for key in _USER}
    tls, own = kafka["tls"], kafka["tls"]["certificateSecret"]
    wanted.add((tls["caSecret"], tls["caKey"], "kafka-ca.crt"))
    secret = own if has_user or not own else other or own
    wanted.add((secret, tls["certificateKey"], "kafka-tls.crt"))
    wanted.add((secret, tls["keyKey"], "kafka-tls.key"))
    if tls["keyPasswordKey"]:
        wanted.add((secret, tls["keyPasswordKey"], "kafka-tls.password"))
    if component != "topics":
        tokens, secret = http["tokens"], http["tls"]["existingSecret"]
        surfaces = ["metrics"] if component == "test" else ["wall", "api", "metrics"]
        wanted |= {
            (tokens["existingSecret"], tokens[f"{each}Key"], f"{each}-token")
            for each in surfaces
            if tokens[each]
        }
        wanted.add((secret, http["tls"]["certificateKey"], "http-tls.crt"))
        if component == "worker":
            wanted.add((secret, http["tls"]["keyKey"], "http-tls.key"))
            identity = values["identity"]
            wanted.add((identity["existingSecret"], identity["key"], "identity-key"))
    return {each for each in wanted if each[0]}


def _own(parts: list[Object]) -> list[Object]:
    """*parts* without the one that values add."""
    return [each for each in parts if each["name"] != "more"]


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
    if component not in {"topics", "precheck"}:
        return
    [job] = rendering.jobs(component)
    mine, its = (each["metadata"]["annotations"] for each in (job, held))
    assert set(mine["helm.sh/hook"].split(",")) == {"pre-install", "pre-upgrade"}
    assert its["helm.sh/hook"] == mine["helm.sh/hook"], "the ConfigMap comes after the hook"
    assert int(its["helm.sh/hook-weight"]) < int(mine["helm.sh/hook-weight"])
    assert "before-hook-creation" in mine["helm.sh/hook-delete-policy"]


def check_settings(rendering: Rendering) -> Iterator[str]:
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
        "name": values["name"] or rendering.fullname,
        "topics": {key: values["topics"][key] for key in ("calls", "chats", "queues")},
        **values["settings"],
    }
    for key, value in wanted.items():
        if settings.get(key) != value:
            yield f"{key} is {settings.get(key)}, not {value}"
    if bool(values["identity"]["existingSecret"]) != ("identity_key_file" in settings):
        yield "identity_key_file"
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


def check_workload(rendering: Rendering) -> Iterator[str]:
    values = rendering.values
    [stateful] = rendering.all("StatefulSet")
    spec, pod = stateful["spec"], stateful["spec"]["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    if not selects(spec["selector"]["matchLabels"], labels):
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
    variables = {each["name"]: each for each in environment(rendering, "worker")}
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
            if how != "off" and not selects(spread[key]["labelSelector"]["matchLabels"], labels):
                yield f"spread over {key} of other pods"


def check_probes(rendering: Rendering) -> Iterator[str]:
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
