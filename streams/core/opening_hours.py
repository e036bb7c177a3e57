"""Opening hours by weekday in a zone, as a centre announces them: `mon-fri 08:00-18:00`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORMS: Final = (
    "opening hours such as 'mon-fri 08:00-18:00, sat 09:00-13:00', or always; "
    "a range that ends before it begins runs into the next day"
)

_DAY_MINUTES: Final = 24 * 60
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RANGE: Final = re.compile(
    rf"({'|'.join(WEEKDAYS)})(?:-({'|'.join(WEEKDAYS)}))?\s+"
    r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """When a queue is meant to be open, read on the clock of its own zone.

    Attributes:
        ranges: (start, end) in minutes since Monday 00:00 local time; the start is inclusive, the
            end is not, and an end beyond the week runs into Monday. Empty: always open.
        zone: the zone whose clock counts. On the night of a change of clocks a range follows what
            the clock on the wall shows.
    """

    ranges: tuple[tuple[int, int], ...]
    zone: tzinfo

    def is_open_at(self, at_ms: int) -> bool:
        """Whether the hours cover the instant *at_ms* (epoch milliseconds)."""
        if not self.ranges:
            return True
        local = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(self.zone)
        minute = local.weekday() * _DAY_MINUTES + local.hour * 60 + local.minute
        return any(
            start <= minute < end or start <= minute + _WEEK_MINUTES < end
            for start, end in self.ranges
        )


def read_hours(text: str) -> tuple[tuple[int, int], ...]:
    """The ranges of *text*, for `OpeningHours`: comma-separated, or `always` for none.

    Raises:
        ValueError: when *text* is not of that form; the message says what would be right.
    """
    if text.strip().lower() == "always":
        return ()
    ranges: list[tuple[int, int]] = []
    for part in text.lower().split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"expected {FORMS}")
        first, last, hour, minute, end_hour, end_minute = match.groups()
        start = int(hour) * 60 + int(minute)
        end = _DAY_MINUTES if end_hour is None else int(end_hour) * 60 + int(end_minute)
        if end <= start:
            end += _DAY_MINUTES
        day = WEEKDAYS.index(first)
        days = (WEEKDAYS.index(last or first) - day) % 7 + 1
        ranges.extend(
            (start + offset, end + offset)
            for offset in ((day + n) % 7 * _DAY_MINUTES for n in range(days))
        )
    return tuple(ranges)
