"""Every metric, once: name, kind, definition and labels.

The exporter writes from this list; dashboards and alert rules are tested against it. Metrics of the
floor are the same from every worker (take `max by (queue, channel, ...)`); those that carry a
`topic`, `partition`, `source` or `reason` of the stream are each worker's own and add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

PREFIX: Final = "floorwatch_"

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is published.

    Attributes:
        name: with the prefix; a counter's ends in `_total`, a histogram's is the base of its
            series.
        kind: `info` is a gauge that is always 1 and says something by its labels.
        help: the definition in one sentence, with unit and edges.
        labels: in the order in which they are written, without `le`.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


_QUEUE: Final = ("queue", "channel")


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", "counter", text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, "gauge", text, labels)


# -- counters of the floor: they only rise; net = total - corrections out of the class --

CONTACTS_OFFERED: Final = _counter(
    "contacts_offered",
    "Visits that arrived: one stay of one contact in one queue, counted when it opens.",
    *_QUEUE,
)
CONTACTS_ANSWERED: Final = _counter(
    "contacts_answered",
    "Visits that an agent took, by whether the wait was at most the threshold, which is inclusive.",
    *_QUEUE,
    "within",
)
CONTACTS_ABANDONED: Final = _counter(
    "contacts_abandoned",
    "Visits that the customer gave up, by wait: short is up to the short limit and the threshold,"
    " before_threshold above that up to the threshold, after_threshold above; limits inclusive.",
    *_QUEUE,
    "timing",
)
CONTACTS_LEFT: Final = _counter(
    "contacts_left",
    "Visits that left the queue unanswered by another route, by reason and by whether the wait was"
    " at most the threshold, which is inclusive.",
    *_QUEUE,
    "reason",
    "within",
)
CONTACTS_EXPIRED: Final = _counter(
    "contacts_expired",
    "Visits that stayed open without an outcome until the channel's expiry time had passed.",
    *_QUEUE,
)
CONTACTS_REFUSED: Final = _counter(
    "contacts_refused",
    "Contacts turned away at the door; they are not among those offered.",
    *_QUEUE,
    "reason",
)
CONTACTS_TRANSFERRED: Final = _counter(
    "contacts_transferred",
    "Transfers by an agent, counted in the queue they were made from.",
    *_QUEUE,
)
CONTACTS_INSTANT: Final = _counter(
    "contacts_instant",
    "Visits answered that never waited in a queue (voice) or waited at most the instant limit,"
    " by customer type.",
    *_QUEUE,
    "segment",
)
CONTACTS_SENT_TO_WAIT: Final = _counter(
    "contacts_sent_to_wait",
    "Visits opened by being queued, by customer type, counted when they open.",
    *_QUEUE,
    "segment",
)
CONTACTS_BOT_CONTAINED: Final = _counter(
    "contacts_bot_contained",
    "Contacts that a bot served to the end before any queue; they are not among those offered.",
    *_QUEUE,
)
SERVICE_LEVEL_EVENTS: Final = _counter(
    "service_level_events",
    "Visits whose service level is decided, by whether it was met; the first of answered,"
    " abandoned, left or threshold passed decides, at threshold + 1 ms at the latest.",
    *_QUEUE,
    "met",
)
INITIAL_RESPONSE_EVENTS: Final = _counter(
    "initial_response_events",
    "Contacts whose initial response is decided, by whether a human replied within the limit, which"
    " is inclusive; the first of reply, limit passed or ended without reply decides.",
    *_QUEUE,
    "met",
)
CORRECTIONS: Final = _counter(
    "corrections",
    "Visits and contacts that a late or repeated event moved from one class to another; a class is"
    " the counter's name without prefix and its label values, none is no class or another queue's.",
    *_QUEUE,
    "from",
    "to",
)

# -- histograms of the floor: each visit or contact once, as first closed --

WAIT: Final = Metric(
    f"{PREFIX}wait_seconds",
    "histogram",
    "Seconds from a visit's opening to its outcome, which is answered or abandoned.",
    (*_QUEUE, "outcome"),
)
INITIAL_RESPONSE: Final = Metric(
    f"{PREFIX}initial_response_seconds",
    "histogram",
    "Seconds until a human first replied, by the clock they are taken from: asked, handoff (asked"
    " again after a bot) or assignment (answered).",
    (*_QUEUE, "clock"),
)

# -- live gauges of the floor: as of now --

CONTACTS_WAITING: Final = _gauge(
    "contacts_waiting", "Visits open now, neither answered nor given up nor expired.", *_QUEUE
)
CONTACTS_WAITING_PAST_THRESHOLD: Final = _gauge(
    "contacts_waiting_past_threshold",
    "Visits open now that have waited longer than their threshold.",
    *_QUEUE,
)
OLDEST_WAITING: Final = _gauge(
    "oldest_waiting_timestamp_seconds",
    "When the visit that waits longest was opened, in seconds since 1970; 0 when none waits.",
    *_QUEUE,
)
CONTACTS_AWAITING_REPLY: Final = _gauge(
    "contacts_awaiting_reply", "Contacts that asked and had no human reply yet.", *_QUEUE
)
OLDEST_AWAITING_REPLY: Final = _gauge(
    "oldest_awaiting_reply_timestamp_seconds",
    "When the contact that awaits a human reply longest began to, in seconds since 1970; 0 when"
    " none does.",
    *_QUEUE,
)
AGENTS: Final = _gauge(
    "agents",
    "Agents in each state who serve the queue; an agent counts in each of their queues.",
    "queue",
    "state",
)
QUEUE_OPEN: Final = _gauge(
    "queue_open", "1 while the queue is in service, 0 while it is not.", "queue"
)
QUEUE_OUT_OF_SERVICE_SINCE: Final = _gauge(
    "queue_out_of_service_since_timestamp_seconds",
    "Since when a fault keeps the queue out of service, in seconds since 1970; absent while none"
    " does.",
    "queue",
)
WAITING_DRIFT: Final = _gauge(
    "waiting_drift",
    "Visits waiting in the queue by our count minus those the source itself reported within the"
    " last minute.",
    "queue",
)

# -- window gauges of the floor: as of the last tick --

WINDOW_CONTACTS: Final = _gauge(
    "window_contacts",
    "Visits in the window, by outcome, each at its own moment.",
    *_QUEUE,
    "window",
    "outcome",
)
SERVICE_LEVEL: Final = _gauge(
    "service_level_ratio",
    "Service level over the window by the formula named, 0 to 1; absent when it rests on nothing.",
    *_QUEUE,
    "window",
    "formula",
)
SERVICE_LEVEL_LOW: Final = _gauge(
    "service_level_low_ratio",
    "The strict service level over the window if all still undecided miss the threshold, 0 to 1.",
    *_QUEUE,
    "window",
)
SERVICE_LEVEL_HIGH: Final = _gauge(
    "service_level_high_ratio",
    "The strict service level over the window if all still undecided make the threshold, 0 to 1.",
    *_QUEUE,
    "window",
)
SERVICE_LEVEL_CONTACTS: Final = _gauge(
    "service_level_contacts",
    "Visits that the service level of the window and formula rests on.",
    *_QUEUE,
    "window",
    "formula",
)
INSTANT_SERVICE: Final = _gauge(
    "instant_service_ratio",
    "Visits of the window served at once, of all offered in it, 0 to 1.",
    *_QUEUE,
    "window",
)
ABANDONMENT: Final = _gauge(
    "abandonment_ratio",
    "Visits abandoned in the window, of all whose wait ended in it, 0 to 1.",
    *_QUEUE,
    "window",
)
INITIAL_RESPONSE_WINDOW: Final = _gauge(
    "initial_response_window_seconds",
    "Percentile of the seconds until a human first replied, over replies in the window, from the"
    " hand-off where a bot had replied, else from asked.",
    *_QUEUE,
    "window",
    "percentile",
)
INITIAL_RESPONSE_WITHIN: Final = _gauge(
    "initial_response_within_ratio",
    "Contacts of the window with a human reply within the limit, of all decided in it, 0 to 1.",
    *_QUEUE,
    "window",
)

# -- policy: what the numbers are judged by, as in force now --

SERVICE_LEVEL_THRESHOLD: Final = _gauge(
    "service_level_threshold_seconds",
    "Longest wait that counts as in time, inclusive, for visits that open now.",
    *_QUEUE,
)
SERVICE_LEVEL_TARGET: Final = _gauge(
    "service_level_target_ratio", "Share of visits that should be answered in time.", *_QUEUE
)
LONGEST_WAIT_LIMIT: Final = _gauge(
    "longest_wait_limit_seconds",
    "Longest wait above which the queue is in the state of that severity.",
    *_QUEUE,
    "severity",
)
INITIAL_RESPONSE_LIMIT: Final = _gauge(
    "initial_response_limit_seconds",
    "Longest time until a human reply that counts as in time, inclusive.",
    *_QUEUE,
)
INSTANT_TARGET: Final = _gauge(
    "instant_target_ratio", "Share of visits that should be served at once.", *_QUEUE
)
ABANDONMENT_LIMIT: Final = _gauge(
    "abandonment_limit_ratio", "Share of abandoned visits above which people are told.", *_QUEUE
)
ALERT_MIN_CONTACTS: Final = _gauge(
    "alert_min_contacts",
    "Visits a window ratio must rest on before it colours a tile or raises an alert.",
    *_QUEUE,
)
QUEUE_SCHEDULED_OPEN: Final = _gauge(
    "queue_scheduled_open",
    "1 while the queue's opening hours, on the clock of its zone, cover now, else 0.",
    *_QUEUE,
)
SERVICE_LEVEL_FORMULA: Final = Metric(
    f"{PREFIX}service_level_formula_info",
    "info",
    "The formula by which the queue is judged, which is that of its wall and its alerts.",
    (*_QUEUE, "formula"),
)
QUEUE_INFO: Final = Metric(
    f"{PREFIX}queue_info",
    "info",
    "What people call the queue and where it belongs.",
    (*_QUEUE, "name", "site", "team"),
)

# -- trust: whether the numbers can be believed --

QUEUE_AS_OF: Final = _gauge(
    "queue_as_of_timestamp_seconds",
    "The instant at which what is known of the queue stands, in seconds since 1970; it stays behind"
    " while records are not read or the queue's sources are silent.",
    *_QUEUE,
)
POLICY_RELOAD_FAILED: Final = _gauge(
    "policy_reload_failed", "1 while the policy on disk cannot be read and the last one holds."
)
POLICY_CHANGES_REFUSED: Final = _gauge(
    "policy_changes_refused",
    "Values of the policy on disk that would change what has been counted, and stay as they were.",
)
EVENTS: Final = _counter("events", "Events read, by topic and event type.", "topic", "type")
EVENTS_REJECTED: Final = _counter(
    "events_rejected", "Records that could not be read or lie in the future, by reason.", "reason"
)
REJECTED_SHORTENED: Final = _counter(
    "rejected_shortened",
    "Rejected records too large to be kept whole, of which the first 64 KiB were.",
)
EVENTS_IGNORED: Final = _counter(
    "events_ignored",
    "Events that were read but count nowhere, by reason, such as an unknown type or a contact with"
    " too many events.",
    "topic",
    "reason",
)
UNKNOWN_FIELDS: Final = _counter(
    "unknown_fields", "Fields that no event type has, met and left out.", "topic"
)
OUTCOMES_UNMATCHED: Final = _counter(
    "outcomes_unmatched", "Outcomes of contacts that had no open visit to close.", "topic"
)
DUPLICATES: Final = _counter(
    "duplicates", "Events whose source and id had been met before.", "source"
)
DUPLICATES_CONFLICTING: Final = _counter(
    "duplicates_conflicting",
    "Events whose source and id had been met before with other content.",
    "source",
)
LATE_EVENTS: Final = _counter(
    "late_events", "Events kept out for being older than the allowed lateness.", "topic"
)
CONSERVATION_VIOLATIONS: Final = _gauge(
    "conservation_violations",
    "Visits by which offered differs from answered + abandoned + left + expired + waiting; 0 is"
    " right.",
    *_QUEUE,
)
SOURCE_LAST_EVENT: Final = _gauge(
    "source_last_event_timestamp_seconds",
    "Time of the newest event of the source, in seconds since 1970.",
    "source",
)
SOURCE_SILENCE_LIMIT: Final = _gauge(
    "source_silence_limit_seconds",
    "Longest silence of the source before it is stale; absent where silence means nothing.",
    "source",
)
EVENT_LAG: Final = _gauge(
    "event_lag_seconds",
    "How far the last record read is behind now, 0 when the partition is read to its end.",
    "topic",
    "partition",
)
PARTITION_LAG: Final = _gauge(
    "partition_lag_records",
    "Records of the partition not read yet.",
    "topic",
    "partition",
)
SNAPSHOT_AGE: Final = _gauge(
    "snapshot_age_seconds",
    "How long ago the newest snapshot of the partition held all that was read of it.",
    "topic",
    "partition",
)
STATE_REBUILDS: Final = _counter(
    "state_rebuilds",
    "Partitions whose snapshot could not be used, so that they were read from their beginning.",
    "reason",
)
EVENTS_MISSED: Final = _counter(
    "events_missed",
    "Records that were removed before they were read, as far as their number is known; what they"
    " said is unknown.",
    "topic",
)
PARTITIONS_RECREATED: Final = _counter(
    "partitions_recreated",
    "Partitions that have begun anew, because their topic was deleted and created again or has"
    " fallen back.",
    "topic",
)
FLOOR_PARTIAL: Final = _gauge(
    "floor_partial", "1 while a partition of the floor is missing from what is shown, else 0."
)
BUILD_INFO: Final = Metric(
    f"{PREFIX}build_info", "info", "The version that runs, and its Python.", ("version", "python")
)

ALL: Final[tuple[Metric, ...]] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Metric)
)
"""Every metric, in the order in which they stand above."""
