"""Rows of plain values as columns, which are small to store and quick to read.

A column of one value is kept as that value alone; instants as their distance from the earliest of
the column; what occurs again and again as its number in a table of the part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

from streams.core.policy import VisitPolicy
from streams.core.queue_tally import QueueTally

PLAIN: Final = "v"
TIME: Final = "t"
TEXT: Final = "s"
TALLY: Final = "q"
POLICY: Final = "p"

Key = tuple[str, str]
Packed = list[Any]


class Packer:
    """Packs the columns of one part, and keeps their tables."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}
        self._tallies: dict[QueueTally | None, int] = {}
        self._policies: dict[int, int] = {}
        self._policy_values: list[tuple[int | None, ...]] = []

    def rows(self, rows: Sequence[Sequence[Any]], kinds: str) -> Packed:
        """*rows*, whose columns are of *kinds*, as their number and their columns."""
        columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
        packed = [self._column(column, kind) for column, kind in zip(columns, kinds, strict=True)]
        return [len(rows), packed]

    def tables(self) -> Packed:
        """The tables; only complete once all rows are packed."""
        keys = [None if tally is None else (tally.queue, tally.channel) for tally in self._tallies]
        return [list(self._texts), keys, self._policy_values]

    def _column(self, column: Sequence[Any], kind: str) -> list[Any]:
        if _is_constant(column):
            column = column[:1]
        if kind == TIME:
            return _distances(column)
        if kind == TEXT:
            return _numbered(column, self._texts)
        if kind == TALLY:
            return _numbered(column, self._tallies)
        return self._pack_policies(column) if kind == POLICY else list(column)

    def _pack_policies(self, column: Sequence[VisitPolicy]) -> list[int]:
        met = {id(policy): policy for policy in column}
        for key, policy in met.items():
            if key not in self._policies:
                self._policies[key] = len(self._policy_values)
                self._policy_values.append(_plain_policy(policy))
        return [self._policies[id(policy)] for policy in column]


class Unpacker:
    """Reads the columns of one part.

    Values are shared with all parts that were read with the same *share*: equal texts and policies
    are one object, as they are in a partition that has never stopped.
    """

    def __init__(
        self, tables: Packed, tallies: Mapping[Key, QueueTally], share: dict[Any, Any]
    ) -> None:
        texts, keys, policies = tables
        shared_tallies = [None if key is None else tallies[key[0], key[1]] for key in keys]
        shared_policies = [share.setdefault(("policy", *p), VisitPolicy(*p)) for p in policies]
        self._tables: Final[Mapping[str, Sequence[Any]]] = {
            TEXT: [share.setdefault(text, text) for text in texts],
            TALLY: shared_tallies,
            POLICY: shared_policies,
        }

    def rows(self, packed: Packed, kinds: str) -> Iterator[tuple[Any, ...]]:
        """The rows that `Packer.rows` made columns of.

        Raises:
            ValueError: the columns are not those of that many rows.
        """
        count, columns = packed
        return zip(
            *(
                self._column(column, kind, count)
                for column, kind in zip(columns, kinds, strict=True)
            ),
            strict=True,
        )

    def _column(self, column: list[Any], kind: str, count: int) -> Iterable[Any]:
        values: Iterable[Any] = column[1:] if kind == TIME else column
        length = len(column) - (kind == TIME)
        if kind == TIME:
            base = column[0]
            values = [base + value if value >= 0 else value for value in column[1:]]
        elif kind != PLAIN:
            values = map(self._tables[kind].__getitem__, column)
        if length == 1:
            return repeat(next(iter(values)), count)
        if length != count:
            raise ValueError("a column is too short")
        return values


def _is_constant(column: Sequence[Any]) -> bool:
    return len(column) > 0 and column.count(column[0]) == len(column)


def _distances(column: Sequence[int]) -> list[int]:
    """The earliest instant, and how far after it each is; negative values stand for themselves."""
    base = min((time_ms for time_ms in column if time_ms >= 0), default=0)
    return [base, *[time_ms - base if time_ms >= 0 else time_ms for time_ms in column]]


def _numbered(column: Sequence[Any], table: dict[Any, int]) -> list[int]:
    for value in dict.fromkeys(column):
        if value not in table:
            table[value] = len(table)
    return list(map(table.__getitem__, column))


def _plain_policy(policy: VisitPolicy) -> tuple[int | None, ...]:
    return (
        policy.threshold_ms,
        policy.short_abandon_ms,
        policy.instant_within_ms,
        policy.initial_response_limit_ms,
        policy.expires_after_ms,
    )
