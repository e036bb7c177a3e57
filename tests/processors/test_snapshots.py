"""Who keeps a partition that two workers take for theirs."""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Final

import pytest

from streams import snapshots
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.snapshot import Restorer
from streams.kafka_access import KafkaAccess
from streams.ledger import Ledger, claim_key, read_key
from streams.processors.records import Anew, Records
from streams.reader import TP
from streams.snapshots import Snapshots
from streams.state_log import StateLog
from streams.topic_identity import TopicIdentity
from tests.support.stored import NothingRejected

CALLS: Final = TP("calls", 0)
AFTER_S: Final = 0.05


class Claims(StateLog):
    """A state topic without a broker: all there is are claims, of everybody."""

    def __init__(self, epochs: list[int], member: str) -> None:
        super().__init__(KafkaAccess("nowhere:1"), "state", member)
        self._epochs = epochs

    async def take_over(self, epochs: Mapping[TP, int]) -> dict[TP, Ledger]:
        epoch = max(*epochs.values(), *self._epochs, 0) + 1
        self._epochs.append(epoch)
        ledger = Ledger()
        raw_key = claim_key(CALLS, epoch, self.member)
        key = read_key(raw_key)
        assert key is not None
        ledger.take(key, raw_key, self.member.encode())
        return dict.fromkeys(epochs, ledger)

    async def topics(self, names: Collection[str]) -> Mapping[str, TopicIdentity]:
        return dict.fromkeys(names, TopicIdentity("", 1))


def an_owner(epochs: list[int], name: str) -> Snapshots:
    """Somebody to whom the group gives the calls and who knows of all that is claimed."""
    return Snapshots(
        Claims(epochs, name),
        new=lambda: Partition(PolicyBook()),
        restorer=lambda parts: Restorer(parts, PolicyBook()),
        policies=PolicyBook,
        every_s=1_000.0,
        seen_epoch=lambda _: max(epochs),
        claim_again_after_s=AFTER_S,
    )


async def test_two_who_both_take_a_partition_for_theirs_claim_it_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots, "LOOK_EVERY_S", 0.01)
    epochs: list[int] = [0]
    ann, ben = an_owner(epochs, "ann"), an_owner(epochs, "ben")
    source = Records(Anew(lambda: Partition(PolicyBook())), NothingRejected(), max_record_bytes=1)
    await ann.take_over([CALLS])
    await ben.take_over([CALLS])
    began = time.monotonic()
    keeping = [asyncio.create_task(each.keep(source)) for each in (ann, ben)]
    try:
        while len(epochs) < 3 + 8:  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.01)
        took_s = time.monotonic() - began
    finally:
        for task in keeping:
            task.cancel()

    assert took_s >= 2 * AFTER_S * (1 + 2 + 4 + 8)
    assert ann.epoch(CALLS) != ben.epoch(CALLS)
