"""Records for the tests of the wire: one to change by hand, and any that the structs allow."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from schemas.events import EVENT_TYPES, Event

ABSENT: Final = object()
"""As a field's value: the field is not there."""

QUEUED: Final[dict[str, Any]] = {
    "type": "contact.queued",
    "id": "pbx-1",
    "time": "2026-11-24T10:00:03.250+03:00",
    "source": "pbx",
    "contact": "call-71",
    "queue": "sales",
    "channel": "voice",
}
QUEUED_MS: Final = 1_795_503_603_250


def a_record(**changes: object) -> bytes:
    """The record of a contact sent to wait, with fields changed, added, or `ABSENT`."""
    fields = {**QUEUED, **changes}
    return json.dumps({k: v for k, v in fields.items() if v is not ABSENT}).encode()


def _instant(moment: datetime, offset_minutes: int, fraction: str, small: bool) -> str:
    zone = timezone(timedelta(minutes=offset_minutes))
    text = moment.replace(tzinfo=zone).isoformat(timespec="seconds")
    text = f"{text[:19]}{'.' if fraction else ''}{fraction}{text[19:]}"
    text = text.replace("+00:00", "Z")
    return text.lower() if small else text


def any_instant() -> st.SearchStrategy[str]:
    """RFC 3339 texts: any offset, any number of digits, capital or small letters."""
    return st.builds(
        _instant,
        st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001
        st.sampled_from([0, 180]) | st.integers(-23 * 60 - 59, 23 * 60 + 59),
        st.text("0123456789", max_size=12),
        st.booleans(),
    )


def _values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    made: st.SearchStrategy[Any]
    match kind:
        case inspect.StrType():
            made = st.text(min_size=kind.min_length or 0, max_size=20)
        case inspect.LiteralType():
            made = st.sampled_from(kind.values)
        case inspect.IntType():
            made = st.integers(kind.ge, kind.le)
        case inspect.FloatType():
            made = st.floats(kind.ge, kind.le, allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            made = st.booleans()
        case inspect.NoneType():
            made = st.none()
        case inspect.UnionType():
            made = st.one_of([_values(each) for each in kind.types])
        case inspect.VarTupleType():
            made = st.lists(_values(kind.item_type), max_size=4).map(tuple)
        case inspect.DictType():
            made = st.dictionaries(_values(kind.key_type), _values(kind.value_type), max_size=4)
        case _:
            raise NotImplementedError(kind)
    return made


def _events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field in described.fields:
        values = any_instant() if field.name == "time" else _values(field.type)
        (required if field.required else optional)[field.name] = values
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: kind(**fields))


def any_event() -> st.SearchStrategy[Event]:
    """Any event of any type that the structs allow."""
    return st.sampled_from(EVENT_TYPES).flatmap(_events_of)


def any_json() -> st.SearchStrategy[Any]:
    """Values of every JSON kind, with the awkward ones in front."""
    scalars = st.sampled_from(
        [None, True, False, 0, -1, 1.0, 0.5, -0.0, 2**63 - 1, 2**63, 2**64, 10**30, 1e300, "", "x"]
    )
    texts = st.text(max_size=5) | st.sampled_from(["x" * 256, "x" * 257, "é" * 256])
    shallow = scalars | texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    keys = st.text(max_size=5)
    return shallow | st.lists(shallow, max_size=3) | st.dictionaries(keys, shallow, max_size=3)


def plain(event: Event) -> dict[str, Any]:
    """An event as the mapping that is written."""
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
    return fields


def since_epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970, floored."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
