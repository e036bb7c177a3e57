"""The chart's hooks: the Job that creates topics, and what `helm test` runs."""

from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from streams.local_kafka import LocalKafka
from streams.topics import look
from tests.support.commands import floorwatch
from tests.support.control_plane import NEVER_READY, CommandFailed
from tests.support.release import SMALL, Release, merged
from tests.support.running import RunningWorker

TOPICS = {"topics": {"create": {"enabled": True, "partitions": 4, "replicationFactor": 1}}}
ALONE = {"topics": {"create": {"minInsyncReplicas": 1}}}
NO_IMAGE = dict(zip(("repository", "tag"), NEVER_READY.rsplit(":", 1), strict=True))


@pytest.fixture(scope="module")
def kafka() -> Iterator[LocalKafka]:
    """A broker for the commands that the hooks run."""
    with LocalKafka() as broker:
        yield broker


def mounted(objects: list[dict[str, Any]], pod: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write below *folder* what *pod* finds in its ConfigMaps; its environment, with paths there.

    The files are as the kubelet would mount them, but for their paths, in the texts too.
    """
    [container] = pod["containers"]
    paths = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    maps = {each["metadata"]["name"]: each for each in objects if each["kind"] == "ConfigMap"}

    def moved(text: str) -> str:
        for path in paths.values():
            text = text.replace(path, f"{folder}{path}")
        return text

    for volume in pod["volumes"]:
        if "configMap" in volume:
            here = Path(f"{folder}{paths[volume['name']]}")
            here.mkdir(parents=True)
            for name, text in maps[volume["configMap"]["name"]]["data"].items():
                (here / name).write_text(moved(text), encoding="utf-8")
    return {each["name"]: moved(each["value"]) for each in container["env"] if "value" in each}


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def run_of(pod: dict[str, Any], variables: dict[str, str]) -> CompletedProcess[str]:
    """What the one container of *pod* would run, here."""
    return floorwatch(*pod["containers"][0]["args"], variables=variables)


def test_topics_are_created_before_the_workers(release: Release) -> None:
    release.install(merged(SMALL, TOPICS, ALONE))

    jobs = [
        line
        for line in release.cluster.requests(release.namespace)
        if line.startswith("create ") and line.split()[1] in {"jobs", "statefulsets"}
    ]
    assert [line.split()[1] for line in jobs] == ["jobs", "statefulsets"]
    assert release.objects("jobs") == []  # it did its work, and nothing is left of it
    assert len(release.workers()) == 2


def test_without_topics_no_worker_is_started(release: Release) -> None:
    hopeless = {"topics": {"create": {"activeDeadlineSeconds": 10}}, "image": NO_IMAGE}

    with pytest.raises(CommandFailed, match=r"(?i)pre-install"):
        release.install(merged(SMALL, TOPICS, ALONE, hopeless))

    assert release.objects("statefulsets") == []


def test_an_upgrade_runs_the_job_again(release: Release) -> None:
    release.install(merged(SMALL, TOPICS, ALONE))

    release.upgrade(merged(SMALL, TOPICS, ALONE))

    created = [
        line for line in release.cluster.requests(release.namespace) if line == "create jobs"
    ]
    assert len(created) == 2


def test_helm_test_passes_when_its_pod_does(release: Release) -> None:
    release.install(SMALL)

    said = release.cluster.helm(
        *("test", release.name, f"--namespace={release.namespace}", "--timeout=90s")
    )

    assert "Succeeded" in said


def test_the_jobs_own_command_creates_the_topics_of_the_values(
    release: Release, kafka: LocalKafka, tmp_path: Path
) -> None:
    named = {"calls": "berlin-calls", "chats": "off", "queues": "berlin-queues"}
    objects = release.rendered(
        merged(SMALL, TOPICS, ALONE, {"kafka": {"bootstrap": kafka.bootstrap}, "topics": named})
    )
    job = of_kind(objects, "Job")["spec"]["template"]["spec"]

    done = run_of(job, mounted(objects, job, tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    there = look(kafka.bootstrap, ["berlin-calls", "berlin-queues", "chats"]).topics
    partitions = {name: topic.partitions for name, topic in there.items() if topic}
    assert partitions == {"berlin-calls": 4, "berlin-queues": 4}


def test_helm_tests_own_command_tells_a_running_installation_from_one_that_is_not(
    release: Release, kafka: LocalKafka, tmp_path: Path
) -> None:
    values = merged(SMALL, TOPICS, ALONE, {"kafka": {"bootstrap": kafka.bootstrap}})
    objects = release.rendered(values)
    job = of_kind(objects, "Job")["spec"]["template"]["spec"]
    worker = of_kind(objects, "StatefulSet")["spec"]["template"]["spec"]
    test = of_kind(objects, "Pod")["spec"]
    created = run_of(job, mounted(objects, job, tmp_path / "job"))
    assert created.returncode == 0, created.stdout + created.stderr

    variables = mounted(objects, worker, tmp_path / "worker")
    settings = yaml.safe_load(Path(variables["FLOORWATCH_SETTINGS"]).read_text(encoding="utf-8"))
    here = {**settings, "host": "127.0.0.1", "port": 0}
    in_the_test = mounted(objects, test, tmp_path / "test")
    with RunningWorker(tmp_path / "running", here) as running:
        running.wait_until(lambda: running.get("/readyz").status == 200, "the worker was ready")
        asked = [
            f"--worker={running.url}" if each.startswith("--worker=") else each
            for each in test["containers"][0]["args"]
        ]
        while_it_runs = floorwatch(*asked, variables=in_the_test)
    afterwards = floorwatch(*asked, variables=in_the_test)

    assert asked != test["containers"][0]["args"]
    assert while_it_runs.returncode == 0, while_it_runs.stdout + while_it_runs.stderr
    assert afterwards.returncode == 1, afterwards.stdout + afterwards.stderr
