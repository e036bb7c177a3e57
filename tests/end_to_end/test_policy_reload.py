"""A policy file that changes under two real workers: what is taken over, and what is counted."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from streams.local_kafka import LocalKafka
from streams.sources.recorded import Recorded
from tests.support.oracle import to_text
from tests.support.perfect import net_counters, sum_of
from tests.support.recordings import time_of
from tests.support.running import Feed, RunningWorker, parsed, settings_file

BEGINS_MS: Final = 1_795_514_400_000
SECOND_PART_MS: Final = BEGINS_MS + 3_600_000
THIRD_PART_MS: Final = BEGINS_MS + 7_200_000
CALLS: Final = 40
PARTITIONS: Final = 2


def calls(begin_ms: int) -> list[Recorded]:
    """Calls a second apart; each is answered after 25 seconds."""
    records: list[Recorded] = []
    for number in range(CALLS):
        for kind, at_ms in (("queued", 0), ("answered", 25_000)):
            time_ms = begin_ms + number * 1_000 + at_ms
            name = f"{begin_ms}-{number}"
            value = (
                f'{{"id":"{name}-{kind}","type":"contact.{kind}","time":"{to_text(time_ms)}",'
                f'"source":"pbx","contact":"{name}","queue":"sales","channel":"voice"}}'
            )
            records.append(Recorded(time_ms, "calls", name.encode(), value.encode(), 1))
    return sorted(records, key=time_of)


def end_of(begin_ms: int) -> int:
    return begin_ms + CALLS * 1_000 + 60_000


class Mounted:
    """A policy file as Kubernetes mounts a ConfigMap: a change swaps the link to its folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._versions = 0
        self.path = folder / "policy.yaml"
        self.path.symlink_to(Path("..data") / "policy.yaml")

    def put(self, policy: Mapping[str, Any] | str) -> None:
        self._versions += 1
        version = self._folder / f"..version-{self._versions}"
        version.mkdir()
        written = policy if isinstance(policy, str) else yaml.safe_dump(dict(policy))
        (version / "policy.yaml").write_text(written, encoding="utf-8")
        link = self._folder / "..link"
        link.symlink_to(version.name)
        link.replace(self._folder / "..data")

    def remove(self) -> None:
        (self._folder / "..data").unlink()


def of_sales(threshold: Any, **values: Any) -> dict[str, Any]:
    return {"queues": {"sales": {"channels": {"voice": {"threshold": threshold}}, **values}}}


DATED: Final = ["20s", {"from": to_text(SECOND_PART_MS), "value": "30s"}]


class Two:
    """Two workers of one installation, each with a policy file of its own."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.mounts = [Mounted(folder / name / "policy") for name in ("a", "b")]
        for mount in self.mounts:
            mount.put(of_sales("20s"))
        self.workers = [
            RunningWorker(
                folder / name,
                {**settings, "policy_file": str(mount.path), "instance_id": name},
            )
            for name, mount in zip(("a", "b"), self.mounts, strict=True)
        ]

    def put(self, policy: Mapping[str, Any] | str) -> None:
        for mount in self.mounts:
            mount.put(policy)

    def wait_for(self, name: str, value: float, **labels: str) -> None:
        for worker in self.workers:
            shows(worker, name, value, **labels)


def shows(worker: RunningWorker, name: str, value: float, **labels: str) -> None:
    def found() -> float:
        samples = parsed(worker.metrics()).items()
        return sum(
            value
            for (each, has), value in samples
            if each == f"floorwatch_{name}" and labels.items() <= has
        )

    worker.wait_until(lambda: found() == value, f"{name} was {value}")


def counts_anew(worker: RunningWorker) -> None:
    def counted() -> dict[str, int]:
        return net_counters(parsed(worker.metrics()), "sales", "voice")

    worker.wait_until(
        lambda: (counted()["answered"], counted()["answered_within"]) == (3 * CALLS, 0),
        "all was counted under the new policy",
    )


@pytest.fixture
def settings(kafka: LocalKafka, unique: str) -> dict[str, Any]:
    return {
        "name": unique,
        "bootstrap": kafka.bootstrap,
        "clock": "event",
        "snapshot_every": "1s",
        "session_timeout": "6s",
        "topics": {"calls": f"{unique}.calls", "chats": "off", "queues": "off"},
    }


@pytest.fixture
def feed(settings: Mapping[str, Any], tmp_path: Path) -> Iterator[Feed]:
    with Feed(settings_file(tmp_path, settings), partitions=PARTITIONS) as feeding:
        yield feeding


def test_a_policy_is_reloaded_by_all_workers_and_no_number_changes_its_meaning(
    settings: Mapping[str, Any], tmp_path: Path, feed: Feed
) -> None:
    two = Two(tmp_path, settings)
    first, second = two.workers
    feed.send_until(calls(BEGINS_MS), end_of(BEGINS_MS))
    with first, second:
        two.wait_for("contacts_answered_total", CALLS, within="false")

        # What decides nothing is taken over at once, and what is dated from its time on: also by
        # a worker whose own file is still the old one.
        two.mounts[0].put(of_sales(DATED, target=0.5, name="Ventas"))
        shows(first, "service_level_target_ratio", 0.5)
        shows(second, "service_level_target_ratio", 0.8)
        feed.send_until(calls(SECOND_PART_MS), end_of(SECOND_PART_MS))
        two.wait_for("service_level_threshold_seconds", 30)
        two.wait_for("contacts_answered_total", CALLS, within="true")
        two.mounts[1].put(of_sales(DATED, target=0.5, name="Ventas"))
        two.wait_for("service_level_target_ratio", 0.5)
        [tile] = second.floor()["queues"]
        assert (tile["name"], tile["policy"]["threshold_s"]) == ("Ventas", 30)
        two.wait_for("policy_changes_refused", 0)

        # What is wrong is not taken over, whatever it is.
        for wrong in ("queues: {sales: {target: 80}}", ""):
            two.put(wrong)
            two.wait_for("policy_reload_failed", 1)
            two.put(of_sales(DATED, target=0.5))
            two.wait_for("policy_reload_failed", 0)
        two.mounts[0].remove()
        shows(first, "policy_reload_failed", 1)
        shows(first, "service_level_target_ratio", 0.5)

        # What would change the meaning of what is counted stays, and the rest is taken over.
        two.put(of_sales("5s", target=0.6))
        two.wait_for("policy_changes_refused", 1)
        two.wait_for("service_level_target_ratio", 0.6)
        two.wait_for("service_level_threshold_seconds", 30)
        feed.send_until(calls(THIRD_PART_MS), end_of(THIRD_PART_MS))
        two.wait_for("contacts_answered_total", 2 * CALLS, within="true")
        two.wait_for("policy_reload_failed", 0)
        counted = net_counters(parsed(first.metrics()), "sales", "voice")
    log = first.log()
    assert ":1: policy.queues.sales.target='80': expected" in log
    assert log.count("policy.queues.sales.channels.voice.threshold='5s': 30s has been counted") == 1

    # A restart counts as if there had been none.
    with first, second:
        two.wait_for("policy_changes_refused", 1)
        two.wait_for("service_level_threshold_seconds", 30)
        two.wait_for("contacts_answered_total", 2 * CALLS, within="true")
        assert net_counters(parsed(first.metrics()), "sales", "voice") == counted
        assert sum_of(parsed(first.metrics()), "floorwatch_corrections_total") == 0

        # Whoever begins anew accepts it, and the other one has to.
        first.stop()
        first.options = ["--rebuild"]
        with first:
            shows(first, "service_level_threshold_seconds", 5)
            assert second.ended() == 5
            assert "set the policy anew" in second.log()
            with second:
                two.wait_for("policy_changes_refused", 0)
                for worker in two.workers:
                    counts_anew(worker)
