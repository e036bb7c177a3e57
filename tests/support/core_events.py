"""Short words for events, so that a test of the core shows only what it is about.

Moments are seconds after ten o'clock UTC of one day, to the millisecond.
"""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from schemas.codec import Decoder
from schemas.events import Event
from streams.core.formulas import FORMULA_IDS
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.policy_reading import read_policy
from streams.core.queue_tally import QueueTally
from tests.support.oracle_policy import to_ms, to_text

TEN_MS: Final = to_ms("2026-11-24T10:00:00Z")
MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 24 * HOUR

Told = tuple[Event, int]
"""An event and its time in ms."""


def ms(at_s: float) -> int:
    """Epoch milliseconds of *at_s* after ten."""
    return TEN_MS + round(at_s * 1000)


def event(at_s: float, kind: str, **fields: object) -> Told:
    """An event of the type *kind* from the source `pbx`, at *at_s* after ten."""
    who = fields.get("contact") or fields.get("agent") or fields.get("queue") or "source"
    plain = {"id": f"{who}-{kind}-{at_s}", "type": kind, "time": to_text(ms(at_s)), "source": "pbx"}
    return Decoder().decode(orjson.dumps({**plain, **fields}))


def call(at_s: float, kind: str, **fields: object) -> Told:
    """`contact.KIND` of the call `c-1` in `sales`, unless the fields say otherwise."""
    named: dict[str, object] = {"contact": "c-1", "queue": "sales", "channel": "voice"}
    return event(at_s, f"contact.{kind}", **{**named, **fields})


def chat(at_s: float, kind: str, **fields: object) -> Told:
    """`contact.KIND` of the chat `c-1` in `help`, unless the fields say otherwise."""
    return call(at_s, kind, **{"queue": "help", "channel": "chat", **fields})


def policy(**plain: object) -> PolicyBook:
    """The policy part of the settings."""
    return read_policy(plain, formulas=FORMULA_IDS)


def told(*events: Told, now_s: float | None = None, **options: Any) -> Partition:
    """A partition that has heard *events*, each at its own time or when the last one came."""
    partition = Partition(options.pop("policies", None) or PolicyBook(), **options)
    tell(partition, events)
    if now_s is not None:
        partition.advance(ms(now_s))
    return partition


def tell(partition: Partition, events: Iterable[Told]) -> None:
    """Let *partition* hear *events* in this order."""
    for each, time_ms in events:
        assert partition.accept(each, time_ms, max(time_ms, partition.arrival_ms))


def sales(partition: Partition) -> QueueTally:
    """What the partition counts of `sales` on voice."""
    return partition.tallies["sales", "voice"]


def net(partition: Partition) -> dict[str, int]:
    """Net counters that are not zero, of all queues together."""
    found: dict[str, int] = {}
    for tally in partition.tallies.values():
        for name, count in tally.net().items():
            found[name] = found.get(name, 0) + count
    return {name: count for name, count in found.items() if count}
