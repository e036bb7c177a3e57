"""The policy of the queues as values: the same keys as in floorwatch's settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from deploy.helm.option import DURATION, Option, Schema, Section
from streams.core.formulas import FORMULA_IDS
from streams.core.policy import CHANNELS, INSTANT_CHANNELS, WINDOWS

_INSTANT: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$",
    "examples": ["2026-03-01T00:00:00+01:00", "2026-03-01T00:00:00Z"],
}
_VALUES: Final[dict[str, Schema]] = {
    "ratio": {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "pattern": r"^(0(\.\d+)?|1(\.0+)?)$"},
        ],
        "examples": [0.8, 0.95, "0.9", 0, 1],
    },
    "duration": {"type": "string", "pattern": DURATION, "examples": ["20s", "5m", "1h30m"]},
    "count": {"type": "integer", "minimum": 0, "maximum": 1_000_000, "examples": [10, 1_000_000]},
    "formula": {"enum": list(FORMULA_IDS), "examples": [FORMULA_IDS[0], FORMULA_IDS[-1]]},
    "hours": {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
        ],
        "examples": ["always", "mon-fri 08:00-18:00, sat 09:00-13:00", ["mon-sun 22:00-06:00"]],
    },
    "windows": {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"enum": list(WINDOWS)},
        "examples": [["15m", "day"], ["5m"]],
    },
    "exported": {"enum": ["own", "all"], "examples": ["own", "all"]},
    "text": {
        "type": "string",
        "minLength": 1,
        "pattern": r"^[^\x00-\x1f\x7f]+$",
        "examples": ["Berlin", "Inbound: day & night", "off", "007"],
    },
    "zone": {"type": "string", "minLength": 1, "examples": ["UTC", "Europe/Berlin", "+02:00"]},
}
_DATED: Final[dict[str, tuple[str, str]]] = {
    "target": ("ratio", "Service level that is promised."),
    "threshold": ("duration", "T: an answer after exactly this wait is in time."),
    "short_abandon": ("duration", "An abandonment up to this long is a short one."),
    "initial_response_limit": ("duration", "The first reply is due within this."),
    "expires_after": ("duration", "A visit without outcome expires after this."),
    "abandonment_limit": ("ratio", "Abandonment ratio that is acceptable."),
    "volume_floor": ("count", "A ratio that rests on fewer contacts alerts nobody."),
    "formula": ("formula", "Formula of the wall and the alerts."),
    "hours": ("hours", "When the queue is meant to be open."),
    "windows": ("windows", "Windows on the wall."),
    "export_formulas": ("exported", "Formulas on /metrics."),
}
_UNDATED: Final[dict[str, tuple[str, str]]] = {
    "zone": ("zone", "Zone of the queue's day and hours."),
    "site": ("text", "Where the queue is answered."),
    "team": ("text", "By whom the queue is answered."),
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _said(name: str, text: str) -> Schema:
    return {"description": text, "allOf": [_ref(name)]}


def _closed(properties: Schema, required: Sequence[str] = ()) -> Schema:
    schema: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return {**schema, "required": list(required)} if required else schema


def _dated(name: str, examples: Sequence[Any]) -> Schema:
    """A value, or several from stated instants on."""
    from_there_on = _closed({"from": _ref("instant"), "value": _ref(name)}, ("from", "value"))
    listed = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [_ref(name), from_there_on]},
    }
    return {
        "anyOf": [_ref(name), from_there_on, listed],
        "examples": [
            example
            for plain in examples
            for example in (
                plain,
                {"from": "2026-03-01T00:00:00+01:00", "value": plain},
                [plain, {"from": "2026-03-01T00:00:00Z", "value": plain}],
            )
        ],
    }


def _layer() -> Schema:
    limits = {severity: _ref("dated-duration") for severity in ("warning", "critical")}
    return {
        **{key: _said(f"dated-{kind}", text) for key, (kind, text) in _DATED.items()},
        **{key: _said(kind, text) for key, (kind, text) in _UNDATED.items()},
        "longest_wait_limit": {
            "description": "Longest wait of those still waiting, by severity.",
            **_closed(limits),
        },
    }


_OF_INSTANT: Final[Schema] = {
    "instant_target": {
        "description": "Instant service ratio that is promised, or off.",
        "anyOf": [_ref("dated-ratio"), {"const": "off"}],
        "examples": [0.5, "off"],
    },
    "instant_within": _said("dated-duration", "A wait up to this is instant service."),
}
_QUEUE: Final[Schema] = {
    "name": _said("text", "What people call it."),
    "was": {
        "description": "Ids that it had before; their contacts count here.",
        "type": "array",
        "items": {
            "anyOf": [
                _ref("text"),
                _closed({"from": _ref("instant"), "value": _ref("text")}, ("from", "value")),
            ]
        },
        "examples": [["sales-old", {"from": "2026-03-01T00:00:00+01:00", "value": "telesales"}]],
    },
    "channels": _ref("channels"),
}

DEFINITIONS: Final[dict[str, Schema]] = {
    **_VALUES,
    "instant": _INSTANT,
    **{
        f"dated-{kind}": _dated(kind, _VALUES[kind]["examples"])
        for kind in sorted({kind for kind, _ in _DATED.values()})
    },
    "layer": _closed({**_layer(), **_OF_INSTANT}),
    "slow-layer": _closed(_layer()),
    "channels": {
        "type": "object",
        "propertyNames": {"minLength": 1},
        "properties": {
            channel: _ref("layer" if channel in INSTANT_CHANNELS else "slow-layer")
            for channel in CHANNELS
        },
        "additionalProperties": _ref("slow-layer"),
    },
    "queue": _closed({**_QUEUE, **_layer(), **_OF_INSTANT}),
}
"""What the schemas below speak of; instant service is defined for some channels alone."""

POLICY: Final = Section(
    text="What is promised to customers, as `policy:` in floorwatch's settings; a change of it "
    "restarts nothing. Keys, values and their meaning: deploy/floorwatch.example.yaml. Quote what "
    'YAML reads as something else: "off", "no", "007", "+02:00".',
    options={
        "defaults": Option(
            text="For every queue and channel.", default={}, schema={"allOf": [_ref("layer")]}
        ),
        "channels": Option(
            text="For every queue, by channel: voice, chat, messaging, email or one of your own.",
            default={},
            schema={"allOf": [_ref("channels")]},
        ),
        "queues": Option(
            text="For one queue, by the id that is in its events.",
            default={},
            schema={
                "type": "object",
                "propertyNames": {"minLength": 1},
                "additionalProperties": _ref("queue"),
            },
        ),
    },
)
