"""Our own jobs for the benchmarks, each a process of its own: the whole worker, and less of it.

    python tests/bench/ours.py work SETTINGS EVENTS

Prints one line of JSON when the last event has gone through. The clock runs from the assignment of
the partitions. The whole worker goes on until it is told to stop, so that its floor can be looked
at and compared.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from unittest import mock

import uvloop

import streams.core.contact
from schemas.codec import Decoder
from streams import worker
from streams.kafka_access import kafka_access
from streams.processors.records import Records
from streams.reader import TP, Record, Sink
from streams.settings import Settings, load_settings
from streams.transport import create_app, run, stop_on_signals


class Watch:
    """Measures from the assignment to the last of *events*."""

    def __init__(self, events: int) -> None:
        self._left = events
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """The partitions are assigned."""
        if self._began is None:
            self._began = (time.monotonic(), time.process_time())

    def note(self, count: int) -> None:
        """So many records have gone through."""
        self._left -= count
        if self._left <= 0 < self._left + count and self._began is not None:
            told = {
                "took_s": time.monotonic() - self._began[0],
                "cpu_s": time.process_time() - self._began[1],
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "compiled": not str(streams.core.contact.__file__).endswith(".py"),
            }
            print(json.dumps(told), flush=True)


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


class Reading(Decoding):
    """Takes every record and does nothing with it."""

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        """Count *batch*."""
        self._watch.note(len(batch))


async def read_all(settings: Settings, sink: Sink) -> None:
    """A worker with everything behind *sink* left out."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    await run(create_app(worker.transport_options(settings, kafka_access(settings)), sink), stop)


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


def main(job: str, settings_file: str, events: str) -> None:
    """Do *job* until SIGTERM."""
    # The stable settings of a peer's client: the parent ends us by a signal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings, watch = load_settings(Path(settings_file), {}), Watch(int(events))
    if job == "work":
        work_all(settings, watch)
        return
    sink = {"decode": Decoding, "read": Reading}[job](watch)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(read_all(settings, sink))


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # whatever aiokafka still waits for is of no interest
