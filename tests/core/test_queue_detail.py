"""What stands behind the figures of a queue, checked against what was told."""

from typing import Any

import orjson

from streams.core.floor import FloorMerger
from streams.core.formulas import FORMULA_IDS
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.queue_detail import formulas_document, queue_detail
from tests.support.core_events import DAY, HOUR, Told, call, chat, event, ms, policy, told
from tests.support.core_floor import frame_of


def detail(
    *partitions: Partition,
    now_s: float,
    key: tuple[str, str] = ("sales", "voice"),
    book: PolicyBook | None = None,
) -> dict[str, Any]:
    """The detail of a queue at *now_s*; it is JSON as it is."""
    book = book or PolicyBook()
    for partition in partitions:
        partition.advance(ms(now_s))
    frames = [frame_of(each, ms(now_s)) for each in partitions]
    floor = FloorMerger(book).merge(frames, ms(now_s))
    found = queue_detail(floor.queues[key], floor, book)
    assert orjson.loads(orjson.dumps(found)) == found
    return found


def answered_after(*waits_s: float) -> list[Told]:
    return [
        told_event
        for i, wait_s in enumerate(waits_s)
        for told_event in (
            call(0, "queued", contact=f"c-{i}"),
            call(wait_s, "answered", contact=f"c-{i}"),
        )
    ]


def counted(waits: dict[str, Any], outcome: str) -> dict[float | None, int]:
    """The bins that are not empty, by their upper edge."""
    edges = [*waits["edges_s"], None]
    return {edge: n for edge, n in zip(edges, waits[outcome], strict=True) if n}


def test_waits_are_counted_up_to_each_edge_and_beyond_the_last() -> None:
    abandoned = (call(0, "queued", contact="x"), call(18, "abandoned", contact="x"))
    waits = detail(told(*answered_after(0.1, 1, 2.5, 19), *abandoned), now_s=65)["waits"]

    assert counted(waits["15m"], "answered") == {1: 2, 3: 1, 20: 1}
    assert counted(waits["15m"], "abandoned") == {20: 1}
    assert len(waits["15m"]["answered"]) == len(waits["15m"]["edges_s"]) + 1
    assert set(waits) == {"5m", "15m", "30m", "60m", "day"}


def test_the_threshold_parts_waits_to_the_millisecond_as_the_service_level_does() -> None:
    late = (call(0, "queued", contact="x"), call(20.001, "abandoned", contact="x"))
    visits = (*answered_after(19.999, 20, 20.001), *late)
    waits = detail(told(*visits), now_s=65)["waits"]["15m"]

    assert counted(waits, "answered") == {20: 2, 25: 1}
    assert counted(waits, "abandoned") == {25: 1}


def test_a_wait_beyond_every_edge_is_counted_and_the_queues_threshold_is_an_edge() -> None:
    book = policy(channels={"email": {"threshold": "7h"}})
    mail = (
        chat(0, "queued", contact="m", channel="email"),
        chat(DAY + HOUR, "answered", contact="m", channel="email"),
    )
    partition = told(*mail, policies=book)
    waits = detail(partition, now_s=DAY + HOUR + 5, key=("help", "email"), book=book)["waits"]["5m"]

    assert counted(waits, "answered") == {None: 1}
    assert 7 * 3_600 in waits["edges_s"]


def test_each_clock_of_the_initial_response_says_its_n_and_under_which_edge_it_lies() -> None:
    asked, handoff, assignment = detail(told(*answered_after(2, 4, 12)), now_s=65)[
        "initial_response"
    ]

    assert (asked["clock"], asked["n"], asked["mean_s"]) == ("asked", 3, 6.0)
    assert (asked["p50_up_to_s"], asked["p99_up_to_s"]) == (5, 15)
    assert handoff == {
        "clock": "handoff",
        "n": 0,
        "mean_s": None,
        "p50_up_to_s": None,
        "p90_up_to_s": None,
        "p99_up_to_s": None,
    }
    assert assignment["clock"] == "assignment"


def test_instant_service_is_told_by_segment_and_the_unknown_is_one_of_them() -> None:
    visits = (
        *(call(0, "queued", segment="gold"), call(1, "answered", segment="gold")),
        *(call(0, "queued", contact="c-2", segment="gold"), call(9, "answered", contact="c-2")),
        *(call(0, "queued", contact="c-3"), call(9, "answered", contact="c-3")),
    )
    by_segment = detail(told(*visits), now_s=65)["instant_by_segment"]

    assert by_segment["15m"] == [
        {"segment": "gold", "offered": 2, "instant": 1, "ratio": 0.5},
        {"segment": "unknown", "offered": 1, "instant": 0, "ratio": 0.0},
    ]


def test_where_instant_service_is_undefined_no_segment_has_any() -> None:
    mail = chat(0, "queued", contact="m", channel="email")

    found = detail(told(mail), now_s=65, key=("help", "email"))

    assert set(map(len, found["instant_by_segment"].values())) == {0}


def test_what_changed_late_is_told_and_how_often() -> None:
    late = (
        *(call(0, "queued"), call(30, "abandoned"), call(12, "answered")),
        *(call(0, "queued", contact="c-2"), call(31, "abandoned", contact="c-2")),
        call(13, "answered", contact="c-2"),
    )
    found = detail(told(*late), now_s=65)

    assert {"from": "abandoned:after_threshold", "to": "answered:true", "count": 2} in found[
        "corrections"
    ]
    assert found["corrections_total"] == sum(each["count"] for each in found["corrections"])


def test_the_sources_of_a_queue_say_when_they_were_heard_and_whether_they_still_are() -> None:
    alive = event(5, "source.alive", source="pbx")
    found = detail(told(call(0, "queued", source="pbx"), alive), now_s=600)

    assert found["sources"] == [
        {"source": "pbx", "fed_ms": ms(0), "heard_ms": ms(5), "is_stale": True}
    ]


def test_the_sources_own_count_stands_beside_ours() -> None:
    observed = event(10, "queue.observed", queue="sales", waiting=3)
    found = detail(told(call(0, "queued"), observed), now_s=20)

    assert (found["observed_waiting"], found["observed_ms"]) == (3, ms(10))
    assert found["waiting_drift"] == -2
    assert found["conservation_violations"] == 0


def test_every_formula_says_its_rule_and_who_uses_it() -> None:
    known = formulas_document()

    assert [each["id"] for each in known] == list(FORMULA_IDS)
    assert all(each["rule"] and each["used_by"] and each["moment"] for each in known)
