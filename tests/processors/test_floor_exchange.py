"""Who is heard on the floor topic while a partition goes from one worker to the next."""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
import pytest

from streams.core.frame import Frame
from streams.core.steps import last_of
from streams.floor_exchange import FloorExchange, until_next
from streams.floor_keeper import FloorKeeper
from streams.floor_log import FloorLog
from streams.kafka_access import KafkaAccess
from streams.processors.records import Anew, Records
from streams.reader import TP, Position
from streams.settings import Settings
from streams.worker import new_partition
from tests.support.oracle import to_text
from tests.support.stored import NothingRejected, Stored

CALLS: Final = TP("calls", 0)
NOW_MS: Final = 1_795_514_400_000

Topic = list[tuple[int, str, bytes | None]]
"""The records of the calls in the order of the log: epoch, end of the key, value."""


class OnList(FloorLog):
    """A floor topic without a broker."""

    def __init__(self, topic: Topic) -> None:
        super().__init__(KafkaAccess("nowhere:1"), "floor", lambda *_: None)
        self._list = topic

    async def write(self, tp: TP, epoch: int, records: Sequence[tuple[str, bytes | None]]) -> None:
        self._list += [(epoch, end, value) for end, value in records]

    async def remove_before(self, tp: TP, epoch: int) -> None:
        ends = {(number, end) for number, end, _ in self._list if number < epoch}
        self._list += [(number, end, None) for number, end in sorted(ends)]


class Worker(FloorExchange):
    """A worker as far as the floor goes; what it owns and reads is up to the test."""

    def __init__(self, topic: Topic) -> None:
        self.owned = 0
        super().__init__(
            KafkaAccess("nowhere:1"), "floor", owned_epoch=lambda _: self.owned, has_snapshot=bool
        )
        self._log = OnList(topic)
        self.records = Records(
            Anew(lambda: new_partition(Settings())), NothingRejected(), max_record_bytes=1 << 18
        )
        self.now_ms = NOW_MS
        self.keeper = FloorKeeper(
            Settings(),
            self.records,
            read=self._read,
            epoch=self.speaks_in,
            clock_ms=lambda: self.now_ms,
            uptime_s=lambda: 1_000.0,
        )
        self._topic = topic
        self._heard_to = 0

    async def owns(self, epoch: int) -> None:
        """Take the calls over in *epoch*, with nothing read of them."""
        await self.announce({CALLS: epoch})
        self.owned = epoch
        if CALLS in self.records.partitions:
            await self.records.revoked((CALLS,))
        await self.records.assigned((CALLS,))

    def reads_to(self, end: int) -> None:
        """Have somebody queue in each record before offset *end*."""
        begin = self.records.next_offset(CALLS) or 0
        self.records.records(CALLS, [Stored(n, NOW_MS, queued(n)) for n in range(begin, end)])

    def frames(self) -> Mapping[TP, tuple[int, Frame]]:
        """What it would write now."""
        self.now_ms += 1_000
        return last_of(self.keeper.framing())

    async def says(self, frames: Mapping[TP, tuple[int, Frame]] | None = None) -> None:
        """Write *frames*, or what there is to say."""
        await self._write(self.frames() if frames is None else frames)

    def reads_topic(self) -> None:
        """Read the floor topic to its end."""
        for epoch, end, value in self._topic[self._heard_to :]:
            self._take(CALLS, epoch, end, value)
        self._heard_to = len(self._topic)

    async def hears(self) -> None:
        """Take over to the floor what has been said."""
        self.reads_topic()
        await self.hand_over(self.keeper)
        self.keeper.show()

    def offered(self) -> int | None:
        """How many contacts were offered, as it is shown."""
        lines = self.keeper.metrics().decode().splitlines()
        name = "floorwatch_contacts_offered_total{"
        return next((int(line.split()[-1]) for line in lines if line.startswith(name)), None)

    def kept_logs(self) -> int:
        """How many owners' frames it keeps at hand."""
        return sum(map(len, self._logs.values()))

    def _read(self) -> dict[TP, Position]:
        offset = self.records.next_offset(CALLS) or 0
        return {CALLS: Position(offset, offset, 1_000.0, None, 1_000.0)}


def queued(number: int) -> bytes:
    return orjson.dumps(
        {
            "id": str(number),
            "time": to_text(NOW_MS - 1_000),
            "source": "pbx",
            "type": "contact.queued",
            "contact": f"c-{number}",
            "queue": "sales",
            "channel": "voice",
        }
    )


async def an_owner(topic: Topic, epoch: int, end: int) -> Worker:
    """Who owns the calls in *epoch* and has said what it has read to *end*."""
    worker = Worker(topic)
    await worker.owns(epoch)
    worker.reads_to(end)
    await worker.hears()
    await worker.says()
    await worker.hears()
    return worker


async def test_an_owner_is_silent_until_it_has_read_where_its_epoch_begins() -> None:
    topic: Topic = []
    ann = Worker(topic)
    await ann.owns(1)
    ann.reads_to(5)

    unread = ann.frames()
    ann.reads_topic()
    not_handed_over = ann.frames()
    await ann.hears()

    assert (unread, not_handed_over) == ({}, {})
    assert ann.frames()[CALLS][0] == 1


async def test_what_a_replaced_owner_says_behind_the_claim_makes_no_total_fall() -> None:
    topic: Topic = []
    ann, eve = await an_owner(topic, 1, 90), Worker(topic)
    await eve.hears()
    ben = Worker(topic)
    await ben.owns(2)
    await ben.hears()
    ben.reads_to(92)
    from_ben = ben.frames()
    ann.reads_to(100)  # frozen until now, and nobody has told her of Ben
    shown = []
    for speaker, frames in ((ann, None), (ben, from_ben), (ben, None)):
        await speaker.says(frames)
        await eve.hears()
        shown.append(eve.offered())

    assert shown == [90, 92, 92]


async def test_what_was_said_before_the_claim_counts_for_the_new_owner_and_stands_meanwhile() -> (
    None
):
    topic: Topic = []
    ann = await an_owner(topic, 1, 90)
    ben, eve = Worker(topic), Worker(topic)
    ben.reads_topic()
    ann.reads_to(100)
    await ann.says()
    await ben.owns(2)
    await ben.hears()
    await eve.hears()
    ben.reads_to(99)
    too_early = ben.frames()
    ben.reads_to(101)
    meanwhile = eve.offered()
    await ben.says()
    await eve.hears()

    assert too_early == {}
    assert (meanwhile, eve.offered()) == (100, 101)


async def test_a_frame_made_before_a_partition_was_taken_over_again_is_not_written() -> None:
    topic: Topic = []
    ann = await an_owner(topic, 1, 5)
    for _ in range(10):
        made = ann.frames()
    await ann.owns(2)
    await ann.hears()
    before = len(topic)

    await ann.says(made)
    assert len(topic) == before
    ann.reads_to(5)
    await ann.says()
    assert {epoch for epoch, _, value in topic[before:] if value is not None} == {2}


async def test_an_owner_whose_partition_is_claimed_is_silent_and_goes_on_after_its_own_claim() -> (
    None
):
    topic: Topic = []
    ann, eve = await an_owner(topic, 1, 5), Worker(topic)
    await an_owner(topic, 2, 9)  # slept, and is gone now
    ann.reads_topic()
    silent = ann.frames()
    await ann.announce({CALLS: 3})
    ann.owned = 3
    await ann.hears()
    shown, spoke = [], []
    for end in (7, 9, 12):
        ann.reads_to(end)
        frames = ann.frames()
        spoke.append(CALLS in frames)
        await ann.says(frames)
        await eve.hears()
        shown.append(eve.offered())

    assert silent == {}
    assert (spoke, shown) == ([False, True, True], [9, 9, 12])


async def test_an_epoch_does_not_begin_with_what_is_removed() -> None:
    topic: Topic = []
    ann = await an_owner(topic, 1, 5)
    topic.append((2, "head", None))
    await ann.hears()

    assert CALLS in ann.frames()


async def test_of_each_partition_only_the_newest_owners_frames_are_kept() -> None:
    topic: Topic = []
    eve = Worker(topic)
    for epoch in range(1, 20):
        await an_owner(topic, epoch, epoch)
        await eve.hears()
    await OnList(topic).remove_before(CALLS, 19)
    await eve.hears()
    late = Worker(topic)
    await late.hears()

    assert (eve.kept_logs(), late.kept_logs()) == (1, 1)
    assert (eve.offered(), late.offered()) == (19, 19)


async def test_what_an_older_version_has_written_without_claims_is_read() -> None:
    topic: Topic = []
    await an_owner(topic, 1, 5)
    await an_owner(topic, 2, 8)
    older = [record for record in topic if not record[1].startswith("claim")]
    eve, heir = Worker(older), Worker(older)
    await eve.hears()
    before = eve.offered()
    await heir.owns(3)
    heir.reads_to(9)
    await heir.hears()
    await heir.says()
    await eve.hears()

    assert (before, eve.offered()) == (8, 9)


@pytest.mark.parametrize("now_s", [100.0, 100.0005, 100.25, 100.9995, 1_795_514_400.999])
@pytest.mark.parametrize("early_s", [0.0, 0.002])
def test_a_timer_that_is_early_wakes_it_within_the_next_second_all_the_same(
    now_s: float, early_s: float
) -> None:
    woken_s = now_s + until_next(now_s) - early_s

    assert int(woken_s) == int(now_s) + 1
    assert woken_s % 1 < 0.01
