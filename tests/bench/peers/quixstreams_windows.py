"""quixstreams as its guide has it: windows of a streaming data frame, counted as they stand.

The topic is keyed by what is counted, since it counts per message key; so nothing is regrouped.
"""

import sys
import uuid
from datetime import datetime, timedelta
from typing import Any

from measuring import Stopwatch
from quixstreams import Application

shape, bootstrap, topic, events = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
folder = sys.argv[5]
updates = events * (5 if shape == "hopping" else 1)

app = Application(
    bootstrap,
    consumer_group=f"quix-{uuid.uuid4().hex}",
    auto_offset_reset="earliest",
    state_dir=folder,
    loglevel="ERROR",
)


def event_time(value: Any, headers: Any, timestamp: float, kind: Any) -> int:
    """Milliseconds of the moment that the event names."""
    return int(datetime.fromisoformat(value["time"]).timestamp() * 1000)


source = app.topic(
    topic, key_deserializer="str", value_deserializer="json", timestamp_extractor=event_time
)
watch = Stopwatch(events)
counts: dict[str, int] = {}


def seen(value: Any) -> None:
    """Start the clock at the first event."""
    watch.tick()


def counted(window: Any, key: Any, timestamp: int, headers: Any) -> None:
    """The count of a window as it now stands; behind the last one all is counted."""
    global updates  # noqa: PLW0603 - a callback without a place of its own
    counts[f"{key}|{window['start'] // 1000}"] = window["value"]
    updates -= 1
    if not updates:
        watch.stop()
        watch.tell(counts)


frame = app.dataframe(source).update(seen)
minutes_5 = timedelta(minutes=5)
windowed = (
    frame.hopping_window(minutes_5, timedelta(minutes=1), grace_ms=timedelta(minutes=1))
    if shape == "hopping"
    else frame.tumbling_window(minutes_5, grace_ms=timedelta(minutes=1))
)
windowed.count().current().update(counted, metadata=True)
app.run()
