"""Two releases live in one namespace, a Kafka and a Prometheus; neither touches the other."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.control_plane import ControlPlane
from tests.support.release import MONITORING, SMALL, Release, merged


@pytest.fixture
def berlin(release: Release, tmp_path: Path) -> Release:
    """A second release beside the first one."""
    return Release(release.cluster, release.namespace, tmp_path, name="berlin")


def settings_of(release: Release) -> dict[str, Any]:
    """The settings that the workers of *release* read."""
    [settings] = [
        yaml.safe_load(each["data"]["floorwatch.yaml"])
        for each in release.objects("configmaps")
        if each["metadata"]["name"].endswith("-settings")
    ]
    assert isinstance(settings, dict)
    return settings


def pods_with(release: Release, labels: dict[str, str]) -> set[str]:
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = release.cluster.get(release.namespace, "pods", f"--selector={selector}")
    return {pod["metadata"]["name"] for pod in found}


def wait_for_budget_of(release: Release, workers: int) -> None:
    release.cluster.wait_until(
        lambda: release.only("poddisruptionbudgets")["status"].get("expectedPods") == workers,
        "the budget counted its own workers",
    )


def test_each_has_its_own_workers_and_names(release: Release, berlin: Release) -> None:
    release.install(merged(SMALL, MONITORING))
    berlin.install(merged(SMALL, MONITORING, {"workers": {"replicas": 3}}))

    assert len(release.workers()) == 2
    assert len(berlin.workers()) == 3
    assert settings_of(release)["name"] != settings_of(berlin)["name"]


def test_what_chooses_pods_chooses_those_of_its_own_release(
    release: Release, berlin: Release
) -> None:
    release.install(SMALL)
    berlin.install(merged(SMALL, {"workers": {"replicas": 3}}))

    for one, other in ((release, berlin), (berlin, release)):
        workers = set(one.workers())
        wait_for_budget_of(one, len(workers))
        for service in one.objects("services"):
            assert pods_with(one, service["spec"]["selector"]) == workers
        for policy in one.objects("networkpolicies"):
            meant = pods_with(one, policy["spec"]["podSelector"]["matchLabels"])
            assert meant.isdisjoint(other.workers())


def test_one_goes_and_the_other_stays(release: Release, berlin: Release) -> None:
    release.install(merged(SMALL, MONITORING))
    berlin.install(merged(SMALL, MONITORING))
    before = {name: pod["metadata"]["uid"] for name, pod in berlin.workers().items()}

    release.uninstall()

    assert {name: pod["metadata"]["uid"] for name, pod in berlin.workers().items()} == before
    assert len(berlin.objects("prometheusrules")) == 1
    assert not release.objects("all")


def test_the_same_name_lives_in_two_namespaces(
    release: Release, cluster: ControlPlane, tmp_path: Path
) -> None:
    elsewhere = Release(cluster, cluster.namespace(f"{release.namespace}-too"), tmp_path)

    release.install(merged(SMALL, MONITORING))
    elsewhere.install(merged(SMALL, MONITORING))

    assert len(release.workers()) == len(elsewhere.workers()) == 2
    assert cluster.complaints(elsewhere.namespace) == []
