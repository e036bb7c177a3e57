"""What brokers and their operators do to a worker: topics made anew, records removed, no room.

The oracle here is what can be counted in the head; `test_chaos` compares every figure.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.kafka_access import KafkaAccess
from streams.local_kafka import LocalKafka
from streams.topics import look, remove_topics
from tests.support.chaos import Worker
from tests.support.live_calls import answered, told
from tests.support.outage import outage, require_right
from tests.support.perfect import net_counters, sum_of
from tests.support.recordings import HOUR_MS
from tests.support.running import Feed, RunningWorker, parsed, settings_file

BEGINS_MS: Final = 1_795_514_400_000
WAITING: Final = "floorwatch_contacts_waiting{"


@pytest.fixture
def settings(kafka: LocalKafka, unique: str) -> dict[str, Any]:
    """Settings of an installation with one topic, for events of another day."""
    return {
        "name": unique,
        "bootstrap": kafka.bootstrap,
        "clock": "event",
        "snapshot_every": "1s",
        "topics": {"calls": f"{unique}.calls", "chats": "off", "queues": "off"},
    }


def test_a_broker_that_is_away_costs_no_number_and_no_cpu(tmp_path: Path, unique: str) -> None:
    require_right(outage(tmp_path, unique, 15.0))


def test_a_topic_made_anew_while_nobody_reads_goes_on_with_what_is_known(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    before = [*answered("old", 10, BEGINS_MS), told("open", "queued", BEGINS_MS + 20_000)]
    after = [
        told("open", "answered", BEGINS_MS + 30_000),
        *before[:6],  # as duplicates
        *answered("new", 30, BEGINS_MS + 40_000),
    ]
    path = settings_file(tmp_path, settings)
    with Feed(path, partitions=1) as feed:
        feed.send_until(before, BEGINS_MS + 25_000)
    with RunningWorker(tmp_path, settings) as worker:
        worker.wait_for_records(len(before) + 1)
    remove_topics(KafkaAccess(settings["bootstrap"]), [settings["topics"]["calls"]])
    _wait_until_gone(settings)
    with Feed(path, partitions=1) as feed:
        feed.send_until(after, BEGINS_MS + 90_000)
    with RunningWorker(tmp_path, settings) as worker:
        worker.wait_until(lambda: _net(worker)["answered"] == 41, "all was read")
        page = parsed(worker.metrics())

    assert _of(page)["offered"] == _of(page)["answered_within"] == 41
    assert sum_of(page, "floorwatch_duplicates_total") == 6
    assert sum_of(page, "floorwatch_partitions_recreated_total") == 1
    assert sum_of(page, "floorwatch_events_missed_total") == 0
    assert "has begun anew" in worker.log()


def test_what_was_removed_unread_is_unknown_for_an_hour_and_in_its_day(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    path = settings_file(tmp_path, settings)
    gap_ms = BEGINS_MS + 60_000
    with Feed(path, partitions=1) as feed:
        feed.send_until(answered("seen", 10, BEGINS_MS), BEGINS_MS + 30_000)
        with RunningWorker(tmp_path, settings) as worker:
            worker.wait_for_records(21)
            assert WAITING in worker.metrics()
        feed.send_until(answered("gone", 10, gap_ms), gap_ms + 30_000)
        asyncio.run(_delete_before(settings, 40))
        feed.send_until(answered("more", 5, gap_ms + 60_000), gap_ms + 90_000)
        with RunningWorker(tmp_path, settings) as worker:
            worker.wait_until(lambda: _net(worker)["answered"] >= 15, "all was read")
            page = parsed(worker.metrics())
            [tile] = worker.floor()["queues"]

            assert sum_of(page, "floorwatch_events_missed_total") == 19
            assert not {"floorwatch_contacts_waiting", "floorwatch_service_level_ratio"} & {
                name for name, _ in page
            }
            assert tile["state"] == "no_data"
            assert tile["no_data_since_ms"] == BEGINS_MS + 30_000
            assert worker.log().count("were removed before they were read") == 1

            feed.send_until(answered("later", 5, gap_ms + HOUR_MS), gap_ms + HOUR_MS + 200_000)
            worker.wait_until(lambda: WAITING in worker.metrics(), "the queue is known again")
            page = parsed(worker.metrics())
            entries = worker.floor()["entries"]
        with RunningWorker(tmp_path, settings) as worker:
            worker.wait_until(
                lambda: any(each["incomplete"] for each in worker.floor()["entries"]),
                "the gap is remembered",
            )
            assert sum_of(parsed(worker.metrics()), "floorwatch_events_missed_total") == 0

    windows = {dict(has)["window"] for name, has in page if name == "floorwatch_window_contacts"}
    assert windows == {"15m", "60m"}
    assert {each["window"] for each in entries if each["incomplete"]} == {"day"}


def test_another_number_of_partitions_is_refused_by_who_runs_and_who_starts_until_accepted(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    path = settings_file(tmp_path, settings)
    line = "has 3 partitions and had 1: "
    with Feed(path, partitions=1) as feed:
        feed.send_until(
            [*answered("a", 5, BEGINS_MS), told("open", "queued", BEGINS_MS + 20_000)],
            BEGINS_MS + 30_000,
        )
    with RunningWorker(tmp_path, settings) as worker:
        worker.wait_for_records(12)
        asyncio.run(_add_partitions(settings, 3))
        assert worker.ended() == 4
        assert worker.log().count(line) == 1
        assert "floorwatch worker --accept-partitions 3" in worker.log()
        assert "Traceback" not in worker.log()

    refused = RunningWorker(tmp_path, settings)
    with refused:
        assert refused.ended() == 4
    assert refused.log().count(line) == 2

    with RunningWorker(tmp_path, settings, ["--accept-partitions", "3"]) as worker:
        with Feed(path, partitions=3) as feed:
            feed.send_until(answered("b", 20, BEGINS_MS + 40_000), BEGINS_MS + 80_000)
            worker.wait_until(lambda: _net(worker)["answered"] == 25, "all was read")
            assert _net(worker)["expired"] == 0
            feed.send_until([], BEGINS_MS + 3 * HOUR_MS)
        worker.wait_until(lambda: _net(worker)["expired"] == 1, "the open contact expired")
        assert _net(worker)["offered"] == 26
        assert worker.stop() == 0
    with RunningWorker(tmp_path, settings) as worker:  # it is the number that is known now
        worker.wait_until(lambda: _net(worker)["expired"] == 1, "it goes on")


def test_while_nothing_can_be_written_the_worker_withholds_and_then_goes_on(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    live = {**settings, "clock": "wall"}
    begins_ms = time.time_ns() // 1_000_000 - 60_000
    own = [f"{settings['name']}.floor", f"{settings['name']}.state"]
    with (
        Feed(settings_file(tmp_path, live), partitions=1) as feed,
        RunningWorker(tmp_path, live) as worker,
    ):
        feed.send_until(answered("a", 10, begins_ms), begins_ms + 20_000)
        worker.wait_until(lambda: WAITING in worker.metrics(), "it is shown")
        asyncio.run(_set(settings, own, {"max.message.bytes": "64"}))
        worker.wait_until(lambda: WAITING not in worker.metrics(), "it is withheld")
        feed.send_until(answered("b", 10, begins_ms + 20_000), begins_ms + 40_000)
        worker.wait_until(lambda: worker.floor()["partial"], "its share is said to be missing")
        assert worker.get("/healthz").status == 200
        asyncio.run(_set(settings, own, {}))
        worker.wait_until(lambda: _net(worker)["answered"] == 20, "all is told")
        worker.wait_until(lambda: WAITING in worker.metrics(), "it is shown again")
        assert worker.stop() == 0

    with RunningWorker(tmp_path, live) as worker:
        worker.wait_until(lambda: WAITING in worker.metrics(), "it is shown")
        assert _net(worker)["answered_within"] == _net(worker)["offered"] == 20


def test_sigterm_ends_a_worker_that_waits_for_its_group_at_once(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    slow = {**settings, "session_timeout": "60s"}
    with Feed(settings_file(tmp_path, slow), partitions=2) as feed:
        feed.send_until(answered("a", 5, BEGINS_MS), BEGINS_MS + 30_000)
    first, second = Worker(tmp_path / "first", slow), Worker(tmp_path / "second", slow)
    with first:
        first.wait_for_records(12)
        first.freeze()
        try:
            with second:
                second.wait_until(lambda: second.get("/readyz").status, "it answers")
                time.sleep(3.0)  # it joins a group whose other member does not come
                assert "assigned" not in second.log()
                assert second.stop() == 0
        finally:
            first.thaw()

    assert "not stopped within" not in second.log()


def _net(worker: RunningWorker) -> dict[str, int]:
    return _of(parsed(worker.metrics()))


def _of(page: Mapping[Any, float]) -> dict[str, int]:
    return net_counters(dict(page), "sales", "voice")


def _wait_until_gone(settings: Mapping[str, Any]) -> None:
    name = settings["topics"]["calls"]
    while look(KafkaAccess(settings["bootstrap"]), [name]).topics:
        time.sleep(0.1)


async def _delete_before(settings: Mapping[str, Any], offset: int) -> None:
    async with _Admin(settings) as admin:
        place = TopicPartition(settings["topics"]["calls"], 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=offset)})


async def _add_partitions(settings: Mapping[str, Any], count: int) -> None:
    async with _Admin(settings) as admin:
        await admin.create_partitions({settings["topics"]["calls"]: NewPartitions(count)})


async def _set(settings: Mapping[str, Any], topics: list[str], configs: dict[str, str]) -> None:
    kept = {"cleanup.policy": "compact", **configs}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, configs=kept) for name in topics]
    async with _Admin(settings) as admin:
        [answer] = await admin.alter_configs(asked)
    assert not any(error for error, *_ in answer.resources)


class _Admin:
    """An admin client for as long as a block lasts."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._client = AIOKafkaAdminClient(bootstrap_servers=settings["bootstrap"])

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._client.start()
        return self._client

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.close()
