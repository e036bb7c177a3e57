"""Workers are killed, frozen and cut off while events flow; every figure is as if nothing was.

A short set of schedules: `python -m tests.support.soak` runs as many as one likes. They run in two
lanes of a broker each, since most of what a schedule does is to wait.
"""

import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import pytest

from tests.support.chaos import Lane, Outcome, lags_of, run_schedule
from tests.support.chaos_schedules import (
    KINDS,
    MOST_WORKERS,
    Schedule,
    arriving,
    draw_schedule,
    evening,
)
from tests.support.commands import ROOT
from tests.support.planted import FAULTS, Fault
from tests.support.recordings import HOUR_MS, Recording, time_of

LANES: Final = 2
SEEDS: Final = (3, 56, 185, 301, 337, 359)
SCHEDULES: Final = {seed: draw_schedule(seed, stages=3) for seed in SEEDS}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The events of all schedules."""
    return evening(tmp_path_factory.mktemp("evening"))


@pytest.fixture(scope="module")
def outcomes(
    recording: Recording, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[int, Future[Outcome]]]:
    """What becomes of each schedule."""
    folder = tmp_path_factory.mktemp("chaos")
    with Lane() as one, Lane() as other, ThreadPoolExecutor(LANES) as pool:
        free: SimpleQueue[Lane] = SimpleQueue()
        for lane in (one, other):
            free.put(lane)

        def run(schedule: Schedule) -> Outcome:
            lane = free.get()
            try:
                return run_schedule(lane, folder / str(schedule.seed), recording, schedule)
            finally:
                free.put(lane)

        yield {seed: pool.submit(run, schedule) for seed, schedule in SCHEDULES.items()}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_figure_is_as_if_nothing_had_happened(
    outcomes: dict[int, Future[Outcome]], seed: int
) -> None:
    outcome = outcomes[seed].result()

    assert not outcome.differences, str(outcome)
    assert outcome.looks == sum(stage.is_quiet for stage in outcome.schedule.stages)
    assert outcome.compared > 500 * outcome.looks


def test_a_seed_always_draws_the_same_schedule() -> None:
    assert [draw_schedule(seed) for seed in SEEDS] == [draw_schedule(seed) for seed in SEEDS]
    assert len({str(draw_schedule(seed)) for seed in range(100)}) == 100


def test_the_short_set_has_every_fault_and_every_number_of_workers() -> None:
    faults = sum((schedule.faults for schedule in SCHEDULES.values()), Counter[str]())

    assert faults.keys() == set(KINDS)
    assert {schedule.workers for schedule in SCHEDULES.values()} == {1, 2, MOST_WORKERS}


def test_events_come_a_little_out_of_order_some_late_and_some_twice(recording: Recording) -> None:
    records = recording.records()
    sent = arriving(records, 1)
    numbers = [record.line_number for record in sent]
    latest_ms, late = 0, 0
    for record in sent:
        late += latest_ms - time_of(record) > 60_000
        latest_ms = max(latest_ms, time_of(record))

    assert set(numbers) == {record.line_number for record in records}
    assert 0.01 < 1 - len(records) / len(sent) < 0.03
    assert 0.04 < late / len(sent) < 0.08
    assert sum(one > other for one, other in pairwise(numbers)) > 1_000
    assert all(latest_ms - time_of(record) < 2 * HOUR_MS for record in sent)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_that_proves_the_soak_still_has_its_place(fault: Fault, tmp_path: Path) -> None:
    (tmp_path / fault.file).parent.mkdir(parents=True)
    (tmp_path / fault.file).write_bytes((ROOT / fault.file).read_bytes())

    fault.plant(tmp_path)

    compile((tmp_path / fault.file).read_bytes(), fault.file, "exec")


def test_a_partition_that_its_owner_has_not_begun_to_read_is_infinitely_behind() -> None:
    assigned = 'floorwatch_event_lag_seconds{topic="calls",partition="%d"} 0\n'
    read = 'floorwatch_partition_lag_records{topic="calls",partition="0"} 3\n'

    lags = lags_of(assigned % 0 + assigned % 1 + read)

    assert lags == {("calls", 0): 3, ("calls", 1): math.inf}
