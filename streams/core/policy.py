"""What a queue promises: its policy, layered from general to specific, and dated.

A value is looked up from the most specific layer to the most general one: what the command line
overrides, queue and channel, queue, channel, defaults, and what floorwatch assumes by itself. In
each layer the latest entry that has begun counts; before a layer's first entry the next, more
general layer does. A channel that is not one of `CHANNELS` follows messaging where it has no
setting of its own.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, Final, Literal, TypeVar

from streams.core.durations import read_zone, write_duration
from streams.core.opening_hours import OpeningHours

ALWAYS: Final = -(1 << 63)
"""The instant from which an undated value counts."""
FOREVER: Final = (1 << 63) - 1

WINDOWS: Final = ("5m", "15m", "30m", "60m", "day")
INSTANT_CHANNELS: Final = ("voice", "chat")
"""Where instant service means something; elsewhere nobody waits in a line to be served at once."""

ExportFormulas = Literal["own", "all"]

Dated = tuple[tuple[int, Any], ...]
"""(from_ms, value) pairs, in the order of time."""
Place = tuple[str, str]
"""A queue and a channel that policies tell apart; "" stands for all others."""
Layer = Mapping[str, Dated]

V = TypeVar("V")

_SECRET_KEY: Final = re.compile(r"(password|secret|token)[^.]*$", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"[^\s'\"/@]+@")
_SHOWN_LENGTH: Final = 80

_S: Final = 1_000
_MIN: Final = 60 * _S
_H: Final = 60 * _MIN
_D: Final = 24 * _H


def undated(**values: object) -> Layer:
    """A layer of *values* that count at all times."""
    return {key: ((ALWAYS, value),) for key, value in values.items()}


CHANNELS: Final[Mapping[str, Layer]] = {
    "voice": undated(
        threshold=20 * _S,
        instant_within=2 * _S,
        initial_response_limit=20 * _S,
        expires_after=2 * _H,
    ),
    "chat": undated(
        threshold=2 * _MIN,
        instant_within=5 * _S,
        initial_response_limit=2 * _MIN,
        expires_after=24 * _H,
    ),
    "messaging": undated(
        threshold=15 * _MIN, initial_response_limit=15 * _MIN, expires_after=14 * _D
    ),
    "email": undated(threshold=24 * _H, initial_response_limit=24 * _H, expires_after=14 * _D),
}
"""What differs by channel where nothing is set."""

DEFAULTS: Final[Layer] = undated(
    target=0.8,
    short_abandon=5 * _S,
    instant_target=None,
    formula="strict",
    abandonment_limit=0.1,
    volume_floor=10,
    hours=(),
    zone="UTC",
    name="",
    site="",
    team="",
    windows=("15m", "day"),
    export_formulas="own",
    **{"longest_wait_limit.warning": None, "longest_wait_limit.critical": None},
)
"""What is the same for every channel where nothing is set."""

WARNING_THRESHOLDS: Final = 6
CRITICAL_THRESHOLDS: Final = 15
"""The limits of the longest wait, in thresholds, where they are not set."""

VISIT_KEYS: Final = (
    "threshold",
    "short_abandon",
    "instant_within",
    "initial_response_limit",
    "expires_after",
)
"""The values that decide a class or an event, so that a visit keeps those of its opening."""


class BadSetting(Exception):
    """The operator's settings are wrong; floorwatch does not start.

    The message is one line: the key, the value (cut when long, credentials masked) and what
    would be right.

    Attributes:
        key: the path of the setting, as `policy.queues.sales.threshold`.
        where: where it was set, as `floorwatch.yaml:12`; "" when nobody knows.
    """

    def __init__(self, key: str, problem: str, *, value: object = ...) -> None:
        shown = "" if value is ... else f"={_shown(key, value)}"
        super().__init__(f"{key}{shown}: {problem}")
        self.key = key
        self.where = ""

    def __str__(self) -> str:
        """The line that the operator reads."""
        message = super().__str__()
        return f"{self.where}: {message}" if self.where else message


@dataclass(frozen=True, slots=True)
class VisitPolicy:
    """What decides a visit's class and its events; in force at the visit's opening.

    Attributes:
        threshold_ms: T; a wait of exactly T is within it.
        short_abandon_ms: S; an abandonment after at most S is a short one.
        instant_within_ms: longest wait that is still instant service; 0 means never queued only;
            None where instant service is undefined (every channel but voice and chat).
        initial_response_limit_ms: a first reply after exactly this long is within it.
        expires_after_ms: a visit without outcome for longer than this expires.
    """

    threshold_ms: int
    short_abandon_ms: int
    instant_within_ms: int | None
    initial_response_limit_ms: int
    expires_after_ms: int


Periods = tuple[tuple[int, VisitPolicy], ...]
"""From when on each policy holds, in the order of time; the first one has always begun."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """What of a policy decides classes, events and days: all that has been counted rests on it.

    Attributes:
        visits: what decides about visits, by place. Every queue in it is there with every channel.
        zones: the zone that days are cut in, by the same places.
        was: old queue id to the new one, and from when on it means that.
        lineage: how often it has been set anew, whatever had been counted before.
    """

    visits: Mapping[Place, Periods]
    zones: Mapping[Place, str]
    was: Mapping[str, tuple[str, int]]
    lineage: int = 0

    def place(self, queue: str, channel: str) -> Place:
        """Where *queue* and *channel* belong."""
        return (
            queue if (queue, "") in self.visits else "",
            channel if ("", channel) in self.visits else "",
        )

    def queues(self) -> tuple[str, ...]:
        """All that are told apart, "" included."""
        return tuple(queue for queue, channel in self.visits if not channel)

    def channels(self) -> tuple[str, ...]:
        """All that are told apart, "" included."""
        return tuple(channel for queue, channel in self.visits if not queue)


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How a queue is judged and shown; none of it changes a visit's class.

    Attributes:
        target_ratio: the service level that is promised, 0 to 1.
        instant_target_ratio: the instant service ratio that is promised; None: no promise, or
            instant service is undefined for the channel.
        formula: the id of the formula that the wall and the alerts use.
        longest_wait_warning_ms: the queue is to be watched when the longest wait passes it.
        longest_wait_critical_ms: the queue is in trouble when the longest wait passes it.
        abandonment_limit_ratio: the abandonment ratio that is still acceptable, 0 to 1.
        volume_floor: a ratio that rests on fewer contacts than this never alarms anyone.
        hours: when the queue is meant to be open.
        zone: the zone of the queue's own day.
        zone_name: that zone as written in the settings.
        name: what people call the queue; its id where nothing is set.
        site: where it is answered; "" when not set.
        team: who answers it; "" when not set.
        windows: the windows on the wall, out of `WINDOWS`.
        export_formulas: "own" for the queue's own formula and `strict`, or "all".
    """

    target_ratio: float
    instant_target_ratio: float | None
    formula: str
    longest_wait_warning_ms: int
    longest_wait_critical_ms: int
    abandonment_limit_ratio: float
    volume_floor: int
    hours: OpeningHours
    zone: tzinfo
    zone_name: str
    name: str
    site: str
    team: str
    windows: tuple[str, ...]
    export_formulas: ExportFormulas


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLayer:
    """What is set for one queue.

    Attributes:
        own: for all its channels.
        channels: for one channel each; an empty layer names the channel.
        was: the queue's old ids, each with the instant from which it means this queue.
    """

    own: Layer = field(default_factory=dict)
    channels: Mapping[str, Layer] = field(default_factory=dict)
    was: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLayers:
    """All that is set, before it is worked out for each queue and channel."""

    defaults: Layer = field(default_factory=dict)
    channels: Mapping[str, Layer] = field(default_factory=dict)
    queues: Mapping[str, QueueLayer] = field(default_factory=dict)
    overrides: Layer = field(default_factory=dict)


class PolicyBook:
    """The policy of every queue and channel at every instant, worked out once.

    Unlisted queues share one policy per channel, so hostile queue names cannot make the book grow.

    Attributes:
        deciding: what of it decides classes, events and days.
        renamed: whether any queue has old ids, so that `canonical` changes anything.
    """

    def __init__(
        self, layers: PolicyLayers | None = None, deciding: Deciding | None = None
    ) -> None:
        """Work out *layers*; without them, floorwatch's own defaults.

        With *deciding*, that decides classes, events and days, whatever *layers* say of it.

        Raises:
            BadSetting: when values contradict each other in some queue and channel at some time.
        """
        self._layers = layers or PolicyLayers()
        queues = self._layers.queues
        listed = {*CHANNELS, *self._layers.channels}
        for queue in queues.values():
            listed.update(queue.channels)
        queue_ids = dict.fromkeys(("", *queues))
        if deciding is not None:
            listed.update(channel for channel in deciding.channels() if channel)
            queue_ids |= dict.fromkeys(deciding.queues())
        self._channels: Final = frozenset(listed)
        self._queue_ids: Final = frozenset(queue_ids)
        self._visits: dict[Place, Periods] = {}
        self._queues: dict[Place, tuple[tuple[int, QueuePolicy], ...]] = {}
        zones: dict[Place, str] = {}
        for queue_id in queue_ids:
            for channel in ("", *sorted(listed)):
                place = (queue_id, channel)
                if deciding is None:
                    self._visits[place] = self._work_out(queue_id, channel)
                    zones[place] = _value(self._in_order(*place), "zone", ALWAYS)
                else:
                    known = deciding.place(queue_id, channel)
                    self._visits[place] = deciding.visits[known]
                    zones[place] = deciding.zones[known]
                self._queues[place] = self._judged(queue_id, channel, zones[place])
        self._steady: dict[str, dict[str, VisitPolicy]] = {queue_id: {} for queue_id in queue_ids}
        for (queue_id, channel), periods in self._visits.items():
            if channel and len(periods) == 1:
                self._steady[queue_id][channel] = periods[0][1]
        self._steady_unlisted: Final = self._steady[""]
        own_was = _old_ids(queues)
        self._was: Final = own_was if deciding is None else dict(deciding.was)
        self.renamed: Final = bool(self._was)
        lineage = 0 if deciding is None else deciding.lineage
        self.deciding: Final = Deciding(self._visits, zones, self._was, lineage)

    def visit(self, queue: str, channel: str, at_ms: int) -> VisitPolicy:
        """What decides the class and the events of a visit that opens at *at_ms*."""
        steady = self._steady.get(queue, self._steady_unlisted).get(channel)
        if steady is not None:
            return steady
        return in_force(self._visits[self._listed(queue, channel)], at_ms)

    def queue(self, queue: str, channel: str, at_ms: int) -> QueuePolicy:
        """How *queue* is judged and shown at *at_ms*."""
        key = self._listed(queue, channel)
        policy = in_force(self._queues[key], at_ms)
        return policy if policy.name else replace(policy, name=queue)

    def canonical(self, queue: str, at_ms: int = FOREVER) -> str:
        """The queue that *queue* means at *at_ms*: itself, or the one it was folded into."""
        new, from_ms = self._was.get(queue, (queue, ALWAYS))
        return new if at_ms >= from_ms else queue

    def periods(self, queue: str, channel: str) -> Periods:
        """From when on what decides about visits."""
        return self._visits[self._listed(queue, channel)]

    def is_dated(self, queue: str, channel: str) -> bool:
        """Whether what decides a class changes over time."""
        return len(self._visits[self._listed(queue, channel)]) > 1

    def thresholds_ms(self) -> tuple[int, ...]:
        """Every threshold that some visit can have, ascending: edges that histograms need."""
        every = {policy.threshold_ms for periods in self._visits.values() for _, policy in periods}
        return tuple(sorted(every))

    def initial_response_limits_ms(self) -> tuple[int, ...]:
        """Every initial response limit that some contact can have, ascending."""
        periods = self._visits.values()
        return tuple(sorted({p.initial_response_limit_ms for each in periods for _, p in each}))

    def known(self) -> Iterable[tuple[str, str]]:
        """The (queue, channel) pairs that the settings name, in their order.

        A queue whose settings name no channel is known only once a contact arrives: it may be of
        any channel.
        """
        return tuple(
            (queue_id, channel)
            for queue_id, queue in self._layers.queues.items()
            for channel in queue.channels
        )

    def is_named(self, queue: str, channel: str = "") -> bool:
        """Whether the settings name *queue*, and *channel* is one of theirs or ours, if given."""
        return queue in self._layers.queues and (not channel or channel in self._channels)

    def overridden(
        self,
        *,
        threshold_ms: int | None = None,
        short_abandon_ms: int | None = None,
        instant_within_ms: int | None = None,
        formula: str | None = None,
        zone_name: str | None = None,
    ) -> "PolicyBook":
        """This book with the given values in force for every queue and channel, at all times.

        Instant service stays undefined where it is undefined.

        Raises:
            BadSetting: when a value contradicts another one.
        """
        values = {
            "threshold": threshold_ms,
            "short_abandon": short_abandon_ms,
            "instant_within": instant_within_ms,
            "formula": formula,
            "zone": zone_name,
        }
        given = undated(**{key: value for key, value in values.items() if value is not None})
        overrides = {**self._layers.overrides, **given}
        return PolicyBook(replace(self._layers, overrides=overrides))

    def under(self, deciding: Deciding) -> "PolicyBook":
        """This book with *deciding* in place of what it says itself of classes, events and days."""
        return self if self.deciding == deciding else PolicyBook(self._layers, deciding)

    def path_of(self, queue: str, channel: str, key: str, at_ms: int) -> str:
        """The setting from which the value of *key* comes; where one could set it, if none does."""
        names = (channel,) if channel in CHANNELS else (channel, "messaging")
        paths = (
            "policy",
            *(f"policy.queues.{queue}.channels.{name}" for name in names),
            f"policy.queues.{queue}",
            *(f"policy.channels.{name}" for name in names),
            "policy.defaults",
        )
        for path, layer in zip(paths, self._in_order(queue, channel), strict=False):
            if any(from_ms <= at_ms for from_ms, _ in layer.get(key, ())):
                return f"{path}.{key}"
        return f"policy.queues.{queue}.{key}" if queue else _path(queue, channel, key)

    def __eq__(self, other: object) -> bool:
        """Whether both books give the same answers."""
        if not isinstance(other, PolicyBook):
            return NotImplemented
        return (self._visits, self._queues, self._was, self.known()) == (
            other._visits,
            other._queues,
            other._was,
            other.known(),
        )

    __hash__ = None  # type: ignore[assignment] # equal books may be built from different layers

    def _listed(self, queue: str, channel: str) -> tuple[str, str]:
        """The key under which *queue* and *channel* are worked out; "" stands for all unlisted."""
        return (
            queue if queue in self._queue_ids else "",
            channel if channel in self._channels else "",
        )

    def _work_out(self, queue_id: str, channel: str) -> Periods:
        layers = self._in_order(queue_id, channel)
        visits: list[tuple[int, VisitPolicy]] = []
        for at_ms in _beginnings(layers, VISIT_KEYS):
            policy = _visit_policy(layers, channel, at_ms)
            if policy.expires_after_ms <= policy.threshold_ms:
                raise _contradiction(queue_id, channel, policy, "threshold", policy.threshold_ms)
            if policy.expires_after_ms <= policy.initial_response_limit_ms:
                limit_ms = policy.initial_response_limit_ms
                raise _contradiction(queue_id, channel, policy, "initial_response_limit", limit_ms)
            if not visits or visits[-1][1] != policy:
                visits.append((at_ms, policy))
        return tuple(visits)

    def _judged(
        self, queue_id: str, channel: str, zone_name: str
    ) -> tuple[tuple[int, QueuePolicy], ...]:
        """How the queue is judged, its days cut in that zone and its visits known."""
        layers = self._in_order(queue_id, channel)
        visits = self._visits[queue_id, channel]
        queues: list[tuple[int, QueuePolicy]] = []
        beginnings = {*_beginnings(layers, DEFAULTS), *(from_ms for from_ms, _ in visits)}
        for at_ms in sorted(beginnings):
            threshold_ms = in_force(visits, at_ms).threshold_ms
            look = _queue_policy(layers, queue_id, channel, at_ms, threshold_ms, zone_name)
            if not queues or queues[-1][1] != look:
                queues.append((at_ms, look))
        return tuple(queues)

    def _in_order(self, queue_id: str, channel: str) -> tuple[Layer, ...]:
        """The layers that hold for *queue_id* and *channel*, the most specific one first."""
        queue = self._layers.queues.get(queue_id, QueueLayer())
        names = (channel,) if channel in CHANNELS else (channel, "messaging")
        nothing: Layer = {}
        return (
            self._layers.overrides,
            *(queue.channels.get(name, nothing) for name in names),
            queue.own,
            *(self._layers.channels.get(name, nothing) for name in names),
            self._layers.defaults,
            CHANNELS[names[-1]],
            DEFAULTS,
        )


def in_force(periods: tuple[tuple[int, V], ...], at_ms: int) -> V:
    """The latest entry that has begun; the first one has always begun."""
    for from_ms, value in reversed(periods[1:]):
        if from_ms <= at_ms:
            return value
    return periods[0][1]


def _beginnings(layers: Iterable[Layer], keys: Iterable[str]) -> list[int]:
    """Every instant at which one of *keys* may change, ascending, `ALWAYS` first."""
    wanted = tuple(keys)
    entries = (layer.get(key, ()) for layer in layers for key in wanted)
    return sorted({ALWAYS, *(from_ms for dated in entries for from_ms, _ in dated)})


def _value(layers: Iterable[Layer], key: str, at_ms: int) -> Any:  # noqa: ANN401 # typed by key
    """The value of *key* at *at_ms*, from the most specific layer that has one by then."""
    for layer in layers:
        for from_ms, value in reversed(layer.get(key, ())):
            if from_ms <= at_ms:
                return value
    return None


def _visit_policy(layers: tuple[Layer, ...], channel: str, at_ms: int) -> VisitPolicy:
    instant_within_ms = _value(layers, "instant_within", at_ms)
    return VisitPolicy(
        threshold_ms=_value(layers, "threshold", at_ms),
        short_abandon_ms=_value(layers, "short_abandon", at_ms),
        instant_within_ms=instant_within_ms if channel in INSTANT_CHANNELS else None,
        initial_response_limit_ms=_value(layers, "initial_response_limit", at_ms),
        expires_after_ms=_value(layers, "expires_after", at_ms),
    )


def _queue_policy(
    layers: tuple[Layer, ...],
    queue_id: str,
    channel: str,
    at_ms: int,
    threshold_ms: int,
    zone_name: str,
) -> QueuePolicy:
    def value(key: str) -> Any:  # noqa: ANN401 # typed by key
        return _value(layers, key, at_ms)

    warning_ms, critical_ms = _longest_wait_limits(
        threshold_ms,
        value("longest_wait_limit.warning"),
        value("longest_wait_limit.critical"),
    )
    if warning_ms > critical_ms:
        raise BadSetting(
            _path(queue_id, channel, "longest_wait_limit.warning"),
            f"expected at most the critical limit, {write_duration(critical_ms)}",
            value=write_duration(warning_ms),
        )
    zone = read_zone(zone_name)
    return QueuePolicy(
        target_ratio=value("target"),
        instant_target_ratio=value("instant_target") if channel in INSTANT_CHANNELS else None,
        formula=value("formula"),
        longest_wait_warning_ms=warning_ms,
        longest_wait_critical_ms=critical_ms,
        abandonment_limit_ratio=value("abandonment_limit"),
        volume_floor=value("volume_floor"),
        hours=OpeningHours(value("hours"), zone),
        zone=zone,
        zone_name=zone_name,
        name=value("name") or queue_id,
        site=value("site"),
        team=value("team"),
        windows=value("windows"),
        export_formulas=value("export_formulas"),
    )


def _longest_wait_limits(
    threshold_ms: int, warning_ms: int | None, critical_ms: int | None
) -> tuple[int, int]:
    """Both limits; one that is not set follows the threshold but never crosses one that is."""
    if warning_ms is None:
        warning_ms = WARNING_THRESHOLDS * threshold_ms
        if critical_ms is not None:
            warning_ms = min(warning_ms, critical_ms)
    if critical_ms is None:
        critical_ms = max(CRITICAL_THRESHOLDS * threshold_ms, warning_ms)
    return warning_ms, critical_ms


def _old_ids(queues: Mapping[str, QueueLayer]) -> dict[str, tuple[str, int]]:
    """Old id to (new id, from_ms).

    Raises:
        BadSetting: when an old id is still a queue of its own, or belongs to two queues.
    """
    old_ids: dict[str, tuple[str, int]] = {}
    for queue_id, queue in queues.items():
        for old_id, from_ms in queue.was.items():
            key = f"policy.queues.{queue_id}.was"
            if old_id == queue_id or (old_id in queues and from_ms == ALWAYS):
                problem = f"expected an old id, but policy.queues.{old_id} is a queue of its own"
                raise BadSetting(key, problem, value=old_id)
            if old_id in queues and queues[old_id].was:
                problem = f"expected an old id, but policy.queues.{old_id} has old ids of its own"
                raise BadSetting(key, problem, value=old_id)
            if old_id in old_ids:
                problem = f"expected an old id of one queue only, but {old_ids[old_id][0]} has it"
                raise BadSetting(key, problem, value=old_id)
            old_ids[old_id] = (queue_id, from_ms)
    return old_ids


def _shown(key: str, value: object) -> str:
    if _SECRET_KEY.search(key):
        return "'***'"
    written = _CREDENTIALS.sub("***@", repr(value))
    return written if len(written) <= _SHOWN_LENGTH else f"{written[:_SHOWN_LENGTH]}..."


def _path(queue_id: str, channel: str, key: str) -> str:
    """The most specific setting of *key*, where one could mend it."""
    queue = f"queues.{queue_id}." if queue_id else ""
    return f"policy.{queue}channels.{channel or 'messaging'}.{key}"


def _contradiction(
    queue_id: str, channel: str, policy: VisitPolicy, other: str, other_ms: int
) -> BadSetting:
    return BadSetting(
        _path(queue_id, channel, "expires_after"),
        f"expected more than its {other}, {write_duration(other_ms)}",
        value=write_duration(policy.expires_after_ms),
    )
