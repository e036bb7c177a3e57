"""The demo as a whole: one command, a live wall, and nothing left when it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson
import pytest

from requirements.build_programs import built
from streams.demo import NAMES, TROUBLES, free_port, worker_variables
from streams.demo_alerts import ALERTMANAGER, PROMETHEUS
from streams.local_kafka import LocalKafka
from streams.settings import load_settings
from streams.simulator import default_centre, zone_where_it_is
from streams.topics import look
from tests.support.commands import COMMAND, surroundings

PATIENCE_S = 180.0
AN_ALERT = {"alertname": "FloorwatchPlanted", "severity": "critical", "queue": "support"}


class Demo:
    """A running demo, whose temporary files are in a folder of its own."""

    def __init__(self, scratch: Path, *options: str) -> None:
        scratch.mkdir()
        self.scratch = scratch
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*COMMAND, "demo", *options],
            env=surroundings({"TMPDIR": str(scratch)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            self.lines += self.process.stdout

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def say(self, pattern: str) -> re.Match[str]:
        """What it says that matches *pattern*; waits for it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if match := re.search(pattern, self.said):
                return match
            time.sleep(0.1)
        raise AssertionError(f"the demo never said {pattern!r}:\n{self.said}")

    def floor(self) -> dict[str, Any]:
        """The floor that its wall shows."""
        url = self.say(r"(http://127\.0\.0\.1:\d+)/")[1]
        with urlopen(f"{url}/api/v1/floor", timeout=10) as answer:  # noqa: S310 # ours
            return dict(orjson.loads(answer.read()))

    def wait(self) -> int:
        """Its exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code

    def remains(self) -> list[str]:
        """Files and processes that are there because of it."""
        found = [str(path) for path in self.scratch.iterdir()]
        mark = f"TMPDIR={self.scratch}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it has just ended, or is somebody else's
        return found


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[list[Demo]]:
    """Those that a test has started; what still runs afterwards is killed."""
    running: list[Demo] = []
    yield running
    for demo in running:
        demo.process.kill()
        demo.wait()


def offered(floor: dict[str, Any]) -> int:
    """How many were offered on the whole floor since the start."""
    return sum(entry["offered"] for entry in floor["entries"] if entry["window"] == "total")


def test_the_wall_is_live_with_the_past_hour_played_and_all_is_gone_in_the_end(
    tmp_path: Path, demos: list[Demo]
) -> None:
    demo = Demo(tmp_path / "scratch", "--for", "16s", "--port", str(free_port(26_066)))
    demos.append(demo)

    demo.say(r"the wall is live after [\d.]+ s")
    before = after = demo.floor()
    for _ in range(24):  # in any five seconds nobody may come
        if offered(after) > offered(before):
            break
        time.sleep(0.5)
        after = demo.floor()

    assert before["ready"]
    assert {queue["queue"] for queue in before["queues"]} >= {"sales", "support", "billing"}
    assert {queue["name"] for queue in before["queues"]} >= {"Sales", "Support", "Billing"}
    hour = [entry for entry in before["entries"] if entry["window"] == "60m"]
    assert sum(entry["offered"] for entry in hour) > 100
    assert offered(after) > offered(before)
    assert demo.wait() == 0
    assert demo.remains() == []


def test_with_alerts_the_wall_shows_what_fires_and_nothing_of_it_is_left(
    tmp_path: Path, demos: list[Demo]
) -> None:
    for program in (PROMETHEUS, ALERTMANAGER):
        built(program)
    demo = Demo(tmp_path / "scratch", "--alerts", "--port", str(free_port(26_066)))
    demos.append(demo)

    found = demo.say(r"What fires is on the wall too: (http\S+)/alerts, (http\S+)/")
    _post(f"{found[2]}/api/v2/alerts", [{"labels": AN_ALERT, "annotations": {}}])
    _until(lambda: _read(f"{found[1]}/api/v1/targets?state=active"), _is_scraped)
    _until(demo.floor, lambda floor: AN_ALERT["alertname"] in str(floor))
    rules = _read(f"{found[1]}/api/v1/rules")["data"]["groups"]
    demo.process.send_signal(signal.SIGINT)

    assert [rule["health"] for group in rules for rule in group["rules"]].count("err") == 0
    assert demo.wait() == 128 + signal.SIGINT
    assert demo.remains() == []


def _post(url: str, body: object) -> None:
    """Send *body* as JSON, once somebody listens."""
    request = Request(  # noqa: S310 # ours
        url, orjson.dumps(body), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=10) as answer:  # noqa: S310 # ours
        assert answer.status == 200


def _read(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 # ours
        return dict(orjson.loads(answer.read()))


def _until(look: Callable[[], dict[str, Any]], is_there: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_there(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)


def _is_scraped(targets: dict[str, Any]) -> bool:
    return [each["health"] for each in targets["data"]["activeTargets"]] == ["up"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_of_it_and_leaves_nothing_behind(
    tmp_path: Path, demos: list[Demo], number: signal.Signals
) -> None:
    demo = Demo(tmp_path / "scratch", "--port", str(free_port(26_066)))
    demos.append(demo)
    demo.say("the wall is live")
    assert len(demo.remains()) >= 3  # folder of the broker, broker, worker

    demo.process.send_signal(number)

    assert demo.wait() == 128 + number
    assert demo.said.endswith("ended\n")
    assert demo.remains() == []


def test_a_signal_before_the_wall_is_up_leaves_nothing_behind_either(
    tmp_path: Path, demos: list[Demo]
) -> None:
    demo = Demo(tmp_path / "scratch")
    demos.append(demo)
    demo.say("starting Kafka")
    while not list(demo.scratch.iterdir()):
        time.sleep(0.01)

    demo.process.send_signal(signal.SIGTERM)

    assert demo.wait() == 128 + signal.SIGTERM
    assert demo.remains() == []


def test_a_worker_that_ends_by_itself_ends_the_demo_with_its_last_words(
    tmp_path: Path, demos: list[Demo]
) -> None:
    demo = Demo(tmp_path / "scratch", "--port", str(free_port(26_066)))
    demos.append(demo)
    demo.say("the wall is live")

    for process in _workers(demo):
        os.kill(process, signal.SIGKILL)

    assert demo.wait() == 1
    assert "floorwatch: the worker ended by itself; it said:\n" in demo.said
    assert demo.remains() == []


def test_with_a_kafka_that_is_there_it_uses_topics_of_its_own_and_removes_them(
    tmp_path: Path, demos: list[Demo], kafka: LocalKafka
) -> None:
    port = str(free_port(26_066))
    demo = Demo(tmp_path / "scratch", "--bootstrap", kafka.bootstrap, "--port", port)
    demos.append(demo)
    demo.say("the wall is live")
    name = demo.floor()["name"]
    topics = [
        f"{name}.{topic}" for topic in ("calls", "chats", "queues", "rejected", "state", "floor")
    ]
    assert look(kafka.access, topics).topics.keys() == set(topics)

    demo.process.send_signal(signal.SIGTERM)
    demo.wait()

    deadline = time.monotonic() + PATIENCE_S
    while (there := look(kafka.access, topics).topics) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not there
    assert kafka.running


def test_a_port_that_is_taken_makes_way_for_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()

        assert free_port(port) > port


def test_the_demo_names_queues_that_its_centre_has() -> None:
    queues = {plan.queue for plan in default_centre().queues}

    assert queues == NAMES.keys()
    assert {trouble.queue for trouble in TROUBLES} <= queues


def test_the_worker_counts_days_in_the_zone_of_the_centre() -> None:
    zone = zone_where_it_is(10, 20 * 3_600_000)

    settings = load_settings(None, worker_variables("demo-1", "127.0.0.1:9092", 6066, zone))

    assert settings.name == "demo-1"
    assert settings.policy.queue("sales", "voice", 0).zone == zone
    assert settings.policy.queue("sales", "voice", 0).name == "Sales"


def _workers(demo: Demo) -> list[int]:
    mark = f"TMPDIR={demo.scratch}".encode()
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if (process / "cmdline").read_bytes().endswith(b"streams.cli\0worker\0")
        and b"leash.py" not in (process / "cmdline").read_bytes()
        and mark in (process / "environ").read_bytes()
    ]
