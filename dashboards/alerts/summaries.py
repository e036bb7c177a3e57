"""Lines for a lock screen: queue, value, limit, who waits, who is there, since when.

Prometheus asks for the figures beside the value when it writes the line, so they are those of the
same evaluation. Grafana cannot ask; its line has the value, and the board behind it the rest.
"""

from __future__ import annotations

from typing import Final

from dashboards.alerts.promql import series
from schemas import metric_names as m
from streams.core.judgement import STAFFED

DURATION: Final = "humanizeDuration"
SHARE: Final = "humanizePercentage"

_PLACES: Final = {
    "floor": ("cluster", "namespace", "job"),
    "line": ("cluster", "namespace", "job", "queue"),
    "queue": ("cluster", "namespace", "job", "queue", "channel"),
}
"""What tells an alert's own installation, queue, or queue and channel from others."""


def queue_summary(alert: str, told: str, *, limit: str = "") -> str:
    """The line of an alert about a queue.

    Args:
        alert: its name.
        told: the value in words, as `longest wait {{ $value | humanizeDuration }}`.
        limit: that value's limit, a template.
    """
    return (
        f"{_place('queue')}{_place('line')}{_NAME} {{{{ $labels.channel }}}}: {told}{limit},"
        f" {_waiting('queue')}{_AGENTS}, since {_since(alert, 'queue')}"
    )


def floor_summary(alert: str, told: str) -> str:
    """The line of an alert about many queues."""
    return f"{_place('floor')}{told}, {_waiting('floor')}, since {_since(alert, 'floor')}"


def limit_of(metric: m.Metric, how: str, /, **matchers: str) -> str:
    """The queue's own limit, from its policy."""
    selector = series(metric, **matchers)
    return _asked(selector, "queue", f" (limit {{{{ . | first | value | {how} }}}})")


def target_of_queue() -> str:
    """The queue's own target."""
    shown = f" (target {{{{ . | first | value | {SHARE} }}}})"
    return _asked(series(m.SERVICE_LEVEL_TARGET), "queue", shown)


def _place(place: str) -> str:
    """A variable with the matchers of the alert's own place."""
    matchers = ",".join(f"{label}=%q" for label in _PLACES[place])
    values = " ".join(f"$labels.{label}" for label in _PLACES[place])
    return f'{{{{ ${place} := printf "{matchers}" {values} }}}}'


def _asked(selector: str, place: str, shown: str, *, how: str = "max(%s)", other: str = "") -> str:
    """*shown* with the answer to a query of *selector* at the alert's own place."""
    name, _, matchers = selector.partition("{")
    written = ",".join(["%s", *filter(None, [matchers.removesuffix("}")])])
    query = how.replace("%s", f"{name}{{{written}}}").replace('"', r"\"")
    otherwise = f"{{{{ else }}}}{other}" if other else ""
    return f'{{{{ with query (printf "{query}" ${place}) }}}}{shown}{otherwise}{{{{ end }}}}'


_NAME: Final = _asked(
    series(m.QUEUE_INFO),
    "queue",
    '{{ . | first | label "name" }}',
    how="max by (name) (%s)",
    other="{{ $labels.queue }}",
)
_AGENTS: Final = _asked(
    series(m.AGENTS, state=f"=~{'|'.join(sorted(STAFFED))}"),
    "line",
    ", {{ . | first | value }} agents",
    how="sum(max by (state) (%s))",
)


def _waiting(place: str) -> str:
    return _asked(
        series(m.CONTACTS_WAITING),
        place,
        "{{ . | first | value }} waiting",
        how="sum(max by (queue, channel) (%s))",
        other="waiting unknown",
    )


def _since(alert: str, place: str) -> str:
    """When the breach began; now, in the evaluation that finds it first."""
    return _asked(
        f'ALERTS_FOR_STATE{{alertname="{alert}"}}',
        place,
        '{{ (. | first | value | toTime).Format "15:04" }} UTC',
        how="max(%s) or vector(time())",
    )
