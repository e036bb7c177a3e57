"""Frames as records of a compacted topic, and back.

A frame is a head and chunks. A chunk holds some queues, windows or staffed queues; only chunks in
which something changed are written again, the head is written last and names every chunk with the
version that belongs to the frame. So whoever reads the log, however much of it has been compacted,
either has all of a frame or sees that something is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from streams.core.figures import Live
from streams.core.frame import Frame, Key, QueueFrame, Staffed, Totals
from streams.core.staffing import Door, Observation, Order
from streams.core.tally import WIDTH, Histogram, Sums

FORMAT: Final = 1
CHUNK_BYTES: Final = 700_000
CHUNK_ITEMS: Final = 16
"""Few enough that one busy queue does not send many quiet ones with it."""

KEPT: Final = 3
"""Seconds that a reader keeps."""

HEAD: Final = "head"
_QUEUES: Final = "queues"
_WINDOWS: Final = "windows"
_STAFFED: Final = "staffed"

Edges = tuple[int, ...]


class _Head(msgspec.Struct, array_like=True, frozen=True):
    format: int
    serial: int
    second_ms: int
    now_ms: int
    tick_ms: int
    arrival_ms: int
    catching_up: bool
    is_new: bool
    next_offset: int
    heard_ms: dict[str, int]
    beating: list[str]
    chunks: dict[str, int]
    log: str = ""
    missing: tuple[int, int] | None = None


class _Chunk(msgspec.Struct, array_like=True, frozen=True):
    format: int
    version: int
    edges: list[Edges]
    items: msgspec.Raw


class _Histogram(msgspec.Struct, array_like=True, frozen=True, gc=False):
    edges: int
    counts: list[int]
    sum_ms: int


class _Queue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    key: Key
    counters: dict[str, int]
    corrections: list[tuple[str, str, int]]
    waits: dict[str, _Histogram]
    responses: dict[str, _Histogram]
    fed: dict[str, int]
    thresholds: list[int]
    last_event_ms: int
    live: tuple[int, int, int | None, int, int | None]
    balance: int


class _Sums(msgspec.Struct, array_like=True, frozen=True, gc=False):
    counts: list[int]
    waits: dict[int, int]
    abandons: dict[int, int]
    responses: dict[int, int]
    thresholds: dict[int, int]
    segments: dict[str, list[int]]


class _Windows(msgspec.Struct, array_like=True, frozen=True, gc=False):
    key: Key
    windows: dict[str, _Sums]


class _StaffedQueue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    queue: str
    agents: dict[str, int] | None
    changed_ms: int
    door: tuple[Order, bool, int, str] | None
    observed: tuple[Order, int] | None


_encoder: Final = msgspec.msgpack.Encoder()
_head: Final = msgspec.msgpack.Decoder(_Head)
_chunk: Final = msgspec.msgpack.Decoder(_Chunk)
_queues: Final = msgspec.msgpack.Decoder(list[_Queue])
_windows: Final = msgspec.msgpack.Decoder(list[_Windows])
_staffed: Final = msgspec.msgpack.Decoder(list[_StaffedQueue])


class FrameWriter:
    """Turns the frames of one owner of a partition into records, in the order of their serials.

    Args:
        chunk_bytes: no record is longer, unless a single queue is.
    """

    def __init__(self, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._edges: dict[Edges, int] = {}
        self._chunk_bytes = chunk_bytes
        self._versions: dict[str, int] = {}
        self.forget()

    def forget(self) -> None:
        """Some record may not have been written: the next frame is written whole."""
        self._shelves = (
            _Shelf(_QUEUES, self._write_queue, self._chunk_bytes),
            _Shelf(_WINDOWS, _write_windows, self._chunk_bytes),
            _Shelf(_STAFFED, _write_staffed, self._chunk_bytes),
        )

    def records(self, frame: Frame) -> list[tuple[str, bytes | None]]:
        """The end of the key of each record of *frame* with its value, to be written in order.

        The head comes behind the chunks; None behind it is the tombstone of a chunk that is no
        more.
        """
        items: tuple[Mapping[Any, object], ...] = (
            {key: (each.totals, each.live, each.balance) for key, each in frame.queues.items()},
            {key: each.windows for key, each in frame.queues.items()},
            frame.staffed,
        )
        records: list[tuple[str, bytes | None]] = []
        for shelf, of_kind in zip(self._shelves, items, strict=True):
            for suffix, bodies in shelf.put(of_kind):
                raw = [msgspec.Raw(body) for body in bodies]
                chunk = (FORMAT, frame.serial, list(self._edges), raw)
                records.append((suffix, _encoder.encode(chunk)))
                self._versions[suffix] = frame.serial
        named = {suffix for shelf in self._shelves for suffix in shelf.suffixes()}
        gone = self._versions.keys() - named
        self._versions = {name: at for name, at in self._versions.items() if name in named}
        head = _Head(
            FORMAT,
            frame.serial,
            frame.second_ms,
            frame.now_ms,
            frame.tick_ms,
            frame.arrival_ms,
            frame.catching_up,
            frame.is_new,
            frame.next_offset,
            dict(frame.heard_ms),
            sorted(frame.beating),
            self._versions,
            frame.log,
            frame.missing,
        )
        records.append((HEAD, _encoder.encode(head)))
        records += [(suffix, None) for suffix in sorted(gone)]
        return records

    def _write_queue(self, key: Key, item: tuple[Totals, Live, int]) -> bytes:
        totals, live, balance = item
        return _encoder.encode(
            (
                key,
                totals.counters,
                [(*pair, count) for pair, count in totals.corrections.items()],
                self._histograms(totals.waits),
                self._histograms(totals.responses),
                totals.fed,
                sorted(totals.thresholds),
                totals.last_event_ms,
                (
                    live.waiting,
                    live.waiting_past,
                    live.oldest_ms,
                    live.awaiting,
                    live.oldest_awaiting_ms,
                ),
                balance,
            )
        )

    def _histograms(self, histograms: Mapping[str, Histogram]) -> dict[str, object]:
        edges = self._edges
        return {
            name: (
                edges.setdefault(each.edges_ms, len(edges)),
                each.counts if any(each.counts) else (),
                each.sum_ms,
            )
            for name, each in histograms.items()
        }


def _write_windows(key: Key, windows: Mapping[str, Sums]) -> bytes:
    return _encoder.encode(
        (
            key,
            {
                name: (
                    sums.counts,
                    sums.waits,
                    sums.abandons,
                    sums.responses,
                    sums.thresholds,
                    sums.segments,
                )
                for name, sums in windows.items()
            },
        )
    )


def _write_staffed(queue: str, staffed: Staffed) -> bytes:
    door, observed = staffed.door, staffed.observed
    return _encoder.encode(
        (
            queue,
            staffed.agents,
            staffed.changed_ms,
            None if door is None else (door.order, door.is_open, door.since_ms, door.reason),
            None if observed is None else (observed.order, observed.waiting),
        )
    )


class _Shelf:
    """Items of one kind in chunks: each stays in its chunk, unless that grows too large."""

    def __init__(self, kind: str, write: Callable[[Any, Any], bytes], chunk_bytes: int) -> None:
        self._kind = kind
        self._write = write
        self._chunk_bytes = chunk_bytes
        self._items: dict[Any, object] = {}
        self._bodies: dict[Any, bytes] = {}
        self._place: dict[Any, int] = {}
        self._chunks: dict[int, list[Any]] = {}
        self._last = 0

    def suffixes(self) -> set[str]:
        """The chunks there are."""
        return {self._suffix(number) for number in self._chunks}

    def put(self, items: Mapping[Any, object]) -> list[tuple[str, list[bytes]]]:
        """Let *items* be all there is; the chunks that are not as they were, with their bodies."""
        changed: set[int] = set()
        for key in self._items.keys() - items.keys():
            changed.add(self._remove(key))
        for key, item in items.items():
            if key in self._items and self._items[key] == item:
                continue
            self._items[key] = item
            self._bodies[key] = self._write(key, item)
            changed.add(self._place[key] if key in self._place else self._add(key))
        for number in sorted(changed):
            self._split(number, changed)
        return [
            (self._suffix(number), [self._bodies[key] for key in self._chunks[number]])
            for number in sorted(changed)
            if number in self._chunks
        ]

    def _suffix(self, number: int) -> str:
        return f"{self._kind}.{number}"

    def _add(self, key: Any) -> int:  # noqa: ANN401 # of one kind of key
        chunk = self._chunks.get(self._last)
        if chunk is None or len(chunk) >= CHUNK_ITEMS:
            self._last += 1
            chunk = self._chunks[self._last] = []
        chunk.append(key)
        self._place[key] = self._last
        return self._last

    def _remove(self, key: Any) -> int:  # noqa: ANN401 # of one kind of key
        number = self._place.pop(key)
        del self._items[key], self._bodies[key]
        self._chunks[number].remove(key)
        if not self._chunks[number]:
            del self._chunks[number]
        return number

    def _split(self, number: int, changed: set[int]) -> None:
        """Move half of a chunk that is too long to a new one, until none is."""
        chunk = self._chunks.get(number, [])
        size = sum(len(self._bodies[key]) for key in chunk)
        if len(chunk) < 2 or size <= self._chunk_bytes:
            return
        half = len(chunk) // 2
        self._last += 1
        new = self._last
        self._chunks[number], self._chunks[new] = chunk[:half], chunk[half:]
        self._place.update(dict.fromkeys(chunk[half:], new))
        changed.add(new)
        self._split(number, changed)
        self._split(new, changed)


class FrameLog:
    """The frames of one owner of a partition, from its records in the order of the log.

    A record may come again, and one that was lost and sent again may come behind later ones.

    Attributes:
        unusable: records that are no part of a frame that this version can read.
    """

    def __init__(self) -> None:
        self.unusable = 0
        self._heads: dict[int, _Head] = {}
        self._chunks: dict[str, dict[int, _Chunk]] = {}
        self._items: dict[tuple[str, int], Sequence[Any]] = {}
        self._frames: dict[int, Frame] = {}

    def take(self, suffix: str, value: bytes | None) -> None:
        """Take the next record; *suffix* is the end of its key. What it holds is not read yet."""
        if value is None:
            self._chunks.pop(suffix, None)
            return
        try:
            if suffix == HEAD:
                head = _head.decode(value)
                _know(head.format)
                self._heads[head.serial] = head
                _keep_newest(self._heads)
            else:
                chunk = _chunk.decode(value)
                _know(chunk.format)
                versions = self._chunks.setdefault(suffix, {})
                versions[chunk.version] = chunk
                _keep_newest(versions)
        except msgspec.MsgspecError:
            self.unusable += 1

    def frames(self) -> list[Frame]:
        """The newest three complete frames, the oldest first; what is the same is one object."""
        found: dict[int, Frame] = {}
        for serial in sorted(self._heads, reverse=True)[: KEPT + 1]:
            frame = self._frames.get(serial) or self._read(self._heads[serial])
            if frame is not None and len(found) < KEPT:
                found[serial] = frame
        self._frames = found
        named = {
            chunk
            for serial in self._heads
            if serial in found
            for chunk in self._heads[serial].chunks.items()
        }
        self._items = {chunk: items for chunk, items in self._items.items() if chunk in named}
        return [found[serial] for serial in sorted(found)]

    def _read(self, head: _Head) -> Frame | None:
        """The frame of *head*, None while a chunk is missing or if one cannot be read."""
        try:
            items: dict[str, list[Any]] = {kind: [] for kind in _READERS}
            for suffix, version in head.chunks.items():
                found = self._items_of(suffix, version)
                if found is None:
                    return None
                items[suffix.partition(".")[0]] += found
            windows = dict(items[_WINDOWS])
            queues = {
                key: QueueFrame(totals, windows[key], live, balance)
                for key, totals, live, balance in items[_QUEUES]
            }
        except (msgspec.MsgspecError, LookupError, ValueError):
            self.unusable += 1
            del self._heads[head.serial]
            return None
        return Frame(
            serial=head.serial,
            second_ms=head.second_ms,
            now_ms=head.now_ms,
            tick_ms=head.tick_ms,
            arrival_ms=head.arrival_ms,
            catching_up=head.catching_up,
            is_new=head.is_new,
            next_offset=head.next_offset,
            queues=queues,
            staffed=dict(items[_STAFFED]),
            heard_ms=head.heard_ms,
            beating=frozenset(head.beating),
            log=head.log,
            missing=head.missing,
        )

    def _items_of(self, suffix: str, version: int) -> Sequence[Any] | None:
        known = self._items.get((suffix, version))
        if known is None:
            chunk = self._chunks.get(suffix, {}).get(version)
            if chunk is None:
                return None
            known = _READERS[suffix.partition(".")[0]](chunk)
            self._items[suffix, version] = known
        return known


def _know(version: int) -> None:
    if version > FORMAT:
        raise msgspec.ValidationError("a newer format")


V = TypeVar("V")


def _keep_newest(versions: dict[int, V]) -> None:
    """Keep one more than the seconds that are kept: the newest may not be complete yet."""
    if len(versions) > KEPT + 1:
        del versions[min(versions)]


def _read_queues(chunk: _Chunk) -> list[tuple[Key, Totals, Live, int]]:
    empty = [Histogram(edges_ms) for edges_ms in chunk.edges]
    return [
        (
            each.key,
            Totals(
                each.counters,
                {(old, new): count for old, new, count in each.corrections},
                {name: _histogram(histogram, empty) for name, histogram in each.waits.items()},
                {name: _histogram(histogram, empty) for name, histogram in each.responses.items()},
                each.fed,
                frozenset(each.thresholds),
                each.last_event_ms,
            ),
            Live(*each.live),
            each.balance,
        )
        for each in _queues.decode(chunk.items)
    ]


def _histogram(read: _Histogram, empty: Sequence[Histogram]) -> Histogram:
    """The histogram, of several *empty* ones the one with its edges where it has counted none."""
    edges_ms = empty[read.edges].edges_ms
    if not read.counts:
        return empty[read.edges]
    if len(read.counts) != len(edges_ms) + 1:
        raise ValueError("another number of edges")
    histogram = Histogram(edges_ms)
    histogram.counts = read.counts
    histogram.sum_ms = read.sum_ms
    return histogram


def _read_windows(chunk: _Chunk) -> list[tuple[Key, Mapping[str, Sums]]]:
    return [
        (each.key, {name: _sums(sums) for name, sums in each.windows.items()})
        for each in _windows.decode(chunk.items)
    ]


def _sums(read: _Sums) -> Sums:
    if len(read.counts) != WIDTH:
        raise ValueError("another number of counters")
    sums = Sums.__new__(Sums)
    sums.counts = read.counts
    sums.waits = read.waits
    sums.abandons = read.abandons
    sums.responses = read.responses
    sums.thresholds = read.thresholds
    sums.segments = read.segments
    return sums


def _read_staffed(chunk: _Chunk) -> list[tuple[str, Staffed]]:
    return [
        (
            each.queue,
            Staffed(
                each.agents,
                each.changed_ms,
                None if each.door is None else Door(*each.door),
                None if each.observed is None else Observation(*each.observed),
            ),
        )
        for each in _staffed.decode(chunk.items)
    ]


_READERS: Final[Mapping[str, Callable[[_Chunk], list[Any]]]] = {
    _QUEUES: _read_queues,
    _WINDOWS: _read_windows,
    _STAFFED: _read_staffed,
}
