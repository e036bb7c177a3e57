"""The generated documents say what the decoder does."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from schemas import generate
from schemas.codec import REASONS, Decoder, Unreadable, encode
from schemas.events import EVENT_TYPES, RANK, Event, Unknown, type_name
from tests.support.wire_examples import any_event, any_json, plain

SCHEMAS = Path(generate.__file__).parent
ASYNCAPI = json.loads((SCHEMAS / "asyncapi.json").read_text())
ASYNCAPI_SCHEMA = Path(__file__).parents[1] / "data" / "asyncapi-3.0.0.schema.json"


@cache
def validator(kind: type[Event]) -> Draft202012Validator:
    text = (SCHEMAS / "generated" / f"{type_name(kind)}.json").read_text()
    return Draft202012Validator(json.loads(text))


def resolved(reference: str) -> dict[str, Any]:
    assert reference.startswith("#/")
    place: dict[str, Any] = ASYNCAPI
    for step in reference[2:].split("/"):
        place = place[step]
    return place


def references(place: object) -> Iterator[str]:
    if isinstance(place, dict):
        if "$ref" in place:
            yield place["$ref"]
        for inner in place.values():
            yield from references(inner)
    elif isinstance(place, list):
        for inner in place:
            yield from references(inner)


# -- drift ----------------------------------------------------------------------------------


def test_the_files_are_what_the_structs_make_them() -> None:
    assert generate.drift() == []
    assert generate.main(["--check"]) == 0


def test_every_kind_of_drift_is_found_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.write(tmp_path)
    generated = tmp_path / "generated"
    (generated / "contact.queued.json").write_text("{}")
    (generated / "contact.gone.json").write_text("{}")
    (generated / "contact.left.json").unlink()
    (tmp_path / "asyncapi.json").unlink()
    drifted = [
        "asyncapi.json",
        "generated/contact.gone.json",
        "generated/contact.left.json",
        "generated/contact.queued.json",
    ]

    assert generate.drift(tmp_path) == drifted
    monkeypatch.setattr(generate, "drift", lambda: drifted)
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err.count("is not what") == 4

    monkeypatch.undo()
    generate.write(tmp_path)
    assert generate.drift(tmp_path) == []


# -- JSON Schema ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=type_name)
def test_each_file_is_a_json_schema_with_every_field_explained(kind: type[Event]) -> None:
    schema = validator(kind).schema
    assert isinstance(schema, dict)

    Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(type_name(kind))
    assert schema["description"].endswith(".")
    for field in schema["properties"].values():
        assert field["description"].endswith(".")


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=type_name)
def test_each_type_has_an_example_that_can_be_read(kind: type[Event]) -> None:
    schema = validator(kind).schema
    assert isinstance(schema, dict)

    (example,) = schema["examples"]

    validator(kind).validate(example)
    decoder = Decoder()
    event, _ = decoder.decode(encode(example))
    assert type(event) is kind
    assert decoder.unknown_fields == 0


@given(any_event())
def test_what_is_written_is_what_the_schema_says(event: Event) -> None:
    validator(type(event)).validate(json.loads(encode(event)))


@given(any_event(), st.data())
def test_the_decoder_and_the_schema_accept_the_same(event: Event, data: st.DataObject) -> None:
    fields = plain(event)
    for _ in range(data.draw(st.integers(1, 2))):
        field = data.draw(st.sampled_from([*type(event).__struct_fields__, "vendor"]))
        if data.draw(st.booleans()):
            fields.pop(field, None)
        else:
            fields[field] = data.draw(any_json())
    refusal = ""

    try:
        Decoder().decode(json.dumps(fields).encode())
    except Unreadable as error:
        refusal = error.reason

    # No pattern knows the length of months, so only the decoder refuses some times.
    assert validator(type(event)).is_valid(fields) == (not refusal) or refusal == "bad_time"


def test_events_of_the_same_moment_are_taken_in_the_order_of_the_table() -> None:
    names = sorted(RANK, key=RANK.__getitem__)

    assert [type_name(kind) for kind in names] == [
        "contact.offered",
        "contact.refused",
        "contact.queued",
        "contact.rang",
        "contact.unanswered",
        "contact.answered",
        "contact.messaged",
        "contact.replied",
        "contact.held",
        "contact.resumed",
        "contact.transferred",
        "contact.abandoned",
        "contact.left",
        "contact.ended",
        "contact.wrapped",
        "contact.resolved",
        "contact.reopened",
        "queue.opened",
        "queue.closed",
        "queue.observed",
        "agent.changed",
        "source.alive",
        "source.started",
        "survey.answered",
        "audit.scored",
        "complaint.filed",
        "followup.due",
        "followup.done",
    ]
    assert Unknown not in RANK


# -- AsyncAPI -------------------------------------------------------------------------------


@cache
def specification() -> Draft7Validator:
    return Draft7Validator(json.loads(ASYNCAPI_SCHEMA.read_text()))


def test_the_document_is_asyncapi_3() -> None:
    """By the specification's own schema (Apache-2.0, Copyright 2016-2025 AsyncAPI Initiative)."""
    specification().validate(ASYNCAPI)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("info", "version"), None),
        (("operations", "receive_calls", "action"), "consume"),
        (("channels", "calls", "adress"), "calls"),
        (("components", "messages", "contact.left", "headers"), "none"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_document_would_not_be(place: tuple[str, ...], value: object) -> None:
    wrong = copy.deepcopy(ASYNCAPI)
    inner = wrong
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value

    assert not specification().is_valid(wrong)


def test_every_reference_leads_somewhere() -> None:
    assert all(resolved(reference) for reference in references(ASYNCAPI))


def test_operations_are_about_the_channels_we_read_and_the_one_we_write() -> None:
    done = {
        resolved(operation["channel"]["$ref"])["address"]: operation["action"]
        for operation in ASYNCAPI["operations"].values()
    }

    assert done == {
        "calls": "receive",
        "chats": "receive",
        "queues": "receive",
        "floorwatch.rejected": "send",
    }


def test_every_event_type_is_a_message_of_some_channel() -> None:
    named = {name for channel in ASYNCAPI["channels"].values() for name in channel["messages"]}

    assert named == {*map(type_name, EVENT_TYPES), "rejected"}


def test_every_example_of_a_message_is_valid() -> None:
    messages = [m for m in ASYNCAPI["components"]["messages"].values() if "examples" in m]
    for message in messages:
        schema = Draft202012Validator(resolved(message["payload"]["$ref"]))
        for example in message["examples"]:
            schema.validate(example["payload"])

    assert len(messages) == len(EVENT_TYPES)


def test_a_rejected_record_says_why_in_a_header() -> None:
    headers = ASYNCAPI["components"]["messages"]["rejected"]["headers"]

    assert headers["required"] == ["reason"]
    assert headers["properties"]["reason"]["enum"] == [*REASONS, "future"]
