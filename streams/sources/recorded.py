"""Recorded events from files, as the records that `replay` sends."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import tzinfo
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

import msgspec

from schemas.codec import encode
from schemas.events import Event, type_name
from schemas.instants import read_instant
from streams.sources.asterisk import QueueLogReader
from streams.sources.follow import follow
from streams.sources.routing import UNREADABLE, Router

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SourceFormat = Literal["canonical", "asterisk-queue-log"]
SOURCE_FORMATS: Final[tuple[SourceFormat, ...]] = ("canonical", "asterisk-queue-log")
STDIN: Final = "-"

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class UnreadableFile(Exception):
    """A file that cannot be read on; the message names it and says what would do."""


class Recorded(NamedTuple):
    """One record of a file, ready to be sent.

    Attributes:
        time_ms: when it happened, epoch ms floored; None for a record that cannot be read.
        topic: `calls`, `chats` or `queues`; None stands for every topic.
        key: what the partition is chosen by; None stands for every partition.
        value: the record; for canonical files the line's own bytes, untouched.
        line_number: in the file, from 1.
    """

    time_ms: int | None
    topic: str | None
    key: bytes | None
    value: bytes
    line_number: int


class _Head(msgspec.Struct, gc=False):
    """What routing needs of a canonical event; the rest is left to whoever reads the record."""

    type: str
    time: str
    id: str | None = None
    contact: str | None = None
    channel: str | None = None
    agent: str | None = None
    queue: str | None = None


class _Counted(RawIOBase):
    """A binary file that says how many bytes have been read of it."""

    def __init__(self, file: BufferedIOBase, on_bytes: Callable[[int], None] | None) -> None:
        self._file = file
        self._on_bytes = on_bytes
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._file.readinto1(buffer)
        self._read += count
        if self._on_bytes is not None:
            self._on_bytes(self._read)
        return count


def read_records(
    path: str,
    *,
    source_format: SourceFormat = "canonical",
    zone: tzinfo,
    on_bytes: Callable[[int], None] | None = None,
    router: Router | None = None,
    queue_log: QueueLogReader | None = None,
    stdin: BufferedIOBase | None = None,
) -> Iterator[Recorded]:
    """The records of one file, in file order, without holding the file in memory.

    Compressed files (gzip) are known by their first bytes, whatever they are called. Blank lines
    are left out. A canonical line that cannot be read is passed on as it is, to `calls` under an
    empty key, so that it is rejected and counted where every other bad record is; of a line
    longer than 4 MiB only the first 4 MiB are kept, which no worker accepts. Topics and keys are
    those of `streams.sources.routing.Router`.

    Args:
        path: a file, or `-` for standard input.
        source_format: `canonical` (one JSON event a line) or `asterisk-queue-log`.
        zone: of times without offset in an Asterisk log.
        on_bytes: told how many bytes of the file, compressed as it is, have been read so far.
        router: shared by the files of one replay, so that a contact keeps its topic.
        queue_log: shared by the rotated files of one Asterisk, oldest first; its `reading` says
            what became of the lines.
        stdin: read for `-` in place of the process's own.

    Raises:
        OSError: the file cannot be opened or read.
        UnreadableFile: the compressed data is damaged or cut off; what came before was given.
    """
    router = router or Router()
    with ExitStack() as stack:
        file: BufferedIOBase
        if path == STDIN:
            file = stdin if stdin is not None else cast("BufferedIOBase", sys.stdin.buffer)
        else:
            file = stack.enter_context(open(path, "rb"))
        lines = _lines(path, file, on_bytes)
        if source_format == "canonical":
            yield from _canonical(lines, router)
        else:
            reader = queue_log or QueueLogReader(zone=zone)
            yield from _asterisk(lines, router, reader)


def follow_queue_log(
    path: str, *, sleep: Callable[[], None], queue_log: QueueLogReader, router: Router | None = None
) -> Iterator[Recorded | None]:
    """The records of an Asterisk log that is still being written, without end.

    Args:
        path: the live log.
        sleep: waits between two looks at the file.
        queue_log: reads the lines; its `reading` says what became of them.
        router: chooses topics and keys.

    Yields:
        Each record; and None after each sleep, so that the caller can send a heartbeat or stop.
    """
    router = router or Router()
    for line in follow(path, sleep=sleep):
        if line is None:
            yield None
            continue
        if line.is_first:
            queue_log.begin_file()
        for event in queue_log.read(line.text):
            yield recorded(event, router=router, line_number=queue_log.line_number)


def size_of(path: str) -> int | None:
    """Bytes of the file, as `on_bytes` counts them; None for standard input and pipes."""
    if path == STDIN or not Path(path).is_file():
        return None
    return Path(path).stat().st_size


def recorded(event: Event, *, router: Router, line_number: int) -> Recorded:
    """The record of an event that an adapter made."""
    topic, key = router.route(
        type_name(type(event)),
        contact=getattr(event, "contact", ""),
        channel=getattr(event, "channel", ""),
        agent=getattr(event, "agent", ""),
        queue=getattr(event, "queue", ""),
        event_id=event.id,
    )
    return Recorded(read_instant(event.time), topic, key, encode(event), line_number)


def _canonical(lines: Iterator[tuple[int, bytes]], router: Router) -> Iterator[Recorded]:
    decode = msgspec.json.Decoder(_Head).decode
    for line_number, line in lines:
        if not line or line.isspace():
            continue
        try:
            head = decode(line)
            time_ms = read_instant(head.time)
            route = router.route(
                head.type,
                contact=head.contact or "",
                channel=head.channel or "",
                agent=head.agent or "",
                queue=head.queue or "",
                event_id=head.id or "",
            )
        except (msgspec.DecodeError, RecursionError, ValueError):
            yield Recorded(None, *UNREADABLE, line, line_number)
        else:
            yield Recorded(time_ms, *route, line, line_number)


def _asterisk(
    lines: Iterator[tuple[int, bytes]], router: Router, reader: QueueLogReader
) -> Iterator[Recorded]:
    reader.begin_file()
    for line_number, line in lines:
        for event in reader.read(line.decode("utf-8", "replace")):
            yield recorded(event, router=router, line_number=line_number)


def _lines(
    path: str, file: BufferedIOBase, on_bytes: Callable[[int], None] | None
) -> Iterator[tuple[int, bytes]]:
    """Each line without its line end, and its number."""
    raw = BufferedReader(_Counted(file, on_bytes), 1 << 18)
    is_compressed = raw.peek(2)[:2] == _GZIP_MAGIC
    source: BufferedIOBase = gzip.GzipFile(fileobj=raw) if is_compressed else raw
    line_number = 0
    try:
        while line := source.readline(MAX_LINE_BYTES):
            line_number += 1
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                _skip_to_line_end(source)
            if line_number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            yield line_number, line.rstrip(b"\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFile(
            f"{path}: compressed data is damaged or cut off after line {line_number}; "
            "copy the file again, or unpack what can be saved of it"
        ) from error


def _skip_to_line_end(source: BufferedIOBase) -> None:
    while (rest := source.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass
