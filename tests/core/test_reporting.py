"""Reports of recorded events: which row a count stands in, and what a row knows."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.instants import read_instant
from streams.core.calendar import ROLLING_WINDOWS
from streams.core.contact import Life, Limits, Visit
from streams.core.durations import read_zone
from streams.core.figures import Entry
from streams.core.partition import FUTURE_MS
from streams.core.policy import PolicyBook
from streams.core.reporting import (
    IntervalReport,
    Span,
    TickReport,
    Timed,
    in_event_order,
    visit_line,
)
from tests.support.core_events import DAY, HOUR, MINUTE, TEN_MS, Told, call, chat, event, ms, policy

LATENESS_MS = 60_000


def list_of(*events: Told, **options: Any) -> list[Entry]:
    """Rows of an interval report in their order; events arrive as they are told."""
    report = IntervalReport(options.pop("policies", PolicyBook()), **{"zone": UTC, **options})
    arrival_ms = 0
    for each, time_ms in events:
        arrival_ms = max(arrival_ms, time_ms)
        assert report.accept(each, time_ms, arrival_ms)
    return list(report.rows())


def rows_of(*events: Told, **options: Any) -> dict[tuple[str, str], Entry]:
    """Rows of an interval report by the clock time of their start and queue."""
    return {(row["at"][11:16], row["queue"]): row for row in list_of(*events, **options)}


def ticks_of(*events: Told, **options: Any) -> list[Entry]:
    """Rows of a tick report every minute."""
    settings = {
        "zone": UTC,
        "every_ms": 60_000,
        "windows": ROLLING_WINDOWS,
        "days": True,
        **options,
    }
    records = (Timed(each, time_ms, time_ms) for each, time_ms in events)
    return list(TickReport(PolicyBook(), **settings).rows(records))


# -- the order in which things happened ----------------------------------------------------------


def arriving(time_s: float, arrival_s: float) -> Timed:
    told, time_ms = call(time_s, "queued", contact=f"c-{time_s}-{arrival_s}")
    return Timed(told, time_ms, ms(arrival_s))


def times_s(records: list[Timed]) -> list[float]:
    return [(record.time_ms - TEN_MS) / 1000 for record in in_event_order(records, LATENESS_MS)]


def test_records_are_given_in_the_order_in_which_they_happened() -> None:
    records = [arriving(5, 5), arriving(3, 5), arriving(65, 65), arriving(6, 66), arriving(80, 80)]

    assert times_s(records) == [3, 5, 6, 65, 80]


@pytest.mark.parametrize(("too_late_ms", "taken"), [(0, [0, 60]), (1, [60.001])])
def test_a_late_record_is_left_out_only_beyond_the_allowed_lateness(
    too_late_ms: int, taken: list[float]
) -> None:
    arrival_s = 60 + too_late_ms / 1000

    assert times_s([arriving(arrival_s, arrival_s), arriving(0, arrival_s)]) == taken


@pytest.mark.parametrize(("too_early_ms", "taken"), [(0, [300]), (1, [])])
def test_a_future_record_is_left_out_only_more_than_five_minutes_ahead(
    too_early_ms: int, taken: list[float]
) -> None:
    record = arriving(300, (300_000 - FUTURE_MS - too_early_ms) / 1000)

    assert times_s([record]) == taken


def test_records_of_one_moment_stay_in_the_order_of_their_arrival() -> None:
    records = [arriving(5, arrival_s) for arrival_s in (5, 7, 6)]

    assert list(in_event_order(records, LATENESS_MS)) == records


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 70)), max_size=30))
def test_no_more_is_held_than_may_still_be_overtaken(drawn: list[tuple[int, int]]) -> None:
    arrivals = sorted((time_s + delay_s, time_s) for time_s, delay_s in drawn)
    records = [arriving(time_s, arrival_s) for arrival_s, time_s in arrivals]
    heard: list[Timed] = []

    def told_one_by_one() -> Iterator[Timed]:
        for record in records:
            heard.append(record)
            yield record

    given_ms = []
    for record in in_event_order(told_one_by_one(), LATENESS_MS):
        given_ms.append(record.time_ms)
        if len(heard) < len(records):
            assert record.time_ms < heard[-1].arrival_ms - LATENESS_MS
    assert given_ms == sorted(
        record.time_ms for record in records if record.arrival_ms - record.time_ms <= LATENESS_MS
    )


# -- intervals -----------------------------------------------------------------------------------


def test_the_first_instant_of_an_hour_is_in_it_and_the_last_one_before_is_not() -> None:
    rows = rows_of(call(-0.001, "queued"), call(0, "queued", contact="c-2"), by=("queue", "hour"))

    assert {key: row["offered"] for key, row in rows.items()} == {
        ("09:00", "sales"): 1,
        ("09:00", "*"): 1,
        ("10:00", "sales"): 1,
        ("10:00", "*"): 1,
    }


def test_by_arrival_all_of_a_visit_stands_where_it_arrived() -> None:
    visit = (call(-20, "queued"), call(5, "answered"))

    rows = rows_of(*visit, by=("hour",))

    ((key, row),) = rows.items()
    assert key == ("09:00", "*")
    assert (row["offered"], row["answered"], row["wait_s"]["max"]) == (1, 1, 25.0)
    assert (row["initial_response_events"], row["initial_response_within"]) == (1, 0)


def test_by_outcome_each_count_stands_at_its_own_moment() -> None:
    visit = (call(-30, "queued"), call(5, "answered"))

    rows = rows_of(*visit, by=("hour",), by_arrival=False)

    before, after = rows["09:00", "*"], rows["10:00", "*"]
    assert (before["offered"], before["answered"], before["service_level_n"]["strict"]) == (1, 0, 1)
    assert (after["offered"], after["answered"], after["service_level_n"]["strict"]) == (0, 1, 0)
    assert after["service_level"]["answered_only"] == 0.0


def test_days_and_hours_are_those_of_the_zone_asked_for() -> None:
    late = call(-1 * HOUR, "queued")  # 09:00 UTC is 14:45 in Kathmandu

    (row,) = rows_of(late, by=("hour",), zone=read_zone("Asia/Kathmandu")).values()
    assert (row["at"], row["interval"]) == ("2026-11-24T14:00:00.000+05:45", "hour")
    (row,) = rows_of(late, by=("day",), zone=read_zone("Asia/Kathmandu")).values()
    assert (row["at"], row["interval"]) == ("2026-11-24T00:00:00.000+05:45", "day")


def test_the_whole_input_is_one_interval_from_its_first_event_to_its_last() -> None:
    rows = rows_of(call(5, "queued"), call(9, "answered"), event(60, "source.alive"))

    row = rows["10:00", "sales"]
    assert (row["interval"], row["at"], row["as_of"]) == (
        "all",
        "2026-11-24T10:00:05.000Z",
        "2026-11-24T10:01:00.000Z",
    )


def test_what_came_too_late_to_be_counted_dates_no_interval() -> None:
    rows = rows_of(call(10 * HOUR, "queued"), call(0, "queued", contact="too-late"))

    assert {row["at"][11:16] for row in rows.values()} == {"20:00"}
    assert rows["20:00", "sales"]["offered"] == 1


def test_an_interval_knows_the_whole_input_also_what_is_told_late() -> None:
    visit = (call(0, "queued"), call(HOUR, "held", contact="c-2"), call(12, "answered"))

    assert rows_of(*visit)["10:00", "sales"]["answered_within"] == 1


def test_who_waits_at_the_end_of_the_input_is_waiting_since_then() -> None:
    rows = rows_of(
        call(0, "queued"),
        call(40, "queued", contact="c-2"),
        chat(50, "messaged", contact="c-3"),
        event(60, "source.alive"),
    )

    row = rows["10:00", "sales"]
    assert (row["waiting"], row["waiting_past_threshold"], row["longest_wait_s"]) == (2, 1, 60.0)
    assert (row["awaiting_reply"], row["service_level_n"]["strict"]) == (2, 1)
    row = rows["10:00", "help"]
    assert (row["waiting"], row["awaiting_reply"]) == (0, 1)
    assert row["oldest_awaiting_reply_s"] == 10.0


def test_a_wait_that_expired_within_the_input_is_a_miss_and_waits_no_more() -> None:
    rows = rows_of(call(0, "queued"), event(2 * HOUR, "source.alive"))

    row = rows["10:00", "sales"]
    assert (row["offered"], row["expired"], row["waiting"]) == (1, 1, 0)
    assert row["service_level"]["strict"] == 0.0


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("queue", [("sales", "*", "-", 2), ("*", "*", "-", 2)]),
        ("day", [("*", "*", "-", 2)]),
        ("channel", [("*", "chat", "-", 1), ("*", "voice", "-", 1)]),
        ("segment", [("*", "*", "gold", 1), ("*", "*", "unknown", 1)]),
    ],
)
def test_rows_are_grouped_by_what_was_asked_for(by: str, groups: list[tuple[Any, ...]]) -> None:
    rows = list_of(
        call(0, "queued", segment="gold"),
        chat(0, "queued", contact="c-2", queue="sales"),
        by=(by,),
    )

    shown = [
        (row["queue"], row["channel"], row.get("segment", "-"), row["offered"]) for row in rows
    ]
    assert shown == groups


def test_a_segment_named_late_is_the_segment_of_the_whole_contact() -> None:
    visit = (call(0, "queued"), call(1, "answered"), call(2, "wrapped", segment="gold"))

    (row,) = list_of(*visit, by=("segment",))

    assert (row["segment"], row["instant_service_ratio"]) == ("gold", 1.0)


def test_a_row_says_the_thresholds_of_its_visits() -> None:
    dated = ["20s", {"from": "2026-11-24T10:01:00Z", "value": "30s"}]
    book = policy(channels={"voice": {"threshold": dated}})
    visits = (call(0, "queued"), call(61, "queued", contact="c-2", queue="service"))

    rows = rows_of(*visits, policies=book)

    shown = {queue: (row["threshold_s"], row["mixed"]) for (_, queue), row in rows.items()}
    assert shown == {"sales": (20, False), "service": (30, False), "*": (None, True)}


def test_files_of_their_own_are_counted_together_but_arrive_apart() -> None:
    report = IntervalReport(PolicyBook(), zone=UTC)
    for part, at_s in (("today", DAY), ("yesterday", 0), ("today", DAY + 1), ("yesterday", 1)):
        each, time_ms = call(at_s, "queued", contact=f"c-{at_s}")
        assert report.accept(each, time_ms, time_ms, part)

    rows = list(report.rows())

    assert [row["offered"] for row in rows] == [4, 4]
    assert sum(partition.late for partition in report.partitions) == 0


ACROSS = (
    *(call(-10, "queued"), call(15, "answered")),
    call(0, "queued", contact="c-2"),
    *(call(HOUR - 10, "queued", contact="c-3"), call(HOUR + 20, "answered", contact="c-3")),
    call(HOUR, "queued", contact="c-4"),
)
"""Visits over ten o'clock, from ten, over eleven and from eleven."""

FROM_TEN_TO_ELEVEN = Span(TEN_MS, TEN_MS + HOUR * 1000)


@pytest.mark.parametrize("by_arrival", [True, False])
def test_of_a_span_the_hours_in_it_are_those_of_the_whole_report(by_arrival: bool) -> None:
    options: dict[str, Any] = {"by": ("queue", "hour"), "by_arrival": by_arrival}
    whole = rows_of(*ACROSS, **options)

    shown = rows_of(*ACROSS, span=FROM_TEN_TO_ELEVEN, **options)

    assert shown == {key: row for key, row in whole.items() if key[0] == "10:00"}
    assert {hour for hour, _ in whole} == {"09:00", "10:00", "11:00"}


def test_who_waited_when_a_span_began_is_answered_in_it_after_the_whole_wait() -> None:
    row = rows_of(*ACROSS, span=FROM_TEN_TO_ELEVEN, by_arrival=False)["10:00", "sales"]

    assert (row["offered"], row["answered"], row["wait_s"]["max"]) == (2, 1, 25.0)
    assert (row["instant"], row["sent_to_wait"]) == (0, 2)


def test_what_becomes_of_a_visit_after_its_span_is_known() -> None:
    row = rows_of(*ACROSS, span=FROM_TEN_TO_ELEVEN)["10:00", "sales"]

    assert (row["offered"], row["answered"], row["wait_s"]["max"]) == (2, 1, 30.0)


@pytest.mark.parametrize(("from_s", "at"), [(-60, "09:59:50"), (-10, "09:59:50"), (-5, "09:59:55")])
def test_a_span_begins_no_sooner_than_the_input(from_s: float, at: str) -> None:
    first, *_ = list_of(*ACROSS, span=Span(from_ms=ms(from_s)))

    assert first["at"][11:19] == at


def test_a_future_event_is_refused_and_moves_nothing() -> None:
    report = IntervalReport(PolicyBook(), zone=UTC)
    each, time_ms = call(DAY, "queued")

    assert not report.accept(each, time_ms, TEN_MS)
    assert list(report.rows()) == []


@pytest.mark.parametrize("parts", [1, 3])
def test_a_long_report_remembers_only_contacts_that_may_still_change(parts: int) -> None:
    limits = Limits(rest_ms=60_000, lateness_ms=60_000)
    report = IntervalReport(PolicyBook(), zone=UTC, limits=limits, by=("queue", "hour"))
    remembered = []
    for number in range(3_000):
        at_s = 10 * number
        for each, time_ms in (
            call(at_s, "queued", contact=f"c-{number}"),
            call(at_s + 5, "answered", contact=f"c-{number}"),
        ):
            report.accept(each, time_ms, time_ms, number % parts)
        remembered.append(sum(len(partition.lives) for partition in report.partitions))

    assert max(remembered) <= 12 + parts * 6 + parts  # lasting 120 s, then up to a minute
    assert sum(row["answered"] for row in report.rows() if row["queue"] == "sales") == 3_000


# -- ticks ---------------------------------------------------------------------------------------


def test_a_tick_row_knows_the_events_up_to_its_tick_and_no_later_one() -> None:
    rows = ticks_of(
        call(30, "queued"),
        call(60, "queued", contact="c-2"),
        call(60.001, "queued", contact="c-3"),
        windows={"5m": 300_000},
        days=False,
        by=(),
    )

    assert [(row["at"][11:19], row["offered"]) for row in rows] == [
        ("10:01:00", 2),
        ("10:02:00", 3),
    ]


def test_ticks_run_from_the_first_event_to_the_one_that_knows_the_last() -> None:
    on_ticks = ticks_of(
        call(60, "queued"), call(180, "answered"), by=(), days=False, windows={"5m": 300_000}
    )

    assert [row["at"][11:19] for row in on_ticks] == ["10:01:00", "10:02:00", "10:03:00"]
    assert [row["answered"] for row in on_ticks] == [0, 0, 1]
    assert [row["waiting"] for row in on_ticks] == [1, 1, 0]


def test_a_tick_report_takes_in_late_events_before_it_shows_their_tick() -> None:
    options = {"windows": {"5m": 300_000}, "days": False, "by": ()}
    visit = (call(5, "queued"), call(12, "answered"), call(90, "queued", contact="c-2"))
    in_order = ticks_of(*visit, **options)

    shuffled = [Timed(each, time_ms, ms(90)) for each, time_ms in (visit[2], visit[1], visit[0])]
    settings: dict[str, Any] = {"zone": UTC, "every_ms": 60_000, **options}

    assert list(TickReport(PolicyBook(), **settings).rows(shuffled)) == in_order


def test_each_tick_has_every_window_of_each_queue_and_of_all() -> None:
    rows = ticks_of(call(0, "queued"), call(0, "queued", contact="c-2", queue="help"))

    shown = [(row["window"], row["queue"]) for row in rows]
    assert shown == [
        (window, queue) for window in (*ROLLING_WINDOWS, "day") for queue in ("help", "sales", "*")
    ]


def test_a_rolling_window_leaves_out_what_happened_at_its_beginning() -> None:
    rows = ticks_of(
        call(0, "queued"),
        call(300, "queued", contact="c-2"),
        windows={"5m": 300_000},
        days=False,
        by=(),
    )

    assert [row["offered"] for row in rows] == [1, 1, 1, 1, 1, 1]


def test_a_day_holds_its_first_instant_and_the_tick_itself() -> None:
    midnight_s = 14 * HOUR
    rows = ticks_of(
        call(midnight_s - 1, "queued"),
        call(midnight_s, "queued", contact="c-2"),
        call(midnight_s + MINUTE, "queued", contact="c-3"),
        windows={},
        by=(),
    )

    assert [(row["at"][11:16], row["offered"]) for row in rows] == [("00:00", 1), ("00:01", 2)]


def test_of_a_span_the_ticks_in_it_are_those_of_the_whole_report() -> None:
    visits = [call(60 * minute + 1, "queued", contact=f"c-{minute}") for minute in range(6)]
    whole = ticks_of(*visits)

    shown = ticks_of(*visits, span=Span(ms(2 * MINUTE), ms(4 * MINUTE)))

    assert shown == [row for row in whole if row["at"][11:16] in ("10:02", "10:03")]
    assert {row["at"][11:16] for row in whole} == {f"10:0{minute}" for minute in range(1, 7)}


def told_every_minute(heard: list[int], minutes: int, contact: str = "c") -> Iterator[Timed]:
    """A new contact a minute; how many were told so far is the last of *heard*."""
    heard.append(0)
    place = len(heard) - 1
    for minute in range(minutes):
        heard[place] = minute + 1
        each, time_ms = call(60 * minute, "queued", contact=f"{contact}-{minute}")
        yield Timed(each, time_ms, time_ms)


BRIEF: dict[str, Any] = {
    "zone": UTC,
    "every_ms": 60_000,
    "windows": {"5m": 300_000},
    "days": False,
    "limits": Limits(rest_ms=60_000, lateness_ms=60_000),
}


def test_nothing_is_read_that_no_tick_of_the_span_could_show() -> None:
    heard: list[int] = []
    span = Span(to_ms=ms(5 * MINUTE))

    rows = list(TickReport(PolicyBook(), span=span, **BRIEF).rows(told_every_minute(heard, 100)))

    assert rows[-1]["at"][11:16] == "10:04"
    assert heard == [8]  # minute 5 ends it, and is known to be next once minute 7 has come


def test_no_part_is_read_ahead_however_many_there_are_and_however_long() -> None:
    heard: list[int] = []
    parts = [told_every_minute(heard, 100, contact) for contact in ("c", "d", "e")]

    ahead = [
        max(heard) - (read_instant(row["at"]) - TEN_MS) // 60_000
        for row in TickReport(PolicyBook(), **BRIEF).rows(*parts)
    ]

    assert heard == [100, 100, 100]
    # Tick n waits for minute n + 1, and minute n + 3 tells that nothing overtakes that.
    assert max(ahead) == 4


def arriving_in_turn(part: list[Told]) -> Iterator[Timed]:
    """Events that arrive when the latest of them so far has happened."""
    arrival_ms = 0
    for each, time_ms in part:
        arrival_ms = max(arrival_ms, time_ms)
        yield Timed(each, time_ms, arrival_ms)


def parts_of(*parts: list[Told], **options: Any) -> list[Entry]:
    """Rows of a tick report every hour over *parts*."""
    settings: dict[str, Any] = {
        "zone": UTC,
        "every_ms": 3_600_000,
        "windows": {"60m": 3_600_000},
        "days": False,
        **options,
    }
    return list(TickReport(PolicyBook(), **settings).rows(*map(arriving_in_turn, parts)))


def test_an_event_is_late_only_by_the_arrival_of_its_own_part() -> None:
    early = [call(60, "queued"), call(70, "answered")]
    late = [call(5 * HOUR, "queued", contact="c-2"), call(10 * HOUR, "queued", contact="c-3")]

    for parts in ((late, early), (early, late)):
        rows = parts_of(*parts, by=())
        offered = [(row["at"][11:16], row["offered"]) for row in rows if row["offered"]]
        assert offered == [("11:00", 1), ("15:00", 1), ("20:00", 1)]
    assert sum(row["offered"] for row in parts_of(late + early, by=())) == 2


def test_parts_add_up_to_what_they_are_in_one() -> None:
    ours = [call(60, "queued"), call(70, "answered"), call(5_000, "queued", contact="c-2")]
    theirs = [chat(65, "queued", contact="c-3"), call(4_000, "queued", contact="c-4")]
    in_one = sorted(ours + theirs, key=lambda told: told[1])

    assert parts_of(ours, theirs, days=True) == parts_of(in_one, days=True)


def test_a_copy_in_another_part_is_counted_there_as_a_worker_would() -> None:
    once = call(60, "queued")

    assert [row["offered"] for row in parts_of([once, once], by=())] == [1]
    assert [row["offered"] for row in parts_of([once], [once], by=())] == [2]


def test_no_events_have_no_rows() -> None:
    assert ticks_of() == []
    assert rows_of() == {}


# -- visits --------------------------------------------------------------------------------------


def lines(*events: Told, **options: Any) -> list[dict[str, Any]]:
    """What is said of each visit."""
    found = []

    def keep(life: Life, visit: Visit) -> None:
        found.append(visit_line(life, visit, UTC))

    rows_of(*events, on_visit=keep, **options)
    return found


@pytest.mark.parametrize(
    ("ends", "outcome", "within", "rule"),
    [
        (call(20, "answered"), "answered", True, "wait <= T, T=20s at the opening"),
        (call(20.001, "answered"), "answered", False, "wait > T, T=20s at the opening"),
        (call(5, "abandoned"), "abandoned", True, "wait <= S=5s, T=20s at the opening"),
        (call(5.001, "abandoned"), "abandoned", True, "wait <= T, T=20s at the opening"),
        (call(21, "left", reason="key"), "left:key", False, "wait > T, T=20s at the opening"),
        (event(2 * HOUR, "source.alive"), "expired", None, "open for 7200s"),
        (event(30, "source.alive"), "waiting", None, "no outcome yet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_visit_says_how_it_ended_and_the_rule_that_decided(
    ends: Told, outcome: str, within: bool | None, rule: str
) -> None:
    (line,) = lines(call(0, "queued"), ends)

    assert (line["outcome"], line["within"], line["rule"]) == (outcome, within, rule)


def test_a_visit_says_when_where_and_how_it_was_opened_and_not_who_it_was() -> None:
    (line,) = lines(
        call(0, "offered", segment="gold", agent="a-1", customer="Ana"), call(7, "answered")
    )

    assert line == {
        "opened": "2026-11-24T10:00:00.000Z",
        "queue": "sales",
        "channel": "voice",
        "segment": "gold",
        "direct": True,
        "wait_s": 7.0,
        "threshold_s": 20.0,
        "outcome": "answered",
        "within": True,
        "missed": False,
        "rule": "wait <= T, T=20s at the opening",
    }


def test_of_a_span_the_visits_opened_in_it_are_told() -> None:
    found = lines(*ACROSS, span=FROM_TEN_TO_ELEVEN)

    assert {(line["opened"][11:19], line["wait_s"]) for line in found} == {
        ("10:00:00", None),
        ("10:59:50", 30.0),
    }


def test_the_visits_of_all_lives_of_a_contact_are_told() -> None:
    limits = Limits(rest_ms=60_000, lateness_ms=60_000)

    found = lines(
        *(call(0, "queued"), call(10, "answered"), call(80, "queued"), call(90, "abandoned")),
        limits=limits,
    )

    assert [line["outcome"] for line in found] == ["abandoned", "answered"]
    assert read_instant(found[1]["opened"]) == TEN_MS
