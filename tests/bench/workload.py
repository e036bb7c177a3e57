"""What every contender reads: the same events, and how often each window must have counted them."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Final, NamedTuple

import msgspec
import orjson

from schemas.instants import read_instant
from streams.simulator import Simulation, default_centre
from tests.support.recordings import BANK_MONTH

WIDTH_S: Final = 300
HOP_S: Final = {"hopping": 60, "tumbling": 300}
BEGINS: Final = datetime(2026, 3, 4, 8, tzinfo=UTC)
CENTRE: Final = 4.0
"""Times the default centre: some 250 agents, 160,000 events an hour."""

SOURCES: Final = ("bank", "simulated")


class Sent(NamedTuple):
    """One record: `key` is the contact, `group` is what the peers count by."""

    key: bytes
    group: bytes
    value: bytes
    at_ms: int


class _Read(msgspec.Struct):
    type: str
    queue: str = ""


_read: Final = msgspec.json.Decoder(_Read).decode


def group_of(value: bytes) -> str:
    """Queue and type, which the peers count by."""
    event = _read(value)
    return f"{event.queue or '-'}|{event.type}"


def bank(copies: int) -> Iterator[Sent]:
    """A bank's month, *copies* banks of it side by side: other contacts, the same moments."""
    for line in gzip.decompress(BANK_MONTH.read_bytes()).splitlines():
        event = orjson.loads(line)
        contact = event["contact"].encode()
        at_ms = read_instant(event["time"])
        group = group_of(line).encode()
        for number in range(copies):
            mine = contact + b"-%d" % number
            value = line.replace(contact, mine).replace(b'"id":"bank-', b'"id":"bank%d-' % number)
            yield Sent(mine, group, value, at_ms)


def bank_events() -> int:
    """How many events one bank's month has."""
    return len(gzip.decompress(BANK_MONTH.read_bytes()).splitlines())


def simulated(events: int) -> Iterator[Sent]:
    """The first *events* of a large centre's morning that belong to one partition."""
    simulation = Simulation(
        default_centre(), seed=1, start_ms=round(BEGINS.timestamp() * 1000), rate=CENTRE
    )
    mine = (each for each in simulation.run() if each.key is not None)
    for at_ms, _, key, value in islice(mine, events):
        yield Sent(key or b"", group_of(value).encode(), value, at_ms)


def workload(source: str, events: int) -> Iterator[Sent]:
    """About *events* of a source, at least; of the bank always whole months."""
    return bank(-(-events // bank_events())) if source == "bank" else simulated(events)


def windows(sent: Iterable[Sent], shape: str) -> Counter[str]:
    """By brute force: how many events of each group fall into each window that begins at ... s."""
    hop_s = HOP_S[shape]
    counts: Counter[str] = Counter()
    for record in sent:
        group = record.group.decode()
        at_s = record.at_ms // 1000
        last = at_s // hop_s * hop_s
        for start_s in range(last, last - WIDTH_S, -hop_s):
            counts[f"{group}|{start_s}"] += 1
    return counts


def digest(counts: Mapping[str, int]) -> str:
    """The same for equal counts, whatever their order."""
    lines = "\n".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
