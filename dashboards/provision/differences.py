"""What is otherwise in Grafana than it should be; what Grafana adds by itself is no difference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import orjson

Json = Mapping[str, Any]

_SHOWN: Final = 100


class Missing(Enum):
    """Stands for a value that one side does not have."""

    MISSING = "nothing"


MISSING: Final = Missing.MISSING


class Difference(NamedTuple):
    """One value that is otherwise.

    Attributes:
        path: where, as `panels[3].title`.
    """

    path: str
    theirs: object
    ours: object

    def __str__(self) -> str:
        """One line: where, what is there, what should be."""
        return f"{self.path}: {_shown(self.theirs)} -> {_shown(self.ours)}"


def _shown(value: object) -> str:
    if isinstance(value, Missing):
        return "nothing"
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


# -- dashboards ----------------------------------------------------------------------------------

ADDED_TO_DASHBOARDS: Final = frozenset({"id", "uid", "version"})
"""What Grafana counts and names itself, at the top of a dashboard."""


def between_dashboards(theirs: Json, ours: Json) -> list[Difference]:
    """How the dashboard that Grafana has differs from ours.

    Keys that only Grafana has and that hold nothing (null, an empty text, list or object) say
    nothing; all else counts, for a missing key may mean a default that is not what is written.
    """
    return list(
        _between(
            {key: value for key, value in theirs.items() if key not in ADDED_TO_DASHBOARDS},
            {key: value for key, value in ours.items() if key not in ADDED_TO_DASHBOARDS},
            "",
        )
    )


def _between(
    theirs: object, ours: object, path: str, added: frozenset[str] = frozenset()
) -> Iterator[Difference]:
    """The differences from *path* on; keys of *added* that only they have are none."""
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for key in (*ours, *(key for key in theirs if key not in ours)):
            here = f"{path}.{key}" if path else str(key)
            if key not in ours:
                if key not in added and not _is_nothing(theirs[key]):
                    yield Difference(here, theirs[key], MISSING)
            elif key not in theirs:
                if not _is_nothing(ours[key]):
                    yield Difference(here, MISSING, ours[key])
            else:
                yield from _between(theirs[key], ours[key], here)
    elif isinstance(theirs, list) and isinstance(ours, list):
        pairs = zip_longest(theirs, ours, fillvalue=MISSING)
        for index, (one, other) in enumerate(pairs):
            yield from _between(one, other, f"{path}[{index}]")
    elif not (_is_nothing(theirs) and _is_nothing(ours)) and not _are_equal(theirs, ours):
        yield Difference(path, theirs, ours)


def _is_nothing(value: object) -> bool:
    """Whether *value* holds nothing; 0 and false do hold something."""
    return value is None or value in ("", [], {})


def _are_equal(theirs: object, ours: object) -> bool:
    """Equal in JSON: `1` is `1.0`, but `true` is not `1`."""
    return isinstance(theirs, bool) is isinstance(ours, bool) and theirs == ours


# -- alert rules ---------------------------------------------------------------------------------

_DURATIONS: Final = ("for", "keep_firing_for")
_ALIKE: Final = ("title", "folderUID", "ruleGroup", "condition", "noDataState", "execErrState")
_OBJECTS: Final = ("annotations", "labels", "notification_settings", "record")

ADDED_TO_MODELS: Final = frozenset({"intervalMs", "maxDataPoints", "queryType"})
"""What Grafana writes into every query of a rule."""

SINCE_12: Final = "keep_firing_for"
"""A Grafana that knows it always says it; 10 and 11 do not."""

_MISSING_EVALS: Final = "missingSeriesEvalsToResolve"
"""Older Grafanas do not know it, and where nobody has said any it is theirs to say what holds."""

_UNITS_MS: Final = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_PROMETHEUS: Final = re.compile("".join(rf"(?:(\d+){unit})?" for unit in _UNITS_MS), re.ASCII)


def duration_ms(written: object) -> int:
    """Milliseconds of a duration as Prometheus writes it: `1h30m`, `1d`, `0`; nothing is 0.

    Raises:
        ValueError: it is none.
    """
    text = "" if written is None else str(written)
    parts = _PROMETHEUS.fullmatch(text if text != "0" else "0s")
    if parts is None:
        raise ValueError(f"{text!r}: expected a duration such as 30s, 5m or 1h30m")
    return sum(
        int(count) * unit_ms
        for count, unit_ms in zip(parts.groups(), _UNITS_MS.values(), strict=True)
        if count is not None
    )


def between_rules(theirs: Json, ours: Json) -> list[Difference]:
    """How the alert rule that Grafana has differs from ours; both as its HTTP API writes them.

    Only what an alert rule is made of is compared. `5m` and `5m0s` are the same, and a Grafana
    before 12, which has no `keep_firing_for`, is not asked for it.
    """
    found: list[Difference] = []
    for key in _ALIKE:
        found += _between(theirs.get(key), ours.get(key), key)
    for key in _DURATIONS:
        if key == SINCE_12 and key not in theirs:
            continue
        if duration_ms(theirs.get(key)) != duration_ms(ours.get(key)):
            found.append(Difference(key, theirs.get(key), ours.get(key)))
    if bool(theirs.get("isPaused")) is not bool(ours.get("isPaused")):
        found.append(
            Difference("isPaused", bool(theirs.get("isPaused")), bool(ours.get("isPaused")))
        )
    if _MISSING_EVALS in theirs and _MISSING_EVALS in ours:
        found += _between(theirs[_MISSING_EVALS], ours[_MISSING_EVALS], _MISSING_EVALS)
    for key in _OBJECTS:
        found += _between(theirs.get(key) or {}, ours.get(key) or {}, key)
    found += _between_queries(theirs.get("data") or [], ours.get("data") or [])
    return found


def _between_queries(
    theirs: list[dict[str, Any]], ours: list[dict[str, Any]]
) -> Iterator[Difference]:
    for index, (one, other) in enumerate(zip_longest(theirs, ours, fillvalue=MISSING)):
        here = f"data[{index}]"
        if isinstance(one, Missing) or isinstance(other, Missing):
            yield Difference(here, one, other)
        else:
            yield from _between(one | {"model": None}, other | {"model": None}, here)
            yield from _between(one["model"], other["model"], f"{here}.model", ADDED_TO_MODELS)
