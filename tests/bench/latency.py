"""`make bench-latency`: how long from an event to the screen, and to `/metrics`.

    python tests/bench/latency.py --rates 100,1000,5000 --seconds 30

A worker with the wall clock, calls at a steady rate on twenty queues, and among them a probe four
times a second: one more person who waits in the queue `probe`. Measured is the time from handing a
probe to the producer until it is counted: in `/metrics`, which is asked twenty times a second, and
in a frame that a page in a real browser has got. Live figures move every second; the figures of
windows every five, as they are defined.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click
import orjson

ROOT: Final = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from schemas.instants import write_instant  # noqa: E402
from streams.local_kafka import LocalKafka  # noqa: E402
from streams.producing import Producer  # noqa: E402
from streams.settings import load_settings  # noqa: E402
from streams.topics import ensure_topics  # noqa: E402
from tests.support.chromium import chromium  # noqa: E402
from tests.support.running import RunningWorker, settings_file  # noqa: E402

PROBES_A_SECOND: Final = 4
TURNS_A_SECOND: Final = 50
PATIENCE_S: Final = 60.0
OFFERED: Final = re.compile(
    rb'^floorwatch_contacts_offered_total\{[^}]*queue="probe"[^}]*\} (\d+)$', re.MULTILINE
)
LISTEN: Final = """
    window.seen = [];
    new EventSource('/api/v1/floor/stream').addEventListener('floor', event => {
        const floor = JSON.parse(event.data);
        const probe = floor.entries.find(entry => entry.queue === 'probe');
        window.seen.push([Date.now() / 1000, probe ? probe.waiting : 0]);
    });
"""


class Centre(threading.Thread):
    """Sends calls at a rate, and probes among them, for a while.

    Attributes:
        sent: when each probe was handed over, in seconds since 1970.
    """

    def __init__(self, producer: Producer, topic: str, rate: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.sent: list[float] = []
        self._producer = producer
        self._topic = topic
        self._rate = rate
        self._seconds = seconds

    def run(self) -> None:
        """Keep to the rate: who is late sends more at once."""
        began = time.time()
        calls = 0
        while (passed := time.time() - began) < self._seconds:
            while len(self.sent) < passed * PROBES_A_SECOND:
                self.sent.append(time.time())
                self._send("queued", f"probe-{self._rate}-{len(self.sent)}", "probe")
            while calls < passed * self._rate / 3:
                for kind, call in (
                    ("queued", calls),
                    ("answered", calls - 50),
                    ("ended", calls - 900),
                ):
                    if call >= 0:
                        self._send(kind, f"call-{self._rate}-{call}", f"queue-{call % 20}")
                calls += 1
            self._producer.push()
            time.sleep(1 / TURNS_A_SECOND)

    def _send(self, kind: str, contact: str, queue: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        event = {
            "id": f"{contact}-{kind}",
            "type": f"contact.{kind}",
            "time": write_instant(now_ms),
            "source": "bench",
            "contact": contact,
            "channel": "voice",
            "queue": queue,
        }
        self._producer.send(self._topic, contact.encode(), orjson.dumps(event), now_ms)


def delays(sent: Sequence[float], seen: Sequence[tuple[float, int]], before: int) -> list[float]:
    """From the sending of each probe to the first sight of a count that includes it, in seconds."""
    found = []
    at = 0
    for number, moment in enumerate(sent, before + 1):
        while at < len(seen) and seen[at][1] < number:
            at += 1
        if at == len(seen):
            break
        found.append(seen[at][0] - moment)
    return found


def show(rate: int, where: str, found: Sequence[float], probes: int) -> None:
    """A line of the table."""
    ranked = sorted(found)
    if not ranked:
        click.echo(f"{rate:>8}  {where:12}none of {probes} was ever seen")
        return
    p50, p99 = (ranked[min(len(ranked) - 1, int(len(ranked) * share))] for share in (0.5, 0.99))
    click.echo(
        f"{rate:>8}  {where:12}{p50:>8.2f}{p99:>8.2f}{ranked[-1]:>8.2f}{len(ranked):>8}/{probes}"
    )


def probes_in(page: bytes) -> int:
    """How many probes `/metrics` has counted."""
    found = OFFERED.search(page)
    return int(found[1]) if found else 0


def measure(
    worker: RunningWorker, page: Any, producer: Producer, rate: int, seconds: float
) -> None:
    """One rate; two lines of the table."""
    before = probes_in(worker.get("/metrics").body)
    page.evaluate("window.seen.length = 0")
    centre = Centre(producer, "latency", rate, seconds)
    centre.start()
    on_metrics: list[tuple[float, int]] = []
    deadline = time.monotonic() + seconds + PATIENCE_S
    while time.monotonic() < deadline:
        count = probes_in(worker.get("/metrics").body)
        on_metrics.append((time.time(), count))
        if not centre.is_alive() and count >= before + len(centre.sent):
            break
        time.sleep(0.05)
    page.wait_for_timeout(3_000)
    on_screen = [(at, count) for at, count in page.evaluate("window.seen")]
    show(rate, "/metrics", delays(centre.sent, on_metrics, before), len(centre.sent))
    show(rate, "browser", delays(centre.sent, on_screen, before), len(centre.sent))


@click.command()
@click.option("--rates", default="100,1000,5000", show_default=True, help="Events a second.")
@click.option("--seconds", type=click.FloatRange(1), default=30.0, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True)
def main(rates: str, seconds: float, workers: int) -> None:
    """Measure the way of an event to those who look."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = stack.enter_context(LocalKafka(tell=click.echo))
        plain = {
            "name": "latency",
            "bootstrap": kafka.bootstrap,
            "topics": {"calls": "latency", "chats": "off", "queues": "off"},
        }
        settings = load_settings(settings_file(folder, plain), {})
        topics = ensure_topics(settings, 6, any_time=True)
        running = [
            stack.enter_context(RunningWorker(folder / f"worker-{number}", plain))
            for number in range(workers)
        ]
        producer = stack.enter_context(Producer(kafka.access, topics))
        page = stack.enter_context(chromium()).new_page()
        page.goto(running[0].url)
        page.evaluate(LISTEN)
        page.wait_for_timeout(5_000)
        click.echo(f"{workers} workers, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        click.echo(f"{'events/s':>8}  {'seconds':12}{'p50':>8}{'p99':>8}{'max':>8}{'probes':>10}")
        for rate in map(int, rates.split(",")):
            measure(running[0], page, producer, rate, seconds)


if __name__ == "__main__":
    main()
