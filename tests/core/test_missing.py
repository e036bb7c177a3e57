"""Records that are gone before they were read: of whom nothing is said, and for how long."""

import msgspec
import pytest

from streams.core.calendar import ROLLING_WINDOWS
from streams.core.document import floor_document
from streams.core.floor import UNKNOWN_FOR_MS, FloorMerger, QueueFloor
from streams.core.frame_codec import HEAD, FrameLog, FrameWriter
from streams.core.policy import PolicyBook
from streams.ledger import NOT_YET
from tests.support.core_events import DAY, HOUR, call, chat, ms, policy, told
from tests.support.core_floor import frame_of

SALES = ("sales", "voice")
SINCE, UNTIL = 600, 1_200
"""The last record before the gap and the first one behind it, in seconds after ten."""


def sales_at(
    now_s: float, until_ms: int = ms(UNTIL), windows: tuple[str, ...] = ("15m", "day")
) -> QueueFloor:
    partition = told(call(0, "queued"), call(5, "answered"), now_s=now_s)
    frame = frame_of(partition, ms(now_s), missing=(ms(SINCE), until_ms))
    return (
        FloorMerger(policy(defaults={"windows": list(windows)}))
        .merge([frame], ms(now_s))
        .queues[SALES]
    )


@pytest.mark.parametrize(
    ("after_ms", "since_ms"), [(-1, ms(SINCE)), (0, None)], ids=["within an hour", "behind it"]
)
def test_nothing_is_said_of_a_queue_for_an_hour_after_the_gap(
    after_ms: int, since_ms: int | None
) -> None:
    now_s = UNTIL + (UNKNOWN_FOR_MS + after_ms) / 1000

    assert sales_at(now_s).no_data_since_ms == since_ms


def test_while_nothing_has_come_behind_it_the_gap_goes_on() -> None:
    queue = sales_at(3 * DAY, until_ms=NOT_YET)

    assert queue.no_data_since_ms == ms(SINCE)
    assert queue.incomplete == {*ROLLING_WINDOWS, "day"}


def test_a_window_is_incomplete_until_it_begins_behind_the_gap() -> None:
    at_the_edge, behind = sales_at(UNTIL + 15 * 60 - 5), sales_at(UNTIL + 15 * 60)

    assert at_the_edge.incomplete == {"15m", "30m", "60m", "day"}
    assert behind.incomplete == {"30m", "60m", "day"}


def test_the_day_of_the_gap_stays_incomplete_and_the_next_one_is_whole() -> None:
    assert sales_at(UNTIL + 2 * HOUR).incomplete == {"day"}
    assert sales_at(14 * HOUR).incomplete == frozenset()  # past midnight in UTC


def test_a_queue_judged_by_its_day_is_unknown_until_the_next() -> None:
    assert sales_at(UNTIL + 2 * HOUR, windows=("day",)).no_data_since_ms == ms(SINCE)
    assert sales_at(14 * HOUR, windows=("day",)).no_data_since_ms is None


def test_queues_that_were_never_met_in_the_partition_are_known() -> None:
    gone, whole = told(call(0, "queued"), now_s=UNTIL), told(chat(0, "queued"), now_s=UNTIL)
    frames = [
        frame_of(gone, ms(UNTIL), missing=(ms(SINCE), ms(UNTIL))),
        frame_of(whole, ms(UNTIL)),
    ]

    floor = FloorMerger(PolicyBook()).merge(frames, ms(UNTIL))
    document = floor_document(floor, PolicyBook(), name="x", clock="wall", ready=True)

    states = {each["queue"]: each["state"] for each in document["queues"]}
    assert states["sales"] == "no_data"
    assert states["help"] != "no_data"
    incomplete = {each["queue"] for each in document["entries"] if each["incomplete"]}
    assert incomplete == {"sales", "*"}


def test_a_frame_says_what_is_missing_and_in_which_log_it_lies() -> None:
    partition = told(call(0, "queued"))
    frame = frame_of(partition, ms(5), missing=(ms(1), NOT_YET), log="an-id#2")
    frames = FrameLog()
    for suffix, value in FrameWriter().records(frame):
        frames.take(suffix, value)

    [read] = frames.frames()

    assert (read.missing, read.log) == ((ms(1), NOT_YET), "an-id#2")


def test_a_frame_of_a_version_that_knew_of_no_gaps_is_read() -> None:
    frames = FrameLog()
    for suffix, value in FrameWriter().records(frame_of(told(call(0, "queued")), ms(5))):
        fields = msgspec.msgpack.decode(value or b"")
        frames.take(suffix, msgspec.msgpack.encode(fields[:-2] if suffix == HEAD else fields))

    [read] = frames.frames()

    assert (read.missing, read.log) == (None, "")
