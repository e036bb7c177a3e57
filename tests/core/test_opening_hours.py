from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from streams.core.opening_hours import OpeningHours, read_hours

BERLIN = ZoneInfo("Europe/Berlin")


def is_open(hours: str, local: str, zone: tzinfo = UTC) -> bool:
    """Whether *hours* cover *local*: a weekday of the week from Monday 2 March 2026, and a time."""
    weekday, clock = local.split()
    day = 2 + ("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(weekday)
    at = datetime.fromisoformat(f"2026-03-0{day}T{clock}").replace(tzinfo=zone)
    return OpeningHours(read_hours(hours), zone).is_open_at(int(at.timestamp() * 1000))


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("mon 07:59:59.999", False),
        ("mon 08:00:00", True),
        ("fri 17:59:59.999", True),
        ("fri 18:00:00", False),
        ("sat 12:00:00", False),
    ],
)
def test_a_range_includes_its_start_and_not_its_end(local: str, expected: bool) -> None:
    assert is_open("mon-fri 08:00-18:00", local) is expected


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("fri 21:59:00", False),
        ("fri 22:00:00", True),
        ("sat 01:59:00", True),
        ("sat 02:00:00", False),
    ],
)
def test_a_range_that_ends_before_it_begins_runs_into_the_next_day(
    local: str, expected: bool
) -> None:
    assert is_open("fri 22:00-02:00", local) is expected


def test_sunday_night_runs_into_monday() -> None:
    assert is_open("sun 22:00-02:00", "mon 01:59:00")
    assert not is_open("sun 22:00-02:00", "mon 02:00:00")


def test_days_may_run_over_the_end_of_the_week() -> None:
    assert [
        is_open("sat-mon 10:00-12:00", f"{day} 11:00:00") for day in ("fri", "sat", "sun", "mon")
    ] == [
        False,
        True,
        True,
        True,
    ]


def test_several_ranges_are_separated_by_commas() -> None:
    hours = "mon-fri 08:00-12:00, mon-fri 13:00-18:00, sat 09:00-24:00"

    assert [
        is_open(hours, local) for local in ("tue 12:30:00", "tue 13:00:00", "sat 23:59:00")
    ] == [
        False,
        True,
        True,
    ]


def test_always_is_always() -> None:
    assert is_open("always", "sun 03:00:00")


def test_a_day_from_midnight_to_midnight_is_open_all_day() -> None:
    assert is_open("sat 00:00-24:00", "sat 00:00:00")
    assert not is_open("sat 00:00-24:00", "sun 00:00:00")


def test_hours_follow_the_clock_of_their_zone_through_a_change_of_clocks() -> None:
    hours = OpeningHours(read_hours("mon-sun 08:00-18:00"), BERLIN)

    def at(text: str) -> bool:
        return hours.is_open_at(int(datetime.fromisoformat(text).timestamp() * 1000))

    assert [at("2026-03-28T06:59:00Z"), at("2026-03-28T07:00:00Z")] == [False, True]
    assert [at("2026-03-29T05:59:00Z"), at("2026-03-29T06:00:00Z")] == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "08:00-18:00",
        "mon",
        "mon 8:00-18:00",
        "mon 08:00-25:00",
        "mo-fr 08:00-18:00",
        "mon 08:00-18:60",
    ],
)
def test_what_is_no_opening_hours_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected opening hours such as 'mon-fri 08:00-18:00"):
        read_hours(text)
