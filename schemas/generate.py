"""JSON Schema files and the AsyncAPI document, made from the event structs.

`python -m schemas.generate` writes them beside this module, `--check` only says whether what is
there is what would be written (exit code 1 if not).
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.codec import REJECTIONS, encode
from schemas.events import (
    EVENT_TYPES,
    Abandoned,
    AgentChanged,
    Answered,
    AuditScored,
    ComplaintFiled,
    ContactEvent,
    Ended,
    Event,
    FollowupDone,
    FollowupDue,
    Held,
    Left,
    Messaged,
    Offered,
    QualityEvent,
    QueueClosed,
    Queued,
    QueueObserved,
    QueueOpened,
    Rang,
    Refused,
    Reopened,
    Replied,
    Resolved,
    Resumed,
    SourceAlive,
    SourceStarted,
    SurveyAnswered,
    Transferred,
    Unanswered,
    Wrapped,
    type_name,
)
from schemas.instants import write_instant

WIRE_VERSION: Final = "1.0.0"
"""Of the events themselves; a field added raises the second number, a meaning changed the first."""

HERE: Final = Path(__file__).parent

_FIRST_MS: Final = 1_795_514_400_000
_CALL: Final = {"contact": "call-71", "queue": "sales", "channel": "voice"}
_CHAT: Final = {"contact": "chat-9", "queue": "orders", "channel": "chat"}


def _told(kind: type[Event], after_s: float, source: str = "pbx", **fields: object) -> Event:
    """An event of *kind*, *after_s* seconds into the example."""
    told = {
        "id": f"{source}-{after_s:g}",
        "type": type_name(kind),
        "time": write_instant(_FIRST_MS + round(after_s * 1000)),
        "source": source,
    }
    return msgspec.convert({**told, **fields}, kind)


EXAMPLES: Final[tuple[Event, ...]] = (
    _told(Offered, 0, **_CALL, segment="gold"),
    _told(Refused, 1, contact="call-72", queue="sales", channel="voice", reason="full"),
    _told(Queued, 2.25, **_CALL, announced_wait_s=45),
    _told(Rang, 15, **_CALL, agent="agent-4"),
    _told(Unanswered, 27, **_CALL, agent="agent-4"),
    _told(Answered, 31.5, **_CALL, agent="agent-7"),
    _told(Messaged, 32, "desk", **_CHAT, customer="customer-5", topic="delivery"),
    _told(Replied, 33, "desk", **_CHAT, by="human", agent="agent-2"),
    _told(Held, 60, **_CALL, agent="agent-7"),
    _told(Resumed, 75, **_CALL, agent="agent-7"),
    _told(Transferred, 90, **_CALL, agent="agent-7", to="support", mode="blind"),
    _told(Abandoned, 118, contact="call-70", queue="support", channel="voice"),
    _told(Left, 120, contact="call-69", queue="sales", channel="voice", reason="callback"),
    _told(Ended, 240, **_CALL, by="customer"),
    _told(Wrapped, 270, **_CALL, agent="agent-7"),
    _told(Resolved, 300, "desk", **_CHAT, first_contact=True),
    _told(Reopened, 4000, "desk", **_CHAT),
    _told(QueueOpened, 0.5, queue="sales"),
    _told(QueueClosed, 36_000, queue="sales", reason="planned"),
    _told(QueueObserved, 30, queue="sales", waiting=3, agents={"available": 2, "on_contact": 5}),
    _told(AgentChanged, 31.75, agent="agent-7", state="on_contact", queues=("sales", "support")),
    _told(SourceAlive, 40),
    _told(SourceStarted, 50),
    _told(SurveyAnswered, 5000, "survey", **_CALL, satisfied=True, score=9),
    _told(AuditScored, 90_000, "audit", **_CALL, score=0.93, low_impact_errors=1),
    _told(ComplaintFiled, 6000, "desk", **_CHAT, topic="delivery"),
    _told(FollowupDue, 86_400, "desk", **_CHAT, followup="promise-3"),
    _told(FollowupDone, 86_000, "desk", **_CHAT, followup="promise-3"),
)
"""One event of every type."""


def _plain(event: Event) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(encode(event))
    return plain


def _meaning(kind: type[Event]) -> str:
    """What the docstring of *kind* says before it lists attributes, as one line."""
    text, _, _ = (inspect.getdoc(kind) or "").partition("\n\nAttributes:")
    return " ".join(text.split())


def _meanings_of_fields(kind: type[Event]) -> dict[str, str]:
    """What the docstrings of *kind* and its bases say of each field."""
    meanings = {"type": "The kind of event."}
    for base in reversed(kind.__mro__):
        _, _, listed = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        for field, text in re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", listed, re.MULTILINE):
            meaning = " ".join(text.split())
            meanings[field] = f"{meaning[0].upper()}{meaning[1:]}"
    return meanings


def event_schema(kind: type[Event]) -> dict[str, Any]:
    """The JSON Schema of one event type; fields it does not name are tolerated."""
    _, components = msgspec.json.schema_components([kind])
    (made,) = components.values()
    properties = made["properties"]
    properties["type"] = {"const": type_name(kind)}
    meanings = _meanings_of_fields(kind)
    return {
        "title": type_name(kind),
        "description": _meaning(kind),
        "type": "object",
        "required": made["required"],
        "properties": {
            field: {"description": meanings[field], **properties[field]} for field in properties
        },
        "examples": [_plain(event) for event in EXAMPLES if type(event) is kind],
    }


def schema_file(kind: type[Event]) -> dict[str, Any]:
    """The JSON Schema 2020-12 document of one event type."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:floorwatch:event:{type_name(kind)}",
        **event_schema(kind),
    }


def _message(kind: type[Event]) -> dict[str, Any]:
    name = type_name(kind)
    return {
        "name": name,
        "summary": _meaning(kind),
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [
            {"name": name, "payload": _plain(event)} for event in EXAMPLES if type(event) is kind
        ],
    }


_REJECTED: Final[dict[str, Any]] = {
    "name": "rejected",
    "summary": "A record that could not be used, as it was read.",
    "description": "At least once for each such record. A record that the broker refuses to take"
    " back is kept as its first 64 KiB, with its size and hash.",
    "contentType": "application/octet-stream",
    "headers": {
        "type": "object",
        "required": ["reason"],
        "properties": {
            "reason": {"description": "Why it was rejected.", "enum": list(REJECTIONS)},
            "size": {
                "description": "Bytes of the whole record, where only its beginning is kept.",
                "type": "string",
                "pattern": "^[0-9]+$",
            },
            "sha256": {
                "description": "Hash of the whole record, where only its beginning is kept.",
                "type": "string",
                "pattern": "^[0-9a-f]{64}$",
            },
        },
    },
    "payload": {"description": "The bytes of the record."},
    "bindings": {
        "kafka": {
            "key": {
                "description": "Where it was read: topic-partition-offset.",
                "type": "string",
                "examples": ["calls-3-1042"],
            },
            "bindingVersion": "0.5.0",
        }
    },
}


def _channel(address: str, text: str, kinds: tuple[type[Event], ...]) -> dict[str, Any]:
    names = [type_name(kind) for kind in kinds]
    return {
        "address": address,
        "description": text,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: the topics that floorwatch reads, and where it puts rejects."""
    sources = (SourceAlive, SourceStarted)
    of_contacts = tuple(k for k in EVENT_TYPES if issubclass(k, ContactEvent | QualityEvent))
    of_staff = (QueueOpened, QueueClosed, QueueObserved, AgentChanged)
    keyed = "Key: the contact, so that all its events share a partition."
    heard = "A source's own events go to every partition it writes."
    channels = {
        "calls": _channel("calls", f"Voice contacts. {keyed} {heard}", (*of_contacts, *sources)),
        "chats": _channel(
            "chats",
            f"Chat, messaging and email contacts. {keyed} {heard}",
            (*of_contacts, *sources),
        ),
        "queues": _channel(
            "queues",
            f"Queues and agents. Key: the queue or the agent. {heard}",
            (*of_staff, *sources),
        ),
        "rejected": {
            "address": "floorwatch.rejected",
            "description": "Records that could not be used.",
            "messages": {"rejected": {"$ref": "#/components/messages/rejected"}},
        },
    }
    operations = {
        f"{action}_{name}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": f"Floorwatch {'reads' if action == 'receive' else 'writes'} {name}.",
        }
        for name, action in (
            ("calls", "receive"),
            ("chats", "receive"),
            ("queues", "receive"),
            ("rejected", "send"),
        )
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "floorwatch",
            "version": WIRE_VERSION,
            "description": "Events of a contact centre, one flat JSON object per Kafka record."
            " Topic names are settings. Unknown types and fields are tolerated and counted; of a"
            " field given twice the last one holds; an empty text is the same as an absent one.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                **{type_name(kind): _message(kind) for kind in EVENT_TYPES},
                "rejected": _REJECTED,
            },
            "schemas": {type_name(kind): event_schema(kind) for kind in EVENT_TYPES},
        },
    }


def documents() -> dict[str, str]:
    """Every generated file: path below this folder, and text."""
    made: dict[str, Any] = {
        f"generated/{type_name(kind)}.json": schema_file(kind) for kind in EVENT_TYPES
    }
    made["asyncapi.json"] = asyncapi()
    return {
        path: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for path, document in made.items()
    }


def drift(folder: Path = HERE) -> list[str]:
    """Generated files below *folder* that are missing, out of date or left over."""
    expected = documents()
    present = {path.relative_to(folder).as_posix() for path in folder.glob("generated/*")}
    if (folder / "asyncapi.json").exists():
        present.add("asyncapi.json")
    differing = {
        path
        for path in expected.keys() & present
        if (folder / path).read_text(encoding="utf-8") != expected[path]
    }
    return sorted(differing | (expected.keys() ^ present))


def write(folder: Path = HERE) -> None:
    """Write every generated file below *folder* and remove those of types that are gone."""
    expected = documents()
    (folder / "generated").mkdir(exist_ok=True)
    for path, text in expected.items():
        (folder / path).write_text(text, encoding="utf-8")
    for path in drift(folder):
        (folder / path).unlink()


def main(arguments: list[str] | None = None) -> int:
    """Write the generated files, or with `--check` name those that drifted and return 1."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    if not parser.parse_args(arguments).check:
        write()
        return 0
    drifted = drift()
    for path in drifted:
        sys.stderr.write(f"schemas/{path} is not what `python -m schemas.generate` writes\n")
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
