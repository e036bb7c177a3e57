"""How a floor goes, second by second, as promtool reads it, and which alerts that should raise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

STEP_S: Final = 5
SLOW_STEP_S: Final = 15
FAST: Final = frozenset(
    {
        "LongestWaitCritical",
        "QueueUnknown",
    }
)
"""Alerts whose cases go in steps of five seconds; fifteen are enough for the others."""

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Rising:
    """A value that goes up by *per_s* in every second, from *start* on."""

    per_s: float
    start: float = 0


class Clock:
    """The second itself."""


Value: TypeAlias = float | Rising | Clock | None
Course: TypeAlias = Value | Mapping[int, Value]
"""A value for all time, or by the second from which it holds; None for no sample."""

Series: TypeAlias = Mapping[str, Course]
"""By selector."""

LENGTHS_S: Final = (420, 620, 1020, 7200)
"""Cases of about one length happen side by side: the longest one decides how long all take."""

NOW: Final = Clock()
"""A timestamp that is always now: the cases begin at the epoch."""


@dataclass(frozen=True, eq=False)
class Case:
    """A course of things, and what an alert makes of it.

    Attributes:
        alert: its name, without `Floorwatch`.
        story: a sentence.
        series: what Prometheus has scraped.
        raised: by second, the labels of everything that fires then, but those of the rule itself.
    """

    alert: str
    story: str
    series: Series
    raised: Mapping[int, tuple[Labels, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its alert and its story."""
        return f"{self.alert}: {self.story}"

    @property
    def step_s(self) -> int:
        """Between scrapes, and between evaluations."""
        return STEP_S if self.alert in FAST else SLOW_STEP_S

    @property
    def is_of_everything(self) -> bool:
        """Whether the alert looks beyond one installation."""
        return self.alert in ("WorkerDown", "Watchdog")


def promtool_tests(cases: Sequence[Case], names: Mapping[str, Labels]) -> list[dict[str, Any]]:
    """*cases* of one alert as promtool reads them, for alerts *names* with their rules' labels.

    Several names are variants of the alert. Cases happen side by side, each in an installation
    of its own; but not where the alert looks at everything.
    """
    if any(case.is_of_everything for case in cases):
        return [_test({"": case}, names) for case in cases]
    marked = {f".{number}": case for number, case in enumerate(cases)}
    lengths = {case: next(s for s in LENGTHS_S if max(case.raised) <= s) for case in cases}
    return [
        _test({mark: case for mark, case in marked.items() if lengths[case] == length_s}, names)
        for length_s in sorted(set(lengths.values()))
    ]


def _test(cases: Mapping[str, Case], names: Mapping[str, Labels]) -> dict[str, Any]:
    series = []
    expected = []
    for mark, case in cases.items():
        for series_of, course in case.series.items():
            values = " ".join(_values(course, max(case.raised), case.step_s))
            series.append({"series": _marked(series_of, mark), "values": values})
        for at_s, raised in case.raised.items():
            assert at_s % case.step_s == 0, case.name
            for name, own in names.items():
                fixed = {"alertname": name, "alertstate": "firing"}
                place = f',job=~".*[.]{mark[1:]}"' if mark else ""
                samples = [
                    {"labels": _marked(f"ALERTS{{{written({**fixed, **own, **each})}}}", mark)}
                    for each in raised
                ]
                expected.append(
                    {
                        "expr": f"ALERTS{{{written(fixed)}{place}}}",
                        "eval_time": f"{at_s}s",
                        "exp_samples": [{**sample, "value": 1} for sample in samples],
                    }
                )
    last_s = max(max(case.raised) for case in cases.values())
    return {
        "interval": f"{next(iter(cases.values())).step_s}s",
        "input_series": series,
        "promql_expr_test": expected,
        "alert_rule_test": [{"eval_time": f"{last_s}s", "alertname": "Nothing"}],
    }


def _marked(selector: str, mark: str) -> str:
    """*selector* in the installation of one case."""
    return re.sub(r'\bjob="([^"]*)"', rf'job="\1{mark}"', selector)


def _values(course: Course, end_s: int, step_s: int) -> Iterator[str]:
    parts = course if isinstance(course, Mapping) else {0: course}
    begins = sorted(parts)
    for from_s, to_s in zip(begins, [*begins[1:], end_s + step_s], strict=True):
        assert from_s % step_s == to_s % step_s == 0
        value, count = parts[from_s], (to_s - from_s) // step_s
        if count <= 0:
            continue
        if value is None:
            # Prometheus marks a series that is scraped no more; a mere gap it would look across.
            yield f"_x{count}" if from_s == 0 else f"stale _x{count - 1}"
        elif isinstance(value, Clock):
            yield f"{from_s}+{step_s}x{count - 1}"
        elif isinstance(value, Rising):
            # In whole steps, for a difference of two floats not to be written out.
            yield f"{value.start:.10g}{value.per_s * step_s:+.10g}x{count - 1}"
        else:
            yield f"{value:.10g}x{count - 1}"


def selector(name: str, /, **labels: str) -> str:
    """A series of floorwatch's *name*."""
    return f"floorwatch_{name}{{{written(labels)}}}"


def written(labels: Labels) -> str:
    """*labels* as they stand between braces."""
    return ",".join(f'{label}="{value}"' for label, value in labels.items())


AT: Final = {"job": "floorwatch", "queue": "sales", "channel": "voice"}


def place(**changed: str) -> dict[str, str]:
    """The labels that tell a queue of an installation, those of sales on the phone if not said."""
    return AT | changed


def floor(
    changed: Mapping[str, Course] | None = None, *, instance: str = "a", **labels: str
) -> dict[str, Course]:
    """A queue of which all is well, as one worker tells it.

    Args:
        changed: what is not as usual, by name and, after it, the label values that matter, as
            `service_level_ratio 15m strict`; None for no series.
        instance: the worker.
        labels: of the queue, where they are not `AT`.
    """
    usual: dict[str, tuple[Course, dict[str, str]]] = {
        "queue_as_of_timestamp_seconds": (NOW, {}),
        "queue_scheduled_open": (1, {}),
        "service_level_formula_info strict": (1, {"formula": "strict"}),
        "service_level_target_ratio": (0.8, {}),
        "alert_min_contacts": (10, {}),
        "abandonment_limit_ratio": (0.1, {}),
        "initial_response_limit_seconds": (20, {}),
        "longest_wait_limit_seconds warning": (120, {"severity": "warning"}),
        "longest_wait_limit_seconds critical": (300, {"severity": "critical"}),
        "contacts_waiting": (2, {}),
        "oldest_waiting_timestamp_seconds": (NOW, {}),
        "oldest_awaiting_reply_timestamp_seconds": (NOW, {}),
        "service_level_events_total true": (Rising(0.09), {"met": "true"}),
        "service_level_events_total false": (Rising(0.01), {"met": "false"}),
        "initial_response_events_total true": (Rising(0.09), {"met": "true"}),
        "initial_response_events_total false": (Rising(0.01), {"met": "false"}),
        "abandonment_ratio 15m": (0.05, {"window": "15m"}),
        "abandonment_ratio day": (0.5, {"window": "day"}),
        "initial_response_within_ratio 15m": (0.9, {"window": "15m"}),
        "initial_response_within_ratio day": (0.95, {"window": "day"}),
    }
    for window, count in (("15m", 90), ("60m", 360), ("day", 900)):
        on = {"window": window, "formula": "strict"}
        usual[f"service_level_ratio {window} strict"] = (0.9, on)
        usual[f"service_level_contacts {window} strict"] = (count, on)
        for outcome, share in (("offered", 1), ("answered", 0.9), ("abandoned", 0.1), ("left", 0)):
            usual[f"window_contacts {window} {outcome}"] = (
                count * share,
                {"window": window, "outcome": outcome},
            )
    for name, course in (changed or {}).items():
        usual[name] = (course, usual[name][1] if name in usual else _labels_of(name))
    at = place(instance=instance, **labels)
    return {
        selector(name.partition(" ")[0], **at, **own): course
        for name, (course, own) in usual.items()
        if course is not None
    }


def _labels_of(name: str) -> dict[str, str]:
    """The labels of a series that a calm floor does not have, in the order of its metric."""
    metric, *values = name.split(" ")
    known = {
        "service_level_ratio": ("window", "formula"),
        "service_level_contacts": ("window", "formula"),
        "service_level_formula_info": ("formula",),
    }
    return dict(zip(known[metric], values, strict=True))


def within(case: Case) -> Case:
    """*case* in an installation that has a cluster and a namespace."""
    at = {"cluster": "eu", "namespace": "cc"}
    return replace(
        case,
        story=f"{case.story}, where there are clusters",
        series={s.replace("{", f"{{{written(at)},"): c for s, c in case.series.items()},
        raised={at_s: tuple({**at, **w} for w in who) for at_s, who in case.raised.items()},
    )


def line(name: str, course: Course, *, instance: str = "a", **labels: str) -> dict[str, Course]:
    """A series that is known by queue, for all its channels."""
    at = place(instance=instance, **labels)
    del at["channel"]
    return {selector(name, **at): course}


def stream(name: str, course: Course, *, instance: str = "a", **labels: str) -> dict[str, Course]:
    """A series of a worker's own stream."""
    return {selector(name, job="floorwatch", instance=instance, **labels): course}
