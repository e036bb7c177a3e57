"""The floor's part of `/metrics` once more, by the client library and from the API's figures.

Slow and plain. What is in the API comes from the API's document, the rest from the floor itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from schemas import metric_names as m
from streams.core.document import floor_document
from streams.core.floor import Floor, QueueFloor
from streams.core.policy import PolicyBook
from streams.core.tally import Histogram

Labels = tuple[str, ...]
Values = Iterable[tuple[Labels, float | None]]

EDGES_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 86400.0)
STATES = ("available", "on_contact", "after_contact_work", "not_ready", "logged_out")
COUNTED: Mapping[m.Metric, tuple[str, ...]] = {
    m.CONTACTS_OFFERED: ("offered",),
    m.CONTACTS_ANSWERED: ("answered:true", "answered:false"),
    m.CONTACTS_ABANDONED: (
        "abandoned:short",
        "abandoned:before_threshold",
        "abandoned:after_threshold",
    ),
    m.CONTACTS_LEFT: ("left:timeout:true", "left:timeout:false"),
    m.CONTACTS_EXPIRED: ("expired",),
    m.CONTACTS_REFUSED: ("refused:full", "refused:closed", "refused:no_agents"),
    m.CONTACTS_TRANSFERRED: ("transferred",),
    m.CONTACTS_INSTANT: (),
    m.CONTACTS_SENT_TO_WAIT: ("sent_to_wait:unknown",),
    m.CONTACTS_BOT_CONTAINED: ("bot_contained",),
    m.SERVICE_LEVEL_EVENTS: ("service_level_events:true", "service_level_events:false"),
    m.INITIAL_RESPONSE_EVENTS: ("initial_response_events:true", "initial_response_events:false"),
}


class SlowExposition(Collector):
    """A collector of everything that is of the floor."""

    def __init__(self, floor: Floor, policies: PolicyBook, windows: Sequence[str]) -> None:
        self.floor = floor
        self.windows = windows
        document = floor_document(floor, policies, name="", clock="wall", ready=True)
        self.tiles = {(tile["queue"], tile["channel"]): tile for tile in document["queues"]}
        self.entries = {
            (entry["queue"], entry["channel"], entry["window"]): entry
            for entry in document["entries"]
        }
        self.known = {
            key: queue
            for key, queue in floor.queues.items()
            if not queue.catching_up and queue.no_data_since_ms is None
        }
        self.policies = policies

    def collect(self) -> Iterator[Metric]:
        """Every family that has a sample."""
        families = (
            *(_counter(metric, self._counted(metric)) for metric in COUNTED),
            _counter(m.CORRECTIONS, self._corrections()),
            self._histograms(m.WAIT, "waits", ("answered", "abandoned"), ()),
            self._histograms(
                m.INITIAL_RESPONSE, "responses", ("asked",), ("handoff", "assignment")
            ),
            *(_gauge(metric, values) for metric, values in self._live()),
            *(_gauge(metric, values) for metric, values in self._of_queues()),
            *(_gauge(metric, values) for metric, values in self._of_windows()),
            *(_gauge(metric, values) for metric, values in self._of_policy()),
            _gauge(m.QUEUE_SCHEDULED_OPEN, self._scheduled_open()),
            _gauge(m.QUEUE_AS_OF, self._as_of()),
            _gauge(
                m.CONSERVATION_VIOLATIONS,
                ((key, queue.violations) for key, queue in self.floor.queues.items()),
            ),
            _gauge(
                m.SOURCE_LAST_EVENT,
                (((name,), ms / 1000) for name, ms in self.floor.sources.last_ms.items()),
            ),
            _gauge(
                m.SOURCE_SILENCE_LIMIT,
                (((name,), 90) for name in sorted(self.floor.sources.beating)),
            ),
        )
        return (family for family in families if family.samples)

    def _counted(self, metric: m.Metric) -> Values:
        family = COUNTED[metric][0].split(":")[0] if COUNTED[metric] else "instant"
        for key, queue in self.floor.queues.items():
            names = dict.fromkeys((*COUNTED[metric], *queue.counters))
            if family == "instant" and self.tiles[key]["policy"]["instant_within_s"] is not None:
                names["instant:unknown"] = None
            for name in tuple(names):
                if name.startswith("left:"):
                    reason = name.split(":")[1]
                    names |= {f"left:{reason}:true": None, f"left:{reason}:false": None}
            for name in names:
                own, _, rest = name.partition(":")
                if own == family:
                    several = len(metric.labels) > 3
                    values = rest.split(":") if several else [rest] if rest else []
                    yield (*key, *values), queue.counters.get(name, 0)

    def _scheduled_open(self) -> Values:
        for key in self.tiles:
            policy = self.policies.queue(*key, self.floor.now_ms)
            yield key, policy.hours.is_open_at(self.floor.now_ms)

    def _as_of(self) -> Values:
        for key, tile in self.tiles.items():
            silent_ms = tile["no_data_since_ms"] or tile["as_of_ms"]
            yield key, min(tile["as_of_ms"], silent_ms) / 1000

    def _corrections(self) -> Values:
        for key, queue in self.floor.queues.items():
            for pair, count in queue.corrections.items():
                yield (*key, *pair), count

    def _histograms(
        self, metric: m.Metric, attribute: str, always: Labels, sometimes: Labels
    ) -> Metric:
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for key, queue in self.floor.queues.items():
            histograms: dict[str, Histogram] = getattr(queue, attribute)
            for name in (*always, *sometimes):
                histogram = histograms.get(name, Histogram(()))
                total = sum(histogram.counts)
                if total or name in always:
                    buckets = [(str(edge), _up_to(histogram, edge)) for edge in EDGES_S]
                    family.add_metric(
                        (*key, name), [*buckets, ("+Inf", total)], histogram.sum_ms / 1000
                    )
        return family

    def _live(self) -> Iterable[tuple[m.Metric, Values]]:
        def of(name: str) -> Values:
            for key in self.known:
                yield key, self.entries[*key, self.windows[0]][name]

        def since(name: str) -> Values:
            for key in self.known:
                yield key, (self.tiles[key][name] or 0) / 1000

        yield m.CONTACTS_WAITING, of("waiting")
        yield m.CONTACTS_WAITING_PAST_THRESHOLD, of("waiting_past_threshold")
        yield m.OLDEST_WAITING, since("oldest_waiting_ms")
        yield m.CONTACTS_AWAITING_REPLY, of("awaiting_reply")
        yield m.OLDEST_AWAITING_REPLY, since("oldest_awaiting_reply_ms")

    def _of_queues(self) -> Iterable[tuple[m.Metric, Values]]:
        tiles = {queue: self.tiles[queue, channel] for queue, channel in self.known}
        agents = {queue: tile["agents"] for queue, tile in tiles.items() if tile["agents"]}
        yield (
            m.AGENTS,
            (
                ((queue, state), states.get(state, 0))
                for queue, states in agents.items()
                for state in STATES
            ),
        )
        yield m.QUEUE_OPEN, (((queue,), tile["open"]) for queue, tile in tiles.items())
        yield (
            m.QUEUE_OUT_OF_SERVICE_SINCE,
            (
                ((queue,), tile["out_of_service_since_ms"] / 1000)
                for queue, tile in tiles.items()
                if tile["out_of_service_since_ms"]
            ),
        )
        yield m.WAITING_DRIFT, (((queue,), self._drift(queue)) for queue in tiles)

    def _drift(self, queue: str) -> int | None:
        channels: list[QueueFloor] = [q for key, q in self.floor.queues.items() if key[0] == queue]
        observed = channels[0].observed
        known = all((queue, each.channel) in self.known for each in channels)
        if observed is None or self.floor.now_ms > observed.order[0] + 60_000 or not known:
            return None
        return sum(each.live.waiting for each in channels) - observed.waiting

    def _of_windows(self) -> Iterable[tuple[m.Metric, Values]]:
        entries: list[tuple[Labels, dict[str, Any]]] = [
            ((*key, window), self.entries[*key, window])
            for key in self.known
            for window in self.windows
        ]

        def of(name: str) -> Values:
            return ((labels, entry[name]) for labels, entry in entries)

        def by_formula(name: str) -> Values:
            for labels, entry in entries:
                policy = self.policies.queue(labels[0], labels[1], self.floor.now_ms)
                for formula, value in entry[name].items():
                    if policy.export_formulas == "all" or formula in ("strict", policy.formula):
                        yield (*labels, formula), value

        yield (
            m.WINDOW_CONTACTS,
            (
                ((*labels, outcome), entry[outcome])
                for labels, entry in entries
                for outcome in ("offered", "answered", "abandoned", "left", "expired")
            ),
        )
        yield m.SERVICE_LEVEL, by_formula("service_level")
        yield m.SERVICE_LEVEL_LOW, of("service_level_low")
        yield m.SERVICE_LEVEL_HIGH, of("service_level_high")
        yield m.SERVICE_LEVEL_CONTACTS, by_formula("service_level_n")
        yield m.INSTANT_SERVICE, of("instant_service_ratio")
        yield m.ABANDONMENT, of("abandonment_ratio")
        yield (
            m.INITIAL_RESPONSE_WINDOW,
            (
                ((*labels, percent), entry["initial_response_s"][f"p{percent}"])
                for labels, entry in entries
                for percent in ("50", "90", "99")
            ),
        )
        yield m.INITIAL_RESPONSE_WITHIN, of("initial_response_within_ratio")

    def _of_policy(self) -> Iterable[tuple[m.Metric, Values]]:
        def of(name: str) -> Values:
            return ((key, tile["policy"][name]) for key, tile in self.tiles.items())

        yield m.SERVICE_LEVEL_THRESHOLD, of("threshold_s")
        yield m.SERVICE_LEVEL_TARGET, of("target")
        yield (
            m.LONGEST_WAIT_LIMIT,
            (
                ((*key, severity), limit)
                for key, tile in self.tiles.items()
                for severity, limit in tile["policy"]["longest_wait_limit_s"].items()
            ),
        )
        yield m.INITIAL_RESPONSE_LIMIT, of("initial_response_limit_s")
        yield m.INSTANT_TARGET, of("instant_target")
        yield m.ABANDONMENT_LIMIT, of("abandonment_limit")
        yield m.ALERT_MIN_CONTACTS, of("volume_floor")
        yield (
            m.SERVICE_LEVEL_FORMULA,
            (((*key, tile["policy"]["formula"]), 1) for key, tile in self.tiles.items()),
        )
        yield (
            m.QUEUE_INFO,
            (
                ((*key, tile["name"], tile["site"], tile["team"]), 1)
                for key, tile in self.tiles.items()
            ),
        )


def _up_to(histogram: Histogram, edge_s: float) -> int:
    """How many durations were at most *edge_s*, one of the edges."""
    if not histogram.edges_ms:
        return 0
    reached = dict(zip(histogram.edges_ms, accumulate(histogram.counts), strict=False))
    return reached[round(edge_s * 1000)]


def _counter(metric: m.Metric, values: Values) -> Metric:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values:
        if value is not None:
            family.add_metric(labels, value)
    return family


def _gauge(metric: m.Metric, values: Values) -> Metric:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values:
        if value is not None:
            family.add_metric(labels, value)
    return family
