"""PromQL of the boards, from the metrics of `schemas`: how the floor and the workers are read.

Every worker exports the whole floor, so floor series are read as `max by` the labels that say what
they are of. What a worker knows of its own stream adds up over workers. Every selector names the
installation, so two installations in one Prometheus do not mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas import metric_names as m
from schemas.metric_names import Metric
from streams.core.formulas import DEFAULT_FORMULA

INSTALLATION: Final = 'cluster="$cluster", namespace="$namespace", job="$job"'
"""What the board's variables choose; a label that is not there is an empty value, and matches."""

OF_ALERTS: Final = (
    'alertname=~"Floorwatch.*", cluster=~"$cluster|", namespace=~"$namespace|", job=~"$job|"'
)
"""Alerts of the installation, those too whose rules drop the labels that say where it runs."""

ALERT_LABELS: Final = "alertname, severity, queue, channel, source, topic, partition, instance"
ALERT_IS_ABOUT: Final = "{{queue}} {{channel}} {{source}} {{topic}} {{partition}} {{instance}}"
"""What an alert is about, in a legend: each has some of these labels."""

LOOK_BACK: Final = "$__rate_interval"


class Floor:
    """The queues and channels that a board reads.

    Args:
        queues: matchers by label, for series of queues.
        names: matchers by label, for the names of queues; a queue whose name they leave out is
            left out of whatever is `named`.
    """

    def __init__(self, queues: Mapping[str, str], names: Mapping[str, str]) -> None:
        self._queues = queues
        self._names = names

    def __call__(
        self,
        metric: Metric,
        *,
        rate: str = "",
        over: str = LOOK_BACK,
        offset: str = "",
        part: str = "",
        without: tuple[str, ...] = (),
        **where: str,
    ) -> str:
        """What the floor says of its queues and channels, whichever worker is asked.

        Args:
            metric: a metric of the floor.
            rate: the function of a counter, `rate` or `increase`; "" takes it as it stands.
            over: the range that the function looks at.
            offset: how long ago, such as `1w`; "" is now.
            part: `_bucket`, `_sum` or `_count` of a histogram.
            without: labels that the result does not keep.
            where: the value of a label, which the result does not keep; or, after `~`, the values
                that are kept.
        """
        chosen = {label: self._queues[label] for label in metric.labels if label in self._queues}
        selector = _select(metric.name + part, chosen | {k: _matcher(v) for k, v in where.items()})
        if rate:
            selector = f"{selector}[{over}]"
        if offset:
            selector = f"{selector} offset {offset}"
        kept = [
            label
            for label in metric.labels
            if label not in without and where.get(label, "~").startswith("~")
        ]
        if part == "_bucket":
            kept.append("le")
        return f"max by ({', '.join(kept)}) ({f'{rate}({selector})' if rate else selector})"

    def named(self, expression: str) -> str:
        """*expression*, which is by queue and channel, with the queue's `name` beside its id."""
        return f"({expression}) * on (queue, channel) group_left (name) {self._one_name()}"

    def in_each_channel(self, expression: str) -> str:
        """*expression*, which is by queue, for each channel of the queue, with its `name`."""
        return f"({expression}) * on (queue) group_right () {self._one_name()}"

    def longest_wait(self) -> str:
        """Seconds that the visit waiting longest has waited, 0 where none waits."""
        return self.age_of(m.OLDEST_WAITING)

    def age_of(self, metric: Metric) -> str:
        """Seconds since the instant of *metric*; 0 where that is 0, which says there is none."""
        since = self(metric)
        return f"(clamp_min(time() - ({since} > 0), 0) or {since})"

    def own_formula(self, metric: Metric, window: str) -> str:
        """*metric* of a service level over *window* by each queue's own formula."""
        own = f"{self(metric, window=window)} and on (queue, channel, formula) "
        return f"max by (queue, channel) ({own}{self(m.SERVICE_LEVEL_FORMULA)})"

    def pooled_service_level(self, window: str, *, offset: str = "") -> str:
        """The service level of all queues as one, by strict; nothing where none counts."""
        ratio = self(m.SERVICE_LEVEL, window=window, formula=DEFAULT_FORMULA, offset=offset)
        visits = self(
            m.SERVICE_LEVEL_CONTACTS, window=window, formula=DEFAULT_FORMULA, offset=offset
        )
        return f"sum({ratio} * {visits}) / (sum({visits}) > 0)"

    def _one_name(self) -> str:
        """1 for each queue and channel, with its name.

        While a change of names is rolled out, two workers call a queue differently: one is taken.
        """
        info = _select(m.QUEUE_INFO.name, self._names)
        return f"topk by (queue, channel) (1, max by (queue, channel, name) ({info}))"


_SEVERAL: Final = {"queue": '=~"$queue"', "channel": '=~"$channel"'}
_ONE: Final = {"queue": '="$queue"', "channel": '="$channel"'}

CHOSEN_QUEUES: Final = Floor(_SEVERAL, _SEVERAL)
ONE_QUEUE: Final = Floor(_ONE, _ONE)
EVERY_QUEUE: Final = Floor({}, {"site": '=~"$site"', "team": '=~"$team"'})
"""Of the sites and teams chosen, where a query takes the names in; else of all."""
ALL_QUEUES: Final = Floor({}, {})


def worker(metric: Metric, *by: str, rate: str = "", over: str = LOOK_BACK) -> str:
    """What the workers know of their own streams, added up by the labels *by*."""
    selector = _select(metric.name, {})
    if rate:
        selector = f"{rate}({selector}[{over}])"
    return f"sum by ({', '.join(by)}) ({selector})" if by else f"sum({selector})"


def largest(metric: Metric, *by: str) -> str:
    """The largest of what the workers say of themselves, by the labels *by*."""
    selector = _select(metric.name, {})
    return f"max by ({', '.join(by)}) ({selector})" if by else f"max({selector})"


def source_age() -> str:
    """Seconds since each source was last heard."""
    return f"clamp_min(time() - {ALL_QUEUES(m.SOURCE_LAST_EVENT)}, 0)"


def _select(name: str, matchers: Mapping[str, str]) -> str:
    written = ", ".join([INSTALLATION, *(f"{label}{how}" for label, how in matchers.items())])
    return f"{name}{{{written}}}"


def _matcher(value: str) -> str:
    return f'=~"{value[1:]}"' if value.startswith("~") else f'="{value}"'
