"""Answers of the one port held to its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator

from streams.openapi import COMMITTED

DOCUMENT: Final[dict[str, Any]] = json.loads(COMMITTED.read_text(encoding="utf-8"))


def schema_problems(name: str, document: object) -> list[str]:
    """Where *document* is not what the schema *name* says."""
    return _problems(_of_schema(name), document)


def answer_problems(path: str, status: int, content_type: str, body: bytes) -> list[str]:
    """Where an answer to GET *path* is not what the document says of it."""
    described = DOCUMENT["paths"][path.partition("?")[0]]["get"]["responses"].get(str(status))
    if described is None:
        return [f"{path}: {status} is not described"]
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    content_type = content_type.partition(";")[0]
    if content_type not in described["content"]:
        return [f"{path}: {status} is not described as {content_type}"]
    if content_type != "application/json":
        return []
    schema = described["content"][content_type]["schema"]
    return [f"{path}: {problem}" for problem in _problems(_validator(schema), orjson.loads(body))]


@cache
def _of_schema(name: str) -> Draft202012Validator:
    return _validator({"$ref": f"#/components/schemas/{name}"})


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def _problems(validator: Draft202012Validator, document: object) -> list[str]:
    return [
        f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)
    ]
