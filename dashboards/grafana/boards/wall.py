"""The wall: what is seen from five metres, on one screen and without scrolling.

27 rows of the grid fit a 1080p screen. There are no titled rows, because a playlist's autofit does
not know them.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.board import Band, Slug, board, queue_variables
from dashboards.grafana.panels import (
    ANY_IS_TROUBLE,
    ANY_IS_WATCH,
    DURATION,
    GOOD,
    RATIO,
    TROUBLE,
    WATCH,
    PanelBuilder,
    Query,
    lines,
    tile,
    tiles_by_state,
)
from dashboards.grafana.queries import CHOSEN_QUEUES, source_age
from schemas import metric_names as m

floor = CHOSEN_QUEUES

_QUEUE = "{{name}} {{channel}}"
_LEGEND_PX = 36
_WAIT = floor.longest_wait()
_WARNING = floor(m.LONGEST_WAIT_LIMIT, severity="warning")
_CRITICAL = floor(m.LONGEST_WAIT_LIMIT, severity="critical")


def wall(installation: str) -> Dashboard:
    """The board for the wall."""
    return board(
        Slug.WALL,
        installation,
        description="The floor now, for a wall screen: open it with ?kiosk.",
        refresh="5s",
        variables=queue_variables(),
        bands=[
            Band(
                7,
                [
                    (8, _worst_wait()),
                    (4, _waiting()),
                    (8, _service_level()),
                    (4, _waiting_past_threshold()),
                ],
            ),
            Band(7, [(24, _waits())]),
            Band(6, [(16, _service_levels()), (4, _out_of_service()), (4, _without_data())]),
            Band(
                7,
                [(8, _waiting_by_time()), (8, _waits_by_time()), (4, _agents()), (4, _data_age())],
            ),
        ],
    )


def _worst_wait() -> PanelBuilder:
    worst = f"({_WAIT} and topk(1, {_WAIT} / {_CRITICAL}))"
    return tiles_by_state(
        "Longest wait in the worst queue",
        "Age of the visit that waits longest, in the queue where that is the largest share of the"
        " queue's critical limit: a mail may wait longer than a call.",
        trouble=Query(floor.named(f"{worst} > {_CRITICAL}"), f"OVER LIMIT {_QUEUE}"),
        watch=Query(floor.named(f"({worst} > {_WARNING}) <= {_CRITICAL}"), f"watch {_QUEUE}"),
        good=Query(floor.named(f"{worst} <= {_WARNING}"), f"longest wait {_QUEUE}"),
        unit=DURATION,
        no_value="no data",
        legend_px=_LEGEND_PX,
    )


def _waiting() -> PanelBuilder:
    return tile(
        "Waiting now",
        "Visits open now in all queues chosen, neither answered nor given up nor expired.",
        Query(f"sum({floor(m.CONTACTS_WAITING)})", "waiting"),
        no_value="no data",
    )


def _service_level() -> PanelBuilder:
    return tile(
        "Service level of all queues, last 15 min",
        "By the formula strict over the last 15 minutes, all queues chosen as one: answered within"
        " each queue's threshold, of everybody whose wait was decided. Whoever still waits past the"
        " threshold is a miss.",
        Query(floor.pooled_service_level("15m"), "strict, 15 min"),
        unit=RATIO,
        legend_px=_LEGEND_PX,
        no_value="no calls",
    )


def _waiting_past_threshold() -> PanelBuilder:
    return tile(
        "Waiting past threshold",
        "Visits open now that have waited longer than their threshold: each is a miss already.",
        Query(f"sum({floor(m.CONTACTS_WAITING_PAST_THRESHOLD)})", "past threshold"),
        steps=ANY_IS_WATCH,
        no_value="no data",
    )


def _waits() -> PanelBuilder:
    return tiles_by_state(
        "Longest wait by queue",
        "Age of the visit that waits longest. OVER LIMIT: above the queue's critical limit; watch:"
        " above its warning limit. The worst come first.",
        trouble=Query(
            f"sort_desc({floor.named(f'{_WAIT} > {_CRITICAL}')})", f"OVER LIMIT {_QUEUE}"
        ),
        watch=Query(
            f"sort_desc({floor.named(f'({_WAIT} > {_WARNING}) <= {_CRITICAL}')})", f"watch {_QUEUE}"
        ),
        good=Query(f"sort_desc({floor.named(f'{_WAIT} <= {_WARNING}')})", _QUEUE),
        unit=DURATION,
        no_value="no data",
    )


def _service_levels() -> PanelBuilder:
    level = floor.own_formula(m.SERVICE_LEVEL, "15m")
    rests_on = floor.own_formula(m.SERVICE_LEVEL_CONTACTS, "15m")
    judged = f"({level} and ({rests_on} >= {floor(m.ALERT_MIN_CONTACTS)}))"
    target = floor(m.SERVICE_LEVEL_TARGET)
    return tiles_by_state(
        "Service level by queue, last 15 min",
        "By each queue's own formula over the last 15 minutes, against its own target. A ratio that"
        " rests on fewer visits than the volume floor is not judged. The worst come first.",
        watch=Query(f"sort({floor.named(f'{judged} < {target}')})", f"UNDER TARGET {_QUEUE}"),
        good=Query(f"sort({floor.named(f'{level} unless ({judged} < {target})')})", _QUEUE),
        unit=RATIO,
        no_value="no calls",
    )


def _out_of_service() -> PanelBuilder:
    return tile(
        "Out of service",
        "For how long a fault has kept the line of a queue out of service.",
        Query(f"time() - {floor(m.QUEUE_OUT_OF_SERVICE_SINCE)}", "OUT OF SERVICE {{queue}}"),
        unit=DURATION,
        steps=((None, TROUBLE),),
        no_value="none",
    )


def _without_data() -> PanelBuilder:
    known = f"count({floor(m.QUEUE_INFO, without=('name', 'site', 'team'))})"
    shown = f"count({floor(m.CONTACTS_WAITING)})"
    return tile(
        "Queues without data",
        "Queues of which nobody can say what is true now: every source that feeds them is silent,"
        " or the workers are catching up. Their figures are withheld, not zero.",
        Query(f"{known} - ({shown} or vector(0))", "without data"),
        steps=ANY_IS_TROUBLE,
        no_value="no floor",
    )


def _waiting_by_time() -> PanelBuilder:
    return lines(
        "Waiting by queue",
        "Visits open at each moment.",
        Query(floor.named(floor(m.CONTACTS_WAITING)), _QUEUE),
        no_value="no data",
    )


def _waits_by_time() -> PanelBuilder:
    return lines(
        "Longest wait by queue, of its critical limit",
        "Age of the visit that waited longest at each moment, as a share of the queue's critical"
        " limit: at 100 % the queue is in trouble.",
        Query(floor.named(f"{_WAIT} / {_CRITICAL}"), _QUEUE),
        unit=RATIO,
        steps=((None, "transparent"), (1, TROUBLE)),
        no_value="no data",
    )


def _agents() -> PanelBuilder:
    return tile(
        "Agents available",
        "Agents available now, by queue. An agent counts in each of their queues, so queues cannot"
        " be added up. Only where the source tells.",
        Query(f"sort({floor(m.AGENTS, state='available')})", "{{queue}}"),
        steps=((None, WATCH), (1, GOOD)),
        no_value="not told",
    )


def _data_age() -> PanelBuilder:
    limit = floor(m.SOURCE_SILENCE_LIMIT)
    return tiles_by_state(
        "Data age",
        "How long ago each source was last heard, by the time of its newest event. SILENT: longer"
        " than it may be; the figures of its queues are then withheld.",
        trouble=Query(f"sort_desc({source_age()} > {limit})", "SILENT {{source}}"),
        good=Query(f"sort_desc({source_age()} unless ({source_age()} > {limit}))", "{{source}}"),
        unit=DURATION,
        no_value="no data",
    )
