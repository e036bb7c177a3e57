"""A day through real Kafka to a real worker: its floor equals the report, and brute force.

Every case is a worker of its own. They all work at the same time, while the tests find out what
each has to show, since most of what a case does is to wait for the next floor.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from schemas.instants import write_instant
from streams.local_kafka import LocalKafka
from streams.settings import load_settings
from streams.sources.recorded import Recorded
from streams.topics import ensure_topics
from tests.support.commands import floorwatch
from tests.support.perfect import (
    FIGURES,
    STAFFING,
    WINDOWS,
    Entry,
    Key,
    Perfect,
    entries_of,
    net_counters,
    sum_of,
    totals_of,
    unequal,
)
from tests.support.recordings import (
    BANK_MONTH,
    INSTANTS,
    ORDERS,
    Look,
    Recording,
    Step,
    banks_day,
    banks_month,
    looks,
    simulated,
    tick_after,
    time_of,
)
from tests.support.running import Feed, RunningWorker, Samples, parsed, settings_file

PARTITIONS: Final = 4
FIVE_MINUTES_MS: Final = 300_000
LAG: Final = "floorwatch_partition_lag_records"

RECORDINGS: Final[Mapping[str, Callable[[Path], Recording]]] = {
    "simulated": simulated,
    **({"bank": banks_day} if BANK_MONTH.exists() else {}),
}
WHOLE_RECORDINGS: Final[Mapping[str, Callable[[Path], Recording]]] = {
    "simulated": simulated,
    **({"bank's month": lambda _: banks_month()} if BANK_MONTH.exists() else {}),
}
CASES: Final = [(recording, order) for recording in RECORDINGS for order in ORDERS]


@dataclass(frozen=True)
class Played:
    """What a worker showed: a floor after each step, the metrics after the last."""

    floors: list[dict[str, Any]]
    metrics: Samples


@dataclass(frozen=True)
class Case:
    """One order of one recording, on its way."""

    order: str
    steps: list[Step]
    looks: list[Look]
    perfect: Perfect
    playing: Future[Played]


def play(folder: Path, settings: Mapping[str, Any], steps: Sequence[Step]) -> Played:
    """Send *steps* to a worker with *settings* and look at its floor after each."""
    folder.mkdir()
    floors = []
    path = settings_file(folder, settings)
    with Feed(path, partitions=PARTITIONS) as feed, RunningWorker(folder, settings) as worker:
        for step in steps:
            feed.send_until(step.records, step.until_ms)
            worker.wait_for_records(feed.sent)
            floors.append(worker.floor())
        return Played(floors, parsed(worker.metrics()))


@pytest.fixture(scope="module")
def cases(
    kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Case]]:
    """All cases."""
    folder = tmp_path_factory.mktemp("equality")
    begun: dict[tuple[str, str], Case] = {}
    with ThreadPoolExecutor(len(CASES)) as pool:
        for recording_name, make in RECORDINGS.items():
            recording = make(folder)
            records = recording.records()
            path = settings_file(folder, recording.settings("perfect", kafka.bootstrap))
            perfect = Perfect(recording, load_settings(path, {}).policy)
            for order, arrange in ORDERS.items():
                name = f"equality-{len(begun)}"
                settings = recording.settings(name, kafka.bootstrap)
                steps = arrange(records)
                begun[recording_name, order] = Case(
                    order,
                    steps,
                    looks(steps),
                    perfect,
                    pool.submit(play, folder / name, settings, steps),
                )
        yield begun


@pytest.fixture(params=CASES, ids=", ".join)
def case(request: pytest.FixtureRequest, cases: dict[tuple[str, str], Case]) -> Case:
    """Each of them."""
    return cases[request.param]


def copies(records: Sequence[Recorded], topics: int) -> int:
    """How many records Kafka gets of *records*: what has no key goes to every partition."""
    return sum(1 if record.key is not None else PARTITIONS * topics for record in records)


@pytest.mark.usefixtures("cases")
def test_replay_until_and_report_agree_as_commands(
    kafka: LocalKafka, tmp_path: Path, unique: str
) -> None:
    """Each replay sends the whole file up to its instant: most of it is there already."""
    recording = simulated(tmp_path)
    records = recording.records()
    settings = recording.settings(unique, kafka.bootstrap)
    path = settings_file(tmp_path, settings)
    middle_ms = time_of(records[len(records) // 2]) // FIVE_MINUTES_MS * FIVE_MINUTES_MS
    last_ms = tick_after(records) // FIVE_MINUTES_MS * FIVE_MINUTES_MS

    reported = floorwatch(
        *("report", "--settings", str(path), "--by", "queue,channel", "--attribute", "outcome"),
        *("--every", "5m", "--window", ",".join(WINDOWS), "--format", "json", str(recording.path)),
    )
    assert reported.returncode == 0, reported.stderr
    rows: dict[str, dict[Key, Entry]] = {}
    for row in map(orjson.loads, reported.stdout.splitlines()):
        if row["queue"] != "*":
            rows.setdefault(row["at"], {})[row["queue"], row["channel"], row["window"]] = row

    ensure_topics(load_settings(path, {}), PARTITIONS, any_time=True)
    sent = 0
    with RunningWorker(tmp_path, settings) as worker:
        for until_ms in (middle_ms, middle_ms + FIVE_MINUTES_MS, last_ms):
            until = write_instant(until_ms, recording.tz)
            replayed = floorwatch(
                "replay", "--settings", str(path), "--until", until, str(recording.path)
            )
            assert replayed.returncode == 0, replayed.stderr
            known = [record for record in records if time_of(record) <= until_ms]
            sent += copies(known, topics=3) + PARTITIONS * 3
            worker.wait_for_records(sent)
            floor = worker.floor()

            entries = {key: entry for key, entry in entries_of(floor).items() if key[0] != "*"}
            assert floor["as_of_ms"] == until_ms
            assert unequal(entries, rows[until]) == {}


@pytest.mark.parametrize("recording_name", WHOLE_RECORDINGS)
@pytest.mark.usefixtures("cases")
def test_net_counters_of_a_whole_replay_equal_the_report_as_commands(
    kafka: LocalKafka, tmp_path: Path, unique: str, recording_name: str
) -> None:
    recording = WHOLE_RECORDINGS[recording_name](tmp_path)
    records = recording.records()
    settings = recording.settings(unique, kafka.bootstrap)
    path = settings_file(tmp_path, settings)

    replayed = floorwatch("replay", "--settings", str(path), str(recording.path))
    assert replayed.returncode == 0, replayed.stderr
    reported = floorwatch(
        *("report", "--settings", str(path), "--by", "queue,channel", "--attribute", "outcome"),
        *("--format", "json", str(recording.path)),
    )
    assert reported.returncode == 0, reported.stderr
    totals = totals_of(map(orjson.loads, reported.stdout.splitlines()))
    with RunningWorker(tmp_path, settings) as worker:
        worker.wait_for_records(copies(records, len(recording.topics)))
        metrics = parsed(worker.metrics())

    assert {place: net_counters(metrics, *place) for place in totals} == totals


def test_every_window_and_gauge_equals_the_report(case: Case) -> None:
    expected = [case.perfect.rows(look) for look in case.looks]
    floors = case.playing.result().floors

    for look, rows, floor in zip(case.looks, expected, floors, strict=True):
        assert floor["as_of_ms"] == floor["tick_ms"] == look.at_ms
        assert floor["ready"]
        entries = {key: entry for key, entry in entries_of(floor).items() if key[0] != "*"}
        assert unequal(entries, rows) == {}


def test_every_window_and_gauge_equals_brute_force(case: Case) -> None:
    floors = case.playing.result().floors

    for number in range(0, len(floors), 2):
        window = WINDOWS[number // 2 % len(WINDOWS)]
        shown = {key: entry for key, entry in entries_of(floors[number]).items() if window in key}
        rows = case.perfect.by_brute_force(case.looks[number], window)
        assert unequal(shown, rows, (*FIGURES, *STAFFING)) == {}


def test_net_counters_equal_the_reports_totals(case: Case) -> None:
    totals = case.perfect.totals(case.looks[-1].known)
    metrics = case.playing.result().metrics

    assert {place: net_counters(metrics, *place) for place in totals} == totals
    assert sum_of(metrics, "floorwatch_late_events_total") == 0
    assert sum_of(metrics, "floorwatch_conservation_violations") == 0


def test_a_case_is_what_its_name_says(case: Case) -> None:
    metrics = case.playing.result().metrics
    sent = [record for step in case.steps for record in step.records]
    topics = len({dict(labels)["topic"] for name, labels in metrics if name == LAG})
    repeated = copies(sent, topics) - copies(case.looks[-1].known, topics)
    corrected = sum_of(metrics, "floorwatch_corrections_total")
    at_an_event = [any(time_of(each) == look.at_ms for each in look.known) for look in case.looks]

    assert sum_of(metrics, "floorwatch_duplicates_total") == repeated
    assert (repeated > 0.04 * len(sent)) == (case.order == "twice")
    assert (corrected > 100) == (case.order in ("shuffled", "as they arrive"))
    assert at_an_event.count(True) >= INSTANTS // 2 or case.order == "as they arrive"
