"""What the state topic says of one partition: who owned it, and its newest complete snapshot.

A snapshot is a manifest and the parts that it names, one cut at one source offset. Keys carry the
epoch of the owner who wrote them, and no key is ever used for anything else:

    TOPIC/PARTITION/EPOCH/claim/MEMBER       somebody owns the partition from here on
    TOPIC/PARTITION/EPOCH/part/SERIAL        a part
    TOPIC/PARTITION/EPOCH/manifest/SERIAL    names parts; written when they are acknowledged

The first claim of an epoch in the log wins it. Behind a claim, whatever an earlier owner writes is
ignored: it was frozen or cut off and does not know yet. A manifest that is delivered there, late,
replaces nothing, since its key is its own; those of earlier versions have no serial. Kafka's group
generations do not serve for this, since a static member that comes back keeps its own.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from streams.reader import TP

FORMAT: Final = 1
"""Of manifests; parts have one of their own."""

FALLEN_BACK: Final = "#"
"""Ends a topic's id in the name of a log; behind it, how often its offsets have fallen back."""

_CLAIM: Final = "claim"
_PART: Final = "part"
_MANIFEST: Final = "manifest"
_KEY: Final = re.compile(
    r"([A-Za-z0-9._-]+)/(\d+)/(\d+)/"
    r"(manifest(?=$|/\d+$)|part(?=/\d+$)|claim(?=/.))(?:/(.+))?"
)


class StateUnusable(Exception):
    """A snapshot cannot be used; the text says why, without any content.

    Attributes:
        reason: `missing`, `damaged` or `newer`.
        offset: up to which its source had been read, as far as is known.
    """

    def __init__(self, reason: str, text: str, offset: int = 0) -> None:
        super().__init__(text)
        self.reason = reason
        self.offset = offset


class PartName(msgspec.Struct, frozen=True, array_like=True):
    """Where a part stands and what it must be.

    Attributes:
        name: what the core calls it.
        serial: the number in its key.
        crc32: checksum of its body.
    """

    name: str
    serial: int
    crc32: int


NOT_YET: Final = 1 << 62
"""Where an instant is to come of which nothing is known. Manifests have it, so it stays."""


class Missed(msgspec.Struct, frozen=True, array_like=True):
    """What of a partition was gone before it was read.

    Attributes:
        records: how many records, as far as is known.
        logs: how often its topic was deleted and created again.
        since_ms: timestamp of the last record before the newest gap, where none is known of the
            first one behind it; 0 before any gap.
        until_ms: of the first one behind it; `NOT_YET` while there is none.
    """

    records: int = 0
    logs: int = 0
    since_ms: int = 0
    until_ms: int = 0


NOTHING_MISSED: Final = Missed()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot's table of contents.

    Attributes:
        format: of this table.
        epoch: of its owner.
        offset: the source offset of the cut: the next record that is not in it.
        cut_ms: wall clock of the cut, epoch ms; nothing is decided by it.
        partitions: how many partitions the source topic had.
        rejected: records rejected up to the cut, by reason.
        parts: all that the state consists of.
        log: in which *offset* lies: the id of the source topic, with `#` and a number behind it
            where offsets of that topic have fallen back; empty while nobody knows.
        unread: records of the source known to lie behind the cut, unread.
        missed: what was gone before it was read.
    """

    format: int = FORMAT
    epoch: int
    offset: int
    cut_ms: int
    partitions: int
    rejected: dict[str, int]
    parts: list[PartName]
    log: str = ""
    unread: int = 0
    missed: Missed = NOTHING_MISSED


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A complete snapshot as it was found: *parts* by name, for whoever wants to take them out."""

    manifest: Manifest
    parts: dict[str, bytes]


def claim_key(tp: TP, epoch: int, member: str) -> bytes:
    """The key of *member*'s claim of *epoch*."""
    return f"{tp.topic}/{tp.partition}/{epoch}/{_CLAIM}/{member}".encode()


def part_key(tp: TP, epoch: int, serial: int) -> bytes:
    """The key of a part."""
    return f"{tp.topic}/{tp.partition}/{epoch}/{_PART}/{serial}".encode()


def manifest_key(tp: TP, epoch: int, serial: int) -> bytes:
    """The key of a manifest."""
    return f"{tp.topic}/{tp.partition}/{epoch}/{_MANIFEST}/{serial}".encode()


class Key(NamedTuple):
    """A key of the state topic: *which* is the member of a claim, or the serial of the others."""

    tp: TP
    epoch: int
    kind: str
    which: str


def read_key(key: bytes) -> Key | None:
    """What *key* says, or None where it is no key of a state."""
    found = _KEY.fullmatch(key.decode(errors="replace"))
    if found is None:
        return None
    topic, partition, epoch, kind, which = found.groups(default="")
    return Key(TP(topic, int(partition)), int(epoch), kind, which)


_Part = tuple[bytes, int]
"""Its body and the checksum of that, taken part by part: of all together it takes its time."""


class Ledger:
    """The state topic's records of one partition, taken in the order of the log.

    Attributes:
        epoch: the highest epoch that was claimed; 0 before any claim.
        owner: who claimed it first.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.owner = ""
        self._keys: set[bytes] = set()
        self._parts: dict[tuple[int, int], _Part] = {}
        self._manifests: list[tuple[int, int, bytes]] = []
        self._ignored: bytes | None = None
        self._had_manifests = False

    def take(self, key: Key, raw_key: bytes, value: bytes | None) -> None:
        """Take the next record; one of an owner who has been replaced changes nothing."""
        _, epoch, kind, which = key
        if value is None:
            self._keys.discard(raw_key)
        else:
            self._keys.add(raw_key)
        if kind == _CLAIM:
            if value is not None and epoch > self.epoch:
                self.epoch = epoch
                self.owner = which
            return
        self._had_manifests |= kind == _MANIFEST
        if epoch < self.epoch:
            if kind == _MANIFEST and value is not None:
                self._ignored = value
            return
        if kind == _MANIFEST:
            if value is not None:
                self._manifests.append((epoch, int(which or 0), value))
            return
        if value is None:
            self._parts.pop((epoch, int(which)), None)
        else:
            self._parts[epoch, int(which)] = (value, crc32(value))

    def keys(self) -> frozenset[bytes]:
        """Every key that has a value, of whichever owner."""
        return frozenset(self._keys)

    def newest(self) -> Snapshot | None:
        """The newest complete snapshot; None where there never was any.

        An owner who has claimed the partition, or begun a first snapshot, has left none.

        Raises:
            StateUnusable: there was one, and none can be used.
        """
        problem: StateUnusable | None = None
        by_age = sorted(self._manifests, key=lambda each: each[:2])
        for epoch, _, body in reversed(by_age):
            try:
                return self._complete(epoch, body)
            except StateUnusable as unusable:
                problem = problem or unusable
        if problem is not None:
            raise problem
        if self._had_manifests or self._has_lost_parts():
            raise StateUnusable(
                "missing", "no manifest that counts is left", _offset_of(self._ignored)
            )
        return None

    def _has_lost_parts(self) -> bool:
        """Whether there are parts whose first ones were removed: behind a manifest, always."""
        firsts: dict[int, int] = {}
        for epoch, serial in self._parts:
            firsts[epoch] = min(serial, firsts.get(epoch, serial))
        return any(first > 1 for first in firsts.values())

    def _complete(self, epoch: int, body: bytes) -> Snapshot:
        manifest = _read_manifest(body)
        parts = {}
        for part in manifest.parts:
            found = self._parts.get((epoch, part.serial))
            if found is None:
                raise StateUnusable("missing", "a part is missing", manifest.offset)
            body, checksum = found
            if checksum != part.crc32:
                raise StateUnusable("damaged", "a part is damaged", manifest.offset)
            parts[part.name] = body
        return Snapshot(manifest, parts)


def write_manifest(manifest: Manifest) -> bytes:
    """The value of a manifest's record, with its checksum in front."""
    body = msgspec.msgpack.encode(manifest)
    return crc32(body).to_bytes(4, "big") + body


def _read_manifest(value: bytes) -> Manifest:
    body = value[4:]
    if value[:4] != crc32(body).to_bytes(4, "big"):
        raise StateUnusable("damaged", "its manifest is damaged")
    try:
        version = msgspec.msgpack.decode(body, type=_Versioned).format
        if version > FORMAT:
            raise StateUnusable(
                "newer", f"its format {version} is newer than {FORMAT}, the newest known"
            )
        return msgspec.msgpack.decode(body, type=Manifest)
    except msgspec.MsgspecError as unreadable:
        raise StateUnusable("damaged", "its manifest cannot be read") from unreadable


def _offset_of(value: bytes | None) -> int:
    """The offset that a manifest names; 0 where nobody can say."""
    try:
        return 0 if value is None else _read_manifest(value).offset
    except StateUnusable:
        return 0


class _Versioned(msgspec.Struct, frozen=True):
    format: int


def of_partitions(
    records: Iterable[tuple[bytes | None, bytes | None]], ledgers: Mapping[TP, Ledger]
) -> None:
    """Give each of *records* (key, value) to the ledger of its partition, where there is one."""
    for raw_key, value in records:
        key = read_key(raw_key or b"")
        ledger = ledgers.get(key.tp) if key is not None else None
        if key is not None and ledger is not None:
            ledger.take(key, raw_key or b"", value)
