"""A real API server takes every object that the chart makes, and none that is spoiled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.admission import admit, each_where
from tests.support.control_plane import CommandFailed
from tests.support.drawn_values import drawn
from tests.support.release import MONITORING, POD_MONITOR, SMALL, Release, merged
from tests.support.rendered_chart import CHART

VALUES = sorted((CHART / "ci").glob("*-values.yaml"))

TOPICS = {"topics": {"create": {"enabled": True}}}
INGRESS = {
    "ingress": {
        "enabled": True,
        "hosts": [{"host": "wall.example"}],
        "tls": [{"secretName": "wall-tls", "hosts": ["wall.example"]}],
    }
}
EVERYTHING = merged(SMALL, MONITORING, TOPICS, INGRESS)

DRAWN = 20
OF_ANOTHER_CLUSTER = {
    "service": {"clusterIP": ""},
    "scheduling": {"priorityClassName": "", "runtimeClassName": ""},
    "workers": {"extraVolumeMounts": []},  # of a volume that is drawn or not
}

Mutation = Callable[[list[dict[str, Any]]], None]


def without(key: str) -> Mutation:
    return each_where(key, lambda each: each.pop(key))


def with_other(key: str, value: Any) -> Mutation:
    return each_where(key, lambda each: each.update({key: value}))


def with_also(has: str, **added: Any) -> Mutation:
    return each_where(has, lambda each: each.update(added))


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "no word on privilege escalation": (
        without("allowPrivilegeEscalation"),
        "allowPrivilegeEscalation",
    ),
    "privilege escalation": (with_other("allowPrivilegeEscalation", True), "allowPrivilegeEsc"),
    "all capabilities": (without("capabilities"), "unrestricted capabilities"),
    "some capabilities": (with_other("capabilities", {"drop": ["NET_RAW"]}), "unrestricted cap"),
    "privileged": (with_other("privileged", True), "privileged"),
    "no word on root": (without("runAsNonRoot"), "runAsNonRoot"),
    "root": (with_other("runAsUser", 0), "runAsUser=0"),
    "no seccomp profile": (without("seccompProfile"), "seccompProfile"),
    "any system call": (with_other("seccompProfile", {"type": "Unconfined"}), "seccompProfile"),
    "the node's network": (with_also("containers", hostNetwork=True), "host namespaces"),
    "a folder of the node": (
        with_other("volumes", [{"name": "node", "hostPath": {"path": "/"}}]),
        "hostPath|volumeMounts",
    ),
    "a port of the node": (with_also("containerPort", hostPort=6066), "hostPort"),
    "a misspelt probe": (with_also("livenessProbe", readynessProbe={}), "unknown field"),
    "a probe that never asks": (with_other("periodSeconds", -1), "periodSeconds"),
    "a selector of nobody": (
        each_where("serviceName", lambda each: each["selector"].update(matchLabels={"a": "b"})),
        "selector.*does not match template",
    ),
    "a Service without ports": (
        each_where("sessionAffinity", lambda each: each.update(ports=[])),
        "ports: Required",
    ),
    "a port out of range": (with_other("targetPort", 70_000), "targetPort"),
    "an endpoint of no field": (with_also("scrapeTimeout", intervall="5s"), "unknown field"),
    "an interval that is none": (with_other("interval", "5 s"), "interval"),
    "an alert that waits soon": (with_other("keep_firing_for", "soon"), "keep_firing_for"),
    "a rule without an expression": (without("expr"), "expr"),
    "a matcher of no kind": (with_other("matchType", "like"), "matchType"),
}


@pytest.fixture
def objects(release: Release) -> list[dict[str, Any]]:
    """Everything that the chart can make, as it would be sent."""
    return release.rendered(EVERYTHING)


def test_there_are_values_to_try() -> None:
    assert len(VALUES) > 20


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_what_an_option_makes_is_admitted(release: Release, values: Path) -> None:
    objects = release.rendered(values)

    assert admit(release.cluster, release.namespace, objects) > len(objects)


@pytest.mark.parametrize("seed", range(DRAWN))
def test_whatever_values_allow_is_admitted(release: Release, seed: int) -> None:
    objects = release.rendered(merged(drawn(seed), OF_ANOTHER_CLUSTER))

    admit(release.cluster, release.namespace, objects)


def test_everything_at_once_is_admitted(release: Release, objects: list[dict[str, Any]]) -> None:
    kinds = {each["kind"] for each in objects}

    admit(release.cluster, release.namespace, objects)

    assert kinds >= {
        *("AlertmanagerConfig", "ConfigMap", "Ingress", "Job", "NetworkPolicy", "Pod"),
        *("PodDisruptionBudget", "PrometheusRule", "Service", "ServiceAccount"),
        *("ServiceMonitor", "StatefulSet"),
    }


def test_a_pod_monitor_in_place_of_a_service_monitor_is_admitted(release: Release) -> None:
    objects = release.rendered(merged(EVERYTHING, POD_MONITOR))

    admit(release.cluster, release.namespace, objects)

    assert "PodMonitor" in {each["kind"] for each in objects}


@pytest.mark.parametrize("spoiled", MUTATIONS)
def test_a_spoiled_object_is_refused(
    release: Release, objects: list[dict[str, Any]], spoiled: str
) -> None:
    mutate, named = MUTATIONS[spoiled]

    mutate(objects)

    with pytest.raises(CommandFailed, match=named):
        admit(release.cluster, release.namespace, objects)
