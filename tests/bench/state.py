"""What a large state costs: to write it, to restore it, and to start a worker with it.

    python tests/bench/state.py --open 200000 --remembered 1000000 --agents 200000

One partition holds everything. It is written to the state topic of a real Kafka as a worker would,
and a real worker begins with it. Seconds are of the wall clock, and beside them of the processor
where other work on the machine would distort them.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import click
import orjson
import yaml

from schemas.codec import Decoder
from schemas.instants import write_instant
from streams import worker
from streams.core.partition import Partition
from streams.core.snapshot import Cutter, Restorer
from streams.kafka_access import kafka_access
from streams.ledger import Manifest, PartName, manifest_key, part_key, write_manifest
from streams.local_kafka import LocalKafka
from streams.producing import Producer
from streams.reader import TP
from streams.settings import Settings, load_settings
from streams.state_log import StateLog
from streams.topics import ensure_own_topics, ensure_topics, state_topic

HOST: Final = "127.0.0.1"
SPAN_MS: Final = 3 * 3_600_000
"""Over so long the contacts have come; none of them has rested yet."""

RECORDS: Final = 1_000
"""On the source topic behind the cut: what the worker reads once it has restored."""

Plain = dict[str, Any]


class Meter:
    """Seconds since it was made, or last asked: of the wall, and of this process."""

    def __init__(self) -> None:
        self.lap()

    def lap(self) -> tuple[float, float]:
        """How long the lap took."""
        now = time.perf_counter(), time.process_time()
        wall_s, cpu_s = getattr(self, "_began", now)
        self._began = now
        return now[0] - wall_s, now[1] - cpu_s


def happenings(opened: int, remembered: int, agents: int, queues: int) -> Iterator[Plain]:
    """Calls that have ended, chats that still wait, and agents who serve two queues each."""
    now_ms = time.time_ns() // 1_000_000 - 60_000
    every = max(1, (opened + remembered) // max(1, opened))
    left = opened
    for number in range(opened + remembered):
        at_ms = now_ms - SPAN_MS + SPAN_MS * number // (opened + remembered)
        queue = f"queue-{number % queues}"
        if left and number % every == 0:
            left -= 1
            plain = {"contact": f"chat-{number:08}", "queue": queue, "channel": "chat"}
            yield {"type": "contact.queued", "at_ms": at_ms, **plain}
            continue
        plain = {"contact": f"call-{number:08}"}
        answered_ms = at_ms + number * 7919 % 60_000
        yield {
            "type": "contact.queued",
            "at_ms": at_ms,
            "queue": queue,
            "channel": "voice",
            "segment": ("gold", "plain")[number % 2],
            **plain,
        }
        agent = f"agent-{number % max(1, agents):07}"
        yield {"type": "contact.answered", "at_ms": answered_ms, "agent": agent, **plain}
        yield {"type": "contact.ended", "at_ms": answered_ms + 60_000, **plain}
    for number in range(agents):
        serves = [f"queue-{each % queues}" for each in (number, number + 1)]
        known = {"agent": f"agent-{number:07}", "state": "available", "queues": serves}
        yield {"type": "agent.changed", "at_ms": now_ms, **known}


def filled(settings: Settings, events: Iterator[Plain]) -> Partition:
    """A partition that has taken *events*."""
    partition = worker.new_partition(settings)
    decode = Decoder().decode
    for number, event in enumerate(events):
        at_ms = event.pop("at_ms")
        plain = {"id": f"e-{number}", "source": "pbx", "time": write_instant(at_ms), **event}
        decoded, time_ms = decode(orjson.dumps(plain))
        if not partition.accept(decoded, time_ms, at_ms):
            raise click.ClickException("an event lies in the future")
        if number % 1_000 == 0:
            partition.advance(at_ms)
    partition.advance(partition.arrival_ms)
    return partition


def show(what: str, figure: str) -> None:
    """A line of the table."""
    click.echo(f"{what:46}{figure:>24}")


def encoded(partition: Partition) -> dict[str, bytes]:
    """The parts of a cut of *partition*, with what they cost told."""
    lap = Meter()
    cutter = Cutter(partition)
    show("to make the cutter, ms", f"{lap.lap()[1] * 1000:.0f}")
    cutter.begin()
    show("to begin the first cut, ms", f"{lap.lap()[1] * 1000:.0f}")
    parts: dict[str, bytes] = {}
    cpu_s, longest = 0.0, (0.0, "")
    lap.lap()
    while (part := cutter.next_part()) is not None:
        took_s = lap.lap()[1]
        cpu_s += took_s
        longest = max(longest, (took_s, part[0].partition("/")[0]))
        parts[part[0]] = part[1]
        lap.lap()
    show("to encode it, s of CPU", f"{cpu_s:.1f}")
    show("the longest part, ms of CPU", f"{longest[0] * 1000:.0f} ({longest[1]})")
    show("parts, MB", f"{len(parts):,}, {sum(map(len, parts.values())) / 1e6:.0f}")
    lap.lap()
    cutter.begin()
    show("to begin a cut when nothing has changed, ms", f"{lap.lap()[1] * 1000:.0f}")
    while cutter.next_part() is not None:
        pass
    lap.lap()
    cutter.forget()
    show("to forget the cuts before, ms", f"{lap.lap()[1] * 1000:.0f}")
    return parts


def restored(settings: Settings, parts: dict[str, bytes]) -> None:
    """Restore *parts*, and tell what it cost."""
    options = worker.partition_options(settings)
    restorer = Restorer(parts, settings.policy, **options)
    gc.disable()  # as a worker does meanwhile
    lap = Meter()
    began, longest_s, steps = Meter(), 0.0, 0
    for _ in restorer.steps():
        steps += 1
        longest_s = max(longest_s, lap.lap()[1])
    show("to restore it, s of CPU", f"{began.lap()[1]:.1f}")
    show("steps, the longest in ms of CPU", f"{steps:,}, {longest_s * 1000:.0f}")
    gc.freeze()
    gc.enable()
    lap.lap()
    for _ in restorer.partition.dismantle():
        pass
    show("to let go of it, s of CPU", f"{lap.lap()[1]:.1f}")


async def written(settings: Settings, tp: TP, parts: Mapping[str, bytes], offset: int) -> None:
    """Put a snapshot on the state topic, as an owner of *tp* before has left it."""
    state = StateLog(kafka_access(settings), state_topic(settings), "bench")
    names = []
    epoch = (await state.take_over({tp: 0}))[tp].epoch
    for serial, (name, body) in enumerate(parts.items(), 1):
        await (await state.send(tp, part_key(tp, epoch, serial), body))
        names.append(PartName(name, serial, crc32(body)))
    manifest = Manifest(
        epoch=epoch,
        offset=offset,
        cut_ms=time.time_ns() // 1_000_000,
        partitions=1,
        rejected={},
        parts=names,
    )
    key = manifest_key(tp, epoch, len(parts) + 1)
    await (await state.send(tp, key, write_manifest(manifest)))
    await state.stop()


def started(path: Path, port: int) -> None:
    """Start a worker and ask it again and again, until it is ready."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "streams.cli", "worker", "--settings", str(path)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        while asked(port, "/healthz") is None:
            pause(running)
        show("a worker to its first answer, s", f"{time.monotonic() - began_s:.1f}")
        longest_s, is_ready = 0.0, False
        while not is_ready:
            pause(running)
            asked_s = time.monotonic()
            is_ready = asked(port, "/readyz") == HTTPStatus.OK
            longest_s = max(longest_s, time.monotonic() - asked_s)
        show("to ready, s", f"{time.monotonic() - began_s:.1f}")
        show("its longest answer meanwhile, ms", f"{longest_s * 1000:.0f}")
        show("its memory at the most, MB", f"{peak_mb(running.pid):,.0f}")
    finally:
        running.kill()
        running.communicate()


def pause(running: subprocess.Popen[bytes]) -> None:
    """Between two questions to a worker, which has to be there."""
    time.sleep(0.02)
    if running.poll() is not None:
        _, log = running.communicate()
        raise click.ClickException(f"the worker ended:\n{log.decode()}")


def asked(port: int, path: str) -> int | None:
    """The status of a worker's answer; None while it does not listen."""
    connection = http.client.HTTPConnection(HOST, port, timeout=600)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except ConnectionError:
        return None
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@click.command()
@click.option("--open", "opened", type=click.IntRange(0), default=200_000, show_default=True)
@click.option("--remembered", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--agents", type=click.IntRange(0), default=0, show_default=True)
@click.option("--queues", type=click.IntRange(1), default=1_000, show_default=True)
@click.option(
    "--bootstrap", metavar="HOST:PORT", help="A Kafka that is there; else one is started."
)
def main(opened: int, remembered: int, agents: int, queues: int, bootstrap: str | None) -> None:
    """Fill a partition, write it, restore it, and start a worker with it."""
    gc.set_threshold(*worker.GC_THRESHOLDS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bootstrap = bootstrap or stack.enter_context(LocalKafka(tell=click.echo)).bootstrap
        port = free_port()
        plain: dict[str, Any] = {
            "name": f"state-{os.getpid()}",
            "bootstrap": bootstrap,
            "topics": {"calls": f"state-{os.getpid()}.calls", "chats": "off", "queues": "off"},
            "host": HOST,
            "port": port,
            "max_contacts": opened + remembered + RECORDS,
        }
        path = folder / "floorwatch.yaml"
        path.write_text(yaml.safe_dump(plain), encoding="utf-8")
        settings = load_settings(path, {})
        topics = ensure_topics(settings, 1)
        ensure_own_topics(settings)
        click.echo(
            f"{opened:,} open, {remembered:,} remembered, {agents:,} agents, {queues:,} queues, "
            f"Python {platform.python_version()}, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f}"
        )
        lap = Meter()
        events = happenings(opened, remembered, agents, queues)
        partition = filled(settings, events)
        show("to take its events, s of CPU", f"{lap.lap()[1]:.1f}")
        parts = encoded(partition)
        for _ in partition.dismantle():
            pass
        with Producer(kafka_access(settings), topics) as producer:
            [topic] = topics
            for event in islice(happenings(0, RECORDS, 0, queues), RECORDS):
                at_ms = event.pop("at_ms")
                key = event["contact"] = f"behind-{event['contact']}"
                fields = {"id": f"{key}-{event['type']}", "source": "pbx", **event}
                body = orjson.dumps({"time": write_instant(at_ms), **fields})
                producer.send(topic, key.encode(), body, at_ms)
        asyncio.run(written(settings, TP(topic, 0), parts, RECORDS // 2))
        restored(settings, parts)
        started(path, port)


if __name__ == "__main__":
    main()
