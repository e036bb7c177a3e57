"""A worker's own totals rise whatever partitions come and go, and hold what it met itself."""

from streams.processors.own_counts import OwnCounts
from streams.reader import TP

ONE, OTHER = TP("calls", 0), TP("calls", 1)
LATE = ("late", "calls")


def test_what_a_partition_brings_was_met_by_somebody_else() -> None:
    own = OwnCounts()

    own.begin(ONE, {LATE: 100})

    assert own.total({ONE: {LATE: 100}}) == {LATE: 0}
    assert own.total({ONE: {LATE: 107}}) == {LATE: 7}


def test_a_partition_that_goes_takes_nothing_away_and_brings_nothing_back() -> None:
    own = OwnCounts()
    own.begin(ONE, {})
    own.begin(OTHER, {LATE: 5})

    own.end(OTHER, {LATE: 8})
    assert own.total({ONE: {LATE: 2}}) == {LATE: 5}

    own.begin(OTHER, {LATE: 50})
    assert own.total({ONE: {LATE: 2}, OTHER: {LATE: 51}}) == {LATE: 6}


def test_workers_add_up_to_all_that_was_met_however_partitions_move() -> None:
    first, second = OwnCounts(), OwnCounts()
    first.begin(ONE, {})
    first.end(ONE, {LATE: 4})
    second.begin(ONE, {LATE: 4})

    assert first.total({}) + second.total({ONE: {LATE: 9}}) == {LATE: 9}


def test_a_partition_that_never_was_ours_takes_nothing_when_it_goes() -> None:
    own = OwnCounts()

    own.end(ONE, {LATE: 3})

    assert own.total({}) == {}
