"""`helm test`, as far as it is a command: run against a real worker and a real Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.local_kafka import LocalKafka
from streams.settings import load_settings
from streams.topics import ensure_topics
from tests.support.chart_rendering import Rendering
from tests.support.commands import floorwatch
from tests.support.rendered_chart import rendered
from tests.support.running import RunningWorker

RELEASE = "floor-floorwatch"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    with LocalKafka() as kafka:
        worker = RunningWorker(
            tmp_path_factory.mktemp("worker"), {"bootstrap": kafka.bootstrap, "name": RELEASE}
        )
        ensure_topics(load_settings(worker.settings_file, {}), 2)
        with worker:
            yield worker


def command(worker: RunningWorker, address: str) -> list[str]:
    """What the pod of the test runs, where the Service leads to *address*."""
    values = {"kafka": {"bootstrap": "kafka.example:9092"}}
    arguments: list[str] = Rendering(rendered(values), values).container("test")["args"]
    service = f"http://{RELEASE}.contact-centre:6066"
    assert f"--worker={service}" in arguments
    told = [each.replace(service, f"http://{address}") for each in arguments]
    return [*told, f"--settings={worker.settings_file}"]


def test_the_test_passes_where_a_worker_runs(worker: RunningWorker) -> None:
    worker.wait_until(lambda: worker.get("/readyz").status == 200 or None, "it caught up")

    done = floorwatch(*command(worker, worker.address))

    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("is alive", "it has caught up once", "series: ", "topic calls: ", "broker: "):
        assert part in done.stdout
    assert "FAIL" not in done.stdout


def test_the_test_fails_where_no_worker_answers(worker: RunningWorker) -> None:
    done = floorwatch(*command(worker, "127.0.0.1:1"))

    assert done.returncode == 1
    assert "FAIL  worker: no answer from http://127.0.0.1:1" in done.stdout
