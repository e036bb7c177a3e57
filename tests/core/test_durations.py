from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.durations import LONGEST_MS, read_duration, read_zone, write_duration

A_DAY = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        ("0s", 0),
        ("250ms", 250),
        ("20s", 20_000),
        ("90s", 90_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("14d", 1_209_600_000),
        ("1d2h3m4s5ms", 93_784_005),
    ],
)
def test_a_duration_is_the_sum_of_its_units(text: str, duration_ms: int) -> None:
    assert read_duration(text) == duration_ms


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(0, "0s"), (250, "250ms"), (20_000, "20s"), (90_000, "1m30s"), (86_400_000, "1d")],
)
def test_a_duration_is_written_in_its_largest_units(duration_ms: int, text: str) -> None:
    assert write_duration(duration_ms) == text


@given(st.integers(min_value=0, max_value=LONGEST_MS))
def test_a_written_duration_reads_back_to_itself(duration_ms: int) -> None:
    assert read_duration(write_duration(duration_ms)) == duration_ms


@pytest.mark.parametrize(
    "text", ["", "s", "20 s", "-5s", "1.5h", "30m1h", "5m5m", "20S", "20sec", "1h30", "٣s", "20s\n"]
)
def test_what_is_no_duration_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^expected a duration such as 0s, 250ms, 20s, .* or 14d$"
    ):
        read_duration(text)


def test_a_bare_number_gets_the_seconds_it_may_have_meant() -> None:
    with pytest.raises(ValueError, match=r"did you mean 20s\?$"):
        read_duration("20")


def test_no_duration_is_longer_than_a_hundred_years() -> None:
    assert read_duration("36500d") == LONGEST_MS

    with pytest.raises(ValueError, match=r"^expected a duration of at most 36500d$"):
        read_duration("36500d1ms")


def test_no_duration_is_negative() -> None:
    with pytest.raises(ValueError, match="0 ms or more, not -1 ms"):
        write_duration(-1)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("UTC", 0),
        ("Europe/Berlin", 120),
        ("+02:00", 120),
        ("-03:30", -210),
        ("+14:00", 840),
        ("-14:00", -840),
    ],
)
def test_a_zone_is_a_name_or_a_fixed_offset(text: str, minutes: int) -> None:
    assert A_DAY.astimezone(read_zone(text)).utcoffset() == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["+2", "+2:00", "+14:01", "-15:00", "+01:60", "+"])
def test_an_offset_that_no_clock_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an offset from -14:00 to \+14:00"):
        read_zone(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("Europe/Berln", "Europe/Berlin"), ("europe/berlin ", "Europe/Berlin"), ("utc", "UTC")],
)
def test_an_unknown_zone_is_refused_with_the_nearest_one(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"^expected an IANA zone .*; did you mean {meant}\?$"):
        read_zone(text)


@pytest.mark.parametrize("text", ["", "Europe", "../etc/passwd", "/etc/localtime", "localtime"])
def test_a_path_or_the_machine_s_own_zone_is_no_zone(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an IANA zone"):
        read_zone(text)
