"""Values of the chart drawn from its schema: by seed, so that a set can be had again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

from jsonschema import Draft7Validator

from deploy.helm.generate import values_schema
from deploy.helm.option import defaults_of, rows
from deploy.helm.options import ROOT

SCHEMA: Final = values_schema()
VALIDATOR: Final = Draft7Validator(SCHEMA)
DEFAULTS: Final[Mapping[str, Any]] = defaults_of(ROOT)
PATHS: Final = tuple(path for path, _ in rows(ROOT))
NAMES: Final = ("example.org/of", "sales", "chat", "no")

_OBJECT_OF_RANDOM_NAMES: Final = 2


def drawn(seed: int) -> dict[str, Any]:
    """Values that schema and templates allow, a few of them not the defaults."""
    chance = Random(seed)
    while True:
        values: dict[str, Any] = _part(SCHEMA, chance, chance.choice((0.05, 0.15, 0.4)))
        values.setdefault("kafka", {}).setdefault("bootstrap", "kafka.example:9092")
        _agree(values, chance)
        if VALIDATOR.is_valid(merged(values)) and not contradicts(merged(values)):
            return values


def drawn_wrong(seed: int) -> dict[str, Any]:
    """Values of which the schema refuses at least one."""
    chance = Random(seed)
    while True:
        values = drawn(chance.randrange(1 << 30))
        path = chance.choice([each for each in PATHS if each != "global"]).split(".")
        below = values
        for name in path[:-1]:
            below = below.setdefault(name, {})
        if chance.random() < 0.5:
            below[path[-1]] = chance.choice(("\n", -1, 1e12, [[]], True, {"a\n": {"b": [1]}}))
        else:
            below[path[-1] + "s"] = below.get(path[-1], "more")
        if not VALIDATOR.is_valid(merged(values)):
            return values


def merged(values: Mapping[str, Any]) -> dict[str, Any]:
    """What Helm makes of *values* and the defaults."""
    return _merged(copy.deepcopy(dict(DEFAULTS)), values)


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _merged(below[key], value)
        else:
            below[key] = copy.deepcopy(value)
    return below


def contradicts(values: Mapping[str, Any]) -> bool:
    """Whether the templates refuse *values*, which the schema allows."""
    create, names = values["topics"]["create"], values["topics"]
    topics = [names[key] for key in ("calls", "chats", "queues") if names[key] != "off"]
    monitors = [values[kind] for kind in ("serviceMonitor", "podMonitor")]
    sizes = {"small": (2, 8), "medium": (5, 32), "large": (34, 256)}[values["size"]]
    replicas = sizes[0] if values["workers"]["replicas"] is None else values["workers"]["replicas"]
    partitions = sizes[1] if create["partitions"] is None else create["partitions"]
    return (
        not topics
        or len(set(topics)) < len(topics)
        or (len(values["fullnameOverride"]) > 30 and not values["name"])
        or (create["enabled"] and partitions < replicas)
        or (create["enabled"] and create["minInsyncReplicas"] > create["replicationFactor"])
        or any(
            monitor["enabled"]
            and (
                int(monitor["scrapeTimeout"][:-1]) > int(monitor["interval"][:-1])
                or (values["http"]["tokens"]["metrics"] and monitor["namespace"])
                or (
                    values["http"]["tls"]["existingSecret"]
                    and not (monitor["tlsConfig"] or monitor["scrapeClass"])
                )
            )
            for monitor in monitors
        )
    )


def _agree(values: dict[str, Any], chance: Random) -> None:
    """Most values whose like is needed for another one; a draw would seldom have both."""
    if values["kafka"].get("securityProtocol", "").startswith("sasl"):
        values["kafka"].setdefault("sasl", {})["existingSecret"] = "kafka-user"
    tls = values["kafka"].get("tls", {})
    if tls.get("caSecret") or tls.get("certificateSecret"):
        values["kafka"]["securityProtocol"] = "ssl"
    if values.get("topics", {}).get("create", {}).get("existingSecret"):
        values["kafka"]["securityProtocol"] = "sasl_ssl"
        values["kafka"].setdefault("sasl", {})["existingSecret"] = "kafka-user"
    tokens = values.get("http", {}).get("tokens", {})
    if any(tokens.get(surface) for surface in ("wall", "api", "metrics")):
        tokens["existingSecret"] = "tokens"
    if values.get("ingress", {}).get("enabled"):
        values["ingress"]["hosts"] = [{"host": "wall.example"}]
    if values.get("alertmanagerConfig", {}).get("enabled"):
        receivers = values["alertmanagerConfig"].setdefault("receivers", {})
        for name in ("dutyManager", "sre"):
            receivers[name] = {"webhookConfigs": [{"url": f"http://pager.example/{name}"}]}
    if values.get("serviceMonitor", {}).get("enabled") and "podMonitor" in values:
        values["podMonitor"]["enabled"] = False
    if values.get("existingPolicy"):
        values.pop("policy", None)
    if values.get("scheduling", {}).get("dnsPolicy") == "None":
        values["scheduling"]["dnsConfig"] = {"nameservers": ["192.0.2.53"]}
    if values.get("service", {}).get("nodePort"):
        values["service"]["type"] = chance.choice(("NodePort", "LoadBalancer"))


def _part(schema: Mapping[str, Any], chance: Random, share: float) -> Any:
    """Something that *schema* allows; of the keys that may be there, *share* are."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        return _part(SCHEMA["definitions"][name], chance, share)
    if "properties" in schema and "examples" not in schema:
        return _object(schema, chance, share)
    if "examples" in schema and (chance.random() < 0.8 or "anyOf" in schema):
        return copy.deepcopy(chance.choice(schema["examples"]))
    if "allOf" in schema:
        return _part(schema["allOf"][0], chance, share)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    return _of_type(schema, chance, share)


def _of_type(  # noqa: PLR0911 # a type after another
    schema: Mapping[str, Any], chance: Random, share: float
) -> Any:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    match chance.choice(kinds):
        case "boolean":
            return chance.random() < 0.5
        case "null":
            return None
        case "integer":
            least = schema.get("minimum", 0)
            most = schema.get("maximum", least + 10_000)
            return chance.choice((least, least + 1, most, chance.randint(least, most)))
        case "string":
            if "pattern" in schema or "examples" in schema:
                return copy.deepcopy(chance.choice(schema.get("examples", [schema.get("default")])))
            return chance.choice(("", "words", "a: b # c", "{{ .Values }}", "007", "'\"\\"))
        case "array":
            if "enum" in schema.get("items", {}):
                words = list(schema["items"]["enum"])
                least = schema.get("minItems", 0)
                return chance.sample(words, chance.randint(least, len(words)))
            return copy.deepcopy(chance.choice(schema.get("examples", [[]])))
        case "object":
            return _object(schema, chance, share)
    raise AssertionError(f"nothing is drawn for {json.dumps(schema)[:200]}")


def _object(schema: Mapping[str, Any], chance: Random, share: float) -> dict[str, Any]:
    if "properties" not in schema and not isinstance(schema.get("additionalProperties"), dict):
        return copy.deepcopy(chance.choice(schema["examples"]))
    drawn_object = {
        name: _part(below, chance, share)
        for name, below in schema.get("properties", {}).items()
        if below is not False
        and (
            name in schema.get("required", ())
            or chance.random() < (share if "properties" not in below else min(1, share * 4))
        )
    }
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        for name in chance.sample(NAMES, chance.randint(0, _OBJECT_OF_RANDOM_NAMES)):
            drawn_object[name] = _part(more, chance, share)
    return {
        key: value
        for key, value in drawn_object.items()
        if value is not None or chance.random() < 0.5
    }


def written_paths(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The options that *values* say something about."""
    for key, value in values.items():
        at = f"{path}.{key}" if path else key
        if at in PATHS:
            yield at
        elif isinstance(value, Mapping):
            yield from written_paths(value, at)
