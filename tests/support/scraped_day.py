"""A day as Prometheus scrapes it from a worker, at event time and without one running."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from prometheus_client import CollectorRegistry

from schemas.codec import Decoder
from streams.core.floor import FloorMerger
from streams.core.frame import Framer
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.exposition import Exposition, Pipeline

EVERY_S: Final = 15
EVERY_MS: Final = EVERY_S * 1000


@dataclass(frozen=True)
class Day:
    """Records of a day, in the order of time.

    Attributes:
        begins_ms: the first scrape.
        scrapes: how many there are.
        records: (time in ms, record).
    """

    begins_ms: int
    scrapes: int
    records: Sequence[tuple[int, bytes]]

    @property
    def instants_s(self) -> range:
        """Every scrape, in seconds from the first one."""
        return range(0, self.scrapes * EVERY_S, EVERY_S)


def scraped(day: Day, policies: PolicyBook, names: Iterable[str]) -> dict[str, str]:
    """The series with one of *names*, as promtool reads them; timestamps count from the first.

    It is what `/metrics` shows: the same core and the same writer, with time told to them.
    """
    wanted = frozenset(names)
    columns: dict[str, list[str]] = {}
    for number, page in enumerate(_pages(day, policies)):
        for line in page.splitlines():
            name, brace, _ = line.partition("{")
            if brace and name in wanted:
                series, _, value = line.rpartition(" ")
                column = columns.setdefault(series, [])
                column.extend(["_"] * (number - len(column)))
                column.append(_since(day, value) if "timestamp" in name else value)
    return {series: " ".join(_runs(column, day.scrapes)) for series, column in columns.items()}


def _pages(day: Day, policies: PolicyBook) -> Iterator[str]:
    decoder = Decoder()
    partition = Partition(policies)
    framer = Framer(partition)
    merger = FloorMerger(policies)
    exposition = Exposition(
        policies, metric_windows=("15m",), version="1", registry=CollectorRegistry()
    )
    arriving = iter(day.records)
    following = next(arriving, None)
    for at_s in day.instants_s:
        now_ms = day.begins_ms + at_s * 1000
        while following is not None and following[0] <= now_ms:
            event, time_ms = decoder.decode(following[1])
            assert partition.accept(event, time_ms, following[0])
            following = next(arriving, None)
        partition.advance(now_ms)
        floor = merger.merge([framer.frame(now_ms)], now_ms)
        yield exposition.render(floor, Pipeline(), show_floor=True).decode()


def _since(day: Day, value: str) -> str:
    """A timestamp from the day's begin on; 0 stands for none."""
    return "0" if value == "0" else f"{float(value) - day.begins_ms / 1000:.3f}"


def _runs(column: list[str], scrapes: int) -> Iterator[str]:
    """Equal values in a row as one word; a series that ends is marked."""
    column = [*column, *["stale"] * (len(column) < scrapes)]
    for value, same in groupby(column):
        count = len(list(same))
        if value == "_":
            yield f"_x{count}"
        elif count == 1:
            yield value
        else:
            yield f"{value}x{count - 1}"


def series_of(written: Mapping[str, str]) -> list[dict[str, str]]:
    """*written* as promtool's input, from one worker."""
    return [
        {"series": series.replace("{", '{job="floorwatch",instance="a",', 1), "values": values}
        for series, values in written.items()
    ]
