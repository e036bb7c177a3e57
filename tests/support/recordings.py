"""Recorded days for tests, and the ways in which their events can reach a worker."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

from streams.core.durations import read_zone
from streams.simulator import Delivery, QueuePlan, Simulation, default_centre, parse_incident
from streams.sources.recorded import Recorded, read_records

TICK_MS: Final = 5_000
HOUR_MS: Final = 3_600_000
INSTANTS: Final = 20

BANK_MONTH: Final = Path(__file__).parents[2].parent / "shared" / "data" / "bank-1999-08.jsonl.gz"
"""A bank's call centre in August 1999; not everyone has it."""

BANKS_DAY: Final = b'"time":"1999-08-29T'


@dataclass(frozen=True)
class Recording:
    """Events of a centre, in a file.

    Attributes:
        path: canonical events, one a line.
        zone: of the queues' days, as settings name it.
        topics: those it needs; a centre without chats has that topic off.
    """

    path: Path
    zone: str
    topics: tuple[str, ...]

    @property
    def tz(self) -> tzinfo:
        """The zone itself."""
        return read_zone(self.zone)

    def settings(self, name: str, bootstrap: str) -> dict[str, Any]:
        """Settings of an installation *name* with the event clock and topics of its own."""
        off = dict.fromkeys(("calls", "chats", "queues"), "off")
        return {
            "name": name,
            "bootstrap": bootstrap,
            "clock": "event",
            "topics": off | {topic: f"{name}.{topic}" for topic in self.topics},
            "policy": {"defaults": {"zone": self.zone}},
        }

    def records(self) -> list[Recorded]:
        """What `replay` makes of it, in the order of the file."""
        return list(read_records(str(self.path), zone=self.tz))


def simulated(folder: Path) -> Recording:
    """An afternoon of six queues on four channels that goes wrong, over a local midnight."""
    begins = datetime(2026, 3, 4, 16, 30, tzinfo=UTC)  # two hours before midnight in Kolkata
    simulation = Simulation(
        replace(default_centre(), queues=tuple(_with_fewer_chats())),
        seed=20_260_304,
        start_ms=round(begins.timestamp() * 1000),
        end_ms=round((begins + timedelta(hours=3)).timestamp() * 1000),
        rate=0.2,
        incidents=[
            parse_incident(text)
            for text in (
                "agents-out@25m/15m:sales",
                "surge@70m/20m",
                "trunk-down@115m/5m",
                "agents-out@150m/15m:webchat",
            )
        ],
    )
    path = folder / "simulated.jsonl"
    with path.open("wb") as file:
        file.writelines(_once(simulation.run()))
    return Recording(path, "Asia/Kolkata", ("calls", "chats", "queues"))


def banks_day(folder: Path) -> Recording:
    """The 29th of August 1999."""
    path = folder / "bank.jsonl"
    with gzip.open(BANK_MONTH) as month, path.open("wb") as day:
        day.writelines(line for line in month if BANKS_DAY in line)
    return Recording(path, "+03:00", ("calls",))


def banks_month() -> Recording:
    """All of August 1999."""
    return Recording(BANK_MONTH, "+03:00", ("calls",))


def _with_fewer_chats() -> Iterator[QueuePlan]:
    """The queues of the default centre, where chats would be two thirds of all events."""
    for plan in default_centre().queues:
        talk = plan.talk and replace(plan.talk, exchanges=min(2.0, plan.talk.exchanges))
        yield replace(plan, talk=talk, per_hour=min(540, plan.per_hour))


def _once(deliveries: Iterator[Delivery]) -> Iterator[bytes]:
    """Each event once, however many partitions it went to."""
    last = b""
    for delivery in deliveries:
        if delivery.value is not last:
            last = delivery.value
            yield last + b"\n"


# -- the ways in which a day can arrive -------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What is sent before one look at the floor.

    Attributes:
        records: in the order in which they are sent.
        until_ms: the tick at which the look is; none of them happened later.
    """

    records: list[Recorded]
    until_ms: int


@dataclass(frozen=True)
class Look:
    """What is known at a look.

    Attributes:
        known: each record that was sent by then, once and in the order of the file.
        at_ms: the instant of the look.
    """

    known: tuple[Recorded, ...]
    at_ms: int


def looks(steps: Sequence[Step]) -> list[Look]:
    """The look after each step."""
    known: dict[int, Recorded] = {}
    found = []
    for step in steps:
        known |= {record.line_number: record for record in step.records}
        in_file_order = tuple(known[number] for number in sorted(known))
        found.append(Look(in_file_order, step.until_ms))
    return found


def time_of(record: Recorded) -> int:
    """When it happened; every record of these days can be read."""
    assert record.time_ms is not None
    return record.time_ms


def tick_after(records: Iterable[Recorded]) -> int:
    """The first tick that knows all of *records*."""
    return -(-max(map(time_of, records)) // TICK_MS) * TICK_MS


def instants_of(records: Iterable[Recorded]) -> list[int]:
    """Twenty ticks over the whole day; half of them are the very moment of an event."""
    times_ms = sorted(map(time_of, records))
    instants = set()
    for number in range(1, INSTANTS // 2 + 1):
        later_ms = times_ms[len(times_ms) * number // (INSTANTS // 2 + 1) :]
        on_tick_ms = next(ms for ms in later_ms if ms % TICK_MS == 0)
        instants |= {on_tick_ms, on_tick_ms + number * TICK_MS}
    assert len(instants) == INSTANTS
    return sorted(instants)


def in_order(records: Sequence[Recorded]) -> list[Step]:
    """Each event when it happens."""
    return _until(instants_of(records), records)


def shuffled(records: Sequence[Recorded]) -> list[Step]:
    """A file in which every event is up to an hour late, sent with `--until`."""
    return _until(instants_of(records), _up_to_an_hour_late(records))


def twice(records: Sequence[Recorded]) -> list[Step]:
    """Each event when it happens, and one of twenty again, up to three hours later."""
    draw = random.Random(20)
    arriving = [(time_of(record), record) for record in records]
    arriving += [
        (arrival_ms + draw.randrange(3 * HOUR_MS), record)
        for arrival_ms, record in arriving
        if draw.random() < 0.05
    ]
    arriving.sort(key=lambda arrival: arrival[0])
    instants = [*instants_of(records), tick_after(records)]
    bounds = [-1, *instants[:-1], arriving[-1][0]]
    return [
        Step([record for at_ms, record in arriving if after_ms < at_ms <= to_ms], until_ms)
        for (after_ms, to_ms), until_ms in zip(pairwise(bounds), instants, strict=True)
    ]


def as_they_arrive(records: Sequence[Recorded]) -> list[Step]:
    """Every event up to an hour late, and looks before the late ones are there."""
    arriving = _up_to_an_hour_late(records)
    bounds = [len(arriving) * number // (INSTANTS + 1) for number in range(INSTANTS + 2)]
    parts = [arriving[begin:end] for begin, end in pairwise(bounds)]
    ticks = accumulate(map(tick_after, parts), lambda last, tick: max(last + TICK_MS, tick))
    return [Step(part, tick) for part, tick in zip(parts, ticks, strict=True)]


ORDERS: Final[Mapping[str, Callable[[Sequence[Recorded]], list[Step]]]] = {
    "in order": in_order,
    "shuffled": shuffled,
    "twice": twice,
    "as they arrive": as_they_arrive,
}
"""By name: how the events of a day are sent, with a look after each of 21 steps."""


def _until(instants: Iterable[int], records: Sequence[Recorded]) -> list[Step]:
    """A step to each of *instants* with all that happened up to it, and one with the rest."""
    return [
        Step([record for record in records if after_ms < time_of(record) <= until_ms], until_ms)
        for after_ms, until_ms in pairwise((-1, *instants, tick_after(records)))
    ]


def _up_to_an_hour_late(records: Iterable[Recorded]) -> list[Recorded]:
    draw = random.Random(60)
    return sorted(records, key=lambda record: time_of(record) + draw.randrange(HOUR_MS))
