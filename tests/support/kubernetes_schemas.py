"""Objects as strictly as Kubernetes and the Prometheus operator define them: no unknown field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft7Validator, Draft202012Validator

from requirements.build_programs import built_files
from tests.support.kubernetes_yaml import read

VERSIONS: Final = tuple(f"1.{minor}" for minor in range(29, 37))
_OPERATOR: Final = "monitoring.coreos.com"
_GROUP_OF: Final = re.compile(r"^([^./]*)(?:\.[^/]*)?/")
_REFERENCE: Final = re.compile(r'"#/\$defs/([^"]+)"')

_known: dict[str, list[str]] = {}


def complaints(object_: Mapping[str, Any]) -> list[str]:
    """What is wrong with *object_*, in any of `VERSIONS`; nothing when all is well."""
    key = json.dumps(object_, sort_keys=True)
    if key not in _known:
        _known[key] = list(_complaints(object_))
    return _known[key]


def _complaints(object_: Mapping[str, Any]) -> Iterator[str]:
    what = f"{object_.get('kind')}/{object_.get('metadata', {}).get('name')}"
    api_version, kind = str(object_.get("apiVersion")), str(object_.get("kind"))
    validators: dict[str, Draft7Validator | Draft202012Validator | None]
    if api_version.startswith(_OPERATOR):
        validators = {"the operator": _custom(api_version, kind)}
    else:
        validators = {version: _native(version, api_version, kind) for version in VERSIONS}
    asked: list[Draft7Validator | Draft202012Validator] = []
    for version, validator in validators.items():
        if validator is None:
            yield f"{what}: {version} knows no such kind"
        elif not any(validator is each for each in asked):
            asked.append(validator)
            for error in validator.iter_errors(object_):
                yield f"{what} ({version}) at {error.json_path}: {error.message[:300]}"


@cache
def _definitions(version: str) -> dict[str, Any]:
    text = (_schemas(version) / "_definitions.json").read_text(encoding="utf-8")
    definitions: dict[str, Any] = _bare(json.loads(text)["$defs"])
    return definitions


def _schemas(version: str) -> Any:
    return files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"


@cache
def _native(version: str, api_version: str, kind: str) -> Draft202012Validator | None:
    group = _GROUP_OF.sub(r"\1-", api_version)
    file = _schemas(version) / f"{kind.lower()}-{group}.json"
    if not file.is_file():
        return None
    schema = _bare(json.loads(file.read_text(encoding="utf-8")))
    used = _used(schema, _definitions(version))
    return _validator(json.dumps({**schema, "$defs": used}, sort_keys=True))


@cache
def _validator(schema: str) -> Draft202012Validator:
    """One for all versions that say the same."""
    return Draft202012Validator(json.loads(schema))


def _bare(schema: Any) -> Any:
    """*schema* without its words, and with all that it refers to inside it."""
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    bare = {
        key: _bare(value)
        for key, value in schema.items()
        if not (key in ("description", "$id", "$schema") and isinstance(value, str))
    }
    if isinstance(bare.get("$ref"), str):
        bare["$ref"] = "#" + bare["$ref"].partition("#")[2]
    return bare


def _used(schema: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The part of *definitions* that *schema* speaks of."""
    used: dict[str, Any] = {}
    pending = [json.dumps(schema)]
    while pending:
        for name in set(_REFERENCE.findall(pending.pop())) - used.keys():
            used[name] = definitions[name]
            pending.append(json.dumps(definitions[name]))
    return used


@cache
def _custom(api_version: str, kind: str) -> Draft7Validator | None:
    version = api_version.partition("/")[2]
    for path in sorted(operator_definitions().glob("*.yaml")):
        if path.stem.rpartition("_")[2].rstrip("s") != kind.lower():
            continue
        definition = read(path.read_text(encoding="utf-8"))
        for served in definition["spec"]["versions"]:
            if served["name"] == version:
                return Draft7Validator(_closed(served["schema"]["openAPIV3Schema"]))
    return None


def operator_definitions() -> Path:
    """The folder with the CRDs of the Prometheus operator."""
    return built_files("prometheus-operator")


def _closed(schema: Any) -> Any:
    """*schema* of a CRD, where a field that is not named is an error and not dropped."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items() if key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    is_open = schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in schema and "additionalProperties" not in schema and not is_open:
        closed["additionalProperties"] = False
    return closed
