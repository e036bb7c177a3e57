"""When a worker says that it hangs, and when it is only waiting."""

import time
from collections.abc import Callable, Sequence

import pytest

from streams.kafka_access import KafkaAccess
from streams.reader import TP, Reader, Record, Sink
from streams.transport import App, TransportOptions, create_app
from streams.worker import STUCK_AFTER_S, UNSETTLED_AFTER_S, why_stuck

CALLS = TP("calls", 0)
LONG_S = STUCK_AFTER_S + 1


class Deaf(Sink):
    """A sink that takes what there is and says nothing."""

    def records(self, tp: TP, batch: Sequence[Record]) -> None:
        raise NotImplementedError


@pytest.fixture
async def app() -> App:
    """A worker that reads one partition to its end, of a broker that answers."""
    options = TransportOptions(name="watched", kafka=KafkaAccess("127.0.0.1:1"), topics=("calls",))
    app = create_app(options, Deaf())
    now = time.monotonic()
    app.reader.begin({CALLS: 5}, {CALLS: 5}, now)
    app.reader.polled_at = now
    return app


def no_poll(reader: Reader) -> None:
    reader.polled_at = time.monotonic() - LONG_S


def nothing_read(reader: Reader) -> None:
    reader.note_ends({CALLS: 9}, time.monotonic() - LONG_S)
    reader.note_ends({CALLS: 9}, time.monotonic())


def no_partitions(reader: Reader) -> None:
    reader.end()
    reader.unsettled_since = time.monotonic() - UNSETTLED_AFTER_S - 1


@pytest.mark.parametrize(
    ("hangs", "why"),
    [
        (no_poll, r"no poll for 61 s while the broker answers"),
        (nothing_read, r"4 records behind and none read for 61 s"),
        (no_partitions, r"no partitions assigned and restored for 301 s"),
    ],
    ids=["fetcher dies", "partition is not fetched", "rejoins or restores for ever"],
)
async def test_each_hang_is_told_unless_it_is_the_broker_that_does_not_answer(
    app: App, hangs: Callable[[Reader], None], why: str
) -> None:
    assert why_stuck(app) is None
    hangs(app.reader)
    found = why_stuck(app)
    app.reader.broker_answered_at = time.monotonic() - 11

    assert found is not None
    assert found.startswith(why)
    assert why_stuck(app) is None


async def test_a_rebalance_may_take_its_time(app: App) -> None:
    app.rebalancing = True
    app.reader.end()
    no_poll(app.reader)

    assert why_stuck(app) is None


async def test_a_worker_to_which_the_group_gives_nothing_is_well(app: App) -> None:
    no_partitions(app.reader)
    app.reader.settle()

    assert why_stuck(app) is None


async def test_a_restore_that_never_ends_is_told_though_it_is_a_rebalance(app: App) -> None:
    app.rebalancing = True
    no_partitions(app.reader)

    assert why_stuck(app) is not None
