"""What becomes of every kind of record, one outcome each."""

from __future__ import annotations

import gc
import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import REASONS, Decoder, Unreadable, encode
from schemas.events import (
    EVENT_TYPES,
    MAX_INTEGER,
    AgentChanged,
    ContactEvent,
    Event,
    Queued,
    QueueObserved,
    Unknown,
    type_name,
)
from tests.support.wire_examples import ABSENT, QUEUED, QUEUED_MS, a_record, any_event, plain


def decode(raw: bytes | None) -> Event:
    event, _ = Decoder().decode(raw)
    return event


def refusal(raw: bytes | None, max_bytes: int = 262_144) -> Unreadable:
    with pytest.raises(Unreadable) as refused:
        Decoder(max_bytes).decode(raw)
    return refused.value


def reason(raw: bytes | None) -> str:
    return refusal(raw).reason


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


# -- what is read ---------------------------------------------------------------------------


def test_a_record_is_an_event_and_its_moment() -> None:
    event, time_ms = Decoder().decode(a_record())

    assert event == Queued(
        id="pbx-1",
        time="2026-11-24T10:00:03.250+03:00",
        source="pbx",
        contact="call-71",
        queue="sales",
        channel="voice",
    )
    assert time_ms == QUEUED_MS


def test_what_is_not_said_is_empty() -> None:
    event = decode(a_record(queue=ABSENT, channel=ABSENT))

    assert isinstance(event, Queued)
    assert (event.queue, event.channel, event.agent, event.sequence) == ("", "", "", 0)


def test_an_empty_text_is_the_same_as_an_absent_one() -> None:
    assert decode(a_record(queue="")) == decode(a_record(queue=ABSENT))


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=type_name)
def test_a_type_unknown_to_this_version_is_not_one_of(kind: type[Event]) -> None:
    event = decode(a_record(type=f"{type_name(kind)}2"))

    assert isinstance(event, Unknown)
    assert event.type == f"{type_name(kind)}2"


def test_an_unknown_type_needs_no_more_than_what_every_event_has() -> None:
    event, time_ms = Decoder().decode(a_record(type="contact.whispered", contact=ABSENT, queue=7))

    assert event == Unknown(id="pbx-1", type="contact.whispered", time=QUEUED["time"], source="pbx")
    assert time_ms == QUEUED_MS


@pytest.mark.parametrize("field", ["id", "time", "source"])
def test_an_unknown_type_is_refused_without_what_every_event_has(field: str) -> None:
    refused = refusal(a_record(type="contact.whispered", **{field: ABSENT}))

    assert (refused.reason, refused.field) == ("missing_field", field)


def test_the_fields_of_an_unknown_type_are_not_unknown_fields() -> None:
    decoder = Decoder()
    decoder.decode(a_record(type="contact.whispered", vendor="x"))

    assert decoder.unknown_fields == 0


def test_unknown_fields_are_left_out_and_counted() -> None:
    decoder = Decoder()

    event, time_ms = decoder.decode(a_record(vendor={"deep": [1]}, flag=None))

    assert (event, time_ms) == Decoder().decode(a_record())
    assert decoder.unknown_fields == 2


def test_unknown_fields_are_counted_whatever_came_before() -> None:
    decoder = Decoder()
    plain_record, extended = a_record(), a_record(vendor=1)

    for raw in (plain_record, extended, extended, plain_record, plain_record, extended):
        assert decoder.decode(raw) == Decoder().decode(plain_record)

    assert decoder.unknown_fields == 3


def test_a_producer_with_fields_of_its_own_does_not_fail_the_strict_pass_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder = Decoder()
    strict_pass, tried = decoder._decode_strictly, []

    def watched(raw: bytes) -> Event:
        tried.append(raw)
        return strict_pass(raw)

    monkeypatch.setattr(decoder, "_decode_strictly", watched)
    plain_record, extended = a_record(), a_record(vendor=1)
    for raw in (extended, extended, extended, plain_record, plain_record):
        decoder.decode(raw)

    assert tried == [extended, plain_record]


def test_a_field_of_another_type_is_an_unknown_field() -> None:
    decoder = Decoder()
    decoder.decode(a_record(reason="full"))

    assert decoder.unknown_fields == 1


@given(any_event())
def test_unknown_fields_change_nothing_else(event: Event) -> None:
    raw = encode(event)

    assert decode(raw[:-1] + b',"vendor":"x"}') == decode(raw)


@given(any_event(), st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter(event: Event, random: Random) -> None:
    fields = list(plain(event).items())
    random.shuffle(fields)

    assert decode(encode(dict(fields))) == event


def test_of_a_field_given_twice_the_last_one_holds() -> None:
    raw = a_record()[:-1]

    assert decode(raw + b',"queue":"support"}') == decode(a_record(queue="support"))
    assert decode(raw + b',"time":"2026-11-24T10:00:04Z"}').time == "2026-11-24T10:00:04Z"
    assert decode(raw + b',"type":"contact.offered"}') == decode(a_record(type="contact.offered"))
    assert decode(raw[:-1] + b'","id":7,"id":"pbx-2"}').id == "pbx-2"
    assert reason(raw + b',"id":7}') == "wrong_type"


def test_of_an_unknown_type_given_twice_the_last_one_holds() -> None:
    raw = a_record(type="contact.whispered")[:-1]

    assert isinstance(decode(raw + b',"type":"contact.queued"}'), Queued)


@pytest.mark.parametrize("text", ["2", "2.0", "2e0", "0.2e1"])
def test_a_whole_number_is_whole_however_it_is_written(text: str) -> None:
    raw = a_record(type="queue.observed", sequence="@", waiting="@", agents={"available": "@"})

    event = decode(raw.replace(b'"@"', text.encode()))

    assert isinstance(event, QueueObserved)
    assert (event.sequence, event.waiting, event.agents) == (2, 2, {"available": 2})
    assert isinstance(event.sequence, int)


def test_numbers_may_be_as_large_as_they_may_be() -> None:
    assert decode(a_record(sequence=MAX_INTEGER)).sequence == MAX_INTEGER


@pytest.mark.parametrize(
    "text",
    ['"', "\\", "\n", "\r\n", "\x00", "\x7f", "{}=,", "</script>", "\u202e", "\u2028", "🂡", "é"],
)
def test_any_character_may_be_in_a_label(text: str) -> None:
    event = decode(a_record(queue=text, source=text))

    assert isinstance(event, ContactEvent)
    assert (event.queue, event.source) == (text, text)


@pytest.mark.parametrize("field", ["id", "source", "contact", "queue", "channel", "agent"])
def test_a_text_has_at_most_256_characters(field: str) -> None:
    decode(a_record(**{field: "é" * 256}))

    refused = refusal(a_record(**{field: "é" * 257}))

    assert (refused.reason, refused.field) == ("wrong_value", field)


def test_white_space_around_the_object_does_not_matter() -> None:
    assert decode(b" \t\n" + a_record() + b"\r\n") == decode(a_record())


@given(any_event())
def test_what_is_written_reads_back(event: Event) -> None:
    assert decode(encode(event)) == event


def test_what_an_event_leaves_unsaid_is_not_written() -> None:
    event = decode(a_record(queue=""))

    assert json.loads(encode(event)) == {k: v for k, v in QUEUED.items() if k != "queue"}


def test_an_event_is_of_no_use_to_the_garbage_collector() -> None:
    raw = a_record(type="queue.observed", agents={"available": 2})

    assert not gc.is_tracked(decode(raw))


# -- what is not ----------------------------------------------------------------------------


def test_a_tombstone_is_refused() -> None:
    assert reason(None) == "tombstone"


def test_a_record_may_have_as_many_bytes_as_the_limit() -> None:
    raw = a_record()

    assert Decoder(len(raw)).decode(raw)
    assert refusal(raw, len(raw) - 1).reason == "oversize"


def test_the_limit_is_256_kib_unless_said_otherwise() -> None:
    padding = 262_144 - len(a_record())

    assert decode(a_record() + b" " * padding)
    assert reason(a_record() + b" " * (padding + 1)) == "oversize"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(a_record(queue="@").replace(b"@", b"\xff"), id="in a text"),
        pytest.param(a_record(vendor="@").replace(b"@", b"\xc3"), id="in an unknown field"),
        pytest.param(a_record(queue="@").replace(b"queue", b"\xed\xa0\x80"), id="in a name"),
        pytest.param(a_record() + b"\xff", id="after the object"),
        pytest.param(b"\xff\xfe", id="alone"),
        pytest.param(a_record().decode().encode("utf-16"), id="UTF-16"),
    ],
)
def test_invalid_utf8_is_refused_wherever_it_is(raw: bytes) -> None:
    assert reason(raw) == "not_utf8"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b" ", id="white space"),
        pytest.param(a_record()[:-1], id="cut"),
        pytest.param(a_record() + b"{}", id="two objects"),
        pytest.param(a_record()[:-1] + b",}", id="a trailing comma"),
        pytest.param(b"\xef\xbb\xbf" + a_record(), id="a byte order mark"),
        pytest.param(a_record().replace(b'"', b"'"), id="single quotes"),
        pytest.param(a_record(queue="@").replace(b"@", b"\n"), id="a bare line end in a text"),
        pytest.param(a_record(queue="@").replace(b"@", rb"\ud800"), id="a lone surrogate"),
        pytest.param(a_record(queue="@").replace(b"@", rb"\udc00x"), id="a lone low surrogate"),
        pytest.param(a_record(sequence="@").replace(b'"@"', b"NaN"), id="NaN"),
        pytest.param(a_record(vendor="@").replace(b'"@"', b"NaN"), id="NaN in an unknown field"),
        pytest.param(a_record(sequence="@").replace(b'"@"', b"Infinity"), id="Infinity"),
        pytest.param(a_record(sequence="@").replace(b'"@"', b"-Infinity"), id="-Infinity"),
        pytest.param(a_record(sequence="@").replace(b'"@"', b"1e999"), id="beyond a double"),
        pytest.param(a_record(sequence="@").replace(b'"@"', b"9" * 400), id="400 digits"),
        pytest.param(a_record(sequence="@").replace(b'"@"', b"01"), id="a leading zero"),
        pytest.param(a_record().replace(b"{", b"{/**/"), id="a comment"),
    ],
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    assert reason(raw) == "not_json"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(nested(100_000), id="alone"),
        pytest.param(b"[" * 100_000, id="never closed"),
        pytest.param(a_record()[:-1] + b',"vendor":' + nested(100_000) + b"}", id="unknown field"),
        pytest.param(b'{"vendor":' + nested(100_000) + b"," + a_record()[1:], id="before the type"),
        pytest.param(a_record(queue="@").replace(b'"@"', nested(100_000)), id="known field"),
        pytest.param(b'{"a":' * 40_000 + b"1" + b"}" * 40_000, id="objects"),
    ],
)
def test_deep_nesting_is_refused(raw: bytes) -> None:
    assert reason(raw) == "too_deep"


def test_a_thousand_levels_in_an_unknown_field_are_tolerated() -> None:
    assert decode(a_record()[:-1] + b',"vendor":' + nested(1_000) + b"}") == decode(a_record())


@pytest.mark.parametrize("raw", [b"null", b"true", b"7", b'"x"', b"[]", b"[" + a_record() + b"]"])
def test_json_that_is_not_an_object_is_refused(raw: bytes) -> None:
    assert reason(raw) == "not_an_object"


@pytest.mark.parametrize("field", ["id", "type", "time", "source", "contact"])
def test_a_missing_field_is_refused_and_named(field: str) -> None:
    refused = refusal(a_record(**{field: ABSENT}))

    assert (refused.reason, refused.field) == ("missing_field", field)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("contact.refused", "reason"),
        ("contact.replied", "by"),
        ("contact.left", "reason"),
        ("queue.opened", "queue"),
        ("queue.closed", "reason"),
        ("queue.observed", "queue"),
        ("agent.changed", "state"),
        ("followup.due", "followup"),
        ("followup.done", "followup"),
    ],
)
def test_what_a_type_cannot_do_without_is_required(kind: str, field: str) -> None:
    given_fields = {"reason": "fault", "agent": "agent-4", field: ABSENT}

    refused = refusal(a_record(type=kind, **given_fields))

    assert (refused.reason, refused.field) == ("missing_field", field)


@pytest.mark.parametrize("field", ["id", "type", "time", "source", "contact", "queue", "agent"])
@pytest.mark.parametrize("value", [None, True, 7, 0.5, [], {}, ["x"]], ids=repr)
def test_a_text_of_another_json_type_is_refused(field: str, value: object) -> None:
    refused = refusal(a_record(**{field: value}))

    assert (refused.reason, refused.field) == ("wrong_type", field)


@pytest.mark.parametrize("value", [None, True, "7", 0.5, [], {}], ids=repr)
def test_a_whole_number_of_another_json_type_is_refused(value: object) -> None:
    refused = refusal(a_record(sequence=value))

    assert (refused.reason, refused.field) == ("wrong_type", "sequence")


@pytest.mark.parametrize("value", [-1, MAX_INTEGER + 1, 2**64, 10**30, -(10**30), 1e300], ids=repr)
def test_a_number_out_of_range_is_refused(value: object) -> None:
    refused = refusal(a_record(sequence=value))

    assert (refused.reason, refused.field) == ("wrong_value", "sequence")


@pytest.mark.parametrize(("value", "outcome"), [("45", "wrong_type"), (-0.001, "wrong_value")])
def test_a_wait_announced_is_a_number_of_seconds(value: object, outcome: str) -> None:
    refused = refusal(a_record(announced_wait_s=value))

    assert (refused.reason, refused.field) == (outcome, "announced_wait_s")


@pytest.mark.parametrize("field", ["id", "type", "source", "contact"])
def test_what_is_required_is_not_empty(field: str) -> None:
    refused = refusal(a_record(**{field: ""}))

    assert (refused.reason, refused.field) == ("wrong_value", field)


def test_the_name_of_an_unknown_type_is_bounded() -> None:
    refused = refusal(a_record(type="x" * 257))

    assert (refused.reason, refused.field) == ("wrong_value", "type")


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("contact.refused", "reason"),
        ("contact.replied", "by"),
        ("contact.transferred", "mode"),
        ("contact.left", "reason"),
        ("contact.ended", "by"),
        ("queue.closed", "reason"),
        ("agent.changed", "state"),
    ],
)
def test_a_word_that_is_not_one_of_those_allowed_is_refused(kind: str, field: str) -> None:
    refused = refusal(a_record(type=kind, agent="agent-4", **{field: "elsewhere"}))

    assert (refused.reason, refused.field) == ("wrong_value", field)


def test_a_word_that_reads_like_an_error_is_only_a_wrong_word() -> None:
    assert (
        reason(a_record(type="contact.left", reason="Expected `str`, got `int`")) == "wrong_value"
    )


def test_an_observation_counts_at_most_32_states() -> None:
    states = {f"state-{number}": number for number in range(33)}
    fewer = dict(list(states.items())[:32])

    event = decode(a_record(type="queue.observed", agents=fewer))
    refused = refusal(a_record(type="queue.observed", agents=states))

    assert isinstance(event, QueueObserved)
    assert event.agents == fewer
    assert (refused.reason, refused.field) == ("wrong_value", "agents")


def objects_in_objects(levels: int) -> dict[str, object]:
    inner: dict[str, object] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("agents", "outcome"),
    [
        ([], "wrong_type"),
        ({"available": "2"}, "wrong_type"),
        ({"available": {}}, "wrong_type"),
        (objects_in_objects(900), "wrong_type"),
        ({"available": -1}, "wrong_value"),
        ({"": 1}, "wrong_value"),
        ({"x" * 257: 1}, "wrong_value"),
    ],
    ids=["a list", "a text", "an object", "900 objects", "negative", "no name", "a long name"],
)
def test_agents_by_state_are_counts_by_name(agents: object, outcome: str) -> None:
    refused = refusal(a_record(type="queue.observed", agents=agents))

    assert (refused.reason, refused.field) == (outcome, "agents")


def test_an_agent_serves_at_most_256_queues() -> None:
    queues = [f"queue-{number}" for number in range(257)]

    event = decode(a_record(type="agent.changed", agent="a", state="available", queues=queues[1:]))
    refused = refusal(a_record(type="agent.changed", agent="a", state="available", queues=queues))

    assert isinstance(event, AgentChanged)
    assert event.queues == tuple(queues[1:])
    assert (refused.reason, refused.field) == ("wrong_value", "queues")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("yesterday", id="words"),
        pytest.param("2026-11-24T10:00:03", id="no offset"),
        pytest.param("0000-01-01T00:00:00Z", id="year 0"),
        pytest.param("2026-11-24T24:00:00Z", id="hour 24"),
        pytest.param("2026-11-24T10:00:60Z", id="second 60 at ten"),
        pytest.param("2026-11-24T10:00:03+24:00", id="offset of a day"),
        pytest.param(f"2026-11-24T10:00:03.{'1' * 44}Z", id="65 characters"),
        pytest.param("x" * 100_000, id="100,000 characters"),
    ],
)
@pytest.mark.parametrize("kind", ["contact.queued", "contact.whispered"])
def test_a_bad_time_is_refused(kind: str, text: str) -> None:
    refused = refusal(a_record(type=kind, time=text))

    assert (refused.reason, refused.field) == ("bad_time", "time")


def test_a_leap_second_is_the_first_instant_of_the_next_minute() -> None:
    _, leap_ms = Decoder().decode(a_record(time="2016-12-31T23:59:60Z"))
    _, next_ms = Decoder().decode(a_record(time="2017-01-01T00:00:00Z"))

    assert leap_ms == next_ms


def test_the_year_9999_is_read() -> None:
    _, time_ms = Decoder().decode(a_record(time="9999-12-31T23:59:59.999Z"))

    assert time_ms == 253_402_300_799_999


# -- what is said of it ---------------------------------------------------------------------


def test_a_refusal_says_reason_field_and_size() -> None:
    raw = a_record(sequence="7")

    assert str(refusal(raw)) == f"wrong_type in field 'sequence' (record of {len(raw)} bytes)"
    assert str(refusal(b"{")) == "not_json (record of 1 bytes)"


@pytest.mark.parametrize(
    "raw",
    [
        a_record(contact=ABSENT, customer="x4912345"),
        a_record(type="contact.left", reason="x4912345"),
        a_record(type="contact.left", reason="x - at `$.x4912345`"),
        a_record(type="contact.left", reason="Object missing required field `x4912345`"),
        a_record(type="queue.observed", agents={"x4912345": "2"}),
        a_record(time="x4912345"),
        a_record(**{"x4912345": 1}, id=7),
        a_record(queue="x4912345")[:-1],
        a_record(queue="x4912345") + b"\xff",
    ],
)
def test_a_refusal_repeats_nothing_of_the_record(raw: bytes) -> None:
    refused = refusal(raw)

    assert "4912345" not in str(refused)
    assert "4912345" not in refused.field
    assert refused.__cause__ is None


def test_a_refused_record_leaves_the_decoder_as_it_was() -> None:
    decoder = Decoder()
    for raw in (None, b"", a_record(id=""), a_record(vendor=1, id="")):
        with pytest.raises(Unreadable):
            decoder.decode(raw)

    assert decoder.unknown_fields == 0
    assert decoder.decode(a_record()) == Decoder().decode(a_record())


def test_every_reason_is_one_of_these() -> None:
    assert set(REASONS) == {
        "tombstone",
        "oversize",
        "not_utf8",
        "not_json",
        "too_deep",
        "not_an_object",
        "missing_field",
        "wrong_type",
        "wrong_value",
        "bad_time",
    }
