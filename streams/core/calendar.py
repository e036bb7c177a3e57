"""Ticks and local days. Instants are epoch milliseconds; nothing here asks what time it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
MINUTE_MS: Final = 60_000

ROLLING_WINDOWS: Final[Mapping[str, int]] = {
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "60m": 60 * MINUTE_MS,
}
DAY: Final = "day"


class Day(NamedTuple):
    """A local date as instants: [start_ms, end_ms)."""

    start_ms: int
    end_ms: int


def last_tick(now_ms: int, every_ms: int) -> int:
    """The last whole multiple of *every_ms* that is not after *now_ms*."""
    return now_ms // every_ms * every_ms


def pane_of(time_ms: int, every_ms: int) -> int:
    """The tick, as a count of *every_ms*, whose pane (tick - 1, tick] holds *time_ms*."""
    return -(-time_ms // every_ms)


def to_ms(instant: datetime) -> int:
    """Epoch milliseconds of an aware datetime, floored."""
    return (instant - EPOCH) // MILLISECOND


def local(time_ms: int, zone: tzinfo) -> datetime:
    """*time_ms* as local time in *zone*."""
    return (EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone)


def day_start(time_ms: int, zone: tzinfo) -> int:
    """The first instant of the local date that a clock in *zone* shows at *time_ms*."""
    return _first_instant(local(time_ms, zone).date(), zone)


def day_of(time_ms: int, zone: tzinfo) -> Day:
    """The day that holds *time_ms*, from the first instant of its date to that of the next.

    Days do not overlap: where clocks go back over midnight, the hour that is shown again already
    belongs to the new day.
    """
    date_shown = local(time_ms, zone).date()
    start_ms = _first_instant(date_shown, zone)
    while True:
        date_shown += timedelta(days=1)
        end_ms = _first_instant(date_shown, zone)
        if time_ms < end_ms:
            return Day(start_ms, end_ms)
        start_ms = end_ms


def hour_of(time_ms: int, zone: tzinfo) -> int:
    """The start of the local clock hour that holds *time_ms*; [start, start + 1 h)."""
    then = local(time_ms, zone)
    past = timedelta(minutes=then.minute, seconds=then.second, microseconds=then.microsecond)
    return time_ms - past // MILLISECOND


def _first_instant(day: date, zone: tzinfo) -> int:
    """When *day* begins in *zone*, also where a change of clocks leaves it without a midnight."""
    midnight = to_ms(datetime(day.year, day.month, day.day, tzinfo=zone))
    if local(midnight, zone).date() == day and local(midnight - 1, zone).date() < day:
        return midnight
    low, high = midnight - 86_400_000, midnight + 86_400_000
    while high - low > 1:
        middle = (low + high) // 2
        if local(middle, zone).date() < day:
            low = middle
        else:
            high = middle
    return high
