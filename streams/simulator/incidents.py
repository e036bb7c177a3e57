"""Things that go wrong on demand, and how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from streams.core.durations import read_duration, write_duration

IncidentKind = Literal["agents-out", "surge", "source-silent", "late", "duplicates", "trunk-down"]
KINDS: Final[tuple[IncidentKind, ...]] = get_args(IncidentKind)
LASTS_MS: Final[dict[IncidentKind, int]] = {
    "agents-out": 10 * 60_000,
    "surge": 10 * 60_000,
    "source-silent": 3 * 60_000,
    "late": 10 * 60_000,
    "duplicates": 10 * 60_000,
    "trunk-down": 5 * 60_000,
}

_FORM: Final = re.compile(
    r"(?P<kind>[^@/:]*)@(?P<at>[^/:]*)(?:/(?P<lasts>[^:]*))?(?::(?P<queue>.*))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One thing that goes wrong.

    Attributes:
        kind: what.
        at_ms: when it begins, in ms after the start of the simulation.
        lasts_ms: how long it lasts.
        queue: the queue it strikes; "" leaves the choice to the kind.
    """

    kind: IncidentKind
    at_ms: int
    lasts_ms: int
    queue: str = ""

    def __str__(self) -> str:
        """The form that `parse_incident` reads."""
        begins, lasts = write_duration(self.at_ms), write_duration(self.lasts_ms)
        return f"{self.kind}@{begins}/{lasts}" + (f":{self.queue}" if self.queue else "")


def parse_incident(text: str) -> Incident:
    """An incident from its written form, `KIND@START[/DURATION][:QUEUE]`.

    START and DURATION are durations as everywhere (`0s`, `90s`, `5m`, `1h30m`); START counts from
    the start of the simulation. `agents-out@10m`, `surge@5m/10m:sales`.

    - `agents-out` (lasts 10m): nine in ten agents of the queue, or of the first one, leave their
      desks, once they are off the phone.
    - `surge` (10m): three times the arrivals, in the queue or everywhere.
    - `source-silent` (3m): no event and no heartbeat arrives from the queue's source, or from the
      first; its events all come when it is over.
    - `late` (10m): three in ten contact events, of the queue or all, arrive late: 45 s in the
      mean, 10 min at most.
    - `duplicates` (10m): two in ten contact events arrive a second time within a minute.
    - `trunk-down` (5m): a fault closes the queue, or every voice queue: those waiting are cut off,
      others refused.

    Raises:
        ValueError: what is wrong with the text, and what would be right.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"incident {text!r}: expected KIND@START[/DURATION][:QUEUE], as in agents-out@10m or "
            "surge@5m/10m:sales"
        )
    kind = next((known for known in KINDS if known == match["kind"]), None)
    if kind is None:
        raise ValueError(
            f"incident {text!r}: unknown kind {match['kind']!r}; expected one of {', '.join(KINDS)}"
        )
    lasts_ms = LASTS_MS[kind]
    if match["lasts"] is not None:
        lasts_ms = _duration(text, "duration", match["lasts"])
        if lasts_ms == 0:
            raise ValueError(f"incident {text!r}: a duration of 0s is no incident; expected 1s up")
    if match["queue"] == "":
        raise ValueError(f"incident {text!r}: the queue after ':' is missing; expected its id")
    return Incident(
        kind=kind,
        at_ms=_duration(text, "start", match["at"]),
        lasts_ms=lasts_ms,
        queue=match["queue"] or "",
    )


def _duration(text: str, part: str, written: str) -> int:
    try:
        return read_duration(written)
    except ValueError as error:
        raise ValueError(f"incident {text!r}: {part} {error}") from None
