"""What the chart's pods run, run here by its own settings: a real Kafka and a real worker."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient

from streams.local_kafka import LocalKafka
from tests.support.commands import floorwatch
from tests.support.release import merged
from tests.support.rendered_chart import rendered
from tests.support.running import RunningWorker

TOPICS = {
    "topics": {
        "create": {
            "enabled": True,
            "partitions": 4,
            "replicationFactor": 1,
            "minInsyncReplicas": 1,
        }
    }
}


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
    texts = {each["metadata"]["name"]: each for each in objects if each["kind"] == "ConfigMap"}
    volumes = {
        each["name"]: each["configMap"]["name"] for each in pod["volumes"] if "configMap" in each
    }
    paths = {
        each["mountPath"]: volumes[each["name"]]
        for each in container["volumeMounts"]
        if each["name"] in volumes
    }

    def moved(text: str) -> str:
        for path in paths:
            text = text.replace(path, f"{folder}{path}")
        return text

    for path, name in paths.items():
        here = Path(f"{folder}{path}")
        here.mkdir(parents=True)
        for file, text in texts[name]["data"].items():
            (here / file).write_text(moved(text), encoding="utf-8")
    return {each["name"]: moved(each["value"]) for each in container["env"] if "value" in each}


def of_kind(objects: list[dict[str, Any]], kind: str, ending: str = "") -> dict[str, Any]:
    """The one object of *kind* whose name ends with *ending*."""
    [found] = [
        each
        for each in objects
        if each["kind"] == kind and each["metadata"]["name"].endswith(ending)
    ]
    return found


def run_of(pod: dict[str, Any], variables: dict[str, str]) -> CompletedProcess[str]:
    """What the one container of *pod* would run, here."""
    return floorwatch(*pod["containers"][0]["args"], variables=variables)


async def partitions_of(bootstrap: str) -> set[tuple[str, int]]:
    """(name, number of partitions) of each topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(await admin.list_topics())
        return {(each["topic"], len(each["partitions"])) for each in described}
    finally:
        await admin.close()


@pytest.mark.parametrize(("threshold", "code"), [("119m", 0), ("3h", 1)])
def test_the_job_before_an_upgrade_stops_at_a_policy_that_contradicts_itself(
    threshold: str, code: int, tmp_path: Path
) -> None:
    policy = {"queues": {"sales": {"threshold": threshold}}}
    objects = rendered({"kafka": {"bootstrap": "127.0.0.1:9"}, "policy": policy})
    job = of_kind(objects, "Job", "-precheck")["spec"]["template"]["spec"]

    done = run_of(job, mounted(objects, job, tmp_path))

    assert done.returncode == code, done.stdout + done.stderr
    assert ("expected more than its threshold" in done.stdout) == bool(code)


def test_the_jobs_own_command_creates_the_topics_of_the_values(
    kafka: LocalKafka, tmp_path: Path
) -> None:
    named = {"calls": "berlin-calls", "chats": "off", "queues": "berlin-queues"}
    objects = rendered(merged(TOPICS, {"kafka": {"bootstrap": kafka.bootstrap}, "topics": named}))
    job = of_kind(objects, "Job", "-topics")["spec"]["template"]["spec"]

    done = run_of(job, mounted(objects, job, tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert asyncio.run(partitions_of(kafka.bootstrap)) >= {
        ("berlin-calls", 4),
        ("berlin-queues", 4),
    }


def test_helm_tests_own_command_tells_a_running_installation_from_one_that_is_not(
    kafka: LocalKafka, tmp_path: Path
) -> None:
    values = merged(TOPICS, {"kafka": {"bootstrap": kafka.bootstrap}})
    objects = rendered(values)
    job = of_kind(objects, "Job", "-topics")["spec"]["template"]["spec"]
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
