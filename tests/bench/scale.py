"""`make bench-scale`: what happens to speed, memory and answers as things grow.

    python tests/bench/scale.py backlog memory workers scrape screens open

Without a name, all of them. Each prints a small table and the ratio that should stay flat. CPU time
is the process's own, so a busy machine distorts it least.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click

ROOT: Final = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from prometheus_client import CollectorRegistry, Gauge, generate_latest  # noqa: E402

from schemas.events import Answered, Ended, Queued  # noqa: E402
from streams.core.floor import FloorMerger  # noqa: E402
from streams.core.frame import Framer  # noqa: E402
from streams.core.partition import Partition  # noqa: E402
from streams.core.policy import PolicyBook  # noqa: E402
from streams.exposition import Exposition, Pipeline  # noqa: E402
from streams.local_kafka import LocalKafka  # noqa: E402
from streams.worker import GC_THRESHOLDS  # noqa: E402
from tests.bench.compare import COMPILED, CONTENDERS, Bench, Contender, run_once  # noqa: E402
from tests.support.recordings import BANK_MONTH  # noqa: E402
from tests.support.running import RunningWorker, parsed, records_read  # noqa: E402

BEGINS_MS: Final = 1_772_600_000_000
EVERY_MS: Final = 120
"""From one call to the next.

In the eight hours for which contacts are remembered there are 240,000 calls, of 720,000 events, so
memory is full before a million of them.
"""


class Calls:
    """An endless stream of calls into a partition: queued, answered, ended, in order.

    So many wait or talk at a time that their number stays steady.
    """

    def __init__(self, partition: Partition, queues: int) -> None:
        self._partition = partition
        self._queues = [f"queue-{number:04d}" for number in range(queues)]
        self._number = 0
        self._now_ms = BEGINS_MS

    def take(self, events: int) -> float:
        """Take about so many events; CPU microseconds per event."""
        accept, queues = self._partition.accept, self._queues
        began, done = time.process_time(), 0
        while done < events:
            for number in range(self._number, self._number + 700):
                self._now_ms += EVERY_MS
                now_ms = self._now_ms
                for kind, at in (
                    (Queued, number),
                    (Answered, number - 500),
                    (Ended, number - 9_000),
                ):
                    if at >= 0:
                        event = kind(
                            id=f"{kind.__name__}-{at}",
                            time="",
                            source="bench",
                            contact=f"contact-{at}",
                            channel="voice",
                            queue=queues[at % len(queues)],
                        )
                        accept(event, now_ms, now_ms)
                        done += 1
            self._number += 700
            self._partition.advance(self._now_ms)
        return (time.process_time() - began) / done * 1e6


def resident_mb() -> float:
    """Memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(events: int) -> None:
    """A thousand queues, a steady number of open contacts: memory stands still."""
    calls = Calls(Partition(PolicyBook()), queues=1_000)
    click.echo(f"{'events':>12}{'MiB':>8}{'CPU us/event':>14}")
    first = resident = 0.0
    for part in range(10):
        cost = calls.take(events // 10)
        resident = resident_mb()
        # What is remembered of a contact is full after rest and lateness: 8 hours of these events.
        first = first or resident
        click.echo(f"{events // 10 * (part + 1):>12,}{resident:>8.0f}{cost:>14.2f}")
    click.echo(f"memory after {events:,} : after {events // 10:,} = {resident / first:.2f}")


def open_contacts(most: int) -> None:
    """What an event costs while more and more contacts are open beside it."""
    costs = {}
    click.echo(f"{'open':>12}{'CPU us/event':>14}{'MiB':>8}")
    for count in (1_000, 10_000, 100_000, most):
        done = subprocess.run(
            [sys.executable, __file__, "--beside", str(count)],
            check=True,
            capture_output=True,
            text=True,
        )
        cost, resident = map(float, done.stdout.split())
        costs[count] = cost
        click.echo(f"{count:>12,}{cost:>14.2f}{resident:>8.0f}")
    click.echo(f"per event at {most:,} : at 1,000 = {costs[most] / costs[1_000]:.2f}")


def beside(count: int) -> None:
    """The cost of an event with *count* open contacts in the partition; prints it and the MiB."""
    partition = Partition(PolicyBook(), max_contacts=2_000_000)
    for number in range(count):
        event = Queued(
            id=f"open-{number}",
            time="",
            source="bench",
            contact=f"open-{number}",
            channel="email",
            queue=f"mail-{number % 100}",
        )
        partition.accept(event, BEGINS_MS - 60_000, BEGINS_MS - 60_000)
        if number % 2_000 == 0:
            partition.advance(BEGINS_MS - 60_000)
    calls = Calls(partition, queues=100)
    calls.take(60_000)
    click.echo(f"{statistics.median(calls.take(30_000) for _ in range(5))} {resident_mb()}")


def scrape() -> None:
    """A page of `/metrics` against the same series as objects of the client library."""
    click.echo(f"{'series':>12}{'ms':>9}{'objects ms':>12}{'ratio':>8}")
    for queues in (6, 120, 1_200):
        partition = Partition(PolicyBook())
        calls = Calls(partition, queues)
        calls.take(max(30_000, queues * 100))
        framer, merger = Framer(partition), FloorMerger(PolicyBook())
        exposition = Exposition(PolicyBook(), version="bench", registry=CollectorRegistry())

        def page() -> bytes:
            calls.take(3_000)  # noqa: B023 - used up within the turn
            now_ms = partition.now_ms  # noqa: B023
            floor = merger.merge([framer.frame(now_ms)], now_ms)  # noqa: B023
            began = time.process_time()
            text = exposition.render(floor, Pipeline(), show_floor=True)  # noqa: B023
            took.append(time.process_time() - began)  # noqa: B023
            return text

        took: list[float] = []
        for _ in range(6):
            text = page()
        ours_s = statistics.median(took[1:])
        objects_s, series = of_objects(text)
        click.echo(
            f"{series:>12,}{ours_s * 1e3:>9.1f}{objects_s * 1e3:>12.1f}{ours_s / objects_s:>8.3f}"
        )


def of_objects(text: bytes) -> tuple[float, int]:
    """What the client library takes to set and write the series of a page, and how many."""
    samples = parsed(text.decode())
    registry = CollectorRegistry()
    gauges: dict[tuple[str, tuple[str, ...]], Any] = {}
    children = []
    for (name, labels), value in samples.items():
        names = tuple(sorted(label for label, _ in labels))
        place = (name, names)
        if place not in gauges:
            gauges[place] = Gauge(f"g{len(gauges)}_{name}", "help", names, registry=registry)
        gauge = gauges[place]
        children.append((gauge.labels(**dict(labels)) if names else gauge, value))
    took = []
    for _ in range(3):
        began = time.process_time()
        for child, value in children:
            child.set(value)
        generate_latest(registry)
        took.append(time.process_time() - began)
    return statistics.median(took), len(samples)


def our_job() -> Contender:
    """The whole worker, compiled where that is there."""
    ours = [each for each in CONTENDERS if each.job == "work" and not each.rests]
    return next(each for each in ours if each.compiled == COMPILED.exists())


def backlog(events: int) -> None:
    """The speed of a worker against the length of what it has to catch up with.

    A bank's month, where it is there, as often as it takes: the oracle has to know it once only.
    """
    source = "bank" if BANK_MONTH.exists() else "simulated"
    click.echo(f"{our_job().name}\n{'events':>12}{'events/s':>10}{'CPU us/event':>14}{'MiB':>8}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = stack.enter_context(LocalKafka())
        for count in (events // 100, events // 10, events):
            bench = Bench(kafka.bootstrap, folder, source, count, 4)
            run = run_once(bench, our_job())
            click.echo(
                f"{bench.events:>12,}{run['per_s']:>10,.0f}{run['cpu_us']:>14.2f}{run['rss_mb']:>8.0f}"
            )


def workers(events: int) -> None:
    """One worker and two over the same eight partitions, and the broker beside them."""
    click.echo(
        f"{'workers':>12}{'events/s':>10}   from the first record to the last, with start-up"
    )
    speeds = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = stack.enter_context(LocalKafka())
        bench = Bench(kafka.bootstrap, folder, "simulated", events, 8)
        topic = bench.topic(our_job())
        for count in (1, 2):
            took_s = catching_up(kafka.bootstrap, folder, topic, count, bench.events)
            speeds.append(bench.events / took_s)
            click.echo(f"{count:>12}{speeds[-1]:>10,.0f}")
    click.echo(f"two : one = {speeds[1] / speeds[0]:.2f}")


def catching_up(bootstrap: str, folder: Path, topic: str, count: int, events: int) -> float:
    """Seconds until *count* workers of one installation have read *events* together."""
    settings = {
        "name": f"scale-{count}",
        "bootstrap": bootstrap,
        "topics": {"calls": topic, "chats": "off", "queues": "off"},
        "clock": "event",
    }
    with ExitStack() as stack:
        running = [
            stack.enter_context(RunningWorker(folder / f"{count}-{number}", settings))
            for number in range(count)
        ]
        began = 0.0
        while True:
            read = sum(records_read(worker.metrics()) for worker in running)
            began = began or (time.monotonic() if read else 0.0)
            if read >= events:
                return time.monotonic() - began
            time.sleep(0.2)


def screens() -> None:
    """What wall screens cost a worker, by the bench that knows the wall best."""
    for count in ("1", "50", "500"):
        subprocess.run(
            [sys.executable, "tests/bench/wall_screens.py", "--screens", count, "--stuck", "0"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
        )


BENCHES: Final[dict[str, Callable[[int], None]]] = {
    "backlog": backlog,
    "memory": memory,
    "workers": lambda events: workers(min(1_000_000, events)),
    "scrape": lambda _: scrape(),
    "screens": lambda _: screens(),
    "open": lambda events: open_contacts(min(1_000_000, events)),
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*BENCHES]))
@click.option("--events", type=click.IntRange(100_000), default=10_000_000, show_default=True)
@click.option("--beside", "beside_count", type=int, hidden=True)
def main(names: tuple[str, ...], events: int, beside_count: int | None) -> None:
    """Measure how things grow; NAMES are some of them."""
    gc.set_threshold(*GC_THRESHOLDS)
    if beside_count is not None:
        beside(beside_count)
        return
    for name in names or BENCHES:
        click.echo(f"\n{name}: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        BENCHES[name](events)


if __name__ == "__main__":
    main()
