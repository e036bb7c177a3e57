"""Instants on the wire: RFC 3339 text outside, whole milliseconds since 1970 inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

MAX_INSTANT_LENGTH: Final = 64
"""Characters an instant may have; what is longer is not read at all."""

INSTANT_PATTERN: Final = (
    "^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    "[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)([.][0-9]+)?"
    "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""What `read_instant` accepts, as far as a pattern can say it (not the length of months)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_FIRST_MS: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND

_MINUTE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):", re.ASCII)
_REST: Final = re.compile(r"(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_FINER: Final = re.compile(r"(\d\d\.\d{3})\d+(.+)", re.ASCII)
_HOUR_LENGTH: Final = len("1999-08-01T00:")
_MINUTE_LENGTH: Final = len("1999-08-01T00:10:")

# Text of a minute and text of what follows it, each to its share of the sum. Neighbouring events
# share their minute, and there are few ways to end one, so almost every instant is two look-ups.
_minutes: Final[dict[str, int]] = {}
_rests: Final[dict[str, int]] = {}
# In a backlog the next event is often of the next minute, but seldom of the next hour.
_hours: Final[dict[str, int]] = {}
_OF_HOUR_MS: Final = {f"{minute:02}:": minute * 60_000 for minute in range(60)}
_MAX_REMEMBERED: Final = 1 << 16


def read_instant(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 instant, floored.

    The offset is required and may be up to 23:59 either way; `t` and `z` may be small; a fraction
    may have any number of digits. A leap second (23:59:60 in UTC, with any fraction) is the first
    instant of the next minute. Years run from 1 to 9999, in UTC too.

    Raises:
        ValueError: it is not such an instant; the text of the error does not repeat it.
    """
    minute_ms = _minutes.get(text[:_MINUTE_LENGTH])
    rest_ms = _rests.get(text[_MINUTE_LENGTH:])
    if minute_ms is None:
        minute_ms = _minute_of_known_hour(text[:_MINUTE_LENGTH])
    if minute_ms is None or rest_ms is None:
        return _read_anew(text)
    return minute_ms + rest_ms


def _minute_of_known_hour(minute_text: str) -> int | None:
    hour_ms = _hours.get(minute_text[:_HOUR_LENGTH])
    of_hour_ms = _OF_HOUR_MS.get(minute_text[_HOUR_LENGTH:])
    if hour_ms is None or of_hour_ms is None:
        return None
    _remember(_minutes, minute_text, hour_ms + of_hour_ms)
    return hour_ms + of_hour_ms


def _read_anew(text: str) -> int:
    if len(text) > MAX_INSTANT_LENGTH:
        raise ValueError("too long for an instant")
    minute_text, rest_text = text[:_MINUTE_LENGTH], text[_MINUTE_LENGTH:]
    if finer := _FINER.fullmatch(rest_text):
        return read_instant(minute_text + finer[1] + finer[2])
    minute = _MINUTE.fullmatch(minute_text)
    rest = _REST.fullmatch(rest_text)
    if minute is None or rest is None:
        raise ValueError("not an RFC 3339 instant with an offset")
    year, month, day, hour, of_hour = (int(part) for part in minute.groups())
    minute_ms = (datetime(year, month, day, hour, of_hour, tzinfo=UTC) - _EPOCH) // _MILLISECOND

    seconds, fraction, sign, offset_hours, offset_minutes = rest.groups(default="0")
    second, milli = int(seconds), int(fraction[:3].ljust(3, "0"))
    if second > 60 or int(offset_hours) > 23 or int(offset_minutes) > 59:
        raise ValueError("no such second or offset")
    offset_ms = (int(offset_hours) * 60 + int(offset_minutes)) * 60_000
    east_ms = -offset_ms if sign == "-" else offset_ms
    is_leap = second == 60
    if is_leap:
        milli = 0
        if (minute_ms - east_ms) // 60_000 % 1440 != 1439:
            raise ValueError("a leap second is at 23:59:60 in UTC")
    rest_ms = second * 1000 + milli - east_ms

    instant_ms = minute_ms + rest_ms
    if not _FIRST_MS <= instant_ms <= _LAST_MS:
        raise ValueError("outside the years 1 to 9999 in UTC")
    if 1 < year < 9999:
        _remember(_minutes, minute_text, minute_ms)
        _remember(_hours, text[:_HOUR_LENGTH], minute_ms - of_hour * 60_000)
    if not is_leap:
        _remember(_rests, rest_text, rest_ms)
    return instant_ms


def _remember(known: dict[str, int], text: str, value_ms: int) -> None:
    if len(known) >= _MAX_REMEMBERED:
        known.clear()
    known[text] = value_ms


def write_instant(ms: int, zone: tzinfo = UTC) -> str:
    """RFC 3339 text of an instant with its milliseconds, as the clock of *zone* shows it.

    UTC is written `Z`. An offset of old local time that is no whole minute is cut to the minute,
    and the clock with it, so the text always reads back to *ms*.

    Raises:
        OverflowError: *ms* is outside the years 1 to 9999.
    """
    moment = (_EPOCH + ms * _MILLISECOND).astimezone(zone)
    offset = moment.utcoffset()
    if offset is not None and offset % timedelta(minutes=1):
        moment = moment.astimezone(timezone(offset // timedelta(minutes=1) * timedelta(minutes=1)))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
