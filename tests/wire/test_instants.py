from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import instants
from schemas.instants import INSTANT_PATTERN, read_instant, write_instant
from tests.support.wire_examples import any_instant, since_epoch_ms

FIRST_MS = since_epoch_ms(datetime(1, 1, 2, tzinfo=UTC))
LAST_MS = since_epoch_ms(datetime(9999, 12, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01t00:00:01z", 1000),
        ("1970-01-01T03:00:00+03:00", 0),
        ("1969-12-31T21:00:00-03:00", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01T23:59:00+23:59", 0),
        ("1969-12-31T00:01:00-23:59", 0),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01T00:00:00.12Z", 120),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_an_instant_reads_as_milliseconds_since_1970(text: str, ms: int) -> None:
    assert read_instant(text) == ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00.0009Z", 0),
        ("1970-01-01T00:00:00.9999999999Z", 999),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("1969-12-31T23:59:59.9990001Z", -1),
        ("1969-12-31T23:59:59.9989Z", -2),
    ],
)
def test_what_is_finer_than_a_millisecond_is_floored(text: str, ms: int) -> None:
    assert read_instant(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60.999Z",
        "2016-12-31T23:59:60.9999Z",
        "2017-01-01T02:59:60+03:00",
        "2016-12-31T12:59:60-11:00",
    ],
)
def test_a_leap_second_is_the_first_instant_of_the_next_minute(text: str) -> None:
    assert read_instant(text) == read_instant("2017-01-01T00:00:00Z")


def test_a_leap_second_stays_refused_elsewhere_after_one_was_read() -> None:
    read_instant("2016-12-31T23:59:60Z")
    read_instant("2016-12-31T23:58:59Z")

    with pytest.raises(ValueError, match="leap second"):
        read_instant("2016-12-31T23:58:60Z")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2026-11-24T10:00:03", id="no offset"),
        pytest.param("2026-11-24", id="a date"),
        pytest.param("", id="nothing"),
        pytest.param("0000-01-01T00:00:00Z", id="year 0"),
        pytest.param("0001-01-01T00:00:00+00:01", id="before year 1 in UTC"),
        pytest.param("9999-12-31T23:59:59-00:01", id="after year 9999 in UTC"),
        pytest.param("9999-12-31T23:59:60Z", id="a leap second into year 10000"),
        pytest.param("10000-01-01T00:00:00Z", id="year 10000"),
        pytest.param("-2026-11-24T10:00:03Z", id="a negative year"),
        pytest.param("2026-11-24T24:00:00Z", id="hour 24"),
        pytest.param("2026-11-24T10:60:00Z", id="minute 60"),
        pytest.param("2026-11-24T10:00:60Z", id="second 60 at ten"),
        pytest.param("2026-12-31T23:59:61Z", id="second 61"),
        pytest.param("2026-13-01T10:00:00Z", id="month 13"),
        pytest.param("2026-02-29T10:00:00Z", id="29 February of a common year"),
        pytest.param("2026-11-24T10:00:03+24:00", id="offset of a day"),
        pytest.param("2026-11-24T10:00:03+03:60", id="offset minute 60"),
        pytest.param("2026-11-24T10:00:03+0300", id="offset without colon"),
        pytest.param("2026-11-24T10:00:03+03", id="offset without minutes"),
        pytest.param("2026-11-24T10:00:03+03:00:00", id="offset with seconds"),
        pytest.param("2026-11-24 10:00:03Z", id="a space for the T"),
        pytest.param("2026-11-24T10:00:03,5Z", id="a comma for the point"),
        pytest.param("2026-11-24T10:00:03.Z", id="a point without digits"),
        pytest.param("2026-11-24T10:00:03.12Z99", id="digits after the zone"),
        pytest.param("2026-11-24T10:00:03.1239999", id="digits and no zone"),
        pytest.param("2026-11-24T10:00Z", id="no seconds"),
        pytest.param("2026-11-24T10:00:03Z\n", id="a line end"),
        pytest.param(" 2026-11-24T10:00:03Z", id="a leading space"),
        pytest.param("2026-11-24T10:00:0３Z", id="a second of another script"),
        pytest.param("２026-11-24T10:00:03Z", id="a year of another script"),
        pytest.param("1795503603250", id="a number"),
        pytest.param(f"2026-11-24T10:00:03.{'1' * 44}Z", id="65 characters"),
    ],
)
def test_what_is_no_instant_is_refused_and_not_repeated(text: str) -> None:
    read_instant("2026-11-24T10:00:03.123Z")
    read_instant("2026-11-24T10:00:03.12Z")

    with pytest.raises(ValueError, match=r"\w") as refused:
        read_instant(text)

    assert not text or text not in str(refused.value)


def test_an_hour_that_was_read_before_has_all_its_minutes() -> None:
    start_ms = read_instant("1987-06-05T04:00:00Z")

    for minute in (*range(60), *range(60)):
        text = f"1987-06-05T04:{minute:02}:07Z"
        assert read_instant(text) == start_ms + minute * 60_000 + 7_000
    for text in ("1987-06-05T04:60:07Z", "1987-06-05T04:1:07Z", "1987-06-05T04:001:07Z"):
        with pytest.raises(ValueError, match=r"\w"):
            read_instant(text)


def test_the_ends_of_time_stay_refused_after_their_minutes_were_read() -> None:
    read_instant("9999-12-31T23:59:00Z")
    read_instant("0001-01-01T00:00:00Z")
    read_instant("2026-11-24T10:00:59-00:01")
    read_instant("2026-11-24T10:00:00+00:01")

    for text in ("9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01"):
        with pytest.raises(ValueError, match="outside the years"):
            read_instant(text)


def test_64_characters_are_not_too_many() -> None:
    assert read_instant(f"1970-01-01T00:00:00.{'1' * 43}Z") == 111


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_it_agrees_with_the_calendar(moment: datetime, offset: int, spec: str) -> None:
    text = moment.replace(tzinfo=timezone(timedelta(minutes=offset))).isoformat(timespec=spec)

    assert read_instant(text) == since_epoch_ms(datetime.fromisoformat(text))


@given(any_instant())
def test_reading_twice_gives_the_same(text: str) -> None:
    assert read_instant(text) == read_instant(text)


@given(any_instant())
def test_the_published_pattern_allows_what_is_read(text: str) -> None:
    assert re.search(INSTANT_PATTERN, text)


@given(
    st.integers(FIRST_MS, LAST_MS),
    st.sampled_from(
        [
            UTC,
            timezone(timedelta(hours=3)),
            timezone(-timedelta(hours=9, minutes=30)),
            timezone(timedelta(minutes=19, seconds=32)),
            ZoneInfo("Europe/Amsterdam"),
            ZoneInfo("America/St_Johns"),
        ]
    ),
)
def test_what_is_written_reads_back(ms: int, zone: tzinfo) -> None:
    assert read_instant(write_instant(ms, zone)) == ms


def test_an_instant_is_written_as_the_zones_clock_shows_it() -> None:
    ms = read_instant("2026-11-24T10:00:03.007Z")

    assert write_instant(ms) == "2026-11-24T10:00:03.007Z"
    assert write_instant(ms, ZoneInfo("Asia/Kolkata")) == "2026-11-24T15:30:03.007+05:30"


def test_an_instant_after_the_last_year_cannot_be_written() -> None:
    with pytest.raises(OverflowError):
        write_instant(read_instant("9999-12-31T23:59:59.999Z") + 1)


def test_what_is_remembered_of_earlier_instants_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(instants, "_MAX_REMEMBERED", 100)
    first_ms = read_instant("1900-01-01T00:00:00Z")

    for minute in range(1_000):
        ms = first_ms + minute * 60_000 + minute
        assert read_instant(write_instant(ms)) == ms

    assert len(instants._minutes) <= 100
    assert len(instants._rests) <= 100
    assert len(instants._hours) <= 100
