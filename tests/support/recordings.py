"""Recorded days for tests: one simulated, always the same, and a real one where there is one."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

from schemas.codec import Decoder
from streams.core.durations import read_zone
from streams.core.reporting import Timed
from streams.simulator import Delivery, QueuePlan, Simulation, default_centre, parse_incident
from streams.sources.recorded import Recorded, read_records

BANK_MONTH: Final = Path(__file__).parents[2].parent / "shared" / "data" / "bank-1999-08.jsonl.gz"
"""A bank's call centre in August 1999; not everyone has it."""

BANKS_DAY: Final = b'"time":"1999-08-29T'


@dataclass(frozen=True)
class Recording:
    """Events of a centre, in a file.

    Attributes:
        path: canonical events, one a line.
        zone: of the queues' days, as settings name it.
        topics: as settings name them; a centre without chats has that topic off.
    """

    path: Path
    zone: str
    topics: tuple[str, ...]

    @property
    def tz(self) -> tzinfo:
        """The zone itself."""
        return read_zone(self.zone)

    def settings(self, name: str, bootstrap: str) -> dict[str, Any]:
        """Settings of a worker with the event clock whose topics no other test has."""
        off = dict.fromkeys(("calls", "chats", "queues"), "off")
        return {
            "name": name,
            "bootstrap": bootstrap,
            "clock": "event",
            "topics": {**off, **{topic: f"{name}.{topic}" for topic in self.topics}},
            "policy": {"defaults": {"zone": self.zone}},
        }

    def records(self) -> list[Recorded]:
        """What `replay` makes of it, in the order of the file."""
        return list(read_records(str(self.path), zone=self.tz))


def simulated(folder: Path) -> Recording:
    """An afternoon of six queues on four channels that goes wrong, over a local midnight."""
    begins = datetime(2026, 3, 4, 16, 30, tzinfo=UTC)  # in Kolkata, the day ends two hours later
    simulation = Simulation(
        replace(default_centre(), queues=tuple(_with_fewer_chats())),
        seed=20_260_304,
        start_ms=round(begins.timestamp() * 1000),
        end_ms=round((begins + timedelta(hours=3, minutes=20)).timestamp() * 1000),
        rate=0.25,
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
    """The 29th of August 1999, of those who have the bank's month."""
    path = folder / "bank.jsonl"
    with gzip.open(BANK_MONTH) as month, path.open("wb") as day:
        day.writelines(line for line in month if BANKS_DAY in line)
    return Recording(path, "+03:00", ("calls",))


def banks_month() -> Recording:
    """All of it, for those who have it."""
    return Recording(BANK_MONTH, "+03:00", ("calls",))


def timed(records: Iterable[Recorded]) -> list[Timed]:
    """*records* as events with their arrival, as a file of them would be read."""
    decode = Decoder().decode
    arrival_ms = 0
    events = []
    for record in records:
        event, time_ms = decode(record.value)
        arrival_ms = max(arrival_ms, time_ms)
        events.append(Timed(event, time_ms, arrival_ms))
    return events


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
