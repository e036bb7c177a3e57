"""From the bytes of a record to an event and its moment, and from an event to bytes.

A record is first decoded strictly, in one pass. What that pass refuses is read once more with care:
fields that no event has are counted and left out, a type that is not known becomes `Unknown`, and
what still cannot be read gets one reason of a closed set. The careful pass alone says what a record
means; the strict one is the same answer, sooner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any, Final, Literal, NoReturn, get_args

import msgspec
import orjson

from schemas.events import EVENT_TYPES, Event, Unknown, type_name
from schemas.instants import read_instant

MAX_BYTES: Final = 262_144
"""Bytes a record may have unless settings say otherwise."""

Reason = Literal[
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
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
"""Why a record cannot be read; what each means is in `Decoder.decode`."""

REJECTIONS: Final[tuple[str, ...]] = (*REASONS, "future")
"""Why a record is rejected: it cannot be read, or it is too far ahead of its arrival."""

_KIND_BY_TYPE: Final[dict[str, type[Event]]] = {type_name(kind): kind for kind in EVENT_TYPES}
_FIELDS: Final[dict[type[Event], frozenset[str]]] = {
    kind: frozenset((*kind.__struct_fields__, "type")) for kind in EVENT_TYPES
}
_UNKNOWN_FIELDS: Final[tuple[str, ...]] = ("id", "type", "time", "source")

_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLACE: Final = re.compile(r"`\$\.(\w+)[^`]*`\Z")
_WRONG_TYPE: Final = re.compile(r"Expected `[^`]+`, got `")


class Unreadable(Exception):
    """A record that is no event.

    The text has the reason, the field where there is one, and the record's size; nothing of what
    the record says.

    Attributes:
        reason: one of `REASONS`.
        field: the event field at fault, or "".
    """

    def __init__(self, reason: Reason, field: str = "", size: int = 0) -> None:
        place = f" in field {field!r}" if field else ""
        super().__init__(f"{reason}{place} (record of {size} bytes)")
        self.reason: Reason = reason
        self.field = field


class Decoder:
    """Reads records of one stream.

    A producer that sends fields of its own would make every record fail the strict pass, so after
    such a record the careful pass goes first, until it meets a record without any.

    Attributes:
        unknown_fields: how many fields no event type has were met, and left out, so far.
    """

    __slots__ = ("_decode_strictly", "_expects_unknown_fields", "_max_bytes", "unknown_fields")

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.unknown_fields = 0
        self._max_bytes = max_bytes
        self._expects_unknown_fields = False
        decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(reduce(or_, EVENT_TYPES))
        self._decode_strictly = decoder.decode

    def decode(self, raw: bytes | None) -> tuple[Event, int]:
        """The event in a record and its moment in milliseconds since 1970, floored.

        Unknown fields are tolerated and counted. Of a field given twice the last one holds. A
        number without a fraction is whole however it is written (`2`, `2.0`, `2e0`).

        Raises:
            Unreadable: `tombstone`: no value; `oversize`: more than *max_bytes* bytes; `not_utf8`:
                invalid UTF-8 anywhere; `not_json`: also NaN, Infinity, lone surrogates, a byte
                order mark, anything after the value, and numbers beyond a double; `too_deep`:
                more than 1,024 levels; `not_an_object`: another JSON value; `missing_field`: a
                required one; `wrong_type`: also null where the schema does not allow it;
                `wrong_value`: empty, too long, out of range or not of the allowed ones;
                `bad_time`: a text that `read_instant` refuses.
        """
        if raw is None:
            raise Unreadable("tombstone")
        if len(raw) > self._max_bytes:
            raise Unreadable("oversize", size=len(raw))
        if not self._expects_unknown_fields:
            try:
                event = self._decode_strictly(raw)
                return event, read_instant(event.time)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass
        return self._decode_with_care(raw)

    def decode_all(
        self, raws: Iterable[bytes | None]
    ) -> tuple[list[Event | None], list[int], dict[int, Unreadable]]:
        """What `decode` says of each of *raws*: the events, their moments, and what it raises.

        Where it raises, which is told by its place, there is no event, and 0 for its moment.
        """
        events: list[Event | None] = []
        times_ms: list[int] = []
        unreadable: dict[int, Unreadable] = {}
        for raw in raws:
            try:
                event, time_ms = self.decode(raw)
            except Unreadable as refused:
                unreadable[len(events)] = refused
                events.append(None)
                times_ms.append(0)
            else:
                events.append(event)
                times_ms.append(time_ms)
        return events, times_ms, unreadable

    def _decode_with_care(self, raw: bytes) -> tuple[Event, int]:
        record = _object(raw)
        kind = _kind(record, len(raw))
        if kind is Unknown:
            fields = {name: record[name] for name in _UNKNOWN_FIELDS if name in record}
        else:
            known = _FIELDS[kind]
            fields = {name: _whole(value) for name, value in record.items() if name in known}
        try:
            event = msgspec.convert(fields, kind)
        except msgspec.ValidationError as error:
            _refuse(str(error), len(raw))
        try:
            time_ms = read_instant(event.time)
        except ValueError:
            raise Unreadable("bad_time", "time", len(raw)) from None
        if kind is not Unknown:
            unknown = len(record) - len(fields)
            self.unknown_fields += unknown
            self._expects_unknown_fields = unknown > 0
        return event, time_ms


def encode(event: Event | Mapping[str, object]) -> bytes:
    """An event, or any mapping of plain values, as JSON; what an event leaves unsaid is absent."""
    return orjson.dumps(msgspec.to_builtins(event) if isinstance(event, Event) else event)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        if not raw.isascii():
            raw.decode()
        value = orjson.loads(raw)
    except UnicodeDecodeError:
        raise Unreadable("not_utf8", size=len(raw)) from None
    except orjson.JSONDecodeError as error:
        reason: Reason = "too_deep" if "limit" in error.msg else "not_json"
        raise Unreadable(reason, size=len(raw)) from None
    if not isinstance(value, dict):
        raise Unreadable("not_an_object", size=len(raw))
    return value


def _kind(record: dict[str, Any], size: int) -> type[Event]:
    if "type" not in record:
        raise Unreadable("missing_field", "type", size)
    if not isinstance(record["type"], str):
        raise Unreadable("wrong_type", "type", size)
    return _KIND_BY_TYPE.get(record["type"], Unknown)


def _whole(value: object) -> object:
    """Whole numbers written with a point, as integers, also one level down."""
    if isinstance(value, dict):
        return {key: _whole_number(item) for key, item in value.items()}
    return _whole_number(value)


def _whole_number(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _refuse(complaint: str, size: int) -> NoReturn:
    """Raise what msgspec's *complaint* amounts to; it may quote the record, so it stays here."""
    if missing := _MISSING.match(complaint):
        raise Unreadable("missing_field", missing[1], size) from None
    place = _PLACE.search(complaint)
    field = place[1] if place else ""
    if _WRONG_TYPE.match(complaint):
        raise Unreadable("wrong_type", field, size) from None
    raise Unreadable("bad_time" if field == "time" else "wrong_value", field, size) from None
