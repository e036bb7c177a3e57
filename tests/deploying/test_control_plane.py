"""The tests' own Kubernetes refuses, warns and ends as it should: else nothing here proves much."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import ROOT, surroundings
from tests.support.control_plane import NEVER_READY, NODES, CommandFailed, ControlPlane
from tests.support.release import is_ready

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}

# Starts a control plane, says where it is, and then hangs until it is killed.
HOLDS_ONE = """\
import time
from tests.support.control_plane import ControlPlane
with ControlPlane() as cluster:
    print(cluster.folder, flush=True)
    time.sleep(600)
"""


def pod(name: str, image: str = "floorwatch:1", **security: Any) -> dict[str, Any]:
    container = {"name": "only", "image": image, "securityContext": {**RESTRICTED, **security}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container]},
    }


def processes_naming(folder: Path) -> list[str]:
    listed = subprocess.run(
        ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


def test_its_nodes_are_ready_and_spread_over_zones(cluster: ControlPlane) -> None:
    nodes = cluster.get("default", "nodes")

    assert sorted(node["metadata"]["name"] for node in nodes) == list(NODES)
    assert all(map(is_ready, nodes))
    assert len({node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}) == 3


def test_a_restricted_pod_gets_ready_without_a_container(
    cluster: ControlPlane, namespace: str
) -> None:
    cluster.kubectl("create", f"--namespace={namespace}", "--filename=-", given=pod("good"))

    cluster.kubectl(
        *("wait", "pod/good", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=90s")
    )


@pytest.mark.parametrize(
    ("loosened", "named"),
    [
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"capabilities": {"drop": ["NET_RAW"]}}, "unrestricted capabilities"),
        ({"runAsNonRoot": False}, "runAsNonRoot"),
        ({"runAsUser": 0}, "runAsUser=0"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
    ],
)
def test_a_lax_pod_is_refused(
    cluster: ControlPlane, namespace: str, loosened: dict[str, Any], named: str
) -> None:
    with pytest.raises(CommandFailed, match=rf'violates PodSecurity "restricted.*{named}'):
        cluster.kubectl(
            *("create", f"--namespace={namespace}", "--filename=-"), given=pod("lax", **loosened)
        )

    assert cluster.get(namespace, "pods") == []
    [complaint] = cluster.complaints(namespace)
    assert named in complaint


def test_what_would_make_lax_pods_is_warned_of(cluster: ControlPlane, namespace: str) -> None:
    template = {"metadata": {"labels": {"app": "lax"}}, "spec": pod("lax", runAsUser=0)["spec"]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "lax"},
        "spec": {"selector": {"matchLabels": {"app": "lax"}}, "template": template},
    }

    with pytest.raises(CommandFailed, match="would violate PodSecurity"):
        cluster.kubectl(*("create", f"--namespace={namespace}", "--filename=-"), given=deployment)

    cluster.wait_until(
        lambda: any("is forbidden" in each for each in cluster.complaints(namespace)),
        "the controller was refused the pod",
    )


def test_an_image_that_never_starts_leaves_its_pod_pending(
    cluster: ControlPlane, namespace: str
) -> None:
    create = ("create", f"--namespace={namespace}", "--filename=-")
    cluster.kubectl(*create, given=[pod("broken", NEVER_READY), pod("good")])
    cluster.kubectl(
        *("wait", "pod/good", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=90s")
    )

    [broken] = cluster.get(namespace, "pods", "--field-selector=metadata.name=broken")

    assert broken["spec"]["nodeName"] in NODES
    assert broken["status"]["phase"] == "Pending"


def test_nothing_is_left_of_it_when_its_test_is_killed() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE],
        cwd=ROOT,
        env=surroundings(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        assert folder.name.startswith("floorwatch-cluster-")
        assert folder.is_dir()
        assert len(processes_naming(folder)) >= 5
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()

    deadline = time.monotonic() + 90
    while processes_naming(folder) or folder.exists():
        assert time.monotonic() < deadline, processes_naming(folder)
        time.sleep(0.1)
