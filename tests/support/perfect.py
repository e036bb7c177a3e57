"""What a worker has to show: the same figures without Kafka, by the report and by brute force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, get_args

import orjson

from schemas.codec import Decoder
from schemas.events import AgentState
from schemas.instants import write_instant
from streams.core.policy import PolicyBook
from streams.core.reporting import IntervalReport, TickReport, Timed
from streams.sources.recorded import Recorded
from tests.support import oracle_figures as oracle
from tests.support.oracle import Policy, visits_of
from tests.support.recordings import Look, Recording
from tests.support.running import Samples

Entry = dict[str, Any]
Key = tuple[str, str, str]
"""Queue, channel, window."""

ROLLING: Final = {"5m": 300_000, "15m": 900_000, "30m": 1_800_000, "60m": 3_600_000}
WINDOWS: Final = (*ROLLING, "day")

COUNTERS: Final = (
    *("offered", "answered", "answered_within", "abandoned", "abandoned_short"),
    *("abandoned_within", "left", "left_within", "expired", "refused", "instant"),
    *("sent_to_wait", "transferred", "initial_response_events", "initial_response_within"),
)
FIGURES: Final = (
    *COUNTERS,
    *("waiting", "waiting_past_threshold", "longest_wait_s"),
    *("awaiting_reply", "oldest_awaiting_reply_s"),
    *("wait_s", "abandon_wait_s", "initial_response_s", "initial_response_within_ratio"),
    *("service_level", "service_level_n", "service_level_low", "service_level_high"),
    *("instant_service_ratio", "abandonment_ratio", "mixed"),
)
STAFFING: Final = ("agents", "queue_open")
WITHIN_A_PERCENT: Final = ("p50", "p90", "p99", "max")
"""What a worker takes from histograms."""


class Perfect:
    """The figures of a recording."""

    def __init__(self, recording: Recording, policies: PolicyBook) -> None:
        self._recording = recording
        self._policies = policies
        self.rows = cache(self._rows)
        self.by_brute_force = cache(self._by_brute_force)

    def _rows(self, look: Look) -> dict[Key, Entry]:
        """The report's rows at a look, by queue and channel."""
        report = TickReport(
            self._policies,
            zone=self._recording.tz,
            every_ms=look.at_ms,  # whose only multiple up to then is itself
            windows=ROLLING,
            days=True,
            by=("queue", "channel"),
        )
        rows = {}
        for row in report.rows(iter(timed(look.known))):
            assert row["at"] == write_instant(look.at_ms, self._recording.tz)
            if row["queue"] != "*":
                rows[row["queue"], row["channel"], row["window"]] = row
        return rows

    def _by_brute_force(self, look: Look, window: str) -> dict[Key, Entry]:
        """The rows of one window, by an oracle that shares no code with the core."""
        policy = Policy(zone=self._recording.zone)
        events = [orjson.loads(record.value) for record in look.known]
        contacts = visits_of(events, policy, until_ms=look.at_ms)
        if window == "day":
            today = oracle.local_date(look.at_ms, policy.zone)
            span = oracle.Window(oracle.first_instant_of(today, policy.zone), look.at_ms)
        else:
            span = oracle.Window(look.at_ms - ROLLING[window], look.at_ms, from_inside=False)
        rows = {}
        for queue, channel in {("*", "*"), *(key[:2] for key in self.rows(look))}:
            sight = oracle.Look(queue, channel, span, look.at_ms, arrival=False)
            agents = oracle.agents_of(events, policy, queue) if queue != "*" else None
            rows[queue, channel, window] = {
                **oracle.figures(contacts, contacts, sight, look.at_ms),
                "agents": agents
                and {state: agents.get(state, 0) for state in get_args(AgentState)},
                "queue_open": oracle.is_queue_open(events, policy, queue),
            }
        return rows

    def totals(self, known: Iterable[Recorded]) -> dict[tuple[str, str], dict[str, int]]:
        """The counters of the whole input by queue and channel, as `counters_of` has them."""
        report = IntervalReport(
            self._policies,
            zone=self._recording.tz,
            by=("queue", "channel"),
            by_arrival=False,
        )
        for event, time_ms, arrival_ms in timed(known):
            report.accept(event, time_ms, arrival_ms)
        return totals_of(report.rows())


def timed(records: Iterable[Recorded]) -> list[Timed]:
    """*records* as events with their arrival, as a file of them would be read."""
    decode = Decoder().decode
    arrival_ms = 0
    events = []
    for record in records:
        event, time_ms = decode(record.value)
        arrival_ms = max(arrival_ms, time_ms)
        events.append(Timed(event, time_ms, arrival_ms))
    return events


def entries_of(floor: Mapping[str, Any]) -> dict[Key, Entry]:
    """The entries of all windows; there is one of each."""
    listed = [entry for entry in floor["entries"] if entry["window"] in WINDOWS]
    entries = {(entry["queue"], entry["channel"], entry["window"]): entry for entry in listed}
    assert len(entries) == len(listed)
    return entries


def unequal(
    entries: Mapping[Key, Entry], rows: Mapping[Key, Entry], names: Sequence[str] = FIGURES
) -> dict[Key, Any]:
    """The entries that differ from the rows, with (shown, expected) of each figure that does.

    Where only one side knows a queue, all its counts have to be zero: its door or its agents alone
    make a queue known to a worker, and not to a report.
    """
    found: dict[Key, Any] = {}
    for key in entries.keys() | rows:
        entry, row = entries.get(key), rows.get(key)
        if entry is not None and row is not None:
            if differ := differences(entry, row, names):
                found[key] = differ
        elif any((entry or row or {})[name] for name in (*COUNTERS, "waiting", "awaiting_reply")):
            found[key] = "missing" if entry is None else "unexpected"
    return found


def differences(
    shown: Mapping[str, Any], expected: Mapping[str, Any], names: Iterable[str]
) -> dict[str, tuple[Any, Any]]:
    """The figures that differ, as (shown, expected); live quantiles may, by one percent."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in names:
        one, other = shown[name], expected[name]
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            assert one.keys() == other.keys()
            inner = differences(one, other, other)
            found |= {f"{name}.{key}": pair for key, pair in inner.items()}
        elif name in WITHIN_A_PERCENT and one is not None and other is not None:
            if abs(one - other) > other / 100:
                found[name] = (one, other)
        elif one != other:
            found[name] = (one, other)
    return found


# -- counters ---------------------------------------------------------------------------------


def totals_of(rows: Iterable[Entry]) -> dict[tuple[str, str], dict[str, int]]:
    """The counters of a report's rows by queue and channel."""
    return {(row["queue"], row["channel"]): counters_of(row) for row in rows if row["queue"] != "*"}


def counters_of(row: Mapping[str, Any]) -> dict[str, int]:
    """The counters of a row, and the two that `strict` is made of."""
    rests_on = row["service_level_n"]["strict"]
    return {
        **{name: row[name] for name in COUNTERS},
        "service level met": round((row["service_level"]["strict"] or 0) * rests_on),
        "service level events": rests_on,
    }


def sum_of(metrics: Samples, name: str, **labels: str) -> int:
    """The sum of all series of *name* with these *labels*."""
    wanted = labels.items()
    return round(
        sum(value for (each, has), value in metrics.items() if each == name and wanted <= has)
    )


def net_counters(metrics: Samples, queue: str, channel: str) -> dict[str, int]:
    """Totals less what corrections took out of them, under the names of `counters_of`."""
    place = {"queue": queue, "channel": channel}
    corrections = [
        (dict(has)["from"].split(":"), value)
        for (name, has), value in metrics.items()
        if name == "floorwatch_corrections_total" and place.items() <= has
    ]

    def net(name: str, **labels: str) -> int:
        total = sum_of(metrics, f"floorwatch_{name}_total", **place, **labels)
        family, values = name.removeprefix("contacts_"), {*labels.values()}
        taken = [n for (first, *rest), n in corrections if first == family and values <= {*rest}]
        return total - round(sum(taken))

    short = net("contacts_abandoned", timing="short")
    return {
        "offered": net("contacts_offered"),
        "answered": net("contacts_answered"),
        "answered_within": net("contacts_answered", within="true"),
        "abandoned": net("contacts_abandoned"),
        "abandoned_short": short,
        "abandoned_within": short + net("contacts_abandoned", timing="before_threshold"),
        "left": net("contacts_left"),
        "left_within": net("contacts_left", within="true"),
        "expired": net("contacts_expired"),
        "refused": net("contacts_refused"),
        "instant": net("contacts_instant"),
        "sent_to_wait": net("contacts_sent_to_wait"),
        "transferred": net("contacts_transferred"),
        "initial_response_events": net("initial_response_events"),
        "initial_response_within": net("initial_response_events", met="true"),
        "service level met": net("service_level_events", met="true"),
        "service level events": net("service_level_events"),
    }
