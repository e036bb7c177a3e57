"""One real Kubernetes for all tests of this folder, and namespaces that no two tests share."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from requirements.build_programs import built_files
from tests.support.control_plane import ControlPlane
from tests.support.release import Release

MONITORING_NAMESPACE = "monitoring"


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A cluster for the whole session, with the kinds of the Prometheus operator."""
    with ControlPlane() as cluster:
        kinds = built_files("prometheus-operator")
        cluster.kubectl("apply", "--server-side", f"--filename={kinds}")
        cluster.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=90s")
        cluster.namespace(MONITORING_NAMESPACE)
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
