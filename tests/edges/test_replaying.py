"""What `replay` sends, before Kafka comes into it."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path

from schemas.instants import read_instant, write_instant
from streams.replay import Recording, shifted, stamped, up_to
from streams.sources.recorded import Recorded
from tests.support.wire_examples import a_record

T = read_instant("2026-11-24T10:00:00Z")


def at(time_ms: int | None, value: bytes = b"{}") -> Recorded:
    """A record of that time; None is one that cannot be read."""
    return Recorded(time_ms, "calls", b"call-1", value, 1)


def times(records: list[Recorded]) -> list[int | None]:
    return [record.time_ms for record in records]


def test_a_record_arrives_at_the_highest_event_time_so_far() -> None:
    records = [at(T), at(T + 5), at(T - 60), at(T + 5), at(T + 6)]

    arrivals = [arrival_ms for arrival_ms, _ in stamped(records)]

    assert arrivals == [T, T + 5, T + 5, T + 5, T + 6]


def test_a_record_that_cannot_be_read_arrives_with_the_one_before_it() -> None:
    arrivals = [arrival_ms for arrival_ms, _ in stamped([at(None), at(T), at(None), at(T + 5)])]

    assert arrivals == [0, T, T, T + 5]


def test_until_takes_every_event_up_to_its_instant_wherever_it_stands() -> None:
    records = [at(T - 1), at(T + 1), at(T), at(T + 1), at(T - 2)]

    assert times(list(up_to(records, T)))[:-1] == [T - 1, T, T - 2]


def test_until_leaves_out_the_unreadable_among_what_comes_later() -> None:
    records = [at(T), at(None, b"before"), at(T + 1), at(None, b"after")]

    assert [record.value for record in up_to(records, T)][1:-1] == [b"before"]


def test_until_ends_with_one_heartbeat_of_its_instant_for_every_partition() -> None:
    *_, last = up_to([at(T - 5)], T)

    assert (last.topic, last.key, last.time_ms) == (None, None, T)
    beat = json.loads(last.value)
    assert (beat["type"], beat["source"]) == ("source.alive", "replay")
    assert read_instant(beat["time"]) == T


def test_a_shift_moves_the_field_time_and_nothing_else() -> None:
    event = a_record(time=write_instant(T), note="kept as it is")

    (moved,) = shifted([at(T, event)], lambda first_ms: 250)

    assert moved.time_ms == T + 250
    fields = json.loads(moved.value)
    assert read_instant(fields.pop("time")) == T + 250
    assert fields.items() == {k: v for k, v in json.loads(event).items() if k != "time"}.items()


def test_a_shift_is_found_once_from_the_first_event_in_the_file() -> None:
    asked = []

    def shift(first_ms: int) -> int:
        asked.append(first_ms)
        return 1_000

    moved = list(shifted([at(None), at(T + 5), at(T), at(T + 7)], shift))

    assert asked == [T + 5]
    assert times(moved) == [None, T + 1_005, T + 1_000, T + 1_007]


def test_the_unreadable_are_counted_with_the_place_of_the_first(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_bytes(a_record() + b"\n")
    second.write_bytes(a_record() + b"\nnonsense\nworse\n")
    recording = Recording([str(first), str(second)], "canonical", UTC)

    assert len(list(recording.records())) == 4

    assert recording.unreadable == 2
    assert recording.first_unreadable == f"{second}:2"


def test_the_last_event_is_the_latest_one_up_to_an_instant(tmp_path: Path) -> None:
    path = tmp_path / "shuffled.jsonl"
    lines = [a_record(time=write_instant(T + offset)) for offset in (3, 9, 1)]
    path.write_bytes(b"\n".join(lines))
    recording = Recording([str(path)], "canonical", UTC)

    assert recording.last_ms(None) == T + 9
    assert recording.last_ms(T + 8) == T + 3
    assert recording.last_ms(T) is None
