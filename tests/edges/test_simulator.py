"""The simulated centre: repeatable, consistent, believable, and able to go wrong on demand."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from statistics import mean
from zoneinfo import ZoneInfo

import pytest

from schemas.codec import Decoder
from schemas.events import (
    EVENT_TYPES,
    Abandoned,
    AgentChanged,
    Answered,
    ContactEvent,
    Ended,
    Event,
    Left,
    Messaged,
    Offered,
    QueueClosed,
    Queued,
    QueueObserved,
    QueueOpened,
    Rang,
    Refused,
    Replied,
    Resolved,
    SourceAlive,
    Transferred,
    Wrapped,
    type_name,
)
from schemas.instants import read_instant, write_instant
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.simulator import (
    Delivery,
    Incident,
    Simulation,
    default_centre,
    parse_incident,
    zone_where_it_is,
)
from streams.sources.routing import Router

MINUTE = 60_000
HOUR = 60 * MINUTE
TEN_O_CLOCK = read_instant("2026-11-24T10:00:00Z")
CENTRE = default_centre()
PLANS = {plan.queue: plan for plan in CENTRE.queues}
VOICE = ("sales", "support", "billing")


@lru_cache(maxsize=8)  # an hour of a centre takes some hundred megabytes
def deliveries_of(
    *incidents: str, hours: float = 1, seed: int = 7, start_ms: int = TEN_O_CLOCK, rate: float = 1.0
) -> tuple[Delivery, ...]:
    simulation = Simulation(
        CENTRE,
        seed=seed,
        start_ms=start_ms,
        end_ms=start_ms + int(hours * HOUR),
        rate=rate,
        incidents=[parse_incident(incident) for incident in incidents],
    )
    return tuple(simulation.run())


def events_in(deliveries: Sequence[Delivery]) -> list[tuple[int, Event]]:
    """Time and event of each delivery, heartbeats once per topic."""
    decoder = Decoder()
    events = []
    for delivery in deliveries:
        event, time_ms = decoder.decode(delivery.value)
        events.append((time_ms, event))
    assert decoder.unknown_fields == 0
    return events


def told(deliveries: Sequence[Delivery]) -> set[bytes]:
    """What happened, whenever and how often it was said."""
    return {delivery.value for delivery in deliveries if delivery.key is not None}


def events_of_only(queue: str, *, start_ms: int, hours: int) -> list[tuple[int, Event]]:
    """Events of a centre that has only this queue, and one pool of agents for it."""
    pool = next(pool for pool in CENTRE.pools if pool.serves[0][0] == queue)
    centre = replace(
        CENTRE,
        queues=(replace(PLANS[queue], transfers_to="", overflow_to=""),),
        pools=(replace(pool, serves=((queue, 1.0),)),),
    )
    simulation = Simulation(centre, seed=7, start_ms=start_ms, end_ms=start_ms + hours * HOUR)
    return events_in(list(simulation.run()))


@dataclass
class Visit:
    queue: str
    opened_ms: int
    closed_ms: int | None = None
    outcome: str = "waiting"

    def is_in_time(self) -> bool:
        wait_ms = (self.closed_ms or 0) - self.opened_ms
        return self.outcome == "answered" and wait_ms <= PLANS[self.queue].threshold_s * 1000


@dataclass
class History:
    """Visits as the events tell them, event by event, with everything that does not add up."""

    visits: list[Visit] = field(default_factory=list)
    observed: list[tuple[str, int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    opened: dict[str, Visit] = field(default_factory=dict)
    asked_ms: dict[str, int] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    load: Counter[str] = field(default_factory=Counter)

    def take(self, time_ms: int, event: Event) -> None:
        if isinstance(event, QueueObserved):
            own = sum(visit.queue == event.queue for visit in self.opened.values())
            self.observed.append((event.queue, event.waiting or 0, own))
        if not isinstance(event, ContactEvent):
            return
        contact = event.contact
        if contact in self.over and not isinstance(event, Wrapped | Resolved):
            if isinstance(event, Messaged):
                self.over.discard(contact)
            else:
                self.faults.append(f"{type_name(type(event))} after the end")
        if isinstance(event, Offered | Transferred):
            self.asked_ms[contact] = time_ms
        if isinstance(event, Queued | Rang) and contact not in self.opened:
            from_ms = time_ms if isinstance(event, Queued) else self.asked_ms[contact]
            self.opened[contact] = Visit(event.queue, from_ms)
            self.visits.append(self.opened[contact])
        elif isinstance(event, Answered | Abandoned | Left):
            self._close(time_ms, event)
        if isinstance(event, Ended):
            self.over.add(contact)
            if contact in self.opened:
                self.faults.append("ended while waiting")
        if isinstance(event, Answered):
            self.load[event.agent] += 1
        if isinstance(event, Ended | Transferred):
            self.load[event.agent] -= 1

    def _close(self, time_ms: int, event: Answered | Abandoned | Left) -> None:
        visit = self.opened.pop(event.contact, None)
        if isinstance(event, Left) and event.reason == "bot":
            self.over.add(event.contact)
            if visit is not None:
                self.faults.append("contained by the bot while waiting for a person")
        elif visit is None or visit.queue != event.queue:
            self.faults.append(f"{type_name(type(event))} without a visit in {event.queue}")
        else:
            visit.closed_ms = time_ms
            visit.outcome = type_name(type(event)).removeprefix("contact.")


def history_of(deliveries: Sequence[Delivery]) -> History:
    history = History()
    for time_ms, event in events_in(deliveries):
        history.take(time_ms, event)
    return history


@pytest.fixture(scope="module")
def morning() -> Sequence[Delivery]:
    return deliveries_of(hours=2)


@pytest.fixture(scope="module")
def history(morning: Sequence[Delivery]) -> History:
    return history_of(morning)


# Repeatable


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert deliveries_of("agents-out@10m", "late@20m") == deliveries_of(
        "agents-out@10m", "late@20m"
    )


def test_another_seed_gives_another_history() -> None:
    assert told(deliveries_of(seed=1)).isdisjoint(told(deliveries_of(seed=2)))


def test_nothing_differs_before_an_incident_begins() -> None:
    quiet = deliveries_of()
    struck = deliveries_of("agents-out@30m")
    before_ms = TEN_O_CLOCK + 30 * MINUTE

    def before(deliveries: Sequence[Delivery]) -> list[Delivery]:
        return [delivery for delivery in deliveries if delivery.at_ms < before_ms]

    assert before(quiet) == before(struck)
    assert quiet != struck


def test_in_pieces_it_is_the_same_as_at_once() -> None:
    end_ms = TEN_O_CLOCK + HOUR
    incidents = [parse_incident("late@10m/1h"), parse_incident("source-silent@50m/1h")]
    simulation = Simulation(
        CENTRE, seed=7, start_ms=TEN_O_CLOCK, end_ms=end_ms, incidents=incidents
    )

    pieces: list[Delivery] = []
    for until_ms in range(TEN_O_CLOCK, end_ms + 20 * MINUTE, 7 * MINUTE):
        piece = list(simulation.run(until_ms))
        assert all(delivery.at_ms < until_ms for delivery in piece)
        pieces += piece

    assert tuple(pieces) == deliveries_of("late@10m/1h", "source-silent@50m/1h")


def test_a_consumer_that_stops_in_the_middle_misses_nothing() -> None:
    simulation = Simulation(CENTRE, seed=7, start_ms=TEN_O_CLOCK, end_ms=TEN_O_CLOCK + HOUR)

    piecemeal: list[Delivery] = []
    while some := list(itertools.islice(simulation.run(), 1_000)):
        piecemeal += some

    assert tuple(piecemeal) == deliveries_of()


def test_without_an_end_it_goes_on_over_midnight_and_a_change_of_clocks() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start_ms = read_instant("2026-10-24T20:00:00+02:00")
    simulation = Simulation(default_centre(zone), seed=1, start_ms=start_ms, rate=0.05)

    events = events_in(list(simulation.run(start_ms + 40 * HOUR)))

    opened = {
        write_instant(time_ms, zone)
        for time_ms, event in events
        if isinstance(event, QueueOpened) and event.queue == "sales" and time_ms > start_ms
    }
    assert opened == {"2026-10-25T07:00:00.000+01:00", "2026-10-26T07:00:00.000+01:00"}


# Consistent


def test_every_delivery_is_sent_in_order_and_never_before_it_happened() -> None:
    deliveries = deliveries_of(
        "late@0s/1h", "duplicates@0s/1h", "source-silent@20m", "source-silent@58m:webchat"
    )

    sent = [delivery.at_ms for delivery in deliveries]
    assert sent == sorted(sent)
    for delivery, (time_ms, _) in zip(deliveries, events_in(deliveries), strict=True):
        assert TEN_O_CLOCK <= time_ms <= delivery.at_ms
        assert time_ms < TEN_O_CLOCK + HOUR


def test_every_event_travels_under_the_topic_and_key_of_its_thing(
    morning: Sequence[Delivery],
) -> None:
    router = Router()

    for delivery, (_, event) in zip(morning, events_in(morning), strict=True):
        topic, key = router.route(
            type_name(type(event)),
            contact=getattr(event, "contact", ""),
            channel=getattr(event, "channel", ""),
            agent=getattr(event, "agent", ""),
            queue=getattr(event, "queue", ""),
            event_id=event.id,
        )
        assert delivery.key == key
        assert topic in (delivery.topic, None)


def test_ids_are_unique_except_for_heartbeats_which_go_to_every_topic_of_the_source(
    morning: Sequence[Delivery],
) -> None:
    ids = Counter(event.id for _, event in events_in(morning) if not isinstance(event, SourceAlive))
    assert set(ids.values()) == {1}

    beats = {
        (delivery.topic, event.source)
        for delivery, (_, event) in zip(morning, events_in(morning), strict=True)
        if delivery.key is None
    }
    assert beats == {
        ("calls", "pbx"),
        ("queues", "pbx"),
        ("chats", "chatdesk"),
        ("queues", "chatdesk"),
    }


def test_every_visit_closes_once_and_nothing_happens_to_a_contact_that_is_over(
    history: History,
) -> None:
    assert history.faults == []
    outcomes = Counter(visit.outcome for visit in history.visits)
    assert outcomes["waiting"] == len(history.opened)
    assert outcomes.total() == len(history.visits) > 2_000
    assert min(outcomes[outcome] for outcome in ("answered", "abandoned", "left")) > 0


@pytest.mark.parametrize(
    "incident", ["agents-out@5m/20m", "surge@5m", "trunk-down@5m", "trunk-down@5m/2m:support"]
)
def test_every_visit_closes_once_whatever_goes_wrong(incident: str) -> None:
    history = history_of(deliveries_of(incident))

    assert history.faults == []
    for queue, observed, own in history.observed:
        assert (queue, observed) == (queue, own)


def test_what_a_queue_observes_is_what_its_events_say(history: History) -> None:
    assert len(history.observed) > 1_000
    for queue, observed, own in history.observed:
        assert (queue, observed) == (queue, own)


def test_agents_observed_by_state_are_those_whose_changes_were_told(
    morning: Sequence[Delivery],
) -> None:
    states: dict[str, tuple[str, tuple[str, ...]]] = {}
    for _, event in events_in(morning):
        if isinstance(event, AgentChanged):
            states[event.agent] = (event.state, event.queues)
        if isinstance(event, QueueObserved):
            own = Counter(state for state, queues in states.values() if event.queue in queues)
            del own["logged_out"]
            assert own == Counter(event.agents)


def test_no_agent_serves_more_contacts_than_the_pool_allows(morning: Sequence[Delivery]) -> None:
    slots = {pool.name: pool.slots for pool in CENTRE.pools}
    history = History()
    most: Counter[str] = Counter()

    for time_ms, event in events_in(morning):
        history.take(time_ms, event)
        if isinstance(event, Answered):
            most[event.agent] = max(most[event.agent], history.load[event.agent])

    for agent, load in most.items():
        assert load <= slots[agent.split("-")[0]]
    assert max(most.values()) == max(slots.values())


def counted_by_the_core(deliveries: Sequence[Delivery]) -> tuple[Partition, dict[str, int]]:
    """A partition that has taken everything, and its net counters over all queues."""
    partition = Partition(PolicyBook())
    for delivery, (time_ms, event) in zip(deliveries, events_in(deliveries), strict=True):
        assert partition.accept(event, time_ms, delivery.at_ms)
    partition.advance(TEN_O_CLOCK + 2 * HOUR)
    net: Counter[str] = Counter()
    for (queue, _), tally in partition.tallies.items():
        for name, count in tally.counters.items():
            net[f"{queue}:{name}"] += count
        for (name, _), count in tally.corrections.items():
            net[f"{queue}:{name}"] -= count
    return partition, {name: count for name, count in net.items() if "none" not in name and count}


def test_the_core_finds_an_open_visit_for_every_outcome() -> None:
    partition, net = counted_by_the_core(deliveries_of())

    assert partition.unmatched_outcomes == 0
    assert partition.ignored == {}
    assert net["support:answered:true"] > 100


def test_the_core_counts_the_same_when_events_come_late_and_twice() -> None:
    struck, net = counted_by_the_core(deliveries_of("late@0s/1h", "duplicates@0s/1h"))

    assert struck.duplicates["chatdesk"] > 1_000
    assert net == counted_by_the_core(deliveries_of())[1]


# Believable


def service_level(visits: list[Visit]) -> float:
    return mean(visit.is_in_time() for visit in visits)


def test_a_quiet_morning_answers_most_callers_in_time_and_loses_a_few(history: History) -> None:
    for queue in VOICE:
        visits = [visit for visit in history.visits if visit.queue == queue]
        assert 0.72 <= service_level(visits) <= 0.96
        assert 0.01 <= mean(visit.outcome == "abandoned" for visit in visits) <= 0.10


def test_it_is_as_large_as_it_says_at_any_rate() -> None:
    small, large = (
        Counter(delivery.topic for delivery in deliveries_of(rate=rate, hours=0.5))
        for rate in (0.5, 3)
    )

    for topic in ("calls", "chats"):
        assert 5 <= large[topic] / small[topic] <= 7


def test_a_large_centre_keeps_its_service_level() -> None:
    history = history_of(deliveries_of(rate=3, hours=0.5))

    for queue in VOICE:
        visits = [visit for visit in history.visits if visit.queue == queue]
        assert 0.72 <= service_level(visits) <= 0.995


def test_arrivals_follow_the_day() -> None:
    midnight = read_instant("2026-11-24T00:00:00Z")
    calls: Counter[int] = Counter()

    for time_ms, event in events_of_only("support", start_ms=midnight, hours=24):
        if isinstance(event, Offered):
            calls[(time_ms - midnight) // HOUR] += 1

    assert max(calls, key=lambda hour: calls[hour]) in (9, 10, 11, 14, 15)
    assert calls[3] < calls[10] / 6
    assert calls[13] < calls[10]


def test_those_who_give_up_do_so_in_the_first_seconds_and_at_announcements() -> None:
    history = history_of(deliveries_of("agents-out@0s/2h:support", "surge@0s/2h:support", hours=2))
    waits_s = [
        (visit.closed_ms or 0) / 1000 - visit.opened_ms / 1000
        for visit in history.visits
        if visit.queue == "support" and visit.outcome == "abandoned"
    ]

    def per_second(first_s: int, last_s: int) -> float:
        return sum(first_s <= wait < last_s for wait in waits_s) / (last_s - first_s)

    assert per_second(1, 6) > 2 * per_second(10, 55)
    assert per_second(60, 64) > 2 * per_second(10, 55)


def test_chats_meet_the_bot_first_and_most_go_no_further(morning: Sequence[Delivery]) -> None:
    first_reply: dict[str, str] = {}
    ended_by_bot = set()
    for _, event in events_in(morning):
        if isinstance(event, ContactEvent) and event.channel == "chat":
            if isinstance(event, Replied):
                first_reply.setdefault(event.contact, event.by)
            if isinstance(event, Left) and event.reason == "bot":
                ended_by_bot.add(event.contact)

    assert set(first_reply.values()) == {"bot"}
    assert 0.45 < len(ended_by_bot) / len(first_reply) < 0.65


def test_mail_waits_overnight_and_is_worked_off_by_the_evening() -> None:
    start_ms = read_instant("2026-11-24T16:00:00Z")
    waiting = {
        (time_ms - start_ms) // HOUR: event.waiting or 0
        for time_ms, event in events_of_only("mail", start_ms=start_ms, hours=26)
        if isinstance(event, QueueObserved)
    }

    assert waiting[1] < 10
    assert waiting[15] > 50
    assert waiting[25] < 20


def test_a_closed_queue_refuses_and_an_open_one_opens_on_the_hour() -> None:
    start_ms = read_instant("2026-11-24T06:00:00Z")
    events = events_in(deliveries_of(hours=2, start_ms=start_ms))
    refused = [
        time_ms
        for time_ms, event in events
        if isinstance(event, Refused) and event.queue == "sales"
    ]
    doors = [
        (type(event), time_ms - start_ms)
        for time_ms, event in events
        if isinstance(event, QueueOpened | QueueClosed) and event.queue == "sales"
    ]

    assert doors == [(QueueClosed, 0), (QueueOpened, HOUR)]
    assert len(refused) > 5
    assert max(refused) < start_ms + HOUR


def test_every_event_type_of_a_contact_and_of_the_floor_occurs() -> None:
    kinds = {
        type_name(type(event)) for _, event in events_in(deliveries_of("trunk-down@80m", hours=1.5))
    }

    assert kinds == {
        *(type_name(kind) for kind in EVENT_TYPES if issubclass(kind, ContactEvent)),
        *("queue.opened", "queue.closed", "queue.observed", "agent.changed", "source.alive"),
    }


def test_the_first_event_of_a_contact_says_whose_it_is(morning: Sequence[Delivery]) -> None:
    first: dict[str, ContactEvent] = {}
    for _, event in events_in(morning):
        if isinstance(event, ContactEvent):
            first.setdefault(event.contact, event)

    assert {event.segment for event in first.values()} == {"gold", "silver", "standard"}
    assert all(event.interaction and event.customer and event.topic for event in first.values())
    assert any(event.interaction != f"i-{event.contact}" for event in first.values())


# Going wrong on demand


def past_threshold(history: History, queue: str, at_ms: int) -> list[int]:
    """How long those wait who wait past the threshold at a moment, ms."""
    waits = (
        at_ms - visit.opened_ms
        for visit in history.visits
        if visit.queue == queue
        and visit.opened_ms <= at_ms
        and (visit.closed_ms is None or visit.closed_ms > at_ms)
    )
    return [wait_ms for wait_ms in waits if wait_ms > PLANS[queue].threshold_s * 1000]


@pytest.mark.parametrize("seed", range(3))
def test_agents_out_has_a_queue_in_trouble_within_three_minutes(seed: int) -> None:
    history = history_of(deliveries_of("agents-out@20m", seed=seed, hours=0.5))
    strikes_ms = TEN_O_CLOCK + 20 * MINUTE

    after = past_threshold(history, "sales", strikes_ms + 3 * MINUTE)
    assert len(after) >= 5
    assert max(after) > 60_000
    assert len(past_threshold(history, "sales", strikes_ms)) < len(after)
    minutes_later = [
        visit
        for visit in history.visits
        if visit.queue == "sales"
        and strikes_ms + MINUTE <= visit.opened_ms < strikes_ms + 6 * MINUTE
    ]
    assert service_level(minutes_later) < 0.3


def test_agents_who_were_out_come_back_when_it_is_over() -> None:
    def staff(deliveries: Sequence[Delivery], at_ms: int) -> int:
        observed = [
            event
            for time_ms, event in events_in(deliveries)
            if isinstance(event, QueueObserved) and event.queue == "sales" and time_ms < at_ms
        ]
        return sum(observed[-1].agents.values()) - observed[-1].agents["not_ready"]

    deliveries = deliveries_of("agents-out@20m/10m")
    before, during, after = (staff(deliveries, TEN_O_CLOCK + m * MINUTE) for m in (20, 29, 40))

    assert during <= before / 3
    assert after >= before - 2


def test_a_surge_triples_the_arrivals_of_its_queue_and_of_no_other() -> None:
    def arrivals(deliveries: Sequence[Delivery]) -> Counter[str]:
        from_ms = TEN_O_CLOCK + 10 * MINUTE
        return Counter(
            event.queue
            for time_ms, event in events_in(deliveries)
            if isinstance(event, Offered) and from_ms <= time_ms < from_ms + 30 * MINUTE
        )

    quiet, struck = arrivals(deliveries_of()), arrivals(deliveries_of("surge@10m/30m:support"))

    assert 2.2 < struck["support"] / quiet["support"] < 3.8
    assert 0.7 < struck["billing"] / quiet["billing"] < 1.4


def test_a_silent_source_says_nothing_until_the_end_and_then_everything() -> None:
    quiet, struck = deliveries_of(), deliveries_of("source-silent@20m/5m")
    from_ms, to_ms = TEN_O_CLOCK + 20 * MINUTE, TEN_O_CLOCK + 25 * MINUTE

    sources = defaultdict(set)
    for delivery, (_, event) in zip(struck, events_in(struck), strict=True):
        sources[event.source].add(delivery.at_ms)
    assert not any(from_ms < at_ms < to_ms for at_ms in sources["pbx"])
    assert any(from_ms < at_ms < to_ms for at_ms in sources["chatdesk"])
    assert to_ms in sources["pbx"]
    assert told(quiet) == told(struck)


def test_a_silent_source_sends_no_heartbeat_afterwards_for_the_time_of_silence() -> None:
    struck = events_in(deliveries_of("source-silent@20m/5m:webchat"))

    beats = [
        time_ms - TEN_O_CLOCK
        for time_ms, event in struck
        if isinstance(event, SourceAlive) and event.source == "chatdesk"
    ]
    assert not any(20 * MINUTE < beat < 25 * MINUTE for beat in beats)


@pytest.mark.parametrize("incident", ["late@0s/1h", "duplicates@0s/1h"])
def test_what_goes_wrong_on_the_way_does_not_change_what_happened(incident: str) -> None:
    assert told(deliveries_of(incident)) == told(deliveries_of())


def test_late_events_are_late_by_ten_minutes_at_most() -> None:
    struck = deliveries_of("late@0s/1h")
    delays = [
        delivery.at_ms - time_ms
        for delivery, (time_ms, event) in zip(struck, events_in(struck), strict=True)
        if isinstance(event, ContactEvent)
    ]

    late = [delay for delay in delays if delay]
    assert 0.27 < len(late) / len(delays) < 0.33
    assert 30_000 < mean(late) < 60_000
    assert max(late) <= 10 * MINUTE
    assert len(struck) == len(deliveries_of())


def test_duplicates_are_the_same_bytes_within_a_minute() -> None:
    sent: defaultdict[bytes, list[int]] = defaultdict(list)
    for delivery in deliveries_of("duplicates@0s/1h:webchat"):
        if delivery.key is not None:
            sent[delivery.value].append(delivery.at_ms)

    twice = {value: at for value, at in sent.items() if len(at) == 2}
    assert len(twice) > 1_000
    assert max(at[1] - at[0] for at in twice.values()) < MINUTE
    assert all(b'"queue":"webchat"' in value for value in twice)


def test_a_trunk_that_is_down_cuts_off_who_waits_and_refuses_who_comes() -> None:
    struck = events_in(deliveries_of("surge@10m/20m:sales", "trunk-down@20m/5m"))
    from_ms, to_ms = TEN_O_CLOCK + 20 * MINUTE, TEN_O_CLOCK + 25 * MINUTE
    sales = [
        (time_ms, event)
        for time_ms, event in struck
        if getattr(event, "queue", "") == "sales" and time_ms > TEN_O_CLOCK
    ]

    assert [
        (time_ms, getattr(event, "reason", ""))
        for time_ms, event in sales
        if isinstance(event, QueueOpened | QueueClosed)
    ] == [(from_ms, "fault"), (to_ms, "")]
    cut_off = [
        time_ms for time_ms, event in sales if isinstance(event, Left) and event.reason == "error"
    ]
    assert len(cut_off) > 5
    assert set(cut_off) == {from_ms}
    assert not any(isinstance(event, Offered) and from_ms < t < to_ms for t, event in sales)
    assert any(isinstance(event, Refused) and from_ms < t < to_ms for t, event in sales)


# How incidents are written


@pytest.mark.parametrize(
    ("text", "incident"),
    [
        (
            "agents-out@10m",
            Incident(kind="agents-out", at_ms=10 * MINUTE, lasts_ms=10 * MINUTE),
        ),
        (
            "surge@5m/10m:sales",
            Incident(kind="surge", at_ms=5 * MINUTE, lasts_ms=10 * MINUTE, queue="sales"),
        ),
        (
            "late@0s/1h30m",
            Incident(kind="late", at_ms=0, lasts_ms=90 * MINUTE),
        ),
        (
            " trunk-down@90s:billing ",
            Incident(kind="trunk-down", at_ms=90_000, lasts_ms=5 * MINUTE, queue="billing"),
        ),
        (
            "source-silent@1m:a/b:c",
            Incident(kind="source-silent", at_ms=MINUTE, lasts_ms=3 * MINUTE, queue="a/b:c"),
        ),
    ],
)
def test_an_incident_is_written_in_one_word(text: str, incident: Incident) -> None:
    assert parse_incident(text) == incident
    assert parse_incident(str(incident)) == incident


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "''.*expected KIND@START.*agents-out@10m"),
        ("surge", "'surge'.*expected KIND@START"),
        ("fire@10m", "unknown kind 'fire'; expected one of agents-out, surge"),
        ("surge@", "start expected a duration such as 0s"),
        ("surge@10", "start expected a duration such as 0s"),
        ("surge@5m/", "duration expected a duration such as 0s"),
        ("surge@5m/0s", "0s is no incident"),
        ("surge@5m:", "queue after ':' is missing"),
        ("surge@-5m", "start expected a duration"),
    ],
)
def test_a_wrong_incident_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_incident(text)


def test_an_incident_in_a_queue_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no queue 'slaes'; expected one of sales, support"):
        deliveries_of("surge@5m:slaes")


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_is_above_zero(rate: float) -> None:
    with pytest.raises(ValueError, match="expected a number above 0"):
        deliveries_of(rate=rate)


# The zone in which it is morning


@pytest.mark.parametrize("hour_now", range(24))
def test_there_is_always_a_zone_where_it_is_ten(hour_now: int) -> None:
    now = datetime(2026, 11, 24, hour_now, 59, 59, tzinfo=UTC)

    zone = zone_where_it_is(10, int(now.timestamp() * 1000))

    assert now.astimezone(zone).hour == 10
