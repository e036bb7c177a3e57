"""The core driven with events as they are on the wire, and its figures in the oracle's form."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from schemas.codec import Decoder
from streams.core.calendar import ROLLING_WINDOWS, last_tick, pane_of
from streams.core.contact import Limits
from streams.core.figures import Live, entry_of, threshold_figures
from streams.core.floor import FloorMerger, QueueFloor
from streams.core.formulas import FORMULA_IDS
from streams.core.frame import Frame, Framer
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.policy_reading import read_policy
from streams.core.tally import Sums, exact
from tests.support.oracle_policy import Policy, to_text

TICK_MS = 5_000
EVERYTHING = "everything"
EVERYTHING_MS = 400 * 24 * 3_600_000
Record = tuple[int, Mapping[str, Any]]


def book_of(policy: Policy) -> PolicyBook:
    """The oracle's settings as the core's."""

    def layer(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name.removesuffix("_s"): _setting(value) for name, value in values.items()}

    queues: dict[str, Any] = {}
    for (queue, channel), values in policy.queues.items():
        place = queues.setdefault(queue, {})
        if channel == "*":
            place.update(layer(values))
        else:
            place.setdefault("channels", {})[channel] = layer(values)
    for old, new in policy.was.items():
        queues.setdefault(new, {}).setdefault("was", []).append(old)
    channels = {
        name: {
            key: value
            for key, value in layer(values).items()
            if key != "instant_within" or name in ("voice", "chat")
        }
        for name, values in policy.channels.items()
    }
    plain = {"defaults": {"zone": policy.zone}, "channels": channels, "queues": queues}
    return read_policy(plain, formulas=FORMULA_IDS)


def _setting(value: Any) -> Any:
    if not isinstance(value, list):
        return f"{round(value * 1000)}ms"
    return [
        f"{round(seconds * 1000)}ms"
        if start is None
        else {"from": to_text(start), "value": f"{round(seconds * 1000)}ms"}
        for start, seconds in value
    ]


def frame_of(
    partition: Partition,
    now_ms: int,
    *,
    catching_up: bool = False,
    is_new: bool = False,
    missing: tuple[int, int] | None = None,
    log: str = "",
) -> Frame:
    """The first frame of *partition*, for *now_ms*."""
    return Framer(partition).frame(
        now_ms, catching_up=catching_up, is_new=is_new, missing=missing, log=log
    )


class CoreFloor:
    """Partitions fed record by record; time passes when it is told to."""

    def __init__(
        self,
        policy: Policy,
        partitions: int = 1,
        *,
        by_arrival: bool = False,
        every_ms: int = TICK_MS,
    ) -> None:
        self.book = book_of(policy)
        limits = Limits(rest_ms=policy.rest, lateness_ms=policy.lateness)
        self.decoder = Decoder()
        self.future = 0
        self.latest_ms = 0
        self.partitions = [
            Partition(
                self.book,
                limits=limits,
                rounding=exact,
                by_arrival=by_arrival,
                every_ms=every_ms,
                windows={**ROLLING_WINDOWS, EVERYTHING: EVERYTHING_MS},
            )
            for _ in range(partitions)
        ]
        self.by_arrival = by_arrival
        self.every_ms = every_ms

    def take(self, log: Iterable[Record], partition: int = 0) -> None:
        """Feed *log* to one partition."""
        for stamp_ms, event in log:
            decoded, time_ms = self.decoder.decode(orjson.dumps(event))
            if not self.partitions[partition].accept(decoded, time_ms, stamp_ms):
                self.future += 1
            else:
                self.latest_ms = max(self.latest_ms, time_ms)

    def advance(self, now_ms: int) -> None:
        """Let time pass everywhere."""
        for partition in self.partitions:
            partition.advance(now_ms)

    def queues(self, now_ms: int) -> dict[tuple[str, str], QueueFloor]:
        """The merged floor's queues."""
        merger = FloorMerger(self.book)
        return merger.merge([frame_of(part, now_ms) for part in self.partitions], now_ms).queues

    def row(
        self,
        now_ms: int,
        window: str | tuple[int, int],
        queue: str = "*",
        channel: str = "*",
    ) -> dict[str, Any]:
        """One row of *window*, a name or [start, end) in ms, at the last tick; gauges at now."""
        tick_ms = last_tick(now_ms, self.every_ms)
        sums, live = Sums(), Live()
        for part in self.partitions:
            for key, tally in part.tallies.items():
                if queue in ("*", key[0]) and channel in ("*", key[1]):
                    live.add(tally.live())
                    if window == "day":
                        sums.add(tally.day(tick_ms))
                    elif isinstance(window, str):
                        sums.add(tally.window(window, pane_of(tick_ms, self.every_ms)))
                    else:
                        for number, pane in tally.panes.items():
                            if window[0] <= number * self.every_ms < window[1]:
                                sums.add(tally.sums_of(pane))
        entry = entry_of(
            sums,
            live,
            threshold_figures(sums.thresholds),
            as_of_ms=now_ms,
            formulas=FORMULA_IDS,
            by_arrival=self.by_arrival,
        )
        unmatched = sum(part.unmatched_outcomes for part in self.partitions)
        segments = {name: tuple(pair[::-1]) for name, pair in sums.segments.items()}
        return {**entry, "instant_by_segment": segments, "unmatched": unmatched}


def totals(partitions: Sequence[Partition]) -> dict[str, dict[str, int]]:
    """Net counters of all partitions by queue, those at zero left out."""
    sums: dict[str, dict[str, int]] = {}
    for part in partitions:
        for (queue, channel), tally in part.tallies.items():
            mine = sums.setdefault(f"{queue}/{channel}", {})
            for name, count in tally.net().items():
                mine[name] = mine.get(name, 0) + count
    nonzero = {
        key: {name: count for name, count in sorted(counts.items()) if count}
        for key, counts in sums.items()
    }
    return {key: counts for key, counts in sorted(nonzero.items()) if counts}
