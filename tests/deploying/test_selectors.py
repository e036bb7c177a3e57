"""What chooses pods by their labels chooses the workers, all of them and nobody else's."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.control_plane import CommandFailed
from tests.support.release import MONITORING, POD_MONITOR, SMALL, Release, merged

OTHERS = {"app.kubernetes.io/name": "somebody-else"}


def addresses(release: Release, service: str) -> set[str]:
    """The pods' addresses that the endpoints of *service* send to."""
    slices = release.cluster.get(
        release.namespace, "endpointslices", f"--selector=kubernetes.io/service-name={service}"
    )
    return {
        address
        for each in slices
        for endpoint in each.get("endpoints") or []
        if endpoint["conditions"]["ready"]
        for address in endpoint["addresses"]
    }


def pods_of_workers(release: Release) -> set[str]:
    return {pod["status"]["podIP"] for pod in release.workers().values()}


def wait_for_workers_behind(release: Release, service: str) -> None:
    release.cluster.wait_until(
        lambda: addresses(release, service) == pods_of_workers(release),
        f"{service} sent to the workers",
    )


def chosen(release: Release, kind: str, labels: Mapping[str, str]) -> set[str]:
    """The names of the objects of *kind* that have all of *labels*."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = release.cluster.get(release.namespace, kind, f"--selector={selector}")
    return {each["metadata"]["name"] for each in found}


def policies_of_workers(release: Release) -> list[dict[str, Any]]:
    """What the network policies say that choose every worker."""
    return [
        each["spec"]
        for each in release.objects("networkpolicies")
        if set(release.workers())
        <= chosen(release, "pods", each["spec"]["podSelector"]["matchLabels"])
    ]


def patch(release: Release, what: str, *options: str, **changes: Any) -> None:
    release.cluster.kubectl(
        *("patch", what, f"--namespace={release.namespace}", "--type=merge", *options),
        f"--patch={json.dumps(changes)}",
    )


def evict(release: Release, pod: str) -> None:
    path = f"/api/v1/namespaces/{release.namespace}/pods/{pod}/eviction"
    release.cluster.kubectl(
        *("create", f"--raw={path}", "--filename=-"),
        given={
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": release.namespace},
        },
    )


def services(release: Release) -> list[str]:
    return [each["metadata"]["name"] for each in release.objects("services")]


def make_unready(release: Release, pod: str) -> None:
    patch(
        release,
        f"pod/{pod}",
        "--subresource=status",
        status={"conditions": [{"type": "Ready", "status": "False"}]},
    )


def test_every_service_sends_to_all_workers(release: Release) -> None:
    release.install(SMALL)

    assert services(release)
    for service in services(release):
        wait_for_workers_behind(release, service)


def test_the_wall_is_reached_at_workers_that_are_not_ready_yet(release: Release) -> None:
    release.install(SMALL)
    [first, _] = sorted(release.workers())
    [wall] = [
        each["metadata"]["name"]
        for each in release.objects("services")
        if each["spec"].get("clusterIP") != "None"
    ]

    make_unready(release, first)

    release.cluster.wait_until(
        lambda: release.only("statefulsets")["status"]["readyReplicas"] == 1, "one was not ready"
    )
    wait_for_workers_behind(release, wall)


def test_a_service_with_another_selector_sends_to_nobody(release: Release) -> None:
    release.install(SMALL)
    service = services(release)[0]
    wait_for_workers_behind(release, service)

    patch(release, f"service/{service}", spec={"selector": OTHERS})

    release.cluster.wait_until(lambda: not addresses(release, service), "nobody was there")


def test_one_worker_may_be_away_for_maintenance_and_no_second_one(release: Release) -> None:
    release.install(SMALL)
    [first, second] = sorted(release.workers())
    budget = release.cluster.wait_until(
        lambda: (
            found
            if (found := release.only("poddisruptionbudgets")["status"]).get("expectedPods") == 2
            else None
        ),
        "the budget counted the workers",
    )
    assert (budget["currentHealthy"], budget["disruptionsAllowed"]) == (2, 1)

    make_unready(release, first)
    release.cluster.wait_until(
        lambda: release.only("poddisruptionbudgets")["status"]["disruptionsAllowed"] == 0,
        "the budget was used up",
    )

    with pytest.raises(CommandFailed, match="disruption budget"):
        evict(release, second)
    make_unready(release, second)
    release.cluster.wait_until(
        lambda: release.only("poddisruptionbudgets")["status"]["currentHealthy"] == 0,
        "the budget knew that none was healthy",
    )
    evict(release, second)  # nothing is lost with a worker that is not ready


def test_a_budget_with_another_selector_holds_nobody(release: Release) -> None:
    release.install(SMALL)
    name = release.only("poddisruptionbudgets")["metadata"]["name"]

    patch(release, f"pdb/{name}", spec={"selector": {"matchLabels": OTHERS}})

    release.cluster.wait_until(
        lambda: release.only("poddisruptionbudgets")["status"]["expectedPods"] == 0,
        "the budget counted nobody",
    )


def test_the_network_policy_is_of_the_workers_and_lets_their_port_in(release: Release) -> None:
    release.install(SMALL)
    of_workers = policies_of_workers(release)
    [ports] = [
        container["ports"]
        for pod in release.workers().values()
        for container in pod["spec"]["containers"]
    ][:1]
    let_in = {
        port["port"]
        for policy in of_workers
        for rule in policy["ingress"]
        for port in rule["ports"]
    }

    assert of_workers
    assert let_in
    assert let_in <= {ports[0]["containerPort"], ports[0]["name"]}


def test_the_network_policy_lets_workers_out_to_dns_and_kafka_alone(release: Release) -> None:
    release.install(merged(SMALL, {"kafka": {"bootstrap": "a.example:9093,b.example:9094"}}))

    let_out = {
        (port["port"], port.get("protocol", "TCP"))
        for policy in policies_of_workers(release)
        for rule in policy["egress"]
        for port in rule["ports"]
    }

    assert len(policies_of_workers(release)) == 1
    assert let_out == {(53, "UDP"), (53, "TCP"), (9093, "TCP"), (9094, "TCP")}


def test_the_service_monitor_finds_the_port_of_the_metrics(release: Release) -> None:
    release.install(merged(SMALL, MONITORING))
    monitor = release.only("servicemonitors")["spec"]

    found = chosen(release, "services", monitor["selector"]["matchLabels"])

    [ports] = [
        {port["name"] for port in each["spec"]["ports"]}
        for each in release.objects("services")
        if each["metadata"]["name"] in found
    ]
    assert {each["port"] for each in monitor["endpoints"]} <= ports


def test_the_pod_monitor_finds_the_workers_and_the_port_of_their_metrics(
    release: Release,
) -> None:
    release.install(merged(SMALL, MONITORING, POD_MONITOR))
    monitor = release.only("podmonitors")["spec"]

    found = chosen(release, "pods", monitor["selector"]["matchLabels"])

    [ports] = {
        tuple(port["name"] for port in container["ports"])
        for pod in release.workers().values()
        for container in pod["spec"]["containers"]
    }
    assert found == set(release.workers())
    assert {each["port"] for each in monitor["podMetricsEndpoints"]} <= set(ports)
