"""A broker that is away while people wait, and what a worker shows of them.

`python -m tests.support.outage` has it away for five minutes, as `make soak` does; a test has it
away for less.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.local_kafka import LocalKafka
from tests.support.live_calls import answered, now_ms, told
from tests.support.perfect import net_counters
from tests.support.running import Feed, RunningWorker, parsed, settings_file

WAITING: Final = 3
MOST_CPU: Final = 0.5
"""Of one core, while there is nothing to do but to wait for the broker."""


@dataclass
class Outage:
    """What was seen of a worker before, in and after an outage.

    Attributes:
        net: net counters of the queue: before, at the end of the outage, after it.
        waiting: people waiting at those three.
        metrics_waiting: whether `/metrics` says how many wait, at those three.
        partial: whether the floor says that a share of it is missing, at those three.
        health: what the worker says of its own health at the end of the outage.
        cpu: CPU time it took, of the outage's duration.
        log: all it has written.
    """

    net: list[dict[str, int]]
    waiting: list[int]
    metrics_waiting: list[bool]
    partial: list[bool]
    health: int
    cpu: float
    log: str


def outage(folder: Path, name: str, away_s: float) -> Outage:
    """Have a broker away for *away_s* seconds, killed rather than stopped."""
    with LocalKafka(heap_mb=256) as kafka:
        settings = {
            "name": name,
            "bootstrap": kafka.bootstrap,
            "session_timeout": "6s",
            "topics": {"calls": f"{name}.calls", "chats": "off", "queues": "off"},
        }
        seen = Outage([], [], [], [], 0, 0.0, "")
        with (
            Feed(settings_file(folder, settings), partitions=2) as feed,
            RunningWorker(folder, settings) as worker,
        ):
            began_ms = now_ms()
            calls = answered("before", 20, began_ms - 40_000)
            waiting = [told(f"w-{number}", "queued", began_ms) for number in range(WAITING)]
            feed.send_until([*calls, *waiting], began_ms)
            worker.wait_for_records(len(calls) + len(waiting))
            worker.wait_until(
                lambda: not worker.floor()["partial"] and _is_shown(worker), "all is shown"
            )
            _look(worker, seen)

            kafka.kill()
            cpu_s, since = worker.cpu_s(), time.monotonic()
            time.sleep(away_s)
            seen.cpu = (worker.cpu_s() - cpu_s) / (time.monotonic() - since)
            seen.health = worker.get("/healthz").status
            _look(worker, seen)

            kafka.start()
            # Answered in time, before the threshold passed; nobody could be told of it.
            replies = [told(f"w-{n}", "answered", began_ms + 15_000) for n in range(WAITING)]
            feed.send_until(replies, now_ms())
            worker.wait_until(
                lambda: _net(worker)["answered_within"] == 20 + WAITING, "all was read"
            )
            worker.wait_until(
                lambda: not worker.floor()["partial"] and _is_shown(worker), "all is shown again"
            )
            _look(worker, seen)
            assert worker.stop() == 0
            seen.log = worker.log()
    return seen


def _look(worker: RunningWorker, seen: Outage) -> None:
    floor = worker.floor()
    [waiting] = {entry["waiting"] for entry in floor["entries"] if entry["queue"] == "sales"}
    seen.net.append(_net(worker))
    seen.waiting.append(waiting)
    seen.metrics_waiting.append(_is_shown(worker))
    seen.partial.append(bool(floor["partial"]))


def _net(worker: RunningWorker) -> dict[str, int]:
    return net_counters(parsed(worker.metrics()), "sales", "voice")


def _is_shown(worker: RunningWorker) -> bool:
    return "floorwatch_contacts_waiting{" in worker.metrics()


def require_right(seen: Outage) -> None:
    """Raise unless everything was kept, shown as old, and went on."""
    before, during, after = seen.net
    assert before["answered_within"] == 20, before
    assert during["answered_within"] == before["answered_within"], during
    assert during["offered"] == before["offered"] == 20 + WAITING, during
    assert after["answered_within"] == after["answered"] == 20 + WAITING, after
    assert seen.waiting == [WAITING, WAITING, 0], seen.waiting
    assert seen.metrics_waiting == [True, False, True], seen.metrics_waiting
    assert seen.partial == [False, True, False], seen.partial
    assert seen.health == 200, seen.health
    assert seen.cpu < MOST_CPU, seen.cpu
    assert "Traceback" not in seen.log


def main() -> None:
    """Have a broker away and print what was seen."""
    parser = argparse.ArgumentParser(prog="outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="floorwatch-outage-") as name:
        seen = outage(Path(name), "outage", asked.seconds)
    require_right(seen)
    print(
        f"away for {asked.seconds:.0f} s: counters kept, people waiting kept, withheld, resumed; "
        f"{seen.cpu * 100:.1f} % of a core meanwhile, {len(seen.log.splitlines())} lines of log"
    )


if __name__ == "__main__":
    main()
