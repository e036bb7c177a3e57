"""What this process has met, whichever partitions come and go.

The counts of a partition are part of its state: they move with it to its next owner, and come back
with all that was counted elsewhere. As the totals of a worker they would fall and leap at every
move. What this process met itself only rises; after a start it begins at 0, as counters do.
"""

from collections import Counter
from collections.abc import Mapping

from schemas.events import Unknown, type_name
from streams.core.partition import Partition
from streams.reader import TP

Count = tuple[str, ...]
"""What is counted, then the values of its labels."""


class OwnCounts:
    """Sums over all partitions that were ever owned, each less what it had when it came."""

    def __init__(self) -> None:
        self._brought: dict[TP, Mapping[Count, int]] = {}
        self._of_gone: Counter[Count] = Counter()

    def begin(self, tp: TP, counts: Mapping[Count, int]) -> None:
        """*tp* is ours from now on, and comes with *counts*."""
        self._brought[tp] = counts

    def end(self, tp: TP, counts: Mapping[Count, int]) -> None:
        """*tp* is ours no more, and goes with *counts*; nothing if it never was."""
        brought = self._brought.pop(tp, None)
        if brought is not None:
            _add(self._of_gone, counts, brought)

    def total(self, counts: Mapping[TP, Mapping[Count, int]]) -> Counter[Count]:
        """What was met in all, given what each owned partition counts now."""
        total = Counter(self._of_gone)
        for tp, brought in self._brought.items():
            _add(total, counts.get(tp, brought), brought)
        return total


def counts_of(topic: str, partition: Partition) -> Counter[Count]:
    """What *partition* of *topic* has met since it began."""
    counts: Counter[Count] = Counter(
        {
            ("late", topic): partition.late,
            ("unmatched", topic): partition.unmatched_outcomes,
        }
    )
    for kind, count in partition.events.items():
        counts["events", topic, "unknown" if kind is Unknown else type_name(kind)] += count
    for name in ("duplicates", "conflicting"):
        for source, count in getattr(partition, name).items():
            counts[name, source] = count
    for reason, count in partition.ignored.items():
        counts["ignored", topic, reason] = count
    return counts


def _add(total: Counter[Count], counts: Mapping[Count, int], brought: Mapping[Count, int]) -> None:
    for count, number in counts.items():
        total[count] += number - brought.get(count, 0)
