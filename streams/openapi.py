"""The OpenAPI document of the one port, made from its routes, its documents and the core's words.

`python -m streams.openapi` writes `schemas/openapi.json`, `--check` only says whether what is there
is what would be written (exit code 1 if not). A worker serves the same at `/api/v1/openapi.json`.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from streams import api_documents as d
from streams.core.formulas import FORMULA_IDS, Moment
from streams.core.judgement import REASONS, STATES
from streams.core.policy import WINDOWS
from streams.core.queue_detail import CLOCKS

API_VERSION: Final = "1.0.0"
"""A field or path added raises the second number, a meaning changed the first."""

COMMITTED: Final = Path(__file__).parents[1] / "schemas" / "openapi.json"

Json = dict[str, Any]

_SCHEMAS: Final = "#/components/schemas"

_WORDS: Final[Mapping[tuple[str, str], Sequence[str]]] = {
    ("Entry", "window"): (*WINDOWS, "total"),
    ("Entry", "formula"): FORMULA_IDS,
    ("Policy", "formula"): FORMULA_IDS,
    ("Formula", "id"): FORMULA_IDS,
    ("Formula", "moment"): [moment.value for moment in Moment],
    ("Queue", "state"): STATES,
    ("Cause", "id"): tuple(REASONS),
    ("Clock", "clock"): CLOCKS,
}
"""The fields that are one of some words."""

_KEYS: Final[Mapping[tuple[str, str], Sequence[str]]] = {
    ("Entry", "service_level"): FORMULA_IDS,
    ("Entry", "service_level_n"): FORMULA_IDS,
    ("Detail", "waits"): WINDOWS,
    ("Detail", "instant_by_segment"): WINDOWS,
}
"""The fields that are objects with one key for each of some words."""

_RATIOS: Final = re.compile(
    r"(.*_)?ratio|service_level(_low|_high)|(.*_)?target|share|abandonment_limit"
)


def _schemas() -> Json:
    """The JSON Schema of every document, by its name."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(d, inspect.isclass)
        if issubclass(kind, d.Document) and kind is not d.Document
    ]
    _, made = msgspec.json.schema_components(kinds, ref_template=f"{_SCHEMAS}/{{name}}")
    described = {kind.__name__: _described(kind, made[kind.__name__]) for kind in kinds}
    return described | _of_walls(described["Floor"], described["Entry"])


def _of_walls(floor: Json, entry: Json) -> Json:
    """What a frame of the stream is: it has the ratios of one formula or two."""
    ratios = {
        name: {**entry["properties"][name], "required": []}
        for name in ("service_level", "service_level_n")
    }
    entries = {**floor["properties"]["entries"], "items": {"$ref": f"{_SCHEMAS}/WallEntry"}}
    return {
        "WallEntry": {**entry, "properties": {**entry["properties"], **ratios}},
        "WallFloor": {**floor, "properties": {**floor["properties"], "entries": entries}},
    }


def _described(kind: type[d.Document], schema: Json) -> Json:
    """*schema* with what the docstring of *kind* says, and with words where there are some."""
    name = kind.__name__
    meanings = _meanings(kind)
    properties: Json = {}
    for field, plain in schema["properties"].items():
        described = {"description": meanings[field], **plain}
        if (name, field) in _WORDS:
            described["enum"] = list(_WORDS[name, field])
        if (name, field) in _KEYS:
            keys = list(_KEYS[name, field])
            each = plain["additionalProperties"]
            described |= {"required": keys, "properties": dict.fromkeys(keys, each)}
            described["additionalProperties"] = False
        if _RATIOS.fullmatch(field) and {"type": "number"} in plain.get("anyOf", [plain]):
            described |= {"minimum": 0, "maximum": 1}
        properties[field] = described
    return {
        "description": " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split()),
        "type": "object",
        "required": schema["required"],
        "properties": properties,
        "additionalProperties": False,
    }


def _meanings(kind: type[d.Document]) -> dict[str, str]:
    """What the docstrings of *kind* and its bases say of each field."""
    meanings = {}
    for base in reversed(kind.__mro__):
        _, _, listed = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        for field, text in re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", listed, re.MULTILINE):
            meanings[field] = f"{text[0].upper()}{' '.join(text[1:].split())}"
    return meanings


def _ref(kind: type[d.Document]) -> Json:
    return {"$ref": f"{_SCHEMAS}/{kind.__name__}"}


def _json(schema: Json, description: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _text(content_type: str, description: str) -> Json:
    return {"description": description, "content": {content_type: {"schema": {"type": "string"}}}}


def _named(what: str, *, is_list: bool) -> Json:
    schema: Json = {"type": "string"}
    return {
        "name": what,
        "in": "query",
        "description": f"Only this {what}" + ("; may stand several times." if is_list else "."),
        "schema": {"type": "array", "items": schema} if is_list else schema,
    }


def _get(
    summary: str,
    answers: Mapping[str, Json],
    *,
    token: Sequence[str] = (),
    parameters: Sequence[Json] = (),
) -> Json:
    refused: Json = {"400": {"$ref": "#/components/responses/bad_request"}}
    refused["413"] = {"$ref": "#/components/responses/content_too_large"}
    if token:
        refused["401"] = {"$ref": "#/components/responses/unauthorized"}
    operation: Json = {
        "summary": summary,
        "security": [{}, *({each: []} for each in token)],
        "responses": {**answers, **refused},
    }
    if parameters:
        operation["parameters"] = list(parameters)
    return {"get": operation}


def _paths() -> Json:
    one_of_both = {"anyOf": [_ref(d.History), _ref(d.NoHistory)]}
    wall = ("api_token", "wall_token", "wall_cookie")
    too_many = _json(_ref(d.Error), "So many live streams are open that none is left.")
    return {
        "/api/v1/floor": _get(
            "The floor as it stands: every queue, every window.",
            {"200": _json(_ref(d.Floor), "The floor.")},
            token=("api_token",),
            parameters=(_named("queue", is_list=True), _named("channel", is_list=True)),
        ),
        "/api/v1/floor/stream": _get(
            "The floor every second, as server-sent events.",
            {
                "200": _text(
                    "text/event-stream",
                    "Events `edition` (of the pages), `history` (History), then once a second "
                    "`floor` (WallFloor): the wall's windows and each queue's own formula alone.",
                ),
                "503": too_many,
            },
            token=wall,
            parameters=(
                {
                    "name": "last_event_id",
                    "in": "query",
                    "description": "Of the last `floor` event that is known.",
                    "schema": {"type": "string"},
                },
            ),
        ),
        "/api/v1/floor/history": _get(
            "The last hour of every queue, a value a minute.",
            {"200": _json(one_of_both, "The last hour since this worker began.")},
            token=wall,
        ),
        "/api/v1/queue": _get(
            "One queue and channel, and what stands behind its figures.",
            {"200": _json(_ref(d.FloorOfQueue), "The floor with that queue alone.")},
            token=wall,
            parameters=(_named("queue", is_list=False), _named("channel", is_list=False)),
        ),
        "/api/v1/formulas": _get(
            "Every formula of the service level with what it means.",
            {"200": _json({"type": "array", "items": _ref(d.Formula)}, "The formulas.")},
            token=wall,
        ),
        "/api/v1/openapi.json": _get(
            "This document.",
            {"200": _json({"type": "object", "required": ["openapi"]}, "OpenAPI 3.1.")},
            token=("api_token",),
        ),
        "/metrics": _get(
            "Everything for Prometheus.",
            {"200": _text("text/plain", "Text format 0.0.4.")},
            token=("metrics_token",),
        ),
        "/healthz": _get(
            "Whether the worker lives.",
            {
                "200": _json(_ref(d.Health), "It does."),
                "503": _json(_ref(d.Failing), "It should be restarted."),
            },
        ),
        "/readyz": _get(
            "Whether all has been caught up with once.",
            {"200": _json(_ref(d.Health), "It has."), "503": _json(_ref(d.Health), "Not yet.")},
        ),
    }


def openapi() -> Json:
    """The OpenAPI 3.1 document."""

    def bearer(setting: str) -> Json:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": f"One of the file `http.{setting}`; without it none is needed.",
        }

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "floorwatch",
            "version": API_VERSION,
            "description": "A contact centre's floor as it stands. Read-only: every path answers "
            "GET and HEAD alone. A duration is in seconds (_s), an instant in epoch milliseconds "
            "(_ms) or, without a unit, a text in UTC. null is what nobody knows, or what there is "
            "nothing to divide by for.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {
                "bad_request": _json(_ref(d.Error), "This is no request that can be read."),
                "content_too_large": _json(_ref(d.Error), "The request has a body."),
                "unauthorized": _json(_ref(d.Error), "A token is needed, and not this one."),
            },
            "securitySchemes": {
                "api_token": bearer("api_token_file"),
                "metrics_token": bearer("metrics_token_file"),
                "wall_token": bearer("wall_token_file"),
                "wall_cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "floorwatch_wall_NAME",
                    "description": "What a wall gets for `/?token=TOKEN`; NAME is the "
                    "installation's.",
                },
            },
        },
    }


def text() -> str:
    """The document as the file holds it."""
    return json.dumps(openapi(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the document, or with `--check` say that it drifted and return 1."""
    parser = argparse.ArgumentParser(prog="python -m streams.openapi", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    if not parser.parse_args(arguments).check:
        COMMITTED.write_text(text(), encoding="utf-8")
        return 0
    if COMMITTED.exists() and COMMITTED.read_text(encoding="utf-8") == text():
        return 0
    sys.stderr.write("schemas/openapi.json is not what `python -m streams.openapi` writes\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
