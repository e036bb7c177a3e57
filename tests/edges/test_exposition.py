"""`/metrics`: what it says, what it withholds, and that it is right, bounded and quick."""

import gc
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import process_time
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from schemas import metric_names as m
from streams.core.floor import Floor, FloorMerger
from streams.core.formulas import FORMULA_IDS
from streams.core.policy import PolicyBook
from streams.core.policy_reading import read_policy
from streams.exposition import Exposition, Pipeline
from streams.exposition_queues import ChannelText
from tests.core.cases import BASE_MS, Case, Sent, call, chat, other
from tests.support.core_floor import CoreFloor, frame_of
from tests.support.oracle_policy import Policy
from tests.support.slow_exposition import SlowExposition

WINDOWS = ("15m", "60m", "day")
LEFT_REASONS = (
    "timeout",
    "overflow",
    "callback",
    "voicemail",
    "key",
    "empty",
    "withdrawn",
    "error",
    "bot",
)
FLOOR_ONLY = ("contacts_offered_total", "wait_seconds_count", "contacts_waiting", "queue_info")

Sample = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Page:
    """A page as Prometheus reads it."""

    text: str

    @property
    def families(self) -> list[Metric]:
        return list(text_string_to_metric_families(self.text))

    @property
    def samples(self) -> dict[Sample, float]:
        """Every sample; each series is there once."""
        read: dict[Sample, float] = {}
        for family in self.families:
            for sample in family.samples:
                series = (sample.name, frozenset(sample.labels.items()))
                assert series not in read
                read[series] = sample.value
        return read

    def of(self, name: str, /, **labels: str) -> dict[Sample, float]:
        """Samples of floorwatch's *name* with at least *labels*."""
        return {
            series: value
            for series, value in self.samples.items()
            if series[0] == m.PREFIX + name and labels.items() <= dict(series[1]).items()
        }

    def values(self, name: str, label: str, /, **labels: str) -> dict[str, float]:
        """Values by *label*."""
        found = self.of(name, **labels)
        return {dict(series[1])[label]: value for series, value in found.items()}

    def value(self, name: str, /, **labels: str) -> float | None:
        """The value of the one sample; None if it is absent."""
        found = self.of(name, **labels)
        assert len(found) <= 1
        return next(iter(found.values()), None)


def floor_at(
    now_s: float, *sent: Sent, policy: Policy | None = None, is_behind: bool = False
) -> Floor:
    """What a core has made of the records by *now_s* after the base."""
    core = CoreFloor(policy or Policy())
    core.take(Case(0, "", sent, ()).records())
    now_ms = BASE_MS + round(now_s * 1000)
    core.advance(now_ms)
    frames = [frame_of(part, now_ms, catching_up=is_behind) for part in core.partitions]
    return FloorMerger(core.book).merge(frames, now_ms)


def book(plain: Mapping[str, Any] | None = None) -> PolicyBook:
    return read_policy(plain or {}, formulas=FORMULA_IDS)


def an_exposition(policies: PolicyBook | None = None) -> Exposition:
    """One without figures of the process."""
    return Exposition(
        policies or book(),
        metric_windows=WINDOWS,
        version="1.2.3",
        registry=CollectorRegistry(),
    )


def page_of(
    floor: Floor,
    policies: PolicyBook | None = None,
    *,
    pipeline: Pipeline | None = None,
    show_floor: bool = True,
) -> Page:
    page = an_exposition(policies).render(floor, pipeline or Pipeline(), show_floor=show_floor)
    return Page(page.decode())


def a_call(number: int, at: float, wait: float, outcome: str, **fields: object) -> tuple[Sent, ...]:
    """A call that waits *wait* seconds from *at* on, and how that ends."""
    named: dict[str, Any] = {"contact": f"call-{number}", **fields}
    ending = {name: value for name, value in named.items() if name != "segment"}
    return (
        call(at, "queued", **{k: v for k, v in named.items() if k != "reason"}),
        call(at + wait, outcome, **ending),
    )


def a_morning() -> tuple[Sent, ...]:
    """A little of everything, on two channels of one queue and in another queue."""
    sales: dict[str, Any] = {"queue": "sales"}
    bot: dict[str, Any] = {"contact": "chat-9", **sales}
    return (
        *a_call(1, 0, 12, "answered", segment="gold"),
        *a_call(2, 1, 30, "answered"),
        *a_call(3, 2, 4, "abandoned"),
        *a_call(4, 3, 15, "abandoned"),
        *a_call(5, 4, 40, "abandoned"),
        *a_call(6, 5, 10.5, "left", reason="overflow"),
        call(5.5, "answered", contact="call-7"),
        call(5.6, "transferred", contact="call-7", to="care", mode="blind"),
        call(6, "refused", contact="call-8", reason="full"),
        chat(7, "messaged", **bot),
        chat(8, "replied", by="bot", **bot),
        chat(9, "queued", **bot),
        chat(20, "answered", **bot),
        chat(25, "replied", by="human", **bot),
        chat(26, "left", contact="chat-10", reason="bot", **sales),
        other(27, "agent.changed", agent="a-1", state="available", queues=["sales"]),
        other(27, "agent.changed", agent="a-2", state="on_contact", queues=["sales", "care"]),
        other(28, "queue.closed", queue="sales", reason="fault"),
        other(50, "queue.observed", queue="sales", waiting=1),
        call(50, "queued", contact="call-11", queue="care"),
        call(60, "queued", contact="call-12"),
        call(61, "queued", contact="call-13"),
        # Late: call-1 had been answered earlier, and after 40 s.
        call(-28, "queued", contact="call-1", delay=95, segment="gold"),
    )


PIPELINE = Pipeline(
    events_total={("calls", "contact.queued"): 7, ("chats", "contact.messaged"): 2},
    rejected={"not_json": 3},
    shortened=1,
    ignored={("calls", "unknown_type"): 4},
    unknown_fields={"calls": 5},
    unmatched={"calls": 6},
    duplicates={"pbx": 8},
    conflicting={"pbx": 9},
    late={"calls": 10},
    event_lag_s={("calls", 0): 0.25, ("calls", 1): 0.0},
    lag_records={("calls", 0): 11, ("calls", 1): 0},
    snapshot_age_s={("calls", 0): 12.5},
    rebuilds={"damaged": 2},
    missed={"calls": 13},
    recreated={"calls": 14},
    policy_reload_failed=True,
    floor_partial=True,
)


# -- what a page says ---------------------------------------------------------------------------


@pytest.mark.parametrize("export", ["own", "all"])
@pytest.mark.parametrize("now_s", [67, 130])
def test_the_floor_reads_as_the_client_library_would_write_it_from_the_api(
    now_s: float, export: str
) -> None:
    policies = book({"defaults": {"formula": "connect", "export_formulas": export}})
    floor = floor_at(now_s, *a_morning())
    slow = CollectorRegistry(auto_describe=False)
    slow.register(SlowExposition(floor, policies, WINDOWS))
    expected = Page(generate_latest(slow).decode())

    page = page_of(floor, policies)

    of_pipeline = page_of(floor, policies, show_floor=False)
    shown = {key: value for key, value in page.samples.items() if key not in of_pipeline.samples}
    assert shown == expected.samples
    kinds = {(family.name, family.type, family.documentation) for family in page.families}
    assert kinds >= {(each.name, each.type, each.documentation) for each in expected.families}


def test_every_metric_is_shown_under_its_name_in_its_order_and_introduced_once() -> None:
    policies = book({"queues": {"sales": {"instant_target": 0.7}}})

    floor = floor_at(67, *a_morning(), other(60, "source.alive"))
    page = page_of(floor, policies, pipeline=PIPELINE)

    helps = re.findall(r"^# HELP (\S+) (.+)$", page.text, re.MULTILINE)
    types = re.findall(r"^# TYPE (\S+) (\S+)$", page.text, re.MULTILINE)
    assert helps == [(metric.name, metric.help) for metric in m.ALL]
    kinds = {metric.name: metric.kind for metric in m.ALL}
    assert types == [
        (metric.name, "gauge" if kinds[metric.name] == "info" else metric.kind) for metric in m.ALL
    ]
    assert all(family.samples for family in page.families)


def test_every_series_carries_exactly_the_labels_of_its_metric() -> None:
    labels = {metric.name: {*metric.labels} for metric in m.ALL}

    page = page_of(floor_at(67, *a_morning()), pipeline=PIPELINE)

    for name, series in page.samples:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        own = labels.get(name) or labels.get(base, set())
        assert {label for label, _ in series} - {"le"} == own


def test_samples_carry_no_timestamp_and_whole_numbers_no_point() -> None:
    page = page_of(floor_at(67, *a_morning()), pipeline=PIPELINE)

    samples = [line for line in page.text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"floorwatch_\w+(\{.*\})? -?\d+(\.\d+)?", line) for line in samples)
    assert 'floorwatch_contacts_waiting{queue="care",channel="voice"} 1\n' in page.text
    threshold = "floorwatch_service_level_threshold_seconds"
    assert f'{threshold}{{queue="care",channel="voice"}} 20\n' in page.text
    assert page.value("oldest_waiting_timestamp_seconds", queue="care") == BASE_MS / 1000 + 50


def test_the_process_and_its_python_stand_at_the_end_and_nowhere_else() -> None:
    exposition = Exposition(book(), version="1.2.3")

    page = Page(exposition.render(floor_at(0), Pipeline(), show_floor=True).decode())

    names = [family.name for family in page.families]
    own = [name for name in names if name.startswith(m.PREFIX)]
    assert names[: len(own)] == own
    assert {"process_resident_memory_bytes", "python_info"} <= {*names[len(own) :]}
    assert m.PREFIX not in generate_latest(prometheus_client.REGISTRY).decode()


def test_the_build_says_which_version_runs() -> None:
    assert page_of(floor_at(0)).value("build_info", version="1.2.3") == 1


def test_figures_of_the_stream_are_shown_as_they_are() -> None:
    page = page_of(floor_at(0), pipeline=PIPELINE)

    assert page.value("events_total", topic="calls", type="contact.queued") == 7
    assert page.value("events_rejected_total", reason="not_json") == 3
    assert page.value("rejected_shortened_total") == 1
    assert page.value("events_ignored_total", topic="calls", reason="unknown_type") == 4
    assert page.value("unknown_fields_total", topic="calls") == 5
    assert page.value("outcomes_unmatched_total", topic="calls") == 6
    assert page.value("duplicates_total", source="pbx") == 8
    assert page.value("duplicates_conflicting_total", source="pbx") == 9
    assert page.value("late_events_total", topic="calls") == 10
    assert page.value("event_lag_seconds", topic="calls", partition="0") == 0.25
    assert page.value("partition_lag_records", topic="calls", partition="0") == 11
    assert page.value("snapshot_age_seconds", topic="calls", partition="0") == 12.5
    assert page.value("state_rebuilds_total", reason="damaged") == 2
    assert page.value("events_missed_total", topic="calls") == 13
    assert page.value("partitions_recreated_total", topic="calls") == 14
    assert page.value("policy_reload_failed") == 1
    assert page.value("floor_partial") == 1


def test_every_reason_to_reject_a_record_is_shown_before_it_happens() -> None:
    reasons = page_of(floor_at(0)).values("events_rejected_total", "reason")

    assert {"not_json", "oversize", "future"} <= reasons.keys()
    assert not any(reasons.values())


# -- counters -----------------------------------------------------------------------------------


def test_a_queue_has_its_counters_at_zero_as_soon_as_it_is_known() -> None:
    page = page_of(floor_at(1, other(0, "queue.opened", queue="sales")))

    assert page.value("contacts_offered_total", queue="sales", channel="voice") == 0
    assert page.values("contacts_answered_total", "within") == {"true": 0, "false": 0}
    assert page.values("contacts_abandoned_total", "timing") == {
        "short": 0,
        "before_threshold": 0,
        "after_threshold": 0,
    }
    assert page.values("contacts_left_total", "within", reason="timeout") == {"true": 0, "false": 0}
    assert page.values("contacts_refused_total", "reason") == {
        "full": 0,
        "closed": 0,
        "no_agents": 0,
    }
    assert page.values("service_level_events_total", "met") == {"true": 0, "false": 0}
    assert page.values("initial_response_events_total", "met") == {"true": 0, "false": 0}
    assert page.value("wait_seconds_count", outcome="abandoned") == 0
    assert page.value("initial_response_seconds_count", clock="asked") == 0


def test_outcomes_are_counted_by_how_they_stand_to_the_threshold() -> None:
    page = page_of(floor_at(67, *a_morning()))
    sales = {"queue": "sales", "channel": "voice"}

    assert page.value("contacts_offered_total", **sales) == 9
    assert page.values("contacts_answered_total", "within", **sales) == {"true": 2, "false": 2}
    assert page.values("contacts_abandoned_total", "timing", **sales) == {
        "short": 1,
        "before_threshold": 1,
        "after_threshold": 1,
    }
    assert page.value("contacts_refused_total", reason="full", **sales) == 1
    assert page.value("contacts_transferred_total", **sales) == 1
    assert page.value("contacts_bot_contained_total", queue="sales", channel="chat") == 1


def test_a_reason_to_leave_is_shown_in_time_and_not_in_time_once_it_was_met() -> None:
    page = page_of(floor_at(60, *a_call(1, 0, 30, "left", reason="overflow")))

    assert page.values("contacts_left_total", "within", reason="overflow") == {
        "true": 0,
        "false": 1,
    }
    assert page.of("contacts_left_total", reason="key") == {}


def test_a_customer_type_may_contain_colons() -> None:
    page = page_of(floor_at(60, *a_call(1, 0, 1, "answered", segment="a:b:")))

    assert page.values("contacts_instant_total", "segment") == {"unknown": 0, "a:b:": 1}
    assert page.values("contacts_sent_to_wait_total", "segment") == {"unknown": 0, "a:b:": 1}


def test_instant_service_is_not_counted_where_it_is_undefined() -> None:
    page = page_of(floor_at(60, *a_call(1, 0, 1, "answered", channel="email")))

    assert page.of("contacts_instant_total") == {}


def test_net_counters_are_what_corrections_leave_of_the_totals() -> None:
    page = page_of(floor_at(67, *a_morning()))
    sales = {"queue": "sales", "channel": "voice"}

    moved = page.of("corrections_total", **sales)
    assert (
        page.value(
            "corrections_total", **sales, **{"from": "answered:true", "to": "answered:false"}
        )
        == 1
    )
    total = sum(page.values("contacts_answered_total", "within", **sales).values())
    taken_out = sum(
        value for (_, series), value in moved.items() if dict(series)["from"].startswith("answered")
    )
    assert total - taken_out == 3


# -- histograms ---------------------------------------------------------------------------------


def test_buckets_are_cumulative_and_their_edges_inclusive() -> None:
    waits = (5.0, 5.001, 20.0, 20.001, 100_000.0)
    calls = [a_call(n, 0, wait, "answered", channel="email") for n, wait in enumerate(waits)]

    page = page_of(floor_at(100_001, *(event for events in calls for event in events)))

    answered = {"outcome": "answered", "channel": "email"}
    buckets = page.values("wait_seconds_bucket", "le", **answered)
    assert [*buckets.items()][:4] == [("5.0", 1), ("10.0", 2), ("20.0", 3), ("30.0", 4)]
    assert [*buckets.items()][-2:] == [("86400.0", 4), ("+Inf", 5)]
    assert page.value("wait_seconds_count", **answered) == 5
    assert page.value("wait_seconds_sum", **answered) == pytest.approx(sum(waits))


def test_every_threshold_is_an_edge_of_every_queue() -> None:
    policy = Policy(queues={("care", "*"): {"threshold_s": 12.5}})
    floor = floor_at(67, *a_call(1, 0, 12.5, "answered"), policy=policy)

    page = page_of(floor, book({"queues": {"care": {"threshold": "12500ms"}}}))

    edges = page.values("wait_seconds_bucket", "le", queue="sales", outcome="answered")
    assert (edges["10.0"], edges["12.5"]) == (0, 1)


def test_an_edge_that_was_not_counted_has_the_count_of_the_next_lower_one() -> None:
    floor = floor_at(67, *a_call(1, 0, 4, "answered"), *a_call(2, 0, 12.1, "answered"))

    page = page_of(floor, book({"queues": {"care": {"threshold": "12500ms"}}}))

    edges = page.values("wait_seconds_bucket", "le", queue="sales", outcome="answered")
    assert (edges["10.0"], edges["12.5"], edges["20.0"]) == (1, 1, 2)


def test_the_clocks_after_a_bot_and_after_an_answer_are_shown_once_they_have_run() -> None:
    page = page_of(floor_at(67, *a_morning()))

    def clocks(channel: str) -> dict[str, float]:
        return page.values("initial_response_seconds_sum", "clock", queue="sales", channel=channel)

    assert clocks("chat") == {"asked": 18, "handoff": 16, "assignment": 5}
    assert clocks("voice").keys() == {"asked"}


# -- live figures -------------------------------------------------------------------------------


def test_those_waiting_are_counted_and_the_oldest_has_a_timestamp() -> None:
    page = page_of(floor_at(81.001, *a_morning()))
    sales = {"queue": "sales", "channel": "voice"}

    assert page.value("contacts_waiting", **sales) == 2
    assert page.value("contacts_waiting_past_threshold", **sales) == 2
    assert page.value("oldest_waiting_timestamp_seconds", **sales) == BASE_MS / 1000 + 60
    assert page.value("contacts_awaiting_reply", **sales) == 2
    assert page.value("oldest_awaiting_reply_timestamp_seconds", **sales) == BASE_MS / 1000 + 60


def test_the_timestamp_of_nobody_is_zero() -> None:
    page = page_of(floor_at(60, *a_call(1, 0, 12, "answered")))

    assert page.value("contacts_waiting") == 0
    assert page.value("oldest_waiting_timestamp_seconds") == 0
    assert page.value("oldest_awaiting_reply_timestamp_seconds") == 0


def test_agents_and_the_door_are_shown_only_once_something_is_known_of_them() -> None:
    page = page_of(floor_at(60, *a_call(1, 0, 12, "answered")))

    assert page.of("agents") == page.of("queue_open") == {}
    assert page.of("waiting_drift") == {}


def test_agents_are_shown_in_every_state_once_for_all_channels() -> None:
    page = page_of(floor_at(67, *a_morning()))

    assert page.values("agents", "state", queue="sales") == {
        "available": 1,
        "on_contact": 1,
        "after_contact_work": 0,
        "not_ready": 0,
        "logged_out": 0,
    }
    assert page.values("agents", "state", queue="care")["on_contact"] == 1


@pytest.mark.parametrize(
    ("event", "is_open", "since"),
    [
        (other(9, "queue.opened", queue="sales"), 1, None),
        (other(9, "queue.closed", queue="sales", reason="planned"), 0, None),
        (other(9, "queue.closed", queue="sales", reason="fault"), 0, BASE_MS / 1000 + 9),
    ],
)
def test_only_a_fault_puts_a_queue_out_of_service(
    event: Sent, is_open: int, since: float | None
) -> None:
    page = page_of(floor_at(60, event))

    assert page.value("queue_open", queue="sales") == is_open
    assert page.value("queue_out_of_service_since_timestamp_seconds", queue="sales") == since


@pytest.mark.parametrize(("age_s", "drift"), [(0, -3), (60, -3), (60.001, None)])
def test_drift_is_all_channels_less_what_the_source_counted_within_a_minute(
    age_s: float, drift: int | None
) -> None:
    floor = floor_at(
        10 + age_s,
        call(0, "queued"),
        chat(0, "queued", queue="sales"),
        other(10, "queue.observed", queue="sales", waiting=5),
    )

    assert page_of(floor).value("waiting_drift", queue="sales") == drift


# -- windows and policy -------------------------------------------------------------------------


def test_window_figures_say_what_they_rest_on() -> None:
    page = page_of(floor_at(67, *a_morning()))
    of_window = {"queue": "sales", "channel": "voice", "window": "15m"}

    # By 10:01:05 two in time, one late, three abandoned and one who left; call-12 and 13 wait.
    assert page.values("window_contacts", "outcome", **of_window) == {
        "offered": 9,
        "answered": 3,
        "abandoned": 3,
        "left": 1,
        "expired": 0,
    }
    assert page.values("service_level_ratio", "formula", **of_window) == {"strict": 1 / 7}
    assert page.values("service_level_contacts", "formula", **of_window) == {"strict": 7}
    assert page.value("service_level_low_ratio", **of_window) == 1 / 9
    assert page.value("service_level_high_ratio", **of_window) == 3 / 9
    assert page.value("abandonment_ratio", **of_window) == 3 / 7
    chats = {"queue": "sales", "channel": "chat", "window": "day"}
    assert page.values("initial_response_window_seconds", "percentile", **chats) == {
        "50": 16,
        "90": 16,
        "99": 16,
    }
    assert page.value("initial_response_within_ratio", **chats) == 1


def test_a_ratio_of_nothing_has_no_series_and_rests_on_zero() -> None:
    page = page_of(floor_at(60, other(0, "queue.opened", queue="sales")))

    assert page.of("service_level_ratio") == page.of("service_level_low_ratio") == {}
    assert page.of("abandonment_ratio") == page.of("instant_service_ratio") == {}
    assert page.of("initial_response_window_seconds") == {}
    assert page.values("service_level_contacts", "window") == dict.fromkeys(WINDOWS, 0)


@pytest.mark.parametrize(
    ("settings", "formulas"),
    [
        ({}, {"strict"}),
        ({"formula": "connect"}, {"connect", "strict"}),
        ({"export_formulas": "all"}, {*FORMULA_IDS}),
    ],
)
def test_a_queue_shows_its_own_formula_and_strict_or_all_of_them(
    settings: dict[str, object], formulas: set[str]
) -> None:
    page = page_of(floor_at(67, *a_morning()), book({"queues": {"sales": settings}}))

    shown = page.values("service_level_contacts", "formula", queue="sales", channel="voice")
    assert shown.keys() == formulas


def test_only_the_chosen_windows_are_shown() -> None:
    exposition = Exposition(book(), metric_windows=["5m"], version="", registry=CollectorRegistry())

    page = Page(exposition.render(floor_at(9), Pipeline(), show_floor=True).decode())
    busy = exposition.render(floor_at(67, *a_morning()), Pipeline(), show_floor=True)

    assert page.of("window_contacts") == {}
    assert Page(busy.decode()).values("window_contacts", "window").keys() == {"5m"}


def test_the_policy_shown_is_the_one_in_force_now() -> None:
    plain = {
        "queues": {
            "sales": {
                "threshold": ["20s", {"from": "2026-11-24T10:00:30Z", "value": "40s"}],
                "target": 0.9,
                "instant_target": 0.7,
                "abandonment_limit": 0.05,
                "volume_floor": 12,
                "name": 'Sales "East"',
                "site": "Vilnius",
                "team": "Blue\\n",
            }
        }
    }
    events = a_call(1, 0, 12, "answered")
    kept = an_exposition(book(plain))

    def page_at(now_s: float) -> Page:
        page = kept.render(floor_at(now_s, *events), Pipeline(), show_floor=True)
        return Page(page.decode())

    assert page_at(29).value("service_level_threshold_seconds", queue="sales") == 20
    page = page_at(30)
    assert page.value("service_level_threshold_seconds", queue="sales") == 40
    assert page.values("longest_wait_limit_seconds", "severity") == {
        "warning": 240,
        "critical": 600,
    }
    assert page.value("initial_response_limit_seconds") == 20
    assert page.value("service_level_target_ratio") == 0.9
    assert page.value("instant_target_ratio") == 0.7
    assert page.value("abandonment_limit_ratio") == 0.05
    assert page.value("alert_min_contacts") == 12
    assert page.value("queue_info", name='Sales "East"', site="Vilnius", team="Blue\\n") == 1


def test_no_promise_of_instant_service_has_no_series() -> None:
    assert page_of(floor_at(67, *a_morning())).of("instant_target_ratio") == {}


def test_sources_and_conservation_can_be_watched() -> None:
    floor = floor_at(67, *a_morning())
    floor.queues["care", "voice"].violations += 2

    page = page_of(floor)

    assert page.value("source_last_event_timestamp_seconds", source="pbx") == BASE_MS / 1000 + 61
    assert page.value("conservation_violations", queue="care", channel="voice") == 2
    assert page.value("conservation_violations", queue="sales", channel="voice") == 0


# -- what is withheld ---------------------------------------------------------------------------

OF_NOW = {
    metric.name
    for metric in m.ALL
    if metric.kind == "gauge"
    and "queue" in metric.labels
    and not re.search(
        r"_limit|_target|threshold_seconds|min_contacts|violations|scheduled|as_of", metric.name
    )
}


def names_of(page: Page, queue: str) -> set[str]:
    return {name for name, labels in page.samples if ("queue", queue) in labels}


def test_a_queue_that_is_behind_shows_no_live_or_window_figure_but_all_the_rest() -> None:
    events = a_morning()

    behind = page_of(floor_at(67, *events, is_behind=True))

    up = page_of(floor_at(67, *events))
    assert names_of(up, "sales") & OF_NOW == OF_NOW
    assert names_of(behind, "sales") == names_of(up, "sales") - OF_NOW
    assert behind.samples == {
        series: value for series, value in up.samples.items() if series[0] not in OF_NOW
    }


def test_a_queue_without_data_is_withheld_until_its_source_is_heard_again() -> None:
    heard = (other(30, "source.alive"), *a_morning())
    exposition = an_exposition()

    def names_at(now_s: float, *events: Sent) -> set[str]:
        floor = floor_at(now_s, *heard, *events)
        page = exposition.render(floor, PIPELINE, show_floor=True)
        return names_of(Page(page.decode()), "care")

    known = names_at(151)
    assert "floorwatch_contacts_waiting" in known
    silent = names_at(151.001)
    assert silent & OF_NOW == set()
    assert silent == known - OF_NOW
    assert names_at(152, other(152, "source.alive")) == known


def test_one_channel_without_data_leaves_the_other_and_the_agents_but_no_drift() -> None:
    floor = floor_at(67, *a_morning())
    floor.queues["sales", "chat"].no_data_since_ms = BASE_MS

    page = page_of(floor)

    assert page.values("contacts_waiting", "channel", queue="sales").keys() == {"voice"}
    assert page.values("window_contacts", "channel", queue="sales").keys() == {"voice"}
    assert page.value("queue_open", queue="sales") == 0
    assert page.of("agents", queue="sales") != {}
    assert page.of("waiting_drift") == {}
    assert page.values("contacts_offered_total", "channel", queue="sales").keys() == {
        "voice",
        "chat",
    }


def test_before_the_first_catch_up_nothing_of_the_floor_is_shown() -> None:
    page = page_of(floor_at(67, *a_morning()), pipeline=PIPELINE, show_floor=False)

    assert all(page.of(name) == {} for name in FLOOR_ONLY)
    assert not any({"queue", "channel"} & {*dict(series[1])} for series in page.samples)
    assert page.of("source_last_event_timestamp_seconds") == {}
    assert page.value("partition_lag_records", topic="calls", partition="0") == 11
    assert page.value("build_info") == 1


# -- pages one after another --------------------------------------------------------------------


def test_each_page_is_the_one_that_a_new_worker_would_write() -> None:
    policies = book({"defaults": {"export_formulas": "all"}})
    kept = an_exposition(policies)
    events = (*a_morning(), call(81.4, "queued", contact="call-14"))

    for now_s in (0, 3, 14, 27, 28, 40, 67, 68, 81.3, 81.5, 1000, 5000, 90_000):
        known = [event for event in events if event.at + event.delay <= now_s]
        floor = floor_at(now_s, *known, is_behind=now_s == 68)
        page = kept.render(floor, PIPELINE, show_floor=True)
        again = kept.render(floor, PIPELINE, show_floor=True)
        assert page == again
        assert Page(page.decode()).samples == page_of(floor, policies, pipeline=PIPELINE).samples


def test_a_floor_that_changes_in_place_is_not_taken_for_the_one_before() -> None:
    kept = an_exposition()
    floor = floor_at(67, *a_morning())
    queue = floor.queues["sales", "voice"]
    kept.render(floor, Pipeline(), show_floor=True)

    queue.counters["offered"] += 1
    queue.corrections["offered", "none"] = 5
    queue.windows["15m"].counts[0] += 1
    queue.windows["60m"].responses[9_000] = 100
    queue.waits["answered"].observe(1)
    page = Page(kept.render(floor, Pipeline(), show_floor=True).decode())

    assert page.samples == page_of(floor).samples


def test_a_queue_that_left_the_floor_is_forgotten() -> None:
    kept = an_exposition()

    def texts_after(queue: str) -> int:
        kept.render(floor_at(1, call(0, "queued", queue=queue)), Pipeline(), show_floor=True)
        gc.collect()
        return sum(isinstance(each, ChannelText) for each in gc.get_objects())

    assert texts_after("one") == texts_after("two")


# -- labels -------------------------------------------------------------------------------------

HOSTILE = st.text(
    st.sampled_from('\\"\n\r\t\0 %{}=,#ñ\u2028\u0085') | st.characters(codec="utf-8"), min_size=1
)


@given(queue=HOSTILE, channel=HOSTILE, segment=HOSTILE, source=HOSTILE)
def test_any_name_comes_back_as_it_was(queue: str, channel: str, segment: str, source: str) -> None:
    fields: dict[str, Any] = {"queue": queue, "channel": channel, "segment": segment}
    floor = floor_at(
        60,
        call(0, "queued", **fields),
        call(12, "answered"),
        other(0, "agent.changed", agent="a", state="available", queues=[queue]),
    )

    page = page_of(floor, pipeline=Pipeline(duplicates={source: 1}))

    named = {"queue": queue, "channel": channel}
    assert page.value("contacts_offered_total", **named) == 1
    assert page.value("wait_seconds_count", outcome="answered", **named) == 1
    assert page.value("contacts_sent_to_wait_total", segment=segment, **named) == 1
    assert page.value("window_contacts", window="day", outcome="answered", **named) == 1
    assert page.value("agents", queue=queue, state="available") == 1
    assert page.value("duplicates_total", source=source) == 1


# -- bounds -------------------------------------------------------------------------------------


def everything_that_can_happen() -> Iterator[Sent]:
    """All reasons, all customer types, all clocks, all agent states in one queue of chats."""
    queue: dict[str, Any] = {"queue": "support"}
    for number, reason in enumerate(LEFT_REASONS):
        for wait in (60, 180):
            contact = f"left-{number}-{wait}"
            yield chat(0, "queued", contact=contact, **queue)
            yield chat(wait, "left", contact=contact, reason=reason, **queue)
    for number in range(12):
        yield chat(0, "queued", contact=f"type-{number}", segment=f"type {number}", **queue)
        yield chat(1, "answered", contact=f"type-{number}", **queue)
    for reason in ("full", "closed", "no_agents"):
        yield chat(0, "refused", contact=f"refused-{reason}", reason=reason, **queue)
    bot = {"contact": "bot", **queue}
    yield chat(0, "messaged", **bot)
    yield chat(1, "replied", by="bot", **bot)
    yield chat(2, "queued", **bot)
    yield chat(8, "answered", **bot)
    yield chat(9, "replied", by="human", **bot)
    yield chat(10, "transferred", to="other", **bot)
    yield chat(0, "left", contact="contained", reason="bot", **queue)
    yield chat(100, "queued", contact="waits", **queue)
    yield other(1, "agent.changed", agent="a", state="available", queues=["support"])
    yield other(1, "queue.closed", queue="support", reason="fault")
    yield other(200, "queue.observed", queue="support", waiting=1)


@pytest.mark.parametrize(
    "settings",
    [{}, {"formula": "connect", "instant_target": 0.8, "name": "Support", "site": "Vilnius"}],
)
def test_no_queue_and_channel_has_more_than_200_series(settings: dict[str, object]) -> None:
    events = tuple(everything_that_can_happen())

    page = page_of(floor_at(240, *events), book({"queues": {"support": settings}}))

    families = Counter(name for name, labels in page.samples if {("queue", "support")} & labels)
    assert len(page.values("contacts_sent_to_wait_total", "segment", queue="support")) == 10
    assert len(page.values("contacts_left_total", "reason", queue="support")) == 9
    assert len(page.values("initial_response_seconds_count", "clock", queue="support")) == 3
    assert "floorwatch_waiting_drift" in families
    assert families["floorwatch_corrections_total"] == 0
    assert sum(families.values()) <= 200


# -- naming, as `promtool check metrics` has it ---------------------------------------------------

RESERVED_SUFFIXES = ("_bucket", "_sum", "_count")
KINDS = ("gauge", "counter", "histogram", "summary")
NOT_BASE_UNITS = re.compile(
    r"_(ms|s|sec|secs|msec|milliseconds|microseconds|nanoseconds|minutes|mins|hours|days|weeks"
    r"|kilobytes|megabytes|percent|percents)(_|$)"
)


@pytest.mark.parametrize("metric", m.ALL, ids=lambda metric: metric.name)
def test_names_follow_the_conventions_of_prometheus(metric: m.Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", metric.name)
    assert metric.help == metric.help.strip() != ""
    assert not {"\n", "\\"} & {*metric.help}
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not metric.name.endswith(RESERVED_SUFFIXES)
    assert not {*KINDS} & {*metric.name.split("_")}
    assert not NOT_BASE_UNITS.search(metric.name)
    assert not {"le", "quantile", "job", "instance"} & {*metric.labels}
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in metric.labels)
    assert len({*metric.labels}) == len(metric.labels)


# -- cost ---------------------------------------------------------------------------------------


def best_of(times: int, work: Callable[[], object]) -> float:
    """CPU seconds of the best run; what else the machine does hardly counts."""
    took = []
    for _ in range(times):
        began = process_time()
        work()
        took.append(process_time() - began)
    return min(took)


def test_a_page_costs_a_fifth_of_the_client_librarys_even_if_all_of_it_has_changed() -> None:
    def busy(late_s: int) -> Floor:
        events: list[Sent] = []
        for number in range(300):
            outcome = "abandoned" if number % 3 else "answered"
            wait = 3 * number % 35 + late_s
            events += a_call(number, number % 60, wait, outcome, queue=f"queue-{number // 3}")
        return floor_at(120 + late_s, *events)

    floors = [busy(0), busy(7)]
    exposition = an_exposition()
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    samples = page_of(floors[0]).samples
    for (name, series), value in samples.items():
        labels = dict(sorted(series))
        if name not in gauges:
            gauges[name] = Gauge(name, "", labels, registry=registry)
        (gauges[name].labels(**labels) if labels else gauges[name]).set(value)

    def page() -> None:
        floors.reverse()
        exposition.render(floors[0], Pipeline(), show_floor=True)

    slow = best_of(3, lambda: generate_latest(registry))
    fast = best_of(6, page)

    assert len(samples) > 10_000
    assert fast * 5 < slow


# -- what alerts lean on -------------------------------------------------------------------------


def test_a_queue_is_scheduled_open_by_its_hours_on_the_clock_of_its_zone() -> None:
    hours = "tue 10:00-18:00"  # the base is a Tuesday at ten in UTC
    zones = {"sales": {"hours": hours, "zone": "UTC"}, "care": {"hours": hours, "zone": "-01:00"}}

    page = page_of(floor_at(67, *a_morning()), book({"queues": zones}))

    assert page.value("queue_scheduled_open", queue="sales", channel="voice") == 1
    assert page.value("queue_scheduled_open", queue="care", channel="voice") == 0


def test_a_queue_without_hours_is_always_scheduled_open() -> None:
    page = page_of(floor_at(67, *a_morning()))

    assert set(page.values("queue_scheduled_open", "queue").values()) == {1}


def test_the_formula_that_a_queue_is_judged_by_is_named() -> None:
    policies = book({"queues": {"care": {"formula": "icmi_1"}}})

    page = page_of(floor_at(67, *a_morning()), policies)

    assert page.value("service_level_formula_info", queue="care", formula="icmi_1") == 1
    assert page.value("service_level_formula_info", queue="sales", channel="voice") == 1
    assert page.values("service_level_formula_info", "formula", queue="sales").keys() == {"strict"}


def test_what_is_known_of_a_queue_stands_at_now_until_nobody_knows_any_more() -> None:
    heard = (other(30, "source.alive"), *a_morning())

    def stands_at_s(now_s: float, *events: Sent) -> float | None:
        page = page_of(floor_at(now_s, *heard, *events))
        at_s = page.value("queue_as_of_timestamp_seconds", queue="care", channel="voice")
        return None if at_s is None else at_s - BASE_MS / 1000

    assert stands_at_s(151) == 151
    assert stands_at_s(151.001) == 61  # the last event of the one source
    assert stands_at_s(152, other(152, "source.alive")) == 152


def test_a_partition_that_is_behind_holds_the_instant_of_its_queues_back() -> None:
    floor = floor_at(67, *a_morning())
    floor.queues["care", "voice"].as_of_ms = BASE_MS + 12_500

    page = page_of(floor)

    assert page.value("queue_as_of_timestamp_seconds", queue="care") == BASE_MS / 1000 + 12.5


def test_only_a_source_that_is_expected_to_be_heard_has_a_silence_limit() -> None:
    silent = page_of(floor_at(67, *a_morning()))
    beating = page_of(floor_at(67, *a_morning(), other(60, "source.alive")))

    assert silent.of("source_silence_limit_seconds") == {}
    assert set(beating.values("source_silence_limit_seconds", "source").values()) == {90}
