"""A backlog is taken in batches, and its partition is told beforehand how far each of them goes."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Decoder
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from tests.support.core_events import call, ms, sales, tell
from tests.support.core_floor import book_of
from tests.support.core_state import differences, state_of
from tests.support.histories import History, histories, unruly


@given(histories(), st.data(), st.integers(1, 9))
def test_to_be_told_how_far_a_batch_goes_changes_nothing_once_it_is_through(
    history: History, data: st.DataObject, size: int
) -> None:
    log = unruly(data.draw, history)
    decode = Decoder().decode
    told, untold = (Partition(book_of(history.policy)) for _ in range(2))
    for start in range(0, len(log), size):
        batch = [(*decode(orjson.dumps(e)), stamp) for stamp, e in log[start : start + size]]
        told.expect(batch[-1][1], max(stamp for _, _, stamp in batch))
        for event, time_ms, stamp_ms in batch:
            assert told.accept(event, time_ms, stamp_ms) == untold.accept(event, time_ms, stamp_ms)
        for partition in (told, untold):
            partition.advance(min(partition.arrival_ms, partition.latest_ms))

        assert not differences(state_of(told), state_of(untold))


def test_what_the_end_of_a_batch_has_passed_is_not_held_back() -> None:
    events = [call(0, "queued"), call(7, "answered"), call(600, "ended")]
    partition = Partition(PolicyBook())
    partition.expect(ms(600), ms(600))

    tell(partition, events)

    assert not partition.ahead
    assert sales(partition).panes


def test_a_last_event_that_will_be_late_or_refused_says_nothing_of_how_far_a_batch_goes() -> None:
    for last_s, arrival_s in ((0, 20_000), (20_000, 0)):
        partition = Partition(PolicyBook())

        partition.expect(ms(last_s), ms(arrival_s))

        assert partition.shown_next_ms == 0
