"""What `/metrics` says of one queue: its series, and which of them can be shown now.

At most 200 series of a queue and channel as floorwatch comes, corrections apart, whatever its
events say: hence the outcomes and clocks chosen below, and the edges in `exposition_text`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, get_args

from schemas import metric_names as m
from schemas.events import AgentState, RefusedReason
from streams.core.contact import UNKNOWN
from streams.core.figures import QUANTILES, Live, counters_of, ratio_figures, spread_of
from streams.core.floor import QueueFloor, is_withheld, waiting_drift
from streams.core.formulas import DEFAULT_FORMULA, FORMULA_IDS
from streams.core.frame import Key
from streams.core.policy import PolicyBook, QueuePolicy, VisitPolicy
from streams.core.tally import RESPONSE_MS, Sums
from streams.exposition_text import HistogramText, line, seconds, series

Texts = tuple[str, ...]
"""One text per metric: all its samples, or "" where it has none."""

_TALLIED: Final[Mapping[str, m.Metric]] = {
    "offered": m.CONTACTS_OFFERED,
    "answered": m.CONTACTS_ANSWERED,
    "abandoned": m.CONTACTS_ABANDONED,
    "left": m.CONTACTS_LEFT,
    "expired": m.CONTACTS_EXPIRED,
    "refused": m.CONTACTS_REFUSED,
    "transferred": m.CONTACTS_TRANSFERRED,
    "instant": m.CONTACTS_INSTANT,
    "sent_to_wait": m.CONTACTS_SENT_TO_WAIT,
    "bot_contained": m.CONTACTS_BOT_CONTAINED,
    "service_level_events": m.SERVICE_LEVEL_EVENTS,
    "initial_response_events": m.INITIAL_RESPONSE_EVENTS,
}
"""The core's counters by the first part of their names; the other parts are label values."""

_ALWAYS_COUNTED: Final = (
    "offered",
    "answered:true",
    "answered:false",
    "abandoned:short",
    "abandoned:before_threshold",
    "abandoned:after_threshold",
    "left:timeout:true",
    "left:timeout:false",
    "expired",
    *(f"refused:{reason}" for reason in get_args(RefusedReason)),
    "transferred",
    f"sent_to_wait:{UNKNOWN}",
    "bot_contained",
    "service_level_events:true",
    "service_level_events:false",
    "initial_response_events:true",
    "initial_response_events:false",
)
"""Shown at 0 from the start: a counter that appears at 1 has lost its first event."""

_WAITS: Final = ("answered", "abandoned")
_CLOCKS: Final = ("asked", "handoff", "assignment")
"""`asked` from the start, the others once they have run."""

_LIVE: Final = (
    m.CONTACTS_WAITING,
    m.CONTACTS_WAITING_PAST_THRESHOLD,
    m.OLDEST_WAITING,
    m.CONTACTS_AWAITING_REPLY,
    m.OLDEST_AWAITING_REPLY,
)
_WINDOWED: Final = (
    m.WINDOW_CONTACTS,
    m.SERVICE_LEVEL,
    m.SERVICE_LEVEL_CONTACTS,
    m.SERVICE_LEVEL_LOW,
    m.SERVICE_LEVEL_HIGH,
    m.INSTANT_SERVICE,
    m.ABANDONMENT,
    m.INITIAL_RESPONSE_WITHIN,
    m.INITIAL_RESPONSE_WINDOW,
)
_OUTCOMES: Final = ("offered", "answered", "abandoned", "left", "expired")
_POLICY: Final = (
    m.SERVICE_LEVEL_THRESHOLD,
    m.SERVICE_LEVEL_TARGET,
    m.LONGEST_WAIT_LIMIT,
    m.INITIAL_RESPONSE_LIMIT,
    m.INSTANT_TARGET,
    m.ABANDONMENT_LIMIT,
    m.ALERT_MIN_CONTACTS,
    m.SERVICE_LEVEL_FORMULA,
    m.QUEUE_INFO,
)

CHANNEL_METRICS: Final = (
    *_TALLIED.values(),
    m.CORRECTIONS,
    m.WAIT,
    m.INITIAL_RESPONSE,
    *_LIVE,
    *_WINDOWED,
    *_POLICY,
    m.QUEUE_SCHEDULED_OPEN,
    m.QUEUE_AS_OF,
    m.CONSERVATION_VIOLATIONS,
)
"""What `ChannelText` writes, in its order."""

QUEUE_METRICS: Final = (
    m.AGENTS,
    m.QUEUE_OPEN,
    m.QUEUE_OUT_OF_SERVICE_SINCE,
    m.WAITING_DRIFT,
)
"""What `QueueText` writes, in its order."""

_NO_LIVE: Final = ("",) * len(_LIVE)
_NO_WINDOWS: Final = ("",) * len(_WINDOWED)
_NO_QUEUE: Final = ("",) * len(QUEUE_METRICS)


class _Kept:
    """Texts, and what they were written from: written anew only when that has changed."""

    __slots__ = ("_source", "_texts")

    def __init__(self) -> None:
        self._source: object = None
        self._texts: Texts = ()

    def of(self, source: object, write: Callable[[], Texts]) -> Texts:
        """The texts of *source*, a copy that nobody changes."""
        if source != self._source:
            self._texts = write()
            self._source = source
        return self._texts


class ChannelText:
    """The series of one queue and channel.

    The live and window figures of a queue that is behind, or whose sources are silent, are left
    out: no series, rather than a wrong one. What only rises, and the policy, stay.
    """

    def __init__(self, key: Key, edges_ms: tuple[int, ...], windows: Iterable[str]) -> None:
        self._key = key
        self._counters = _CounterText(key)
        self._corrections: dict[tuple[str, str], str] = {}
        self._waits = [(name, HistogramText(m.WAIT, edges_ms, *key, name)) for name in _WAITS]
        self._responses = [
            (clock, HistogramText(m.INITIAL_RESPONSE, edges_ms, *key, clock)) for clock in _CLOCKS
        ]
        self._live = [series(metric, *key) for metric in _LIVE]
        self._windows = [_WindowText(key, window) for window in windows]
        self._scheduled_open = series(m.QUEUE_SCHEDULED_OPEN, *key)
        self._as_of = series(m.QUEUE_AS_OF, *key)
        self._violations = series(m.CONSERVATION_VIOLATIONS, *key)
        self._kept_corrections = _Kept()
        self._kept_policy = _Kept()

    def write(self, queue: QueueFloor, policies: PolicyBook, now_ms: int) -> Texts:
        """One text for each of `CHANNEL_METRICS`, with the policy in force at *now_ms*."""
        policy = policies.queue(*self._key, now_ms)
        visits = policies.visit(*self._key, now_ms)
        corrections = dict(queue.corrections)
        withheld = is_withheld(queue)
        return (
            *self._counters.write(queue.counters, visits),
            *self._kept_corrections.of(corrections, lambda: self._write_corrections(corrections)),
            "".join([text.write(queue.waits.get(name)) for name, text in self._waits]),
            self._write_responses(queue),
            *(_NO_LIVE if withheld else self._write_live(queue.live)),
            *(_NO_WINDOWS if withheld else self._write_windows(queue, policy)),
            *self._kept_policy.of((policy, visits), lambda: self._write_policy(policy, visits)),
            line(self._scheduled_open, int(policy.hours.is_open_at(now_ms))),
            line(self._as_of, seconds(_as_of_ms(queue, now_ms))),
            line(self._violations, queue.violations),
        )

    def _write_corrections(self, corrections: Mapping[tuple[str, str], int]) -> Texts:
        prefixes = self._corrections
        for pair in corrections:
            if pair not in prefixes:
                prefixes[pair] = series(m.CORRECTIONS, *self._key, *pair)
        return ("".join([f"{prefixes[pair]}{n}\n" for pair, n in corrections.items()]),)

    def _write_responses(self, queue: QueueFloor) -> str:
        texts = []
        for clock, text in self._responses:
            histogram = queue.responses.get(clock)
            if clock == "asked" or (histogram is not None and any(histogram.counts)):
                texts.append(text.write(histogram))
        return "".join(texts)

    def _write_live(self, live: Live) -> Texts:
        """Who waits; a timestamp of nobody is 0."""
        waiting, past, oldest, awaiting, oldest_awaiting = self._live
        return (
            f"{waiting}{live.waiting}\n",
            f"{past}{live.waiting_past}\n",
            f"{oldest}{seconds(live.oldest_ms or 0)}\n",
            f"{awaiting}{live.awaiting}\n",
            f"{oldest_awaiting}{seconds(live.oldest_awaiting_ms or 0)}\n",
        )

    def _write_windows(self, queue: QueueFloor, policy: QueuePolicy) -> Texts:
        formulas: tuple[str, ...] = FORMULA_IDS
        if policy.export_formulas == "own":
            formulas = tuple(dict.fromkeys((policy.formula, DEFAULT_FORMULA)))
        rows = [
            text.write(queue.windows[text.window], queue.live, formulas)
            for text in self._windows
            if text.window not in queue.incomplete
        ]
        return tuple(map("".join, zip(*rows, strict=True))) or _NO_WINDOWS

    def _write_policy(self, policy: QueuePolicy, visits: VisitPolicy) -> Texts:
        key = self._key

        def text(metric: m.Metric, value: float | None) -> str:
            return line(series(metric, *key), value)

        limits = (
            ("warning", policy.longest_wait_warning_ms),
            ("critical", policy.longest_wait_critical_ms),
        )
        return (
            text(m.SERVICE_LEVEL_THRESHOLD, seconds(visits.threshold_ms)),
            text(m.SERVICE_LEVEL_TARGET, policy.target_ratio),
            "".join(
                [
                    line(series(m.LONGEST_WAIT_LIMIT, *key, severity), seconds(limit_ms))
                    for severity, limit_ms in limits
                ]
            ),
            text(m.INITIAL_RESPONSE_LIMIT, seconds(visits.initial_response_limit_ms)),
            text(m.INSTANT_TARGET, policy.instant_target_ratio),
            text(m.ABANDONMENT_LIMIT, policy.abandonment_limit_ratio),
            text(m.ALERT_MIN_CONTACTS, policy.volume_floor),
            line(series(m.SERVICE_LEVEL_FORMULA, *key, policy.formula), 1),
            line(series(m.QUEUE_INFO, *key, policy.name, policy.site, policy.team), 1),
        )


class _CounterText:
    """The counters of one queue and channel."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._prefixes: dict[str, dict[str, str]] = {family: {} for family in _TALLIED}
        self._known: set[str] = set()
        self._kept = _Kept()
        for name in _ALWAYS_COUNTED:
            self._know(name)

    def write(self, counters: Mapping[str, int], visits: VisitPolicy) -> Texts:
        """One text for each metric of `_TALLIED`."""
        if visits.instant_within_ms is not None:
            self._know(f"instant:{UNKNOWN}")
        counted = dict(counters)
        return self._kept.of(counted, lambda: self._write(counted))

    def _write(self, counters: Mapping[str, int]) -> Texts:
        for name in counters.keys() - self._known:
            self._know(name)
        count_of = counters.get
        return tuple(
            [
                "".join([f"{prefix}{count_of(name, 0)}\n" for name, prefix in prefixes.items()])
                for prefixes in self._prefixes.values()
            ]
        )

    def _know(self, name: str) -> None:
        """Show the counter *name* from now on; a reason in time and not in time."""
        if name in self._known:
            return
        self._known.add(name)
        family, _, rest = name.partition(":")
        metric = _TALLIED[family]
        own_labels = len(metric.labels) - len(self._key)
        values = rest.split(":", own_labels - 1) if own_labels else []
        self._prefixes[family][name] = series(metric, *self._key, *values)
        if family == "left":
            for within in ("true", "false"):
                self._know(f"left:{values[0]}:{within}")


class _WindowText:
    """The figures of one window of a queue and channel."""

    def __init__(self, key: Key, window: str) -> None:
        self.window = window
        labels = (*key, window)
        self._labels = labels
        self._contacts = [(name, series(m.WINDOW_CONTACTS, *labels, name)) for name in _OUTCOMES]
        self._levels: dict[str, tuple[str, str]] = {}
        self._ratios = [
            (name, series(metric, *labels))
            for name, metric in (
                ("service_level_low", m.SERVICE_LEVEL_LOW),
                ("service_level_high", m.SERVICE_LEVEL_HIGH),
                ("instant_service_ratio", m.INSTANT_SERVICE),
                ("abandonment_ratio", m.ABANDONMENT),
                ("initial_response_within_ratio", m.INITIAL_RESPONSE_WITHIN),
            )
        ]
        self._percentiles = [
            (name, series(m.INITIAL_RESPONSE_WINDOW, *labels, str(percent)))
            for name, percent in QUANTILES.items()
        ]
        self._kept = _Kept()

    def write(self, sums: Sums, live: Live, formulas: tuple[str, ...]) -> Texts:
        """One text for each of `_WINDOWED`; nothing where there is nothing to divide by."""
        source = (
            tuple(sums.counts),
            dict(sums.responses),
            (live.waiting, live.waiting_past),
            formulas,
        )
        return self._kept.of(source, lambda: self._write(sums, live, formulas))

    def _write(self, sums: Sums, live: Live, formulas: tuple[str, ...]) -> Texts:
        counters = counters_of(sums)
        figures = ratio_figures(sums, live, formulas, by_arrival=False)
        responses = spread_of(sums.responses, sums.counts[RESPONSE_MS])
        levels = [
            (*self._prefixes_of(formula), ratio, figures["service_level_n"][formula])
            for formula, ratio in figures["service_level"].items()
        ]
        return (
            "".join([f"{prefix}{counters[name]}\n" for name, prefix in self._contacts]),
            "".join([line(of_ratio, ratio) for of_ratio, _, ratio, _ in levels]),
            "".join([line(of_count, count) for _, of_count, _, count in levels]),
            *(line(prefix, figures[name]) for name, prefix in self._ratios),
            "".join([line(prefix, responses[name]) for name, prefix in self._percentiles]),
        )

    def _prefixes_of(self, formula: str) -> tuple[str, str]:
        known = self._levels.get(formula)
        if known is None:
            known = self._levels[formula] = (
                series(m.SERVICE_LEVEL, *self._labels, formula),
                series(m.SERVICE_LEVEL_CONTACTS, *self._labels, formula),
            )
        return known


class QueueText:
    """What is known of a queue in all its channels: its agents, its door, a source's own count."""

    def __init__(self, queue: str) -> None:
        self._agents = {state: series(m.AGENTS, queue, state) for state in get_args(AgentState)}
        self._open = series(m.QUEUE_OPEN, queue)
        self._out_of_service = series(m.QUEUE_OUT_OF_SERVICE_SINCE, queue)
        self._drift = series(m.WAITING_DRIFT, queue)

    def write(self, channels: Sequence[QueueFloor], now_ms: int) -> Texts:
        """One text for each of `QUEUE_METRICS`, from all *channels* of the queue.

        Withheld where every channel is; the drift, which needs all of them, where any is.
        """
        shown = next((queue for queue in channels if not is_withheld(queue)), None)
        if shown is None:
            return _NO_QUEUE
        states = shown.live.agents
        door = shown.door
        failed = door is not None and not door.is_open and door.reason == "fault"
        return (
            ""
            if states is None
            else "".join([line(of, states.get(name, 0)) for name, of in self._agents.items()]),
            line(self._open, None if door is None else int(door.is_open)),
            line(self._out_of_service, seconds(door.since_ms) if door and failed else None),
            line(self._drift, waiting_drift(channels, now_ms)),
        )


def _as_of_ms(queue: QueueFloor, now_ms: int) -> int:
    """Where what is known of *queue* stands; a queue without contacts is known as of now."""
    as_of_ms = queue.as_of_ms or now_ms
    silent_ms = queue.no_data_since_ms
    return as_of_ms if silent_ms is None else min(as_of_ms, silent_ms)
