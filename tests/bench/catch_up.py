"""How fast a worker catches up with a topic: the whole job, and decoding alone.

    python tests/bench/catch_up.py --events 1000000

Both read the same topic of a real Kafka through the same transport, each in a process of its own.
The clock runs from the assignment of the partitions until the last record has gone through. A
broker that this starts shares the machine: with few cores it takes its part of the figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final
from unittest import mock

import click
import uvloop
import yaml

from schemas.codec import Decoder
from streams import worker
from streams.local_kafka import LocalKafka
from streams.processors.records import Records
from streams.producing import Producer
from streams.progress import bar
from streams.reader import TP, Record, Sink
from streams.settings import Settings, load_settings
from streams.simulator import Delivery, Simulation, default_centre
from streams.topics import Topic, ensure_topics
from streams.transport import create_app, run, stop_on_signals

JOBS: Final = {
    "decode": "decode and validate only",
    "work": "the whole worker",
}
TOPIC: Final = "catch-up"
BEGINS: Final = datetime(2026, 3, 4, 8, tzinfo=UTC)
CENTRE: Final = 4.0
"""Times the default centre: some 250 agents, 160,000 events an hour."""


class Watch:
    """Measures from the assignment to the last of *events*, then ends the process."""

    def __init__(self, events: int) -> None:
        self._left = events
        self._began = (0.0, 0.0)

    def begin(self) -> None:
        """The partitions are assigned."""
        self._began = (time.monotonic(), time.process_time())

    def note(self, count: int) -> None:
        """So many records have gone through."""
        self._left -= count
        if self._left <= 0 < self._left + count:
            took_s = time.monotonic() - self._began[0]
            cpu_s = time.process_time() - self._began[1]
            print(json.dumps({"took_s": took_s, "cpu_s": cpu_s}), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)


class Decoding(Sink):
    """Decodes every record and forgets it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._decode = Decoder().decode

    async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
        """Begin at the beginning."""
        self._watch.begin()
        return await super().assigned(tps)

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        """Decode *batch*; nothing in it is bad."""
        decode = self._decode
        for record in batch:
            decode(record.value)
        self._watch.note(len(batch))


async def decode_all(settings: Settings, watch: Watch) -> None:
    """A worker with everything behind the decoder left out."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    await run(create_app(worker.transport_options(settings), Decoding(watch)), stop)


def work_all(settings: Settings, watch: Watch) -> None:
    """The worker as it is, with a watch on what has gone through."""

    class Watched(Records):
        """The worker's own sink."""

        async def assigned(self, tps: Collection[TP]) -> Mapping[TP, int | None]:
            watch.begin()
            return await super().assigned(tps)

        def records(self, tp: TP, batch: Sequence[Record]) -> None:
            super().records(tp, batch)
            watch.note(len(batch))

    with mock.patch.object(worker, "Records", Watched):
        worker.run_worker(settings)


def deliveries(events: int) -> Iterator[Delivery]:
    """The first *events* of a large centre's morning that belong to one partition."""
    simulation = Simulation(
        default_centre(), seed=1, start_ms=round(BEGINS.timestamp() * 1000), rate=CENTRE
    )
    return islice((each for each in simulation.run() if each.key is not None), events)


def fill(settings: Settings, topics: Mapping[str, Topic], events: int) -> None:
    """Send what the jobs will read."""
    [topic] = topics
    with bar(events, "sending") as on_sent, Producer(settings.bootstrap, topics) as producer:
        for number, (at_ms, _, key, value) in enumerate(deliveries(events), 1):
            producer.send(topic, key or b"", value, at_ms)
            if on_sent is not None and number % 10_000 == 0:
                on_sent(number)


def measured(job: str, path: Path, events: int) -> dict[str, float]:
    """Do *job* in a process of its own; how long it took, and how much of that was its own work."""
    done = subprocess.run(
        [sys.executable, __file__, "--job", job, "--settings", path, "--events", str(events)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout:
        raise click.ClickException(f"{job} ended with {done.returncode}:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def show(job: str, events: int, figures: Mapping[str, float]) -> None:
    """A line of the table."""
    took_s, cpu_s = figures["took_s"], figures["cpu_s"]
    click.echo(f"{JOBS[job]:26}{took_s:8.1f}{cpu_s:8.1f}{events / took_s:12,.0f}")


@click.command()
@click.option("--events", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--partitions", type=click.IntRange(1), default=4, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--bootstrap", metavar="HOST:PORT", help="A Kafka that is there; else one is started."
)
@click.option("--job", type=click.Choice([*JOBS]), hidden=True)
@click.option("--settings", "settings_file", type=click.Path(path_type=Path), hidden=True)
def main(
    events: int,
    partitions: int,
    runs: int,
    bootstrap: str | None,
    job: str | None,
    settings_file: Path | None,
) -> None:
    """Send a simulated morning to Kafka, then let both jobs read it from the beginning."""
    if job is not None:
        settings, watch = load_settings(settings_file, {}), Watch(events)
        if job == "decode":
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(decode_all(settings, watch))
        else:
            work_all(settings, watch)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bootstrap = bootstrap or stack.enter_context(LocalKafka(tell=click.echo)).bootstrap
        plain: dict[str, Any] = {
            "name": f"catch-up-{os.getpid()}",
            "bootstrap": bootstrap,
            "topics": {"calls": f"{TOPIC}-{os.getpid()}", "chats": "off", "queues": "off"},
            "clock": "event",
            "port": 0,
        }
        path = folder / "floorwatch.yaml"
        path.write_text(yaml.safe_dump(plain), encoding="utf-8")
        settings = load_settings(path, {})
        fill(settings, ensure_topics(settings, partitions, any_time=True), events)
        click.echo(
            f"{events:,} events in {partitions} partitions, Python {platform.python_version()}, "
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        click.echo(f"{'':26}{'seconds':>8}{'of CPU':>8}{'events/s':>12}")
        for _ in range(runs):
            for each in JOBS:
                show(each, events, measured(each, path, events))


if __name__ == "__main__":
    main()
