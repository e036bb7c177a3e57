"""A policy in place of another one, while contacts are counted.

What has been counted keeps its meaning. So what decides a class, an event or a day changes only
from an instant to come, or where nothing has been counted yet; everything else may change at once,
for nothing that is kept rests on it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec

from streams.core.durations import write_duration
from streams.core.policy import (
    VISIT_KEYS,
    BadSetting,
    Deciding,
    Periods,
    Place,
    PolicyBook,
    VisitPolicy,
    in_force,
)

HISTORY_MS: Final = 30 * 24 * 3_600_000
"""A change so long ago need not stand in the settings any more; it holds all the same."""

FORMAT: Final = 1

_OTHER: Final = "_other"


class Refusal(NamedTuple):
    """A value that stays as it was.

    Attributes:
        key: its setting.
        line: the setting, the value that it does not take, and what would be right.
    """

    key: str
    line: str


class Change(NamedTuple):
    """What comes of a new policy: what decides from now on, and what it could not change."""

    deciding: Deciding
    refusals: tuple[Refusal, ...]


def change(old: Deciding, new: PolicyBook, *, now_ms: int, met: Collection[Place] | None) -> Change:
    """What decides once *new* is the policy, while *old* has decided so far.

    Args:
        old: what has decided up to now, and will from instants to come.
        new: the policy as it is set.
        now_ms: up to which nothing may be changed any more, inclusive.
        met: queues and channels of which something may have been counted, a channel of "" for a
            queue of which only agents or doors are known; None where nobody knows which.
    """
    wanted = new.deciding
    if met is not None and any(queue == _OTHER for queue, _ in met):
        met = None
    queues = dict.fromkeys((*wanted.queues(), *old.queues()))
    channels = dict.fromkeys((*wanted.channels(), *old.channels()))
    touched = None if met is None else {_place(queues, channels, *each) for each in met}
    refusals: dict[tuple[str, str], Refusal] = {}
    visits: dict[Place, Periods] = {}
    zones: dict[Place, str] = {}
    for queue in queues:
        for channel in channels:
            place = (queue, channel)
            was, wants = old.place(queue, channel), wanted.place(queue, channel)
            periods, zone = wanted.visits[wants], wanted.zones[wants]
            if touched is None or place in touched:
                refused = _Refusing(new, place, refusals)
                periods = _spliced(old.visits[was], periods, now_ms, refused)
                if zone != old.zones[was]:
                    refused.zone(zone, old.zones[was], now_ms)
                    zone = old.zones[was]
            visits[place], zones[place] = periods, zone
    names = None if met is None else {queue for queue, _ in met}
    renamed = _renamed(old.was, wanted.was, now_ms, names, refusals)
    kept = _told_apart(Deciding(visits, zones, renamed, old.lineage), wanted)
    return Change(kept, tuple(refusals.values()))


def set_anew(old: Deciding, new: PolicyBook) -> Deciding:
    """What decides once everything is counted anew under *new*; all that was kept is of no use."""
    return replace(new.deciding, lineage=old.lineage + 1)


def first_difference(old: Periods, new: Periods) -> int | None:
    """The first instant at which they say different things; None where there is none."""
    for at_ms in sorted({from_ms for from_ms, _ in (*old, *new)}):
        if in_force(old, at_ms) != in_force(new, at_ms):
            return at_ms
    return None


def write_deciding(deciding: Deciding) -> bytes:
    """*deciding* as bytes, the same for the same."""
    numbers: dict[Periods, int] = {}
    places = [
        (queue, channel, numbers.setdefault(periods, len(numbers)), deciding.zones[queue, channel])
        for (queue, channel), periods in deciding.visits.items()
    ]
    table = [[(from_ms, _plain(policy)) for from_ms, policy in periods] for periods in numbers]
    was = [(old, new, from_ms) for old, (new, from_ms) in deciding.was.items()]
    return msgspec.msgpack.encode([FORMAT, table, places, was, deciding.lineage])


def read_deciding(plain: Any) -> Deciding:  # noqa: ANN401 # as decoded
    """What was written.

    Raises:
        ValueError: it was not written here, or by a version that this one cannot read; so do
            TypeError, LookupError and AttributeError.
    """
    version, *rest = plain
    if version != FORMAT:
        raise ValueError("a policy of another format")
    table, places, was, lineage = rest
    periods = [
        tuple((from_ms, VisitPolicy(*policy)) for from_ms, policy in entries) for entries in table
    ]
    return Deciding(
        {(queue, channel): periods[number] for queue, channel, number, _ in places},
        {(queue, channel): zone for queue, channel, _, zone in places},
        {old: (new, from_ms) for old, new, from_ms in was},
        lineage,
    )


class _Refusing:
    """Notes what a place of the new policy may not change, each setting once."""

    def __init__(
        self, new: PolicyBook, place: Place, refusals: dict[tuple[str, str], Refusal]
    ) -> None:
        self._new = new
        self._place = place
        self._refusals = refusals

    def value(self, key: str, value_ms: int | None, was_ms: int | None, at_ms: int) -> None:
        """A duration that stays *was_ms*."""
        is_, was = _written(value_ms), _written(was_ms)
        self._note(
            self._new.path_of(*self._place, key, at_ms),
            is_,
            was,
            f"{was} has been counted with and stays; expected [{was}, {{from: TIME, value: {is_}}}]"
            " with a TIME to come, or a start with --rebuild",
        )

    def zone(self, zone: str, was: str, now_ms: int) -> None:
        """A zone that stays *was*."""
        self._note(
            self._new.path_of(*self._place, "zone", now_ms),
            zone,
            was,
            f"days have been cut in {was}, which stays; expected that, or a start with --rebuild",
        )

    def contradiction(self, policy: VisitPolicy, at_ms: int) -> None:
        """Values that contradict those which stay."""
        self._note(
            self._new.path_of(*self._place, "expires_after", at_ms),
            _written(policy.expires_after_ms),
            "",
            "expected more than the threshold and the initial_response_limit that stay",
        )

    def _note(self, key: str, value: str, was: str, problem: str) -> None:
        line = str(BadSetting(key, problem, value=value))
        self._refusals.setdefault((key, was), Refusal(key, line))


def _spliced(old: Periods, new: Periods, now_ms: int, refused: _Refusing) -> Periods:
    """*old* up to now and *new* afterwards; of values that differ before now, the old ones."""
    if old == new:
        return old
    starts = sorted({from_ms for from_ms, _ in (*old, *new)})
    since_ms = now_ms - HISTORY_MS
    stays = set()
    for at_ms in (since_ms, *(start for start in starts if since_ms < start <= now_ms)):
        was, wants = in_force(old, at_ms), in_force(new, at_ms)
        for key in VISIT_KEYS:
            name = f"{key}_ms"
            if key not in stays and getattr(was, name) != getattr(wants, name):
                stays.add(key)
                is_, so_far = in_force(new, now_ms), in_force(old, now_ms)
                if getattr(is_, name) == getattr(so_far, name):
                    is_, so_far = wants, was
                refused.value(key, getattr(is_, name), getattr(so_far, name), now_ms)
    periods: list[tuple[int, VisitPolicy]] = []
    for at_ms in starts:
        was, wants = in_force(old, at_ms), in_force(new, at_ms)
        policy = VisitPolicy(
            *(
                getattr(was if at_ms <= now_ms or key in stays else wants, f"{key}_ms")
                for key in VISIT_KEYS
            )
        )
        if policy.expires_after_ms <= max(policy.threshold_ms, policy.initial_response_limit_ms):
            refused.contradiction(policy, at_ms)
            return old
        if not periods or periods[-1][1] != policy:
            periods.append((at_ms, policy))
    return tuple(periods)


def _renamed(
    old: Mapping[str, tuple[str, int]],
    new: Mapping[str, tuple[str, int]],
    now_ms: int,
    met: Collection[str] | None,
    refusals: dict[tuple[str, str], Refusal],
) -> dict[str, tuple[str, int]]:
    """Old ids with what they mean: events that have been counted keep their queue."""
    renamed: dict[str, tuple[str, int]] = {}
    for old_id in dict.fromkeys((*old, *new)):
        was, wants = old.get(old_id), new.get(old_id)
        has_begun = was is not None and was[1] <= now_ms
        is_of_the_past = wants is not None and wants[1] <= now_ms
        is_met = met is None or old_id in met
        if was != wants and (has_begun or (is_of_the_past and is_met)):
            queue = (wants or was or ("",))[0]
            key = f"policy.queues.{queue}.was"
            expected = f"{{from: TIME, value: {old_id}}} with a TIME to come"
            if was is not None and has_begun:
                expected = f"{old_id} in policy.queues.{was[0]}.was as before"
            problem = f"what has been counted keeps its queue; expected {expected}, or --rebuild"
            line = str(BadSetting(key, problem, value=old_id))
            refusals.setdefault((key, old_id), Refusal(key, line))
            wants = was
        if wants is not None:
            renamed[old_id] = wants
    # What stays and what is new may make a chain, in which an id would mean a third one.
    for first in [old_id for old_id, (queue, _) in renamed.items() if queue in renamed]:
        second = renamed[first][0]
        old_id = second if old.get(first) == renamed[first] else first
        if second in renamed and old.get(old_id) != renamed[old_id]:
            key = f"policy.queues.{renamed[old_id][0]}.was"
            problem = f"expected no chain: {first} means {second}, which is to be an old id itself"
            line = str(BadSetting(key, problem, value=old_id))
            refusals.setdefault((key, old_id), Refusal(key, line))
            renamed.pop(old_id)
            if old_id in old:
                renamed[old_id] = old[old_id]
    return renamed


def _told_apart(deciding: Deciding, wanted: Deciding) -> Deciding:
    """*deciding* without what *wanted* does not know and nothing tells from all others."""
    visits, zones = deciding.visits, deciding.zones

    def same(one: Iterable[Place], other: Iterable[Place]) -> bool:
        return all(
            visits[a] == visits[b] and zones[a] == zones[b] for a, b in zip(one, other, strict=True)
        )

    queues, channels = deciding.queues(), deciding.channels()
    gone_queues = {
        queue
        for queue in queues
        if (queue, "") not in wanted.visits
        and same([(queue, each) for each in channels], [("", each) for each in channels])
    }
    gone_channels = {
        channel
        for channel in channels
        if ("", channel) not in wanted.visits
        and same([(each, channel) for each in queues], [(each, "") for each in queues])
    }
    if not gone_queues and not gone_channels:
        return deciding
    kept = {
        place: periods
        for place, periods in visits.items()
        if place[0] not in gone_queues and place[1] not in gone_channels
    }
    return replace(deciding, visits=kept, zones={place: zones[place] for place in kept})


def _place(
    queues: Mapping[str, None], channels: Mapping[str, None], queue: str, channel: str
) -> Place:
    return queue if queue in queues else "", channel if channel in channels else ""


def _plain(policy: VisitPolicy) -> tuple[int | None, ...]:
    return tuple(getattr(policy, f"{key}_ms") for key in VISIT_KEYS)


def _written(value_ms: int | None) -> str:
    return "none" if value_ms is None else write_duration(value_ms)
