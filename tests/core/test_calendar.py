"""Ticks, panes and local days at their edges, on the nights when clocks change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.instants import read_instant
from streams.core.calendar import Day, day_of, day_start, hour_of, last_tick, pane_of, to_ms
from streams.core.durations import read_zone

TICK_MS = 5_000


@pytest.mark.parametrize(
    ("now_ms", "tick_ms"), [(9_999, 5_000), (10_000, 10_000), (10_001, 10_000), (14_999, 10_000)]
)
def test_the_last_tick_is_now_itself_or_before(now_ms: int, tick_ms: int) -> None:
    assert last_tick(now_ms, TICK_MS) == tick_ms


@pytest.mark.parametrize("tick", [1, 2, 359_102_880])
def test_a_pane_holds_its_own_tick_but_not_the_one_before(tick: int) -> None:
    around = (tick * TICK_MS - 1, tick * TICK_MS, tick * TICK_MS + 1)

    assert [pane_of(time_ms, TICK_MS) for time_ms in around] == [tick, tick, tick + 1]


DAYS = [
    # Two plain days, one by name and one by offset.
    ("UTC", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
    ("+03:00", "1999-07-31T21:00:00Z", "1999-08-01T21:00:00Z"),
    # 02:00 becomes 03:00, and seven months later 03:00 becomes 02:00.
    ("Europe/Madrid", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
    ("Europe/Madrid", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
    # Midnight becomes one o'clock: a day without midnight.
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
    ("Asia/Beirut", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"),
    # Midnight becomes 23:00: an hour of the old date is shown again.
    ("Asia/Beirut", "2026-10-23T21:00:00Z", "2026-10-24T22:00:00Z"),
    # 00:01 becomes 23:01: the new date has begun and stays, whatever a clock shows.
    ("America/St_Johns", "2006-10-28T02:30:00Z", "2006-10-29T02:30:00Z"),
    ("America/St_Johns", "2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z"),
    # The 29th is followed by the 31st.
    ("Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
    # 23:30 becomes 00:30: the midnight that is left out is not where the day begins.
    ("America/Toronto", "1919-03-31T04:30:00Z", "1919-04-01T04:00:00Z"),
]


@pytest.mark.parametrize(("zone_name", "start", "end"), DAYS)
def test_a_day_begins_with_the_first_instant_of_its_date(
    zone_name: str, start: str, end: str
) -> None:
    zone = read_zone(zone_name)
    day = Day(read_instant(start), read_instant(end))

    assert day_of(day.start_ms, zone) == day_of(day.end_ms - 1, zone) == day
    assert day_of(day.start_ms - 1, zone).end_ms == day.start_ms
    assert day_of(day.end_ms, zone).start_ms == day.end_ms


def test_the_date_a_clock_shows_again_began_a_day_ago() -> None:
    zone = read_zone("America/St_Johns")

    assert day_start(read_instant("2006-10-29T02:30:30Z"), zone) == read_instant(
        "2006-10-29T02:30:00Z"
    )
    assert day_start(read_instant("2006-10-29T02:31:00Z"), zone) == read_instant(
        "2006-10-28T02:30:00Z"
    )


@given(
    st.sampled_from(sorted({zone for zone, _, _ in DAYS})),
    st.integers(read_instant("1999-01-01T00:00:00Z"), read_instant("2037-01-01T00:00:00Z")),
)
def test_every_instant_is_in_one_day_and_the_next_one_follows_at_once(
    zone_name: str, time_ms: int
) -> None:
    zone = read_zone(zone_name)
    day = day_of(time_ms, zone)

    assert day.start_ms <= time_ms < day.end_ms
    assert day_of(day.end_ms, zone).start_ms == day.end_ms


@pytest.mark.parametrize(
    ("zone_name", "time", "start"),
    [
        ("UTC", "2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
        ("UTC", "2026-11-24T10:59:59.999Z", "2026-11-24T10:00:00Z"),
        ("Asia/Kathmandu", "2026-11-24T10:14:59.999Z", "2026-11-24T09:15:00Z"),
        ("Asia/Kathmandu", "2026-11-24T10:15:00Z", "2026-11-24T10:15:00Z"),
        ("+05:45", "2026-11-24T10:20:00Z", "2026-11-24T10:15:00Z"),
        ("-03:30", "2026-11-24T10:20:00Z", "2026-11-24T09:30:00Z"),
    ],
)
def test_an_hour_begins_when_the_local_clock_says_so(zone_name: str, time: str, start: str) -> None:
    assert hour_of(read_instant(time), read_zone(zone_name)) == read_instant(start)


def test_the_hour_that_is_shown_twice_is_two_hours() -> None:
    zone = read_zone("Europe/Madrid")
    first, second = read_instant("2026-10-25T00:30:00Z"), read_instant("2026-10-25T01:30:00Z")

    assert hour_of(second, zone) - hour_of(first, zone) == 3_600_000


def test_an_instant_is_floored_to_its_millisecond() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    assert to_ms(epoch + timedelta(microseconds=1_999)) == 1
    assert to_ms(epoch - timedelta(microseconds=1)) == -1
