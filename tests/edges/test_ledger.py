"""Which snapshot of a partition counts, whatever else stands on the state topic."""

from zlib import crc32

import msgspec
import pytest

from streams.ledger import (
    FORMAT,
    NOTHING_MISSED,
    Ledger,
    Manifest,
    Missed,
    PartName,
    StateUnusable,
    claim_key,
    manifest_key,
    of_partitions,
    part_key,
    read_key,
    write_manifest,
)
from streams.reader import TP

CALLS = TP("calls.eu-1", 3)
Written = tuple[bytes, bytes | None]


def claim(epoch: int, member: str = "ann") -> Written:
    return claim_key(CALLS, epoch, member), member.encode()


def part(epoch: int, serial: int, body: bytes | None = b"body") -> Written:
    return part_key(CALLS, epoch, serial), body


def manifest(
    epoch: int,
    offset: int,
    *serials: int,
    body: bytes = b"body",
    format: int = FORMAT,
    serial: int = 100,
) -> Written:
    table = Manifest(
        format=format,
        epoch=epoch,
        offset=offset,
        cut_ms=0,
        partitions=4,
        rejected={"future": 2},
        parts=[PartName(f"p-{serial}", serial, crc32(body)) for serial in serials],
    )
    return manifest_key(CALLS, epoch, serial), write_manifest(table)


def ledger(*records: Written) -> Ledger:
    taken = Ledger()
    of_partitions(records, {CALLS: taken})
    return taken


def offset_of(*records: Written) -> int | None:
    found = ledger(*records).newest()
    return None if found is None else found.manifest.offset


def test_the_newest_complete_snapshot_counts() -> None:
    records = (claim(1), part(1, 1), manifest(1, 10, 1), part(1, 2), manifest(1, 20, 1, 2))

    found = ledger(*records).newest()

    assert found is not None
    assert (found.manifest.offset, found.manifest.rejected) == (20, {"future": 2})
    assert found.parts == {"p-1": b"body", "p-2": b"body"}


def test_a_partition_without_a_snapshot_has_none() -> None:
    assert offset_of() is None
    assert offset_of(claim(1), part(1, 1)) is None


@pytest.mark.parametrize(
    ("records", "offset"),
    [
        ((claim(1), claim(2, "ben"), part(1, 1), manifest(1, 77, 1)), 77),
        ((claim(1), part(1, 1), (manifest_key(CALLS, 1, 2), None)), 0),
        ((claim(1), part(1, 3), part(1, 4)), 0),
    ],
    ids=["its manifest stands behind a later claim", "it was removed", "its first parts were"],
)
def test_a_snapshot_of_which_nothing_counts_is_missing(
    records: tuple[Written, ...], offset: int
) -> None:
    with pytest.raises(StateUnusable, match="no manifest that counts") as unusable:
        offset_of(*records)

    assert (unusable.value.reason, unusable.value.offset) == ("missing", offset)


@pytest.mark.parametrize(
    "records",
    [(claim(1), part(1, 1), part(1, 2)), (claim(1), claim(2, "ben"))],
    ids=["a first one was begun", "nobody began one"],
)
def test_a_snapshot_that_there_never_was_is_not_missing(records: tuple[Written, ...]) -> None:
    assert offset_of(*records) is None


def test_parts_without_a_manifest_behind_them_are_none() -> None:
    assert offset_of(claim(1), part(1, 1), manifest(1, 10, 1), part(1, 2)) == 10


def test_where_a_part_is_gone_the_snapshot_before_counts() -> None:
    before = (claim(1), part(1, 1), manifest(1, 10, 1), part(1, 2), manifest(1, 20, 2))

    assert offset_of(*before, part(1, 2, None)) == 10
    assert offset_of(*before, part(1, 2, b"other")) == 10


def test_the_first_claim_of_an_epoch_wins_it() -> None:
    both = ledger(claim(1, "ann"), claim(2, "ben"), claim(2, "ann"))

    assert (both.epoch, both.owner) == (2, "ben")


@pytest.mark.parametrize(
    "late",
    [
        (part(1, 2), manifest(1, 99, 2)),
        (part(1, 1, None),),
        (part(1, 1, b"other"),),
        ((manifest_key(CALLS, 1, 1), None),),
    ],
    ids=["snapshot", "part removed", "part written over", "manifest removed"],
)
def test_whoever_was_replaced_changes_nothing_any_more(late: tuple[Written, ...]) -> None:
    before = (claim(1), part(1, 1), manifest(1, 10, 1), claim(2, "ben"))

    assert offset_of(*before, *late) == 10


def compacted(*records: Written) -> list[Written]:
    """What compaction leaves: of each key the last, where it stands."""
    last = {key: number for number, (key, _) in enumerate(records)}
    return [
        (key, value)
        for number, (key, value) in enumerate(records)
        if last[key] == number and value is not None
    ]


def test_a_manifest_delivered_late_behind_the_next_claim_replaces_nothing() -> None:
    before = (claim(1), part(1, 1), manifest(1, 10, 1, serial=2), part(1, 3))
    late = manifest(1, 20, 3, serial=4)

    assert offset_of(*compacted(*before, claim(2, "ben"), late)) == 10
    assert offset_of(*compacted(*before, late, claim(2, "ben"))) == 20


def test_of_two_manifests_of_an_epoch_the_one_of_the_higher_serial_is_the_newer() -> None:
    parts = (part(1, 1), part(1, 3))
    newer, older = manifest(1, 110, 3, serial=12), manifest(1, 20, 1, serial=4)

    assert offset_of(claim(1), *parts, newer, older) == 110


def test_a_manifest_of_before_they_had_serials_is_read_and_is_older_than_any_with_one() -> None:
    _, body = manifest(1, 10, 1)
    plain = b"calls.eu-1/3/1/manifest"

    assert offset_of(claim(1), part(1, 1), (plain, body)) == 10
    assert offset_of(claim(1), part(1, 1), manifest(1, 20, 1, serial=2), (plain, body)) == 20


def test_a_new_owner_s_snapshot_counts_from_its_manifest_on() -> None:
    before = (claim(1), part(1, 1), manifest(1, 10, 1), claim(2, "ben"), part(2, 1))

    assert offset_of(*before) == 10
    assert offset_of(*before, manifest(2, 30, 1)) == 30
    assert offset_of(*before, manifest(2, 30, 1), part(1, 1, None)) == 30


@pytest.mark.parametrize(
    ("torn", "why"),
    [
        ((part(1, 1), manifest(1, 10, 1, 2)), "a part is missing"),
        ((part(1, 1, b"bodx"), manifest(1, 10, 1)), "a part is damaged"),
        ((part(1, 1), manifest(1, 10, 1, format=FORMAT + 1)), "its format 2 is newer than 1"),
        ((part(1, 1), (manifest_key(CALLS, 1, 1), b"torn")), "its manifest is damaged"),
        ((part(1, 1), (manifest_key(CALLS, 1, 1), b"")), "its manifest is damaged"),
    ],
)
def test_what_cannot_be_used_says_why(torn: tuple[Written, ...], why: str) -> None:
    with pytest.raises(StateUnusable, match=why):
        ledger(claim(1), *torn).newest()


def test_a_manifest_of_before_logs_had_names_is_read() -> None:
    told = {"format": 1, "epoch": 1, "offset": 42, "cut_ms": 0, "partitions": 4}
    body = msgspec.msgpack.encode({**told, "rejected": {}, "parts": []})
    written = crc32(body).to_bytes(4, "big") + body

    found = ledger(claim(1), (manifest_key(CALLS, 1, 1), written)).newest()

    assert found is not None
    assert (found.manifest.offset, found.manifest.log) == (42, "")
    assert found.manifest.missed == NOTHING_MISSED


def test_a_manifest_of_a_later_version_that_says_more_is_read() -> None:
    table = msgspec.to_builtins(
        Manifest(epoch=1, offset=42, cut_ms=0, partitions=4, rejected={}, parts=[])
    )
    body = msgspec.msgpack.encode({**table, "of_later": 1, "missed": [1, 2, 3, 4, 5]})
    written = crc32(body).to_bytes(4, "big") + body

    found = ledger(claim(1), (manifest_key(CALLS, 1, 1), written)).newest()

    assert found is not None
    assert found.manifest.missed == Missed(1, 2, 3, 4)


def test_a_manifest_of_no_known_shape_cannot_be_used() -> None:
    body = msgspec.msgpack.encode({"format": 1, "epoch": "one"})
    written = crc32(body).to_bytes(4, "big") + body

    with pytest.raises(StateUnusable, match="cannot be read"):
        ledger(claim(1), (manifest_key(CALLS, 1, 1), written)).newest()


def test_every_key_that_has_a_value_is_known_whoever_wrote_it() -> None:
    taken = ledger(claim(1), part(1, 1), claim(2, "ben"), part(1, 2), part(1, 1, None))

    assert taken.keys() == {claim(1)[0], claim(2, "ben")[0], part(1, 2)[0]}


def test_records_go_to_their_own_partition() -> None:
    other = TP("calls.eu-1", 30)
    ledgers = {CALLS: Ledger(), other: Ledger()}

    of_partitions([claim(1), (claim_key(other, 7, "eve"), b"eve"), (None, b"x")], ledgers)

    assert (ledgers[CALLS].epoch, ledgers[other].epoch) == (1, 7)


@pytest.mark.parametrize(
    "key",
    [
        *(b"", b"calls", b"calls/3", b"calls/x/1/claim/ann", b"\xff/\xff", b"calls/3/1/claim"),
        *(b"calls/3/1/part/x", b"calls/3/1/part", b"calls/3/1/other/2", b"calls/3/-1/manifest"),
        *(b"calls/3/1/manifest/x", b"calls/3/1/manifest/"),
    ],
)
def test_what_is_no_key_of_a_state_is_none(key: bytes) -> None:
    assert read_key(key) is None
    of_partitions([(key, b"value")], {CALLS: Ledger()})
