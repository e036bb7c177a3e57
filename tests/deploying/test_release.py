"""A release is installed, changed, taken back and removed, and the cluster warns of nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.control_plane import NEVER_READY, CommandFailed
from tests.support.release import MONITORING, SMALL, Release, is_ready, merged

BROKEN_REPOSITORY, _, BROKEN_TAG = NEVER_READY.rpartition(":")
BROKEN = {"image": {"repository": BROKEN_REPOSITORY, "tag": BROKEN_TAG}}
UNCHECKED = {"precheck": {"enabled": False}}


def uids(release: Release) -> dict[str, str]:
    return {name: pod["metadata"]["uid"] for name, pod in release.workers().items()}


def images(release: Release) -> set[str]:
    return {
        container["image"]
        for pod in release.workers().values()
        for container in pod["spec"]["containers"]
    }


def everything_named(release: Release) -> list[str]:
    """Objects of every kind in the release's namespace but those that every namespace has."""
    kinds = release.cluster.kubectl(
        *("api-resources", "--namespaced", "--verbs=list", "--output=name")
    ).split()
    not_kept = {"events", "events.events.k8s.io", "endpoints"}  # the last one is deprecated
    wanted = [kind for kind in kinds if kind not in not_kept]
    listed = release.cluster.kubectl(
        *("get", ",".join(wanted), f"--namespace={release.namespace}", "--output=name"),
        "--ignore-not-found",
    )
    of_every_namespace = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    return sorted(set(listed.split()) - of_every_namespace)


def test_an_install_has_its_workers_ready(release: Release) -> None:
    release.install(SMALL)

    workers = release.workers()

    assert len(workers) == 2
    assert all(map(is_ready, workers.values()))
    assert release.only("statefulsets")["status"]["readyReplicas"] == 2
    assert release.revisions() == [(1, "deployed")]


def test_all_objects_of_other_programs_kinds_are_taken(release: Release) -> None:
    release.install(merged(SMALL, MONITORING))

    for kind in ("servicemonitors", "prometheusrules", "alertmanagerconfigs"):
        assert len(release.objects(kind)) == 1, kind
    boards = release.cluster.get(release.namespace, "configmaps", "--selector=grafana_dashboard=1")
    assert len(boards) == 6


def test_none_of_them_is_there_unless_asked_for(release: Release) -> None:
    release.install(SMALL)

    for kind in ("servicemonitors", "podmonitors", "prometheusrules", "alertmanagerconfigs"):
        assert release.objects(kind) == []


def test_another_setting_replaces_every_worker(release: Release) -> None:
    release.install(SMALL)
    before = uids(release)

    release.upgrade(merged(SMALL, {"settings": {"tick": "10s"}}))

    after = uids(release)
    assert before.keys() == after.keys()
    assert set(before.values()).isdisjoint(after.values())
    assert all(map(is_ready, release.workers().values()))


def test_another_policy_replaces_no_worker(release: Release) -> None:
    release.install(SMALL)
    before = uids(release)
    maps_before = [each["data"] for each in release.objects("configmaps")]

    release.upgrade(merged(SMALL, {"policy": {"defaults": {"target": 0.9}}}))

    assert uids(release) == before
    assert [each["data"] for each in release.objects("configmaps")] != maps_before


def test_another_image_reaches_every_worker(release: Release) -> None:
    release.install(SMALL)

    release.upgrade(merged(SMALL, {"image": {"tag": "9.9.9"}}))

    [image] = images(release)
    assert image.endswith(":9.9.9")
    assert all(map(is_ready, release.workers().values()))


@pytest.mark.parametrize("replicas", [1, 4])
def test_more_or_fewer_workers_leave_the_others_alone(release: Release, replicas: int) -> None:
    release.install(SMALL)
    before = uids(release)

    release.upgrade(merged(SMALL, {"workers": {"replicas": replicas}}))

    release.cluster.wait_until(lambda: len(release.workers()) == replicas, f"{replicas} workers")
    after = uids(release)
    assert all(after[name] == before[name] for name in before.keys() & after.keys())
    assert all(map(is_ready, release.workers().values()))


def test_monitoring_is_turned_on_and_off_without_a_restart(release: Release) -> None:
    release.install(SMALL)
    before = uids(release)

    release.upgrade(merged(SMALL, MONITORING))
    assert len(release.objects("prometheusrules")) == 1
    release.upgrade(SMALL)

    assert release.objects("prometheusrules") == []
    assert uids(release) == before


def test_a_rollback_brings_back_what_was(release: Release) -> None:
    release.install(SMALL)
    first, image = _specs(release), images(release)
    release.upgrade(
        merged(
            SMALL,
            MONITORING,
            {"image": {"tag": "9.9.9"}, "settings": {"tick": "10s"}, "workers": {"replicas": 3}},
        )
    )
    assert _specs(release) != first

    release.roll_back(1)

    release.cluster.wait_until(lambda: len(release.workers()) == 2, "two workers")
    assert _specs(release) == first
    assert images(release) == image
    assert all(map(is_ready, release.workers().values()))
    assert release.revisions() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]


def test_an_image_that_does_not_start_stops_no_worker_where_it_is_to_read_the_settings_first(
    release: Release,
) -> None:
    release.install(SMALL)
    before = uids(release)

    with pytest.raises(CommandFailed, match=r"(?i)timed? ?out|deadline"):
        release.upgrade(merged(SMALL, BROKEN), within="8s")

    assert uids(release) == before


def test_an_image_that_does_not_start_stops_one_worker_and_a_rollback_mends_it(
    release: Release,
) -> None:
    three = merged(SMALL, {"workers": {"replicas": 3}}, UNCHECKED)
    release.install(three)
    before = uids(release)

    with pytest.raises(CommandFailed, match=r"(?i)timed? ?out|deadline"):
        release.upgrade(merged(three, BROKEN), within="8s")

    after = uids(release)
    assert len(set(before.values()) & set(after.values())) == 2
    assert sum(map(is_ready, release.workers().values())) == 2

    release.roll_back(1)

    assert NEVER_READY not in images(release)
    assert [is_ready(pod) for pod in release.workers().values()] == [True] * 3


def test_nothing_is_left_after_an_uninstall(release: Release) -> None:
    release.install(merged(SMALL, MONITORING))
    assert len(everything_named(release)) > 10

    release.uninstall()

    release.cluster.wait_until(lambda: not everything_named(release), "all was gone")


def _specs(release: Release) -> dict[str, Mapping[str, Any]]:
    """What the release asks for, without what the cluster adds to each object."""
    kinds = "statefulsets,services,configmaps,poddisruptionbudgets,networkpolicies"
    return {
        f"{each['kind']}/{each['metadata']['name']}": {
            "labels": each["metadata"]["labels"],
            "spec": each.get("spec", {}),
            "data": each.get("data", {}),
        }
        for each in release.objects(kinds)
    }
