"""The oracle's own policy: plain dictionaries, dated values, and its own reading of times."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Event = Mapping[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

UNKNOWN = "unknown"

CHANNEL_DEFAULTS: dict[str, dict[str, float]] = {
    "voice": {
        "threshold_s": 20,
        "short_abandon_s": 5,
        "instant_within_s": 2,
        "initial_response_limit_s": 20,
        "expires_after_s": 2 * 3600,
    },
    "chat": {
        "threshold_s": 120,
        "short_abandon_s": 5,
        "instant_within_s": 5,
        "initial_response_limit_s": 120,
        "expires_after_s": 24 * 3600,
    },
    "messaging": {
        "threshold_s": 15 * 60,
        "short_abandon_s": 5,
        "instant_within_s": 0,
        "initial_response_limit_s": 15 * 60,
        "expires_after_s": 14 * 86400,
    },
    "email": {
        "threshold_s": 86400,
        "short_abandon_s": 5,
        "instant_within_s": 0,
        "initial_response_limit_s": 86400,
        "expires_after_s": 14 * 86400,
    },
}


def to_ms(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 text, rounded down."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def to_text(moment_ms: int) -> str:
    """RFC 3339 text in UTC of an instant, with its milliseconds."""
    moment = EPOCH + timedelta(milliseconds=moment_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(value: float) -> int:
    """Milliseconds of a number of seconds."""
    return round(value * 1000)


Dated = list[tuple[int | None, float]]


@dataclass
class Policy:
    """What the oracle needs of the settings.

    A value is a number of seconds, or a list of (from_ms, seconds) where None is "always".
    `queues` is looked up by (queue, channel), then by (queue, "*"); what is not there comes from
    `channels`, where an unknown channel is treated as messaging.
    """

    channels: dict[str, dict[str, float | Dated]] = field(default_factory=dict)
    queues: dict[tuple[str, str], dict[str, float | Dated]] = field(default_factory=dict)
    was: dict[str, str] = field(default_factory=dict)
    zone: str = "UTC"
    rest_s: float = 4 * 3600
    lateness_s: float = 4 * 3600

    def in_force(self, name: str, queue: str, channel: str, at_ms: int) -> int:
        """Milliseconds of the value `name` that holds for a queue and channel at an instant."""
        known = channel if channel in CHANNEL_DEFAULTS else "messaging"
        places: list[Mapping[str, float | Dated]] = [
            self.queues.get((queue, channel), {}),
            self.queues.get((queue, "*"), {}),
            self.channels.get(channel, {}),
            self.channels.get(known, {}),
            CHANNEL_DEFAULTS[known],
        ]
        for place in places:
            if name not in place:
                continue
            value = place[name]
            if not isinstance(value, list):
                return seconds(value)
            dated = sorted(value, key=lambda pair: -1 if pair[0] is None else pair[0])
            starts = [-1 if start is None else start for start, _ in dated]
            at = bisect_right(starts, at_ms) - 1
            if at >= 0:
                return seconds(dated[at][1])
        raise KeyError(name)

    def threshold(self, queue: str, channel: str, at_ms: int) -> int:
        """T in milliseconds."""
        return self.in_force("threshold_s", queue, channel, at_ms)

    def short(self, queue: str, channel: str, at_ms: int) -> int:
        """S in milliseconds."""
        return self.in_force("short_abandon_s", queue, channel, at_ms)

    def instant_within(self, queue: str, channel: str, at_ms: int) -> int:
        """The wait that still is instant service, in milliseconds; 0 means never queued only."""
        return self.in_force("instant_within_s", queue, channel, at_ms)

    def response_limit(self, queue: str, channel: str, at_ms: int) -> int:
        """The initial response limit in milliseconds."""
        return self.in_force("initial_response_limit_s", queue, channel, at_ms)

    def expires_after(self, channel: str, at_ms: int) -> int:
        """The age in milliseconds at which an open visit, or somebody awaited, is given up."""
        return self.in_force("expires_after_s", "", channel, at_ms)

    @property
    def rest(self) -> int:
        """The quiet time after which a contact has ended for good, in milliseconds."""
        return seconds(self.rest_s)

    @property
    def lateness(self) -> int:
        """The allowed lateness in milliseconds."""
        return seconds(self.lateness_s)
