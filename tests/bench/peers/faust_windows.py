"""Faust as its guide has it: an agent that counts events into a windowed table.

The topic is keyed by what is counted, as a windowed table wants it, so nothing is repartitioned.
"""

import sys
import uuid
from datetime import datetime, timedelta

import faust
from measuring import Stopwatch

shape, bootstrap, topic, events = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
folder, partitions = sys.argv[5], int(sys.argv[6])

app = faust.App(
    f"faust-{uuid.uuid4().hex}",
    broker=f"kafka://{bootstrap}",
    store="memory://",
    datadir=folder,
    topic_replication_factor=1,
    topic_partitions=partitions,
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    broker_max_poll_records=4_000,
)


class Event(faust.Record, coerce=True, date_parser=datetime.fromisoformat, validation=False):
    """The fields that counting needs."""

    type: str
    time: datetime
    queue: str = "-"


source = app.topic(topic, value_type=Event, key_type=bytes, key_serializer="raw")
table = app.Table("counts", default=int, partitions=partitions)
minutes_5, ever = timedelta(minutes=5), timedelta(days=100_000)
windowed = (
    table.hopping(minutes_5, timedelta(minutes=1), expires=ever)
    if shape == "hopping"
    else table.tumbling(minutes_5, expires=ever)
).relative_to_field(Event.time)  # type: ignore[arg-type] # a descriptor, on the class
watch = Stopwatch(events)


@app.agent(source)
async def count(stream: faust.StreamT[Event]) -> None:
    """Count every event."""
    async for event in stream:
        last = watch.tick()
        windowed[f"{event.queue}|{event.type}"] += 1
        if last:
            watch.stop()
            watch.tell({f"{key}|{start:.0f}": n for (key, (start, _)), n in table.items()})


sys.argv[1:] = ["worker", "--loglevel", "ERROR", "--without-web"]
app.main()
