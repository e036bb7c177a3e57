"""Whatever bytes come, the outcome is an event or one of the stated refusals."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import REASONS, Decoder, Unreadable, encode
from schemas.events import EVENT_TYPES, Event
from tests.support.wire_examples import any_event, any_json

FIELDS = {"type", *(field for kind in EVENT_TYPES for field in kind.__struct_fields__)}
REFUSAL = re.compile(r"(\w+)(?: in field '(\w+)')? \(record of \d+ bytes\)")
FRAGMENTS = st.binary(max_size=4) | st.sampled_from(
    [
        *(b"{", b"}", b"[", b'"', b",", b":", b"\\", b"\\u", b"\\ud800"),
        *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
        *(b"null", b"NaN", b"-", b"1e9", b'"type":', b'"id":"",'),
    ]
)


def outcome(decoder: Decoder, raw: bytes) -> tuple[Event, int] | str:
    try:
        return decoder.decode(raw)
    except Unreadable as refused:
        said = REFUSAL.fullmatch(str(refused))
        assert said is not None
        assert said[1] in REASONS
        assert said[2] is None or said[2] in FIELDS
        return refused.reason


def assert_one_outcome(raw: bytes) -> None:
    """The same event or refusal, whether the strict pass goes first or the careful one."""
    fresh, wary = Decoder(), Decoder()
    wary.decode(
        b'{"type":"source.alive","id":"1","time":"2026-11-24T10:00:03Z","source":"s","vendor":1}'
    )

    assert outcome(fresh, raw) == outcome(wary, raw)


@given(st.binary(max_size=200))
def test_random_bytes(raw: bytes) -> None:
    assert_one_outcome(raw)


@given(st.recursive(any_json(), lambda inner: st.dictionaries(st.text(max_size=6), inner)))
def test_random_json(value: object) -> None:
    assert_one_outcome(json.dumps(value).encode())


@given(any_event(), st.data())
def test_damaged_events(event: Event, data: st.DataObject) -> None:
    raw = encode(event)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        stop = data.draw(st.integers(start, min(start + 6, len(raw))))
        raw = raw[:start] + data.draw(FRAGMENTS) + raw[stop:]

    assert_one_outcome(raw)


@given(any_event(), any_event(), st.data())
def test_events_spliced_into_each_other(one: Event, other: Event, data: st.DataObject) -> None:
    first, second = encode(one), encode(other)
    cut = data.draw(st.integers(0, len(first)))
    start = data.draw(st.integers(0, len(second)))

    assert_one_outcome(first[:cut] + second[start:])


@given(st.lists(any_event(), min_size=2, max_size=2))
def test_an_object_with_every_field_twice(events: list[Event]) -> None:
    one, other = (encode(event) for event in events)

    assert_one_outcome(one[:-1] + b"," + other[1:])
