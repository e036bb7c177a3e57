"""The floor as JSON: every field of the contract, nothing about people, and totals that agree."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.document import (
    ALL,
    STEP,
    TOTAL,
    Documents,
    floor_document,
    totals_of,
    wall_document,
)
from streams.core.figures import Live, entry_of
from streams.core.floor import FloorMerger, Partial
from streams.core.formulas import FORMULA_IDS
from streams.core.frame import WINDOWS, Framer
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from tests.support.core_events import (
    DAY,
    HOUR,
    Told,
    call,
    chat,
    event,
    ms,
    policy,
    tell,
    told,
)
from tests.support.core_floor import EVERYTHING, CoreFloor, frame_of
from tests.support.histories import WAS, History, histories, permuted
from tests.support.oracle_policy import Policy

Document = dict[str, Any]

COUNTERS = {
    "offered",
    "answered",
    "answered_within",
    "abandoned",
    "abandoned_short",
    "abandoned_within",
    "left",
    "left_within",
    "expired",
    "refused",
    "instant",
    "sent_to_wait",
    "transferred",
    "waiting",
    "waiting_past_threshold",
    "awaiting_reply",
    "initial_response_events",
    "initial_response_within",
}
DURATIONS = {"wait_s", "abandon_wait_s", "initial_response_s"}
ENTRY = {
    *COUNTERS,
    *DURATIONS,
    *("at", "window", "as_of", "queue", "channel", "threshold_s", "mixed", "formula", "incomplete"),
    *("agents", "queue_open", "longest_wait_s", "oldest_awaiting_reply_s"),
    *("service_level", "service_level_n", "service_level_low", "service_level_high"),
    *("initial_response_within_ratio", "instant_service_ratio", "abandonment_ratio"),
}
TILE = {
    *("queue", "channel", "name", "site", "team", "state", "reason", "as_of_ms", "open", "agents"),
    *("no_data_since_ms", "out_of_service_since_ms", "oldest_waiting_ms"),
    *("oldest_awaiting_reply_ms", "policy"),
    *("cause", "trend", "alerts", "paging_suppressed"),
}
POLICY = {
    *("threshold_s", "target", "short_abandon_s", "instant_within_s", "instant_target", "formula"),
    *("longest_wait_limit_s", "initial_response_limit_s", "abandonment_limit", "volume_floor"),
    *("windows", "zone"),
}
HEAD = {
    *("name", "as_of", "as_of_ms", "tick", "tick_ms", "clock", "ready", "partial", "paging"),
    *("queues", "entries"),
}

A_BUSY_MINUTE: tuple[Told, ...] = (
    *(call(0, "queued"), call(12, "answered"), call(13, "transferred", to="service")),
    *(call(1, "queued", contact="c-2"), call(4, "abandoned", contact="c-2")),
    *(call(1, "queued", contact="c-3"), call(9, "abandoned", contact="c-3")),
    *(call(1, "queued", contact="c-4"), call(30, "abandoned", contact="c-4")),
    *(call(2, "queued", contact="c-5"), call(7, "left", contact="c-5", reason="timeout")),
    *(call(2, "queued", contact="c-6"), call(7, "left", contact="c-6", reason="withdrawn")),
    *(call(2, "queued", contact="c-7"), call(50, "left", contact="c-7", reason="key")),
    *(call(2, "queued", contact="c-8"), call(50, "answered", contact="c-8")),
    *(call(3, "offered", contact="c-9"), call(4, "answered", contact="c-9")),
    call(5, "refused", contact="c-10", reason="full"),
    call(6, "queued", contact="c-11"),
    call(55, "queued", contact="c-12"),
    event(0, "agent.changed", agent="a-1", state="available", queues=["sales"]),
    event(0, "queue.opened", queue="sales"),
)


def document(
    *partitions: Partition, now_s: float, book: PolicyBook | None = None, **options: Any
) -> Document:
    """The document at *now_s*."""
    for partition in partitions:
        partition.advance(ms(now_s))
    merger = FloorMerger(book or PolicyBook())
    floor = merger.merge([frame_of(each, ms(now_s), **options) for each in partitions], ms(now_s))
    return floor_document(floor, book or PolicyBook(), name="floorwatch", clock="wall", ready=True)


def entry(of: Document, window: str, queue: str = "sales", channel: str = "voice") -> Document:
    (found,) = (
        entry
        for entry in of["entries"]
        if (entry["window"], entry["queue"], entry["channel"]) == (window, queue, channel)
    )
    return dict(found)


def test_every_part_of_the_document_has_the_fields_that_were_promised() -> None:
    floor = document(told(*A_BUSY_MINUTE), now_s=62)

    assert set(floor) == HEAD
    assert {frozenset(tile) for tile in floor["queues"]} == {frozenset(TILE)}
    assert {frozenset(tile["policy"]) for tile in floor["queues"]} == {frozenset(POLICY)}
    assert {frozenset(entry) for entry in floor["entries"]} == {frozenset(ENTRY)}
    figures = entry(floor, "15m")
    assert set(figures["service_level"]) == set(figures["service_level_n"]) == set(FORMULA_IDS)
    assert all(set(figures[name]) == {"mean", "p50", "p90", "p99", "max"} for name in DURATIONS)


def test_the_document_is_json_as_it_is() -> None:
    floor = document(told(*A_BUSY_MINUTE), now_s=62)

    assert orjson.loads(orjson.dumps(floor)) == floor


def test_there_is_one_entry_for_each_window_of_each_queue_and_of_all() -> None:
    floor = document(told(*A_BUSY_MINUTE, chat(1, "queued", contact="c-13")), now_s=62)

    shown = [(each["queue"], each["channel"], each["window"]) for each in floor["entries"]]
    assert shown == [
        *(("help", "chat", window) for window in (*WINDOWS, TOTAL)),
        *(("sales", "voice", window) for window in (*WINDOWS, TOTAL)),
        *((ALL, ALL, window) for window in WINDOWS),
    ]


def test_counters_of_a_busy_minute_are_nested_with_their_edges_inclusive() -> None:
    figures = entry(document(told(*A_BUSY_MINUTE), now_s=62), "5m")

    assert {name: figures[name] for name in COUNTERS} == {
        "offered": 11,
        "answered": 3,
        "answered_within": 2,
        "abandoned": 3,
        "abandoned_short": 1,
        "abandoned_within": 2,
        "left": 3,
        "left_within": 2,
        "expired": 0,
        "refused": 1,
        "instant": 1,
        "sent_to_wait": 10,
        "transferred": 1,
        "waiting": 2,
        "waiting_past_threshold": 1,
        "awaiting_reply": 2,
        "initial_response_events": 10,
        "initial_response_within": 2,
    }


def test_figures_say_when_they_stand_and_under_which_definitions() -> None:
    floor = document(told(*A_BUSY_MINUTE), now_s=62)

    head = ("at", "as_of", "threshold_s", "mixed", "formula")
    now = "2026-11-24T10:01:02.000Z"
    tick = "2026-11-24T10:01:00.000Z"
    assert [entry(floor, "15m")[name] for name in head] == [tick, now, 20, False, "strict"]
    assert [entry(floor, TOTAL)[name] for name in head] == [now, now, 20, False, "strict"]
    assert (floor["as_of"], floor["tick"]) == (now, tick)


def test_live_figures_stand_at_now_and_not_at_the_tick() -> None:
    figures = entry(document(told(call(1, "queued")), now_s=62), "15m")

    assert (figures["waiting"], figures["longest_wait_s"]) == (1, 61.0)
    assert figures["oldest_awaiting_reply_s"] == 61.0


def test_an_entry_without_anything_has_no_ratio_and_no_duration() -> None:
    figures = entry(document(told(call(0, "queued"), call(1, "answered")), now_s=HOUR), "5m")

    ratios = [name for name in ENTRY if name.endswith("_ratio") or name.startswith("service_level")]
    plain = {name: figures[name] for name in ratios if not isinstance(figures[name], dict)}
    assert set(plain.values()) == {None}
    assert set(figures["service_level"].values()) == {None}
    assert set(figures["service_level_n"].values()) == {0}
    assert set(figures["wait_s"].values()) == {None}
    assert figures["longest_wait_s"] is None


@pytest.mark.parametrize("window", ["60m", "day"])
def test_totals_equal_a_window_in_which_everything_happened(window: str) -> None:
    floor = document(told(*A_BUSY_MINUTE), now_s=65)
    own = {"at", "window", *DURATIONS}

    total, figures = entry(floor, TOTAL), entry(floor, window)

    assert {name: total[name] for name in ENTRY - own} == {
        name: figures[name] for name in ENTRY - own
    }


@given(
    histories().map(lambda history: replace(history, policy=Policy(zone=history.zone, was=WAS))),
    st.data(),
)
def test_totals_equal_the_window_of_everything_whatever_happened(
    history: History, data: st.DataObject
) -> None:
    floor = CoreFloor(history.policy)
    floor.take(permuted(data.draw, history))
    now_ms = -(-floor.partitions[0].arrival_ms // 5_000) * 5_000
    floor.advance(now_ms)

    for (queue, channel), tally in floor.partitions[0].tallies.items():
        figures = floor.row(now_ms, EVERYTHING, queue, channel)
        total = entry_of(
            totals_of(tally.net(), floor.book.visit(queue, channel, now_ms)),
            tally.live(),
            {},
            as_of_ms=now_ms,
            formulas=FORMULA_IDS,
        )
        for name in total.keys() - DURATIONS:
            assert total[name] == figures[name], name


def test_a_window_of_visits_under_an_older_threshold_says_that_one() -> None:
    dated = ["20s", {"from": "2026-11-24T10:01:00Z", "value": "30s"}]
    book = policy(channels={"voice": {"threshold": dated}})
    visits = (call(0, "queued"), call(1, "answered"))
    old = document(told(*visits, policies=book), now_s=65, book=book)
    later = call(61, "queued", contact="c-2")
    both = document(told(*visits, later, policies=book), now_s=65, book=book)

    assert (entry(old, "5m")["threshold_s"], entry(old, "5m")["mixed"]) == (20, False)
    assert (entry(both, "5m")["threshold_s"], entry(both, "5m")["mixed"]) == (None, True)
    assert entry(old, "5m")["service_level"]["strict"] == 1.0
    assert old["queues"][0]["policy"]["threshold_s"] == 30


def test_totals_say_whether_their_thresholds_differ() -> None:
    dated = ["20s", {"from": "2026-11-24T10:01:00Z", "value": "30s"}]
    book = policy(channels={"voice": {"threshold": dated}})
    one = (call(0, "queued"),)
    for visits, said in (
        (one, (20, False)),
        ((*one, call(61, "queued", contact="c-2")), (None, True)),
    ):
        total = entry(document(told(*visits, policies=book), now_s=65, book=book), TOTAL)
        assert (total["threshold_s"], total["mixed"]) == said


def test_totals_do_not_claim_to_know_abandonments_between_the_threshold_and_the_short_limit() -> (
    None
):
    book = policy(channels={"voice": {"threshold": "5s", "short_abandon": "10s"}})
    floor = document(
        told(call(0, "queued"), call(8, "abandoned"), policies=book), now_s=65, book=book
    )

    assert entry(floor, "60m")["abandoned_short"] == 1
    assert entry(floor, TOTAL)["abandoned_short"] is None


def test_all_queues_together_say_whether_their_thresholds_differ() -> None:
    mixed = document(told(call(0, "queued"), chat(0, "queued", contact="c-2")), now_s=5)
    plain = document(told(call(0, "queued"), call(0, "queued", contact="c-2")), now_s=5)

    shown = [entry(each, "5m", ALL, ALL) for each in (mixed, plain)]
    assert [(each["threshold_s"], each["mixed"]) for each in shown] == [(None, True), (20, False)]
    assert [each["offered"] for each in shown] == [2, 2]


def test_a_wall_gets_only_the_windows_that_each_queue_shows() -> None:
    book = policy(queues={"help": {"windows": ["5m"]}})
    floor = document(told(*A_BUSY_MINUTE, chat(1, "queued", contact="c-13")), now_s=62, book=book)

    wall = wall_document(floor)

    assert {(each["queue"], each["window"]) for each in wall["entries"]} == {
        ("help", "5m"),
        ("sales", "15m"),
        ("sales", "day"),
    }
    assert {name: wall[name] for name in HEAD - {"entries"}} == {
        name: floor[name] for name in HEAD - {"entries"}
    }


def test_a_wall_gets_each_queues_own_formula_and_what_instant_service_rests_on() -> None:
    book = policy(queues={"sales": {"formula": "icmi_3"}})
    floor = document(told(*A_BUSY_MINUTE), now_s=62, book=book)

    (shown,) = (each for each in wall_document(floor)["entries"] if each["window"] == "15m")

    figures = entry(floor, "15m")
    for name in ("service_level", "service_level_n"):
        assert shown[name] == {
            formula: figures[name][formula] for formula in ("icmi_3", "of_offered")
        }


def test_a_tile_says_which_limit_was_passed() -> None:
    waiting = document(told(call(0, "queued")), now_s=301)["queues"][0]
    good = document(told(call(60, "queued")), now_s=62)["queues"][0]

    assert waiting["cause"] == {"id": "longest_wait", "limit": 300.0}
    assert good["cause"] is None
    closed = document(told(event(1, "queue.closed", queue="sales", reason="fault")), now_s=62)
    assert closed["queues"][0]["cause"] == {"id": "out_of_service", "limit": None}


def test_a_tile_says_which_way_its_queue_goes_as_the_documents_remember_it() -> None:
    partition = told(call(0, "queued"))
    documents, merger = Documents(PolicyBook(), name="", clock="wall"), FloorMerger(PolicyBook())

    def trend(now_s: float) -> Any:
        partition.advance(ms(now_s))
        floor = merger.merge([frame_of(partition, ms(now_s))], ms(now_s))
        documents.history.take(floor)
        return documents.document(floor, ready=True)["queues"][0]["trend"]

    assert trend(1) == {"waiting": None, "service_level": None}
    tell(partition, (call(i, "queued", contact=f"c-{i}") for i in (200, 201)))

    assert trend(300) == {"waiting": "rising", "service_level": None}


def test_a_queue_whose_data_is_stale_pages_nobody_whatever_fires() -> None:
    quiet = document(told(call(0, "queued")), now_s=62)["queues"][0]
    assert (quiet["paging_suppressed"], quiet["alerts"], quiet["trend"]) == (
        None,
        [],
        {"waiting": None, "service_level": None},
    )

    heard = (call(0, "queued"), event(0, "source.alive", source="pbx"))
    stale = document(told(*heard), now_s=HOUR)["queues"][0]
    assert (stale["state"], stale["paging_suppressed"]) == ("no_data", "stale")


def test_a_tile_says_its_state_and_what_is_known_of_agents_and_door() -> None:
    closed = event(30, "queue.closed", queue="sales", reason="fault")
    (tile,) = document(told(*A_BUSY_MINUTE, closed), now_s=62)["queues"]

    assert (tile["state"], tile["reason"]) == ("trouble", "out of service")
    assert (tile["open"], tile["out_of_service_since_ms"]) == (False, ms(30))
    assert (tile["agents"]["available"], tile["agents"]["on_contact"]) == (1, 0)
    assert (tile["oldest_waiting_ms"], tile["oldest_awaiting_reply_ms"]) == (ms(6), ms(6))


def test_a_queue_closed_as_planned_is_not_out_of_service() -> None:
    closed = event(30, "queue.closed", queue="sales", reason="planned")
    (tile,) = document(told(closed), now_s=62)["queues"]

    assert (tile["open"], tile["out_of_service_since_ms"]) == (False, None)


def test_a_queue_that_catches_up_says_as_of_when() -> None:
    partition = told(call(0, "queued"), now_s=13)
    book = PolicyBook()
    frame = frame_of(partition, ms(62), catching_up=True)
    floor = FloorMerger(book).merge([frame], ms(62))
    shown = floor_document(floor, book, name="floorwatch", clock="wall", ready=True)

    assert (shown["queues"][0]["state"], shown["queues"][0]["as_of_ms"]) == ("catching_up", ms(13))
    figures = entry(shown, "15m")
    assert (figures["at"], figures["as_of"]) == (
        "2026-11-24T10:00:10.000Z",
        "2026-11-24T10:00:13.000Z",
    )
    assert figures["longest_wait_s"] == 13.0


@pytest.mark.parametrize(
    ("partial", "said"),
    [
        (None, False),
        (Partial(0.25, ms(40)), {"share": 0.25, "since_ms": ms(40)}),
        (Partial(0.5, None), {"share": 0.5, "since_ms": None}),
    ],
    ids=["whole", "missing", "never heard"],
)
def test_the_floor_says_which_share_of_it_is_missing_and_since_when(
    partial: Partial | None, said: Document | bool
) -> None:
    frame = frame_of(told(call(0, "queued"), now_s=62), ms(62))
    floor = FloorMerger(PolicyBook()).merge([frame], ms(62), partial=partial)

    shown = floor_document(floor, PolicyBook(), name="floorwatch", clock="wall", ready=True)

    assert shown["partial"] == said


def test_what_only_a_bot_did_shows_no_queue() -> None:
    contained = chat(5, "left", queue="", reason="bot")
    partition = told(
        chat(0, "messaged", queue=""), chat(1, "replied", queue="", by="bot"), contained
    )

    floor = document(partition, now_s=10)

    assert partition.tallies["unknown", "chat"].counters == {"bot_contained": 1}
    assert floor["queues"] == []
    assert {each["queue"] for each in floor["entries"]} == {ALL}


def test_the_document_names_no_contact_no_agent_no_customer_and_no_source() -> None:
    secret = {
        "contact": "+34 600 000 001",
        "customer": "Ana",
        "agent": "Berta",
        "interaction": "case-7",
        "topic": "divorce",
        "segment": "gold",
        "source": "pbx-3.internal",
    }
    agent = {"agent": "Berta", "state": "on_contact", "queues": ["sales"]}
    partition = told(
        *(call(0, "offered", **secret), call(1, "queued", **secret)),
        event(1, "agent.changed", source="pbx-3.internal", **agent),
        event(2, "source.alive", source="pbx-3.internal"),
    )

    text = orjson.dumps(document(partition, now_s=DAY / 24)).decode()

    assert [word for word in {*secret.values()} if word in text] == []


def test_the_live_figures_of_all_queues_are_their_sum() -> None:
    floor = document(told(call(0, "queued"), chat(30, "queued", contact="c-2")), now_s=62)

    figures = entry(floor, "15m", ALL, ALL)
    assert (figures["waiting"], figures["waiting_past_threshold"]) == (2, 1)
    assert figures["longest_wait_s"] == 62.0
    assert (figures["agents"], figures["queue_open"]) == (None, None)


def test_adding_live_figures_keeps_the_oldest_of_either() -> None:
    nobody, somebody, older = Live(), Live(1, 0, 7, 1, 9), Live(1, 1, 3, 1, 4)

    nobody.add(somebody)
    assert nobody == somebody
    somebody.add(older)
    assert somebody == Live(2, 1, 3, 2, 4)
    older.add(Live())
    assert older == Live(1, 1, 3, 1, 4)


def test_the_documents_of_one_floor_after_another_are_those_of_each_alone() -> None:
    dated = ["20s", {"from": "2026-11-24T10:00:40Z", "value": "30s"}]
    book = policy(channels={"voice": {"threshold": dated}})
    partition = told(policies=book)
    framer, merger = Framer(partition), FloorMerger(book)
    documents = Documents(book, name="floorwatch", clock="wall")
    met = set()

    for second in range(65):
        tell(partition, [told for told in A_BUSY_MINUTE if told[1] == ms(second)])
        partition.advance(ms(second))
        floor = merger.merge([framer.frame(ms(second))], ms(second))
        alone = floor_document(floor, book, name="floorwatch", clock="wall", ready=True)
        assert documents.document(floor, ready=True) == alone
        assert documents.document(floor, ready=True) == alone
        met |= {each["offered"] for each in alone["entries"] if each["window"] == "day"}

    assert len(met) > 3


def test_a_formula_of_now_alone_is_of_those_who_wait_whatever_a_window_counted() -> None:
    partition = told(call(0, "queued"), call(25, "queued", contact="c-2"))
    documents, merger = Documents(PolicyBook(), name="", clock="wall"), FloorMerger(PolicyBook())
    levels = []
    for now_s in (26, 27, 50):
        partition.advance(ms(now_s))
        floor = merger.merge([frame_of(partition, ms(now_s))], ms(now_s))
        shown = entry(documents.document(floor, ready=True), "15m")
        level, rests_on = shown["service_level"], shown["service_level_n"]
        levels.append((level["altigen_now"], rests_on["altigen_now"]))

    assert levels == [(0.5, 2), (0.5, 2), (0.0, 2)]


def test_a_document_is_made_in_steps() -> None:
    partition = told(
        *(call(at_s, "queued", queue=f"q-{at_s}", contact=f"c-{at_s}") for at_s in range(120))
    )
    floor = FloorMerger(PolicyBook()).merge([frame_of(partition, ms(120))], ms(120))

    steps = Documents(PolicyBook(), name="", clock="wall").steps(floor, ready=True)

    assert sum(1 for _ in steps) == 120 // STEP + len(WINDOWS)
