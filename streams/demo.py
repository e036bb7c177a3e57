"""`floorwatch demo`: a whole floor on this machine, with nothing left behind when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

import click
import orjson

from streams.demo_alerts import (
    ALERTMANAGER_PORT,
    NOT_BUILT,
    PROMETHEUS_PORT,
    Ports,
    alerts_beside,
    find_programs,
)
from streams.kafka_access import kafka_access
from streams.leashed import EndedByItself, Leashed
from streams.local_kafka import LocalKafka
from streams.parameters import DURATION
from streams.producing import Outlet, Producer
from streams.settings import Settings, load_settings
from streams.simulate import STEP_S, play
from streams.simulator import Incident, Simulation, default_centre, zone_where_it_is
from streams.simulator.incidents import IncidentKind
from streams.topics import PARTITIONS, ensure_topics, own_topics, remove_topics
from streams.wall_clock import wall_clock_ms

HOST: Final = "127.0.0.1"
PORT: Final = 6066
PORTS_TRIED: Final = 100
PAST_MS: Final = 3_600_000
BUSY_HOUR: Final = 10
CYCLES: Final = 12

LIVE_WITHIN_S: Final = 180.0
LOOKS_EVERY_S: Final = 0.2

EXIT_BROKEN: Final = 1
EXIT_SIGNAL: Final = 128

_S: Final = 1_000
_MIN: Final = 60 * _S


class Trouble(NamedTuple):
    """Something that goes wrong in every cycle of the demo, and where it is seen."""

    at_ms: int
    kind: IncidentKind
    queue: str
    lasts_ms: int
    told: str


CYCLE_MS: Final = 40 * _MIN
TROUBLES: Final = (
    Trouble(65 * _S, "agents-out", "support", 4 * _MIN, "nine in ten agents of Support leave"),
    Trouble(9 * _MIN, "surge", "sales", 6 * _MIN, "three times the calls for Sales"),
    Trouble(18 * _MIN, "source-silent", "webchat", 3 * _MIN, "nothing is heard of the chat system"),
    Trouble(24 * _MIN, "trunk-down", "billing", 3 * _MIN, "the line of Billing is cut"),
    Trouble(31 * _MIN, "agents-out", "webchat", 4 * _MIN, "nine in ten agents of Web chat leave"),
)
"""Times count from the moment at which the demo goes live."""

NAMES: Final = {
    "sales": "Sales",
    "support": "Support",
    "billing": "Billing",
    "webchat": "Web chat",
    "messages": "Messages",
    "mail": "Mail",
}


class DemoBroken(RuntimeError):
    """The demo does not come up; the text says what its worker says."""


class Alerts(NamedTuple):
    """What tells that something fires, and where it is."""

    programs: tuple[Leashed, ...]
    prometheus: str
    alertmanager: str


class _Ended(BaseException):
    """A signal asks the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@click.command(
    "demo",
    epilog="""\b
Examples:
  floorwatch demo
  floorwatch demo --alerts
  floorwatch demo --for 10m --port 8080
  floorwatch demo --bootstrap localhost:9092

\b
Exit codes: 0 over after --for, 1 a part of it ended by itself, 2 a wrong option, 3 no Kafka,
130 Ctrl-C.""",
)
@click.option("--bootstrap", metavar="HOST:PORT", help="A Kafka that is there, not one of our own.")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=PORT,
    show_default=True,
    metavar="PORT",
    help="Of the wall; the next free one where it is taken.",
)
@click.option(
    "--alerts",
    is_flag=True,
    help="Prometheus and Alertmanager beside it, where `make programs` has built them.",
)
@click.option("--for", "length_ms", type=DURATION, help="End so long after the wall is live.")
@click.option("--rate", type=float, default=1.0, show_default=True, help="Size of the centre.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same, the same centre.")
def demo_command(
    bootstrap: str | None,
    port: int,
    alerts: bool,
    length_ms: int | None,
    rate: float,
    seed: int,
) -> int:
    """Show a contact centre live on a wall, all of it on this machine.

    A Kafka, a made-up centre, a worker and its wall. The past hour is already played, the first
    thing goes wrong after a minute. Ctrl-C ends it and leaves nothing behind; with --bootstrap it
    works in topics of its own, which it removes.
    """
    began_s = time.monotonic()
    try:
        with _ending_on_signals():
            _run(bootstrap, port, alerts, length_ms, rate, seed, began_s)
    except _Ended as ended:
        _say("ended")
        return EXIT_SIGNAL + ended.number
    except (DemoBroken, EndedByItself) as broken:
        click.echo(f"floorwatch: {broken}", err=True)
        return EXIT_BROKEN
    return 0


def _run(
    bootstrap: str | None,
    asked_port: int,
    alerts: bool,
    length_ms: int | None,
    rate: float,
    seed: int,
    began_s: float,
) -> None:
    port = free_port(asked_port)
    if port != asked_port:
        _say(f"port {asked_port} is taken; the wall is on {port}")
    zone = zone_where_it_is(BUSY_HOUR, wall_clock_ms())
    name = f"demo-{uuid.uuid4().hex[:8]}"
    with contextlib.ExitStack() as parts:
        address = bootstrap or parts.enter_context(_own_kafka())
        variables = worker_variables(name, address, port, zone)
        beside = parts.enter_context(alerts_of_the_demo(port)) if alerts else None
        if beside is not None:
            variables["FLOORWATCH_ALERTMANAGER"] = beside.alertmanager
        settings = load_settings(None, variables)
        if bootstrap is not None:
            parts.callback(_remove, settings)
        kafka = kafka_access(settings)
        topics = ensure_topics(settings, PARTITIONS)
        _say("starting the worker")
        running = [parts.enter_context(worker(variables)), *(beside.programs if beside else ())]
        producer = parts.enter_context(Producer(kafka, topics))
        outlet = Outlet(producer, settings.topics)
        live_ms = wall_clock_ms()
        simulation = _simulation(live_ms, zone, rate=rate, seed=seed)
        play(simulation, outlet, live_ms)
        _say(f"played the past hour: {outlet.given:,} events")
        wall = parts.enter_context(Wall(port))
        _play_on(simulation, outlet, live_ms, running, beside, wall, length_ms, began_s)


def _simulation(live_ms: int, zone: tzinfo, *, rate: float, seed: int) -> Simulation:
    incidents = [
        Incident(
            kind=trouble.kind,
            at_ms=PAST_MS + cycle * CYCLE_MS + trouble.at_ms,
            lasts_ms=trouble.lasts_ms,
            queue=trouble.queue,
        )
        for cycle in range(CYCLES)
        for trouble in TROUBLES
    ]
    try:
        return Simulation(
            default_centre(zone),
            seed=seed,
            start_ms=live_ms - PAST_MS,
            rate=rate,
            incidents=incidents,
        )
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None


def _play_on(
    simulation: Simulation,
    outlet: Outlet,
    live_ms: int,
    running: Sequence[Leashed],
    beside: Alerts | None,
    wall: Wall,
    length_ms: int | None,
    began_s: float,
) -> None:
    """Play as time passes, and say what happens, until the time is up.

    Raises:
        EndedByItself: the worker, or what was started beside it, has ended.
        DemoBroken: the worker shows nothing for `LIVE_WITHIN_S` seconds.
        BrokerUnreachable: Kafka has stopped answering.
    """
    patient_until_s = time.monotonic() + LIVE_WITHIN_S
    ends_s: float | None = None
    is_told = False
    troubles = _told_troubles(live_ms)
    begins_ms, told = next(troubles)
    while ends_s is None or time.monotonic() < ends_s:
        time.sleep(STEP_S)
        play(simulation, outlet, wall_clock_ms())
        for program in running:
            program.require_running()
        if not is_told and wall.live_at_s is not None:
            is_told = True
            _tell_where_to_look(wall.live_at_s - began_s, wall.port, beside)
            if length_ms is not None:
                ends_s = time.monotonic() + length_ms / 1000
        if not is_told and time.monotonic() > patient_until_s:
            said = running[0].last_words()
            raise DemoBroken(f"the wall shows nothing yet; the worker says:\n{said}")
        if wall_clock_ms() >= begins_ms:
            _say(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {told}")
            begins_ms, told = next(troubles)


def _told_troubles(live_ms: int) -> Iterator[tuple[int, str]]:
    """When each trouble begins, and what to say then."""
    for cycle in range(CYCLES):
        for trouble in TROUBLES:
            yield live_ms + cycle * CYCLE_MS + trouble.at_ms, trouble.told
    yield sys.maxsize, ""


def _tell_where_to_look(after_s: float, port: int, beside: Alerts | None) -> None:
    _say(f"the wall is live after {after_s:.1f} s:\n")
    _say(f"    http://{HOST}:{port}/\n")
    _say("In a minute nine in ten agents of Support leave for four minutes. Watch its tile: the")
    _say("longest wait grows, service level falls, and it turns to trouble and moves to the front.")
    _say(f"A click on a tile shows the queue. Figures: http://{HOST}:{port}/api/v1/floor, /metrics")
    if beside is not None:
        _say(f"What fires is on the wall too: {beside.prometheus}/alerts, {beside.alertmanager}/")
    _say("Ctrl-C ends it all and leaves nothing behind.")


def worker_variables(name: str, bootstrap: str, port: int, zone: tzinfo) -> dict[str, str]:
    """The settings of the demo's worker, as environment variables."""
    offset = datetime.fromtimestamp(0, zone).strftime("%z")
    policy = {
        "defaults": {"zone": f"{offset[:3]}:{offset[3:]}"},
        # Nobody at a demo waits five minutes for a tile to turn.
        "channels": {"voice": {"longest_wait_limit": {"warning": "40s", "critical": "2m"}}},
        "queues": {queue: {"name": shown} for queue, shown in NAMES.items()},
    }
    return {
        "FLOORWATCH_NAME": name,
        "FLOORWATCH_BOOTSTRAP": bootstrap,
        "FLOORWATCH_HOST": HOST,
        "FLOORWATCH_PORT": str(port),
        "FLOORWATCH_TOPICS__CALLS": f"{name}.calls",
        "FLOORWATCH_TOPICS__CHATS": f"{name}.chats",
        "FLOORWATCH_TOPICS__QUEUES": f"{name}.queues",
        "FLOORWATCH_POLICY": orjson.dumps(policy).decode(),
    }


def free_port(first: int) -> int:
    """The first port from *first* on that nobody listens on.

    Raises:
        click.UsageError: none of the next `PORTS_TRIED` is free.
    """
    for port in range(first, min(first + PORTS_TRIED, 65_536)):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                listener.bind((HOST, port))
                return port
    raise click.UsageError(f"no port from {first} on is free; name another --port")


def worker(variables: Mapping[str, str]) -> Leashed:
    """`floorwatch worker` with the settings *variables*; none of this process's own reach it."""
    ours = str(Path(__file__).parents[1])
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith("FLOORWATCH_")
    }
    paths = [ours, *filter(None, [inherited.get("PYTHONPATH")])]
    return Leashed(
        "the worker",
        [sys.executable, "-P", "-m", "streams.cli", "worker"],
        environment={**inherited, **variables, "PYTHONPATH": os.pathsep.join(paths)},
    )


class Wall:
    """Looks at a worker's floor until its figures move; a context manager.

    Attributes:
        port: where the worker answers.
        live_at_s: when a figure was first seen to change, by the monotonic clock; None before.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.live_at_s: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Wall:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        before: list[object] | None = None
        while not self._over.wait(LOOKS_EVERY_S):
            figures = _figures(self.port)
            if before and figures and figures != before:
                self.live_at_s = time.monotonic()
                return
            before = figures


def _figures(port: int) -> list[object] | None:
    """The counts that a worker shows now; None while it shows none."""
    connection = HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/api/v1/floor")
        floor = orjson.loads(connection.getresponse().read())
    except (OSError, HTTPException, orjson.JSONDecodeError):
        return None
    finally:
        connection.close()
    if not floor["ready"]:
        return None
    counts = ("offered", "answered", "abandoned", "left", "waiting")
    return [[entry[count] for count in counts] for entry in floor["entries"]]


@contextlib.contextmanager
def alerts_of_the_demo(worker_port: int) -> Iterator[Alerts | None]:
    """Prometheus and Alertmanager, running; None, and a line that says so, without them."""
    programs = find_programs()
    if programs is None:
        _say(NOT_BUILT)
        yield None
        return
    ports = Ports(worker_port, free_port(PROMETHEUS_PORT), free_port(ALERTMANAGER_PORT))
    _say("starting Prometheus and Alertmanager")
    with alerts_beside(programs, ports) as running:
        yield Alerts(
            running, f"http://{HOST}:{ports.prometheus}", f"http://{HOST}:{ports.alertmanager}"
        )


@contextlib.contextmanager
def _own_kafka() -> Iterator[str]:
    """A Kafka of our own, whose records are gone when it ends; yields its address."""
    kafka = LocalKafka(tell=_say)
    try:
        kafka.start()
        yield kafka.bootstrap
    finally:
        kafka.kill()  # its records go, so there is no need for it to put them in order
        kafka.stop()


def _remove(settings: Settings) -> None:
    """Leave somebody else's Kafka as it was."""
    with contextlib.suppress(Exception):
        remove_topics(kafka_access(settings), [*settings.topics.in_use(), *own_topics(settings)])


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Turn the first signal that asks for an end into `_Ended`; further ones change nothing."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise _Ended(number)

    before: dict[signal.Signals, Callable[..., object] | int | None] = {}
    try:
        for each in numbers:
            before[each] = signal.signal(each, end)
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that is gone
        click.echo(line)
