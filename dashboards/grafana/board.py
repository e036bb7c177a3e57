"""What every board has: its variables, its links to the others, its incidents, and a grid.

Ids stay the same as long as the titles do, so a link to a panel outlives the panels added
beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.alerts.annotations import Places
from dashboards.grafana.panels import DATASOURCE, TROUBLE, PanelBuilder
from dashboards.grafana.queries import ALERT_IS_ABOUT, ALERT_LABELS, INSTALLATION, OF_ALERTS
from schemas import metric_names as m

COLUMNS: Final = 24
ALL: Final = "$__all"
RUNBOOKS: Final = Places().runbooks


class Slug(Enum):
    """The boards: the end of each one's uid, and its title."""

    WALL = ("wall", "Wall")
    FLOOR_LEAD = ("floor-lead", "Floor lead")
    ON_CALL = ("on-call", "On-call")
    PIPELINE = ("pipeline", "Pipeline health")
    SERVICE_LEVELS = ("service-levels", "Service levels explained")
    INTRADAY = ("intraday", "Intraday against past weeks")

    @property
    def title(self) -> str:
        """What people call the board."""
        return self.value[1]

    def uid(self, installation: str) -> str:
        """The board's uid in a Grafana that several installations may share."""
        return f"{installation}-{self.value[0]}"


_OF_ONE_QUEUE: Final = frozenset({Slug.FLOOR_LEAD, Slug.SERVICE_LEVELS})
_SAME: Final = "&".join(
    f"${{{name}:queryparam}}" for name in ("datasource", "cluster", "namespace", "job")
)
"""The same installation, in an address."""


@dataclass(frozen=True, slots=True)
class Band:
    """Panels beside one another.

    Attributes:
        height: in rows of the grid, 38 px each.
        panels: each with its width, in columns of the grid; together at most 24.
        title: of the line above them; "" for none.
    """

    height: int
    panels: Sequence[tuple[int, PanelBuilder]]
    title: str = ""


def board(
    slug: Slug,
    installation: str,
    *,
    description: str,
    bands: Sequence[Band],
    variables: Sequence[Builder[model.VariableModel]] = (),
    refresh: str = "30s",
    begins: str = "now-1h",
    ends: str = "now",
) -> model.Dashboard:
    """A board with its *bands* from top to bottom."""
    builder = (
        build.Dashboard(f"{installation} / {slug.title}")
        .uid(slug.uid(installation))
        .description(description)
        .tags([installation])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .refresh(refresh)
        .time(begins, ends)
        .timezone("browser")
        .annotation(_incidents())
    )
    for variable in (_datasource(), *_where_it_runs(), *variables):
        builder = builder.with_variable(variable)
    for other in Slug:
        if other is not slug:
            builder = builder.link(_link(other, installation))
    built = builder.build()
    built.panels = _placed(bands)
    return built


def drill_down(installation: str, queue: str, channel: str) -> str:
    """The address of the floor lead's board for one queue, from what a cell or a label says."""
    chosen = f"var-queue=${{{queue}:percentencode}}&var-channel=${{{channel}:percentencode}}"
    return f"/d/{Slug.FLOOR_LEAD.uid(installation)}?{_SAME}&{chosen}&${{__url_time_range}}"


def queue_variables(*, several: bool = True) -> list[build.QueryVariable]:
    """Site, team, queue and channel; *several* queues, or one."""
    by_site = f'{INSTALLATION}, site=~"$site"'
    by_team = f'{by_site}, team=~"$team"'
    # A choice of one is put in as it is, not as a pattern: an id may hold a dot or a plus.
    by_queue = f'{by_team}, queue=~"$queue"' if several else f'{by_team}, queue="$queue"'
    info = m.QUEUE_INFO.name
    return [
        _several("site", "Site", f"label_values({info}{{{INSTALLATION}}}, site)", ".*"),
        _several("team", "Team", f"label_values({info}{{{by_site}}}, team)", ".*"),
        *(
            _several(name, label, query) if several else _one(name, label, query)
            for name, label, query in (
                ("queue", "Queue", f"label_values({info}{{{by_team}}}, queue)"),
                ("channel", "Channel", f"label_values({info}{{{by_queue}}}, channel)"),
            )
        ),
    ]


def window_variable() -> build.QueryVariable:
    """One of the windows that are on `/metrics`."""
    query = f"label_values({m.WINDOW_CONTACTS.name}{{{INSTALLATION}}}, window)"
    return _one("window", "Window", query)


def runbooks() -> build.TextBoxVariable:
    """Where the runbooks are, for the links to them."""
    return (
        build.TextBoxVariable("runbooks")
        .label("Runbooks at")
        .description("The address of the folder with the runbooks, one file for each alert.")
        .default_value(RUNBOOKS)
    )


def _placed(bands: Sequence[Band]) -> list[model.Panel | model.RowPanel]:
    placed: list[model.Panel | model.RowPanel] = []
    top = 0
    for band in bands:
        if band.title:
            at = model.GridPos(x=0, y=top, w=COLUMNS, h=1)
            row = build.Row(band.title).id(_id_of(f"row {band.title}")).grid_pos(at).build()
            placed.append(row)
            top += 1
        left = 0
        for width, builder in band.panels:
            panel = builder.build()
            panel.id_val = _id_of(panel.title or "")
            panel.grid_pos = model.GridPos(x=left, y=top, w=width, h=band.height)
            placed.append(panel)
            left += width
        top += band.height
    return placed


def _id_of(title: str) -> int:
    return 1 + zlib.crc32(title.encode()) % 1_000_000


def _incidents() -> build.AnnotationQuery:
    firing = f'ALERTS{{{OF_ALERTS}, alertstate="firing", severity="critical"}}'
    expr = f"max by ({ALERT_LABELS}) ({firing})"
    return (
        build.AnnotationQuery()
        .name("Incidents")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color(TROUBLE)
        .expr(expr)
        .target(prometheus.Dataquery().ref_id("Anno").expr(expr).interval("15s"))
        .step("15s")
        .title_format("{{alertname}}")
        .text_format(ALERT_IS_ABOUT)
        .tag_keys("queue,channel,source,topic")
    )


def _link(other: Slug, installation: str) -> build.DashboardLink:
    """A link that takes along what was chosen; to a board of one queue, not the queues."""
    takes_queues = other not in _OF_ONE_QUEUE
    address = f"/d/{other.uid(installation)}"
    return (
        build.DashboardLink(other.title)
        .type(model.DashboardLinkType.LINK)
        .icon("dashboard")
        .url(address if takes_queues else f"{address}?{_SAME}")
        .include_vars(takes_queues)
        .keep_time(other is not Slug.INTRADAY)
    )


def _datasource() -> build.DatasourceVariable:
    return build.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _where_it_runs() -> list[build.QueryVariable]:
    """Cluster, namespace and job, each within the one before; one of each, so nothing mixes."""
    info = m.BUILD_INFO.name
    in_cluster = f'{info}{{cluster="$cluster"}}'
    in_namespace = f'{info}{{cluster="$cluster", namespace="$namespace"}}'
    return [
        _one("cluster", "Cluster", f"label_values({info}, cluster)"),
        _one("namespace", "Namespace", f"label_values({in_cluster}, namespace)"),
        _one("job", "Job", f"label_values({in_namespace}, job)"),
    ]


def _one(name: str, label: str, query: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(False)
        .include_all(False)
    )


def _several(name: str, label: str, query: str, all_value: str = "") -> build.QueryVariable:
    """Several values, and at first all there are; *all_value* stands for those not there too."""
    variable = (
        _one(name, label, query)
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(selected=True, text=["All"], value=[ALL]))
    )
    return variable.all_value(all_value) if all_value else variable
