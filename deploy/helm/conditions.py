"""What values of the chart demand of each other, as far as a JSON Schema can say it."""

from __future__ import annotations

from typing import Any, Final

from deploy.helm.option import Schema


def _at(path: str, schema: Schema) -> Schema:
    """*schema* for the value at *path*, which has to be there."""
    name, _, rest = path.partition(".")
    return {"required": [name], "properties": {name: _at(rest, schema) if rest else schema}}


def _if(condition: Schema, then: Schema, why: str) -> Schema:
    return {"description": why, "if": condition, "then": then}


def _is(path: str, *values: Any) -> Schema:
    return _at(path, {"enum": list(values)})


_FILLED: Final[Schema] = {"minLength": 1}
_SOME: Final[Schema] = {"minProperties": 1}
_NONE: Final[Schema] = {"maxProperties": 0}

CONDITIONS: Final[tuple[Schema, ...]] = (
    _if(
        _is("kafka.securityProtocol", "sasl_plaintext", "sasl_ssl"),
        _at("kafka.sasl.existingSecret", _FILLED),
        "SASL needs kafka.sasl.existingSecret",
    ),
    *(
        _if(
            _at(f"kafka.tls.{secret}", _FILLED),
            _is("kafka.securityProtocol", "ssl", "sasl_ssl"),
            f"kafka.tls.{secret} is for ssl and sasl_ssl",
        )
        for secret in ("caSecret", "certificateSecret")
    ),
    _if(
        _at("topics.create.existingSecret", _FILLED),
        {
            "anyOf": [
                _is("kafka.securityProtocol", "sasl_plaintext", "sasl_ssl"),
                _at("kafka.tls.certificateSecret", _FILLED),
            ]
        },
        "topics.create.existingSecret is for SASL, or for kafka.tls.certificateSecret",
    ),
    _if(
        {"anyOf": [_is(f"http.tokens.{surface}", True) for surface in ("wall", "api", "metrics")]},
        _at("http.tokens.existingSecret", _FILLED),
        "tokens need http.tokens.existingSecret",
    ),
    _if(
        _is("serviceMonitor.enabled", True),
        _is("podMonitor.enabled", False),
        "with both monitors every worker would be scraped twice",
    ),
    _if(
        _is("ingress.enabled", True),
        _at("ingress.hosts", {"minItems": 1}),
        "an Ingress needs ingress.hosts",
    ),
    *(
        _if(
            _is("alertmanagerConfig.enabled", True),
            _at(f"alertmanagerConfig.receivers.{receiver}", _SOME),
            f"pages need alertmanagerConfig.receivers.{receiver}",
        )
        for receiver in ("dutyManager", "sre")
    ),
    *(
        _if(
            _at("existingPolicy", _FILLED),
            _at(f"policy.{part}", _NONE),
            "the policy is in existingPolicy or in policy, not in both",
        )
        for part in ("defaults", "channels", "queues")
    ),
    _if(
        _is("scheduling.dnsPolicy", "None"),
        _at("scheduling.dnsConfig", _SOME),
        "dnsPolicy None needs dnsConfig",
    ),
    _if(
        _is("service.type", "ClusterIP"),
        # Helm leaves out what is null.
        _at("service", {"properties": {"nodePort": {"type": "null"}}}),
        "service.nodePort is for NodePort and LoadBalancer",
    ),
)
