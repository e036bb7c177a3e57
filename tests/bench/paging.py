"""Seconds from a breach to the page, and from its end to the word that it is over.

    python -m tests.bench.paging --callers 20

Kafka, worker, Prometheus and Alertmanager are real, the rules and routes the shipped ones. In each
queue one customer waits past the critical limit, until the page of that queue has arrived.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from streams.local_kafka import LocalKafka
from tests.support.paging import FLOOR, Paging, Switchboard, Told
from tests.support.running import RunningWorker, settings_file

LIMIT_S: Final = 12
APART_S: Final = (3.0, 6.0)
"""Between two customers: less than six queues are in trouble at once, at any phase of a scrape."""

ALERT: Final = "FloorwatchLongestWaitCritical"
PATIENCE_S: Final = 60.0
RESOLVED_WITHIN_S: Final = 20 * 60.0


@click.command()
@click.option("--callers", default=20, show_default=True, help="Customers who wait too long.")
@click.option("--resolved", is_flag=True, help="Wait for the end of the pages too: 16 minutes.")
def main(callers: int, resolved: bool) -> None:
    """Measure how long a page takes."""
    queues = [f"queue-{number:02}" for number in range(1, callers + 1)]
    breached_s: dict[str, float] = {}
    answered_s: dict[str, float] = {}
    paged_s: dict[str, float] = {}
    over_s: dict[str, float] = {}
    changed = threading.Condition()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalKafka() as kafka,
        Switchboard(
            settings_file(
                Path(folder), settings := {"bootstrap": kafka.bootstrap, "policy": policy(queues)}
            ),
            "pbx",
        ) as floor,
        RunningWorker(Path(folder) / "worker", settings) as worker,
        Paging(Path(folder), {"floorwatch": [worker.address]}) as paging,
    ):

        def heard(told: Told) -> None:
            queue = told.labels.get("queue", "")
            if told.receiver != FLOOR or told.alert != ALERT:
                return
            if told.status == "firing" and queue not in paged_s:
                floor.send([floor.call("answered", f"caller {queue}", queue)])
                answered_s[queue] = time.time()
            with changed:
                (paged_s if told.status == "firing" else over_s).setdefault(queue, told.at_s)
                changed.notify_all()

        paging.sink.heard = heard
        worker.wait_until(lambda: worker.get("/readyz").status == 200, "the worker is ready")
        paging.prometheus.wait_for_scrape()
        for queue in queues:
            call = floor.call("queued", f"caller {queue}", queue)
            floor.send([call])
            breached_s[queue] = (call.time_ms or 0) / 1000 + LIMIT_S
            time.sleep(random.uniform(*APART_S))
        with changed:
            changed.wait_for(lambda: len(paged_s) == callers, LIMIT_S + PATIENCE_S)
        tell("from breach to page", [paged_s[each] - breached_s[each] for each in paged_s])
        pages = [
            told for told in paging.sink.messages(receiver=FLOOR) if told[0].status == "firing"
        ]
        click.echo(f"pages: {len(pages)} for {callers} queues")
        if resolved:
            with changed:
                changed.wait_for(lambda: len(over_s) == callers, RESOLVED_WITHIN_S)
            tell("from the breach's end to resolved", [over_s[e] - answered_s[e] for e in over_s])
            tell("from the breach to resolved", [over_s[e] - breached_s[e] for e in over_s])


def policy(queues: Sequence[str]) -> dict[str, object]:
    """Every queue with a limit that is soon reached."""
    limit = {"warning": f"{LIMIT_S - 2}s", "critical": f"{LIMIT_S}s"}
    return {
        "defaults": {"longest_wait_limit": limit},
        "queues": {queue: {"channels": {"voice": {}}} for queue in queues},
    }


def tell(what: str, seconds: Sequence[float]) -> None:
    """Print *seconds*, all of them, p50 and worst."""
    click.echo(f"{what}, {len(seconds)} times, s: {' '.join(f'{each:.2f}' for each in seconds)}")
    if seconds:
        click.echo(f"    p50 {statistics.median(seconds):.2f}, worst {max(seconds):.2f}")


if __name__ == "__main__":
    main()
