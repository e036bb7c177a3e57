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

INSTALLATION: Final = 'cluster="$cluster", namespace="$namespace", job="$job"'
"""What the board's variables choose; a label that is not there is an empty value, and matches."""

OF_ALERTS: Final = (
    'alertname=~"Floorwatch.*", cluster=~"$cluster|", namespace=~"$namespace|", job=~"$job|"'
)
"""Alerts of the installation, those too whose rules drop the labels that say where it runs."""

LOOK_BACK: Final = "$__rate_interval"

_CHOSEN: Final = {"queue": '=~"$queue"', "channel": '=~"$channel"'}


def floor(
    metric: Metric,
    *,
    rate: str = "",
    over: str = LOOK_BACK,
    offset: str = "",
    part: str = "",
    without: tuple[str, ...] = (),
    **where: str,
) -> str:
    """What the floor says of the queues and channels chosen, whichever worker is asked.

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
    chosen = {label: _CHOSEN[label] for label in metric.labels if label in _CHOSEN}
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


def named(expression: str) -> str:
    """*expression*, which is by queue and channel, with what people call the queue as `name`."""
    return f"({expression}) * on (queue, channel) group_left (name) {_names()}"


def in_each_channel(expression: str) -> str:
    """*expression*, which is by queue, for each channel of the queue, with its `name`."""
    return f"({expression}) * on (queue) group_right () {_names()}"


def longest_wait() -> str:
    """Seconds that the visit waiting longest has waited, 0 where none waits; by queue, channel."""
    return age_of(m.OLDEST_WAITING)


def age_of(metric: Metric) -> str:
    """Seconds since the instant of *metric*, and 0 where that is 0, which means there is none."""
    since = floor(metric)
    return f"(clamp_min(time() - ({since} > 0), 0) or {since})"


def own_formula(metric: Metric, window: str) -> str:
    """*metric* of a service level over *window* by each queue's own formula; by queue, channel."""
    by_formula = floor(metric, window=window)
    own = floor(m.SERVICE_LEVEL_FORMULA)
    return f"max by (queue, channel) ({by_formula} and on (queue, channel, formula) {own})"


def source_age() -> str:
    """Seconds since each source was last heard."""
    return f"clamp_min(time() - {floor(m.SOURCE_LAST_EVENT)}, 0)"


def pooled_service_level(window: str, *, formula: str = "strict", offset: str = "") -> str:
    """The service level of all chosen queues as one, by *formula*; nothing where none counts."""
    ratio = floor(m.SERVICE_LEVEL, window=window, formula=formula, offset=offset)
    visits = floor(m.SERVICE_LEVEL_CONTACTS, window=window, formula=formula, offset=offset)
    return f"sum({ratio} * {visits}) / (sum({visits}) > 0)"


def _names() -> str:
    """1 for each queue and channel, with its name.

    While a change of names is rolled out, two workers call a queue differently: one is taken.
    """
    names = floor(m.QUEUE_INFO, without=("site", "team"))
    return f"topk by (queue, channel) (1, {names})"


def _select(name: str, matchers: Mapping[str, str]) -> str:
    written = ", ".join([INSTALLATION, *(f"{label}{how}" for label, how in matchers.items())])
    return f"{name}{{{written}}}"


def _matcher(value: str) -> str:
    return f'=~"{value[1:]}"' if value.startswith("~") else f'="{value}"'
