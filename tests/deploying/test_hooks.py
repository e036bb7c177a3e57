"""The chart's hooks on a cluster: the Job that creates topics, and the pod of `helm test`."""

import pytest

from tests.support.control_plane import NEVER_READY, CommandFailed
from tests.support.release import SMALL, Release, merged

TOPICS = {"topics": {"create": {"enabled": True, "partitions": 4, "replicationFactor": 1}}}
ALONE = {"topics": {"create": {"minInsyncReplicas": 1}}}
NO_IMAGE = dict(zip(("repository", "tag"), NEVER_READY.rsplit(":", 1), strict=True))


def test_topics_are_created_before_the_workers(release: Release) -> None:
    release.install(merged(SMALL, TOPICS, ALONE))

    made = [
        each
        for each in release.cluster.requests(release.namespace)
        if each in {"patch jobs", "patch statefulsets"}
    ]
    # The first one reads settings and policy.
    assert made == ["patch jobs", "patch jobs", "patch statefulsets"]
    assert release.objects("jobs") == []  # it did its work, and nothing is left of it
    assert len(release.workers()) == 2


def test_without_topics_no_worker_is_started(release: Release) -> None:
    hopeless = {"topics": {"create": {"activeDeadlineSeconds": 10}}, "image": NO_IMAGE}

    with pytest.raises(CommandFailed, match=r"(?i)pre-install"):
        release.install(merged(SMALL, TOPICS, ALONE, hopeless, {"precheck": {"enabled": False}}))

    assert release.objects("statefulsets") == []


def test_an_upgrade_runs_the_job_again(release: Release) -> None:
    release.install(merged(SMALL, TOPICS, ALONE))

    release.upgrade(merged(SMALL, TOPICS, ALONE))

    # Each time the one that reads settings and policy, too.
    assert release.cluster.requests(release.namespace).count("patch jobs") == 4


def test_helm_test_passes_when_its_pod_does(release: Release) -> None:
    release.install(SMALL)

    said = release.cluster.helm(
        *("test", release.name, f"--namespace={release.namespace}", "--timeout=90s")
    )

    assert "Succeeded" in said
