"""What a worker shows while it is behind, read to the end, or without news from its sources."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
import pytest

from streams.core.alerts import Alert, Alerting
from streams.core.steps import last_of
from streams.floor_keeper import FloorKeeper
from streams.processors.records import Anew, Records
from streams.reader import TP, Position
from streams.settings import Settings
from streams.worker import new_partition
from tests.support.oracle import to_text
from tests.support.stored import AllRejected, NothingRejected, Stored

CALLS: Final = TP("calls", 0)
CHATS: Final = TP("chats", 0)
NOW_MS: Final = 1_795_514_400_000
UPTIME_S: Final = 1_000.0
COUNTER: Final = "floorwatch_contacts_offered_total"
LIVE: Final = "floorwatch_contacts_waiting{"
WINDOW: Final = "floorwatch_service_level_contacts"


@dataclass
class Topics:
    """Two partitions as the broker has them; what is read of each is up to the test."""

    records: Records
    ends: dict[TP, int] = field(default_factory=dict)
    read: dict[TP, int] = field(default_factory=dict)
    now_ms: int = NOW_MS
    asked_s: float = UPTIME_S

    def positions(self) -> Mapping[TP, Position]:
        return {
            tp: Position(
                next_offset=self.read[tp],
                end_offset=end,
                end_seen_at=self.asked_s,
                last_timestamp_ms=None,
                moved_at=self.asked_s,
            )
            for tp, end in self.ends.items()
        }

    def pass_on(self, tp: TP, **fields: Any) -> None:
        """Have the next record of *tp* read: it happens and arrives *ago_ms* before now."""
        at_ms = self.now_ms - fields.pop("ago_ms", 0)
        offset = self.read[tp]
        event = {"id": str(offset), "time": to_text(at_ms), "source": "pbx", **fields}
        self.read[tp] = offset + 1
        self.records.records(tp, [Stored(offset, at_ms, orjson.dumps(event))])


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
async def topics(settings: Settings) -> Topics:
    records = Records(
        Anew(lambda: new_partition(settings)), NothingRejected(), max_record_bytes=1 << 18
    )
    topics = Topics(records)
    await records.assigned((CALLS, CHATS))
    topics.ends = {CALLS: 100, CHATS: 0}
    topics.read = {CALLS: 0, CHATS: 0}
    return topics


@pytest.fixture
def keeper(settings: Settings, topics: Topics) -> FloorKeeper:
    return FloorKeeper(
        settings,
        topics.records,
        read=topics.positions,
        clock_ms=lambda: topics.now_ms,
        uptime_s=lambda: UPTIME_S,
    )


def a_call(topics: Topics, *, ago_ms: int) -> None:
    """Somebody waits in `sales` since *ago_ms*."""
    topics.pass_on(
        CALLS,
        type="contact.queued",
        contact=f"c-{topics.read[CALLS]}",
        queue="sales",
        ago_ms=ago_ms,
    )


@pytest.mark.parametrize(("asleep_ms", "is_shown"), [(9_000, True), (3_600_000, False)])
def test_a_worker_that_was_frozen_is_asked_before_it_looks_again(
    topics: Topics, keeper: FloorKeeper, asleep_ms: int, is_shown: bool
) -> None:
    topics.ends = {CALLS: 1, CHATS: 0}
    a_call(topics, ago_ms=60_000)
    assert "floorwatch_contacts_waiting{" in series(keeper)

    topics.now_ms += asleep_ms

    page = keeper.metrics().decode()
    assert ("floorwatch_contacts_waiting{" in page) is is_shown
    assert ("floorwatch_window_contacts{" in page) is is_shown
    assert "floorwatch_contacts_offered_total{" in page


async def test_a_partition_that_is_taken_away_between_two_steps_says_nothing(
    topics: Topics, keeper: FloorKeeper
) -> None:
    topics.read = {CALLS: 100, CHATS: 0}
    steps = keeper.framing()
    next(steps)
    await topics.records.revoked([CHATS])

    assert set(last_of(steps)) == {CALLS}


def tile(keeper: FloorKeeper) -> dict[str, Any]:
    """What is shown of the only queue."""
    keeper.turn()
    [shown] = keeper.floor()["queues"]
    assert isinstance(shown, dict)
    return shown


def series(keeper: FloorKeeper) -> str:
    keeper.turn()
    return keeper.metrics().decode()


def test_no_figure_of_the_floor_is_on_the_metrics_before_the_first_catch_up(
    topics: Topics, keeper: FloorKeeper
) -> None:
    a_call(topics, ago_ms=60_000)

    page = series(keeper)
    assert not keeper.is_ready()
    assert "sales" not in page
    assert "floorwatch_partition_lag_records" in page


def test_the_first_catch_up_is_when_all_partitions_are_read_to_their_end(
    topics: Topics, keeper: FloorKeeper
) -> None:
    topics.ends = {CALLS: 2, CHATS: 0}
    a_call(topics, ago_ms=60_000)
    keeper.turn()
    before = keeper.is_ready()
    a_call(topics, ago_ms=50_000)
    keeper.turn()

    assert not before
    assert keeper.is_ready()
    assert COUNTER in series(keeper)


def an_idle_worker(settings: Settings) -> FloorKeeper:
    """A worker to which the group has given no partition."""
    records = Records(Anew(lambda: new_partition(settings)), NothingRejected(), max_record_bytes=1)
    return FloorKeeper(
        settings, records, read=dict, clock_ms=lambda: NOW_MS, uptime_s=lambda: UPTIME_S
    )


def test_a_worker_that_has_heard_of_no_partition_has_not_caught_up(settings: Settings) -> None:
    idle = an_idle_worker(settings)
    idle.turn()

    assert not idle.is_ready()


def test_a_worker_without_partitions_shows_what_the_others_say(
    settings: Settings, topics: Topics, keeper: FloorKeeper
) -> None:
    topics.ends[CALLS] = 1
    a_call(topics, ago_ms=30_000)
    idle = an_idle_worker(settings)
    idle.expect([CALLS, CHATS])
    frames = keeper.frames()

    idle.take(CALLS, 1, frames[CALLS])
    idle.show()
    of_half = (idle.is_ready(), idle.floor()["partial"])
    idle.take(CHATS, 1, frames[CHATS])
    idle.show()
    keeper.turn()

    assert of_half == (False, {"share": 0.5, "since_ms": None})
    assert (idle.is_ready(), idle.floor()) == (True, keeper.floor())
    assert LIVE in idle.metrics().decode()


def heir_of(topics: Topics) -> tuple[FloorKeeper, Records]:
    """Who takes the calls over, and what it reads."""
    records = Records(
        Anew(lambda: new_partition(Settings())), AllRejected(), max_record_bytes=1 << 18
    )
    asyncio.run(records.assigned((CALLS,)))
    heir = FloorKeeper(
        Settings(),
        records,
        read=topics.positions,
        clock_ms=lambda: NOW_MS,
        uptime_s=lambda: UPTIME_S,
    )
    return heir, records


def test_an_owner_says_nothing_before_it_has_read_as_far_as_the_one_before(
    topics: Topics, keeper: FloorKeeper
) -> None:
    topics.ends[CALLS] = 2
    for _ in range(2):
        a_call(topics, ago_ms=30_000)
    said = replace(keeper.frames()[CALLS], next_offset=3)
    heir, records = heir_of(topics)
    heir.take(CALLS, 1, said)

    spoke = []
    for offset in range(3):
        spoke.append(CALLS in heir.frames())
        records.records(CALLS, [Stored(offset, NOW_MS, b"")])

    assert (spoke, CALLS in heir.frames()) == ([False, False, False], True)


@pytest.mark.parametrize("was_new", [False, True])
def test_who_goes_on_where_one_stood_that_had_not_read_all_has_not_read_all_either(
    topics: Topics, keeper: FloorKeeper, was_new: bool
) -> None:
    topics.ends[CALLS] = 50
    a_call(topics, ago_ms=30_000)
    said = replace(keeper.frames()[CALLS], next_offset=1, is_new=was_new)
    heir, records = heir_of(topics)
    heir.take(CALLS, 1, said)
    records.records(CALLS, [Stored(0, NOW_MS - 60_000, b"")])

    assert heir.frames()[CALLS].is_new is was_new


def test_what_an_owner_still_says_while_it_is_replaced_counts_too(
    topics: Topics, keeper: FloorKeeper
) -> None:
    """A worker that was frozen and wakes up does not know at once that it owns nothing any more."""
    topics.ends[CALLS] = 2
    a_call(topics, ago_ms=30_000)
    before = replace(keeper.frames()[CALLS], next_offset=1)
    a_call(topics, ago_ms=30_000)
    unawares = replace(keeper.frames()[CALLS], next_offset=2)
    heir, records = heir_of(topics)
    heir.take(CALLS, 1, before)
    silent = heir.frames()
    heir.take(CALLS, 1, unawares)

    records.records(CALLS, [Stored(0, NOW_MS, b"")])
    still_silent = heir.frames()
    records.records(CALLS, [Stored(1, NOW_MS, b"")])
    [totals] = [queue.totals for queue in heir.frames()[CALLS].queues.values()]

    assert not silent
    assert not still_silent
    assert totals.counters["offered"] == 2


@pytest.mark.parametrize(("behind_ms", "state"), [(10_000, "too_few"), (10_001, "catching_up")])
def test_a_queue_is_catching_up_when_its_partition_is_more_than_ten_seconds_behind(
    topics: Topics, keeper: FloorKeeper, behind_ms: int, state: str
) -> None:
    a_call(topics, ago_ms=behind_ms)

    assert tile(keeper)["state"] == state


def test_figures_are_withheld_and_counters_stay_while_a_partition_is_behind(
    topics: Topics, keeper: FloorKeeper
) -> None:
    topics.ends[CALLS] = 1
    a_call(topics, ago_ms=30_000)
    caught_up = series(keeper)
    topics.ends[CALLS] = 2
    topics.now_ms += 11_000
    behind = series(keeper)

    assert LIVE in caught_up
    assert WINDOW in caught_up
    assert LIVE not in behind
    assert WINDOW not in behind
    assert f'{COUNTER}{{queue="sales",channel="voice"}} 1\n' in behind
    assert "floorwatch_service_level_threshold_seconds{" in behind
    assert keeper.is_ready()


def test_what_is_behind_says_as_of_when(topics: Topics, keeper: FloorKeeper) -> None:
    topics.ends[CALLS] = 2
    a_call(topics, ago_ms=30_000)

    shown = tile(keeper)
    entry = keeper.floor()["entries"][0]
    assert shown["state"] == "catching_up"
    assert shown["as_of_ms"] == NOW_MS - 30_000
    assert entry["as_of"] == to_text(NOW_MS - 30_000)
    assert entry["longest_wait_s"] == 0


@pytest.mark.parametrize(
    ("was_read_to_its_end", "states"),
    [
        (True, {"sales": "catching_up", "chat": "too_few"}),
        (False, {"sales": "catching_up", "chat": "catching_up"}),
    ],
)
def test_other_partitions_go_on_while_one_is_behind_unless_nobody_knows_what_it_holds(
    topics: Topics, keeper: FloorKeeper, was_read_to_its_end: bool, states: dict[str, str]
) -> None:
    a_call(topics, ago_ms=30_000)
    if was_read_to_its_end:
        topics.ends[CALLS] = 1
        keeper.turn()
        topics.ends[CALLS] = 2
        topics.now_ms += 11_000
    topics.ends[CHATS] = 1
    topics.pass_on(
        CHATS, type="contact.queued", contact="c", queue="chat", channel="chat", ago_ms=40_000
    )

    keeper.turn()
    assert {shown["queue"]: shown["state"] for shown in keeper.floor()["queues"]} == states


def test_figures_come_back_with_the_end_of_the_partition(
    topics: Topics, keeper: FloorKeeper
) -> None:
    topics.ends[CALLS] = 2
    a_call(topics, ago_ms=30_000)
    behind = tile(keeper)["state"]
    a_call(topics, ago_ms=21_000)
    page = series(keeper)

    assert behind == "catching_up"
    assert 'floorwatch_contacts_waiting{queue="sales",channel="voice"} 2\n' in page
    assert tile(keeper)["as_of_ms"] == NOW_MS


@pytest.mark.parametrize(
    ("ago_s", "waiting_past"), [(3.0, 1), (3.5, 0)], ids=["lately", "too long ago"]
)
def test_time_passes_only_while_the_broker_says_that_all_has_been_read(
    topics: Topics, keeper: FloorKeeper, ago_s: float, waiting_past: int
) -> None:
    topics.ends[CALLS] = 1
    a_call(topics, ago_ms=0)
    keeper.turn()
    topics.now_ms += 21_000
    topics.asked_s = UPTIME_S - ago_s
    keeper.turn()

    total = keeper.floor()["entries"][-6]
    assert (total["window"], total["waiting_past_threshold"]) == ("total", waiting_past)


@pytest.mark.parametrize(("silent_ms", "state"), [(10_000, "too_few"), (11_000, "catching_up")])
def test_a_worker_that_hears_nothing_of_the_broker_is_behind_after_ten_seconds(
    topics: Topics, keeper: FloorKeeper, silent_ms: int, state: str
) -> None:
    topics.ends[CALLS] = 1
    a_call(topics, ago_ms=0)
    keeper.turn()
    topics.now_ms += silent_ms
    topics.asked_s = UPTIME_S - silent_ms / 1000

    assert tile(keeper)["state"] == state


def test_a_record_just_written_does_not_put_a_quiet_partition_behind(
    topics: Topics, keeper: FloorKeeper
) -> None:
    topics.ends[CALLS] = 1
    a_call(topics, ago_ms=5_000)
    keeper.turn()
    topics.now_ms += 9_000
    topics.ends[CALLS] = 2

    assert tile(keeper)["state"] == "too_few"


def test_a_quiet_partition_is_not_behind(topics: Topics, keeper: FloorKeeper) -> None:
    topics.ends[CALLS] = 1
    a_call(topics, ago_ms=3_600_000)

    assert tile(keeper)["state"] == "trouble"
    assert keeper.is_ready()


@pytest.mark.parametrize(("silent_ms", "state"), [(90_000, "trouble"), (90_001, "no_data")])
def test_a_queue_has_no_data_when_its_source_missed_three_heartbeats(
    topics: Topics, keeper: FloorKeeper, silent_ms: int, state: str
) -> None:
    topics.ends[CALLS] = 2
    a_call(topics, ago_ms=600_000)
    topics.pass_on(CALLS, type="source.alive", ago_ms=silent_ms)

    shown = tile(keeper)
    assert shown["state"] == state
    assert shown["no_data_since_ms"] == (NOW_MS - silent_ms if state == "no_data" else None)
    assert (LIVE in series(keeper)) == (state == "trouble")
    assert COUNTER in series(keeper)


def test_a_source_without_heartbeats_is_never_silent(topics: Topics, keeper: FloorKeeper) -> None:
    topics.ends[CALLS] = 1
    a_call(topics, ago_ms=90 * 60_000)

    assert tile(keeper)["no_data_since_ms"] is None


def test_the_clock_does_not_run_backwards(topics: Topics, keeper: FloorKeeper) -> None:
    topics.ends[CALLS] = 1
    a_call(topics, ago_ms=30_000)
    keeper.turn()
    topics.now_ms -= 3_600_000
    keeper.turn()

    assert keeper.floor()["as_of_ms"] == NOW_MS
    assert keeper.floor()["entries"][0]["longest_wait_s"] == 30


class TestWithTheEventClock:
    """A recorded day is being read: now is the highest event time."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(clock="event")

    def test_now_is_the_highest_event_time_of_all_partitions(
        self, topics: Topics, keeper: FloorKeeper
    ) -> None:
        topics.ends = {CALLS: 1, CHATS: 1}
        a_call(topics, ago_ms=60_000)
        topics.pass_on(CHATS, type="source.alive", source="chatdesk", ago_ms=20_000)

        keeper.turn()
        assert keeper.floor()["as_of_ms"] == NOW_MS - 20_000
        assert keeper.floor()["entries"][0]["longest_wait_s"] == 40

    def test_the_end_is_not_reached_where_event_time_has_caught_up_with_itself(
        self, topics: Topics, keeper: FloorKeeper
    ) -> None:
        topics.ends = {CALLS: 2, CHATS: 0}
        keeper.turn()
        unread = keeper.is_ready()
        a_call(topics, ago_ms=60_000)
        keeper.turn()
        half_read = keeper.is_ready()
        a_call(topics, ago_ms=50_000)
        keeper.turn()

        assert (unread, half_read, keeper.is_ready()) == (False, False, True)


async def test_the_last_hour_is_kept_minute_by_minute_once_the_floor_is_shown(
    keeper: FloorKeeper, topics: Topics
) -> None:
    keeper.turn()
    assert keeper.history() == b""
    topics.ends = {CALLS: 1, CHATS: 0}
    topics.pass_on(CALLS, type="contact.queued", contact="c", queue="sales", channel="voice")
    keeper.turn()
    first = keeper.history()
    topics.now_ms += 59_000
    keeper.turn()
    assert keeper.history() is first

    topics.now_ms += 1_000
    keeper.turn()

    (queue,) = orjson.loads(keeper.history())["queues"]
    assert queue["waiting"][-3:] == [None, 1, 1]


async def test_a_queue_is_shown_with_what_stands_behind_it_and_what_was_kept_out(
    keeper: FloorKeeper, topics: Topics
) -> None:
    topics.ends = {CALLS: 2, CHATS: 0}
    queued = {"type": "contact.queued", "queue": "sales", "channel": "voice"}
    for _ in range(2):
        topics.pass_on(CALLS, contact="c", **queued, id="twice")
    keeper.turn()

    found = keeper.detail("sales", "voice")

    assert found is not None
    assert [each["source"] for each in found["sources"]] == ["pbx"]
    assert found["worker"]["duplicates"] == 1
    assert keeper.detail("sales", "fax") is None


async def test_alerts_are_put_beside_the_queue_they_are_about(
    settings: Settings, topics: Topics
) -> None:
    alert = Alert(
        name="FloorwatchLongestWait",
        severity="critical",
        queue="sales",
        channel=None,
        since_ms=NOW_MS,
        status="silenced",
        summary="",
    )
    keeper = FloorKeeper(
        settings,
        topics.records,
        read=topics.positions,
        alerting=lambda: Alerting(as_of_ms=NOW_MS, is_known=True, alerts=(alert,)),
        clock_ms=lambda: topics.now_ms,
        uptime_s=lambda: UPTIME_S,
    )
    topics.ends = {CALLS: 1, CHATS: 0}
    topics.pass_on(CALLS, type="contact.queued", contact="c", queue="sales", channel="voice")
    keeper.turn()

    document = orjson.loads(keeper.frame())

    (tile,) = document["queues"]
    assert [each["name"] for each in tile["alerts"]] == ["FloorwatchLongestWait"]
    assert tile["paging_suppressed"] == "silenced"
    assert document["paging"]["suppressed"] == 1
    assert document["paging"]["alerts"] == []
