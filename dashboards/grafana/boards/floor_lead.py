"""The floor lead's board: every queue at a glance, and one queue in depth."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.board import (
    Band,
    Slug,
    board,
    drill_down,
    queue_variables,
    window_variable,
)
from dashboards.grafana.panels import (
    ANY_IS_WATCH,
    DURATION,
    GOOD,
    OVER_IS_TROUBLE,
    RATIO,
    WATCH,
    YES_OR_NO,
    Column,
    PanelBuilder,
    Query,
    lines,
    table,
    tile,
)
from dashboards.grafana.queries import EVERY_QUEUE, ONE_QUEUE
from schemas import metric_names as m
from streams.core.formulas import DEFAULT_FORMULA

floor = ONE_QUEUE
every = EVERY_QUEUE

_WINDOW = "$window"
_FINITE = "~[0-9].*"


def floor_lead(installation: str) -> Dashboard:
    """The board for a floor lead."""
    return board(
        Slug.FLOOR_LEAD,
        installation,
        description="Every queue at a glance, and one in depth: a click on a queue chooses it.",
        refresh="10s",
        variables=[*queue_variables(several=False), window_variable()],
        bands=[
            Band(9, [(24, _queues(installation))]),
            Band(
                8,
                [(8, _waiting()), (8, _longest_waits()), (8, _agents())],
                title="Now",
            ),
            Band(
                8,
                [(12, _service_levels()), (6, _bounds()), (6, _rests_on())],
                title="Service level over $window",
            ),
            Band(8, [(12, _outcomes()), (12, _misses())]),
            Band(
                8,
                [(8, _wait_percentiles()), (8, _wait_spread()), (8, _abandon_waits())],
                title="How long people wait",
            ),
            Band(
                8,
                [(8, _abandonment()), (8, _abandoned()), (8, _gone_otherwise())],
                title="Those who were not answered",
            ),
            Band(
                8,
                [
                    (6, _responses_within()),
                    (6, _response_percentiles()),
                    (6, _response_clocks()),
                    (6, _awaiting_reply()),
                ],
                title="Initial response",
            ),
            Band(
                8,
                [(8, _instant()), (8, _instant_by_segment()), (8, _sent_to_wait())],
                title="Instant service",
            ),
            Band(
                7,
                [(8, _transfers()), (8, _changed_late()), (8, _drift())],
                title="Can it be believed",
            ),
        ],
    )


def _queues(installation: str) -> PanelBuilder:
    wait = every.longest_wait()
    critical = every(m.LONGEST_WAIT_LIMIT, severity="critical")
    level = every.own_formula(m.SERVICE_LEVEL, _WINDOW)
    link = drill_down(installation, "__data.fields.queue", "__data.fields.channel")
    return table(
        "Queues, worst first",
        "A row for each queue and channel. Of limit: the longest wait as a share of the queue's"
        " critical limit. Past T: waiting longer than the threshold. Service level: by the queue's"
        " own formula over the window chosen, and what it rests on. Behind: how far what is known"
        " of the queue stands behind now. Empty: nothing to divide by, or withheld because nobody"
        " can say.",
        Column("Of limit", every.named(f"{wait} / {critical}"), RATIO, OVER_IS_TROUBLE),
        Column("Longest wait", every.named(wait), DURATION),
        Column("Waiting", every.named(every(m.CONTACTS_WAITING))),
        Column(
            "Past T",
            every.named(every(m.CONTACTS_WAITING_PAST_THRESHOLD)),
            steps=ANY_IS_WATCH,
        ),
        Column("Threshold", every.named(every(m.SERVICE_LEVEL_THRESHOLD)), DURATION),
        Column("Service level", every.named(level), RATIO),
        Column("Target", every.named(every(m.SERVICE_LEVEL_TARGET)), RATIO),
        Column(
            "To target",
            every.named(f"{level} - {every(m.SERVICE_LEVEL_TARGET)}"),
            RATIO,
            ((None, WATCH), (0, GOOD)),
        ),
        Column("Rests on", every.named(every.own_formula(m.SERVICE_LEVEL_CONTACTS, _WINDOW))),
        Column("Abandoned", every.named(every(m.ABANDONMENT, window=_WINDOW)), RATIO),
        Column("Available", every.in_each_channel(every(m.AGENTS, state="available"))),
        Column("In service", every.in_each_channel(every(m.QUEUE_OPEN)), words=YES_OR_NO),
        Column("In hours", every.named(every(m.QUEUE_SCHEDULED_OPEN)), words=YES_OR_NO),
        Column("Behind", every.named(f"time() - {every(m.QUEUE_AS_OF)}"), DURATION),
        labels={"name": "Queue", "channel": "Channel", "queue": "Id"},
        sort_by="Of limit",
        no_value="no data",
        links={"Queue": ("Only this queue", link)},
    )


def _waiting() -> PanelBuilder:
    return lines(
        "Waiting, and past threshold",
        "Visits open at each moment, and those of them that have waited longer than their"
        " threshold.",
        Query(floor(m.CONTACTS_WAITING), "waiting"),
        Query(floor(m.CONTACTS_WAITING_PAST_THRESHOLD), "past threshold"),
        dashed="past threshold",
        no_value="no data",
    )


def _longest_waits() -> PanelBuilder:
    return lines(
        "Longest wait, and its limits",
        "Age of the visit that waited longest at each moment; the limits are the queue's own.",
        Query(floor.longest_wait(), "longest wait"),
        Query(
            floor(m.LONGEST_WAIT_LIMIT, severity="critical"),
            "critical limit",
        ),
        Query(floor(m.LONGEST_WAIT_LIMIT, severity="warning"), "warning limit"),
        unit=DURATION,
        dashed=".*limit",
        no_value="no data",
    )


def _agents() -> PanelBuilder:
    return lines(
        "Agents by state",
        "Agents who serve the queue, by state. An agent counts in each of their queues, so queues"
        " cannot be added up.",
        Query(floor(m.AGENTS), "{{state}}"),
        no_value="not told by the source",
    )


def _by_own_formula(metric: m.Metric) -> str:
    own = floor(m.SERVICE_LEVEL_FORMULA)
    return f"{floor(metric, window=_WINDOW)} and on (queue, channel, formula) {own}"


def _by_strict_too(metric: m.Metric) -> str:
    strict = floor(metric, window=_WINDOW, formula=f"~{DEFAULT_FORMULA}")
    return f"{strict} unless on (queue, channel, formula) {floor(m.SERVICE_LEVEL_FORMULA)}"


def _service_levels() -> PanelBuilder:
    return lines(
        "Service level, and its target",
        "By the queue's own formula, and by strict where that is another one: whoever still waits"
        " past the threshold is a miss. All others are on the board of service levels.",
        Query(_by_own_formula(m.SERVICE_LEVEL), "{{formula}}"),
        Query(_by_strict_too(m.SERVICE_LEVEL), "{{formula}}"),
        Query(floor(m.SERVICE_LEVEL_TARGET), "target"),
        unit=RATIO,
        largest=1,
        dashed="target",
        no_value="no calls",
    )


def _bounds() -> PanelBuilder:
    return lines(
        "Strict, if the undecided miss or make it",
        "The strict service level over the window, should everybody whose wait is not decided yet"
        " miss the threshold (low), or make it (high).",
        Query(floor(m.SERVICE_LEVEL_LOW, window=_WINDOW), "low"),
        Query(floor(m.SERVICE_LEVEL_HIGH, window=_WINDOW), "high"),
        unit=RATIO,
        largest=1,
        no_value="no calls",
    )


def _rests_on() -> PanelBuilder:
    return lines(
        "Visits it rests on, and the volume floor",
        "Visits that each service level rests on; under the volume floor it colours nothing and"
        " alerts nobody.",
        Query(_by_own_formula(m.SERVICE_LEVEL_CONTACTS), "{{formula}}"),
        Query(_by_strict_too(m.SERVICE_LEVEL_CONTACTS), "{{formula}}"),
        Query(floor(m.ALERT_MIN_CONTACTS), "volume floor"),
        dashed="volume floor",
        no_value="no calls",
    )


def _outcomes() -> PanelBuilder:
    return lines(
        "Visits in the window, by outcome",
        "Offered at their opening, answered, abandoned and left at that moment, expired when the"
        " channel's expiry time had passed.",
        Query(floor(m.WINDOW_CONTACTS, window=_WINDOW), "{{outcome}}"),
        no_value="no data",
    )


def _misses() -> PanelBuilder:
    offered = floor(m.CONTACTS_OFFERED, rate="rate")
    answered = floor(m.CONTACTS_ANSWERED, rate="rate")
    decided = floor(m.SERVICE_LEVEL_EVENTS, rate="rate")
    return lines(
        "Per minute: offered, answered, decided",
        "Visits a minute: those that arrived; those answered within the threshold and later; those"
        " whose service level was met or missed, whichever way they ended.",
        Query(f"60 * {offered}", "offered"),
        Query(f"60 * {answered}", "answered, within threshold {{within}}"),
        Query(f"60 * {decided}", "decided, met {{met}}"),
        no_value="no data",
        decimals=1,
    )


def _quantile(share: float, buckets: str) -> str:
    return f"histogram_quantile({share}, {buckets}) >= 0"  # not a number where nobody was


def _wait_percentiles() -> PanelBuilder:
    buckets = floor(m.WAIT, rate="rate", over="15m", part="_bucket", outcome="answered")
    return lines(
        "Wait of those answered: p50, p90, p99",
        "Of visits answered in the 15 minutes before each moment. Read between the edges of a"
        " histogram, so between two edges it is a guess; exact figures are on the wallboard and in"
        " the API.",
        Query(_quantile(0.5, buckets), "p50"),
        Query(_quantile(0.9, buckets), "p90"),
        Query(_quantile(0.99, buckets), "p99"),
        unit=DURATION,
        no_value="nobody answered",
    )


def _wait_spread() -> PanelBuilder:
    buckets = floor(
        m.WAIT, rate="increase", over="$__range", part="_bucket", outcome="answered", le=_FINITE
    )
    count = floor(m.WAIT, rate="increase", over="$__range", part="_count", outcome="answered")
    return table(
        "Answered within",
        "Share of the visits answered in the time range chosen whose wait was at most that long.",
        Column(
            "Share",
            f"({buckets} / on (queue, channel) group_left () ({count} > 0))",
            RATIO,
        ),
        labels={"le": "Seconds"},
        sort_by="Seconds",
        descending=False,
        no_value="nobody answered",
    )


def _abandon_waits() -> PanelBuilder:
    total = floor(m.WAIT, rate="rate", over="15m", part="_sum")
    count = floor(m.WAIT, rate="rate", over="15m", part="_count")
    return lines(
        "Mean wait until answered, until abandoned",
        "Mean over the visits that ended so in the 15 minutes before each moment.",
        Query(f"{total} / ({count} > 0)", "{{outcome}}"),
        unit=DURATION,
        no_value="nobody",
    )


def _abandonment() -> PanelBuilder:
    return lines(
        "Abandonment ratio, and its limit",
        "Visits abandoned in the window, of all whose wait ended in it.",
        Query(floor(m.ABANDONMENT, window=_WINDOW), "abandoned"),
        Query(floor(m.ABANDONMENT_LIMIT), "limit"),
        unit=RATIO,
        dashed=".*limit",
        no_value="no calls",
    )


def _abandoned() -> PanelBuilder:
    return lines(
        "Abandoned per hour, by when",
        "Short: up to the short limit and the threshold, nobody could have answered them; before"
        " and after the threshold above that.",
        Query(f"3600 * {floor(m.CONTACTS_ABANDONED, rate='rate')}", "{{timing}}"),
        no_value="no data",
        decimals=0,
    )


def _gone_otherwise() -> PanelBuilder:
    left = floor(m.CONTACTS_LEFT, rate="rate", without=("within",))
    return lines(
        "Left, refused, expired, bots per hour",
        "Left: out of the queue unanswered by another route. Refused: turned away at the door,"
        " never offered. Expired: no outcome for too long. Bots: served to the end before any"
        " queue, never offered.",
        Query(f"3600 * {left}", "left, {{reason}}"),
        Query(
            f"3600 * {floor(m.CONTACTS_REFUSED, rate='rate')}",
            "refused, {{reason}}",
        ),
        Query(f"3600 * {floor(m.CONTACTS_EXPIRED, rate='rate')}", "expired"),
        Query(f"3600 * {floor(m.CONTACTS_BOT_CONTAINED, rate='rate')}", "bot"),
        no_value="no data",
        decimals=0,
    )


def _responses_within() -> PanelBuilder:
    met = floor(m.INITIAL_RESPONSE_EVENTS, rate="rate", over="15m", met="true")
    every = f"sum by (queue, channel) ({floor(m.INITIAL_RESPONSE_EVENTS, rate='rate', over='15m')})"
    return lines(
        "First reply of a person in time",
        "Contacts with a first human reply within the limit, of all decided: in the window, and in"
        " the 15 minutes before each moment. A bot never answers.",
        Query(floor(m.INITIAL_RESPONSE_WITHIN, window=_WINDOW), "in the window"),
        Query(f"{met} / ({every} > 0)", "in 15 min"),
        unit=RATIO,
        largest=1,
        no_value="no contacts",
    )


def _response_percentiles() -> PanelBuilder:
    return lines(
        "Time to the first reply, and its limit",
        "Percentiles over the first human replies of the window, from the hand-off where a bot had"
        " replied before, else from asked.",
        Query(
            floor(m.INITIAL_RESPONSE_WINDOW, window=_WINDOW),
            "p{{percentile}}",
        ),
        Query(floor(m.INITIAL_RESPONSE_LIMIT), "limit"),
        unit=DURATION,
        dashed=".*limit",
        no_value="no replies",
    )


def _response_clocks() -> PanelBuilder:
    total = floor(m.INITIAL_RESPONSE, rate="rate", over="15m", part="_sum")
    count = floor(m.INITIAL_RESPONSE, rate="rate", over="15m", part="_count")
    return lines(
        "Mean time to the first reply, by clock",
        "Over first replies in the 15 minutes before each moment: from asked; from the hand-off by"
        " a bot; from assignment, which is answered.",
        Query(f"{total} / ({count} > 0)", "from {{clock}}"),
        unit=DURATION,
        no_value="no replies",
    )


def _awaiting_reply() -> PanelBuilder:
    return table(
        "Awaiting a reply now",
        "Contacts that asked and had no human reply yet, and how long the oldest of them has"
        " waited for it.",
        Column("Awaiting", floor(m.CONTACTS_AWAITING_REPLY)),
        Column("Oldest", floor.age_of(m.OLDEST_AWAITING_REPLY), DURATION),
        labels={"channel": "Channel"},
        sort_by="Oldest",
        no_value="nobody",
    )


def _instant() -> PanelBuilder:
    return lines(
        "Instant service ratio, and its target",
        "Visits answered at once, of all offered in the window: without being queued (voice), or"
        " within the instant limit. Undefined for messaging and mail.",
        Query(floor(m.INSTANT_SERVICE, window=_WINDOW), "instant"),
        Query(floor(m.INSTANT_TARGET), "target"),
        unit=RATIO,
        largest=1,
        dashed="target",
        no_value="no calls",
    )


def _instant_by_segment() -> PanelBuilder:
    return lines(
        "Instant service per hour, by customer type",
        "Visits answered at once.",
        Query(f"3600 * {floor(m.CONTACTS_INSTANT, rate='rate')}", "{{segment}}"),
        no_value="no calls",
        decimals=0,
    )


def _sent_to_wait() -> PanelBuilder:
    return lines(
        "Sent to wait per hour, by customer type",
        "Visits opened by being queued.",
        Query(
            f"3600 * {floor(m.CONTACTS_SENT_TO_WAIT, rate='rate')}",
            "{{segment}}",
        ),
        no_value="no calls",
        decimals=0,
    )


def _transfers() -> PanelBuilder:
    return lines(
        "Transfers per hour",
        "Transfers by an agent, counted in the queue they were made from.",
        Query(f"3600 * {floor(m.CONTACTS_TRANSFERRED, rate='rate')}", "transfers"),
        no_value="no data",
        decimals=0,
    )


def _changed_late() -> PanelBuilder:
    moved = floor(m.CORRECTIONS, rate="increase", over="$__range")
    return table(
        "What changed late",
        "Visits and contacts that a late event moved from one class to another in the time range"
        " chosen. Net figures and windows are right either way.",
        Column("Moved", f"({moved} > 0)", decimals=0),
        labels={"from": "From", "to": "To"},
        sort_by="Moved",
        no_value="nothing",
    )


def _drift() -> PanelBuilder:
    return tile(
        "Waiting, ours less the source's own",
        "Visits waiting by our count, less those that the source itself reported within the last"
        " minute. Beyond a moment's difference, events are missing.",
        Query(floor(m.WAITING_DRIFT), "{{queue}}"),
        no_value="the source reports none",
    )
