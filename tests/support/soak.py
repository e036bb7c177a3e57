"""Many schedules of faults, one row each: `python -m tests.support.soak`, which is `make soak`."""

from __future__ import annotations

import argparse
import logging
import queue
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from tests.support.chaos import Lane, Outcome, run_schedule
from tests.support.chaos_schedules import KINDS, MOST_WORKERS, TODAY, draw_schedule, evening

ROW = "{:>6} {:>7} {:>6} {:>6} {:>5} {:>8} {:>11} {:>7}"


def main() -> int:
    """Run schedules and print their table; the exit code: 1 if anything differed."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--stages", type=int, default=4)
    parser.add_argument("--most-workers", type=int, default=MOST_WORKERS)
    parser.add_argument("--kinds", default=",".join(KINDS), help="faults, separated by commas")
    parser.add_argument("--lanes", type=int, default=2, help="how many run at the same time")
    parser.add_argument(
        "--until-found", action="store_true", help="stop at the first schedule with a difference"
    )
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    kinds = [kind for kind in KINDS if kind in asked.kinds.split(",")]
    seeds: queue.SimpleQueue[int] = queue.SimpleQueue()
    for seed in range(asked.first_seed, asked.first_seed + asked.schedules):
        seeds.put(seed)
    outcomes: list[Outcome] = []
    printing = threading.Lock()

    with tempfile.TemporaryDirectory(prefix="floorwatch-soak-") as name:
        folder = Path(name)
        recording = evening(folder)

        def run_lane() -> None:
            with Lane() as lane:
                while (seed := _next(seeds)) is not None:
                    schedule = draw_schedule(
                        seed, most_workers=asked.most_workers, stages=asked.stages, kinds=kinds
                    )
                    outcome = run_schedule(lane, folder / str(seed), recording, schedule, TODAY)
                    with printing:
                        outcomes.append(outcome)
                        print(_row(outcome), flush=True)
                        if outcome.differences:
                            print(outcome, flush=True)
                            while asked.until_found and _next(seeds) is not None:
                                continue

        print(
            ROW.format(
                "seed", "workers", "faults", "events", "looks", "figures", "differences", "seconds"
            )
        )
        lanes = [threading.Thread(target=run_lane) for _ in range(asked.lanes)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()

    faults = sum((outcome.schedule.faults for outcome in outcomes), Counter[str]())
    print()
    for kind in kinds:
        print(f"{kind:>16} {faults[kind]:>6}")
    print()
    print(
        f"{len(outcomes)} schedules of {asked.schedules}, {faults.total()} faults, "
        f"{sum(each.events for each in outcomes):,} events, "
        f"{sum(each.looks for each in outcomes)} looks, "
        f"{sum(each.compared for each in outcomes):,} figures compared, "
        f"{sum(bool(each.differences) for each in outcomes)} schedules with differences"
    )
    whole = len(outcomes) == asked.schedules
    return int(not whole or any(outcome.differences for outcome in outcomes))


def _next(seeds: queue.SimpleQueue[int]) -> int | None:
    try:
        return seeds.get_nowait()
    except queue.Empty:
        return None


def _row(outcome: Outcome) -> str:
    schedule = outcome.schedule
    return ROW.format(
        schedule.seed,
        schedule.workers,
        schedule.faults.total(),
        outcome.events,
        outcome.looks,
        outcome.compared,
        len(outcome.differences),
        f"{outcome.seconds:.0f}",
    )


if __name__ == "__main__":
    sys.exit(main())
