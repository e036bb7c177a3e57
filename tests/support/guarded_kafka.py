"""A real Kafka with a listener for every way in, users, and access control lists in force."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from streams.local_kafka import LocalKafka
from tests.support.certificates import Authority, Signed, key_store

PASSWORD: Final = "correct-horse-battery"  # noqa: S105 # of users that live for one test
ANYTHING: Final = "anything"
"""The user who may do everything."""

USERS: Final = (
    ANYTHING,
    "floorwatch-worker",
    "floorwatch-topics",
    "floorwatch-events",
    "floorwatch-report",
)
"""All who have a password; those of the document for operators have no right by themselves."""

WAYS: Final[Mapping[str, str]] = {
    "SCRAM": "SASL_SSL",
    "PLAIN": "SASL_SSL",
    "CLEAR": "SASL_PLAINTEXT",
    "MUTUAL": "SSL",
    "EXPIRED": "SSL",
    "ELSEWHERE": "SSL",
}
"""Listeners: by password over TLS in two ways, by password in the clear, by our certificate; one
whose own certificate has expired, one whose own is for another host."""

_JAAS: Final = "org.apache.kafka.common.security"


class GuardedKafka(LocalKafka):
    """A broker that lets in *users* by password and whoever shows a certificate of *authority*.

    Deny is the default. Whoever comes over the listener without any way in, as the tests' own
    clients do, may do everything.

    Args:
        folder: for certificates.
        authority: signs the brokers' certificates, and those of clients.
        users: who may come in by `PASSWORD`.
    """

    def __init__(self, folder: Path, authority: Authority, users: tuple[str, ...]) -> None:
        self.folder = folder
        self.authority = authority
        super().__init__(
            listeners=WAYS,
            properties=_properties(folder, authority, users),
            format_options=[
                option
                for user in users
                for option in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={PASSWORD}]")
            ],
        )
        self.certify(authority)

    def certify(self, authority: Authority) -> None:
        """Have certificates of *authority* for the listeners from the next start on."""
        for name, signed in {
            "broker": authority.sign("broker"),
            "expired": authority.sign("expired", valid=False),
            "elsewhere": authority.sign("elsewhere", address="127.0.0.2"),
        }.items():
            key_store(signed, self.folder).replace(self.folder / f"{name}.store.pem")

    def by_password(self, user: str, way: str = "SCRAM", **other: Any) -> dict[str, Any]:
        """The settings of an installation that signs in as *user*, some of them replaced."""
        (self.folder / f"{user}.name").write_text(f"{user}\n")
        (self.folder / "password").write_text(f"{PASSWORD}\n")
        kafka = {
            "security_protocol": WAYS[way].lower(),
            "sasl_mechanism": "SCRAM-SHA-512" if way == "SCRAM" else "PLAIN",
            "username_file": str(self.folder / f"{user}.name"),
            "password_file": str(self.folder / "password"),
            "ca_file": str(self.authority.ca),
        }
        if way == "CLEAR":
            del kafka["ca_file"]
        return {"bootstrap": self.at(way), "kafka": _with(kafka, other)}

    def by_certificate(self, shown: Signed, way: str = "MUTUAL", **other: Any) -> dict[str, Any]:
        """The settings of an installation that shows the certificate *shown*, some replaced."""
        kafka = {
            "security_protocol": "ssl",
            "ca_file": str(self.authority.ca),
            "certificate_file": str(shown.certificate),
            "key_file": str(shown.key),
        }
        return {"bootstrap": self.at(way), "kafka": _with(kafka, other)}


def _with(kafka: dict[str, str], other: Mapping[str, Any]) -> dict[str, Any]:
    """*kafka* with *other* in it; None takes a setting away."""
    return {key: value for key, value in {**kafka, **other}.items() if value is not None}


def _properties(folder: Path, authority: Authority, users: tuple[str, ...]) -> dict[str, str]:
    plain_users = " ".join(f'user_{user}="{PASSWORD}"' for user in users)
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{ANYTHING};User:CN={ANYTHING}",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": (
            f"{_JAAS}.scram.ScramLoginModule required;"
        ),
    }
    for way in ("plain", "clear"):
        properties[f"listener.name.{way}.sasl.enabled.mechanisms"] = "PLAIN"
        properties[f"listener.name.{way}.plain.sasl.jaas.config"] = (
            f"{_JAAS}.plain.PlainLoginModule required {plain_users};"
        )
    for way, protocol in WAYS.items():
        if protocol.endswith("SSL"):
            store = way.lower() if way in {"EXPIRED", "ELSEWHERE"} else "broker"
            listener = f"listener.name.{way.lower()}.ssl"
            properties |= {
                f"{listener}.keystore.type": "PEM",
                f"{listener}.keystore.location": f"{folder}/{store}.store.pem",
                f"{listener}.truststore.type": "PEM",
                f"{listener}.truststore.location": str(authority.ca),
                f"{listener}.client.auth": "required" if way == "MUTUAL" else "none",
            }
    return properties
