"""All that a partition knows, as plain values, so that two of them can be compared."""

from typing import Any

from streams.core.calendar import pane_of
from streams.core.contact import Life, Note, Reply, Response, Visit
from streams.core.partition import Partition
from streams.core.queue_tally import QueueTally
from streams.core.tally import Histogram, Sums

COUNTED = (
    "arrival_ms",
    "latest_ms",
    "now_ms",
    "tick_ms",
    "late",
    "unmatched_outcomes",
    "ignored",
    "duplicates",
    "conflicting",
    "events",
    "restarts",
    "last_restart_ms",
    "pruned_pane",
)
KEPT_BY_STAFFING = (
    "agents",
    "changed_ms",
    "doors",
    "known_doors",
    "observations",
    "queues",
    "remembered",
    "swept_ms",
)


def state_of(partition: Partition) -> dict[str, Any]:
    """Every figure, contact, agent and source, by value; nothing of what is only kept for speed."""
    staffing = partition.staffing
    return {
        **{name: _copied(getattr(partition, name)) for name in COUNTED},
        "tallies": [_tally(tally, partition) for tally in partition.tallies.values()],
        "contacts": {contact: _lives(newest) for contact, newest in partition.lives.items()},
        "contacts in order": list(partition.lives),
        "held back": {
            number: sorted((_held(*item) for item in items), key=repr)
            for number, items in partition.ahead.items()
        },
        "staffing": {name: _copied(getattr(staffing, name)) for name in KEPT_BY_STAFFING},
        "agents by state": staffing.agents_by_state(),
        "sources": (partition.sources.last_ms.copy(), partition.sources.beating.copy()),
    }


def sums(of: Sums) -> tuple[Any, ...]:
    """Counters and spreads by value."""
    spreads = (of.waits, of.abandons, of.responses, of.thresholds)
    segments = {name: tuple(pair) for name, pair in of.segments.items()}
    return tuple(of.counts), *(dict(spread) for spread in spreads), segments


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    return value.copy() if isinstance(value, list | set) else value


def _tally(tally: QueueTally, partition: Partition) -> dict[str, Any]:
    pane = pane_of(partition.tick_ms, partition.every_ms)
    return {
        "key": (tally.queue, tally.channel),
        "counters": dict(tally.counters),
        "corrections": dict(tally.corrections),
        "histograms": [
            _histogram(each) for each in (*tally.waits.values(), *tally.responses.values())
        ],
        "fed": dict(tally.fed),
        "segments": set(tally.segments),
        "thresholds": set(tally.thresholds),
        "rest": (tally.last_event_ms, tally.waiting_past, tally.revision),
        "open": sorted((visit.contact, at_ms) for visit, at_ms in tally.open.items()),
        "awaiting": sorted((life.contact, at_ms) for life, at_ms in tally.awaiting.items()),
        "panes": {number: sums(tally.sums_of(each)) for number, each in tally.panes.items()},
        "days": {start_ms: sums(each) for start_ms, each in tally.days.items()},
        "windows": {name: sums(tally.window(name, pane)) for name in partition.windows},
        "day": sums(tally.day(partition.tick_ms)),
    }


def _histogram(histogram: Histogram) -> tuple[Any, ...]:
    return histogram.edges_ms, tuple(histogram.counts), histogram.sum_ms


def _lives(newest: Life | None) -> list[dict[str, Any]]:
    lives = []
    while newest is not None:
        lives.append(_life(newest))
        newest = newest.earlier
    return lives


def attributes_of(kind: type) -> tuple[str, ...]:
    """What the instances of a class with slots have, also where it is compiled."""
    names: tuple[str, ...] = getattr(kind, "__mypyc_attrs__", None) or vars(kind)["__slots__"]
    return names


def _life(life: Life) -> dict[str, Any]:
    known: dict[str, Any] = {name: getattr(life, name) for name in attributes_of(Life)}
    for name in ("block", "earlier"):
        del known[name]
    known["facts"] = tuple(life.facts)
    known["ids"] = (type(life.ids), set(life.ids))
    known["dropped"] = tuple(life.dropped or ())
    known["visits"] = [_visit(visit) for visit in life.visits]
    known["open"] = [life.visits.index(visit) for visit in life.open]
    known["notes"] = tuple(life.notes)
    known["shown"] = life.shown and (life.shown.queue, life.shown.channel)
    known["_pending"] = dict(life._pending or {})
    return known


def _visit(visit: Visit) -> dict[str, Any]:
    known: dict[str, Any] = {name: getattr(visit, name) for name in attributes_of(Visit)}
    known["tally"] = (visit.tally.queue, visit.tally.channel)
    return known


def _held(apply: Any, item: Visit | Note | Response | Reply, sign: int) -> tuple[Any, ...]:
    """What is held back, as far as it will be counted."""
    tally = apply.__self__
    what = (apply.__name__, tally.queue, tally.channel, sign)
    if not isinstance(item, Visit):
        return *what, item
    known: list[Any] = [item.opened_ms, item.known_ms, item.direct, item.segment, item.policy]
    if apply.__name__ == "apply_closed":
        known += [item.closed_ms, item.outcome, item.reason]
    return *what, tuple(known)


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two states differ, and how."""
    if one == other:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for name in dict.fromkeys([*one, *other]):
            found += differences(one.get(name, "-"), other.get(name, "-"), f"{path}/{name}")
        return found
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for at, (a, b) in pairs for line in differences(a, b, f"{path}/{at}")]
    return [f"{path}: {one!r} is not {other!r}"]
