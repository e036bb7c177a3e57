"""A worker from its start to its end, and what it says when it cannot start."""

import socket
import subprocess
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest

from streams.kafka_access import KafkaAccess
from streams.local_kafka import LocalKafka
from streams.settings import load_settings
from streams.sources.recorded import Recorded
from streams.topics import ensure_topics, look, remove_topics
from tests.support.commands import COMMAND, floorwatch, surroundings
from tests.support.oracle import to_text
from tests.support.perfect import net_counters
from tests.support.recordings import time_of
from tests.support.running import PATIENCE_S, Feed, RunningWorker, parsed, settings_file

BEGINS_MS: Final = 1_795_514_400_000
FLOOR: Final = "floorwatch_contacts_offered_total"


def answered_calls(count: int) -> list[Recorded]:
    """Calls a second apart; each is answered after ten seconds, in time."""
    records: list[Recorded] = []
    for number in range(count):
        for kind, at_ms in (("queued", 0), ("answered", 10_000)):
            time_ms = BEGINS_MS + number * 1_000 + at_ms
            value = (
                f'{{"id":"{number}-{kind}","type":"contact.{kind}","time":"{to_text(time_ms)}",'
                f'"source":"pbx","contact":"c-{number}","queue":"sales","channel":"voice"}}'
            )
            key = b"c-%d" % number
            records.append(Recorded(time_ms, "calls", key, value.encode(), len(records) + 1))
    return records


@pytest.fixture
def settings(kafka: LocalKafka, unique: str) -> dict[str, Any]:
    """Settings of an installation with one topic, for events of another day."""
    return {
        "name": unique,
        "bootstrap": kafka.bootstrap,
        "clock": "event",
        "topics": {"calls": f"{unique}.calls", "chats": "off", "queues": "off"},
    }


def test_it_is_ready_once_it_has_caught_up_and_shows_no_figure_before(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    calls = answered_calls(40_000)
    end_ms = BEGINS_MS + 40_010_000
    seen: list[tuple[int, bool]] = []
    with Feed(settings_file(tmp_path, settings)) as feed:
        feed.send_until(calls, end_ms)
        with RunningWorker(tmp_path, settings) as worker:

            def has_read_all() -> bool:
                has_figures = FLOOR in worker.metrics()
                # Ready by then at the latest: it may become so between the two questions.
                seen.append((worker.get("/readyz").status, has_figures))
                return worker.floor()["as_of_ms"] == end_ms and has_figures

            worker.wait_until(has_read_all, "all was read")
            feed.send_until(answered_calls(100), end_ms)
            worker.wait_for_records(feed.sent)
            seen.append((worker.get("/readyz").status, FLOOR in worker.metrics()))
            alive = worker.get("/healthz").status

    statuses = [status for status, _ in groupby(status for status, _ in seen)]
    assert statuses == [503, 200]
    assert not any(has_figures for status, has_figures in seen if status == 503)
    assert seen[-1] == (200, True)
    assert alive == 200


def test_it_stops_on_sigterm_and_a_second_run_shows_the_same(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    calls = answered_calls(500)
    half_ms, end_ms = BEGINS_MS + 250_000, BEGINS_MS + 510_000
    with Feed(settings_file(tmp_path, settings)) as feed:
        feed.send_until(calls, half_ms)
        with RunningWorker(tmp_path, settings) as worker:
            worker.wait_for_records(feed.sent)
            before = worker.floor(), net_counters(parsed(worker.metrics()), "sales", "voice")
            code = worker.stop()
        read_before = feed.sent
        with RunningWorker(tmp_path, settings) as worker:
            worker.wait_until(lambda: worker.floor() == before[0], "it showed the same")
            after = worker.floor(), net_counters(parsed(worker.metrics()), "sales", "voice")
            feed.send_until([call for call in calls if time_of(call) > half_ms], end_ms)
            worker.wait_for_records(feed.sent - read_before)
            at_the_end = net_counters(parsed(worker.metrics()), "sales", "voice")
        log = worker.log()

    assert code == 0
    assert after == before
    assert at_the_end["answered"] == at_the_end["offered"] == 500
    assert "Traceback" not in log
    assert "WARNING" not in log


def refusal(folder: Path, settings: Mapping[str, Any]) -> tuple[int, str]:
    """The exit code of a worker that does not start, and the one line that says why."""
    ended = floorwatch("worker", "--settings", str(settings_file(folder, settings)))
    *before, last = ended.stderr.splitlines()
    assert all(" INFO " in line for line in before), ended.stderr
    return ended.returncode, last


def test_a_missing_topic_is_named_with_the_way_to_create_it(
    settings: Mapping[str, Any], tmp_path: Path, unique: str
) -> None:
    code, said = refusal(tmp_path, settings)

    assert code == 3
    assert f"there is no topic '{unique}.calls'" in said
    assert "floorwatch create-topics" in said


def test_a_missing_topic_for_rejected_records_is_created(
    settings: Mapping[str, Any], tmp_path: Path, unique: str
) -> None:
    bootstrap, rejected = settings["bootstrap"], f"{unique}.rejected"
    ensure_topics(load_settings(settings_file(tmp_path, settings), {}), 1, any_time=True)
    remove_topics(KafkaAccess(bootstrap), [rejected])
    with RunningWorker(tmp_path, settings) as worker:
        worker.wait_until(lambda: worker.get("/readyz").status == 200, "it was ready")

    assert look(KafkaAccess(bootstrap), [rejected]).topics[rejected].retention_ms is None


def test_a_broker_that_is_not_there_is_named(settings: Mapping[str, Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    code, said = refusal(tmp_path, {**settings, "bootstrap": address})

    assert code == 3
    assert f"no Kafka answers at {address}" in said
    assert "start it, or correct the address" in said


def test_a_wrong_setting_is_named_with_its_line_and_what_would_be_right(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    code, said = refusal(tmp_path, {**settings, "tick": "7s"})

    assert code == 2
    assert "floorwatch.yaml:" in said
    assert "tick='7s': expected 1s or more, and a whole number of times in 5m, such as 5s" in said


def test_a_port_that_is_taken_is_named(settings: Mapping[str, Any], tmp_path: Path) -> None:
    ensure_topics(load_settings(settings_file(tmp_path, settings), {}), 1, any_time=True)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = refusal(tmp_path, {**settings, "port": port})

    assert code == 3
    assert (
        f"cannot listen on 127.0.0.1:{port} (address already in use); `port` in the settings, or "
        "FLOORWATCH_PORT, names another"
    ) in said


def test_sigterm_is_heard_while_whoever_listens_at_the_address_says_nothing(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = settings_file(
            tmp_path, {**settings, "bootstrap": f"127.0.0.1:{silent.getsockname()[1]}"}
        )
        process = subprocess.Popen(
            [*COMMAND, "worker", "--settings", str(path)],
            env=surroundings(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with silent.accept()[0]:  # it is asking
                process.terminate()
                assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()
