"""aiokafka and msgspec alone: the ceiling of every Python worker on that client."""

import asyncio
import sys

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from measuring import Stopwatch

bootstrap, topic, events, partitions = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[6])


class Event(msgspec.Struct, gc=False):
    """The fields that counting needs."""

    id: str
    type: str
    time: str
    source: str
    contact: str = ""
    channel: str = ""
    queue: str = ""
    reason: str = ""


async def read() -> None:
    """Read the topic from its beginning."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        max_partition_fetch_bytes=1 << 20,
        fetch_max_bytes=8 << 20,
        max_poll_records=4_000,
        enable_auto_commit=False,
    )
    await consumer.start()
    tps = [TopicPartition(topic, number) for number in range(partitions)]
    consumer.assign(tps)
    await consumer.seek_to_beginning(*tps)
    decode = msgspec.json.Decoder(Event).decode
    watch = Stopwatch(events)
    watch.tick()
    watch.left += 1
    while watch.left > 0:
        for records in (await consumer.getmany(timeout_ms=1_000)).values():
            for record in records:
                decode(record.value)
            watch.left -= len(records)
    watch.stop()
    watch.tell({"read": events})


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(read())
