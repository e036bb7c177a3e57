"""Records that cannot be read, kept on a topic of their own before their position is passed.

Key `TOPIC-PARTITION-OFFSET`, value as it was, the reason in a header. Written at least once: a
position is not passed before its rejected records are acknowledged, so a crash writes some twice
and loses none.
"""

import asyncio
import contextlib
import hashlib
import itertools
import logging
from collections import deque
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from streams.backoff import Backoff
from streams.kafka_access import KafkaAccess
from streams.reader import TP

log = logging.getLogger(__name__)

KAFKA_MAX_RECORD_BYTES: Final = 1_048_588
"""What a topic takes unless its `max.message.bytes` says otherwise."""

SPARE_BYTES: Final = 65_536
"""What a rejected record may be larger than its source's limit, for its key and headers."""

KEPT_BYTES: Final = 65_536
"""What is kept of a value that even so is too large."""

OVERHEAD_BYTES: Final = 512
SEND_AT_ONCE: Final = 500
RETRY_FROM_S: Final = 0.2
RETRY_TO_S: Final = 10.0
STOP_WITHIN_S: Final = 3.0


class _Rejected:
    """One record on its way to the topic."""

    __slots__ = ("headers", "key", "serial", "shortened", "size", "tp", "value")

    def __init__(
        self, serial: int, tp: TP, offset: int, reason: str, value: bytes | None, timestamp: int
    ) -> None:
        self.serial = serial
        self.tp = tp
        self.key = f"{tp.topic}-{tp.partition}-{offset}".encode()
        self.value = value
        self.headers = [("reason", reason.encode()), ("timestamp", b"%d" % timestamp)]
        self.shortened = False
        self.size = OVERHEAD_BYTES + len(value or b"")

    def shorten(self) -> bool:
        """Keep the head of the value, its length and its hash; the next time, only the latter two.

        False when there is nothing left to leave out.
        """
        if not self.value:
            return False
        if not self.shortened:
            self.headers.append(("length", b"%d" % len(self.value)))
            self.headers.append(("sha256", hashlib.sha256(self.value).hexdigest().encode()))
            self.shortened = True
        self.value = self.value[:KEPT_BYTES] if len(self.value) > KEPT_BYTES else b""
        return True


class RejectedRecords:
    """Writes rejected records to *topic*, in the background, until each is acknowledged.

    While the broker does not take them they wait here, tried again at growing intervals with
    jitter, and `room` holds back whoever would add more.

    Args:
        kafka: the way to Kafka.
        topic: has to be there; its `max.message.bytes` should be its sources' plus `SPARE_BYTES`.
        source_max_bytes: the largest record that the sources' topics take.
        max_records: `room` waits while so many are not acknowledged,
        max_bytes: or so many bytes of them.

    Attributes:
        written: how many records were acknowledged.
        truncated: how many of them without a part of their value, because they were too large.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topic: str,
        *,
        source_max_bytes: int = KAFKA_MAX_RECORD_BYTES,
        max_records: int = 2_000,
        max_bytes: int = 64 << 20,
    ) -> None:
        self.written = 0
        self.truncated = 0
        self._topic = topic
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._producer_options = {
            **kafka.client,
            "acks": "all",
            "enable_idempotence": True,
            "max_request_size": source_max_bytes + SPARE_BYTES,
        }
        self._serials = itertools.count()
        self._unsent: deque[_Rejected] = deque()
        self._waiting: dict[TP, dict[int, int]] = {}  # of each partition: serial to offset
        self._waiting_count = 0
        self._waiting_bytes = 0
        self._work = asyncio.Event()
        self._roomy = asyncio.Event()
        self._empty = asyncio.Event()
        self._roomy.set()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many records are not acknowledged yet."""
        return self._waiting_count

    def start(self) -> None:
        """Begin to write. The first rejected record opens the connection."""
        self._task = asyncio.get_running_loop().create_task(self._write())
        self._task.add_done_callback(self._wake_everyone)

    async def stop(self) -> None:
        """Write what is left and end, each within `STOP_WITHIN_S` seconds."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.flush(), STOP_WITHIN_S)
        if self.waiting:
            log.warning("%d rejected records not written; they will be read again", self.waiting)
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=STOP_WITHIN_S)

    def put(self, tp: TP, offset: int, reason: str, value: bytes | None, timestamp: int) -> None:
        """Add a record; *timestamp* is its own, in epoch ms. Never waits: ask for `room` after."""
        record = _Rejected(next(self._serials), tp, offset, reason, value, timestamp)
        self._waiting.setdefault(tp, {})[record.serial] = offset
        self._waiting_count += 1
        self._waiting_bytes += record.size
        self._unsent.append(record)
        self._work.set()
        self._empty.clear()
        if not self._has_room():
            self._roomy.clear()

    def oldest(self, tp: TP) -> int | None:
        """The lowest offset of *tp* that is not acknowledged yet; None when all are."""
        return min(self._waiting.get(tp, {}).values(), default=None)

    async def room(self) -> None:
        """Return when there is room for more."""
        await self._roomy.wait()
        self._raise_what_ended_it()

    async def flush(self) -> None:
        """Return when every record is acknowledged."""
        await self._empty.wait()
        self._raise_what_ended_it()

    async def _write(self) -> None:
        backoff = Backoff(RETRY_FROM_S, RETRY_TO_S)
        while True:
            await self._work.wait()
            written = self.written
            producer = AIOKafkaProducer(**self._producer_options)
            try:
                await producer.start()
                await self._write_with(producer)
            except (KafkaError, OSError) as exc:
                if self.written > written:
                    backoff.succeeded()
                log.warning(
                    "%d rejected records wait to be written to %s: %r",
                    self.waiting,
                    self._topic,
                    exc,
                )
            finally:
                with contextlib.suppress(KafkaError, OSError):
                    await producer.stop()
            await backoff.wait()

    async def _write_with(self, producer: AIOKafkaProducer) -> None:
        while True:
            await self._work.wait()
            while self._unsent:
                await self._write_some(producer)
            self._work.clear()

    async def _write_some(self, producer: AIOKafkaProducer) -> None:
        """Send the next records and wait for their acknowledgement.

        Raises:
            KafkaError: of those that are to be sent again with another producer; the others are
                done.
        """
        records = [self._unsent.popleft() for _ in range(min(SEND_AT_ONCE, len(self._unsent)))]
        results = await asyncio.gather(
            *(self._write_one(producer, record) for record in records), return_exceptions=True
        )
        failures = []
        for record, result in zip(records, results, strict=True):
            if result is None:
                self._acknowledge(record)
            elif isinstance(result, MessageSizeTooLargeError) and record.shorten():
                self._unsent.append(record)
            else:
                failures.append(result)
                self._unsent.append(record)
        if failures:
            raise failures[0]

    async def _write_one(self, producer: AIOKafkaProducer, record: _Rejected) -> None:
        await producer.send_and_wait(
            self._topic, record.value, key=record.key, headers=record.headers
        )

    def _acknowledge(self, record: _Rejected) -> None:
        self.written += 1
        self.truncated += record.shortened
        del self._waiting[record.tp][record.serial]
        self._waiting_count -= 1
        self._waiting_bytes -= record.size
        if self._has_room():
            self._roomy.set()
        if not self._waiting_count:
            self._empty.set()

    def _has_room(self) -> bool:
        return self._waiting_count < self._max_records and self._waiting_bytes < self._max_bytes

    def _wake_everyone(self, task: asyncio.Task[None]) -> None:
        self._roomy.set()
        self._empty.set()

    def _raise_what_ended_it(self) -> None:
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()
