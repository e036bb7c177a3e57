"""Panels that say whether the numbers can be believed; on more than one board."""

from __future__ import annotations

from dashboards.grafana.panels import (
    ANY_IS_TROUBLE,
    ANY_IS_WATCH,
    DURATION,
    GOOD,
    SECONDS,
    TROUBLE,
    Column,
    PanelBuilder,
    Query,
    lines,
    table,
    tile,
)
from dashboards.grafana.queries import ALL_QUEUES, INSTALLATION, largest, source_age
from schemas import metric_names as m


def workers() -> PanelBuilder:
    """How many workers there are."""
    return tile(
        "Workers",
        "Workers that Prometheus can read.",
        Query(f"sum(up{{{INSTALLATION}}})", "up"),
        steps=((None, TROUBLE), (1, GOOD)),
        no_value="none known",
    )


def whole_floor() -> PanelBuilder:
    """Whether a part of the floor is missing."""
    return tile(
        "Floor",
        "Whether a partition of the floor is missing from what is shown.",
        Query(largest(m.FLOOR_PARTIAL), "floor"),
        steps=ANY_IS_TROUBLE,
        words={"0": "whole", "1": "PARTIAL"},
        no_value="no worker",
    )


def policy_on_disk() -> PanelBuilder:
    """Whether the policy on disk is the one in force."""
    return tile(
        "Policy on disk",
        "Whether the policy on disk is in force. While it cannot be read, the last one holds; a"
        " change of what decides how visits are counted is refused where it says from no instant.",
        Query(
            f"{largest(m.POLICY_RELOAD_FAILED)}"
            f" + 2 * clamp_max({largest(m.POLICY_CHANGES_REFUSED)}, 1)",
            "policy",
        ),
        steps=ANY_IS_WATCH,
        words={"0": "in force", "1": "UNREADABLE", "2": "PARTLY REFUSED", "3": "UNREADABLE"},
        no_value="no worker",
    )


def unaccounted_for() -> PanelBuilder:
    """Whether every visit is in one class."""
    return tile(
        "Visits unaccounted for",
        "Visits by which offered differs from answered + abandoned + left + expired + waiting, in"
        " all queues. Anything but 0 is a fault of floorwatch.",
        Query(f"sum(abs({ALL_QUEUES(m.CONSERVATION_VIOLATIONS)}))", "visits"),
        steps=ANY_IS_TROUBLE,
        no_value="no data",
    )


def sources() -> PanelBuilder:
    """How long ago each producing system was heard."""
    return table(
        "Sources",
        "How long ago each source was last heard, and how long it may be silent. Beyond that its"
        " queues are withheld, and nobody is paged for them.",
        Column("Last heard", source_age(), DURATION),
        Column("May be silent", ALL_QUEUES(m.SOURCE_SILENCE_LIMIT), DURATION),
        labels={"source": "Source"},
        sort_by="Last heard",
        no_value="any time",
    )


def behind() -> PanelBuilder:
    """How far each partition is behind."""
    return lines(
        "Behind the topic",
        "How far the last record read of each partition is behind now; 0 while it is read to its"
        " end.",
        Query(largest(m.EVENT_LAG, "topic", "partition"), "{{topic}} {{partition}}"),
        unit=SECONDS,
        no_value="no worker",
    )
