"""What is remembered of records that are gone and of topics made anew, partition by partition."""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.floor_keeper import FloorKeeper
from streams.ledger import NOT_YET, Missed
from streams.processors.records import Records, States
from streams.reader import TP
from streams.settings import Settings
from streams.snapshots import Held, Source
from tests.support.core_floor import frame_of
from tests.support.stored import AllRejected, Stored

CALLS = TP("calls", 0)


class As(States):
    """Hands a partition over as it is told to."""

    def __init__(self, held: Held) -> None:
        self.held = held

    async def take_over(self, tps: Collection[TP]) -> Mapping[TP, Held]:
        return {CALLS: self.held}

    async def let_go(self, tps: Collection[TP], source: Source) -> None:
        pass


def taken(
    missed: Missed = Missed(),  # noqa: B008 # it cannot be changed
    *,
    is_recreated: bool = False,
    unread: int = 0,
    cut_s_ago: float = 0.0,
) -> Records:
    """A partition taken over at offset 40; its last record was stamped 1000."""
    partition = Partition(PolicyBook())
    partition.arrive(1_000)
    cut_ms = time.time_ns() // 1_000_000 - round(cut_s_ago * 1000)
    held = Held(partition, 40, {}, "an-id", missed, is_recreated, unread, cut_ms)
    records = Records(As(held), AllRejected(), max_record_bytes=1 << 18)
    asyncio.run(records.assigned((CALLS,)))
    return records


def test_a_gap_lasts_from_the_last_record_before_it_to_the_first_behind_it() -> None:
    records = taken()
    records.missed(CALLS, 40, 60)
    still_open = records.missing(CALLS)
    records.records(CALLS, [Stored(60, 5_000, b""), Stored(61, 6_000, b"")])

    assert still_open == (1_000, NOT_YET)
    assert records.missing(CALLS) == (1_000, 5_000)
    assert records.missed_of(CALLS).records == 20


def test_a_gap_is_as_open_in_manifests_of_every_version() -> None:
    assert NOT_YET == 4_611_686_018_427_387_904


def test_state_behind_a_gap_is_of_where_reading_goes_on() -> None:
    records = taken()
    records.missed(CALLS, 40, 60)

    assert records.next_offset(CALLS) == 60


def test_a_gap_that_was_open_when_it_was_kept_is_closed_by_the_next_owner() -> None:
    records = taken(Missed(records=20, since_ms=900, until_ms=NOT_YET))
    records.records(CALLS, [Stored(40, 5_000, b"")])

    assert records.missing(CALLS) == (900, 5_000)


def test_a_second_gap_behind_the_first_adds_up_and_is_the_newer_one() -> None:
    records = taken(Missed(records=20, since_ms=1, until_ms=2))
    records.missed(CALLS, 40, 45)

    assert records.missed_of(CALLS) == Missed(25, 0, 1_000, NOT_YET)


def test_without_a_gap_nothing_is_missing_however_much_is_read() -> None:
    records = taken()
    records.records(CALLS, [Stored(40, 5_000, b"")])
    records.end_gap(CALLS, 9_000)

    assert records.missing(CALLS) is None


def test_another_topic_begins_anew_and_one_that_falls_back_gets_a_number() -> None:
    records = taken()
    logs = []
    for topic_id in ("other", "other", "", "third"):
        records.recreated(CALLS, topic_id, 0, 0)
        logs.append(records.log_of(CALLS))

    assert logs == ["other", "other#1", "other#2", "third"]
    assert records.next_offset(CALLS) == 0
    assert records.missed_of(CALLS).logs == 4
    assert records.missing(CALLS) is None


@pytest.mark.parametrize(
    ("unread", "cut_s_ago", "is_missing"),
    [(0, 5.0, False), (3, 5.0, True), (0, 90.0, True)],
    ids=["all was read", "some was left", "nobody looked for long"],
)
def test_what_a_former_topic_still_held_is_missing_where_it_may_have_held_something(
    unread: int, cut_s_ago: float, is_missing: bool
) -> None:
    records = taken(is_recreated=True, unread=unread, cut_s_ago=cut_s_ago)

    assert (records.missing(CALLS) == (1_000, NOT_YET)) is is_missing
    assert records.missed_of(CALLS).records == unread
    assert records.missed_of(CALLS).logs == 1


def test_what_was_left_unread_of_a_former_topic_is_counted() -> None:
    records = taken()
    records.recreated(CALLS, "other", 0, 12)

    assert records.missed_of(CALLS).records == 12
    assert records.missing(CALLS) == (1_000, NOT_YET)


@pytest.mark.parametrize(
    ("unread", "cut_s_ago", "is_missing"),
    [(0, 5.0, False), (3, 5.0, True), (0, 90.0, True)],
    ids=["all was read", "some was left", "nobody looked for long"],
)
def test_a_log_found_fallen_back_at_a_start_is_as_whole_as_its_snapshot_knows(
    unread: int, cut_s_ago: float, is_missing: bool
) -> None:
    records = taken(unread=unread, cut_s_ago=cut_s_ago)
    records.recreated(CALLS, "an-id", 0, None)

    assert (records.missing(CALLS) == (1_000, NOT_YET)) is is_missing
    assert records.missed_of(CALLS).records == unread


def anew(lost_at: int | None) -> Records:
    """A partition taken over without a state; one that it had was read up to *lost_at*."""
    held = Held(Partition(PolicyBook()), None, {}, "an-id", lost_at=lost_at)
    records = Records(As(held), AllRejected(), max_record_bytes=1 << 18)
    asyncio.run(records.assigned((CALLS,)))
    return records


@pytest.mark.parametrize(
    ("lost_at", "gone"), [(0, 60), (40, 20), (70, 0)], ids=["nobody knows", "before", "behind"]
)
def test_a_lost_state_whose_log_begins_later_leaves_a_gap_however_far_it_had_read(
    lost_at: int, gone: int
) -> None:
    records = anew(lost_at)
    records.began(CALLS, 60)
    still_open = records.missing(CALLS)
    records.records(CALLS, [Stored(60, 5_000, b"")])

    assert still_open == (0, NOT_YET)
    assert records.missing(CALLS) == (5_000, 5_000)
    assert records.missed_of(CALLS).records == gone


def test_a_log_that_is_read_for_the_first_time_may_begin_anywhere() -> None:
    records = anew(None)
    records.began(CALLS, 60)

    assert records.missing(CALLS) is None
    assert records.missed_of(CALLS) == Missed()


@pytest.mark.parametrize(("log", "speaks"), [("former", True), ("an-id", False), ("", False)])
def test_an_owner_waits_for_the_offset_of_the_last_frame_only_in_the_same_log(
    log: str, speaks: bool
) -> None:
    records = taken()
    keeper = FloorKeeper(Settings(), records, read=dict)
    said = frame_of(Partition(PolicyBook()), 1_000)
    keeper.take(CALLS, 1, replace(said, next_offset=41, log=log))

    assert (CALLS in keeper.frames()) is speaks
