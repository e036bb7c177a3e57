"""`make bench`: us and our peers, the same events, one run, one table.

    python tests/bench/compare.py --events 1000000 --rounds 3

Starts a Kafka, loads the events, then runs every contender in a process of its own, one at a time
and *rounds* times in turn. What it prints are medians with their spread, and ratios: of one run on
one machine only ratios travel. `bench.json` has every single figure.

Each contender's result is compared with an independent count of the same events: the worker's net
totals with the oracle of the tests, the peers' windows with brute force. A wrong result ends the
run. A slow contender gets the first of the same events only; what it does per event does not depend
on how many there are.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import orjson
import yaml

ROOT: Final = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from streams.kafka_access import KafkaAccess  # noqa: E402 - the root is not on a script's path
from streams.local_kafka import LocalKafka  # noqa: E402
from streams.producing import Producer  # noqa: E402
from streams.progress import bar  # noqa: E402
from streams.settings import load_settings  # noqa: E402
from streams.topics import ensure_topics  # noqa: E402
from tests.bench.workload import SOURCES, bank_events, digest, windows, workload  # noqa: E402
from tests.support.oracle import Policy, interval_row, to_ms, visits_of  # noqa: E402
from tests.support.perfect import COUNTERS, net_counters  # noqa: E402
from tests.support.recordings import BANK_MONTH  # noqa: E402
from tests.support.running import parsed  # noqa: E402

HERE: Final = Path(__file__).parent
PEERS_PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"
COMPILED: Final = ROOT / "build" / "compiled"
PATIENCE_S: Final = 3_600.0
LOOKS_RIGHT_WITHIN_S: Final = 180.0
ADDRESS: Final = re.compile(r"wallboard at http://127\.0\.0\.1:(\d+)/")


@dataclass(frozen=True)
class Contender:
    """One line of the table.

    Attributes:
        name: what it is called.
        script: what runs it; ours has no peers.
        job: its first argument.
        share: of the events, how many it gets.
        keyed: it reads the topic that is keyed by what is counted.
        peers: it needs the peers' packages.
        compiled: it runs on the compiled core, where there is one.
        rests: it writes no snapshot while it is measured.
    """

    name: str
    script: str
    job: str
    share: float = 1.0
    keyed: bool = False
    peers: bool = False
    compiled: bool = False
    rests: bool = False


CONTENDERS: Final = (
    Contender("ours, full job", "ours.py", "work"),
    Contender("ours, full job, compiled core", "ours.py", "work", compiled=True),
    Contender("ours, without snapshots", "ours.py", "work", rests=True),
    Contender("ours, decode and validate only", "ours.py", "decode"),
    Contender("ours, read only", "ours.py", "read"),
    Contender("aiokafka alone + msgspec decode", "peers/raw_aiokafka.py", "raw"),
    *(
        Contender(f"{name} {shape}", f"peers/{file}", shape, share, keyed=True, peers=peers)
        for name, file, share, peers in (
            ("bytewax", "bytewax_windows.py", 0.2, True),
            ("quixstreams", "quixstreams_windows.py", 0.05, True),
            ("Faust", "faust_windows.py", 0.01, False),
        )
        for shape in ("hopping", "tumbling")
    ),
)

OURS: Final = ("ours, full job, compiled core", "ours, full job")
AIMS: Final = (
    ("Faust hopping", 100.0),
    ("Faust tumbling", 40.0),
    ("bytewax hopping", 2.5),
    ("quixstreams hopping", 14.0),
    ("aiokafka alone + msgspec decode", 0.25),
)


class Bench:
    """One broker with the events on it, and what each contender must make of them."""

    def __init__(
        self, bootstrap: str, folder: Path, source: str, events: int, partitions: int
    ) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.source = source
        self.partitions = partitions
        self.events = sum(1 for _ in workload(source, events))
        self._topics: dict[tuple[int, bool], str] = {}
        self._oracle: dict[tuple[str, str], dict[str, int]] | None = None
        self._windows: dict[tuple[int, str], str] = {}

    def count(self, contender: Contender) -> int:
        """How many events *contender* gets."""
        return max(1, round(self.events * contender.share))

    def settings(self, name: str, topic: str, **more: str) -> Path:
        """A settings file of a worker that reads *topic*."""
        path = self.folder / f"{name}.yaml"
        plain = {
            "name": name,
            "bootstrap": self.bootstrap,
            "topics": {"calls": topic, "chats": "off", "queues": "off"},
            "clock": "event",
            "host": "127.0.0.1",
            "port": 0,
            **more,
        }
        path.write_text(yaml.safe_dump(plain), encoding="utf-8")
        return path

    def topic(self, contender: Contender) -> str:
        """The topic that *contender* reads, filled once."""
        key = (self.count(contender), contender.keyed)
        if key not in self._topics:
            name = f"bench-{key[0]}-{'keyed' if key[1] else 'contacts'}"
            settings = load_settings(self.settings(name, name), {})
            topics = ensure_topics(settings, self.partitions, any_time=True)
            records = islice(workload(self.source, self.events), key[0])
            with (
                bar(key[0], "sending") as on_sent,
                Producer(KafkaAccess(self.bootstrap), topics) as producer,
            ):
                for number, record in enumerate(records, 1):
                    place = record.group if contender.keyed else record.key
                    producer.send(name, place, record.value, record.at_ms)
                    if on_sent is not None and number % 10_000 == 0:
                        on_sent(number)
            self._topics[key] = name
        return self._topics[key]

    def expected_windows(self, contender: Contender) -> str:
        """The digest of all windows of its events."""
        key = (self.count(contender), contender.job)
        if key not in self._windows:
            records = islice(workload(self.source, self.events), key[0])
            self._windows[key] = digest(windows(records, contender.job))
        return self._windows[key]

    def expected_totals(self) -> dict[tuple[str, str], dict[str, int]]:
        """The oracle's totals of all events by queue and channel."""
        if self._oracle is None:
            # What a contact does changes nothing of another one, so of many banks one is enough.
            copies = self.events // bank_events() if self.source == "bank" else 1
            once = workload(self.source, self.events // copies)
            events = [orjson.loads(record.value) for record in once]
            contacts = visits_of(events, Policy(zone="UTC"))
            now_ms = max(to_ms(event["time"]) for event in events)
            self._oracle = {}
            for place in {(v.queue, v.channel) for c in contacts for v in c.visits}:
                row = interval_row(
                    contacts, queue=place[0], channel=place[1], now_ms=now_ms, attribute="outcome"
                )
                self._oracle[place] = {name: copies * row[name] for name in COUNTERS}
        return self._oracle


class Child:
    """A contender at work. A context manager that ends it."""

    def __init__(self, bench: Bench, contender: Contender) -> None:
        script, count, topic = (
            HERE / contender.script,
            bench.count(contender),
            bench.topic(contender),
        )
        own = Path(tempfile.mkdtemp(dir=bench.folder))
        python = PEERS_PYTHON if contender.peers else sys.executable
        command = [str(python), str(script), contender.job]
        if contender.script == "ours.py":
            more = {"snapshot_every": "24h"} if contender.rests else {}
            command += [str(bench.settings(f"ours-{own.name}", topic, **more)), str(count)]
        else:
            command += [bench.bootstrap, topic, str(count), str(own), str(bench.partitions)]
        places = [str(COMPILED)] * contender.compiled + [str(ROOT)] * (not contender.peers)
        self.name = contender.name
        self._log = own / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=own,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
            )

    def __enter__(self) -> Child:
        """It runs already."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def told(self) -> dict[str, Any]:
        """The line that it prints when the last event has gone through."""
        assert self._process.stdout is not None
        line = next((each for each in self._process.stdout if each.startswith(b"{")), b"")
        if not line:
            raise click.ClickException(
                f"{self.name} ended without a result:\n{self.log()[-3_000:]}"
            )
        told: dict[str, Any] = json.loads(line)
        return told

    def log(self) -> str:
        """What it wrote beside."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def metrics(self) -> str:
        """The `/metrics` of a worker."""
        found = ADDRESS.search(self.log())
        if found is None:
            raise click.ClickException(f"{self.name} says nowhere where it listens")
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()


def check_totals(child: Child, expected: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
    """Wait until what the worker shows equals the oracle.

    Raises:
        ClickException: it does not come to that.
    """
    deadline = time.monotonic() + LOOKS_RIGHT_WITHIN_S
    while True:
        samples = parsed(child.metrics())
        shown = {place: net_counters(samples, *place) for place in expected}
        differ = {
            (*place, name): (shown[place][name], value)
            for place, totals in expected.items()
            for name, value in totals.items()
            if shown[place][name] != value
        }
        if not differ:
            return
        if time.monotonic() > deadline:
            raise click.ClickException(f"{child.name}: (shown, oracle) differ: {differ}")
        time.sleep(1)


def run_once(bench: Bench, contender: Contender) -> dict[str, Any]:
    """Run *contender* and check what it made of the events; its figures."""
    with Child(bench, contender) as child:
        told = child.told()
        if contender.job == "work":
            check_totals(child, bench.expected_totals())
        elif contender.keyed and told["digest"] != bench.expected_windows(contender):
            raise click.ClickException(f"{contender.name} counted other windows: {told}")
    events = bench.count(contender)
    return {
        **told,
        "events": events,
        "per_s": events / told["took_s"],
        "cpu_us": told["cpu_s"] / events * 1e6,
    }


def middle(runs: Iterable[Mapping[str, Any]], name: str) -> float:
    """The median of one figure."""
    return float(statistics.median(run[name] for run in runs))


def show_table(results: Mapping[str, list[dict[str, Any]]]) -> None:
    """Medians and spread of every contender, then ratios."""
    click.echo(
        f"\n{'':32}{'events':>10}{'events/s':>11}{'slowest-fastest':>20}{'CPU us/event':>14}"
    )
    for name, runs in results.items():
        speeds = sorted(run["per_s"] for run in runs)
        span = f"{speeds[0]:,.0f}-{speeds[-1]:,.0f}"
        click.echo(
            f"{name:32}{runs[0]['events']:>10,}{middle(runs, 'per_s'):>11,.0f}{span:>20}"
            f"{middle(runs, 'cpu_us'):>14.2f}"
        )
    for ours in (name for name in OURS if name in results):
        click.echo(f"\n{ours}, against{'':20}{'by wall':>12}{'by CPU':>12}{'aim':>10}")
        for row in ratios(results, ours):
            click.echo(f"  {row['peer']:36}{row['wall']:>16.2f}{row['cpu']:>12.2f}{row['aim']:>10}")


def ratios(results: Mapping[str, list[dict[str, Any]]], ours: str) -> list[dict[str, Any]]:
    """How many times as fast *ours* is as each peer with an aim, by wall clock and by CPU time."""
    mine = results[ours]
    return [
        {
            "peer": peer,
            "wall": middle(mine, "per_s") / middle(results[peer], "per_s"),
            "cpu": middle(results[peer], "cpu_us") / middle(mine, "cpu_us"),
            "aim": aim,
        }
        for peer, aim in AIMS
        if peer in results
    ]


def chosen(only: str | None) -> list[Contender]:
    """The contenders that can run here and whose names have one of the words of *only*."""
    words = only.split(",") if only else [""]
    contenders = [each for each in CONTENDERS if any(word in each.name for word in words)]
    for each in [*contenders]:
        if each.compiled and not COMPILED.exists():
            click.echo(f"left out, since `make compiled` has not been run: {each.name}")
            contenders.remove(each)
        if each.peers and not PEERS_PYTHON.exists():
            click.echo(f"left out, since .venv-bench is not there: {each.name}")
            contenders.remove(each)
    return contenders


@click.command()
@click.option("--events", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--source", type=click.Choice(SOURCES), default=None, help="What to send.")
@click.option("--partitions", type=click.IntRange(1), default=4, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--only", metavar="WORD,...", help="Contenders whose name has one of these.")
@click.option("--output", type=click.Path(path_type=Path), default="bench.json", show_default=True)
def main(
    events: int, source: str | None, partitions: int, rounds: int, only: str | None, output: Path
) -> None:
    """Compare us with our peers over the same events."""
    source = source or ("bank" if BANK_MONTH.exists() else "simulated")
    contenders = chosen(only)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = stack.enter_context(LocalKafka(tell=click.echo))
        bench = Bench(kafka.bootstrap, folder, source, events, partitions)
        machine = {
            "events": bench.events,
            "source": source,
            "partitions": partitions,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_at_start": os.getloadavg()[0],
        }
        click.echo(", ".join(f"{name} {value}" for name, value in machine.items()))
        results: dict[str, list[dict[str, Any]]] = {each.name: [] for each in contenders}
        for number in range(rounds):
            for contender in contenders:
                run = run_once(bench, contender)
                results[contender.name].append(run)
                click.echo(
                    f"round {number + 1}: {contender.name}: {run['per_s']:,.0f} events/s, "
                    f"{run['cpu_us']:.2f} us of CPU each"
                )
    machine["load_at_end"] = os.getloadavg()[0]
    show_table(results)
    compared = {ours: ratios(results, ours) for ours in OURS if ours in results}
    told = {"machine": machine, "runs": results, "ratios": compared}
    output.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
