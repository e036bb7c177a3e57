"""What floorwatch is told: image, Kafka, topics, settings, who may look."""

from __future__ import annotations

from typing import Final

from deploy.helm.option import (
    DURATION,
    SECRET,
    SECRET_KEY,
    Option,
    Section,
    choice,
    flag,
    length,
    many,
    of_a_job,
    whole,
    words,
)
from streams.core.policy import WINDOWS

TOPIC: Final = r"^(off|[A-Za-z0-9._-]{1,249})$"


def _secret(text: str) -> Option:
    return words(text, pattern=SECRET, examples=["", "floorwatch-secrets"])


def _key(text: str, default: str) -> Option:
    return words(text, default, pattern=SECRET_KEY, examples=[default, "of.another_name"])


IMAGE: Final = Section(
    text="The image of floorwatch.",
    options={
        "registry": words(
            "Registry with its port; empty for the node's default.",
            pattern=r"^[a-zA-Z0-9.:/-]*$",
            examples=["", "registry.example:5000"],
        ),
        "repository": words(
            "Path in the registry.",
            "floorwatch",
            pattern=r"^[a-z0-9]+([._/-]+[a-z0-9]+)*$",
            examples=["floorwatch", "of/the/floor_1"],
        ),
        "tag": words(
            "Tag; empty for the chart's appVersion.",
            pattern=r"^(\w[\w.-]{0,127})?$",
            examples=["", "0.1.0-slim", "1.10"],
        ),
        "digest": words(
            "Digest, as sha256:...; it wins over the tag, and nobody can move it.",
            pattern=r"^(sha256:[a-f0-9]{64})?$",
            examples=["", "sha256:" + "0123456789abcdef" * 4],
        ),
        "pullPolicy": choice(
            "When the node asks the registry.", "IfNotPresent", "Always", "IfNotPresent", "Never"
        ),
        "pullSecrets": many(
            "Names of the secrets for the registry.",
            {"type": "string", "minLength": 1, "pattern": SECRET},
            examples=[[], ["registry"]],
        ),
    },
)

KAFKA: Final = Section(
    text="Where Kafka is, and how floorwatch says who it is.",
    options={
        "bootstrap": words(
            "Brokers to ask first, HOST:PORT, several separated by commas. Required.",
            pattern=r"^((\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}"
            r"( *, *(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5})*)?$",
            examples=["kafka:9092", "a.kafka:9093,b.kafka:9094", "[2001:db8::1]:9092"],
        ),
        "securityProtocol": choice(
            "How the brokers' listener is reached.",
            "plaintext",
            *("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
        ),
        "sasl": Section(
            text="User and password, with sasl_plaintext or sasl_ssl.",
            options={
                "mechanism": choice(
                    "How the password is proved.",
                    "SCRAM-SHA-512",
                    *("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
                ),
                "existingSecret": _secret("Secret with user and password; required with sasl_*."),
                "usernameKey": _key("Its key with the user.", "username"),
                "passwordKey": _key("Its key with the password.", "password"),
            },
        ),
        "tls": Section(
            text="Certificates, with ssl or sasl_ssl.",
            options={
                "caSecret": _secret(
                    "Secret with the brokers' CA; empty trusts the usual public ones."
                ),
                "caKey": _key("Its key with the CA, as PEM.", "ca.crt"),
                "certificateSecret": _secret(
                    "Secret with floorwatch's own certificate, for mutual TLS; empty for none."
                ),
                "certificateKey": _key("Its key with the certificate, as PEM.", "tls.crt"),
                "keyKey": _key("Its key with the private key, as PEM.", "tls.key"),
                "keyPasswordKey": words(
                    "Its key with the private key's password; empty where it has none.",
                    pattern=r"^[-._a-zA-Z0-9]{0,253}$",
                    examples=["", "tls.password"],
                ),
            },
        ),
    },
)

TOPICS_CREATE: Final = Section(
    text="A Job before install and upgrade that creates the topics that are missing; it changes "
    "none that is there.",
    options={
        "enabled": flag("Run it."),
        "partitions": whole(
            "Partitions of each topic of events, chosen once; null takes what `size` says.",
            None,
            *(1, 1000),
            or_none=True,
        ),
        "replicationFactor": whole("Copies of each partition.", 3, 1, 9),
        "minInsyncReplicas": whole("Copies that have to have a record before it counts.", 2, 1, 9),
        "retention": words(
            'How long events are kept: the longest outage to survive, and 7d at least; "off" for '
            "ever.",
            "7d",
            pattern=DURATION.removesuffix("$") + "$|^off$",
            examples=["7d", "14d", "off"],
        ),
        "existingSecret": _secret(
            "Secret with a Kafka user of its own, under the keys of kafka.sasl, or without SASL "
            "its certificate under those of kafka.tls; empty for the workers'. Its rights: "
            "deploy/kafka/ACLS.md."
        ),
        "backoffLimit": whole("How often it is tried again.", 3, 0, 20),
        **of_a_job(),
    },
)

TOPICS: Final = Section(
    text="Topics with the events.",
    options={
        "calls": words(
            'Voice contacts; "off" for none.',
            "calls",
            pattern=TOPIC,
            examples=["calls", "cc.calls"],
        ),
        "chats": words(
            'Chat, messaging and email contacts; "off" for none.',
            "chats",
            pattern=TOPIC,
            examples=["chats", "off"],
        ),
        "queues": words(
            'Queue, agent and source events; "off" for none.',
            "queues",
            pattern=TOPIC,
            examples=["queues", "off"],
        ),
        "create": TOPICS_CREATE,
    },
)

SETTINGS: Final = Section(
    text="Further settings of floorwatch under their own names; a change of them restarts the "
    "workers, one after the other. Meaning: deploy/floorwatch.example.yaml.",
    options={
        "clock": choice('What "now" means; `event` is for recordings.', "wall", "wall", "event"),
        "session_timeout": length(
            "How long a worker may be silent before its partitions go to another; 6s to 30m.",
            "20s",
            examples=["6s", "5m"],
        ),
        "snapshot_every": length(
            "How often state is kept on NAME.state; 1s or more.", "5s", examples=["10s"]
        ),
        "allowed_lateness": length(
            "How late an event may come and still count.", "4h", examples=["1h30m", "0s"]
        ),
        "rest": length(
            "How long after its last event a contact is over for good.", "4h", examples=["1h"]
        ),
        "tick": words(
            "Step of the rolling windows: a whole number of times in 5m.",
            "5s",
            pattern="^(1|2|3|4|5|6|10|12|15|20|30|60)s$",
            examples=["5s", "10s", "60s"],
        ),
        "max_events_per_contact": whole("Events kept of one contact.", 512, 16, 100_000),
        "max_record_bytes": whole("Longest record that is read.", 262_144, 1024, 67_108_864),
        "max_contacts": whole(
            "Contacts of one partition remembered at a time.", 1_000_000, 1, 100_000_000
        ),
        "max_queues": whole("(queue, channel) pairs with series of their own.", 2000, 1, 100_000),
        "metric_windows": many(
            "Windows on /metrics; the alerts read 15m, 60m and day.",
            {"enum": list(WINDOWS)},
            ["15m", "60m", "day"],
            minItems=1,
            uniqueItems=True,
        ),
        "alertmanager": words(
            'Alertmanager whose alerts the wall shows, as http://HOST:9093; "off" for none.',
            "off",
            pattern=r"^(off|https?://[^\s/@?#]+(/[^\s?#]*)?(\?[^\s#]*)?)$",
            examples=["off", "http://alertmanager-operated.monitoring:9093"],
        ),
        "sources": Option(
            text="Producing systems that are expected to be heard, as {pbx: {interval: 30s}}.",
            default={},
            schema={
                "type": "object",
                "propertyNames": {"minLength": 1},
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["interval"],
                    "properties": {
                        "interval": {"type": "string", "pattern": r"^[1-9]\d*(ms|s|m|h|d)$"}
                    },
                },
                "examples": [{}, {"pbx-berlin": {"interval": "30s"}}],
            },
        ),
    },
)

IDENTITY: Final = Section(
    text="The secret under which agents are kept (deploy/PRIVACY.md), for the workers alone. "
    "Another one later counts everything from the topics again.",
    options={
        "existingSecret": _secret(
            "Secret with it, 16 bytes or more; empty makes one of `name`, which hides little."
        ),
        "key": _key("Its key.", "identity-key"),
    },
)

HTTP: Final = Section(
    text="Wall, API and metrics.",
    options={
        "host": choice(
            "Address that is listened on; `::` where pods have IPv6 addresses alone.",
            "0.0.0.0",  # noqa: S104 # behind a NetworkPolicy
            *("0.0.0.0", "::"),  # noqa: S104 # the same
        ),
        "frameAncestors": words(
            "Pages that may embed the wall: none, or self and origins as https://HOST.",
            "none",
            pattern=r"^(none|(self|https?://(\*\.)?[A-Za-z0-9.-]+(:(\d{1,5}|\*))?)"
            r"( (self|https?://(\*\.)?[A-Za-z0-9.-]+(:(\d{1,5}|\*))?))*)$",
            examples=["none", "self https://intranet.example"],
        ),
        "tokens": Section(
            text="Who may look. A surface without a token is open to whoever reaches it.",
            options={
                "existingSecret": _secret("Secret with the tokens; required once one is on."),
                "wall": flag("The wall asks for a token."),
                "api": flag("The API asks for a token."),
                "metrics": flag("/metrics asks for a token, and the monitors send it."),
                "wallKey": _key("Its key with the wall's tokens, one a line.", "wall-token"),
                "apiKey": _key("Its key with the API's tokens, one a line.", "api-token"),
                "metricsKey": _key("Its key with the tokens of /metrics.", "metrics-token"),
                "scrapeKey": words(
                    "Its key with the one token that Prometheus sends; empty for `metricsKey`, "
                    "which is then of one line.",
                    pattern=r"^[-._a-zA-Z0-9]{0,253}$",
                    examples=["", "scrape-token"],
                ),
            },
        ),
        "tls": Section(
            text="HTTPS in the pod itself.",
            options={
                "existingSecret": _secret("Secret with certificate and key; empty for HTTP."),
                "certificateKey": _key("Its key with the certificate, as PEM.", "tls.crt"),
                "keyKey": _key("Its key with the private key, as PEM.", "tls.key"),
            },
        ),
    },
)
