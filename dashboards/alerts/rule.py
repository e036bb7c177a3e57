"""A rule, whoever evaluates it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["critical", "warning", "none"]
"""`critical` wakes somebody, `warning` is read when there is time, `none` tells nobody."""

Audience: TypeAlias = Literal["floor", "sre", "watchdog"]
"""Who acts: the floor's duty manager, who runs floorwatch, or a machine that waits for silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that somebody should do something about.

    Attributes:
        name: begins with `Floorwatch`; its runbook is named after it.
        expr: in PromQL; whatever it returns is in breach, its value is the one that is told.
        severity: who is told how.
        audience: who can act.
        summary: a line for a lock screen, as a Prometheus template.
        plain: that line for Grafana, whose templates cannot query.
        description: what it means, in a sentence or two.
        hold: how long the breach has to last first, as `1m`; "" for not at all.
        keep: how long it counts as firing after the breach, so that one episode tells once; "".
        of_queue: whether it names a queue and channel.
    """

    name: str
    expr: str
    severity: Severity
    audience: Audience
    summary: str
    plain: str
    description: str
    hold: str = ""
    keep: str = ""
    of_queue: bool = False

    @property
    def labels(self) -> Mapping[str, str]:
        """What routes it."""
        return {"severity": self.severity, "audience": self.audience}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A figure that is kept under a name of its own.

    Attributes:
        name: level, figure and operation, joined by colons.
        expr: in PromQL.
    """

    name: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated together and in their order.

    Attributes:
        name: unique.
        interval: how often, as `5s`.
        rules: the first ones first.
    """

    name: str
    interval: str
    rules: tuple[Alert | Recording, ...]


PREFIX: Final = "Floorwatch"
