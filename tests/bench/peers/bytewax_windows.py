"""bytewax as its guide has it: `count_window` over a Kafka source."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import (
    EventClock,
    SlidingWindower,
    TumblingWindower,
    count_window,
)
from bytewax.testing import TestingSink, run_main
from measuring import Stopwatch

shape, bootstrap, topic, events = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOP_S = {"hopping": 60, "tumbling": 300}[shape]


class Event(msgspec.Struct, gc=False):
    """The fields that counting needs."""

    type: str
    time: datetime
    queue: str = "-"


decode = msgspec.json.Decoder(Event).decode
watch = Stopwatch(events)


def read(message: Any) -> tuple[str, datetime]:
    """What is counted, and when it was."""
    watch.tick()
    event = decode(message.value)
    return f"{event.queue}|{event.type}", event.time.astimezone(UTC)


def moment(event: tuple[str, datetime]) -> datetime:
    """The second of a pair."""
    return event[1]


def group(event: tuple[str, datetime]) -> str:
    """The first of a pair."""
    return event[0]


minutes_5 = timedelta(minutes=5)
windower = (
    SlidingWindower(minutes_5, timedelta(minutes=1), EPOCH)
    if shape == "hopping"
    else TumblingWindower(length=minutes_5, align_to=EPOCH)
)
flow = Dataflow("bench")
source = KafkaSource([bootstrap], [topic], tail=False, batch_size=4_000)
stream = op.map("read", op.input("source", flow, source), read)
clock = EventClock(moment, wait_for_system_duration=timedelta(minutes=1))
closed: list[tuple[str, tuple[int, int]]] = []
counted = count_window("count", stream, clock, windower, group)
op.output("closed", counted.down, TestingSink(closed))
run_main(flow)
watch.stop()


def counts() -> Iterator[tuple[str, int]]:
    """The closed windows by what they count and where they begin."""
    for key, (number, count) in closed:
        yield f"{key}|{number * HOP_S}", count


watch.tell(dict(counts()))
