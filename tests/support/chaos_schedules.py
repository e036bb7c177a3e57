"""What can go wrong, drawn from a seed: schedules of faults, and the order in which events come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, get_args

from streams.simulator import Simulation, default_centre, parse_incident
from streams.sources.recorded import Recorded
from tests.support.recordings import Recording, time_of

MOST_WORKERS: Final = 4
SESSION_S: Final = 6.0
"""The shortest that brokers allow."""

LATE: Final = 0.05
TWICE: Final = 0.02
JITTER_MS: Final = 30_000
LATE_BY_MS: Final = 3_600_000

Kind = Literal[
    "kill",
    "stop",
    "freeze",
    "silence",
    "refuse",
    "slow",
    "add",
    "remove",
    "broker stopped",
    "broker killed",
    "topic recreated",
]
BROKER: Final[frozenset[Kind]] = frozenset({"broker stopped", "broker killed"})
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_WEIGHTS: Final[Mapping[Kind, int]] = {
    "kill": 6,
    "stop": 5,
    "freeze": 4,
    "silence": 4,
    "refuse": 2,
    "slow": 2,
    "add": 4,
    "remove": 3,
    "broker stopped": 2,
    "broker killed": 1,
    "topic recreated": 1,
}
_LASTS_S: Final[Mapping[Kind, tuple[tuple[float, float], ...]]] = {
    "kill": ((0.0, 0.0), (0.5, 3.0), (SESSION_S + 1, SESSION_S + 3)),
    "stop": ((0.0, 0.0), (0.5, 3.0), (SESSION_S + 1, SESSION_S + 3)),
    "freeze": ((1.0, 3.0), (SESSION_S + 1, SESSION_S + 4)),
    "silence": ((1.0, 3.0), (SESSION_S + 1, SESSION_S + 4)),
    "refuse": ((1.0, 3.0), (SESSION_S + 1, SESSION_S + 4)),
    "slow": ((4.0, 8.0),),
    "broker stopped": ((0.5, 5.0),),
    "broker killed": ((0.5, 5.0),),
}
"""Spans from which a fault's duration is drawn: shorter than the session, or longer."""


@dataclass(frozen=True)
class Promises:
    """What the product keeps already; a schedule asks for nothing else.

    Attributes:
        whole_floor: every worker shows the floor of all partitions, not only of its own.
        logs_calmly: whatever happens outside, no traceback is in a log.
    """

    whole_floor: bool = False
    logs_calmly: bool = False


TODAY: Final = Promises(whole_floor=True, logs_calmly=True)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        worker: whom it happens to; None for a broker or a topic.
        after_s: how long after the step has begun.
        for_s: until it is over: the worker is started again, the cable is put back.
    """

    kind: Kind
    worker: int | None = None
    after_s: float = 0.0
    for_s: float = 0.0

    def __str__(self) -> str:
        whom = "" if self.worker is None else f" {self.worker}"
        lasts = f" for {self.for_s:.1f} s" if self.kind in _LASTS_S else ""
        return f"{self.kind}{whom} at {self.after_s:.1f} s{lasts}"


@dataclass(frozen=True)
class Stage:
    """Faults while a share of the events flows, and whether there is a quiet point after it."""

    faults: tuple[Fault, ...]
    is_quiet: bool

    def __str__(self) -> str:
        return ", ".join(map(str, self.faults)) + ("; quiet" if self.is_quiet else "")


@dataclass(frozen=True)
class Schedule:
    """All that happens to one installation.

    Attributes:
        workers: how many there are at the start.
        has_names: whether the workers are static members of their group.
    """

    seed: int
    workers: int
    has_names: bool
    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        names = "with names" if self.has_names else "without names"
        stages = " | ".join(map(str, self.stages))
        return f"seed {self.seed}, {self.workers} workers {names}: {stages}"

    @property
    def faults(self) -> Counter[str]:
        """How many there are of each kind."""
        return Counter(fault.kind for stage in self.stages for fault in stage.faults)


def draw_schedule(
    seed: int,
    *,
    most_workers: int = MOST_WORKERS,
    stages: int = 4,
    kinds: Iterable[Kind] = KINDS,
) -> Schedule:
    """The schedule of *seed*, with faults of *kinds* only; the same for the same arguments."""
    draw = random.Random(seed)
    wanted = list(kinds)
    present = set(range(1, draw.randint(1, most_workers) + 1))
    begins_with = len(present)
    drawn = []
    for number in range(stages):
        faults: list[Fault] = []
        for _ in range(draw.choice((1, 1, 2))):
            fault = _draw_fault(draw, wanted, present, faults, most_workers)
            if fault is not None:
                faults.append(fault)
        for fault in faults:
            if fault.kind == "add" and fault.worker is not None:
                present.add(fault.worker)
            elif fault.kind == "remove" and fault.worker is not None:
                present.discard(fault.worker)
        is_quiet = number == stages - 1 or draw.random() < 0.5
        drawn.append(Stage(tuple(faults), is_quiet))
    return Schedule(seed, begins_with, draw.random() < 0.75, tuple(drawn))


def _draw_fault(
    draw: random.Random,
    kinds: Sequence[Kind],
    present: set[int],
    others: Sequence[Fault],
    most_workers: int,
) -> Fault | None:
    """A fault that can happen beside *others*: another worker's, or the broker's only one."""
    taken = {fault.worker for fault in others}
    free = sorted(present - taken)
    absent = sorted(set(range(1, most_workers + 1)) - present - taken)
    can_happen = {
        **dict.fromkeys(kinds, bool(free)),
        **dict.fromkeys((*BROKER, "topic recreated"), None not in taken),
        "add": bool(absent),
        "remove": bool(free) and len(present) > 1 and not others,
    }
    possible = [kind for kind in kinds if can_happen[kind]]
    if not possible:
        return None
    [kind] = draw.choices(possible, [_WEIGHTS[kind] for kind in possible])
    worker = None
    if kind == "add":
        worker = draw.choice(absent)
    elif kind not in BROKER and kind != "topic recreated":
        worker = draw.choice(free)
    spans = _LASTS_S.get(kind)
    for_s = draw.uniform(*draw.choice(spans)) if spans else 0.0
    return Fault(kind, worker, draw.uniform(0.2, 2.5), for_s)


# -- events -----------------------------------------------------------------------------------


def evening(folder: Path) -> Recording:
    """Seventy minutes of the default centre around a local midnight, with things going wrong."""
    begins = datetime(2026, 3, 4, 17, 50, tzinfo=UTC)  # forty minutes before it in Kolkata
    centre = default_centre()
    simulation = Simulation(
        replace(
            centre,
            queues=tuple(replace(each, per_hour=min(540, each.per_hour)) for each in centre.queues),
        ),
        seed=20_260_729,
        start_ms=round(begins.timestamp() * 1000),
        end_ms=round((begins + timedelta(minutes=70)).timestamp() * 1000),
        rate=0.2,
        incidents=[parse_incident("agents-out@10m/15m:sales"), parse_incident("surge@30m/20m")],
    )
    path = folder / "evening.jsonl"
    values = dict.fromkeys(delivery.value for delivery in simulation.run())
    path.write_bytes(b"".join(value + b"\n" for value in values))
    return Recording(path, "Asia/Kolkata", ("calls", "chats", "queues"))


def arriving(records: Iterable[Recorded], seed: int) -> list[Recorded]:
    """*records* as they come: all a little out of order, some up to an hour late, some twice."""
    draw = random.Random(seed)
    due = []
    for record in records:
        by_ms = LATE_BY_MS if draw.random() < LATE else JITTER_MS
        due.append((time_of(record) + draw.randrange(by_ms), record))
        if draw.random() < TWICE:
            due.append((time_of(record) + draw.randrange(LATE_BY_MS), record))
    due.sort(key=lambda each: each[0])
    return [record for _, record in due]


def portions(records: Sequence[Recorded], count: int) -> Iterator[Sequence[Recorded]]:
    """*records* in *count* portions of one size, as nearly as may be."""
    for number in range(count):
        yield records[len(records) * number // count : len(records) * (number + 1) // count]
