"""One real Kubernetes for all tests of this folder that a process runs, and namespaces for each."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from requirements.build_programs import built_files
from tests.support.control_plane import ControlPlane
from tests.support.release import Release

MONITORING_NAMESPACE = "monitoring"
CLASSES = [
    {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "floor"},
        "value": 1_000,
    },
    {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "gvisor"},
        "handler": "gvisor",
    },
]
"""Of the values in the chart's `ci` that choose one: an SRE has made them before."""

KINDS = [
    f"monitoring.coreos.com_{kind}"
    for kind in ("alertmanagerconfigs", "podmonitors", "prometheusrules", "servicemonitors")
]


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A cluster for the whole session, with the kinds of the Prometheus operator that we make."""
    with ControlPlane() as cluster:
        files = [built_files("prometheus-operator") / f"{kind}.yaml" for kind in KINDS]
        cluster.kubectl("create", *(f"--filename={file}" for file in files))
        cluster.wait_until(lambda: _established(cluster) == len(KINDS), "the kinds were there")
        cluster.namespace(MONITORING_NAMESPACE)
        cluster.kubectl("create", "--filename=-", given=CLASSES)
        yield cluster


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The cluster; what it warned of during the test fails the test."""
    control_plane.warnings.clear()
    yield control_plane
    assert control_plane.warnings == []


@pytest.fixture
def namespace(cluster: ControlPlane) -> str:
    """A namespace of this test alone, that takes restricted pods only."""
    return cluster.namespace(f"test-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def release(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Release]:
    """A release that is not installed yet; controllers saw nothing to refuse or to warn of."""
    yield Release(cluster, namespace, tmp_path)
    assert cluster.complaints(namespace) == []


def _established(cluster: ControlPlane) -> int:
    """How many kinds that are not Kubernetes' own the API server serves."""
    return sum(
        condition["type"] == "Established" and condition["status"] == "True"
        for kind in cluster.get("default", "crds")
        for condition in kind.get("status", {}).get("conditions") or []
    )
