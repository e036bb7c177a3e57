"""When the silence of a source means something, and what it means for the queues it feeds."""

import pytest

from streams.core.floor import FloorMerger
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.sources import DEFAULT_INTERVAL_MS, SourceBook
from tests.support.core_events import DAY, TEN_MS, Told, call, chat, event, ms, told
from tests.support.core_floor import frame_of

THREE_MISSED_S = 90
ALIVE = event(0, "source.alive")


def since(partition: Partition, now_s: float) -> int | None:
    """Since when `sales` has no data at *now_s*."""
    merger = FloorMerger(PolicyBook())
    partition.advance(ms(now_s))
    floor = merger.merge([frame_of(partition, ms(now_s))], ms(now_s))
    return floor.queues["sales", "voice"].no_data_since_ms


@pytest.mark.parametrize(("after_ms", "is_stale"), [(0, False), (1, True)])
def test_a_source_is_stale_once_three_heartbeats_have_been_missed(
    after_ms: int, is_stale: bool
) -> None:
    book = told(ALIVE).sources
    now_ms = TEN_MS + 3 * DEFAULT_INTERVAL_MS + after_ms

    assert book.stale_since(now_ms, {}) == ({"pbx": TEN_MS} if is_stale else {})


def test_any_event_counts_as_heard() -> None:
    book = told(ALIVE, call(60, "queued")).sources

    assert book.stale_since(ms(60 + THREE_MISSED_S), {}) == {}


def test_a_source_that_never_sent_a_heartbeat_may_be_silent_for_ever() -> None:
    assert told(call(0, "queued")).sources.stale_since(ms(DAY), {}) == {}


@pytest.mark.parametrize(("after_ms", "is_stale"), [(0, False), (1, True)])
def test_an_expected_interval_makes_silence_mean_something(after_ms: int, is_stale: bool) -> None:
    book = told(call(0, "queued")).sources

    stale = book.stale_since(TEN_MS + 30_000 + after_ms, {"pbx": 10_000, "unheard": 10_000})

    assert stale == ({"pbx": TEN_MS} if is_stale else {})


def test_the_interval_of_the_settings_replaces_the_usual_one() -> None:
    book = told(ALIVE).sources

    assert book.stale_since(ms(2 * THREE_MISSED_S), {"pbx": 60_000}) == {}


def test_events_that_arrive_late_do_not_make_a_source_older() -> None:
    assert told(call(60, "queued"), ALIVE).sources.last_ms == {"pbx": ms(60)}


def test_what_was_heard_is_forgotten_where_another_book_is_taken_over() -> None:
    book = told(ALIVE).sources

    book.last_ms = {"desk": ms(1)}

    assert book.last_ms == {"desk": ms(1)}


def test_a_source_is_as_new_as_its_newest_event_whatever_was_heard_in_between() -> None:
    book = SourceBook()

    for source, time_ms in (("pbx", 5), ("desk", 7), ("desk", 6), ("pbx", 4), ("pbx", 3)):
        book.heard(source, time_ms)

    assert book.last_ms == {"pbx": 5, "desk": 7}
    book.heard("pbx", 9)
    assert book.last_ms == {"pbx": 9, "desk": 7}


def test_what_partitions_heard_adds_up_to_the_newest_of_each_source() -> None:
    one, other = told(ALIVE).sources, told(call(5, "queued")).sources
    merged = SourceBook()

    merged.add(other)
    merged.add(one)

    assert merged.last_ms == {"pbx": ms(5)}
    assert merged.stale_since(ms(THREE_MISSED_S + 6), {}) == {"pbx": ms(5)}


def test_heartbeats_of_sources_beyond_the_bound_make_none_of_them_stale() -> None:
    heartbeats = [event(0, "source.alive", source=f"source-{number}") for number in range(300)]
    book = told(*heartbeats).sources

    assert len(book.last_ms) == 201
    assert len(book.beating) == 200


def test_a_queue_has_no_data_since_its_only_source_was_last_heard() -> None:
    partition = told(call(-60, "queued"), ALIVE)

    assert since(partition, THREE_MISSED_S) is None
    assert since(partition, THREE_MISSED_S + 1) == TEN_MS


def test_a_queue_has_data_while_one_of_its_sources_is_heard() -> None:
    partition = told(
        ALIVE,
        call(0, "queued"),
        call(0, "queued", contact="c-2", source="desk"),
        event(0, "source.alive", source="desk"),
        event(60, "source.alive", source="desk"),
    )

    assert since(partition, THREE_MISSED_S + 1) is None
    assert since(partition, THREE_MISSED_S + 61) == ms(60)


def test_a_source_that_feeds_no_queue_makes_none_unknown() -> None:
    partition = told(call(0, "queued", source="desk"), ALIVE)

    assert since(partition, THREE_MISSED_S + 1) is None


@pytest.mark.parametrize(("after_ms", "is_unknown"), [(0, False), (1, True)])
def test_a_source_that_fed_a_queue_longer_than_seven_days_ago_feeds_it_no_more(
    after_ms: int, is_unknown: bool
) -> None:
    silent = call(0, "queued", contact="c-2", source="never beating")
    now_s = 7 * DAY + after_ms / 1000
    partition = told(silent, call(6 * DAY, "queued"), event(6 * DAY, "source.alive"))

    assert (since(partition, now_s) is not None) is is_unknown


@pytest.mark.parametrize("order", [1, -1])
def test_a_source_feeds_a_queue_since_it_last_did_in_any_partition(order: int) -> None:
    parts = [told(call(at_s, "queued"), ALIVE) for at_s in (0, 6 * DAY)][::order]
    merger = FloorMerger(PolicyBook())
    now_ms = ms(8 * DAY)

    floor = merger.merge([frame_of(part, now_ms) for part in parts], now_ms)

    assert floor.queues["sales", "voice"].no_data_since_ms is not None


def silent_for_eight_days(*events: Told) -> list[tuple[str, str]]:
    """The queues of the floor, eight days after *events*."""
    partition = told(*events, now_s=8 * DAY)
    floor = FloorMerger(PolicyBook()).merge([frame_of(partition, ms(8 * DAY))], ms(8 * DAY))
    return list(floor.queues)


MESSAGING = {"channel": "messaging"}


def test_a_queue_in_which_somebody_waits_though_nobody_awaits_a_reply_stays() -> None:
    served = (chat(0, "queued", **MESSAGING), chat(5, "replied", by="human", **MESSAGING))
    again = chat(60, "queued", queue="sales", **MESSAGING)

    assert silent_for_eight_days(*served, again) == [("sales", "messaging")]


def test_a_queue_in_which_a_reply_is_awaited_though_nobody_waits_stays() -> None:
    assert silent_for_eight_days(chat(0, "messaged", **MESSAGING)) == [("help", "messaging")]
