"""A real Prometheus and a real Alertmanager, and what they say of a real worker."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from schemas.instants import write_instant
from schemas.metric_names import ALL
from streams.local_kafka import LocalKafka
from streams.sources.recorded import Recorded
from tests.support.chaos_schedules import arriving, evening
from tests.support.prometheus import (
    Refused,
    RunningAlertmanager,
    RunningPrometheus,
    amtool,
    promtool,
    scraping,
)
from tests.support.recordings import tick_after
from tests.support.running import Feed, RunningWorker, parsed, settings_file

ALWAYS = {
    "groups": [
        {
            "name": "always",
            "rules": [{"alert": "Always", "expr": "vector(7)", "labels": {"queue": "sales"}}],
        }
    ]
}
TO_NOBODY = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    """One that scrapes itself, once it is told where it is."""
    with RunningPrometheus(tmp_path_factory.mktemp("prometheus"), {}) as running:
        running.reload(scraping({"itself": [running.address]}))
        running.wait_for_scrape()
        yield running


def test_prometheus_starts_and_answers(prometheus: RunningPrometheus) -> None:
    now_s = time.time()

    assert prometheus.value("sum(up)") == 1
    assert prometheus.value("7") == 7
    assert prometheus.query("up{job='nobody'}") == []
    (series,) = prometheus.query_range(
        "sum by (job) (up)", start_s=now_s, end_s=now_s + 2, step_s=1
    )
    assert series.labels == {"job": "itself"}
    assert [value for _, value in series.points] == [1, 1, 1]


def test_who_waits_for_a_scrape_sees_nothing_older(prometheus: RunningPrometheus) -> None:
    for _ in range(3):
        began_s = time.time()
        prometheus.wait_for_scrape()
        assert prometheus.value("timestamp(up)") >= began_s


def test_what_prometheus_does_not_understand_fails_the_test(
    prometheus: RunningPrometheus,
) -> None:
    with pytest.raises(Refused, match="bad_data"):
        prometheus.query("sum(")
    with pytest.raises(Refused, match="not a valid duration string"):
        prometheus.reload({"global": {"scrape_interval": "soon"}})


def test_an_alert_of_prometheus_reaches_alertmanager(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump(ALWAYS))

    with (
        RunningAlertmanager(tmp_path, TO_NOBODY) as alertmanager,
        RunningPrometheus(
            tmp_path,
            scraping({}, rules=[rules], alertmanagers=[alertmanager.address]),
        ) as prometheus,
    ):
        (alert,) = prometheus.wait_until(alertmanager.alerts, "the alert arrived")
        assert prometheus.ask("alerts")["alerts"][0]["state"] == "firing"

    assert alert["labels"] == {"alertname": "Always", "queue": "sales"}


def test_the_checkers_find_what_is_wrong(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.yml", tmp_path / "wrong.yml"
    right.write_text(yaml.safe_dump(ALWAYS))
    wrong.write_text(yaml.safe_dump(ALWAYS).replace("vector(7)", "vector(7"))
    assert promtool("check", "rules", right).returncode == 0
    assert promtool("check", "rules", wrong).returncode != 0

    right.write_text(yaml.safe_dump(TO_NOBODY))
    wrong.write_text(yaml.safe_dump({**TO_NOBODY, "route": {"receiver": "somebody"}}))
    assert amtool("check-config", right).returncode == 0
    assert amtool("check-config", wrong).returncode != 0


def test_prometheus_finds_nothing_to_complain_of_in_a_workers_page(
    kafka: LocalKafka, unique: str, tmp_path: Path
) -> None:
    recording = evening(tmp_path)
    settings = recording.settings(unique, kafka.bootstrap)
    settings["policy"]["defaults"]["instant_target"] = 0.3
    sending = arriving(recording.records(), seed=1)
    until_ms = tick_after(sending)
    strange = [
        Recorded(until_ms, topic, b"sales", value.encode(), number)
        for number, (topic, value) in enumerate(
            [
                ("calls", "not an event"),
                ("queues", door("closed", until_ms - 1, reason="fault")),
                ("queues", door("closed", until_ms, reason="fault")),
            ]
        )
    ]
    with (
        Feed(settings_file(tmp_path, settings)) as feed,
        RunningWorker(tmp_path / "worker", settings) as worker,
        RunningPrometheus(tmp_path, scraping({"floorwatch": [worker.address]})) as prometheus,
    ):
        feed.send_until([*sending, *strange], until_ms)
        worker.wait_for_records(feed.sent)
        page = worker.metrics()
        prometheus.wait_for_scrape()
        scraped = prometheus.query('{__name__=~"floorwatch_.*"}')

    checked = promtool("check", "metrics", given=page)
    families = {family.name for family in text_string_to_metric_families(page)}

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    assert len(scraped) == sum(name.startswith("floorwatch_") for name, _ in parsed(page))
    # These two would need a broken state and an endless contact.
    assert {metric.name.removesuffix("_total") for metric in ALL} - families == {
        "floorwatch_state_rebuilds",
        "floorwatch_events_ignored",
    }


def door(kind: str, at_ms: int, **fields: str) -> str:
    """An event of the queue sales; all of them have the same id."""
    event = {"type": f"queue.{kind}", "time": write_instant(at_ms), "queue": "sales"}
    return json.dumps({"id": "door", "source": "pbx", **event, **fields})
