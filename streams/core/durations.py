"""Durations and zones as people write them: `20s`, `1h30m`; `Europe/Berlin`, `+02:00`."""

import difflib
import re
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

LONGEST_MS: Final = 36_500 * 86_400_000
"""A hundred years: longer than any wait, and safe to add to an instant."""

UNITS_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

FORMS: Final = "a duration such as 0s, 250ms, 20s, 5m, 1h30m or 14d"

_DURATION: Final = re.compile("".join(rf"(?:(\d{{1,15}}){unit})?" for unit in UNITS_MS), re.ASCII)
_OFFSET: Final = re.compile(r"([+-])(\d\d):([0-5]\d)", re.ASCII)
_WIDEST_OFFSET: Final = timedelta(hours=14)


def read_duration(text: str) -> int:
    """Milliseconds of *text*: whole numbers with units d, h, m, s, ms, the longest unit first.

    Raises:
        ValueError: when *text* is anything else; the message says what would be right.
    """
    parts = _DURATION.fullmatch(text)
    if not text or parts is None:
        raise ValueError(_hint(text))
    total_ms = sum(
        int(count) * unit_ms
        for count, unit_ms in zip(parts.groups(), UNITS_MS.values(), strict=True)
        if count is not None
    )
    if total_ms > LONGEST_MS:
        raise ValueError(f"expected a duration of at most {write_duration(LONGEST_MS)}")
    return total_ms


def write_duration(duration_ms: int) -> str:
    """The shortest text that `read_duration` reads as *duration_ms*, which is 0 or more.

    Raises:
        ValueError: when *duration_ms* is negative.
    """
    if duration_ms < 0:
        raise ValueError(f"a duration is 0 ms or more, not {duration_ms} ms")
    rest_ms, parts = duration_ms, []
    for unit, unit_ms in UNITS_MS.items():
        count, rest_ms = divmod(rest_ms, unit_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def read_zone(text: str) -> tzinfo:
    """The zone named *text*: an IANA name such as Europe/Berlin, or a fixed offset such as +02:00.

    Raises:
        ValueError: when there is no such zone; the message names the nearest one there is.
    """
    if text == "UTC":
        return UTC
    if text[:1] in {"+", "-"}:
        return _fixed_zone(text)
    if text != "localtime":
        try:
            return ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            pass
    names = {name.lower(): name for name in available_timezones()}
    near = difflib.get_close_matches(text.lower(), names, n=1)
    hint = f"; did you mean {names[near[0]]}?" if near else ""
    raise ValueError(
        f"expected an IANA zone such as Europe/Berlin, or an offset such as +02:00{hint}"
    )


def _fixed_zone(text: str) -> tzinfo:
    parts = _OFFSET.fullmatch(text)
    if parts is not None:
        sign, hours, minutes = parts.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if offset <= _WIDEST_OFFSET:
            return timezone(-offset if sign == "-" else offset)
    raise ValueError("expected an offset from -14:00 to +14:00, such as +02:00")


def _hint(text: str) -> str:
    """What would be right instead of *text*; a bare number gets the seconds it may have meant."""
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return f"expected {FORMS}; did you mean {text}s?"
    return f"expected {FORMS}"
